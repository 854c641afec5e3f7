//! How AWS is reached: one client per account and role, shared by all policies.
//!
//! - The client repeats nothing by itself: a call that changes something may have been carried out although its answer was
//!   lost, and whoever made it observes before it is made again.
//! - Credentials come from where the SDK finds them: the environment, a profile, a web identity (IRSA), Pod Identity, the
//!   instance. A role that is assumed is asked for at the STS of Muster's own region, never at the global one.
//! - RDS and EC2 are called at the endpoint of the very region that is asked about, and a role for it is assumed at that region's
//!   STS: a call to one region needs no other one.
//! - Route 53 is limited for a whole account: each of its calls takes a turn, effects before reads at rest (`turns.rs`).
//! - What RDS and EC2 list in a region is read once for all policies that call as the same role, and not waited for where it does not answer
//!   (`shared_read.rs`). So is what stands in a bucket that many of them watch (`bucket.rs`).
//! - A call that changes something asks for the lease once more, and whether there is time, when it is signed and about to leave
//!   (`lease_gate.rs`).
//! - Nothing connects before the first call.
//! - Each call has its name and its rights in one table (`permissions.rs`).
//!
//! What this module must never do: show a credential or an external id.

mod account;
mod answers;
mod bucket;
mod ec2;
mod effect;
mod error;
mod lease_gate;
mod look;
mod memories;
mod own_look;
mod pages;
pub mod permissions;
mod presign;
mod rds;
mod shared_read;
mod turns;

pub use account::{Account, AwsAccess, AwsAccounts, AwsPlace, Circuit};

pub(crate) use bucket::{Glance, Watched};
#[cfg(test)]
pub(crate) use ec2::Set;
pub(crate) use ec2::{Ec2, Entry, NetworkAcl};
pub(crate) use effect::{Silent, by_deadline, done_in_part, invalid, transient};
pub(crate) use error::CallError;
pub(crate) use lease_gate::LeaseGate;
#[cfg(test)]
pub(crate) use lease_gate::fixtures;
pub(crate) use look::{SHARED, in_time};
pub(crate) use own_look::{LONGEST_LOOK, Look};
pub(crate) use permissions::Action;
pub(crate) use presign::NewReplica;
pub(crate) use rds::Rds;

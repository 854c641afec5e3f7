//! How AWS is reached: one client per account and role, shared by all policies.
//!
//! - The client repeats nothing by itself: a call that changes something may have been carried out although its answer was
//!   lost, and whoever made it observes before it is made again.
//! - Credentials come from where the SDK finds them: the environment, a profile, a web identity (IRSA), Pod Identity, the
//!   instance. A role that is assumed is asked for at the STS of Muster's own region, never at the global one.
//! - RDS is called at the endpoint of the very region that is asked about, and a role for it is assumed at that region's STS:
//!   a call to one region needs no other one.
//! - What RDS lists in an account and region is read once for all policies (`shared_read.rs`).
//! - Nothing connects before the first call.
//! - Each call has its name and its rights in one table (`permissions.rs`).
//!
//! What this module must never do: show a credential or an external id.

mod account;
mod effect;
mod error;
pub mod permissions;
mod rds;
mod shared_read;

pub use account::{Account, AwsAccess, AwsAccounts, AwsPlace};

pub(crate) use effect::{Silent, by_deadline, transient};
pub(crate) use error::CallError;
pub(crate) use permissions::Action;
pub(crate) use rds::Rds;

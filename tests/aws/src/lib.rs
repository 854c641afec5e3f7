//! A stateful fake of AWS at the wire, for tests and for the demo, in which the real AWS SDK talks to it.
//!
//! ```text
//! SDK ──HTTP──► http ── scope ──► service (route53, rds, ...) ──► state with its history ──► dns ──DNS──► resolver
//!                │                      ▲                          ▲
//!             calls, faults             └── who asks, and when     └── put_record: a person in the console
//!
//! route53 ── checkers ──► s3 (a marker object), 127.0.0.0/8 ──► health ──► dns
//! arc ──► health checks of routing controls ──────────────────────┘
//! ```
//!
//! One endpoint serves every service: the credential scope in the `Authorization` header says which one is meant, and
//! the access key says whose account it is; a reader who signs nothing means S3. Who has a document of IAM attached may do what
//! it allows (`rights`), and everybody else everything in their account. Errors are worded as the services
//! word them, because what is tested is how they are understood. What was carried out is held, with its answer, against
//! the models that AWS publishes of its APIs (`models`), and the last handle of a fake panics about what was not so. Time
//! is the runtime's, and a test can skip some of it: nothing waits for a change to be in sync.
//!
//! What this crate must never do: listen anywhere but on 127.0.0.1; stand in for AWS where anything matters, since
//! signatures are **not verified** and who names a known access key is believed; accept what it does not understand,
//! for a test would then pass on what the real service refuses.
//!
//! A further service is a module beside `route53`, an implementation of `service::Service` with what its operations have to be allowed, and a line in
//! `shared::Shared::service`; its operations go into the list of `scripts/extract-api-models.py`.

mod accounts;
mod arc;
mod calls;
mod clock;
mod dns;
mod ec2;
mod fake;
mod fake_arc;
mod fake_ec2;
mod fake_rds;
mod faults;
mod http;
mod models;
mod name;
mod past;
mod query;
mod rds;
mod request;
mod rights;
mod route53;
mod s3;
mod service;
mod shared;
mod sts;
mod xml;

pub use arc::{RuleKind, SafetyRule};
pub use calls::Call;
pub use fake::{FakeAws, Zone};
pub use fake_ec2::AclEntry;
pub use faults::{Fault, FaultId, FaultKind};
pub use rds::{
    FenceVerdict, InstanceShape, NewGlobalCluster, NewMember, RdsEffect, RdsHappening, RdsMove, RdsPace,
};
pub use route53::{BatchErrorForm, FailoverRecord, ObjectCheck, WeightedRecord};

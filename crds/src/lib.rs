//! The Kubernetes types of Muster: what a user writes, as Rust types, as a schema, and as text that is read strictly.
//!
//! - [`policy`]: `RegionFailoverPolicy`, one file per area.
//! - [`run`]: `FailoverRun`, one execution. [`journal`]: `FailoverJournal`, where Muster keeps its journal in a cluster.
//! - [`schema`]: the definitions of the kinds; `crds/generated` is their committed text.
//! - [`load`]: files with policies, read with every problem named at once, with its line.
//! - [`reference`]: the field reference in docs/policy.md.
//!
//! This crate must never know the core: the binary converts, and checks what a schema cannot.

#![forbid(unsafe_code)]

pub mod condition;
pub mod duration;
pub mod journal;
pub mod load;
pub mod policy;
pub mod problem;
pub mod reference;
pub mod run;
pub mod schema;
pub mod text;

pub use condition::{Condition, ConditionStatus};
pub use duration::Duration;
pub use journal::{FailoverJournal, FailoverJournalSpec};
pub use load::{LoadedPolicy, load_documents, load_policy_file};
pub use policy::{RegionFailoverPolicy, RegionFailoverPolicySpec};
pub use problem::{Problem, Severity};
pub use run::{FailoverRun, FailoverRunSpec, FailoverRunStatus};

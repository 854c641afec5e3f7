//! The Kubernetes types of Muster: what a user writes, as Rust types, as a schema, and as text that is read strictly.
//!
//! - [`policy`]: `RegionFailoverPolicy`, one file per area.
//! - [`schema`]: the CustomResourceDefinition; `crds/generated` is its committed text.
//! - [`load`]: files with policies, read with every problem named at once, with its line.
//! - [`reference`]: the field reference in docs/policy.md.
//!
//! This crate must never know the core: the binary converts, and checks what a schema cannot.

#![forbid(unsafe_code)]

pub mod duration;
pub mod load;
pub mod policy;
pub mod problem;
pub mod reference;
pub mod schema;
pub mod text;

pub use duration::Duration;
pub use load::{LoadedPolicy, load_documents, load_policy_file};
pub use policy::{RegionFailoverPolicy, RegionFailoverPolicySpec};
pub use problem::{Problem, Severity};

//! Reads files with policies: strictly, and every problem at once.
//!
//! Three steps: text to a tree that keeps its lines ([`tree`]), the tree against the very schema that the API server
//! uses ([`check`]), the tree to types. What a schema cannot say is for the binary's conversion.
//!
//! A text that kubectl would read in another way than it looks (`on`, `yes`, `010`) is refused, so that a file means
//! the same here and there.

mod check;
mod document;
mod lines;
mod scalar;
mod suggest;
mod tree;

pub use document::{Loaded, LoadedPolicy, load_documents, load_policy_file};
pub use lines::LineMap;

/// The largest file that is read, in bytes. An object in etcd may have about 1.5 MiB.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;

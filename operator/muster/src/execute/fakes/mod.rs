//! A small world in memory for tests: a database pair, a name, a power switch, probes, and a store. The adapters do
//! what real ones do, check what real targets check, and can be told to hang, to fail and to be late.

#![allow(clippy::missing_panics_doc, clippy::panic)]

mod adapters;
mod policy;
mod store;
mod world;

pub use policy::{policy, setup};
pub use store::{MemoryStore, RecordFault};
pub use world::{Fault, Landed, Node, World};

//! Sequences of specs, as in "Automatic Reliability Testing for Cluster Management Controllers" (Sun et al., SOSP 2023): the
//! operator must come from any state to the one that a spec declares, and out of a bad state by a good spec.
//!
//! ```text
//! seed --sane, edits, bad--> specs --JSON patch--> API server --> muster operator
//!                              |                      | watch
//!                              +--> convert (law) --> judge: consistency, difference from scratch, recovery, bystanders
//! ```
//! - `sane`, `edits`, `bad`: what is applied: good, at a bound of the schema, beyond it, and beyond what a schema can say.
//! - `stage`, `eyes`: one API server, one operator, and everything that was seen of the policies.
//! - `suite`, `judge`: the sequences, several at once, and what must hold after each spec.
//!
//! Which specs are good is asked of `muster::convert`, never guessed from how they were made.

mod bad;
mod edits;
mod eyes;
mod judge;
mod random;
mod report;
mod sane;
mod spec;
mod stage;
mod suite;

pub use report::Tally;
pub use suite::{Choice, run};

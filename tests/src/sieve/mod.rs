//! The operator's view of its API server disturbed in the three ways that break operators (Sun et al., "Automatic
//! Reliability Testing for Cluster Management Controllers", OSDI 2022), and in the one that every operator meets, and the
//! ends compared with an undisturbed run.
//!
//! ```text
//! intermediate  killed when the n-th write was carried out and before its answer came, for all n
//! stale         reads answered from an older version of the same object or list, by kind, also after a restart
//! unobserved    events of a watch dropped, by kind
//! failing       requests answered by 429, by 500 though carried out, late, or not at all
//! ```
//! The operator talks to a proxy in front of a real API server; databases, names and the power tool are real too.
//! Effects are counted where they land, as in the crash suite.

mod proxy;
mod stage;
mod suite;

pub use suite::{Choice, Pattern, Tally, run};

//! What the suites share: the model of safety, and the harnesses of the end-to-end suites.

pub mod acto;
pub mod aws;
pub mod bench;
pub mod chart;
pub mod cluster;
pub mod crash;
pub mod demo_cluster;
pub mod faults;
mod figures;
pub mod model;
pub mod operated;
pub mod patience;
mod program;
pub mod sieve;

pub use program::{as_muster, play};

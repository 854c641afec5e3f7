//! `make faults`: the demo's world under every fault, each case with what it proves.
//!
//! A case starts a world of its own (real PostgreSQL, name server, controller, vantages, all as processes), hurts
//! it, and looks at the outcome from outside only: the controller's HTTP API, the databases, and what clients were
//! told. It waits on conditions with a deadline. It never looks into the controller.

mod comeback;
mod controller;
mod fences;
mod partition;
mod refusals;
mod region;
mod stage;
mod third;

use std::path::PathBuf;
use std::pin::Pin;

/// What a case found, with figures; or why it failed.
pub type Story = Pin<Box<dyn Future<Output = anyhow::Result<String>>>>;

/// Where the cases run.
#[derive(Clone, Debug)]
pub struct Bench {
    /// The `muster` program.
    pub binary: PathBuf,
}

/// One fault.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// For the command line.
    pub name: &'static str,
    /// What it proves, in a sentence.
    pub proves: &'static str,
    /// Plays it.
    pub run: fn(Bench) -> Story,
}

/// All cases, in the order in which they run.
pub fn all() -> Vec<Case> {
    [
        region::CASES,
        partition::CASES,
        refusals::CASES,
        comeback::CASES,
        fences::CASES,
        controller::CASES,
        third::CASES,
    ]
    .concat()
}

//! `make bench`: what Muster costs, each figure with its median and 99th percentile. docs/benchmarks.md says how each
//! is measured.
//!
//! - `run`: the controller's own time in a failover; `decide`: the pure core; both on a [`failover`] of the real stages.
//! - `probes`: an HTTP probe's cost beside another prober's; `start`: a controller with a thousand policies; `operator`:
//!   as many on a real API server, at rest and started again; `aws`: what they ask of AWS at rest.
//! - [`figures`], [`series`], [`process`]: how it is measured and said.
//!
//! Nothing here may know a result beforehand.

mod aws;
mod decide;
mod failover;
pub mod figures;
mod operator;
mod probes;
pub mod process;
mod run;
pub mod series;
mod start;

pub use figures::Figures;
use std::path::PathBuf;
use std::pin::Pin;

/// What a part needs.
#[derive(Clone, Debug)]
pub struct Bench {
    /// This program, for its roles and as `muster`.
    pub me: PathBuf,
    /// On a disk: what is written durably must cost what it costs.
    pub folder: PathBuf,
}

/// A part under way.
pub type Measuring<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + 'a>>;

/// One part of the benchmark.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// For the command line.
    pub name: &'static str,
    /// What is measured.
    pub measures: &'static str,
    /// Measures it.
    pub run: for<'a> fn(&'a Bench, &'a mut Figures) -> Measuring<'a>,
}

/// All parts, in the order in which they run.
pub const PARTS: &[Part] = &[run::PART, decide::PART, probes::PART, start::PART, operator::PART, aws::PART];

/// Plays a role in a process of its own, if `words` ask for one: `role NAME ...`.
pub fn play_role(words: &[String]) -> Option<anyhow::Result<()>> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["role", "server"] => Some(probes::serve()),
        ["role", "prober", address, probes] => Some(probes::probe(address, probes)),
        _ => None,
    }
}

//! `make demo-cluster`: the demo under the operator, in three clusters.
//!
//! The program is also the `muster` of its world; Ctrl-C and SIGTERM end it with it.

use clap::Parser;
use muster_tests::demo_cluster::{Figures, run};
use muster_tests::{as_muster, play};
use std::process::ExitCode;

/// The demo under the operator, in three clusters.
#[derive(Parser)]
struct Args {
    /// Shorten the calm times between the events
    #[arg(long)]
    fast: bool,
}

fn main() -> ExitCode {
    if let Some(code) = as_muster() {
        return code;
    }
    let Args { fast } = Args::parse();
    play(run(fast), Figures::is_good)
}

//! `make sieve`: disturbs the operator's view of its API server, and compares the ends.
//!
//! The program is also the `muster` of its world; Ctrl-C and SIGTERM end it with it.

use clap::Parser;
use muster_tests::sieve::{Choice, Pattern, Tally, run};
use muster_tests::{as_muster, play};
use std::process::ExitCode;

/// Disturbs the operator's view of its API server, and compares the ends.
#[derive(Parser)]
struct Args {
    /// Only this pattern
    #[arg(long)]
    pattern: Option<Pattern>,
    /// Only every so many points of a pattern
    #[arg(long, default_value_t = 1)]
    every: usize,
}

fn main() -> ExitCode {
    if let Some(code) = as_muster() {
        return code;
    }
    let Args { pattern, every } = Args::parse();
    play(run(&Choice { pattern, every }), Tally::is_good)
}

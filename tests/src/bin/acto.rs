//! `make acto`: sequences of specs, good and broken, against a real API server and a real operator.
//!
//! The program is also the `muster` of its stage; Ctrl-C and SIGTERM end that with it.
#![allow(clippy::print_stdout)]

use clap::Parser;
use muster_tests::acto::{Choice, Tally, run};
use muster_tests::{as_muster, play};
use std::process::ExitCode;

/// Applies generated sequences of specs, and compares each state with one from scratch.
#[derive(Parser)]
struct Args {
    /// The same seed, the same specs [default: a new one]
    #[arg(long)]
    seed: Option<u64>,
    /// Specs of each policy
    #[arg(long, default_value_t = 42)]
    specs: usize,
    /// Policies at once
    #[arg(long, default_value_t = 12)]
    policies: usize,
    /// Only the sequence of this policy, from 0
    #[arg(long)]
    only: Option<usize>,
}

fn main() -> ExitCode {
    if let Some(code) = as_muster() {
        return code;
    }
    let args = Args::parse();
    let seed = args.seed.unwrap_or_else(|| u64::from(uuid::Uuid::new_v4().as_fields().0));
    println!("seed {seed}: {} policies, {} specs each", args.policies, args.specs);
    let choice = Choice { binary: None, seed, specs: args.specs, policies: args.policies, only: args.only };
    play(run(&choice), Tally::is_good)
}

//! `make acto`: sequences of specs, good and broken, against a real API server and a real operator.
//!
//! The program is also the `muster` of its stage; Ctrl-C and SIGTERM end that with it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use clap::Parser;
use muster_tests::acto::{Choice, run};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

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

/// Ctrl-C and SIGTERM.
async fn ended() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        Err(_) => std::future::pending().await,
    }
}

#[tokio::main]
async fn suite(args: &Args) -> ExitCode {
    let seed = args.seed.unwrap_or_else(|| u64::from(uuid::Uuid::new_v4().as_fields().0));
    println!("seed {seed}: {} policies, {} specs each", args.policies, args.specs);
    let choice = Choice { binary: None, seed, specs: args.specs, policies: args.policies, only: args.only };
    // Dropped, the stage ends with its processes.
    let played = tokio::select! {
        played = run(&choice) => played,
        () = ended() => Err(anyhow::anyhow!("ended by a signal")),
    };
    match played {
        Ok(tally) => {
            println!("{tally}");
            if tally.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn main() -> ExitCode {
    if let Some(code) = muster_tests::as_muster() {
        return code;
    }
    suite(&Args::parse())
}

//! `make sieve`: disturbs the operator's view of its API server in three ways, and compares the ends.
//!
//! The program is also the `muster` of its world; Ctrl-C and SIGTERM end it with it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use clap::Parser;
use muster_tests::sieve::{Choice, Pattern, run};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

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
async fn suite(pattern: Option<Pattern>, every: usize) -> ExitCode {
    let choice = Choice { pattern, every };
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
    let args = Args::parse();
    suite(args.pattern, args.every)
}

//! `make crash`: kills the controller at every point of a run, for each kind of run, and compares the ends.
//!
//! The program is also the `muster` of its world, so that what is tested is what was just built.
#![allow(clippy::print_stdout)]

use clap::Parser;
use muster_core::journal::RunKind;
use muster_tests::crash::{Choice, CrashPoint, run};
use std::process::ExitCode;

/// Verbs of `muster` that the world calls.
const MUSTER: [&str; 5] = ["local", "vantage", "demo-service", "demo-power", "demo-rejoin"];

/// Kills the controller at every point of a run, and compares the ends.
#[derive(Parser)]
struct Args {
    /// Only this kind: Failover, Switchover or Failback
    #[arg(long, value_parser = kind)]
    kind: Option<RunKind>,
    /// Only this point, for example 4:sent; of one kind
    #[arg(long, requires = "kind")]
    point: Option<CrashPoint>,
}

fn kind(text: &str) -> Result<RunKind, String> {
    let all = [RunKind::Failover, RunKind::Switchover, RunKind::Failback];
    let found = all.into_iter().find(|kind| format!("{kind:?}").eq_ignore_ascii_case(text));
    found.ok_or_else(|| "expected Failover, Switchover or Failback".to_owned())
}

#[tokio::main]
async fn suite(args: Args) -> ExitCode {
    match run(&Choice { kind: args.kind, point: args.point }).await {
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
    let _ = rustls::crypto::ring::default_provider().install_default();
    if std::env::args().nth(1).is_some_and(|verb| MUSTER.contains(&verb.as_str())) {
        return muster::cli::run(std::env::args_os());
    }
    suite(Args::parse())
}

//! `make crash`: kills the controller at every point of a run, for each kind of run, and compares the ends.
//!
//! The program is also the `muster` of its worlds; Ctrl-C and SIGTERM end them with it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use clap::Parser;
use muster_core::journal::RunKind;
use muster_tests::crash::{Choice, CrashPoint, run};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Kills the controller at every point of a run, and compares the ends.
#[derive(Parser)]
struct Args {
    /// Only this kind: Failover, Switchover or Failback
    #[arg(long, value_parser = kind)]
    kind: Option<RunKind>,
    /// Only this point, for example Promote.1:sent; of one kind
    #[arg(long, requires = "kind")]
    point: Option<CrashPoint>,
}

fn kind(text: &str) -> Result<RunKind, String> {
    let all = [RunKind::Failover, RunKind::Switchover, RunKind::Failback];
    let found = all.into_iter().find(|kind| format!("{kind:?}").eq_ignore_ascii_case(text));
    found.ok_or_else(|| "expected Failover, Switchover or Failback".to_owned())
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
async fn suite(args: Args) -> ExitCode {
    let choice = Choice { kind: args.kind, point: args.point };
    // Dropped, the worlds end with their processes.
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
    suite(Args::parse())
}

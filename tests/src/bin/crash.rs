//! `make crash`: kills the controller at every point of a run, for each kind of run, and compares the ends.
//!
//! The program is also the `muster` of its worlds; Ctrl-C and SIGTERM end them with it.

use clap::Parser;
use muster_core::journal::RunKind;
use muster_tests::crash::{Choice, CrashPoint, Tally, run};
use muster_tests::{as_muster, play};
use std::process::ExitCode;

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

fn main() -> ExitCode {
    if let Some(code) = as_muster() {
        return code;
    }
    let Args { kind, point } = Args::parse();
    play(run(&Choice { kind, point }), Tally::is_good)
}

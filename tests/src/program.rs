//! What the programs of the suites share: they are also the `muster` of their worlds, and end with them.

use std::fmt::Display;
use std::process::ExitCode;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// Verbs of `muster` that a world of the suites calls.
const VERBS: [&str; 18] = [
    "aws",
    "local",
    "operator",
    "vantage",
    "demo-service",
    "demo-power",
    "demo-rejoin",
    "status",
    "explain",
    "plan",
    "switchover",
    "failback",
    "approve",
    "abort",
    "pause",
    "resume",
    "history",
    "show",
];

/// A suite's program is also the `muster` of its worlds, so that what is tested is what was just built. `Some` if it
/// was called as that, and has ended.
pub fn as_muster() -> Option<ExitCode> {
    let called = std::env::args().nth(1).is_some_and(|verb| VERBS.contains(&verb.as_str()));
    called.then(|| muster::cli::run(std::env::args_os()))
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

/// Plays a suite to its end, prints its tally, and fails if that is not good. A signal drops what is played, and with
/// it its processes.
#[allow(clippy::print_stdout, clippy::print_stderr)]
pub fn play<T: Display>(
    suite: impl Future<Output = anyhow::Result<T>>,
    is_good: impl Fn(&T) -> bool,
) -> ExitCode {
    let until_ended = async {
        tokio::select! {
            played = suite => played,
            () = ended() => Err(anyhow::anyhow!("ended by a signal")),
        }
    };
    let played = Runtime::new().map_err(Into::into).and_then(|runtime| runtime.block_on(until_ended));
    match played {
        Ok(tally) => {
            println!("{tally}");
            if is_good(&tally) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

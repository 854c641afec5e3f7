//! What the suites share: the model of safety, and the harnesses of the end-to-end suites.

pub mod acto;
pub mod bench;
pub mod cluster;
pub mod crash;
pub mod faults;
pub mod model;
pub mod operated;
pub mod sieve;

/// Verbs of `muster` that a world of the suites calls.
const VERBS: [&str; 17] = [
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
pub fn as_muster() -> Option<std::process::ExitCode> {
    let called = std::env::args().nth(1).is_some_and(|verb| VERBS.contains(&verb.as_str()));
    called.then(|| muster::cli::run(std::env::args_os()))
}

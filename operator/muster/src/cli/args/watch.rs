//! Verbs that only look.

use super::{OutputArgs, PolicyArg};
use clap::Args;
use std::path::PathBuf;

/// Policies as they stand.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  muster status                    the only policy in full, or all on a line each
  muster status checkout -w        stays and redraws until Ctrl-C
  muster status -o json | jq .policies[].activeRegion")]
pub struct StatusArgs {
    /// Which policy.
    #[command(flatten)]
    pub policy: PolicyArg,
    /// Stay, and show each change
    #[arg(short, long)]
    pub watch: bool,
    /// How to print.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Why and why not.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  muster explain                 why Muster acts, waits or stands still right now
  muster explain checkout -o yaml

Each gate and condition that does not hold has a page of its name under runbooks/.")]
pub struct ExplainArgs {
    /// Which policy.
    #[command(flatten)]
    pub policy: PolicyArg,
    /// How to print.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// A policy's runs.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  muster history checkout
  muster history --limit 3 -o json")]
pub struct HistoryArgs {
    /// Which policy.
    #[command(flatten)]
    pub policy: PolicyArg,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: usize,
    /// How to print.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// One run.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  muster show                    the active run of the only policy, or its newest one
  muster show checkout-42
  muster show checkout-42 -w     until it has ended")]
pub struct ShowArgs {
    /// The run [default: the active run of the only policy, or its newest one]
    pub run: Option<String>,
    /// Stay until the run has ended
    #[arg(short, long)]
    pub watch: bool,
    /// How to print.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Probes, once.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  muster probe checkout
  muster probe -o json | jq '.results[] | select(.result != \"Pass\")'

The controller runs them, from where it stands. Ends with code 1 when a probe fails.")]
pub struct ProbeArgs {
    /// Which policy.
    #[command(flatten)]
    pub policy: PolicyArg,
    /// How to print.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Policy files.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  muster validate policies/
  muster validate checkout.yaml -o json
  cat checkout.yaml | muster validate -

Each message names the field and the fix. Needs no server, connects to nothing.
Ends with code 1 when a policy is not valid, with 2 when a file cannot be read.")]
pub struct ValidateArgs {
    /// Files, folders of *.yaml files, or - for standard input
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Also see that every secret is there, in this folder (DIR/NAME/KEY) or as `MUSTER_SECRET_NAME_KEY`
    #[arg(long, value_name = "DIR")]
    pub secrets: Option<PathBuf>,
    /// Check as the operator in a cluster would: no exec hooks
    #[arg(long)]
    pub cluster: bool,
    /// How to print.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Recorded decisions.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  muster replay checkout-42                step by step; Enter goes on, q ends
  muster replay checkout-42 --save run.jsonl
  muster replay run.jsonl --check          ends with code 1 at the first difference
  muster replay run.jsonl | less

Each frame holds the policy, the journal, what was seen and what was decided. The decision is made again by
this version of Muster from the same inputs, so a recorded run shows what another version would have done.")]
pub struct ReplayArgs {
    /// A run's name, or a file of frames (a JSON object a line); - for standard input
    #[arg(value_name = "RUN|FILE")]
    pub source: String,
    /// Compare each decision with the recorded one; end at the first difference
    #[arg(long)]
    pub check: bool,
    /// Show all frames at once, also on a terminal
    #[arg(long)]
    pub all: bool,
    /// Also write the frames to this file, a JSON object a line
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// How to print.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Versions.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  muster version
  muster version --client -o json")]
pub struct VersionArgs {
    /// Only this command's; ask no server
    #[arg(long)]
    pub client: bool,
    /// How to print.
    #[command(flatten)]
    pub output: OutputArgs,
}

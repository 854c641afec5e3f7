//! Verbs that start runs or change what they do.

use super::super::words::parse_duration;
use super::{OutputArgs, PolicyArg};
use clap::{Args, ValueEnum};
use muster_core::journal::RunKind;
use muster_core::time::Millis;

/// A run's kind, as it is typed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum KindArg {
    /// Unplanned; may lose the newest writes.
    Failover,
    /// Planned; loses nothing.
    Switchover,
    /// Planned, to the preferred region.
    Failback,
}

impl From<KindArg> for RunKind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Failover => Self::Failover,
            KindArg::Switchover => Self::Switchover,
            KindArg::Failback => Self::Failback,
        }
    }
}

/// What a run would do.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  muster plan                        a failover of the only policy, to the best candidate
  muster plan checkout --to west
  muster plan checkout --kind switchover -o json

While a run is under way its own plan is shown. The last line gives the hash that an approval binds to.
Ends with code 3 when a gate blocks.")]
pub struct PlanArgs {
    /// Which policy.
    #[command(flatten)]
    pub policy: PolicyArg,
    /// failover, switchover or failback
    #[arg(long, value_name = "KIND", default_value = "failover", hide_possible_values = true)]
    pub kind: KindArg,
    /// Region to move to [default: the best candidate]
    #[arg(long, value_name = "REGION")]
    pub to: Option<String>,
    /// How to print.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Starts a run.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  muster failover checkout --to west --reason 'east is dark'   shows the plan, asks
  muster switchover checkout --reason 'kernel update in east'
  muster failback checkout --yes --plan 3f9c0a1b               without a terminal
  muster failover checkout --request-only                      someone else approves

Ctrl-C while it is shown stops the watching, not the run: `muster abort` ends a run.")]
pub struct StartArgs {
    /// Which policy.
    #[command(flatten)]
    pub policy: PolicyArg,
    /// Region to move to [default: the best candidate]
    #[arg(long, value_name = "REGION")]
    pub to: Option<String>,
    /// Why, for the journal and the report
    #[arg(long, value_name = "TEXT", default_value = "asked for by hand")]
    pub reason: String,
    /// Ask for the run, leave the consent to its plan to someone else (`muster approve`)
    #[arg(long, conflicts_with_all = ["yes", "plan", "max_loss", "waive"])]
    pub request_only: bool,
    /// The consent.
    #[command(flatten)]
    pub consent: ConsentArgs,
    /// Who asks.
    #[arg(long, value_name = "NAME", help = "Who asks, for the journal [default: your login name]")]
    pub by: Option<String>,
    /// Whether to watch.
    #[command(flatten)]
    pub wait: WaitArgs,
    /// How to print.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Consent to a plan.
#[derive(Args, Debug)]
pub struct ConsentArgs {
    /// Do not ask; needs --plan
    #[arg(short, long, requires = "plan")]
    pub yes: bool,
    /// Hash of the plan that you saw (`muster plan`); refused when the plan is another one by now
    #[arg(long, value_name = "HASH")]
    pub plan: Option<String>,
    /// Accept at most this loss of writes, such as 5s [default: the loss that is shown]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub max_loss: Option<Millis>,
    /// Go on although this gate does not hold; may be given several times
    #[arg(long, value_name = "GATE", value_delimiter = ',')]
    pub waive: Vec<String>,
    /// How long the consent holds while the run waits
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "15m")]
    pub valid_for: Millis,
}

/// Consents to the run that waits.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  muster approve checkout                         shows the plan, its gates and the loss, and asks
  muster approve checkout --yes --plan 3f9c0a1b   without a terminal
  muster approve checkout --max-loss 5s --waive Fenced

The consent binds to the plan that was shown: when the plan, a gate or the loss is worse by then, Muster asks
again. While the old primary is not proven fenced the loss grows with each second.")]
pub struct ApproveArgs {
    /// Which policy.
    #[command(flatten)]
    pub policy: PolicyArg,
    /// The consent.
    #[command(flatten)]
    pub consent: ConsentArgs,
    /// Who agrees, for the journal [default: your login name]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// Whether to watch.
    #[command(flatten)]
    pub wait: WaitArgs,
    /// How to print.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Whether to watch the run to its end.
#[derive(Args, Debug, Clone, Copy)]
pub struct WaitArgs {
    /// Watch the run to its end; what happens on a terminal anyway
    #[arg(long, conflicts_with = "no_wait")]
    pub wait: bool,
    /// Return as soon as the request is recorded
    #[arg(long)]
    pub no_wait: bool,
    /// Stop watching after this time, with code 6; the run goes on
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub timeout: Option<Millis>,
}

/// Who, and how sure.
#[derive(Args, Debug)]
pub struct WhoArgs {
    /// Who, for the journal [default: your login name]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

/// A wish without more to say.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  muster status checkout     says what must be acknowledged, or who paused
  muster ack checkout
  muster resume checkout")]
pub struct WishArgs {
    /// Which policy.
    #[command(flatten)]
    pub policy: PolicyArg,
    /// Who.
    #[command(flatten)]
    pub wish: WhoArgs,
    /// How to print.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// A wish with a reason.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  muster pause checkout --reason 'storage work in west until 14:00'
  muster abort checkout --reason 'east is back'")]
pub struct ReasonArgs {
    /// Which policy.
    #[command(flatten)]
    pub policy: PolicyArg,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT", default_value = "asked for by hand")]
    pub reason: String,
    /// Who.
    #[command(flatten)]
    pub wish: WhoArgs,
    /// How to print.
    #[command(flatten)]
    pub output: OutputArgs,
}

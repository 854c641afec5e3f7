//! The command line's grammar, from which `--help`, completion and docs/cli.md are made.

mod aws;
mod help;
mod runs;
mod watch;

pub use crate::controllers::Settings as OperatorArgs;
pub use crate::local::Settings as LocalArgs;
pub use crate::vantage::Settings as VantageArgs;
pub use aws::{AwsArgs, AwsVerb, IamArgs, IamFormat, PlanDnsArgs, PlanFormat};
pub use help::{command, groups};
pub use runs::{
    ApproveArgs, ConsentArgs, KindArg, PlanArgs, ReasonArgs, StartArgs, WaitArgs, WhoArgs, WishArgs,
};
pub use watch::{
    ExplainArgs, HistoryArgs, ProbeArgs, ReplayArgs, ShowArgs, StatusArgs, ValidateArgs, VersionArgs,
};

use super::output::Format;
use super::paint::ColorWhen;
use crate::demo::DemoCommand;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Moves an application out of a failed region, proves beforehand that it could, and says why when it will not.
#[derive(Parser, Debug)]
#[command(name = "muster", version, disable_help_subcommand = true)]
pub struct Cli {
    /// What holds for every verb.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What holds for every verb.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// The server to talk to
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "MUSTER_SERVER",
        hide_env_values = true,
        help = "The server to talk to [default: http://127.0.0.1:7420]"
    )]
    pub server: Option<String>,
    /// File with the token to show there [default: STATE/token]
    #[arg(long, global = true, value_name = "FILE", env = "MUSTER_TOKEN_FILE", hide_env_values = true)]
    pub token_file: Option<PathBuf>,
    /// Folder of the journal and the token [default: ~/.local/state/muster, as root /var/lib/muster]
    #[arg(long, global = true, value_name = "DIR", env = "MUSTER_STATE", hide_env_values = true)]
    pub state: Option<PathBuf>,
    /// Ask a cluster's API server, with this kubeconfig [default: KUBECONFIG, else ~/.kube/config]
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Ask a cluster's API server, by this context of the kubeconfig [default: the current one]
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// Ask a cluster's API server, about this namespace [default: the context's, else all]
    #[arg(short, long, global = true, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Called as `kubectl muster`: a cluster is asked.
    #[arg(skip)]
    pub plugin: bool,
    /// When to use colours; auto is off in a pipe and when `NO_COLOR` is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub color: ColorWhen,
}

/// How data is printed.
#[derive(Args, Debug, Clone, Copy)]
pub struct OutputArgs {
    /// How to print: table, json or yaml
    #[arg(short, long, value_name = "FORMAT", default_value = "table", hide_possible_values = true)]
    pub output: Format,
}

/// Which policy.
#[derive(Args, Debug, Clone)]
pub struct PolicyArg {
    /// NAME or NAMESPACE/NAME; may be left out when there is only one policy
    pub policy: Option<String>,
}

/// The verbs.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// The demo and its world's programs
    #[command(flatten)]
    Demo(DemoCommand),
    /// Show policies, regions, the run under way and what blocks it
    Status(StatusArgs),
    /// Say why Muster acts or does not act: each rule and gate, what it saw and what it needs
    Explain(ExplainArgs),
    /// Show what a run now would do, step by step, with predicted times; starts nothing
    Plan(PlanArgs),
    /// Move away from a failed region; may lose the newest writes
    Failover(StartArgs),
    /// Move to another region while both are well; loses nothing
    Switchover(StartArgs),
    /// Move back to the preferred region; loses nothing
    Failback(StartArgs),
    /// Consent to the plan of the run that waits for it
    Approve(ApproveArgs),
    /// End the run under way and undo it; refused past the point of no return
    Abort(ReasonArgs),
    /// Acknowledge what made automation stand still
    Ack(WishArgs),
    /// Take over databases and names that another policy's UID has marked
    Adopt(AdoptArgs),
    /// Start no new effect until resumed
    Pause(ReasonArgs),
    /// Undo a pause
    Resume(WishArgs),
    /// List the runs of a policy, newest first
    History(HistoryArgs),
    /// Show one run: timeline, steps, gates, proofs, measured and predicted RTO and RPO
    Show(ShowArgs),
    /// Run a policy's probes once and show what they say
    Probe(ProbeArgs),
    /// Check policy files without a server
    Validate(ValidateArgs),
    /// Print the SQL that makes Muster's part of a database
    SetupSql(SetupSqlArgs),
    /// Print what policies need of AWS: the least rights, and what must exist for a name
    Aws(AwsArgs),
    /// Step through the recorded decisions of a run
    Replay(ReplayArgs),
    /// Run the controller without a cluster
    Local(LocalArgs),
    /// Run the controller in a Kubernetes cluster
    Operator(OperatorArgs),
    /// Run the policies' probes here and report to a controller elsewhere
    Vantage(VantageArgs),
    /// Print the completion script for a shell
    Completion(CompletionArgs),
    /// Print the versions of this command and of the server
    Version(VersionArgs),
    /// Print the command line reference in Markdown
    #[command(hide = true)]
    Reference,
}

/// Whose marks to take over.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  muster explain checkout                  says which UID marked the target
  muster adopt checkout --owner 0b6c...    takes its marks over

Adopt only when that policy is gone: two policies that steer one database can split it.")]
pub struct AdoptArgs {
    /// Which policy takes over.
    #[command(flatten)]
    pub policy: PolicyArg,
    /// UID of the policy whose marks are taken over
    #[arg(long, value_name = "UID")]
    pub owner: String,
    /// Who, and how sure.
    #[command(flatten)]
    pub wish: WhoArgs,
    /// How to print.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Of which database.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  muster setup-sql --application shop | psql shop
  muster setup-sql --managed | psql -h orders.cluster-x.us-east-1.rds.amazonaws.com shop
  muster setup-sql --managed --application shop | psql -h orders.x.us-east-1.rds.amazonaws.com shop

Run it in the application's database, on the node that takes writes; standbys get it by replication. It may be run
again. The roles must exist.")]
pub struct SetupSqlArgs {
    /// Muster's own role
    #[arg(long, value_name = "ROLE", default_value = "muster")]
    pub user: String,
    /// The application's role, which a fence locks out; takes a superuser to run, or with --managed the master user
    #[arg(long, value_name = "ROLE", required_unless_present = "managed")]
    pub application: Option<String>,
    /// For a managed database (Aurora; with --application RDS for PostgreSQL): only what takes no superuser
    #[arg(long)]
    pub managed: bool,
}

/// For which shell.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  muster completion bash > ~/.local/share/bash-completion/completions/muster
  muster completion zsh  > \"${fpath[1]}/_muster\"
  muster completion fish > ~/.config/fish/completions/muster.fish")]
pub struct CompletionArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

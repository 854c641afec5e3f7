//! What policies need of AWS.

use super::super::words::parse_duration;
use clap::{Args, Subcommand, ValueEnum};
use muster_core::time::Millis;
use std::path::PathBuf;

/// What policies need of AWS.
#[derive(Args, Debug)]
#[command(
    subcommand_value_name = "VERB",
    disable_help_subcommand = true,
    after_help = "\
Examples:
  muster aws iam -f checkout.yaml                  the rights, and why each is needed
  muster aws plan-dns -f checkout.yaml             what must exist before a name can be moved
  muster aws plan-dns -f checkout.yaml -o cli      the same as a script of the AWS CLI
  muster aws plan-dns -f checkout.yaml --apply     makes it, with your own credentials

Reads policy files alone: no server is asked, and only --apply calls AWS. docs/aws.md goes through the set-up."
)]
pub struct AwsArgs {
    /// What to print.
    #[command(subcommand)]
    pub verb: AwsVerb,
}

/// What to print.
#[derive(Subcommand, Debug)]
pub enum AwsVerb {
    /// Print the least IAM policies that Muster needs for these policies
    Iam(IamArgs),
    /// Print what must exist before a name in Route 53 can be moved; --apply makes it
    PlanDns(PlanDnsArgs),
}

/// The least rights.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  muster aws iam -f checkout.yaml
  muster aws iam -f policies/ --runs-as arn:aws:iam::111122223333:role/muster-base
  muster aws iam -f checkout.yaml -o json | jq '.documents[] | select(.role == null).policy'

One document for each role that the policies name, with who may assume it, and one for the credentials that Muster
runs with. An external id is not shown: its Secret's name stands in its place.
Ends with code 1 when a policy is not valid, with 2 when a file cannot be read.")]
pub struct IamArgs {
    /// Files, folders of *.yaml files, or - for standard input
    #[arg(short, long = "file", required = true, num_args = 1.., value_name = "PATH")]
    pub files: Vec<PathBuf>,
    /// What Muster runs as, for the roles' trust policies
    #[arg(long, value_name = "ARN")]
    pub runs_as: Option<String>,
    /// How to print: text, json or yaml
    #[arg(short, long, value_name = "FORMAT", default_value = "text", hide_possible_values = true)]
    pub output: IamFormat,
}

/// What must exist for names.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  muster aws plan-dns -f checkout.yaml
  muster aws plan-dns -f checkout.yaml -o cli > setup.sh
  muster aws plan-dns -f checkout.yaml -o terraform > muster.tf
  muster aws plan-dns -f checkout.yaml --active us-west-2
  muster aws plan-dns -f checkout.yaml --apply                      shows what is lacking, and asks
  muster aws plan-dns -f checkout.yaml --apply --yes -o json        for a script: makes it, and tells the ids
  muster aws plan-dns -f checkout.yaml --apply --replace            moves from a simple record

Buckets with their policies, health checks, the two failover records and the rights; for a name that is moved by its
record only the rights. Secrets are never printed: script, Terraform and --apply read them from a variable.
--apply runs with your own credentials, not with Muster's, and makes all but the rights (muster aws iam prints them). It
waits until the checkers have looked before it makes records. Stopped in the middle it can be run again; a second time it
changes nothing.
Ends with code 1 when a policy is not valid or a call failed, with 2 when a file cannot be read or --yes is needed, with 3
when AWS refuses it or something is in the way, with 4 when a name has no such region.")]
pub struct PlanDnsArgs {
    /// Files, folders of *.yaml files, or - for standard input
    #[arg(short, long = "file", required = true, num_args = 1.., value_name = "PATH")]
    pub files: Vec<PathBuf>,
    /// The region that serves now, whose record becomes the primary one [default: the policy's first]
    #[arg(long, value_name = "REGION")]
    pub active: Option<String>,
    /// Whether to make it.
    #[command(flatten)]
    pub apply: ApplyArgs,
    /// How to print: text, cli (a script of the AWS CLI) or terraform; with --apply text, json or yaml
    #[arg(short, long, value_name = "FORMAT", default_value = "text", hide_possible_values = true)]
    pub output: PlanFormat,
}

/// Whether to make what a plan describes.
#[derive(Args, Debug)]
pub struct ApplyArgs {
    /// Make what is lacking, with your own credentials; shows it first, and asks
    #[arg(long)]
    pub apply: bool,
    /// Make it without asking
    #[arg(short, long, requires = "apply")]
    pub yes: bool,
    /// Replace simple records of these names by the two failover records
    #[arg(long, requires = "apply")]
    pub replace: bool,
    /// How long to wait at most until every checker of the new health checks has looked
    #[arg(long, requires = "apply", value_name = "DURATION", value_parser = parse_duration, default_value = "10m")]
    pub timeout: Millis,
}

/// How rights are printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum IamFormat {
    /// For people, with the reason of each statement.
    #[default]
    Text,
    /// For scripts.
    Json,
    /// The same as YAML.
    Yaml,
}

/// How a plan is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum PlanFormat {
    /// For people.
    #[default]
    Text,
    /// A script of the AWS CLI.
    Cli,
    /// For Terraform.
    Terraform,
    /// For scripts: what was made.
    Json,
    /// The same as YAML.
    Yaml,
}

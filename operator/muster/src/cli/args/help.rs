//! The first page of `--help`: verbs in groups, exit codes, and where to begin.

use super::super::exit::Code;
use super::Cli;
use clap::CommandFactory;
use std::fmt::Write;

/// A title and its verbs.
type Group = (&'static str, &'static [&'static str]);

/// Verbs by what a person is about to do. A test sees that none is missing.
const GROUPS: &[Group] = &[
    ("Begin", &["demo", "validate", "setup-sql", "aws"]),
    ("Run", &["local", "operator", "vantage"]),
    ("Look", &["status", "explain", "plan", "probe"]),
    ("Act", &["failover", "switchover", "failback", "approve", "abort", "pause", "resume", "ack", "adopt"]),
    ("Look back", &["history", "show", "replay"]),
    ("Other", &["completion", "version"]),
];

const EXAMPLES: &str = "\
Examples:
  muster demo                                              see it work on this machine
  muster local --policies ./policies --secrets ./secrets   run it
  muster status -w                                         watch
  muster explain                                           why, and why not
  muster status -n shop                                    ask the cluster of your kubeconfig
  kubectl muster status                                    the same, with this program in PATH as kubectl-muster

A cluster is asked with --kubeconfig, --context or -n, as kubectl muster, or where MUSTER_CLUSTER is 1; else the
server of `muster local` on this machine. There you act under your own name, with the rights that RBAC gives you.";

/// The whole grammar, with its help.
pub fn command() -> clap::Command {
    let command = Cli::command().subcommand_value_name("VERB");
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}Options:\n{{options}}{{after-help}}",
        list(&command)
    );
    // The verbs stand in the template, in groups; the generated flat list is left out.
    command.help_template(template).after_help(format!("{EXAMPLES}\n\n{}", exit_codes()))
}

/// The verbs of the help page, in groups.
pub const fn groups() -> &'static [Group] {
    GROUPS
}

fn list(command: &clap::Command) -> String {
    let mut out = String::new();
    for (title, verbs) in GROUPS {
        let _ = writeln!(out, "{title}:");
        for verb in *verbs {
            let about = command.find_subcommand(verb).and_then(clap::Command::get_about);
            if let Some(about) = about {
                let _ = writeln!(out, "  {verb:<11} {about}");
            }
        }
        out.push('\n');
    }
    out
}

/// The exit codes as help shows them.
fn exit_codes() -> String {
    let mut out = "Exit codes:\n".to_owned();
    for (code, meaning) in Code::TABLE {
        let _ = writeln!(out, "  {code:<4} {meaning}");
    }
    out.trim_end().to_owned()
}

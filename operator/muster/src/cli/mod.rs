//! The command line: grammar ([`args`]), the verbs, and what they print ([`view`]).
//!
//! Verbs talk to a server or to a cluster through [`client::Client`] and print through [`output::Screen`]; everything
//! that a person reads is made by a pure function of [`view`]. This module must never decide what a run does.

pub mod args;
pub mod client;
pub mod cluster;
mod context;
pub mod exit;
pub mod output;
pub mod paint;
mod reference;
pub mod table;
mod verbs;
pub mod view;
pub mod words;

use args::{Cli, command};
use clap::FromArgMatches;
use exit::{Code, Failure};
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// Carries out one command line, and says how it went.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    // One TLS provider for the whole process; a second install is refused, and there is none before this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args: Vec<OsString> = args.into_iter().collect();
    let plugin = args.first().is_some_and(|program| is_plugin(Path::new(program)));
    let command = if plugin { command().bin_name("kubectl muster") } else { command() };
    let parsed = command.try_get_matches_from(args).and_then(|m| Cli::from_arg_matches(&m));
    let cli = match parsed {
        Ok(mut cli) => {
            cli.global.plugin = plugin;
            cli
        }
        Err(error) => {
            // Help and versions are "errors" of clap's with code 0; a closed pipe has nobody to be told.
            let _ = error.print();
            return if error.use_stderr() { Code::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    let paint = output::Screen::look(cli.global.color).note_paint;
    match start(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.what.is_empty() {
                let head = paint.tone(paint::Tone::Bad, "error:");
                eprintln!("{head} {failure}");
            }
            failure.code.into()
        }
    }
}

/// kubectl runs `kubectl-muster` of the PATH for `kubectl muster`.
fn is_plugin(program: &Path) -> bool {
    program.file_stem().is_some_and(|name| name == "kubectl-muster" || name == "kubectl_muster")
}

fn start(cli: Cli) -> exit::Done {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::failed(format!("cannot start: {e}")))?;
    let done = runtime.block_on(verbs::run(cli));
    // A task that hangs in a system call must not keep a finished command from ending.
    runtime.shutdown_background();
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_a_plugin_by_its_name_alone() {
        for plugin in ["kubectl-muster", "/usr/local/bin/kubectl-muster", "kubectl_muster"] {
            assert!(is_plugin(Path::new(plugin)), "{plugin}");
        }
        for other in ["muster", "./kubectl-muster/muster", "kubectl"] {
            assert!(!is_plugin(Path::new(other)), "{other}");
        }
    }
}

//! The command line: grammar ([`args`]), the verbs, and what they print ([`view`]).
//!
//! Verbs talk to a server through [`client::Client`] and print through [`output::Screen`]; everything that a
//! person reads is made by a pure function of [`view`]. This module must never decide what a run does.

pub mod args;
pub mod client;
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
use std::process::ExitCode;

/// Carries out one command line, and says how it went.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    // One TLS provider for the whole process; a second install is refused, and there is none before this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let parsed = command().try_get_matches_from(args).and_then(|m| Cli::from_arg_matches(&m));
    let cli = match parsed {
        Ok(cli) => cli,
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

//! The `muster` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    // One TLS provider for the whole process; a second install is refused, and there is none before this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    muster::cli::run(std::env::args_os())
}

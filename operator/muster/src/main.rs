//! The `muster` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    muster::cli::run(std::env::args_os())
}

//! `make aws`: whole runs with Aurora, RDS and Route 53, under every trouble that AWS makes, against a fake of it.
//!
//! The program is also the `muster` of its bed; Ctrl-C and SIGTERM end it with it.
#![allow(clippy::print_stdout)]

use clap::Parser;
use muster_tests::aws::{Choice, Tally, Under, list, run};
use muster_tests::{as_muster, play};
use std::process::ExitCode;

/// Plays whole runs with Aurora, RDS and Route 53 against a fake of AWS, and compares their ends.
#[derive(Parser)]
struct Args {
    /// Only runs with this in their title, for example "Failover rds" or "crash Promote.1:sent"
    #[arg(long)]
    only: Option<String>,
    /// Only every so many points at which the process is ended
    #[arg(long, default_value_t = 1)]
    every: usize,
    /// Only the runs under this verb of Muster's; under the operator each trouble is met once, and every fifth point
    #[arg(long)]
    under: Option<Under>,
    /// So many beds at once: a run waits most of its time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=8))]
    beds: u8,
    /// Print the titles, and play nothing
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    if let Some(code) = as_muster() {
        return code;
    }
    let Args { only, every, under, beds, list: lists } = Args::parse();
    if lists {
        for title in list() {
            println!("{title}");
        }
        return ExitCode::SUCCESS;
    }
    play(run(&Choice { only, every, under, beds: beds.into() }), Tally::is_good)
}

//! `make aws`: whole runs with Aurora, RDS and Route 53, under every trouble that AWS makes, against a fake of it.
//!
//! The program is also the `muster` of its bed; Ctrl-C and SIGTERM end it with it.
#![allow(clippy::print_stdout)]

use clap::Parser;
use muster_tests::aws::{Choice, Tally, Under, list, run};
use muster_tests::{as_muster, play};
use std::process::ExitCode;

const MOST_BEDS: i64 = 8;

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
    /// So many beds at once, under the operator two for three of them: a run waits most of its time [default: three for each core]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=MOST_BEDS))]
    beds: Option<u8>,
    /// Print the titles, and play nothing
    #[arg(long)]
    list: bool,
}

/// As many as a machine of this size plays without keeping any of them waiting.
fn usual_beds() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (3 * cores).min(usize::try_from(MOST_BEDS).unwrap_or(1))
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
    let beds = beds.map_or_else(usual_beds, usize::from);
    play(run(&Choice { only, every, under, beds }), Tally::is_good)
}

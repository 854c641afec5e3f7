//! `make faults`: the demo's world under every fault, one line a case. `faults NAME...` runs some, `--list` lists.
//! Ctrl-C and SIGTERM end the case's world with it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use anyhow::{Context, bail};
use muster_tests::faults::{self, Bench, Case};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// No case takes longer, whatever hangs.
const LONGEST: Duration = Duration::from_mins(4);
const ENDED: &str = "ended by a signal";

fn main() -> ExitCode {
    if let Some(code) = muster_tests::as_muster() {
        return code;
    }
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let all = faults::all();
    if wanted.iter().any(|word| word == "--list") {
        for case in &all {
            println!("{:<28} {}", case.name, case.proves);
        }
        return ExitCode::SUCCESS;
    }
    match choose(all, &wanted).and_then(|cases| run(&cases)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn choose(all: Vec<Case>, wanted: &[String]) -> anyhow::Result<Vec<Case>> {
    if let Some(unknown) = wanted.iter().find(|name| all.iter().all(|case| case.name != name.as_str())) {
        bail!("there is no case {unknown}; --list shows all");
    }
    let chosen = |case: &Case| wanted.is_empty() || wanted.iter().any(|name| name == case.name);
    Ok(all.into_iter().filter(chosen).collect())
}

fn run(cases: &[Case]) -> anyhow::Result<bool> {
    let bench = Bench { binary: std::env::current_exe().context("failed to find this program's file")? };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut passed = 0;
    for case in cases {
        let started = Instant::now();
        let story = runtime.block_on(async {
            let mut terminated = signal(SignalKind::terminate())?;
            tokio::select! {
                story = (case.run)(bench.clone()) => story,
                () = tokio::time::sleep(LONGEST) => bail!("it did not end within {} s", LONGEST.as_secs()),
                _ = terminated.recv() => bail!(ENDED),
                _ = tokio::signal::ctrl_c() => bail!(ENDED),
            }
        });
        let took = started.elapsed().as_secs_f64();
        match story {
            Ok(found) => {
                passed += 1;
                println!("ok {} ({took:.1} s): {}; {found}", case.name, case.proves);
            }
            Err(error) if error.to_string() == ENDED => return Err(error),
            Err(error) => println!("FAILED {} ({took:.1} s): {}; {error:#}", case.name, case.proves),
        }
    }
    println!("faults: cases={} passed={passed}", cases.len());
    Ok(passed == cases.len())
}

//! `make bench`: measures, prints each figure, and all of them in the last line. `bench --only PART` measures one part,
//! `--list` lists them. A missed goal is said and is no failure.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use anyhow::{Context, bail};
use muster_tests::bench::{Bench, Figures, PARTS, Part, play_role};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// No part takes longer, whatever hangs.
const LONGEST: Duration = Duration::from_mins(12);

fn main() -> ExitCode {
    if let Some(code) = muster_tests::as_muster() {
        return code;
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = play_role(&words).unwrap_or_else(|| choose(&words).and_then(|parts| measure(&parts)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn choose(words: &[String]) -> anyhow::Result<Vec<Part>> {
    match words {
        [] => Ok(PARTS.to_vec()),
        [flag] if flag == "--list" => {
            for part in PARTS {
                println!("{:<8} {}", part.name, part.measures);
            }
            Ok(Vec::new())
        }
        [flag, name] if flag == "--only" => {
            let part = PARTS.iter().find(|part| part.name == name);
            part.map(|part| vec![*part]).with_context(|| format!("there is no part {name}; --list shows all"))
        }
        _ => bail!("usage: bench [--list | --only PART]"),
    }
}

fn measure(parts: &[Part]) -> anyhow::Result<()> {
    if parts.is_empty() {
        return Ok(());
    }
    let bench = prepare()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut figures = Figures::default();
    for part in parts {
        println!("{}: {}", part.name, part.measures);
        let began = Instant::now();
        runtime
            .block_on(play(part, &bench, &mut figures))
            .with_context(|| format!("failed to measure {}", part.name))?;
        println!("  took {:.0} s\n", began.elapsed().as_secs_f64());
    }
    for line in figures.missed() {
        println!("{line}");
    }
    println!("{}", figures.line());
    Ok(())
}

/// Measures one part. Whatever ends it, its processes and folders go with it.
async fn play(part: &Part, bench: &Bench, figures: &mut Figures) -> anyhow::Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        done = (part.run)(bench, figures) => done,
        () = tokio::time::sleep(LONGEST) => bail!("it did not end within {} s", LONGEST.as_secs()),
        _ = terminated.recv() => bail!("ended by a signal"),
        _ = tokio::signal::ctrl_c() => bail!("ended by a signal"),
    }
}

/// The folders that the parts make lie beside the program, since `/tmp` may be no disk.
fn prepare() -> anyhow::Result<Bench> {
    let me = std::env::current_exe().context("failed to find this program's file")?;
    let folder = me.parent().context("a program lies in a folder")?.to_owned();
    Ok(Bench { me, folder })
}

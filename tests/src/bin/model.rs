//! `make model`: explores the safety model, then takes each rule out and expects the damage that it prevents.
#![allow(clippy::print_stdout)]

use muster_core::seeded::Bug;
use muster_tests::model::{Budget, Engine, Seed, check};
use std::process::ExitCode;

const SEEDS: [(&str, Seed); 8] = [
    ("pivot at record", Seed::Core(Bug::PivotAtObservation)),
    ("mayBeWritable", Seed::Core(Bug::IgnoreMayBeWritable)),
    ("witness check", Seed::NoWitnessCheck),
    ("observation before done", Seed::Core(Bug::IssuedIsDone)),
    ("quorum", Seed::Core(Bug::NoQuorum)),
    ("claims", Seed::Core(Bug::IgnoreClaims)),
    ("tick", Seed::WallForTick),
    ("proof in the same pass", Seed::Core(Bug::StaleProof)),
];

fn main() -> ExitCode {
    let budget = Budget { faults: 2, depth: 12, states: 400_000 };
    let (mut states, mut violations) = (0, 0);
    let engines = [
        ("checked promotion", Engine::Checked),
        ("unchecked promotion", Engine::Unchecked),
        ("switchover by the engine", Engine::HandsOver),
    ];
    for (name, engine) in engines {
        let checked = check(None, engine, budget);
        println!("{name}: {} states", checked.states);
        states += checked.states;
        if let Some((damage, moves)) = checked.damage {
            violations += 1;
            println!("  VIOLATION {damage:?} after {moves:?}");
        }
    }
    let mut found = 0;
    for (name, seed) in SEEDS {
        let budget = Budget { faults: 2, depth: 14, states: 1_000_000 };
        match check(Some(seed), Engine::Checked, budget).damage {
            Some((damage, moves)) => {
                found += 1;
                println!("without {name}: {damage:?} in {} moves: {moves:?}", moves.len());
            }
            None => println!("without {name}: NOT FOUND"),
        }
    }
    println!("model: states={states} violations={violations} seeded_bugs={found}/{}", SEEDS.len());
    if violations == 0 && found == SEEDS.len() && states > 100_000 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

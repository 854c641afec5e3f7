//! `make model`: explores the safety model, then takes each rule out and expects the damage that it prevents.
#![allow(clippy::print_stdout)]

use muster_core::seeded::Bug;
use muster_tests::model::{Budget, Engine, Seed, check};
use std::process::ExitCode;

const SEEDS: [(&str, Seed, Engine); 10] = [
    ("pivot at record", Seed::Core(Bug::PivotAtObservation), Engine::Checked),
    ("mayBeWritable", Seed::Core(Bug::IgnoreMayBeWritable), Engine::Checked),
    ("witness check", Seed::NoWitnessCheck, Engine::Checked),
    ("observation before done", Seed::Core(Bug::IssuedIsDone), Engine::Checked),
    ("quorum", Seed::Core(Bug::NoQuorum), Engine::Checked),
    ("claims", Seed::Core(Bug::IgnoreClaims), Engine::Checked),
    ("tick", Seed::WallForTick, Engine::Checked),
    ("proof in the same pass", Seed::Core(Bug::StaleProof), Engine::Checked),
    ("consent to detach", Seed::Core(Bug::DetachUnasked), Engine::Detaches),
    ("a late detachment", Seed::Core(Bug::IgnoreLateDetachment), Engine::Detaches),
];

/// With each engine an exploration that is worth its name sees so many states at least.
const LEAST: usize = 50_000;

fn main() -> ExitCode {
    let budget = Budget { faults: 2, depth: 12, states: 400_000 };
    let (mut states, mut violations, mut is_explored) = (0, 0, true);
    let engines = [
        ("checked promotion", Engine::Checked),
        ("unchecked promotion", Engine::Unchecked),
        ("switchover by the engine", Engine::HandsOver),
        ("a failover that hangs in the engine, and its target detached", Engine::Detaches),
    ];
    for (name, engine) in engines {
        let checked = check(None, engine, budget);
        println!("{name}: {} states, up to {} moves from a start", checked.states, checked.depth);
        states += checked.states;
        is_explored &= checked.states > LEAST;
        if let Some((damage, moves)) = checked.damage {
            violations += 1;
            println!("  VIOLATION {damage:?} after {moves:?}");
        }
    }
    let mut found = 0;
    for (name, seed, engine) in SEEDS {
        let budget = Budget { faults: 2, depth: 14, states: 5_000_000 };
        match check(Some(seed), engine, budget).damage {
            Some((damage, moves)) => {
                found += 1;
                println!("without {name}: {damage:?} in {} moves: {moves:?}", moves.len());
            }
            None => println!("without {name}: NOT FOUND"),
        }
    }
    println!("model: states={states} violations={violations} seeded_bugs={found}/{}", SEEDS.len());
    if violations == 0 && found == SEEDS.len() && is_explored { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

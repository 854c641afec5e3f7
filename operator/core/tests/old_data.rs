//! What an engine saved of an old primary that a failover left.
#![allow(clippy::wildcard_imports)]

mod world;

use muster_core::effect::Action;
use muster_core::facts::{ErrorClass, Outcome, SavedData};
use muster_core::ids::ItemName;
use muster_core::journal::*;
use muster_core::policy::DataItem;
use muster_core::time::*;
use world::*;

const HOUR: u64 = 3_600_000;

fn saving() -> World {
    let mut policy = policy();
    for item in &mut policy.data {
        item.saves_old_data = true;
    }
    World::new(policy)
}

/// East went dark, and stays so.
fn failed_over() -> World {
    let mut world = saving();
    world.run_for(5);
    world.hang = Some(|action| matches!(action, Action::Rejoin { .. }));
    world.node("east").running = false;
    let run = world.run_to_end();
    assert_eq!(run.phase, Phase::Completed, "{}", run.message);
    world.in_flight.clear();
    world
}

fn asked(world: &World) -> usize {
    world.applied.iter().filter(|effect| matches!(effect.action, Action::KeepOldData { .. })).count()
}

fn condition(world: &World) -> Option<(bool, String)> {
    let condition = world.journal.state.conditions.get("OldDataKept")?;
    Some((condition.ok, condition.message.clone()))
}

/// The condition of one run whose only item this is.
fn told_of(what: &str, ok: bool) -> (bool, String) {
    (ok, format!("checkout-2: orders in east: {what}"))
}

/// The engine tells it, `ago` before now.
fn save(world: &mut World, ago: Millis, kept: bool) {
    let (at, said) = (world.now.minus(ago).wall, if kept { "kept as a copy" } else { "being copied" });
    world.saved = vec![SavedData { region: region("east"), at, kept, said: said.to_owned() }];
}

fn refuses(class: ErrorClass, why: &str) -> Outcome {
    Outcome::Failed(class, why.to_owned())
}

#[test]
fn what_was_saved_after_a_failover_is_kept_and_told_once() {
    let mut world = failed_over();
    let in_a_run = world.decisions.iter().filter(|d| d.next.state.active_run.is_some());
    let mut effects = in_a_run.flat_map(|d| &d.effects);
    assert!(effects.all(|effect| effect.action.kind() != "KeepOldData"), "not on the critical path");
    world.run_for(3);
    assert_eq!(asked(&world), 1);
    save(&mut world, Millis(0), false);
    world.run_for(60);
    assert_eq!(condition(&world), Some(told_of("being copied", false)));
    assert!((3..6).contains(&asked(&world)), "looked at again {} times in a minute", asked(&world));
    save(&mut world, Millis(0), true);
    world.run_for(2);
    assert_eq!(condition(&world), Some(told_of("kept as a copy", true)));
    assert_eq!(world.run().saved[&ItemName::new("orders")], "kept as a copy");
    assert!(world.journal.state.keeping.is_empty());
    let asked_before = asked(&world);
    world.run_for(600);
    assert_eq!((asked(&world), world.events("OldDataKept")), (asked_before, 1));
}

#[test]
fn what_was_saved_by_an_earlier_failover_is_not_taken_for_it() {
    let mut world = failed_over();
    save(&mut world, Millis(60 * 60_000), true);
    world.run_for(30);
    assert_eq!(world.journal.state.keeping.len(), 1);
    assert_eq!(world.events("OldDataKept"), 0);
}

#[test]
fn what_an_engine_handed_over_leaves_nothing_to_keep() {
    let mut policy = policy();
    policy.data = vec![DataItem { saves_old_data: true, ..events() }];
    policy.safety.max_estimated_loss = None;
    policy.fences.retain(|way| way.name.as_str() == "power");
    let mut world = World::new(policy);
    world.run_for(5);
    world.request(RunKind::Switchover, None);
    assert_eq!(world.run_to_end().phase, Phase::Completed);
    world.run_for(30);
    assert_eq!((asked(&world), world.journal.state.keeping.len()), (0, 0));
}

/// A pause goes on over a restart on another machine, whose ticks say nothing of those before.
#[test]
fn another_machine_goes_on_after_the_same_pause() {
    let mut world = failed_over();
    world.saves = Some(refuses(ErrorClass::Transient, "RDS in us-east-1 does not answer"));
    world.run_for(400);
    let before = asked(&world);
    world.now = Stamp { boot: BootId(8), tick: Tick(5_000), ..world.now };
    world.holder = "two".into();
    world.in_flight.clear();
    world.outcomes.clear();
    world.run_for(1_000);
    assert!(asked(&world) > before, "{} times", asked(&world));
}

#[test]
fn a_region_that_stays_away_is_asked_ever_more_seldom_and_told_once() {
    let mut world = failed_over();
    world.saves = Some(refuses(ErrorClass::Transient, "RDS in us-east-1 does not answer"));
    for _ in 0..40 {
        world.run_for(60);
    }
    assert_eq!(world.events("OldDataNotKept"), 1);
    assert!((8..13).contains(&asked(&world)), "{} times in 40 minutes", asked(&world));
    assert_eq!(condition(&world), Some(told_of("RDS in us-east-1 does not answer", false)));
    let before = (world.journal.clone(), asked(&world));
    world.run_for(60);
    assert_eq!((world.journal.clone(), asked(&world)), before, "nothing is written while nothing is new");
}

#[test]
fn two_that_are_kept_share_a_condition_and_write_nothing_while_nothing_is_new() {
    let mut policy = policy();
    policy.data.push(events());
    policy.safety.max_estimated_loss = None;
    for item in &mut policy.data {
        item.saves_old_data = true;
    }
    let mut world = World::new(policy);
    world.run_for(5);
    world.hang = Some(|action| matches!(action, Action::Rejoin { .. }));
    world.node("east").running = false;
    world.run_to_end();
    world.in_flight.clear();
    world.saves = Some(refuses(ErrorClass::Transient, "not there"));
    for _ in 0..40 {
        world.run_for(60);
    }
    assert_eq!(world.journal.state.keeping.len(), 2);
    let told = condition(&world).expect("a condition").1;
    assert!(
        told.contains("orders in east: not there") && told.contains("events in east: not there"),
        "{told}"
    );
    let before = (world.journal.clone(), asked(&world));
    world.run_for(60);
    assert_eq!((world.journal.clone(), asked(&world)), before);
}

/// East comes back, and follows.
fn come_back(world: &mut World) {
    world.hang = None;
    world.in_flight.clear();
    for _ in 0..60 {
        world.run_for(1);
        if world.journal.state.outcasts.is_empty() {
            break;
        }
    }
    assert!(world.journal.state.outcasts.is_empty(), "{:?}", world.journal.state.outcasts);
}

#[test]
fn what_nobody_saved_is_given_up_a_day_after_the_region_is_back_and_not_before() {
    let mut world = failed_over();
    world.saves = Some(refuses(ErrorClass::Transient, "no snapshot"));
    world.run_for(60);
    world.now = world.now.plus(Millis(30 * HOUR));
    come_back(&mut world);
    assert_eq!(world.journal.state.keeping.len(), 1, "it was away for more than a day, and is just back");
    world.now = world.now.plus(Millis(25 * HOUR));
    world.run_for(30 * 60);
    assert_eq!(world.journal.state.keeping.len(), 0);
    let saved = &world.run().saved[&ItemName::new("orders")];
    assert_eq!(saved, "nothing is kept of orders in east: no snapshot");
    assert_eq!(condition(&world), None);
}

#[test]
fn a_copy_that_takes_longer_than_a_day_is_not_given_up() {
    let mut world = failed_over();
    come_back(&mut world);
    save(&mut world, Millis(0), false);
    world.run_for(10);
    world.now = world.now.plus(Millis(30 * HOUR));
    world.run_for(30 * 60);
    assert_eq!((world.journal.state.keeping.len(), world.events("OldDataNotKept")), (1, 0));
}

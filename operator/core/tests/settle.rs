//! Public names that hang on what a flip has set, until they are settled.

mod world;

use muster_core::journal::{Phase, RunKind};
use muster_core::policy::Mode;
use muster_core::time::{BootId, Stamp, Tick};
use world::{World, policy, region};

fn failed_over() -> World {
    let mut world = World::new(policy());
    world.flips_lean = true;
    world.settles = false;
    world.node("east").running = false;
    let run = world.run_to_end().clone();
    assert_eq!(run.phase, Phase::Completed, "{}", run.message);
    world
}

fn kinds(world: &World) -> Vec<&'static str> {
    world.applied.iter().map(|effect| effect.action.kind()).collect()
}

#[test]
fn a_name_is_settled_once_the_run_is_over() {
    let mut world = failed_over();
    let in_a_run = world.decisions.iter().filter(|d| d.next.state.active_run.is_some());
    let mut effects = in_a_run.flat_map(|d| &d.effects);
    assert!(effects.all(|e| e.action.kind() != "Settle"), "not on the critical path");
    let before = kinds(&world).iter().filter(|kind| **kind == "Settle").count();
    world.settles = true;
    world.run_for(10);
    assert!(world.leans_on.is_none());
    assert!(world.journal.state.settling.is_empty());
    let settles = kinds(&world).iter().filter(|kind| **kind == "Settle").count();
    assert_eq!(settles, before + 1);
    // The old region does not come back here; nothing but its being gone is left to do.
    world.run_for(10);
    let before = world.journal.clone();
    world.run_for(10);
    assert_eq!(world.journal, before, "a settled name causes no writes");
}

#[test]
fn another_machine_goes_on_settling_after_the_same_pause() {
    let mut world = failed_over();
    world.run_for(600);
    let asked = |world: &World| kinds(world).iter().filter(|kind| **kind == "Settle").count();
    let before = asked(&world);
    world.now = Stamp { boot: BootId(8), tick: Tick(5_000), ..world.now };
    world.holder = "two".into();
    world.in_flight.clear();
    world.outcomes.clear();
    world.settles = true;
    world.run_for(1_000);
    assert!(asked(&world) > before && world.leans_on.is_none(), "asked {} times", asked(&world));
}

#[test]
fn a_control_plane_that_stays_silent_is_told_once_asked_ever_more_seldom_and_keeps_no_run_from_opening() {
    let mut world = failed_over();
    for _ in 0..40 {
        world.run_for(60);
    }
    let all = world.decisions.iter().flat_map(|d| &d.events);
    assert_eq!(all.filter(|e| e.reason == "SettleFailed").count(), 1);
    let asked = kinds(&world).iter().filter(|kind| **kind == "Settle").count();
    assert!(asked < 20, "{asked} times in 40 minutes");
    // The old region follows again, and the other one dies.
    world.node("west").running = false;
    for _ in 0..60 {
        world.run_for(1);
        if world.journal.state.active_region == Some(region("east")) && world.run().phase.is_final() {
            break;
        }
    }
    let run = world.run().clone();
    let end = (run.kind, run.to, run.phase);
    assert_eq!(end, (RunKind::Failover, region("east"), Phase::Completed), "{}", run.message);
}

#[test]
fn waiting_for_what_was_sent_is_no_failure() {
    let mut world = failed_over();
    world.settles = true;
    world.settles_slowly = true;
    for _ in 0..20 {
        world.run_for(60);
    }
    assert!(world.leans_on.is_some());
    let mut all = world.decisions.iter().skip_while(|d| d.next.state.active_run.is_some());
    assert!(all.all(|d| d.events.iter().all(|e| e.reason != "SettleFailed")));
}

#[test]
fn nothing_is_settled_by_a_policy_that_only_observes() {
    let mut world = failed_over();
    world.policy.mode = Mode::Observe;
    world.settles = true;
    world.run_for(10);
    assert!(world.leans_on.is_some());
}

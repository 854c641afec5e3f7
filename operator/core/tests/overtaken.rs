//! Another hand makes a third region the writer while a run is past its point of no return.

mod world;

use muster_core::facts::{ErrorClass, Outcome};
use muster_core::journal::{OutcomeKind, Phase, RunKind};
use muster_core::policy::{DataItem, Policy};
use muster_core::rules::Rule;
use muster_core::time::Millis;
use muster_core::wish::Wish;
use world::{World, events, policy, region};

/// Three regions, and an engine that moves the writer by itself.
fn three() -> Policy {
    let mut policy = policy();
    policy.regions.push(region("north"));
    policy.data = vec![DataItem { detaches_after: Some(Millis::from_secs(60)), ..events() }];
    policy.safety.max_estimated_loss = None;
    policy.fences.retain(|way| way.name.as_str() == "power");
    policy
}

/// A failover to west was asked for, which the engine neither refuses nor does.
fn promoting() -> World {
    let mut world = World::new(three());
    world.engine.hangs = true;
    world.run_for(5);
    world.request(RunKind::Failover, Some("west"));
    world.run_for(5);
    assert!(world.run().past_pivot() && world.count("Promote") == 1, "{}", world.run().message);
    world
}

fn move_by_hand(world: &mut World, to: &str) {
    world.engine.moving_to = None;
    world.engine.writer = region(to);
}

#[test]
fn nothing_is_promoted_beside_a_region_that_another_hand_made_the_writer() {
    let mut world = promoting();
    world.approve(world.approval(&["EngineFailover"]));
    move_by_hand(&mut world, "north");
    world.run_for(5);
    assert!(world.blocked().contains(&"SoleWriter"), "{:?}", world.blocked());
    world.run_for(120);
    let run = world.run().clone();
    assert_eq!((run.phase, run.outcome), (Phase::Failed, Some(OutcomeKind::Failed)), "{}", run.message);
    assert!(world.decisions.iter().any(|d| d.rule == Rule::Overtaken));
    assert_eq!((world.count("Promote"), world.count("Detach"), world.events("Overtaken")), (1, 0, 1));
    assert_eq!((world.engine.writer.clone(), world.engine.alone.clone()), (region("north"), None));
    assert!(world.journal.state.needs_ack.is_some());
    // What was sent may still land.
    assert!(world.journal.state.outcasts[&region("west")].promotion_pending);
    world.wish(&Wish::Ack { by: "kim".into() }).expect("it is taken");
    world.run_for(5);
    assert_eq!(world.journal.state.active_region, Some(region("north")));
}

#[test]
fn a_refused_promotion_is_not_repeated_beside_another_writer() {
    let mut world = World::new(three());
    world.engine.first_refusal = Some(ErrorClass::Throttled);
    world.engine.hangs = true;
    world.run_for(5);
    world.request(RunKind::Failover, Some("west"));
    while world.count("Promote") == 0 {
        world.now = world.now.plus(Millis(100));
        world.pass();
        assert!(world.decisions.len() < 500, "{}", world.run().message);
    }
    assert!(world.outcomes.values().any(|o| matches!(o.value, Outcome::Failed(ErrorClass::Throttled, _))));
    move_by_hand(&mut world, "north");
    world.run_for(60);
    assert_eq!((world.count("Promote"), world.run().phase), (1, Phase::Failed), "{}", world.run().message);
}

#[test]
fn a_switchover_is_not_repeated_beside_another_writer() {
    let mut world = World::new(three());
    world.engine.prompt = false;
    world.request(RunKind::Switchover, Some("west"));
    world.run_for(3);
    assert_eq!(world.count("SwitchOver"), 1, "{}", world.run().message);
    move_by_hand(&mut world, "north");
    world.run_for(120);
    assert_eq!((world.count("SwitchOver"), world.run().phase), (1, Phase::Failed), "{}", world.run().message);
    assert_eq!(world.engine.writer, region("north"));
}

#[test]
fn a_passing_view_of_another_writer_only_holds_the_run_up() {
    let mut world = promoting();
    move_by_hand(&mut world, "north");
    world.run_for(10);
    assert_eq!(world.run().phase, Phase::Blocked, "{}", world.run().message);
    move_by_hand(&mut world, "east");
    world.run_for(2);
    assert_eq!(world.run().phase, Phase::Executing, "{}", world.run().message);
    world.engine.hangs = false;
    world.run_for(90);
    assert_eq!(world.run().phase, Phase::Completed, "{}", world.run().message);
    assert_eq!(world.engine.writer, region("west"));
}

#[test]
fn another_writer_that_falls_silent_holds_the_run_until_a_person_says_ack() {
    let mut world = promoting();
    move_by_hand(&mut world, "north");
    world.run_for(5);
    world.node("north").reachable = false;
    world.run_for(120);
    assert_eq!((world.count("Promote"), world.run().phase), (1, Phase::Blocked), "{}", world.run().message);
    assert!(world.run().message.contains("north took writes and is silent"), "{}", world.run().message);
    world.wish(&Wish::Ack { by: "kim".into() }).expect("it is taken");
    world.run_for(90);
    assert!(world.count("Promote") > 1, "{}", world.run().message);
}

#[test]
fn a_region_that_muster_itself_cast_out_ends_no_run() {
    let mut world = promoting();
    let outcast = muster_core::journal::Outcast::new("earlier".into(), "fenced, not rejoined yet");
    world.journal.state.outcasts.insert(region("north"), outcast);
    world.power_refuses = true;
    world.engine.alone = Some(region("north"));
    world.run_for(60);
    assert_eq!((world.count("Promote"), world.run().phase), (1, Phase::Blocked), "{}", world.run().message);
    world.engine.alone = None;
    world.land();
    world.run_for(30);
    assert_eq!(world.run().phase, Phase::Completed, "{}", world.run().message);
}

#[test]
fn a_switchover_that_was_aborted_ends_beside_another_writer() {
    let mut world = World::new(three());
    world.engine.prompt = false;
    world.request(RunKind::Switchover, Some("west"));
    world.run_for(3);
    let run = world.run().name.clone();
    world.wish(&Wish::Abort { run, by: "kim".into(), reason: "a test".into() }).expect("it is taken");
    move_by_hand(&mut world, "north");
    world.run_for(60);
    assert!(world.run().phase.is_final(), "{}", world.run().message);
    assert_eq!(world.engine.writer, region("north"));
}

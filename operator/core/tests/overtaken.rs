//! Another hand makes a third region the writer while a run is past its point of no return.

mod world;

use muster_core::effect::Action;
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
    world.pass_until(|world| world.count("Promote") > 0);
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

#[test]
fn an_ack_for_one_that_writes_lets_nothing_go_on_once_it_is_silent() {
    let mut world = promoting();
    move_by_hand(&mut world, "north");
    world.run_for(5);
    world.wish(&Wish::Ack { by: "kim".into() }).expect("it is taken");
    world.run_for(5);
    world.node("north").reachable = false;
    world.run_for(120);
    assert_eq!((world.count("Promote"), world.run().phase), (1, Phase::Blocked), "{}", world.run().message);
}

#[test]
fn a_region_that_muster_itself_cast_out_holds_the_run_also_when_it_falls_silent() {
    let mut world = promoting();
    let outcast = muster_core::journal::Outcast::new("earlier".into(), "fenced, not rejoined yet");
    world.journal.state.outcasts.insert(region("north"), outcast);
    world.power_refuses = true;
    (world.engine.alone, world.engine.moving_to) = (Some(region("north")), None);
    world.run_for(5);
    world.node("north").reachable = false;
    world.run_for(120);
    assert_eq!((world.count("Promote"), world.run().phase), (1, Phase::Blocked), "{}", world.run().message);
    world.wish(&Wish::Ack { by: "kim".into() }).expect("it is taken");
    world.run_for(90);
    assert!(world.count("Promote") > 1, "{}", world.run().message);
}

/// Three regions with one PostgreSQL.
fn three_nodes() -> Policy {
    let mut policy = policy();
    policy.regions.push(region("north"));
    policy.safety.max_estimated_loss = None;
    policy
}

fn promote_by_hand(world: &mut World, name: &str) {
    let node = world.node(name);
    (node.writable, node.follows) = (true, None);
}

fn demote_by_hand(world: &mut World, name: &str, follows: &str) {
    let node = world.node(name);
    (node.writable, node.follows) = (false, Some(region(follows)));
}

#[test]
fn what_was_promoted_is_not_opened_beside_another_writer() {
    let mut world = World::new(three_nodes());
    world.hang = Some(|action| matches!(action, Action::Promote { .. }));
    world.request(RunKind::Switchover, Some("west"));
    world.run_for(5);
    assert_eq!(world.count("Promote"), 1, "{}", world.run().message);
    let opened = world.count("OpenWriter");
    promote_by_hand(&mut world, "north");
    world.run_for(2);
    // What hung has landed.
    world.node("west").writable = true;
    world.run_for(120);
    assert_eq!(
        (world.count("OpenWriter"), world.run().phase),
        (opened, Phase::Blocked),
        "{}",
        world.run().message
    );
    assert!(world.blocked().contains(&"SoleWriter"), "{:?}", world.blocked());
    demote_by_hand(&mut world, "north", "west");
    let run = world.run_to_end();
    assert_eq!(run.phase, Phase::Completed, "{} {:?}", run.message, run.steps);
}

/// A switchover to west has fenced east, and promoted nobody.
fn fenced() -> World {
    let mut world = World::new(three_nodes());
    world.request(RunKind::Switchover, Some("west"));
    world.pass_until(|world| !world.nodes[&region("east")].logins);
    world
}

#[test]
fn an_abort_opens_no_old_primary_beside_another_writer() {
    let mut world = fenced();
    // It cannot catch up any more, and the run gives up.
    world.node("west").reachable = false;
    promote_by_hand(&mut world, "north");
    world.run_for(60);
    assert!(world.run().phase.is_final() && !world.run().past_pivot(), "{}", world.run().message);
    assert!(world.run().message.contains("north takes writes"), "{}", world.run().message);
    assert_eq!(world.writers(), [region("north")]);
    assert!(world.blocked().contains(&"SoleWriter"), "{:?}", world.blocked());
    demote_by_hand(&mut world, "north", "east");
    world.run_for(10);
    assert_eq!(world.writers(), [region("east")]);
}

#[test]
fn an_abort_opens_no_old_primary_beside_a_writer_that_has_fallen_silent() {
    let mut world = fenced();
    promote_by_hand(&mut world, "north");
    world.run_for(2);
    (world.node("west").reachable, world.node("north").reachable) = (false, false);
    world.run_for(60);
    assert!(world.run().phase.is_final() && !world.run().past_pivot(), "{}", world.run().message);
    assert!(!world.node("east").logins, "{}", world.run().message);
    world.wish(&Wish::Ack { by: "kim".into() }).expect("it is taken");
    world.run_for(10);
    assert!(world.node("east").logins, "{:?}", world.blocked());
}

#[test]
fn the_old_primary_of_a_run_that_was_overtaken_is_not_opened_beside_the_writer() {
    let mut policy = three_nodes();
    policy.data.push(events());
    let mut world = World::new(policy);
    world.engine.prompt = false;
    world.request(RunKind::Switchover, Some("west"));
    world.run_for(5);
    assert!(world.count("SwitchOver") == 1 && !world.node("east").logins, "{}", world.run().message);
    promote_by_hand(&mut world, "north");
    world.run_for(90);
    assert_eq!(world.events("Overtaken"), 1, "{}", world.run().message);
    assert_eq!(world.writers(), [region("north")]);
    assert!(world.blocked().contains(&"SoleWriter"), "{:?}", world.blocked());
    // Silent, it may take writes still, whatever was acknowledged while it was not.
    world.wish(&Wish::Ack { by: "kim".into() }).expect("it is taken");
    world.run_for(5);
    world.node("north").reachable = false;
    world.run_for(30);
    assert!(!world.node("east").logins && world.blocked().contains(&"SoleWriter"), "{:?}", world.blocked());
    world.wish(&Wish::Ack { by: "kim".into() }).expect("it is taken");
    world.run_for(10);
    assert!(world.node("east").logins);
}

#[test]
fn a_second_item_is_not_promoted_beside_an_old_primary_that_is_seen_to_take_writes_again() {
    let mut policy = three();
    policy.data.extend(world::policy().data);
    let mut world = World::new(policy);
    world.engine.hangs = true;
    world.run_for(5);
    world.node("east").running = false;
    world.run_for(30);
    assert_eq!((world.count("Promote"), world.run().past_pivot()), (1, true), "{}", world.run().message);
    // It comes back by itself, as it was, and no fence takes hold.
    world.hang = Some(|action| matches!(action, Action::Fence { .. }));
    world.node("east").running = true;
    world.run_for(2);
    world.land();
    world.run_for(20);
    assert_eq!(world.count("Promote"), 1, "{}", world.run().message);
    assert!(world.blocked().contains(&"SoleWriter"), "{:?}", world.blocked());
    // Its silence is no proof that it does not.
    world.node("east").reachable = false;
    world.run_for(60);
    assert_eq!((world.count("Promote"), world.run().phase), (1, Phase::Blocked), "{}", world.run().message);
    world.node("east").running = false;
    let run = world.run_to_end();
    assert_eq!(run.phase, Phase::Completed, "{} {:?}", run.message, run.steps);
}

//! A fence that comes to no proof: its ways, the question, and what is tried while a person is asked.
#![allow(clippy::wildcard_imports)]

mod world;

use muster_core::effect::Action;
use muster_core::facts::*;
use muster_core::journal::*;
use muster_core::policy::*;
use muster_core::time::{BootId, Millis};
use muster_core::wish::Wish;
use std::collections::BTreeSet;
use world::*;

/// Where the loss that grows with the wait stops nothing.
fn unlimited() -> Policy {
    let mut policy = policy();
    policy.safety.max_estimated_loss = None;
    policy
}

/// The old primary is cut off, its power switch refuses, and a person is asked.
fn asked() -> World {
    asked_by(unlimited())
}

fn asked_by(policy: Policy) -> World {
    let mut world = World::new(policy);
    world.run_for(5);
    world.node("east").reachable = false;
    world.power_refuses = true;
    until_asked(&mut world);
    world
}

fn until_a_question(world: &mut World) {
    while world.events("AwaitingApproval") == 0 {
        world.run_for(1);
        assert!(world.decisions.len() < 600, "nobody is asked");
    }
}

fn until_asked(world: &mut World) {
    until_a_question(world);
    assert_eq!((world.run().phase, world.writers()), (Phase::AwaitingApproval, vec![region("east")]));
}

#[test]
fn what_failed_for_a_moment_is_tried_again_while_a_person_is_asked() {
    let mut world = asked();
    world.power_refuses = false;
    let run = world.run_to_end().clone();
    assert_eq!(run.phase, Phase::Completed, "{} {:?}", run.message, run.steps);
    assert_eq!((run.proofs[&region("east")].class, run.approval), (ProofClass::Attested, None));
    assert_eq!(world.writers(), [region("west")]);
    let waited = run.clock.fenced.and_then(|at| at.since(&run.clock.decided?));
    assert!(waited.is_some_and(|waited| waited.0 <= 20_000), "{waited:?}");
}

#[test]
fn the_question_stands_while_the_ways_are_tried_ever_more_slowly() {
    let mut world = asked();
    let (since, before) = (world.run().phase_since, world.decisions.len());
    world.run_for(300);
    assert_eq!((world.run().phase, world.run().phase_since), (Phase::AwaitingApproval, since));
    // Ten seconds after the question, then each time that it has stood for twice as long: 10, 20, 40, 80, 160.
    assert_eq!(world.count("Fence"), 2 * (1 + 5));
    assert_eq!((world.events("AwaitingApproval"), world.events("FenceWayFailed")), (1, 1));
    for decision in &world.decisions[before..] {
        let names: BTreeSet<_> = decision.blocked.iter().map(|b| b.name.as_str()).collect();
        assert_eq!(names.len(), decision.blocked.len(), "{:?}", decision.blocked);
        assert!(names.is_superset(&["Approval", "Fenced"].into()), "{:?}", decision.blocked);
    }
}

#[test]
fn consent_counts_at_once_while_an_attempt_hangs() {
    let mut world = asked();
    world.hang = Some(|action| matches!(action, Action::Fence { .. }));
    world.run_for(30);
    assert_eq!(world.in_flight.len(), 1);
    world.approve(world.approval(&["Fenced"]));
    let run = world.run_to_end();
    assert_eq!(run.phase, Phase::Completed, "{} {:?}", run.message, run.steps);
    assert_eq!(run.proofs[&region("east")].class, ProofClass::Waived);
}

#[test]
fn an_abort_waits_for_the_attempt_that_is_under_way_and_undoes_it() {
    let mut world = asked();
    world.hang = Some(|action| matches!(action, Action::Fence { .. }));
    world.run_for(30);
    assert_eq!(world.in_flight.len(), 1);
    let run = world.run().name.clone();
    world.wish(&Wish::Abort { run, by: "kim".into(), reason: "a test".into() }).expect("it is taken");
    world.run_for(5);
    assert_eq!(world.count("Unfence"), 0);
    world.in_flight.clear();
    world.power_refuses = false;
    world.node("east").reachable = true;
    let run = world.run_to_end();
    assert_eq!(run.phase, Phase::Aborted, "{}", run.message);
    assert_eq!(world.writers(), [region("east")]);
}

#[test]
fn nothing_is_tried_again_for_a_target_that_could_not_take_over() {
    let mut world = asked();
    world.node("west").running = false;
    let fences = world.count("Fence");
    world.run_for(60);
    assert_eq!(world.count("Fence"), fences);
    assert!(world.blocked().contains(&"TargetFit"), "{:?}", world.blocked());
    world.node("west").running = true;
    world.power_refuses = false;
    let run = world.run_to_end();
    assert_eq!(run.phase, Phase::Completed, "{}", run.message);
}

/// Behind the fence nobody would be promoted, and whoever the old primary still serves would be cut off for nothing.
#[test]
fn nothing_is_tried_again_once_the_loss_may_be_more_than_the_policy_takes() {
    let mut world = asked_by(policy());
    world.run_for(60);
    let fences = world.count("Fence");
    assert!(world.blocked().contains(&"EstimatedLoss"), "{:?}", world.blocked());
    world.run_for(120);
    assert_eq!(world.count("Fence"), fences);
}

/// Three regions whose writer waits for one of two standbys, and only NoAck could prove anything of it.
fn synchronous() -> World {
    let mut policy = unlimited();
    policy.regions.push(region("north"));
    policy.fences.retain(|way| way.kind != FenceKind::Hook);
    policy.safety.accept = BTreeSet::from([ProofClass::NoAck]);
    policy.data[0].no_ack_declared = true;
    let mut world = World::new(policy);
    world.sync = SyncView {
        listed: vec!["west".into(), "north".into()],
        needed: 1,
        level_holds: true,
        names_unique: true,
    };
    world.run_for(5);
    world.node("east").reachable = false;
    world
}

#[test]
fn every_standby_that_could_confirm_is_stopped_one_after_the_other() {
    let mut world = synchronous();
    let run = world.run_to_end().clone();
    assert_eq!(run.phase, Phase::Completed, "{} {:?}", run.message, run.steps);
    assert_eq!(run.proofs[&region("east")].class, ProofClass::NoAck);
    assert_eq!((world.count("StopReceiving"), world.events("FenceWayFailed")), (2, 0));
}

#[test]
fn a_standby_that_cannot_be_stopped_ends_in_a_question_and_keeps_no_other_from_being_stopped() {
    let mut world = synchronous();
    world.keeps_receiving.insert(region("west"));
    until_asked(&mut world);
    assert_eq!(world.node("north").follows, None);
    assert_eq!((world.events("AwaitingApproval"), world.events("FenceWayFailed")), (1, 1));
    assert_eq!(world.count("StopReceiving"), 3 + 1);
    world.keeps_receiving.clear();
    let run = world.run_to_end();
    assert_eq!(run.phase, Phase::Completed, "{} {:?}", run.message, run.steps);
    assert_eq!(run.proofs[&region("east")].class, ProofClass::NoAck);
}

/// In mode Approve, by consent for five minutes.
fn asked_by_consent() -> World {
    let mut world = World::new(Policy { mode: Mode::Approve, ..unlimited() });
    world.run_for(5);
    world.node("east").reachable = false;
    world.power_refuses = true;
    until_asked(&mut world);
    let valid_until = world.now.plus(Millis::from_secs(300));
    world.approve(Approval { valid_until, ..world.approval(&[]) });
    world.run_for(30);
    assert!(
        world.count("Fence") > 2 && world.run().phase == Phase::AwaitingApproval,
        "{}",
        world.run().message
    );
    world
}

#[test]
fn a_run_that_waits_for_its_fence_withdraws_when_the_time_of_its_consent_is_over() {
    let mut world = asked_by_consent();
    let name = world.run().name.clone();
    world.run_for(240);
    assert_eq!((&world.run().name, world.events("Withdrawn")), (&name, 0), "{}", world.run().message);
    world.run_for(60);
    assert_eq!(world.events("Withdrawn"), 1, "{}", world.run().message);
    let fences = world.count("Fence");
    world.power_refuses = false;
    // The next run asks anew.
    world.run_for(120);
    assert!(world.run().name != name && world.run().approval.is_none());
    assert_eq!((world.count("Fence"), world.writers()), (fences, vec![region("east")]));
}

#[test]
fn a_proof_that_comes_after_a_reboot_promotes_nothing_until_a_person_has_agreed_again() {
    let mut world = asked_by_consent();
    world.now.boot = BootId(9);
    world.holder = "two".into();
    world.run_for(5);
    assert_eq!(world.run().approval, None);
    world.power_refuses = false;
    world.node("east").running = false;
    world.run_for(60);
    let found = (world.count("Promote"), world.run().phase);
    assert_eq!(found, (0, Phase::AwaitingApproval), "{}", world.run().message);
    assert!(world.blocked().contains(&"Approval"), "{:?}", world.blocked());
    world.approve(world.approval(&[]));
    let run = world.run_to_end();
    assert_eq!(run.phase, Phase::Completed, "{} {:?}", run.message, run.steps);
}

/// In mode Approve, by consent for so long: east is fenced, and a gate keeps west from being promoted.
fn fenced_by_consent(valid_for: Millis) -> World {
    let mut world = World::new(Policy { mode: Mode::Approve, ..unlimited() });
    world.run_for(5);
    world.node("east").running = false;
    until_a_question(&mut world);
    let valid_until = world.now.plus(valid_for);
    world.approve(Approval { valid_until, ..world.approval(&[]) });
    world.pass_until(|world| world.count("Fence") > 0);
    world.journal_writable = Seen::Unknown("the disk is full".into());
    world
}

#[test]
fn a_run_that_waits_before_its_promotion_ends_with_the_time_of_its_consent() {
    let mut world = fenced_by_consent(Millis::from_secs(40));
    world.run_for(25);
    assert_eq!((world.events("Withdrawn"), world.count("Promote")), (0, 0), "{}", world.run().message);
    world.run_for(30);
    world.journal_writable = Seen::Known(());
    world.run_for(5);
    assert_eq!((world.events("Withdrawn"), world.count("Promote")), (1, 0), "{}", world.run().message);
}

#[test]
fn a_run_that_has_waited_over_a_reboot_promotes_nothing_by_the_consent_from_before() {
    let mut world = fenced_by_consent(Millis::from_secs(600));
    world.run_for(2);
    (world.now.boot, world.holder) = (BootId(9), "two".into());
    world.run_for(5);
    world.journal_writable = Seen::Known(());
    world.run_for(20);
    let found = (world.count("Promote"), world.run().phase);
    assert_eq!(found, (0, Phase::AwaitingApproval), "{}", world.run().message);
    world.approve(world.approval(&[]));
    let run = world.run_to_end();
    assert_eq!(run.phase, Phase::Completed, "{} {:?}", run.message, run.steps);
}

#[test]
fn nothing_is_tried_again_once_the_policy_asks_a_person() {
    let mut world = asked();
    world.policy.mode = Mode::Approve;
    world.run_for(5);
    let fences = world.count("Fence");
    world.power_refuses = false;
    world.run_for(120);
    assert_eq!((world.count("Fence"), world.writers()), (fences, vec![region("east")]));
}

//! What an engine says of writes at an old primary that a failover did not ask.
#![allow(clippy::wildcard_imports)]

mod world;

use muster_core::effect::Action;
use muster_core::facts::WriteBlock;
use muster_core::journal::*;
use muster_core::policy::*;
use muster_core::time::*;
use muster_core::wish::Wish;
use std::collections::BTreeSet;
use world::*;

/// East went dark and was left without a fence, by consent given ahead of time.
fn left_unfenced(accept: &[ProofClass]) -> World {
    let consent = WithoutFence { max_loss: Millis::from_secs(60), after: Millis(0) };
    let safety = Safety {
        accept: accept.iter().copied().collect::<BTreeSet<_>>(),
        without_fence: Some(consent),
        ..policy().safety
    };
    let mut world = World::new(Policy { fences: Vec::new(), safety, ..policy() });
    fail_over(&mut world);
    assert_eq!(class(&world), ProofClass::Waived);
    world
}

/// East stays dark afterwards.
fn fail_over(world: &mut World) {
    world.run_for(5);
    world.hang = Some(|action| matches!(action, Action::Rejoin { .. }));
    world.node("east").running = false;
    assert_eq!(world.run_to_end().phase, Phase::Completed);
    world.in_flight.clear();
}

fn class(world: &World) -> ProofClass {
    world.run().proofs[&region("east")].class
}

/// The engine says so, `ago` before now.
fn say(world: &mut World, holds: bool, ago: Millis) {
    let said = if holds { "writes blocked" } else { "the block of writes timed out" };
    let at = world.now.minus(ago).wall;
    world.write_block = Some(WriteBlock { region: region("east"), at, holds, said: said.to_owned() });
    world.run_for(2);
}

fn condition(world: &World) -> Option<(bool, String)> {
    let condition = world.journal.state.conditions.get("WritesFenced")?;
    Some((condition.ok, condition.reason.clone()))
}

#[test]
fn an_engine_that_kept_writes_out_speaks_for_a_region_without_a_fence() {
    let mut world = left_unfenced(&[ProofClass::Attested]);
    assert_eq!(world.run().measured.rpo.at_most, None, "nothing ended what east acknowledged");
    say(&mut world, true, Millis(0));
    assert_eq!(class(&world), ProofClass::Attested);
    let saw = &world.run().proofs[&region("east")].saw;
    assert!(saw.starts_with("writes blocked (the run went on before that: waived"), "{saw}");
    assert!(world.run().measured.rpo.at_most.is_some(), "the block bounds the loss");
    assert_eq!(world.events("WritesFenced"), 1);
}

#[test]
fn a_policy_that_takes_no_attestation_keeps_the_consent_that_the_run_went_on_with() {
    let mut world = left_unfenced(&[]);
    say(&mut world, true, Millis(0));
    assert_eq!(class(&world), ProofClass::Waived);
    assert_eq!((world.events("WritesFenced"), condition(&world)), (0, None));
}

#[test]
fn an_engine_that_could_not_keep_writes_out_stops_automation_and_is_told_once() {
    let mut world = left_unfenced(&[ProofClass::Attested]);
    world.wish(&Wish::Ack { by: "person".to_owned() }).expect("it is taken");
    say(&mut world, false, Millis(0));
    assert_eq!(condition(&world), Some((false, "SplitBrainSuspected".to_owned())));
    let why = world.journal.state.needs_ack.clone().unwrap_or_default();
    assert_eq!(why, "east may take writes still: the block of writes timed out");
    world.wish(&Wish::Ack { by: "person".to_owned() }).expect("it is taken");
    world.run_for(3);
    assert_eq!((world.events("SplitBrainSuspected"), &world.journal.state.needs_ack), (1, &None));
    assert_eq!(condition(&world), Some((false, "SplitBrainSuspected".to_owned())), "it is still so");
}

#[test]
fn a_suspicion_outlives_the_next_run_and_ends_with_the_region_s_return() {
    let mut world = left_unfenced(&[ProofClass::Attested]);
    say(&mut world, false, Millis(0));
    world.wish(&Wish::Ack { by: "person".to_owned() }).expect("it is taken");
    world.request(RunKind::Failback, Some("east"));
    world.run_for(3);
    assert_eq!(condition(&world), Some((false, "SplitBrainSuspected".to_owned())));
    let east = world.node("east");
    (east.running, east.writable, east.logins, east.follows) = (true, false, true, Some(region("west")));
    east.timeline = 2;
    world.run_for(10);
    assert_eq!(condition(&world), Some((true, "WritesFenced".to_owned())));
}

#[test]
fn a_word_on_an_earlier_failover_is_none_on_this_one() {
    let mut world = left_unfenced(&[ProofClass::Attested]);
    for holds in [true, false] {
        say(&mut world, holds, Millis::from_secs(20 * 60));
    }
    assert_eq!((class(&world), condition(&world)), (ProofClass::Waived, None));
}

#[test]
fn a_region_that_was_seen_closed_is_not_suspected() {
    let mut world = World::new(policy());
    world.hang = Some(|action| matches!(action, Action::Rejoin { .. }));
    world.run_for(5);
    world.request(RunKind::Failover, None);
    assert_eq!(world.run_to_end().phase, Phase::Completed);
    assert_eq!(class(&world), ProofClass::Closed);
    say(&mut world, false, Millis(0));
    assert_eq!((world.events("SplitBrainSuspected"), condition(&world)), (0, None));
}

#[test]
fn a_fence_that_is_attested_is_no_answer_to_the_engines_word() {
    let mut world = World::new(policy());
    fail_over(&mut world);
    assert_eq!((class(&world), &world.journal.state.needs_ack), (ProofClass::Attested, &None));
    let bound = world.run().measured.rpo.at_most;
    say(&mut world, true, Millis(0));
    assert_eq!((world.events("WritesFenced"), condition(&world)), (0, None), "it says nothing new");
    say(&mut world, false, Millis(0));
    assert_eq!((world.events("SplitBrainSuspected"), class(&world)), (1, ProofClass::Attested));
    assert_eq!(condition(&world), Some((false, "SplitBrainSuspected".to_owned())));
    assert!(world.journal.state.needs_ack.is_some(), "automation waits for a person");
    assert_eq!(world.run().measured.rpo.at_most, bound, "what was measured at the fence stays");
    // It is seen to write, and is fenced anew: that is a proof of after the word.
    world.node("east").running = true;
    world.run_for(20);
    assert_eq!(condition(&world), Some((true, "WritesFenced".to_owned())));
}

/// The words are the same for both.
#[test]
fn a_block_for_a_switchover_that_came_before_speaks_for_nobody() {
    let mut world = left_unfenced(&[ProofClass::Attested]);
    say(&mut world, true, Millis::from_secs(120));
    assert_eq!((class(&world), condition(&world)), (ProofClass::Waived, None));
    say(&mut world, false, Millis::from_secs(100));
    assert_eq!(condition(&world), Some((false, "SplitBrainSuspected".to_owned())), "it may be so still");
}

#[test]
fn a_switchover_whose_source_could_not_be_blocked_in_time_waits_for_an_ack() {
    let mut policy = Policy { data: vec![events()], fences: Vec::new(), ..policy() };
    policy.safety.max_estimated_loss = None;
    for holds in [true, false] {
        let mut world = World::new(policy.clone());
        world.engine.prompt = false;
        world.request(RunKind::Switchover, None);
        world.run_for(2);
        say(&mut world, holds, Millis(0));
        world.land();
        let run = world.run_to_end();
        assert_eq!(run.phase, Phase::Completed, "{}", run.message);
        let why = world.journal.state.needs_ack.clone();
        assert_eq!(why.is_some_and(|why| why.contains("may be missing")), !holds);
        assert_eq!(world.events("SplitBrainSuspected"), usize::from(!holds));
    }
}

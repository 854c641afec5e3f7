//! Items that their engine hands over by itself: one effect, one writer throughout.

mod world;

use muster_core::effect::{Action, Effect};
use muster_core::facts::ErrorClass;
use muster_core::journal::{OutcomeKind, Phase, RunKind};
use muster_core::policy::{Mode, Policy};
use muster_core::time::Millis;
use muster_core::wish::Wish;
use std::collections::BTreeSet;
use world::{World, events, item, policy, region};

/// Only the item that its engine hands over.
fn handed_over() -> Policy {
    let mut policy = policy();
    policy.data = vec![events()];
    policy.safety.max_estimated_loss = None;
    policy.fences.retain(|way| way.name.as_str() == "power");
    policy
}

/// Beside one that Muster fences and promotes.
fn mixed() -> Policy {
    let mut policy = policy();
    policy.data.push(events());
    policy
}

fn kinds(world: &World, from: usize) -> Vec<&'static str> {
    world.applied.iter().skip(from).map(|effect| effect.action.kind()).collect()
}

#[test]
fn a_switchover_is_one_effect_without_a_fence() {
    let mut world = World::new(handed_over());
    let before = world.applied.len();
    world.request(RunKind::Switchover, None);
    let run = world.run_to_end().clone();
    assert_eq!((run.phase, run.outcome), (Phase::Completed, Some(OutcomeKind::Succeeded)), "{}", run.message);
    assert_eq!(kinds(&world, before), ["OpenWriter", "SwitchOver", "OpenWriter", "Flip"]);
    assert_eq!(world.engine.writer, region("west"));
    world.run_for(3);
    let state = &world.journal.state;
    assert_eq!(state.may_be_writable, BTreeSet::from([region("west")]));
    assert!(state.outcasts.is_empty(), "{:?}", state.outcasts);
    assert!(state.needs_ack.is_none());
}

#[test]
fn until_it_is_seen_done_both_regions_may_be_writable_and_nothing_else_is_recorded() {
    let mut world = World::new(handed_over());
    world.engine.prompt = false;
    world.request(RunKind::Switchover, None);
    world.run_for(20);
    let recorded = world.applied.len();
    world.run_for(40);
    assert_eq!(world.applied.len(), recorded, "{:?}", kinds(&world, recorded));
    assert_eq!(world.journal.state.may_be_writable, BTreeSet::from([region("east"), region("west")]));
    assert!(world.journal.state.needs_ack.is_none(), "the source takes writes by right");
    assert!(world.run().past_pivot());
    world.land();
    let run = world.run_to_end().clone();
    assert_eq!(run.phase, Phase::Completed, "{}", run.message);
    assert_eq!(world.journal.state.may_be_writable, BTreeSet::from([region("west")]));
}

#[test]
fn a_failover_of_it_takes_a_proof_and_a_promotion() {
    let mut world = World::new(handed_over());
    let before = world.applied.len();
    world.node("east").running = false;
    let run = world.run_to_end().clone();
    assert_eq!((run.kind, run.phase), (RunKind::Failover, Phase::Completed), "{}", run.message);
    let kinds = kinds(&world, before);
    let at = |kind| kinds.iter().position(|k| *k == kind);
    assert!(at("Fence") < at("Promote") && at("Promote").is_some(), "{kinds:?}");
    assert!(at("SwitchOver").is_none(), "{kinds:?}");
}

/// From the first promotion that is asked for to the second one.
fn asked_again_after(refusal: ErrorClass) -> Millis {
    let mut world = World::new(handed_over());
    world.engine.first_refusal = Some(refusal);
    world.node("east").running = false;
    let mut asked = Vec::new();
    while asked.len() < 2 {
        let count = world.applied.len();
        world.run_for(1);
        let promotes = |effect: &&Effect| matches!(effect.action, Action::Promote { .. });
        asked.extend(world.applied[count..].iter().filter(promotes).map(|_| world.now));
    }
    asked[1].since_or_wall(&asked[0])
}

#[test]
fn a_promotion_that_was_refused_is_asked_for_again_soon_and_one_that_may_land_later() {
    for (refusal, at_least, at_most) in
        [(ErrorClass::Transient, 0, 3_000), (ErrorClass::UnknownOutcome, 14_000, 20_000)]
    {
        let waited = asked_again_after(refusal);
        assert!((at_least..=at_most).contains(&waited.0), "{refusal:?}: {waited}");
    }
}

#[test]
fn nothing_is_switched_over_to_what_says_that_it_is_unfit_or_from_it() {
    for name in ["west", "east"] {
        let mut world = World::new(handed_over());
        world.engine.unfit.insert(region(name), "it has no instance".to_owned());
        world.request(RunKind::Switchover, Some("west"));
        world.run_for(10);
        let blocked = &world.last().blocked;
        assert!(blocked.iter().any(|b| b.saw.contains("it has no instance")), "{name}: {blocked:?}");
        assert!(world.applied.iter().all(|e| !matches!(e.action, Action::SwitchOver { .. })), "{name}");
    }
}

#[test]
fn a_source_that_fails_before_its_engine_has_moved_is_failed_over() {
    let mut world = World::new(handed_over());
    world.engine.prompt = false;
    world.request(RunKind::Switchover, None);
    world.run_for(5);
    assert!(world.run().past_pivot());
    // The engine gives up, and its region dies.
    world.engine.moving_to = None;
    world.node("east").running = false;
    for _ in 0..120 {
        world.run_for(1);
        if world.run().kind == RunKind::Failover && world.run().phase.is_final() {
            break;
        }
    }
    let run = world.run().clone();
    assert_eq!((run.kind, run.phase), (RunKind::Failover, Phase::Completed), "{}", run.message);
    assert_eq!(run.to, region("west"));
    assert_eq!(world.engine.writer, region("west"));
}

#[test]
fn a_source_that_fails_while_its_engine_moves_is_not_given_up() {
    let mut world = World::new(handed_over());
    world.engine.prompt = false;
    world.request(RunKind::Switchover, None);
    world.run_for(5);
    world.node("east").running = false;
    world.run_for(60);
    assert_eq!((world.run().kind, world.run().phase.is_final()), (RunKind::Switchover, false));
    world.land();
    let run = world.run_to_end().clone();
    assert_eq!(run.phase, Phase::Completed, "{}", run.message);
}

#[test]
fn beside_items_that_muster_promotes_those_are_fenced_first_and_promoted_last() {
    let mut world = World::new(mixed());
    let before = world.applied.len();
    world.engine.prompt = false;
    world.request(RunKind::Switchover, None);
    world.run_for(10);
    let kinds_so_far = kinds(&world, before);
    assert!(kinds_so_far.ends_with(&["Fence", "SwitchOver"]), "{kinds_so_far:?}");
    assert_eq!(world.journal.state.may_be_writable, BTreeSet::from([region("east"), region("west")]));
    world.land();
    let run = world.run_to_end().clone();
    assert_eq!(run.phase, Phase::Completed, "{}", run.message);
    let kinds = kinds(&world, before);
    let at = |kind| kinds.iter().position(|k| *k == kind);
    assert!(at("Fence") < at("SwitchOver") && at("SwitchOver") < at("Promote"), "{kinds:?}");
    assert_eq!(world.writers(), [region("west")]);
    assert!(world.journal.state.needs_ack.is_none());
    world.run_for(5);
    assert_eq!(world.journal.state.may_be_writable, BTreeSet::from([region("west")]));
    assert!(world.journal.state.outcasts.is_empty(), "{:?}", world.journal.state.outcasts);
}

#[test]
fn nothing_is_fenced_beside_it_before_the_gates_of_all_items_hold() {
    let mut world = World::new(mixed());
    world.engine.unfit.insert(region("west"), "it has no instance".to_owned());
    world.request(RunKind::Switchover, Some("west"));
    world.run_for(10);
    assert_eq!(world.writers(), [region("east")]);
    assert!(world.applied.iter().all(|e| !matches!(e.action, Action::Fence { .. })));
}

#[test]
fn what_was_fenced_beside_it_is_opened_again_by_an_abort() {
    let mut world = World::new(mixed());
    world.request(RunKind::Switchover, Some("west"));
    world.pass_until(|world| world.applied.iter().any(|e| matches!(e.action, Action::Fence { .. })));
    // And then the standby of the other item cannot catch up.
    world.node("west").follows = None;
    world.node("west").position = 1;
    world.run_for(3);
    assert!(world.writers().is_empty());
    let run = world.run_to_end().clone();
    assert_eq!(run.phase, Phase::Aborted, "{}", run.message);
    assert_eq!((world.writers(), world.engine.writer.clone()), (vec![region("east")], region("east")));
}

#[test]
fn a_target_that_dies_before_its_engine_has_moved_is_no_reason_to_leave_a_source_that_writes() {
    for policy in [handed_over(), mixed()] {
        let mut world = World::new(policy);
        world.engine.prompt = false;
        world.request(RunKind::Switchover, None);
        world.run_for(6);
        assert!(world.run().past_pivot());
        world.engine.moving_to = None;
        world.node("west").running = false;
        world.run_for(60);
        let run = world.run();
        assert_eq!(
            (run.kind, run.outcome.clone()),
            (RunKind::Switchover, Some(OutcomeKind::Failed)),
            "{}",
            run.message
        );
        assert_eq!(world.writers(), [region("east")], "what was fenced beside it is open again");
        world.run_for(120);
        assert_eq!((world.run().kind, world.engine.writer.clone()), (RunKind::Switchover, region("east")));
    }
}

#[test]
fn an_engine_that_moves_after_its_source_was_given_up_is_followed_by_traffic() {
    let mut policy = handed_over();
    policy.mode = Mode::Approve;
    let mut world = World::new(policy);
    world.engine.prompt = false;
    world.request(RunKind::Switchover, None);
    world.run_for(1);
    world.approve(world.approval(&[]));
    world.run_for(5);
    assert!(world.run().past_pivot());
    let moving = world.engine.moving_to.take();
    world.node("east").running = false;
    world.run_for(60);
    assert_eq!((world.run().kind, world.run().phase), (RunKind::Failover, Phase::AwaitingApproval));
    let both = BTreeSet::from([region("east"), region("west")]);
    assert_eq!(world.journal.state.may_be_writable, both, "the engine may move yet");
    world.engine.moving_to = moving;
    world.land();
    world.run_for(5);
    world.approve(world.approval(&[]));
    let run = world.run_to_end().clone();
    assert_eq!((run.kind, run.phase), (RunKind::Failover, Phase::Completed), "{}", run.message);
    assert_eq!(world.points_to, region("west"));
}

#[test]
fn a_hand_over_that_its_engine_refuses_can_be_aborted() {
    for policy in [handed_over(), mixed()] {
        let mut world = World::new(policy);
        world.engine.refuses = true;
        world.request(RunKind::Switchover, None);
        world.run_for(6);
        assert!(world.run().past_pivot() && !world.run().phase.is_final());
        let wish = Wish::Abort { run: world.run().name.clone(), by: "kim".into(), reason: "no right".into() };
        world.wish(&wish).expect("nothing has moved");
        let run = world.run_to_end().clone();
        assert_eq!(run.phase, Phase::Aborted, "{}", run.message);
        world.run_for(10);
        assert_eq!((world.writers(), world.engine.writer.clone()), (vec![region("east")], region("east")));
        assert_eq!(world.journal.state.may_be_writable, BTreeSet::from([region("east")]));
    }
}

#[test]
fn an_abort_waits_for_what_the_engine_may_have_taken() {
    let mut world = World::new(handed_over());
    world.engine.prompt = false;
    world.request(RunKind::Switchover, None);
    world.run_for(6);
    let wish = Wish::Abort { run: world.run().name.clone(), by: "kim".into(), reason: "no".into() };
    world.wish(&wish).expect("nothing has moved");
    world.run_for(120);
    assert!(!world.run().phase.is_final());
    world.land();
    let run = world.run_to_end().clone();
    assert_eq!((run.phase, world.points_to.clone()), (Phase::Completed, region("west")), "{}", run.message);
}

#[test]
fn an_engine_that_took_it_and_gave_it_up_is_asked_again() {
    let mut world = World::new(handed_over());
    world.engine.prompt = false;
    world.request(RunKind::Switchover, None);
    world.run_for(6);
    world.engine.moving_to = None;
    world.engine.prompt = true;
    for _ in 0..3 {
        world.run_for(30);
    }
    assert_eq!(world.run().phase, Phase::Completed, "{}", world.run().message);
    let asked = world.applied.iter().filter(|e| matches!(e.action, Action::SwitchOver { .. })).count();
    assert_eq!(asked, 2);
}

#[test]
fn what_opens_again_in_the_source_meanwhile_is_fenced_again_before_the_rest_is_promoted() {
    let mut world = World::new(mixed());
    world.engine.prompt = false;
    world.request(RunKind::Switchover, None);
    world.run_for(6);
    assert!(world.writers().is_empty());
    // Somebody opens it by hand; the standby goes on replaying.
    world.node("east").logins = true;
    world.land();
    for _ in 0..100 {
        world.now = world.now.plus(Millis(100));
        world.pass();
        assert!(world.writers().len() < 2, "{:?}", world.writers());
    }
    let run = world.run_to_end().clone();
    assert_eq!(run.phase, Phase::Completed, "{}", run.message);
    assert_eq!(world.writers(), [region("west")]);
}

#[test]
fn a_source_that_is_silent_at_the_end_may_be_writable_still_and_the_loss_is_not_final() {
    let mut world = World::new(handed_over());
    world.engine.prompt = false;
    world.request(RunKind::Switchover, None);
    world.run_for(6);
    world.node("east").reachable = false;
    world.land();
    let run = world.run_to_end().clone();
    assert_eq!(run.phase, Phase::Completed, "{}", run.message);
    assert!(!run.measured.rpo.r#final, "{:?}", run.measured.rpo);
    assert!(world.journal.state.may_be_writable.contains(&region("east")));
    world.node("east").reachable = true;
    world.run_for(5);
    assert_eq!(world.journal.state.may_be_writable, BTreeSet::from([region("west")]));
}

#[test]
fn a_source_that_follows_in_the_end_gives_the_loss_an_upper_bound() {
    let mut world = World::new(handed_over());
    world.beats_in = item("events");
    world.engine.prompt = false;
    world.request(RunKind::Switchover, None);
    world.run_for(6);
    world.node("east").reachable = false;
    world.land();
    let rpo = world.run_to_end().measured.rpo.clone();
    assert!(rpo.at_least.is_some() && rpo.at_most.is_none() && !rpo.r#final, "{rpo:?}");
    world.node("east").reachable = true;
    world.run_for(30);
    assert!(world.journal.state.outcasts.is_empty(), "{:?}", world.journal.state.outcasts);
    let rpo = world.run().measured.rpo.clone();
    // Not nothing for certain, but no more than until then.
    assert!(rpo.at_most >= rpo.at_least && rpo.at_most.is_some() && !rpo.r#final, "{rpo:?}");
    world.run_for(30);
    assert_eq!(world.run().measured.rpo, rpo, "it is bounded once");
}

#[test]
fn the_gap_in_writing_begins_with_the_record_and_the_fence_has_no_time_of_its_own() {
    let mut world = World::new(handed_over());
    world.engine.prompt = false;
    world.request(RunKind::Switchover, None);
    world.run_for(20);
    world.land();
    let run = world.run_to_end().clone();
    assert!(run.measured.write_gap.is_some_and(|gap| gap >= Millis::from_secs(15)), "{:?}", run.measured);
    assert_eq!(run.clock.fenced, None);
}

//! A network that denies the old primary's databases, as a fence: what it proves, what it hides, and what it does not do.
#![allow(clippy::wildcard_imports, clippy::panic)]

mod world;

use muster_core::effect::Action;
use muster_core::facts::*;
use muster_core::journal::*;
use muster_core::policy::*;
use muster_core::time::*;
use muster_core::wish::Wish;
use std::collections::BTreeSet;
use world::*;

fn by_network() -> FenceWay {
    FenceWay {
        name: item("acl"),
        kind: FenceKind::Network { claims: BTreeSet::from(["network-acl/east".into()]) },
        proof: ProofClass::Attested,
        timeout: Millis::from_secs(2),
        attempts: 2,
    }
}

fn logins() -> FenceWay {
    policy().fences.remove(0)
}

/// The ways in this order.
fn fenced_by(fences: Vec<FenceWay>) -> Policy {
    Policy { fences, ..policy() }
}

fn asked(world: &World, kind: &str) -> usize {
    world.applied.iter().filter(|effect| effect.action.kind() == kind).count()
}

/// Until the promotion is recorded.
fn until_past_pivot(world: &mut World) {
    for _ in 0..30 {
        world.run_for(1);
        if world.journal.run.as_ref().is_some_and(Run::past_pivot) {
            return;
        }
    }
    panic!("no promotion was recorded: {:?}", world.blocked());
}

#[test]
fn a_database_that_only_clients_reach_is_cut_off_and_proven_fenced() {
    let mut world = World::new(fenced_by(vec![by_network()]));
    world.node("east").reachable = false;
    let run = world.run_to_end().clone();
    assert_eq!(run.phase, Phase::Completed, "{}", run.message);
    let proof = &run.proofs[&region("east")];
    assert_eq!(proof.class, ProofClass::Attested);
    assert!(proof.saw.contains("acl says that acl-east is off"), "{}", proof.saw);
    assert!(world.cut.contains(&region("east")) && !world.cut.contains(&region("west")));
}

#[test]
fn without_the_consent_of_the_policy_a_person_is_asked() {
    let safety = Safety { accept: BTreeSet::new(), ..policy().safety };
    let mut world = World::new(Policy { safety, ..fenced_by(vec![by_network()]) });
    world.node("east").reachable = false;
    world.run_for(30);
    assert!(world.cut.contains(&region("east")) && !world.run().past_pivot());
}

#[test]
fn a_silent_control_plane_proves_nothing() {
    let mut world = World::new(fenced_by(vec![by_network()]));
    world.node("east").running = false;
    world.network_answers = false;
    world.run_for(30);
    assert!(!world.run().past_pivot(), "{:?}", world.run().proofs);
    assert!(world.blocked().contains(&"Fenced"), "{:?}", world.blocked());
}

#[test]
fn a_database_that_still_answers_open_is_not_fenced_by_its_network() {
    let mut world = World::new(fenced_by(vec![by_network()]));
    world.request(RunKind::Failover, Some("west"));
    for _ in 0..50 {
        world.now = world.now.plus(Millis(100));
        let decision = world.decide();
        world.journal = decision.next.clone();
        for effect in &decision.effects {
            world.apply(effect);
            // The control plane has the entry, and the packets pass all the same: the databases stand in another subnet.
            if world.cut.remove(&region("east")) {
                world.network_answers = false;
            }
            world.outcomes.insert(effect.seq, Fact::new(Outcome::Issued(None), world.now.tick));
        }
        let mut seen = world.observe();
        let off = FenceFacts::new("acl-east", PowerState::Off);
        let ways = seen.fences.get_mut(&item("acl")).expect("it is looked at");
        ways.insert(region("east"), Fact::new(Seen::Known(off), world.now.tick));
        let decision = muster_core::decide::decide(&world.policy, &world.journal, &seen, world.now);
        world.journal = decision.next.clone();
        world.decisions.push(decision);
    }
    assert!(!world.run().past_pivot(), "{}", world.run().message);
}

#[test]
fn a_planned_run_never_cuts_off_what_it_has_to_see() {
    for ways in [vec![by_network()], vec![by_network(), logins()]] {
        let mut world = World::new(fenced_by(ways));
        world.request(RunKind::Switchover, Some("west"));
        world.run_to_end();
        let by_acl = |effect: &&muster_core::effect::Effect| matches!(&effect.action, Action::Fence { way, .. } if way.as_str() == "acl");
        assert_eq!(world.applied.iter().filter(by_acl).count(), 0, "{}", world.run().message);
        let proven = world.policy.fences.len() == 2;
        let expected = if proven { Phase::Completed } else { Phase::Aborted };
        assert_eq!(world.run().phase, expected, "{}", world.run().message);
    }
}

#[test]
fn a_target_behind_a_network_that_denies_is_not_taken_for_lost() {
    let mut world = World::new(fenced_by(vec![by_network()]));
    world.hang = Some(|action| matches!(action, Action::Promote { .. }));
    world.node("east").reachable = false;
    until_past_pivot(&mut world);
    // A person denies there too. The promotion that hangs may land behind it.
    world.cut.insert(region("west"));
    world.run_for(10);
    assert_eq!(world.run().outcome, None, "{}", world.run().message);
    assert_eq!(world.journal.state.active_run.as_ref().map(|run| &run.name), Some(&world.run().name));
}

#[test]
fn an_abort_opens_the_network_before_it_opens_what_is_behind() {
    for ways in [vec![logins(), by_network()], vec![by_network(), logins()]] {
        let safety = Safety { accept: BTreeSet::new(), ..policy().safety };
        let mut world = World::new(Policy { safety, ..fenced_by(ways) });
        world.node("east").sessions = 1;
        world.request(RunKind::Failover, Some("west"));
        world.run_for(20);
        assert!(world.cut.contains(&region("east")), "{:?}", world.blocked());
        let (run, by, reason) = (world.run().name.clone(), "kim".into(), "a test".into());
        world.wish(&Wish::Abort { run, by, reason }).expect("the wish is taken");
        world.pass_until(|world| world.run().phase == Phase::Aborted);
        assert!(world.cut.is_empty() && world.node("east").logins);
        assert_eq!(world.writers(), [region("east")]);
    }
}

#[test]
fn what_a_silent_region_left_denied_is_opened_once_its_control_plane_answers() {
    let safety = Safety { accept: BTreeSet::new(), ..policy().safety };
    let mut world = World::new(Policy { safety, ..fenced_by(vec![by_network()]) });
    world.request(RunKind::Failover, Some("west"));
    world.run_for(10);
    assert!(world.cut.contains(&region("east")), "{:?}", world.blocked());
    world.network_answers = false;
    let (run, by, reason) = (world.run().name.clone(), "kim".into(), "a test".into());
    world.wish(&Wish::Abort { run, by, reason }).expect("the wish is taken");
    let run = world.run_to_end().clone();
    assert_eq!((run.phase, run.outcome), (Phase::Failed, Some(OutcomeKind::Failed)), "{}", run.message);
    world.policy.mode = Mode::Observe;
    world.run_for(5);
    world.policy.mode = Mode::Approve;
    assert!(world.cut.contains(&region("east")), "nobody could have opened it");
    // The databases answer to nobody until it is open.
    world.network_answers = true;
    world.run_for(15);
    assert!(world.cut.is_empty(), "{:?}", world.journal.state.outcasts);
    assert_eq!(world.writers(), [region("east")]);
}

#[test]
fn after_a_failover_only_a_person_opens_it_and_a_writer_behind_it_is_fenced_again() {
    let mut world = World::new(fenced_by(vec![by_network()]));
    world.node("east").reachable = false;
    assert_eq!(world.run_to_end().phase, Phase::Completed);
    world.node("east").reachable = true;
    world.run_for(30);
    assert!(world.cut.contains(&region("east")), "nothing that Muster does takes it off");
    assert!(world.journal.state.outcasts.contains_key(&region("east")));
    // Taken off too early: the old primary still takes writes.
    let fences = asked(&world, "Fence");
    world.cut.clear();
    world.run_for(10);
    assert!(world.cut.contains(&region("east")), "{:?}", world.blocked());
    assert_eq!(asked(&world, "Fence"), fences + 1);
    // Its engine has made it a standby meanwhile.
    let (timeline, position) = (world.node("west").timeline, world.node("west").position);
    let east = world.node("east");
    (east.writable, east.follows) = (false, Some(region("west")));
    (east.timeline, east.position) = (timeline, position);
    world.cut.clear();
    world.run_for(10);
    assert!(world.journal.state.outcasts.is_empty(), "{:?}", world.journal.state.outcasts);
    assert!(world.cut.is_empty());
}

#[test]
fn where_it_denies_no_other_policy_may_open() {
    let claims = fenced_by(vec![by_network()]).claims();
    assert!(claims.contains(&"network-acl/east".into()), "{claims:?}");
}

//! Whole runs against a small world: what happens, what must not, and what is said about it.

mod world;

use muster_core::effect::Action;
use muster_core::facts::*;
use muster_core::ids::*;
use muster_core::journal::*;
use muster_core::policy::*;
use muster_core::rules::Rule;
use muster_core::time::*;
use muster_core::wish::Wish;
use world::*;

#[test]
fn a_stable_world_causes_no_writes() {
    let mut world = World::new(policy());
    world.run_for(5);
    let before = world.journal.clone();
    world.run_for(20);
    assert_eq!(world.journal, before);
    assert_eq!(world.last().rule, Rule::Stable);
}

#[test]
fn the_witness_stands_before_it_is_needed() {
    let world = World::new(policy());
    assert!(world.nodes[&region("west")].witness.is_some(), "replicated to the standby");
    assert!(matches!(world.applied[0].action, Action::OpenWriter { .. }));
}

#[test]
fn a_killed_primary_is_fenced_and_the_standby_promoted() {
    let mut world = World::new(policy());
    world.run_for(5);
    world.node("east").running = false;
    let run = world.run_to_end().clone();
    assert_eq!(run.phase, Phase::Completed, "{} {:?}", run.message, run.steps);
    assert_eq!(run.proofs[&region("east")].class, ProofClass::Attested);
    assert_eq!(world.writers(), [region("west")]);
    assert_eq!(world.points_to, region("west"));
    let rto = run.measured.rto.expect("measured");
    assert!(rto <= Millis::from_secs(6), "{rto}");
    assert_eq!(run.measured.lost_heartbeats, Some(0));
    assert!(!run.measured.rpo.r#final, "the old log was not read yet");
    world.run_for(10);
    assert!(world.journal.state.outcasts.is_empty(), "rejoined: {:?}", world.journal.state.outcasts);
}

#[test]
fn the_loss_is_final_with_the_old_log_and_heartbeats_are_no_clients_commits() {
    for (span, at_least, at_most) in
        [(Some(Millis(700)), Some(Millis(700)), Some(Millis(700))), (None, None, None)]
    {
        let mut world = World::new(policy());
        world.run_for(5);
        world.node("east").running = false;
        let name = world.run_to_end().name.clone();
        let loss = LossFacts { commits_after_fork: 5, heartbeats_after_fork: 2, span };
        world.losses.entry(item("orders")).or_default().insert(name, loss);
        world.run_for(5);
        let measured = &world.run().measured;
        assert_eq!(measured.lost_commits, Some(3));
        assert!(measured.rpo.r#final);
        assert_eq!((measured.rpo.at_least, measured.rpo.at_most), (at_least, at_most), "span {span:?}");
    }
}

#[test]
fn each_effect_of_an_undisturbed_run_happens_once() {
    let mut world = World::new(policy());
    world.run_for(5);
    world.applied.clear();
    world.node("east").running = false;
    world.run_to_end();
    world.run_for(10);
    let kinds: Vec<_> = world.applied.iter().map(|e| e.action.kind()).collect();
    assert_eq!(kinds, ["Fence", "Promote", "OpenWriter", "Flip", "Rejoin"]);
}

#[test]
fn a_switchover_loses_nothing_and_fences_first() {
    let mut world = World::new(policy());
    world.run_for(5);
    world.applied.clear();
    world.request(RunKind::Switchover, None);
    let run = world.run_to_end().clone();
    assert_eq!(run.phase, Phase::Completed, "{} {:?}", run.message, run.steps);
    assert!(run.measured.rpo.r#final);
    let kinds: Vec<_> = world.applied.iter().map(|e| e.action.kind()).collect();
    assert_eq!(&kinds[..5], ["OpenWriter", "Fence", "Promote", "OpenWriter", "Flip"]);
    world.run_for(10);
    assert_eq!(world.nodes[&region("east")].follows, Some(region("west")));
    world.request(RunKind::Failback, None);
    world.run_for(1);
    let run = world.run_to_end();
    assert_eq!((run.phase, &run.to), (Phase::Completed, &region("east")), "{}", run.message);
}

#[test]
fn blind_vantages_start_nothing() {
    let mut world = World::new(policy());
    world.run_for(5);
    world.blind = true;
    world.node("east").running = false;
    world.run_for(60);
    assert!(world.journal.run.is_none());
    assert_eq!(world.last().rule, Rule::NoVerdict);
}

#[test]
fn a_single_vantage_never_fails_over_automatically() {
    let mut world =
        World::new(Policy { detection: Detection { quorum: 1, ..policy().detection }, ..policy() });
    world.vantages = 1;
    world.book.streaks.clear();
    world.run_for(5);
    world.node("east").running = false;
    world.run_for(30);
    assert!(world.journal.run.is_none());
    assert!(world.blocked().contains(&"ObserversSuffice"), "{:?}", world.blocked());
}

#[test]
fn both_regions_down_is_refused_with_the_gate() {
    let mut world = World::new(policy());
    world.run_for(5);
    world.node("east").running = false;
    world.node("west").running = false;
    world.run_for(30);
    assert!(world.journal.run.is_none());
    assert_eq!(world.last().rule, Rule::NoCandidate);
    assert!(world.blocked().contains(&"TargetFit"));
}

#[test]
fn a_lagging_standby_is_refused_with_the_figures() {
    let mut world = World::new(policy());
    world.run_for(5);
    world.node("west").follows = None;
    world.run_for(40);
    world.node("east").running = false;
    world.run_for(30);
    assert!(world.journal.run.is_none());
    assert!(world.blocked().contains(&"EstimatedLoss"), "{:?}", world.last());
}

#[test]
fn an_engine_s_own_word_stands_beside_the_estimated_loss_and_bounds_nothing() {
    let mut world = World::new(policy());
    world.run_for(5);
    let lag = EngineLag { behind: Millis(400), age: Millis(12_000) };
    world.node("west").lag = Some(lag);
    world.node("west").follows = None;
    world.run_for(40);
    world.node("east").running = false;
    world.run_for(30);
    let blocked = world.last().blocked.iter().find(|b| b.name == "EstimatedLoss").expect("it blocks");
    let said = "orders: 400 ms behind by its engine's word of 12.0 s before";
    assert!(blocked.saw.ends_with(said), "{}", blocked.saw);
}

#[test]
fn a_controller_that_starts_in_an_outage_still_bounds_the_loss() {
    let mut world = World::new(policy());
    world.run_for(5);
    world.node("east").running = false;
    world.run_for(1);
    world.forget_beats();
    let run = world.run_to_end();
    assert_eq!(run.outcome, Some(OutcomeKind::Succeeded), "{}", run.message);
    assert_eq!(run.measured.lost_heartbeats, Some(0));
    assert!(run.measured.rpo.at_most.is_some());
}

#[test]
fn heartbeats_of_another_boot_bound_nothing() {
    let mut world = World::new(policy());
    world.run_for(5);
    world.node("east").running = false;
    world.run_for(1);
    world.forget_beats();
    for kept in world.journal.state.beats.values_mut() {
        kept.at.boot = BootId(9);
    }
    world.run_for(30);
    assert!(world.blocked().contains(&"EstimatedLoss"), "{:?}", world.last());
}

#[test]
fn without_any_proof_a_person_is_asked_and_nothing_is_promoted() {
    let mut world = World::new(policy());
    world.run_for(5);
    world.node("east").reachable = false;
    world.power_reachable = false;
    world.run_for(20);
    assert_eq!(world.run().phase, Phase::AwaitingApproval, "{}", world.run().message);
    assert!(world.blocked().contains(&"Fenced"));
    assert_eq!(world.writers(), [region("east")]);
}

#[test]
fn a_waiver_promotes_and_says_not_fenced() {
    let mut world = World::new(policy());
    world.run_for(5);
    world.node("east").reachable = false;
    world.power_reachable = false;
    world.run_for(20);
    world.approve(Approval { max_loss: Some(Millis::from_secs(30)), ..world.approval(&["Fenced"]) });
    let run = world.run_to_end().clone();
    assert_eq!(run.phase, Phase::Completed, "{} {:?}", run.message, run.steps);
    assert_eq!(run.proofs[&region("east")].class, ProofClass::Waived);
    assert_eq!(run.measured.rpo.at_most, None, "without a proof nothing bounds the loss");
    assert!(world.journal.state.needs_ack.is_some());
    // The old side comes back writable: it is fenced, nothing else moves.
    world.node("east").reachable = true;
    world.run_for(3);
    assert_eq!(world.writers(), [region("west")]);
}

#[test]
fn an_approval_of_another_plan_is_refused() {
    let mut world = World::new(Policy { mode: Mode::Approve, ..policy() });
    world.run_for(5);
    world.node("east").running = false;
    world.run_for(10);
    assert_eq!(world.run().phase, Phase::AwaitingApproval);
    let other = Approval { plan_hash: "something else".into(), ..world.approval(&[]) };
    let refusal = world.try_approve(other).unwrap_err();
    assert_eq!(refusal.reason, "PlanChanged");
}

#[test]
fn approve_mode_asks_and_withdraws_when_the_region_recovers() {
    let mut world = World::new(Policy { mode: Mode::Approve, ..policy() });
    world.run_for(5);
    world.node("east").running = false;
    world.run_for(10);
    assert_eq!(world.run().phase, Phase::AwaitingApproval);
    assert!(world.applied.iter().all(|e| !matches!(e.action, Action::Fence { .. })));
    world.node("east").running = true;
    world.run_for(10);
    assert_eq!(world.run().phase, Phase::Aborted, "{}", world.run().message);
    assert_eq!(world.writers(), [region("east")]);
}

#[test]
fn an_abort_before_the_pivot_undoes_the_fence() {
    let mut world = World::new(policy());
    world.run_for(5);
    world.hang = Some(|a| matches!(a, Action::Promote { .. }));
    world.request(RunKind::Switchover, None);
    // Stop right after the fence was seen: the standby falls behind, so that it cannot catch up.
    world.node("west").follows = None;
    world.node("west").position = 1;
    for _ in 0..10 {
        world.now = world.now.plus(Millis(100));
        world.pass();
    }
    if world.journal.run.as_ref().is_some_and(|r| r.phase.is_final()) {
        return;
    }
    let run = world.run().name.clone();
    let _ = world.wish(&Wish::Abort { run, by: "kim".into(), reason: "no".into() });
    let run = world.run_to_end();
    assert_eq!(run.phase, Phase::Aborted, "{}", run.message);
    assert_eq!(world.writers(), [region("east")]);
}

#[test]
fn an_abort_after_the_recorded_pivot_is_refused() {
    let mut world = World::new(policy());
    world.run_for(5);
    world.hang = Some(|a| matches!(a, Action::Promote { .. }));
    world.node("east").running = false;
    world.run_for(15);
    assert!(world.run().past_pivot());
    let run = world.run().name.clone();
    let refusal = world.wish(&Wish::Abort { run, by: "kim".into(), reason: "no".into() }).unwrap_err();
    assert_eq!(refusal.reason, "PastPointOfNoReturn");
}

#[test]
fn a_take_over_raises_the_term_before_anything_else() {
    let mut world = World::new(policy());
    world.run_for(5);
    world.hang = Some(|a| matches!(a, Action::Promote { .. }));
    world.node("east").running = false;
    world.run_for(10);
    let term = world.run().term;
    world.holder = "two".into();
    world.in_flight.clear();
    world.outcomes.clear();
    world.hang = None;
    world.pass();
    assert_eq!(world.last().rule, Rule::TookOver);
    assert!(world.last().effects.is_empty());
    assert_eq!(world.run().term, term.next());
    assert_eq!(world.run_to_end().phase, Phase::Completed);
}

#[test]
fn a_restart_uses_up_no_attempt_of_a_fence() {
    let mut once = policy();
    for way in &mut once.fences {
        way.attempts = 1;
    }
    let mut world = World::new(once);
    world.run_for(5);
    world.hang = Some(|a| matches!(a, Action::Fence { .. }));
    world.request(RunKind::Switchover, None);
    world.run_for(1);
    assert_eq!(world.count("Fence"), 1);
    world.holder = "two".into();
    world.in_flight.clear();
    world.outcomes.clear();
    world.hang = None;
    let run = world.run_to_end();
    assert_eq!(run.phase, Phase::Completed, "{}", run.message);
}

#[test]
fn a_foreign_mark_stops_everything_until_adopted() {
    let mut world = World::new(policy());
    world.run_for(5);
    let mark = Witness { owner: "other".into(), epoch: Epoch(9), term: Term(1), seq: Seq(1) };
    world.node("east").witness = Some(mark);
    world.run_for(2);
    assert_eq!(world.last().rule, Rule::ForeignOwner);
    world.wish(&Wish::Adopt { owner: "other".into(), by: "kim".into() }).unwrap();
    world.run_for(3);
    assert_ne!(world.last().rule, Rule::ForeignOwner);
}

#[test]
fn a_journal_from_yesterday_does_nothing_until_acknowledged() {
    let mut world = World::new(policy());
    world.run_for(5);
    let yesterday = world.journal.clone();
    world.request(RunKind::Switchover, None);
    world.run_for(1);
    world.run_to_end();
    world.run_for(10);
    world.journal = yesterday;
    world.applied.clear();
    world.run_for(5);
    assert_eq!(world.last().rule, Rule::JournalBehindTargets);
    assert!(world.applied.is_empty());
    world.wish(&Wish::Ack { by: "kim".into() }).unwrap();
    world.run_for(5);
    assert_eq!(world.journal.state.active_region, Some(region("west")));
    assert_eq!(world.last().rule, Rule::Stable);
}

#[test]
fn one_acknowledgement_counts_for_all_marks_of_the_term_that_it_was_given_for() {
    let mut world = World::new(policy());
    world.run_for(5);
    let owner = world.journal.state.owner.clone();
    let mark = |term, seq| Witness { owner: owner.clone(), epoch: Epoch(7), term: Term(term), seq: Seq(seq) };
    world.node("east").witness = Some(mark(2, 30));
    world.run_for(2);
    assert_eq!(world.last().rule, Rule::JournalBehindTargets);
    world.wish(&Wish::Ack { by: "kim".into() }).unwrap();
    world.node("east").witness = Some(mark(2, 31));
    world.run_for(3);
    assert_eq!(world.last().rule, Rule::Stable, "seen later, of the same term");

    world.node("east").witness = Some(mark(3, 1));
    world.run_for(2);
    assert_eq!(world.last().rule, Rule::Stable, "below the journal's own numbers of this term");
    world.node("east").witness = Some(mark(4, 1));
    world.run_for(2);
    assert_eq!(world.last().rule, Rule::JournalBehindTargets, "somebody acted in a later term");
}

#[test]
fn a_lost_target_after_the_pivot_goes_to_the_third_region() {
    let three = vec![region("east"), region("west"), region("north")];
    // The loss ends with the proof of the first fence: else it would have grown beyond this limit by the second run.
    let safety = Safety { max_estimated_loss: Some(Millis::from_secs(8)), ..policy().safety };
    let mut world = World::new(Policy { regions: three, safety, ..policy() });
    world.run_for(5);
    world.hang = Some(|a| matches!(a, Action::Promote { .. }));
    world.node("east").running = false;
    world.run_for(10);
    assert!(world.run().past_pivot());
    let first = world.run().to.clone();
    let outage = world.run().clock.first_failure;
    world.node(first.as_str()).running = false;
    world.hang = None;
    world.run_for(3);
    let third = if first == region("west") { region("north") } else { region("west") };
    world.run_for(5);
    let run = world.run_to_end().clone();
    assert_eq!((run.phase, &run.to), (Phase::Completed, &third), "{}", run.message);
    assert!(run.proofs.contains_key(&first), "the lost target was fenced too");
    assert_eq!(run.clock.first_failure, outage, "nobody was served in between: one outage");
    assert_eq!(world.writers(), [third]);
}

#[test]
fn a_lying_power_switch_is_believed_only_about_an_id_that_was_on() {
    let mut world = World::new(policy());
    world.journal.state.fence_ids.clear();
    world.power_lies = true;
    world.run_for(5);
    world.node("east").reachable = false;
    world.run_for(20);
    assert!(!world.journal.run.as_ref().is_some_and(Run::past_pivot), "{:?}", world.journal.run);
}

#[test]
fn the_cool_down_holds_the_next_verdict_back() {
    let mut world = World::new(policy());
    world.run_for(5);
    world.node("east").running = false;
    world.run_to_end();
    world.run_for(10);
    world.node("west").running = false;
    world.run_for(10);
    assert!(world.blocked().contains(&"CooldownOver"), "{:?}", world.blocked());
}

#[test]
fn the_dns_server_down_holds_the_flip_but_not_forever() {
    let mut world = World::new(policy());
    world.run_for(5);
    world.dns_up = false;
    world.node("east").running = false;
    world.run_for(20);
    assert!(world.run().clock.promoted.is_some());
    assert!(!world.run().phase.is_final());
    world.dns_up = true;
    assert_eq!(world.run_to_end().phase, Phase::Completed);
}

#[test]
fn observe_mode_only_says_what_it_would_do() {
    let mut world = World::new(policy());
    world.policy.mode = Mode::Observe;
    world.run_for(5);
    world.applied.clear();
    world.node("east").running = false;
    world.run_for(20);
    assert_eq!(world.last().rule, Rule::WouldFailOver);
    assert!(world.applied.is_empty() && world.journal.run.is_none());
}

#[test]
fn a_full_journal_and_a_foreign_claim_are_law() {
    let mut world = World::new(policy());
    world.run_for(5);
    world.journal_writable = Seen::Unknown("disk full".into());
    world.foreign_claims.insert("dns/shop".into(), "other".into());
    world.node("east").running = false;
    world.run_for(20);
    assert!(world.journal.run.is_none());
    let blocked = world.blocked();
    assert!(blocked.contains(&"JournalWritable") && blocked.contains(&"ClaimsHeld"), "{blocked:?}");
}

#[test]
fn two_writers_raise_split_brain_and_stop_automation() {
    let mut world = World::new(policy());
    world.run_for(5);
    let west = world.node("west");
    (west.writable, west.follows) = (true, None);
    world.run_for(2);
    assert_eq!(world.journal.state.conditions["SplitBrain"].reason, "SplitBrain");
    assert!(world.journal.state.needs_ack.is_some());
    world.node("east").running = false;
    world.run_for(20);
    assert!(world.journal.run.is_none());
}

#[test]
fn an_off_that_no_fence_was_answered_for_is_no_proof() {
    let mut world = World::new(policy());
    world.run_for(5);
    world.hang = Some(|a| matches!(a, Action::Fence { .. }));
    world.node("east").running = false;
    world.run_for(20);
    assert!(!world.run().past_pivot(), "a crashed host says off, and comes back by itself");
    // The shell kills what hangs at its deadline, and cannot know what it did.
    for _ in 0..12 {
        for seq in std::mem::take(&mut world.in_flight) {
            let outcome = Outcome::Failed(ErrorClass::UnknownOutcome, "killed at its deadline".into());
            world.outcomes.insert(seq, Fact::new(outcome, world.now.tick));
        }
        world.run_for(3);
    }
    assert_eq!(world.run().phase, Phase::AwaitingApproval, "{}", world.run().message);
    assert!(!world.run().past_pivot());
}

/// A switchover whose rejoin hook is at work in east.
fn rejoining() -> World {
    let mut world = World::new(policy());
    world.run_for(5);
    world.hang = Some(|a| matches!(a, Action::Rejoin { .. }));
    world.request(RunKind::Switchover, None);
    world.run_for(1);
    assert_eq!(world.run_to_end().phase, Phase::Completed);
    world.run_for(1);
    assert_eq!((world.count("Rejoin"), world.in_flight.len()), (1, 1));
    world
}

#[test]
fn a_second_rejoin_waits_until_the_hook_of_the_first_has_ended() {
    let mut world = rejoining();
    world.node("east").logins = true;
    world.run_for(5);
    assert!(!world.node("east").logins, "fenced again");
    assert_eq!(world.count("Rejoin"), 1, "two hooks on one node's files ruin them");
    world.hang = None;
    world.in_flight.clear();
    world.run_for(5);
    assert!(world.journal.state.outcasts.is_empty(), "{:?}", world.journal.state.outcasts);
}

#[test]
fn a_rejoin_that_takes_hours_is_looked_at_seldom_and_says_why_nothing_is_seen_of_it() {
    let mut world = rejoining();
    let soon = world.decide();
    assert_eq!((soon.rule, soon.wake_at), (Rule::RejoinAwaited, Some(world.now.tick.plus(Millis(1_000)))));
    world.node("east").reachable = false;
    world.run_for(130);
    let late = world.decide();
    assert_eq!((late.rule, late.wake_at), (Rule::RejoinAwaited, Some(world.now.tick.plus(Millis(10_000)))));
    assert!(late.message.contains("(orders in east: "), "{}", late.message);
}

#[test]
fn the_session_of_a_rejoin_hook_is_no_second_writer() {
    let mut world = rejoining();
    let fences = world.count("Fence");
    world.node("east").sessions = 1;
    world.run_for(3);
    assert_eq!((world.count("Fence"), &world.journal.state.needs_ack), (fences, &None));
    world.node("east").logins = true;
    world.run_for(3);
    assert!(world.count("Fence") > fences, "a write of the application is one");
}

/// A failover is over, and its old primary waits fenced, with nothing that would rejoin it.
fn fenced() -> World {
    let mut policy = policy();
    for item in &mut policy.data {
        item.can_rejoin = false;
    }
    let mut world = World::new(policy);
    world.run_for(5);
    world.request(RunKind::Switchover, None);
    world.run_to_end();
    world.run_for(3);
    assert!(world.journal.state.outcasts.contains_key(&region("east")), "{:?}", world.journal.state);
    world
}

#[test]
fn a_persons_session_on_a_fenced_node_is_a_second_writer_only_if_it_writes() {
    let mut world = fenced();
    let fences = world.count("Fence");
    world.node("east").sessions = 1;
    world.run_for(3);
    assert_eq!((world.count("Fence"), &world.journal.state.needs_ack), (fences, &None));
    world.node("east").moving = true;
    world.run_for(3);
    assert!(world.count("Fence") > fences && world.journal.state.needs_ack.is_some());
}

#[test]
fn a_clean_up_of_the_server_itself_on_a_fenced_node_is_no_second_writer() {
    let mut world = fenced();
    let fences = world.count("Fence");
    world.node("east").moving = true;
    world.run_for(3);
    assert_eq!((world.count("Fence"), &world.journal.state.needs_ack), (fences, &None));
}

#[test]
fn a_hook_that_says_off_while_the_database_takes_writes_is_not_believed() {
    let only_power = policy().fences.into_iter().filter(|f| f.kind == FenceKind::Hook).collect();
    let mut world = World::new(Policy { fences: only_power, ..policy() });
    world.run_for(5);
    world.hang = None;
    world.request(RunKind::Failover, None);
    world.power_lies = true;
    for _ in 0..20 {
        world.now = world.now.plus(Millis(100));
        // The hook answers well and does nothing.
        let decision = world.decide();
        world.journal = decision.next.clone();
        for effect in &decision.effects {
            if let Action::Fence { .. } = effect.action {
                world.outcomes.insert(effect.seq, Fact::new(Outcome::Issued(None), world.now.tick));
            } else {
                world.apply(effect);
            }
        }
        world.decisions.push(decision);
    }
    assert!(!world.run().past_pivot(), "{}", world.run().message);
    assert_eq!(world.writers(), [region("east")]);
}

fn raising(world: &World) -> Step {
    let steps = &world.run().steps;
    steps.iter().find(|s| s.key == StepKey::RaiseWitness(item("orders"))).expect("it is planned").clone()
}

#[test]
fn a_failover_does_not_call_on_a_database_that_this_pass_has_not_heard_of() {
    let mut world = World::new(policy());
    world.node("east").reachable = false;
    // The look that would tell is still under way: the one before it is a second old, and knew a writer.
    while world.journal.run.as_ref().is_none_or(|run| run.clock.decided.is_none()) {
        world.late = Some((region("east"), world.now.tick));
        world.run_for(1);
    }
    let step = raising(&world);
    assert_eq!((step.state, step.attempts), (StepState::Skipped, 0), "{}", step.saw);
    assert!(step.saw.contains("silent since it was last seen"), "{}", step.saw);
}

#[test]
fn a_failover_gives_the_witness_up_once_the_old_primary_is_silent() {
    let mut world = World::new(policy());
    world.hang = Some(|a| matches!(a, Action::OpenWriter { region, .. } if region.as_str() == "east"));
    world.request(RunKind::Failover, None);
    world.run_for(1);
    let seq = raising(&world).seq.expect("it was asked for while east answered");
    world.node("east").reachable = false;
    world.run_for(1);
    assert_eq!(raising(&world).state, StepState::Intended, "the call is still under way");
    world.in_flight.clear();
    let late = Outcome::Failed(ErrorClass::UnknownOutcome, "no answer in time".to_owned());
    world.outcomes.insert(seq, Fact::new(late, world.now.tick));
    world.run_for(1);
    let step = raising(&world);
    assert_eq!((step.state, step.attempts), (StepState::Skipped, 1), "{}", step.saw);
}

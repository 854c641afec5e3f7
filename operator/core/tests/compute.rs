//! The target's workloads: asked for early, awaited before traffic, given back afterwards.
#![allow(clippy::wildcard_imports, clippy::panic)]

mod world;

use muster_core::effect::Action;
use muster_core::facts::*;
use muster_core::journal::*;
use muster_core::policy::*;
use muster_core::time::*;
use muster_core::wish::Wish;
use world::*;

fn web() -> ComputeItem {
    ComputeItem {
        name: item("web"),
        claims: std::collections::BTreeSet::new(),
        to: ScaleTo::PercentOfPeak { percent: 100, at_least: 1 },
        standby: None,
        ready_before_fence: true,
        expected_ready: Millis::from_secs(30),
        ready_timeout: Millis::from_secs(10),
    }
}

fn with_web() -> Policy {
    Policy { compute: vec![web()], ..policy() }
}

fn order_of(world: &World) -> Vec<&'static str> {
    world.applied.iter().map(|effect| effect.action.kind()).collect()
}

fn place(order: &[&str], kind: &str) -> usize {
    order.iter().position(|k| *k == kind).unwrap_or_else(|| panic!("no {kind} in {order:?}"))
}

fn step<'a>(run: &'a Run, key: &StepKey) -> &'a Step {
    run.steps.iter().find(|step| step.key == *key).expect("the plan has the step")
}

#[test]
fn a_failover_scales_the_target_to_the_peak_of_the_dead_region_before_it_fences() {
    let mut world = World::new(with_web());
    world.pods("east").wanted = 8;
    world.run_for(3);
    world.pods("east").wanted = 6;
    world.run_for(3);
    world.pods("east").answers = false;
    world.node("east").running = false;
    let run = world.run_to_end().clone();
    assert_eq!(run.phase, Phase::Completed, "{}", run.message);
    assert_eq!(world.pods[&region("west")].wanted, 8, "the peak, not what ran last");
    let order = order_of(&world);
    assert!(place(&order, "Scale") < place(&order, "Fence"), "{order:?}");
    assert!(step(&run, &StepKey::AwaitCompute(item("web"))).saw.contains("8 of 8 ready"));
    assert!(run.clock.scaled <= run.clock.flipped && run.clock.scaled.is_some());
}

#[test]
fn a_cluster_that_is_silent_delays_neither_fence_nor_promotion_and_is_asked_again() {
    let mut world = World::new(with_web());
    world.pods("west").answers = false;
    world.node("east").running = false;
    for _ in 0..30 {
        world.run_for(1);
        if world.journal.run.as_ref().is_some_and(|run| run.clock.promoted.is_some()) {
            break;
        }
    }
    let run = world.run().clone();
    let fenced = run.clock.fenced.expect("fenced").since(&run.clock.decided.expect("decided"));
    assert!(fenced.is_some_and(|took| took < Millis(1_000)), "{fenced:?}");
    world.pods("west").answers = true;
    let run = world.run_to_end().clone();
    assert_eq!((run.phase, world.pods[&region("west")].wanted), (Phase::Completed, 5), "{}", run.message);
    assert_eq!(step(&run, &StepKey::ScaleCompute(item("web"))).state, StepState::Skipped);
}

#[test]
fn pods_that_never_come_hold_traffic_up_only_so_long_and_it_is_said() {
    let mut world = World::new(with_web());
    world.pods("west").starts = false;
    world.node("east").running = false;
    let run = world.run_to_end().clone();
    assert_eq!(run.phase, Phase::Completed, "{}", run.message);
    let awaited = step(&run, &StepKey::AwaitCompute(item("web")));
    assert!(awaited.saw.contains("2 of 5 ready within 10.0 s; traffic moves"), "{}", awaited.saw);
    let told =
        world.decisions.iter().flat_map(|d| &d.events).any(|e| e.warning && e.reason == "ComputeShort");
    assert!(told && world.points_to == region("west"));
}

#[test]
fn a_planned_run_fences_nobody_before_the_pods_are_ready() {
    let mut world = World::new(with_web());
    world.pods("west").starts = false;
    world.request(RunKind::Switchover, Some("west"));
    let run = world.run_to_end().clone();
    assert_eq!((run.phase, &world.writers()), (Phase::Aborted, &vec![region("east")]), "{}", run.message);
    assert!(!order_of(&world).contains(&"Fence"));
    world.run_for(5);
    assert_eq!(world.pods[&region("west")].wanted, 2, "what the aborted run took is given back");
}

#[test]
fn an_application_that_needs_a_writer_to_be_ready_is_not_waited_for_before_the_fence() {
    let item = ComputeItem { ready_before_fence: false, ..web() };
    let mut world = World::new(Policy { compute: vec![item], ..policy() });
    world.pods("west").starts = false;
    world.request(RunKind::Switchover, Some("west"));
    world.run_for(3);
    assert!(order_of(&world).contains(&"Promote"), "{:?}", world.run().message);
    world.pods("west").starts = true;
    assert_eq!(world.run_to_end().phase, Phase::Completed);
}

#[test]
fn each_region_gets_its_own_size_back_once_it_stands_by_again() {
    let mut world = World::new(with_web());
    world.node("east").running = false;
    assert_eq!(world.run_to_end().phase, Phase::Completed);
    world.run_for(10);
    assert_eq!(world.pods[&region("west")].wanted, 5, "the active region keeps what it has");
    world.request(RunKind::Failback, Some("east"));
    assert_eq!(world.run_to_end().phase, Phase::Completed);
    world.run_for(10);
    let pods = &world.pods;
    assert_eq!((pods[&region("east")].wanted, pods[&region("west")].wanted), (5, 2));
    assert_eq!(pods[&region("west")].before, None);
}

#[test]
fn a_pilot_light_goes_back_to_none() {
    let item = ComputeItem { standby: Some(0), ready_before_fence: false, ..web() };
    let mut world = World::new(Policy { compute: vec![item], ..policy() });
    *world.pods("west") = Pods::new(0);
    world.request(RunKind::Switchover, Some("west"));
    assert_eq!(world.run_to_end().phase, Phase::Completed);
    assert_eq!(world.pods[&region("west")].ready, 5);
    world.run_for(10);
    world.request(RunKind::Switchover, Some("east"));
    assert_eq!(world.run_to_end().phase, Phase::Completed);
    world.run_for(10);
    assert_eq!(world.pods[&region("west")].wanted, 0);
}

#[test]
fn an_autoscaler_allows_what_it_allows() {
    let mut world = World::new(with_web());
    world.pods("west").autoscaler = Some(Autoscaler { min: 2, max: 4 });
    world.run_for(2);
    let condition = &world.journal.state.conditions["Scalable"];
    assert!(!condition.ok && condition.message.contains("allows 4 of the 5"), "{}", condition.message);
    world.request(RunKind::Switchover, Some("west"));
    let run = world.run_to_end().clone();
    assert_eq!(run.phase, Phase::Completed, "{}", run.message);
    assert!(step(&run, &StepKey::AwaitCompute(item("web"))).saw.contains("allows no more than 4"));
}

#[test]
fn who_else_sets_the_replicas_is_named_before_the_day() {
    let mut world = World::new(with_web());
    world.pods("west").keeper = Some("argocd-controller".into());
    world.run_for(2);
    let condition = &world.journal.state.conditions["Scalable"];
    assert_eq!((condition.ok, condition.reason.as_str()), (false, "ScaleHindered"));
    assert!(condition.message.contains("argocd-controller"), "{}", condition.message);
}

#[test]
fn the_peak_is_the_days_and_outlives_its_region_and_a_restart() {
    let mut world = World::new(with_web());
    world.pods("east").wanted = 9;
    world.run_for(2);
    world.pods("east").wanted = 3;
    world.run_for(2);
    assert_eq!(world.journal.state.peaks[&item("web")].replicas, 9);
    world.now = world.now.plus(Millis(25 * 3_600_000));
    world.pass();
    assert_eq!(world.journal.state.peaks[&item("web")].replicas, 3, "yesterday's is over");
}

#[test]
fn a_stable_world_with_workloads_causes_no_writes() {
    let mut world = World::new(with_web());
    world.run_for(5);
    let before = world.journal.clone();
    world.run_for(60);
    assert_eq!(before, world.journal);
}

fn fenced_by_pods() -> Policy {
    let by_scale = FenceWay {
        name: item("pods"),
        kind: FenceKind::Scale,
        proof: ProofClass::Attested,
        timeout: Millis::from_secs(2),
        attempts: 2,
    };
    Policy { fences: vec![policy().fences[0].clone(), by_scale], ..with_web() }
}

#[test]
fn workloads_at_zero_prove_a_silent_database_fenced_and_come_back_with_the_region() {
    let mut world = World::new(fenced_by_pods());
    // The database is cut off from Muster; the region's cluster answers.
    world.node("east").reachable = false;
    let run = world.run_to_end().clone();
    assert_eq!(run.phase, Phase::Completed, "{}", run.message);
    assert_eq!(run.proofs[&region("east")].class, ProofClass::Attested);
    assert_eq!(world.pods[&region("east")].wanted, 0);
    // Muster fences it again when it answers as a writer, and its hook brings it back.
    world.node("east").reachable = true;
    world.run_for(30);
    assert!(world.journal.state.outcasts.is_empty(), "{:?}", world.journal.state.outcasts);
    assert_eq!(world.pods[&region("east")].wanted, 5, "a standby again, at the size that it had");
}

#[test]
fn a_database_that_answers_open_is_not_fenced_by_workloads_at_zero() {
    let only = Policy { fences: fenced_by_pods().fences.split_off(1), ..fenced_by_pods() };
    let mut world = World::new(only);
    world.request(RunKind::Failover, Some("west"));
    world.run_for(20);
    assert!(!world.run().past_pivot(), "its own word outweighs what the cluster says of its clients");
}

#[test]
fn a_target_whose_pilot_light_is_out_is_not_taken_for_lost() {
    let item = ComputeItem { standby: Some(0), ..web() };
    let mut world = World::new(Policy { compute: vec![item], ..fenced_by_pods() });
    world.run_for(3);
    *world.pods("west") = Pods::new(0);
    world.hang = Some(|action| matches!(action, Action::Promote { .. } | Action::Scale { .. }));
    world.node("east").reachable = false;
    for _ in 0..30 {
        world.run_for(1);
        if world.journal.run.as_ref().is_some_and(Run::past_pivot) {
            break;
        }
    }
    assert!(world.run().past_pivot());
    world.node("west").reachable = false;
    world.run_for(5);
    assert_eq!(world.run().outcome, None, "{}", world.run().message);
}

#[test]
fn an_aborted_fence_by_scale_gives_back_what_ran_not_what_a_standby_had() {
    let mut world = World::new(fenced_by_pods());
    world.node("east").reachable = false;
    assert_eq!(world.run_to_end().phase, Phase::Completed);
    world.node("east").reachable = true;
    world.run_for(70);
    world.wish(&Wish::Ack { by: "kim".into() }).expect("the wish is taken");
    assert_eq!(world.pods[&region("west")].before, Some(2), "a standby's size, for later");
    // West is the active one, and is lost to Muster alone; its pods do not end, so nothing is proved.
    world.node("west").reachable = false;
    (world.pods("west").wanted, world.pods("west").ends) = (8, false);
    for _ in 0..20 {
        world.run_for(1);
        if world.pods[&region("west")].wanted == 0 {
            break;
        }
    }
    assert_eq!(world.pods[&region("west")].fenced, Some(8), "{}", world.last().message);
    assert!(!world.run().past_pivot(), "{}", world.run().message);
    let (run, by, reason) = (world.run().name.clone(), "kim".into(), "a test".into());
    world.wish(&Wish::Abort { run, by, reason }).expect("the wish is taken");
    world.node("west").reachable = true;
    let run = world.run_to_end().clone();
    assert_eq!(run.phase, Phase::Aborted, "{}", run.message);
    assert_eq!((world.pods[&region("west")].wanted, world.pods[&region("west")].before), (8, Some(2)));
}

#[test]
fn a_planned_run_does_not_go_on_because_the_targets_cluster_is_silent() {
    let mut world = World::new(with_web());
    world.pods("west").answers = false;
    world.run_for(3);
    world.request(RunKind::Switchover, Some("west"));
    world.run_for(5);
    assert!(world.blocked().contains(&"ComputeReady"), "{:?}", world.blocked());
    let run = world.run_to_end().clone();
    assert_eq!((run.phase, world.writers()), (Phase::Aborted, vec![region("east")]), "{}", run.message);
    assert!(!order_of(&world).contains(&"Fence"));
}

#[test]
fn a_way_that_crashed_off_attests_nothing_because_another_one_was_answered() {
    let by_pods = fenced_by_pods().fences.remove(1);
    let fences = vec![policy().fences.remove(1), by_pods];
    let safety = Safety { max_estimated_loss: None, ..policy().safety };
    let mut world = World::new(Policy { fences, safety, ..with_web() });
    // The machines crashed: power says off, and never takes a fence. The pods' fence is taken, and they do not end.
    world.power_refuses = true;
    world.pods("east").ends = false;
    world.node("east").running = false;
    world.run_for(40);
    assert!(
        world.run().steps.iter().any(|s| s.answered.contains_key(&item("pods"))),
        "{:?}",
        world.run().steps
    );
    assert!(!world.run().past_pivot(), "{:?}", world.run().proofs);
    world.pods("east").ends = true;
    let run = world.run_to_end().clone();
    assert_eq!(run.phase, Phase::Completed, "what is attested late still counts: {}", run.message);
}

#[test]
fn a_region_that_a_restored_journal_forgot_is_not_scaled_up_again() {
    let mut world = World::new(fenced_by_pods());
    let before = world.journal.clone();
    world.node("east").reachable = false;
    assert_eq!(world.run_to_end().phase, Phase::Completed);
    assert_eq!(world.pods[&region("east")].wanted, 0);
    // Yesterday's journal knows of no fence; a person vouches for what is seen. East's database is writable still.
    world.journal = before;
    world.run_for(3);
    assert!(world.blocked().contains(&"JournalBehindTargets"), "{:?}", world.blocked());
    world.wish(&Wish::Ack { by: "kim".into() }).expect("the wish is taken");
    world.run_for(20);
    assert_eq!(world.journal.state.active_region, Some(region("west")));
    assert_eq!(
        world.pods[&region("east")].wanted,
        0,
        "pods at zero may be all that keeps it from being written"
    );
}

#[test]
fn two_kubeconfigs_of_one_cluster_are_noticed_and_nothing_is_scaled_there() {
    let mut world = World::new(fenced_by_pods());
    world.pods("west").id = world.pods[&region("east")].id.clone();
    world.run_for(2);
    let condition = &world.journal.state.conditions["Scalable"];
    assert!(!condition.ok && condition.message.contains("very workload"), "{}", condition.message);
    world.node("east").reachable = false;
    world.run_for(20);
    let scaled = ["Scale", "Restore"].iter().any(|kind| order_of(&world).contains(kind));
    let fenced = world
        .applied
        .iter()
        .any(|e| matches!(&e.action, Action::Fence { way, .. } if way.as_str() == "pods"));
    assert!(!scaled && !fenced, "{:?}", order_of(&world));
}

#[test]
fn at_the_point_of_no_return_only_a_way_that_was_answered_attests_again() {
    let fences = vec![fenced_by_pods().fences.remove(1), policy().fences.remove(1)];
    let mut world = World::new(Policy { fences, ..with_web() });
    // The machines crashed, so power says off without having been asked; the pods prove the fence.
    world.pods("east").ends = false;
    world.node("east").running = false;
    for _ in 0..30 {
        world.run_for(1);
        if order_of(&world).contains(&"Fence") {
            break;
        }
    }
    world.journal_writable = Seen::Unknown("full".into());
    world.pods("east").ends = true;
    world.run_for(1);
    assert!(!world.run().proofs.is_empty() && !world.run().past_pivot(), "{}", world.run().message);
    // Somebody scales them up again right then.
    (world.pods("east").wanted, world.pods("east").ready) = (5, 5);
    world.journal_writable = Seen::Known(());
    world.pass();
    assert!(!world.run().past_pivot(), "{:?}", world.run().proofs);
}

#[test]
fn a_target_that_stands_in_for_another_one_is_asked_for_its_own_replicas() {
    let three = vec![region("east"), region("west"), region("north")];
    let mut world = World::new(Policy { regions: three, ..with_web() });
    world.hang = Some(|action| matches!(action, Action::Scale { .. }));
    world.node("east").running = false;
    // Before anything was promoted.
    let asked = |world: &World| -> std::collections::BTreeSet<String> {
        let effects = world.decisions.iter().flat_map(|decision| &decision.effects);
        let early = effects.take_while(|e| !matches!(e.action, Action::Promote { .. }));
        let regions = early.filter_map(|e| match &e.action {
            Action::Scale { region, .. } => Some(region.to_string()),
            _ => None,
        });
        regions.collect()
    };
    for _ in 0..30 {
        world.run_for(1);
        if !asked(&world).is_empty() {
            break;
        }
    }
    let first = world.run().to.clone();
    world.nodes.get_mut(&first).expect("a region").running = false;
    world.hang = None;
    world.run_for(15);
    assert_ne!(world.run().to, first, "{}", world.run().message);
    assert_eq!(asked(&world).len(), 2, "{:?}", asked(&world));
}

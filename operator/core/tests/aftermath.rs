//! What happens around runs: regions that come back, runs that cannot go on, and what people did by hand.
#![allow(clippy::wildcard_imports)]

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

fn three_regions() -> Policy {
    Policy { regions: vec![region("east"), region("west"), region("north")], ..policy() }
}

/// East was failed over to west and is dark.
fn failed_over(policy: Policy) -> World {
    let mut world = World::new(policy);
    world.run_for(5);
    world.hang = Some(|a| matches!(a, Action::Rejoin { .. }));
    world.node("east").running = false;
    assert_eq!(world.run_to_end().phase, Phase::Completed);
    assert!(world.journal.state.outcasts.contains_key(&region("east")));
    world.in_flight.clear();
    world
}

/// The dark primary boots by itself, as it was.
fn boot_writable(world: &mut World, name: &str) {
    let node = world.node(name);
    (node.running, node.reachable, node.writable, node.logins, node.follows) = (true, true, true, true, None);
}

#[test]
fn a_cast_out_region_is_fenced_again_while_a_run_waits() {
    let mut world = failed_over(policy());
    world.request(RunKind::Failback, Some("east"));
    world.run_for(2);
    assert!(!world.run().phase.is_final() && !world.run().past_pivot(), "it waits: east is dark");
    boot_writable(&mut world, "east");
    world.run_for(3);
    assert_eq!(world.writers(), [region("west")], "{:?}", world.journal.state.outcasts);
}

#[test]
fn a_failback_that_waits_lets_the_region_rejoin_and_goes_on() {
    let mut world = failed_over(policy());
    world.request(RunKind::Failback, Some("east"));
    world.run_for(2);
    world.hang = None;
    world.in_flight.clear();
    boot_writable(&mut world, "east");
    let run = world.run_to_end().clone();
    assert_eq!((run.phase, &run.to), (Phase::Completed, &region("east")), "{}", run.message);
    assert_eq!(world.writers(), [region("east")]);
}

#[test]
fn a_person_cannot_promote_past_a_second_writer() {
    let mut world = failed_over(three_regions());
    world.node("north").follows = Some(region("west"));
    world.run_for(2);
    boot_writable(&mut world, "east");
    world.hang = Some(|a| matches!(a, Action::Fence { region, .. } if region.as_str() == "east"));
    world.run_for(1);
    assert!(world.journal.state.may_be_writable.contains(&region("east")), "it is seen to write");
    world.request(RunKind::Failover, Some("north"));
    world.run_for(20);
    assert!(!world.run().past_pivot(), "{}: {:?}", world.run().message, world.writers());
    assert!(!world.node("north").writable);
}

#[test]
fn silence_does_not_close_a_region_that_was_fenced_again() {
    let mut world = failed_over(policy());
    world.power_reachable = false;
    boot_writable(&mut world, "east");
    world.hang = Some(|a| matches!(a, Action::Fence { .. } | Action::Rejoin { .. }));
    world.run_for(1);
    world.node("east").reachable = false;
    world.run_for(10);
    let state = &world.journal.state;
    assert!(state.may_be_writable.contains(&region("east")), "nothing proves that it is closed");
    assert!(state.outcasts[&region("east")].work.is_some(), "{:?}", state.outcasts);
}

#[test]
fn the_limit_of_the_loss_holds_by_its_upper_bound_without_a_fence_too() {
    let mut world = World::new(policy());
    world.run_for(5);
    world.node("east").reachable = false;
    world.power_reachable = false;
    world.run_for(20);
    let approval = world.approval(&["Fenced"]);
    world.approve(Approval { max_loss: Some(Millis::from_secs(5)), ..approval });
    world.run_for(10);
    assert!(!world.run().past_pivot(), "twenty seconds of unseen writes are more than five");
    assert!(world.blocked().contains(&"EstimatedLoss"), "{:?}", world.blocked());
}

#[test]
fn a_standby_that_missed_the_last_promotion_is_not_taken_without_a_person() {
    let mut policy = three_regions();
    policy.safety.cooldown = Millis(0);
    let mut world = World::new(policy);
    world.run_for(5);
    world.hang = Some(|a| matches!(a, Action::Rejoin { .. }));
    world.node("north").follows = None;
    world.run_for(1);
    world.request(RunKind::Failover, Some("west"));
    world.run_for(1);
    world.run_to_end();
    world.run_for(3);
    assert_eq!(world.journal.state.conditions["Replicating"].reason, "StandbyIdle");
    world.node("east").running = false;
    world.node("west").running = false;
    world.run_for(20);
    assert!(!world.node("north").writable, "it lacks all that west has written");
    assert!(world.blocked().contains(&"TargetCurrent"), "{:?}", world.blocked());
}

#[test]
fn other_data_is_refused_also_while_the_writer_is_silent() {
    let mut world = World::new(policy());
    world.run_for(5);
    let known = world.journal.state.lineage.get_mut(&item("orders")).expect("the writer was seen");
    known.system = "another".into();
    world.node("east").running = false;
    world.run_for(20);
    assert!(world.journal.run.is_none());
    assert!(world.blocked().contains(&"TargetFit"), "{:?}", world.blocked());
}

#[test]
fn after_adopting_a_failover_works() {
    let mut world = World::new(policy());
    let mark = Witness { owner: "other".into(), epoch: Epoch(9), term: Term(4), seq: Seq(77) };
    for node in world.nodes.values_mut() {
        node.witness = Some(mark.clone());
    }
    world.dns_witness = Some(mark);
    world.run_for(2);
    assert_eq!(world.last().rule, Rule::ForeignOwner);
    world.wish(&Wish::Adopt { owner: "other".into(), by: "kim".into() }).expect("it is taken");
    world.run_for(3);
    assert_eq!(world.last().rule, Rule::Stable, "{}", world.last().message);
    world.node("east").running = false;
    let run = world.run_to_end();
    assert_eq!(run.phase, Phase::Completed, "{}", run.message);
}

#[test]
fn a_reboot_past_the_point_of_no_return_does_not_freeze_the_run() {
    let mut world = World::new(policy());
    world.now.tick = Tick(900_000_000);
    world.book.streaks.clear();
    world.run_for(5);
    world.policy.public_probe = Some(PublicProbe { every: Millis(1000), timeout: Millis(500), successes: 4 });
    world.node("east").running = false;
    for _ in 0..40 {
        world.run_for(1);
        if world.journal.run.as_ref().is_some_and(|run| run.phase == Phase::Verifying) {
            break;
        }
    }
    assert_eq!(world.run().phase, Phase::Verifying);
    world.now = Stamp { boot: BootId(8), tick: Tick(5_000), ..world.now };
    (world.public_ok, world.public_since) = (0, None);
    world.book.streaks.clear();
    world.holder = "two".into();
    world.in_flight.clear();
    world.outcomes.clear();
    let run = world.run_to_end();
    assert_eq!(run.phase, Phase::Completed, "{}", run.message);
}

#[test]
fn a_primary_that_dies_in_a_switchover_can_be_failed_over() {
    let mut world = World::new(policy());
    world.run_for(5);
    world.hang = Some(|a| matches!(a, Action::Promote { .. }));
    world.request(RunKind::Switchover, None);
    // Fenced, and then the standby cannot catch up.
    world.node("west").follows = None;
    world.node("west").position = 1;
    world.run_for(1);
    world.node("west").follows = Some(region("east"));
    world.node("east").running = false;
    for _ in 0..90 {
        world.run_for(1);
        world.in_flight.clear();
        if world.journal.run.as_ref().is_some_and(|r| r.kind == RunKind::Failover) {
            break;
        }
    }
    world.hang = None;
    let run = world.run_to_end().clone();
    assert_eq!((run.kind, run.phase), (RunKind::Failover, Phase::Completed), "{} {}", run.name, run.message);
    assert_eq!(world.writers(), [region("west")]);
}

#[test]
fn what_an_ended_run_could_not_undo_is_undone_when_the_region_answers() {
    let mut policy = policy();
    policy.mode = Mode::Approve;
    let mut world = World::new(policy);
    world.run_for(5);
    world.node("west").follows = None;
    world.node("west").position = 1;
    world.request(RunKind::Failover, Some("west"));
    world.run_for(1);
    let approval = world.approval(&["EstimatedLoss"]);
    world.journal_writable = Seen::Known(());
    world.hang = Some(|a| matches!(a, Action::Promote { .. } | Action::Unfence { .. }));
    world.approve(approval);
    for _ in 0..3 {
        world.now = world.now.plus(Millis(100));
        world.pass();
        if world.run().steps.iter().any(|s| !s.tried.is_empty()) {
            break;
        }
    }
    let run = world.run().name.clone();
    if world.run().past_pivot() {
        return;
    }
    world.wish(&Wish::Abort { run, by: "kim".into(), reason: "no".into() }).expect("before the pivot");
    world.node("east").reachable = false;
    for _ in 0..60 {
        world.run_for(1);
        world.in_flight.clear();
        if world.run().phase.is_final() {
            break;
        }
    }
    assert_eq!(world.run().phase, Phase::Failed, "{}", world.run().message);
    assert!(!world.node("east").logins);
    world.node("east").reachable = true;
    world.hang = None;
    world.run_for(5);
    assert_eq!(world.writers(), [region("east")]);
    assert!(world.journal.state.outcasts.is_empty(), "{:?}", world.journal.state.outcasts);
}

#[test]
fn a_planned_run_that_waits_gives_way_to_a_failover() {
    let mut world = World::new(policy());
    world.run_for(5);
    world.policy.mode = Mode::Approve;
    world.request(RunKind::Switchover, None);
    world.run_for(3);
    assert_eq!(world.run().phase, Phase::AwaitingApproval);
    world.policy.mode = Mode::Automatic;
    world.node("east").running = false;
    for _ in 0..30 {
        world.run_for(1);
        if world.run().kind == RunKind::Failover && world.run().phase.is_final() {
            break;
        }
    }
    assert_eq!((world.run().kind, world.run().phase), (RunKind::Failover, Phase::Completed));
}

#[test]
fn an_unfit_target_is_given_up_for_a_fit_one_before_the_point_of_no_return() {
    let mut world = World::new(three_regions());
    world.run_for(5);
    world.hang = Some(|a| matches!(a, Action::Fence { .. }));
    world.node("east").running = false;
    for _ in 0..20 {
        world.run_for(1);
        if world.journal.run.is_some() {
            break;
        }
    }
    let first = world.run().to.clone();
    world.node(first.as_str()).running = false;
    world.hang = None;
    world.in_flight.clear();
    let run = world.run_to_end().clone();
    assert_eq!(run.phase, Phase::Completed, "{}", run.message);
    assert_ne!(run.to, first);
    assert_eq!(world.writers(), [run.to]);
    assert_eq!(world.journal.state.epoch, run.epoch, "one run did it");
}

#[test]
fn a_region_promoted_by_hand_is_the_active_one_after_an_ack() {
    let mut world = World::new(Policy { mode: Mode::Approve, ..policy() });
    world.run_for(5);
    world.hang = Some(|a| matches!(a, Action::Rejoin { .. }));
    world.node("east").running = false;
    let west = world.node("west");
    (west.writable, west.follows, west.timeline) = (true, None, 2);
    world.run_for(3);
    assert_eq!(world.journal.state.active_region, Some(region("east")));
    assert!(world.journal.state.needs_ack.is_some());
    world.wish(&Wish::Ack { by: "kim".into() }).expect("it is taken");
    world.run_for(3);
    assert_eq!(world.journal.state.active_region, Some(region("west")));
    boot_writable(&mut world, "east");
    world.run_for(3);
    assert_eq!(world.writers(), [region("west")], "the old primary is fenced when it comes back");
}

#[test]
fn an_ack_does_not_choose_between_two_that_write() {
    let mut world = World::new(policy());
    world.run_for(5);
    let west = world.node("west");
    (west.writable, west.follows) = (true, None);
    world.run_for(3);
    world.wish(&Wish::Ack { by: "kim".into() }).expect("it is taken");
    world.run_for(3);
    assert_eq!(world.journal.state.active_region, Some(region("east")));
    assert!(!world.journal.state.relearn);
}

#[test]
fn a_closed_role_that_could_not_be_tried_is_neither_open_nor_closed() {
    let view = ClosedView { role_closed: true, position_still: true, ..ClosedView::default() };
    assert!(!view.is_open() && !view.is_closed());
    let refused = ClosedView { app_write_refused: Some(true), ..view };
    assert!(!refused.is_open() && refused.is_closed());
    assert!(ClosedView::default().is_open());
}

#[test]
fn consent_from_before_a_reboot_is_asked_for_again() {
    let mut world = World::new(Policy { mode: Mode::Approve, ..policy() });
    world.run_for(5);
    world.foreign_claims.insert("dns/shop".into(), "other".into());
    world.request(RunKind::Switchover, None);
    world.foreign_claims.clear();
    world.run_for(1);
    world.journal_writable = Seen::Unknown("busy".into());
    world.approve(world.approval(&[]));
    world.now.boot = BootId(9);
    world.holder = "two".into();
    world.journal_writable = Seen::Known(());
    world.run_for(3);
    assert_eq!(world.run().phase, Phase::AwaitingApproval, "{}", world.run().message);
}

#[test]
fn a_rejoin_of_a_region_follows_the_writer_that_there_is_by_then() {
    let three = vec![region("east"), region("west"), region("north")];
    let safety = Safety { max_estimated_loss: Some(Millis::from_secs(600)), ..policy().safety };
    let mut world = World::new(Policy { regions: three, safety, ..policy() });
    world.run_for(5);
    world.hang = Some(|a| matches!(a, Action::Rejoin { .. }));
    world.node("east").running = false;
    assert_eq!(world.run_to_end().phase, Phase::Completed);
    world.run_for(5);
    let first = world.run().to.clone();
    let asked_to_follow = |world: &World| {
        let mut rejoins = world.decisions.iter().flat_map(|d| &d.effects).filter_map(|e| match &e.action {
            Action::Rejoin { region, follow, .. } if region.as_str() == "east" => Some(follow.clone()),
            _ => None,
        });
        rejoins.next_back()
    };
    assert_eq!(asked_to_follow(&world), Some(first.clone()));
    world.in_flight.clear();
    let other = if first == region("west") { "north" } else { "west" };
    world.node(other).follows = Some(first.clone());
    world.run_for(5);
    world.request(RunKind::Switchover, Some(other));
    for _ in 0..60 {
        world.run_for(1);
        world.in_flight.clear();
        if world.run().from == first && world.run().phase.is_final() {
            break;
        }
    }
    let second = world.run().to.clone();
    assert_eq!((world.run().phase, &world.run().from), (Phase::Completed, &first), "{}", world.run().message);
    world.run_for(10);
    assert_eq!(asked_to_follow(&world), Some(second));
}

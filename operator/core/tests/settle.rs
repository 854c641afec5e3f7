//! Public names that hang on what a flip has set, until they are settled, and what is told of a name that is not as it was left.

mod world;

use muster_core::journal::{Phase, RunKind};
use muster_core::policy::{Mode, TrafficItem};
use muster_core::time::{BootId, Stamp, Tick};
use world::{World, item, policy, region};

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
    assert_eq!(world.events("SettleFailed"), 1);
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

const WELL: (bool, &str, &str) = (true, "TrafficReady", "every public name is as Muster left it");

fn traffic_ready(world: &World) -> (bool, &str, &str) {
    let condition = &world.journal.state.conditions["TrafficReady"];
    (condition.ok, condition.reason.as_str(), condition.message.as_str())
}

#[test]
fn what_is_wrong_with_a_name_is_told_until_it_is_mended_and_written_once() {
    let mut world = World::new(policy());
    world.run_for(5);
    assert_eq!(traffic_ready(&world), WELL);
    world.traffic_drift = Some("another writer: A 127.0.9.9 stands there".into());
    world.run_for(1);
    let drift = (false, "TrafficDrift", "shop: another writer: A 127.0.9.9 stands there");
    assert_eq!(traffic_ready(&world), drift);
    let told = world.journal.clone();
    world.run_for(20);
    assert_eq!(world.journal, told, "what stays wrong causes no writes");
    world.dns_up = false;
    world.run_for(20);
    assert_eq!(world.journal, told, "silence takes nothing back");
    (world.traffic_drift, world.dns_up) = (None, true);
    world.run_for(1);
    assert_eq!(traffic_ready(&world), WELL);
    let told = world.journal.clone();
    world.dns_up = false;
    world.run_for(20);
    assert_eq!(world.journal, told, "silence is nothing wrong");
}

#[test]
fn a_name_that_may_yet_go_elsewhere_is_told_until_it_is_settled() {
    let mut world = World::new(policy());
    world.settles = false;
    world.traffic_contested = Some("the marker of region west may still be on".into());
    world.run_for(1);
    let contested = (false, "TrafficContested", "shop: the marker of region west may still be on");
    assert_eq!(traffic_ready(&world), contested);
    world.settles = true;
    world.run_for(120);
    assert_eq!(traffic_ready(&world), WELL);
}

#[test]
fn a_name_that_is_wrong_in_both_ways_says_each_once() {
    let mut world = World::new(policy());
    world.settles = false;
    let no_control = Some("no routing control is on".to_owned());
    (world.traffic_drift, world.traffic_contested) = (no_control.clone(), no_control);
    world.run_for(1);
    assert_eq!(traffic_ready(&world), (false, "TrafficDrift", "shop: no routing control is on"));
    world.traffic_drift = Some("the health check of region west is disabled".into());
    world.run_for(1);
    let both = "shop: the health check of region west is disabled; shop: no routing control is on";
    assert_eq!(traffic_ready(&world), (false, "TrafficDrift", both));
}

#[test]
fn of_two_names_the_silent_one_keeps_what_was_told_of_it() {
    let mut two = policy();
    two.traffic.push(TrafficItem { name: item("blog"), ..two.traffic[0].clone() });
    let mut world = World::new(two);
    world.run_for(5);
    assert!(!world.journal.state.conditions.contains_key("TrafficReady"), "nobody has looked at blog");
    world.traffic_drift = Some("another writer".into());
    world.run_for(1);
    assert_eq!(traffic_ready(&world), (false, "TrafficDrift", "shop: another writer"));
    let told = world.journal.clone();
    world.traffic_drift = None;
    world.run_for(1);
    assert_eq!(world.journal, told, "until both answer");
    world.policy.traffic.pop();
    world.run_for(1);
    assert_eq!(traffic_ready(&world), WELL);
    world.policy.traffic.clear();
    world.run_for(1);
    assert!(!world.journal.state.conditions.contains_key("TrafficReady"), "there is no name");
}

#[test]
fn a_name_is_not_judged_while_a_run_moves_it() {
    let mut world = World::new(policy());
    world.dns_up = false;
    world.node("east").running = false;
    world.run_for(10);
    assert!(world.journal.state.active_run.is_some(), "its flip waits for a name server");
    (world.traffic_drift, world.dns_up) = (Some("another writer".into()), true);
    let run = world.run_to_end().clone();
    assert_eq!(run.phase, Phase::Completed, "{}", run.message);
    let in_a_run = world.decisions.iter().filter(|d| d.next.state.active_run.is_some());
    assert!(in_a_run.map(|d| &d.next.state.conditions["TrafficReady"]).all(|condition| condition.ok));
    assert!(world.decisions.iter().any(|d| d.blocked.iter().any(|b| b.name == "TrafficDrift")));
    assert_eq!(traffic_ready(&world), (false, "TrafficDrift", "shop: another writer"));
}

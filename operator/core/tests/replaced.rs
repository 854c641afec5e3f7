//! Somebody puts another node in the place of the one that a run promotes, and what engines tell of a promotion meanwhile.

mod world;

use muster_core::decide::preview;
use muster_core::effect::Action;
use muster_core::journal::{Journal, Phase, RunKind, Step, StepKey};
use world::{World, events, item, policy, region};

const GATE: &str = "TargetReplaced";

/// West's promotion is recorded, and has not landed.
fn promoting() -> World {
    let mut world = World::new(policy());
    world.hang = Some(|action| matches!(action, Action::Promote { .. }));
    world.node("east").running = false;
    for _ in 0..60 {
        if world.journal.run.is_some() && world.run().past_pivot() {
            return world;
        }
        world.run_for(1);
    }
    unreachable!("no promotion: {:?}", world.journal.run)
}

/// The same, and somebody restored a backup under its name.
fn restored() -> World {
    let mut world = promoting();
    let west = world.node("west");
    (west.id, west.writable, west.follows) = (Some("db-9".to_owned()), true, None);
    world.run_for(3);
    world
}

fn step(world: &World, key: &StepKey) -> Step {
    world.run().steps.iter().find(|step| step.key == *key).cloned().expect("the plan has it")
}

fn promotion(world: &World) -> Step {
    step(world, &StepKey::PromoteData(item("orders")))
}

fn is_asking(world: &World) -> bool {
    world.run().phase == Phase::AwaitingApproval && world.blocked().contains(&GATE)
}

fn opened(world: &World) -> usize {
    let opens =
        |action: &Action| matches!(action, Action::OpenWriter { region, .. } if region.as_str() == "west");
    world.applied.iter().filter(|effect| opens(&effect.action)).count()
}

fn reload(world: &mut World) {
    let text = serde_json::to_string(&world.journal).expect("written");
    world.journal = serde_json::from_str::<Journal>(&text).expect("read");
}

#[test]
fn what_was_restored_under_the_targets_name_is_not_opened_and_a_person_is_asked() {
    let mut world = restored();
    assert!(is_asking(&world), "{:?} {}", world.run().phase, world.run().message);
    for both in ["db-9", "db-2"] {
        assert!(world.run().message.contains(both), "{}", world.run().message);
    }
    let before = world.journal.clone();
    let told = world.decisions.len();
    reload(&mut world);
    world.run_for(300);
    assert_eq!(world.journal, before, "nothing is written while a person is asked");
    assert!(world.decisions[told..].iter().all(|decision| decision.events.is_empty()), "nor told twice");
    assert_eq!(opened(&world), 0);
    assert_eq!(world.journal.state.active_region, Some(region("east")), "nothing was promoted");
    let plan = preview(&world.policy, &world.journal, &world.observe(), world.now, RunKind::Failover, None);
    let gates = plan.expect("a plan").gates;
    assert_eq!(gates.iter().map(|gate| gate.name.as_str()).collect::<Vec<_>>(), [GATE]);
}

#[test]
fn with_consent_what_answers_is_opened_and_it_is_told_who_agreed() {
    let mut world = restored();
    let other = world.approval(&["EngineFailover"]);
    world.approve(other);
    world.run_for(3);
    assert!(is_asking(&world), "consent to something else");
    world.approve(world.approval(&[GATE]));
    let run = world.run_to_end().clone();
    assert_eq!((run.phase, run.to), (Phase::Completed, region("west")), "{}", run.message);
    assert_eq!(opened(&world), 1);
    assert!(run.gates.iter().any(|gate| gate.name == GATE && gate.waived), "the record keeps it");
    let events = world.decisions.iter().flat_map(|decision| &decision.events);
    let told: Vec<_> = events.filter(|event| event.reason == GATE).collect();
    assert!(matches!(told.as_slice(), [one] if one.message.contains("agreed")), "{told:?}");
}

#[test]
fn consent_is_to_one_node_and_to_none_that_nobody_was_asked_about() {
    let mut world = promoting();
    world.approve(world.approval(&[GATE]));
    let west = world.node("west");
    (west.id, west.writable, west.follows) = (Some("db-9".to_owned()), true, None);
    world.run_for(3);
    assert!(is_asking(&world) && opened(&world) == 0, "nobody had seen it: {}", world.run().message);

    // The one that was agreed to is gone before anything looks.
    world.journal.run.as_mut().expect("a run").approval = Some(world.approval(&[GATE]));
    world.node("west").id = Some("db-10".to_owned());
    world.run_for(3);
    assert!(is_asking(&world) && opened(&world) == 0, "{}", world.run().message);
    assert!(world.run().message.contains("db-10"), "{}", world.run().message);
    world.approve(world.approval(&[GATE]));
    assert_eq!(world.run_to_end().phase, Phase::Completed);
}

#[test]
fn the_question_goes_with_the_node_that_it_was_about() {
    let mut world = restored();
    let west = world.node("west");
    (west.id, west.writable, west.follows) = (Some("db-2".to_owned()), false, Some(region("east")));
    world.run_for(3);
    assert_eq!(world.run().phase, Phase::Executing, "{}", world.run().message);
    assert!(world.run().gates.iter().all(|gate| gate.name != GATE));
    assert!(!world.blocked().contains(&GATE));
    world.node("west").writable = true;
    assert_eq!(world.run_to_end().phase, Phase::Completed);
}

#[test]
fn the_node_that_was_meant_ends_the_question() {
    let mut world = restored();
    world.node("west").id = Some("db-2".to_owned());
    let run = world.run_to_end().clone();
    assert_eq!(run.phase, Phase::Completed, "{}", run.message);
    assert!(run.gates.iter().all(|gate| gate.name != GATE));
}

#[test]
fn that_nobody_says_which_node_it_is_makes_it_no_other_one_and_not_the_right_one() {
    let mut world = promoting();
    let west = world.node("west");
    (west.id, west.writable, west.follows) = (None, true, None);
    let run = world.run_to_end().clone();
    assert_eq!(run.phase, Phase::Completed, "a provider that is gone holds up nobody: {}", run.message);

    let mut world = restored();
    world.node("west").id = None;
    world.run_for(60);
    assert!(is_asking(&world) && opened(&world) == 0, "{}", world.run().message);
}

#[test]
fn one_that_was_not_known_when_its_promotion_was_recorded_is_not_compared() {
    let mut world = World::new(policy());
    world.node("west").id = None;
    world.node("east").running = false;
    world.run_for(60);
    assert_eq!(world.run().phase, Phase::Completed, "{}", world.run().message);
    assert_eq!(promotion(&world).node, None);
}

#[test]
fn what_an_engine_tells_of_its_progress_is_shown_as_it_changes() {
    let mut world = World::new(policy());
    world.policy.data = vec![events()];
    world.policy.safety.max_estimated_loss = None;
    world.policy.fences.retain(|way| way.name.as_str() == "power");
    world.engine.hangs = true;
    world.engine.progress = Some("of long ago".to_owned());
    world.node("east").running = false;
    for _ in 0..60 {
        if world.journal.run.is_some() && world.run().past_pivot() {
            break;
        }
        world.run_for(1);
    }
    let key = StepKey::PromoteData(item("events"));
    for told in ["the members are verified", "0 ms behind"] {
        world.engine.progress = Some(told.to_owned());
        world.run_for(2);
        assert_eq!(step(&world, &key).saw, told);
        assert!(world.run().message.contains(told), "{}", world.run().message);
    }
    let overdue = |world: &World| {
        let blocked = &world.last().blocked;
        blocked.iter().find(|blocker| blocker.name == "StepOverdue").map(|blocker| blocker.saw.clone())
    };
    for _ in 0..300 {
        if overdue(&world).is_some() {
            break;
        }
        world.run_for(1);
    }
    let told = overdue(&world).expect("it takes too long");
    assert!(told.contains("last told: 0 ms behind"), "{told}");
    world.land();
    let run = world.run_to_end().clone();
    assert_eq!(run.phase, Phase::Completed, "{}", run.message);
    assert!(!step(&world, &key).saw.contains("behind"), "what was seen in the end");
}

//! Random events in random order: after each of them the invariants hold.

mod world;

use muster_core::effect::{Action, Effect};
use muster_core::journal::{Phase, RunKind};
use muster_core::policy::{Mode, Policy};
use muster_core::rulebook::may_go;
use muster_core::wish::Wish;
use proptest::prelude::*;
use world::*;

#[derive(Clone, Debug)]
enum Event {
    Seconds(u64),
    Kill(usize),
    Start(usize),
    Cut(usize),
    Heal(usize),
    PowerGone(bool),
    DnsGone(bool),
    Blind(bool),
    Hang(bool),
    Crash,
    Switchover,
    Abort,
    Ack,
    Pause(bool),
    Mode(bool),
    LateLanding,
    StepWall(i64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (1..12_u64).prop_map(Event::Seconds),
        2 => (0..3_usize).prop_map(Event::Kill),
        2 => (0..3_usize).prop_map(Event::Start),
        2 => (0..3_usize).prop_map(Event::Cut),
        2 => (0..3_usize).prop_map(Event::Heal),
        1 => any::<bool>().prop_map(Event::PowerGone),
        1 => any::<bool>().prop_map(Event::DnsGone),
        1 => any::<bool>().prop_map(Event::Blind),
        1 => any::<bool>().prop_map(Event::Hang),
        2 => Just(Event::Crash),
        2 => Just(Event::Switchover),
        1 => Just(Event::Abort),
        1 => Just(Event::Ack),
        1 => any::<bool>().prop_map(Event::Pause),
        1 => any::<bool>().prop_map(Event::Mode),
        1 => Just(Event::LateLanding),
        1 => (-4_000_000..4_000_000_i64).prop_map(Event::StepWall),
    ]
}

fn name_of(index: usize) -> &'static str {
    ["east", "west", "north"][index % 3]
}

fn happen(world: &mut World, event: &Event, late: &mut Vec<Effect>) {
    match event {
        Event::Seconds(n) => {
            for _ in 0..*n {
                step_second(world, late);
            }
        }
        // A killed host that someone starts again comes up with the role that it had.
        Event::Kill(i) => world.node(name_of(*i)).running = false,
        Event::Start(i) => {
            if !world.journal.state.outcasts.contains_key(&region(name_of(*i))) {
                world.node(name_of(*i)).running = true;
            }
        }
        Event::Cut(i) => world.node(name_of(*i)).reachable = false,
        Event::Heal(i) => world.node(name_of(*i)).reachable = true,
        Event::PowerGone(gone) => world.power_reachable = !gone,
        Event::DnsGone(gone) => world.dns_up = !gone,
        Event::Blind(blind) => world.blind = *blind,
        Event::Hang(hang) => {
            world.hang =
                hang.then_some(|a: &Action| matches!(a, Action::Promote { .. } | Action::Fence { .. }));
        }
        Event::Crash => {
            world.holder = format!("process-{}", world.decisions.len()).as_str().into();
            world.in_flight.clear();
            world.outcomes.clear();
        }
        Event::Switchover => {
            if world.journal.state.active_run.is_none() && world.journal.requests.is_empty() {
                world.request(RunKind::Switchover, None);
            }
        }
        Event::Abort => {
            if let Some(run) = world.journal.state.active_run.clone() {
                let _ = world.wish(&Wish::Abort { run: run.name, by: "kim".into(), reason: "x".into() });
            }
        }
        Event::Ack => world.wish(&Wish::Ack { by: "kim".into() }).expect("ack is always taken"),
        Event::Pause(true) => {
            world.wish(&Wish::Pause { by: "kim".into(), reason: "x".into() }).expect("pause is always taken");
        }
        Event::Pause(false) => {
            world.wish(&Wish::Resume { by: "kim".into() }).expect("resume is always taken");
        }
        Event::Mode(automatic) => {
            world.policy.mode = if *automatic { Mode::Automatic } else { Mode::Observe };
        }
        // What hung lands after all, once: a target that can refuses what is stale.
        Event::LateLanding => {
            for effect in late.drain(..) {
                world.apply(&effect);
            }
        }
        Event::StepWall(ms) => world.now.wall.0 += ms,
    }
}

fn step_second(world: &mut World, late: &mut Vec<Effect>) {
    let before = world.decisions.len();
    let phase = world.journal.run.as_ref().map(|r| (r.name.clone(), r.phase));
    world.run_for(1);
    let mut phase = phase;
    for decision in &world.decisions[before..] {
        late.extend(decision.effects.iter().filter(|e| world.in_flight.contains(&e.seq)).cloned());
        let now = decision.next.run.as_ref().map(|r| (r.name.clone(), r.phase));
        if let (Some((a, from)), Some((b, to))) = (&phase, &now) {
            assert!(a != b || may_go(*from, *to), "{from:?} to {to:?} is not in the diagram");
        }
        check_decision(decision);
        phase = now;
    }
    world.decisions.drain(..before);
}

fn check_decision(decision: &muster_core::decision::Decision) {
    for effect in &decision.effects {
        assert_eq!(effect.epoch, decision.next.state.epoch, "an effect of another epoch");
        if let Action::Promote { region, .. } = &effect.action {
            let others: Vec<_> =
                decision.next.state.may_be_writable.iter().filter(|r| *r != region).collect();
            assert!(others.is_empty(), "promotion of {region} while {others:?} may be writable");
        }
    }
    let run = decision.next.run.as_ref();
    if let Some(run) = run.filter(|r| !r.phase.is_final()) {
        assert!(!run.message.is_empty(), "a run without a reason");
        assert!(!(run.past_pivot() && run.undoing), "undone after the point of no return");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 2000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn never_two_writers_and_numbers_only_grow(events in proptest::collection::vec(event(), 1..25)) {
        let three = vec![region("east"), region("west"), region("north")];
        let mut world = World::new(Policy { regions: three, ..policy() });
        let mut late = Vec::new();
        let mut numbers = (world.journal.state.epoch, world.journal.state.term, world.journal.state.seq);
        for event in &events {
            happen(&mut world, event, &mut late);
            let writers = world.writers();
            prop_assert!(writers.len() <= 1, "two writers: {writers:?}");
            let state = &world.journal.state;
            let next = (state.epoch, state.term, state.seq);
            prop_assert!(next.0 >= numbers.0 && next.1 >= numbers.1 && next.2 >= numbers.2);
            numbers = next;
        }
    }

    #[test]
    fn once_the_world_is_well_again_every_run_comes_to_an_end(
        events in proptest::collection::vec(event(), 1..15)
    ) {
        let three = vec![region("east"), region("west"), region("north")];
        let mut world = World::new(Policy { regions: three, ..policy() });
        let mut late = Vec::new();
        for event in &events {
            happen(&mut world, event, &mut late);
        }
        (world.blind, world.dns_up, world.power_reachable, world.hang) = (false, true, true, None);
        world.policy.mode = Mode::Automatic;
        world.in_flight.clear();
        for name in ["east", "west", "north"] {
            world.node(name).reachable = true;
            // Cast out or not, hosts are repaired; those that Muster fenced it brings back itself.
            if !world.journal.state.outcasts.contains_key(&region(name)) {
                world.node(name).running = true;
            }
        }
        happen(&mut world, &Event::Pause(false), &mut late);
        world.run_for(180);
        let stuck = world.journal.run.as_ref().filter(|r| !r.phase.is_final());
        let explained = stuck.is_none_or(|r| {
            matches!(r.phase, Phase::AwaitingApproval | Phase::Blocked) && !world.last().blocked.is_empty()
        });
        prop_assert!(explained, "stuck without a reason: {stuck:?}");
    }
}

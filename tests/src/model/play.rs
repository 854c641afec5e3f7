//! Scripted runs; every state along them is a start for the exploration.

use super::world::{Engine, Move, World};
use muster_core::journal::Phase;

/// Moves the world on without faults until `stop` holds, at most 200 moves; collects each state.
fn play(world: &mut World, states: &mut Vec<World>, stop: impl Fn(&World) -> bool) {
    for _ in 0..200 {
        if stop(world) {
            return;
        }
        let sends = (0..2).find(|c| !world.controllers[*c].queue.is_empty()).map(Move::Send);
        let lands = (!world.wire.is_empty()).then_some(Move::Land(0));
        let next_move = sends.or(lands).unwrap_or(Move::Pass);
        match world.make(&next_move).or_else(|| world.make(&Move::Wait)) {
            Some(next) => *world = next,
            None => return,
        }
        states.push(world.clone());
    }
}

fn is_calm(world: &World) -> bool {
    let state = &world.journal.state;
    state.active_run.is_none()
        && state.outcasts.is_empty()
        && state.work.is_none()
        && state.active_region.is_some()
        && world.nodes[0].witness.is_some()
        && world.wire.is_empty()
        && world.controllers.iter().all(|c| c.queue.is_empty())
}

fn completed(world: &World) -> bool {
    world.journal.run.as_ref().is_some_and(|r| r.phase == Phase::Completed) && is_calm(world)
}

fn moved(world: &World, step: &Move) -> World {
    world.make(step).expect("the script's move is possible")
}

/// Every state along a failover, a switchover, and a failover that loses its target behind the point of no return.
pub(super) fn starts(engine: Engine) -> Vec<World> {
    let mut calm = World::new(engine);
    let mut states = Vec::new();
    play(&mut calm, &mut states, is_calm);
    states.clear();
    states.push(calm.clone());

    let mut failover = moved(&calm, &Move::Kill(0));
    states.push(failover.clone());
    play(&mut failover, &mut states, |w| w.journal.run.as_ref().is_some_and(|r| r.phase == Phase::Completed));
    // The dead host is repaired, and Muster brings its database back.
    let mut repaired = moved(&failover, &Move::Return(0));
    play(&mut repaired, &mut states, completed);

    let mut switchover = moved(&calm, &Move::Switchover);
    states.push(switchover.clone());
    play(&mut switchover, &mut states, completed);

    states.extend(lost_target(&calm));
    states
}

/// The promotion hangs, its target dies, the run goes to the third region; the hung call may still land.
fn lost_target(calm: &World) -> Vec<World> {
    let mut states = Vec::new();
    let mut world = moved(calm, &Move::Kill(0));
    let promotes = |w: &World| {
        w.wire.iter().any(|s| matches!(s.effect.action, muster_core::effect::Action::Promote { .. }))
    };
    play(&mut world, &mut states, promotes);
    let at = world.wire.len() - 1;
    let mut world = moved(&moved(&world, &Move::Stall(at)), &Move::Kill(1));
    states.push(world.clone());
    // From here on only what is newer than the hung call is delivered.
    for _ in 0..120 {
        let sends = (0..2).find(|c| !world.controllers[*c].queue.is_empty()).map(Move::Send);
        let lands = (1..world.wire.len()).next().map(Move::Land);
        let next_move = sends.or(lands).unwrap_or(Move::Pass);
        match world.make(&next_move).or_else(|| world.make(&Move::Wait)) {
            Some(next) => world = next,
            None => break,
        }
        states.push(world.clone());
        let done = world.journal.run.as_ref().is_some_and(|r| r.phase == Phase::Completed);
        if done && world.nodes[1].crashed {
            world = moved(&world, &Move::Return(1));
            states.push(world.clone());
        }
    }
    states
}

/// The same by a controller that measures durations with the wall clock.
pub(super) fn starts_by_wall(engine: Engine) -> Vec<World> {
    let mut calm = World::new(engine);
    calm.wall_for_tick = true;
    let mut states = Vec::new();
    play(&mut calm, &mut states, is_calm);
    let mut failover = moved(&calm, &Move::Kill(0));
    play(&mut failover, &mut states, |w| w.journal.run.as_ref().is_some_and(|r| r.phase == Phase::Completed));
    // A region that followed is needed for a second failover to be thinkable.
    let mut repaired = moved(&failover, &Move::Return(0));
    play(&mut repaired, &mut states, completed);
    states
}

//! Scripted runs; every state along them is a start for the exploration.

use super::engine::Engine;
use super::world::{LATE, Move, Sent, World};
use muster_core::effect::Action;
use muster_core::journal::Phase;

/// Moves the world on without faults until `stop` holds, at most 200 moves; collects each state. A call that hangs goes on
/// hanging: only what is newer is delivered.
fn play(world: &mut World, states: &mut Vec<World>, stop: impl Fn(&World) -> bool) {
    for _ in 0..200 {
        if stop(world) {
            return;
        }
        let sends = (0..2).find(|c| !world.controllers[*c].queue.is_empty()).map(Move::Send);
        let lands = world.wire.iter().position(|sent| sent.life != LATE).map(Move::Land);
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
    has_completed(world) && is_calm(world)
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
    play(&mut failover, &mut states, has_completed);
    // The dead host is repaired, and Muster brings its database back.
    let mut repaired = moved(&failover, &Move::Return(0));
    play(&mut repaired, &mut states, completed);

    let mut switchover = moved(&calm, &Move::Switchover);
    states.push(switchover.clone());
    play(&mut switchover, &mut states, completed);

    states.extend(lost_target(&moved(&calm, &Move::Kill(0)), promotes));
    if engine == Engine::Detaches {
        states.extend(detached(&calm));
    }
    states
}

fn promotes(world: &World) -> bool {
    world.wire.iter().any(|sent| matches!(sent.effect.action, Action::Promote { .. }))
}

fn detaches(world: &World) -> bool {
    world.wire.iter().any(is_detachment)
}

const fn is_detachment(sent: &Sent) -> bool {
    matches!(sent.effect.action, Action::Detach { .. })
}

fn has_completed(world: &World) -> bool {
    world.journal.run.as_ref().is_some_and(|run| run.phase == Phase::Completed)
}

/// A failover hangs in the engine, a person has its target detached, and the old host is repaired; and the same where the
/// detachment hangs and its target dies.
fn detached(calm: &World) -> Vec<World> {
    let mut states = Vec::new();
    let mut calm = calm.clone();
    calm.engine_hangs = true;
    let mut world = moved(&calm, &Move::Kill(0));
    play(&mut world, &mut states, |w| w.asks_to_detach() || detaches(w));
    if world.asks_to_detach() {
        world = moved(&world, &Move::Agree);
        states.push(world.clone());
    }
    let mut agreed = world.clone();
    play(&mut agreed, &mut states, has_completed);
    let repaired = moved(&agreed, &Move::Return(0));
    states.push(repaired.clone());
    states.extend(lost_target(&world, detaches));
    states.extend(not_needed(&world));
    states
}

/// The engine comes to its end while the detachment hangs; the writer is moved back, and the detachment may land still.
fn not_needed(agreed: &World) -> Vec<World> {
    let (mut states, mut world) = (Vec::new(), agreed.clone());
    play(&mut world, &mut states, detaches);
    let at = world.wire.iter().position(is_detachment).expect("it is sent");
    world = moved(&moved(&world, &Move::Stall(at)), &Move::Finish);
    states.push(world.clone());
    play(&mut world, &mut states, has_completed);
    // The dead host comes back as what its engine makes it.
    world.nodes[0] = world.nodes[2].clone();
    states.push(world.clone());
    play(&mut world, &mut states, |w| w.journal.state.outcasts.is_empty());
    world = moved(&world, &Move::Switchover);
    states.push(world.clone());
    play(&mut world, &mut states, |w| w.wire.is_empty());
    states
}

/// The call that makes the writer hangs, its target dies, the run goes to the third region; the hung call may still land.
fn lost_target(begun: &World, is_sent: impl Fn(&World) -> bool) -> Vec<World> {
    let (mut states, mut world) = (Vec::new(), begun.clone());
    play(&mut world, &mut states, is_sent);
    let at = world.wire.len().checked_sub(1).expect("the call is sent");
    let mut world = moved(&moved(&world, &Move::Stall(at)), &Move::Kill(1));
    states.push(world.clone());
    if world.moving_to.is_some() {
        world = moved(&world, &Move::GiveUp);
        states.push(world.clone());
    }
    play(&mut world, &mut states, has_completed);
    if has_completed(&world) && world.nodes[1].crashed {
        world = moved(&world, &Move::Return(1));
        states.push(world.clone());
        play(&mut world, &mut states, |w| w.wire.is_empty());
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
    play(&mut failover, &mut states, has_completed);
    // A region that followed is needed for a second failover to be thinkable.
    let mut repaired = moved(&failover, &Move::Return(0));
    play(&mut repaired, &mut states, completed);
    states
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_come_to_where_a_target_is_detached_and_to_where_it_may_be_late() {
        let starts = starts(Engine::Detaches);
        let is_alone = |world: &World| world.nodes.iter().any(|node| node.alone);
        assert!(starts.iter().any(|world| has_completed(world) && is_alone(world)), "nobody was detached");
        let late = || starts.iter().filter(|world| detaches(world) && !is_alone(world));
        let third = late().filter(|world| has_completed(world) && world.nodes[2].writable);
        assert!(third.count() > 0, "no run went on to the third region");
        let back = late().filter(|world| has_completed(world) && world.engine_writer == 1);
        assert!(back.count() > 0, "no engine came to its end first");
    }
}

//! The exploration: every interleaving from the starts on, within a budget of faults.

use super::engine::Engine;
use super::play;
use super::world::{Damage, LATE, Move, Sent, World};
use muster_core::effect::Action;
use muster_core::facts::Outcome;
use muster_core::journal::{Phase, Step, Trigger};
use muster_core::seeded::{Bug, with_bug};
use muster_core::time::{Millis, Stamp, Tick};
use stateright::{Checker, Model, Property};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// How far to look.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Faults beside the script's own.
    pub faults: u32,
    /// Moves from a start.
    pub depth: usize,
    /// States at most.
    pub states: usize,
}

/// A safety rule taken out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seed {
    /// In the core.
    Core(Bug),
    /// The target of a promotion checks no witness, while the policy believes that it does.
    NoWitnessCheck,
    /// Durations come from the wall clock.
    WallForTick,
}

/// What an exploration found.
#[derive(Debug)]
pub struct Checked {
    /// Different states seen.
    pub states: usize,
    /// The most moves from a start.
    pub depth: usize,
    /// The first damage, and the moves that lead to it.
    pub damage: Option<(Damage, Vec<Move>)>,
}

struct Explorer {
    starts: Vec<World>,
    budget: Budget,
    bug: Option<Bug>,
}

/// A world as the checker sees it: equal in everything that a decision can depend on, whenever it happened.
#[derive(Clone, Debug)]
struct Seen(World);

impl PartialEq for Seen {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

/// Ages fall into the classes that the core's pauses and limits make.
fn age(now: Tick, at: Option<Stamp>) -> u8 {
    match at.and_then(|at| now.since(at.tick)) {
        None => 0,
        Some(Millis(0..200)) => 1,
        Some(Millis(200..15_000)) => 2,
        Some(_) => 3,
    }
}

fn hash_step<H: Hasher>(step: &Step, now: Tick, hasher: &mut H) {
    (&step.key, step.state, &step.action, step.seq, step.attempts.min(3), step.way).hash(hasher);
    (age(now, step.issued), age(now, step.started), &step.tried).hash(hasher);
    step.answered.keys().for_each(|way| way.hash(hasher));
}

impl Hash for Seen {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let world = &self.0;
        let now = world.now.tick;
        let state = &world.journal.state;
        (state.epoch, state.term, state.seq, &state.active_region, &state.may_be_writable).hash(hasher);
        (&state.needs_ack, &state.behind, state.cooldown.is_some(), world.journal.requests.len())
            .hash(hasher);
        for (region, outcast) in &state.outcasts {
            (
                region,
                &outcast.run,
                outcast.rejoin_attempts,
                outcast.proven.is_some(),
                outcast.not_before.map(|at| world.now.since(&at).is_some()),
                outcast.promotion_pending,
                outcast.detached,
                outcast.detachment_left(&world.now).0 > 0,
                outcast.undo.len(),
            )
                .hash(hasher);
            outcast.work.iter().for_each(|step| hash_step(step, now, hasher));
        }
        state.work.iter().for_each(|step| hash_step(step, now, hasher));
        if let Some(run) = &world.journal.run {
            (&run.name, run.kind, &run.from, &run.to, run.phase, run.undoing, &run.holder).hash(hasher);
            (run.abort.is_some(), run.past_pivot(), run.clock.promoted.is_some()).hash(hasher);
            (run.trigger == Trigger::Verdict, &run.outcome, run.clock.decided.is_some()).hash(hasher);
            (run.approval.is_some(), world.asks_to_detach()).hash(hasher);
            run.steps.iter().for_each(|step| hash_step(step, now, hasher));
            run.proofs.iter().for_each(|(region, proof)| (region, proof.class).hash(hasher));
        }
        for controller in &world.controllers {
            (controller.life, &controller.queue).hash(hasher);
            for (seq, outcome) in &controller.outcomes {
                let at = Stamp { tick: outcome.at, ..world.now };
                let class = if let Outcome::Failed(class, _) = &outcome.value { Some(*class) } else { None };
                (seq, std::mem::discriminant(&outcome.value), class, age(now, Some(at))).hash(hasher);
            }
        }
        for sent in &world.wire {
            (sent.by, sent.life, &sent.effect).hash(hasher);
        }
        (world.lease, &world.nodes, world.engine_writer, world.points_to, &world.name_witness).hash(hasher);
        (world.moving_to, world.engine_hangs).hash(hasher);
        (world.one_eyed, world.faults_left, world.cooling_since.is_some(), world.damage).hash(hasher);
    }
}

impl Model for Explorer {
    type State = Seen;
    type Action = Move;

    fn init_states(&self) -> Vec<Seen> {
        self.starts.iter().map(|w| Seen(World { faults_left: self.budget.faults, ..w.clone() })).collect()
    }

    fn actions(&self, state: &Seen, moves: &mut Vec<Move>) {
        let world = &state.0;
        if world.damage.is_some() {
            return;
        }
        moves.extend([Move::Pass, Move::Wait]);
        moves.extend((0..2).filter(|c| !world.controllers[*c].queue.is_empty()).map(Move::Send));
        moves.extend((0..world.wire.len()).map(Move::Land));
        moves.extend((0..3).filter(|i| world.nodes[*i].cut).map(Move::Heal));
        moves.extend(world.moving_to.iter().flat_map(|_| [Move::Finish, Move::GiveUp]));
        moves.extend(world.asks_to_detach().then_some(Move::Agree));
        if world.faults_left > 0 {
            faults(world, moves);
        }
    }

    fn next_state(&self, state: &Seen, step: Move) -> Option<Seen> {
        let mut next = with_bug(self.bug, || state.0.make(&step))?;
        if is_fault(&step) {
            next.faults_left -= 1;
        }
        Some(Seen(next))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no damage", |_: &Self, state: &Seen| state.0.damage.is_none()),
            Property::sometimes("a run completes", |_: &Self, state: &Seen| {
                state.0.journal.run.as_ref().is_some_and(|r| r.phase == Phase::Completed)
            }),
        ]
    }
}

const fn is_fault(step: &Move) -> bool {
    !matches!(
        step,
        Move::Pass
            | Move::Wait
            | Move::Send(_)
            | Move::Land(_)
            | Move::Heal(_)
            | Move::Finish
            | Move::GiveUp
            | Move::Agree
    )
}

/// Another region takes writes, or a call on its way may make one do so.
fn may_promote(world: &World) -> bool {
    world.nodes.iter().any(|n| !n.off && n.writable)
        || world.wire.iter().any(|s| may_make_a_writer(&s.effect.action))
        || world.moving_to.is_some()
}

const fn may_make_a_writer(action: &Action) -> bool {
    matches!(action, Action::Promote { .. } | Action::SwitchOver { .. } | Action::Detach { .. })
}

fn faults(world: &World, moves: &mut Vec<Move>) {
    moves.extend([Move::TakeLease, Move::Crash, Move::StepWall]);
    for (i, Sent { life, effect, .. }) in world.wire.iter().enumerate() {
        moves.push(Move::Lose(i));
        if *life != LATE {
            moves.push(Move::Stall(i));
        }
        if matches!(effect.action, Action::Fence { .. }) {
            moves.push(Move::Lie(i));
        }
    }
    let run = world.journal.run.as_ref().filter(|r| !r.phase.is_final());
    for (i, node) in world.nodes.iter().enumerate() {
        if !node.crashed {
            moves.push(Move::Kill(i));
        } else if !node.lied {
            moves.push(Move::Return(i));
        }
        if !node.cut {
            moves.push(Move::Cut(i));
        }
        // Once a promotion may land, nobody could keep a second writer off against its own operators.
        if node.off && run.is_some_and(|r| !r.past_pivot()) && !may_promote(world) {
            moves.push(Move::PowerOn(i));
        }
    }
    match run {
        Some(_) => moves.push(Move::Abort),
        None => moves.extend([Move::Switchover, Move::OneEyed]),
    }
}

/// Without those that the checker would take for one that was there before.
fn different(starts: Vec<World>) -> Vec<World> {
    let mut known = HashSet::new();
    let is_new = |world: &World| {
        let mut hasher = DefaultHasher::new();
        Seen(world.clone()).hash(&mut hasher);
        known.insert(hasher.finish())
    };
    starts.into_iter().filter(is_new).collect()
}

/// Explores, with one rule taken out if asked.
pub fn check(seed: Option<Seed>, engine: Engine, budget: Budget) -> Checked {
    let bug = match seed {
        Some(Seed::Core(bug)) => Some(bug),
        _ => None,
    };
    let mut starts = with_bug(bug, || play::starts(engine));
    for world in &mut starts {
        world.unchecked_promote |= seed == Some(Seed::NoWitnessCheck);
        world.wall_for_tick = false;
    }
    if seed == Some(Seed::WallForTick) {
        starts = play::starts_by_wall(engine);
    }
    if seed == Some(Seed::Core(Bug::IgnoreClaims)) {
        for world in &mut starts {
            world.foreign_claim = true;
        }
        starts.retain(|w| {
            w.journal.state.active_run.is_none() && w.controllers.iter().all(|c| c.queue.is_empty())
        });
    }
    let starts = different(starts);
    let checker = Explorer { starts, budget, bug }
        .checker()
        .threads(2)
        .target_max_depth(budget.depth)
        .target_state_count(budget.states)
        .spawn_bfs()
        .join();
    let damage = checker.discovery("no damage").and_then(|path| {
        let damage = path.last_state().0.damage?;
        Some((damage, path.into_actions()))
    });
    Checked { states: checker.unique_state_count(), depth: checker.max_depth(), damage }
}

//! What steers the world's database, and what it checks.

use super::world::{ENGINE_GATE, REGIONS, World};
use muster_core::effect::Effect;
use muster_core::facts::{ErrorClass, Outcome};
use muster_core::journal::Run;
use muster_core::policy::Capability;

/// What steers the database.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Engine {
    /// A target that refuses a stale promotion.
    Checked,
    /// A target that checks nothing.
    Unchecked,
    /// One that checks nothing, and carries a planned switchover out by itself with one writer throughout.
    HandsOver,
    /// The same, whose failovers may hang, and which lets a target leave it; nobody follows that one any more.
    Detaches,
}

impl Engine {
    pub(super) const fn capability(self) -> Capability {
        match self {
            Self::Checked => Capability::Checked,
            Self::Unchecked | Self::HandsOver | Self::Detaches => Capability::Unchecked,
        }
    }

    pub(super) const fn hands_over(self) -> bool {
        matches!(self, Self::HandsOver | Self::Detaches)
    }
}

fn not_now(why: &str) -> Outcome {
    Outcome::Failed(ErrorClass::Transient, why.to_owned())
}

/// Whether a person has agreed that the run's target leaves its engine.
pub(super) fn has_agreed(run: &Run) -> bool {
    run.approval.as_ref().is_some_and(|given| given.waives.contains(ENGINE_GATE))
}

impl World {
    /// Whether the engine moves its writer itself.
    pub(super) fn hands_over(&self) -> bool {
        self.policy.data.iter().any(|item| item.hands_over)
    }

    /// Whether a request reaches a region: one that is long on its way passed what is cut off now.
    fn reaches(&self, i: usize, late: bool) -> bool {
        if late { self.is_up(i) } else { self.answers(i) }
    }

    /// Guarded by the replicated witness: a row must be there, and none newer. An engine that moves its writer itself takes one
    /// such order at a time.
    pub(super) fn promote(&mut self, i: usize, effect: &Effect, late: bool) -> Outcome {
        if !self.reaches(i, late) {
            return not_now("no answer");
        }
        let refused = self.nodes[i].witness.as_ref().is_none_or(|w| w.epoch > effect.epoch);
        if refused && !self.unchecked_promote {
            return Outcome::StaleEpoch("refused".to_owned());
        }
        if self.nodes[i].writable {
            return Outcome::AlreadyDone;
        }
        match self.moving_to {
            Some(to) if to == i => return Outcome::AlreadyDone,
            Some(to) => return not_now(&format!("moves to {}", REGIONS[to])),
            None if self.engine_hangs => self.moving_to = Some(i),
            None => self.make_writer(i),
        }
        Outcome::Issued(None)
    }

    fn make_writer(&mut self, i: usize) {
        let node = &mut self.nodes[i];
        (node.writable, node.follows) = (true, None);
        node.timeline += 1;
        if self.hands_over() {
            self.follow(i);
        }
        self.replicate(i);
    }

    /// A failover that hung comes to its end, if its target is there, whoever reaches that.
    pub(super) fn finish(&mut self) -> Option<()> {
        let to = self.moving_to.filter(|to| self.is_up(*to))?;
        self.moving_to = None;
        self.make_writer(to);
        Some(())
    }

    /// The engine moves its writer by itself, if both ends are there and follow each other; nobody's number is compared.
    pub(super) fn switch_over(&mut self, to: usize) -> Outcome {
        let from = self.engine_writer;
        if from == to {
            return Outcome::AlreadyDone;
        }
        let follows = self.nodes[to].follows == Some(from);
        if !(self.moving_to.is_none()
            && self.answers(from)
            && self.answers(to)
            && self.nodes[from].writable
            && follows)
        {
            return not_now("no switchover in this state");
        }
        (self.nodes[from].writable, self.nodes[from].follows) = (false, Some(to));
        (self.nodes[to].writable, self.nodes[to].follows) = (true, None);
        self.engine_writer = to;
        self.replicate(to);
        Outcome::Issued(None)
    }

    /// The target leaves its engine, and takes writes alone; nobody's number is compared. The adapter looks whether it takes writes
    /// already, and of a request that comes `late` nobody looks any more: then the writer itself may leave, and nobody follows it.
    pub(super) fn detach(&mut self, i: usize, late: bool) -> Outcome {
        if !self.reaches(i, late) {
            return not_now("no answer");
        }
        let node = &mut self.nodes[i];
        if node.writable && !late {
            return Outcome::AlreadyDone;
        }
        node.timeline += u64::from(!node.writable);
        (node.writable, node.follows, node.alone) = (true, None, true);
        for follower in self.nodes.iter_mut().filter(|node| node.follows == Some(i)) {
            follower.follows = None;
        }
        if self.moving_to == Some(i) {
            self.moving_to = None;
        }
        Outcome::Issued(None)
    }

    /// A person is asked whether the target leaves its engine, and has not agreed.
    pub(super) fn asks_to_detach(&self) -> bool {
        let run = self.journal.run.as_ref().filter(|run| !run.phase.is_final());
        run.is_some_and(|run| {
            let is_open = run.gates.iter().any(|gate| gate.name == ENGINE_GATE && !gate.ok);
            is_open && !has_agreed(run)
        })
    }

    /// After a promotion the engine has those that it reaches follow; an old writer that it does not reach goes on.
    fn follow(&mut self, to: usize) {
        self.engine_writer = to;
        for i in (0..self.nodes.len()).filter(|i| *i != to) {
            if self.answers(i) && !self.nodes[i].writable {
                self.nodes[i].follows = Some(to);
            }
        }
    }

    pub(super) fn replicate(&mut self, from: usize) {
        let (source, reaches) = (self.nodes[from].clone(), self.answers(from));
        for i in 0..self.nodes.len() {
            if self.nodes[i].follows == Some(from) && self.answers(i) && reaches {
                self.nodes[i].witness.clone_from(&source.witness);
                self.nodes[i].logins = source.logins;
                self.nodes[i].timeline = source.timeline;
            }
        }
    }
}

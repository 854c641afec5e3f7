//! The workload of one region, in a cluster of its own.

use muster_core::effect::Effect;
use muster_core::facts::*;

/// A Deployment, as its cluster has it.
#[derive(Clone, Debug)]
pub struct Pods {
    pub id: String,
    pub answers: bool,
    pub wanted: u32,
    pub ready: u32,
    pub before: Option<u32>,
    pub fenced: Option<u32>,
    pub autoscaler: Option<Autoscaler>,
    pub keeper: Option<String>,
    pub witness: Option<Witness>,
    /// New pods come to be ready.
    pub starts: bool,
    /// Pods that are no longer wanted come to an end.
    pub ends: bool,
}

impl Pods {
    pub fn new(replicas: u32) -> Self {
        Self {
            id: "uid".to_owned(),
            answers: true,
            wanted: replicas,
            ready: replicas,
            before: None,
            fenced: None,
            autoscaler: None,
            keeper: None,
            witness: None,
            starts: true,
            ends: true,
        }
    }

    /// A second passes.
    pub fn tick(&mut self) {
        if self.wanted > self.ready && self.starts || self.wanted < self.ready && self.ends {
            self.ready = self.wanted;
        }
    }

    pub fn facts(&self) -> Seen<ComputeFacts> {
        if !self.answers {
            return Seen::Unknown("no answer".into());
        }
        Seen::Known(ComputeFacts {
            id: self.id.clone(),
            wanted: self.wanted,
            ready: self.ready,
            recent: self.wanted,
            autoscaler: self.autoscaler,
            before: self.before.or(self.fenced),
            witness: self.witness.clone(),
            keeper: self.keeper.clone(),
        })
    }

    pub fn apply(&mut self, effect: &Effect, change: Change) -> Outcome {
        let mark =
            Witness { owner: effect.owner.clone(), epoch: effect.epoch, term: effect.term, seq: effect.seq };
        if !self.answers {
            return Outcome::Failed(ErrorClass::Transient, "no answer".into());
        }
        if self.witness.as_ref().is_some_and(|w| w.order() > mark.order()) {
            return Outcome::StaleEpoch("newer witness".into());
        }
        self.witness = Some(mark);
        match change {
            Change::AtLeast(replicas) => {
                let taken = self.fenced.take().unwrap_or(self.wanted);
                self.before.get_or_insert(taken);
                self.wanted = self.wanted.max(replicas);
                if let Some(autoscaler) = &mut self.autoscaler {
                    self.wanted = replicas.min(autoscaler.max);
                    autoscaler.min = autoscaler.min.max(self.wanted);
                }
            }
            Change::Zero => {
                self.fenced.get_or_insert(self.wanted);
                self.wanted = 0;
            }
            Change::Lift => self.wanted = self.fenced.take().unwrap_or(0).max(self.wanted),
            Change::Back(standby) => {
                let taken = self.before.take().or(self.fenced);
                self.fenced = None;
                self.wanted = standby.or(taken).unwrap_or(self.wanted);
            }
        }
        Outcome::Issued(None)
    }
}

/// What an effect wants of it.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    AtLeast(u32),
    Zero,
    Lift,
    Back(Option<u32>),
}

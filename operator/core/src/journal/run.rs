//! One execution: what was asked, what was agreed, what was proven, and how it ended.

use super::{Measured, Predicted, RunClock, Step, StepKey};
use crate::ids::{Epoch, HolderId, ItemName, Position, RegionName, RunName, Term};
use crate::policy::{Policy, ProofClass};
use crate::time::{Millis, Stamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a run does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum RunKind {
    /// Unplanned; may lose data.
    Failover,
    /// Planned; loses none.
    Switchover,
    /// A switchover to the preferred region.
    Failback,
}

impl RunKind {
    /// Whether it must lose nothing.
    pub const fn is_planned(self) -> bool {
        matches!(self, Self::Switchover | Self::Failback)
    }
}

/// Who started a run.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Trigger {
    /// A person, by name.
    Person(String),
    /// A verdict on the primary.
    Verdict,
    /// A run that lost its target after the point of no return.
    TargetLost(RunName),
}

/// A person's consent to one plan.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Approval {
    /// Hash of the plan that was shown.
    pub plan_hash: String,
    /// Accept at most this loss, by its upper bound.
    pub max_loss: Option<Millis>,
    /// Gates by name that may be unmet.
    pub waives: BTreeSet<String>,
    /// Who.
    pub by: String,
    /// Until when, by tick of the store's clock.
    pub valid_until: Stamp,
}

/// For people: where a run is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Phase {
    /// Claimed, nothing recorded yet.
    Pending,
    /// A gate is not met; says which.
    Blocked,
    /// Waits for a person.
    AwaitingApproval,
    /// Steps are under way.
    Executing,
    /// All effects were seen; waiting for successes through the public name.
    Verifying,
    /// Ended well.
    Completed,
    /// Ended otherwise; the outcome says how.
    Failed,
    /// Ended by a person or by the region's recovery, everything undone.
    Aborted,
}

impl Phase {
    /// Whether the run has ended.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Aborted)
    }
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum OutcomeKind {
    /// As asked.
    Succeeded,
    /// Everything was undone.
    Aborted,
    /// The target died after the point of no return; the next run continues.
    TargetLost,
    /// It could not go on; the text says why.
    Failed,
}

/// Whether an unmet gate stops.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Severity {
    /// Reported only.
    Warn,
    /// Stops until met or waived.
    Block,
    /// Stops, and no approval waives it.
    Law,
}

/// A condition that must hold before a step.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Gate {
    /// Its name; also the runbook's.
    pub name: String,
    /// Whether it holds.
    pub ok: bool,
    /// What was seen.
    pub saw: String,
    /// What is needed.
    pub needs: String,
    /// What an unmet one does.
    pub severity: Severity,
    /// An approval covers it.
    pub waived: bool,
}

/// The proof that a region takes no writes.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Proof {
    /// Its class.
    pub class: ProofClass,
    /// What was seen, for people.
    pub saw: String,
    /// When looking began.
    pub at: Stamp,
    /// Position at which a closed writer stands still, by data item.
    pub positions: BTreeMap<ItemName, Position>,
}

/// One execution: its spec as claimed, and the journal of what happened.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Run {
    /// Its name.
    pub name: RunName,
    /// What.
    pub kind: RunKind,
    /// The region that is left.
    pub from: RegionName,
    /// The region that takes over; bound when the first promotion is recorded.
    pub to: RegionName,
    /// Who started it.
    pub trigger: Trigger,
    /// Why.
    pub reason: String,
    /// The policy that it was claimed with.
    pub policy: Policy,
    /// Its number.
    pub epoch: Epoch,
    /// Its holder's number.
    pub term: Term,
    /// The process that drives it.
    pub holder: HolderId,
    /// Consent.
    pub approval: Option<Approval>,
    /// A person asked to abort; cannot be taken back.
    pub abort: Option<String>,
    /// The abort's own term was taken: undoing is under way.
    pub undoing: bool,
    /// Where it is.
    pub phase: Phase,
    /// Since when.
    pub phase_since: Stamp,
    /// Why it waits or how it ended, for people.
    pub message: String,
    /// The plan.
    pub steps: Vec<Step>,
    /// The gates at the newest decision.
    pub gates: Vec<Gate>,
    /// Proofs by fenced region.
    pub proofs: BTreeMap<RegionName, Proof>,
    /// The moments.
    pub clock: RunClock,
    /// Figures.
    pub measured: Measured,
    /// Figures expected at the start.
    pub predicted: Predicted,
    /// How it ended.
    pub outcome: Option<OutcomeKind>,
    /// When the present holder took it over from another process. Moments of another boot count as this one.
    #[serde(default)]
    pub taken_over: Option<Stamp>,
    /// Where what the engine saved of the old primary is kept, by data item; or why nothing is.
    #[serde(default)]
    pub saved: BTreeMap<ItemName, String>,
    /// Newest acknowledged heartbeat by item, at the pivot.
    pub acked_at_pivot: BTreeMap<ItemName, (u64, Option<Stamp>)>,
}

impl Run {
    /// The first step that is not done.
    pub fn current(&self) -> Option<usize> {
        self.steps.iter().position(|s| !s.is_done())
    }
    /// Whether an item's engine has not been seen yet to have handed it over.
    pub fn has_yet_to_hand_over(&self, item: &ItemName) -> bool {
        self.yet_to_hand_over().any(|other| other == item)
    }
    /// Items whose engines have not been seen yet to have handed them over.
    pub fn yet_to_hand_over(&self) -> impl Iterator<Item = &ItemName> {
        self.steps.iter().filter(|step| !step.is_done()).filter_map(|step| match &step.key {
            StepKey::HandOver(item) => Some(item),
            _ => None,
        })
    }
    /// Whether all that is recorded to move the writer is an engine's hand-over, none of which was seen done: the source is
    /// the writer still, and nothing was promoted beside it.
    pub fn could_still_stay(&self) -> bool {
        let promotes = |step: &Step| matches!(step.key, StepKey::PromoteData(_)) && step.started.is_some();
        let moved = |step: &Step| step.key.is_hand_over() && step.is_done();
        self.yet_to_hand_over().next().is_some() && !self.steps.iter().any(|s| promotes(s) || moved(s))
    }
    /// Whether the engine's own failover was gone round: a detachment was recorded.
    pub fn has_detached(&self) -> bool {
        self.steps.iter().any(Step::is_detachment)
    }
    /// Whether the intent to promote was recorded: from then on the plan only goes forward.
    pub fn past_pivot(&self) -> bool {
        self.clock.pivot.is_some()
    }
}

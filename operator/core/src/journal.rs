//! What must survive: the policy's state and its active run. The stores keep exactly this, conditionally.

use crate::effect::Action;
use crate::facts::{SyncView, Witness};
use crate::health::HealthMarks;
use crate::ids::{Epoch, HolderId, ItemName, Owner, Position, RegionName, RunName, Seq, Term};
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

/// A person's wish for a run, not yet claimed.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct RunRequest {
    /// Its name.
    pub name: RunName,
    /// What.
    pub kind: RunKind,
    /// To where; `None` lets the core choose.
    pub to: Option<RegionName>,
    /// Why, in the person's words.
    pub reason: String,
    /// Who.
    pub by: String,
    /// When.
    pub at: Stamp,
    /// Consent given with the request.
    pub approval: Option<Approval>,
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

/// A step's kind, in the order of a plan.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum StepKey {
    /// Raise the witness on the writer while it is writable.
    RaiseWitness(ItemName),
    /// A user's hook.
    Hook(ItemName),
    /// Make sure that this region takes no writes.
    FenceOld(RegionName),
    /// Planned runs: the target has everything that the fenced primary wrote.
    CatchUp(ItemName),
    /// Make the target the writer. The first one recorded is the point of no return.
    PromoteData(ItemName),
    /// First write on the new primary: witness, roles, synchronous list.
    OpenWriter(ItemName),
    /// Point the public name at the target.
    FlipTraffic(ItemName),
    /// N successes in a row through the public name.
    Verify,
}

/// How far a step is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum StepState {
    /// Not begun.
    Pending,
    /// Its intent is recorded; the effect may have landed.
    Intended,
    /// Seen done, by an observation newer than the intent.
    Observed,
    /// Not needed, with the reason in `saw`.
    Skipped,
    /// Its undo is recorded.
    Undoing,
    /// Seen undone.
    Undone,
    /// Given up, with the reason in `saw`.
    Failed,
}

/// One step of a run.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Step {
    /// Which.
    pub key: StepKey,
    /// How far.
    pub state: StepState,
    /// The recorded effect, with the exact values that it was recorded with.
    pub action: Option<Action>,
    /// Its number.
    pub seq: Option<Seq>,
    /// Attempts of the present way.
    pub attempts: u32,
    /// `FenceOld`: index of the way in use; past the last one, what NoAck needs.
    pub way: usize,
    /// First intent.
    pub started: Option<Stamp>,
    /// Newest intent: only observations after it count.
    pub issued: Option<Stamp>,
    /// Seen done.
    pub ended: Option<Stamp>,
    /// `FenceOld`: every effect recorded so far that an abort has to undo, oldest first.
    pub tried: Vec<Action>,
    /// What was seen, for people.
    pub saw: String,
}

impl Step {
    /// A step not begun.
    pub const fn new(key: StepKey) -> Self {
        Self {
            key,
            state: StepState::Pending,
            action: None,
            seq: None,
            attempts: 0,
            way: 0,
            started: None,
            issued: None,
            ended: None,
            tried: Vec::new(),
            saw: String::new(),
        }
    }
    /// Whether nothing is left to do.
    pub const fn is_done(&self) -> bool {
        matches!(self.state, StepState::Observed | StepState::Skipped)
    }
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

/// The moments of a run. Each is set once.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct RunClock {
    /// First failed functional probe of the outage.
    pub first_failure: Option<Stamp>,
    /// Thresholds and quorum reached (or the person's request).
    pub detected: Option<Stamp>,
    /// Gates held.
    pub decided: Option<Stamp>,
    /// A person agreed.
    pub approved: Option<Stamp>,
    /// The last fence was proved.
    pub fenced: Option<Stamp>,
    /// The point of no return: the first promotion's record.
    pub pivot: Option<Stamp>,
    /// The last data item was seen writable.
    pub promoted: Option<Stamp>,
    /// The last flip was recorded as seen by one server.
    pub flipped: Option<Stamp>,
    /// All authoritative servers agree.
    pub authoritative: Option<Stamp>,
    /// Start of the first of N successes in a row through the public name.
    pub first_success: Option<Stamp>,
    /// N successes were seen.
    pub settled: Option<Stamp>,
}

/// Recovery point: between two bounds until the old log was read.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Rpo {
    /// Age between the newest acknowledged and the newest present heartbeat.
    pub at_least: Option<Millis>,
    /// Fence proof minus the newest present; `None` is unbounded.
    pub at_most: Option<Millis>,
    /// The old primary's log was read, or nothing could have been lost.
    pub r#final: bool,
}

/// What was measured.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Measured {
    /// First failed functional probe to the first of N successes through the public name.
    pub rto: Option<Millis>,
    /// The same from the decision.
    pub rto_from_decision: Option<Millis>,
    /// Data loss.
    pub rpo: Rpo,
    /// Acknowledged heartbeats that the new primary does not have.
    pub lost_heartbeats: Option<u64>,
    /// Sent and never answered.
    pub in_flight: Option<u64>,
    /// Commits on the old timeline after the fork, from the old log.
    pub lost_commits: Option<u64>,
    /// Fence proof (or first failure) to the first write on the new primary.
    pub write_gap: Option<Millis>,
    /// Largest error of these figures.
    pub error_bound: Millis,
}

/// What the policy's own numbers predict.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Predicted {
    /// By phase, in order.
    pub phases: Vec<(String, Millis)>,
    /// Their sum.
    pub rto: Millis,
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
    /// Newest acknowledged heartbeat by item, at the pivot.
    pub acked_at_pivot: BTreeMap<ItemName, (u64, Option<Stamp>)>,
}

impl Run {
    /// The first step that is not done.
    pub fn current(&self) -> Option<usize> {
        self.steps.iter().position(|s| !s.is_done())
    }
    /// Whether the intent to promote was recorded: from then on the plan only goes forward.
    pub fn past_pivot(&self) -> bool {
        self.clock.pivot.is_some()
    }
}

/// The compare-and-swap that lets one run act.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ActiveRun {
    /// The run.
    pub name: RunName,
    /// Its number.
    pub epoch: Epoch,
    /// Its holder's number.
    pub term: Term,
}

/// A cool-down; keeps its remainder over a restart.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Cooldown {
    /// Set when.
    pub from: Stamp,
    /// What was left then.
    pub left: Millis,
}

/// A region that was fenced and has not rejoined.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Outcast {
    /// The run that fenced it.
    pub run: RunName,
    /// The way that proved it, if one did.
    pub way: Option<ItemName>,
    /// The work on it that is recorded: fence again, or rejoin.
    pub work: Option<Step>,
    /// A promotion was recorded here and never seen: being in recovery proves nothing, it may still land.
    pub promotion_pending: bool,
    /// A promotion that its target does not check may still land here: not brought back before.
    pub not_before: Option<Stamp>,
    /// Attempts to rejoin so far.
    pub rejoin_attempts: u32,
    /// Why it is not back, for people.
    pub message: String,
}

/// A condition with a reason that has a runbook.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Condition {
    /// True, or false with the reason.
    pub ok: bool,
    /// `PascalCase`; a page in runbooks/.
    pub reason: String,
    /// For people.
    pub message: String,
    /// Since when.
    pub since: Stamp,
}

/// The state of a policy between and during runs.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct PolicyState {
    /// The policy's UID.
    pub owner: Owner,
    /// The region that takes writes; `None` until it was observed once.
    pub active_region: Option<RegionName>,
    /// The newest number used.
    pub epoch: Epoch,
    /// The newest term used within it.
    pub term: Term,
    /// Effects recorded so far, in runs and between them; never starts again.
    pub seq: Seq,
    /// The run that acts.
    pub active_run: Option<ActiveRun>,
    /// Regions that may take writes, as far as this journal knows.
    pub may_be_writable: BTreeSet<RegionName>,
    /// Fenced regions that have not rejoined.
    pub outcasts: BTreeMap<RegionName, Outcast>,
    /// After a run.
    pub cooldown: Option<Cooldown>,
    /// Automation stands still until a person says `ack`; the text says why.
    pub needs_ack: Option<String>,
    /// The highest witness seen above this journal (a restored backup); cleared by `ack`.
    pub behind: Option<Witness>,
    /// A foreign owner that a person has said `adopt` to.
    pub adopted_from: BTreeSet<Owner>,
    /// Who paused, and why.
    pub paused: Option<String>,
    /// Ids for which a fence hook has said `on`, by way and region: only about such an id may it attest `off`.
    pub fence_ids: BTreeMap<ItemName, BTreeMap<RegionName, String>>,
    /// Synchronous settings of the active region's writer, as last seen.
    pub sync_seen: BTreeMap<ItemName, SyncView>,
    /// Streaks that survive a restart.
    pub marks: HealthMarks,
    /// The first write of the witness on the active region, between runs.
    pub work: Option<Step>,
    /// Conditions by type.
    pub conditions: BTreeMap<String, Condition>,
    /// The newest run that ended.
    pub last_run: Option<RunName>,
}

impl PolicyState {
    /// The state of a policy that was never seen before.
    pub fn new(owner: Owner) -> Self {
        Self {
            owner,
            active_region: None,
            epoch: Epoch(0),
            term: Term(0),
            seq: Seq(0),
            active_run: None,
            may_be_writable: BTreeSet::new(),
            outcasts: BTreeMap::new(),
            cooldown: None,
            needs_ack: None,
            behind: None,
            adopted_from: BTreeSet::new(),
            paused: None,
            fence_ids: BTreeMap::new(),
            sync_seen: BTreeMap::new(),
            marks: HealthMarks::default(),
            work: None,
            conditions: BTreeMap::new(),
            last_run: None,
        }
    }
}

/// What a store loads and what a decision replaces.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Journal {
    /// The policy's state.
    pub state: PolicyState,
    /// Its active run; after the run ended it stays here until the next one opens.
    pub run: Option<Run>,
    /// Wishes of people that are not claimed yet, oldest first, bounded.
    pub requests: Vec<RunRequest>,
}

//! The state of a policy between and during runs, and the document that a store keeps.

use super::{Approval, Run, RunKind, Step};
use crate::effect::Action;
use crate::facts::{SyncView, Witness};
use crate::health::HealthMarks;
use crate::ids::{Epoch, ItemName, Owner, RegionName, RunName, Seq, Term};
use crate::seeded::{self, Bug};
use crate::time::{Millis, Stamp, Wall};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

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
    /// Until when a detachment of the region that took over may still land, although that one takes writes without it.
    #[serde(default)]
    pub detached_late: Option<Stamp>,
    /// Its detachment was recorded: it may take writes alone, and then by no right of its engine.
    #[serde(default)]
    pub detached: bool,
    /// Since when it is proven to acknowledge nothing. Ends with the proof.
    #[serde(default)]
    pub proven: Option<Stamp>,
    /// Its engine could not keep writes out of it, for people. Of no account once it is proven closed after that.
    #[serde(default)]
    pub suspected: Option<String>,
    /// When the engine's word on that was heard.
    #[serde(default)]
    pub suspected_at: Option<Stamp>,
    /// What an ended run could not undo any more, newest last: undone as soon as the region answers.
    #[serde(default)]
    pub undo: Vec<Action>,
    /// Attempts to rejoin so far.
    pub rejoin_attempts: u32,
    /// Why it is not back, for people.
    pub message: String,
}

impl Outcast {
    /// A region that `run` casts out.
    pub fn new(run: RunName, message: impl Into<String>) -> Self {
        Self {
            run,
            way: None,
            work: None,
            promotion_pending: false,
            not_before: None,
            detached_late: None,
            detached: false,
            proven: None,
            suspected: None,
            suspected_at: None,
            undo: Vec::new(),
            rejoin_attempts: 0,
            message: message.into(),
        }
    }

    /// Why it may take writes although nobody sees it, unless a proof came after that.
    pub fn suspicion(&self) -> Option<&str> {
        let is_cleared = match (&self.proven, &self.suspected_at) {
            (Some(proven), Some(suspected)) if proven.boot == suspected.boot => proven.tick >= suspected.tick,
            (Some(proven), Some(suspected)) => proven.wall >= suspected.wall,
            (proven, None) => proven.is_some(),
            (None, Some(_)) => false,
        };
        self.suspected.as_deref().filter(|_| !is_cleared)
    }

    /// For how long the region that took over may still be detached; over a reboot by the wall clock.
    pub fn detachment_left(&self, now: &Stamp) -> Millis {
        if seeded::active(Bug::IgnoreLateDetachment) {
            return Millis(0);
        }
        self.detached_late.map(|until| until.since_or_wall(now)).unwrap_or_default()
    }
}

/// Which data the active region's writer has, so that a standby is compared with it also while it is silent.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Lineage {
    /// Identity of the data.
    pub system: String,
    /// The newest timeline that it was seen on.
    pub timeline: u64,
}

/// The most replicas that the active region asked for lately.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct PeakReplicas {
    /// So many.
    pub replicas: u32,
    /// Recorded when.
    pub at: Stamp,
}

/// A public name that is being settled.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Settling {
    /// The effect.
    pub step: Step,
    /// Attempts in a row that failed.
    pub failures: u32,
}

impl Settling {
    /// So many failures in a row are told, once, and then it is tried ever more seldom.
    pub(crate) const TOLD_AFTER: u32 = 5;

    /// Whether it is tried so seldom that it needs no fresh looks.
    fn is_resting(&self) -> bool {
        self.failures >= Self::TOLD_AFTER
    }
}

/// What an engine saved of an old primary, and which is to be kept.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Keeping {
    /// The run that left it.
    pub run: RunName,
    /// Data item.
    pub item: ItemName,
    /// The old primary's region.
    pub region: RegionName,
    /// What was saved before is of another run.
    pub since: Wall,
    /// The effect.
    pub step: Step,
    /// Since when the region is not cast out.
    #[serde(default)]
    pub back: Option<Stamp>,
}

impl Keeping {
    /// So many attempts that have not kept it are told, once: some twenty minutes.
    pub(crate) const TOLD_AFTER: u32 = 8;
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

/// The newest acknowledged heartbeat of a data item, for a process that starts while its primary is silent.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct AckedBeat {
    /// Who wrote it.
    pub writer: String,
    /// Its number.
    pub seq: u64,
    /// When it was acknowledged.
    pub at: Stamp,
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
    /// A recent acknowledged heartbeat by item: what a standby has at least, also for a process that never saw one.
    #[serde(default)]
    pub beats: BTreeMap<ItemName, AckedBeat>,
    /// What the active region's writer was last seen to hold, by data item.
    #[serde(default)]
    pub lineage: BTreeMap<ItemName, Lineage>,
    /// The most that the active region ran, by compute item.
    #[serde(default)]
    pub peaks: BTreeMap<ItemName, PeakReplicas>,
    /// The workload that is being given back, between runs.
    #[serde(default)]
    pub giving_back: Option<Step>,
    /// Public names that are being settled, between runs.
    #[serde(default)]
    pub settling: BTreeMap<ItemName, Settling>,
    /// What engines saved of old primaries, and which is being copied, between runs.
    #[serde(default)]
    pub keeping: Vec<Keeping>,
    /// A person said `ack` while another region took writes: if that one turns out to be the only writer, it is the
    /// active region from then on.
    #[serde(default)]
    pub relearn: bool,
    /// Regions that were seen to take writes beside the one that should. Each stays here until it is proven closed, is the one that
    /// should, or a person says `ack` and it is not seen to any more.
    #[serde(default)]
    pub other_writers: BTreeSet<RegionName>,
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
            beats: BTreeMap::new(),
            lineage: BTreeMap::new(),
            peaks: BTreeMap::new(),
            giving_back: None,
            settling: BTreeMap::new(),
            keeping: Vec::new(),
            relearn: false,
            other_writers: BTreeSet::new(),
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

impl Journal {
    /// Whether a public name is being settled at a pace that needs fresh looks.
    pub fn is_settling(&self) -> bool {
        self.state.settling.values().any(|settling| !settling.is_resting())
    }
    /// The run that acts, if one does.
    pub fn active_run(&self) -> Option<&Run> {
        self.run.as_ref().filter(|run| !run.phase.is_final())
    }
}

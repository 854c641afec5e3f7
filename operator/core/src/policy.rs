//! The validated policy: what the shell makes of a `RegionFailoverPolicy` once every rule held.
//!
//! It names things and says how long they may take; connections, URLs and secrets stay in the shell.

use crate::ids::{ClaimKey, ItemName, Owner, PolicyName, ProbeName, RegionName};
use crate::journal::RunKind;
use crate::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How far Muster goes by itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Mode {
    /// Watches and says what it would do. Starts no effect, also in a run that is under way.
    Observe,
    /// Opens a run and asks a person at the decision.
    #[default]
    Approve,
    /// Acts when every gate holds.
    Automatic,
}

/// Why a region may be believed to take no writes (safety rules, section 3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum ProofClass {
    /// Observed: in recovery, stopped by the authority that stops things, or the application's write refused.
    Closed,
    /// A hook's separate `status` verb says off.
    Attested,
    /// Writable still, but synchronous commit makes an acknowledgement impossible.
    NoAck,
    /// A person's approval, or the policy's own `withoutFence`.
    Waived,
}

/// Which side a probe runs against.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum On {
    /// Only the region that takes writes.
    Primary,
    /// Only the others.
    Standby,
    /// Each region.
    Both,
}

/// A probe, as far as judging it goes.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ProbePlan {
    /// Its name.
    pub name: ProbeName,
    /// Which side it runs against.
    pub on: On,
    /// Between two starts.
    pub every: Millis,
    /// Of one run, all requests together.
    pub timeout: Millis,
}

/// A threshold with a shortest time.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Threshold {
    /// Results in a row.
    pub count: u32,
    /// And at least this long.
    pub min: Millis,
}

/// How a vantage's view of a region follows from its probes.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Aggregate {
    /// Unhealthy when any of these is tripped.
    AnyOf(BTreeSet<ProbeName>),
    /// Unhealthy when at least this many are tripped.
    AtLeast(u32),
}

/// What turns results into verdicts.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Detection {
    /// Healthy to Unhealthy.
    pub trip: Threshold,
    /// Unhealthy to Healthy.
    pub reset: Threshold,
    /// Over the probes of one vantage.
    pub aggregate: Aggregate,
    /// Vantages outside the judged region that must see it fail.
    pub quorum: u32,
    /// Number of independent targets that show whether the observer itself is connected.
    pub anchors: u32,
}

/// The probe through the public name, that ends the RTO clock.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct PublicProbe {
    /// Between two starts.
    pub every: Millis,
    /// Of one run.
    pub timeout: Millis,
    /// Successes in a row that count as recovered.
    pub successes: u32,
}

/// What the target of an adapter checks by itself (safety rules, section 4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Capability {
    /// A stale effect is refused at the target.
    Checked,
    /// Nothing is checked: observe, adopt, then act.
    Unchecked,
}

/// One data item.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one thing that an engine does or does not, by itself"
)]
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct DataItem {
    /// Its name.
    pub name: ItemName,
    /// The engine's key in the API, for messages.
    pub engine: String,
    /// What else must not steer it.
    pub claims: BTreeSet<ClaimKey>,
    /// How long a promotion usually takes, for the prediction.
    pub expected_promote: Millis,
    /// Deadline of one promotion.
    pub promote_deadline: Millis,
    /// What a stale promotion meets.
    pub capability: Capability,
    /// The engine carries a planned switchover out by itself, and keeps one writer throughout.
    #[serde(default)]
    pub hands_over: bool,
    /// The engine saves what an old primary held that a failover left, and that has to be kept.
    #[serde(default)]
    pub saves_old_data: bool,
    /// Once a failover was asked for so long ago and is not seen done, a person may have the target detached: it takes writes by
    /// itself then, and its engine replicates nothing from it. `None`: nobody may.
    #[serde(default)]
    pub detaches_after: Option<Millis>,
    /// Whether an old primary can be made to rejoin: by a hook, or by what makes it anew.
    pub can_rejoin: bool,
    /// Deadline of one attempt to rejoin.
    pub rejoin_timeout: Millis,
    /// The policy declares that clients never lower the commit level and nobody edits the standby list.
    pub no_ack_declared: bool,
}

impl DataItem {
    /// Whether the old primary's log is read before it rejoins. One that is made anew by a control plane shows it to nobody.
    pub const fn reads_old_log(&self) -> bool {
        self.can_rejoin && matches!(self.capability, Capability::Checked)
    }

    /// Whether a run of this kind has the engine hand the item over, instead of promoting it itself.
    pub const fn is_handed_over(&self, kind: RunKind) -> bool {
        self.hands_over && kind.is_planned()
    }
}

/// One traffic item.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct TrafficItem {
    /// Its name.
    pub name: ItemName,
    /// The adapter's key in the API.
    pub engine: String,
    /// What else must not steer it.
    pub claims: BTreeSet<ClaimKey>,
    /// How long resolvers may keep the old answer.
    pub ttl: Millis,
    /// Deadline of one flip.
    pub deadline: Millis,
}

/// How many replicas a region's workload gets before the region takes over.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum ScaleTo {
    /// So many.
    Replicas(u32),
    /// A share of the most that the active region ran within the last day.
    PercentOfPeak {
        /// Of 100.
        percent: u32,
        /// Never fewer, also where no peak is known.
        at_least: u32,
    },
}

/// One workload that runs in every region.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ComputeItem {
    /// Its name.
    pub name: ItemName,
    /// What else must not steer it.
    pub claims: BTreeSet<ClaimKey>,
    /// Its size where traffic goes.
    pub to: ScaleTo,
    /// Its size in a standby region, once Muster gives it back; `None`: as it was before Muster scaled it.
    pub standby: Option<u32>,
    /// A planned run waits for it before it fences the source.
    pub ready_before_fence: bool,
    /// How long new replicas usually take, for the prediction.
    pub expected_ready: Millis,
    /// At most so long traffic waits for them.
    pub ready_timeout: Millis,
}

/// How a fence works.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum FenceKind {
    /// The data item's own: log in refused to the application's role, proved by a refused write.
    Data(ItemName),
    /// A hook with the verbs `fence` and `status`; covers the whole region.
    Hook,
    /// The region's workloads are scaled to zero. What its cluster says of them attests that they do not write; it says
    /// nothing of the region's database.
    Scale,
    /// The network denies the region's databases to everybody, Muster too. They run on behind it: a promotion may still land
    /// there.
    Network {
        /// Where it denies: no other policy may open that.
        claims: BTreeSet<ClaimKey>,
    },
}

impl FenceKind {
    /// Whether a separate look at something other than the data tells whether the fence is on.
    pub const fn has_status(&self) -> bool {
        matches!(self, Self::Hook | Self::Scale | Self::Network { .. })
    }

    /// What else must not use it.
    fn claims(&self) -> impl Iterator<Item = &ClaimKey> {
        let claims = if let Self::Network { claims } = self { Some(claims) } else { None };
        claims.into_iter().flatten()
    }
}

/// One way to fence, tried in the policy's order.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct FenceWay {
    /// Its name.
    pub name: ItemName,
    /// How it works.
    pub kind: FenceKind,
    /// What it can prove at best.
    pub proof: ProofClass,
    /// Of one attempt; a hook's process group is killed then.
    pub timeout: Millis,
    /// Before the next way is tried.
    pub attempts: u32,
}

/// When a user's hook runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum HookPoint {
    /// Before the old primary is fenced.
    BeforeFence,
    /// After the data was promoted, before traffic.
    AfterPromote,
    /// After traffic moved.
    AfterTraffic,
}

/// A user's hook as a step of a run.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct HookStep {
    /// Its name.
    pub name: ItemName,
    /// When.
    pub at: HookPoint,
    /// Of one attempt.
    pub timeout: Millis,
    /// At most.
    pub attempts: u32,
    /// Whether a failure stops the run (only before the point of no return) or is reported and passed.
    pub required: bool,
}

/// Consent to promote without a fence, given ahead of time.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct WithoutFence {
    /// Only while the loss is at most this.
    pub max_loss: Millis,
    /// Only after fencing was tried for this long.
    pub after: Millis,
}

/// Limits that no run passes by itself.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Safety {
    /// After a run, before the next one may start by a verdict.
    pub cooldown: Millis,
    /// Gate on the estimated loss (by its upper bound) at the decision.
    pub max_estimated_loss: Option<Millis>,
    /// Proof classes accepted beside Closed.
    pub accept: BTreeSet<ProofClass>,
    /// Consent to go without a proof.
    pub without_fence: Option<WithoutFence>,
}

/// Objectives, for reports.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Objectives {
    /// Recovery time.
    pub rto: Option<Millis>,
    /// Recovery point.
    pub rpo: Option<Millis>,
}

/// A validated policy. A run pins the one that it was claimed with.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Policy {
    /// `namespace/name`.
    pub name: PolicyName,
    /// Its UID.
    pub owner: Owner,
    /// Grows with each edit of the spec.
    pub generation: u64,
    /// A digest of the spec as written, without the mode. Addresses, node names and hooks' URLs stand in no other field, and
    /// a run holds to them as to the rest. Empty: not known.
    #[serde(default)]
    pub written: String,
    /// How far Muster goes by itself. Live during a run.
    pub mode: Mode,
    /// For reports.
    pub objectives: Objectives,
    /// Two or more, in order of preference.
    pub regions: Vec<RegionName>,
    /// Functional probes.
    pub probes: Vec<ProbePlan>,
    /// Through the public name.
    pub public_probe: Option<PublicProbe>,
    /// Thresholds and quorum.
    pub detection: Detection,
    /// Data items, promoted in this order.
    pub data: Vec<DataItem>,
    /// Workloads, scaled up in this order.
    #[serde(default)]
    pub compute: Vec<ComputeItem>,
    /// Traffic items, flipped in this order.
    pub traffic: Vec<TrafficItem>,
    /// Fences, tried in this order.
    pub fences: Vec<FenceWay>,
    /// The user's own steps.
    pub hooks: Vec<HookStep>,
    /// Limits.
    pub safety: Safety,
}

impl Policy {
    /// Everything that this policy claims for itself.
    pub fn claims(&self) -> BTreeSet<ClaimKey> {
        self.data
            .iter()
            .flat_map(|d| d.claims.iter())
            .chain(self.traffic.iter().flat_map(|t| t.claims.iter()))
            .chain(self.compute.iter().flat_map(|c| c.claims.iter()))
            .chain(self.fences.iter().flat_map(|way| way.kind.claims()))
            .cloned()
            .collect()
    }
    /// Whether a proof of this class may be used without asking.
    pub fn accepts(&self, class: ProofClass) -> bool {
        class == ProofClass::Closed || self.safety.accept.contains(&class)
    }
}

//! The plan of a run: its steps in order, fixed when it opens, and a hash that an approval binds to.

use crate::ids::{HolderId, RegionName, RunName};
use crate::journal::{
    ActiveRun, Approval, Journal, Measured, Phase, Run, RunClock, RunKind, Step, StepKey, StepState, Trigger,
};
use crate::policy::{HookPoint, Policy};
use crate::predict::predict;
use crate::seeded::{self, Bug};
use crate::time::Stamp;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

/// What opens a run.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    pub(crate) name: RunName,
    pub(crate) kind: RunKind,
    pub(crate) from: RegionName,
    pub(crate) to: RegionName,
    pub(crate) trigger: Trigger,
    pub(crate) reason: String,
    pub(crate) approval: Option<Approval>,
    pub(crate) holder: HolderId,
    pub(crate) first_failure: Option<Stamp>,
}

/// Every region that has to be fenced before `to` may be promoted.
fn regions_to_fence(
    policy: &Policy,
    journal: &Journal,
    kind: RunKind,
    from: &RegionName,
    to: &RegionName,
) -> BTreeSet<RegionName> {
    let mut regions = if seeded::active(Bug::IgnoreMayBeWritable) {
        BTreeSet::new()
    } else {
        journal.state.may_be_writable.clone()
    };
    // What the engine hands over it closes itself.
    let all_handed_over = !policy.data.is_empty() && policy.data.iter().all(|d| d.is_handed_over(kind));
    if all_handed_over {
        regions.remove(from);
    } else {
        regions.insert(from.clone());
    }
    regions.remove(to);
    regions
}

fn steps(policy: &Policy, fence: &BTreeSet<RegionName>, kind: RunKind) -> Vec<Step> {
    let hooks = |at: HookPoint| {
        policy.hooks.iter().filter(move |h| h.at == at).map(|h| StepKey::Hook(h.name.clone()))
    };
    let mut keys: Vec<StepKey> = Vec::new();
    keys.extend(policy.data.iter().map(|d| StepKey::RaiseWitness(d.name.clone())));
    keys.extend(hooks(HookPoint::BeforeFence));
    keys.extend(policy.compute.iter().map(|c| StepKey::ScaleCompute(c.name.clone())));
    keys.extend(fence.iter().cloned().map(StepKey::FenceOld));
    let (handed_over, promoted): (Vec<_>, Vec<_>) = policy.data.iter().partition(|d| d.is_handed_over(kind));
    if kind.is_planned() {
        keys.extend(promoted.iter().map(|d| StepKey::CatchUp(d.name.clone())));
    }
    keys.extend(handed_over.iter().map(|d| StepKey::HandOver(d.name.clone())));
    keys.extend(promoted.iter().map(|d| StepKey::PromoteData(d.name.clone())));
    keys.extend(policy.data.iter().map(|d| StepKey::OpenWriter(d.name.clone())));
    keys.extend(hooks(HookPoint::AfterPromote));
    keys.extend(policy.compute.iter().map(|c| StepKey::AwaitCompute(c.name.clone())));
    keys.extend(policy.traffic.iter().map(|t| StepKey::FlipTraffic(t.name.clone())));
    keys.extend(hooks(HookPoint::AfterTraffic));
    keys.push(StepKey::Verify);
    keys.into_iter().map(Step::new).collect()
}

/// Makes a run with the next epoch; nothing is recorded yet.
pub(crate) fn open(policy: &Policy, journal: &Journal, opening: Opening, now: Stamp) -> Run {
    let fence = regions_to_fence(policy, journal, opening.kind, &opening.from, &opening.to);
    Run {
        name: opening.name,
        kind: opening.kind,
        from: opening.from,
        to: opening.to,
        trigger: opening.trigger,
        reason: opening.reason,
        steps: steps(policy, &fence, opening.kind),
        predicted: predict(policy, opening.kind),
        policy: policy.clone(),
        epoch: journal.state.epoch.next(),
        term: journal.state.term.next(),
        holder: opening.holder,
        approval: opening.approval,
        abort: None,
        undoing: false,
        phase: Phase::Pending,
        phase_since: now,
        message: "claimed".to_owned(),
        gates: Vec::new(),
        proofs: BTreeMap::new(),
        clock: RunClock { first_failure: opening.first_failure, detected: Some(now), ..RunClock::default() },
        measured: Measured::default(),
        outcome: None,
        taken_over: None,
        acked_at_pivot: BTreeMap::new(),
        saved: BTreeMap::new(),
    }
}

/// The run with another target: what was done of steps that both plans have stays done, and what was fenced fenced.
pub(crate) fn retarget(journal: &Journal, run: &Run, to: RegionName) -> Run {
    let mut fence = regions_to_fence(&run.policy, journal, run.kind, &run.from, &to);
    fence.extend(run.steps.iter().filter_map(|step| match &step.key {
        StepKey::FenceOld(region) if step.state != StepState::Pending => Some(region.clone()),
        _ => None,
    }));
    let mut planned = steps(&run.policy, &fence, run.kind);
    // The new target was asked for nothing yet.
    let of_target = |key: &StepKey| matches!(key, StepKey::ScaleCompute(_));
    for step in planned.iter_mut().filter(|step| !of_target(&step.key)) {
        if let Some(done) = run.steps.iter().find(|s| s.key == step.key) {
            step.clone_from(done);
        }
    }
    Run { to, steps: planned, ..run.clone() }
}

/// Takes the policy for a run: the compare-and-swap that lets one run act.
pub(crate) fn claim(journal: &mut Journal, run: Run) {
    journal.state.epoch = run.epoch;
    journal.state.term = run.term;
    // What is given back meanwhile is the run's own matter now.
    journal.state.giving_back =
        journal.state.giving_back.take().filter(|step| step.state != StepState::Failed);
    // What a late one finds is another state than it was sent for, and the target refuses it.
    journal.state.settling.clear();
    journal.state.active_run = Some(ActiveRun { name: run.name.clone(), epoch: run.epoch, term: run.term });
    journal.run = Some(run);
}

/// 64-bit FNV-1a, so that a hash means the same in every process of this version.
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

/// What an approval binds to: kind, regions, steps and the policy as it stands.
pub(crate) fn plan_hash(run: &Run) -> String {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    (run.kind, &run.from, &run.to, &run.policy).hash(&mut hasher);
    for step in &run.steps {
        step.key.hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

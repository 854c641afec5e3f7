//! Workloads between runs: how much the active region runs is remembered, and what Muster scaled up is given back
//! where it stands by again.

use super::{LOOK_AGAIN, may_act};
use crate::draft::Draft;
use crate::effect::Action;
use crate::facts::{DataFacts, DataRole};
use crate::ids::{ItemName, RegionName};
use crate::journal::{PeakReplicas, Step, StepKey, StepState};
use crate::policy::{FenceKind, ScaleTo};
use crate::retry::{self, Next};
use crate::rules::Rule;
use crate::run::{PEAK_LASTS, compute_weakness, known_peak};
use crate::time::Millis;

/// A peak that is still reached is recorded anew only so often: a stable world causes no writes but this one.
const RENEW_AFTER: Millis = Millis(PEAK_LASTS.0 / 2);

/// Keeps the most that the active region ran within the last day, so that it is known also when that region is gone.
pub(crate) fn remember_peaks(d: &mut Draft<'_>) {
    let Some(active) = d.next.state.active_region.clone() else { return };
    // During a run the region that is left may be at zero, and the one that comes is being scaled.
    if d.next.state.active_run.is_some() {
        return;
    }
    for item in &d.policy().compute {
        let Some(facts) = d.sight.compute(&item.name, &active) else { continue };
        let seen = facts.wanted.max(facts.recent);
        let keeps = d.next.state.peaks.get(&item.name).is_some_and(|kept| {
            let age = d.sight.now.since_or_wall(&kept.at);
            kept.replicas > seen && age < PEAK_LASTS || kept.replicas == seen && age < RENEW_AFTER
        });
        if !keeps {
            let peak = PeakReplicas { replicas: seen, at: d.sight.now };
            d.next.state.peaks.insert(item.name.clone(), peak);
        }
    }
}

/// The workload that is to be given back next, after `last`: in a region whose databases are all seen standing by. Pods at
/// zero may be all that keeps an old primary from being written.
fn next_to_give_back(d: &Draft<'_>, last: Option<&Action>) -> Option<(ItemName, RegionName, Option<u32>)> {
    let state = &d.next.state;
    let active = state.active_region.as_ref()?;
    let sight = d.sight;
    let follows = |region: &RegionName| {
        let stands_by = |f: &DataFacts| f.role == DataRole::Standby;
        sight.policy.data.iter().all(|item| sight.data(&item.name, region).is_some_and(stands_by))
    };
    let stands_by = |region: &&RegionName| {
        *region != active
            && !state.outcasts.contains_key(*region)
            && !state.may_be_writable.contains(*region)
            && follows(region)
    };
    let all: Vec<_> = sight
        .policy
        .compute
        .iter()
        .flat_map(|item| sight.policy.regions.iter().filter(stands_by).map(move |region| (item, region)))
        .filter(|(item, region)| sight.same_workload(&item.name, region).is_none())
        .filter(|(item, region)| sight.compute(&item.name, region).is_some_and(|f| f.before.is_some()))
        .map(|(item, region)| (item.name.clone(), region.clone(), item.standby))
        .collect();
    // One that fails does not keep the others waiting.
    let is_last = |(item, region, _): &(ItemName, RegionName, _)| matches!(last, Some(Action::Restore { item: i, region: r, .. }) if i == item && r == region);
    let after = all.iter().position(is_last).map_or(0, |at| at + 1);
    all.get(after).or_else(|| all.first()).cloned()
}

/// Attempts before another workload has its turn.
const GIVE_BACK_ATTEMPTS: u32 = 5;

/// Gives workloads back, one effect at a time, between runs. A cluster that does not answer is left until it does.
pub(crate) fn give_back(d: &mut Draft<'_>) {
    if !may_act(d) || !d.effects.is_empty() {
        return;
    }
    let under_way = d.next.state.giving_back.clone();
    match under_way {
        Some(step) if step.state != StepState::Failed => go_on_giving_back(d, step),
        last => begin_giving_back(d, last.as_ref()),
    }
}

fn begin_giving_back(d: &mut Draft<'_>, last: Option<&Step>) {
    let Some((item, region, replicas)) = next_to_give_back(d, last.and_then(|step| step.action.as_ref()))
    else {
        if last.is_some() {
            d.next.state.giving_back = None;
        }
        return;
    };
    let mut step = Step::new(StepKey::ScaleCompute(item.clone()));
    let action = Action::Restore { item, region, replicas };
    d.fire(Rule::GivenBack, action.to_string());
    d.intend(&mut step, action);
    d.next.state.giving_back = Some(step);
}

fn go_on_giving_back(d: &mut Draft<'_>, mut step: Step) {
    d.next.state.giving_back = None;
    let Some(Action::Restore { item, region, .. }) = step.action.clone() else { return };
    let is_known =
        d.policy().compute.iter().any(|c| c.name == item) && d.sight.compute(&item, &region).is_some();
    if !is_known && !d.sight.is_in_flight(&step) {
        // Taken up again once its cluster answers; the others do not wait for it.
        d.wake_in(LOOK_AGAIN);
        return;
    }
    let issued = step.issued.map(|at| d.sight.tick_of(at).plus(Millis(1))).unwrap_or_default();
    let seen = d.sight.compute_since(&item, &region, issued);
    let became_active = d.next.state.active_region.as_ref() == Some(&region);
    if became_active || seen.is_some_and(|facts| facts.before.is_none()) {
        d.fire(Rule::GivenBack, format!("{item} in {region} is a standby's again"));
        d.wake_in(Millis(0));
        return;
    }
    match retry::judge(&d.sight, &step) {
        Next::Wait(pause, _) => d.wake_in(pause.max(LOOK_AGAIN)),
        // Its number is old: the next one has a newer.
        Next::Superseded(why) => {
            d.fire(Rule::Superseded, why);
            d.wake_in(LOOK_AGAIN);
            return;
        }
        Next::Repeat(why) if step.attempts >= GIVE_BACK_ATTEMPTS => {
            d.event(true, "GiveBackFailed", why.clone());
            d.fire(Rule::GivenBack, why.clone());
            step.state = StepState::Failed;
            step.saw = why;
            d.wake_in(LOOK_AGAIN);
        }
        Next::Repeat(why) => {
            d.fire(Rule::GivenBack, why);
            d.repeat(&mut step);
        }
    }
    d.next.state.giving_back = Some(step);
}

/// Condition Scalable: whether the standbys could be scaled up today, said before the day. Between runs only.
pub(crate) fn judge_compute(d: &mut Draft<'_>) {
    if d.policy().compute.is_empty() {
        d.next.state.conditions.remove("Scalable");
        return;
    }
    if d.next.state.active_run.is_some() {
        return;
    }
    let Some(active) = d.next.state.active_region.clone() else { return };
    let policy = d.policy();
    let unknown = policy.compute.iter().find(|item| {
        matches!(item.to, ScaleTo::PercentOfPeak { .. }) && known_peak(d, &item.name, &active).is_none()
    });
    if let Some(item) = unknown {
        let message = format!("the peak of {} is not known: {active} was never seen to run it", item.name);
        return d.condition("Scalable", false, "PeakUnknown", message);
    }
    let standbys = || policy.regions.iter().filter(|region| **region != active);
    let weak: Vec<String> = policy
        .compute
        .iter()
        .flat_map(|item| standbys().filter_map(|region| compute_weakness(d, item, region, &active)))
        .collect();
    let weak: Vec<String> = weak.into_iter().chain(kept_in_active(d, &active)).collect();
    if weak.is_empty() {
        d.condition("Scalable", true, "Scalable", "every standby can be scaled");
    } else {
        d.condition("Scalable", false, "ScaleHindered", weak.join("; "));
    }
}

/// Where workloads are a fence, whoever keeps their number in the active region would undo it.
fn kept_in_active(d: &Draft<'_>, active: &RegionName) -> Option<String> {
    let policy = d.policy();
    policy.fences.iter().find(|way| way.kind == FenceKind::Scale)?;
    policy.compute.iter().find_map(|item| {
        let keeper = d.sight.compute(&item.name, active)?.keeper.as_ref()?;
        Some(format!("{} in {active}: {keeper} would undo a fence that scales it to zero", item.name))
    })
}

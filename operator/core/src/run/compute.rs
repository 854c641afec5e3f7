//! The target's workloads: asked for before the fence, so that pods start while the data moves, and ready before
//! traffic. Nothing here keeps data whole, so nothing here holds a fence or a promotion up for long.

use super::{seen, steps};
use crate::draft::Draft;
use crate::effect::Action;
use crate::facts::ComputeFacts;
use crate::ids::{ItemName, RegionName};
use crate::journal::{Step, StepKey, StepState};
use crate::policy::{ComputeItem, ScaleTo};
use crate::retry::{self, Next};
use crate::rules::Rule;
use crate::time::{Millis, Tick};

/// How often replicas are looked at again.
const LOOK_AGAIN: Millis = Millis(250);
/// A cluster that answers more slowly does not hold the fence up: its workloads are asked for again before traffic moves.
const PATIENCE: Millis = Millis(3_000);
/// A peak that old says nothing of today.
pub(crate) const PEAK_LASTS: Millis = Millis(24 * 3_600_000);

/// How many replicas the target needs: what the policy says, by the largest demand that is known.
pub(crate) fn size(d: &Draft<'_>, item: &ComputeItem, from: &RegionName) -> u32 {
    match item.to {
        ScaleTo::Replicas(replicas) => replicas,
        ScaleTo::PercentOfPeak { percent, at_least } => {
            let peak = known_peak(d, &item.name, from).unwrap_or(0);
            let share = (u64::from(peak) * u64::from(percent)).div_ceil(100);
            u32::try_from(share).unwrap_or(u32::MAX).max(at_least)
        }
    }
}

/// The most that the active region ran lately, as the journal keeps it and as its cluster says now.
pub(crate) fn known_peak(d: &Draft<'_>, item: &ItemName, active: &RegionName) -> Option<u32> {
    let kept = d.next.state.peaks.get(item);
    // Twice as long as a peak lasts while it is looked at: no look was possible since.
    let kept = kept.filter(|peak| d.sight.now.since_or_wall(&peak.at) <= PEAK_LASTS.times(2));
    let now = d.sight.compute(item, active).map(|facts| facts.wanted.max(facts.recent));
    kept.map(|peak| peak.replicas).max(now)
}

fn item_of<'a>(d: &Draft<'a>, name: &ItemName) -> Option<&'a ComputeItem> {
    d.policy().compute.iter().find(|item| item.name == *name)
}

/// Asks for the target's replicas. A cluster that is silent is asked again before traffic moves.
pub(super) fn begin(d: &mut Draft<'_>, step: &mut Step, name: &ItemName) -> bool {
    let (from, to) = (d.run().from.clone(), d.run().to.clone());
    let Some(item) = item_of(d, name) else { return steps::skip(d, step, not_in_policy(name)) };
    let replicas = size(d, item, &from);
    let waits = waits(d, item);
    let began = *step.started.get_or_insert(d.sight.now);
    // What nobody is moved for is looked at anew before anybody is.
    let since = if waits { d.sight.tick_of(began) } else { Tick(0) };
    let Some(facts) = d.sight.compute_since(name, &to, since) else {
        let why = d.sight.why_no_compute(name, &to);
        if waits {
            return wait_for(d, step, item, why);
        }
        return steps::skip(d, step, format!("{why}; asked again before traffic moves"));
    };
    if let Some(other) = d.sight.same_workload(name, &to) {
        let why = format!("{name} in {to} is the very workload of {other}: two kubeconfigs of one cluster");
        return steps::skip(d, step, why);
    }
    // A giving back that is under way is made stale by the mark that scaling leaves.
    let is_ours = facts.before.is_some() || is_being_given_back(d, name);
    let enough = facts.is_scaled(replicas) && (facts.ready >= facts.allowed(replicas) || !waits);
    if enough && !is_ours {
        let saw = format!("{to} has {} of {replicas} ready", facts.ready);
        return steps::observed(d, step, saw);
    }
    steps::start(d, step, Action::Scale { item: name.clone(), region: to, replicas })
}

fn is_being_given_back(d: &Draft<'_>, name: &ItemName) -> bool {
    let step = d.sight.journal.state.giving_back.as_ref();
    step.is_some_and(|step| matches!(&step.action, Some(Action::Restore { item, .. }) if item == name))
}

/// A planned run fences nobody before the replicas are ready, and is given up if they do not come.
fn wait_for(d: &mut Draft<'_>, step: &mut Step, item: &ComputeItem, saw: String) -> bool {
    let waited = d.sight.waited_since(step.started);
    if waited >= item.ready_timeout {
        let why = format!("{}: {saw} within {}", item.name, item.ready_timeout);
        d.event(true, "ComputeShort", why.clone());
        step.state = StepState::Failed;
        step.saw.clone_from(&why);
        d.run().abort = Some(format!("{why}; nothing was fenced"));
        d.fire(Rule::StepFailed, why);
        return false;
    }
    let (from, to) = (d.run().from.clone(), d.run().to.clone());
    let needs = format!("{} is ready in {to} before {from} is fenced", item.name);
    d.block("ComputeReady", saw.clone(), needs);
    d.fire(Rule::StepAwaited, saw);
    d.wake_in(LOOK_AGAIN);
    false
}

fn not_in_policy(name: &ItemName) -> String {
    format!("{name} is not in the policy")
}

/// Whether the fence waits until the replicas are ready: a planned run takes nobody's service away for pods that never
/// come.
fn waits(d: &mut Draft<'_>, item: &ComputeItem) -> bool {
    item.ready_before_fence && d.run().kind.is_planned()
}

/// Looks whether the replicas are asked for, and in a planned run whether they are ready.
pub(super) fn look(d: &mut Draft<'_>, step: &mut Step, name: &ItemName) -> bool {
    let Some(item) = item_of(d, name) else { return steps::skip(d, step, not_in_policy(name)) };
    let to = d.run().to.clone();
    let waits = waits(d, item);
    let asked = asked_of(step);
    let facts = d.sight.compute_since(name, &to, seen::since(&d.sight, step));
    let scaled = facts.filter(|facts| facts.is_scaled(asked));
    if let Some(facts) = scaled.filter(|facts| facts.ready >= facts.allowed(asked) || !waits) {
        return steps::observed(d, step, format!("{to} is asked for {asked}, {} ready", facts.ready));
    }
    if let Some(facts) = scaled {
        return wait_for(d, step, item, format!("{} of {asked} ready", facts.ready));
    }
    let waited = d.sight.waited_since(step.started);
    if waits && waited >= item.ready_timeout {
        return wait_for(d, step, item, "not seen scaled".to_owned());
    }
    if !waits && waited >= PATIENCE {
        return steps::skip(
            d,
            step,
            format!("{name} in {to} is not seen scaled; asked again before traffic moves"),
        );
    }
    ask_again(d, step)
}

/// What the step asked for.
fn asked_of(step: &Step) -> u32 {
    match step.action {
        Some(Action::Scale { replicas, .. }) => replicas,
        _ => 0,
    }
}

/// Sends the same effect again once it is due.
fn ask_again(d: &mut Draft<'_>, step: &mut Step) -> bool {
    match retry::judge(&d.sight, step) {
        Next::Wait(pause, why) => {
            d.fire(Rule::StepAwaited, why);
            d.wake_in(pause.max(LOOK_AGAIN));
            false
        }
        // A newer holder scales it; what counts is what is ready.
        Next::Superseded(why) => {
            d.fire(Rule::Superseded, why);
            d.wake_in(Millis(1_000));
            false
        }
        Next::Repeat(why) => {
            d.fire(Rule::StepRepeated, why);
            d.repeat(step);
            true
        }
    }
}

/// Waits until the target can serve, asking again where it was not heard. After the policy's own time traffic moves to
/// what is there: the region that is left serves nobody either.
pub(super) fn look_at_ready(d: &mut Draft<'_>, step: &mut Step, name: &ItemName) -> bool {
    let Some(item) = item_of(d, name) else { return steps::skip(d, step, not_in_policy(name)) };
    let (from, to) = (d.run().from.clone(), d.run().to.clone());
    let asked = asked_before(d, step, name).unwrap_or_else(|| size(d, item, &from));
    let since = step.started.map(|at| d.sight.tick_of(at)).unwrap_or_default();
    let facts = d.sight.compute_since(name, &to, since);
    // Whoever sets the autoscaler's minimum: what counts is what is ready.
    let ready = facts.filter(|f| f.wanted >= f.allowed(asked) && f.ready >= f.allowed(asked));
    if let Some(facts) = ready {
        note_scaled(d);
        let short = (facts.allowed(asked) < asked)
            .then(|| format!(", its autoscaler allows no more than {}", facts.allowed(asked)));
        return steps::observed(
            d,
            step,
            format!("{} of {asked} ready{}", facts.ready, short.unwrap_or_default()),
        );
    }
    let saw =
        facts.map_or_else(|| d.sight.why_no_compute(name, &to), |f| format!("{} of {asked} ready", f.ready));
    if traffic_waited(d, step) >= item.ready_timeout {
        note_scaled(d);
        let why =
            format!("{name} in {to}: {saw} within {}; traffic moves to what is there", item.ready_timeout);
        d.event(true, "ComputeShort", why.clone());
        return steps::skip(d, step, why);
    }
    d.block("ComputeReady", saw.clone(), format!("{asked} ready of {name} in {to}"));
    if facts.is_some_and(|f| !f.is_scaled(asked)) {
        return ask_for(d, step, name, to, asked);
    }
    d.fire(Rule::StepAwaited, saw);
    d.wake_in(LOOK_AGAIN);
    false
}

/// How long traffic has waited for workloads, all of them together.
fn traffic_waited(d: &mut Draft<'_>, step: &Step) -> Millis {
    let awaits = |s: &&Step| matches!(s.key, StepKey::AwaitCompute(_));
    let first = d.run().steps.iter().filter(awaits).find_map(|s| s.started).or(step.started);
    d.sight.waited_since(first)
}

/// The number that this run recorded first stays.
fn asked_before(d: &mut Draft<'_>, step: &Step, name: &ItemName) -> Option<u32> {
    let asks = |s: &Step| match &s.action {
        Some(Action::Scale { item, replicas, .. }) if item == name => Some(*replicas),
        _ => None,
    };
    asks(step).or_else(|| d.run().steps.iter().find_map(asks))
}

/// Asks, where the request before the fence was not heard or was undone by somebody.
fn ask_for(d: &mut Draft<'_>, step: &mut Step, name: &ItemName, to: RegionName, replicas: u32) -> bool {
    if step.action.is_some() {
        return ask_again(d, step);
    }
    // The time to be ready goes on from when it was first waited for.
    let action = Action::Scale { item: name.clone(), region: to, replicas };
    d.fire(Rule::StepRecorded, action.to_string());
    d.intend(step, action);
    true
}

fn note_scaled(d: &mut Draft<'_>) {
    let now = d.sight.now;
    d.run().clock.scaled = Some(now);
}

/// For gates and conditions: why a workload could not be scaled today, as far as its cluster says.
pub(crate) fn weakness(
    d: &Draft<'_>,
    item: &ComputeItem,
    region: &RegionName,
    active: &RegionName,
) -> Option<String> {
    let Some(facts) = d.sight.compute(&item.name, region) else {
        // Without the reason, which changes from look to look.
        return Some(format!("{} in {region} is not seen", item.name));
    };
    if let Some(other) = d.sight.same_workload(&item.name, region) {
        return Some(format!("{} in {region} is the very workload of {other}", item.name));
    }
    short_of(facts, size(d, item, active)).map(|why| format!("{} in {region}: {why}", item.name))
}

fn short_of(facts: &ComputeFacts, needed: u32) -> Option<String> {
    if let Some(keeper) = &facts.keeper {
        return Some(format!("{keeper} sets its replicas, and will set them back"));
    }
    let allowed = facts.allowed(needed);
    (allowed < needed).then(|| format!("its autoscaler allows {allowed} of the {needed} that it would need"))
}

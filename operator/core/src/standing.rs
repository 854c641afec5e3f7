//! Between runs: learn who takes writes, keep the witness raised, keep outcasts closed and bring them back, and
//! open the next run.

use crate::draft::Draft;
use crate::effect::Action;
use crate::facts::DataRole;
use crate::gates::{self, Intent};
use crate::health::VerdictKind;
use crate::ids::{Epoch, RegionName, RunName};
use crate::journal::{OutcomeKind, RunKind, RunRequest, Severity, Step, StepKey, Trigger};
use crate::plan::{self, Opening};
use crate::policy::Mode;
use crate::retry::{self, Next};
use crate::rules::Rule;
use crate::run::witness_raised;
use crate::time::Millis;
use std::collections::BTreeSet;

/// Attempts to bring an outcast back before a person is asked.
const REJOIN_ATTEMPTS: u32 = 10;
/// How often an unmet condition is looked at again.
const LOOK_AGAIN: Millis = Millis(1_000);

/// Who takes writes, by observation: exactly one region for every data item. True while it is not known.
pub(crate) fn learn_active(d: &mut Draft<'_>) -> bool {
    if d.next.state.active_region.is_some() {
        return false;
    }
    match find_active(d) {
        Ok((active, may_be_writable)) => {
            let message = format!("{active} takes the writes");
            d.next.state.active_region = Some(active);
            d.next.state.may_be_writable = may_be_writable;
            d.event(false, "ActiveRegionLearned", message.clone());
            d.fire(Rule::ActiveRegionLearned, message);
        }
        Err(saw) => {
            d.block("ActiveRegionKnown", saw.clone(), "exactly one region is seen to take writes");
            d.condition("Ready", false, "ActiveRegionUnknown", "no single region is seen to take writes");
            d.fire(Rule::ActiveRegionUnknown, saw);
            d.wake_in(LOOK_AGAIN);
        }
    }
    true
}

fn find_active(d: &Draft<'_>) -> Result<(RegionName, BTreeSet<RegionName>), String> {
    let policy = d.sight.policy;
    let mut writable: BTreeSet<RegionName> = BTreeSet::new();
    let mut unknown: BTreeSet<RegionName> = BTreeSet::new();
    for item in &policy.data {
        for region in &policy.regions {
            match d.sight.data(&item.name, region) {
                Some(facts) if facts.role == DataRole::Writable => writable.insert(region.clone()),
                Some(_) => false,
                None => unknown.insert(region.clone()),
            };
        }
    }
    if policy.data.is_empty() {
        let pointed = policy.traffic.iter().find_map(|t| {
            d.sight.traffic_since(&t.name, crate::time::Tick(0)).and_then(|f| f.points_to.clone())
        });
        let active = pointed.ok_or("no traffic item points to a region")?;
        return Ok((active.clone(), BTreeSet::from([active])));
    }
    let active = match writable.len() {
        1 => writable.first().cloned().ok_or("nobody")?,
        0 => return Err("no region is seen to take writes".to_owned()),
        _ => {
            let names: Vec<_> = writable.iter().map(ToString::to_string).collect();
            return Err(format!("{} all take writes", names.join(", ")));
        }
    };
    unknown.insert(active.clone());
    Ok((active, unknown))
}

/// A region leaves `mayBeWritable` once every data item in it is seen in recovery.
pub(crate) fn forget_standbys(d: &mut Draft<'_>) {
    let active = d.next.state.active_region.clone();
    let policy = d.sight.policy;
    let sight = d.sight;
    let in_recovery = |region: &RegionName| {
        !policy.data.is_empty()
            && policy.data.iter().all(|item| {
                sight
                    .data_since(&item.name, region, sight.seen.pass)
                    .is_some_and(|f| f.role == DataRole::Standby)
            })
    };
    d.next.state.may_be_writable.retain(|region| Some(region) == active.as_ref() || !in_recovery(region));
}

/// Regions beside the active one that are seen to take the application's writes.
pub(crate) fn second_writers(d: &Draft<'_>) -> BTreeSet<RegionName> {
    let active = d.next.state.active_region.as_ref();
    let policy = d.sight.policy;
    let writes = |region: &RegionName| {
        policy.data.iter().any(|item| d.sight.data(&item.name, region).is_some_and(|f| !f.is_closed()))
    };
    let promoted = d.next.run.as_ref().filter(|r| !r.phase.is_final() && r.past_pivot()).map(|r| &r.to);
    policy
        .regions
        .iter()
        .filter(|r| Some(*r) != active && Some(*r) != promoted && writes(r))
        .cloned()
        .chain(promoted.and(active).filter(|a| Some(*a) != promoted && writes(a)).cloned())
        .collect()
}

/// Two regions that take writes: automation stands still until a person says `ack`; outcasts among them are
/// fenced again by [`tend_outcasts`].
pub(crate) fn watch_split_brain(d: &mut Draft<'_>) {
    let second = second_writers(d);
    if second.is_empty() {
        if d.next.state.conditions.contains_key("SplitBrain") {
            d.condition("SplitBrain", true, "SingleWriter", "at most one region takes writes");
        }
        return;
    }
    let names: Vec<_> = second.iter().map(ToString::to_string).collect();
    let active = d.next.state.active_region.clone().map_or_else(|| "nobody".to_owned(), |a| a.to_string());
    let message = format!("{} takes writes beside {active}", names.join(", "));
    let known = d.next.state.conditions.get("SplitBrain").is_some_and(|c| !c.ok);
    if !known {
        d.event(true, "SplitBrain", message.clone());
        d.next.state.needs_ack.get_or_insert_with(|| message.clone());
    }
    d.condition("SplitBrain", false, "SplitBrain", message.clone());
    d.block("SingleWriter", message, "one region takes writes");
}

/// Keeps fenced regions closed and brings them back, one effect at a time. Goes on during a run that is past its
/// point of no return; before that the run itself owns the fence.
pub(crate) fn tend_outcasts(d: &mut Draft<'_>) {
    let Some(active) = d.next.state.active_region.clone() else { return };
    let running = d.next.run.as_ref().filter(|r| !r.phase.is_final());
    let owned_by_run = running.is_some_and(|r| !r.past_pivot());
    if owned_by_run {
        return;
    }
    let in_run = running.is_some();
    let names: Vec<RegionName> = d.next.state.outcasts.keys().cloned().collect();
    for region in names {
        if region == active && !in_run {
            d.next.state.outcasts.remove(&region);
            continue;
        }
        if !in_run && has_rejoined(d, &region, &active) {
            d.next.state.outcasts.remove(&region);
            d.event(false, "Rejoined", format!("{region} follows {active}"));
            d.fire(Rule::Rejoined, format!("{region} follows {active} again"));
            continue;
        }
        tend(d, &region, &active, in_run);
    }
}

fn has_rejoined(d: &Draft<'_>, region: &RegionName, active: &RegionName) -> bool {
    let policy = d.sight.policy;
    !policy.data.is_empty()
        && policy.data.iter().all(|item| {
            let (Some(back), Some(writer)) =
                (d.sight.data(&item.name, region), d.sight.data(&item.name, active))
            else {
                return false;
            };
            back.role == DataRole::Standby
                && back.streaming
                && back.system == writer.system
                && back.timeline == writer.timeline
        })
}

fn may_act(d: &mut Draft<'_>) -> bool {
    let free = d.sight.seen.journal.foreign_claims.is_empty();
    d.next.state.paused.is_none()
        && d.sight.policy.mode != Mode::Observe
        && free
        && d.sight.seen.holder.is_some()
}

fn tend(d: &mut Draft<'_>, region: &RegionName, active: &RegionName, in_run: bool) {
    if !may_act(d) {
        return;
    }
    let Some(mut outcast) = d.next.state.outcasts.get(region).cloned() else { return };
    let writes = d
        .sight
        .policy
        .data
        .iter()
        .any(|item| d.sight.data(&item.name, region).is_some_and(|f| !f.is_closed()));
    let refencing = outcast.work.as_ref().is_some_and(|s| matches!(s.action, Some(Action::Fence { .. })));
    if writes && !refencing {
        fence_again(d, region, &mut outcast);
    } else if !writes && refencing {
        outcast.work = None;
        "fenced again, not rejoined yet".clone_into(&mut outcast.message);
        d.fire(Rule::FencedAgain, format!("{region} is closed again"));
    } else if writes {
        repeat_fence(d, region, &mut outcast);
    } else if !in_run {
        rejoin(d, region, active, &mut outcast);
    }
    d.next.state.outcasts.insert(region.clone(), outcast);
}

fn fence_again(d: &mut Draft<'_>, region: &RegionName, outcast: &mut crate::journal::Outcast) {
    let Some(way) = d.sight.policy.fences.first() else {
        d.block("Fenced", format!("{region} takes writes again"), "a fence in the policy");
        return;
    };
    let mut step = Step::new(StepKey::FenceOld(region.clone()));
    let action = Action::Fence { way: way.name.clone(), region: region.clone() };
    d.event(true, "OutcastWrites", format!("{region} takes writes again; fencing it"));
    d.fire(Rule::FencedAgain, format!("{region} takes writes again; fencing it"));
    d.intend(&mut step, action);
    outcast.work = Some(step);
}

fn repeat_fence(d: &mut Draft<'_>, region: &RegionName, outcast: &mut crate::journal::Outcast) {
    let Some(mut step) = outcast.work.take() else { return };
    match retry::judge(&d.sight, &step) {
        Next::Wait(pause, why) => {
            d.fire(Rule::StepAwaited, why);
            d.wake_in(pause);
        }
        Next::Superseded(why) => d.fire(Rule::Superseded, why),
        Next::Repeat(why) => {
            let ways = &d.sight.policy.fences;
            let attempts = ways.get(step.way).map_or(1, |w| w.attempts);
            if step.attempts < attempts || ways.len() < 2 {
                d.fire(Rule::StepRepeated, why);
                d.repeat(&mut step);
            } else {
                step.way = (step.way + 1) % ways.len();
                let action = Action::Fence { way: ways[step.way].name.clone(), region: region.clone() };
                d.fire(Rule::StepRepeated, why);
                d.intend(&mut step, action);
            }
        }
    }
    outcast.work = Some(step);
}

/// Lets the user's hook make the region a standby of the active one.
fn rejoin(
    d: &mut Draft<'_>,
    region: &RegionName,
    active: &RegionName,
    outcast: &mut crate::journal::Outcast,
) {
    if let Some(mut step) = outcast.work.take() {
        match retry::judge(&d.sight, &step) {
            Next::Wait(pause, why) => {
                d.fire(Rule::RejoinAwaited, why);
                d.wake_in(pause.max(LOOK_AGAIN));
            }
            Next::Superseded(why) => d.fire(Rule::Superseded, why),
            Next::Repeat(why) if step.attempts >= REJOIN_ATTEMPTS => {
                d.event(true, "RejoinFailed", format!("{region}: {why}"));
                outcast.rejoin_attempts = step.attempts;
                outcast.message = "could not rejoin by itself: rejoin it by hand, or say ack".to_owned();
                return;
            }
            Next::Repeat(why) => {
                d.fire(Rule::RejoinBegun, why);
                d.repeat(&mut step);
            }
        }
        outcast.work = Some(step);
        return;
    }
    if outcast.rejoin_attempts >= REJOIN_ATTEMPTS {
        return;
    }
    let waiting = d.sight.policy.data.iter().find(|item| {
        let follows =
            d.sight.data(&item.name, region).is_some_and(|f| f.role == DataRole::Standby && f.streaming);
        item.can_rejoin && !follows
    });
    let writer_known = d
        .sight
        .policy
        .data
        .iter()
        .all(|item| d.sight.data(&item.name, active).is_some_and(|f| f.role == DataRole::Writable));
    let Some(item) = waiting.filter(|_| writer_known) else { return };
    let mut step = Step::new(StepKey::FenceOld(region.clone()));
    let action = Action::Rejoin { item: item.name.clone(), region: region.clone(), follow: active.clone() };
    d.fire(Rule::RejoinBegun, action.to_string());
    d.intend(&mut step, action);
    outcast.work = Some(step);
}

/// The witness stands on the active region's writer before it is ever needed: a promotion is guarded by the row
/// that replicated. True while it is being raised.
pub(crate) fn raise_first_witness(d: &mut Draft<'_>) -> bool {
    let Some(active) = d.next.state.active_region.clone() else { return false };
    let missing = d.sight.policy.data.iter().find(|item| {
        d.sight.data(&item.name, &active).is_some_and(|facts| {
            facts.role == DataRole::Writable
                && facts.witness.as_ref().is_none_or(|w| w.owner != d.next.state.owner)
        })
    });
    let working = d.next.state.work.clone();
    if let Some(mut step) = working {
        let Some(Action::OpenWriter { item, region }) = step.action.clone() else { return false };
        if region != active || witness_raised(d, &step, &item, &region, false).is_some() {
            d.next.state.work = None;
            d.fire(Rule::WitnessRaised, format!("the witness stands in {region}"));
            return true;
        }
        if may_act(d) {
            match retry::judge(&d.sight, &step) {
                Next::Wait(pause, why) => {
                    d.fire(Rule::StepAwaited, why);
                    d.wake_in(pause);
                }
                Next::Superseded(why) => d.fire(Rule::Superseded, why),
                Next::Repeat(why) => {
                    d.fire(Rule::StepRepeated, why);
                    d.repeat(&mut step);
                    d.next.state.work = Some(step);
                }
            }
        }
        // A silent writer must not keep a verdict from opening a run.
        return d.sight.data(&item, &region).is_some();
    }
    let Some(item) = missing.filter(|_| may_act(d)) else { return false };
    d.next.state.epoch = d.next.state.epoch.max(Epoch(1));
    let mut step = Step::new(StepKey::RaiseWitness(item.name.clone()));
    let action = Action::OpenWriter { item: item.name.clone(), region: active };
    d.fire(Rule::WitnessRaised, action.to_string());
    d.intend(&mut step, action);
    d.next.state.work = Some(step);
    true
}

/// Opens the run that a person asked for, or says why not.
pub(crate) fn take_request(d: &mut Draft<'_>) -> bool {
    let Some(request) = d.next.requests.first().cloned() else { return false };
    let Some(active) = d.next.state.active_region.clone() else { return false };
    if !may_act(d) {
        d.block("Paused", "paused, in mode Observe, or without its claims", "resume");
        return false;
    }
    d.next.requests.remove(0);
    match target_of(d, &request, &active) {
        Ok(to) => {
            let opening = Opening {
                name: request.name,
                kind: request.kind,
                from: active,
                to,
                trigger: Trigger::Person(request.by),
                reason: request.reason,
                approval: request.approval,
                holder: d.sight.seen.holder.clone().unwrap_or_else(|| "nobody".into()),
                first_failure: None,
            };
            open(d, opening, Rule::RequestTaken);
        }
        Err(why) => {
            let message = format!("{}: {why}", request.name);
            d.event(true, "RequestRefused", message.clone());
            d.fire(Rule::RequestRefused, message);
        }
    }
    true
}

fn target_of(d: &Draft<'_>, request: &RunRequest, active: &RegionName) -> Result<RegionName, String> {
    let regions = &d.sight.policy.regions;
    let to = match (&request.to, request.kind) {
        (Some(to), _) => to.clone(),
        (None, RunKind::Failback) => {
            regions.first().cloned().ok_or_else(|| "the policy names no region".to_owned())?
        }
        (None, _) => d
            .sight
            .best_candidate(active)
            .ok_or_else(|| "no region could take over; see muster explain".to_owned())?,
    };
    if to == *active {
        return Err(format!("{to} is the active region already"));
    }
    if !regions.contains(&to) {
        return Err(format!("{to} is not a region of the policy"));
    }
    Ok(to)
}

/// Opens a failover when the active region is unhealthy, or the last one lost its target.
pub(crate) fn open_by_verdict(d: &mut Draft<'_>) -> bool {
    let Some(active) = d.next.state.active_region.clone() else { return false };
    let verdict = d.sight.verdict(&active);
    let lost = d
        .next
        .run
        .as_ref()
        .filter(|r| {
            r.outcome == Some(OutcomeKind::TargetLost) && d.next.state.last_run.as_ref() == Some(&r.name)
        })
        .map(|r| r.name.clone());
    if verdict.kind != VerdictKind::Unhealthy && lost.is_none() {
        return false;
    }
    let trigger = lost.clone().map_or(Trigger::Verdict, Trigger::TargetLost);
    let reason = match &lost {
        Some(run) => format!("{run} lost its target"),
        None => format!("{active} is unhealthy: {}", verdict.saw),
    };
    if d.sight.policy.mode == Mode::Observe || d.next.state.paused.is_some() {
        d.block("Paused", reason.clone(), "mode Approve or Automatic, and not paused");
        d.fire(Rule::WouldFailOver, reason);
        d.wake_in(LOOK_AGAIN);
        return true;
    }
    let Some(to) = d.sight.best_candidate(&active) else {
        refuse_without_candidate(d, &active, reason);
        return true;
    };
    let intent = Intent {
        kind: RunKind::Failover,
        from: &active,
        to: &to,
        by_verdict: lost.is_none(),
        approval: None,
        unproven: false,
    };
    let gates = gates::evaluate(&d.sight, &intent);
    let least = if d.sight.policy.mode == Mode::Automatic { Severity::Block } else { Severity::Law };
    for gate in gates.iter().filter(|g| !g.ok && g.severity >= least) {
        d.block(&gate.name, gate.saw.clone(), gate.needs.clone());
    }
    if let Some(gate) = gates::stopping(&gates, least) {
        d.fire(Rule::GateUnmet, format!("{reason}; but {}: {}", gate.name, gate.saw));
        d.wake_in(LOOK_AGAIN);
        return true;
    }
    let name = RunName::new(format!("{}-{}", short_name(d), d.next.state.epoch.0 + 1));
    let opening = Opening {
        name,
        kind: RunKind::Failover,
        from: active,
        to,
        trigger,
        reason,
        approval: None,
        holder: d.sight.seen.holder.clone().unwrap_or_else(|| "nobody".into()),
        first_failure: verdict.first_failure,
    };
    open(d, opening, Rule::VerdictOpens);
    true
}

fn refuse_without_candidate(d: &mut Draft<'_>, active: &RegionName, reason: String) {
    for region in d.sight.policy.regions.iter().filter(|r| *r != active) {
        if let Err(why) = d.sight.fitness(region) {
            d.block("TargetFit", why, format!("{region} is a seen, healthy standby with a passing probe"));
        }
    }
    d.fire(Rule::NoCandidate, format!("{reason}; but no region could take over"));
    d.wake_in(LOOK_AGAIN);
}

fn short_name(d: &Draft<'_>) -> String {
    let name = d.sight.policy.name.as_str();
    name.rsplit('/').next().unwrap_or(name).to_owned()
}

fn open(d: &mut Draft<'_>, opening: Opening, rule: Rule) {
    let message = format!("{}: {} -> {}: {}", opening.name, opening.from, opening.to, opening.reason);
    let run = plan::open(d.sight.policy, &d.next, opening, d.sight.now);
    plan::claim(&mut d.next, run);
    d.event(false, "RunOpened", message.clone());
    d.fire(rule, message);
    d.wake_in(Millis(0));
}

/// The old log was read: the loss is final and counted.
pub(crate) fn finish_loss(d: &mut Draft<'_>) {
    let Some(run) = d.next.run.as_ref().filter(|r| r.clock.promoted.is_some() && !r.measured.rpo.r#final)
    else {
        return;
    };
    let read: Vec<_> = d
        .sight
        .seen
        .losses
        .iter()
        .filter_map(|(item, runs)| runs.get(&run.name).map(|loss| (item.clone(), loss.clone())))
        .collect();
    if read.len() < run.policy.data.len() || read.is_empty() {
        return;
    }
    let commits: u64 = read.iter().map(|(_, l)| l.commits_after_fork).sum();
    let span = read.iter().filter_map(|(_, l)| l.span).max();
    let run = d.run();
    run.measured.lost_commits = Some(commits);
    run.measured.rpo.r#final = true;
    if commits == 0 {
        (run.measured.rpo.at_least, run.measured.rpo.at_most) = (Some(Millis(0)), Some(Millis(0)));
    } else if let Some(span) = span {
        (run.measured.rpo.at_least, run.measured.rpo.at_most) = (Some(span), Some(span));
    }
    let message = format!("{commits} commits on the old timeline are not on the new one");
    d.event(commits > 0, "LossCounted", message.clone());
    d.fire(Rule::LossCounted, message);
}

//! What opens a run: a person's request, a verdict, a lost target.

use super::{LOOK_AGAIN, may_act};
use crate::draft::Draft;
use crate::gates::{self, Intent};
use crate::health::VerdictKind;
use crate::ids::{RegionName, RunName};
use crate::journal::{OutcomeKind, Run, RunKind, RunRequest, Severity, Trigger};
use crate::plan::{self, Opening};
use crate::policy::Mode;
use crate::rules::Rule;
use crate::time::{Millis, Stamp};

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
        .map(|r| (r.name.clone(), outage_of(r)));
    if verdict.kind != VerdictKind::Unhealthy && lost.is_none() {
        return false;
    }
    let trigger = lost.clone().map_or(Trigger::Verdict, |(run, _)| Trigger::TargetLost(run));
    let reason = match &lost {
        Some((run, _)) => format!("{run} lost its target"),
        None => format!("{active} is unhealthy: {}", verdict.saw),
    };
    if d.sight.policy.mode == Mode::Observe || d.next.state.paused.is_some() {
        d.block("Paused", reason.clone(), "mode Approve or Automatic, and not paused");
        d.fire(Rule::WouldFailOver, reason);
        d.wake_in(LOOK_AGAIN);
        return true;
    }
    let Some(to) = d.sight.best_candidate(&active) else {
        refuse_without_candidate(d, &active, &reason);
        return true;
    };
    let intent = Intent {
        kind: RunKind::Failover,
        from: &active,
        to: &to,
        by_verdict: lost.is_none(),
        automatic: true,
        approval: None,
    };
    let gates = gates::evaluate(&d.sight, &intent);
    let least = if d.sight.policy.mode == Mode::Automatic { Severity::Block } else { Severity::Law };
    for gate in gates.iter().filter(|g| !g.ok && g.severity >= least) {
        d.block(&gate.name, gate.saw.clone(), gate.needs.clone());
    }
    // The cool-down also holds in mode Approve: what a person aborted is not asked again at once.
    let cooling = gates.iter().find(|g| !g.ok && g.name == "CooldownOver" && g.severity == Severity::Block);
    if let Some(gate) = gates::stopping(&gates, least).or(cooling) {
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
        first_failure: lost.and_then(|(_, outage)| outage).or(verdict.first_failure),
    };
    open(d, opening, Rule::VerdictOpens);
    true
}

/// Since when a run that lost its target left the application without service: the next run's recovery time goes on
/// counting from there. `None`: it served again in between.
fn outage_of(run: &Run) -> Option<Stamp> {
    let clock = &run.clock;
    if clock.first_success.is_some() { None } else { clock.first_failure.or(clock.fenced) }
}

fn refuse_without_candidate(d: &mut Draft<'_>, active: &RegionName, reason: &str) {
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

//! Public names between runs: what moved on the day is made to last without anything that was set for it, and what is wrong
//! with one is told.

use super::{LOOK_AGAIN, may_act};
use crate::draft::Draft;
use crate::effect::Action;
use crate::facts::{Outcome, TrafficFacts};
use crate::ids::{ItemName, RegionName};
use crate::journal::{Settling, Step, StepKey};
use crate::retry::{self, Next};
use crate::rules::Rule;
use crate::time::{Millis, Tick};

/// Between two attempts from then on, doubling up to [`LONGEST_REST`].
const FIRST_REST: Millis = Millis(60_000);
const LONGEST_REST: Millis = Millis(15 * 60_000);

/// Settles names between runs: the active region must be what they fall back to when all that was set on the day is gone
/// (safety rules, section 11). It can wait: until then what was set holds. At most one new effect a pass.
pub(crate) fn settle_traffic(d: &mut Draft<'_>) {
    if !may_act(d) || !d.effects.is_empty() || is_split(d) {
        return;
    }
    let Some(active) = d.next.state.active_region.clone() else { return };
    let names: Vec<ItemName> = d.policy().traffic.iter().map(|t| t.name.clone()).collect();
    d.next.state.settling.retain(|name, _| names.contains(name));
    for name in names {
        if !d.effects.is_empty() {
            return;
        }
        match d.next.state.settling.get(&name).cloned() {
            Some(settling) => go_on(d, name, settling, &active),
            None => begin(d, name, &active),
        }
    }
}

/// No name is made to stay anywhere while two regions take writes.
fn is_split(d: &Draft<'_>) -> bool {
    d.next.state.conditions.get("SplitBrain").is_some_and(|condition| !condition.ok)
}

/// Whether every server answers with the active region, and something that was set carries it there or may carry it away.
fn leans(facts: &TrafficFacts, active: &RegionName) -> bool {
    let moved = facts.points_to.as_ref() == Some(active) && facts.agree == facts.servers;
    moved && (facts.unsettled.is_some() || facts.contested.is_some())
}

fn begin(d: &mut Draft<'_>, item: ItemName, active: &RegionName) {
    if !d.sight.traffic_since(&item, Tick(0)).is_some_and(|facts| leans(facts, active)) {
        return;
    }
    let mut step = Step::new(StepKey::FlipTraffic(item.clone()));
    let action = Action::Settle { item: item.clone(), region: active.clone() };
    d.fire(Rule::TrafficSettled, action.to_string());
    d.intend(&mut step, action);
    d.next.state.settling.insert(item, Settling { step, failures: 0 });
}

fn go_on(d: &mut Draft<'_>, item: ItemName, mut settling: Settling, active: &RegionName) {
    let step = &mut settling.step;
    let region = step.action.as_ref().and_then(|action| match action {
        Action::Settle { region, .. } => Some(region.clone()),
        _ => None,
    });
    if region.as_ref() != Some(active) && !d.sight.is_in_flight(step) {
        d.next.state.settling.remove(&item);
        return;
    }
    let issued = step.issued.map(|at| d.sight.tick_of(at)).unwrap_or_default();
    let seen = d.sight.traffic_since(&item, issued.plus(Millis(1)));
    let is_calm = |facts: &TrafficFacts| facts.unsettled.is_none() && facts.contested.is_none();
    if seen.is_some_and(|facts| facts.points_to.as_ref() == Some(active) && is_calm(facts)) {
        d.next.state.settling.remove(&item);
        d.fire(Rule::TrafficSettled, format!("{item} stays at {active} by itself"));
        return;
    }
    match retry::judge(&d.sight, step) {
        Next::Wait(pause, _) => d.wake_in(pause.max(LOOK_AGAIN)),
        // Its number is old: the next one has a newer.
        Next::Superseded(why) => {
            d.next.state.settling.remove(&item);
            d.fire(Rule::Superseded, why);
            d.wake_in(LOOK_AGAIN);
        }
        Next::Repeat(why) => try_again(d, item, settling, why),
    }
}

fn try_again(d: &mut Draft<'_>, item: ItemName, mut settling: Settling, why: String) {
    let waited = d.sight.paused_since(settling.step.issued);
    let rest = rest_after(settling.failures);
    if waited < rest {
        d.wake_in(Millis(rest.0 - waited.0));
        return;
    }
    // Waiting for what was sent is no failure, however often it is asked for.
    let outcome = settling.step.seq.and_then(|seq| d.sight.seen.outcomes.get(&seq));
    let failed = outcome.is_some_and(|o| !matches!(o.value, Outcome::Issued(_) | Outcome::AlreadyDone));
    settling.failures = if failed { settling.failures.saturating_add(1) } else { 0 };
    if settling.failures == Settling::TOLD_AFTER {
        d.event(true, "SettleFailed", why.clone());
    }
    d.fire(Rule::TrafficSettled, why);
    d.repeat(&mut settling.step);
    d.next.state.settling.insert(item, settling);
}

/// How long to rest before the next attempt.
fn rest_after(failures: u32) -> Millis {
    match failures.checked_sub(Settling::TOLD_AFTER) {
        None => Millis(0),
        Some(more) => FIRST_REST.times(1 << more.min(8)).min(LONGEST_REST),
    }
}

/// Condition `TrafficReady`: whether every public name is as Muster left it, and nothing may yet send one elsewhere. Between runs
/// only; a run has its blockers. A name that cannot be looked at says nothing: what was told before stands meanwhile.
pub(crate) fn judge_traffic(d: &mut Draft<'_>) {
    if d.policy().traffic.is_empty() {
        d.next.state.conditions.remove("TrafficReady");
        return;
    }
    if d.next.state.active_run.is_some() {
        return;
    }
    let sight = d.sight;
    let mut told: Vec<String> = Vec::new();
    let (mut is_drift, mut is_silent) = (false, false);
    for item in &sight.policy.traffic {
        let Some(facts) = sight.traffic_since(&item.name, Tick(0)) else {
            is_silent = true;
            continue;
        };
        let drift = facts.drift.as_ref();
        let contested = facts.contested.as_ref().filter(|why| drift != Some(*why));
        is_drift |= drift.is_some();
        told.extend(drift.into_iter().chain(contested).map(|why| format!("{}: {why}", item.name)));
    }
    if is_silent && told.iter().all(|why| stands(d, why)) {
        return;
    }
    let message = told.join("; ");
    match (told.is_empty(), is_drift) {
        (true, _) => {
            d.condition("TrafficReady", true, "TrafficReady", "every public name is as Muster left it");
        }
        (false, true) => d.condition("TrafficReady", false, "TrafficDrift", message),
        (false, false) => d.condition("TrafficReady", false, "TrafficContested", message),
    }
}

/// Whether the condition says this of a name already.
fn stands(d: &Draft<'_>, why: &str) -> bool {
    let condition = d.next.state.conditions.get("TrafficReady");
    condition.is_some_and(|condition| !condition.ok && condition.message.contains(why))
}

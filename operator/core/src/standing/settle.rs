//! Public names between runs: what moved on the day is made to last without anything that was set for it.

use super::{LOOK_AGAIN, may_act};
use crate::draft::Draft;
use crate::effect::Action;
use crate::facts::TrafficFacts;
use crate::ids::{ItemName, RegionName};
use crate::journal::{Step, StepKey, StepState};
use crate::retry::{self, Next};
use crate::rules::Rule;
use crate::time::{Millis, Tick};

/// Attempts before another name has its turn.
const ATTEMPTS: u32 = 5;

/// Settles names, one effect at a time, between runs: the active region must be what they fall back to when all that was
/// set on the day is gone (safety rules, section 11). It can wait: until then what was set holds.
pub(crate) fn settle_traffic(d: &mut Draft<'_>) {
    if !may_act(d) || !d.effects.is_empty() {
        return;
    }
    match d.next.state.settling.take() {
        Some(step) if step.state != StepState::Failed => go_on(d, step),
        last => begin(d, last.as_ref()),
    }
}

/// Whether every server answers with the active region, and something that was set carries it there.
fn leans(facts: &TrafficFacts, active: &RegionName) -> bool {
    facts.points_to.as_ref() == Some(active) && facts.agree == facts.servers && facts.unsettled.is_some()
}

/// The name that is settled next, after `last`.
fn next_to_settle(d: &Draft<'_>, last: Option<&Action>) -> Option<(ItemName, RegionName)> {
    let active = d.next.state.active_region.as_ref()?;
    let leaning =
        |item: &&ItemName| d.sight.traffic_since(item, Tick(0)).is_some_and(|facts| leans(facts, active));
    let all: Vec<&ItemName> = d.policy().traffic.iter().map(|t| &t.name).filter(leaning).collect();
    // One that fails does not keep the others waiting.
    let is_last = |name: &&ItemName| matches!(last, Some(Action::Settle { item, .. }) if item == *name);
    let after = all.iter().position(is_last).map_or(0, |at| at + 1);
    let item = all.get(after).or_else(|| all.first())?;
    Some(((*item).clone(), active.clone()))
}

fn begin(d: &mut Draft<'_>, last: Option<&Step>) {
    let Some((item, region)) = next_to_settle(d, last.and_then(|step| step.action.as_ref())) else {
        return;
    };
    let mut step = Step::new(StepKey::FlipTraffic(item.clone()));
    let action = Action::Settle { item, region };
    d.fire(Rule::TrafficSettled, action.to_string());
    d.intend(&mut step, action);
    d.next.state.settling = Some(step);
}

fn go_on(d: &mut Draft<'_>, mut step: Step) {
    let Some(Action::Settle { item, region }) = step.action.clone() else { return };
    let under_way = step.seq.is_some_and(|seq| d.sight.seen.in_flight.contains(&seq));
    let is_wanted = d.policy().traffic.iter().any(|t| t.name == item)
        && d.next.state.active_region.as_ref() == Some(&region);
    if !is_wanted && !under_way {
        return;
    }
    let issued = step.issued.map(|at| d.sight.tick_of(at)).unwrap_or_default();
    let seen = d.sight.traffic_since(&item, issued.plus(Millis(1)));
    if seen.is_some_and(|facts| facts.points_to.as_ref() == Some(&region) && facts.unsettled.is_none()) {
        d.fire(Rule::TrafficSettled, format!("{item} stays at {region} by itself"));
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
        Next::Repeat(why) if step.attempts >= ATTEMPTS => {
            d.event(true, "SettleFailed", why.clone());
            d.fire(Rule::TrafficSettled, why.clone());
            step.state = StepState::Failed;
            step.saw = why;
            d.wake_in(LOOK_AGAIN);
        }
        Next::Repeat(why) => {
            d.fire(Rule::TrafficSettled, why);
            d.repeat(&mut step);
        }
    }
    d.next.state.settling = Some(step);
}

//! The public name: flipped once the data takes writes there, and verified from outside.

use super::{seen, steps};
use crate::draft::Draft;
use crate::effect::Action;
use crate::facts::DataRole;
use crate::ids::ItemName;
use crate::journal::{Step, StepState};
use crate::rules::Rule;
use crate::time::Millis;

/// How often the data and the public name are looked at again.
const LOOK_AGAIN: Millis = Millis(100);
/// A server that stays silent for so long does not hold the run up.
const SILENT_SERVER: Millis = Millis(10_000);
/// Without N successes for so long the run ends unverified: the next one must not wait for it.
const VERIFY_OVERDUE: Millis = Millis(120_000);

/// Records the flip; only to a region seen writable in this very pass.
pub(super) fn begin(d: &mut Draft<'_>, step: &mut Step, item: ItemName) -> bool {
    let to = d.run().to.clone();
    let pass = d.sight.seen.pass;
    let closed = d.sight.policy.data.iter().find(|data| {
        !d.sight
            .data_since(&data.name, &to, pass)
            .is_some_and(|f| f.role == DataRole::Writable && f.closed.is_open())
    });
    if let Some(data) = closed {
        let saw = format!("{} in {to} is not seen writable", data.name);
        d.block("TargetWritable", saw.clone(), "traffic moves only to a region that takes writes");
        d.fire(Rule::GateUnmet, saw);
        d.wake_in(LOOK_AGAIN);
        return false;
    }
    steps::start(d, step, Action::Flip { item, to })
}

/// Looks for the flip at every authoritative server.
pub(super) fn look(d: &mut Draft<'_>, step: &mut Step, item: &ItemName) -> bool {
    let (to, now) = (d.run().to.clone(), d.sight.now);
    let Some(facts) = d.sight.traffic_since(item, seen::since(&d.sight, step)) else {
        return steps::try_again(d, step, steps::Patience::Endless);
    };
    if let Some(drift) = &facts.drift {
        d.block("TrafficDrift", drift.clone(), "no other writer at this name, and all that a flip needs");
    }
    let owner = &d.next.state.owner;
    let ours = facts.witness.as_ref().is_some_and(|w| {
        w.owner == *owner && w.epoch == d.next.state.epoch && step.seq.is_some_and(|seq| w.seq >= seq)
    });
    if facts.points_to.as_ref() != Some(&to) || !ours {
        return steps::try_again(d, step, steps::Patience::Endless);
    }
    let (agree, servers) = (facts.agree, facts.servers);
    d.run().clock.flipped.get_or_insert(now);
    let waited = d.sight.waited_since(step.issued);
    if agree < servers && waited < SILENT_SERVER {
        d.fire(Rule::StepAwaited, format!("{agree} of {servers} name servers answer with {to}"));
        d.wake_in(LOOK_AGAIN);
        return false;
    }
    if agree == servers {
        d.run().clock.authoritative = Some(now);
    }
    let saw = format!("{agree} of {servers} name servers answer with {to}");
    let Some(contested) = facts.contested.clone() else { return steps::observed(d, step, saw) };
    if waited < SILENT_SERVER {
        d.fire(Rule::StepAwaited, contested);
        d.wake_in(LOOK_AGAIN);
        return false;
    }
    // It cannot be mended within the run; settling goes on with it.
    d.event(true, "TrafficContested", format!("{item}: {contested}"));
    steps::observed(d, step, format!("{saw}, but {contested}"))
}

/// Looks for N successes in a row through the public name, all of them after the flip.
pub(super) fn look_at_public(d: &mut Draft<'_>, step: &mut Step) -> bool {
    let Some(probe) = &d.sight.policy.public_probe else {
        return steps::skip(d, step, "no public probe: the recovery time is not measured".to_owned());
    };
    let flipped = d.run().clock.flipped.or(d.run().clock.promoted);
    let begun = flipped.or(step.started).and_then(|at| d.sight.here(at)).unwrap_or(d.sight.now);
    let facts = d.sight.seen.public.as_ref().filter(|f| f.at >= begun.tick).map(|f| &f.value);
    // A row of successes that began before the flip counts from the flip on: the name never failed since.
    let since = facts.and_then(|f| f.since).map(|at| if at.tick < begun.tick { begun } else { at });
    let enough = facts.is_some_and(|f| f.successes >= probe.successes);
    let long_enough = since.is_some_and(|at| {
        d.sight.now.since(&at).unwrap_or_default() >= probe.every.times(u64::from(probe.successes) - 1)
    });
    if enough && long_enough {
        let now = d.sight.now;
        let run = d.run();
        run.clock.first_success = since;
        run.clock.settled = Some(now);
        return steps::observed(d, step, format!("{} successes in a row", probe.successes));
    }
    let last = facts.map_or_else(|| "no result yet".to_owned(), |f| f.last.clone());
    let waited = d.sight.waited_since(step.started);
    d.block("PublicNameWorks", last.clone(), "successes in a row through the public name");
    if waited >= VERIFY_OVERDUE {
        let why = format!("no {} successes in a row within {VERIFY_OVERDUE}: {last}", probe.successes);
        step.state = StepState::Failed;
        step.saw.clone_from(&why);
        super::end::unverified(d, &why);
        return false;
    }
    d.fire(Rule::StepAwaited, last);
    d.wake_in(LOOK_AGAIN);
    false
}

//! The last way of an engine whose own failover does not come to its end: the target leaves what it replicates by, and takes
//! writes alone.
//!
//! It is one more effect behind the point of no return, on the same target. So what was sent before need not have expired: a
//! failover that lands late finds this target as the writer, or none that it could move to it.
//!
//! What this module must never do: detach without a person's consent to this plan that names the gate; detach another region than
//! the one whose promotion is recorded; keep the engine's own failover from being looked for, or repeated, while a person is asked.

use super::{end, promote, question, steps};
use crate::draft::Draft;
use crate::effect::Action;
use crate::facts::Outcome;
use crate::ids::{ItemName, RegionName};
use crate::journal::{Phase, Step};
use crate::seeded::{self, Bug};
use crate::time::Millis;

/// What an approval has to name.
pub(crate) const GATE: &str = "EngineFailover";
/// What the gate needs, for people.
const NEEDS: &str =
    "the engine's own failover to end, or `muster approve --waive EngineFailover`: it is detached then";

/// After how long a person may have this item detached in this run.
pub(super) fn allowed_after(d: &Draft<'_>, item: &ItemName) -> Option<Millis> {
    let is_planned = d.next.run.as_ref().is_none_or(|run| run.kind.is_planned());
    let found = d.sight.policy.data.iter().find(|i| i.name == *item).filter(|_| !is_planned);
    found.and_then(|item| item.detaches_after)
}

/// For how long the engine's failover has been waited for, once that is too long.
fn is_due(d: &Draft<'_>, step: &Step, item: &ItemName) -> Option<Millis> {
    let after = allowed_after(d, item).filter(|_| !step.is_detachment())?;
    // A target that knows newer numbers is another holder's.
    let superseded = d.sight.outcome_of(step).is_some_and(|o| matches!(o.value, Outcome::StaleEpoch(_)));
    (!superseded && d.sight.waited_since(step.started) >= after).then_some(after)
}

/// Who agreed that items of this plan may be detached.
fn consent(d: &mut Draft<'_>) -> Option<String> {
    if seeded::active(Bug::DetachUnasked) {
        return Some(String::new());
    }
    question::consent(d, GATE)
}

/// Records it, if it is due and somebody has agreed. True if it did.
pub(super) fn begin(d: &mut Draft<'_>, step: &mut Step, item: &ItemName) -> bool {
    if is_due(d, step, item).is_none() {
        return false;
    }
    let Some(by) = consent(d) else { return false };
    // Two calls of one process on one target would overtake each other.
    if d.sight.is_in_flight(step) {
        return false;
    }
    question::waive(d, GATE);
    let region = d.run().to.clone();
    d.event(
        true,
        "Detaching",
        format!("{by} agreed to detach {item} in {region}; nothing else follows it then"),
    );
    steps::start(d, step, Action::Detach { item: item.clone(), region })
}

/// Asks a person once it is due, beside what goes on. The step's phase is that of the question from then on.
pub(super) fn ask(d: &mut Draft<'_>, step: &Step, item: &ItemName) {
    let Some(after) = is_due(d, step, item) else { return };
    if consent(d).is_some() {
        return;
    }
    let to = d.run().to.clone();
    let saw = format!("{item} in {to} takes no writes {after} after its engine was asked for it");
    d.block("EngineFailover", saw.clone(), NEEDS);
    question::ask(d, GATE, saw, NEEDS);
}

/// The target takes writes: nobody is asked any more. Until a detachment that was not needed can land no more, the region that was
/// left does not count as back, and nothing is switched over.
pub(super) fn end(d: &mut Draft<'_>, step: &Step, item: &ItemName) {
    let waited = question::open(d, GATE).is_some();
    question::withdraw(d, GATE);
    let (from, to) = (d.run().from.clone(), d.run().to.clone());
    if waited && !step.is_detachment() {
        d.phase(Phase::Executing, format!("{item} in {to} takes writes after all"));
    }
    if may_land_late(d, step, item, &to) {
        let until = step.issued.map(|at| at.plus(end::UNCHECKED_LANDS_WITHIN));
        if let Some(outcast) = d.next.state.outcasts.get_mut(&from) {
            outcast.detached_late = until;
        }
    }
}

/// Whether a detachment was recorded, and the target takes writes without it.
fn may_land_late(d: &Draft<'_>, step: &Step, item: &ItemName, to: &RegionName) -> bool {
    let is_alone = d.sight.data(item, to).is_some_and(|facts| facts.alone.is_some());
    step.is_detachment() && promote::is_unchecked(d, item) && !is_alone
}

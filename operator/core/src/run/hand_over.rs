//! The engine's own switchover: one effect, during which the engine keeps one writer. From its record until it is seen
//! done both regions may be writable, and nothing else is recorded (safety rules, section 3).
//!
//! What this module must never do: take the engine's silence, or that of the source, for the end of it.

use super::{end, fence, overtaken, promote, seen, steps};
use crate::draft::Draft;
use crate::effect::Action;
use crate::facts::{DataRole, ErrorClass, Outcome};
use crate::health::VerdictKind;
use crate::ids::{ItemName, RegionName};
use crate::journal::{Phase, Proof, Step};
use crate::measure;
use crate::policy::ProofClass;
use crate::rules::Rule;
use crate::time::Millis;
use std::collections::BTreeMap;

/// A source that failed is given up after so long, if the engine is at rest.
const SOURCE_FAILS: Millis = Millis(30_000);
/// How often the engine is looked at again.
const LOOK_AGAIN: Millis = Millis(100);

/// Records the switchover, if everything holds in this very pass.
pub(super) fn begin(d: &mut Draft<'_>, step: &mut Step, item: &ItemName) -> bool {
    let first = !d.run().past_pivot();
    let (from, to) = (d.run().from.clone(), d.run().to.clone());
    if first && !promote::may_pass(d, Some(&from)) {
        return false;
    }
    if ![&from, &to].into_iter().all(|region| promote::answers_in_this_pass(d, item, region)) {
        return false;
    }
    if first {
        promote::pass_pivot(d, &to);
    } else if overtaken::holds_back(d) {
        return false;
    }
    steps::start(d, step, Action::SwitchOver { item: item.clone(), from, to })
}

/// Looks for the end of it: the target takes writes, and the source is not seen to.
pub(super) fn look(d: &mut Draft<'_>, step: &mut Step, item: &ItemName) -> bool {
    let (from, to) = (d.run().from.clone(), d.run().to.clone());
    let since = seen::since(&d.sight, step);
    let target = d.sight.data_since(item, &to, since);
    // One that proves nothing is as good as silent.
    let source = d.sight.data_since(item, &from, since);
    let source = source.filter(|facts| facts.role == DataRole::Writable || facts.is_proven_standby());
    note_answer(d, step);
    let arrived = target.is_some_and(|facts| facts.role == DataRole::Writable);
    let counts = seen::answered_counts(&d.sight, step);
    if counts || arrived && source.is_none_or(|facts| facts.role == DataRole::Standby) {
        return handed_over(d, step, item, counts || source.is_some());
    }
    if is_source_lost(d, step, item) {
        let saw = d.sight.verdict(&from).saw;
        let why = format!("{from} failed before {item} was switched over to {to}: {saw}");
        end::source_lost(d, &why);
        return false;
    }
    if overtaken::holds_back(d) {
        return false;
    }
    if let Some(why) = d.run().abort.clone().filter(|_| can_land_no_more(d, step, item)) {
        end::hand_over_given_up(d, &why);
        return false;
    }
    if d.run().abort.is_some() {
        let saw = "what was sent may still be done; the run ends once it cannot any more";
        d.phase(Phase::Blocked, saw);
        d.block("Aborting", saw, "the engine at rest, and what was sent refused or expired");
        d.fire(Rule::StepAwaited, saw);
        d.wake_in(LOOK_AGAIN);
        return false;
    }
    if promote::was_cancelled(d, step, item) {
        d.fire(Rule::StepRepeated, format!("{item}: the engine is at rest and has not moved"));
        d.repeat(step);
        return true;
    }
    if target.is_none() {
        d.block("TargetSilent", d.sight.why_unknown(item, &to), "the target answers, or is attested off");
    }
    steps::tell_progress(d, step, item);
    if promote::grace_left(d, step, item) {
        d.fire(Rule::StepAwaited, format!("{item}: an unchecked call may still land"));
        d.wake_in(LOOK_AGAIN);
        return false;
    }
    steps::try_again(d, step, steps::Patience::Endless)
}

/// Keeps whether any attempt so far may have been taken: one that was, whose answer was lost, or of which nothing is known.
fn note_answer(d: &Draft<'_>, step: &mut Step) {
    if step.seq.is_none() || d.sight.is_in_flight(step) {
        return;
    }
    let refused = d.sight.outcome_of(step).is_some_and(|o| match &o.value {
        Outcome::StaleEpoch(_) | Outcome::Conflict(_) => true,
        Outcome::Failed(class, _) => *class != ErrorClass::UnknownOutcome,
        Outcome::Issued(_) | Outcome::AlreadyDone => false,
    });
    step.may_land |= !refused;
}

/// The engine is at rest as both ends see it, with the source as its writer.
fn is_at_rest(d: &Draft<'_>, step: &Step, item: &ItemName) -> bool {
    let Some(run) = d.next.run.as_ref() else { return false };
    let since = seen::since(&d.sight, step);
    let calm = |region: &RegionName, role: DataRole| {
        let facts = d.sight.data_since(item, region, since);
        facts.is_some_and(|f| f.role == role && f.unfit.is_none() && f.unready.is_none())
    };
    calm(&run.from, DataRole::Writable) && calm(&run.to, DataRole::Standby)
}

/// Whether nothing that was sent can move the writer any more: all of it was refused, or its signatures have expired.
fn can_land_no_more(d: &Draft<'_>, step: &Step, item: &ItemName) -> bool {
    let Some(run) = d.next.run.as_ref() else { return false };
    let expired = !step.may_land || d.sight.waited_since(step.issued) >= end::UNCHECKED_LANDS_WITHIN;
    run.could_still_stay() && !d.sight.is_in_flight(step) && expired && is_at_rest(d, step, item)
}

/// The source fails, and nothing that the engine does can explain it: it is at rest, or the time for it is over. That its
/// database answers helps nobody.
fn is_source_lost(d: &Draft<'_>, step: &Step, item: &ItemName) -> bool {
    let Some(run) = d.next.run.as_ref() else { return false };
    let failed = d.sight.verdict(&run.from).kind == VerdictKind::Unhealthy;
    if !run.could_still_stay() || d.sight.is_in_flight(step) || !failed {
        return false;
    }
    let Some(target) = d.sight.data_since(item, &run.to, seen::since(&d.sight, step)) else { return false };
    let at_rest = target.unready.is_none() && d.sight.waited_since(step.issued) >= SOURCE_FAILS;
    let too_long = d.sight.waited_since(step.started) >= promote::deadline(d, item);
    target.role == DataRole::Standby && (at_rest || too_long)
}

/// Behind the last of them the source leaves `mayBeWritable`, if it was seen to have left: then its engine has one writer. A
/// silent one stays: what made the target a writer may have been another hand, which promises nothing.
fn handed_over(d: &mut Draft<'_>, step: &mut Step, item: &ItemName, left: bool) -> bool {
    let (sight, now) = (d.sight, d.sight.now);
    let from = d.run().from.clone();
    let run = d.run();
    let to = run.to.clone();
    if run.yet_to_hand_over().all(|other| other == item) {
        if !d.next.state.outcasts.contains_key(&from) {
            fence::note_outcast(d, &from, None);
        }
        if left && !other_items_write(d, &from) {
            let saw = format!("{item} was handed over to {to} by its engine");
            let proof = Proof { class: ProofClass::Closed, saw, at: now, positions: BTreeMap::new() };
            d.run().proofs.entry(from.clone()).or_insert(proof);
            d.next.state.may_be_writable.remove(&from);
            if let Some(outcast) = d.next.state.outcasts.get_mut(&from) {
                outcast.proven.get_or_insert(now);
            }
        }
    }
    if let Some(why) = d.run().abort.take() {
        d.event(true, "AbortTooLate", format!("{to} takes writes already: {why}"));
    }
    let run = d.run();
    run.measured = measure::measure_rpo(&sight, run);
    steps::observed(d, step, format!("{item} was handed over: {to} takes writes"))
}

/// Whether an item that no engine hands over is seen open in the source.
fn other_items_write(d: &Draft<'_>, from: &RegionName) -> bool {
    let others = d.sight.policy.data.iter().filter(|item| !item.hands_over);
    others.filter_map(|item| d.sight.data(&item.name, from)).any(|facts| !facts.is_closed())
}

//! The engine's own switchover: one effect, during which the engine keeps one writer. From its record until it is seen
//! done both regions may be writable, and nothing else is recorded (safety rules, section 3).
//!
//! What this module must never do: take the engine's silence, or that of the source, for the end of it.

use super::{end, fence, promote, seen, steps};
use crate::draft::Draft;
use crate::effect::Action;
use crate::facts::DataRole;
use crate::health::VerdictKind;
use crate::ids::{ItemName, RegionName};
use crate::journal::{Proof, Step};
use crate::measure;
use crate::policy::ProofClass;
use crate::rules::Rule;
use crate::time::Millis;
use std::collections::BTreeMap;

/// A source that failed is given up after so long, if the engine is at rest.
const SOURCE_SILENT: Millis = Millis(30_000);

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
    }
    steps::start(d, step, Action::SwitchOver { item: item.clone(), from, to })
}

/// Looks for the end of it: the target takes writes, and the source is not seen to.
pub(super) fn look(d: &mut Draft<'_>, step: &mut Step, item: &ItemName) -> bool {
    let (from, to) = (d.run().from.clone(), d.run().to.clone());
    let since = seen::since(&d.sight, step);
    let target = d.sight.data_since(item, &to, since);
    let source = d.sight.data_since(item, &from, since);
    let arrived = target.is_some_and(|facts| facts.role == DataRole::Writable);
    if (arrived && source.is_none_or(|facts| facts.role == DataRole::Standby))
        || seen::answered_counts(&d.sight, step)
    {
        return handed_over(d, step, item, &from);
    }
    if source.is_none() && is_source_lost(d, step, item) {
        let saw = d.sight.why_unknown(item, &from);
        end::source_lost(d, &format!("{from} failed while {item} was to be switched over to {to}: {saw}"));
        return false;
    }
    if target.is_none() {
        d.block("TargetSilent", d.sight.why_unknown(item, &to), "the target answers, or is attested off");
    } else if promote::grace_left(d, step, item) {
        d.fire(Rule::StepAwaited, format!("{item}: an unchecked call may still land"));
        d.wake_in(Millis(100));
        return false;
    }
    steps::try_again(d, step, steps::Patience::Endless)
}

/// The source fails, and nothing that the engine does can explain it: it is at rest, or the time for it is over.
fn is_source_lost(d: &Draft<'_>, step: &Step, item: &ItemName) -> bool {
    let Some(run) = d.next.run.as_ref() else { return false };
    let one_moved = run.steps.iter().any(|s| s.is_done() && s.key.is_hand_over());
    let under_way = step.seq.is_some_and(|seq| d.sight.seen.in_flight.contains(&seq));
    if one_moved || under_way || d.sight.verdict(&run.from).kind != VerdictKind::Unhealthy {
        return false;
    }
    let Some(target) = d.sight.data_since(item, &run.to, seen::since(&d.sight, step)) else { return false };
    let waited = step.started.map(|at| d.sight.waited(at)).unwrap_or_default();
    let at_rest = target.unfit.is_none() && waited >= SOURCE_SILENT;
    target.role == DataRole::Standby && (at_rest || waited >= promote::deadline(d, item))
}

/// Behind the last of them the source leaves `mayBeWritable`: by the engine's word that it has one writer, and by what was
/// proven of all that no engine hands over.
fn handed_over(d: &mut Draft<'_>, step: &mut Step, item: &ItemName, from: &RegionName) -> bool {
    let (sight, now) = (d.sight, d.sight.now);
    let run = d.run();
    let to = run.to.clone();
    run.measured = measure::measure_rpo(&sight, run);
    let is_last = run.yet_to_hand_over().all(|other| other == item);
    if is_last {
        run.clock.fenced.get_or_insert(now);
        let saw = format!("{item} was handed over to {to} by its engine");
        let proof = Proof { class: ProofClass::Closed, saw, at: now, positions: BTreeMap::new() };
        run.proofs.entry(from.clone()).or_insert(proof);
        if !d.next.state.outcasts.contains_key(from) {
            fence::note_outcast(d, from, None);
        }
        d.next.state.may_be_writable.remove(from);
        if let Some(outcast) = d.next.state.outcasts.get_mut(from) {
            outcast.proven.get_or_insert(now);
        }
    }
    steps::observed(d, step, format!("{item} was handed over: {to} takes writes"))
}

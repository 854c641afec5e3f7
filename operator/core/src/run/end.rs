//! How a run ends.

use crate::draft::Draft;
use crate::ids::RegionName;
use crate::journal::{Cooldown, OutcomeKind, Phase, RunKind, StepKey, Trigger};
use crate::measure;
use crate::policy::{Capability, ProofClass};
use crate::rules::Rule;
use crate::time::Millis;

fn release(d: &mut Draft<'_>, outcome: OutcomeKind, phase: Phase, message: &str) {
    let name = d.run().name.clone();
    d.run().outcome = Some(outcome);
    d.phase(phase, message);
    d.next.state.active_run = None;
    d.next.state.last_run = Some(name);
}

fn cool_down(d: &mut Draft<'_>) {
    d.next.state.cooldown = Some(Cooldown { from: d.sight.now, left: d.sight.policy.safety.cooldown });
}

/// Every step was seen done.
pub(super) fn complete(d: &mut Draft<'_>) {
    let bound = measure::error_bound(&d.sight);
    let run = d.run();
    let (rto, from_decision) = measure::measure_rto(run);
    run.measured.rto = rto;
    run.measured.rto_from_decision = from_decision;
    run.measured.error_bound = bound;
    let to = run.to.clone();
    let waived: Vec<String> = run
        .proofs
        .iter()
        .filter(|(_, p)| matches!(p.class, ProofClass::Waived | ProofClass::NoAck))
        .map(|(region, _)| region.to_string())
        .collect();
    let message = match rto {
        Some(rto) => format!("{to} serves, RTO {rto}"),
        None => format!("{to} serves"),
    };
    let automatic_failover = run.kind == RunKind::Failover && run.trigger == Trigger::Verdict;
    release(d, OutcomeKind::Succeeded, Phase::Completed, &message);
    d.next.state.active_region = Some(to);
    if automatic_failover {
        cool_down(d);
    }
    if !waived.is_empty() {
        d.next.state.needs_ack.get_or_insert_with(|| format!("{} was not fenced", waived.join(", ")));
    }
    d.event(false, "Completed", message.clone());
    d.fire(Rule::RunCompleted, message);
}

/// Data and traffic moved, but the public name does not work: said so, and nothing is waited for any longer.
pub(super) fn unverified(d: &mut Draft<'_>, why: &str) {
    let to = d.run().to.clone();
    release(d, OutcomeKind::Failed, Phase::Failed, why);
    d.next.state.active_region = Some(to);
    d.next.state.needs_ack = Some(why.to_owned());
    cool_down(d);
    d.event(true, "NotVerified", why);
    d.fire(Rule::NotVerified, why);
}

/// Everything was undone.
pub(super) fn abort(d: &mut Draft<'_>, why: &str) {
    let by_verdict = d.run().trigger == Trigger::Verdict;
    release(d, OutcomeKind::Aborted, Phase::Aborted, why);
    if by_verdict {
        // Else the same verdict would open the next run at once.
        cool_down(d);
    }
    d.event(true, "Aborted", why);
    d.fire(Rule::RunAborted, why);
}

/// A hand-over that a person gave up, and that can land no more: the source writes on, what was fenced beside it is opened.
pub(super) fn hand_over_given_up(d: &mut Draft<'_>, why: &str) {
    super::undo::keep_undo(d);
    let to = d.run().to.clone();
    d.next.state.may_be_writable.remove(&to);
    abort(d, why);
}

/// An abort whose undo cannot be seen, or must not be done now: it must not hold the policy.
pub(super) fn abandon_undo(d: &mut Draft<'_>, reason: &str, why: &str) {
    let by_verdict = d.run().trigger == Trigger::Verdict;
    release(d, OutcomeKind::Failed, Phase::Failed, why);
    if by_verdict {
        cool_down(d);
    }
    d.event(true, reason, why);
    d.fire(Rule::RunAborted, why);
}

/// The target can never be promoted any more: the next run goes to the next candidate.
pub(super) fn target_lost(d: &mut Draft<'_>) -> bool {
    let run = d.run();
    let (to, pivot) = (run.to.clone(), run.clock.pivot.unwrap_or_default());
    let Some((way, id)) = d.sight.switched_off(&to, d.sight.tick_of(pivot)) else { return false };
    let silent = d.sight.policy.data.iter().all(|item| d.sight.data(&item.name, &to).is_none());
    if !silent {
        return false;
    }
    let why = format!("{to} was lost after the point of no return: {way} says that {id} is off");
    // Before its engine has handed anything over the source takes writes, by right: only a verdict may leave it.
    let source_writes = d.run().could_still_stay();
    let outcome = if source_writes { OutcomeKind::Failed } else { OutcomeKind::TargetLost };
    give_up_target(d, outcome, Rule::TargetLost, &why);
    d.event(true, "TargetLost", why);
    true
}

/// Ends a run past its point of no return whose target is not, or not known to be, the writer. What was sent for it may still
/// land: it stays out until then.
fn give_up_target(d: &mut Draft<'_>, outcome: OutcomeKind, rule: Rule, why: &str) {
    if d.run().could_still_stay() {
        super::undo::keep_undo(d);
    }
    let to = d.run().to.clone();
    cast_out_target(d, &to);
    release(d, outcome, Phase::Failed, why);
    d.fire(rule, why);
}

/// Another hand made `other` the writer.
pub(super) fn overtaken(d: &mut Draft<'_>, other: &RegionName) {
    let to = d.run().to.clone();
    let why = format!("{other} was made the writer by another hand: {to} is not made the writer any more");
    d.next.state.needs_ack.get_or_insert_with(|| why.clone());
    give_up_target(d, OutcomeKind::Failed, Rule::Overtaken, &why);
    d.event(true, "Overtaken", why);
}

/// The source of a planned run failed before its engine handed anything over: a failover has to move the application, with
/// what that takes. Both regions may be writable until then.
pub(super) fn source_lost(d: &mut Draft<'_>, why: &str) {
    give_up_target(d, OutcomeKind::Failed, Rule::SourceLost, why);
    d.event(true, "SourceLost", why);
}

/// How long a signed call that its target does not check may still land (safety rules, section 4).
pub(super) const UNCHECKED_LANDS_WITHIN: Millis = Millis(15 * 60_000);

/// The target stays out while what was recorded to make it the writer may still land.
fn cast_out_target(d: &mut Draft<'_>, to: &RegionName) {
    super::fence::note_outcast(d, to, None);
    let unchecked = d.sight.policy.data.iter().any(|i| i.capability == Capability::Unchecked);
    let issued = d
        .run()
        .steps
        .iter()
        .filter(|s| matches!(s.key, StepKey::PromoteData(_) | StepKey::HandOver(_)))
        .filter_map(|s| s.issued)
        .max_by_key(|s| s.tick);
    let detached = d.run().has_detached();
    let Some(outcast) = d.next.state.outcasts.get_mut(to) else { return };
    outcast.promotion_pending = true;
    outcast.detached |= detached;
    outcast.not_before = issued.filter(|_| unchecked).map(|at| at.plus(UNCHECKED_LANDS_WITHIN));
}

/// The journal turned out to be older than its targets: what it says of the run is no longer true.
pub(crate) fn end_behind(journal: &mut crate::journal::Journal, now: crate::time::Stamp) {
    if let Some(run) = journal.run.as_mut().filter(|r| !r.phase.is_final()) {
        run.phase = Phase::Failed;
        run.phase_since = now;
        run.outcome = Some(OutcomeKind::Failed);
        "the journal was older than its targets".clone_into(&mut run.message);
        journal.state.last_run = Some(run.name.clone());
    }
    journal.state.active_run = None;
}

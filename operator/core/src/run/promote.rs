//! The point of no return, and the first write behind it.

use super::{decide, detach, fence, overtaken, replaced, seen, steps};
use crate::draft::Draft;
use crate::effect::Action;
use crate::facts::{DataRole, ErrorClass, Outcome};
use crate::ids::{ItemName, RegionName};
use crate::journal::{Gate, Phase, Step, StepKey, StepState};
use crate::measure;
use crate::policy::{Capability, ProofClass};
use crate::proof;
use crate::rules::Rule;
use crate::seeded::{self, Bug};
use crate::time::Millis;

/// How often a missing condition is looked at again.
const LOOK_AGAIN: Millis = Millis(100);
/// Fenced for so long without a promotion is an alert.
const NO_WRITER_AFTER: Millis = Millis(30_000);

/// Records the promotion of `item`, if everything holds in this very pass.
pub(super) fn begin(d: &mut Draft<'_>, step: &mut Step, item: &ItemName) -> bool {
    let first = !d.run().past_pivot();
    if first && !may_pass(d, None) {
        return false;
    }
    let to = d.run().to.clone();
    if !answers_in_this_pass(d, item, &to) {
        return false;
    }
    if first {
        pass_pivot(d, &to);
    } else if overtaken::holds_back(d) || !is_still_closed(d, item) {
        return false;
    }
    step.node = d.sight.data(item, &to).and_then(|facts| facts.node.clone());
    steps::start(d, step, Action::Promote { item: item.clone(), region: to })
}

/// Behind another item, which may have taken long: whether the source is still not seen to write, and, where nothing is to be
/// lost, the target has all of the item. Its silence is no reason to wait: the proof was seen at the point of no return.
fn is_still_closed(d: &mut Draft<'_>, item: &ItemName) -> bool {
    let hands_over = d.run().steps.iter().any(|s| s.key.is_hand_over());
    let found = if hands_over { not_all_there(d, item) } else { writes_again(d) };
    let Some((saw, needs)) = found else { return true };
    wait_for_sole_writer(d, saw, &needs);
    false
}

/// What is seen, and needed, where the source of a planned run or its target is not as it has to be.
fn not_all_there(d: &mut Draft<'_>, item: &ItemName) -> Option<(String, String)> {
    let (from, to) = (d.run().from.clone(), d.run().to.clone());
    let source = d.sight.data(item, &from)?;
    let has_all = d.sight.data(item, &to).is_some_and(|target| target.replayed >= source.position);
    let saw = match (source.is_closed(), has_all) {
        (true, true) => return None,
        (true, false) => format!("{item} in {to} has not replayed all of it yet"),
        (false, _) => format!("{item} in {from} takes writes again"),
    };
    Some((saw, "no region beside the target takes writes, and the target has them all".to_owned()))
}

/// The same where the source was seen to write since it was proven closed; another proof never said that it takes none.
fn writes_again(d: &mut Draft<'_>) -> Option<(String, String)> {
    let run = d.run();
    let (from, proof) = (run.from.clone(), run.proofs.get(&run.from).map(|proof| proof.class));
    let was_closed = matches!(proof, Some(ProofClass::Closed | ProofClass::Attested));
    if !was_closed || !d.next.state.other_writers.contains(&from) {
        return None;
    }
    let saw = format!("{from} was seen to take writes again");
    d.next.state.needs_ack.get_or_insert_with(|| saw.clone());
    Some((saw, format!("{from} is fenced again, or is silent and somebody says `muster ack`")))
}

fn wait_for_sole_writer(d: &mut Draft<'_>, saw: String, needs: &str) {
    d.block("SoleWriter", saw.clone(), needs);
    d.phase(Phase::Blocked, saw.clone());
    d.fire(Rule::GateUnmet, saw);
    d.wake_in(LOOK_AGAIN);
}

/// Whether an item's node was looked at in this very pass.
pub(super) fn answers_in_this_pass(d: &mut Draft<'_>, item: &ItemName, region: &RegionName) -> bool {
    if d.sight.data_since(item, region, d.sight.seen.pass).is_some() {
        return true;
    }
    let why = d.sight.why_unknown(item, region);
    d.block("TargetFit", why.clone(), format!("{item} in {region} answers in this pass"));
    d.fire(Rule::GateUnmet, why);
    d.wake_in(LOOK_AGAIN);
    false
}

/// Proofs seen again, gates, and the set of regions that may be writable; `kept` may be, because its engine hands it over.
pub(super) fn may_pass(d: &mut Draft<'_>, kept: Option<&RegionName>) -> bool {
    if let Some(region) = lost_proof(d) {
        return fence_again(d, &region);
    }
    if !decide::gates_still_hold(d, nobody_writes) {
        return false;
    }
    let to = d.run().to.clone();
    let others = d.next.state.may_be_writable.iter().filter(|r| **r != to && Some(*r) != kept);
    let others: Vec<String> = others.map(ToString::to_string).collect();
    if !others.is_empty() && !seeded::active(Bug::IgnoreMayBeWritable) {
        let saw = format!("{} may be writable", others.join(", "));
        wait_for_sole_writer(d, saw, "no region beside the target may be writable");
        decide::end_with_consent(d);
        return false;
    }
    true
}

/// The old primary is fenced and the target cannot be promoted: a planned run gives up, a failover alarms.
fn nobody_writes(d: &mut Draft<'_>, law: &Gate) {
    let why = format!("{}: saw {}, needs {}", law.name, law.saw, law.needs);
    let fenced = d.run().clock.fenced;
    let long = d.sight.waited_since(fenced);
    let run = d.run();
    if long < NO_WRITER_AFTER {
        return d.phase(Phase::Blocked, why);
    }
    if run.kind.is_planned() {
        run.abort = Some(format!("{why} for {long}"));
        return;
    }
    d.block("NoWriter", format!("nobody takes writes for {long}"), "the target, or an abort");
    let message = format!("nobody takes writes; {}", law.name);
    if d.run().message != message {
        d.event(true, "NoWriter", why);
    }
    d.phase(Phase::Blocked, message);
}

/// The first fenced region whose proof cannot be seen again in this pass.
fn lost_proof(d: &mut Draft<'_>) -> Option<RegionName> {
    if seeded::active(Bug::StaleProof) || seeded::active(Bug::IssuedIsDone) {
        return None;
    }
    let (sight, pass) = (d.sight, d.sight.seen.pass);
    let planned = d.run().kind.is_planned();
    let proofs = d.run().proofs.clone();
    let mut lost = None;
    for (region, proof) in proofs {
        let key = StepKey::FenceOld(region.clone());
        let step = d.run().steps.iter().find(|s| s.key == key).cloned();
        let holds = step.is_some_and(|step| {
            if proof.class == ProofClass::Waived {
                return fence::consent(d, &step).is_some();
            }
            // Only a way whose fence was answered attests again.
            let again = proof::judge_step(&sight, &region, &step, pass);
            again.is_some_and(|again| fence::counts(d, planned, &again))
        });
        if !holds {
            lost.get_or_insert(region);
        }
    }
    lost
}

/// The proof is void: back to the fence.
fn fence_again(d: &mut Draft<'_>, region: &RegionName) -> bool {
    let why = format!("the proof that {region} takes no writes was not seen again");
    d.next.state.may_be_writable.insert(region.clone());
    if let Some(outcast) = d.next.state.outcasts.get_mut(region) {
        outcast.proven = None;
    }
    let run = d.run();
    run.proofs.remove(region);
    let key = StepKey::FenceOld(region.clone());
    if let Some(step) = run.steps.iter_mut().find(|s| s.key == key) {
        let (started, tried) = (step.started, std::mem::take(&mut step.tried));
        *step = Step { started, tried, saw: why.clone(), ..Step::new(key) };
    }
    d.event(true, "ProofLost", why.clone());
    d.fire(Rule::ProofLost, why);
    d.wake_in(LOOK_AGAIN);
    false
}

/// The record that only goes forward from here.
pub(super) fn pass_pivot(d: &mut Draft<'_>, to: &RegionName) {
    let now = d.sight.now;
    let acked = d.sight.seen.heartbeats.keys().map(|item| {
        let newest = measure::newest_acked(&d.sight, item);
        (item.clone(), newest.map_or((0, None), |(seq, at)| (seq, Some(at))))
    });
    let acked: std::collections::BTreeMap<_, _> = acked.collect();
    d.next.state.may_be_writable.insert(to.clone());
    d.next.state.outcasts.remove(to);
    let run = d.run();
    run.clock.pivot = Some(now);
    run.acked_at_pivot = acked;
    d.event(false, "PointOfNoReturn", format!("promoting {to}"));
}

/// Waits until the target has everything that the closed primary wrote.
pub(super) fn look_at_catch_up(d: &mut Draft<'_>, step: &mut Step, item: &ItemName) -> bool {
    let (from, to) = (d.run().from.clone(), d.run().to.clone());
    let pass = d.sight.seen.pass;
    let written = d.sight.data_since(item, &from, pass).filter(|f| f.is_closed()).map(|f| f.position);
    let replayed = d.sight.data_since(item, &to, pass).map(|f| f.replayed);
    match (written, replayed) {
        (Some(written), Some(replayed)) if replayed >= written => {
            steps::observed(d, step, format!("{to} replayed {replayed}, {from} stands at {written}"))
        }
        _ => {
            let show = |p: Option<crate::ids::Position>| p.map_or("unknown".to_owned(), |p| p.to_string());
            let saw = format!("{from} at {}, {to} at {}", show(written), show(replayed));
            let limit = deadline(d, item);
            let waited = d.sight.waited_since(step.started);
            if waited >= limit {
                let why = format!("{item} did not catch up within {limit}: {saw}");
                step.state = StepState::Failed;
                step.saw.clone_from(&why);
                d.event(true, "StepFailed", why.clone());
                d.run().abort = Some(why.clone());
                d.fire(Rule::StepFailed, why);
                return false;
            }
            d.block("CaughtUp", saw.clone(), "the target has replayed all of it");
            d.fire(Rule::StepAwaited, saw);
            d.wake_in(LOOK_AGAIN);
            false
        }
    }
}

pub(super) fn deadline(d: &Draft<'_>, item: &ItemName) -> Millis {
    let found = d.sight.policy.data.iter().find(|i| i.name == *item);
    found.map_or(crate::draft::SHORT_CALL, |i| i.promote_deadline)
}

/// Looks for the promotion: the target takes writes, by whichever way it came to.
pub(super) fn look(d: &mut Draft<'_>, step: &mut Step, item: &ItemName) -> bool {
    let to = d.run().to.clone();
    let sight = d.sight;
    let facts = sight.data_since(item, &to, seen::since(&sight, step));
    if replaced::holds_back(d, step, item, facts) {
        return false;
    }
    if facts.is_some_and(|facts| facts.role == DataRole::Writable) || seen::answered_counts(&sight, step) {
        detach::end(d, step, item);
        let run = d.run();
        run.measured = measure::measure_rpo(&sight, run);
        return steps::observed(d, step, format!("{item} in {to} takes writes"));
    }
    if overtaken::holds_back(d) {
        return false;
    }
    if detach::begin(d, step, item) {
        return true;
    }
    let moved = wait_or_repeat(d, step, item, &to);
    detach::ask(d, step, item);
    moved
}

/// Waits for what is recorded, or sends it again.
fn wait_or_repeat(d: &mut Draft<'_>, step: &mut Step, item: &ItemName, to: &RegionName) -> bool {
    let facts = d.sight.data_since(item, to, seen::since(&d.sight, step));
    if was_cancelled(d, step, item) {
        d.fire(Rule::StepRepeated, format!("{item}: the engine is at rest, and {to} is a standby still"));
        d.repeat(step);
        return true;
    }
    if facts.is_none() {
        d.block("TargetSilent", d.sight.why_unknown(item, to), "the target answers, or is attested off");
    }
    steps::tell_progress(d, step, item);
    if grace_left(d, step, item) {
        d.fire(Rule::StepAwaited, format!("{item} in {to}: an unchecked call may still land"));
        d.wake_in(LOOK_AGAIN);
        return false;
    }
    steps::try_again(d, step, steps::Patience::Endless)
}

/// Whether the item's engine checks nothing of a call.
pub(super) fn is_unchecked(d: &Draft<'_>, item: &ItemName) -> bool {
    d.sight.policy.data.iter().any(|i| i.name == *item && i.capability == Capability::Unchecked)
}

/// An engine that took a call and then gave it up: it is at rest as the target sees it, long after the answer. Without this it
/// would be asked again only when the whole time for it is over.
pub(super) fn was_cancelled(d: &Draft<'_>, step: &Step, item: &ItemName) -> bool {
    const LONG: Millis = Millis(60_000);
    let is_long = !d.sight.is_in_flight(step) && d.sight.waited_since(step.issued) >= LONG;
    let Some(run) = d.next.run.as_ref().filter(|_| is_long && is_unchecked(d, item)) else { return false };
    let facts = d.sight.data_since(item, &run.to, seen::since(&d.sight, step));
    facts.is_some_and(|f| f.role == DataRole::Standby && f.unready.is_none())
}

/// A target that checks nothing gets the same call again only after a while of unchanged reads, unless the last one is known to
/// have had no effect. The one before that had its own while.
pub(super) fn grace_left(d: &Draft<'_>, step: &Step, item: &ItemName) -> bool {
    const GRACE: Millis = Millis(15_000);
    let may_land = d.sight.outcome_of(step).is_none_or(|outcome| match &outcome.value {
        Outcome::Failed(class, _) => *class == ErrorClass::UnknownOutcome,
        Outcome::Issued(_) | Outcome::AlreadyDone => true,
        Outcome::StaleEpoch(_) | Outcome::Conflict(_) => false,
    });
    is_unchecked(d, item) && may_land && d.sight.waited_since(step.issued) < GRACE
}

/// Opens the new primary: where the old one was closed by its catalogue, nobody can write there until then.
pub(super) fn begin_open(d: &mut Draft<'_>, step: &mut Step, item: ItemName) -> bool {
    if overtaken::keeps_closed(d) {
        return false;
    }
    let to = d.run().to.clone();
    steps::start(d, step, Action::OpenWriter { item, region: to })
}

/// Looks for the first write on the new primary.
pub(super) fn look_at_open(d: &mut Draft<'_>, step: &mut Step, item: &ItemName) -> bool {
    let to = d.run().to.clone();
    let Some(saw) = seen::witness_raised(d, step, item, &to, false) else {
        return !overtaken::keeps_closed(d) && steps::try_again(d, step, steps::Patience::Endless);
    };
    steps::observed(d, step, saw);
    let open = |s: &Step| matches!(s.key, StepKey::OpenWriter(_)) && !s.is_done() && s.key != step.key;
    let now = d.sight.now;
    let run = d.run();
    if !run.steps.iter().any(open) {
        run.clock.promoted = Some(now);
        // An engine that hands over says not when it stopped the source: at the record of it, at the earliest.
        let stopped = run.clock.first_failure.or(run.clock.fenced).or(run.clock.pivot);
        let gap = stopped.map(|from| now.since_or_wall(&from));
        run.measured.write_gap = gap;
        // From here on heartbeats go to the new primary, and traffic belongs there.
        d.next.state.active_region = Some(to);
    }
    true
}

//! An active run: take-over, abort, decision, and then one step after the other.

mod compute;
mod decide;
mod detach;
mod end;
mod fence;
mod hand_over;
mod overtaken;
mod promote;
mod question;
mod replaced;
mod seen;
mod steps;
mod traffic;
mod undo;

use crate::draft::Draft;
use crate::health::VerdictKind;
use crate::ids::RegionName;
use crate::journal::{Phase, Run, StepKey, StepState, Trigger};
use crate::plan;
use crate::policy::Mode;
use crate::rules::Rule;
use crate::seeded::{self, Bug};
use crate::time::Millis;

pub(crate) use compute::{PEAK_LASTS, known_peak, weakness as compute_weakness};
pub(crate) use end::end_behind;
pub(crate) use fence::note_answer as note_fence_answer;
pub(crate) use question::LATE_GATES;
pub(crate) use seen::witness_raised;
pub(crate) use undo::seen_undone;

/// Whether the run is past the point of no return: the *recorded* intent to promote.
pub(crate) fn past_pivot(run: &Run) -> bool {
    if seeded::active(Bug::PivotAtObservation) {
        return run.clock.promoted.is_some();
    }
    run.past_pivot()
}

/// One pass over the active run.
pub(crate) fn drive(d: &mut Draft<'_>) {
    if take_over(d) || hold_still(d) {
        return;
    }
    let run = d.run();
    let past_pivot = past_pivot(run);
    if run.undoing || (run.abort.is_some() && !past_pivot) {
        return undo::drive(d);
    }
    if !past_pivot && (withdraw_on_recovery(d) || withdraw_planned(d) || retarget(d)) {
        return;
    }
    if past_pivot && end::target_lost(d) {
        return;
    }
    if d.run().clock.decided.is_none() && !decide::drive(d) {
        return;
    }
    steps::drive(d);
}

/// Another process's run: its number is raised before anything is done in its name.
fn take_over(d: &mut Draft<'_>) -> bool {
    let Some(me) = d.sight.seen.holder.clone() else {
        d.fire(Rule::NoLease, "this process holds no lease");
        return true;
    };
    if d.run().holder == me {
        return false;
    }
    let term = d.next.state.term.next();
    d.next.state.term = term;
    if let Some(active) = d.next.state.active_run.as_mut() {
        active.term = term;
    }
    let now = d.sight.now;
    let run = d.run();
    let before = std::mem::replace(&mut run.holder, me);
    run.term = term;
    run.taken_over = Some(now);
    let message = format!("took over from {before}, term {term}");
    d.event(false, "TookOver", message.clone());
    d.fire(Rule::TookOver, message);
    true
}

/// Pause and Observe: no new effect, nothing undone, the claim is kept.
fn hold_still(d: &mut Draft<'_>) -> bool {
    let (saw, needs) = if let Some(who) = &d.next.state.paused {
        (format!("paused: {who}"), "muster resume")
    } else if d.sight.policy.mode == Mode::Observe {
        ("the policy's mode is Observe".to_owned(), "mode Approve or Automatic")
    } else {
        return false;
    };
    d.block("Paused", saw.clone(), needs);
    let run = d.run();
    run.message.clone_from(&saw);
    d.fire(Rule::HeldStill, saw);
    true
}

/// The region came back before the point of no return: what a verdict began, the verdict's end undoes.
fn withdraw_on_recovery(d: &mut Draft<'_>) -> bool {
    let run = d.run();
    let (by_verdict, from) = (run.trigger == Trigger::Verdict, run.from.clone());
    if !by_verdict || run.phase == Phase::Pending && run.gates.is_empty() {
        return false;
    }
    let verdict = d.sight.verdict(&from);
    if verdict.kind != VerdictKind::Healthy {
        return false;
    }
    let why = format!("{from} recovered: {}", verdict.saw);
    d.event(false, "Withdrawn", why.clone());
    d.run().abort = Some(why.clone());
    d.fire(Rule::RegionRecovered, why);
    true
}

/// A planned run that waits must not keep a failover from opening: it ends when its source is seen to fail before
/// anything was fenced.
fn withdraw_planned(d: &mut Draft<'_>) -> bool {
    let run = d.run();
    let fenced =
        run.steps.iter().any(|s| matches!(s.key, StepKey::FenceOld(_)) && s.state != StepState::Pending);
    if !run.kind.is_planned() || fenced {
        return false;
    }
    let from = run.from.clone();
    let verdict = d.sight.verdict(&from);
    if verdict.kind != VerdictKind::Unhealthy {
        return false;
    }
    let why = format!("{from} is unhealthy, and a planned run needs it: {}", verdict.saw);
    d.event(true, "Withdrawn", why.clone());
    d.run().abort = Some(why.clone());
    d.fire(Rule::SourceLost, why);
    true
}

/// Unfit for so long, the target is given up for another one.
const UNFIT_FOR: Millis = Millis(3_000);

/// A failover that chose its target by itself goes to another region when that one is no longer fit. Only before the
/// point of no return; what was fenced stays so, and consent is asked for anew.
fn retarget(d: &mut Draft<'_>) -> bool {
    let run = d.run().clone();
    let by_itself = !matches!(run.trigger, Trigger::Person(_)) && !run.kind.is_planned();
    let stuck = run.phase == Phase::Blocked && d.sight.waited(run.phase_since) >= UNFIT_FOR;
    if !by_itself || !stuck {
        return false;
    }
    let Err(why) = d.sight.fitness(&run.to) else { return false };
    let fenced = |region: &RegionName| {
        run.steps.iter().any(|s| s.key == StepKey::FenceOld(region.clone()) && s.state != StepState::Pending)
    };
    let Some(other) = d.sight.best_candidate(&run.from).filter(|other| !fenced(other)) else { return false };
    let message = format!("{} goes to {other} instead of {}: {why}", run.name, run.to);
    let mut next = plan::retarget(&d.next, &run, other);
    if next.approval.take().is_some() || d.sight.policy.mode != Mode::Automatic {
        next.clock.decided = None;
    }
    d.next.run = Some(next);
    d.phase(Phase::Executing, message.clone());
    d.event(true, "Retargeted", message.clone());
    d.fire(Rule::Retargeted, message);
    d.wake_in(Millis(0));
    true
}

/// Whether any step has recorded an effect.
pub(crate) fn has_effects(run: &Run) -> bool {
    run.steps.iter().any(|s| s.state != StepState::Pending)
}

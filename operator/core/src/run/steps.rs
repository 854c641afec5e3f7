//! The plan, one step at a time: begin it, look for its end, try again, or go round it.

use super::{compute, detach, fence, hand_over, promote, seen, traffic};
use crate::draft::Draft;
use crate::effect::Action;
use crate::facts::{DataRole, Outcome};
use crate::ids::ItemName;
use crate::journal::{Phase, Step, StepKey, StepState};
use crate::policy::HookStep;
use crate::retry::{self, Next};
use crate::rules::Rule;
use crate::time::{Millis, Tick};

/// Attempts of a step that may be passed over.
const OPTIONAL_ATTEMPTS: u32 = 3;
/// After this long a step past the point of no return is reported as overdue.
const OVERDUE: Millis = Millis(60_000);

/// Moves the run as far as this pass's observations carry it: at most one new effect.
pub(super) fn drive(d: &mut Draft<'_>) {
    while d.effects.is_empty() {
        let Some(index) = d.run().current() else { return super::end::complete(d) };
        let mut step = d.run().steps[index].clone();
        let moved = match step.state {
            StepState::Pending => begin(d, &mut step),
            _ => look(d, &mut step),
        };
        if let Some(place) = d.next.run.as_mut().and_then(|run| run.steps.get_mut(index)) {
            *place = step;
        }
        if !moved {
            return;
        }
    }
}

/// Begins a step. True if something changed and the next look may follow at once.
fn begin(d: &mut Draft<'_>, step: &mut Step) -> bool {
    match step.key.clone() {
        StepKey::RaiseWitness(item) => {
            let (from, planned) = (d.run().from.clone(), d.run().kind.is_planned());
            // Of a region that may be lost an older look says little, and a call that hangs there would cost its time.
            let since = if planned { Tick(0) } else { d.sight.seen.pass };
            match d.sight.data_since(&item, &from, since) {
                Some(facts) if facts.role == DataRole::Writable => {
                    start(d, step, Action::OpenWriter { item, region: from })
                }
                Some(_) => skip(d, step, format!("{item} in {from} takes no writes")),
                None => {
                    let why = d.sight.why_unknown_since(&item, &from, since);
                    skip(d, step, why)
                }
            }
        }
        StepKey::Hook(name) => {
            let (from, to) = (d.run().from.clone(), d.run().to.clone());
            start(d, step, Action::Hook { name, from, to })
        }
        StepKey::ScaleCompute(item) => compute::begin(d, step, &item),
        StepKey::FenceOld(region) => fence::begin(d, step, &region),
        StepKey::CatchUp(_) | StepKey::AwaitCompute(_) | StepKey::Verify => {
            step.started = Some(d.sight.now);
            step.issued = Some(d.sight.now);
            step.state = StepState::Intended;
            if step.key == StepKey::Verify {
                d.phase(Phase::Verifying, "waiting for successes through the public name");
            }
            true
        }
        StepKey::HandOver(item) => hand_over::begin(d, step, &item),
        StepKey::PromoteData(item) => promote::begin(d, step, &item),
        StepKey::OpenWriter(item) => promote::begin_open(d, step, item),
        StepKey::FlipTraffic(item) => traffic::begin(d, step, item),
    }
}

/// Records an effect as the step's next move.
pub(super) fn start(d: &mut Draft<'_>, step: &mut Step, action: Action) -> bool {
    start_meanwhile(d, step, action);
    let message = step.action.as_ref().map_or_else(String::new, ToString::to_string);
    if d.run().phase != Phase::Verifying {
        d.phase(Phase::Executing, message);
    }
    true
}

/// Records an effect as the step's next move while the run waits for something else, and goes on to say so.
pub(super) fn start_meanwhile(d: &mut Draft<'_>, step: &mut Step, action: Action) -> bool {
    d.fire(Rule::StepRecorded, action.to_string());
    d.intend(step, action);
    true
}

/// Marks a step as seen done.
pub(super) fn observed(d: &mut Draft<'_>, step: &mut Step, saw: String) -> bool {
    step.state = StepState::Observed;
    step.ended = Some(d.sight.now);
    step.started.get_or_insert(d.sight.now);
    d.fire(Rule::StepObserved, saw.clone());
    step.saw = saw;
    true
}

/// Passes a step over, and says why.
pub(super) fn skip(d: &mut Draft<'_>, step: &mut Step, why: String) -> bool {
    step.state = StepState::Skipped;
    step.ended = Some(d.sight.now);
    d.fire(Rule::StepSkipped, why.clone());
    step.saw = why;
    true
}

fn look(d: &mut Draft<'_>, step: &mut Step) -> bool {
    match step.key.clone() {
        StepKey::RaiseWitness(item) => {
            let from = d.run().from.clone();
            let lost = !d.run().kind.is_planned()
                && !d.sight.is_in_flight(step)
                && d.sight.data(&item, &from).is_none();
            match seen::witness_raised(d, step, &item, &from, true) {
                Some(saw) => observed(d, step, saw),
                None if lost => {
                    let why = d.sight.why_unknown(&item, &from);
                    skip(d, step, why)
                }
                None => try_again(d, step, Patience::Optional(OPTIONAL_ATTEMPTS)),
            }
        }
        StepKey::Hook(name) => look_at_hook(d, step, &name),
        StepKey::ScaleCompute(item) => compute::look(d, step, &item),
        StepKey::AwaitCompute(item) => compute::look_at_ready(d, step, &item),
        StepKey::FenceOld(region) => fence::look(d, step, &region),
        StepKey::CatchUp(item) => promote::look_at_catch_up(d, step, &item),
        StepKey::HandOver(item) => hand_over::look(d, step, &item),
        StepKey::PromoteData(item) => promote::look(d, step, &item),
        StepKey::OpenWriter(item) => promote::look_at_open(d, step, &item),
        StepKey::FlipTraffic(item) => traffic::look(d, step, &item),
        StepKey::Verify => traffic::look_at_public(d, step),
    }
}

fn look_at_hook(d: &mut Draft<'_>, step: &mut Step, name: &ItemName) -> bool {
    let Some(hook) = d.sight.policy.hooks.iter().find(|h| h.name == *name).cloned() else {
        return skip(d, step, format!("{name} is not in the policy"));
    };
    let issued = d.sight.tick_of(step.issued.unwrap_or_default());
    let said = d.sight.seen.hooks.get(name).filter(|f| f.at >= issued).and_then(|f| f.value.known());
    let answered = d.sight.outcome_of(step);
    let accepted = answered.is_some_and(|o| matches!(o.value, Outcome::Issued(_) | Outcome::AlreadyDone));
    match said {
        Some(true) => observed(d, step, format!("{name} says done")),
        // Without a status verb the answer is all there is; validation lets only repeatable hooks through.
        None if accepted && !d.sight.seen.hooks.contains_key(name) => {
            observed(d, step, format!("{name} answered"))
        }
        _ => try_again(d, step, patience_of(&hook)),
    }
}

fn patience_of(hook: &HookStep) -> Patience {
    if hook.required { Patience::Required(hook.attempts) } else { Patience::Optional(hook.attempts) }
}

/// How a step that does not come to its end goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Patience {
    /// Passed over after so many attempts; a planned run is given up before the point of no return.
    Optional(u32),
    /// The run is given up after so many attempts before the point of no return; passed over after it.
    Required(u32),
    /// Tried for ever, ever more slowly; reported when overdue.
    Endless,
}

/// Waits, repeats, or gives up as `patience` says.
pub(super) fn try_again(d: &mut Draft<'_>, step: &mut Step, patience: Patience) -> bool {
    match retry::judge(&d.sight, step) {
        Next::Wait(pause, why) => {
            d.fire(Rule::StepAwaited, why);
            d.wake_in(pause);
            report_overdue(d, step, patience);
            false
        }
        Next::Superseded(why) => {
            d.block("Superseded", why.clone(), "the newer holder goes on");
            d.phase(Phase::Blocked, why.clone());
            d.fire(Rule::Superseded, why);
            d.wake_in(Millis(1_000));
            false
        }
        Next::Repeat(why) => {
            let limit = match patience {
                Patience::Optional(n) | Patience::Required(n) => n,
                Patience::Endless => u32::MAX,
            };
            if retry::is_allowed(&d.sight, step, limit) {
                d.fire(Rule::StepRepeated, format!("{why}; attempt {}", step.attempts + 1));
                d.repeat(step);
                report_overdue(d, step, patience);
                return true;
            }
            give_up(d, step, patience, why)
        }
    }
}

fn give_up(d: &mut Draft<'_>, step: &mut Step, patience: Patience, why: String) -> bool {
    let run = d.run();
    let planned = run.kind.is_planned();
    let reversible = !super::past_pivot(run);
    let gives_up = reversible && (planned || matches!(patience, Patience::Required(_)));
    d.event(true, "StepFailed", why.clone());
    if !gives_up {
        return skip(d, step, format!("given up: {why}"));
    }
    step.state = StepState::Failed;
    step.saw.clone_from(&why);
    d.run().abort = Some(format!("{why} (given up before the point of no return)"));
    d.fire(Rule::StepFailed, why);
    false
}

/// Keeps what the item's engine says of its progress, as of the newest intent, for whoever watches.
pub(super) fn tell_progress(d: &mut Draft<'_>, step: &mut Step, item: &ItemName) {
    let (sight, since) = (d.sight, seen::since(&d.sight, step));
    let hands_over = sight.policy.data.iter().any(|data| data.name == *item && data.hands_over);
    // At a source that an engine of both does not hold, something else goes on.
    let ends = [Some(d.run().to.clone()), Some(d.run().from.clone()).filter(|_| hands_over)];
    let mut ends = ends.iter().flatten();
    let told = ends.find_map(|region| sight.data_since(item, region, since)?.progress.as_deref());
    let Some(told) = told.filter(|told| *told != step.saw) else { return };
    told.clone_into(&mut step.saw);
    let action = step.action.as_ref().filter(|_| d.run().phase == Phase::Executing);
    if let Some(message) = action.map(|action| format!("{action}: {told}")) {
        d.phase(Phase::Executing, message);
    }
}

/// A step of an engine that takes minutes as a rule is not overdue after one.
fn usual_time(d: &Draft<'_>, step: &Step) -> Millis {
    let (StepKey::HandOver(name) | StepKey::PromoteData(name)) = &step.key else { return Millis(0) };
    let item = d.sight.policy.data.iter().find(|item| item.name == *name);
    item.map_or(Millis(0), |item| item.expected_promote.times(3))
}

/// Says it too where an engine could be gone round, and the policy has no such way.
fn needs_when_overdue(d: &Draft<'_>, step: &Step) -> &'static str {
    let StepKey::PromoteData(name) = &step.key else { return "the target answers" };
    let engine = d.sight.policy.data.iter().any(|item| item.name == *name && item.hands_over);
    if engine && !step.is_detachment() && detach::allowed_after(d, name).is_none() {
        return "the engine comes to its end; the policy has no `detach`, so nobody is asked to go round it";
    }
    "the target answers"
}

fn report_overdue(d: &mut Draft<'_>, step: &Step, patience: Patience) {
    // Another way has its own time.
    let is_new_way = step.is_detachment() && step.attempts <= 1;
    let began = if is_new_way { step.issued } else { step.started };
    let long = d.sight.waited_since(began);
    if patience != Patience::Endless || long < usual_time(d, step).max(OVERDUE) {
        return;
    }
    let what = step.action.as_ref().map_or_else(|| "a step".to_owned(), ToString::to_string);
    let saw = format!("{what} has not been seen done; attempts go on");
    let told = if step.saw.is_empty() { String::new() } else { format!("; last told: {}", step.saw) };
    d.block("StepOverdue", format!("{what}: {long}{told}"), needs_when_overdue(d, step));
    // A person is asked about this very step: the question stands.
    if d.run().phase == Phase::AwaitingApproval {
        return;
    }
    if d.run().phase != Phase::Blocked {
        d.event(true, "StepOverdue", saw.clone());
    }
    d.phase(Phase::Blocked, saw);
}

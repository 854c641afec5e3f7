//! Before the first effect: gates and consent.

use crate::draft::Draft;
use crate::gates::{self, Intent};
use crate::journal::{Gate, Phase, Severity};
use crate::plan::plan_hash;
use crate::policy::Mode;
use crate::rules::Rule;
use crate::time::Millis;

/// How often an unmet gate is looked at again.
const LOOK_AGAIN: Millis = Millis(100);
/// How often consent is looked for again; a request wakes the policy by itself.
const ASK_AGAIN: Millis = Millis(500);

/// Evaluates the gates; true once the run may act.
pub(super) fn drive(d: &mut Draft<'_>) -> bool {
    if approval_expired(d) {
        return false;
    }
    if !gates_hold(d, say_blocked) {
        return false;
    }
    if needs_consent(d) {
        return ask(d, "the policy's mode is Approve");
    }
    let now = d.sight.now;
    let run = d.run();
    run.clock.decided = Some(now);
    if run.approval.is_some() {
        run.clock.approved = Some(now);
    }
    d.phase(Phase::Executing, "gates hold");
    true
}

/// Evaluates the gates before the next effect is recorded. Nobody can waive a law: `on_law` says what waiting for it
/// means; for the others a person is asked.
pub(super) fn gates_hold(d: &mut Draft<'_>, on_law: impl FnOnce(&mut Draft<'_>, &Gate)) -> bool {
    let gates = evaluate(d);
    if let Some(law) = gates::stopping(&gates, Severity::Law) {
        d.fire(Rule::GateUnmet, format!("{} is not met: {}", law.name, law.saw));
        d.wake_in(LOOK_AGAIN);
        on_law(d, law);
        return false;
    }
    match gates::stopping(&gates, Severity::Block) {
        Some(gate) => ask(d, &format!("{} is not met: {} (needs {})", gate.name, gate.saw, gate.needs)),
        None => true,
    }
}

/// The same once the run has begun. What waits here ends with the time of its consent; where that was given by the clock of
/// another boot, a person is asked again, and a planned run, which must lose nothing, ends.
pub(super) fn gates_still_hold(d: &mut Draft<'_>, on_law: impl FnOnce(&mut Draft<'_>, &Gate)) -> bool {
    let hold = gates_hold(d, on_law);
    if !hold {
        end_with_consent(d);
        return false;
    }
    let is_void = d.run().approval.is_none() && d.run().clock.approved.is_some() && needs_consent(d);
    if !is_void {
        return true;
    }
    let why = "the run has waited, and the consent was given by the clock of another boot";
    if d.run().kind.is_planned() {
        d.run().abort = Some(why.to_owned());
        return false;
    }
    ask(d, why)
}

/// A begun run that waits ends with the time of its consent, or loses it.
pub(super) fn end_with_consent(d: &mut Draft<'_>) {
    if needs_consent(d) {
        approval_expired(d);
    }
}

/// The run says which law it waits for.
pub(super) fn say_blocked(d: &mut Draft<'_>, law: &Gate) {
    d.phase(Phase::Blocked, format!("{}: saw {}, needs {}", law.name, law.saw, law.needs));
}

/// Takes the gates' present state into the run and the blockers; the figures in it move, so it is written only
/// when one opens or closes.
pub(super) fn evaluate(d: &mut Draft<'_>) -> Vec<Gate> {
    let now = d.sight.now;
    let sight = d.sight;
    let run = d.run();
    let gates = gates::evaluate(&sight, &Intent::of(run, now));
    let state = |gates: &[Gate]| gates.iter().map(|g| (g.name.clone(), g.ok, g.waived)).collect::<Vec<_>>();
    if state(&run.gates) != state(&gates) {
        run.gates.clone_from(&gates);
    }
    for gate in gates.iter().filter(|g| !g.ok && !g.waived && g.severity > Severity::Warn) {
        d.block(&gate.name, gate.saw.clone(), gate.needs.clone());
    }
    gates
}

/// Whether the policy asks a person, and nobody has agreed to this plan, or only for a time that is over.
pub(super) fn needs_consent(d: &mut Draft<'_>) -> bool {
    let now = d.sight.now;
    let mode = d.sight.policy.mode;
    let run = d.run();
    let consents =
        run.approval.as_ref().is_some_and(|a| gates::is_valid(a, now) && a.plan_hash == plan_hash(run));
    !consents && mode == Mode::Approve
}

/// Waits for a person.
pub(super) fn ask(d: &mut Draft<'_>, why: &str) -> bool {
    if d.run().phase != Phase::AwaitingApproval {
        let name = d.run().name.clone();
        d.event(true, "AwaitingApproval", format!("{name}: {why}"));
    }
    d.phase(Phase::AwaitingApproval, why);
    d.block("Approval", why, "muster approve");
    d.fire(Rule::AwaitingApproval, why);
    d.wake_in(ASK_AGAIN);
    false
}

/// A waiting run ends with the time of the consent that it was given. Consent by the clock of another boot, or of another
/// machine, counts for nothing here: a person is asked again.
pub(super) fn approval_expired(d: &mut Draft<'_>) -> bool {
    let now = d.sight.now;
    let run = d.run();
    if run.approval.as_ref().is_some_and(|a| a.valid_until.boot != now.boot) {
        run.approval = None;
        return false;
    }
    let expired = run.approval.as_ref().is_some_and(|a| !gates::is_valid(a, now));
    if !expired {
        return false;
    }
    let why = "the approval's time is over";
    run.abort = Some(why.to_owned());
    d.event(true, "Withdrawn", why);
    d.fire(Rule::ApprovalExpired, why);
    true
}

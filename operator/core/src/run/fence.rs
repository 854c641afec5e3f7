//! The fence: the configured ways in order, then what NoAck needs, then consent, and only then the next step. While a person is
//! asked the ways are gone through again, ever more slowly: what failed for a moment must not hold a failover until somebody wakes.

use super::{decide, seen, steps};
use crate::draft::Draft;
use crate::effect::Action;
use crate::facts::Outcome;
use crate::gates::{self, Intent};
use crate::ids::{ItemName, RegionName};
use crate::journal::{Gate, Outcast, Phase, Proof, Severity, Step, StepState};
use crate::measure::estimate_loss;
use crate::policy::{FenceKind, ProofClass};
use crate::proof;
use crate::retry::{self, Next};
use crate::rules::Rule;
use crate::time::{Millis, Stamp, Tick};

/// A planned run that has begun to fence and cannot go on is given up after so long.
const GIVE_UP_AFTER: Millis = Millis(30_000);
/// Attempts to stop one standby from confirming.
const STOP_ATTEMPTS: u32 = 3;
/// How soon the ways are gone through again while a person is asked; each pause is half of the time that the question has stood.
const SHORTEST_PAUSE: Millis = Millis(10_000);
const LONGEST_PAUSE: Millis = Millis(300_000);

/// Begins to fence a region, or takes a proof that is there already.
pub(super) fn begin(d: &mut Draft<'_>, step: &mut Step, region: &RegionName) -> bool {
    let begun = step.started;
    if !decide::gates_still_hold(d, |d, law| blocked_at_fence(d, law, begun)) {
        return false;
    }
    step.started.get_or_insert(d.sight.now);
    let pass = d.sight.seen.pass;
    // What attests does so about an intent; only a look at the data itself needs none.
    if let Some(proof) = proof::judge(&d.sight, region, pass).filter(|p| p.class == ProofClass::Closed) {
        return proven(d, step, region, proof);
    }
    next_way(d, step, region) || rest(d, step, region)
}

/// A planned run whose proof was lost and whose source does not answer any more gives up: it must lose nothing, and
/// nobody takes writes meanwhile.
fn blocked_at_fence(d: &mut Draft<'_>, law: &Gate, begun: Option<Stamp>) {
    let long = d.sight.waited_since(begun);
    if d.run().kind.is_planned() && long >= GIVE_UP_AFTER {
        d.run().abort = Some(format!("{}: saw {}, needs {}, for {long}", law.name, law.saw, law.needs));
        return;
    }
    decide::say_blocked(d, law);
}

/// Whether a proof is accepted. A planned run takes Closed only: it must lose nothing.
pub(super) fn counts(d: &Draft<'_>, planned: bool, proof: &Proof) -> bool {
    if planned { proof.class == ProofClass::Closed } else { d.sight.policy.accepts(proof.class) }
}

/// Whether a person is asked about this fence already: what is tried meanwhile leaves the question as it is.
fn is_asked(d: &Draft<'_>, step: &Step) -> bool {
    let phase = d.next.run.as_ref().map(|run| run.phase);
    step.state == StepState::Intended && phase == Some(Phase::AwaitingApproval)
}

/// Records the next way from `step.way` on that can work now, or what NoAck needs behind the last. False if nothing is left.
fn next_way(d: &mut Draft<'_>, step: &mut Step, region: &RegionName) -> bool {
    let planned = d.run().kind.is_planned();
    let start = if is_asked(d, step) { steps::start_meanwhile } else { steps::start };
    while let Some(way) = d.sight.policy.fences.get(step.way) {
        let silent = match &way.kind {
            FenceKind::Data(item) => d.sight.data(item, region).is_none(),
            // What it proves is not enough for a planned run, and it would cut off what the run has to see.
            FenceKind::Hook | FenceKind::Network { .. } => planned,
            // It would take the target's pods too.
            FenceKind::Scale => planned || is_one_cluster(d, region),
        };
        if !silent {
            let action = Action::Fence { way: way.name.clone(), region: region.clone() };
            note_outcast(d, region, Some(way.name.clone()));
            return start(d, step, action);
        }
        step.way += 1;
    }
    let given_up = step.way.saturating_sub(d.sight.policy.fences.len());
    let next = proof::standbys_to_stop(&d.sight, region).into_iter().nth(given_up);
    let Some((item, standby)) = next.filter(|_| !planned) else { return false };
    note_outcast(d, region, None);
    start(d, step, Action::StopReceiving { item, region: standby })
}

/// Nothing is left to try for now.
fn rest(d: &mut Draft<'_>, step: &mut Step, region: &RegionName) -> bool {
    step.state = StepState::Intended;
    step.issued.get_or_insert(d.sight.now);
    without_proof(d, step, region)
}

/// Whether the standby that the step stops was seen to confirm nothing more.
fn standby_stopped(d: &Draft<'_>, step: &Step) -> bool {
    let Some(Action::StopReceiving { item, region }) = &step.action else { return false };
    let facts = d.sight.data_since(item, region, seen::since(&d.sight, step));
    !d.sight.is_in_flight(step) && facts.is_some_and(|facts| !facts.may_confirm())
}

fn is_one_cluster(d: &Draft<'_>, region: &RegionName) -> bool {
    d.sight.policy.compute.iter().any(|item| d.sight.same_workload(&item.name, region).is_some())
}

/// Until when a detachment of this region may still land that was not needed when it took over.
fn detachment_of(d: &Draft<'_>, region: &RegionName) -> Option<Stamp> {
    let is_active = d.next.state.active_region.as_ref() == Some(region);
    let others = d.next.state.outcasts.values().filter(|_| is_active);
    others.filter_map(|outcast| outcast.detached_late).max_by_key(|until| until.wall)
}

/// From the first recorded fence on the region counts as cast out until it has rejoined.
pub(super) fn note_outcast(d: &mut Draft<'_>, region: &RegionName, way: Option<ItemName>) {
    let run = d.run().name.clone();
    let before = d.next.state.outcasts.get(region);
    let outcast = Outcast {
        way,
        promotion_pending: before.is_some_and(|o| o.promotion_pending),
        not_before: before.and_then(|o| o.not_before),
        detached_late: before.and_then(|o| o.detached_late).or_else(|| detachment_of(d, region)),
        detached: before.is_some_and(|o| o.detached),
        proven: before.and_then(|o| o.proven),
        ..Outcast::new(run, "fenced, not rejoined yet")
    };
    d.next.state.outcasts.insert(region.clone(), outcast);
}

/// Looks for a proof; goes on to the next attempt or way when there is none.
pub(super) fn look(d: &mut Draft<'_>, step: &mut Step, region: &RegionName) -> bool {
    note_answer(d, step);
    // Else what a fence comes to hours later would promote by consent that was given for minutes, or by none.
    if is_asked(d, step) && decide::needs_consent(d) {
        if !decide::approval_expired(d) {
            decide::ask(d, &format!("no consent is valid any more; {region} may be fenced by now"));
        }
        return false;
    }
    let planned = d.run().kind.is_planned();
    let proof = proof::judge_step(&d.sight, region, step, seen::since(&d.sight, step));
    if let Some(proof) = proof.filter(|p| counts(d, planned, p)) {
        return proven(d, step, region, proof);
    }
    if seen::answered_counts(&d.sight, step) {
        let proof = Proof {
            class: ProofClass::Closed,
            saw: "the call was answered".to_owned(),
            at: d.sight.now,
            positions: std::collections::BTreeMap::new(),
        };
        return proven(d, step, region, proof);
    }
    if step.action.is_none() {
        return without_proof(d, step, region);
    }
    let asked = is_asked(d, step);
    if asked {
        if let Some(saw) = consent(d, step) {
            return waived(d, step, region, saw);
        }
        question(d, region);
    }
    if standby_stopped(d, step) {
        return go_on(d, step, region, asked);
    }
    let limit = d.sight.policy.fences.get(step.way).map_or(STOP_ATTEMPTS, |way| way.attempts);
    match retry::judge(&d.sight, step) {
        Next::Wait(pause, why) => {
            d.fire(Rule::StepAwaited, why);
            d.wake_in(pause);
            false
        }
        Next::Superseded(why) => {
            d.block("Superseded", why.clone(), "the newer holder goes on");
            d.fire(Rule::Superseded, why);
            d.wake_in(Millis(1_000));
            false
        }
        Next::Repeat(why) if retry::is_allowed(&d.sight, step, limit) => {
            d.fire(Rule::StepRepeated, format!("{why}; attempt {}", step.attempts + 1));
            d.repeat(step);
            true
        }
        Next::Repeat(why) => {
            // Of each way once; the question says the rest.
            if !asked {
                d.event(true, "FenceWayFailed", why);
            }
            step.way += 1;
            go_on(d, step, region, asked)
        }
    }
}

/// To the next way, or to the question, which `asked` says is put already.
fn go_on(d: &mut Draft<'_>, step: &mut Step, region: &RegionName, asked: bool) -> bool {
    (step.action, step.attempts) = (None, 0);
    next_way(d, step, region) || !asked && rest(d, step, region)
}

/// Keeps when the fence in use was answered, if what carries it out has a status of its own.
pub(crate) fn note_answer(d: &Draft<'_>, step: &mut Step) {
    let Some(Action::Fence { way, .. }) = &step.action else { return };
    let has_status = d.sight.policy.fences.iter().any(|w| w.name == *way && w.kind.has_status());
    let taken =
        d.sight.outcome_of(step).filter(|o| matches!(o.value, Outcome::Issued(_) | Outcome::AlreadyDone));
    let known = step.answered.get(way).filter(|at| at.boot == d.sight.now.boot);
    let is_new = |at: Tick| known.is_none_or(|known| known.tick < at);
    if let Some(outcome) = taken.filter(|o| has_status && is_new(o.at)) {
        let answered = d.sight.now.minus(d.sight.now.tick.since(outcome.at).unwrap_or_default());
        step.answered.insert(way.clone(), answered);
    }
}

/// A proof: the region leaves `mayBeWritable`.
fn proven(d: &mut Draft<'_>, step: &mut Step, region: &RegionName, proof: Proof) -> bool {
    let now = d.sight.now;
    let saw = format!("{:?}: {}", proof.class, proof.saw);
    if !d.next.state.outcasts.contains_key(region) {
        note_outcast(d, region, None);
    }
    // What the engine hands over takes writes until then.
    let run = d.run();
    let partly = run.from == *region && run.yet_to_hand_over().next().is_some();
    if !partly {
        d.next.state.may_be_writable.remove(region);
    }
    let closed = !partly && proof.class != ProofClass::Waived;
    if let Some(outcast) = d.next.state.outcasts.get_mut(region).filter(|_| closed) {
        outcast.proven.get_or_insert(now);
    }
    let run = d.run();
    run.proofs.insert(region.clone(), proof);
    run.clock.fenced = Some(now);
    if run.phase == Phase::AwaitingApproval {
        d.phase(Phase::Executing, saw.clone());
    }
    d.event(false, "Fenced", format!("{region}: {saw}"));
    steps::observed(d, step, saw)
}

/// Every way was tried: consent given ahead of time, consent of a person, or the question and, in a while, another round.
fn without_proof(d: &mut Draft<'_>, step: &mut Step, region: &RegionName) -> bool {
    let planned = d.run().kind.is_planned();
    if planned {
        let why = format!("{region} could not be proven closed");
        step.state = StepState::Failed;
        step.saw.clone_from(&why);
        d.event(true, "StepFailed", why.clone());
        d.run().abort = Some(format!("{why}; a planned run loses nothing"));
        d.fire(Rule::StepFailed, why);
        return false;
    }
    if let Some(saw) = consent(d, step) {
        return waived(d, step, region, saw);
    }
    let again = is_round_due(d, step);
    question(d, region);
    if !again {
        return false;
    }
    // What cannot work now is looked at again as late as the rest.
    step.issued = Some(d.sight.now);
    step.way = 0;
    next_way(d, step, region)
}

fn waived(d: &mut Draft<'_>, step: &mut Step, region: &RegionName, saw: String) -> bool {
    let proof = Proof {
        class: ProofClass::Waived,
        saw,
        at: d.sight.now,
        positions: std::collections::BTreeMap::new(),
    };
    d.event(true, "NotFenced", format!("{region}: going on without a fence"));
    proven(d, step, region, proof)
}

/// Asks a person; what is tried beside it does not end the question.
fn question(d: &mut Draft<'_>, region: &RegionName) {
    unmet_fence_gate(d, region);
    block_unmet(d);
    decide::ask(d, &format!("{region} is not proven fenced; the loss grows until it is"));
}

/// Whether the ways are worth another round. The gates and consent have to hold as they do for a first one.
fn is_round_due(d: &mut Draft<'_>, step: &Step) -> bool {
    if !is_asked(d, step) || decide::needs_consent(d) {
        return false;
    }
    let (sight, now) = (d.sight, d.sight.now);
    let asked_for = sight.waited(d.run().phase_since);
    let pause = Millis(asked_for.0 / 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
    if sight.waited_since(step.issued) < pause {
        return false;
    }
    let gates = gates::evaluate(&sight, &Intent::of(d.run(), now));
    gates::stopping(&gates, Severity::Block).is_none()
}

/// What else stops, and so keeps a given waiver from counting.
fn block_unmet(d: &mut Draft<'_>) {
    let (sight, now) = (d.sight, d.sight.now);
    let gates = gates::evaluate(&sight, &Intent::of(d.run(), now));
    for gate in gates.iter().filter(|g| !g.ok && !g.waived && g.severity > Severity::Warn) {
        d.block(&gate.name, gate.saw.clone(), gate.needs.clone());
    }
}

fn unmet_fence_gate(d: &mut Draft<'_>, region: &RegionName) {
    let gate = Gate {
        name: "Fenced".to_owned(),
        ok: false,
        saw: format!("no accepted proof that {region} takes no writes"),
        needs: "a proof, or a waiver of Fenced".to_owned(),
        severity: Severity::Block,
        waived: false,
    };
    d.block(&gate.name, gate.saw.clone(), gate.needs.clone());
    let run = d.run();
    if !run.gates.contains(&gate) {
        run.gates.retain(|g| g.name != "Fenced");
        run.gates.push(gate);
    }
}

/// Who agreed to go on without a fence, and to what.
pub(super) fn consent(d: &mut Draft<'_>, step: &Step) -> Option<String> {
    let (now, sight) = (d.sight.now, d.sight);
    let run = d.run();
    let hash = crate::plan::plan_hash(run);
    let intent = Intent::of(run, now);
    if let Some(approval) = intent.approval.filter(|a| a.waives.contains("Fenced") && a.plan_hash == hash) {
        let gates = gates::evaluate(&sight, &intent);
        let holds = gates::stopping(&gates, Severity::Block).is_none();
        return holds.then(|| format!("waived by {}", approval.by));
    }
    let ahead = sight.policy.safety.without_fence.as_ref()?;
    let tried_for = sight.waited(step.started?);
    let loss = estimate_loss(&sight, &run.to)?;
    (tried_for >= ahead.after && loss.at_least <= ahead.max_loss)
        .then(|| format!("waived by the policy after {tried_for}, {} known to be lost so far", loss.at_least))
}

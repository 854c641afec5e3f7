//! A run of the core as its `FailoverRun` tells it: a copy for people, in their units.

use muster_core::ids::PolicyName;
use muster_core::journal::{self, Run, Step, StepState};
use muster_core::time::{Millis, Stamp};
use muster_crds::run::{
    Clock, FailoverRunSpec, FailoverRunStatus, Gate, GateSeverity, Measured, Outcome, PhaseTime, Predicted,
    Proof, Rpo, RunKind, RunPhase, SavedData, Step as StepStatus, Trigger,
};
use muster_crds::text::{Moment, Text};
use muster_crds::{Duration, policy};

/// Longest text of a status.
const LONGEST_TEXT: usize = 1_024;

/// The beginning of a text, at most so many bytes.
pub fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or_default()
}

/// A text that fits a status field.
pub fn clip(text: &str) -> String {
    cut(text, LONGEST_TEXT).to_owned()
}

/// A moment by the wall clock, for people.
pub fn moment(at: Stamp) -> Moment {
    let at = jiff::Timestamp::from_millisecond(at.wall.0).unwrap_or_default();
    Moment::new(at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

/// As people write durations.
pub const fn duration(millis: Millis) -> Duration {
    Duration::from_millis(millis.0)
}

/// A counter within what JSON keeps exactly.
pub fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The kind's name in the API.
pub const fn kind(kind: journal::RunKind) -> RunKind {
    match kind {
        journal::RunKind::Failover => RunKind::Failover,
        journal::RunKind::Switchover => RunKind::Switchover,
        journal::RunKind::Failback => RunKind::Failback,
    }
}

/// The phase's name in the API.
pub const fn phase(phase: journal::Phase) -> RunPhase {
    match phase {
        journal::Phase::Pending => RunPhase::Pending,
        journal::Phase::Blocked => RunPhase::Blocked,
        journal::Phase::AwaitingApproval => RunPhase::AwaitingApproval,
        journal::Phase::Executing => RunPhase::Executing,
        journal::Phase::Verifying => RunPhase::Verifying,
        journal::Phase::Completed => RunPhase::Completed,
        journal::Phase::Failed => RunPhase::Failed,
        journal::Phase::Aborted => RunPhase::Aborted,
    }
}

/// The outcome's name in the API.
pub const fn outcome(outcome: &journal::OutcomeKind) -> Outcome {
    match outcome {
        journal::OutcomeKind::Succeeded => Outcome::Succeeded,
        journal::OutcomeKind::Aborted => Outcome::Aborted,
        journal::OutcomeKind::TargetLost => Outcome::TargetLost,
        journal::OutcomeKind::Failed => Outcome::Failed,
    }
}

fn bounded<const MOST: u32>(text: &str) -> Text<MOST> {
    match cut(text, MOST as usize) {
        "" => Text::from("unknown"),
        cut => Text::from(cut),
    }
}

/// What a run that Muster opened asks for.
pub fn spec_of(policy_name: &PolicyName, run: &Run) -> FailoverRunSpec {
    let (_, name) = super::split(policy_name);
    let (trigger, by) = match &run.trigger {
        journal::Trigger::Person(by) => (Trigger::Person, by.clone()),
        journal::Trigger::Verdict => (Trigger::Verdict, "muster".to_owned()),
        journal::Trigger::TargetLost(_) => (Trigger::TargetLost, "muster".to_owned()),
    };
    FailoverRunSpec {
        policy: name.into(),
        kind: kind(run.kind),
        to: Some(run.to.as_str().into()),
        reason: bounded(&run.reason),
        by: bounded(&by),
        trigger,
        approval: None,
        abort: None,
    }
}

/// The loss in one word, for a table.
pub fn shown_loss(measured: &journal::Measured) -> Option<String> {
    let rpo = &measured.rpo;
    match (rpo.at_least, rpo.at_most, rpo.r#final) {
        (_, Some(Millis(0)), true) => Some("none".to_owned()),
        (Some(exact), _, true) => Some(duration(exact).to_string()),
        (Some(least), Some(most), false) => Some(format!("{}..{}", duration(least), duration(most))),
        (Some(least), None, _) => Some(format!(">={}", duration(least))),
        (None, _, _) => None,
    }
}

fn measured_of(run: &Run) -> Measured {
    let m = &run.measured;
    Measured {
        rto: m.rto.map(duration),
        rto_from_decision: m.rto_from_decision.map(duration),
        rpo: Rpo {
            at_least: m.rpo.at_least.map(duration),
            at_most: m.rpo.at_most.map(duration),
            r#final: m.rpo.r#final,
            shown: shown_loss(m),
        },
        lost_heartbeats: m.lost_heartbeats.map(count),
        in_flight: m.in_flight.map(count),
        lost_commits: m.lost_commits.map(count),
        write_gap: m.write_gap.map(duration),
        error_bound: run.phase.is_final().then(|| duration(m.error_bound)),
    }
}

fn clock_of(run: &Run) -> Clock {
    let c = &run.clock;
    let at = |stamp: Option<Stamp>| stamp.map(moment);
    Clock {
        first_failure: at(c.first_failure),
        detected: at(c.detected),
        decided: at(c.decided),
        approved: at(c.approved),
        fenced: at(c.fenced),
        pivot: at(c.pivot),
        promoted: at(c.promoted),
        scaled: at(c.scaled),
        flipped: at(c.flipped),
        authoritative: at(c.authoritative),
        first_success: at(c.first_success),
        settled: at(c.settled),
    }
}

fn step_of(step: &Step) -> StepStatus {
    StepStatus {
        name: step.key.to_string(),
        state: format!("{:?}", step.state),
        attempts: step.attempts,
        started_at: step.started.map(moment),
        ended_at: step.ended.map(moment),
        saw: clip(&step.saw),
    }
}

fn gate_of(gate: &journal::Gate) -> Gate {
    Gate {
        name: gate.name.clone(),
        ok: gate.ok,
        saw: clip(&gate.saw),
        needs: clip(&gate.needs),
        severity: match gate.severity {
            journal::Severity::Warn => GateSeverity::Warn,
            journal::Severity::Block => GateSeverity::Block,
            journal::Severity::Law => GateSeverity::Law,
        },
        waived: gate.waived,
    }
}

/// Where the run hangs, or the last step.
pub fn current_step(run: &Run) -> Option<String> {
    let hangs = run.current().and_then(|index| run.steps.get(index));
    let last = || run.steps.iter().rev().find(|step| step.state != StepState::Pending);
    hangs.or_else(last).map(|step| step.key.to_string())
}

/// The whole status but for its conditions and the regions that may be writable, which the run does not know.
pub fn status_of(run: &Run) -> FailoverRunStatus {
    let proofs = run.proofs.iter().map(|(region, proof)| Proof {
        region: region.to_string(),
        class: format!("{:?}", proof.class),
        saw: clip(&proof.saw),
        at: moment(proof.at),
    });
    let phases = run.predicted.phases.iter();
    FailoverRunStatus {
        phase: Some(phase(run.phase)),
        step: current_step(run),
        message: Some(clip(&run.message)),
        epoch: Some(count(run.epoch.0)),
        term: Some(count(run.term.0)),
        holder: Some(run.holder.to_string()),
        from: Some(run.from.to_string()),
        to: Some(run.to.to_string()),
        plan_hash: Some(muster_core::decide::plan_hash_of(run)),
        may_be_writable: Vec::new(),
        steps: run.steps.iter().map(step_of).collect(),
        gates: run.gates.iter().map(gate_of).collect(),
        proofs: proofs.collect(),
        saved: run
            .saved
            .iter()
            .map(|(item, said)| SavedData { name: item.to_string(), said: clip(said) })
            .collect(),
        clock: Some(clock_of(run)),
        measured: Some(measured_of(run)),
        predicted: Some(Predicted {
            rto: duration(run.predicted.rto),
            phases: phases
                .map(|(name, takes)| PhaseTime { name: name.clone(), takes: duration(*takes) })
                .collect(),
        }),
        outcome: run.outcome.as_ref().map(outcome),
        conditions: Vec::new(),
        record: run.phase.is_final().then(|| serde_json::to_string(run).ok()).flatten(),
    }
}

/// What the policy's status says of its newest ended run.
pub fn last_run_of(run: &Run) -> policy::LastRun {
    policy::LastRun {
        name: run.name.to_string(),
        phase: phase(run.phase),
        outcome: run.outcome.as_ref().map(outcome),
        rto: run.measured.rto.map(duration),
        lost: shown_loss(&run.measured),
        ended_at: Some(moment(run.phase_since)),
    }
}

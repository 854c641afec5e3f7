//! Journals with something in every corner, so that a store that drops or bends a field is caught.

use super::{owner, policy};
use muster_core::effect::Action;
use muster_core::ids::{
    Epoch, HolderId, ItemName, Owner, Position, ProbeName, RegionName, RunName, Seq, Term, VantageName,
};
use muster_core::journal::{
    ActiveRun, Approval, Condition, Cooldown, Gate, Journal, Measured, Outcast, OutcomeKind, Phase,
    PolicyState, Predicted, Proof, Run, RunClock, RunKind, RunRequest, Severity, Step, StepKey, StepState,
    Trigger,
};
use muster_core::policy::{
    Aggregate, Detection, Mode, Objectives, On, Policy, ProbePlan, ProofClass, Safety, Threshold,
    WithoutFence,
};
use muster_core::time::{BootId, Millis, Stamp, Tick, Wall};
use std::collections::BTreeMap;

fn stamp(ms: u64) -> Stamp {
    Stamp { boot: BootId(u64::MAX >> 11), tick: Tick(ms), wall: Wall(1_735_689_600_000) }
}

fn pinned() -> Policy {
    let threshold = Threshold { count: 3, min: Millis(60_000) };
    let probe = ProbePlan {
        name: ProbeName::new("order"),
        on: On::Primary,
        every: Millis(5_000),
        timeout: Millis(3_000),
    };
    Policy {
        name: policy(),
        owner: owner(),
        generation: 7,
        mode: Mode::Automatic,
        written: String::new(),
        objectives: Objectives { rto: Some(Millis(30_000)), rpo: None },
        regions: vec![RegionName::new("east"), RegionName::new("west")],
        detection: Detection {
            trip: threshold.clone(),
            reset: threshold,
            aggregate: Aggregate::AnyOf([probe.name.clone()].into()),
            quorum: 2,
            anchors: 2,
        },
        probes: vec![probe],
        public_probe: None,
        data: Vec::new(),
        compute: Vec::new(),
        traffic: Vec::new(),
        fences: Vec::new(),
        hooks: Vec::new(),
        safety: Safety {
            cooldown: Millis(3_600_000),
            max_estimated_loss: Some(Millis(30_000)),
            accept: [ProofClass::Attested, ProofClass::NoAck].into(),
            without_fence: Some(WithoutFence { max_loss: Millis(5_000), after: Millis(120_000) }),
        },
    }
}

fn promote() -> Step {
    let item = ItemName::new("orders");
    Step {
        state: StepState::Intended,
        action: Some(Action::Promote { item: item.clone(), region: RegionName::new("west") }),
        seq: Some(Seq(4)),
        attempts: 1,
        started: Some(stamp(10)),
        node: Some("db-1".to_owned()),
        saw: "\"quoted\" \u{1f980} \0 and\nbroken".to_owned(),
        ..Step::new(StepKey::PromoteData(item))
    }
}

fn run(epoch: u64, phase: Phase) -> Run {
    let east = RegionName::new("east");
    let proof = Proof {
        class: ProofClass::Closed,
        saw: "refused".into(),
        at: stamp(9),
        positions: [(ItemName::new("orders"), Position(u64::MAX))].into(),
    };
    let gate = Gate {
        name: "JournalWritable".into(),
        ok: true,
        saw: String::new(),
        needs: String::new(),
        severity: Severity::Law,
        waived: false,
    };
    Run {
        name: RunName::new(format!("checkout-{epoch}")),
        kind: RunKind::Failover,
        from: east.clone(),
        to: RegionName::new("west"),
        trigger: Trigger::Person("ann".into()),
        reason: "drill".into(),
        policy: pinned(),
        epoch: Epoch(epoch),
        term: Term(1),
        holder: HolderId::new("first"),
        approval: Some(Approval {
            plan_hash: "h".into(),
            max_loss: Some(Millis(1)),
            waives: ["Cooldown".to_owned()].into(),
            by: "ann".into(),
            valid_until: stamp(99),
        }),
        abort: None,
        undoing: false,
        phase,
        phase_since: stamp(8),
        message: "goes on".into(),
        steps: vec![promote()],
        gates: vec![gate],
        proofs: [(east, proof)].into(),
        clock: RunClock { detected: Some(stamp(1)), pivot: Some(stamp(10)), ..RunClock::default() },
        measured: Measured { rto: Some(Millis(2_345)), ..Measured::default() },
        predicted: Predicted { phases: vec![("fence".into(), Millis(5))], rto: Millis(5) },
        outcome: phase.is_final().then_some(OutcomeKind::Succeeded),
        taken_over: Some(stamp(6)),
        saved: [(ItemName::new("orders"), "kept".to_owned())].into(),
        acked_at_pivot: [(ItemName::new("orders"), (12, Some(stamp(7))))].into(),
    }
}

/// A run that has ended well.
pub fn ended_run(epoch: u64) -> Run {
    run(epoch, Phase::Completed)
}

/// `from`, with a run of this epoch under way and something in every field.
pub fn journal_with_run(from: &Journal, epoch: u64) -> Journal {
    let run = run(epoch, Phase::Executing);
    let active = ActiveRun { name: run.name.clone(), epoch: run.epoch, term: run.term };
    let outcast = Outcast {
        run: run.name.clone(),
        way: Some(ItemName::new("power")),
        not_before: None,
        detached_late: None,
        detached: false,
        promotion_pending: false,
        work: Some(promote()),
        proven: Some(stamp(2)),
        suspected: Some("may take writes still".into()),
        suspected_at: Some(stamp(3)),
        undo: vec![Action::Unfence { way: ItemName::new("power"), region: RegionName::new("north") }],
        rejoin_attempts: 2,
        message: "away".into(),
    };
    let condition =
        Condition { ok: false, reason: "NoWriter".into(), message: "why".into(), since: stamp(3) };
    let mark = muster_core::health::Mark { fails: 3, passes: 0, tripped: true };
    let by_probe: BTreeMap<_, _> = [(ProbeName::new("order"), mark)].into();
    let by_vantage: BTreeMap<_, _> = [(VantageName::new("v1"), by_probe)].into();
    let state = PolicyState {
        active_region: Some(RegionName::new("east")),
        epoch: run.epoch,
        term: run.term,
        seq: Seq(4),
        active_run: Some(active),
        may_be_writable: [RegionName::new("east"), RegionName::new("west")].into(),
        outcasts: [(RegionName::new("north"), outcast)].into(),
        cooldown: Some(Cooldown { from: stamp(1), left: Millis(2) }),
        adopted_from: [Owner::new("uid-0")].into(),
        marks: [(RegionName::new("east"), by_vantage)].into(),
        conditions: [("Ready".to_owned(), condition)].into(),
        last_run: Some(RunName::new("checkout-0")),
        ..from.state.clone()
    };
    let request = RunRequest {
        name: RunName::new("later"),
        kind: RunKind::Failback,
        to: None,
        reason: String::new(),
        by: "bob".into(),
        at: stamp(5),
        approval: None,
    };
    Journal { state, run: Some(run), requests: vec![request] }
}

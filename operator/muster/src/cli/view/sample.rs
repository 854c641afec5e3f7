//! One small world for the tests of this folder: policy `shop/checkout`, regions east and west.

use super::Look;
use super::replay::{Replayed, replay};
use crate::api::{
    DataBrief, DecisionBrief, FactsBrief, FailingProbe, FileProblem, Frame, PassTimes, PolicyList,
    PolicyStatus, PolicySummary, ProbeOnce, ProbeReport, PublicBrief, Role, RunSummary, TrafficBrief,
};
use crate::cli::paint::Paint;
use muster_core::decide::decide;
use muster_core::decision::{Blocker, Candidate, Explanation, PlanPreview};
use muster_core::effect::{Action, Effect};
use muster_core::facts::{DataRole, Observations};
use muster_core::health::{ProbeResult, Verdict, VerdictKind, View};
use muster_core::ids::{Epoch, Owner, Seq, Term};
use muster_core::journal::{
    Gate, Journal, Measured, OutcomeKind, Phase, PolicyState, Predicted, Proof, Rpo, Run, RunClock, RunKind,
    Severity, Step, StepKey, StepState, Trigger,
};
use muster_core::policy::{
    Aggregate, Capability, DataItem, Detection, FenceKind, FenceWay, Mode, Objectives, On, Policy, ProbePlan,
    ProofClass, PublicProbe, Safety, Threshold, TrafficItem,
};
use muster_core::rules::Rule;
use muster_core::time::{BootId, Millis, Stamp, Tick, Wall};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn look() -> Look {
    Look { width: 80, paint: Paint::PLAIN, zone: jiff::tz::TimeZone::UTC }
}

/// `ms` after the first failed probe.
pub(crate) fn at(ms: u64) -> Stamp {
    let start = Stamp { boot: BootId(1), tick: Tick(1_000_000), wall: Wall(1_760_000_000_000) };
    start.plus(Millis(ms))
}

pub(crate) fn policy() -> Policy {
    let probe = |name: &str| ProbePlan {
        name: name.into(),
        on: On::Primary,
        every: Millis(1000),
        timeout: Millis(1000),
    };
    Policy {
        name: "shop/checkout".into(),
        owner: "6c1b".into(),
        generation: 3,
        mode: Mode::Automatic,
        written: String::new(),
        objectives: Objectives { rto: Some(Millis(30_000)), rpo: Some(Millis(5000)) },
        regions: vec!["east".into(), "west".into()],
        probes: vec![probe("place-order"), probe("beat")],
        public_probe: Some(PublicProbe { every: Millis(1000), timeout: Millis(1000), successes: 3 }),
        detection: Detection {
            trip: Threshold { count: 3, min: Millis(3000) },
            reset: Threshold { count: 5, min: Millis(60_000) },
            aggregate: Aggregate::AtLeast(1),
            quorum: 2,
            anchors: 2,
        },
        data: vec![DataItem {
            name: "orders".into(),
            engine: "postgres".into(),
            claims: BTreeSet::new(),
            expected_promote: Millis(1000),
            promote_deadline: Millis(30_000),
            capability: Capability::Checked,
            hands_over: false,
            saves_old_data: false,
            detaches_after: None,
            can_rejoin: true,
            rejoin_timeout: Millis(60_000),
            no_ack_declared: false,
        }],
        compute: Vec::new(),
        traffic: vec![TrafficItem {
            name: "shop".into(),
            engine: "rfc2136".into(),
            claims: BTreeSet::new(),
            ttl: Millis(2000),
            deadline: Millis(10_000),
        }],
        fences: vec![
            fence("deny-logins", FenceKind::Data("orders".into()), ProofClass::Closed),
            fence("power", FenceKind::Hook, ProofClass::Attested),
        ],
        hooks: Vec::new(),
        safety: Safety {
            cooldown: Millis(3_600_000),
            max_estimated_loss: Some(Millis(30_000)),
            accept: BTreeSet::from([ProofClass::Attested]),
            without_fence: None,
        },
    }
}

fn fence(name: &str, kind: FenceKind, proof: ProofClass) -> FenceWay {
    FenceWay { name: name.into(), kind, proof, timeout: Millis(5000), attempts: 2 }
}

fn predicted() -> Predicted {
    let phases = [
        ("detection", 3000),
        ("decision", 200),
        ("fence", 400),
        ("promotion", 1200),
        ("traffic", 2200),
        ("verification", 1000),
    ];
    Predicted {
        rto: Millis(phases.iter().map(|(_, ms)| ms).sum()),
        phases: phases.map(|(name, ms)| (name.to_owned(), Millis(ms))).to_vec(),
    }
}

fn step(key: StepKey, from: u64, to: u64, saw: &str) -> Step {
    let mut step = Step::new(key);
    step.state = StepState::Observed;
    step.attempts = 1;
    (step.started, step.issued, step.ended) = (Some(at(from)), Some(at(from)), Some(at(to)));
    step.saw = saw.to_owned();
    step
}

fn keys() -> [StepKey; 6] {
    [
        StepKey::RaiseWitness("orders".into()),
        StepKey::FenceOld("east".into()),
        StepKey::PromoteData("orders".into()),
        StepKey::OpenWriter("orders".into()),
        StepKey::FlipTraffic("shop".into()),
        StepKey::Verify,
    ]
}

pub(crate) fn finished_run() -> Run {
    let [raise, fence, promote, open, flip, verify] = keys();
    let mut skipped = Step::new(raise);
    (skipped.state, skipped.saw) = (StepState::Skipped, "east does not answer".into());
    Run {
        steps: vec![
            skipped,
            step(fence, 3100, 3400, "power says off for host-east"),
            step(promote, 3450, 4600, "writable on timeline 2"),
            step(open, 4650, 4700, "witness 12.1.4"),
            step(flip, 4750, 4900, "2 of 2 servers point at west"),
            step(verify, 4900, 8200, "3 successes in a row"),
        ],
        phase: Phase::Completed,
        phase_since: at(8200),
        message: "west serves; 1 of 1 data items promoted".into(),
        outcome: Some(OutcomeKind::Succeeded),
        proofs: BTreeMap::from([(
            "east".into(),
            Proof {
                class: ProofClass::Attested,
                saw: "power says off for host-east".into(),
                at: at(3400),
                positions: BTreeMap::new(),
            },
        )]),
        gates: vec![gate("JournalWritable", true, "written", "room for the run's records", Severity::Law)],
        clock: clock(),
        measured: measured(),
        ..planned_run()
    }
}

fn clock() -> RunClock {
    RunClock {
        first_failure: Some(at(0)),
        detected: Some(at(3000)),
        decided: Some(at(3050)),
        approved: None,
        fenced: Some(at(3400)),
        pivot: Some(at(3450)),
        promoted: Some(at(4600)),
        scaled: None,
        flipped: Some(at(4850)),
        authoritative: Some(at(4900)),
        first_success: Some(at(6200)),
        settled: Some(at(8200)),
    }
}

fn measured() -> Measured {
    Measured {
        rto: Some(Millis(6200)),
        rto_from_decision: Some(Millis(3150)),
        rpo: Rpo { at_least: Some(Millis(400)), at_most: Some(Millis(800)), r#final: false },
        lost_heartbeats: Some(1),
        in_flight: Some(1),
        lost_commits: None,
        write_gap: Some(Millis(1200)),
        error_bound: Millis(1000),
    }
}

fn planned_run() -> Run {
    Run {
        name: "checkout-12".into(),
        kind: RunKind::Failover,
        from: "east".into(),
        to: "west".into(),
        trigger: Trigger::Verdict,
        reason: "east is unhealthy: 3 fail, 0 pass, 0 unknown of 3 vantages".into(),
        policy: policy(),
        epoch: Epoch(12),
        term: Term(1),
        holder: "muster-1".into(),
        undoing: false,
        approval: None,
        abort: None,
        phase: Phase::Pending,
        phase_since: at(3000),
        message: String::new(),
        steps: keys().map(Step::new).to_vec(),
        gates: Vec::new(),
        proofs: BTreeMap::new(),
        clock: RunClock::default(),
        measured: Measured::default(),
        predicted: predicted(),
        outcome: None,
        taken_over: None,
        acked_at_pivot: BTreeMap::new(),
        saved: BTreeMap::new(),
    }
}

fn gate(name: &str, ok: bool, saw: &str, needs: &str, severity: Severity) -> Gate {
    Gate { name: name.into(), ok, saw: saw.into(), needs: needs.into(), severity, waived: false }
}

fn gates() -> Vec<Gate> {
    vec![
        gate("JournalWritable", true, "written", "room for the run's records", Severity::Law),
        gate("PrimaryUnhealthy", false, "east is healthy", "a quorum sees it fail", Severity::Warn),
        gate("EstimatedLoss", false, "west is 42.0 s behind", "at most 30.0 s", Severity::Block),
    ]
}

pub(crate) fn plan() -> PlanPreview {
    PlanPreview {
        run: planned_run(),
        gates: gates(),
        predicted: predicted(),
        estimated_loss: Some(Millis(42_000)),
        loss_is_growing: true,
        plan_hash: "3f9c0a1b2c3d4e5f".into(),
    }
}

fn verdict(kind: VerdictKind, views: &[(&str, View)], saw: &str) -> Verdict {
    Verdict {
        kind,
        views: views.iter().map(|(name, view)| ((*name).into(), *view)).collect(),
        first_failure: None,
        saw: saw.into(),
    }
}

fn verdicts() -> BTreeMap<muster_core::ids::RegionName, Verdict> {
    let east = [("controller", View::Fail), ("v1", View::Unknown), ("v2", View::Pass)];
    let west = [("controller", View::Pass), ("v1", View::Pass)];
    BTreeMap::from([
        ("east".into(), verdict(VerdictKind::Unknown, &east, "1 fail, 1 pass, 1 unknown of 3 vantages")),
        ("west".into(), verdict(VerdictKind::Healthy, &west, "0 fail, 2 pass, 0 unknown of 2 vantages")),
    ])
}

fn blocked() -> Vec<Blocker> {
    vec![Blocker {
        name: "EstimatedLoss".into(),
        saw: "west is 42.0 s behind".into(),
        needs: "at most 30.0 s, or an approval that waives it".into(),
    }]
}

pub(crate) fn explanation() -> Explanation {
    Explanation {
        rule: Rule::Stable,
        message: "east is not seen failing by a quorum: 1 of 2 vantages say so".into(),
        verdicts: verdicts(),
        gates: gates(),
        candidates: vec![Candidate { region: "west".into(), fit: false, saw: "42.0 s behind".into() }],
        blocked: blocked(),
    }
}

pub(crate) fn journal() -> Journal {
    let mut state = PolicyState::new(Owner::new("6c1b"));
    state.active_region = Some("west".into());
    (state.epoch, state.term) = (Epoch(12), Term(1));
    Journal { state, run: Some(finished_run()), requests: Vec::new() }
}

pub(crate) fn run_summary() -> RunSummary {
    let run = finished_run();
    RunSummary {
        name: run.name,
        policy: run.policy.name,
        kind: run.kind,
        from: run.from,
        to: run.to,
        trigger: run.trigger,
        reason: run.reason,
        epoch: run.epoch,
        term: run.term,
        phase: run.phase,
        phase_since: run.phase_since,
        step: None,
        message: run.message,
        started: run.clock.detected,
        outcome: run.outcome,
        measured: run.measured,
        active: false,
    }
}

fn summary() -> PolicySummary {
    PolicySummary {
        name: "shop/checkout".into(),
        mode: Mode::Automatic,
        regions: vec!["east".into(), "west".into()],
        active_region: Some("west".into()),
        paused: None,
        needs_ack: Some("checkout-12 ended; look at its report".into()),
        rule: Some(Rule::Stable),
        message: "nothing to do".into(),
        verdicts: BTreeMap::from([
            ("east".into(), VerdictKind::Unknown),
            ("west".into(), VerdictKind::Healthy),
        ]),
        run: None,
        live_rpo: Some(Millis(400)),
    }
}

pub(crate) fn policy_list() -> PolicyList {
    let mut moving = summary();
    moving.name = "shop/search".into();
    moving.run = Some(RunSummary {
        phase: Phase::Executing,
        step: Some("PromoteData orders".into()),
        active: true,
        outcome: None,
        ..run_summary()
    });
    let mut well = summary();
    (well.name, well.needs_ack) = ("shop/well".into(), None);
    well.verdicts.insert("east".into(), VerdictKind::Healthy);
    PolicyList {
        policies: vec![summary(), moving, well],
        file_problems: vec![FileProblem {
            file: "cart.yaml".into(),
            policy: Some("shop/cart".into()),
            reason: "Invalid".into(),
            message: "spec.probes[0].timeout: 6s is longer than every: 5s; make it shorter".into(),
            last_good_in_force: true,
        }],
    }
}

fn node(region: &str, role: Option<DataRole>, unknown: Option<&str>) -> DataBrief {
    DataBrief {
        item: "orders".into(),
        region: region.into(),
        role,
        closed: false,
        streaming: false,
        timeline: role.map(|_| 2),
        position: None,
        lag_bytes: None,
        unfit: None,
        unready: None,
        engine_lag: None,
        witness: None,
        unknown: unknown.map(str::to_owned),
        age: Millis(300),
    }
}

pub(crate) fn status() -> PolicyStatus {
    PolicyStatus {
        summary: summary(),
        policy: policy(),
        file_problems: Vec::new(),
        journal: journal(),
        decision: Some(DecisionBrief {
            rule: Rule::Stable,
            message: "nothing to do".into(),
            blocked: blocked(),
            age: Millis(200),
        }),
        verdicts: verdicts(),
        failing: vec![FailingProbe {
            region: "east".into(),
            vantage: "controller".into(),
            probe: "place-order".into(),
            result: ProbeResult::Fail,
            detail: "order: status == 201 is false: status is 503".into(),
            age: Millis(700),
        }],
        facts: FactsBrief {
            data: vec![
                node("east", None, Some("connection refused by 127.0.1.2:5432")),
                node("west", Some(DataRole::Writable), None),
            ],
            traffic: vec![TrafficBrief {
                item: "shop".into(),
                points_to: Some("west".into()),
                agree: 2,
                servers: 2,
                drift: None,
                unsettled: None,
                contested: None,
                unknown: None,
                age: Millis(300),
            }],
            public: Some(PublicBrief { successes: 12, last: "200 in 3 ms".into(), age: Millis(400) }),
            ..FactsBrief::default()
        },
        lease_holder: Some("muster-1".into()),
        role: Role::Active,
        at: at(60_000),
    }
}

pub(crate) fn probe_report() -> ProbeReport {
    let once = |probe: &str, region: Option<&str>, result, took, detail: &str| ProbeOnce {
        probe: probe.into(),
        region: region.map(Into::into),
        result,
        took: Millis(took),
        detail: detail.into(),
    };
    ProbeReport {
        results: vec![
            once(
                "place-order",
                Some("east"),
                ProbeResult::Fail,
                12,
                "order: status == 201 is false: status is 503",
            ),
            once("public", None, ProbeResult::Pass, 3, ""),
        ],
    }
}

pub(crate) fn frame() -> Frame {
    let (policy, journal, observations, now) = (policy(), journal(), Observations::default(), at(9000));
    let decision = decide(&policy, &journal, &observations, now);
    Frame { at: now, policy, journal, observations, decision, took: PassTimes::default() }
}

/// A decision that records the promotion, as the text of a replay shows it.
pub(crate) fn promoting() -> (Frame, Replayed) {
    let mut frame = frame();
    let mut run = finished_run();
    (run.phase, run.outcome, run.clock.pivot) = (Phase::Executing, None, None);
    run.steps.truncate(2);
    run.steps.push(Step::new(StepKey::PromoteData("orders".into())));
    frame.journal.run = Some(run.clone());
    run.steps[2].state = StepState::Intended;
    run.steps[2].attempts = 1;
    run.clock.pivot = Some(at(3450));
    let mut replayed = replay(3, &frame);
    replayed.decided.next.clone_from(&frame.journal);
    replayed.decided.next.run = Some(run);
    replayed.decided.next.state.may_be_writable = BTreeSet::from(["west".into()]);
    replayed.decided.rule = Rule::StepRecorded;
    replayed.decided.message = "east is proven fenced (Attested); promotes orders in west".into();
    replayed.decided.effects = vec![Effect {
        owner: "6c1b".into(),
        epoch: Epoch(12),
        term: Term(1),
        seq: Seq(3),
        attempt: 1,
        action: Action::Promote { item: "orders".into(), region: "west".into() },
        timeout: Millis(30_000),
    }];
    replayed.differences.clear();
    replayed.decided.blocked.clear();
    (frame, replayed)
}

//! A change that is asked for again, wherever the one before it was left: the crash tables of a switchover and of a
//! failover. However often it is asked for, it takes effect once.

use crate::stage::{
    CANCELLING, KINDS, MOVING, PENDING, Stage, ask, assert_adopted, assert_asked, change, operation_of,
    other_than,
};
use muster_aws_fake::{Fault, FaultKind, RdsMove};
use muster_core::facts::{ErrorClass, Outcome};
use std::time::Duration;

/// The status of an operation that has begun.
fn begun(kind: RdsMove) -> &'static str {
    match kind {
        RdsMove::Switchover => "switching-over",
        RdsMove::Failover => "failing-over",
    }
}

#[track_caller]
fn assert_unknown(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Failed(ErrorClass::UnknownOutcome, _)), "{outcome:?}");
}

#[track_caller]
fn assert_transient(outcome: &Outcome, told: &str) {
    let is_told = |why: &str| why.contains(told);
    assert!(
        matches!(outcome, Outcome::Failed(ErrorClass::Transient, why) if is_told(why)),
        "{told}: {outcome:?}"
    );
}

#[track_caller]
fn assert_conflict(outcome: &Outcome, about: &str) {
    assert!(matches!(outcome, Outcome::Conflict(_)), "{about}: {outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_began_is_asked_for_and_a_successor_adopts_it_at_each_stage() {
    for kind in KINDS {
        let stage = Stage::without_servers().await;
        assert_asked(&ask(&stage.adapter(), kind).await, kind);
        assert_eq!(stage.changes(), [change(kind, 200)]);
        assert_adopted(&ask(&stage.adapter(), kind).await, "pending");
        stage.aws.skip(PENDING);
        assert_adopted(&ask(&stage.adapter(), kind).await, begun(kind));
        stage.finish(&stage.adapter(), kind).await;
        assert_eq!(stage.changes(), [change(kind, 200)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_answer_was_lost_is_adopted() {
    for kind in KINDS {
        let stage = Stage::without_servers().await;
        let data = stage.adapter();
        stage.fault(operation_of(kind), FaultKind::LoseAnswer);
        assert_unknown(&ask(&data, kind).await);
        assert_adopted(&ask(&data, kind).await, "pending");
        stage.finish(&data, kind).await;
        assert_eq!(stage.changes(), [change(kind, 0)], "the client repeats nothing by itself");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_answer_was_lost_is_done_when_it_is_asked_for_late() {
    for kind in KINDS {
        let stage = Stage::without_servers().await;
        stage.fault(operation_of(kind), FaultKind::LoseAnswer);
        assert_unknown(&ask(&stage.adapter(), kind).await);
        stage.finish(&stage.adapter(), kind).await;
        assert_eq!(stage.changes(), [change(kind, 0)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_lost_is_made_again() {
    for kind in KINDS {
        let stage = Stage::without_servers().await;
        let data = stage.adapter();
        stage.fault(operation_of(kind), FaultKind::LoseRequest);
        assert_unknown(&ask(&data, kind).await);
        assert_asked(&ask(&data, kind).await, kind);
        stage.finish(&data, kind).await;
        assert_eq!(stage.changes(), [change(kind, 0), change(kind, 200)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_cancelled_is_waited_for_and_asked_for_again() {
    for kind in KINDS {
        let stage = Stage::without_servers().await;
        let data = stage.adapter();
        stage.aws.fail_next_failover();
        assert_asked(&ask(&data, kind).await, kind);
        stage.aws.skip(PENDING + MOVING);
        assert_transient(&ask(&data, kind).await, "cancelling");
        assert_eq!(stage.changes(), [change(kind, 200)]);
        stage.aws.skip(CANCELLING);
        assert_asked(&ask(&data, kind).await, kind);
        stage.finish(&data, kind).await;
        assert_eq!(stage.changes(), [change(kind, 200), change(kind, 200)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_does_is_a_conflict_and_the_very_same_is_adopted() {
    for kind in KINDS {
        let other = other_than(kind);
        for (to_north, by) in [(true, kind), (true, other), (false, other), (false, kind)] {
            let about = format!("{kind:?} beside {by:?}, to the north: {to_north}");
            let stage = Stage::without_servers().await;
            let target = if to_north { &stage.north } else { &stage.west };
            stage.aws.start_by_somebody_else(&stage.global, target, by);
            for status in ["pending", begun(by)] {
                let outcome = ask(&stage.adapter(), kind).await;
                if !to_north && by == kind {
                    assert_adopted(&outcome, status);
                } else {
                    assert_conflict(&outcome, &about);
                }
                stage.aws.skip(PENDING);
            }
            assert_eq!(stage.changes(), [], "{about}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switchover_from_one_who_takes_no_writes_any_more_is_a_conflict() {
    let stage = Stage::without_servers().await;
    stage.aws.start_by_somebody_else(&stage.global, &stage.north, RdsMove::Switchover);
    stage.aws.skip(PENDING + MOVING);
    let outcome = ask(&stage.adapter(), RdsMove::Switchover).await;
    assert_conflict(&outcome, "north takes writes");
    assert_eq!(stage.changes(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_new_is_judged_by_its_target_and_by_what_it_loses() {
    for kind in KINDS {
        let stage = Stage::without_servers().await;
        let data = stage.adapter();
        let loses = kind == RdsMove::Failover;
        let show = |target: &str, loses: bool| {
            stage.aws.set_failover_state(&stage.global, "reticulating", &stage.east, target, loses);
        };
        show(&stage.west, loses);
        assert_adopted(&ask(&data, kind).await, "reticulating");
        show(&stage.west, !loses);
        assert_conflict(&ask(&data, kind).await, "another kind");
        show(&stage.north, loses);
        assert_conflict(&ask(&data, kind).await, "another target");
        assert_eq!(stage.changes(), []);
    }
}

/// RDS itself refuses what a look at an older state lets through.
#[tokio::test(flavor = "multi_thread")]
async fn reads_that_go_back_in_time_bring_about_nothing_twice() {
    for kind in KINDS {
        let stage = Stage::without_servers().await;
        let data = stage.adapter();
        assert_asked(&ask(&data, kind).await, kind);
        let back = |by: Duration| stage.aws.fault(Fault::of_everything(FaultKind::StaleReads(by)));
        let old_reads = back(Duration::from_mins(1));
        assert_transient(&ask(&data, kind).await, "InvalidGlobalClusterStateFault");
        stage.aws.remove_fault(old_reads);
        assert_adopted(&ask(&data, kind).await, "pending");
        stage.finish(&data, kind).await;
        let old_reads = back(PENDING + MOVING + Duration::from_mins(1));
        assert_transient(&ask(&data, kind).await, "InvalidGlobalClusterStateFault");
        stage.aws.remove_fault(old_reads);
        stage.finish(&data, kind).await;
        assert_eq!(stage.changes(), [change(kind, 200), change(kind, 400), change(kind, 400)]);
    }
}

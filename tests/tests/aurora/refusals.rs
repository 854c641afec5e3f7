//! Changes that are not asked for, and those that RDS does not take.

use crate::stage::{
    EAST_AWS, KINDS, PATIENCE, Stage, WEST_AWS, action_of, ask, ask_with, assert_adopted, assert_asked,
    change, ctx_of, detach, operation_of, removal,
};
use muster_aws_fake::{Fault, FaultKind, RdsMove};
use muster_core::facts::{ErrorClass, Outcome};
use std::time::Duration;
use tokio::time::Instant;

#[track_caller]
fn assert_failed(outcome: &Outcome, class: ErrorClass, told: &str) {
    let is_it = |found: ErrorClass, why: &str| found == class && why.contains(told);
    assert!(matches!(outcome, Outcome::Failed(found, why) if is_it(*found, why)), "{told}: {outcome:?}");
}

fn answer(status: u16, code: &str) -> FaultKind {
    FaultKind::Answer { status, code: code.to_owned(), message: "of this test".to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_throttled_for_a_while_is_let_in_later() {
    for kind in KINDS {
        let stage = Stage::without_servers().await;
        let data = stage.adapter();
        stage.fault("DescribeGlobalClusters", answer(400, "Throttling"));
        assert_failed(&ask(&data, kind).await, ErrorClass::Throttled, "rds:DescribeGlobalClusters");
        assert_eq!(stage.changes(), [], "who cannot look asks for nothing");
        let operation = operation_of(kind);
        stage.aws.fault(Fault::of(operation, answer(400, "Throttling")).up_to(2));
        for _ in 0..2 {
            assert_failed(&ask(&data, kind).await, ErrorClass::Throttled, &format!("rds:{operation}"));
        }
        assert_asked(&ask(&data, kind).await, kind);
        stage.finish(&data, kind).await;
        assert_eq!(stage.changes(), [change(kind, 400), change(kind, 400), change(kind, 200)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_goes_on_where_only_the_list_of_global_clusters_fails() {
    let stage = Stage::without_servers().await;
    let data = stage.adapter();
    stage.fault("DescribeGlobalClusters", answer(500, "InternalFailure"));
    assert_asked(&ask(&data, RdsMove::Failover).await, RdsMove::Failover);
    stage.finish(&data, RdsMove::Failover).await;
    assert_eq!(stage.changes(), [change(RdsMove::Failover, 200)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_told_by_its_name() {
    for kind in KINDS {
        let stage = Stage::without_servers().await;
        let data = stage.adapter();
        stage.fault("DescribeGlobalClusters", FaultKind::Deny);
        assert_failed(
            &ask(&data, kind).await,
            ErrorClass::Denied,
            "rds:DescribeGlobalClusters: AccessDenied",
        );
        let operation = operation_of(kind);
        stage.fault(operation, FaultKind::Deny);
        let told = format!("rds:{operation}: AccessDenied");
        assert_failed(&ask(&data, kind).await, ErrorClass::Denied, &told);
        assert_eq!(stage.changes(), [change(kind, 403)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_service_leaves_the_outcome_open() {
    for kind in KINDS {
        let stage = Stage::without_servers().await;
        let data = stage.adapter();
        stage.fault(operation_of(kind), answer(500, "InternalFailure"));
        assert_failed(&ask(&data, kind).await, ErrorClass::UnknownOutcome, "InternalFailure");
        assert_asked(&ask(&data, kind).await, kind);
        assert_eq!(stage.changes(), [change(kind, 500), change(kind, 200)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_without_an_instance_is_refused_before_any_call() {
    let stage = Stage::without_servers().await;
    let data = stage.adapter();
    stage.aws.remove_instances(&stage.west);
    for kind in KINDS {
        assert_failed(&ask(&data, kind).await, ErrorClass::Transient, "headless");
    }
    assert_eq!(stage.changes(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switchover_is_not_asked_for_while_either_member_is_busy() {
    let stage = Stage::without_servers().await;
    let data = stage.adapter();
    for member in [&stage.east, &stage.west] {
        stage.aws.set_cluster_status(member, "upgrading");
        let told = format!("{member}: the cluster is upgrading");
        assert_failed(&ask(&data, RdsMove::Switchover).await, ErrorClass::Transient, &told);
        stage.aws.set_cluster_status(member, "available");
    }
    stage.aws.set_global_cluster_status(&stage.global, "modifying");
    assert_failed(&ask(&data, RdsMove::Switchover).await, ErrorClass::Transient, "modifying");
    assert_eq!(stage.changes(), []);
}

/// Also what only RDS knows to compare.
#[tokio::test(flavor = "multi_thread")]
async fn what_rds_refuses_for_a_state_may_be_let_in_later() {
    let stage = Stage::without_servers().await;
    let data = stage.adapter();
    stage.aws.set_engine_version(&stage.west, "99.1");
    let outcome = ask(&data, RdsMove::Switchover).await;
    assert_failed(&outcome, ErrorClass::Transient, "InvalidDBClusterStateFault");
    assert_failed(&outcome, ErrorClass::Transient, "nothing is under way");
    assert_eq!(stage.changes(), [change(RdsMove::Switchover, 400)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switchover_needs_both_regions_to_begin_and_one_to_be_adopted() {
    for aws_region in [EAST_AWS, WEST_AWS] {
        let stage = Stage::without_servers().await;
        let data = stage.adapter();
        let silent =
            || Fault::of("DescribeGlobalClusters", answer(500, "InternalFailure")).in_region(aws_region);
        let fault = stage.aws.fault(silent());
        let told = format!("RDS in {aws_region} does not answer");
        assert_failed(&ask(&data, RdsMove::Switchover).await, ErrorClass::Transient, &told);
        assert_eq!(stage.changes(), []);
        stage.aws.remove_fault(fault);
        assert_asked(&ask(&data, RdsMove::Switchover).await, RdsMove::Switchover);
        stage.aws.fault(silent());
        assert_adopted(&ask(&data, RdsMove::Switchover).await, "pending");
        stage.finish(&data, RdsMove::Switchover).await;
        assert_eq!(stage.changes(), [change(RdsMove::Switchover, 200)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_hang_cost_no_more_than_the_deadline() {
    const SOON: Duration = Duration::from_secs(4);
    let cases = [
        ("DescribeGlobalClusters", RdsMove::Switchover, ErrorClass::Transient, vec![]),
        (operation_of(RdsMove::Switchover), RdsMove::Switchover, ErrorClass::UnknownOutcome, vec![0]),
        (operation_of(RdsMove::Failover), RdsMove::Failover, ErrorClass::UnknownOutcome, vec![0]),
    ];
    let hang = |(operation, kind, class, statuses): (&'static str, RdsMove, ErrorClass, Vec<u16>)| async move {
        let stage = Stage::without_servers().await;
        let data = stage.adapter();
        stage.aws.fault(Fault::of(operation, FaultKind::Hang));
        let began = Instant::now();
        let hung = ask_with(&data, kind, &ctx_of(action_of(kind), 1, SOON).0).await;
        assert_failed(&hung, class, "no answer");
        // A shared read ends by itself after 8 s, and a call after 20 s.
        assert!(!format!("{hung:?}").contains("within 8 s"), "{hung:?}");
        assert!(began.elapsed() < SOON + Duration::from_secs(11), "{operation}: {:?}", began.elapsed());
        let changes: Vec<_> = statuses.into_iter().map(|status| change(kind, status)).collect();
        assert_eq!(stage.changes(), changes, "{operation}");
    };
    futures::future::join_all(cases.map(hang)).await;
}

/// It may hang with the region that is gone. What is under way, RDS refuses to begin once more.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_global_clusters_that_hangs_holds_neither_a_failover_nor_a_detachment_up() {
    let failing_over = async {
        let stage = Stage::without_servers().await;
        let data = stage.adapter();
        stage.aws.fault(Fault::of("DescribeGlobalClusters", FaultKind::Hang));
        assert_asked(&ask(&data, RdsMove::Failover).await, RdsMove::Failover);
        let again = ask(&data, RdsMove::Failover).await;
        assert_failed(&again, ErrorClass::Transient, "InvalidGlobalClusterStateFault");
        let statuses = [200, 400];
        assert_eq!(stage.changes(), statuses.map(|status| change(RdsMove::Failover, status)));
    };
    let detaching = async {
        let stage = Stage::without_servers().await;
        stage.aws.fault(Fault::of("DescribeGlobalClusters", FaultKind::Hang));
        assert_asked(&detach(&stage.adapter()).await, RdsMove::Failover);
        assert_eq!(stage.changes(), [removal(200)]);
    };
    tokio::join!(failing_over, detaching);
}

/// Then the target's own cluster is asked for once more, and without it nobody knows what would be moved.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_list_and_the_target_s_own_cluster_nothing_is_asked_for() {
    let silent = |operation| Fault::of(operation, answer(500, "InternalFailure"));
    let stage = Stage::without_servers().await;
    let data = stage.adapter();
    stage.aws.fault(silent("DescribeGlobalClusters"));
    let own = stage.aws.fault(silent("DescribeDBClusters"));
    for refused in [ask(&data, RdsMove::Failover).await, detach(&data).await] {
        assert_failed(&refused, ErrorClass::Transient, "RDS in us-west-2 does not answer");
    }
    assert_eq!(stage.changes(), []);
    stage.aws.remove_fault(own);
    stage.aws.fault(silent("DescribeDBClusters").up_to(1));
    assert_asked(&ask(&data, RdsMove::Failover).await, RdsMove::Failover);
    assert_eq!(stage.changes(), [change(RdsMove::Failover, 200)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_lease_nothing_is_asked_for() {
    for kind in KINDS {
        let stage = Stage::without_servers().await;
        let (ctx, guard) = ctx_of(action_of(kind), 1, PATIENCE);
        guard.lose_lease();
        assert_failed(&ask_with(&stage.adapter(), kind, &ctx).await, ErrorClass::Transient, "lease");
        assert_eq!((guard.sent(), stage.changes()), (0, vec![]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_lost_while_a_call_is_signed_lets_nothing_out() {
    for kind in KINDS {
        let stage = Stage::without_servers().await;
        let (ctx, guard) = ctx_of(action_of(kind), 1, PATIENCE);
        guard.lose_lease_after(1);
        assert_failed(&ask_with(&stage.adapter(), kind, &ctx).await, ErrorClass::Transient, "lease");
        assert_eq!(stage.changes(), []);
    }
}

//! The last way: the target leaves the global cluster, and takes writes by itself.

use crate::stage::{
    DETACH, EAST, EAST_AWS, KINDS, PENDING, REMOVAL, Stage, WEST, ask, assert_adopted, assert_asked, change,
    detach, detach_ctx, detach_with, open_writer, removal, until, until_hindered,
};
use muster_aws_fake::{Call, Fault, FaultKind, RdsMove};
use muster_core::facts::{DataRole, ErrorClass, Outcome};
use muster_core::ids::RegionName;

#[track_caller]
fn assert_sent(outcome: &Outcome) {
    assert_asked(outcome, RdsMove::Failover);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_that_hangs_is_gone_round_at_the_target_s_region_alone() {
    let stage = Stage::start().await;
    let data = stage.adapter();
    let before = until(&data, WEST, |facts| facts.unfit.is_none() && facts.unready.is_none()).await;
    assert_eq!(before.follows, Some(RegionName::from(EAST)));
    stage.aws.set_old_writer_lost(true);
    stage.aws.fault(Fault::of_everything(FaultKind::Hang).in_region(EAST_AWS));
    stage.servers().lock().await.server_mut(EAST).kill();
    assert_asked(&ask(&data, RdsMove::Failover).await, RdsMove::Failover);
    until_hindered(&data, WEST, "a failover is under way (pending)").await;

    assert_sent(&detach(&data).await);
    let standby = until_hindered(&data, WEST, "the cluster is promoting").await;
    assert_eq!((standby.role, standby.alone), (DataRole::Standby, None));
    stage.aws.skip(DETACH);

    let alone = until(&data, WEST, |facts| facts.role == DataRole::Writable && facts.alone.is_some()).await;
    assert_eq!(alone.system, before.system);
    assert!(!alone.streaming && alone.follows.is_none());
    assert!(alone.unfit.expect("unfit").contains("build a global cluster around it again"));
    assert_eq!(detach(&data).await, Outcome::AlreadyDone);
    assert_eq!(open_writer(&data, WEST, 2).await, Outcome::Issued(None));
    assert_eq!(stage.changes(), [change(RdsMove::Failover, 200), removal(200)]);
    let is_of_the_dark = |call: &Call| call.region == EAST_AWS && call.operation != "DescribeEvents";
    assert_eq!(stage.aws.calls().into_iter().filter(is_of_the_dark).collect::<Vec<_>>(), []);
}

/// Nothing is fenced by it: what keeps the application out of there is the fence of the run.
#[tokio::test(flavor = "multi_thread")]
async fn the_old_primary_stays_the_writer_of_what_was_left_and_says_so() {
    let stage = Stage::start().await;
    let data = stage.adapter();
    until(&data, EAST, |facts| facts.unready.is_none()).await;
    assert_sent(&detach(&data).await);
    stage.aws.skip(DETACH);
    until(&data, WEST, |facts| facts.alone.is_some()).await;
    let east = until(&data, EAST, |facts| facts.role == DataRole::Writable).await;
    assert_eq!((east.alone, east.follows, east.unfit), (None, None, None));
    // Asked for again, RDS would have nobody to promote.
    assert_eq!(ask(&data, RdsMove::Failover).await, Outcome::AlreadyDone, "the database takes writes");
    assert_eq!(stage.changes(), [removal(200)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_again_finds_it_under_way_and_takes_no_list_for_the_database_s_word() {
    let stage = Stage::without_servers().await;
    stage.fault(REMOVAL, FaultKind::LoseAnswer);
    let unknown = detach(&stage.adapter()).await;
    assert!(matches!(unknown, Outcome::Failed(ErrorClass::UnknownOutcome, _)), "{unknown:?}");
    assert_adopted(&detach(&stage.adapter()).await, "promoting");
    stage.aws.skip(DETACH);
    let listed = detach(&stage.adapter()).await;
    let is_told = |why: &str| why.contains("has left the global cluster, and takes no writes yet");
    assert!(matches!(&listed, Outcome::Failed(ErrorClass::Transient, why) if is_told(why)), "{listed:?}");
    assert_eq!(stage.changes(), [removal(0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_lost_is_made_again() {
    let stage = Stage::without_servers().await;
    let data = stage.adapter();
    stage.fault(REMOVAL, FaultKind::LoseRequest);
    let unknown = detach(&data).await;
    assert!(matches!(unknown, Outcome::Failed(ErrorClass::UnknownOutcome, _)), "{unknown:?}");
    assert_sent(&detach(&data).await);
    assert_eq!(stage.changes(), [removal(0), removal(200)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_takes_writes_by_now_is_left_in_its_global_cluster() {
    let stage = Stage::without_servers().await;
    let data = stage.adapter();
    assert_asked(&ask(&data, RdsMove::Failover).await, RdsMove::Failover);
    stage.finish(&data, RdsMove::Failover).await;
    assert_eq!(detach(&data).await, Outcome::AlreadyDone);
    assert_eq!(stage.changes(), [change(RdsMove::Failover, 200)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_detached_while_the_writer_moves_to_somebody_else() {
    for kind in KINDS {
        let stage = Stage::without_servers().await;
        stage.aws.start_by_somebody_else(&stage.global, &stage.north, kind);
        for _ in ["pending", "begun"] {
            let outcome = detach(&stage.adapter()).await;
            assert!(matches!(outcome, Outcome::Conflict(_)), "{kind:?}: {outcome:?}");
            stage.aws.skip(PENDING);
        }
        assert_eq!(stage.changes(), [], "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_where_rds_does_not_list_global_clusters() {
    let stage = Stage::without_servers().await;
    stage.aws.fault(Fault::of("DescribeGlobalClusters", FaultKind::LoseAnswer));
    assert_sent(&detach(&stage.adapter()).await);
    assert_eq!(stage.changes(), [removal(200)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rds_refuses_is_told_and_may_be_tried_again() {
    let stage = Stage::without_servers().await;
    let data = stage.adapter();
    let code = "InvalidGlobalClusterStateFault".to_owned();
    let message = "not now".to_owned();
    stage.fault(REMOVAL, FaultKind::Answer { status: 400, code, message });
    let refused = detach(&data).await;
    let is_told =
        |why: &str| why.contains("not now") && why.contains("seen: the global cluster is available");
    assert!(matches!(&refused, Outcome::Failed(ErrorClass::Transient, why) if is_told(why)), "{refused:?}");
    stage.fault(REMOVAL, FaultKind::Deny);
    let denied = detach(&data).await;
    let is_told = |why: &str| why.contains("rds:RemoveFromGlobalCluster");
    assert!(matches!(&denied, Outcome::Failed(ErrorClass::Denied, why) if is_told(why)), "{denied:?}");
    stage.aws.remove_instances(&stage.west);
    let headless = detach(&data).await;
    let is_told = |why: &str| why.contains("headless");
    assert!(matches!(&headless, Outcome::Failed(ErrorClass::Transient, why) if is_told(why)), "{headless:?}");
    assert_eq!(stage.changes(), [removal(400), removal(403)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_a_process_that_has_lost_its_lease() {
    let stage = Stage::without_servers().await;
    let (ctx, guard) = detach_ctx();
    guard.lose_lease();
    let outcome = detach_with(&stage.adapter(), &ctx).await;
    assert!(matches!(outcome, Outcome::Failed(ErrorClass::Transient, _)), "{outcome:?}");
    assert_eq!((guard.sent(), stage.changes()), (0, vec![]));
}

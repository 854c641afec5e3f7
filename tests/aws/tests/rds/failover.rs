//! Failovers with loss, and what they leave behind.

use crate::stage::{Answer, EAST, Stage, WEST, WHILE_MOVING, WHILE_PENDING, WHOLE_MOVE};
use muster_aws_fake::FenceVerdict;
use std::time::Duration;

/// Longer than the usual pace lets an old member stay away.
const REJOIN: Duration = Duration::from_mins(16);
const WEST_NAME: &str = "DB cluster shop-west in Region us-west-2";

#[tokio::test]
async fn a_failover_without_a_flag_is_a_switchover_and_both_flags_are_refused() {
    let stage = Stage::start().await;
    let both = [("AllowDataLoss", "true"), ("Switchover", "true")];
    let refused = stage.start_move("FailoverGlobalCluster", WEST, &both).await;
    assert_eq!(refused.error(), (400, "InvalidParameterCombination".to_owned()));
    let neither = stage.start_move("FailoverGlobalCluster", WEST, &[]).await;
    assert_eq!(neither.texts("IsDataLossAllowed"), ["false"], "{}", neither.body);
    stage.aws.skip(WHILE_MOVING);
    assert_eq!(stage.move_status().await.as_deref(), Some("switching-over"));
}

#[tokio::test]
async fn a_failover_leaves_the_old_member_behind_until_it_is_rebuilt() {
    let stage = Stage::start().await;
    let answer = stage.fail_over(WEST).await;
    assert_eq!(answer.texts("IsDataLossAllowed"), ["true"]);
    stage.aws.skip(WHILE_PENDING);
    assert_eq!(stage.move_status().await.as_deref(), Some("pending"));
    stage.aws.skip(WHILE_MOVING);
    assert_eq!(stage.move_status().await.as_deref(), Some("failing-over"));
    stage.aws.skip(WHOLE_MOVE);
    assert_eq!(stage.move_status().await, None);
    let behind = ["shop-east reader pending-resync", "shop-west writer connected"];
    assert_eq!(stage.members(WEST).await, behind);
    let back = stage.switch_over(EAST).await;
    assert_eq!(back.error(), (400, "InvalidGlobalClusterStateFault".to_owned()));
    stage.aws.skip(REJOIN);
    let connected = ["shop-east reader connected", "shop-west writer connected"];
    assert_eq!(stage.members(WEST).await, connected);
    let expected = [
        format!("Global failover to {WEST_NAME} completed."),
        "Aurora finished changing the DNS name that the global writer endpoint resolves to.".to_owned(),
        format!("Started resynchronizing members of {WEST_NAME} after global failover."),
        format!("Finished resynchronizing members of {WEST_NAME} after global failover."),
    ];
    assert_eq!(stage.messages(WEST).await, expected);
}

#[tokio::test]
async fn the_verdict_of_the_fence_is_recorded_where_the_service_gets_to() {
    for (verdict, is_lost, region, word) in [
        (FenceVerdict::Succeeded, false, EAST, "succeeded"),
        (FenceVerdict::TimedOut, true, WEST, "timed out"),
    ] {
        let stage = Stage::start().await;
        stage.aws.set_fence_verdict(verdict);
        stage.aws.set_old_writer_lost(is_lost);
        stage.fail_over(WEST).await;
        stage.aws.skip(WHILE_MOVING);
        let events = stage.call(region, "DescribeEvents", &[("SourceType", "db-instance")]).await;
        let expected =
            format!("Attempt to block writes for DB cluster shop-east in Region us-east-1 {word}.");
        assert_eq!(events.texts("Message"), [expected], "{}", events.body);
        assert_eq!(events.texts("EventCategory"), ["notification", "global database"]);
    }
}

#[tokio::test]
async fn a_failover_to_a_cluster_without_instances_says_so() {
    let stage = Stage::start().await;
    stage.aws.remove_instances(stage.cluster(WEST));
    stage.fail_over(WEST).await;
    stage.aws.skip(WHOLE_MOVE);
    let messages = stage.messages(WEST).await;
    assert!(messages[0].contains("The DB cluster has no instances."), "{messages:?}");
    assert_eq!(stage.members(WEST).await[1], "shop-west writer connected");
}

#[tokio::test]
async fn a_failover_that_fails_is_cancelled_and_leaves_all_as_it_was() {
    let stage = Stage::start().await;
    stage.aws.fail_next_failover();
    stage.fail_over(WEST).await;
    stage.aws.skip(Duration::from_secs(75));
    assert_eq!(stage.move_status().await.as_deref(), Some("cancelling"));
    let failed = format!("Global failover to {WEST_NAME} failed.");
    assert_eq!(stage.messages(EAST).await, [failed.as_str()]);
    assert_eq!(stage.messages(WEST).await, [failed.as_str()]);
    stage.aws.skip(Duration::from_secs(30));
    assert_eq!(stage.move_status().await, None);
    let before = ["shop-east writer connected", "shop-west reader connected"];
    assert_eq!(stage.members(WEST).await, before);
    stage.fail_over(WEST).await;
    stage.aws.skip(WHOLE_MOVE);
    assert_eq!(stage.members(WEST).await[1], "shop-west writer connected", "only one fails");
}

async fn list_snapshots(stage: &Stage) -> Answer {
    stage.call(EAST, "DescribeDBClusterSnapshots", &[("SnapshotType", "automated")]).await
}

#[tokio::test]
async fn the_snapshot_of_the_old_volume_is_copied_once() {
    let stage = Stage::start().await;
    assert!(list_snapshots(&stage).await.texts("DBClusterSnapshotIdentifier").is_empty());
    stage.fail_over(WEST).await;
    stage.aws.skip(WHOLE_MOVE);
    let listed = list_snapshots(&stage).await;
    let name = listed.texts("DBClusterSnapshotIdentifier").concat();
    assert!(name.starts_with("rds:unplanned-global-failover-shop-east-2026-01-01-00-01-"), "{name}");
    let copying =
        [("SourceDBClusterSnapshotIdentifier", name.as_str()), ("TargetDBClusterSnapshotIdentifier", "kept")];
    let early = stage.call(EAST, "CopyDBClusterSnapshot", &copying).await;
    assert_eq!(early.error(), (400, "InvalidDBClusterSnapshotStateFault".to_owned()));
    stage.aws.skip(Duration::from_mins(3));
    let copied = stage.call(EAST, "CopyDBClusterSnapshot", &copying).await;
    assert_eq!(copied.texts("SnapshotType"), ["manual"], "{}", copied.body);
    let again = stage.call(EAST, "CopyDBClusterSnapshot", &copying).await;
    assert_eq!(again.error(), (400, "DBClusterSnapshotAlreadyExistsFault".to_owned()));
    assert_eq!(list_snapshots(&stage).await.texts("DBClusterSnapshotIdentifier").len(), 1);
}

async fn remove(stage: &Stage, member: &str) -> Answer {
    let cluster = stage.cluster(member);
    let parameters = [("GlobalClusterIdentifier", "shop"), ("DbClusterIdentifier", cluster)];
    stage.call(WEST, "RemoveFromGlobalCluster", &parameters).await
}

#[tokio::test]
async fn a_cluster_that_is_removed_stands_by_itself() {
    let stage = Stage::start().await;
    let writer = remove(&stage, EAST).await;
    assert_eq!(writer.error(), (400, "InvalidGlobalClusterStateFault".to_owned()));
    assert_eq!(remove(&stage, WEST).await.status, 200);
    stage.aws.skip(Duration::from_mins(2));
    assert_eq!(stage.members(EAST).await, ["shop-east writer connected"]);
    let cluster = stage.call(WEST, "DescribeDBClusters", &[]).await;
    assert_eq!(cluster.texts("Status"), ["available"]);
    assert!(cluster.texts("GlobalClusterIdentifier").is_empty(), "{}", cluster.body);
    assert!(cluster.texts("ReplicationSourceIdentifier").is_empty(), "{}", cluster.body);
    assert_eq!(stage.global(WEST).await.error(), (404, "GlobalClusterNotFoundFault".to_owned()));
}

#[tokio::test]
async fn a_state_that_nobody_knows_is_shown_as_it_is() {
    let stage = Stage::start().await;
    stage.switch_over(WEST).await;
    let (east, west) = (stage.cluster(EAST), stage.cluster(WEST));
    stage.aws.set_failover_state(&stage.shop.arn, "pondering", west, east, true);
    stage.aws.skip(WHOLE_MOVE);
    let answer = stage.global(EAST).await;
    assert_eq!(answer.texts_in("FailoverState", "Status"), ["pondering"]);
    assert_eq!(answer.texts("ToDbClusterArn"), [east]);
    assert_eq!(stage.members(EAST).await[0], "shop-east writer connected", "the switchover is over");
}

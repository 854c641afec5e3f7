//! Faults of one region, of one service and of one operation, and what is read too late.

use crate::stage::{ACCOUNT, EAST, Stage, WEST, WHOLE_MOVE, rds, send, wait_until};
use muster_aws_fake::{Fault, FaultKind};
use std::time::Duration;

#[tokio::test]
async fn a_region_can_be_a_black_hole() {
    let stage = Stage::start().await;
    stage.aws.fault(Fault::of_everything(FaultKind::Hang).in_region(EAST));
    let aws = stage.aws.clone();
    let hanging = tokio::spawn(async move { send(&aws, rds(EAST), "DescribeGlobalClusters", &[]).await });
    wait_until(|| !stage.aws.calls().is_empty()).await;
    stage.fail_over(WEST).await;
    stage.aws.skip(WHOLE_MOVE);
    assert_eq!(stage.members(WEST).await[1], "shop-west writer connected");
    assert!(!hanging.is_finished());
    hanging.abort();
    // Its handle of the fake goes before the test's own, which tells of breaches.
    assert!(hanging.await.is_err());
}

#[tokio::test]
async fn an_operation_can_be_denied_in_the_words_of_a_missing_permission() {
    let stage = Stage::start().await;
    stage.aws.fault(Fault::of("SwitchoverGlobalCluster", FaultKind::Deny).in_service("rds").up_to(1));
    let denied = stage.switch_over(WEST).await;
    assert_eq!(denied.error(), (403, "AccessDenied".to_owned()));
    let expected = format!(
        "User: arn:aws:iam::{ACCOUNT}:user/fake is not authorized to perform: rds:SwitchoverGlobalCluster because \
         no identity-based policy allows the rds:SwitchoverGlobalCluster action"
    );
    assert_eq!(denied.texts("Message"), [expected]);
    assert_eq!(stage.move_status().await, None);
    assert_eq!(stage.switch_over(WEST).await.status, 200, "the fault is used up");
}

#[tokio::test]
async fn a_fault_of_another_service_does_not_strike() {
    let stage = Stage::start().await;
    stage.aws.fault(Fault::of_everything(FaultKind::LoseRequest).in_service("route53"));
    assert_eq!(stage.global(EAST).await.status, 200);
}

#[tokio::test]
async fn a_lost_answer_leaves_the_operation_running() {
    let stage = Stage::start().await;
    stage.aws.fault(Fault::of("SwitchoverGlobalCluster", FaultKind::LoseAnswer).up_to(1));
    let parameters =
        [("GlobalClusterIdentifier", "shop"), ("TargetDbClusterIdentifier", stage.cluster(WEST))];
    assert!(send(&stage.aws, rds(WEST), "SwitchoverGlobalCluster", &parameters).await.is_err());
    assert_eq!(stage.move_status().await.as_deref(), Some("pending"));
}

#[tokio::test]
async fn stale_reads_answer_from_what_was() {
    let stage = Stage::start().await;
    stage.aws.skip(Duration::from_mins(10));
    stage.switch_over(WEST).await;
    stage.aws.skip(WHOLE_MOVE);
    let after = ["shop-east reader connected", "shop-west writer connected"];
    assert_eq!(stage.members(EAST).await, after);

    let old_reads = |seconds: u64| Fault::of_everything(FaultKind::StaleReads(Duration::from_secs(seconds)));
    let fault = stage.aws.fault(old_reads(120).in_region(EAST));
    assert_eq!(stage.members(EAST).await, ["shop-east writer connected", "shop-west reader connected"]);
    assert_eq!(stage.members(WEST).await, after, "the other region sees what is");
    let cluster = stage.call(EAST, "DescribeDBClusters", &[]).await;
    assert!(cluster.texts("ReplicationSourceIdentifier").is_empty(), "{}", cluster.body);
    stage.aws.remove_fault(fault);
    let cluster = stage.call(EAST, "DescribeDBClusters", &[]).await;
    assert_eq!(cluster.texts("ReplicationSourceIdentifier"), [stage.cluster(WEST)]);

    stage.aws.fault(old_reads(60));
    assert_eq!(stage.move_status().await.as_deref(), Some("switching-over"));
}

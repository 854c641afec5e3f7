//! What RDS tells of writes at the old primary after a failover.

use crate::stage::{EAST, MOVING, PENDING, REJOIN, Stage, WEST, ask, assert_asked, until};
use jiff::Timestamp;
use muster_aws_fake::{Fault, FaultKind, FenceVerdict, RdsMove};
use muster_core::facts::{DataFacts, DataRole};
use muster_providers::aurora::AuroraData;

async fn failed_over(verdict: FenceVerdict, is_lost: bool) -> (Stage, AuroraData) {
    let stage = Stage::start().await;
    let data = stage.adapter();
    until(&data, WEST, |facts| facts.unfit.is_none() && facts.unready.is_none()).await;
    stage.aws.set_fence_verdict(verdict);
    stage.aws.set_old_writer_lost(is_lost);
    (stage, data)
}

async fn fail_over(stage: &Stage, data: &AuroraData) -> DataFacts {
    assert_asked(&ask(data, RdsMove::Failover).await, RdsMove::Failover);
    stage.aws.skip(PENDING + MOVING);
    until(data, WEST, |facts| facts.role == DataRole::Writable).await
}

fn reads_of_events(stage: &Stage) -> usize {
    stage.aws.calls().iter().filter(|call| call.operation == "DescribeEvents").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_writes_were_kept_out_is_told_wherever_rds_tells_it() {
    for (verdict, is_lost, holds) in
        [(FenceVerdict::Succeeded, false, true), (FenceVerdict::TimedOut, true, false)]
    {
        let (stage, data) = failed_over(verdict, is_lost).await;
        assert_eq!(reads_of_events(&stage), 0, "a calm world is not asked");
        fail_over(&stage, &data).await;
        let told = until(&data, WEST, |facts| facts.write_block.is_some()).await.write_block;
        let told = told.expect("just seen");
        assert_eq!((told.region.as_str(), told.holds), (EAST, holds));
        assert!(
            told.said.starts_with("RDS: Attempt to block writes for DB cluster orders-"),
            "{}",
            told.said
        );
        // Once the old primary is a standby again, nobody asks any more.
        stage.aws.set_old_writer_lost(false);
        stage.aws.skip(REJOIN * 2);
        until(&data, WEST, |facts| facts.write_block.is_none()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn how_far_aurora_is_is_told_while_it_moves_the_writer() {
    let (stage, data) = failed_over(FenceVerdict::Succeeded, false).await;
    stage.aws.set_date(Timestamp::now());
    assert_eq!(until(&data, WEST, |_| true).await.progress, None, "a calm world");
    assert_asked(&ask(&data, RdsMove::Switchover).await, RdsMove::Switchover);
    let told = until(&data, WEST, |facts| facts.progress.is_some()).await.progress.expect("just seen");
    assert!(told.starts_with("a switchover is under way (pending) from "), "{told}");
    stage.aws.skip(PENDING);
    for region in [WEST, EAST] {
        let is_told = |told: &String| told.contains("(switching-over)") && told.contains("; RDS at 20");
        until(&data, region, |facts| facts.progress.as_ref().is_some_and(is_told)).await;
    }
    stage.aws.skip(MOVING);
    until(&data, WEST, |facts| facts.progress.is_none() && facts.role == DataRole::Writable).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_be_told_nothing_is_told_and_nothing_else_is_missing() {
    let (stage, data) = failed_over(FenceVerdict::Succeeded, false).await;
    stage.aws.fault(Fault::of("DescribeEvents", FaultKind::Deny));
    let west = fail_over(&stage, &data).await;
    assert_eq!(west.write_block, None);
    until(&data, WEST, |_| reads_of_events(&stage) > 1).await;
    let west = until(&data, WEST, |_| true).await;
    assert_eq!((west.write_block, west.unfit), (None, None));
}

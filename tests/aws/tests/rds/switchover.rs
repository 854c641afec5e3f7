//! Switchovers: healthy members swap their roles.

use crate::stage::{EAST, Stage, WEST, WHILE_MOVING, WHILE_PENDING, WHOLE_MOVE};
use muster_aws_fake::RdsMove;

#[tokio::test]
async fn a_switchover_passes_through_its_states_and_swaps_the_roles() {
    let stage = Stage::start().await;
    let answer = stage.switch_over(WEST).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.texts("FromDbClusterArn"), [stage.cluster(EAST)]);
    assert_eq!(answer.texts("ToDbClusterArn"), [stage.cluster(WEST)]);
    assert_eq!(answer.texts("IsDataLossAllowed"), ["false"]);
    stage.aws.skip(WHILE_PENDING);
    assert_eq!(stage.move_status().await.as_deref(), Some("pending"));
    stage.aws.skip(WHILE_MOVING);
    assert_eq!(stage.move_status().await.as_deref(), Some("switching-over"));
    let before = ["shop-east writer connected", "shop-west reader connected"];
    assert_eq!(stage.members(EAST).await, before, "the writer flips at the end");
    stage.aws.skip(WHOLE_MOVE);
    assert_eq!(stage.move_status().await, None);
    let after = ["shop-east reader connected", "shop-west writer connected"];
    assert_eq!(stage.members(EAST).await, after);
    assert_eq!(stage.global(WEST).await.texts("Status"), ["available"]);
}

#[tokio::test]
async fn a_switchover_is_told_where_it_happens() {
    let stage = Stage::start().await;
    stage.switch_over(WEST).await;
    stage.aws.skip(WHOLE_MOVE);
    let west = "DB cluster shop-west in Region us-west-2";
    let east = "DB cluster shop-east in Region us-east-1";
    let started = format!("Global switchover to {west} started.");
    let finished = format!("Global switchover to {west} finished.");
    let expected_in_east = [
        started.clone(),
        "Waiting for data synchronization across global cluster members. Current lags behind primary DB cluster: \
         0 ms."
            .to_owned(),
        format!("Attempt to block writes for {east} succeeded."),
        format!("Old primary {east} successfully shut down."),
        finished.clone(),
    ];
    assert_eq!(stage.messages(EAST).await, expected_in_east);
    let expected_in_west = [
        started,
        format!("New primary {west} was successfully promoted."),
        finished,
        "Aurora finished changing the DNS name that the global writer endpoint resolves to.".to_owned(),
    ];
    assert_eq!(stage.messages(WEST).await, expected_in_west);
}

async fn count(stage: &Stage, parameters: &[(&str, &str)]) -> usize {
    stage.call(EAST, "DescribeEvents", parameters).await.texts("Event").len()
}

#[tokio::test]
async fn events_are_narrowed_by_source_category_and_time() {
    let stage = Stage::start().await;
    stage.switch_over(WEST).await;
    stage.aws.skip(WHOLE_MOVE);
    assert_eq!(count(&stage, &[]).await, 5);
    assert_eq!(count(&stage, &[("SourceType", "db-cluster"), ("SourceIdentifier", "shop-east")]).await, 4);
    assert_eq!(count(&stage, &[("SourceType", "db-instance")]).await, 1);
    assert_eq!(count(&stage, &[("EventCategories.EventCategory.1", "global failover")]).await, 4);
    assert_eq!(count(&stage, &[("EventCategories.EventCategory.1", "failure")]).await, 0);
    assert_eq!(count(&stage, &[("StartTime", "2026-01-01T00:00:00Z")]).await, 5);
    assert_eq!(
        count(&stage, &[("StartTime", "2026-01-01T00:00:00Z"), ("EndTime", "2026-01-01T00:00:05Z")]).await,
        1
    );
    assert_eq!(count(&stage, &[("StartTime", "2026-01-02T00:00:00Z")]).await, 0);
}

#[tokio::test]
async fn an_operation_is_refused_while_another_one_goes_on() {
    let stage = Stage::start().await;
    stage.switch_over(WEST).await;
    let again = stage.switch_over(WEST).await;
    assert_eq!(again.error(), (400, "InvalidGlobalClusterStateFault".to_owned()));
    stage.aws.skip(WHOLE_MOVE);
    let done = stage.switch_over(WEST).await;
    assert_eq!(done.error(), (400, "InvalidGlobalClusterStateFault".to_owned()), "it is the writer already");
}

#[tokio::test]
async fn a_switchover_needs_a_healthy_target() {
    let stage = Stage::start().await;
    let west = stage.cluster(WEST);
    let refused = (400, "InvalidDBClusterStateFault".to_owned());
    stage.aws.set_cluster_status(west, "upgrading");
    assert_eq!(stage.switch_over(WEST).await.error(), refused);
    stage.aws.set_cluster_status(west, "available");
    stage.aws.set_engine_version(west, "16.8");
    assert_eq!(stage.switch_over(WEST).await.error(), refused);
    stage.aws.set_engine_version(west, "16.6");
    stage.aws.remove_instances(west);
    assert_eq!(stage.switch_over(WEST).await.error(), refused);
    assert_eq!(stage.move_status().await, None);
}

#[tokio::test]
async fn another_operators_switchover_is_no_call() {
    let stage = Stage::start().await;
    stage.aws.start_by_somebody_else(&stage.shop.arn, stage.cluster(WEST), RdsMove::Switchover);
    assert!(stage.aws.calls().is_empty());
    assert_eq!(stage.move_status().await.as_deref(), Some("pending"));
    stage.aws.skip(WHOLE_MOVE);
    assert_eq!(stage.members(WEST).await[1], "shop-west writer connected");
}

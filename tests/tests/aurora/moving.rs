//! Whole moves of the writer, with the databases behind them.

use crate::stage::{
    EAST, EAST_AWS, MOVING, PATIENCE, PENDING, REJOIN, Stage, WEST, ask, assert_adopted, assert_asked,
    change, ctx_of, open_writer, until, until_hindered,
};
use muster_aws_fake::{Call, Fault, FaultKind, RdsMove};
use muster_core::effect::Action;
use muster_core::facts::{DataFacts, DataRole, ErrorClass, Outcome};
use muster_core::ids::RegionName;
use muster_providers::DataControl;
use muster_providers::aurora::AuroraData;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test(flavor = "multi_thread")]
async fn a_switchover_is_asked_for_once_and_swaps_the_roles() {
    let stage = Stage::start().await;
    let data = stage.adapter();
    assert_eq!(open_writer(&data, EAST, 1).await, Outcome::Issued(None));
    let before = until(&data, EAST, |facts| facts.unfit.is_none() && facts.unready.is_none()).await;
    until(&data, WEST, |facts| facts.streaming && facts.witness == before.witness).await;

    assert_asked(&ask(&data, RdsMove::Switchover).await, RdsMove::Switchover);
    for status in ["pending", "switching-over"] {
        for region in [EAST, WEST] {
            until_hindered(&data, region, &format!("a switchover is under way ({status})")).await;
        }
        assert_adopted(&ask(&data, RdsMove::Switchover).await, status);
        assert_eq!(until(&data, EAST, |_| true).await.role, DataRole::Writable);
        assert_eq!(until(&data, WEST, |_| true).await.role, DataRole::Standby);
        stage.aws.skip(if status == "pending" { PENDING } else { MOVING });
    }

    let west = until(&data, WEST, |facts| is_well(facts, DataRole::Writable)).await;
    let east = until(&data, EAST, |facts| is_well(facts, DataRole::Standby) && facts.streaming).await;
    assert!(!west.streaming);
    assert_eq!([&east.system, &west.system], [&before.system, &before.system]);
    assert_eq!(west.witness, before.witness, "nothing is lost");
    assert_eq!(ask(&data, RdsMove::Switchover).await, Outcome::AlreadyDone);
    assert_eq!(open_writer(&data, WEST, 2).await, Outcome::Issued(None));
    let refused = open_writer(&data, EAST, 2).await;
    assert!(matches!(refused, Outcome::Conflict(_)), "{refused:?}");
    until(&data, EAST, |facts| facts.witness.as_ref().is_some_and(|witness| witness.epoch.0 == 2)).await;
    assert_eq!(stage.changes(), [change(RdsMove::Switchover, 200)]);
}

fn is_well(facts: &DataFacts, role: DataRole) -> bool {
    facts.role == role && facts.unfit.is_none() && facts.unready.is_none()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_asks_the_target_s_region_alone_while_the_primary_s_is_dark() {
    let stage = Stage::start().await;
    let data = stage.adapter();
    let before = until(&data, WEST, |facts| facts.unfit.is_none() && facts.unready.is_none()).await;
    stage.aws.set_old_writer_lost(true);
    stage.aws.fault(Fault::of_everything(FaultKind::Hang).in_region(EAST_AWS));
    stage.servers().lock().await.server_mut(EAST).kill();

    let began = Instant::now();
    assert_asked(&ask(&data, RdsMove::Failover).await, RdsMove::Failover);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    until_hindered(&data, WEST, "a failover is under way (pending)").await;
    stage.aws.skip(PENDING);
    until_hindered(&data, WEST, "a failover is under way (failing-over)").await;
    assert_adopted(&ask(&data, RdsMove::Failover).await, "failing-over");
    stage.aws.skip(MOVING);

    let after = until(&data, WEST, |facts| is_well(facts, DataRole::Writable)).await;
    assert_eq!(after.system, before.system);
    assert_eq!(ask(&data, RdsMove::Failover).await, Outcome::AlreadyDone);
    // Also where RDS does not tell: the database does.
    stage.fault("DescribeGlobalClusters", FaultKind::LoseAnswer);
    assert_eq!(ask(&data, RdsMove::Failover).await, Outcome::AlreadyDone);
    assert_eq!(open_writer(&data, WEST, 2).await, Outcome::Issued(None));
    assert_eq!(stage.changes(), [change(RdsMove::Failover, 200)]);
    // What became of writes there is asked for beside all else.
    let is_of_the_dark = |call: &Call| call.region == EAST_AWS && call.operation != "DescribeEvents";
    let of_the_dark: Vec<Call> = stage.aws.calls().into_iter().filter(is_of_the_dark).collect();
    assert_eq!(of_the_dark, []);
}

async fn rejoin(data: &AuroraData) -> Outcome {
    let (region, follow) = (RegionName::from(EAST), RegionName::from(WEST));
    let action = Action::Rejoin { item: "orders".into(), region: region.clone(), follow: follow.clone() };
    data.rejoin(&region, &follow, &ctx_of(action, 1, PATIENCE).0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failover_the_old_primary_is_waited_for_and_nothing_is_asked() {
    let stage = Stage::without_servers().await;
    let data = stage.adapter();
    assert_asked(&ask(&data, RdsMove::Failover).await, RdsMove::Failover);
    stage.finish(&data, RdsMove::Failover).await;
    let waits = rejoin(&data).await;
    let is_told = |why: &str| why.contains("builds the cluster in east again by itself");
    assert!(matches!(&waits, Outcome::Failed(ErrorClass::Transient, why) if is_told(why)), "{waits:?}");
    stage.aws.skip(REJOIN);
    assert_eq!(rejoin(&data).await, Outcome::AlreadyDone);
    assert_eq!(stage.changes(), [change(RdsMove::Failover, 200)]);
}

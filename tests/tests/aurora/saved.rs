//! What RDS saved of the old primary's volume at a failover, and the copy of it.

use crate::stage::{
    EAST, EAST_AWS, MOVING, PATIENCE, PENDING, REJOIN, Stage, WEST, ask, assert_asked, ctx_of, until,
};
use muster_aws_fake::{FaultKind, RdsMove};
use muster_core::effect::Action;
use muster_core::facts::{DataRole, ErrorClass, Outcome};
use muster_core::ids::RegionName;
use muster_core::time::Wall;
use muster_providers::DataControl;
use muster_providers::aurora::AuroraData;
use std::time::Duration;

const COPY: &str = "CopyDBClusterSnapshot";
/// Until a snapshot or its copy is complete.
const SNAPSHOT: Duration = Duration::from_mins(2);

async fn keep(data: &AuroraData) -> Outcome {
    let (region, since) = (RegionName::from(EAST), Wall(0));
    let action = Action::KeepOldData { item: "orders".into(), region: region.clone(), since };
    data.keep_old_data(&region, since, &ctx_of(action, 1, PATIENCE).0).await
}

/// West has taken over, and east is not built again yet.
async fn failed_over() -> (Stage, AuroraData) {
    let stage = Stage::start().await;
    let data = stage.adapter();
    until(&data, WEST, |facts| facts.unfit.is_none() && facts.unready.is_none()).await;
    assert_asked(&ask(&data, RdsMove::Failover).await, RdsMove::Failover);
    stage.aws.skip(PENDING + MOVING);
    until(&data, WEST, |facts| facts.role == DataRole::Writable).await;
    (stage, data)
}

/// Copies that RDS was asked for, and at which region.
fn copies(stage: &Stage) -> Vec<String> {
    let calls = stage.aws.calls().into_iter().filter(|call| call.operation == COPY);
    calls.map(|call| call.region).collect()
}

fn is_failed(outcome: &Outcome, class: ErrorClass, told: &str) -> bool {
    matches!(outcome, Outcome::Failed(of, why) if *of == class && why.contains(told))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failover_left_is_copied_once_in_its_own_region_by_whichever_process() {
    let (stage, data) = failed_over().await;
    stage.aws.skip(REJOIN);
    let issued = loop {
        match keep(&data).await {
            Outcome::Failed(ErrorClass::Transient, _) => stage.aws.skip(SNAPSHOT),
            other => break other,
        }
    };
    assert!(matches!(&issued, Outcome::Issued(Some(told)) if told.contains("is being copied")), "{issued:?}");
    let under_way = keep(&data).await;
    assert!(
        matches!(&under_way, Outcome::Issued(Some(told)) if told.contains("`creating`")),
        "{under_way:?}"
    );
    let told = until(&data, WEST, |facts| !facts.saved.is_empty()).await.saved.remove(0);
    assert_eq!((told.region.as_str(), told.kept), (EAST, false));
    stage.aws.skip(SNAPSHOT);
    let other = stage.adapter();
    for process in [&other, &data] {
        assert_eq!(keep(process).await, Outcome::AlreadyDone);
        let told = until(process, WEST, |facts| facts.saved.iter().any(|saved| saved.kept)).await;
        let said = &told.saved[0].said;
        assert!(said.contains("muster-old-orders-us-east-1-"), "{said}");
    }
    assert_eq!(copies(&stage), [EAST_AWS]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_answer_was_lost_is_found_and_one_that_is_refused_names_the_right() {
    let (stage, data) = failed_over().await;
    stage.aws.skip(REJOIN + SNAPSHOT);
    stage.fault(COPY, FaultKind::Deny);
    let denied = keep(&data).await;
    assert!(is_failed(&denied, ErrorClass::Denied, "rds:CopyDBClusterSnapshot"), "{denied:?}");
    stage.fault(COPY, FaultKind::LoseAnswer);
    let lost = keep(&data).await;
    assert!(is_failed(&lost, ErrorClass::UnknownOutcome, COPY), "{lost:?}");
    let found = keep(&data).await;
    assert!(matches!(&found, Outcome::Issued(Some(told)) if told.contains("`creating`")), "{found:?}");
    assert_eq!(copies(&stage), [EAST_AWS; 2], "denied, and taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_was_left_nothing_is_copied() {
    let stage = Stage::without_servers().await;
    let data = stage.adapter();
    let nothing = keep(&data).await;
    assert!(is_failed(&nothing, ErrorClass::Transient, "shows no snapshot"), "{nothing:?}");
    stage.fault("DescribeDBClusterSnapshots", FaultKind::Deny);
    let denied = keep(&data).await;
    assert!(is_failed(&denied, ErrorClass::Denied, "rds:DescribeDBClusterSnapshots"), "{denied:?}");
    assert_eq!(copies(&stage), [""; 0]);
}

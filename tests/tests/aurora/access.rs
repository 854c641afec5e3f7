//! As whom RDS is called, and that nobody learns by what.

use crate::stage::{
    ACCOUNT, EAST_AWS, KINDS, QUICK, SECRET_KEY, Stage, WEST, WEST_AWS, ask, assert_asked, change,
    open_writer, operation_of,
};
use jiff::Timestamp;
use muster_aws_fake::{Call, Fault, FaultKind, RdsMove};
use muster_core::facts::{ErrorClass, Outcome};
use muster_core::secret::Secret;
use muster_providers::DataControl;
use muster_providers::aurora::AuroraData;
use muster_providers::aws::AwsAccess;

/// Whose credentials Muster runs with; the databases are another account's.
const CALLER: &str = "444455556666";
const CALLER_KEY: &str = "AKIDCALLER";
const ROLE: &str = "arn:aws:iam::111122223333:role/muster";
const EXTERNAL_ID: &str = "chestnut-2718";
const WRONG_EXTERNAL_ID: &str = "walnut-3141";

/// The stage where only a role may call RDS.
async fn start_with_role() -> Stage {
    let stage = Stage::without_servers().await;
    stage.aws.set_date(Timestamp::now());
    stage.aws.add_account(CALLER_KEY, CALLER);
    stage.aws.add_role(ROLE, Some(EXTERNAL_ID), CALLER);
    stage
}

fn access(external_id: &str) -> AwsAccess {
    AwsAccess { role_arn: Some(ROLE.to_owned()), external_id: Some(external_id.to_owned()) }
}

fn adapter_as(stage: &Stage, external_id: &str) -> AuroraData {
    let config = stage.config(&access(external_id));
    AuroraData::new(config, &stage.accounts(CALLER_KEY)).expect("the configuration holds")
}

/// Regions in which a role was assumed, each once.
fn regions_of_assuming(stage: &Stage) -> Vec<String> {
    let calls = stage.aws.calls().into_iter().filter(|call| call.operation == "AssumeRole");
    let mut regions: Vec<String> = calls.map(|call| call.region).collect();
    regions.sort();
    regions.dedup();
    regions
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_assumed_at_the_very_region_that_is_called() {
    let stage = start_with_role().await;
    stage.aws.fault(Fault::of_everything(FaultKind::Hang).in_region(EAST_AWS));
    let data = adapter_as(&stage, EXTERNAL_ID);
    assert_asked(&ask(&data, RdsMove::Failover).await, RdsMove::Failover);
    assert_eq!(regions_of_assuming(&stage), [WEST_AWS]);
    // In the role's account, as the change itself says.
    assert_eq!(stage.changes(), [change(RdsMove::Failover, 200)]);
    let is_as_told = |call: &Call| {
        let account = if call.service == "sts" { CALLER } else { ACCOUNT };
        call.region == WEST_AWS && call.account == account
    };
    let calls = stage.aws.calls();
    assert!(calls.iter().all(is_as_told), "{calls:?}");

    let stage = start_with_role().await;
    let data = adapter_as(&stage, EXTERNAL_ID);
    assert_asked(&ask(&data, RdsMove::Switchover).await, RdsMove::Switchover);
    assert_eq!(regions_of_assuming(&stage), [EAST_AWS, WEST_AWS]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_not_given_is_a_missing_permission() {
    for kind in KINDS {
        let stage = start_with_role().await;
        let refused = ask(&adapter_as(&stage, WRONG_EXTERNAL_ID), kind).await;
        let is_told = |why: &str| why.contains("sts:AssumeRole") && !why.contains(WRONG_EXTERNAL_ID);
        assert!(
            matches!(&refused, Outcome::Failed(ErrorClass::Denied, why) if is_told(why)),
            "{kind:?}: {refused:?}"
        );
        assert_eq!(stage.changes(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_shown_by_anything_that_is_told() {
    const PASSWORD: &str = "swordfish-4711";
    let mut told = Vec::new();
    for external_id in [EXTERNAL_ID, WRONG_EXTERNAL_ID] {
        let stage = start_with_role().await;
        let accounts = stage.accounts(CALLER_KEY);
        let mut config = stage.config(&access(external_id));
        config.password = Secret::new(PASSWORD);
        told.push(format!("{config:?}"));
        let data = AuroraData::new(config, &accounts).expect("the configuration holds");
        told.push(format!("{:?}", data.observe(&WEST.into(), QUICK).await));
        told.push(format!("{:?}", open_writer(&data, WEST, 1).await));
        for kind in KINDS {
            for fault in [FaultKind::Deny, FaultKind::LoseRequest, FaultKind::LoseAnswer] {
                stage.fault(operation_of(kind), fault);
                told.push(format!("{:?}", ask(&data, kind).await));
            }
        }
        told.push(format!("{data:?} {accounts:?}"));
    }
    for secret in [PASSWORD, EXTERNAL_ID, WRONG_EXTERNAL_ID, SECRET_KEY] {
        let shown: Vec<&String> = told.iter().filter(|text| text.contains(secret)).collect();
        assert!(shown.is_empty(), "{secret}: {shown:?}");
    }
}

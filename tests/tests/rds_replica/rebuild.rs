//! An old primary is made anew: every call counted at the wire, by adapters that remember nothing.

use super::stage::{
    ACCOUNT, LOOK, OWNER, PATIENCE, REGIONS, Stage, calm, ctx, ctx_of, promote_wholly, told, until,
};
use muster_aws_fake::{Fault, FaultKind, InstanceShape, RdsPace};
use muster_core::facts::{DataFacts, DataRole, ErrorClass, Outcome, Seen};
use muster_providers::DataControl;
use muster_providers::rds_replica::RdsReplicaData;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const RENAME: &str = "ModifyDBInstance";
const CREATE: &str = "CreateDBInstanceReadReplica";
const KEYS: [&str; 2] =
    ["arn:aws:kms:us-east-1:111122223333:key/east", "arn:aws:kms:us-west-2:111122223333:key/west"];
/// Longer than RDS may take to show what it took.
const SHOWN: Duration = Duration::from_secs(45);
/// For sessions that end to be gone from what the server shows.
const CLOSED: Duration = Duration::from_secs(10);

/// What the old primary is like.
fn shape() -> InstanceShape {
    InstanceShape {
        class: "db.r6g.2xlarge".to_owned(),
        multi_az: true,
        deletion_protection: true,
        subnet_group: Some("east-subnets".to_owned()),
        parameter_group: Some("orders".to_owned()),
        security_groups: vec!["sg-1".to_owned(), "sg-2".to_owned()],
        kms_key: Some(KEYS[0].to_owned()),
        log_exports: vec!["postgresql".to_owned()],
        tags: [("team".to_owned(), "shop".to_owned())].into(),
        ..InstanceShape::default()
    }
}

/// West takes the writes, and east was fenced before: what a planned run leaves.
async fn moved() -> Stage {
    let stage = Stage { rebuilds: true, ..Stage::start().await };
    let [promote, reboot, rename, create] = [300, 300, 700, 900].map(Duration::from_millis);
    let pace = RdsPace { promote, reboot, backup: Duration::ZERO, rename, create, ..RdsPace::default() };
    stage.aws.set_rds_pace(pace);
    stage.aws.set_instance_shape(&stage.arns[0], shape());
    let of_west = InstanceShape { kms_key: Some(KEYS[1].to_owned()), ..InstanceShape::default() };
    stage.aws.set_instance_shape(&stage.arns[1], of_west);
    let adapter = stage.adapter().await;
    calm(&adapter).await;
    assert!(matches!(adapter.fence(&"east".into(), &ctx(1, 2)).await, Outcome::Issued(_)));
    promote_wholly(&adapter).await;
    until(&adapter, "west", |facts| facts.role == DataRole::Writable).await;
    assert_eq!(adapter.open_writer(&"west".into(), &ctx(1, 3)).await, Outcome::Issued(None));
    until(&adapter, "west", |facts| facts.closed.is_open()).await;
    until(&adapter, "east", DataFacts::is_closed).await;
    stage.aws.clear_calls();
    stage
}

/// Asks once the old primary is seen closed: what another process left of a log-in may be on its way out still.
async fn rejoin(adapter: &RdsReplicaData) -> Outcome {
    let deadline = Instant::now() + CLOSED;
    loop {
        let outcome = adapter.rejoin(&"east".into(), &"west".into(), &ctx(1, 4)).await;
        if !told(&outcome).contains("has to be fenced first") || Instant::now() >= deadline {
            return outcome;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Asks as the core does, each time as another process would, until RDS makes the replica.
async fn rejoin_wholly(stage: &Stage) {
    let deadline = Instant::now() + SHOWN;
    loop {
        let outcome = rejoin(&stage.adapter().await).await;
        match outcome {
            Outcome::Issued(_) | Outcome::AlreadyDone => return,
            Outcome::Failed(ErrorClass::Transient, _) => {}
            other => panic!("{other:?}"),
        }
        assert!(Instant::now() < deadline, "{outcome:?}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// It follows: the core's own condition, as far as one region tells it.
async fn followed(stage: &Stage) -> DataFacts {
    let adapter = stage.adapter().await;
    let west = until(&adapter, "west", |facts| facts.role == DataRole::Writable).await;
    let follows =
        |facts: &DataFacts| facts.streaming && facts.timeline == west.timeline && facts.unfit.is_none();
    let east = until(&adapter, "east", follows).await;
    assert_eq!((east.role, &east.system), (DataRole::Standby, &west.system));
    east
}

/// How often each was asked for.
fn asked(stage: &Stage) -> (usize, usize) {
    (stage.asked_for(RENAME), stage.asked_for(CREATE))
}

fn strike(stage: &Stage, operation: &str, kind: FaultKind) {
    stage.aws.fault(Fault::of(operation, kind).up_to(1));
}

/// Waits for the reason why nothing is done, which it must name.
async fn waits(stage: &Stage, class: Option<ErrorClass>, why: &str) {
    let outcome = rejoin(&stage.adapter().await).await;
    match (&outcome, class) {
        (Outcome::Failed(found, _), Some(class)) if *found == class => {}
        (Outcome::Conflict(_), None) => {}
        _ => panic!("{outcome:?}"),
    }
    assert!(told(&outcome).contains(why), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_primary_gives_its_name_to_a_replica_and_is_kept() {
    let stage = moved().await;
    let [rename, create] = [Duration::from_mins(1); 2];
    stage.aws.set_rds_pace(RdsPace { rename, create, ..RdsPace::default() });
    let adapter = stage.adapter().await;
    let renamed = rejoin(&adapter).await;
    assert!(told(&renamed).starts_with("asked us-east-1 to call it orders-east-old-"), "{renamed:?}");
    let waits = rejoin(&adapter).await;
    assert!(told(&waits).contains("and will be called orders-east-old-"), "{waits:?}");
    stage.aws.skip(rename);
    rejoin_wholly(&stage).await;
    let running = rejoin(&adapter).await;
    assert!(told(&running).contains("is creating and a replica of"), "{running:?}");
    stage.aws.skip(create);
    followed(&stage).await;
    assert_eq!(rejoin(&stage.adapter().await).await, Outcome::AlreadyDone);
    assert_eq!(asked(&stage), (1, 1), "{:?}", stage.aws.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_replica_has_the_settings_of_the_old_primary() {
    let stage = moved().await;
    rejoin_wholly(&stage).await;
    followed(&stage).await;
    let (_, region, name) = REGIONS[0];
    let all = stage.aws.instance_shapes(ACCOUNT, region);
    let kept: Vec<&String> = all.keys().filter(|other| *other != name).collect();
    assert!(matches!(kept.as_slice(), [kept] if kept.starts_with("orders-east-old-")), "{kept:?}");
    assert_eq!(all[name], shape());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_finds_nobody_under_the_name_makes_the_replica() {
    let stage = moved().await;
    assert!(matches!(rejoin(&stage.adapter().await).await, Outcome::Failed(ErrorClass::Transient, _)));
    stage.aws.skip(Duration::from_secs(5));
    let other = stage.adapter().await;
    assert!(matches!(rejoin(&other).await, Outcome::Issued(_)));
    followed(&stage).await;
    assert_eq!(asked(&stage), (1, 1), "{:?}", stage.aws.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_were_lost_are_found_out_by_looking() {
    let stage = moved().await;
    strike(&stage, RENAME, FaultKind::LoseAnswer);
    strike(&stage, CREATE, FaultKind::LoseAnswer);
    let lost = rejoin(&stage.adapter().await).await;
    assert!(matches!(lost, Outcome::Failed(ErrorClass::UnknownOutcome, _)), "{lost:?}");
    stage.aws.skip(Duration::from_secs(5));
    let lost = rejoin(&stage.adapter().await).await;
    assert!(matches!(lost, Outcome::Failed(ErrorClass::UnknownOutcome, _)), "{lost:?}");
    rejoin_wholly(&stage).await;
    followed(&stage).await;
    assert_eq!(asked(&stage), (1, 1), "{:?}", stage.aws.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_were_lost_are_sent_again_once_rds_would_have_shown_them() {
    let stage = moved().await;
    let adapter = stage.adapter().await;
    strike(&stage, RENAME, FaultKind::LoseRequest);
    let lost = rejoin(&adapter).await;
    assert!(matches!(lost, Outcome::Failed(ErrorClass::UnknownOutcome, _)), "{lost:?}");
    let early = rejoin(&adapter).await;
    assert!(told(&early).contains("another name was asked for"), "{early:?}");
    assert_eq!(asked(&stage), (1, 0));
    let deadline = Instant::now() + SHOWN;
    while !matches!(rejoin(&adapter).await, Outcome::Issued(_)) {
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(asked(&stage), (2, 1), "{:?}", stage.aws.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_has_its_class_and_says_what_to_do_about_it() {
    let stage = moved().await;
    let answer =
        |status, code: &str| FaultKind::Answer { status, code: code.to_owned(), message: "no".to_owned() };
    strike(&stage, RENAME, FaultKind::Deny);
    waits(&stage, Some(ErrorClass::Denied), "rds:ModifyDBInstance").await;
    strike(&stage, RENAME, answer(400, "Throttling"));
    waits(&stage, Some(ErrorClass::Throttled), "rds:ModifyDBInstance").await;
    strike(&stage, RENAME, answer(400, "InvalidDBInstanceState"));
    waits(&stage, Some(ErrorClass::Transient), "InvalidDBInstanceState").await;
    assert_eq!(asked(&stage), (3, 0), "each was refused");
    rejoin(&stage.adapter().await).await;
    stage.aws.skip(Duration::from_secs(5));
    for (status, code, class, why) in [
        (400, "InstanceQuotaExceeded", ErrorClass::Invalid, "raise the quota"),
        (400, "InsufficientDBInstanceCapacity", ErrorClass::Transient, "no room"),
        (400, "KMSKeyNotAccessibleFault", ErrorClass::Invalid, "kms:CreateGrant"),
        (400, "DBInstanceAlreadyExists", ErrorClass::Transient, "whose it is"),
        (403, "AccessDenied", ErrorClass::Denied, "rds:AddTagsToResource"),
    ] {
        strike(&stage, CREATE, answer(status, code));
        waits(&stage, Some(class), why).await;
    }
    assert_eq!(asked(&stage), (4, 5));
    rejoin_wholly(&stage).await;
    assert_eq!(asked(&stage), (4, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_primary_that_lets_the_application_in_keeps_its_name() {
    let stage = moved().await;
    let opened = stage.adapter().await.unfence(&"east".into(), &ctx(1, 4)).await;
    assert_eq!(opened, Outcome::Issued(None));
    waits(&stage, Some(ErrorClass::Transient), "has to be fenced first").await;
    assert_eq!(asked(&stage), (0, 0), "{:?}", stage.aws.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_another_policy_closed_keeps_its_name() {
    let stage = moved().await;
    let foreign = stage.adapter_of("uid-2").await;
    let foreign_ctx = ctx_of("uid-2", (9, 1), Duration::from_secs(10), true);
    let refused = foreign.rejoin(&"east".into(), &"west".into(), &foreign_ctx).await;
    assert!(matches!(&refused, Outcome::Conflict(why) if why.contains(OWNER)), "{refused:?}");
    let unleased = ctx_of(OWNER, (1, 4), Duration::from_secs(10), false);
    let refused = stage.adapter().await.rejoin(&"east".into(), &"west".into(), &unleased).await;
    assert!(matches!(refused, Outcome::Failed(ErrorClass::Transient, _)), "{refused:?}");
    let older = ctx_of(OWNER, (0, 9), Duration::from_secs(10), true);
    let refused = stage.adapter().await.rejoin(&"east".into(), &"west".into(), &older).await;
    assert!(matches!(refused, Outcome::StaleEpoch(_)), "{refused:?}");
    assert_eq!(asked(&stage), (0, 0), "{:?}", stage.aws.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_of_either_database_proves_nothing() {
    let stage = moved().await;
    stage.pair().await.server("east").freeze();
    waits(&stage, Some(ErrorClass::Transient), "only one that is seen closed").await;
    stage.pair().await.server("east").thaw();
    // A log-in that it held up is gone, and what is said next is of the other one.
    until(&stage.adapter().await, "east", DataFacts::is_closed).await;
    stage.pair().await.server("west").freeze();
    waits(&stage, Some(ErrorClass::Transient), "its database does not answer").await;
    stage.pair().await.server("west").thaw();
    assert_eq!(asked(&stage), (0, 0), "{:?}", stage.aws.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_primary_that_rds_would_make_no_replica_of_is_told_before_anything_is_changed() {
    let stage = moved().await;
    let west = &stage.arns[1];
    stage.aws.set_instance_status(west, "backing-up");
    waits(&stage, Some(ErrorClass::Transient), "it is backing-up").await;
    stage.aws.set_instance_status(west, "available");
    stage.aws.set_backups(west, 0);
    waits(&stage, Some(ErrorClass::Invalid), "it keeps no backups").await;
    stage.aws.set_backups(west, 7);
    // Of each try: the first may wait for the old primary's last log-in.
    stage.aws.fault(Fault::of_everything(FaultKind::Deny).in_region("us-west-2"));
    waits(&stage, Some(ErrorClass::Transient), "RDS in us-west-2 refuses").await;
    assert_eq!(asked(&stage), (0, 0), "{:?}", stage.aws.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_put_under_the_name_is_left_alone() {
    let stage = moved().await;
    let (_, region, name) = REGIONS[0];
    let other = stage.aws.create_instance(ACCOUNT, region, "other");
    rejoin(&stage.adapter().await).await;
    stage.aws.skip(Duration::from_secs(5));
    stage.aws.create_read_replica(&other, region, name);
    waits(&stage, None, "RDS points no replica elsewhere").await;
    // A database of somebody's, which is none of this item's.
    stage.aws.create_instance(ACCOUNT, region, name);
    waits(&stage, Some(ErrorClass::Transient), "does not answer").await;
    assert_eq!(asked(&stage), (1, 0), "{:?}", stage.aws.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_primary_that_a_person_took_away_is_not_guessed() {
    let stage = moved().await;
    stage.aws.remove_instance(&stage.arns[0]);
    waits(&stage, None, "make it by hand").await;
    assert_eq!(asked(&stage), (0, 0), "{:?}", stage.aws.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_that_are_late_bring_about_no_second_call() {
    let stage = moved().await;
    let adapter = stage.adapter().await;
    let late = FaultKind::StaleReads(Duration::from_millis(1_500));
    stage.aws.fault(Fault::of("DescribeDBInstances", late));
    let deadline = Instant::now() + SHOWN;
    while rejoin(&adapter).await != Outcome::AlreadyDone {
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(asked(&stage), (1, 1), "{:?}", stage.aws.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_pending_or_given_just_now_is_waited_for() {
    let stage = moved().await;
    let [rename_pending, rename] = [Duration::from_mins(1), Duration::from_mins(1)];
    stage.aws.set_rds_pace(RdsPace { rename_pending, rename, ..RdsPace::default() });
    rejoin(&stage.adapter().await).await;
    waits(&stage, Some(ErrorClass::Transient), "it is available, and will be called orders-east-old-").await;
    stage.aws.skip(rename_pending);
    waits(&stage, Some(ErrorClass::Transient), "it is renaming, and will be called orders-east-old-").await;
    assert_eq!(asked(&stage), (1, 0), "{:?}", stage.aws.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_of_the_replica_is_told_while_its_database_is_silent() {
    let stage = moved().await;
    let adapter = stage.adapter().await;
    let create = Duration::from_hours(1);
    stage.aws.set_rds_pace(RdsPace { rename: Duration::ZERO, create, ..RdsPace::default() });
    let deadline = Instant::now() + PATIENCE;
    while !matches!(rejoin(&adapter).await, Outcome::Issued(_)) {
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(50)).await;
    }
    let seen = adapter.observe(&"east".into(), LOOK).await;
    assert!(matches!(&seen, Seen::Unknown(why) if why.contains("is creating and a replica of")), "{seen:?}");
}

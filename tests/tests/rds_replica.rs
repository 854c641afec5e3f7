//! Conformance of the engine `rdsReplica`: the real SDK against the fake's RDS, whose promotions are carried out on a real pair of
//! PostgreSQL that a master user set up who is no superuser.

#![expect(clippy::panic, reason = "what helps a test fails as the test does")]

#[path = "rds_replica/rebuild.rs"]
mod rebuild;
#[path = "rds_replica/stage.rs"]
mod stage;

use muster_aws_fake::{Fault, FaultKind};
use muster_core::facts::{DataFacts, DataRole, ErrorClass, Outcome, Seen};
use muster_core::ids::{Epoch, RegionName, Seq};
use muster_providers::DataControl;
use stage::{
    LOOK, OWNER, PATIENCE, REGIONS, Stage, calm, ctx, ctx_of, pace_of, promote, promote_wholly, told, until,
};
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_promoted_once_and_takes_writes() {
    let (stage, modifying) = (Stage::start().await, Duration::from_mins(1));
    stage.aws.set_rds_pace(pace_of(modifying));
    let adapter = stage.adapter().await;
    let before = calm(&adapter).await;
    assert_eq!((before.role, before.timeline, before.unfit), (DataRole::Standby, 1, None));
    let east = until(&adapter, "east", |facts| facts.role == DataRole::Writable).await;
    assert_eq!((east.system, east.unfit), (before.system, None));

    let issued = promote(&adapter).await;
    assert!(told(&issued).starts_with("asked us-west-2 for it; it has no backups yet"), "{issued:?}");
    let again = promote(&adapter).await;
    assert!(told(&again).starts_with("adopted: the instance"), "{again:?}");
    stage.aws.skip(modifying);
    promote_wholly(&adapter).await;
    assert_eq!(stage.asked(), 1, "{:?}", stage.aws.calls());

    let after = until(&adapter, "west", |facts| facts.role == DataRole::Writable).await;
    assert_eq!((after.timeline, after.unfit), (2, None));
    assert_eq!(adapter.open_writer(&"west".into(), &ctx(1, 3)).await, Outcome::Issued(None));
    let opened = until(&adapter, "west", |facts| facts.closed.is_open()).await;
    assert_eq!(opened.witness.map(|witness| witness.seq), Some(Seq(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_is_found_out_by_looking() {
    let stage = Stage::start().await;
    let adapter = stage.adapter().await;
    calm(&adapter).await;
    stage.fault(FaultKind::LoseAnswer);
    let lost = promote(&adapter).await;
    assert!(matches!(lost, Outcome::Failed(ErrorClass::UnknownOutcome, _)), "{lost:?}");
    promote_wholly(&adapter).await;
    assert_eq!(stage.asked(), 1, "{:?}", stage.aws.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_lost_is_sent_again() {
    let stage = Stage::start().await;
    let adapter = stage.adapter().await;
    calm(&adapter).await;
    stage.fault(FaultKind::LoseRequest);
    let lost = promote(&adapter).await;
    assert!(matches!(lost, Outcome::Failed(ErrorClass::UnknownOutcome, _)), "{lost:?}");
    promote_wholly(&adapter).await;
    assert_eq!(stage.asked(), 2, "{:?}", stage.aws.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_hangs_costs_no_more_than_the_deadline() {
    let stage = Stage::start().await;
    let adapter = stage.adapter().await;
    calm(&adapter).await;
    stage.fault(FaultKind::Hang);
    let began = Instant::now();
    let soon = ctx_of(OWNER, (1, 2), Duration::from_secs(8), true);
    let hung = adapter.promote(&"west".into(), &soon).await;
    assert!(matches!(hung, Outcome::Failed(ErrorClass::UnknownOutcome, _)), "{hung:?}");
    // A call ends by itself after 20 s.
    assert!(began.elapsed() < Duration::from_secs(18), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_told_before_the_day_and_waited_for_on_it() {
    let stage = Stage::start().await;
    let adapter = stage.adapter().await;
    calm(&adapter).await;
    stage.aws.set_instance_status(&stage.arns[1], "backing-up");
    let seen = until(&adapter, "west", |facts| facts.unready.is_some()).await;
    assert!(seen.unready.is_some_and(|why| why.contains("until the backup is done")));
    let waits = promote(&adapter).await;
    assert!(matches!(&waits, Outcome::Failed(ErrorClass::Transient, why) if why.contains("backing-up")));
    assert_eq!(stage.asked(), 0);
    stage.aws.set_instance_status(&stage.arns[1], "available");
    promote_wholly(&adapter).await;
    assert_eq!(stage.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_has_to_mend_is_not_tried() {
    let stage = Stage::start().await;
    let adapter = stage.adapter().await;
    calm(&adapter).await;
    stage.aws.set_instance_status(&stage.arns[1], "storage-full");
    let stuck = promote(&adapter).await;
    assert!(matches!(&stuck, Outcome::Failed(ErrorClass::Invalid, why) if why.contains("storage-full")));
    assert_eq!(stage.asked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_of_somebody_else_is_waited_for_and_then_done() {
    let (stage, modifying) = (Stage::start().await, Duration::from_mins(1));
    stage.aws.set_rds_pace(pace_of(modifying));
    let adapter = stage.adapter().await;
    calm(&adapter).await;
    assert!(matches!(promote(&stage.adapter().await).await, Outcome::Issued(_)));
    // No state of the replica tells a promotion from another change, and nothing is sent in any of them.
    let waits = promote(&adapter).await;
    assert!(
        matches!(&waits, Outcome::Failed(ErrorClass::Transient, why) if why == "it is modifying"),
        "{waits:?}"
    );
    stage.aws.skip(modifying);
    promote_wholly(&adapter).await;
    // And one that never saw it as a replica.
    let late = stage.adapter().await;
    until(&late, "west", |facts| facts.role == DataRole::Writable).await;
    assert_eq!(promote(&late).await, Outcome::AlreadyDone);
    assert_eq!(stage.asked(), 1, "{:?}", stage.aws.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_looked_into_and_has_its_class() {
    let stage = Stage::start().await;
    let adapter = stage.adapter().await;
    calm(&adapter).await;
    stage.fault(FaultKind::Deny);
    let denied = promote(&adapter).await;
    assert!(matches!(denied, Outcome::Failed(ErrorClass::Denied, _)), "{denied:?}");
    assert!(told(&denied).contains("rds:PromoteReadReplica"), "{denied:?}");
    for (status, code, class) in [
        (400, "Throttling", ErrorClass::Throttled),
        (404, "DBInstanceNotFound", ErrorClass::Invalid),
        (500, "InternalFailure", ErrorClass::UnknownOutcome),
        (400, "InvalidDBInstanceState", ErrorClass::Transient),
    ] {
        stage.fault(FaultKind::Answer { status, code: code.to_owned(), message: "no".to_owned() });
        let failed = promote(&adapter).await;
        assert!(matches!(&failed, Outcome::Failed(found, _) if *found == class), "{code}: {failed:?}");
        assert!(told(&failed).contains(code), "{failed:?}");
    }
    let seen = until(&adapter, "west", |facts| facts.unfit.is_none()).await;
    assert_eq!(seen.role, DataRole::Standby, "nothing has happened");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_of_which_nothing_is_heard_holds_nothing_up() {
    let stage = Stage::start().await;
    let adapter = stage.adapter().await;
    calm(&adapter).await;
    stage.aws.clear_calls();
    stage.aws.fault(Fault::of_everything(FaultKind::Hang).in_region("us-east-1"));
    stage.pair().await.server("east").freeze();
    let began = Instant::now();
    promote_wholly(&adapter).await;
    until(&adapter, "west", |facts| facts.role == DataRole::Writable).await;
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    let elsewhere = stage.aws.calls().into_iter().filter(|call| call.region != "us-west-2");
    assert_eq!(elsewhere.count(), 0, "{:?}", stage.aws.calls());
    let east = adapter.observe(&"east".into(), Duration::from_millis(500)).await;
    assert!(matches!(east, Seen::Unknown(_)), "{east:?}");
}

/// What a planned run does: nothing that was acknowledged is lost, and the application goes on at the new primary alone.
#[tokio::test(flavor = "multi_thread")]
async fn the_primary_is_closed_by_its_own_sql_before_the_replica_is_promoted() {
    let stage = Stage::start().await;
    let adapter = stage.adapter().await;
    calm(&adapter).await;
    let pair = stage.pair().await;
    let (east, west) = (pair.server("east"), pair.server("west"));
    let writer = east.application().await.expect("the application is let in");
    writer.batch_execute("insert into orders (item) values ('x')").await.expect("it writes");
    let fenced = adapter.fence(&"east".into(), &ctx(1, 2)).await;
    assert!(matches!(fenced, Outcome::Issued(_)), "{fenced:?}");
    assert!(writer.batch_execute("insert into orders (item) values ('late')").await.is_err());
    assert!(east.application().await.is_err(), "no new session");
    let closed = until(&adapter, "east", DataFacts::is_closed).await;
    assert_eq!((closed.role, closed.closed.app_write_refused), (DataRole::Writable, Some(true)));
    until(&adapter, "west", |facts| facts.replayed >= closed.position).await;

    assert_eq!(adapter.fence(&"west".into(), &ctx(1, 2)).await, Outcome::AlreadyDone, "it is a standby");
    promote_wholly(&adapter).await;
    until(&adapter, "west", |facts| facts.role == DataRole::Writable).await;
    assert!(west.application().await.is_err(), "the fence came here by replication");
    assert_eq!(adapter.open_writer(&"west".into(), &ctx(1, 3)).await, Outcome::Issued(None));
    until(&adapter, "west", |facts| facts.closed.is_open()).await;
    let writer = west.application().await.expect("the application is let in");
    writer.batch_execute("insert into orders (item) values ('y')").await.expect("it writes");
    assert_eq!(west.sql("select count(*) from orders").await.expect("a count"), ["2"]);
    assert!(until(&adapter, "east", DataFacts::is_closed).await.is_closed(), "the old primary stays closed");

    // A fence of the new primary is one of its own, and an undo opens it again.
    assert!(matches!(adapter.fence(&"west".into(), &ctx(1, 4)).await, Outcome::Issued(_)));
    assert_eq!(adapter.open_writer(&"west".into(), &ctx(1, 5)).await, Outcome::Issued(None));
    assert!(west.application().await.is_err(), "it was not closed elsewhere");
    assert_eq!(adapter.unfence(&"west".into(), &ctx(1, 6)).await, Outcome::Issued(None));
    west.application().await.expect("the application is let in");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_replica_has_seen_overtaken_is_not_asked_for() {
    let stage = Stage::start().await;
    let adapter = stage.adapter().await;
    calm(&adapter).await;
    assert_eq!(adapter.open_writer(&"east".into(), &ctx(5, 3)).await, Outcome::Issued(None));
    until(&adapter, "west", |facts| facts.witness.as_ref().is_some_and(|w| w.epoch == Epoch(5))).await;
    for older in [ctx(4, 9), ctx(5, 2)] {
        let refused = adapter.promote(&"west".into(), &older).await;
        assert!(matches!(refused, Outcome::StaleEpoch(_)), "{refused:?}");
    }
    let foreign = ctx_of("uid-2", (9, 1), Duration::from_secs(10), true);
    let refused = stage.adapter_of("uid-2").await.promote(&"west".into(), &foreign).await;
    assert!(matches!(&refused, Outcome::Conflict(why) if why.contains(OWNER)), "{refused:?}");
    let unleased = ctx_of(OWNER, (6, 1), Duration::from_secs(10), false);
    let refused = adapter.promote(&"west".into(), &unleased).await;
    assert!(matches!(refused, Outcome::Failed(ErrorClass::Transient, _)), "{refused:?}");
    assert_eq!(stage.asked(), 0, "{:?}", stage.aws.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_instance_of_the_same_name_is_a_stranger_until_it_is_seen_to_follow() {
    let stage = Stage::start().await;
    let adapter = stage.adapter().await;
    calm(&adapter).await;
    let first = until(&adapter, "west", |facts| facts.node.is_some()).await.node;
    let (_, west_aws, replica) = REGIONS[1];
    stage.aws.create_read_replica(&stage.arns[0], west_aws, replica);
    let refused = promote(&adapter).await;
    assert!(matches!(&refused, Outcome::Conflict(why) if why.contains("was replaced")), "{refused:?}");
    assert_eq!(stage.asked(), 0);
    let anew = until(&adapter, "west", |facts| facts.unfit.is_none() && facts.node.is_some()).await.node;
    assert_ne!(first, anew);
    promote_wholly(&adapter).await;
    assert_eq!(stage.asked(), 1);
    let promoted = until(&adapter, "west", |facts| facts.node.is_some()).await.node;
    assert_eq!(promoted, anew, "a promotion makes no other instance");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_of_the_policy_knows_which_instance_it_was() {
    let stage = Stage::start().await;
    let accounts = stage.accounts();
    let before = stage.adapter_in(&accounts, OWNER).await;
    calm(&before).await;
    let edited = stage.adapter_in(&accounts, OWNER).await;
    drop(before);
    let (_, west_aws, replica) = REGIONS[1];
    stage.aws.create_read_replica(&stage.arns[0], west_aws, replica);
    let refused = promote(&edited).await;
    assert!(matches!(&refused, Outcome::Conflict(why) if why.contains("was replaced")), "{refused:?}");
    assert_eq!(stage.asked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rds_has_no_way_to_do_is_refused_with_the_reason() {
    let stage = Stage::start().await;
    let adapter = stage.adapter().await;
    let (east, west) = (RegionName::from("east"), RegionName::from("west"));
    let rejoin = adapter.rejoin(&east, &west, &ctx(1, 1)).await;
    assert!(told(&rejoin).contains("has to be made anew as a replica of the one in west"), "{rejoin:?}");
    for refused in [
        rejoin,
        adapter.stop_receiving(&west, &ctx(1, 1)).await,
        adapter.resume_receiving(&west, &ctx(1, 1)).await,
        adapter.switch_over(&east, &west, &ctx(1, 1)).await,
        adapter.promote(&"north".into(), &ctx(1, 1)).await,
    ] {
        assert!(matches!(refused, Outcome::Failed(ErrorClass::Invalid, _)), "{refused:?}");
    }
    let loss = adapter.read_loss(&east, &west, "controller", LOOK).await;
    assert!(matches!(&loss, Seen::Unknown(why) if why.contains("no log")), "{loss:?}");
}

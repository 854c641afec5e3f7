//! What is observed: the database's own word, and what RDS says beside it.

use crate::stage::{
    EAST, EAST_AWS, KEY, OWNER, PATIENCE, QUICK, Stage, WEST, WEST_AWS, open_writer, until, until_hindered,
};
use futures::future::join_all;
use muster_aws_fake::{Fault, FaultKind};
use muster_core::facts::{DataFacts, DataRole, Outcome, Seen};
use muster_core::ids::{Epoch, Owner, Position, RegionName, Seq, Term};
use muster_core::secret::Secret;
use muster_core::time::Millis;
use muster_providers::DataControl;
use muster_providers::aurora::AuroraData;
use muster_providers::aws::AwsAccess;
use std::time::Duration;
use tokio::time::Instant;

/// How often each policy looks, in the test of what they share.
const LOOKS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn in_calm_both_members_say_who_they_are_and_none_is_unfit() {
    let stage = Stage::start().await;
    let data = stage.adapter();
    assert_eq!(open_writer(&data, EAST, 3).await, Outcome::Issued(None));
    let refused = open_writer(&data, EAST, 2).await;
    assert!(matches!(refused, Outcome::StaleEpoch(_)), "{refused:?}");
    let refused = open_writer(&data, WEST, 3).await;
    assert!(matches!(&refused, Outcome::Conflict(why) if why.contains("standby")), "{refused:?}");
    stage.sql(EAST, "insert into muster.heartbeat (writer, seq) values ('controller', 7)").await;

    let east = until(&data, EAST, |facts| facts.unfit.is_none() && facts.unready.is_none()).await;
    let west = until(&data, WEST, |facts| {
        facts.position == east.position && facts.unfit.is_none() && facts.unready.is_none()
    })
    .await;
    assert_eq!((east.role, east.streaming), (DataRole::Writable, false));
    assert_eq!((west.role, west.streaming), (DataRole::Standby, true));
    assert!(east.takes_writes() && west.is_closed());
    assert!(!east.system.is_empty());
    assert_eq!(east.system, west.system);
    for facts in [&east, &west] {
        assert_eq!((facts.timeline, facts.replayed), (1, east.position));
        assert_ne!(facts.position, Position(0));
        let beat = facts.heartbeat.as_ref().map(|beat| (beat.writer.as_str(), beat.seq));
        assert_eq!(beat, Some(("controller", 7)));
        let witness = facts.witness.clone().map(|of| (of.owner, of.epoch, of.term, of.seq));
        assert_eq!(witness, Some((Owner::new(OWNER), Epoch(3), Term(1), Seq(2))));
    }
    assert_eq!(stage.changes(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_word_of_the_database_nothing_is_known_whatever_rds_says() {
    const WRONG_PASSWORD: &str = "swordfish-4711";
    let stage = Stage::start().await;
    let data = stage.adapter();
    until(&data, WEST, |facts| facts.unfit.is_none() && facts.unready.is_none()).await;

    let mut config = stage.config(&AwsAccess::default());
    config.password = Secret::new(WRONG_PASSWORD);
    let stranger = AuroraData::new(config, &stage.accounts(KEY)).expect("the configuration holds");
    let seen = stranger.observe(&EAST.into(), PATIENCE).await;
    assert!(matches!(&seen, Seen::Unknown(why) if !why.contains(WRONG_PASSWORD)), "{seen:?}");

    stage.servers().lock().await.server_mut(WEST).stop();
    let seen = data.observe(&WEST.into(), PATIENCE).await;
    assert!(matches!(&seen, Seen::Unknown(why) if why.contains("connect")), "{seen:?}");
    // A machine that hangs keeps its connections.
    stage.servers().lock().await.server(EAST).freeze();
    let began = Instant::now();
    let seen = data.observe(&EAST.into(), QUICK).await;
    assert!(matches!(seen, Seen::Unknown(_)), "{seen:?}");
    assert!(began.elapsed() < QUICK + Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(stage.changes(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_rds_is_silent_the_database_is_believed_and_nothing_streams() {
    let stage = Stage::start().await;
    let data = stage.adapter();
    until(&data, WEST, |facts| facts.streaming).await;
    let answer = |status, code: &str| FaultKind::Answer {
        status,
        code: code.to_owned(),
        message: "of this test".to_owned(),
    };
    // What hangs comes last: a read that was begun is waited for by those who come after it.
    for kind in [answer(500, "InternalFailure"), answer(400, "Throttling"), FaultKind::Deny, FaultKind::Hang]
    {
        let told = format!("{kind:?}");
        let fault = stage.aws.fault(Fault::of_everything(kind).in_service("rds"));
        for (region, aws_region, role) in
            [(EAST, EAST_AWS, DataRole::Writable), (WEST, WEST_AWS, DataRole::Standby)]
        {
            let silent = format!("RDS in {aws_region} does not answer");
            let seen = until_hindered(&data, region, &silent).await;
            assert_eq!((seen.role, seen.streaming), (role, false), "{told}");
        }
        stage.aws.remove_fault(fault);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_rds_would_refuse_is_told_and_hinders_a_member() {
    let stage = Stage::start().await;
    let data = stage.adapter();
    until(&data, WEST, |facts| facts.unfit.is_none() && facts.unready.is_none()).await;
    let (aws, global, west) = (&stage.aws, &stage.global, &stage.west);

    aws.set_failover_state(global, "reticulating", &stage.east, west, false);
    for region in [EAST, WEST] {
        until_hindered(&data, region, "a switchover is under way (reticulating)").await;
    }
    aws.set_failover_state(global, "", &stage.east, west, false);
    aws.set_global_cluster_status(global, "modifying");
    for region in [EAST, WEST] {
        until_hindered(&data, region, "the global cluster is modifying").await;
    }
    aws.set_global_cluster_status(global, "available");
    aws.set_cluster_status(west, "upgrading");
    until_hindered(&data, WEST, "the cluster is upgrading").await;
    // Each member is judged by its own state.
    until(&data, EAST, |facts| facts.unfit.is_none() && facts.unready.is_none()).await;
    aws.set_cluster_status(west, "available");
    until(&data, WEST, |facts| facts.unfit.is_none() && facts.unready.is_none() && facts.streaming).await;
    aws.set_engine_version(west, "99.1");
    until_hindered(&data, WEST, "the cluster has version 99.1").await;
    aws.remove_instances(west);
    until_hindered(&data, WEST, "headless").await;
    assert_eq!(stage.changes(), []);
}

/// Forty looks cost no more calls than a few, and none is answered by what was read before it was asked.
#[tokio::test(flavor = "multi_thread")]
async fn policies_share_the_reads_of_rds_and_each_look_is_newer_than_asked() {
    let stage = Stage::start().await;
    let accounts = stage.accounts(KEY);
    let policies = [OWNER, "uid-2"].map(|owner| {
        let mut config = stage.config(&AwsAccess::default());
        config.owner = Owner::new(owner);
        AuroraData::new(config, &accounts).expect("the configuration holds")
    });
    let west = &RegionName::from(WEST);
    for status in ["available", "upgrading"] {
        stage.aws.set_cluster_status(&stage.west, status);
        let looks = policies.iter().flat_map(|data| (0..LOOKS).map(move |_| data.observe(west, PATIENCE)));
        for seen in join_all(looks).await {
            assert!(matches!(&seen, Seen::Known(facts) if tells(facts, status)), "{status}: {seen:?}");
        }
    }
    let calls = stage.aws.calls();
    for operation in ["DescribeGlobalClusters", "DescribeDBClusters"] {
        let count = calls.iter().filter(|call| call.operation == operation).count();
        assert!((2..=4).contains(&count), "{count} of {operation}");
    }
    assert!(calls.iter().all(|call| call.region == WEST_AWS && !call.is_mutation), "{calls:?}");
}

/// Whether the facts are of a time when the cluster had this status.
fn tells(facts: &DataFacts, status: &str) -> bool {
    match &facts.unready {
        None => status == "available",
        Some(why) => *why == format!("the cluster is {status}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_rds_does_not_answer_looks_do_without_it_and_its_circuit_is_open() {
    let stage = Stage::start().await;
    let accounts = stage.accounts(KEY);
    let data = AuroraData::new(stage.config(&AwsAccess::default()), &accounts).expect("it holds");
    let is_open = |region: &str| {
        let circuits = accounts.circuits();
        circuits.iter().any(|circuit| circuit.region == region && circuit.is_open)
    };
    until(&data, WEST, |facts| facts.unready.is_none()).await;
    assert!(!is_open(WEST_AWS));
    stage.aws.fault(Fault::of_everything(FaultKind::LoseRequest).in_region(WEST_AWS));
    until_hindered(&data, WEST, "times in a row, asked again every").await;
    assert!(is_open(WEST_AWS) && !is_open(EAST_AWS));
    let west = until(&data, WEST, |_| true).await;
    assert_eq!((west.role, west.streaming), (DataRole::Standby, false));
    stage.aws.clear_faults();
    until(&data, WEST, |facts| facts.unready.is_none()).await;
    assert!(!is_open(WEST_AWS));
}

/// Has every server answer as an instance of Aurora does when it is asked how far each cluster is behind. Muster looks for nothing
/// outside of the system's own schema.
async fn tell_lag(stage: &Stage, rows: &str) {
    stage
        .sql(
            EAST,
            &format!(
                "set allow_system_table_mods = on; \
                 create or replace function pg_catalog.aurora_global_db_status() returns table (aws_region text, \
                 highest_lsn_written bigint, durability_lag_in_msec float8, rpo_lag_in_msec float8, \
                 last_lag_calculation_time timestamptz, feedback_epoch bigint, feedback_xmin bigint) \
                 language sql as $$ {rows} $$"
            ),
        )
        .await;
}

/// A row of the writer, and one of the standby that is so far behind.
fn behind(milliseconds: u32) -> String {
    format!(
        "values ('{EAST_AWS}', 7::bigint, -1::float8, -1::float8, 'epoch'::timestamptz, 0::bigint, 0::bigint), \
         ('{WEST_AWS}', 7, 12, {milliseconds}, now() - interval '2 s', 0, 9)"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn how_far_a_standby_is_behind_is_told_by_any_cluster_and_stays_known_with_its_age() {
    let stage = Stage::start().await;
    let data = stage.adapter();
    tell_lag(&stage, &format!("select * from ({}) rows where not pg_is_in_recovery()", behind(483))).await;
    let east = until(&data, EAST, |facts| facts.role == DataRole::Writable).await;
    assert_eq!(east.lag, None, "a writer is not behind");
    let first = until(&data, WEST, |facts| facts.lag.is_some()).await.lag.expect("the writer told it");
    assert_eq!(first.behind, Millis(483));
    assert!(first.age >= Millis(2_000) && first.age < Millis(60_000), "{first}");
    stage.servers().lock().await.server_mut(EAST).kill();
    let later = until(&data, WEST, |facts| facts.lag.is_some_and(|lag| lag.age > first.age)).await;
    assert_eq!(later.lag.map(|lag| lag.behind), Some(Millis(483)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_is_far_behind_may_take_over_all_the_same() {
    let stage = Stage::start().await;
    let data = stage.adapter();
    tell_lag(&stage, &behind(95_000)).await;
    let facts = until(&data, WEST, |facts| facts.lag.is_some() && facts.unready.is_none()).await;
    assert_eq!(facts.lag.map(|lag| lag.behind), Some(Millis(95_000)));
    assert_eq!(facts.unfit, None, "a failover goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lag_that_nobody_tells_holds_up_no_look() {
    let stage = Stage::start().await;
    for rows in ["select * from (select pg_sleep(60)) s, (RWS) r", "select r.* from (RWS) r where 1 / 0 > 1"]
    {
        let data = stage.adapter();
        tell_lag(&stage, &rows.replace("select *", "select r.*").replace("RWS", &behind(1))).await;
        let began = Instant::now();
        let facts = until(&data, WEST, |facts| facts.role == DataRole::Standby).await;
        assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
        assert_eq!(facts.lag, None);
        until(&data, WEST, |facts| facts.streaming).await;
    }
}

use super::*;
use muster_core::facts::DataRole;
use muster_core::ids::Position;

#[tokio::test]
async fn both_nodes_say_who_they_are() {
    let (pair, data) = pair("").await;
    issued(&data.open_writer(&region("east"), &ctx(1, 1)).await);
    pair.server("east").sql("insert into muster.heartbeat values ('w1', 7)").await.unwrap();
    pair.caught_up().await.unwrap();

    let east = facts(&data, "east").await;
    assert_eq!((east.role, east.timeline, east.streaming), (DataRole::Writable, 1, false));
    assert_eq!(
        east.witness.as_ref().map(|w| (w.owner.as_str().to_owned(), w.epoch)),
        Some((OWNER.into(), Epoch(1)))
    );
    assert_eq!(east.heartbeat.as_ref().map(|h| (h.writer.as_str(), h.seq)), Some(("w1", 7)));
    assert_eq!((east.upstream, east.sync_name), (None, None));
    assert_eq!(
        east.closed,
        muster_core::facts::ClosedView::default(),
        "an open writer has nothing that speaks for a fence"
    );

    let west = until(&data, "west", |f| f.replayed >= east.position).await;
    assert_eq!((west.role, west.timeline, west.streaming), (DataRole::Standby, 1, true));
    assert_eq!(west.system, east.system);
    assert_eq!(west.upstream, Some(format!("127.0.0.1:{}", pair.server("east").port)));
    assert_eq!(west.sync_name.as_deref(), Some("west"));
    assert_eq!(west.witness, east.witness);
    assert_eq!(west.heartbeat, east.heartbeat);
}

#[tokio::test]
async fn the_end_of_the_log_is_a_place_that_a_standby_reaches() {
    let (pair, data) = pair("").await;
    let east = pair.server("east").superuser().await.unwrap();
    // Records of every length, so that some end exactly with their page.
    for length in 0..120 {
        let message =
            format!("select pg_logical_emit_message(true, 'm', repeat('x', {}))", length * 8 % 8192);
        east.batch_execute(&message).await.unwrap();
        let written = facts(&data, "east").await.position;
        until(&data, "west", |f| f.replayed >= written).await;
    }
    assert_ne!(facts(&data, "east").await.position, Position(0));
}

#[tokio::test]
async fn the_synchronous_settings_are_read_with_what_undermines_them() {
    let (pair, data) = pair("fsync = on").await;
    pair.set("synchronous_standby_names", "ANY 1 (west, north)").await.unwrap();
    let east = pair.server("east");
    let sync = facts(&data, "east").await.sync;
    assert_eq!((sync.listed, sync.needed), (vec!["west".to_owned(), "north".into()], 1));
    assert!(sync.level_holds && sync.names_unique);

    east.sql("alter role shop set synchronous_commit = local").await.unwrap();
    assert!(!facts(&data, "east").await.sync.level_holds, "an override of a role");
    east.sql("alter role shop reset synchronous_commit; alter database shop set synchronous_commit = off")
        .await
        .unwrap();
    assert!(!facts(&data, "east").await.sync.level_holds, "an override of a database");
    east.sql("alter database shop reset synchronous_commit").await.unwrap();
    east.sql("alter system set synchronous_commit = remote_write").await.unwrap();
    east.sql("select pg_reload_conf()").await.unwrap();
    until(&data, "east", |f| !f.sync.level_holds).await;
    east.sql("alter system set synchronous_commit = remote_apply").await.unwrap();
    east.sql("select pg_reload_conf()").await.unwrap();
    until(&data, "east", |f| f.sync.level_holds).await;
}

#[tokio::test]
async fn a_frozen_node_is_unknown_in_time_and_known_again_after() {
    let (pair, data) = pair("").await;
    facts(&data, "east").await;
    pair.server("east").freeze();
    let mut took = Vec::new();
    for _ in 0..5 {
        let begun = Instant::now();
        let seen = data.observe(&region("east"), Duration::from_millis(500)).await;
        assert!(matches!(seen, Seen::Unknown(_)), "{seen:?}");
        took.push(begun.elapsed());
    }
    // A busy machine may hold some of them up.
    assert!(took.iter().any(|took| *took < Duration::from_millis(900)), "{took:?}");
    let outcome = data.fence(&region("east"), &ctx_of(OWNER, 1, 1, Duration::from_millis(500)).0).await;
    assert!(matches!(outcome, Outcome::Failed(..)), "{outcome:?}");
    facts(&data, "west").await;
    pair.server("east").thaw();
    assert_eq!(facts(&data, "east").await.role, DataRole::Writable);
}

#[tokio::test]
async fn a_dead_node_is_unknown_and_a_restarted_one_is_seen_at_once() {
    let (mut pair, data) = pair("").await;
    facts(&data, "east").await;
    pair.server_mut("east").kill();
    let seen = data.observe(&region("east"), SECONDS).await;
    assert!(matches!(&seen, Seen::Unknown(why) if why.contains("failed to")), "{seen:?}");
    let west = facts(&data, "west").await;
    assert!(!west.streaming && west.upstream.is_some(), "it would receive again: {west:?}");
    pair.server_mut("east").start().await.unwrap();
    facts(&data, "east").await;
}

#[tokio::test]
async fn a_missing_setup_and_a_wrong_password_are_said_plainly() {
    let (pair, _) = pair("").await;
    let mut config = pair.config(OWNER);
    config.database = "postgres".into();
    let seen = adapter(config).observe(&region("east"), SECONDS).await;
    assert!(matches!(&seen, Seen::Unknown(why) if why.contains("setup SQL")), "{seen:?}");

    let mut config = pair.config(OWNER);
    config.password = muster_core::secret::Secret::new("hunter2");
    let data = adapter(config);
    let seen = data.observe(&region("east"), SECONDS).await;
    assert!(
        matches!(&seen, Seen::Unknown(why) if why.contains("password authentication failed") && !why.contains("hunter2"))
    );
    let outcome = data.promote(&region("west"), &ctx(1, 1)).await;
    assert!(matches!(outcome, Outcome::Failed(muster_core::facts::ErrorClass::Denied, _)), "{outcome:?}");
    let seen = data.observe(&region("nowhere"), SECONDS).await;
    assert!(matches!(&seen, Seen::Unknown(why) if why.contains("no PostgreSQL node")), "{seen:?}");
}

#[tokio::test]
async fn musters_role_can_do_no_more_than_its_work() {
    let (pair, _) = pair("").await;
    let muster = pair.server("east").connect("muster", "muster", "shop").await.unwrap();
    let _session = pair.server("east").superuser().await.unwrap();
    for denied in [
        "select * from orders",
        "update muster.witness set epoch = 0",
        "delete from muster.fence",
        "insert into muster.fenced_role values ('postgres')",
        "alter role shop nologin",
        "select pg_promote()",
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'postgres' and datname = 'shop'",
        "select pg_read_file('postgresql.conf')",
        "alter system set fsync = off",
        "create table public.t (i int)",
    ] {
        let error = muster.batch_execute(denied).await.expect_err(denied);
        assert_eq!(
            error.code().map(tokio_postgres::error::SqlState::code),
            Some("42501"),
            "{denied}: {error:?}"
        );
    }
    let shop = pair.server("east").application().await.unwrap();
    for denied in
        ["select muster.end_sessions()", "select * from muster.witness", "select * from muster.app_write"]
    {
        let error = shop.batch_execute(denied).await.expect_err(denied);
        assert_eq!(
            error.code().map(tokio_postgres::error::SqlState::code),
            Some("42501"),
            "{denied}: {error:?}"
        );
    }
    pair.server("east")
        .sql(&crate::postgres::setup_sql("muster", "shop"))
        .await
        .expect("the setup may run again");
}

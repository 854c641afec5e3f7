use super::*;

#[tokio::test]
async fn a_stopped_standby_confirms_nothing_until_it_receives_again() {
    let (pair, data) = pair("").await;
    pair.set("synchronous_standby_names", "west").await.unwrap();
    let west = region("west");
    issued(&data.open_writer(&region("east"), &ctx(1, 1)).await);
    pair.caught_up().await.unwrap();
    let before = facts(&data, "west").await;
    issued(&data.stop_receiving(&west, &ctx(1, 2)).await);
    let stopped = until(&data, "west", |f| !f.streaming && f.upstream.is_none()).await;
    assert_eq!(stopped.sync_name.as_deref(), Some("west"), "it is still the one on the list");
    assert_eq!(data.stop_receiving(&west, &ctx(1, 2)).await, Outcome::AlreadyDone);

    // No commit is acknowledged any more.
    let shop = pair.server("east").application().await.unwrap();
    let commit = shop.batch_execute("insert into notes values ('unconfirmed')");
    let mut commit = Box::pin(commit);
    assert!(tokio::time::timeout(Duration::from_millis(500), commit.as_mut()).await.is_err());
    assert_eq!(facts(&data, "west").await.position, stopped.position, "it receives nothing");

    issued(&data.resume_receiving(&west, &ctx(1, 3)).await);
    tokio::time::timeout(SECONDS, commit).await.unwrap().unwrap();
    let again = until(&data, "west", |f| f.streaming).await;
    assert_eq!(again.upstream, before.upstream);
    assert_eq!(data.resume_receiving(&west, &ctx(1, 3)).await, Outcome::AlreadyDone);
}

#[tokio::test]
async fn a_stop_survives_a_restart_and_is_forgotten_by_a_promoted_node() {
    let (mut pair, data) = pair("").await;
    let west = region("west");
    issued(&data.open_writer(&region("east"), &ctx(1, 1)).await);
    pair.caught_up().await.unwrap();
    let source = pair.server("west").value("show primary_conninfo").await.unwrap();
    issued(&data.stop_receiving(&west, &ctx(2, 1)).await);
    until(&data, "west", |f| f.upstream.is_none()).await;
    pair.server_mut("west").stop();
    pair.server_mut("west").start().await.unwrap();
    let seen = facts(&data, "west").await;
    assert!(!seen.streaming && seen.upstream.is_none(), "{seen:?}");

    issued(&data.promote(&west, &ctx(2, 2)).await);
    until(&data, "west", |f| f.role == muster_core::facts::DataRole::Writable).await;
    issued(&data.open_writer(&west, &ctx(2, 3)).await);
    let set = "select setting from pg_file_settings where name = 'primary_conninfo'";
    assert_eq!(pair.server("west").value(set).await.unwrap(), source);
}

#[tokio::test]
async fn a_stale_stop_is_refused_and_a_writer_is_no_standby() {
    let (pair, data) = pair("").await;
    issued(&data.open_writer(&region("east"), &ctx(3, 1)).await);
    pair.caught_up().await.unwrap();
    let outcome = data.stop_receiving(&region("west"), &ctx(2, 1)).await;
    assert!(matches!(outcome, Outcome::StaleEpoch(_)), "{outcome:?}");
    let outcome = data.stop_receiving(&region("east"), &ctx(3, 2)).await;
    assert!(matches!(outcome, Outcome::Conflict(_)), "{outcome:?}");
    assert!(facts(&data, "west").await.streaming);
}

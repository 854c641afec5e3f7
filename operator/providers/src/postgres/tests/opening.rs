use super::*;
use muster_core::facts::DataRole;

async fn promote(data: &PostgresData, epoch: u64) {
    issued(&data.promote(&region("west"), &ctx(epoch, 10)).await);
    until(data, "west", |f| f.role == DataRole::Writable).await;
}

#[tokio::test]
async fn a_fence_that_was_replicated_is_undone_on_the_new_primary_only() {
    let (pair, data) = pair("").await;
    issued(&data.fence(&region("east"), &ctx(1, 1)).await);
    pair.caught_up().await.unwrap();
    promote(&data, 1).await;
    pair.server("west").application().await.expect_err("the fence came with the log");
    issued(&data.open_writer(&region("west"), &ctx(1, 11)).await);
    pair.server("west")
        .application()
        .await
        .unwrap()
        .batch_execute("insert into notes values ('n')")
        .await
        .unwrap();
    until(&data, "east", DataFacts::is_closed).await;
    issued(&data.open_writer(&region("east"), &ctx(1, 12)).await);
    // Opening undoes no fence that was made on this very timeline. One look is no proof of it: the server's own work
    // may just have moved the position.
    let east = until(&data, "east", DataFacts::is_closed).await;
    assert!(east.closed.role_closed, "{:?}", east.closed);
}

#[tokio::test]
async fn only_our_own_fence_is_undone() {
    let (pair, data) = pair("").await;
    pair.server("east").sql("alter role shop nologin").await.unwrap();
    issued(&data.fence(&region("east"), &ctx(1, 1)).await);
    issued(&data.unfence(&region("east"), &ctx(1, 2)).await);
    pair.server("east").application().await.expect_err("somebody else's decision stands");
}

#[tokio::test]
async fn a_promoted_node_whose_list_nobody_confirms_is_cleared_and_takes_writes() {
    let (mut pair, data) = pair("").await;
    pair.set("synchronous_standby_names", "east, west").await.unwrap();
    issued(&data.open_writer(&region("east"), &ctx(1, 1)).await);
    pair.caught_up().await.unwrap();
    pair.server_mut("east").kill();
    promote(&data, 2).await;
    // A client that came too early hangs in its commit, until the list is cleared.
    let early = pair.server("west").application().await.unwrap();
    let hung = tokio::spawn(async move { early.batch_execute("insert into notes values ('early')").await });
    pair.server("west")
        .until("select count(*) > 0 from pg_stat_activity where wait_event = 'SyncRep'", "t")
        .await
        .unwrap();
    let begun = Instant::now();
    let outcome = data.open_writer(&region("west"), &ctx(2, 11)).await;
    println!("open writer with a list: {:?}", begun.elapsed());
    assert!(matches!(&outcome, Outcome::Issued(Some(said)) if said.contains("east, west")), "{outcome:?}");
    tokio::time::timeout(SECONDS, hung).await.unwrap().unwrap().unwrap();
    pair.server("west")
        .application()
        .await
        .unwrap()
        .batch_execute("insert into notes values ('n')")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_primary_that_was_not_promoted_keeps_its_list_also_without_standbys() {
    let (mut pair, data) = pair("").await;
    pair.set("synchronous_standby_names", "west").await.unwrap();
    issued(&data.open_writer(&region("east"), &ctx(1, 1)).await);
    pair.server_mut("west").kill();
    issued(&data.open_writer(&region("east"), &ctx(2, 1)).await);
    assert_eq!(pair.server("east").value("show synchronous_standby_names").await.unwrap(), "west");
    issued(&data.fence(&region("east"), &ctx(2, 2)).await);
    until(&data, "east", |f| f.closed.app_write_refused == Some(true)).await;
}

#[tokio::test]
async fn a_standby_cannot_be_opened() {
    let (_pair, data) = pair("").await;
    let outcome = data.open_writer(&region("west"), &ctx(1, 1)).await;
    assert!(matches!(outcome, Outcome::Conflict(_)), "{outcome:?}");
    assert_eq!(data.fence(&region("west"), &ctx(1, 1)).await, Outcome::AlreadyDone, "it takes no writes");
}

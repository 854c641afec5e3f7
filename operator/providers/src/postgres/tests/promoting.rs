use super::*;
use muster_core::facts::{DataRole, ErrorClass};

#[tokio::test]
async fn a_promotion_takes_milliseconds_and_twice_is_already_done() {
    let (mut pair, data) = pair("").await;
    issued(&data.open_writer(&region("east"), &ctx(1, 1)).await);
    pair.caught_up().await.unwrap();
    facts(&data, "west").await;
    pair.server_mut("east").kill();
    let (first, guard) = ctx_of(OWNER, 2, 1, SECONDS);
    let begun = Instant::now();
    issued(&data.promote(&region("west"), &first).await);
    let promoted = until(&data, "west", |f| f.role == DataRole::Writable).await;
    println!("promote to writable seen: {:?}", begun.elapsed());
    assert!(begun.elapsed() < SECONDS);
    assert_eq!((promoted.timeline, guard.sent()), (2, 1));
    assert_eq!(data.promote(&region("west"), &ctx(2, 1)).await, Outcome::AlreadyDone);
    issued(&data.open_writer(&region("west"), &ctx(2, 2)).await);
    pair.server("west")
        .application()
        .await
        .unwrap()
        .batch_execute("insert into notes values ('n')")
        .await
        .unwrap();
    let outcome = data.promote(&region("west"), &ctx(1, 9)).await;
    assert!(
        matches!(outcome, Outcome::StaleEpoch(_)),
        "a writable node refuses the stale one too: {outcome:?}"
    );
}

#[tokio::test]
async fn a_stale_a_foreign_and_an_unseen_promotion_are_refused_by_the_standby() {
    let (pair, data) = pair("").await;
    let west = region("west");
    let outcome = data.promote(&west, &ctx(1, 1)).await;
    assert!(matches!(&outcome, Outcome::Conflict(why) if why.contains("no witness")), "{outcome:?}");

    issued(&data.open_writer(&region("east"), &ctx(3, 5)).await);
    pair.caught_up().await.unwrap();
    for (epoch, seq) in [(2, 9), (3, 4)] {
        let outcome = data.promote(&west, &ctx(epoch, seq)).await;
        assert!(matches!(outcome, Outcome::StaleEpoch(_)), "{outcome:?}");
    }
    let (foreign, _) = ctx_of("policy-2", 9, 1, SECONDS);
    let outcome = adapter(pair.config("policy-2")).promote(&west, &foreign).await;
    assert!(matches!(outcome, Outcome::Conflict(_)), "{outcome:?}");
    assert_eq!(facts(&data, "west").await.role, DataRole::Standby);
}

#[tokio::test]
async fn a_promotion_that_thaws_after_its_deadline_is_refused_by_the_nodes_own_clock() {
    let (pair, data) = pair("").await;
    issued(&data.open_writer(&region("east"), &ctx(1, 1)).await);
    pair.caught_up().await.unwrap();
    let west = region("west");
    let (late, _) = ctx_of(OWNER, 2, 1, Duration::from_secs(4));
    let prepared = data.prepare(&west, &late).await.expect("connected");
    pair.server("west").freeze();
    let call = data.steering().call(&prepared, super::super::steering::Change::Promote, &late).await;
    let error = call.expect_err("no answer");
    assert_eq!(error.class(true), ErrorClass::UnknownOutcome, "it was sent: {error}");
    assert!(late.remaining().is_zero());
    // The request lies in the socket of the frozen backend, which reads it now.
    pair.server("west").thaw();
    let log = pair.server("west").log();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(1) {
        assert_eq!(facts(&data, "west").await.role, DataRole::Standby);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!std::fs::read_to_string(log).unwrap().contains("received promote request"));
    issued(&data.promote(&west, &ctx(2, 1)).await);
    until(&data, "west", |f| f.role == DataRole::Writable).await;
}

#[tokio::test]
async fn an_expired_deadline_is_refused_by_the_node_itself() {
    let (pair, data) = pair("").await;
    issued(&data.open_writer(&region("east"), &ctx(1, 1)).await);
    pair.caught_up().await.unwrap();
    let muster = pair.server("west").connect("muster", "muster", "shop").await.unwrap();
    let sql = "select muster.promote('policy-1', 9, 1, 1, '{}', clock_timestamp() - interval '1 ms')";
    let verdict: String = muster.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(verdict, "late");
    assert_eq!(facts(&data, "west").await.role, DataRole::Standby);
}

#[tokio::test]
async fn two_writable_nodes_are_both_seen_writable() {
    let (pair, data) = pair("").await;
    issued(&data.open_writer(&region("east"), &ctx(1, 1)).await);
    pair.caught_up().await.unwrap();
    issued(&data.promote(&region("west"), &ctx(2, 1)).await);
    let west = until(&data, "west", |f| f.role == DataRole::Writable).await;
    let east = facts(&data, "east").await;
    assert_eq!(east.role, DataRole::Writable);
    assert!(!east.is_closed() && !west.is_closed());
    assert_eq!((east.timeline, west.timeline), (1, 2));
}

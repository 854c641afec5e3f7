use super::*;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio_postgres::error::SqlState;

#[tokio::test]
async fn a_fence_refuses_real_writes_also_of_open_sessions_and_can_be_undone() {
    let (pair, data) = pair("").await;
    let east = region("east");
    let writers = [Writer::start(&pair, "east").await, Writer::start(&pair, "east").await];
    let idle = pair.server("east").application().await.unwrap();
    let open = facts(&data, "east").await;
    assert!(!open.is_closed());

    let begun = Instant::now();
    issued(&data.fence(&east, &ctx(1, 1)).await);
    println!("fence: {:?}", begun.elapsed());
    for writer in writers {
        assert!(writer.refused().await > 0);
    }
    assert!(idle.batch_execute("insert into orders (item) values ('late')").await.is_err());
    let again = pair.server("east").application().await.expect_err("no new session");
    assert!(again.to_string().contains("db error") || again.to_string().contains("not permitted"), "{again}");

    let closed = until(&data, "east", DataFacts::is_closed).await;
    assert_eq!(closed.closed.app_write_refused, Some(true));
    let west = until(&data, "west", |f| f.replayed >= closed.position).await;
    assert_eq!(west.witness, closed.witness, "the standby knows it too");
    let [here, there] = ["east", "west"].map(|r| pair.server(r).sql("select count(*) from orders"));
    assert_eq!(here.await.unwrap(), there.await.unwrap(), "everything that was acknowledged is there");

    issued(&data.fence(&east, &ctx(1, 1)).await);
    issued(&data.unfence(&east, &ctx(1, 2)).await);
    let reopened = facts(&data, "east").await;
    assert_ne!(reopened.closed.app_write_refused, Some(true));
    pair.server("east")
        .application()
        .await
        .unwrap()
        .batch_execute("insert into notes values ('n')")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_read_only_default_is_no_fence() {
    let (pair, data) = pair("").await;
    pair.server("east").sql("alter role shop set default_transaction_read_only = on").await.unwrap();
    let east = facts(&data, "east").await;
    assert!(!east.is_closed());
    assert_eq!(east.closed.app_write_refused, None);
    let shop = pair.server("east").application().await.unwrap();
    shop.batch_execute("set default_transaction_read_only = off").await.unwrap();
    shop.batch_execute("insert into orders (item) values ('x')")
        .await
        .expect("a session turns it off and writes");
}

#[tokio::test]
async fn whatever_could_still_write_keeps_a_fence_from_being_closed() {
    let (pair, data) = pair("max_prepared_transactions = 5").await;
    let east = pair.server("east");
    let prepared = east.superuser().await.unwrap();
    prepared
        .batch_execute("begin; insert into orders (item) values ('p'); prepare transaction 'p1'")
        .await
        .unwrap();
    issued(&data.fence(&region("east"), &ctx(1, 1)).await);

    let seen = until(&data, "east", |f| f.closed.app_write_refused == Some(true)).await;
    assert_eq!(seen.closed.prepared, 1);
    assert!(seen.closed.sessions >= 1, "a superuser's session could write");
    assert!(!seen.closed.position_still, "a prepared transaction is still writing");
    prepared.batch_execute("rollback prepared 'p1'").await.unwrap();
    drop(prepared);
    until(&data, "east", DataFacts::is_closed).await;

    let superuser = east.superuser().await.unwrap();
    superuser.batch_execute("begin; insert into orders (item) values ('s')").await.unwrap();
    let seen = facts(&data, "east").await;
    assert!(!seen.closed.position_still && seen.closed.sessions == 1, "{:?}", seen.closed);
    drop(superuser);
    until(&data, "east", DataFacts::is_closed).await;
}

#[tokio::test]
async fn transactions_of_nobody_here_delay_the_proof_and_are_no_writer() {
    let (pair, data) = pair("").await;
    let east = pair.server("east");
    issued(&data.fence(&region("east"), &ctx(1, 1)).await);
    until(&data, "east", DataFacts::is_closed).await;
    // Takes numbers of transactions as the server's own clean-up does, from where no session of this database is.
    let elsewhere = east.connect("postgres", "", "template1").await.unwrap();
    let busy =
        tokio::spawn(
            async move { while elsewhere.batch_execute("select pg_current_xact_id()").await.is_ok() {} },
        );
    let seen = until(&data, "east", |f| !f.closed.position_still).await;
    busy.abort();
    assert!(!seen.is_closed() && !seen.takes_writes(), "{:?}", seen.closed);
}

/// What a pool does whose primary was fenced.
#[tokio::test]
async fn clients_that_try_to_log_in_without_end_do_not_delay_the_proof() {
    let (pair, data) = pair("").await;
    let port = pair.server("east").port;
    let refused = Arc::new(AtomicU64::default());
    let mut storm = JoinSet::new();
    for _ in 0..16 {
        let refused = refused.clone();
        storm.spawn(async move {
            let login = format!("host=127.0.0.1 port={port} user=shop password=shop dbname=shop");
            loop {
                if tokio_postgres::connect(&login, tokio_postgres::NoTls).await.is_err() {
                    refused.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    issued(&data.fence(&region("east"), &ctx(1, 1)).await);
    let before = refused.load(Ordering::Relaxed);
    until(&data, "east", DataFacts::is_closed).await;
    until(&data, "east", |f| f.is_closed() && refused.load(Ordering::Relaxed) > before + 32).await;
}

#[tokio::test]
async fn a_client_that_goes_silent_in_its_log_in_is_sent_away() {
    let (pair, data) = pair("").await;
    let mut silent = tokio::net::TcpStream::connect(("127.0.0.1", pair.server("east").port)).await.unwrap();
    let body = b"\0\x03\0\0user\0shop\0database\0shop\0\0";
    silent.write_u32(u32::try_from(body.len() + 4).unwrap()).await.unwrap();
    silent.write_all(body).await.unwrap();
    assert_eq!(silent.read_u8().await.unwrap(), b'R', "asked for a password");

    issued(&data.fence(&region("east"), &ctx(1, 1)).await);
    until(&data, "east", DataFacts::is_closed).await;
    let end = tokio::time::timeout(SECONDS, silent.read_to_end(&mut Vec::new())).await;
    assert!(end.is_ok(), "the server hung up");
}

#[tokio::test]
async fn a_listed_role_that_can_log_in_again_voids_the_proof() {
    let (pair, data) = pair("").await;
    let east = pair.server("east");
    east.sql("create role batch login; insert into muster.fenced_role values ('batch')").await.unwrap();
    issued(&data.fence(&region("east"), &ctx(1, 1)).await);
    until(&data, "east", DataFacts::is_closed).await;
    east.sql("alter role batch login").await.unwrap();
    let seen = facts(&data, "east").await;
    assert_eq!(seen.closed.app_write_refused, None);
    east.sql("alter role batch nologin; alter role shop login").await.unwrap();
    assert!(!facts(&data, "east").await.is_closed(), "the application may log in");
}

#[tokio::test]
async fn a_wrong_password_of_the_application_proves_nothing() {
    let (pair, data) = pair("").await;
    issued(&data.fence(&region("east"), &ctx(1, 1)).await);
    let mut config = pair.config(OWNER);
    config.application.password = muster_core::secret::Secret::new("wrong");
    let seen = facts(&adapter(config), "east").await;
    assert_eq!(seen.closed.app_write_refused, None, "it was refused for the wrong reason");
}

#[tokio::test]
async fn heartbeats_are_refused_while_a_fence_stands() {
    let (pair, data) = pair("").await;
    let beat = "insert into muster.heartbeat (writer, seq) values ('w', 1) \
                on conflict (writer) do update set seq = muster.heartbeat.seq + 1, at = excluded.at";
    let muster = pair.server("east").connect("muster", "muster", "shop").await.unwrap();
    muster.batch_execute(beat).await.unwrap();
    issued(&data.fence(&region("east"), &ctx(1, 1)).await);
    let refused = muster.batch_execute(beat).await.expect_err("fenced");
    assert_eq!(refused.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION));
    issued(&data.unfence(&region("east"), &ctx(1, 2)).await);
    muster.batch_execute(beat).await.unwrap();
}

#[tokio::test]
async fn fences_are_refused_to_older_numbers_and_to_other_owners() {
    let (pair, data) = pair("").await;
    let east = region("east");
    issued(&data.open_writer(&east, &ctx(5, 3)).await);
    for (epoch, seq) in [(4, 9), (5, 2)] {
        for outcome in [
            data.fence(&east, &ctx(epoch, seq)).await,
            data.unfence(&east, &ctx(epoch, seq)).await,
            data.open_writer(&east, &ctx(epoch, seq)).await,
        ] {
            assert!(matches!(outcome, Outcome::StaleEpoch(_)), "{outcome:?}");
        }
    }
    let other = adapter(pair.config("policy-2"));
    let (foreign, _) = ctx_of("policy-2", 9, 1, SECONDS);
    let outcome = other.fence(&east, &foreign).await;
    assert!(matches!(&outcome, Outcome::Conflict(why) if why.contains(OWNER)), "{outcome:?}");
    assert_eq!(
        facts(&other, "east").await.witness.map(|w| w.owner),
        Some(Owner::new(OWNER)),
        "the core sees whose"
    );
    pair.server("east").application().await.expect("not fenced");

    let mut config = pair.config("policy-2");
    config.adopted = crate::AdoptedOwners::default();
    config.adopted.set([Owner::new(OWNER)].into());
    issued(&adapter(config).open_writer(&east, &foreign).await);
    let outcome = data.open_writer(&east, &ctx(10, 1)).await;
    assert!(matches!(outcome, Outcome::Conflict(_)), "the old owner does not come back: {outcome:?}");
}

#[tokio::test]
async fn without_the_lease_or_after_the_deadline_nothing_is_sent() {
    let (pair, data) = pair("").await;
    let (lost, guard) = ctx_of(OWNER, 1, 1, SECONDS);
    guard.lose_lease();
    let (late, late_guard) = ctx_of(OWNER, 1, 1, Duration::ZERO);
    for ctx in [&lost, &late] {
        for outcome in [
            data.fence(&region("east"), ctx).await,
            data.open_writer(&region("east"), ctx).await,
            data.promote(&region("west"), ctx).await,
            data.stop_receiving(&region("west"), ctx).await,
        ] {
            assert!(
                matches!(outcome, Outcome::Failed(muster_core::facts::ErrorClass::Transient, _)),
                "{outcome:?}"
            );
        }
    }
    assert_eq!((guard.sent(), late_guard.sent()), (0, 0));
    assert_eq!(facts(&data, "east").await.witness, None);
    assert!(facts(&data, "west").await.streaming);
    drop(pair);
}

use super::*;
use crate::postgres::{RejoinRun, RejoinRunner};
use async_trait::async_trait;
use muster_core::facts::{DataRole, ErrorClass, LossFacts};
use std::path::PathBuf;
use std::process::Command;

/// Runs the example script of the documentation.
#[derive(Debug)]
struct ExampleScript {
    data: PathBuf,
    port: u16,
}

#[async_trait]
impl RejoinRunner for ExampleScript {
    async fn run(&self, region: &RegionName, _follow: &RegionName, upstream: &str, ctx: &OpCtx) -> RejoinRun {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/rejoin-postgres.sh");
        // The folder of the source may not be readable for the server's user: bash reads the script from here.
        let text = std::fs::read_to_string(script).unwrap();
        let mut command = Command::new("setpriv");
        if nix::unistd::geteuid().is_root() {
            command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
        }
        command.args(["--", "bash", "-c", &text]).current_dir("/");
        command.env("PGDATA", &self.data).env("MUSTER_FOLLOW_ADDRESS", upstream).env("DATABASE", "shop");
        command.env("REWIND_OPTIONS", "--no-sync");
        command.env("STANDBY_NAME", region.as_str());
        command.env("START_OPTIONS", format!("-p {} -c listen_addresses=127.0.0.1", self.port));
        let run = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = ctx.send(run).await.unwrap().unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&output.stderr);
        let outcome = if output.status.success() {
            Outcome::Issued(None)
        } else {
            Outcome::Failed(ErrorClass::Transient, format!("{stdout}{stderr}"))
        };
        RejoinRun { outcome, stdout }
    }
}

fn with_script(pair: &Pair, name: &str) -> PostgresData {
    let mut config = pair.config(OWNER);
    let server = pair.server(name);
    config.rejoin = Some(Arc::new(ExampleScript { data: server.data.clone(), port: server.port }));
    adapter(config)
}

/// East goes on writing after west was promoted, as a primary does that a partition hides. Says how many writes were
/// acknowledged behind the fork.
async fn diverge(pair: &Pair, data: &PostgresData) -> u64 {
    issued(&data.open_writer(&region("east"), &ctx(1, 1)).await);
    let shop = pair.server("east").application().await.unwrap();
    shop.batch_execute("insert into orders (item) values ('kept')").await.unwrap();
    pair.caught_up().await.unwrap();
    issued(&data.promote(&region("west"), &ctx(2, 1)).await);
    until(data, "west", |f| f.role == DataRole::Writable).await;
    issued(&data.open_writer(&region("west"), &ctx(2, 2)).await);
    let writers = [Writer::start(pair, "east").await, Writer::start(pair, "east").await];
    tokio::time::sleep(Duration::from_millis(300)).await;
    // What is a write, and what is not.
    shop.batch_execute("begin; savepoint a; insert into orders (item) values ('s'); release a; commit")
        .await
        .unwrap();
    shop.batch_execute("begin; insert into orders (item) values ('r'); rollback").await.unwrap();
    shop.batch_execute("update orders set item = 'u' where id = 1").await.unwrap();
    shop.batch_execute("delete from orders where id = 1").await.unwrap();
    shop.batch_execute("create temp table t (i int); insert into t values (1)").await.unwrap();
    pair.server("east").sql("analyze orders").await.unwrap();
    pair.server("east").sql("vacuum orders").await.unwrap();
    let mut acknowledged = 3;
    for writer in writers {
        acknowledged += writer.stop().await;
    }
    acknowledged
}

/// Reads the loss of east, again while something still moves there.
async fn loss(data: &PostgresData) -> LossFacts {
    let begun = Instant::now();
    loop {
        match data.read_loss(&region("east"), &region("west"), "w", SECONDS).await {
            Seen::Known(loss) => return loss,
            Seen::Unknown(why) => {
                println!("not yet: {why}");
                assert!(begun.elapsed() < SECONDS, "{why}");
            }
        }
    }
}

#[tokio::test]
async fn the_loss_is_what_local_writers_counted_and_the_old_primary_rejoins() {
    let (pair, _) = pair("").await;
    let data = with_script(&pair, "east");
    let (east, west) = (region("east"), region("west"));
    let acknowledged = diverge(&pair, &data).await;
    for _ in 0..3 {
        let beat = "insert into muster.heartbeat (writer, seq) values ('w', 1) \
                    on conflict (writer) do update set seq = muster.heartbeat.seq + 1, at = excluded.at";
        pair.server("east").sql(beat).await.unwrap();
    }
    let open = data.read_loss(&east, &west, "w", SECONDS).await;
    assert!(matches!(&open, Seen::Unknown(why) if why.contains("not closed")), "{open:?}");

    issued(&data.fence(&east, &ctx(2, 3)).await);
    until(&data, "east", DataFacts::is_closed).await;
    let begun = Instant::now();
    let loss = loss(&data).await;
    println!("read the loss of {acknowledged} writes: {:?}, span {:?}", begun.elapsed(), loss.span);
    assert_eq!((loss.commits_after_fork, loss.heartbeats_after_fork), (acknowledged + 3, 3));
    assert!(loss.span.is_some_and(|span| span.0 >= 100));

    let begun = Instant::now();
    issued(&data.rejoin(&east, &west, &ctx_of(OWNER, 2, 4, SECONDS * 3).0).await);
    println!("rejoin: {:?}", begun.elapsed());
    let back = facts(&data, "east").await;
    assert_eq!((back.role, back.timeline, back.streaming), (DataRole::Standby, 2, true));
    pair.server("west").sql("insert into notes values ('after')").await.unwrap();
    let written = facts(&data, "west").await.position;
    until(&data, "east", |f| f.replayed >= written).await;
    assert_eq!(data.rejoin(&east, &west, &ctx(2, 4)).await, Outcome::AlreadyDone);
    assert_eq!(
        data.read_loss(&east, &west, "w", SECONDS).await,
        Seen::Known(loss),
        "it was counted before the rewind"
    );
}

#[tokio::test]
async fn a_dead_old_primary_rejoins_without_having_been_writable_and_its_log_is_counted() {
    let (mut pair, _) = pair("").await;
    let data = with_script(&pair, "east");
    let (east, west) = (region("east"), region("west"));
    let acknowledged = diverge(&pair, &data).await;
    pair.server_mut("east").kill();
    let unread = data.read_loss(&east, &west, "w", SECONDS).await;
    assert!(matches!(unread, Seen::Unknown(_)), "{unread:?}");
    let (late, guard) = ctx_of(OWNER, 2, 4, SECONDS * 3);
    issued(&data.rejoin(&east, &west, &late).await);
    assert_eq!(guard.sent(), 1);
    until(&data, "east", |f| f.streaming && f.timeline == 2).await;
    let loss = loss(&data).await;
    assert_eq!(loss.commits_after_fork, acknowledged);
    let log = std::fs::read_to_string(pair.server("east").data.join("rejoin.log")).unwrap();
    assert!(log.contains("entering standby mode") && !log.contains("ready to accept connections"), "{log}");
}

#[tokio::test]
async fn a_planned_switchover_there_and_back_loses_nothing() {
    let (mut pair, _) = pair("").await;
    let data = with_script(&pair, "east");
    let (east, west) = (region("east"), region("west"));
    issued(&data.open_writer(&east, &ctx(1, 1)).await);
    let writers = [Writer::start(&pair, "east").await, Writer::start(&pair, "east").await];
    tokio::time::sleep(Duration::from_millis(200)).await;
    issued(&data.fence(&east, &ctx(1, 2)).await);
    let mut acknowledged = 0;
    for writer in writers {
        acknowledged += writer.refused().await;
    }
    let closed = until(&data, "east", DataFacts::is_closed).await;
    until(&data, "west", |f| f.replayed >= closed.position).await;
    issued(&data.promote(&west, &ctx(1, 3)).await);
    until(&data, "west", |f| f.role == DataRole::Writable).await;
    issued(&data.open_writer(&west, &ctx(1, 4)).await);
    let there: u64 =
        pair.server("west").sql("select count(*) from orders").await.unwrap()[0].parse().unwrap();
    assert!(there >= acknowledged && acknowledged > 0, "{there} of {acknowledged}");
    let loss = loss(&data).await;
    assert_eq!((loss.commits_after_fork, loss.span), (0, Some(Millis(0))));

    issued(&data.rejoin(&east, &west, &ctx_of(OWNER, 1, 5, SECONDS * 3).0).await);
    until(&data, "east", |f| f.streaming && f.timeline == 2).await;
    issued(&data.fence(&west, &ctx(2, 1)).await);
    let closed = until(&data, "west", DataFacts::is_closed).await;
    until(&data, "east", |f| f.replayed >= closed.position).await;
    issued(&data.promote(&east, &ctx(2, 2)).await);
    until(&data, "east", |f| f.role == DataRole::Writable && f.timeline == 3).await;
    issued(&data.open_writer(&east, &ctx(2, 3)).await);
    pair.server("east")
        .application()
        .await
        .unwrap()
        .batch_execute("insert into notes values ('n')")
        .await
        .unwrap();
    let back: u64 = pair.server("east").sql("select count(*) from orders").await.unwrap()[0].parse().unwrap();
    assert_eq!(back, there);
    pair.server_mut("west").stop();
}

#[tokio::test]
async fn a_rejoin_without_a_hook_or_without_a_primary_is_refused() {
    let (pair, data) = pair("").await;
    let outcome = data.rejoin(&region("east"), &region("west"), &ctx(1, 1)).await;
    assert!(matches!(outcome, Outcome::Failed(ErrorClass::Invalid, _)), "{outcome:?}");
    let outcome = with_script(&pair, "east").rejoin(&region("east"), &region("west"), &ctx(1, 1)).await;
    assert!(matches!(outcome, Outcome::Conflict(_)), "{outcome:?}");
    let unparted = data.read_loss(&region("east"), &region("west"), "w", SECONDS).await;
    assert!(matches!(unparted, Seen::Unknown(_)), "{unparted:?}");
}

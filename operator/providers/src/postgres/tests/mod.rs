//! The adapter's promises, on real servers, with a role that is no superuser.

mod connecting;
mod encrypted;
mod fencing;
mod observing;
mod opening;
mod promoting;
mod receiving;
mod rejoining;

use super::{PostgresConfig, PostgresData};
use crate::testing::TestGuard;
use crate::testing::postgres::Pair;
use crate::{DataControl, OpCtx};
use muster_core::effect::{Action, Effect};
use muster_core::facts::{DataFacts, Outcome, Seen};
use muster_core::ids::{Epoch, ItemName, Owner, RegionName, Seq, Term};
use muster_core::time::Millis;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

const OWNER: &str = "policy-1";
const SECONDS: Duration = Duration::from_secs(10);

fn region(name: &str) -> RegionName {
    RegionName::new(name)
}

/// A pair `east` (primary) and `west`, and the adapter on it.
async fn pair(settings: &str) -> (Pair, PostgresData) {
    let pair = Pair::start(&["east", "west"], settings).await.unwrap();
    let data = PostgresData::new(pair.config(OWNER)).unwrap();
    (pair, data)
}

fn adapter(config: PostgresConfig) -> PostgresData {
    PostgresData::new(config).unwrap()
}

fn ctx_of(owner: &str, epoch: u64, seq: u64, limit: Duration) -> (OpCtx, Arc<TestGuard>) {
    let guard = Arc::new(TestGuard::default());
    let effect = Effect {
        owner: Owner::new(owner),
        epoch: Epoch(epoch),
        term: Term(1),
        seq: Seq(seq),
        attempt: 1,
        action: Action::OpenWriter { item: ItemName::new("orders"), region: region("east") },
        timeout: Millis::from(limit),
    };
    (OpCtx::new(effect, "run-1".into(), Arc::clone(&guard) as Arc<dyn crate::SendGuard>), guard)
}

fn ctx(epoch: u64, seq: u64) -> OpCtx {
    ctx_of(OWNER, epoch, seq, SECONDS).0
}

async fn facts(data: &PostgresData, name: &str) -> DataFacts {
    match data.observe(&region(name), SECONDS).await {
        Seen::Known(facts) => facts,
        Seen::Unknown(why) => panic!("{name}: {why}"),
    }
}

/// Looks until it is as wanted, with a deadline.
async fn until(data: &PostgresData, name: &str, wanted: impl Fn(&DataFacts) -> bool) -> DataFacts {
    let begun = Instant::now();
    loop {
        let facts = facts(data, name).await;
        if wanted(&facts) {
            return facts;
        }
        assert!(begun.elapsed() < SECONDS * 2, "{name} stays {facts:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[track_caller]
fn issued(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Issued(_)), "{outcome:?}");
}

/// A client of the application that writes as fast as it can until it is refused or told to stop, and counts what
/// was acknowledged to it.
struct Writer {
    task: JoinHandle<u64>,
    stop: Arc<std::sync::atomic::AtomicBool>,
}

impl Writer {
    async fn start(pair: &Pair, name: &str) -> Self {
        let client = pair.server(name).application().await.unwrap();
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let mut acknowledged = 0;
            while !told.load(std::sync::atomic::Ordering::SeqCst) {
                match client.batch_execute("insert into orders (item) values ('x')").await {
                    Ok(()) => acknowledged += 1,
                    Err(_) => break,
                }
            }
            acknowledged
        });
        Self { task, stop }
    }
    /// How many writes were acknowledged.
    async fn stop(self) -> u64 {
        self.stop.store(true, std::sync::atomic::Ordering::SeqCst);
        self.task.await.unwrap()
    }
    /// Waits for the refusal.
    async fn refused(self) -> u64 {
        tokio::time::timeout(SECONDS, self.task).await.unwrap().unwrap()
    }
}

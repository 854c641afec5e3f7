//! The embedded store against the suite, against bad files and full disks, and between real processes.

mod child;
mod disk;
mod files;
mod power;
mod processes;
mod restore;

use super::{Options, SqliteStore};
use crate::clock::Clock;
use crate::store::conformance::{self, Backing, Bounds};
use crate::store::{Acquired, LeaseToken, Loaded, Store, StoreError};
use async_trait::async_trait;
use muster_core::ids::{HolderId, Owner, PolicyName};
use muster_core::time::Millis;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

struct Folder(TempDir);

fn few() -> Options {
    Options { runs_kept: 5, frames_per_run: 7, reserve_bytes: 1 << 20, ..Options::default() }
}

#[async_trait]
impl Backing for Folder {
    async fn open(&self) -> anyhow::Result<Arc<dyn Store>> {
        Ok(Arc::new(SqliteStore::open(self.0.path(), few(), Clock::system()).await?))
    }
    fn bounds(&self) -> Bounds {
        Bounds { runs: 5, frames: 7 }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_embedded_store_does_what_every_store_must() {
    let checked = conformance::check_all(async || Ok(Folder(TempDir::new()?))).await;
    let cases = checked.unwrap_or_else(|error| panic!("{error:#}"));
    assert!(cases >= 29, "{cases}");
}

#[test]
fn sqlite_is_past_the_bug_that_corrupts_a_log_shared_by_two_processes() {
    assert!(rusqlite::version_number() >= 3_051_003, "{}", rusqlite::version());
}

fn policy() -> PolicyName {
    PolicyName::new("shop/checkout")
}

async fn open(dir: &Path) -> Result<SqliteStore, StoreError> {
    open_with(dir, few()).await
}

async fn open_with(dir: &Path, options: Options) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(dir, options, Clock::system()).await
}

/// The lease for as long as a test may take.
async fn acquire(store: &SqliteStore, holder: &str) -> LeaseToken {
    match store.acquire(&HolderId::new(holder), Millis(120_000)).await.unwrap() {
        Acquired::Ours(token) => token,
        Acquired::Held { by, .. } => panic!("{by} holds the lease"),
    }
}

/// Loads the policy, creates it if need be.
async fn load(store: &SqliteStore) -> Loaded {
    match store.load(&policy()).await {
        Err(StoreError::UnknownPolicy { .. }) => store.create(&policy(), &Owner::new("uid-1")).await.unwrap(),
        loaded => loaded.unwrap(),
    }
}

/// Counts one up, as a stand-in for a run's progress.
async fn count(store: &SqliteStore, token: &LeaseToken) -> Result<u64, StoreError> {
    let Loaded { version, mut journal } = store.load(&policy()).await?;
    journal.state.seq = journal.state.seq.next();
    store.record(&policy(), &version, token, &journal).await?;
    Ok(journal.state.seq.0)
}

//! Two processes on one file: one acts.

use super::child::Process;
use super::{Options, acquire, few, load, open, open_with, policy};
use crate::clock::Clock;
use crate::store::sqlite::place::Place;
use crate::store::{Store, StoreError};
use muster_core::journal::Journal;
use nix::sys::signal::Signal;
use std::path::Path;
use std::time::{Duration, Instant};

/// The children's lease is 600 ms; the rest is for a busy machine.
const SECONDS: Duration = Duration::from_secs(10);

async fn journal(dir: &Path) -> Journal {
    let store = open(dir).await.unwrap();
    let loaded = store.load(&policy()).await.unwrap();
    store.close().await;
    loaded.journal
}

fn number_of(line: &str) -> u64 {
    line.split(' ').nth(1).unwrap().parse().unwrap()
}

fn seq_of(line: &str) -> u64 {
    line.split(' ').nth(2).unwrap().parse().unwrap()
}

/// Stops a process outside of a write. One that is stopped within keeps the write lock: then nobody acts, which is
/// safe, and which `a_process_that_keeps_the_write_lock_is_named` is about.
fn freeze(process: &Process, place: &Place) -> String {
    loop {
        let said = process.hear("acted");
        process.signal(Signal::SIGSTOP);
        if place.lock_holder() != Some(process.pid()) {
            return said;
        }
        process.signal(Signal::SIGCONT);
    }
}

#[tokio::test]
async fn when_the_holder_is_killed_the_other_takes_over_within_seconds_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let first = Process::start("holder", dir.path());
    first.hear("acted");
    let second = Process::start("holder", dir.path());
    first.hear("acted");
    let acted = first.kill().into_iter().rfind(|line| line.starts_with("acted"));
    let since = Instant::now();
    let follower = second.hear("acted");
    assert!(since.elapsed() < SECONDS, "{:?}", since.elapsed());
    if let Some(acted) = acted {
        assert!(number_of(&follower) > number_of(&acted));
        assert!(seq_of(&follower) > seq_of(&acted), "a record that was acknowledged is gone");
    }
    second.end();
}

#[tokio::test]
async fn a_holder_that_was_frozen_neither_acts_nor_records_once_it_thaws() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(dir.path(), Options::default(), Clock::system());
    let first = Process::start("holder", dir.path());
    first.hear("acted");
    let second = Process::start("holder", dir.path());
    let old = freeze(&first, &place);
    let since = Instant::now();
    let new = second.hear("acted");
    assert!(since.elapsed() < SECONDS, "{:?}", since.elapsed());
    assert!(number_of(&new) > number_of(&old));
    first.hear_all(Duration::ZERO);
    first.signal(Signal::SIGCONT);
    let after = first.hear_all(Duration::from_secs(2));
    // On a busy machine the second one may lose the lease in its turn; then the first has a new number.
    let stale = after.iter().any(|line| line.starts_with("acted") && number_of(line) <= number_of(&old));
    assert!(!stale, "{old}, frozen, {new}, then {after:?}");
    assert!(!after.iter().any(|line| line.starts_with("recorded")), "{after:?}");
    first.end();
    second.end();
}

#[tokio::test]
async fn when_the_holder_exits_the_other_takes_over_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let first = Process::start("patient holder", dir.path());
    first.hear("acted");
    let second = Process::start("patient holder", dir.path());
    let last = first.end();
    assert!(last.iter().any(|line| line == "ended"), "{last:?}");
    let since = Instant::now();
    let new = second.hear("acted");
    assert!(since.elapsed() < SECONDS, "a lease of a minute was waited for: {:?}", since.elapsed());
    let acted = second.end().into_iter().rfind(|line| line.starts_with("acted")).unwrap_or(new);
    assert_eq!(journal(dir.path()).await.state.seq.0, seq_of(&acted));
}

#[tokio::test]
async fn a_process_that_keeps_the_write_lock_is_named_and_does_not_stop_reads() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with(dir.path(), Options { busy: Duration::from_millis(300), ..few() }).await.unwrap();
    let loaded = load(&store).await;
    let token = acquire(&store, "first").await;
    let locker = Process::start("locker", dir.path());
    locker.hear("locked");
    match store.record(&policy(), &loaded.version, &token, &loaded.journal).await {
        Err(StoreError::Busy { pid, .. }) => assert_eq!(pid, Some(locker.pid())),
        other => panic!("{other:?}"),
    }
    assert_eq!(store.load(&policy()).await.unwrap(), loaded);
    locker.end();
    store.record(&policy(), &loaded.version, &token, &loaded.journal).await.unwrap();
}

#[tokio::test]
async fn a_step_of_the_wall_clock_neither_ends_nor_prolongs_a_lease() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let store = super::SqliteStore::open(dir.path(), few(), clock.clone()).await.unwrap();
    let token = acquire(&store, "first").await;
    for step in [3_600_000, -7_200_000] {
        clock.step_wall(step);
        assert!(token.is_live());
        assert!(token.remaining() <= token.duration());
        store.renew(&token).await.unwrap();
    }
}

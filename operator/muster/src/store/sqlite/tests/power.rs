//! What was acknowledged is there after the process was killed, and after the power went.

use super::child::Process;
use super::{open, policy};
use crate::store::Store;
use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::{Rng as _, RngCore as _, SeedableRng as _};
use std::path::Path;
use std::time::Duration;

async fn count_in(dir: &Path) -> u64 {
    let store = open(dir).await.unwrap();
    let seq = store.load(&policy()).await.unwrap().journal.state.seq.0;
    store.close().await;
    seq
}

fn numbers(line: &str) -> (u64, u64) {
    let mut words = line.split(' ').skip(1).map(|word| word.parse().unwrap());
    (words.next().unwrap(), words.next().unwrap())
}

fn newest(said: &[String], before: (u64, u64)) -> (u64, u64) {
    said.iter().rfind(|l| l.starts_with("acknowledged")).map_or(before, |line| numbers(line))
}

#[tokio::test]
async fn a_writer_killed_at_any_moment_loses_no_acknowledged_record() {
    let seed = rand::rng().next_u64();
    let mut random = StdRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().unwrap();
    for round in 0..8 {
        let writer = Process::start("writer", dir.path());
        let mut acknowledged = numbers(&writer.hear("acknowledged"));
        let more = writer.hear_all(Duration::from_micros(random.random_range(0..150_000)));
        acknowledged = newest(&more, acknowledged);
        acknowledged = newest(&writer.kill(), acknowledged);
        let found = count_in(dir.path()).await;
        // One more may have been committed and not yet acknowledged.
        let expected = acknowledged.0..=acknowledged.0 + 1;
        assert!(expected.contains(&found), "round {round}, seed {seed}: {found} is not in {expected:?}");
    }
}

/// A power cut keeps what was synced; of the rest, any part may be missing or be rubbish.
#[tokio::test]
async fn a_log_whose_unsynced_end_is_cut_or_rubbish_holds_every_acknowledged_record() {
    let seed = rand::rng().next_u64();
    let mut random = StdRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().unwrap();
    let writer = Process::start("writer", dir.path());
    for round in 0..6 {
        let mut acknowledged = numbers(&writer.hear("acknowledged"));
        writer.signal(Signal::SIGSTOP);
        // What it said before it stopped may still be on its way.
        acknowledged = newest(&writer.hear_all(Duration::from_secs(1)), acknowledged);
        let synced = usize::try_from(acknowledged.1).unwrap();
        let log = std::fs::read(dir.path().join("journal.db-wal")).unwrap();
        let database = std::fs::read(dir.path().join("journal.db")).unwrap();
        assert!(synced > 0 && synced <= log.len(), "round {round}: {synced} of {}", log.len());
        for rubbish in [None, Some(0), Some(random.random::<u8>())] {
            let copy = tempfile::tempdir().unwrap();
            let mut torn = log.clone();
            match rubbish {
                None => torn.truncate(random.random_range(synced..=log.len())),
                Some(byte) => {
                    torn.resize(log.len() + 5_000, byte);
                    let from = random.random_range(synced..torn.len());
                    torn[from..].fill(byte);
                }
            }
            std::fs::write(copy.path().join("journal.db"), &database).unwrap();
            std::fs::write(copy.path().join("journal.db-wal"), &torn).unwrap();
            let found = count_in(copy.path()).await;
            let expected = acknowledged.0..=acknowledged.0 + 1;
            assert!(expected.contains(&found), "round {round}, seed {seed}: {found} is not in {expected:?}");
        }
        writer.signal(Signal::SIGCONT);
    }
}

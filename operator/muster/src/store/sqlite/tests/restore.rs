//! Backups, restored ones, and files that change under a running process.

use super::child::Process;
use super::{SqliteStore, acquire, count, load, open, policy};
use crate::clock::Clock;
use crate::store::{Need, Store, StoreError, StoreErrorClass};
use muster_core::ids::{Owner, PolicyName};
use muster_core::wish::Wish;
use std::path::Path;
use tempfile::TempDir;

/// A state folder, and a backup of it made before its newest two records.
async fn with_backup() -> (TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let backup = dir.path().join("yesterday.db");
    let store = open(dir.path()).await.unwrap();
    load(&store).await;
    let token = acquire(&store, "first").await;
    assert_eq!(count(&store, &token).await.unwrap(), 1);
    store.back_up(&backup).await.unwrap();
    assert_eq!(count(&store, &token).await.unwrap(), 2);
    assert_eq!(count(&store, &token).await.unwrap(), 3);
    store.release(&token).await.unwrap();
    store.close().await;
    (dir, backup)
}

fn put_back(dir: &Path, backup: &Path) {
    std::fs::remove_file(dir.join("journal.db")).unwrap();
    std::fs::copy(backup, dir.join("journal.db")).unwrap();
}

async fn ack(store: &SqliteStore) {
    store.wish(&policy(), &Wish::Ack { by: "ann".into() }, Clock::system().now()).await.unwrap();
}

#[tokio::test]
async fn a_backup_made_while_the_journal_is_used_is_whole_and_overwrites_nothing() {
    let (dir, backup) = with_backup().await;
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::copy(&backup, elsewhere.path().join("journal.db")).unwrap();
    let store = open(elsewhere.path()).await.unwrap();
    assert_eq!(load(&store).await.journal.state.seq.0, 1);
    let before = std::fs::read(&backup).unwrap();
    let original = open(dir.path()).await.unwrap();
    assert!(original.back_up(&backup).await.is_err());
    assert_eq!(std::fs::read(&backup).unwrap(), before);
}

#[tokio::test]
async fn a_restored_journal_asks_for_an_ack_and_works_after_it() {
    let (dir, backup) = with_backup().await;
    put_back(dir.path(), &backup);
    let store = open(dir.path()).await.unwrap();
    let loaded = load(&store).await;
    let asks = loaded.journal.state.needs_ack.clone().expect("it asks");
    assert!(asks.contains("older copy"), "{asks}");
    for need in [Need::NewRun, Need::RunUnderWay] {
        let error = store.check(need).await.unwrap_err();
        assert!(matches!(error, StoreError::RolledBack { .. }), "{error}");
    }
    let lost = PolicyName::new("shop/created-after-the-backup");
    let made = store.create(&lost, &Owner::new("uid-2")).await.unwrap();
    assert!(made.journal.state.needs_ack.is_some());
    store.close().await;

    let store = open(dir.path()).await.unwrap();
    assert_eq!(load(&store).await, loaded, "it asks once");
    ack(&store).await;
    assert_eq!(load(&store).await.journal.state.needs_ack, None);
    store.check(Need::NewRun).await.unwrap();
    let token = acquire(&store, "first").await;
    assert_eq!(count(&store, &token).await.unwrap(), 2);
    store.close().await;

    let store = open(dir.path()).await.unwrap();
    assert_eq!(load(&store).await.journal.state.needs_ack, None, "it asks again");
}

/// The mistake that a plain copy invites: the log of the newer file is still there.
#[tokio::test]
async fn an_old_file_beside_a_newer_log_is_refused_or_asks_but_is_never_taken_for_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let backup = dir.path().join("yesterday.db");
    let store = open(dir.path()).await.unwrap();
    load(&store).await;
    let token = acquire(&store, "first").await;
    count(&store, &token).await.unwrap();
    store.back_up(&backup).await.unwrap();
    store.release(&token).await.unwrap();
    store.close().await;
    for records in [1, 40, 400] {
        let writer = Process::start("writer", dir.path());
        let mut newest = 0;
        for _ in 0..records {
            newest = writer.hear("acknowledged").split(' ').nth(1).unwrap().parse().unwrap();
        }
        newest = writer
            .kill()
            .iter()
            .filter_map(|l| l.split(' ').nth(1)?.parse().ok())
            .next_back()
            .unwrap_or(newest);
        let mixed = tempfile::tempdir().unwrap();
        for name in ["journal.db-wal", "journal.high-water"] {
            std::fs::copy(dir.path().join(name), mixed.path().join(name)).unwrap();
        }
        std::fs::copy(&backup, mixed.path().join("journal.db")).unwrap();
        let Ok(store) = open(mixed.path()).await else { continue };
        match store.load(&policy()).await {
            Err(error) => assert_eq!(error.class(), StoreErrorClass::Broken, "{error}"),
            Ok(loaded) if loaded.journal.state.needs_ack.is_some() => {}
            Ok(loaded) => assert!(loaded.journal.state.seq.0 >= newest, "{loaded:?} after {newest}"),
        }
    }
}

#[tokio::test]
async fn a_version_from_before_the_restore_records_nothing_after_it() {
    let (dir, backup) = with_backup().await;
    let before = {
        let store = open(dir.path()).await.unwrap();
        let before = load(&store).await;
        store.close().await;
        before
    };
    put_back(dir.path(), &backup);
    let store = open(dir.path()).await.unwrap();
    let token = acquire(&store, "first").await;
    for _ in 0..5 {
        let recorded = store.record(&policy(), &before.version, &token, &before.journal).await;
        assert!(matches!(recorded, Err(StoreError::Conflict { .. })), "{recorded:?}");
        count(&store, &token).await.unwrap();
    }
}

#[tokio::test]
async fn without_the_side_file_a_restored_journal_is_an_ordinary_one() {
    let (dir, backup) = with_backup().await;
    put_back(dir.path(), &backup);
    std::fs::remove_file(dir.path().join("journal.high-water")).unwrap();
    let store = open(dir.path()).await.unwrap();
    assert_eq!(load(&store).await.journal.state.needs_ack, None);
    store.check(Need::NewRun).await.unwrap();
}

#[tokio::test]
async fn a_side_file_that_cannot_be_written_or_read_is_no_trouble() {
    let (dir, _) = with_backup().await;
    std::fs::remove_file(dir.path().join("journal.high-water")).unwrap();
    std::fs::create_dir(dir.path().join("journal.high-water")).unwrap();
    let store = open(dir.path()).await.unwrap();
    let token = acquire(&store, "first").await;
    assert_eq!(count(&store, &token).await.unwrap(), 4);
    store.check(Need::NewRun).await.unwrap();
}

#[tokio::test]
async fn another_journal_in_the_place_of_ours_asks_for_an_ack() {
    let (dir, _) = with_backup().await;
    let (_other, foreign) = with_backup().await;
    put_back(dir.path(), &foreign);
    let store = open(dir.path()).await.unwrap();
    let asks = load(&store).await.journal.state.needs_ack.expect("it asks");
    assert!(asks.contains("another journal"), "{asks}");
    ack(&store).await;
    store.close().await;
    let store = open(dir.path()).await.unwrap();
    assert_eq!(load(&store).await.journal.state.needs_ack, None, "it asks again");
}

#[tokio::test]
async fn a_journal_that_vanished_is_not_silently_begun_anew() {
    let (dir, _) = with_backup().await;
    std::fs::remove_file(dir.path().join("journal.db")).unwrap();
    let error = open(dir.path()).await.expect_err("refused");
    assert!(matches!(error, StoreError::Vanished { .. }), "{error}");
    assert!(error.to_string().contains("journal.high-water"), "{error}");
    assert!(!dir.path().join("journal.db").exists());
    std::fs::remove_file(dir.path().join("journal.high-water")).unwrap();
    let store = open(dir.path()).await.unwrap();
    assert!(store.policies().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_file_replaced_or_removed_under_a_running_process_ends_its_right_to_act() {
    for replace in [true, false] {
        let (dir, backup) = with_backup().await;
        let store = open(dir.path()).await.unwrap();
        let token = acquire(&store, "first").await;
        if replace {
            put_back(dir.path(), &backup);
        } else {
            std::fs::remove_file(dir.path().join("journal.db")).unwrap();
        }
        let recorded = count(&store, &token).await;
        assert!(matches!(recorded, Err(StoreError::Moved { .. })), "{recorded:?}");
        assert!(matches!(store.renew(&token).await, Err(StoreError::Moved { .. })));
        assert!(!token.is_live());
    }
}

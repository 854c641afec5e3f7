//! Files that must not be used, and stay as they are; older ones that are upgraded.

use super::{acquire, count, few, load, open, policy};
use crate::store::conformance::ended_run;
use crate::store::sqlite::schema;
use crate::store::{Store, StoreError, StoreErrorClass};
use muster_core::ids::{Owner, PolicyName};
use muster_core::journal::{Journal, PolicyState};
use rusqlite::{Connection, params};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn file(dir: &TempDir) -> PathBuf {
    dir.path().join("journal.db")
}

/// A journal with a policy, two records, and nothing left in the log.
async fn used() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    load(&store).await;
    let token = acquire(&store, "first").await;
    count(&store, &token).await.unwrap();
    count(&store, &token).await.unwrap();
    store.release(&token).await.unwrap();
    store.close().await;
    dir
}

async fn refusal(dir: &TempDir) -> StoreError {
    let before = std::fs::read(file(dir)).unwrap();
    let error = open(dir.path()).await.err().unwrap_or_else(|| panic!("{} bytes are taken", before.len()));
    assert_eq!(error.class(), StoreErrorClass::Broken, "{error}");
    assert!(error.to_string().contains("journal.db"), "{error}");
    assert_eq!(std::fs::read(file(dir)).unwrap(), before, "it was changed: {error}");
    error
}

#[tokio::test]
async fn a_new_folder_gets_a_journal_that_only_its_owner_reads() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("a/b");
    let store = open(&state).await.unwrap();
    load(&store).await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    for name in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        assert_eq!(mode(&state.join(name)), 0o600, "{name}");
    }
    store.close().await;
    let left: Vec<_> = std::fs::read_dir(&state).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{left:?}");
}

#[tokio::test]
async fn eight_that_begin_at_once_share_one_journal() {
    let dir = tempfile::tempdir().unwrap();
    let stores = futures::future::try_join_all((0..8).map(|_| open(dir.path()))).await.unwrap();
    let made = load(&stores[0]).await;
    for store in &stores {
        assert_eq!(store.load(&policy()).await.unwrap(), made);
    }
}

#[tokio::test]
async fn garbage_is_refused_and_left_alone() {
    for garbage in [&b"no database at all, but text"[..], &[0; 8192], &[0xff; 100]] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(file(&dir), garbage).unwrap();
        let error = refusal(&dir).await;
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_file_cut_short_anywhere_is_refused_and_left_alone() {
    let dir = used().await;
    let whole = std::fs::read(file(&dir)).unwrap();
    for len in [0, 1, 99, 100, 512, 4095, 4096, 8192, whole.len() / 2, whole.len() - 4096, whole.len() - 1] {
        std::fs::write(file(&dir), &whole[..len]).unwrap();
        let error = refusal(&dir).await;
        assert!(matches!(error, StoreError::Corrupt { .. }), "{len} bytes: {error}");
        assert!(error.to_string().contains("newest backup"), "{error}");
    }
}

#[tokio::test]
async fn rubbish_in_any_page_is_never_taken_for_a_journal() {
    let dir = used().await;
    let whole = std::fs::read(file(&dir)).unwrap();
    let good = {
        let store = open(dir.path()).await.unwrap();
        let good = store.load(&policy()).await.unwrap();
        store.close().await;
        good
    };
    for page in 0..whole.len() / 4096 {
        let mut bad = whole.clone();
        bad[page * 4096 + 8..(page + 1) * 4096].fill(0xa5);
        std::fs::write(file(&dir), &bad).unwrap();
        let Ok(store) = open(dir.path()).await else { continue };
        match store.load(&policy()).await {
            Ok(loaded) => assert_eq!(loaded, good, "page {page}"),
            Err(error) => assert_eq!(error.class(), StoreErrorClass::Broken, "page {page}: {error}"),
        }
        store.close().await;
    }
}

#[tokio::test]
async fn a_journal_with_a_changed_letter_is_refused_and_the_others_are_not() {
    let dir = used().await;
    let other = PolicyName::new("shop/cart");
    let store = open(dir.path()).await.unwrap();
    store.create(&other, &Owner::new("uid-2")).await.unwrap();
    store.close().await;
    let mut bytes = std::fs::read(file(&dir)).unwrap();
    let at = bytes.windows(15).position(|w| w == br#""owner":"uid-1""#).unwrap();
    bytes[at + 13] = b'7';
    std::fs::write(file(&dir), bytes).unwrap();
    let store = open(dir.path()).await.unwrap();
    let error = store.load(&policy()).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("shop/checkout"), "{error}");
    store.load(&other).await.unwrap();
}

#[tokio::test]
async fn another_programs_database_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let connection = Connection::open(file(&dir)).unwrap();
    connection
        .execute_batch("pragma application_id = 77; create table t (a); insert into t values (1)")
        .unwrap();
    drop(connection);
    let error = refusal(&dir).await;
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
}

#[tokio::test]
async fn a_newer_format_is_refused_and_left_alone() {
    let dir = used().await;
    let connection = Connection::open(file(&dir)).unwrap();
    connection.pragma_update(None, "user_version", schema::FORMAT + 1).unwrap();
    drop(connection);
    match refusal(&dir).await {
        StoreError::Newer { found, known, .. } => {
            assert_eq!((found, known), (schema::FORMAT + 1, schema::FORMAT));
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_file_upgraded_under_a_running_process_is_not_written_by_it() {
    let dir = used().await;
    let store = open(dir.path()).await.unwrap();
    let token = acquire(&store, "first").await;
    let newer = Connection::open(file(&dir)).unwrap();
    newer.pragma_update(None, "user_version", schema::FORMAT + 1).unwrap();
    assert!(matches!(count(&store, &token).await, Err(StoreError::Newer { .. })));
    assert!(matches!(store.renew(&token).await, Err(StoreError::Newer { .. })));
}

/// Format 1, as it was written.
fn write_format_1(path: &Path) -> Journal {
    let journal = Journal { state: PolicyState::new(Owner::new("uid-1")), run: None, requests: Vec::new() };
    let old = Connection::open(path).unwrap();
    old.execute_batch(
        "pragma journal_mode = wal;
         create table meta (id integer primary key check (id = 1), store text not null) strict;
         create table formats (format integer primary key, since_wall_ms integer not null) strict;
         create table journal (policy text primary key, owner text not null, version integer not null,
           epoch integer not null, term integer not null, body text not null) strict;
         create table lease (id integer primary key check (id = 1), number integer not null, holder text,
           beat integer not null, duration_ms integer not null) strict;
         create table claim (key text primary key, owner text not null) strict;
         create table run (policy text not null references journal(policy), epoch integer not null,
           name text not null, body text not null, primary key (policy, epoch)) strict;
         insert into meta values (1, 'store-1');
         insert into formats values (1, 5);
         insert into lease values (1, 41, null, 9, 3000);
         insert into claim values ('dns/x', 'uid-1');",
    )
    .unwrap();
    let (body, run) = (serde_json::to_string(&journal).unwrap(), ended_run(3));
    for (policy, version) in [("shop/checkout", 12), ("shop/cart", 12)] {
        old.execute("insert into journal values (?1, 'uid-1', ?2, 0, 0, ?3)", params![policy, version, body])
            .unwrap();
    }
    let run_body = serde_json::to_string(&run).unwrap();
    old.execute("insert into run values ('shop/checkout', 3, 'checkout-3', ?1)", [run_body]).unwrap();
    old.pragma_update(None, "application_id", schema::APPLICATION_ID).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    journal
}

#[tokio::test]
async fn an_older_format_is_copied_and_upgraded_once_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let journal = write_format_1(&file(&dir));
    let stores = futures::future::try_join_all((0..3).map(|_| open(dir.path()))).await.unwrap();
    let store = &stores[0];
    let loaded = store.load(&policy()).await.unwrap();
    assert_eq!(loaded.journal, journal);
    let cart = store.load(&PolicyName::new("shop/cart")).await.unwrap();
    assert_ne!(cart.version, loaded.version);
    assert_eq!(store.runs(&policy(), 9).await.unwrap(), [ended_run(3)]);
    assert_eq!(store.claims().await.unwrap().len(), 1);
    let token = acquire(store, "first").await;
    assert_eq!(token.number(), 42, "the lease's number must not start again");
    assert_eq!(count(store, &token).await.unwrap(), 1);
    store.append_frame(&policy(), &"r".into(), &serde_json::json!(1)).await.unwrap();
    let copy = Connection::open(dir.path().join("journal.format-1.1.db")).unwrap();
    assert_eq!(schema::format_of(&copy).unwrap(), 1);
    let kept: String = copy.query_row("select body from journal limit 1", [], |r| r.get(0)).unwrap();
    assert_eq!(serde_json::from_str::<Journal>(&kept).unwrap(), journal);
    drop(stores);
    let new = Connection::open(file(&dir)).unwrap();
    let formats: i64 = new.query_row("select count(*) from formats", [], |r| r.get(0)).unwrap();
    assert_eq!(formats, 2, "upgraded twice");
    let tables = |c: &Connection| -> Vec<String> {
        let mut rows =
            c.prepare("select name from sqlite_schema where name not like 'sqlite%' order by 1").unwrap();
        rows.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let fresh = used().await;
    assert_eq!(tables(&new), tables(&Connection::open(file(&fresh)).unwrap()));
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named() {
    let dir = used().await;
    let state = super::disk::read_only(dir.path());
    let Some(_guard) = state else { return };
    let error = open(dir.path()).await.expect_err("refused");
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
    assert!(error.to_string().contains(dir.path().to_str().unwrap()), "{error}");
}

#[tokio::test]
async fn a_path_that_is_no_folder_or_no_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("state"), "x").unwrap();
    assert!(open(&dir.path().join("state")).await.is_err());
    std::fs::create_dir_all(dir.path().join("other/journal.db")).unwrap();
    let error = open(&dir.path().join("other")).await.err().unwrap();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
}

#[tokio::test]
async fn a_journal_too_large_to_keep_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let options = super::Options { journal_bytes: 4_000, ..few() };
    let store = super::open_with(dir.path(), options).await.unwrap();
    let mut loaded = load(&store).await;
    let token = acquire(&store, "first").await;
    loaded.journal.state.paused = Some("x".repeat(4_000));
    let error = store.record(&policy(), &loaded.version, &token, &loaded.journal).await.unwrap_err();
    assert!(matches!(error, StoreError::Invalid { .. }), "{error}");
}

//! From a folder to a journal that may be used, or a clear word on why not. Nothing that is there is overwritten.

use super::db::{Db, Fault, Role, Room, connect};
use super::errors::classify;
use super::place::Place;
use super::schema::{self, Examined, to_sql};
use super::worker::io;
use super::{high_water, journal};
use crate::store::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior, params};
use std::fs::{DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long one process waits for another's upgrade.
const UPGRADE_TAKES: Duration = Duration::from_secs(30);

/// Finds or makes the journal, refuses what is not one, upgrades an older one, notices a restored one.
pub(super) fn prepare(place: &mut Place) -> Result<(), StoreError> {
    ensure_folder(place)?;
    match place.stat() {
        None => begin(place)?,
        Some(meta) if !meta.is_file() => {
            return Err(StoreError::Foreign { path: place.file.clone(), detail: "it is no file".into() });
        }
        Some(meta) if meta.len() == 0 => {
            return Err(StoreError::Corrupt { path: place.file.clone(), detail: "it is empty".into() });
        }
        // SQLite reads what a last page lacks as zeros. With a log beside it, a checkpoint was interrupted.
        Some(meta) if meta.len() % u64::from(schema::PAGE) != 0 && place.log_len() == 0 => {
            let detail = format!("its {} bytes are no whole number of pages", meta.len());
            return Err(StoreError::Corrupt { path: place.file.clone(), detail });
        }
        Some(_) => {}
    }
    place.identity = place.stat().map(|meta| (meta.dev(), meta.ino()));
    accept(place)?;
    place.ensure_unmoved()?;
    notice_restore(place)
}

fn ensure_folder(place: &Place) -> Result<(), StoreError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&place.dir);
    made.map_err(|source| io(&place.dir, "make the state folder", source))?;
    match tempfile::tempfile_in(&place.dir).map_err(|source| io(&place.dir, "make a file", source)) {
        // What is there may still be read, and the reserve may help.
        Ok(_) | Err(StoreError::Full { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes a new journal under another name first: a crash leaves a whole one or none.
fn begin(place: &Place) -> Result<(), StoreError> {
    let mark_path = place.high_water();
    if let Some(mark) = high_water::read(&mark_path).filter(|mark| mark.generation > 0) {
        let path = place.file.clone();
        return Err(StoreError::Vanished { path, mark: mark_path, generation: mark.generation });
    }
    let made = tempfile::Builder::new().prefix(".journal-").suffix(".new").tempfile_in(&place.dir);
    let path = made.map_err(|source| io(&place.dir, "make the journal", source))?.into_temp_path();
    let fail = |error| classify(place, "make the journal", error);
    fill(&path, place.clock.now().wall.0).map_err(fail)?;
    let synced = File::open(&path).and_then(|file| file.sync_all());
    synced.map_err(|source| io(&place.dir, "make the journal", source))?;
    match path.persist_noclobber(&place.file) {
        Ok(()) => sync_folder(&place.dir),
        // Another process was first: its journal it is.
        Err(failed) if failed.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(failed) => Err(io(&place.dir, "make the journal", failed.error)),
    }
}

fn fill(path: &Path, wall_ms: i64) -> rusqlite::Result<()> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "page_size", schema::PAGE)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let tx = connection.transaction()?;
    schema::create(&tx, &uuid::Uuid::new_v4().to_string(), wall_ms)?;
    tx.commit()?;
    connection.close().map_err(|(_, error)| error)
}

fn sync_folder(dir: &Path) -> Result<(), StoreError> {
    File::open(dir)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| io(dir, "sync the state folder", source))
}

fn accept(place: &Place) -> Result<(), StoreError> {
    let path = place.file.clone();
    let fail = |error| classify(place, "open the journal", error);
    let mut connection = connect(place).map_err(fail)?;
    // Closing must not touch a file that is refused.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(fail)?;
    match schema::examine(&connection).map_err(fail)? {
        Examined::Foreign(detail) => Err(StoreError::Foreign { path, detail }),
        Examined::Damaged(detail) => Err(StoreError::Corrupt { path, detail }),
        Examined::Newer(found) => Err(StoreError::Newer { path, found, known: schema::FORMAT }),
        _ if connection.is_readonly("main").map_err(fail)? => {
            Err(StoreError::ReadOnly { path, why: "this user may not write the file".into() })
        }
        Examined::Older => upgrade(place, &mut connection),
        Examined::Present => Ok(()),
    }?;
    ensure_log(place, &connection)
}

/// A copy made by `vacuum into`, and so a restored journal, comes without the write-ahead log.
fn ensure_log(place: &Place, connection: &Connection) -> Result<(), StoreError> {
    const VERB: &str = "use a write-ahead log";
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(|error| classify(place, VERB, error))?;
    if mode == "wal" {
        return Ok(());
    }
    let source = format!("SQLite keeps to journal mode {mode}").into();
    Err(StoreError::Io { verb: VERB, path: place.file.clone(), source })
}

/// Keeps a copy, then migrates in one transaction. The write lock is held all along: the copy is exactly what was
/// migrated, and a second process waits and finds the work done.
fn upgrade(place: &Place, connection: &mut Connection) -> Result<(), StoreError> {
    let fail = |error| classify(place, "upgrade the journal", error);
    connection.busy_timeout(UPGRADE_TAKES).map_err(fail)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(fail)?;
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
    let format = schema::format_of(&tx).map_err(fail)?;
    if format >= schema::FORMAT {
        return Ok(());
    }
    let copy = free_name(&place.dir, format);
    copy_into(place, &connect(place).map_err(fail)?, &copy)?;
    schema::migrate(&tx, format, place.clock.now().wall.0).map_err(fail)?;
    tx.commit().map_err(fail)?;
    tracing::info!(from = format, to = schema::FORMAT, copy = %copy.display(), "journal upgraded");
    Ok(())
}

fn free_name(dir: &Path, format: i64) -> PathBuf {
    let name = |n: u32| dir.join(format!("journal.format-{format}.{n}.db"));
    (1..u32::MAX).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(0))
}

/// A whole, consistent copy of an open journal, on the disk when this returns. Refuses to overwrite.
pub(super) fn copy_into(place: &Place, connection: &Connection, to: &Path) -> Result<(), StoreError> {
    let dir = to.parent().unwrap_or(&place.dir);
    let refuse = |source| io(dir, "copy the journal", source);
    let made = tempfile::Builder::new().prefix(".journal-").suffix(".copy").tempfile_in(dir);
    // SQLite accepts an empty file as the target; this one is readable by its owner only.
    let part = made.map_err(refuse)?.into_temp_path();
    let name = part.to_str().ok_or_else(|| refuse(std::io::ErrorKind::InvalidFilename.into()))?;
    connection
        .execute("vacuum into ?1", [name])
        .map_err(|error| classify(place, "copy the journal", error))?;
    File::open(&part).and_then(|file| file.sync_all()).map_err(refuse)?;
    part.persist_noclobber(to).map_err(|failed| refuse(failed.error))?;
    sync_folder(dir)
}

/// A journal that is older than the newest change seen here was restored. It may be used, but every policy in it
/// asks for a person's `ack` first.
fn notice_restore(place: &Place) -> Result<(), StoreError> {
    let Some(mark) = high_water::read(&place.high_water()) else { return Ok(()) };
    let mut db = Db::open(place, Role::Durable)?;
    let suspicion = |tx: &rusqlite::Transaction<'_>| -> Result<(Option<String>, i64), Fault> {
        let (store, generation): (String, i64) =
            tx.query_row("select store, generation from meta", [], |r| Ok((r.get(0)?, r.get(1)?)))?;
        let seen = to_sql("the newest change", mark.generation)?;
        let why = match (store == mark.store, generation < seen) {
            (true, false) => None,
            (true, true) => Some(format!(
                "the journal was restored from an older copy: it holds {generation} changes, {seen} were made"
            )),
            (false, _) => Some("another journal was put in the place of the one that was here".to_owned()),
        };
        Ok((why, generation.max(seen)))
    };
    let (why, _) = db.read("look for a restored journal", suspicion)?;
    if why.is_none() {
        return Ok(());
    }
    let generation = db.write("note that the journal was restored", Room::Reserved, |tx| {
        let (Some(why), newest) = suspicion(tx)? else { return Ok(None) };
        tracing::warn!(why, "automation waits for a person's ack");
        tx.execute("update meta set restored = ?1, generation = ?2 + 1", params![why, newest])?;
        journal::ask_all(tx, place, &why)?;
        Ok(Some(tx.query_row("select generation from meta", [], |r| r.get::<_, i64>(0))?))
    })?;
    if let Some(generation) = generation.and_then(|g| u64::try_from(g).ok()) {
        db.mark(generation);
        db.after_job();
    }
    Ok(())
}

//! The file's format: `application_id` says whose it is, `user_version` which format it has.

use crate::store::StoreError;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use sha2::{Digest, Sha256};

/// "Mstr": whose file this is.
pub(super) const APPLICATION_ID: i64 = 0x4d73_7472;
/// The format that this code writes.
pub(super) const FORMAT: i64 = 2;

/// Bytes of a page.
pub(super) const PAGE: u32 = 4096;

/// Format 2, as a new file gets it.
const TABLES: &str = "
create table meta (
  id integer primary key check (id = 1),
  store text not null,                     -- which journal this is; a copy keeps it
  generation integer not null,             -- changes of journals so far; only grows
  restored text,                           -- why this file is not trusted until a person says `ack`
  pulse integer not null default 0         -- written to see whether writing works
) strict;
create table formats (format integer primary key, since_wall_ms integer not null) strict;
create table journal (
  policy text primary key,
  owner text not null,
  version integer not null unique,         -- the generation that wrote it
  epoch integer not null,
  term integer not null,
  body text not null,                      -- muster_core::journal::Journal
  sum text not null                        -- over policy, version and body: SQLite keeps no sums of pages
) strict;
create table lease (
  id integer primary key check (id = 1),
  number integer not null,                 -- only grows
  holder text,
  beat integer not null,                   -- changes with each renewal
  duration_ms integer not null
) strict;
create table claim (key text primary key, owner text not null) strict;
create table run (
  policy text not null references journal(policy),
  epoch integer not null,
  name text not null,
  body text not null,                      -- muster_core::journal::Run
  primary key (policy, epoch)
) strict;
create table frame (
  id integer primary key,
  policy text not null references journal(policy),
  run text not null,
  bytes integer not null,
  body text not null
) strict;
create index frame_by_run on frame (policy, run, id);
";

/// Format 1 kept no sums, no generation, no frames, and its versions counted by policy.
const FROM_1: &str = "
alter table meta add column generation integer not null default 0;
alter table meta add column restored text;
alter table meta add column pulse integer not null default 0;
alter table journal rename to journal_1;
alter table run rename to run_1;
";

/// Makes an empty file into a journal.
pub(super) fn create(tx: &Transaction<'_>, store: &str, wall_ms: i64) -> rusqlite::Result<()> {
    tx.execute_batch(TABLES)?;
    tx.execute("insert into meta (id, store, generation) values (1, ?1, 0)", [store])?;
    tx.execute("insert into lease (id, number, holder, beat, duration_ms) values (1, 0, null, 0, 0)", [])?;
    tx.execute("insert into formats values (?1, ?2)", params![FORMAT, wall_ms])?;
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", FORMAT)
}

/// The format of an open file.
pub(super) fn format_of(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Brings an older file up to [`FORMAT`], in the caller's transaction.
pub(super) fn migrate(tx: &Transaction<'_>, from: i64, wall_ms: i64) -> rusqlite::Result<()> {
    if from < 2 {
        from_1_to_2(tx)?;
    }
    tx.execute("insert into formats values (?1, ?2)", params![FORMAT, wall_ms])?;
    tx.pragma_update(None, "user_version", FORMAT)
}

fn from_1_to_2(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    tx.execute_batch(FROM_1)?;
    // The tables of format 2 that format 1 does not have in another shape.
    for statement in TABLES.split_inclusive(";\n") {
        let kept = ["meta", "formats", "lease", "claim"]
            .iter()
            .any(|t| statement.contains(&format!("create table {t} ")));
        if !kept {
            tx.execute_batch(statement)?;
        }
    }
    let mut rows = tx.prepare("select policy, owner, epoch, term, body from journal_1 order by policy")?;
    let old: Vec<(String, String, i64, i64, String)> = rows
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?)))?
        .collect::<Result<_, _>>()?;
    drop(rows);
    for (version, (policy, owner, epoch, term, body)) in (1_i64..).zip(old) {
        let sum = sum(&policy, version, &body);
        tx.execute(
            "insert into journal values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![policy, owner, version, epoch, term, body, sum],
        )?;
        tx.execute("update meta set generation = ?1", [version])?;
    }
    tx.execute_batch(
        "insert into run select policy, epoch, name, body from run_1;
         drop table run_1;
         drop table journal_1;",
    )
}

/// What a journal's row must add up to.
pub(super) fn sum(policy: &str, version: i64, body: &str) -> String {
    short_hash(&[policy.as_bytes(), &[0], &version.to_be_bytes(), body.as_bytes()])
}

/// Half of a SHA-256, in hexadecimal.
pub(super) fn short_hash(parts: &[&[u8]]) -> String {
    let hash = parts.iter().fold(Sha256::new(), Digest::chain_update).finalize();
    let half = hash.first_chunk().copied().unwrap_or_default();
    format!("{:032x}", u128::from_be_bytes(half))
}

/// What an open file says of itself, or why it must not be used. Changes nothing.
pub(super) fn examine(connection: &Connection) -> rusqlite::Result<Examined> {
    let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let parts: i64 = connection.query_row("select count(*) from sqlite_schema", [], |row| row.get(0))?;
    if parts == 0 {
        return Ok(Examined::Damaged("it holds nothing".to_owned()));
    }
    if application != APPLICATION_ID {
        return Ok(Examined::Foreign(format!("its application id is {application:#010x}")));
    }
    let format = format_of(connection)?;
    if format > FORMAT {
        return Ok(Examined::Newer(format));
    }
    let damage: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    if damage != "ok" {
        return Ok(Examined::Damaged(damage));
    }
    if format < 1 {
        return Ok(Examined::Damaged(format!("its format is {format}")));
    }
    if format < FORMAT {
        return Ok(Examined::Older);
    }
    let ahead: Option<i64> = connection
        .query_row("select version from journal where version > (select generation from meta)", [], |r| {
            r.get(0)
        })
        .optional()?;
    Ok(match ahead {
        Some(version) => Examined::Damaged(format!("change {version} is newer than the newest one counted")),
        None => Examined::Present,
    })
}

/// See [`examine`].
#[derive(Debug)]
pub(super) enum Examined {
    /// As this code writes it.
    Present,
    /// Of an older format.
    Older,
    /// Of this newer format.
    Newer(i64),
    /// Not ours.
    Foreign(String),
    /// Ours, and not whole.
    Damaged(String),
}

/// A number as SQLite keeps it.
pub(super) fn to_sql(what: &'static str, number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::Invalid { what, why: format!("{number} is out of range") })
}

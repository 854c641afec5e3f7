//! Ended runs, and the frames that `muster replay` steps through. Both bounded; the oldest go first.

use super::db::Fault;
use super::journal::bounded_json;
use super::place::Place;
use super::schema::to_sql;
use crate::store::StoreError;
use muster_core::ids::{PolicyName, RunName};
use muster_core::journal::Run;
use rusqlite::{OptionalExtension as _, Transaction, params};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Keeps an ended run, or its newer figures. Writes nothing if it is kept just so.
pub(super) fn keep(tx: &Transaction<'_>, place: &Place, policy: &PolicyName, run: &Run) -> Result<(), Fault> {
    let body = bounded_json("run", run, place.options.journal_bytes)?;
    let epoch = to_sql("epoch", run.epoch.0)?;
    let key = params![policy.as_str(), epoch];
    let kept: Option<String> = tx
        .prepare_cached("select body from run where policy = ?1 and epoch = ?2")?
        .query_row(key, |row| row.get(0))
        .optional()?;
    if kept.as_ref() == Some(&body) {
        return Ok(());
    }
    tx.prepare_cached("insert or replace into run values (?1, ?2, ?3, ?4)")?.execute(params![
        policy.as_str(),
        epoch,
        run.name.as_str(),
        body
    ])?;
    let bound = to_sql("history", place.options.runs_kept)?;
    tx.prepare_cached(
        "delete from run where policy = ?1 and epoch in
         (select epoch from run where policy = ?1 order by epoch desc limit -1 offset ?2)",
    )?
    .execute(params![policy.as_str(), bound])?;
    Ok(())
}

/// What [`super::SqliteStore`] calls for a run that was not recorded as ended by itself.
pub(super) fn finish(
    tx: &Transaction<'_>,
    place: &Place,
    policy: &PolicyName,
    run: &Run,
) -> Result<(), Fault> {
    ensure_known(tx, policy)?;
    if !run.phase.is_final() {
        let why = format!("{} has not ended", run.name);
        return Err(StoreError::Invalid { what: "run", why }.into());
    }
    keep(tx, place, policy, run)
}

pub(super) fn newest(tx: &Transaction<'_>, policy: &PolicyName, limit: usize) -> Result<Vec<Run>, Fault> {
    ensure_known(tx, policy)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows =
        tx.prepare_cached("select body from run where policy = ?1 order by epoch desc limit ?2")?;
    let bodies = rows.query_map(params![policy.as_str(), limit], |row| row.get::<_, String>(0))?;
    parse_each(policy, bodies)
}

pub(super) fn named(tx: &Transaction<'_>, policy: &PolicyName, name: &RunName) -> Result<Option<Run>, Fault> {
    ensure_known(tx, policy)?;
    let body: Option<String> = tx
        .prepare_cached("select body from run where policy = ?1 and name = ?2 order by epoch desc limit 1")?
        .query_row(params![policy.as_str(), name.as_str()], |row| row.get(0))
        .optional()?;
    let parsed = body.map(|body| serde_json::from_str(&body)).transpose();
    parsed.map_err(|e| StoreError::Unreadable { policy: policy.clone(), why: e.to_string() }.into())
}

pub(super) fn append_frame(
    tx: &Transaction<'_>,
    place: &Place,
    policy: &PolicyName,
    run: &RunName,
    body: &str,
) -> Result<(), Fault> {
    ensure_known(tx, policy)?;
    let bytes = to_sql("frame", body.len() as u64)?;
    tx.prepare_cached("insert into frame (policy, run, bytes, body) values (?1, ?2, ?3, ?4)")?
        .execute(params![policy.as_str(), run.as_str(), bytes, body])?;
    forget_frames(tx, place, policy, run)?;
    forget_framed_runs(tx, place, policy)
}

/// Keeps the newest frames of a run, by number and bytes.
fn forget_frames(
    tx: &Transaction<'_>,
    place: &Place,
    policy: &PolicyName,
    run: &RunName,
) -> Result<(), Fault> {
    let (count, bytes) = (place.options.frames_per_run, place.options.frame_bytes_per_run as u64);
    tx.prepare_cached(
        "delete from frame where policy = ?1 and run = ?2 and id <=
         (select max(id) from
           (select id, row_number() over newest as n, sum(bytes) over newest as total
            from frame where policy = ?1 and run = ?2 window newest as (order by id desc))
          where n > ?3 or total > ?4)",
    )?
    .execute(params![
        policy.as_str(),
        run.as_str(),
        to_sql("frames", count)?,
        to_sql("frames", bytes)?
    ])?;
    Ok(())
}

fn forget_framed_runs(tx: &Transaction<'_>, place: &Place, policy: &PolicyName) -> Result<(), Fault> {
    let bound = to_sql("runs", place.options.framed_runs)?;
    tx.prepare_cached(
        "delete from frame where policy = ?1 and run in
         (select run from frame where policy = ?1 group by run order by max(id) desc limit -1 offset ?2)",
    )?
    .execute(params![policy.as_str(), bound])?;
    Ok(())
}

pub(super) fn frames(tx: &Transaction<'_>, policy: &PolicyName, run: &RunName) -> Result<Vec<Value>, Fault> {
    ensure_known(tx, policy)?;
    let mut rows = tx.prepare_cached("select body from frame where policy = ?1 and run = ?2 order by id")?;
    let bodies = rows.query_map(params![policy.as_str(), run.as_str()], |row| row.get::<_, String>(0))?;
    parse_each(policy, bodies)
}

/// Refuses a policy that was never created.
pub(super) fn ensure_known(tx: &Transaction<'_>, policy: &PolicyName) -> Result<(), Fault> {
    let known = tx.prepare_cached("select 1 from journal where policy = ?1")?.exists([policy.as_str()])?;
    if known { Ok(()) } else { Err(StoreError::UnknownPolicy { policy: policy.clone() }.into()) }
}

/// One that another muster wrote in another shape must not hide the rest.
fn parse_each<T: DeserializeOwned>(
    policy: &PolicyName,
    bodies: impl Iterator<Item = rusqlite::Result<String>>,
) -> Result<Vec<T>, Fault> {
    let mut parsed = Vec::new();
    for body in bodies {
        match serde_json::from_str(&body?) {
            Ok(value) => parsed.push(value),
            Err(error) => tracing::warn!(%policy, %error, "left out of the history: not readable"),
        }
    }
    Ok(parsed)
}

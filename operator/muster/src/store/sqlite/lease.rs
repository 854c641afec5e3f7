//! The lease's row. `number` grows with each acquisition, `beat` with each change.

use super::db::Fault;
use super::schema::to_sql;
use crate::store::{LeaseToken, StoreError};
use muster_core::ids::HolderId;
use muster_core::time::Millis;
use rusqlite::{Transaction, params};

/// Shorter, and an ordinary pause of a process would end it; longer, and a killed holder is missed too long.
const DURATIONS: std::ops::RangeInclusive<u64> = 50..=300_000;

/// The lease as it is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct LeaseRow {
    pub(super) number: i64,
    pub(super) holder: Option<HolderId>,
    pub(super) beat: i64,
    pub(super) duration: Millis,
}

impl LeaseRow {
    /// Whom a candidate has to wait for, and how long without a change: as long as the holder relies on it.
    pub(super) fn in_the_way(&self, candidate: &HolderId, unchanged_for: Millis) -> Option<HolderId> {
        let holder = self.holder.as_ref()?;
        (holder != candidate && unchanged_for < self.duration).then(|| holder.clone())
    }
}

pub(super) fn read(tx: &Transaction<'_>) -> Result<LeaseRow, Fault> {
    let row =
        tx.prepare_cached("select number, holder, beat, duration_ms from lease")?.query_row([], |r| {
            Ok(LeaseRow {
                number: r.get(0)?,
                holder: r.get::<_, Option<String>>(1)?.map(HolderId::new),
                beat: r.get(2)?,
                duration: Millis(u64::try_from(r.get::<_, i64>(3)?).unwrap_or(0)),
            })
        })?;
    Ok(row)
}

/// Takes the lease if it still is as `seen`. `None`: it changed meanwhile.
pub(super) fn take(
    tx: &Transaction<'_>,
    seen: &LeaseRow,
    holder: &HolderId,
    duration: Millis,
) -> Result<Option<u64>, Fault> {
    if read(tx)? != *seen {
        return Ok(None);
    }
    let number: i64 = tx
        .prepare_cached(
            "update lease set number = number + 1, beat = beat + 1, holder = ?1, duration_ms = ?2 returning number",
        )?
        .query_row(params![holder.as_str(), to_sql("lease", duration.0)?], |row| row.get(0))?;
    Ok(Some(u64::try_from(number).unwrap_or(0)))
}

/// Refuses a token that is not the newest one, or has run out by its holder's own clock.
pub(super) fn ensure_held(tx: &Transaction<'_>, token: &LeaseToken) -> Result<(), Fault> {
    let row = read(tx)?;
    let lost = |why: String| Fault::from(StoreError::LeaseLost { why });
    if row.number != to_sql("lease", token.number())? {
        let by = row.holder.map_or_else(|| "nobody now".to_owned(), |by| by.to_string());
        return Err(lost(format!("number {} was followed by {}, held by {by}", token.number(), row.number)));
    }
    if row.holder.as_ref() != Some(token.holder()) {
        return Err(lost(format!("number {} was given back", token.number())));
    }
    if !token.is_live() {
        return Err(lost(format!("number {} ran out before it was renewed", token.number())));
    }
    Ok(())
}

pub(super) fn renew(tx: &Transaction<'_>, token: &LeaseToken) -> Result<(), Fault> {
    ensure_held(tx, token)?;
    tx.prepare_cached("update lease set beat = beat + 1")?.execute([])?;
    Ok(())
}

pub(super) fn give_back(tx: &Transaction<'_>, token: &LeaseToken) -> Result<(), Fault> {
    tx.execute(
        "update lease set holder = null, beat = beat + 1 where number = ?1 and holder = ?2",
        params![to_sql("lease", token.number())?, token.holder().as_str()],
    )?;
    Ok(())
}

pub(super) fn ensure_sane(duration: Millis) -> Result<(), StoreError> {
    if DURATIONS.contains(&duration.0) {
        return Ok(());
    }
    let why = format!("{duration} is not between 50 ms and 5 min");
    Err(StoreError::Invalid { what: "lease duration", why })
}

//! Who steers what. All or none, so that two policies never each hold half of what both need.

use super::db::Fault;
use muster_core::ids::{ClaimKey, Owner};
use rusqlite::{OptionalExtension as _, Transaction, params};
use std::collections::{BTreeMap, BTreeSet};

/// How the keys stand.
pub(super) struct Standing {
    /// Held by others.
    pub(super) foreign: BTreeMap<ClaimKey, Owner>,
    /// Held by nobody.
    pub(super) free: Vec<ClaimKey>,
}

pub(super) fn look(
    tx: &Transaction<'_>,
    owner: &Owner,
    keys: &BTreeSet<ClaimKey>,
) -> Result<Standing, Fault> {
    let mut standing = Standing { foreign: BTreeMap::new(), free: Vec::new() };
    let mut statement = tx.prepare_cached("select owner from claim where key = ?1")?;
    for key in keys {
        match statement.query_row([key.as_str()], |row| row.get::<_, String>(0)).optional()? {
            None => standing.free.push(key.clone()),
            Some(held) if held != owner.as_str() => {
                standing.foreign.insert(key.clone(), Owner::new(held));
            }
            Some(_) => {}
        }
    }
    Ok(standing)
}

pub(super) fn take(
    tx: &Transaction<'_>,
    owner: &Owner,
    keys: &BTreeSet<ClaimKey>,
) -> Result<BTreeMap<ClaimKey, Owner>, Fault> {
    let standing = look(tx, owner, keys)?;
    if standing.foreign.is_empty() {
        let mut statement = tx.prepare_cached("insert into claim values (?1, ?2)")?;
        for key in &standing.free {
            statement.execute(params![key.as_str(), owner.as_str()])?;
        }
    }
    Ok(standing.foreign)
}

pub(super) fn give_up(tx: &Transaction<'_>, owner: &Owner, keys: &BTreeSet<ClaimKey>) -> Result<(), Fault> {
    let mut statement = tx.prepare_cached("delete from claim where key = ?1 and owner = ?2")?;
    for key in keys {
        statement.execute(params![key.as_str(), owner.as_str()])?;
    }
    Ok(())
}

pub(super) fn all(tx: &Transaction<'_>) -> Result<BTreeMap<ClaimKey, Owner>, Fault> {
    let mut rows = tx.prepare_cached("select key, owner from claim")?;
    let claims = rows.query_map([], |row| {
        Ok((ClaimKey::new(row.get::<_, String>(0)?), Owner::new(row.get::<_, String>(1)?)))
    })?;
    Ok(claims.collect::<Result<_, _>>()?)
}

pub(super) fn of(tx: &Transaction<'_>, owner: &Owner) -> Result<BTreeSet<ClaimKey>, Fault> {
    let mut rows = tx.prepare_cached("select key from claim where owner = ?1")?;
    let keys = rows.query_map([owner.as_str()], |row| Ok(ClaimKey::new(row.get::<_, String>(0)?)))?;
    Ok(keys.collect::<Result<_, _>>()?)
}

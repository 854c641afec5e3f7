//! The journals: loaded whole, replaced whole, under a version that never comes back.

use super::db::Fault;
use super::place::Place;
use super::schema::{sum, to_sql};
use super::{history, lease};
use crate::store::{Known, LeaseToken, Loaded, StoreError, Version, ensure_grows};
use muster_core::ids::{Owner, PolicyName};
use muster_core::journal::{Journal, PolicyState};
use muster_core::time::Stamp;
use muster_core::wish::{self, Wish};
use rusqlite::{OptionalExtension as _, Transaction, params};

/// A journal's row, read and checked.
struct Row {
    owner: Owner,
    version: i64,
    epoch: i64,
    term: i64,
    body: String,
}

pub(super) fn list(tx: &Transaction<'_>) -> Result<Vec<Known>, Fault> {
    let mut rows = tx.prepare_cached("select policy, owner, version, body from journal order by policy")?;
    let known = rows.query_map([], |row| {
        let policy = PolicyName::new(row.get::<_, String>(0)?);
        let journal = parse(&policy, &row.get::<_, String>(3)?).ok();
        Ok(Known {
            policy,
            owner: Some(Owner::new(row.get::<_, String>(1)?)),
            version: version(row.get(2)?),
            in_run: journal.map(|journal| journal.state.active_run.is_some()),
        })
    })?;
    Ok(known.collect::<Result<_, _>>()?)
}

pub(super) fn load(tx: &Transaction<'_>, place: &Place, policy: &PolicyName) -> Result<Loaded, Fault> {
    let row = read(tx, place, policy)?;
    Ok(Loaded { version: version(row.version), journal: parse(policy, &row.body)? })
}

pub(super) fn create(
    tx: &Transaction<'_>,
    place: &Place,
    policy: &PolicyName,
    owner: &Owner,
) -> Result<(Loaded, u64), Fault> {
    match read(tx, place, policy) {
        Ok(row) => {
            return Err(StoreError::PolicyExists { policy: policy.clone(), owner: row.owner }.into());
        }
        Err(Fault::Refuse(StoreError::UnknownPolicy { .. })) => {}
        Err(fault) => return Err(fault),
    }
    let mut state = PolicyState::new(owner.clone());
    // A restored journal may have lost this policy's past.
    state.needs_ack = tx.query_row("select restored from meta", [], |row| row.get(0))?;
    let journal = Journal { state, run: None, requests: Vec::new() };
    let body = to_body(place, &journal)?;
    let generation = next_generation(tx)?;
    tx.execute(
        "insert into journal values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            policy.as_str(),
            owner.as_str(),
            generation,
            to_sql("epoch", journal.state.epoch.0)?,
            to_sql("term", journal.state.term.0)?,
            body,
            sum(policy.as_str(), generation, &body)
        ],
    )?;
    Ok((Loaded { version: version(generation), journal }, as_mark(generation)))
}

/// What [`record`] is given.
pub(super) struct Record {
    pub(super) policy: PolicyName,
    pub(super) expected: Version,
    pub(super) lease: LeaseToken,
    pub(super) next: Journal,
    /// `next` as text, made before the write lock is taken.
    pub(super) body: String,
}

pub(super) fn record(tx: &Transaction<'_>, place: &Place, new: &Record) -> Result<(Version, u64), Fault> {
    lease::ensure_held(tx, &new.lease)?;
    let row = read(tx, place, &new.policy)?;
    let found = version(row.version);
    if found != new.expected {
        let (policy, expected) = (new.policy.clone(), new.expected.clone());
        return Err(StoreError::Conflict { policy, expected, found }.into());
    }
    let generation = replace(tx, &new.policy, &row, &new.next, &new.body)?;
    if let Some(run) = new.next.run.as_ref().filter(|run| run.phase.is_final()) {
        history::keep(tx, place, &new.policy, run)?;
    }
    Ok((version(generation), as_mark(generation)))
}

/// `None` as the mark: the wish changed nothing.
pub(super) fn wish(
    tx: &Transaction<'_>,
    place: &Place,
    policy: &PolicyName,
    wish: &Wish,
    now: Stamp,
) -> Result<(Loaded, Option<u64>), Fault> {
    let row = read(tx, place, policy)?;
    let present = parse(policy, &row.body)?;
    let next = wish::take_in(&present, wish, now).map_err(StoreError::Refused)?;
    if matches!(wish, Wish::Ack { .. }) {
        tx.execute("update meta set restored = null where restored is not null", [])?;
    }
    if next == present {
        return Ok((Loaded { version: version(row.version), journal: next }, None));
    }
    let generation = replace(tx, policy, &row, &next, &to_body(place, &next)?)?;
    Ok((Loaded { version: version(generation), journal: next }, Some(as_mark(generation))))
}

/// Makes every policy ask for an `ack`, with `why`.
pub(super) fn ask_all(tx: &Transaction<'_>, place: &Place, why: &str) -> Result<(), Fault> {
    for known in list(tx)? {
        let row = read(tx, place, &known.policy)?;
        let mut journal = parse(&known.policy, &row.body)?;
        journal.state.needs_ack = Some(match journal.state.needs_ack.take() {
            None => why.to_owned(),
            Some(before) => format!("{before}; {why}"),
        });
        replace(tx, &known.policy, &row, &journal, &to_body(place, &journal)?)?;
    }
    Ok(())
}

/// A journal as text, within its bound.
pub(super) fn to_body(place: &Place, journal: &Journal) -> Result<String, StoreError> {
    bounded_json("journal", journal, place.options.journal_bytes)
}

/// Anything as text, within a bound in bytes.
pub(super) fn bounded_json(
    what: &'static str,
    value: &impl serde::Serialize,
    limit: usize,
) -> Result<String, StoreError> {
    let text = serde_json::to_string(value).map_err(|e| StoreError::Invalid { what, why: e.to_string() })?;
    if text.len() > limit {
        let why = format!("{} bytes are more than the {limit} that are kept", text.len());
        return Err(StoreError::Invalid { what, why });
    }
    Ok(text)
}

fn read(tx: &Transaction<'_>, place: &Place, policy: &PolicyName) -> Result<Row, Fault> {
    let mut statement =
        tx.prepare_cached("select owner, version, epoch, term, body, sum from journal where policy = ?1")?;
    let found = statement.query_row([policy.as_str()], |r| {
        let owner = Owner::new(r.get::<_, String>(0)?);
        let row = Row { owner, version: r.get(1)?, epoch: r.get(2)?, term: r.get(3)?, body: r.get(4)? };
        Ok((row, r.get::<_, String>(5)?))
    });
    let Some((row, kept)) = found.optional()? else {
        return Err(StoreError::UnknownPolicy { policy: policy.clone() }.into());
    };
    if sum(policy.as_str(), row.version, &row.body) != kept {
        let detail = format!("the journal of {policy} does not add up");
        return Err(StoreError::Corrupt { path: place.file.clone(), detail }.into());
    }
    Ok(row)
}

fn replace(
    tx: &Transaction<'_>,
    policy: &PolicyName,
    row: &Row,
    next: &Journal,
    body: &str,
) -> Result<i64, Fault> {
    let (epoch, term) = (to_sql("epoch", next.state.epoch.0)?, to_sql("term", next.state.term.0)?);
    ensure_grows(policy, (&row.owner, (row.epoch, row.term)), (&next.state.owner, (epoch, term)))?;
    let generation = next_generation(tx)?;
    tx.prepare_cached(
        "update journal set version = ?2, epoch = ?3, term = ?4, body = ?5, sum = ?6 where policy = ?1",
    )?
    .execute(params![
        policy.as_str(),
        generation,
        epoch,
        term,
        body,
        sum(policy.as_str(), generation, body)
    ])?;
    Ok(generation)
}

fn next_generation(tx: &Transaction<'_>) -> rusqlite::Result<i64> {
    tx.prepare_cached("update meta set generation = generation + 1 returning generation")?
        .query_row([], |row| row.get(0))
}

fn version(generation: i64) -> Version {
    Version::new(generation.to_string())
}

fn as_mark(generation: i64) -> u64 {
    u64::try_from(generation).unwrap_or(0)
}

fn parse(policy: &PolicyName, body: &str) -> Result<Journal, StoreError> {
    serde_json::from_str(body)
        .map_err(|error| StoreError::Unreadable { policy: policy.clone(), why: error.to_string() })
}

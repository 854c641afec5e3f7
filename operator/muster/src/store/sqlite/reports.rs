//! The newest report of each vantage.

use super::db::Fault;
use super::history::ensure_known;
use super::place::Place;
use super::schema::to_sql;
use crate::store::VantageReport;
use muster_core::ids::{PolicyName, VantageName};
use muster_core::time::{BootId, Stamp, Tick, Wall};
use rusqlite::{Transaction, params};

pub(super) fn publish(
    tx: &Transaction<'_>,
    place: &Place,
    policy: &PolicyName,
    report: &VantageReport,
    body: &str,
) -> Result<(), Fault> {
    ensure_known(tx, policy)?;
    let (boot, tick) = (to_sql("boot", report.received.boot.0)?, to_sql("tick", report.received.tick.0)?);
    // Ticks compare only within one boot; the newest writer wins over a reboot.
    tx.prepare_cached(
        "insert or replace into report select ?1, ?2, ?3, ?4, ?5, ?6 where not exists
         (select 1 from report where policy = ?1 and vantage = ?2 and boot = ?3 and tick > ?4)",
    )?
    .execute(params![
        policy.as_str(),
        report.vantage.as_str(),
        boot,
        tick,
        report.received.wall.0,
        body
    ])?;
    // A replaced row gets a new number, so the lowest ones are silent the longest.
    tx.prepare_cached(
        "delete from report where rowid in
         (select rowid from report where policy = ?1 order by rowid desc limit -1 offset ?2)",
    )?
    .execute(params![policy.as_str(), to_sql("vantages", place.options.vantages_kept)?])?;
    Ok(())
}

pub(super) fn newest(tx: &Transaction<'_>, policy: &PolicyName) -> Result<Vec<VantageReport>, Fault> {
    ensure_known(tx, policy)?;
    let mut rows = tx.prepare_cached(
        "select vantage, boot, tick, wall_ms, body from report where policy = ?1 order by vantage",
    )?;
    let number = |n: i64| u64::try_from(n).unwrap_or(0);
    let found = rows.query_map([policy.as_str()], |row| {
        let received = Stamp {
            boot: BootId(number(row.get(1)?)),
            tick: Tick(number(row.get(2)?)),
            wall: Wall(row.get(3)?),
        };
        Ok((VantageName::new(row.get::<_, String>(0)?), received, row.get::<_, String>(4)?))
    })?;
    let mut reports = Vec::new();
    for report in found {
        let (vantage, received, body) = report?;
        // It was JSON when it was taken; what is not now is as good as no report.
        if let Ok(payload) = serde_json::from_str(&body) {
            reports.push(VantageReport { vantage, payload, received });
        }
    }
    Ok(reports)
}

//! What an old primary's log holds behind the point where the new primary left it, read with `pg_waldump`.

use anyhow::Context;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Tables of Muster's by their file numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnFiles {
    /// The heartbeats.
    pub(super) heartbeats: u32,
    /// The others, with their indexes: witness and fence.
    pub(super) others: BTreeSet<u32>,
}

/// Commits that only the old log has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Left {
    /// All of them but Muster's own fence: what it wrote of itself, and roles that it shut.
    pub(super) commits: u64,
    /// Muster's heartbeats among them.
    pub(super) beats: u64,
    /// Commit time of the newest, in milliseconds since 1970.
    pub(super) newest_ms: Option<i64>,
}

/// How `pg_waldump` says that the log is at its end. A log always ends in something that is no record.
const END_OF_LOG: &[&str] = &[
    "invalid record length",
    "invalid magic number",
    "incorrect prev-link",
    "unexpected pageaddr",
    "could not find a valid record",
    "invalid resource manager",
    "contrecord",
    "out-of-sequence",
    "incorrect resource manager data checksum",
];

/// Reads to the end of the log. `None`: a part of it is missing. `dump` prints everything behind the fork, with
/// times in UTC.
pub(super) async fn read(mut dump: Command, own: &OwnFiles) -> anyhow::Result<Option<Left>> {
    dump.env("TZ", "UTC").env("LC_ALL", "C");
    let out =
        tokio::task::spawn_blocking(move || dump.output()).await?.context("failed to run pg_waldump")?;
    let said = String::from_utf8_lossy(&out.stderr);
    if !out.status.success() && !END_OF_LOG.iter().any(|end| said.contains(end)) {
        return Ok(None);
    }
    Ok(Some(count(&String::from_utf8_lossy(&out.stdout), own)))
}

/// Whose a transaction is, by what it touched so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Touched {
    heartbeats: bool,
    own: bool,
    others: bool,
}

fn count(dump: &str, own: &OwnFiles) -> Left {
    let mut left = Left::default();
    let mut touched: BTreeMap<&str, Touched> = BTreeMap::new();
    for line in dump.lines() {
        let transaction = field(line, "tx:").unwrap_or("0");
        if let Some((_, commit)) = line.split_once("desc: COMMIT") {
            let what = touched.remove(transaction).unwrap_or_default();
            if what.own && !what.others && !what.heartbeats {
                continue;
            }
            left.commits += 1;
            left.beats += u64::from(what.heartbeats);
            left.newest_ms = left.newest_ms.max(commit_time(commit));
        } else if transaction != "0" {
            let what = touched.entry(transaction).or_default();
            for (space, file) in line.split("rel ").skip(1).filter_map(relation) {
                what.heartbeats |= file == own.heartbeats;
                what.own |= space == GLOBAL_SPACE || own.others.contains(&file);
                what.others |= space != GLOBAL_SPACE && file != own.heartbeats && !own.others.contains(&file);
            }
        }
    }
    left
}

/// The table space of the catalogues that all databases share: roles, and their settings.
const GLOBAL_SPACE: u32 = 1664;

/// `1663/16388/16401 blk 0`: table space and file.
fn relation(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split([' ', ',', ';']).next()?.split('/');
    let (space, _database, file) = (parts.next()?, parts.next()?, parts.next()?);
    Some((space.parse().ok()?, file.parse().ok()?))
}

fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(name)?;
    rest.trim_start().split([',', ' ']).next()
}

/// ` 2026-11-23 21:44:01.123456 UTC; ...`
fn commit_time(text: &str) -> Option<i64> {
    let mut words =
        text.split_whitespace().skip_while(|word| !word.starts_with(|c: char| c.is_ascii_digit()));
    let time = format!("{}T{}", words.next()?, words.next()?.trim_end_matches(';'));
    let time: DateTime = time.parse().ok()?;
    time.to_zoned(TimeZone::UTC).ok().map(|z| z.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_counted_with_the_heartbeats_among_them_and_the_newest_time() {
        let dump = "\
rmgr: Heap        len (rec/tot):     54/    54, tx:        745, lsn: 0/0192A518, prev 0/0192A4E0, desc: HOT_UPDATE off 1 xmax 745, blkref #0: rel 1663/16388/16401 blk 0
rmgr: Heap        len (rec/tot):    100/   100, tx:        746, lsn: 0/0192A550, prev 0/0192A518, desc: INSERT off 4 flags 0x00, blkref #0: rel 1663/16388/16420 blk 0
rmgr: Transaction len (rec/tot):     34/    34, tx:        745, lsn: 0/0192A5B8, prev 0/0192A550, desc: COMMIT 2026-11-23 21:44:01.123456 UTC
rmgr: Transaction len (rec/tot):     34/    34, tx:        746, lsn: 0/0192A5E0, prev 0/0192A5B8, desc: COMMIT 2026-11-23 21:44:01.200000 UTC; inval msgs: catcache 10
rmgr: Transaction len (rec/tot):     34/    34, tx:        747, lsn: 0/0192A610, prev 0/0192A5E0, desc: ABORT 2026-11-23 21:44:09.000000 UTC
";
        let left = count(dump, &own());
        assert_eq!(left, Left { commits: 2, beats: 1, newest_ms: Some(1_795_470_241_200) });
        assert_eq!(count("", &own()), Left::default());
    }

    fn own() -> OwnFiles {
        OwnFiles { heartbeats: 16_401, others: [16_410].into() }
    }

    #[test]
    fn the_fence_itself_is_no_lost_commit() {
        let dump = "\
rmgr: Heap        len (rec/tot):     54/    54, tx:        750, lsn: 0/0192A518, prev 0/0192A4E0, desc: HOT_UPDATE off 1 xmax 750, blkref #0: rel 1664/0/1260 blk 0
rmgr: Heap        len (rec/tot):     54/    54, tx:        750, lsn: 0/0192A518, prev 0/0192A4E0, desc: INSERT off 1, blkref #0: rel 1663/16388/16410 blk 0
rmgr: Transaction len (rec/tot):     34/    34, tx:        750, lsn: 0/0192A5B8, prev 0/0192A550, desc: COMMIT 2026-11-23 21:44:01.123456 UTC
rmgr: Heap        len (rec/tot):     54/    54, tx:        751, lsn: 0/0192A518, prev 0/0192A4E0, desc: INSERT off 1, blkref #0: rel 1663/16388/16410 blk 0
rmgr: Heap        len (rec/tot):     54/    54, tx:        751, lsn: 0/0192A518, prev 0/0192A4E0, desc: INSERT off 1, blkref #0: rel 1663/16388/16420 blk 0
rmgr: Transaction len (rec/tot):     34/    34, tx:        751, lsn: 0/0192A5E0, prev 0/0192A5B8, desc: COMMIT 2026-11-23 21:44:01.200000 UTC
rmgr: Transaction len (rec/tot):     34/    34, tx:        752, lsn: 0/0192A5E0, prev 0/0192A5B8, desc: COMMIT 2026-11-23 21:44:01.200000 UTC
";
        assert_eq!(count(dump, &own()).commits, 2, "unknown ones count");
    }
}

//! Positions in the write-ahead log, and where timelines part.

use muster_core::ids::Position;

/// Sizes of a server's log files, in bytes; set when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WalShape {
    pub(super) block: u64,
    pub(super) segment: u64,
}

/// Reads `0/310FCF8`.
pub(super) fn parse_position(text: &str) -> Option<Position> {
    let (high, low) = text.split_once('/')?;
    let (high, low) = (u32::from_str_radix(high, 16).ok()?, u32::from_str_radix(low, 16).ok()?);
    Some(Position((u64::from(high) << 32) | u64::from(low)))
}

/// As PostgreSQL writes it.
pub(super) fn show_position(position: Position) -> String {
    format!("{:X}/{:X}", position.0 >> 32, position.0 & 0xFFFF_FFFF)
}

/// The end of the last record, from `pg_current_wal_insert_lsn()`.
///
/// The insert position is where the next record would *start*: behind a page's header, if the last record ended with
/// the page before. A standby reports where the record *ended*, and would never be seen to reach the other value.
/// Headers are 40 bytes on a segment's first page and 24 on others (`xlog_internal.h`: `SizeOfXLogLongPHD`,
/// `SizeOfXLogShortPHD`); no record ends exactly behind one.
pub(super) fn record_end(insert: Position, shape: WalShape) -> Position {
    const LONG_HEADER: u64 = 40;
    const SHORT_HEADER: u64 = 24;
    if insert.0 % shape.segment == LONG_HEADER {
        return Position(insert.0 - LONG_HEADER);
    }
    if insert.0 % shape.block == SHORT_HEADER && insert.0 % shape.segment != SHORT_HEADER {
        return Position(insert.0 - SHORT_HEADER);
    }
    insert
}

/// Where `timeline` was left, from a newer timeline's history file: lines of timeline, position, reason.
pub(super) fn fork_of(history: &str, timeline: u64) -> Option<Position> {
    history.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let (number, at) = (fields.next()?, fields.next()?);
        (number.parse() == Ok(timeline)).then(|| parse_position(at)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_and_shown_as_postgresql_does() {
        assert_eq!(parse_position("1A/310FCF8"), Some(Position(0x1A_0310_FCF8)));
        assert_eq!(show_position(Position(0x1A_0310_FCF8)), "1A/310FCF8");
        assert_eq!(parse_position("310FCF8"), None);
        assert_eq!(parse_position("1/2/3"), None);
    }

    #[test]
    fn behind_a_page_header_means_the_end_of_the_page_before() {
        let shape = WalShape { block: 8192, segment: 16 << 20 };
        let end = |at| record_end(Position(at), shape).0;
        assert_eq!(end(8192 * 3 + 24), 8192 * 3);
        assert_eq!(end((16 << 20) + 40), 16 << 20);
        assert_eq!(end((16 << 20) + 24), (16 << 20) + 24, "a segment's first page has the long header");
        assert_eq!(end(8192 * 3 + 32), 8192 * 3 + 32);
        assert_eq!(end(8192 * 3), 8192 * 3);
    }

    #[test]
    fn the_fork_is_the_line_of_the_old_timeline() {
        let history =
            "1\t0/310FCF8\tno recovery target specified\n\n2\t0/5000000\tno recovery target specified\n";
        assert_eq!(fork_of(history, 1), Some(Position(0x310_FCF8)));
        assert_eq!(fork_of(history, 2), Some(Position(0x500_0000)));
        assert_eq!(fork_of(history, 3), None);
    }
}

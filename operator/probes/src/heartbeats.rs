//! What is known of the heartbeats of one data item: written here, present there.

use muster_core::facts::{HeartbeatFacts, HeartbeatRow};
use muster_core::ids::{RegionName, VantageName};
use muster_core::time::{Millis, Stamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Acknowledgements kept: at one a second a quarter of an hour.
const MAX_RECENT: usize = 900;

/// Counts of one writer. Lives as long as the runner, over every edit of the policy.
#[derive(Debug)]
pub struct HeartbeatBook {
    writer: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The highest number known anywhere: sent by us or seen in a table.
    highest: u64,
    acked: Option<(u64, Stamp)>,
    unanswered: u64,
    recent: VecDeque<(u64, Stamp)>,
    present: BTreeMap<RegionName, (u64, Stamp)>,
}

/// What a standby has of our heartbeats.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StandbyBeat {
    /// The newest number present; 0: none.
    pub seq: u64,
    /// When reading it began.
    pub at: Stamp,
    /// Acknowledged numbers that were not present then, counted against the newest acknowledged *now*.
    pub behind: u64,
    /// Age between the newest acknowledged and the newest present: the loss if the primary were gone now, at
    /// least. Unset when the present one is older than what is remembered.
    pub lag: Option<Millis>,
}

impl HeartbeatBook {
    /// A writer is a vantage: its name is its row.
    pub fn new(vantage: &VantageName) -> Self {
        Self { writer: vantage.to_string(), state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn writer(&self) -> &str {
        &self.writer
    }

    /// A number that was never used, counted as unanswered.
    pub(crate) fn begin_write(&self) -> u64 {
        let mut state = self.lock();
        state.highest += 1;
        state.unanswered += 1;
        state.highest
    }

    pub(crate) fn acknowledged(&self, seq: u64, at: Stamp) {
        let mut state = self.lock();
        if state.acked.is_some_and(|(newest, _)| newest >= seq) {
            return;
        }
        state.acked = Some((seq, at));
        state.unanswered = 0;
        state.recent.push_back((seq, at));
        if state.recent.len() > MAX_RECENT {
            state.recent.pop_front();
        }
    }

    /// The write is known to have had no effect.
    pub(crate) fn refused(&self) {
        let mut state = self.lock();
        state.unanswered = state.unanswered.saturating_sub(1);
    }

    /// A table has this number: the sequence goes on above it.
    pub(crate) fn note_present(&self, seq: u64) {
        let mut state = self.lock();
        state.highest = state.highest.max(seq);
    }

    pub(crate) fn seen_at(&self, region: &RegionName, seq: u64, began: Stamp) {
        self.lock().present.insert(region.clone(), (seq, began));
    }

    /// For the core.
    pub fn facts(&self) -> HeartbeatFacts {
        let state = self.lock();
        HeartbeatFacts {
            writer: self.writer.clone(),
            acked_seq: state.acked.map_or(0, |(seq, _)| seq),
            acked_at: state.acked.map(|(_, at)| at),
            in_flight: state.unanswered,
            recent: state.recent.iter().copied().collect(),
        }
    }

    /// A row that a node has, with the moment of its acknowledgement if this writer's book remembers it.
    pub fn row(&self, writer: &str, seq: u64) -> HeartbeatRow {
        let state = self.lock();
        let acked = state.recent.binary_search_by_key(&seq, |(n, _)| *n).ok().map(|n| state.recent[n].1.tick);
        HeartbeatRow { writer: writer.to_owned(), seq, acked_at: acked.filter(|_| writer == self.writer) }
    }

    /// What each standby had when it was last read; the active region is not among them.
    pub fn standbys(&self) -> BTreeMap<RegionName, StandbyBeat> {
        let state = self.lock();
        let beat = |(region, (seq, at)): (&RegionName, &(u64, Stamp))| {
            let newest = state.acked;
            let behind = newest.map_or(0, |(acked, _)| acked.saturating_sub(*seq));
            let lag = match newest {
                Some((acked, _)) if acked <= *seq => Some(Millis(0)),
                Some((_, acked_at)) => {
                    // The newest acknowledged number that is present: some numbers are never acknowledged.
                    let upto = state.recent.partition_point(|(n, _)| n <= seq);
                    upto.checked_sub(1).and_then(|n| acked_at.since(&state.recent[n].1))
                }
                None => None,
            };
            (region.clone(), StandbyBeat { seq: *seq, at: *at, behind, lag })
        };
        state.present.iter().map(beat).collect()
    }

    /// Forgets what was read at a region that is no standby any more.
    pub(crate) fn forget(&self, region: &RegionName) {
        self.lock().present.remove(region);
    }
}

#[cfg(test)]
mod tests {
    use super::{HeartbeatBook, MAX_RECENT};
    use muster_core::time::{BootId, Millis, Stamp, Tick, Wall};

    fn at(ms: u64) -> Stamp {
        Stamp { boot: BootId(1), tick: Tick(ms), wall: Wall(0) }
    }

    #[test]
    fn a_silent_write_stays_in_flight_until_a_newer_one_is_acknowledged() {
        let book = HeartbeatBook::new(&"controller".into());
        let first = book.begin_write();
        book.acknowledged(first, at(10));
        book.begin_write();
        book.begin_write();
        let facts = book.facts();
        assert_eq!((facts.acked_seq, facts.acked_at, facts.in_flight), (1, Some(at(10)), 2));
        book.refused();
        assert_eq!(book.facts().in_flight, 1);
        let next = book.begin_write();
        book.acknowledged(next, at(20));
        assert_eq!((book.facts().acked_seq, book.facts().in_flight), (4, 0));
        assert_eq!(book.facts().recent, [(1, at(10)), (4, at(20))]);
    }

    #[test]
    fn the_sequence_goes_on_above_what_any_table_has() {
        let book = HeartbeatBook::new(&"controller".into());
        book.note_present(500);
        book.note_present(7);
        assert_eq!(book.begin_write(), 501);
    }

    #[test]
    fn a_standby_behind_shows_the_loss_that_would_be() {
        let book = HeartbeatBook::new(&"controller".into());
        for n in 1..=5 {
            let seq = book.begin_write();
            book.acknowledged(seq, at(n * 1000));
        }
        book.seen_at(&"west".into(), 3, at(5500));
        let west = book.standbys().remove(&"west".into()).expect("west was read");
        assert_eq!((west.behind, west.lag), (2, Some(Millis(2000))));
        book.seen_at(&"west".into(), 5, at(5600));
        assert_eq!(book.standbys()[&"west".into()].lag, Some(Millis(0)));
        assert_eq!(book.row("controller", 4).acked_at, Some(Tick(4000)));
        assert_eq!(book.row("other", 4).acked_at, None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let book = HeartbeatBook::new(&"controller".into());
        for n in 0..2000 {
            let seq = book.begin_write();
            book.acknowledged(seq, at(n));
        }
        assert_eq!(book.facts().recent.len(), MAX_RECENT);
        book.seen_at(&"west".into(), 3, at(5000));
        assert_eq!(book.standbys()[&"west".into()].lag, None);
    }
}

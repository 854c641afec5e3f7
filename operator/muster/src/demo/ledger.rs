//! What the clients were told: every order with its fate, to be compared afterwards with what a database has.

use crate::clock::Clock;
use muster_core::time::{Millis, Stamp};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// How a write ended, from its client's view.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    /// No answer yet.
    UnderWay,
    /// The service or database said that it is placed; the region that said so.
    Acknowledged {
        /// When.
        at: Stamp,
        /// By whom.
        region: String,
    },
    /// Refused or not answered. It may have landed all the same.
    Failed {
        /// When the client gave up.
        at: Stamp,
        /// Why.
        why: String,
    },
}

/// One write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Write {
    /// The order's id, drawn by the client.
    pub id: Uuid,
    /// The client.
    pub writer: String,
    /// When it was sent.
    pub sent: Stamp,
    /// How it ended.
    pub fate: Fate,
}

impl Write {
    /// When it was acknowledged, if it was.
    pub const fn acknowledged(&self) -> Option<Stamp> {
        match &self.fate {
            Fate::Acknowledged { at, .. } => Some(*at),
            _ => None,
        }
    }
}

/// All writes of a group of clients.
#[derive(Debug)]
pub struct Ledger {
    clock: Clock,
    writes: Mutex<Vec<Write>>,
}

/// A time without an acknowledged write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gap {
    /// The last acknowledgement before it.
    pub from: Stamp,
    /// The first one after it.
    pub to: Stamp,
}

impl Gap {
    /// How long.
    pub fn length(&self) -> Millis {
        self.to.since(&self.from).unwrap_or_default()
    }
}

/// What a ledger and a database say of each other.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Account {
    /// Acknowledged writes.
    pub acknowledged: usize,
    /// Acknowledged and not in the database: exactly these were lost.
    pub lost: Vec<Uuid>,
    /// In the database without having been acknowledged: nobody was told.
    pub unanswered_present: usize,
    /// Neither acknowledged nor present.
    pub unanswered_absent: usize,
}

impl Ledger {
    /// An empty one.
    pub fn new(clock: Clock) -> Self {
        Self { clock, writes: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Write>> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a write is about to be sent. The answer is its place in the ledger.
    pub fn send(&self, id: Uuid, writer: &str) -> usize {
        let sent = self.clock.now();
        let mut all = self.lock();
        all.push(Write { id, writer: writer.to_owned(), sent, fate: Fate::UnderWay });
        all.len() - 1
    }

    /// Notes an acknowledgement.
    pub fn acknowledge(&self, place: usize, region: &str) {
        let fate = Fate::Acknowledged { at: self.clock.now(), region: region.to_owned() };
        self.end(place, fate);
    }

    /// Notes a refusal or a missing answer.
    pub fn fail(&self, place: usize, why: &str) {
        let fate = Fate::Failed { at: self.clock.now(), why: why.to_owned() };
        self.end(place, fate);
    }

    fn end(&self, place: usize, fate: Fate) {
        if let Some(write) = self.lock().get_mut(place) {
            write.fate = fate;
        }
    }

    /// All writes so far, in the order in which they were sent.
    pub fn writes(&self) -> Vec<Write> {
        self.lock().clone()
    }

    /// How many were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.lock().iter().filter(|w| w.acknowledged().is_some()).count()
    }

    /// How many were acknowledged at or after a moment.
    pub fn acknowledged_since(&self, since: Stamp) -> usize {
        self.lock().iter().filter_map(Write::acknowledged).filter(|at| at.tick >= since.tick).count()
    }

    /// Acknowledgements by region.
    pub fn by_region(&self) -> BTreeMap<String, usize> {
        let mut count = BTreeMap::new();
        for write in self.lock().iter() {
            if let Fate::Acknowledged { region, .. } = &write.fate {
                *count.entry(region.clone()).or_insert(0) += 1;
            }
        }
        count
    }

    /// The newest reason for a failure.
    pub fn last_failure(&self) -> Option<String> {
        let reason = |w: &Write| match &w.fate {
            Fate::Failed { why, .. } => Some(why.clone()),
            _ => None,
        };
        self.lock().iter().rev().find_map(reason)
    }

    /// The longest time without an acknowledgement that ended after `since`. `None` with fewer than two.
    pub fn longest_gap(&self, since: Stamp) -> Option<Gap> {
        let mut times: Vec<Stamp> = self.lock().iter().filter_map(Write::acknowledged).collect();
        times.sort_by_key(|s| s.tick);
        let pairs = times.iter().zip(times.iter().skip(1)).filter(|(_, to)| to.tick >= since.tick);
        pairs.map(|(from, to)| Gap { from: *from, to: *to }).max_by_key(Gap::length)
    }

    /// Compares with the ids that a database has.
    pub fn compare(&self, present: &HashSet<Uuid>) -> Account {
        let mut account = Account::default();
        for write in self.lock().iter() {
            match (write.acknowledged().is_some(), present.contains(&write.id)) {
                (true, here) => {
                    account.acknowledged += 1;
                    account.lost.extend((!here).then_some(write.id));
                }
                (false, true) => account.unanswered_present += 1,
                (false, false) => account.unanswered_absent += 1,
            }
        }
        account
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_are_exactly_the_acknowledged_ones_that_are_not_there() {
        let ledger = Ledger::new(Clock::system());
        let ids: Vec<Uuid> = (0..4).map(|_| Uuid::new_v4()).collect();
        let places: Vec<usize> = ids.iter().map(|id| ledger.send(*id, "a")).collect();
        ledger.acknowledge(places[0], "east");
        ledger.acknowledge(places[1], "east");
        ledger.fail(places[2], "no answer");
        let present = HashSet::from([ids[0], ids[2]]);
        let account = ledger.compare(&present);
        assert_eq!(account.lost, vec![ids[1]]);
        assert_eq!((account.acknowledged, account.unanswered_present, account.unanswered_absent), (2, 1, 1));
    }

    #[test]
    fn the_longest_gap_needs_an_acknowledgement_on_both_sides() {
        let ledger = Ledger::new(Clock::system());
        let start = Clock::system().now();
        let place = ledger.send(Uuid::new_v4(), "a");
        ledger.acknowledge(place, "east");
        assert_eq!(ledger.longest_gap(start), None);
        let place = ledger.send(Uuid::new_v4(), "a");
        ledger.acknowledge(place, "west");
        assert!(ledger.longest_gap(start).is_some());
    }
}

//! What was seen of markers and roles, and when to look again: at rest seldom, since each look is a paid call; at once where
//! this process has changed something, or where the servers answer otherwise than the markers say.

use super::judge::{Standing, Standings, newest};
use super::objects::Answers;
use super::roles::Roles;
use muster_core::facts::{TrafficFacts, Witness};
use muster_core::ids::{Epoch, RegionName, Seq, Term};
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks at the markers, at rest.
const MARKERS_EVERY: Duration = Duration::from_mins(1);
/// Between two looks at the roles, at rest.
const ROLES_EVERY: Duration = Duration::from_mins(10);
/// Until the roles are looked at again after the API gave none.
const ROLES_AGAIN: Duration = Duration::from_mins(1);
/// A change that this process did not make itself has reached every server by then. Route 53 says within a minute, and that
/// there are delays.
const LONGEST_SYNC: Duration = Duration::from_mins(5);

/// What one process remembers of one name. Under a lock that is never held while anything is waited for.
#[derive(Debug, Default)]
pub(super) struct Memory {
    standings: Standings,
    /// The newest look at the markers reached all of them.
    is_complete: bool,
    markers_read: Option<Instant>,
    /// Written by this process, and not seen yet.
    awaited: Option<(Epoch, Term, Seq)>,
    /// The servers answer otherwise than the markers say.
    is_doubted: bool,
    /// The region whose record is the primary one, and since when this process sees it.
    primary: Option<(RegionName, Instant)>,
    /// The newest look at the roles gave some.
    has_roles: bool,
    roles_due: Option<Instant>,
    swap: Option<Swap>,
}

/// A change of roles that this process has made.
#[derive(Clone, Debug)]
pub(super) struct Swap {
    /// The region whose record it makes the primary one.
    pub(super) to: RegionName,
    /// Its id at Route 53.
    pub(super) change: String,
    /// Since when it is known to be at every server.
    pub(super) synced: Option<Instant>,
}

impl Memory {
    pub(super) fn needs_markers(&self, now: Instant) -> bool {
        let is_old = self.markers_read.is_none_or(|at| now.duration_since(at) >= MARKERS_EVERY);
        is_old || self.is_doubted || self.awaited.is_some()
    }

    pub(super) fn needs_roles(&self, now: Instant) -> bool {
        self.roles_due.is_none_or(|due| now >= due)
    }

    /// A region that is silent keeps what was read before: its witness can only have grown since.
    pub(super) fn take_markers(&mut self, answers: &Answers, began: Instant) {
        let mut count = 0;
        for (region, answer) in answers {
            if let Ok(standing) = answer {
                self.standings.insert(region.clone(), standing.clone());
                count += 1;
            }
        }
        self.is_complete = count == answers.len();
        if count == 0 {
            return;
        }
        self.markers_read = Some(began);
        let seen = newest(self.standings.values()).map(Witness::order);
        if self.awaited.is_some_and(|awaited| seen >= Some(awaited)) {
            self.awaited = None;
        }
    }

    /// A write is about to leave: only a look after it tells.
    pub(super) fn expect(&mut self, witness: &Witness) {
        self.awaited = Some(witness.order());
    }

    pub(super) fn take_roles(&mut self, roles: Option<&Roles>, now: Instant) {
        self.has_roles = roles.is_some();
        self.roles_due = Some(now + if self.has_roles { ROLES_EVERY } else { ROLES_AGAIN });
        let Some(Roles { primary, .. }) = roles else { return };
        // Another process has swapped them since.
        self.swap = self.swap.take().filter(|swap| swap.to == primary.region);
        if self.primary.as_ref().is_none_or(|(region, _)| *region != primary.region) {
            self.primary = Some((primary.region.clone(), now));
        }
    }

    /// Roles are about to change: the next look is at once.
    pub(super) fn expect_roles(&mut self) {
        self.has_roles = false;
        self.roles_due = None;
        self.swap = None;
    }

    pub(super) fn remember_swap(&mut self, to: RegionName, change: String) {
        self.swap = Some(Swap { to, change, synced: None });
    }

    pub(super) fn swap(&self) -> Option<Swap> {
        self.swap.clone()
    }

    pub(super) fn swap_synced(&mut self, now: Instant) {
        if let Some(swap) = &mut self.swap {
            swap.synced = Some(now);
        }
    }

    /// Route 53 knows nothing of it any more: as if another process had made it, just now.
    pub(super) fn forget_swap(&mut self, now: Instant) {
        self.swap = None;
        if let Some((_, since)) = &mut self.primary {
            *since = now;
        }
    }

    /// From when on every server answers by the roles that are listed; `None`: not known yet.
    pub(super) fn roles_stand_at(&self) -> Option<Instant> {
        match &self.swap {
            Some(swap) => swap.synced,
            None => self.primary.as_ref().map(|(_, since)| *since + LONGEST_SYNC),
        }
    }

    /// Regions whose markers are on, as far as they were read.
    pub(super) fn regions_on(&self) -> Vec<&RegionName> {
        self.standings.iter().filter(|(_, standing)| standing.is_on()).map(|(region, _)| region).collect()
    }

    /// Where the name falls back to, if every marker is known to be off.
    fn settled(&self) -> Option<&RegionName> {
        let are_off = self.is_complete && self.standings.values().all(Standing::is_off);
        let is_known = self.has_roles && are_off && self.awaited.is_none();
        self.primary.as_ref().filter(|_| is_known).map(|(region, _)| region)
    }

    /// What alone keeps the name where it is, for people.
    fn hangs_on(&self) -> Option<String> {
        let on: Vec<String> =
            self.regions_on().iter().map(|region| format!("the marker of region {region}")).collect();
        (!on.is_empty()).then(|| on.join(" and "))
    }

    /// Where the markers send the name; `None`: nobody could tell.
    fn sent_to(&self) -> Option<&RegionName> {
        match self.regions_on()[..] {
            [] => self.settled(),
            [region] => Some(region),
            _ => None,
        }
    }

    /// Adds what the markers and roles say to what the servers say.
    pub(super) fn complete(&mut self, facts: TrafficFacts) -> TrafficFacts {
        let strange = self.standings.iter().find_map(|(region, standing)| match standing {
            Standing::Unreadable(why) => Some(format!("the marker of region {region}: {why}")),
            Standing::Absent | Standing::Written { .. } => None,
        });
        let complete = TrafficFacts {
            witness: newest(self.standings.values()).cloned(),
            drift: facts.drift.or(strange),
            unsettled: self.hangs_on(),
            ..facts
        };
        let said = self.sent_to();
        self.is_doubted = said.is_some() && complete.points_to.as_ref() != said;
        complete
    }
}

#[cfg(test)]
mod tests {
    use super::super::marker::{Marker, Signal};
    use super::*;
    use crate::aws::{Action, CallError};

    fn standing(signal: Signal, seq: u64) -> Standing {
        let witness = Witness { owner: "uid-1".into(), epoch: Epoch(1), term: Term(0), seq: Seq(seq) };
        Standing::Written { marker: Marker { signal, is_current: true, witness }, etag: "\"1\"".to_owned() }
    }

    fn answers(east: Option<Standing>, west: Option<Standing>) -> Answers {
        let answer =
            |found: Option<Standing>| found.ok_or_else(|| CallError::unanswered(Action::GetObject, "silent"));
        [("east", east), ("west", west)]
            .map(|(region, found)| (RegionName::from(region), answer(found)))
            .into()
    }

    fn facts(points_to: &str) -> TrafficFacts {
        let points_to = Some(RegionName::from(points_to));
        TrafficFacts {
            points_to,
            agree: 4,
            servers: 4,
            witness: None,
            drift: None,
            unsettled: None,
            contested: None,
        }
    }

    #[test]
    fn markers_are_read_seldom_at_rest_and_at_once_after_a_write() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        assert!(memory.needs_markers(now));
        memory.take_markers(&answers(Some(Standing::Absent), Some(standing(Signal::On, 1))), now);
        assert!(!memory.needs_markers(now + MARKERS_EVERY / 2) && memory.needs_markers(now + MARKERS_EVERY));
        let written = Witness { owner: "uid-1".into(), epoch: Epoch(1), term: Term(0), seq: Seq(2) };
        memory.expect(&written);
        memory.take_markers(&answers(None, Some(standing(Signal::On, 1))), now);
        assert!(memory.needs_markers(now), "what was written is not seen yet");
        memory.take_markers(&answers(None, Some(standing(Signal::Off, 2))), now);
        assert!(!memory.needs_markers(now));
    }

    #[test]
    fn servers_that_answer_otherwise_than_the_markers_say_are_a_reason_to_read() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        memory.take_markers(&answers(Some(Standing::Absent), Some(standing(Signal::On, 1))), now);
        let hangs_on = memory.complete(facts("east")).unsettled;
        assert_eq!(hangs_on.as_deref(), Some("the marker of region west"));
        assert!(memory.needs_markers(now));
        memory.complete(facts("west"));
        assert!(!memory.needs_markers(now));
    }

    #[test]
    fn a_silent_region_is_ignored_for_the_witness() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        memory.take_markers(&answers(None, None), now);
        let seen = memory.complete(facts("east"));
        assert_eq!((seen.witness, seen.points_to), (None, Some("east".into())));
        assert!(memory.needs_markers(now), "nothing was read");
        memory.take_markers(&answers(None, Some(standing(Signal::Off, 3))), now);
        let seen = memory.complete(facts("east"));
        assert_eq!(seen.witness.map(|witness| witness.seq), Some(Seq(3)));
        assert_eq!(seen.unsettled, None);
    }
}

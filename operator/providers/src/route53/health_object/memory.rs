//! What was seen of markers and roles, and when to look again: at rest seldom, since each look is a paid call; at once where
//! this process has changed something, or where the servers answer otherwise than the markers say.

use super::judge::{Standing, newest};
use super::reports::Reading;
use super::roles::{Form, Roles};
use crate::aws::CallError;
use crate::dns::join;
use muster_core::facts::{TrafficFacts, Witness};
use muster_core::ids::{Epoch, RegionName, Seq, Term};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks at a marker, at rest.
const MARKERS_EVERY: Duration = Duration::from_mins(1);
/// Until a marker is looked at again that could not be read.
const MARKERS_AGAIN: Duration = Duration::from_secs(10);
/// Between two looks at the roles, at rest.
const ROLES_EVERY: Duration = Duration::from_mins(10);
/// Until the roles are looked at again after the API gave none.
const ROLES_AGAIN: Duration = Duration::from_mins(1);
/// Between two questions for what the checkers saw, while they can read.
const READING_EVERY: Duration = Duration::from_hours(1);

/// So long a change that Route 53 has taken may not be shown by it.
const SHOWN_WITHIN: Duration = Duration::from_mins(1);

/// The numbers that targets compare by.
type Order = (Epoch, Term, Seq);

/// What one process remembers of one name. Under a lock that is never held while anything is waited for.
#[derive(Debug, Default)]
pub(super) struct Memory {
    markers: BTreeMap<RegionName, Known>,
    /// The servers answer otherwise than the markers say.
    is_doubted: bool,
    /// The records as they were listed last.
    roles: Option<Form>,
    /// They may stand there otherwise: a change is on its way, or they are broken.
    are_roles_doubted: bool,
    /// The region that Muster's own records last made the primary one.
    own_primary: Option<RegionName>,
    /// What is wrong with the records, for people.
    roles_wrong: Option<String>,
    /// Why resolvers may keep an answer for longer than the policy says, for people.
    kept_too_long: Option<String>,
    /// What is wrong with a health check, for people.
    check_wrong: Option<String>,
    /// Why the checkers cannot read a marker, for people.
    unreadable: Option<String>,
    /// When it is time to ask what they saw.
    reading_due: Option<Instant>,
    /// Why Route 53 would not show the records, for people.
    roles_refused: Option<String>,
    /// Why it would not show a health check.
    checks_refused: Option<String>,
    roles_due: Option<Instant>,
    change: Option<Change>,
    /// Since then it is not known that every marker is off: settling began.
    settling: Option<Instant>,
}

/// What is known of one region's marker.
#[derive(Debug, Default)]
struct Known {
    /// As it was read last: its witness can only have grown since.
    standing: Option<Standing>,
    /// The newest look gave nothing.
    is_silent: bool,
    /// Why it never will as things are, for people: a right is missing, there is no such bucket, ...
    refused: Option<String>,
    /// When the newest look began.
    looked: Option<Instant>,
    /// Written by this process, and not seen yet.
    awaited: Option<Order>,
    /// It was seen on until then, or not at all before: off since then at the earliest.
    on_until: Option<Instant>,
}

impl Known {
    fn order(&self) -> Option<Order> {
        self.standing.as_ref().and_then(Standing::marker).map(|marker| marker.witness.order())
    }

    fn is_on(&self) -> bool {
        self.standing.as_ref().is_some_and(Standing::is_on)
    }

    /// As far as it was read.
    fn is_off(&self) -> bool {
        self.standing.as_ref().is_some_and(Standing::is_off)
    }
}

/// A change of the records that this process has made.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// What it writes.
    form: Form,
    /// Its id at Route 53.
    pub(super) id: String,
    /// When Route 53 took it.
    taken: Instant,
    /// So long resolvers may keep what stood there before.
    pub(super) ttl: Duration,
    /// Since when it is known to be at every server.
    pub(super) synced: Option<Instant>,
}

impl Change {
    /// A read may not show it yet, as it may show older records.
    pub(super) fn is_young(&self) -> bool {
        self.taken.elapsed() < SHOWN_WITHIN
    }
}

impl Memory {
    /// Of these regions.
    pub(super) fn new<'a>(regions: impl Iterator<Item = &'a RegionName>) -> Self {
        let markers = regions.map(|region| (region.clone(), Known::default())).collect();
        Self { markers, ..Self::default() }
    }

    pub(super) fn needs_marker(&self, region: &RegionName, now: Instant) -> bool {
        let Some(known) = self.markers.get(region) else { return false };
        let every = if known.is_silent { MARKERS_AGAIN } else { MARKERS_EVERY };
        let is_old = known.looked.is_none_or(|at| now.saturating_duration_since(at) >= every);
        is_old || self.is_doubted || known.awaited.is_some()
    }

    /// When this region's marker was looked at last, and what stood there, if nobody has a reason to think that it changed since.
    pub(super) fn at_rest(&self, region: &RegionName) -> Option<(Instant, Standing)> {
        let known = self.markers.get(region).filter(|known| known.awaited.is_none() && !self.is_doubted)?;
        Some((known.looked?, known.standing.clone()?))
    }

    /// Another version of the policy compares records and health checks with what it says itself.
    pub(super) fn judge_anew(&mut self) {
        self.roles_due = None;
    }

    pub(super) fn needs_roles(&self, now: Instant) -> bool {
        self.roles_due.is_none_or(|due| now >= due)
    }

    /// What a look found that began then. Looks may end in another order than they began.
    pub(super) fn take_marker(
        &mut self,
        region: &RegionName,
        answer: &Result<Standing, CallError>,
        began: Instant,
    ) {
        let Some(known) = self.markers.get_mut(region) else { return };
        if known.looked.is_some_and(|at| began < at) {
            return;
        }
        known.looked = Some(began);
        known.is_silent = answer.is_err();
        let Ok(standing) = answer else { return };
        if known.standing.is_none() || known.is_on() || standing.is_on() {
            known.on_until = Some(began);
        }
        known.standing = Some(standing.clone());
        if known.awaited.is_some() && known.order() >= known.awaited {
            known.awaited = None;
        }
    }

    /// What the newest look at this region's marker was refused for; `None`: it was not.
    pub(super) fn take_refusal(&mut self, region: &RegionName, why: Option<String>) {
        if let Some(known) = self.markers.get_mut(region) {
            known.refused = why;
        }
    }

    /// The same of Route 53's records.
    pub(super) fn take_refusal_of_roles(&mut self, why: Option<String>) {
        self.roles_refused = why;
    }

    /// The same of its health checks.
    pub(super) fn take_refusal_of_checks(&mut self, why: Option<String>) {
        self.checks_refused = why;
    }

    /// A write of this region's marker is about to leave: only a look after it tells.
    pub(super) fn expect(&mut self, region: &RegionName, witness: &Witness) {
        if let Some(known) = self.markers.get_mut(region) {
            known.awaited = Some(witness.order());
        }
    }

    /// Until when this region's marker may have been on, as far as this process saw; `None`: it was never read.
    pub(super) fn on_until(&self, region: &RegionName) -> Option<Instant> {
        self.markers.get(region).and_then(|known| known.on_until)
    }

    pub(super) fn take_roles(&mut self, roles: &Roles, now: Instant) {
        let form = roles.form();
        self.are_roles_doubted = false;
        self.roles_due = Some(now + ROLES_EVERY);
        // Else another process has written them since.
        self.change = self.change.take().filter(|change| change.form == form);
        if form.is_own {
            self.own_primary = Some(form.primary.clone());
        }
        let swapped_from = self.own_primary.as_ref().filter(|own| **own != form.primary);
        self.roles_wrong = swapped_from.map(|own| {
            let primary = &form.primary;
            format!("another writer: the record of {primary} was made the primary one, where Muster had made that of {own} so")
        });
        self.roles = Some(form);
    }

    pub(super) fn take_ttl(&mut self, kept_too_long: Option<String>) {
        self.kept_too_long = kept_too_long;
    }

    /// The records were listed, and are not what they must be.
    pub(super) fn take_wrong_roles(&mut self, why: String, now: Instant) {
        self.are_roles_doubted = true;
        self.roles_wrong = Some(why);
        self.roles_due = Some(now + ROLES_AGAIN);
    }

    /// The records could not be listed.
    pub(super) fn miss_roles(&mut self, now: Instant) {
        self.roles_due = Some(now + ROLES_AGAIN);
    }

    /// What is wrong with any health check.
    pub(super) fn take_check(&mut self, wrong: Option<String>) {
        self.check_wrong = wrong;
    }

    /// Whether no object stands there, as far as it was read.
    pub(super) fn is_absent(&self, region: &RegionName) -> bool {
        self.markers.get(region).is_some_and(|known| known.standing == Some(Standing::Absent))
    }

    pub(super) fn needs_reading(&self, now: Instant) -> bool {
        self.reading_due.is_none_or(|due| now >= due)
    }

    /// What the checkers say of the markers. Where they say nothing, the last word stays.
    pub(super) fn take_reading(&mut self, reading: Reading, now: Instant) {
        match reading {
            Reading::Unsaid => return,
            Reading::Good => self.unreadable = None,
            Reading::Refused(why) => self.unreadable = Some(why),
        }
        self.reading_due = self.unreadable.is_none().then_some(now + READING_EVERY);
    }

    /// Roles are about to change: the next look is at once.
    pub(super) fn expect_roles(&mut self) {
        self.are_roles_doubted = true;
        self.roles_due = None;
        self.change = None;
    }

    pub(super) fn remember_change(&mut self, new: &Roles, id: String, ttl: Duration) {
        self.change = Some(Change { form: new.form(), id, taken: Instant::now(), ttl, synced: None });
    }

    pub(super) fn change(&self) -> Option<Change> {
        self.change.clone()
    }

    pub(super) fn change_synced(&mut self, now: Instant) {
        if let Some(change) = &mut self.change {
            change.synced = Some(now);
        }
    }

    /// Route 53 knows nothing of it any more: as if another process had made it.
    pub(super) fn forget_change(&mut self) {
        self.change = None;
    }

    /// From now on a marker may be on that no look has seen.
    pub(super) fn begin_settling(&mut self, now: Instant) {
        self.settling = Some(now);
    }

    /// Regions whose markers are on, as far as they were read.
    pub(super) fn regions_on(&self) -> Vec<&RegionName> {
        self.markers.iter().filter(|(_, known)| known.is_on()).map(|(region, _)| region).collect()
    }

    /// The records, if it is known what they are.
    fn roles(&self) -> Option<&Form> {
        self.roles.as_ref().filter(|_| !self.are_roles_doubted)
    }

    /// Whether this region's record is known to be the primary one.
    fn is_primary(&self, region: &RegionName) -> bool {
        self.roles().is_some_and(|form| form.primary == *region)
    }

    /// The region that is answered whatever any marker says, as far as the records were listed.
    fn pinned(&self) -> Option<&RegionName> {
        self.roles.as_ref().filter(|form| form.is_pinned).map(|form| &form.primary)
    }

    /// Whether the name is pinned to this region, and nothing is about to change that.
    pub(super) fn is_pinned_to(&self, region: &RegionName) -> bool {
        !self.are_roles_doubted && self.pinned() == Some(region)
    }

    /// Whether the name was last seen pinned to another region than this one. Another process may have ended that.
    pub(super) fn is_pinned_elsewhere(&self, to: &RegionName) -> bool {
        self.pinned().is_some_and(|region| region != to)
    }

    /// Whether Route 53 may answer this region because its marker is on: its record is the secondary one, or may be.
    pub(super) fn may_win(&self, region: &RegionName) -> bool {
        self.roles().is_none_or(|form| form.primary != *region && !form.is_pinned)
    }

    /// Whether this region's marker is off now: read just now, or nothing newer than it was written anywhere.
    pub(super) fn is_surely_off(&self, region: &RegionName) -> bool {
        let newest_on = self.markers.values().filter(|known| known.is_on()).filter_map(Known::order).max();
        self.markers.get(region).is_some_and(|known| {
            known.is_off() && known.awaited.is_none() && (!known.is_silent || known.order() >= newest_on)
        })
    }

    /// Where the name falls back to, if every marker is known to be off and one could move it.
    fn settled(&self) -> Option<&RegionName> {
        let is_off = |known: &Known| known.is_off() && !known.is_silent && known.awaited.is_none();
        let are_off = self.markers.values().all(is_off);
        self.roles().filter(|form| are_off && !form.is_pinned).map(|form| &form.primary)
    }

    /// What alone keeps the name where it is, for people.
    fn hangs_on(&self) -> Option<String> {
        if self.pinned().is_some() {
            return Some("pinned: no marker's health check is attached".to_owned());
        }
        let on: Vec<String> =
            self.regions_on().iter().map(|region| format!("the marker of region {region}")).collect();
        let unknown = || self.settling.map(|_| "not every marker is known to be off".to_owned());
        if on.is_empty() { unknown() } else { Some(on.join(" and ")) }
    }

    /// What may yet send the name elsewhere than `at`, for people. At rest a region that is silent is no such thing: nothing
    /// says that its marker was ever on.
    fn contested(&self, at: &RegionName) -> Option<String> {
        let is_everywhere = self.change.as_ref().is_none_or(|change| change.synced.is_some());
        if self.is_pinned_to(at) && is_everywhere {
            return None;
        }
        let was_moved = self.markers.values().any(|known| known.is_on() || known.awaited.is_some());
        if !was_moved && self.settling.is_none() {
            return None;
        }
        let mut others = self.markers.keys().filter(|region| *region != at && !self.is_primary(region));
        let other = others.find(|region| !self.is_surely_off(region))?;
        Some(format!("the marker of region {other} may still be on"))
    }

    /// Where the markers send the name; `None`: nobody could tell.
    fn sent_to(&self) -> Option<&RegionName> {
        if let Some(form) = self.roles().filter(|form| form.is_pinned) {
            return Some(&form.primary);
        }
        match self.regions_on()[..] {
            [] => self.settled(),
            [region] => Some(region),
            _ => None,
        }
    }

    /// What is not as it must be, for people.
    fn strange(&self) -> Option<String> {
        let marker =
            self.markers.iter().find_map(|(region, known)| match (&known.refused, &known.standing) {
                (Some(why), _) | (None, Some(Standing::Unreadable(why))) => {
                    Some(format!("the marker of region {region}: {why}"))
                }
                _ => None,
            });
        let refused = [&self.roles_refused, &self.checks_refused];
        let told = [&marker, &self.roles_wrong, &self.check_wrong, &self.unreadable].into_iter();
        told.chain(refused).chain([&self.kept_too_long]).flatten().next().cloned()
    }

    /// Adds what the markers and roles say to what the servers say.
    pub(super) fn complete(&mut self, facts: TrafficFacts) -> TrafficFacts {
        let is_newer = |known: &Known| known.looked >= self.settling;
        if self.settled().is_some() && self.markers.values().all(is_newer) {
            self.settling = None;
        }
        let standings = self.markers.values().filter_map(|known| known.standing.as_ref());
        let complete = TrafficFacts {
            witness: newest(standings).cloned(),
            drift: join(facts.drift, self.strange()),
            unsettled: self.hangs_on(),
            contested: facts.points_to.as_ref().and_then(|at| self.contested(at)),
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

    fn witness(seq: u64) -> Witness {
        Witness { owner: "uid-1".into(), epoch: Epoch(1), term: Term(0), seq: Seq(seq) }
    }

    fn standing(signal: Signal, seq: u64) -> Standing {
        let marker = Marker { signal, is_current: true, witness: witness(seq) };
        Standing::Written { marker, etag: "\"1\"".to_owned() }
    }

    fn memory() -> Memory {
        Memory::new([RegionName::from("east"), RegionName::from("west")].iter())
    }

    /// `None`: the region is silent.
    fn take(memory: &mut Memory, region: &str, found: Option<Standing>, now: Instant) {
        let answer = found.ok_or_else(|| CallError::unanswered(Action::GetObject, "silent"));
        memory.take_marker(&region.into(), &answer, now);
    }

    fn needs(memory: &Memory, region: &str, now: Instant) -> bool {
        memory.needs_marker(&region.into(), now)
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
        let (mut memory, now) = (memory(), Instant::now());
        assert!(needs(&memory, "west", now));
        take(&mut memory, "west", Some(standing(Signal::On, 1)), now);
        assert!(
            !needs(&memory, "west", now + MARKERS_EVERY / 2) && needs(&memory, "west", now + MARKERS_EVERY)
        );
        memory.expect(&"west".into(), &witness(2));
        take(&mut memory, "west", Some(standing(Signal::On, 1)), now);
        assert!(needs(&memory, "west", now), "what was written is not seen yet");
        take(&mut memory, "west", Some(standing(Signal::Off, 2)), now);
        assert!(!needs(&memory, "west", now));
    }

    #[test]
    fn a_marker_may_have_been_on_until_this_process_read_it_first() {
        let (mut memory, now) = (memory(), Instant::now());
        take(&mut memory, "west", None, now);
        assert_eq!(memory.on_until(&"west".into()), None);
        let later = now + Duration::from_secs(1);
        take(&mut memory, "west", Some(standing(Signal::Off, 1)), later);
        take(&mut memory, "west", Some(standing(Signal::Off, 1)), later + MARKERS_EVERY);
        assert_eq!(memory.on_until(&"west".into()), Some(later));
    }

    #[test]
    fn a_look_that_ends_late_takes_nothing_back() {
        let (mut memory, now) = (memory(), Instant::now());
        take(&mut memory, "west", Some(standing(Signal::Off, 2)), now + Duration::from_secs(1));
        take(&mut memory, "west", Some(standing(Signal::On, 1)), now);
        assert_eq!(memory.regions_on(), Vec::<&RegionName>::new());
    }

    #[test]
    fn servers_that_answer_otherwise_than_the_markers_say_are_a_reason_to_read() {
        let (mut memory, now) = (memory(), Instant::now());
        take(&mut memory, "east", Some(Standing::Absent), now);
        take(&mut memory, "west", Some(standing(Signal::On, 1)), now);
        let hangs_on = memory.complete(facts("east")).unsettled;
        assert_eq!(hangs_on.as_deref(), Some("the marker of region west"));
        assert!(needs(&memory, "west", now));
        memory.complete(facts("west"));
        assert!(!needs(&memory, "west", now));
    }

    #[test]
    fn a_silent_region_keeps_what_was_read_and_says_nothing_by_itself() {
        let (mut memory, now) = (memory(), Instant::now());
        take(&mut memory, "east", None, now);
        take(&mut memory, "west", None, now);
        let seen = memory.complete(facts("east"));
        assert_eq!((seen.witness, seen.unsettled, seen.contested), (None, None, None));
        assert!(needs(&memory, "east", now + MARKERS_AGAIN), "nothing was read");
        take(&mut memory, "west", Some(standing(Signal::On, 3)), now);
        take(&mut memory, "west", None, now + MARKERS_EVERY);
        let seen = memory.complete(facts("west"));
        assert_eq!(seen.witness.map(|witness| witness.seq), Some(Seq(3)));
        assert_eq!(seen.unsettled.as_deref(), Some("the marker of region west"));
    }

    #[test]
    fn a_name_is_contested_while_another_marker_may_be_on_that_nobody_switched_off() {
        let (mut memory, now) = (memory(), Instant::now());
        // It was moved to east, and west did not answer.
        take(&mut memory, "east", Some(standing(Signal::On, 5)), now);
        take(&mut memory, "west", None, now);
        let contested = memory.complete(facts("east")).contested;
        assert_eq!(contested.as_deref(), Some("the marker of region west may still be on"));
        // An older text tells nothing of what was written after it.
        let later = now + Duration::from_secs(1);
        take(&mut memory, "west", Some(standing(Signal::Off, 3)), later);
        assert_eq!(memory.complete(facts("east")).contested, None);
        take(&mut memory, "west", None, later);
        assert!(memory.complete(facts("east")).contested.is_some());
        // One of the very move does.
        take(&mut memory, "west", Some(standing(Signal::Off, 5)), later);
        take(&mut memory, "west", None, later);
        assert_eq!(memory.complete(facts("east")).contested, None);
    }

    #[test]
    fn once_settling_began_only_a_look_at_every_marker_ends_it() {
        let (mut memory, now) = (memory(), Instant::now());
        memory.begin_settling(now);
        take(&mut memory, "east", Some(Standing::Absent), now);
        take(&mut memory, "west", None, now);
        let seen = memory.complete(facts("east"));
        assert_eq!(seen.unsettled.as_deref(), Some("not every marker is known to be off"));
        assert!(seen.contested.is_some());
    }
}

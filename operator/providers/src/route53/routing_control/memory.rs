//! What this process saw of the routing controls, and what it asked of them: ARC keeps neither owner nor numbers. All of it is
//! gone with the process.

use super::config::ClusterEndpoint;
use super::states::States;
use crate::dns::join;
use muster_core::facts::{TrafficFacts, Witness};
use muster_core::ids::{Epoch, RegionName, Seq, Term};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks at the states, at rest.
const STATES_EVERY: Duration = Duration::from_mins(1);
/// Until they are looked at again that could not be read.
const STATES_AGAIN: Duration = Duration::from_secs(10);
/// The same, while the servers answer otherwise than the states say.
const DOUBTED_AGAIN: Duration = Duration::from_secs(5);
/// Between two looks at the records and health checks, at rest.
const SETUP_EVERY: Duration = Duration::from_mins(10);
/// Until they are looked at again after the API gave none.
const SETUP_AGAIN: Duration = Duration::from_mins(1);
/// A signed request that had no answer may land for so long (safety rules, section 4).
pub(super) const LANDS_WITHIN: Duration = Duration::from_mins(15);
/// An endpoint that was silent is asked last for so long.
const SILENT_FOR: Duration = Duration::from_mins(1);

/// The numbers that effects compare by.
type Order = (Epoch, Term, Seq);

/// What one process remembers of one name. Under a lock that is never held while anything is waited for.
#[derive(Debug, Default)]
pub(super) struct Memory {
    states: Option<States>,
    /// When the look began that gave them.
    looked: Option<Instant>,
    /// When the newest look began, whatever it gave.
    tried: Option<Instant>,
    /// Why the newest look was refused, for people: a right that is missing, a control that is not there.
    refused: Option<String>,
    /// The newest effect that was taken, or found done.
    written: Option<Written>,
    /// The newest effect that began: an older one sends nothing any more.
    begun: Option<Order>,
    /// Requests without an answer, the oldest first.
    sent: Vec<Sent>,
    /// This region was seen alone on after a request for it, which a newer effect had overtaken, could land.
    landed_late: Option<RegionName>,
    /// The servers answer otherwise than the states say.
    is_doubted: bool,
    /// Endpoints that did not answer, and since when.
    silent: BTreeMap<ClusterEndpoint, Instant>,
}

/// What one version of a policy found of the records and the health checks.
#[derive(Debug, Default)]
pub(super) struct Setup {
    due: Option<Instant>,
    /// For people.
    wrong: Option<String>,
}

impl Setup {
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| now >= due)
    }

    pub(super) fn take(&mut self, wrong: Option<String>, now: Instant) {
        *self = Self { due: Some(now + SETUP_EVERY), wrong };
    }

    /// The API gave no answer: the last one stays.
    pub(super) fn miss(&mut self, now: Instant) {
        self.due = Some(now + SETUP_AGAIN);
    }

    pub(super) fn wrong(&self) -> Option<String> {
        self.wrong.clone()
    }
}

#[derive(Debug)]
struct Written {
    witness: Witness,
    to: RegionName,
    at: Instant,
}

/// A request that left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Sent {
    to: RegionName,
    at: Instant,
    /// The states were seen to be what it asked for, since.
    is_seen: bool,
}

/// Why an effect is not asked for now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    /// A newer one of this process was.
    Stale(String),
    /// Another one may still land.
    Waits(String),
}

impl Memory {
    pub(super) fn needs_states(&self, now: Instant) -> bool {
        let Some(tried) = self.tried else { return true };
        let pause = match (self.is_doubted, self.looked == self.tried) {
            (true, _) => DOUBTED_AGAIN,
            (false, false) => STATES_AGAIN,
            (false, true) => STATES_EVERY,
        };
        let is_new = self.written.as_ref().is_some_and(|written| written.at >= tried);
        is_new || now.saturating_duration_since(tried) >= pause
    }

    /// What a look found that began then. Looks may end in another order than they began.
    pub(super) fn take_states(&mut self, states: States, began: Instant) {
        self.miss_states(None, began);
        if self.looked.is_some_and(|at| began < at) {
            return;
        }
        if let Some(on) = states.only_on() {
            self.see(on, began);
        }
        self.looked = Some(began);
        self.states = Some(states);
    }

    /// A look that began then found this region alone on. It is the effect of a request for it only if nothing else asked for the
    /// same: of two copies one may have landed, and the other land later.
    fn see(&mut self, on: &RegionName, began: Instant) {
        let written = self.written.as_ref();
        let copies = self.sent.iter().filter(|sent| sent.to == *on).count();
        let taken_since = |at: Instant| written.is_some_and(|written| written.to == *on && written.at >= at);
        for sent in self.sent.iter_mut().filter(|sent| sent.to == *on && sent.at <= began) {
            sent.is_seen |= copies == 1 && !taken_since(sent.at);
        }
        let overtaken = |sent: &&Sent| {
            written.is_some_and(|written| written.to != *on && written.at >= sent.at && written.at <= began)
        };
        if self.may_land(began).filter(|sent| sent.to == *on).any(|sent| overtaken(&sent)) {
            self.landed_late = Some(on.clone());
        }
    }

    /// A look that began then gave nothing; `refused`: because the cluster refuses to tell, for people.
    pub(super) fn miss_states(&mut self, refused: Option<String>, began: Instant) {
        if self.tried.is_none_or(|at| at <= began) {
            self.tried = Some(began);
            self.refused = refused;
        }
    }

    pub(super) fn note_endpoint(&mut self, endpoint: &ClusterEndpoint, is_silent: bool, now: Instant) {
        if is_silent {
            self.silent.insert(endpoint.clone(), now);
        } else {
            self.silent.remove(endpoint);
        }
    }

    pub(super) fn is_silent(&self, endpoint: &ClusterEndpoint, now: Instant) -> bool {
        let since = self.silent.get(endpoint);
        since.is_some_and(|at| now.saturating_duration_since(*at) < SILENT_FOR)
    }

    /// The same effect may be asked for at any time. Another one waits for what may still land and was never seen (safety rules,
    /// section 4), since nothing would refuse the older one.
    pub(super) fn judge(&mut self, to: &RegionName, witness: &Witness, now: Instant) -> Result<(), Refused> {
        if let Some(why) = self.overtaken(witness) {
            return Err(Refused::Stale(why));
        }
        self.begun = Some(witness.order());
        let Some(sent) = self.may_land(now).find(|sent| sent.to != *to && !sent.is_seen) else {
            return Ok(());
        };
        let left = (sent.at + LANDS_WITHIN).saturating_duration_since(now).as_secs() + 1;
        Err(Refused::Waits(format!(
            "a request to switch to region {} had no answer, was not seen done, and may land for {left} s: a different one waits",
            sent.to
        )))
    }

    /// Why an effect with these numbers is not to go on: a newer one has begun.
    fn overtaken(&self, witness: &Witness) -> Option<String> {
        let (epoch, term, seq) = self.begun.filter(|newer| *newer > witness.order())?;
        Some(format!(
            "epoch {epoch} term {term} seq {seq} was asked for since; this is epoch {} term {} seq {}",
            witness.epoch, witness.term, witness.seq
        ))
    }

    /// A request is about to leave; `Err`: not any more, since a newer effect has begun.
    pub(super) fn send(&mut self, to: &RegionName, witness: &Witness, now: Instant) -> Result<Sent, String> {
        if let Some(why) = self.overtaken(witness) {
            return Err(why);
        }
        self.sent.retain(|sent| sent.may_land(now));
        let sent = Sent { to: to.clone(), at: now, is_seen: false };
        self.sent.push(sent.clone());
        Ok(sent)
    }

    /// It was answered: it lands no more.
    pub(super) fn answer(&mut self, sent: &Sent) {
        if let Some(at) = self.sent.iter().position(|known| known.to == sent.to && known.at == sent.at) {
            self.sent.remove(at);
        }
    }

    /// An effect was taken, or found done.
    pub(super) fn note_done(&mut self, to: &RegionName, witness: &Witness, now: Instant) {
        if self.written.as_ref().is_some_and(|newer| newer.witness.order() > witness.order()) {
            return;
        }
        self.landed_late = None;
        self.written = Some(Written { witness: witness.clone(), to: to.clone(), at: now });
    }

    fn may_land(&self, now: Instant) -> impl Iterator<Item = &Sent> {
        self.sent.iter().filter(move |sent| sent.may_land(now))
    }

    /// Whether the states may be what a request of this process made of them that came late.
    pub(super) fn may_have_landed(&self, on: &RegionName, now: Instant) -> bool {
        self.landed_late.as_ref() == Some(on) || self.may_land(now).any(|sent| sent.to == *on)
    }

    /// The last effect of this process, unless a look after it found the states otherwise.
    fn witness(&self) -> Option<&Witness> {
        let written = self.written.as_ref()?;
        let only_on = self.states.as_ref().and_then(States::only_on);
        let is_undone = self.looked.is_some_and(|at| at > written.at) && only_on != Some(&written.to);
        (!is_undone).then_some(&written.witness)
    }

    /// What is not as it must be, for people: this of the `setup` among it.
    fn strange(&self, setup: Option<String>, now: Instant) -> Option<String> {
        let refused =
            || self.refused.as_ref().map(|why| format!("the routing controls cannot be read: {why}"));
        let other = || self.other_writer(now);
        refused().or(setup).or_else(other).or_else(|| self.ambiguous())
    }

    /// That not exactly one region is on, for people.
    fn ambiguous(&self) -> Option<String> {
        self.states.as_ref().filter(|_| self.is_read_since_written()).and_then(States::ambiguous)
    }

    /// Who else switched, for people.
    fn other_writer(&self, now: Instant) -> Option<String> {
        let written = self.written.as_ref().filter(|_| self.witness().is_none())?;
        let on = self.states.as_ref()?.on();
        if on.iter().any(|on| self.may_have_landed(on, now)) {
            return None;
        }
        let on: Vec<&str> = on.into_iter().map(RegionName::as_str).collect();
        let on = if on.is_empty() { "no region".to_owned() } else { on.join(" and ") };
        let to = &written.to;
        Some(format!(
            "another writer, or another Muster: {on} was switched on after this one had switched {to} on"
        ))
    }

    /// What may yet send the name elsewhere than `at`, for people. Silence says nothing by itself.
    fn contested(&self, at: &RegionName, now: Instant) -> Option<String> {
        if let Some(states) = self.states.as_ref().filter(|_| self.is_read_since_written()) {
            if let Some(why) = states.ambiguous() {
                return Some(why);
            }
            if let Some(other) = states.only_on().filter(|on| *on != at) {
                return Some(format!("the routing control of region {other} alone is on"));
            }
        }
        self.late_elsewhere(at, now)
    }

    /// A request of this process that may still send the name elsewhere, for people.
    pub(super) fn late_elsewhere(&self, at: &RegionName, now: Instant) -> Option<String> {
        let late = self.may_land(now).find(|sent| sent.to != *at)?;
        Some(format!("a request to switch to region {} had no answer, and may still land", late.to))
    }

    fn is_read_since_written(&self) -> bool {
        self.written.as_ref().is_none_or(|written| self.looked > Some(written.at))
    }

    /// Adds what the controls say to what the servers say, and what is wrong with the `setup`.
    pub(super) fn complete(
        &mut self,
        facts: TrafficFacts,
        setup: Option<String>,
        now: Instant,
    ) -> TrafficFacts {
        let only_on = self.states.as_ref().and_then(States::only_on);
        self.is_doubted = facts.points_to.is_none() || only_on != facts.points_to.as_ref();
        TrafficFacts {
            witness: self.witness().cloned(),
            drift: join(facts.drift, self.strange(setup, now)),
            // A state stays as it was set, whoever is gone.
            unsettled: None,
            contested: facts.points_to.as_ref().and_then(|at| self.contested(at, now)),
            ..facts
        }
    }
}

impl Sent {
    fn may_land(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) < LANDS_WITHIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::ids::{Epoch, Seq, Term};

    const SECOND: Duration = Duration::from_secs(1);

    fn witness(epoch: u64) -> Witness {
        Witness { owner: "uid-1".into(), epoch: Epoch(epoch), term: Term(0), seq: Seq(1) }
    }

    fn on(regions: &[&str]) -> States {
        States::new(["east", "west"].map(|region| (region.into(), regions.contains(&region))))
    }

    fn facts(points_to: &str) -> TrafficFacts {
        TrafficFacts {
            points_to: Some(points_to.into()),
            agree: 4,
            servers: 4,
            witness: None,
            drift: None,
            unsettled: None,
            contested: None,
        }
    }

    #[test]
    fn states_are_read_seldom_at_rest_and_at_once_after_a_write() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        assert!(memory.needs_states(now));
        memory.take_states(on(&["east"]), now);
        assert!(!memory.needs_states(now + STATES_EVERY / 2) && memory.needs_states(now + STATES_EVERY));
        memory.note_done(&"west".into(), &witness(1), now + SECOND);
        assert!(memory.needs_states(now + SECOND));
        memory.miss_states(None, now + SECOND * 2);
        assert!(!memory.needs_states(now + SECOND * 3), "it was tried");
        assert!(memory.needs_states(now + SECOND * 2 + STATES_AGAIN));
    }

    #[test]
    fn servers_that_answer_otherwise_are_a_reason_to_read_again_soon() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        memory.take_states(on(&["east"]), now);
        assert_eq!(memory.complete(facts("east"), None, now).contested, None);
        assert!(!memory.needs_states(now + DOUBTED_AGAIN));
        let contested = memory.complete(facts("west"), None, now).contested;
        assert_eq!(contested.as_deref(), Some("the routing control of region east alone is on"));
        assert!(memory.needs_states(now + DOUBTED_AGAIN));
    }

    #[test]
    fn an_effect_is_vouched_for_until_the_states_are_seen_otherwise() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        memory.take_states(on(&["east"]), now);
        memory.note_done(&"west".into(), &witness(1), now + SECOND);
        let seen = memory.complete(facts("west"), None, now + SECOND);
        assert_eq!((seen.witness, seen.contested, seen.drift), (Some(witness(1)), None, None));
        memory.take_states(on(&["east"]), now + SECOND * 2);
        let seen = memory.complete(facts("west"), None, now + SECOND * 2);
        assert_eq!(seen.witness, None);
        assert!(seen.drift.is_some_and(|why| why.contains("another Muster: east was switched on")));
        memory.take_states(on(&["east", "west"]), now + SECOND * 3);
        let seen = memory.complete(facts("west"), None, now + SECOND * 3);
        assert!(seen.contested.is_some_and(|why| why.contains("east and west are on")));
        memory.take_states(on(&["west"]), now + SECOND * 4);
        let seen = memory.complete(facts("west"), None, now + SECOND * 4);
        assert_eq!((seen.witness, seen.contested, seen.drift), (Some(witness(1)), None, None));
    }

    #[test]
    fn a_look_that_ends_late_takes_nothing_back() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        memory.take_states(on(&["west"]), now + SECOND);
        memory.take_states(on(&["east"]), now);
        assert_eq!(memory.complete(facts("west"), None, now + SECOND).contested, None);
    }

    #[test]
    fn a_different_effect_waits_for_one_that_nobody_saw_and_an_older_one_is_refused() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        let lost = memory.send(&"west".into(), &witness(1), now).expect("the newest");
        assert_eq!(memory.judge(&"west".into(), &witness(1), now), Ok(()), "the same one");
        let refused = memory.judge(&"east".into(), &witness(2), now);
        assert!(matches!(&refused, Err(Refused::Waits(why)) if why.contains("901 s")), "{refused:?}");
        assert_eq!(memory.judge(&"east".into(), &witness(2), now + LANDS_WITHIN), Ok(()), "it expired");
        memory.take_states(on(&["west"]), now + SECOND);
        assert_eq!(memory.judge(&"east".into(), &witness(2), now + SECOND), Ok(()), "it was seen");
        memory.note_done(&"east".into(), &witness(2), now + SECOND * 2);
        let late = memory.complete(facts("east"), None, now + SECOND * 2).contested;
        assert!(late.is_some_and(|why| why.contains("may still land")));
        assert!(memory.may_have_landed(&"west".into(), now + SECOND * 2));
        memory.answer(&lost);
        assert_eq!(memory.complete(facts("east"), None, now + SECOND * 2).contested, None);
        let stale = memory.judge(&"west".into(), &witness(1), now + SECOND * 2);
        assert!(matches!(stale, Err(Refused::Stale(_))), "{stale:?}");
    }

    #[test]
    fn of_two_copies_none_counts_as_seen_and_an_older_effect_sends_nothing_any_more() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        assert_eq!(memory.judge(&"west".into(), &witness(1), now), Ok(()));
        for _ in 0..2 {
            memory.send(&"west".into(), &witness(1), now).expect("the newest");
        }
        memory.take_states(on(&["west"]), now + SECOND);
        let refused = memory.judge(&"east".into(), &witness(2), now + SECOND);
        assert!(matches!(&refused, Err(Refused::Waits(_))), "the other one may land: {refused:?}");
        assert!(memory.send(&"west".into(), &witness(1), now + SECOND).is_err(), "a newer one has begun");
        memory.note_done(&"east".into(), &witness(2), now + SECOND * 2);
        memory.note_done(&"west".into(), &witness(1), now + SECOND * 3);
        assert_eq!(
            memory.witness(),
            Some(&witness(2)),
            "an older answer that comes later takes nothing back"
        );
    }

    #[test]
    fn what_landed_late_is_remembered_until_the_next_effect_and_that_no_region_alone_is_on_is_told() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        memory.send(&"west".into(), &witness(1), now).expect("the newest");
        memory.take_states(on(&["west"]), now + SECOND);
        memory.note_done(&"east".into(), &witness(2), now + SECOND * 2);
        memory.take_states(on(&["west"]), now + SECOND * 3);
        let later = now + LANDS_WITHIN * 2;
        assert!(memory.may_have_landed(&"west".into(), later), "also long after it could land");
        memory.note_done(&"east".into(), &witness(3), later);
        assert!(!memory.may_have_landed(&"west".into(), later));

        memory.take_states(on(&["east", "west"]), later + SECOND);
        let nowhere = TrafficFacts { points_to: None, ..facts("east") };
        let drift = memory.complete(nowhere, None, later + SECOND).drift;
        assert!(drift.is_some(), "also where the servers do not agree");
    }
}

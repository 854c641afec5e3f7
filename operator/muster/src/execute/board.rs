//! The newest facts of one policy, published by observers and probes, read by passes.
//!
//! Whoever publishes never waits for a pass, and a pass never waits for whoever is silent: it takes what is there.

use super::day_peak::DayPeak;
use muster_core::facts::{
    ComputeFacts, DataFacts, Fact, FenceFacts, HeartbeatFacts, JournalFacts, LossFacts, Observations,
    Outcome, PublicFacts, Seen, TrafficFacts,
};
use muster_core::health::{HealthBook, HealthMarks, ProbeResult, Sample};
use muster_core::ids::{HolderId, ItemName, RegionName, RunName, Seq, VantageName};
use muster_core::policy::Policy;
use muster_core::time::{Stamp, Tick};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Outcomes kept: far more than a run has effects.
const OUTCOMES: usize = 256;

/// One place that facts come from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Slot {
    /// A data item's node.
    Data(ItemName, RegionName),
    /// A public name.
    Traffic(ItemName),
    /// A workload.
    Compute(ItemName, RegionName),
    /// A fence hook's `status`.
    Fence(ItemName, RegionName),
}

/// A fact of any slot.
#[derive(Clone, Debug)]
pub(super) enum SlotFact {
    /// See [`Slot::Data`].
    Data(Box<Seen<DataFacts>>),
    /// See [`Slot::Traffic`].
    Traffic(Seen<TrafficFacts>),
    /// See [`Slot::Compute`].
    Compute(Seen<ComputeFacts>),
    /// See [`Slot::Fence`].
    Fence(Seen<FenceFacts>),
}

/// How new a slot's fact is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Freshness {
    /// Looked at since the moment asked for.
    Fresh,
    /// Older, and the target answered the last time.
    Due,
    /// Older, and the target did not answer the last time.
    Silent,
}

/// All that is known of one policy's world at present.
#[derive(Debug, Default)]
pub struct Board {
    seen: Mutex<Observations>,
    /// What each workload ran, hour by hour; edits of the policy do not end it.
    days: Mutex<BTreeMap<(ItemName, RegionName), DayPeak>>,
    arrived: Notify,
    changed: Notify,
}

/// Successes in a row beyond this many tell nothing new: more are never asked for in a row.
const COUNTED: u32 = 100;

impl Board {
    fn lock(&self) -> MutexGuard<'_, Observations> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the health book from what survived; keeps what probes have told since.
    pub fn start_health(&self, marks: &HealthMarks, now: Stamp) {
        let mut seen = self.lock();
        let mut book = HealthBook::from_marks(marks, now);
        let young = std::mem::take(&mut seen.health);
        book.vantages = young.vantages;
        for (region, vantages) in young.streaks {
            for (vantage, streaks) in vantages {
                book.streaks.entry(region.clone()).or_default().entry(vantage).or_default().extend(streaks);
            }
        }
        seen.health = book;
    }

    /// Takes over who may report, and forgets what the policy no longer has.
    pub fn set_policy(&self, policy: &Policy, vantages: &BTreeMap<VantageName, Option<RegionName>>) {
        let mut seen = self.lock();
        seen.health.vantages.clone_from(vantages);
        seen.health.retain(&policy.regions, &policy.probes);
        let known = |item: &ItemName| policy.data.iter().any(|d| d.name == *item);
        seen.data.retain(|item, _| known(item));
        seen.heartbeats.retain(|item, _| known(item));
        seen.losses.retain(|item, _| known(item));
        seen.traffic.retain(|item, _| policy.traffic.iter().any(|t| t.name == *item));
        let mut days = self.days.lock().unwrap_or_else(PoisonError::into_inner);
        days.retain(|(item, _), _| policy.compute.iter().any(|c| c.name == *item));
        drop(days);
        seen.compute.retain(|item, _| policy.compute.iter().any(|c| c.name == *item));
        seen.fences.retain(|way, _| policy.fences.iter().any(|f| f.name == *way));
        seen.hooks.retain(|name, _| policy.hooks.iter().any(|h| h.name == *name));
        drop(seen);
        self.changed.notify_one();
    }

    /// Folds one probe result. A pass is triggered by what could change a verdict.
    pub fn fold_sample(&self, sample: &Sample, policy: &Policy) {
        let mut seen = self.lock();
        let streak = |book: &HealthBook| {
            let streak = book.streaks.get(&sample.region)?.get(&sample.vantage)?.get(&sample.probe)?;
            Some((streak.tripped, streak.last))
        };
        let before = streak(&seen.health);
        seen.health.fold(sample, &policy.detection);
        let after = streak(&seen.health);
        drop(seen);
        if before != after || sample.result == ProbeResult::Fail {
            self.changed.notify_one();
        }
    }

    /// The newest result through the public name.
    pub fn set_public(&self, public: Fact<PublicFacts>) {
        let mut seen = self.lock();
        let news = seen.public.as_ref().is_none_or(|known| {
            let counts = known.value.successes != public.value.successes && known.value.successes < COUNTED;
            counts || (known.value.successes == 0) != (public.value.successes == 0)
        });
        seen.public = Some(public);
        drop(seen);
        if news {
            self.changed.notify_one();
        }
    }

    /// What this controller's heartbeat writer knows of one data item.
    pub fn set_heartbeat(&self, item: &ItemName, facts: HeartbeatFacts) {
        self.lock().heartbeats.insert(item.clone(), facts);
    }

    /// What is known of the journal itself.
    pub(super) fn set_journal(&self, facts: JournalFacts) {
        self.lock().journal = facts;
    }

    /// A fact of a slot. An older one than the newest known is dropped.
    pub(super) fn publish(&self, slot: &Slot, mut fact: SlotFact, at: Tick) {
        if let (Slot::Compute(item, region), SlotFact::Compute(Seen::Known(facts))) = (slot, &mut fact) {
            let mut days = self.days.lock().unwrap_or_else(PoisonError::into_inner);
            let day = days.entry((item.clone(), region.clone())).or_default();
            facts.recent = day.fold(facts.wanted, at);
        }
        let mut seen = self.lock();
        let news = match (slot, fact) {
            (Slot::Data(item, region), SlotFact::Data(fact)) => {
                put(seen.data.entry(item.clone()).or_default(), region, Fact::new(*fact, at), same_data)
            }
            (Slot::Fence(way, region), SlotFact::Fence(fact)) => {
                put(seen.fences.entry(way.clone()).or_default(), region, Fact::new(fact, at), PartialEq::eq)
            }
            (Slot::Compute(item, region), SlotFact::Compute(fact)) => {
                let facts = seen.compute.entry(item.clone()).or_default();
                put(facts, region, Fact::new(fact, at), same_compute)
            }
            (Slot::Traffic(item), SlotFact::Traffic(fact)) => {
                put(&mut seen.traffic, item, Fact::new(fact, at), PartialEq::eq)
            }
            _ => false,
        };
        drop(seen);
        self.arrived.notify_one();
        if news {
            self.changed.notify_one();
        }
    }

    /// Whether a hook says by its `status` that it is done.
    pub(super) fn publish_hook(&self, name: &ItemName, fact: Fact<Seen<bool>>) {
        let news = put(&mut self.lock().hooks, name, fact, PartialEq::eq);
        if news {
            self.changed.notify_one();
        }
    }

    /// A hook has a `status` verb: until it was asked, nothing is known, and its answer alone is not enough.
    pub(super) fn expect_hook(&self, name: &ItemName, now: Tick) {
        let not_asked = || Fact::new(Seen::Unknown("not asked yet".into()), now);
        self.lock().hooks.entry(name.clone()).or_insert_with(not_asked);
    }

    /// An old log was read.
    pub(super) fn publish_loss(&self, item: &ItemName, run: &RunName, loss: LossFacts) {
        self.lock().losses.entry(item.clone()).or_default().insert(run.clone(), loss);
        self.changed.notify_one();
    }

    pub(super) fn knows_loss(&self, item: &ItemName, run: &RunName) -> bool {
        self.lock().losses.get(item).is_some_and(|runs| runs.contains_key(run))
    }

    /// This controller's heartbeat writer of a data item.
    pub(super) fn heartbeat_writer(&self, item: &ItemName) -> String {
        self.lock().heartbeats.get(item).map_or_else(String::new, |facts| facts.writer.clone())
    }

    /// Marks an effect as under way. `false`: it is already, and must not be started a second time.
    pub(super) fn begin_effect(&self, seq: Seq) -> bool {
        let mut seen = self.lock();
        seen.outcomes.remove(&seq);
        seen.in_flight.insert(seq)
    }

    /// An effect's call returned.
    pub(super) fn end_effect(&self, seq: Seq, outcome: Fact<Outcome>) {
        let mut seen = self.lock();
        seen.in_flight.remove(&seq);
        seen.outcomes.insert(seq, outcome);
        while seen.outcomes.len() > OUTCOMES {
            seen.outcomes.pop_first();
        }
        drop(seen);
        self.changed.notify_one();
    }

    pub(super) fn freshness(&self, slot: &Slot, since: Tick) -> Freshness {
        let seen = self.lock();
        match slot {
            Slot::Data(item, region) => freshness_of(seen.data.get(item).and_then(|r| r.get(region)), since),
            Slot::Traffic(item) => freshness_of(seen.traffic.get(item), since),
            Slot::Compute(item, region) => {
                freshness_of(seen.compute.get(item).and_then(|r| r.get(region)), since)
            }
            Slot::Fence(way, region) => freshness_of(seen.fences.get(way).and_then(|r| r.get(region)), since),
        }
    }

    /// Whether the region's data item answered when it was last looked at.
    pub(super) fn knows_data(&self, item: &ItemName, region: &RegionName) -> bool {
        let seen = self.lock();
        let fact = seen.data.get(item).and_then(|regions| regions.get(region));
        fact.is_some_and(|fact| matches!(fact.value, Seen::Known(_)))
    }

    /// Completes when any slot was published since the last call.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Completes when something happened that a pass should see.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Asks for a pass, for example after a person's wish was recorded.
    pub fn wake(&self) {
        self.changed.notify_one();
    }

    /// All that is known now, as one pass of `holder` that began to look at `pass`.
    pub fn snapshot(&self, holder: Option<HolderId>, pass: Tick) -> Observations {
        Observations { holder, pass, ..self.lock().clone() }
    }
}

fn freshness_of<T>(fact: Option<&Fact<Seen<T>>>, since: Tick) -> Freshness {
    match fact {
        Some(fact) if fact.at >= since => Freshness::Fresh,
        Some(Fact { value: Seen::Unknown(_), .. }) => Freshness::Silent,
        _ => Freshness::Due,
    }
}

/// Replaces the fact unless a newer one is there; tells whether it says something new.
fn put<K: Ord + Clone, T>(
    facts: &mut BTreeMap<K, Fact<T>>,
    key: &K,
    fact: Fact<T>,
    same: impl Fn(&T, &T) -> bool,
) -> bool {
    let (news, outdated) =
        facts.get(key).map_or((true, false), |old| (!same(&old.value, &fact.value), old.at > fact.at));
    if !outdated {
        facts.insert(key.clone(), fact);
    }
    news && !outdated
}

/// Equal, or unknown for whatever reason.
fn same_compute(a: &Seen<ComputeFacts>, b: &Seen<ComputeFacts>) -> bool {
    match (a, b) {
        (Seen::Known(a), Seen::Known(b)) => a == b,
        (Seen::Unknown(_), Seen::Unknown(_)) => true,
        _ => false,
    }
}

/// Equal but for positions and heartbeats, which move all the time.
fn same_data(a: &Seen<DataFacts>, b: &Seen<DataFacts>) -> bool {
    match (a, b) {
        (Seen::Known(a), Seen::Known(b)) => {
            a.role == b.role
                && a.is_closed() == b.is_closed()
                && a.witness == b.witness
                && a.streaming == b.streaming
                && a.timeline == b.timeline
        }
        (Seen::Unknown(_), Seen::Unknown(_)) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::facts::{FenceFacts, PowerState};

    fn slot() -> Slot {
        Slot::Fence("power".into(), "east".into())
    }

    fn power(state: PowerState) -> SlotFact {
        SlotFact::Fence(Seen::Known(FenceFacts::new("i", state)))
    }

    #[test]
    fn an_older_fact_never_replaces_a_newer_one() {
        let board = Board::default();
        board.publish(&slot(), power(PowerState::On), Tick(20));
        board.publish(&slot(), power(PowerState::Off), Tick(10));
        let seen = board.snapshot(None, Tick(30));
        let fact = &seen.fences[&ItemName::from("power")][&RegionName::from("east")];
        assert_eq!((fact.at, fact.value.known().unwrap().state.clone()), (Tick(20), PowerState::On));
    }

    #[test]
    fn a_target_that_did_not_answer_is_silent_until_it_does() {
        let board = Board::default();
        assert_eq!(board.freshness(&slot(), Tick(5)), Freshness::Due);
        board.publish(&slot(), SlotFact::Fence(Seen::Unknown("no route".into())), Tick(3));
        assert_eq!(board.freshness(&slot(), Tick(5)), Freshness::Silent);
        board.publish(&slot(), power(PowerState::On), Tick(5));
        assert_eq!(board.freshness(&slot(), Tick(5)), Freshness::Fresh);
    }

    #[test]
    fn an_effect_under_way_is_not_begun_twice() {
        let board = Board::default();
        assert!(board.begin_effect(Seq(4)));
        assert!(!board.begin_effect(Seq(4)));
        board.end_effect(Seq(4), Fact::new(Outcome::AlreadyDone, Tick(9)));
        assert!(board.snapshot(None, Tick(10)).in_flight.is_empty());
        assert!(board.begin_effect(Seq(4)), "a repetition, once the first attempt returned");
        assert!(board.snapshot(None, Tick(10)).outcomes.is_empty(), "the old attempt's outcome says nothing");
    }
}

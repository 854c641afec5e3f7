//! A store in memory, shared by several "processes" of a test, with faults on demand.

use crate::clock::Clock;
use crate::store::{Acquired, Known, LeaseToken, Loaded, Need, Store, StoreError, Version};
use async_trait::async_trait;
use muster_core::ids::{ClaimKey, HolderId, Owner, PolicyName, RunName};
use muster_core::journal::{Journal, PolicyState, Run};
use muster_core::time::{Millis, Stamp, Tick};
use muster_core::wish::{Wish, take_in};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What happens to the next record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordFault {
    /// Somebody else was first.
    Conflict,
    /// It was written, but the answer was lost.
    WrittenUnknown,
    /// It was not written, and the answer was lost.
    LostUnknown,
}

#[derive(Debug, Default)]
struct State {
    journals: BTreeMap<PolicyName, (u64, Journal)>,
    claims: BTreeMap<ClaimKey, Owner>,
    runs: BTreeMap<PolicyName, Vec<Run>>,
    frames: BTreeMap<(PolicyName, RunName), Vec<Value>>,
    lease: Option<(HolderId, u64, Tick)>,
    lease_number: u64,
    records: Vec<PolicyName>,
    fault: Option<RecordFault>,
}

/// Keeps journals as long as the test lives.
#[derive(Debug)]
pub struct MemoryStore {
    state: Mutex<State>,
    clock: Clock,
}

impl MemoryStore {
    /// Empty.
    pub fn new(clock: Clock) -> Self {
        Self { state: Mutex::default(), clock }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next record meets this.
    pub fn fail_next_record(&self, fault: RecordFault) {
        self.lock().fault = Some(fault);
    }

    /// As if its holder was killed: it renews no more, and the lease runs out.
    pub fn orphan_lease(&self) {
        let mut state = self.lock();
        state.lease_number += 1;
    }

    /// Records so far, of one policy.
    pub fn records(&self, policy: &PolicyName) -> usize {
        self.lock().records.iter().filter(|name| *name == policy).count()
    }

    /// The journal as kept.
    pub fn journal(&self, policy: &PolicyName) -> Option<Journal> {
        self.lock().journals.get(policy).map(|(_, journal)| journal.clone())
    }
}

fn version(number: u64) -> Version {
    Version::new(number.to_string())
}

impl State {
    fn find(&self, policy: &PolicyName) -> Result<&(u64, Journal), StoreError> {
        self.journals.get(policy).ok_or_else(|| StoreError::UnknownPolicy { policy: policy.clone() })
    }

    fn put(&mut self, policy: &PolicyName, journal: Journal) -> Version {
        let number = self.journals.get(policy).map_or(1, |(number, _)| number + 1);
        if let Some(run) = journal.run.as_ref().filter(|run| run.phase.is_final()) {
            let kept = self.runs.entry(policy.clone()).or_default();
            kept.retain(|old| old.name != run.name);
            kept.insert(0, run.clone());
        }
        self.journals.insert(policy.clone(), (number, journal));
        version(number)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn policies(&self) -> Result<Vec<Known>, StoreError> {
        let known = |(policy, (number, journal)): (&PolicyName, &(u64, Journal))| Known {
            policy: policy.clone(),
            owner: Some(journal.state.owner.clone()),
            version: version(*number),
            in_run: Some(journal.state.active_run.is_some()),
        };
        Ok(self.lock().journals.iter().map(known).collect())
    }

    async fn load(&self, policy: &PolicyName) -> Result<Loaded, StoreError> {
        let state = self.lock();
        let (number, journal) = state.find(policy)?;
        Ok(Loaded { version: version(*number), journal: journal.clone() })
    }

    async fn create(&self, policy: &PolicyName, owner: &Owner) -> Result<Loaded, StoreError> {
        let mut state = self.lock();
        if let Ok((_, old)) = state.find(policy) {
            return Err(StoreError::PolicyExists { policy: policy.clone(), owner: old.state.owner.clone() });
        }
        let journal = Journal { state: PolicyState::new(owner.clone()), run: None, requests: Vec::new() };
        let version = state.put(policy, journal.clone());
        Ok(Loaded { version, journal })
    }

    async fn record(
        &self,
        policy: &PolicyName,
        expected: &Version,
        lease: &LeaseToken,
        next: &Journal,
    ) -> Result<Version, StoreError> {
        let mut state = self.lock();
        let fault = state.fault.take();
        let found = version(state.find(policy)?.0);
        if found != *expected || fault == Some(RecordFault::Conflict) {
            return Err(StoreError::Conflict { policy: policy.clone(), expected: expected.clone(), found });
        }
        if !lease.is_live() || state.lease_number != lease.number() {
            return Err(StoreError::LeaseLost { why: "taken over".into() });
        }
        let lost = StoreError::Deadline { verb: "record", after: Millis(0) };
        if fault == Some(RecordFault::LostUnknown) {
            return Err(lost);
        }
        state.records.push(policy.clone());
        let version = state.put(policy, next.clone());
        if fault == Some(RecordFault::WrittenUnknown) { Err(lost) } else { Ok(version) }
    }

    async fn wish(&self, policy: &PolicyName, wish: &Wish, now: Stamp) -> Result<Loaded, StoreError> {
        let mut state = self.lock();
        let journal = take_in(&state.find(policy)?.1, wish, now)?;
        let version = state.put(policy, journal.clone());
        Ok(Loaded { version, journal })
    }

    async fn claim(
        &self,
        owner: &Owner,
        keys: &BTreeSet<ClaimKey>,
    ) -> Result<BTreeMap<ClaimKey, Owner>, StoreError> {
        let mut state = self.lock();
        let held = keys.iter().filter_map(|key| Some((key.clone(), state.claims.get(key)?.clone())));
        let foreign: BTreeMap<_, _> = held.filter(|(_, holder)| holder != owner).collect();
        if foreign.is_empty() {
            state.claims.extend(keys.iter().map(|key| (key.clone(), owner.clone())));
        }
        Ok(foreign)
    }

    async fn release_claims(&self, owner: &Owner, keys: &BTreeSet<ClaimKey>) -> Result<(), StoreError> {
        self.lock().claims.retain(|key, holder| holder != owner || !keys.contains(key));
        Ok(())
    }

    async fn claims(&self) -> Result<BTreeMap<ClaimKey, Owner>, StoreError> {
        Ok(self.lock().claims.clone())
    }

    async fn acquire(&self, holder: &HolderId, duration: Millis) -> Result<Acquired, StoreError> {
        let mut state = self.lock();
        let now = self.clock.now().tick;
        if let Some((by, _, until)) = state.lease.clone().filter(|(_, _, until)| *until > now) {
            return Ok(Acquired::Held {
                by,
                unchanged_for: Millis(duration.0.saturating_sub(until.0 - now.0)),
            });
        }
        state.lease_number += 1;
        state.lease = Some((holder.clone(), state.lease_number, now.plus(duration)));
        Ok(Acquired::Ours(LeaseToken::new(
            holder.clone(),
            state.lease_number,
            duration,
            now,
            self.clock.clone(),
        )))
    }

    async fn renew(&self, lease: &LeaseToken) -> Result<(), StoreError> {
        let mut state = self.lock();
        let now = self.clock.now().tick;
        if state.lease_number != lease.number() || !lease.is_live() {
            lease.void();
            return Err(StoreError::LeaseLost { why: "taken over".into() });
        }
        state.lease = Some((lease.holder().clone(), lease.number(), now.plus(lease.duration())));
        lease.prolong(now);
        Ok(())
    }

    async fn release(&self, lease: &LeaseToken) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.lease_number == lease.number() {
            state.lease = None;
        }
        lease.void();
        Ok(())
    }

    async fn finish(&self, policy: &PolicyName, run: &Run) -> Result<(), StoreError> {
        let mut state = self.lock();
        let kept = state.runs.entry(policy.clone()).or_default();
        match kept.iter_mut().find(|old| old.name == run.name) {
            Some(old) => *old = run.clone(),
            None => kept.insert(0, run.clone()),
        }
        Ok(())
    }

    async fn runs(&self, policy: &PolicyName, limit: usize) -> Result<Vec<Run>, StoreError> {
        let state = self.lock();
        Ok(state.runs.get(policy).map(|runs| runs.iter().take(limit).cloned().collect()).unwrap_or_default())
    }

    async fn run(&self, policy: &PolicyName, name: &RunName) -> Result<Option<Run>, StoreError> {
        let state = self.lock();
        Ok(state.runs.get(policy).and_then(|runs| runs.iter().find(|run| run.name == *name).cloned()))
    }

    async fn append_frame(
        &self,
        policy: &PolicyName,
        run: &RunName,
        frame: &Value,
    ) -> Result<(), StoreError> {
        self.lock().frames.entry((policy.clone(), run.clone())).or_default().push(frame.clone());
        Ok(())
    }

    async fn frames(&self, policy: &PolicyName, run: &RunName) -> Result<Vec<Value>, StoreError> {
        Ok(self.lock().frames.get(&(policy.clone(), run.clone())).cloned().unwrap_or_default())
    }

    async fn check(&self, _: Need) -> Result<(), StoreError> {
        Ok(())
    }
}

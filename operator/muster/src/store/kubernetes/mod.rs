//! The journal in a Kubernetes API server.
//!
//! ```text
//! FailoverJournal   one per policy: the journal, changed by PUT with resourceVersion     records, wishes
//! FailoverRun       one per run: the story; ended ones are the history
//! Lease             who acts                                                             PUT with resourceVersion
//! ConfigMap         who steers what                                                      PUT with resourceVersion
//! ```
//!
//! | verb | what makes it conditional | not protected |
//! |---|---|---|
//! | `record` | resourceVersion of the journal; the Lease is read right before; a newer lease number in the journal | a holder that stalls between the look at the Lease and the PUT, and whose successor has written nothing yet: then the record is as if it had come before |
//! | `wish` | resourceVersion, again until nobody comes between | |
//! | `claim` | resourceVersion of one ConfigMap, all or none; what many want at once goes into one write | |
//! | `acquire`, `renew` | resourceVersion of the Lease; expiry by changes that were seen, on a monotonic clock | |
//!
//! Every call has a deadline and is made once: the client's own repetition is off, since a repeated PUT would answer
//! with a conflict of its own making. Frames for replay stay in this process: they are too large for etcd.

mod call;
mod claims;
mod frames;
mod history;
mod journal;
mod lease;
pub mod story;

pub(crate) use history::write_status;

use super::lease::LeaseSight;
use super::{Acquired, Known, LeaseToken, Loaded, Need, Store, StoreError, StoreErrorClass, Version};
use crate::clock::Clock;
use async_trait::async_trait;
use frames::Frames;
use kube::Client;
use muster_core::ids::{ClaimKey, HolderId, Owner, PolicyName, RunName};
use muster_core::journal::{Journal, Run};
use muster_core::time::{Millis, Stamp, Tick};
use muster_core::wish::Wish;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// A journal's write that went through lately shows that the next one can.
const RECENT_WRITE: Millis = Millis(5_000);
/// What a record of a run is decided on is observed anew rather than kept waiting for longer.
const TURN_WITHIN: Duration = Duration::from_secs(1);

/// A namespaced object.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ObjectName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Where things are kept, and how much of them.
#[derive(Clone, Debug)]
pub struct Options {
    /// The Lease of this installation; claims are kept beside it.
    pub lease: ObjectName,
    /// Only policies of this namespace. `None`: of all.
    pub namespace: Option<String>,
    /// Largest journal, as text. An API server takes requests of about 1.5 MB.
    pub journal_bytes: usize,
    /// Ended runs kept, by policy.
    pub runs_kept: usize,
    /// Frames kept, by run.
    pub frames_per_run: usize,
}

impl Options {
    /// The usual bounds.
    pub const fn new(lease: ObjectName) -> Self {
        Self { lease, namespace: None, journal_bytes: 768 << 10, runs_kept: 50, frames_per_run: 500 }
    }
}

/// The store of an operator.
pub struct KubernetesStore {
    client: Client,
    options: Options,
    clock: Clock,
    sight: LeaseSight<String>,
    /// Number and version of the lease as this process wrote it last.
    lease: Mutex<Option<(u64, String)>>,
    /// When a journal was written last.
    written: Mutex<Option<Tick>>,
    /// Policies whose journals another installation wrote last.
    foreign: Mutex<BTreeSet<PolicyName>>,
    /// Journals as this process saw or wrote them last, and when.
    known: Mutex<BTreeMap<PolicyName, (Loaded, Tick)>>,
    /// Changes of journals by this process: what was read while one went on may be older than it.
    changes: AtomicU64,
    frames: Frames,
    desk: claims::Desk,
    turns: Turns,
}

/// Records that are under way at once. A thousand together would all miss the deadline that each has alone; the wait for a
/// turn is before it. Runs do not wait behind policies to which nothing happens, and not for long: a pivot must not be
/// recorded on proofs that have grown old in a queue.
struct Turns {
    calm: Semaphore,
    runs: Semaphore,
}

impl Turns {
    const OF_CALM: usize = 8;
    const OF_RUNS: usize = 32;

    const fn new() -> Self {
        Self { calm: Semaphore::const_new(Self::OF_CALM), runs: Semaphore::const_new(Self::OF_RUNS) }
    }

    async fn of(&self, next: &Journal) -> Result<SemaphorePermit<'_>, StoreError> {
        let turn = if next.state.active_run.is_some() {
            tokio::time::timeout(TURN_WITHIN, self.runs.acquire()).await.ok()
        } else {
            Some(self.calm.acquire().await)
        };
        // They are never closed: without a turn the time was over.
        turn.and_then(Result::ok).ok_or_else(|| StoreError::Api {
            verb: "record",
            why: format!("too many records are under way, none ended within {TURN_WITHIN:?}"),
            class: StoreErrorClass::Busy,
        })
    }
}

impl fmt::Debug for KubernetesStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubernetesStore").field("options", &self.options).finish_non_exhaustive()
    }
}

impl KubernetesStore {
    /// A store over `client`, whose own repetition of calls must be off. Connects to nothing yet.
    pub fn new(client: Client, options: Options, clock: Clock) -> Self {
        let frames = Frames::new(options.frames_per_run);
        let (sight, lease, written) = (LeaseSight::default(), Mutex::default(), Mutex::default());
        let (known, changes, desk) = (Mutex::default(), AtomicU64::new(0), claims::Desk::default());
        let (turns, foreign) = (Turns::new(), Mutex::default());
        Self { client, options, clock, sight, lease, written, foreign, known, changes, frames, desk, turns }
    }

    /// The policy as it acted last, as YAML; `None` if it never did.
    pub async fn in_force(&self, policy: &PolicyName) -> Result<Option<String>, StoreError> {
        journal::in_force(self, policy).await
    }

    /// Keeps the policy as it acts. Only the process that holds the lease may.
    pub async fn keep_in_force(&self, policy: &PolicyName, document: &str) -> Result<(), StoreError> {
        let kept = journal::keep_in_force(self, policy, document).await;
        self.forget(policy);
        kept
    }

    /// Whether another installation wrote the policy's journal last: then it also tells of it.
    pub fn is_of_another_installation(&self, policy: &PolicyName) -> bool {
        self.foreign.lock().unwrap_or_else(PoisonError::into_inner).contains(policy)
    }

    fn note_installation(&self, policy: &PolicyName, lease: &str) {
        let mut foreign = self.foreign.lock().unwrap_or_else(PoisonError::into_inner);
        if lease == self.options.lease.to_string() {
            foreign.remove(policy);
        } else {
            foreign.insert(policy.clone());
        }
    }

    fn remember_lease(&self, number: u64, version: String) {
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = Some((number, version));
    }

    /// What was remembered, once: a write under it that is never answered may have changed it.
    fn take_lease_version(&self, number: u64) -> Option<String> {
        let held = self.lease.lock().unwrap_or_else(PoisonError::into_inner).take();
        held.filter(|(known, _)| *known == number).map(|(_, version)| version)
    }

    /// A journal as it was just seen or written.
    fn know(&self, policy: &PolicyName, loaded: &Loaded, at: Tick) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(policy).is_none_or(|(_, before)| *before <= at) {
            known.insert(policy.clone(), (loaded.clone(), at));
        }
    }

    fn forget(&self, policy: &PolicyName) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(policy);
    }

    /// The journal as known, if it is young enough and nothing is under way.
    fn known_in_calm(&self, policy: &PolicyName, max_age: Millis) -> Option<Loaded> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (loaded, at) = known.get(policy)?;
        let young = self.clock.now().tick.since(*at).is_some_and(|age| age <= max_age);
        let calm = loaded.journal.state.active_run.is_none() && loaded.journal.requests.is_empty();
        (young && calm).then(|| loaded.clone())
    }

    /// A journal was written. The lease is another object, under another permission: its renewals show nothing of journals.
    fn note_write(&self) {
        let now = self.clock.now().tick;
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    fn wrote_lately(&self) -> bool {
        let written = *self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.and_then(|at| self.clock.now().tick.since(at)).is_some_and(|age| age <= RECENT_WRITE)
    }
}

/// `namespace/name` of a policy, apart.
pub fn split(policy: &PolicyName) -> (&str, &str) {
    policy.as_str().split_once('/').unwrap_or(("default", policy.as_str()))
}

/// Bounds the tries of a change that others come between.
#[derive(Debug, Default)]
struct Retry(u32);

impl Retry {
    const MOST: u32 = 100;

    const fn once_more(&mut self) -> bool {
        self.0 += 1;
        self.0 <= Self::MOST
    }

    /// Rivals drift apart.
    async fn pause(&self) {
        let longest = u64::from(self.0.min(20)) * 5;
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..=longest))).await;
    }
}

#[async_trait]
impl Store for KubernetesStore {
    async fn policies(&self) -> Result<Vec<Known>, StoreError> {
        journal::list(self).await
    }

    async fn load(&self, policy: &PolicyName) -> Result<Loaded, StoreError> {
        // Of before the call: what comes late was true when it was asked for.
        let (before, at) = (self.changes.load(Ordering::Acquire), self.clock.now().tick);
        let loaded = journal::load(self, policy).await?;
        if self.changes.load(Ordering::Acquire) == before {
            self.know(policy, &loaded, at);
        }
        Ok(loaded)
    }

    async fn load_in_calm(&self, policy: &PolicyName, max_age: Millis) -> Result<Loaded, StoreError> {
        match self.known_in_calm(policy, max_age) {
            Some(known) => Ok(known),
            None => self.load(policy).await,
        }
    }

    async fn create(&self, policy: &PolicyName, owner: &Owner) -> Result<Loaded, StoreError> {
        journal::create(self, policy, owner).await
    }

    async fn record(
        &self,
        policy: &PolicyName,
        expected: &Version,
        lease: &LeaseToken,
        next: &Journal,
    ) -> Result<Version, StoreError> {
        let _turn = self.turns.of(next).await?;
        let recorded = Box::pin(journal::record(self, policy, expected, lease, next)).await;
        // If it failed, somebody else wrote, or nobody knows whether this did.
        self.forget(policy);
        if let Ok(version) = &recorded {
            self.note_installation(policy, &self.options.lease.to_string());
            let loaded = Loaded { version: version.clone(), journal: next.clone() };
            self.know(policy, &loaded, self.clock.now().tick);
        }
        recorded
    }

    async fn wish(&self, policy: &PolicyName, wish: &Wish, now: Stamp) -> Result<Loaded, StoreError> {
        let wished = journal::wish(self, policy, wish, now).await;
        self.forget(policy);
        wished
    }

    async fn claim(
        &self,
        owner: &Owner,
        keys: &BTreeSet<ClaimKey>,
    ) -> Result<BTreeMap<ClaimKey, Owner>, StoreError> {
        claims::claim(self, owner, keys).await
    }

    async fn release_claims(&self, owner: &Owner, keys: &BTreeSet<ClaimKey>) -> Result<(), StoreError> {
        claims::release(self, owner, keys).await
    }

    async fn claims(&self) -> Result<BTreeMap<ClaimKey, Owner>, StoreError> {
        claims::all(self).await
    }

    async fn claims_of(&self, owner: &Owner) -> Result<BTreeSet<ClaimKey>, StoreError> {
        Ok(claims::held_by(self, owner).await?.into_keys().collect())
    }

    async fn acquire(&self, holder: &HolderId, duration: Millis) -> Result<Acquired, StoreError> {
        lease::acquire(self, holder, duration).await
    }

    async fn renew(&self, lease: &LeaseToken) -> Result<(), StoreError> {
        lease::renew(self, lease).await
    }

    async fn release(&self, lease: &LeaseToken) -> Result<(), StoreError> {
        lease::give_back(self, lease).await
    }

    async fn finish(&self, policy: &PolicyName, run: &Run) -> Result<(), StoreError> {
        history::finish(self, policy, run).await
    }

    async fn runs(&self, policy: &PolicyName, limit: usize) -> Result<Vec<Run>, StoreError> {
        history::newest(self, policy, limit).await
    }

    async fn run(&self, policy: &PolicyName, name: &RunName) -> Result<Option<Run>, StoreError> {
        history::named(self, policy, name).await
    }

    async fn append_frame(
        &self,
        policy: &PolicyName,
        run: &RunName,
        frame: &Value,
    ) -> Result<(), StoreError> {
        self.ensure_known(policy).await?;
        self.frames.append(policy, run, frame.clone());
        Ok(())
    }

    async fn frames(&self, policy: &PolicyName, run: &RunName) -> Result<Vec<Value>, StoreError> {
        self.ensure_known(policy).await?;
        Ok(self.frames.of(policy, run))
    }

    /// A recent record is a durable write of this very process. Without one the API server is asked whether it would take
    /// a change of the lease: a dry run, which shows that it answers and takes writes. That etcd has room shows by the
    /// lease's renewals: without them this process does not act.
    async fn check(&self, _need: Need) -> Result<(), StoreError> {
        if self.wrote_lately() { Ok(()) } else { lease::check(self).await }
    }
}

impl KubernetesStore {
    /// Frames do not reach the API server, and need no look at it once the policy was seen.
    async fn ensure_known(&self, policy: &PolicyName) -> Result<(), StoreError> {
        if self.frames.knows(policy) {
            return Ok(());
        }
        match self.load(policy).await {
            Err(error) if error.class() == StoreErrorClass::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::journal_with_run;
    use futures::future::try_join_all;
    use muster_core::journal::PolicyState;

    #[tokio::test]
    async fn a_run_without_a_turn_in_time_is_told_to_look_again() {
        let state = PolicyState::new(Owner::new("uid-1"));
        let calm = Journal { state, run: None, requests: Vec::new() };
        let run = journal_with_run(&calm, 1);
        let turns = Turns::new();
        let taken = try_join_all((0..Turns::OF_RUNS).map(|_| turns.of(&run))).await.unwrap();
        let refused = turns.of(&run).await.expect_err("all are taken");
        assert_eq!(refused.class(), StoreErrorClass::Busy, "{refused}");
        drop(turns.of(&calm).await.expect("calm policies have turns of their own"));
        drop(taken);
        drop(turns.of(&run).await.expect("one is free again"));
    }
}

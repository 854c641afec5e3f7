//! Where the journal lives: what must survive, kept conditionally.
//!
//! ```text
//!           load ----------------> decide (pure) ----------> record(version, lease) --> act
//!            ^                                                  |
//!            +-------- Conflict, LeaseLost, unknown ------------+
//! people ----> wish (same version, no lease) ---> the holder sees it on its next load
//! ```
//!
//! - [`Store`] has the verbs; every implementation passes [`conformance`].
//! - [`lease`]: one process acts at a time; [`LeaseToken`] is its right to, and [`LeaseKeeper`] looks after it.
//! - [`sqlite`]: the embedded implementation, one file in the state folder.
//! - [`kubernetes`]: the implementation of an operator, objects in an API server.
//! - [`archive`]: series, peaks and reports beside it. Losing them loses pictures, never safety.
//!
//! A store must never decide anything: it keeps what the core made, compares versions and refuses. Nothing here
//! reads the wall clock to judge anything.

pub mod archive;
pub mod conformance;
mod error;
pub mod kubernetes;
pub mod lease;
pub mod sqlite;

pub use archive::Archive;
pub use error::{StoreError, StoreErrorClass};
pub use kubernetes::KubernetesStore;
pub use lease::{Acquired, LeaseKeeper, LeaseSettings, LeaseToken};
pub use sqlite::SqliteStore;

use async_trait::async_trait;
use muster_core::ids::{ClaimKey, HolderId, Owner, PolicyName, RunName};
use muster_core::journal::{Journal, Run};
use muster_core::time::{Millis, Stamp};
use muster_core::wish::Wish;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Which state of a journal this is. Opaque: only equality means anything, and no value ever comes back.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(String);

impl Version {
    /// For implementations: wraps what the backing store calls a version.
    pub fn new(version: impl Into<String>) -> Self {
        Self(version.into())
    }
    /// For implementations.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A policy that the store keeps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Known {
    /// Its name.
    pub policy: PolicyName,
    /// Its UID. `None`: its journal cannot be read, and nothing else says whose it is.
    pub owner: Option<Owner>,
    /// Where its journal stands.
    pub version: Version,
    /// Whether a run is active. `None`: its journal cannot be read.
    pub in_run: Option<bool>,
}

/// A journal as loaded.
#[derive(Clone, PartialEq, Debug)]
pub struct Loaded {
    /// What [`Store::record`] compares.
    pub version: Version,
    /// What the core decides on.
    pub journal: Journal,
}

/// What the room on the disk is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Need {
    /// A run may begin: the room for all of it must be set aside.
    NewRun,
    /// A run is under way and may use what was set aside.
    RunUnderWay,
}

/// The invariants that hold for every change of a journal, by whomever: the owner stays, epoch and term only grow.
fn ensure_grows<N: Ord + fmt::Display>(
    policy: &PolicyName,
    (owner, (epoch, term)): (&Owner, (N, N)),
    (next_owner, next): (&Owner, (N, N)),
) -> Result<(), StoreError> {
    let refuse = |why| Err(StoreError::Invalid { what: "journal", why });
    if next_owner != owner {
        return refuse(format!("{policy} is owned by {owner}, not by {next_owner}"));
    }
    let present = (epoch, term);
    if next < present {
        return refuse(format!(
            "epoch {} term {} would go back from epoch {} term {}",
            next.0, next.1, present.0, present.1
        ));
    }
    Ok(())
}

/// Keeps journals, and who may act on them.
///
/// Every verb has a deadline of its own and may be called from any task. Verbs that write are all or nothing.
/// After an error of class [`StoreErrorClass::Unknown`] the write may have happened: load again.
#[async_trait]
pub trait Store: Send + Sync {
    /// All policies that were ever created, by name.
    async fn policies(&self) -> Result<Vec<Known>, StoreError>;

    /// The policy's journal. Creates nothing.
    async fn load(&self, policy: &PolicyName) -> Result<Loaded, StoreError>;

    /// As [`Store::load`], but while no run is under way the journal may be as old as `max_age`: whoever changed it
    /// since makes the next record conflict. For stores whose every look costs others something.
    async fn load_in_calm(&self, policy: &PolicyName, max_age: Millis) -> Result<Loaded, StoreError> {
        let _ = max_age;
        self.load(policy).await
    }

    /// Begins the journal of a policy that was never seen here. Any process may.
    async fn create(&self, policy: &PolicyName, owner: &Owner) -> Result<Loaded, StoreError>;

    /// Replaces the journal if it is still at `expected` and `lease` is still the newest one and alive; both are
    /// checked in the transaction that writes. On `Ok` it has reached stable storage.
    ///
    /// The journal holds `activeRun`, so this is also the compare-and-swap that opens a run. A run that has ended
    /// goes into the history in the same transaction. Epoch and term never go back, the owner never changes.
    async fn record(
        &self,
        policy: &PolicyName,
        expected: &Version,
        lease: &LeaseToken,
        next: &Journal,
    ) -> Result<Version, StoreError>;

    /// Takes a person's wish in ([`muster_core::wish::take_in`]) at whatever version the journal has. Any process
    /// may, without the lease: the holder's next record conflicts, and it loads again.
    async fn wish(&self, policy: &PolicyName, wish: &Wish, now: Stamp) -> Result<Loaded, StoreError>;

    /// Claims all of `keys` for `owner`, or none. Returns those that others hold: empty means that all are held.
    /// Writes nothing if they were held before.
    async fn claim(
        &self,
        owner: &Owner,
        keys: &BTreeSet<ClaimKey>,
    ) -> Result<BTreeMap<ClaimKey, Owner>, StoreError>;

    /// Gives up those of `keys` that `owner` holds.
    async fn release_claims(&self, owner: &Owner, keys: &BTreeSet<ClaimKey>) -> Result<(), StoreError>;

    /// Everything that is claimed, and by whom.
    async fn claims(&self) -> Result<BTreeMap<ClaimKey, Owner>, StoreError>;

    /// What `owner` holds.
    async fn claims_of(&self, owner: &Owner) -> Result<BTreeSet<ClaimKey>, StoreError> {
        let all = self.claims().await?;
        Ok(all.into_iter().filter(|(_, holder)| holder == owner).map(|(key, _)| key).collect())
    }

    /// Takes the lease if it is free, was given back, or has not changed before this process's eyes for as long
    /// as its holder may rely on it. To be called again and again: a first look never takes over.
    async fn acquire(&self, holder: &HolderId, duration: Millis) -> Result<Acquired, StoreError>;

    /// Prolongs the lease by its duration, counted from the call, for all clones of the token.
    /// [`StoreError::LeaseLost`] voids them all.
    async fn renew(&self, lease: &LeaseToken) -> Result<(), StoreError>;

    /// Gives the lease back, so that another process takes it at once. Voids the token. `Ok` if it was lost.
    async fn release(&self, lease: &LeaseToken) -> Result<(), StoreError>;

    /// Keeps an ended run in the history, or brings the figures of a kept one up to date (the loss is final only
    /// once the old log was read). [`Store::record`] does the first of it already.
    async fn finish(&self, policy: &PolicyName, run: &Run) -> Result<(), StoreError>;

    /// Ended runs, newest first, at most `limit`. Bounded: the oldest are forgotten.
    async fn runs(&self, policy: &PolicyName, limit: usize) -> Result<Vec<Run>, StoreError>;

    /// The newest ended run of this name.
    async fn run(&self, policy: &PolicyName, name: &RunName) -> Result<Option<Run>, StoreError>;

    /// Keeps what a recorded decision was made from, for `muster replay`. Bounded: the oldest are forgotten. May
    /// be lost in a power cut.
    async fn append_frame(&self, policy: &PolicyName, run: &RunName, frame: &Value)
    -> Result<(), StoreError>;

    /// The frames of a run, oldest first.
    async fn frames(&self, policy: &PolicyName, run: &RunName) -> Result<Vec<Value>, StoreError>;

    /// Tries a real, durable write, or what comes nearest to one without a trace. For a new run also makes sure that the
    /// room for it is set aside.
    async fn check(&self, need: Need) -> Result<(), StoreError>;
}

//! Stage 1: policy, active run and state from the store, live while a run is under way, and the right to change them.

use super::shell::Shell;
use crate::store::{LeaseToken, StoreError, Version};
use muster_core::journal::Journal;
use muster_core::policy::Policy;
use muster_core::time::Millis;

/// How old the journal may be that a pass in calm starts from.
const CALM_AGE: Millis = Millis(15_000);

/// What one pass starts from.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) version: Version,
    pub(super) journal: Journal,
    pub(super) lease: LeaseToken,
}

/// Why a pass cannot start.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    /// Another process acts.
    #[error("failed to start a pass: this process does not hold the lease")]
    NoLease,
    /// The store did not give it.
    #[error("failed to load the journal: {0}")]
    Store(#[from] StoreError),
}

/// Loads the journal, under the lease. A policy that was never seen here gets an empty one. In calm, one that was read no
/// longer ago than `held` will do, within [`CALM_AGE`]; `None`: it is read anew.
pub(super) async fn load(
    shell: &Shell,
    policy: &Policy,
    lease: LeaseToken,
    held: Option<Millis>,
) -> Result<Loaded, LoadError> {
    let found = match held {
        Some(held) => shell.store.load_in_calm(&policy.name, held.min(CALM_AGE)).await,
        None => shell.store.load(&policy.name).await,
    };
    let found = match found {
        Err(StoreError::UnknownPolicy { .. }) => shell.store.create(&policy.name, &policy.owner).await?,
        found => found?,
    };
    Ok(Loaded { version: found.version, journal: found.journal, lease })
}

//! Stage 1: policy, active run and state, live from the store, and the right to change them.

use super::shell::Shell;
use crate::store::{LeaseToken, StoreError, Version};
use muster_core::facts::{JournalFacts, Seen};
use muster_core::ids::{ClaimKey, Owner};
use muster_core::journal::{Journal, Run};
use muster_core::policy::Policy;
use std::collections::{BTreeMap, BTreeSet};

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

/// Loads the journal, under the lease. A policy that was never seen here gets an empty one.
pub(super) async fn load(shell: &Shell, policy: &Policy) -> Result<Loaded, LoadError> {
    let lease = shell.lease.token().ok_or(LoadError::NoLease)?;
    let found = match shell.store.load(&policy.name).await {
        Err(StoreError::UnknownPolicy { .. }) => shell.store.create(&policy.name, &policy.owner).await?,
        found => found?,
    };
    Ok(Loaded { version: found.version, journal: found.journal, lease })
}

/// The run that acts, if one does.
pub(super) fn active_run(journal: &Journal) -> Option<&Run> {
    journal.run.as_ref().filter(|run| !run.phase.is_final())
}

/// The shared things that a policy steers, claimed before anything is steered.
#[derive(Debug, Default)]
pub(super) struct Claims {
    asked: Option<(Owner, BTreeSet<ClaimKey>)>,
    foreign: BTreeMap<ClaimKey, Owner>,
}

impl Claims {
    /// Claims what the policy names; again while others hold some of it. What the store does not say is held by
    /// nobody here: then nothing is steered.
    pub(super) async fn ensure(&mut self, shell: &Shell, policy: &Policy) -> Result<(), StoreError> {
        let asked = (policy.owner.clone(), policy.claims());
        if self.asked.as_ref() == Some(&asked) && self.foreign.is_empty() {
            return Ok(());
        }
        self.foreign = shell.store.claim(&asked.0, &asked.1).await?;
        if let Some((owner, before)) = self.asked.replace(asked.clone()) {
            let dropped: BTreeSet<ClaimKey> = before.difference(&asked.1).cloned().collect();
            if !dropped.is_empty() {
                shell.store.release_claims(&owner, &dropped).await?;
            }
        }
        Ok(())
    }

    /// Gives up everything; the policy is gone.
    pub(super) async fn release(&mut self, shell: &Shell) -> Result<(), StoreError> {
        match self.asked.take() {
            Some((owner, keys)) => shell.store.release_claims(&owner, &keys).await,
            None => Ok(()),
        }
    }

    /// What the core is told of the journal itself.
    pub(super) fn facts(&self, shell: &Shell, run_active: bool) -> JournalFacts {
        let room = shell.room.borrow();
        let writable: Seen<()> = if run_active { room.under_way.clone() } else { room.new_run.clone() };
        JournalFacts { writable, foreign_claims: self.foreign.clone() }
    }
}

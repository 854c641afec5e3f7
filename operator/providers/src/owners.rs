//! Whose witness an adapter may write over.

use muster_core::ids::Owner;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

/// Foreign owners that a person has said `adopt` to. Shared: the shell sets it from the journal before it acts, and
/// every adapter of the policy reads it when it sends.
#[derive(Clone, Debug, Default)]
pub struct AdoptedOwners(Arc<RwLock<BTreeSet<Owner>>>);

impl AdoptedOwners {
    /// Replaces the set.
    pub fn set(&self, owners: BTreeSet<Owner>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = owners;
    }
    /// A copy of the set.
    pub fn get(&self) -> BTreeSet<Owner> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

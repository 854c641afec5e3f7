//! A policy in force, ready to act: what a policy file or object becomes once everything in it held.

use super::adapters::Adapters;
use muster_core::ids::{RegionName, VantageName};
use muster_core::journal::Run;
use muster_core::policy::{DataItem, Mode, Policy};
use muster_core::secret::Secret;
use muster_probes::ProbingSpec;
use muster_providers::AdoptedOwners;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Where a remote vantage stands, and how it proves itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VantagePlace {
    /// `None`: outside of all regions.
    pub region: Option<RegionName>,
    /// The bearer token of its reports; `None`: it cannot report.
    pub token: Option<Secret>,
}

/// Builds a policy's setup once more from the same spec, with the credentials of now.
pub type Rebuild = Arc<dyn Fn() -> Result<Setup, String> + Send + Sync>;

/// Everything that acting for one policy takes.
#[derive(Clone)]
pub struct Setup {
    /// The validated policy.
    pub policy: Policy,
    /// Its adapters.
    pub adapters: Adapters,
    /// Shared with the adapters: owners whose marks may be replaced.
    pub adopted: AdoptedOwners,
    /// What to probe.
    pub probing: ProbingSpec,
    /// The controller's own region, if it stands in one, and the remote vantages.
    pub vantages: BTreeMap<VantageName, VantagePlace>,
    /// Takes up changed credentials.
    pub rebuild: Option<Rebuild>,
    /// The policy as written, to be kept while a run holds to it.
    pub document: Option<Arc<str>>,
}

impl Setup {
    /// Whether this is the version that a run was claimed with, but for what is live. Another one would look at other
    /// servers than the run plans for, and prove what nobody asked for.
    pub(crate) fn fits(&self, run: &Run) -> bool {
        same_spec(&run.policy, &self.policy)
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("policy", &self.policy.name).finish_non_exhaustive()
    }
}

/// What a source of policies offers for one of them.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The newest good version.
    pub newest: Arc<Setup>,
    /// Grows when credentials changed.
    pub credentials: u64,
    /// The source has it no more: it stays in force until its active run ends.
    pub removed: bool,
    /// What acted last, from before a restart: an active run may hold to it.
    pub kept: Option<Arc<Setup>>,
}

/// Which version acts: the newest, or while a run is active the one that it was claimed with.
#[derive(Debug)]
pub(super) struct InForce {
    acting: Arc<Setup>,
    credentials: u64,
}

impl InForce {
    pub(super) fn new(first: &Offer) -> Self {
        Self { acting: Arc::clone(&first.newest), credentials: first.credentials }
    }

    pub(super) fn acting(&self) -> &Arc<Setup> {
        &self.acting
    }

    /// Settles which version acts. True if it is another one than before.
    pub(super) fn settle(&mut self, offer: &Offer, active: Option<&Run>) -> bool {
        let newest = &offer.newest;
        let pinned = active.is_some_and(|run| !same_spec(&run.policy, &newest.policy));
        let kept = offer.kept.as_ref().filter(|kept| {
            let fits = |setup: &Setup| active.is_some_and(|run| same_spec(&run.policy, &setup.policy));
            pinned && fits(kept) && !fits(&self.acting)
        });
        if let Some(kept) = kept {
            self.acting = Arc::clone(kept);
            return true;
        }
        let fresh_credentials =
            std::mem::replace(&mut self.credentials, offer.credentials) != offer.credentials;
        let next = match (pinned, fresh_credentials) {
            (false, _) => Arc::clone(newest),
            (true, false) => return false,
            (true, true) => match self.acting.rebuild.as_ref().map(|rebuild| rebuild()) {
                Some(Ok(setup)) => Arc::new(setup),
                Some(Err(error)) => {
                    tracing::warn!(policy = %newest.policy.name, error, "failed to take up new credentials");
                    return false;
                }
                None => return false,
            },
        };
        let changed = !Arc::ptr_eq(&self.acting, &next);
        self.acting = next;
        changed
    }

    /// What waits for the end of the active run, for people.
    pub(super) fn deferred(offer: &Offer, active: Option<&Run>) -> Option<String> {
        let run = active?;
        if offer.removed {
            return Some(format!("the policy was removed; it stays in force until {} ends", run.name));
        }
        let deferred = !same_spec(&run.policy, &offer.newest.policy);
        deferred.then(|| format!("the policy was edited; the edit takes effect when {} ends", run.name))
    }
}

/// Equal but for what is live during a run.
fn same_spec(a: &Policy, b: &Policy) -> bool {
    // A run that an earlier version claimed has no digest.
    let unknown = a.written.is_empty() || b.written.is_empty();
    let plain = |p: &Policy| {
        let written = if unknown { String::new() } else { p.written.clone() };
        // The engine alone says it, and a run that an earlier version claimed does not.
        let data = p.data.iter().map(|item| DataItem { saves_old_data: false, ..item.clone() }).collect();
        Policy { mode: Mode::Observe, generation: 0, written, data, ..p.clone() }
    };
    plain(a) == plain(b)
}

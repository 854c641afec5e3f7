//! What acted before a restart: kept versions that runs hold to, and what is left of policies that are gone.

use super::source::{Found, Listing, problem};
use super::{Engine, NotTaken, Running};
use crate::assemble::name_all;
use crate::execute::{Offer, Setup};
use crate::store::Known;
use muster_core::ids::{Owner, PolicyName};
use muster_crds::RegionFailoverPolicy;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

impl Engine {
    /// All policies of the journal, in one look; a thousand of them would wait for a look at each. `None`: it did not
    /// answer.
    pub(super) async fn know_owners(&self) -> Option<Vec<Known>> {
        match self.shell.store.policies().await {
            Ok(known) => {
                let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
                for known in &known {
                    if let Some(owner) = &known.owner {
                        owners.entry(known.policy.clone()).or_insert_with(|| owner.clone());
                    }
                }
                drop(owners);
                Some(known)
            }
            Err(error) => {
                tracing::warn!(%error, "failed to list the journal's policies; trying again");
                None
            }
        }
    }

    /// Policies that are not running although they did before a restart: their file is bad now, or a run of
    /// theirs is active. Those that are gone for good give up what they hold.
    pub(super) async fn restore_kept(
        &self,
        known: Vec<Known>,
        listing: &mut Listing,
        found: &BTreeMap<PolicyName, Found>,
    ) -> bool {
        let (mut complete, mut gone) = (true, Vec::new());
        for known in known {
            let name = &known.policy;
            let doubtful = listing.doubtful.contains(name);
            if self.is_left_behind(name, doubtful || found.contains_key(name)) {
                continue;
            }
            if self.lock().contains_key(name) || (found.contains_key(name) && !doubtful) {
                continue;
            }
            if known.in_run.is_none() {
                tracing::warn!(policy = %name, "failed to see whether a policy without a file is in a run: its journal cannot be read");
            }
            if doubtful || known.in_run == Some(true) {
                complete &= self.bring_back(&known, doubtful, listing).await;
            } else if known.in_run == Some(false) && !listing.obscure {
                gone.push(known);
            }
        }
        complete & self.release_left_behind(&gone).await
    }

    /// Whether nothing is left to do for a policy that is gone; one that `is_back` is another matter again.
    fn is_left_behind(&self, name: &PolicyName, is_back: bool) -> bool {
        let mut left_behind = self.left_behind.lock().unwrap_or_else(PoisonError::into_inner);
        if is_back {
            left_behind.remove(name);
        }
        left_behind.contains(name)
    }

    /// Brings the kept version of a policy into force, if there is one. False: it is there, and of no use just now.
    async fn bring_back(&self, known: &Known, doubtful: bool, listing: &mut Listing) -> bool {
        let name = &known.policy;
        let lost = |listing: &mut Listing, why: &str| {
            let message = format!("a run of it is active, and {why}: nothing is done for it");
            listing.problems.push(problem("(kept)", Some(known.policy.clone()), "Invalid", message));
            false
        };
        let in_run = known.in_run == Some(true);
        // Without an owner no effect can be told from a stranger's.
        let Some(owner) = &known.owner else {
            return !in_run || lost(listing, "its journal names no owner");
        };
        let source = match self.kept.read(name).await {
            Ok(Some(source)) => source,
            Ok(None) => return !in_run || lost(listing, "the version that it holds to was not kept"),
            Err(error) => {
                tracing::warn!(policy = %name, error, "failed to read the policy as it acted last; trying again");
                return false;
            }
        };
        match self.assembler.assemble(&Arc::new(source.clone()), owner, 0) {
            Ok(assembled) => {
                let newest = Arc::new(assembled.setup);
                let offer = Offer { newest, credentials: 0, removed: !doubtful, kept: None };
                self.start(name, "(kept)", Arc::new(source), offer);
                true
            }
            Err(problems) => {
                let message = format!("its kept version is of no use either: {}", name_all(&problems));
                listing.problems.push(problem("(kept)", Some(name.clone()), "Invalid", message));
                false
            }
        }
    }

    /// Gives up what policies hold that were removed or renamed while nobody looked: whoever names the same targets
    /// now would wait for ever. Only the process that acts does so. False: try again.
    async fn release_left_behind(&self, gone: &[Known]) -> bool {
        if gone.is_empty() || !self.shell.lease.is_held() {
            return true;
        }
        let mut complete = true;
        for known in gone {
            let store = &self.shell.store;
            let Some(owner) = &known.owner else { continue };
            // Another process may have opened a run since the listing.
            let may_be_in_run = match store.load(&known.policy).await {
                Ok(loaded) => loaded.journal.state.active_run.is_some(),
                Err(error) => {
                    tracing::warn!(policy = %known.policy, %error, "failed to see whether a removed policy is in a run");
                    true
                }
            };
            if may_be_in_run {
                complete = false;
                continue;
            }
            let released = match store.claims_of(owner).await {
                Ok(keys) if keys.is_empty() => {
                    let mut left_behind = self.left_behind.lock().unwrap_or_else(PoisonError::into_inner);
                    left_behind.insert(known.policy.clone());
                    continue;
                }
                Ok(keys) => store.release_claims(owner, &keys).await.map(|()| keys.len()),
                Err(error) => Err(error),
            };
            match released {
                Ok(claims) => {
                    tracing::info!(policy = %known.policy, claims, "a policy without a file gives up what it held");
                    self.kept.forget(&known.policy).await;
                }
                Err(error) => {
                    tracing::warn!(policy = %known.policy, %error, "failed to give up a removed policy's claims");
                    complete = false;
                }
            }
        }
        complete
    }

    /// The version that acted before a restart, if it is another one. An active run may hold to it, and is not gone on
    /// with by another.
    pub(super) async fn kept_setup(
        &self,
        name: &PolicyName,
        owner: &Owner,
        (source, newest): (&RegionFailoverPolicy, &Setup),
    ) -> Result<Option<Arc<Setup>>, NotTaken> {
        let read = self.kept.read(name).await.map_err(NotTaken::Unanswered)?;
        let Some(kept) = read.filter(|kept| kept.spec != source.spec) else { return Ok(None) };
        let problems = match self.assembler.assemble(&Arc::new(kept), owner, 0) {
            Ok(assembled) => return Ok(Some(Arc::new(assembled.setup))),
            Err(problems) => name_all(&problems),
        };
        let journal = self.shell.store.load(name).await?.journal;
        match journal.active_run().filter(|run| !newest.fits(run)) {
            None => {
                tracing::warn!(policy = %name, problems, "a kept policy is of no use any more");
                Ok(None)
            }
            Some(run) => Err(NotTaken::VersionMissing(format!(
                "{} holds to the version that it was claimed with, which is of no use now: {problems}",
                run.name
            ))),
        }
    }

    /// Looks once more for the versions that active runs hold to: another process may have kept one since this one
    /// began.
    pub(super) async fn find_versions(&self) {
        let misfit = |running: &Running| {
            let latest = running.handle.latest.borrow().clone()?;
            let run = latest.journal.as_ref()?.active_run()?;
            let offer = running.offers.borrow();
            let has = offer.kept.as_ref().is_some_and(|kept| kept.fits(run));
            let wanted = !latest.acting.fits(run) && !offer.newest.fits(run) && !has;
            wanted.then(|| (Arc::clone(&running.source), Arc::clone(&offer.newest)))
        };
        let wanted: Vec<_> =
            self.lock().iter().filter_map(|(name, running)| Some((name.clone(), misfit(running)?))).collect();
        for (name, (source, newest)) in wanted {
            let owner = newest.policy.owner.clone();
            // What is missing is told by the pass that waits for it.
            let Ok(Some(kept)) = self.kept_setup(&name, &owner, (&source, &newest)).await else { continue };
            if let Some(running) = self.lock().get(&name) {
                running.offers.send_modify(|offer| offer.kept = Some(kept));
            }
        }
    }
}

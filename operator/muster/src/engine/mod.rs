//! Which policies run here: follows where they come from, gives each policy a task, its probes, and the newest good
//! version.
//!
//! ```text
//! source --> engine --offer--> PolicyTask (six stages) --> store
//!               |                   ^ board
//!               +--> probing -------+
//! ```
//! - [`source`]: where policies come from, and where the version that acts is kept.
//! - `restore`: what acted before a restart. `retry`: when what could not be done is tried again.
//! - [`probing`], [`peaks`], [`reports`]: what is seen of regions from here and from elsewhere.
//! - [`status`]: what is shown of it.
//!
//! Knows neither folders nor clusters, and must never act by itself: everything goes through [`crate::execute`].

mod peaks;
pub(crate) mod probing;
pub(crate) mod reports;
mod restore;
mod retry;
pub(crate) mod source;
pub(crate) mod status;

use crate::api::FileProblem;
use crate::assemble::{Assembler, name_all};
use crate::execute::{Offer, PolicyHandle, PolicyTask, Setup, Shell};
use crate::store::{Archive, Store, StoreError};
use futures::StreamExt;
use muster_core::decision::Event;
use muster_core::ids::{HolderId, Owner, PolicyName};
use muster_crds::RegionFailoverPolicy;
use muster_providers::aws::Circuit;
use probing::Beats;
use retry::Retry;
use source::{Changed, Found, Keeps, Listing, PolicySource, problem};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Between two looks at the source.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// More policies than this that are new here are looked up together.
const FEW: usize = 8;
/// Policies that come into force at once: each waits for the journal, behind the records of those that run already.
/// Less than the journal's queue, so that these records wait no longer for it.
const AT_ONCE: usize = 16;

/// A policy that runs here.
#[derive(Debug)]
struct Running {
    offers: watch::Sender<Offer>,
    handle: PolicyHandle,
    beats: Beats,
    source: Arc<RegionFailoverPolicy>,
    file: String,
    task: AbortOnDropHandle<()>,
    _probing: AbortOnDropHandle<()>,
    _keeping: AbortOnDropHandle<()>,
}

/// What the API shows of a policy that runs.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) handle: PolicyHandle,
    pub(crate) beats: Beats,
    pub(crate) file: String,
}

/// All policies of this process.
#[derive(Debug)]
pub(crate) struct Engine {
    shell: Arc<Shell>,
    assembler: Arc<Assembler>,
    kept: Arc<dyn Keeps>,
    stop: CancellationToken,
    running: Mutex<BTreeMap<PolicyName, Running>>,
    problems: Mutex<Vec<FileProblem>>,
    /// Problems of which an event told, by the process that acts.
    told: Mutex<Vec<FileProblem>>,
    owners: Mutex<BTreeMap<PolicyName, Owner>>,
    /// Policies that are gone for good and hold nothing any more: nothing is asked about them again.
    left_behind: Mutex<BTreeSet<PolicyName>>,
    /// Why policies do not come into force although they could: told once.
    waiting: Mutex<BTreeMap<PolicyName, String>>,
    /// Which generation of each policy was looked at last, by the source's count.
    judged: Mutex<BTreeMap<PolicyName, u64>>,
}

/// Why a version does not come into force.
enum NotTaken {
    /// The policy is wrong.
    Invalid(String),
    /// The journal did not answer, or the kept version was not to be read; tried again.
    Unanswered(String),
    /// A run holds to a version that is not to be had; tried again.
    VersionMissing(String),
}

impl From<StoreError> for NotTaken {
    fn from(error: StoreError) -> Self {
        Self::Unanswered(error.to_string())
    }
}

impl Engine {
    pub(crate) fn new(
        shell: Arc<Shell>,
        assembler: Arc<Assembler>,
        kept: Arc<dyn Keeps>,
        stop: CancellationToken,
    ) -> Self {
        let (running, problems, owners) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (told, judged, left_behind) = (Mutex::default(), Mutex::default(), Mutex::default());
        let waiting = Mutex::default();
        Self { shell, assembler, kept, stop, running, problems, told, owners, left_behind, waiting, judged }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PolicyName, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This process.
    pub(crate) fn holder(&self) -> HolderId {
        self.shell.holder.clone()
    }

    /// Where series go.
    pub(crate) fn archive(&self) -> Option<&Archive> {
        self.shell.archive.as_deref()
    }

    /// One policy.
    pub(crate) fn find(&self, policy: &PolicyName) -> Option<Shown> {
        self.lock().get(policy).map(show)
    }

    /// All policies, by name.
    pub(crate) fn all(&self) -> Vec<Shown> {
        self.lock().values().map(show).collect()
    }

    /// Whether the regions of AWS that policies name are asked as ever.
    pub(crate) fn circuits(&self) -> Vec<Circuit> {
        self.assembler.accounts.circuits()
    }

    /// Files that are not in force as written, and edits that wait for a run's end.
    pub(crate) fn problems(&self) -> Vec<FileProblem> {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner).clone();
        problems.extend(self.all().iter().filter_map(deferred));
        problems
    }

    /// What is wrong with one policy. `None`: this generation of it was not looked at yet.
    pub(crate) fn problems_of(&self, policy: &PolicyName, generation: u64) -> Option<Vec<FileProblem>> {
        let judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner).get(policy).copied();
        let mut problems: Vec<FileProblem> = {
            let known = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
            known.iter().filter(|p| p.policy.as_ref() == Some(policy)).cloned().collect()
        };
        if judged != Some(generation) {
            return None;
        }
        problems.extend(self.find(policy).and_then(|shown| deferred(&shown)));
        Some(problems)
    }

    /// Follows the source until `stop`.
    pub(crate) async fn follow(&self, mut source: impl PolicySource) {
        let mut acted = None;
        let mut retry = Retry::default();
        let mut first = true;
        let wakes = source.wakes();
        loop {
            let looked = tokio::task::spawn_blocking(move || {
                let changed = source.look();
                (source, changed)
            });
            let Ok((back, changed)) = looked.await else {
                tracing::error!("failed to look at the policies: the look panicked");
                return;
            };
            source = back;
            let ended = self.sweep_ended().await;
            // What only the process that acts may do was left undone before.
            let acts = self.shell.lease.token().map(|token| token.number());
            let begins = std::mem::replace(&mut acted, acts) != acts && acts.is_some();
            let thorough = std::mem::take(&mut first) || ended || begins || retry.is_due();
            self.find_versions().await;
            if changed != Changed::default() || thorough {
                // What was left undone is not forgotten over a change of something else.
                let thorough = thorough || retry.is_open();
                retry.after(self.take_over(&source, changed, thorough).await);
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = wakes.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Policies that were removed and have ended. True if there were any.
    async fn sweep_ended(&self) -> bool {
        let is_over = |(_, running): &(&PolicyName, &Running)| running.task.is_finished();
        let ended: Vec<PolicyName> =
            self.lock().iter().filter(is_over).map(|(name, _)| name.clone()).collect();
        for name in &ended {
            tracing::info!(policy = %name, "policy is no longer in force");
            self.lock().remove(name);
            // Whoever comes back under this name may be another policy.
            self.owners.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
            self.kept.forget(name).await;
        }
        !ended.is_empty()
    }

    /// Brings the source's policies into force; a `thorough` one also those that only the journal knows. False: try again,
    /// something could not be done.
    async fn take_over(&self, source: &impl PolicySource, changed: Changed, thorough: bool) -> bool {
        let in_force = self.lock().iter().map(|(name, r)| (name.clone(), r.file.clone())).collect();
        let mut listing = source.listing(&in_force);
        let mut complete = !listing.obscure;
        let found = std::mem::take(&mut listing.found);
        let thorough = thorough || !listing.doubtful.is_empty() || self.count_unknown(&found) > FEW;
        let known = if thorough { self.know_owners().await } else { Some(Vec::new()) };
        complete &= known.is_some();
        let mut waiting = Vec::with_capacity(found.len());
        for (name, found) in &found {
            waiting.push(self.take(name, found, changed.credentials));
        }
        let results: Vec<_> = futures::stream::iter(waiting).buffered(AT_ONCE).collect().await;
        let mut failed = BTreeMap::new();
        for ((name, found), result) in found.iter().zip(results) {
            match result {
                Ok(()) => {}
                Err(NotTaken::Invalid(message)) => {
                    listing.doubtful.insert(name.clone());
                    listing.problems.push(problem(&found.file, Some(name.clone()), "Invalid", message));
                }
                Err(NotTaken::Unanswered(error)) => {
                    failed.insert(name.clone(), error);
                    listing.doubtful.insert(name.clone());
                    complete = false;
                }
                Err(NotTaken::VersionMissing(message)) => {
                    failed.insert(name.clone(), message.clone());
                    let missing = problem(&found.file, Some(name.clone()), "VersionMissing", message);
                    listing.problems.push(missing);
                    complete = false;
                }
            }
        }
        self.tell_waiting(failed);
        for (name, running) in self.lock().iter() {
            if !found.contains_key(name) && !listing.doubtful.contains(name) {
                running.offers.send_if_modified(|offer| !std::mem::replace(&mut offer.removed, true));
            }
        }
        complete &= self.restore_kept(known.unwrap_or_default(), &mut listing, &found).await;
        self.report_problems(listing);
        let judged = found.iter().filter_map(|(name, found)| Some((name.clone(), found.generation?)));
        *self.judged.lock().unwrap_or_else(PoisonError::into_inner) = judged.collect();
        complete
    }

    /// Brings one policy into force, unless it is.
    async fn take(&self, name: &PolicyName, found: &Found, credentials: bool) -> Result<(), NotTaken> {
        let source = Arc::new(found.policy.clone());
        let known = self.lock().get(name).is_some_and(|r| r.source == source && !r.offers.borrow().removed);
        if known && !credentials {
            return Ok(());
        }
        self.bring_into_force(name, found, source, credentials).await
    }

    async fn bring_into_force(
        &self,
        name: &PolicyName,
        found: &Found,
        source: Arc<RegionFailoverPolicy>,
        credentials: bool,
    ) -> Result<(), NotTaken> {
        let file = found.file.as_str();
        let owner = self.owner_of(name, found.uid.as_ref()).await?;
        let counted = || self.lock().get(name).map_or(1, |r| r.offers.borrow().newest.policy.generation + 1);
        let generation = found.generation.unwrap_or_else(counted);
        let assembled = self
            .assembler
            .assemble(&source, &owner, generation)
            .map_err(|problems| NotTaken::Invalid(name_all(&problems)))?;
        for warning in &assembled.warnings {
            tracing::warn!(policy = %name, file, %warning, "policy has a weak point");
        }
        let newest = Arc::new(assembled.setup);
        if self.offer_again(name, found, (&source, &newest), credentials) {
            return Ok(());
        }
        let kept = self.kept_setup(name, &owner, (&source, &newest)).await?;
        self.start(name, file, source, Offer { newest, credentials: 0, removed: false, kept });
        Ok(())
    }

    /// Offers a new version to the task that runs already, if there is one.
    fn offer_again(
        &self,
        name: &PolicyName,
        found: &Found,
        (source, newest): (&Arc<RegionFailoverPolicy>, &Arc<Setup>),
        credentials: bool,
    ) -> bool {
        let mut running = self.lock();
        let Some(running) = running.get_mut(name) else { return false };
        let generation = newest.policy.generation;
        tracing::info!(policy = %name, file = found.file, generation, "policy changed");
        (running.source, running.file) = (Arc::clone(source), found.file.clone());
        running.offers.send_modify(|offer| {
            offer.newest = Arc::clone(newest);
            offer.removed = false;
            offer.credentials += u64::from(credentials);
        });
        true
    }

    fn start(&self, name: &PolicyName, file: &str, source: Arc<RegionFailoverPolicy>, offer: Offer) {
        tracing::info!(policy = %name, file, mode = ?offer.newest.policy.mode, "policy comes into force");
        let (offers, seen) = watch::channel(offer);
        let (task, handle) = PolicyTask::new(Arc::clone(&self.shell), seen);
        let beats = Beats::default();
        let probing = probing::keep_probing(Arc::clone(&self.shell), handle.clone(), Arc::clone(&beats));
        let keeping = keep_acting(Arc::clone(&self.shell), handle.clone(), Arc::clone(&self.kept));
        let running = Running {
            offers,
            beats,
            source,
            file: file.to_owned(),
            task: AbortOnDropHandle::new(tokio::spawn(task.run(self.stop.clone()))),
            _probing: AbortOnDropHandle::new(tokio::spawn(probing)),
            _keeping: AbortOnDropHandle::new(tokio::spawn(keeping)),
            handle,
        };
        self.left_behind.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        self.lock().insert(name.clone(), running);
    }

    fn count_unknown(&self, found: &BTreeMap<PolicyName, Found>) -> usize {
        let owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        found.keys().filter(|name| !owners.contains_key(*name)).count()
    }

    /// The owner that effects carry: the UID of the policy that the journal was begun for. A policy that was removed and
    /// created again goes on with its journal, and so with its numbers.
    async fn owner_of(&self, name: &PolicyName, uid: Option<&Owner>) -> Result<Owner, StoreError> {
        let cached = || self.owners.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some(owner) = cached() {
            return Ok(owner);
        }
        let owner = find_owner(self.shell.store.as_ref(), name, uid).await?;
        self.owners.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), owner.clone());
        Ok(owner)
    }

    fn tell_waiting(&self, failed: BTreeMap<PolicyName, String>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, error) in failed.iter().filter(|(name, error)| waiting.get(*name) != Some(*error)) {
            tracing::warn!(policy = %name, error, "failed to bring a policy into force; trying again");
        }
        *waiting = failed;
    }

    fn report_problems(&self, listing: Listing) {
        let running = self.lock();
        let mut problems = listing.problems;
        for problem in &mut problems {
            problem.last_good_in_force =
                problem.policy.as_ref().is_some_and(|name| running.contains_key(name));
        }
        drop(running);
        let mut known = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        for problem in problems.iter().filter(|p| !known.contains(p)) {
            let (file, reason, message) = (&problem.file, &problem.reason, &problem.message);
            tracing::warn!(
                file,
                reason,
                message,
                last_good_in_force = problem.last_good_in_force,
                "policy file"
            );
        }
        known.clone_from(&problems);
        drop(known);
        self.tell_problems(&problems);
    }

    /// An event for each new problem of a policy, told once, by the process that acts.
    fn tell_problems(&self, problems: &[FileProblem]) {
        if !self.shell.lease.is_held() {
            return;
        }
        let now = self.shell.clock.now();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for problem in problems.iter().filter(|p| !told.contains(p)) {
            let Some(policy) = &problem.policy else { continue };
            let (reason, message) = (problem.reason.clone(), problem.message.clone());
            self.shell.events.publish(policy, None, &Event { warning: true, reason, message }, now);
        }
        *told = problems.to_vec();
    }

    /// Waits until every policy's task has ended after `stop`, or until `within` is over.
    pub(crate) async fn join(&self, within: Duration) {
        let until = tokio::time::Instant::now() + within;
        while self.lock().values().any(|r| !r.task.is_finished()) && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// An edit that waits for a run's end.
fn deferred(shown: &Shown) -> Option<FileProblem> {
    let why = shown.handle.latest.borrow().as_ref()?.deferred.clone()?;
    let told = problem(&shown.file, Some(shown.handle.name.clone()), "SpecChangeDeferred", why);
    Some(FileProblem { last_good_in_force: true, ..told })
}

fn show(running: &Running) -> Shown {
    Shown { handle: running.handle.clone(), beats: Arc::clone(&running.beats), file: running.file.clone() }
}

async fn find_owner(store: &dyn Store, name: &PolicyName, uid: Option<&Owner>) -> Result<Owner, StoreError> {
    match store.load(name).await {
        Ok(loaded) => return Ok(loaded.journal.state.owner),
        Err(StoreError::UnknownPolicy { .. }) => {}
        Err(error) => return Err(error),
    }
    let fresh = uid.cloned().unwrap_or_else(|| Owner::new(uuid::Uuid::new_v4().to_string()));
    match store.create(name, &fresh).await {
        Ok(_) => Ok(fresh),
        Err(StoreError::PolicyExists { owner, .. }) => Ok(owner),
        Err(error) => Err(error),
    }
}

/// Keeps a copy of the version that acts, for after a restart.
async fn keep_acting(shell: Arc<Shell>, mut handle: PolicyHandle, kept: Arc<dyn Keeps>) {
    let mut written: Option<Arc<str>> = None;
    while handle.latest.changed().await.is_ok() {
        let Some(latest) = handle.latest.borrow_and_update().clone() else { continue };
        // Only a version that a pass has settled on: before the first one, the newest may not be what a run holds to.
        // After a pass that failed the version that acts may be another one than the rule was found for.
        let settled = latest.rule.is_some() && latest.problem.is_none() && shell.lease.is_held();
        let Some(document) =
            latest.acting.document.clone().filter(|d| settled && written.as_ref() != Some(d))
        else {
            continue;
        };
        match kept.keep(&handle.name, &document).await {
            Ok(()) => written = Some(document),
            Err(error) => tracing::warn!(policy = %handle.name, error, "failed to keep the policy in force"),
        }
    }
}

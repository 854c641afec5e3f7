//! Tells what happened: the policy's status and its run's, written conditionally, and only when they changed. A task per
//! policy, so that one that the API server is slow with delays no other.

use super::link::{replace_status, within};
use super::statuses::{Around, status_of};
use super::view::{Known, View, key_of};
use crate::engine::Engine;
use crate::execute::{Latest, PolicyHandle, Shell};
use crate::store::KubernetesStore;
use crate::store::kubernetes::{split, story};
use kube::{Api, Client};
use muster_core::ids::PolicyName;
use muster_crds::{FailoverRunStatus, RegionFailoverPolicy};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio_util::task::AbortOnDropHandle;

/// Statuses that are written at once: a thousand together would keep the API server from what matters more.
pub(super) const WRITERS: usize = 8;
/// Between two looks for policies that came or went.
const SWEEP_EVERY: Duration = Duration::from_millis(300);
/// Passes follow each other quickly in a run; people read more slowly.
const SETTLE: Duration = Duration::from_millis(50);
/// After a failed write.
const AFTER_ERROR: Duration = Duration::from_secs(1);
/// Of one status, while others write into the same object.
const TRIES: usize = 3;
/// At the latest so often the status is compared with what it should be: somebody may have edited it, or the engine has
/// found a problem. Nothing is asked of the API server for that.
const RESYNC: Duration = Duration::from_secs(1);

/// What the API server answered last. The watch may be late: it is newer than what the view shows, until the view shows
/// something else than it did before.
struct Answered {
    object: Arc<RegionFailoverPolicy>,
    after: Arc<RegionFailoverPolicy>,
}

/// What telling takes.
#[derive(Clone)]
pub(super) struct Teller {
    pub(super) shell: Arc<Shell>,
    pub(super) engine: Arc<Engine>,
    pub(super) store: Arc<KubernetesStore>,
    pub(super) client: Client,
    pub(super) view: View,
    pub(super) writers: Arc<Semaphore>,
}

impl Teller {
    /// Runs until dropped.
    pub(super) async fn tell(self) {
        let mut telling: BTreeMap<PolicyName, AbortOnDropHandle<()>> = BTreeMap::new();
        loop {
            let names = self.names();
            telling.retain(|name, task| names.contains_key(name) && !task.is_finished());
            for (name, handle) in names {
                telling.entry(name.clone()).or_insert_with(|| {
                    let told = self.clone().tell_of(name, handle);
                    AbortOnDropHandle::new(tokio::spawn(told))
                });
            }
            tokio::time::sleep(SWEEP_EVERY).await;
        }
    }

    /// Policies that run, and those that are there and do not come into force.
    fn names(&self) -> BTreeMap<PolicyName, Option<PolicyHandle>> {
        let present = self.view.policies.all().unwrap_or_default();
        let good = present.into_iter().filter(|(_, known)| matches!(known, Known::Good(_)));
        let mut names: BTreeMap<_, _> = good.map(|(key, _)| (PolicyName::new(key), None)).collect();
        for shown in self.engine.all() {
            names.insert(shown.handle.name.clone(), Some(shown.handle));
        }
        names
    }

    async fn tell_of(self, name: PolicyName, handle: Option<PolicyHandle>) {
        let mut changes = self.view.policies.changes();
        let mut latest = handle.map(|handle| handle.latest);
        let runs = latest.is_some();
        let mut answered = None;
        loop {
            let newest = latest.as_mut().and_then(|latest| latest.borrow_and_update().clone());
            changes.borrow_and_update();
            let told = if self.shell.lease.is_held() {
                self.tell_once(&name, newest.as_deref(), &mut answered).await
            } else {
                Ok(())
            };
            let pause = match &told {
                Ok(()) => SETTLE,
                Err(error) => {
                    tracing::warn!(policy = %name, error, "failed to write a status; trying again");
                    AFTER_ERROR
                }
            };
            let object = self.view.policy(&name);
            tokio::time::sleep(pause).await;
            if told.is_err() {
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(RESYNC) => {}
                alive = self.other_object(&name, object.as_ref(), &mut changes) => if !alive { return },
                alive = next(latest.as_mut()) => if !alive { return },
                // A policy that did not come into force before may do so now: then another task tells of it.
                () = self.came_into_force(&name, runs) => return,
            }
        }
    }

    /// Waits until the policy's object is another one than `before`: most changes are of other policies. False: no more
    /// will come.
    async fn other_object(
        &self,
        name: &PolicyName,
        before: Option<&Arc<RegionFailoverPolicy>>,
        changes: &mut watch::Receiver<u64>,
    ) -> bool {
        loop {
            let now = self.view.policy(name);
            if now.as_ref().map(Arc::as_ptr) != before.map(Arc::as_ptr) {
                return true;
            }
            if changes.changed().await.is_err() {
                return false;
            }
        }
    }

    async fn came_into_force(&self, name: &PolicyName, runs: bool) {
        while runs || self.engine.find(name).is_none() {
            tokio::time::sleep(SWEEP_EVERY).await;
        }
    }

    async fn tell_once(
        &self,
        name: &PolicyName,
        latest: Option<&Latest>,
        answered: &mut Option<Answered>,
    ) -> Result<(), String> {
        if self.store.is_of_another_installation(name) {
            return Ok(());
        }
        if let Some(latest) = latest {
            self.tell_run(name, latest).await?;
        }
        let Some(seen) = self.view.policy(name) else { return Ok(()) };
        let mut object = match answered.take().filter(|answer| Arc::ptr_eq(&answer.after, &seen)) {
            Some(answer) => answer.object,
            None => Arc::clone(&seen),
        };
        let generation = object.metadata.generation.unwrap_or(0);
        // Nothing is said of a spec that nobody has looked at yet.
        let judged = u64::try_from(generation).ok().and_then(|n| self.engine.problems_of(name, n));
        let told = match &judged {
            Some(problems) => {
                let around = Around { generation, problems, now: self.shell.clock.now() };
                self.write_status(name, latest, &around, &mut object).await
            }
            None => Ok(()),
        };
        *answered = Some(Answered { object, after: seen });
        told
    }

    /// Writes the status under its object's version, unless it is there; `object` is then what the API server answered.
    async fn write_status(
        &self,
        name: &PolicyName,
        latest: Option<&Latest>,
        around: &Around<'_>,
        object: &mut Arc<RegionFailoverPolicy>,
    ) -> Result<(), String> {
        let news = |object: &RegionFailoverPolicy| {
            let present = object.status.clone().unwrap_or_default();
            let next = status_of(latest, around, &present);
            (next != present).then_some(next)
        };
        if news(object).is_none() {
            return Ok(());
        }
        let _turn = self.writers.acquire().await.map_err(|error| error.to_string())?;
        if !self.shell.lease.is_held() {
            return Ok(());
        }
        let (namespace, short) = split(name);
        let api: Api<RegionFailoverPolicy> = Api::namespaced(self.client.clone(), namespace);
        for _ in 0..TRIES {
            // What was seen may be old: compared with what is there, and written under its version.
            let Some(there) = within(api.get_opt(short)).await? else { return Ok(()) };
            *object = Arc::new(there);
            let Some(next) = news(object) else { return Ok(()) };
            // The turn and the look took their time: a successor's newer words are not written over.
            if !self.shell.lease.is_held() {
                return Ok(());
            }
            let told = RegionFailoverPolicy { status: Some(next), ..RegionFailoverPolicy::clone(object) };
            if let Some(written) = replace_status(&api, short, &told).await? {
                *object = Arc::new(written);
                return Ok(());
            }
        }
        Err("others write into it at the same time".to_owned())
    }

    /// The newest run's object, made if a verdict opened it. An ended one was written by the journal already.
    async fn tell_run(&self, name: &PolicyName, latest: &Latest) -> Result<(), String> {
        let Some((journal, run)) = latest.journal.as_ref().and_then(|j| Some((j, j.run.as_ref()?))) else {
            return Ok(());
        };
        let may_be_writable = journal.state.may_be_writable.iter().map(|r| r.as_str().into()).collect();
        let told = FailoverRunStatus { may_be_writable, ..story::status_of(run) };
        let says = |present: &FailoverRunStatus| FailoverRunStatus {
            conditions: present.conditions.clone(),
            // Which regions may be writable after a run's end is the policy's matter.
            may_be_writable: if run.phase.is_final() { Vec::new() } else { told.may_be_writable.clone() },
            ..told.clone()
        };
        let key = format!("{}/{}", split(name).0, run.name);
        let seen = self.view.runs.get(&key).and_then(|known| match known {
            Known::Good(object) if key_of(&object.metadata) == key => object.status.clone(),
            _ => None,
        });
        if seen.is_some_and(|present| says(&present) == present) {
            return Ok(());
        }
        // Asked between the look at the object and the write: a successor's newer words are not written over.
        let still_says = |present: &FailoverRunStatus| {
            if self.shell.lease.is_held() { says(present) } else { present.clone() }
        };
        crate::store::kubernetes::write_status(&self.store, name, run, still_says)
            .await
            .map(|_| ())
            .map_err(|error| error.to_string())
    }
}

async fn next(latest: Option<&mut watch::Receiver<Option<Arc<Latest>>>>) -> bool {
    match latest {
        Some(latest) => latest.changed().await.is_ok(),
        None => std::future::pending().await,
    }
}

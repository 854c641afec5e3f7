//! Which runs' objects are looked at, and when. Each look is a task of its own: a namespace that answers slowly delays no
//! abort in another one.

use super::super::link::within;
use super::super::view::{Key, Known, Unreadable};
use super::consent::owes_word;
use super::memory::ObjectId;
use super::request::knows;
use super::told::{has_ended, policy_of};
use super::{RESYNC, Requests, SETTLE, UnderWay};
use crate::execute::Latest;
use crate::store::kubernetes::split;
use crate::store::{KubernetesStore, Store, StoreError};
use kube::Api;
use muster_core::ids::PolicyName;
use muster_core::journal::Run;
use muster_crds::FailoverRun;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// What goes from round to round.
#[derive(Default)]
struct Rounds {
    looks: UnderWay,
    /// Objects that this version cannot read, and what was told of them.
    unreadable: BTreeMap<Key, Arc<Unreadable>>,
    /// When active runs were read from the API server itself.
    read_live: Option<Instant>,
}

impl Requests {
    /// Looks at all runs that have not ended, again and again, until dropped.
    pub(super) async fn follow_runs(self: &Arc<Self>) {
        let mut rounds = Rounds::default();
        self.keep_looking(self.view.runs.changes(), || self.look_at_runs(&mut rounds)).await;
    }

    fn look_at_runs(self: &Arc<Self>, rounds: &mut Rounds) {
        let runs = self.view.runs.all().unwrap_or_default();
        self.memory().retain(|id| is_there(&runs, id));
        for (key, why) in newly_unreadable(&mut rounds.unreadable, &runs) {
            tracing::warn!(
                run = key,
                why,
                "a run's object cannot be read by this version; nothing in it is heard"
            );
        }
        let mut keys = self.open_ones(runs);
        if rounds.read_live.is_none_or(|at| at.elapsed() >= RESYNC) {
            rounds.read_live = Some(Instant::now());
            keys.extend(self.expect_live());
        }
        rounds.looks.retain(|_, look| !look.is_finished());
        for key in keys {
            let look = || AbortOnDropHandle::new(tokio::spawn(Arc::clone(self).look(key.clone())));
            rounds.looks.entry(key.clone()).or_insert_with(look);
        }
    }

    /// Those on which somebody may wait for a word.
    fn open_ones(&self, runs: BTreeMap<Key, Known<FailoverRun>>) -> BTreeSet<Key> {
        let is_open = |object: &FailoverRun| {
            !has_ended(object) || owes_word(object) && self.newest_of(object, &policy_of(object)).is_some()
        };
        let open =
            runs.into_iter().filter(|(_, known)| matches!(known, Known::Good(object) if is_open(object)));
        open.map(|(key, _)| key).collect()
    }

    /// The objects of active runs are read from the API server itself too: a watch may be silent for minutes and not know
    /// it.
    fn expect_live(&self) -> Vec<Key> {
        let mut keys = Vec::new();
        for shown in self.engine.all() {
            let latest = shown.handle.latest.borrow().clone();
            let Some(run) = latest.as_deref().and_then(active_run) else { continue };
            let policy = shown.handle.name.clone();
            let key = format!("{}/{}", split(&policy).0, run.name);
            self.memory().expect_live(key.clone(), policy);
            keys.push(key);
        }
        keys
    }

    /// One object, again while there is news of it: nothing that comes in the middle waits for the next round.
    async fn look(self: Arc<Self>, key: Key) {
        while self.look_once(&key).await {
            tokio::time::sleep(SETTLE).await;
        }
    }

    /// True if the object is another one by now.
    async fn look_once(&self, key: &str) -> bool {
        let Ok(_turn) = self.run_turns.acquire().await else { return false };
        if !self.shell.lease.is_held() {
            return false;
        }
        let seen = self.seen(key);
        let live = self.read_live(key).await;
        if let Some(object) = live.as_deref().or(seen.as_deref())
            && let Err(error) = Box::pin(self.look_at_run(object)).await
        {
            tracing::warn!(run = key, error, "failed to take a request in; trying again");
        }
        self.seen(key).as_ref().map(Arc::as_ptr) != seen.as_ref().map(Arc::as_ptr)
    }

    fn seen(&self, key: &str) -> Option<Arc<FailoverRun>> {
        match self.view.runs.get(key) {
            Some(Known::Good(object)) => Some(object),
            _ => None,
        }
    }

    /// The active run's object as it is now, if it is to be read.
    async fn read_live(&self, key: &str) -> Option<Box<FailoverRun>> {
        let policy = self.memory().take_live(key)?;
        let latest = self.latest(&policy)?;
        let run = active_run(&latest)?;
        match self.object_of(&policy, run).await {
            Ok(object) => object.map(Box::new),
            Err(error) => {
                tracing::warn!(
                    run = key,
                    error,
                    "failed to read an active run's object; the watch has to do"
                );
                None
            }
        }
    }

    async fn object_of(&self, policy: &PolicyName, run: &Run) -> Result<Option<FailoverRun>, String> {
        let api: Api<FailoverRun> = Api::namespaced(self.client.clone(), split(policy).0);
        for name in KubernetesStore::object_names(run) {
            let found = within(api.get_opt(&name)).await?;
            if let Some(object) = found.filter(|o| KubernetesStore::is_object_of(o, policy, run)) {
                return Ok(Some(object));
            }
        }
        Ok(None)
    }

    fn latest(&self, policy: &PolicyName) -> Option<Arc<Latest>> {
        let shown = self.engine.find(policy)?;
        shown.handle.latest.borrow().clone()
    }

    /// The newest pass, if its run is the one that the object tells of.
    fn newest_of(&self, object: &FailoverRun, policy: &PolicyName) -> Option<Arc<Latest>> {
        let latest = self.latest(policy)?;
        let run = latest.journal.as_ref()?.run.as_ref()?;
        KubernetesStore::is_object_of(object, policy, run).then(|| Arc::clone(&latest))
    }

    async fn look_at_run(&self, object: &FailoverRun) -> Result<(), String> {
        let policy = policy_of(object);
        if has_ended(object) {
            return self.say_late(object, &policy).await;
        }
        if self.engine.find(&policy).is_none() {
            return self.say_no_policy(object).await;
        }
        let journal = match self.store.load(&policy).await {
            Ok(loaded) => loaded.journal,
            Err(StoreError::UnknownPolicy { .. }) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        if self.store.is_of_another_installation(&policy) {
            return Ok(());
        }
        let own = journal.run.as_ref().filter(|run| KubernetesStore::is_object_of(object, &policy, run));
        if let Some(run) = own {
            return self.consent(object, &policy, run).await;
        }
        let claimed = object.status.as_ref().is_some_and(|status| status.epoch.is_some());
        if claimed || knows(&journal, object, &policy) {
            return Ok(());
        }
        self.request(object, &policy).await
    }

    /// An abort ends a run within moments: its answer may be written only after that.
    async fn say_late(&self, object: &FailoverRun, policy: &PolicyName) -> Result<(), String> {
        let latest = self.newest_of(object, policy);
        match latest.as_ref().and_then(|latest| latest.journal.as_ref()?.run.as_ref()) {
            Some(run) => self.consent(object, policy, run).await,
            None => Ok(()),
        }
    }
}

fn active_run(latest: &Latest) -> Option<&Run> {
    latest.journal.as_ref()?.active_run()
}

fn is_there(runs: &BTreeMap<Key, Known<FailoverRun>>, id: &ObjectId) -> bool {
    match runs.get(&id.key) {
        Some(Known::Good(object)) => object.metadata.uid == id.uid,
        Some(Known::Poisoned(unreadable)) => unreadable.uid == id.uid,
        None => false,
    }
}

/// Objects that cannot be read, and why, each told of once: `told` keeps what was.
fn newly_unreadable(
    told: &mut BTreeMap<Key, Arc<Unreadable>>,
    runs: &BTreeMap<Key, Known<FailoverRun>>,
) -> Vec<(Key, String)> {
    let mut news = Vec::new();
    told.retain(|key, _| runs.contains_key(key));
    for (key, known) in runs {
        let Known::Poisoned(unreadable) = known else { continue };
        if told.get(key) != Some(unreadable) {
            told.insert(key.clone(), Arc::clone(unreadable));
            news.push((key.clone(), unreadable.why.clone()));
        }
    }
    news
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreadable(why: &str, uid: &str) -> Known<FailoverRun> {
        Known::Poisoned(Arc::new(Unreadable { why: why.to_owned(), uid: Some(uid.to_owned()) }))
    }

    fn runs(known: Known<FailoverRun>) -> BTreeMap<Key, Known<FailoverRun>> {
        BTreeMap::from([("shop/planned".to_owned(), known)])
    }

    #[test]
    fn an_unreadable_object_is_told_of_once_for_each_reason() {
        let mut told = BTreeMap::new();
        let mut news = |why: &str| newly_unreadable(&mut told, &runs(unreadable(why, "a"))).len();
        assert_eq!([news("no kind"), news("no kind"), news("no reason"), news("no reason")], [1, 0, 1, 0]);
        newly_unreadable(&mut told, &BTreeMap::new());
        assert_eq!(told.len(), 0, "it is gone");
    }

    #[test]
    fn what_is_remembered_ends_with_its_object() {
        let id = ObjectId { key: "shop/planned".to_owned(), uid: Some("a".to_owned()) };
        assert!(is_there(&runs(unreadable("no kind", "a")), &id));
        assert!(!is_there(&runs(unreadable("no kind", "b")), &id), "another one has its name");
        assert!(!is_there(&BTreeMap::new(), &id));
    }
}

//! What the API server shows, kept up by watches. An object that this version cannot parse is remembered as such.

use crate::store::kubernetes::split;
use futures::{Stream, TryStreamExt};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::core::{DeserializeGuard, NamespaceResourceScope, ObjectMeta};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch_objects};
use kube::{Api, Client, Resource};
use muster_core::ids::PolicyName;
use muster_crds::{FailoverRun, RegionFailoverPolicy};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// A watch that broke is not begun again at once.
const AFTER_END: Duration = Duration::from_secs(1);
/// A listing that is not whole by then begins anew: nothing else bounds it.
const LISTED_WITHIN: Duration = Duration::from_secs(30);
/// The API server ends a watch after so many seconds, and it goes on from where it was, without a listing. One that is
/// silent for 5 s longer is dead, and begun again too. Less than the link's own `SILENCE`.
const WATCH_SECS: u32 = 60;

/// `namespace/name` of any object.
pub(super) type Key = String;

/// An object as it was seen last.
#[derive(Clone, Debug)]
pub(super) enum Known<K> {
    /// It parses.
    Good(Arc<K>),
    /// It does not.
    Poisoned(Arc<Unreadable>),
}

/// An object that this version cannot parse.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Unreadable {
    /// Why not.
    pub(super) why: String,
    /// Its UID, to speak of it.
    pub(super) uid: Option<String>,
}

/// All objects of one kind, as last seen.
#[derive(Debug)]
struct Objects<K> {
    by_key: BTreeMap<Key, Known<K>>,
    /// The first listing is whole.
    complete: bool,
}

impl<K> Default for Objects<K> {
    fn default() -> Self {
        Self { by_key: BTreeMap::new(), complete: false }
    }
}

/// One kind, shared with its watch.
#[derive(Clone, Debug)]
pub(super) struct Kind<K> {
    objects: Arc<Mutex<Objects<K>>>,
    changes: Arc<watch::Sender<u64>>,
}

impl<K> Default for Kind<K> {
    fn default() -> Self {
        Self { objects: Arc::default(), changes: Arc::new(watch::Sender::new(0)) }
    }
}

impl<K> Kind<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + Sync
        + 'static,
{
    fn lock(&self) -> MutexGuard<'_, Objects<K>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them; `None` until the first listing is whole: what is missing from it is not gone.
    pub(super) fn all(&self) -> Option<BTreeMap<Key, Known<K>>> {
        let objects = self.lock();
        objects.complete.then(|| objects.by_key.clone())
    }

    /// One of them, as last seen.
    pub(super) fn get(&self, key: &str) -> Option<Known<K>> {
        self.lock().by_key.get(key).cloned()
    }

    /// Tells of each change.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn changed(&self) {
        self.changes.send_modify(|n| *n += 1);
    }

    fn put(&self, object: DeserializeGuard<K>) -> Key {
        let (key, known) = judge(object);
        self.lock().by_key.insert(key.clone(), known);
        key
    }

    /// Follows the kind until dropped. A broken watch begins anew; and one that lost an event on the way does not stay
    /// wrong for longer than `relist`.
    pub(super) async fn follow(&self, client: Client, namespace: Option<&str>, relist: Duration) {
        let api: Api<DeserializeGuard<K>> = match namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        };
        loop {
            let followed = tokio::time::timeout(relist, self.follow_once(api.clone()));
            if followed.await.is_ok() {
                tokio::time::sleep(AFTER_END).await;
            }
        }
    }

    async fn follow_once(&self, api: Api<DeserializeGuard<K>>) {
        let config = watcher::Config::default().timeout(WATCH_SECS);
        let events = watch_objects(api, config).default_backoff();
        let mut events = pin!(events.map_err(|error| error.to_string()));
        let ended = match tokio::time::timeout(LISTED_WITHIN, self.take_listing(&mut events)).await {
            Ok(Ok(())) => self.take_changes(&mut events).await,
            Ok(Err(error)) => error,
            Err(_) => format!("no whole listing within {LISTED_WITHIN:?}"),
        };
        // Begun anew from a listing: after a restored etcd the version to go on from may lie in the future.
        tracing::warn!(kind = %K::kind(&()), error = ended, "failed to watch; listing again");
    }

    /// Takes the first listing in. Until it is whole, nothing that is missing from it is gone.
    async fn take_listing(&self, events: &mut (impl Events<K> + Unpin)) -> Result<(), String> {
        let mut listed = BTreeSet::new();
        while let Some(event) = events.try_next().await? {
            match event {
                Event::Init => listed.clear(),
                Event::InitApply(object) | Event::Apply(object) => {
                    listed.insert(self.put(object));
                }
                Event::Delete(object) => {
                    listed.remove(&self.remove(object));
                }
                Event::InitDone => {
                    let mut objects = self.lock();
                    objects.by_key.retain(|key, _| listed.contains(key));
                    objects.complete = true;
                    drop(objects);
                    self.changed();
                    return Ok(());
                }
            }
        }
        Err("the watch ended".to_owned())
    }

    /// Takes changes in until the watch breaks; says why it did.
    async fn take_changes(&self, events: &mut (impl Events<K> + Unpin)) -> String {
        loop {
            match events.try_next().await {
                Ok(Some(Event::Apply(object))) => {
                    self.put(object);
                }
                Ok(Some(Event::Delete(object))) => {
                    self.remove(object);
                }
                Ok(Some(Event::Init | Event::InitApply(_) | Event::InitDone)) => {
                    return "it was listed again".to_owned();
                }
                Ok(None) => return "the watch ended".to_owned(),
                Err(error) => return error,
            }
            self.changed();
        }
    }

    fn remove(&self, object: DeserializeGuard<K>) -> Key {
        let (key, _) = judge(object);
        self.lock().by_key.remove(&key);
        key
    }
}

/// What a watch tells of a kind.
trait Events<K>: Stream<Item = Result<Event<DeserializeGuard<K>>, String>> {}

impl<K, S: Stream<Item = Result<Event<DeserializeGuard<K>>, String>>> Events<K> for S {}

fn judge<K: Resource>(object: DeserializeGuard<K>) -> (Key, Known<K>) {
    match object.0 {
        Ok(mut object) => {
            // As large as the object itself, once for each of a thousand, and read by nobody here.
            object.meta_mut().managed_fields = None;
            (key_of(object.meta()), Known::Good(Arc::new(object)))
        }
        Err(invalid) => {
            let uid = invalid.metadata.uid.clone();
            (key_of(&invalid.metadata), Known::Poisoned(Arc::new(Unreadable { why: invalid.error, uid })))
        }
    }
}

/// `namespace/name`.
pub(super) fn key_of(meta: &ObjectMeta) -> Key {
    format!("{}/{}", meta.namespace.as_deref().unwrap_or("default"), meta.name.as_deref().unwrap_or_default())
}

/// What this process has seen of its cluster.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    pub(super) policies: Kind<RegionFailoverPolicy>,
    pub(super) runs: Kind<FailoverRun>,
}

impl View {
    /// The policy's object, as events refer to it: also one that does not parse.
    pub(super) fn reference(&self, name: &PolicyName) -> Option<ObjectReference> {
        let (namespace, short) = split(name);
        let uid = match self.policies.get(name.as_str())? {
            Known::Good(policy) => policy.metadata.uid.clone(),
            Known::Poisoned(unreadable) => unreadable.uid.clone(),
        };
        Some(ObjectReference {
            api_version: Some(muster_crds::schema::API_VERSION.to_owned()),
            kind: Some(muster_crds::schema::POLICY_KIND.to_owned()),
            namespace: Some(namespace.to_owned()),
            name: Some(short.to_owned()),
            uid,
            ..ObjectReference::default()
        })
    }

    /// The policy's object, if it is there and parses.
    pub(super) fn policy(&self, name: &PolicyName) -> Option<Arc<RegionFailoverPolicy>> {
        match self.policies.get(name.as_str()) {
            Some(Known::Good(policy)) => Some(policy),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use k8s_openapi::api::core::v1::ConfigMap;

    type Told = Result<Event<DeserializeGuard<ConfigMap>>, String>;

    fn named(name: &str) -> DeserializeGuard<ConfigMap> {
        let (name, namespace) = (Some(name.to_owned()), Some("shop".to_owned()));
        let metadata = ObjectMeta { name, namespace, ..ObjectMeta::default() };
        DeserializeGuard(Ok(ConfigMap { metadata, ..ConfigMap::default() }))
    }

    fn listing(names: &[&str]) -> Vec<Told> {
        let objects = names.iter().map(|name| Ok(Event::InitApply(named(name))));
        std::iter::once(Ok(Event::Init)).chain(objects).collect()
    }

    fn keys(kind: &Kind<ConfigMap>) -> Option<Vec<Key>> {
        kind.all().map(|all| all.into_keys().collect())
    }

    #[tokio::test]
    async fn only_a_whole_listing_takes_something_away() {
        let kind = Kind::<ConfigMap>::default();
        let mut whole = listing(&["a", "b"]);
        whole.push(Ok(Event::InitDone));
        kind.take_listing(&mut stream::iter(whole)).await.expect("it is whole");
        assert_eq!(keys(&kind), Some(vec!["shop/a".to_owned(), "shop/b".to_owned()]));

        let broken = kind.take_listing(&mut stream::iter(listing(&["b", "c"]))).await;
        assert!(broken.is_err());
        assert_eq!(keys(&kind).map(|keys| keys.len()), Some(3), "a may be on a page that never came");

        let mut whole = listing(&["b", "c"]);
        whole.push(Ok(Event::InitDone));
        kind.take_listing(&mut stream::iter(whole)).await.expect("it is whole");
        assert_eq!(keys(&kind), Some(vec!["shop/b".to_owned(), "shop/c".to_owned()]));
    }

    #[tokio::test]
    async fn changes_are_taken_in_until_the_watch_breaks() {
        let kind = Kind::<ConfigMap>::default();
        let mut seen = kind.changes();
        let events: Vec<Told> = vec![
            Ok(Event::Apply(named("a"))),
            Ok(Event::Apply(named("b"))),
            Ok(Event::Delete(named("a"))),
            Err("too old".to_owned()),
            Ok(Event::Apply(named("c"))),
        ];
        assert_eq!(kind.take_changes(&mut stream::iter(events)).await, "too old");
        assert_eq!(*seen.borrow_and_update(), 3);
        assert!(kind.get("shop/b").is_some());
        assert!(kind.get("shop/a").is_none() && kind.get("shop/c").is_none());
    }
}

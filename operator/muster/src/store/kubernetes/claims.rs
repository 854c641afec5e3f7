//! Who steers what: one ConfigMap beside the lease, so that a claim is all or none.

use super::call::{Effect, Failed, call};
use super::{KubernetesStore, Retry};
use crate::store::StoreError;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use muster_core::ids::{ClaimKey, Owner};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

const VERB: &str = "keep the claims";
/// The one key of the ConfigMap: names of claims have letters that its keys must not have.
const KEY: &str = "claims.json";

type Claims = BTreeMap<ClaimKey, Owner>;

struct Kept {
    /// `None`: there is no ConfigMap yet.
    version: Option<String>,
    claims: Claims,
}

fn name(store: &KubernetesStore) -> String {
    format!("{}-claims", store.options.lease.name)
}

fn api(store: &KubernetesStore) -> Api<ConfigMap> {
    Api::namespaced(store.client.clone(), &store.options.lease.namespace)
}

async fn read(store: &KubernetesStore) -> Result<Kept, StoreError> {
    let map = match call(VERB, Effect::Read, api(store).get(&name(store))).await {
        Ok(map) => map,
        Err(Failed::Missing) => return Ok(Kept { version: None, claims: Claims::new() }),
        Err(failed) => return Err(failed.unexpected(VERB)),
    };
    let text = map.data.as_ref().and_then(|data| data.get(KEY)).map_or("{}", String::as_str);
    let claims = serde_json::from_str(text).map_err(|error| StoreError::Invalid {
        what: "claims",
        why: format!("{KEY} of ConfigMap {} is not what Muster wrote: {error}", name(store)),
    })?;
    Ok(Kept { version: map.metadata.resource_version, claims })
}

async fn write(store: &KubernetesStore, kept: Kept) -> Result<(), Failed> {
    let text = serde_json::to_string(&kept.claims).unwrap_or_default();
    let map = ConfigMap {
        metadata: ObjectMeta {
            name: Some(name(store)),
            namespace: Some(store.options.lease.namespace.clone()),
            resource_version: kept.version.clone(),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(KEY.to_owned(), text)])),
        ..ConfigMap::default()
    };
    let params = PostParams::default();
    match kept.version {
        None => call(VERB, Effect::Write, api(store).create(&params, &map)).await,
        Some(_) => call(VERB, Effect::Write, api(store).replace(&name(store), &params, &map)).await,
    }
    .map(|_| ())
}

/// What is wanted of the claims.
#[derive(Clone, Debug)]
enum Wanted {
    /// All of these, or none.
    Claim(Owner, BTreeSet<ClaimKey>),
    /// These no more.
    Release(Owner, BTreeSet<ClaimKey>),
    /// Nothing but to know what an owner holds.
    Of(Owner),
}

/// The answer: for a claim what others hold of it, else what the owner holds.
type Answer = Result<Claims, StoreError>;

/// Where those wait who want something: whoever comes to its turn reads once, changes everything that is wanted by then,
/// and writes once. A thousand policies that come into force together would else beat each other a million times.
#[derive(Debug, Default)]
pub(super) struct Desk {
    waiting: Mutex<Vec<(Wanted, oneshot::Sender<Answer>)>>,
    turn: tokio::sync::Mutex<()>,
}

impl Desk {
    fn queue(&self) -> MutexGuard<'_, Vec<(Wanted, oneshot::Sender<Answer>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask(store: &KubernetesStore, wanted: Wanted) -> Answer {
    loop {
        let (sender, answer) = oneshot::channel();
        store.desk.queue().push((wanted.clone(), sender));
        {
            let _turn = store.desk.turn.lock().await;
            let waiting = std::mem::take(&mut *store.desk.queue());
            if !waiting.is_empty() {
                serve(store, waiting).await;
            }
        }
        // Without an answer whoever served was given up in the middle of it: ask again.
        if let Ok(answer) = answer.await {
            return answer;
        }
    }
}

async fn serve(store: &KubernetesStore, waiting: Vec<(Wanted, oneshot::Sender<Answer>)>) {
    let wanted: Vec<&Wanted> = waiting.iter().map(|(wanted, _)| wanted).collect();
    match change(store, &wanted).await {
        Ok(answers) => {
            for ((_, sender), answer) in waiting.into_iter().zip(answers) {
                // Who no longer waits has been given up.
                let _ = sender.send(Ok(answer));
            }
        }
        Err(error) => {
            for (_, sender) in waiting {
                let (why, class) = (error.to_string(), error.class());
                let _ = sender.send(Err(StoreError::Api { verb: VERB, why, class }));
            }
        }
    }
}

/// Changes the claims until nobody comes between.
async fn change(store: &KubernetesStore, wanted: &[&Wanted]) -> Result<Vec<Claims>, StoreError> {
    let mut retry = Retry::default();
    loop {
        let mut kept = read(store).await?;
        let before = kept.claims.clone();
        let answers = wanted.iter().map(|wanted| apply(&mut kept.claims, wanted)).collect();
        if kept.claims == before {
            return Ok(answers);
        }
        match write(store, kept).await {
            Ok(()) => return Ok(answers),
            Err(Failed::Beaten | Failed::Missing) if retry.once_more() => retry.pause().await,
            Err(failed) => return Err(failed.unexpected(VERB)),
        }
    }
}

fn apply(claims: &mut Claims, wanted: &Wanted) -> Claims {
    match wanted {
        Wanted::Claim(owner, keys) => {
            let held = |key: &&ClaimKey| claims.get(*key).is_some_and(|by| by != owner);
            let foreign: Claims = keys
                .iter()
                .filter(held)
                .filter_map(|key| Some((key.clone(), claims.get(key)?.clone())))
                .collect();
            if foreign.is_empty() {
                claims.extend(keys.iter().map(|key| (key.clone(), owner.clone())));
            }
            foreign
        }
        Wanted::Release(owner, keys) => {
            claims.retain(|key, by| by != owner || !keys.contains(key));
            Claims::new()
        }
        Wanted::Of(owner) => {
            claims.iter().filter(|(_, by)| *by == owner).map(|(k, o)| (k.clone(), o.clone())).collect()
        }
    }
}

pub(super) async fn claim(
    store: &KubernetesStore,
    owner: &Owner,
    keys: &BTreeSet<ClaimKey>,
) -> Result<Claims, StoreError> {
    ask(store, Wanted::Claim(owner.clone(), keys.clone())).await
}

pub(super) async fn release(
    store: &KubernetesStore,
    owner: &Owner,
    keys: &BTreeSet<ClaimKey>,
) -> Result<(), StoreError> {
    ask(store, Wanted::Release(owner.clone(), keys.clone())).await.map(|_| ())
}

pub(super) async fn held_by(store: &KubernetesStore, owner: &Owner) -> Result<Claims, StoreError> {
    ask(store, Wanted::Of(owner.clone())).await
}

pub(super) async fn all(store: &KubernetesStore) -> Result<Claims, StoreError> {
    read(store).await.map(|kept| kept.claims)
}

//! Who steers what: one ConfigMap beside the lease, so that a claim is all or none.

use super::call::{Effect, Failed, call};
use super::{KubernetesStore, Retry};
use crate::store::StoreError;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use muster_core::ids::{ClaimKey, Owner};
use std::collections::{BTreeMap, BTreeSet};

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

/// Changes the claims until nobody comes between. `change` says whether there is anything to write.
async fn update<T>(
    store: &KubernetesStore,
    change: impl Fn(&mut Claims) -> (bool, T),
) -> Result<T, StoreError> {
    let mut retry = Retry::default();
    loop {
        let mut kept = read(store).await?;
        let (changed, answer) = change(&mut kept.claims);
        if !changed {
            return Ok(answer);
        }
        match write(store, kept).await {
            Ok(()) => return Ok(answer),
            Err(Failed::Beaten | Failed::Missing) if retry.once_more() => retry.pause().await,
            Err(failed) => return Err(failed.unexpected(VERB)),
        }
    }
}

pub(super) async fn claim(
    store: &KubernetesStore,
    owner: &Owner,
    keys: &BTreeSet<ClaimKey>,
) -> Result<Claims, StoreError> {
    update(store, |claims| {
        let held = |key: &&ClaimKey| claims.get(*key).is_some_and(|by| by != owner);
        let foreign: Claims = keys
            .iter()
            .filter(held)
            .filter_map(|key| Some((key.clone(), claims.get(key)?.clone())))
            .collect();
        let missing = keys.iter().any(|key| !claims.contains_key(key));
        if foreign.is_empty() && missing {
            claims.extend(keys.iter().map(|key| (key.clone(), owner.clone())));
        }
        (foreign.is_empty() && missing, foreign)
    })
    .await
}

pub(super) async fn release(
    store: &KubernetesStore,
    owner: &Owner,
    keys: &BTreeSet<ClaimKey>,
) -> Result<(), StoreError> {
    update(store, |claims| {
        let before = claims.len();
        claims.retain(|key, by| by != owner || !keys.contains(key));
        (claims.len() != before, ())
    })
    .await
}

pub(super) async fn all(store: &KubernetesStore) -> Result<Claims, StoreError> {
    read(store).await.map(|kept| kept.claims)
}

//! Ended runs: their `FailoverRun` objects, with the whole run in the status. Bounded; the oldest are removed.

use super::call::{Effect, Failed, call};
use super::{KubernetesStore, Retry, journal, split, story};
use crate::store::{Store as _, StoreError};
use kube::Api;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use muster_core::ids::{PolicyName, RunName};
use muster_core::journal::Run;
use muster_core::time::Millis;
use muster_crds::run::RunPhase;
use muster_crds::{FailoverRun, FailoverRunStatus};
use std::time::Duration;

const VERB: &str = "keep the history";
/// All calls of one attempt together.
const KEEP_WITHIN: Duration = Duration::from_secs(5);

fn api(store: &KubernetesStore, policy: &PolicyName) -> Api<FailoverRun> {
    Api::namespaced(store.client.clone(), split(policy).0)
}

impl KubernetesStore {
    /// The names that a run's object may have: the run's, or one with its epoch where another run has that.
    pub(crate) fn object_names(run: &Run) -> [String; 2] {
        [run.name.to_string(), format!("{}-e{}", run.name, run.epoch.0)]
    }

    /// Whether `object` is the one that tells of this run: what people write into it is about this run and no other.
    pub(crate) fn is_object_of(object: &FailoverRun, policy: &PolicyName, run: &Run) -> bool {
        let (metadata, names) = (&object.metadata, Self::object_names(run));
        let is_named = metadata.name.as_ref().is_some_and(|name| names.contains(name));
        let is_here = metadata.namespace.as_deref() == Some(split(policy).0);
        is_named && is_here && belongs(object, policy, run)
    }
}

/// Whether `object` is this run's, or is free to become it: a person's request that was not claimed by another run.
fn belongs(object: &FailoverRun, policy: &PolicyName, run: &Run) -> bool {
    let of_epoch = object.status.as_ref().and_then(|status| status.epoch);
    let refused = object.status.as_ref().is_some_and(|status| status.phase.is_some_and(RunPhase::is_final));
    object.spec.policy.as_str() == split(policy).1
        && of_epoch.map_or(!refused, |epoch| epoch == story::count(run.epoch.0))
}

/// The run's object, made if there is none. A name that another run has is not taken from it.
pub(crate) async fn find_or_create(
    store: &KubernetesStore,
    policy: &PolicyName,
    run: &Run,
) -> Result<FailoverRun, StoreError> {
    let api = api(store, policy);
    for name in KubernetesStore::object_names(run) {
        let found = match call(VERB, Effect::Read, api.get(&name)).await {
            Ok(found) => found,
            Err(Failed::Missing) => {
                let (namespace, _) = split(policy);
                let metadata = ObjectMeta {
                    name: Some(name.clone()),
                    namespace: Some(namespace.to_owned()),
                    ..ObjectMeta::default()
                };
                let object = FailoverRun { metadata, spec: story::spec_of(policy, run), status: None };
                match call(VERB, Effect::Write, api.create(&PostParams::default(), &object)).await {
                    Ok(made) => made,
                    Err(Failed::Beaten) => {
                        call(VERB, Effect::Read, api.get(&name)).await.map_err(|f| f.unexpected(VERB))?
                    }
                    Err(failed) => return Err(failed.unexpected(VERB)),
                }
            }
            Err(failed) => return Err(failed.unexpected(VERB)),
        };
        if belongs(&found, policy, run) {
            return Ok(found);
        }
    }
    let why = format!("the names {0} and {0}-e{1} belong to other runs", run.name, run.epoch.0);
    Err(StoreError::Invalid { what: "run", why })
}

/// Writes what `change` makes of the run's status, unless that is what it says already.
pub(crate) async fn write_status(
    store: &KubernetesStore,
    policy: &PolicyName,
    run: &Run,
    change: impl Fn(&FailoverRunStatus) -> FailoverRunStatus,
) -> Result<bool, StoreError> {
    let mut retry = Retry::default();
    loop {
        let mut object = find_or_create(store, policy, run).await?;
        let present = object.status.clone().unwrap_or_default();
        let next = change(&present);
        if object.status.as_ref() == Some(&next) {
            return Ok(false);
        }
        let name = object.metadata.name.clone().unwrap_or_default();
        object.status = Some(next);
        let params = PostParams::default();
        match call(VERB, Effect::Write, api(store, policy).replace_status(&name, &params, &object)).await {
            Ok(_) => return Ok(true),
            Err(Failed::Beaten | Failed::Missing) if retry.once_more() => retry.pause().await,
            Err(failed) => return Err(failed.unexpected(VERB)),
        }
    }
}

/// Keeps an ended run, or its newer figures. Writes nothing if it is kept just so.
pub(super) async fn keep(store: &KubernetesStore, policy: &PolicyName, run: &Run) -> Result<(), StoreError> {
    let told = story::status_of(run);
    let written = write_status(store, policy, run, |present| FailoverRunStatus {
        conditions: present.conditions.clone(),
        ..told.clone()
    })
    .await?;
    if written { forget_oldest(store, policy).await } else { Ok(()) }
}

/// Tries once to keep an ended run, shortly: a record waits for it, and is worth more than a story.
pub(super) async fn try_keep(
    store: &KubernetesStore,
    policy: &PolicyName,
    run: &Run,
) -> Result<(), StoreError> {
    let kept = tokio::time::timeout(KEEP_WITHIN, keep(store, policy, run)).await;
    kept.unwrap_or_else(|_| Err(StoreError::Deadline { verb: VERB, after: Millis::from(KEEP_WITHIN) }))
}

async fn forget_oldest(store: &KubernetesStore, policy: &PolicyName) -> Result<(), StoreError> {
    for (_, object) in ended(store, policy).await?.into_iter().skip(store.options.runs_kept) {
        let name = object.metadata.name.unwrap_or_default();
        match call(VERB, Effect::Write, api(store, policy).delete(&name, &DeleteParams::default())).await {
            Ok(_) | Err(Failed::Missing) => {}
            Err(failed) => return Err(failed.unexpected(VERB)),
        }
    }
    Ok(())
}

pub(super) async fn finish(
    store: &KubernetesStore,
    policy: &PolicyName,
    run: &Run,
) -> Result<(), StoreError> {
    journal::load(store, policy).await?;
    if !run.phase.is_final() {
        return Err(StoreError::Invalid { what: "run", why: format!("{} has not ended", run.name) });
    }
    keep(store, policy, run).await
}

/// Ended runs with their objects, newest first. One that another muster wrote in another shape hides no other.
async fn ended(store: &KubernetesStore, policy: &PolicyName) -> Result<Vec<(Run, FailoverRun)>, StoreError> {
    let of_policy = ListParams::default().fields(&format!("spec.policy={}", split(policy).1));
    let listed = call(VERB, Effect::Read, api(store, policy).list(&of_policy)).await;
    let listed = listed.map_err(|failed| failed.unexpected(VERB))?;
    let mut ended = Vec::new();
    for object in listed.items {
        let Some(record) = object.status.as_ref().and_then(|status| status.record.as_deref()) else {
            continue;
        };
        match serde_json::from_str::<Run>(record) {
            Ok(run) => ended.push((run, object)),
            Err(error) => tracing::warn!(%policy, %error, "left out of the history: not readable"),
        }
    }
    ended.sort_by_key(|(run, _)| std::cmp::Reverse(run.epoch));
    Ok(ended)
}

pub(super) async fn newest(
    store: &KubernetesStore,
    policy: &PolicyName,
    limit: usize,
) -> Result<Vec<Run>, StoreError> {
    store.load(policy).await?;
    Ok(ended(store, policy).await?.into_iter().take(limit).map(|(run, _)| run).collect())
}

pub(super) async fn named(
    store: &KubernetesStore,
    policy: &PolicyName,
    name: &RunName,
) -> Result<Option<Run>, StoreError> {
    store.load(policy).await?;
    Ok(ended(store, policy).await?.into_iter().map(|(run, _)| run).find(|run| run.name == *name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::ended_run;
    use serde_json::{Value, json};

    /// Whether such an object is that of checkout-5, the fifth run of shop/checkout.
    fn is_its(name: &str, policy: &str, status: &Value) -> bool {
        let object = serde_json::from_value(json!({
            "apiVersion": "muster.dev/v1alpha1", "kind": "FailoverRun",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"policy": policy, "kind": "Failover", "reason": "east is dark", "by": "kim"},
            "status": status,
        }));
        let object: FailoverRun = object.expect("a run");
        KubernetesStore::is_object_of(&object, &"shop/checkout".into(), &ended_run(5))
    }

    #[test]
    fn a_run_is_told_of_under_its_own_name_or_under_one_with_its_epoch() {
        assert_eq!(KubernetesStore::object_names(&ended_run(5)), ["checkout-5", "checkout-5-e5"]);
        let its = json!({"phase": "Completed", "epoch": 5});
        assert!(is_its("checkout-5", "checkout", &its));
        assert!(is_its("checkout-5-e5", "checkout", &its));
        assert!(is_its("checkout-5", "checkout", &json!({})), "nothing was written into it yet");
    }

    #[test]
    fn an_object_of_another_run_is_not_this_ones() {
        let its = json!({"epoch": 5});
        assert!(!is_its("checkout-5", "checkout", &json!({"epoch": 4})));
        assert!(!is_its("checkout-5", "cart", &its));
        assert!(!is_its("checkout-4-e5", "checkout", &its));
        assert!(!is_its("checkout-5", "checkout", &json!({"phase": "Failed", "outcome": "Refused"})));
    }
}

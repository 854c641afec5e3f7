//! Secrets that policies name, one by one: never listed, never watched, so that `get` on these names is permission enough.

use crate::convert::secrets::usable;
use crate::convert::{SecretError, SecretSource};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret as SecretObject;
use kube::{Api, Client};
use muster_core::ids::PolicyName;
use muster_core::secret::Secret;
use muster_crds::RegionFailoverPolicy;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Of one call.
const DEADLINE: Duration = Duration::from_secs(5);
/// Asked for at once.
const AT_ONCE: usize = 8;

/// Namespace and name.
type Place = (String, String);
/// The values by key, or why there are none.
type Values = Result<BTreeMap<String, Vec<u8>>, String>;

/// The Secrets of the policies in force.
pub(super) struct ClusterSecrets {
    client: Client,
    known: Mutex<BTreeMap<Place, Values>>,
    /// What the versions that act refer to, by policy: a newer one may name others.
    held: Mutex<BTreeMap<PolicyName, BTreeSet<Place>>>,
}

impl fmt::Debug for ClusterSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterSecrets").finish_non_exhaustive()
    }
}

impl ClusterSecrets {
    pub(super) fn new(client: Client) -> Self {
        Self { client, known: Mutex::default(), held: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Place, Values>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<PolicyName, BTreeSet<Place>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gets those of `wanted` that were never asked for, and forgets all others that nobody holds.
    pub(super) async fn ensure(&self, wanted: &BTreeSet<Place>) {
        let held: BTreeSet<Place> = self.held().values().flatten().cloned().collect();
        self.lock().retain(|place, _| wanted.contains(place) || held.contains(place));
        self.fetch_missing(wanted).await;
    }

    /// Keeps at hand what the version of a policy that acts refers to, instead of what the one before it did.
    pub(super) async fn hold(&self, policy: &PolicyName, places: BTreeSet<Place>) {
        self.held().insert(policy.clone(), places.clone());
        self.fetch_missing(&places).await;
    }

    /// The policy is gone.
    pub(super) fn let_go(&self, policy: &PolicyName) {
        self.held().remove(policy);
    }

    async fn fetch_missing(&self, wanted: &BTreeSet<Place>) {
        let missing: Vec<Place> = {
            let known = self.lock();
            wanted.iter().filter(|place| !known.contains_key(*place)).cloned().collect()
        };
        self.fetch(missing).await;
    }

    /// Gets all known ones again. True if one is another than before. A Secret that cannot be had just now keeps its
    /// last value: credentials that worked are not thrown away for an API server that does not answer.
    pub(super) async fn renew(&self) -> bool {
        let places: Vec<Place> = self.lock().keys().cloned().collect();
        self.fetch(places).await
    }

    async fn fetch(&self, places: Vec<Place>) -> bool {
        let asked = places.into_iter().map(|place| async move {
            let values = self.get_one(&place).await;
            (place, values)
        });
        let answers: Vec<_> = futures::stream::iter(asked).buffer_unordered(AT_ONCE).collect().await;
        let mut known = self.lock();
        let mut changed = false;
        for (place, values) in answers {
            let keeps = values.is_err() && known.get(&place).is_some_and(Result::is_ok);
            if !keeps && known.get(&place) != Some(&values) {
                known.insert(place, values);
                changed = true;
            }
        }
        changed
    }

    async fn get_one(&self, (namespace, name): &Place) -> Values {
        let api: Api<SecretObject> = Api::namespaced(self.client.clone(), namespace);
        match tokio::time::timeout(DEADLINE, api.get(name)).await {
            Ok(Ok(secret)) => {
                Ok(secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect())
            }
            Ok(Err(kube::Error::Api(status))) => Err(status.message.clone()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {DEADLINE:?}")),
        }
    }
}

impl SecretSource for ClusterSecrets {
    fn get(&self, namespace: &str, name: &str, key: &str) -> Result<Secret, SecretError> {
        let missing = |why: String| SecretError::NotInCluster {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            key: key.to_owned(),
            why,
        };
        let known = self.lock();
        let values = match known.get(&(namespace.to_owned(), name.to_owned())) {
            Some(Ok(values)) => values,
            Some(Err(why)) => return Err(missing(why.clone())),
            None => return Err(missing("it was not asked for yet".to_owned())),
        };
        let bytes = values.get(key).ok_or_else(|| missing("it has no such key".to_owned()))?;
        let place = format!("key {key} of Secret {namespace}/{name}");
        match std::str::from_utf8(bytes) {
            Ok(text) => usable(text, place),
            Err(_) => Err(SecretError::Unusable { place, what: "is not UTF-8 text" }),
        }
    }
}

/// The Secrets that a policy refers to: every `{name, key}` under a field whose name ends in `secret`.
pub(super) fn named_by(policy: &RegionFailoverPolicy) -> BTreeSet<Place> {
    let namespace = policy.metadata.namespace.clone().unwrap_or_else(|| "default".to_owned());
    let mut names = BTreeSet::new();
    collect(&serde_json::to_value(&policy.spec).unwrap_or_default(), &mut names);
    names.into_iter().map(|name| (namespace.clone(), name)).collect()
}

fn collect(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (field, inner) in fields {
                let name = inner.get("name").and_then(Value::as_str);
                match name.filter(|_| field.to_lowercase().ends_with("secret") && inner.get("key").is_some())
                {
                    Some(name) => {
                        names.insert(name.to_owned());
                    }
                    None => collect(inner, names),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::named_by;
    use std::collections::BTreeSet;

    #[test]
    fn every_reference_of_the_example_is_found() {
        let text = include_str!("../../../../crds/examples/local.yaml");
        let policies = muster_crds::load_policy_file(text).expect("the example is good");
        let named: BTreeSet<String> = policies.iter().flat_map(named_by).map(|(_, name)| name).collect();
        let references = text.split("ecret: {name: ").skip(1);
        let written: BTreeSet<String> =
            references.filter_map(|rest| rest.split(',').next().map(str::to_owned)).collect();
        assert!(written.len() > 2, "{written:?}");
        assert_eq!(named, written);
    }
}

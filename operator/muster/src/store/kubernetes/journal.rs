//! The journal of a policy: one `FailoverJournal`, changed only by a PUT with its resourceVersion.

use super::call::{Effect, Failed, call};
use super::{KubernetesStore, Retry, history, lease, split};
use crate::store::{Known, LeaseToken, Loaded, StoreError, StoreErrorClass, Version, ensure_grows};
use kube::Api;
use kube::api::{ListParams, ObjectMeta, PostParams};
use kube::core::DeserializeGuard;
use muster_core::ids::{Owner, PolicyName};
use muster_core::journal::{Journal, PolicyState};
use muster_core::time::Stamp;
use muster_core::wish::{self, Wish};
use muster_crds::{FailoverJournal, FailoverJournalSpec};

/// Journals in one answer, so that each comes well within a call's deadline.
const PAGE: u32 = 250;

/// The journal as one object holds it.
struct Row {
    object: FailoverJournal,
    journal: Journal,
}

impl Row {
    fn parse(policy: &PolicyName, object: FailoverJournal) -> Result<Self, StoreError> {
        let journal = serde_json::from_str(&object.spec.body)
            .map_err(|error| StoreError::Unreadable { policy: policy.clone(), why: error.to_string() })?;
        Ok(Self { object, journal })
    }

    fn version(&self) -> Version {
        version(&self.object)
    }
}

fn version(object: &FailoverJournal) -> Version {
    Version::new(object.metadata.resource_version.clone().unwrap_or_default())
}

fn api(store: &KubernetesStore, policy: &PolicyName) -> Api<FailoverJournal> {
    Api::namespaced(store.client.clone(), split(policy).0)
}

fn number(what: &'static str, number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|error| StoreError::Invalid { what, why: error.to_string() })
}

/// What the object says for a journal; its body must stay within what an API server takes.
fn describe(
    store: &KubernetesStore,
    journal: &Journal,
    changes: i64,
    lease_number: u64,
    in_force: Option<String>,
) -> Result<FailoverJournalSpec, StoreError> {
    let body = serde_json::to_string(journal)
        .map_err(|error| StoreError::Invalid { what: "journal", why: error.to_string() })?;
    if body.len() > store.options.journal_bytes {
        let why =
            format!("{} bytes are more than the {} that are kept", body.len(), store.options.journal_bytes);
        return Err(StoreError::Invalid { what: "journal", why });
    }
    let state = &journal.state;
    Ok(FailoverJournalSpec {
        owner: state.owner.to_string(),
        epoch: number("epoch", state.epoch.0)?,
        term: number("term", state.term.0)?,
        active_run: state.active_run.as_ref().map(|run| run.name.to_string()),
        changes,
        lease: store.options.lease.to_string(),
        lease_number: number("lease number", lease_number)?,
        body,
        in_force,
    })
}

async fn read(store: &KubernetesStore, policy: &PolicyName) -> Result<Row, StoreError> {
    const VERB: &str = "read the journal";
    match call(VERB, Effect::Read, api(store, policy).get(split(policy).1)).await {
        Ok(object) => {
            store.note_installation(policy, &object.spec.lease);
            Row::parse(policy, object)
        }
        Err(Failed::Missing) => Err(StoreError::UnknownPolicy { policy: policy.clone() }),
        Err(failed) => Err(failed.unexpected(VERB)),
    }
}

/// Replaces `row` by `spec`, if it is still the newest.
async fn replace(
    store: &KubernetesStore,
    policy: &PolicyName,
    row: &Row,
    spec: FailoverJournalSpec,
) -> Result<FailoverJournal, Failed> {
    let metadata = ObjectMeta {
        name: row.object.metadata.name.clone(),
        namespace: row.object.metadata.namespace.clone(),
        labels: row.object.metadata.labels.clone(),
        annotations: row.object.metadata.annotations.clone(),
        resource_version: row.object.metadata.resource_version.clone(),
        // Another object of the same name is not this journal.
        uid: row.object.metadata.uid.clone(),
        ..ObjectMeta::default()
    };
    let next = FailoverJournal { metadata, spec };
    let params = PostParams::default();
    let written =
        call("record", Effect::Write, api(store, policy).replace(split(policy).1, &params, &next)).await;
    if written.is_ok() {
        store.note_write();
    }
    written
}

/// All of them: one that this version cannot parse hides no other.
pub(super) async fn list(store: &KubernetesStore) -> Result<Vec<Known>, StoreError> {
    const VERB: &str = "list the journals";
    let api: Api<DeserializeGuard<FailoverJournal>> = match &store.options.namespace {
        Some(namespace) => Api::namespaced(store.client.clone(), namespace),
        None => Api::all(store.client.clone()),
    };
    let mut known = Vec::new();
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let found = call(VERB, Effect::Read, api.list(&page)).await;
        let found = found.map_err(|failed| failed.unexpected(VERB))?;
        known.extend(found.items.into_iter().map(know));
        match found.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => break,
        }
    }
    known.sort_by(|a, b| a.policy.cmp(&b.policy));
    Ok(known)
}

fn know(object: DeserializeGuard<FailoverJournal>) -> Known {
    let (metadata, spec) = match object.0 {
        Ok(object) => (object.metadata, Some(object.spec)),
        Err(invalid) => (invalid.metadata, None),
    };
    let (namespace, name) = (metadata.namespace.unwrap_or_default(), metadata.name.unwrap_or_default());
    Known {
        policy: PolicyName::new(format!("{namespace}/{name}")),
        in_run: spec.as_ref().map(|spec| spec.active_run.is_some()),
        owner: spec.map(|spec| Owner::new(spec.owner)),
        version: Version::new(metadata.resource_version.unwrap_or_default()),
    }
}

pub(super) async fn load(store: &KubernetesStore, policy: &PolicyName) -> Result<Loaded, StoreError> {
    let row = read(store, policy).await?;
    Ok(Loaded { version: row.version(), journal: row.journal })
}

pub(super) async fn create(
    store: &KubernetesStore,
    policy: &PolicyName,
    owner: &Owner,
) -> Result<Loaded, StoreError> {
    const VERB: &str = "begin the journal";
    let (namespace, name) = split(policy);
    let journal = Journal { state: PolicyState::new(owner.clone()), run: None, requests: Vec::new() };
    let object = FailoverJournal {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        spec: describe(store, &journal, 1, 0, None)?,
    };
    match call(VERB, Effect::Write, api(store, policy).create(&PostParams::default(), &object)).await {
        Ok(object) => Ok(Loaded { version: version(&object), journal }),
        Err(Failed::Beaten) => {
            let owner = read(store, policy).await?.journal.state.owner;
            Err(StoreError::PolicyExists { policy: policy.clone(), owner })
        }
        Err(failed) => Err(failed.unexpected(VERB)),
    }
}

pub(super) async fn record(
    store: &KubernetesStore,
    policy: &PolicyName,
    expected: &Version,
    token: &LeaseToken,
    next: &Journal,
) -> Result<Version, StoreError> {
    let (held, row) = tokio::join!(lease::ensure_held(store, token), read(store, policy));
    held?;
    let row = row?;
    let conflict =
        |found: Version| StoreError::Conflict { policy: policy.clone(), expected: expected.clone(), found };
    if row.version() != *expected {
        return Err(conflict(row.version()));
    }
    ensure_ours(store, &row, token.number()).await?;
    let numbers = |state: &PolicyState| (state.epoch.0, state.term.0);
    let (old, new) = (&row.journal.state, &next.state);
    ensure_grows(policy, (&old.owner, numbers(old)), (&new.owner, numbers(new)))?;
    // The run that the next one takes the place of is not only here: a crash came between its end and its keeping.
    let replaced = row.journal.run.as_ref().filter(|run| run.phase.is_final());
    if let Some(run) = replaced.filter(|run| next.run.as_ref().is_none_or(|n| n.epoch != run.epoch)) {
        if let Err(error) = history::try_keep(store, policy, run).await {
            // A failover does not wait for a quota or a webhook that is in the way of its predecessor's story.
            tracing::warn!(%policy, run = %run.name, %error, "an ended run may be lost from the history");
        }
        // That may have taken as long as the lease lasts.
        lease::ensure_held(store, token).await?;
    }
    let spec =
        describe(store, next, row.object.spec.changes + 1, token.number(), row.object.spec.in_force.clone())?;
    let written = match replace(store, policy, &row, spec).await {
        Ok(object) => version(&object),
        Err(Failed::Beaten) => return Err(conflict(read(store, policy).await?.version())),
        Err(Failed::Missing) => return Err(StoreError::UnknownPolicy { policy: policy.clone() }),
        Err(Failed::Other(error)) => return Err(error),
    };
    if let Some(run) = next.run.as_ref().filter(|run| run.phase.is_final())
        && let Err(error) = history::try_keep(store, policy, run).await
    {
        // It stays in the journal until then.
        tracing::warn!(%policy, run = %run.name, %error, "an ended run is not in the history yet");
    }
    Ok(written)
}

/// The journal of another installation is left alone while that one's Lease is there; and one that a newer holder has
/// written is not written by an older one.
async fn ensure_ours(store: &KubernetesStore, row: &Row, number: u64) -> Result<(), StoreError> {
    let spec = &row.object.spec;
    if spec.lease != store.options.lease.to_string() {
        return ensure_abandoned(store, &spec.lease).await;
    }
    if u64::try_from(spec.lease_number).is_ok_and(|newest| newest > number) {
        let why = format!("number {number} was followed by {}, which has written here", spec.lease_number);
        return Err(StoreError::LeaseLost { why });
    }
    Ok(())
}

/// Another installation writes where its Lease is there.
async fn ensure_abandoned(store: &KubernetesStore, lease: &str) -> Result<(), StoreError> {
    let own = store.options.lease.to_string();
    if lease == own {
        return Ok(());
    }
    let Some((namespace, name)) = lease.split_once('/') else { return Ok(()) };
    if lease::exists(store, namespace, name).await? {
        return Err(StoreError::OtherInstallation { lease: lease.to_owned(), own });
    }
    Ok(())
}

pub(super) async fn wish(
    store: &KubernetesStore,
    policy: &PolicyName,
    wish: &Wish,
    now: Stamp,
) -> Result<Loaded, StoreError> {
    let mut retry = Retry::default();
    loop {
        let row = read(store, policy).await?;
        ensure_abandoned(store, &row.object.spec.lease).await?;
        let next = wish::take_in(&row.journal, wish, now).map_err(StoreError::Refused)?;
        if next == row.journal {
            return Ok(Loaded { version: row.version(), journal: next });
        }
        let held = &row.object.spec;
        let number = u64::try_from(held.lease_number).unwrap_or(0);
        let mut spec = describe(store, &next, held.changes + 1, number, held.in_force.clone())?;
        spec.lease.clone_from(&held.lease);
        match replace(store, policy, &row, spec).await {
            Ok(object) => return Ok(Loaded { version: version(&object), journal: next }),
            Err(Failed::Beaten) if retry.once_more() => retry.pause().await,
            Err(failed) => return Err(failed.unexpected("take a wish in")),
        }
    }
}

/// The policy as it acted last, as YAML.
pub(super) async fn in_force(
    store: &KubernetesStore,
    policy: &PolicyName,
) -> Result<Option<String>, StoreError> {
    match read(store, policy).await {
        Ok(row) => Ok(row.object.spec.in_force),
        Err(error) if error.class() == StoreErrorClass::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Keeps the policy as it acts; writes nothing if it is kept just so.
pub(super) async fn keep_in_force(
    store: &KubernetesStore,
    policy: &PolicyName,
    document: &str,
) -> Result<(), StoreError> {
    let mut retry = Retry::default();
    loop {
        let row = read(store, policy).await?;
        let held = &row.object.spec;
        ensure_abandoned(store, &held.lease).await?;
        if held.in_force.as_deref() == Some(document) {
            return Ok(());
        }
        let spec = FailoverJournalSpec {
            changes: held.changes + 1,
            in_force: Some(document.to_owned()),
            ..held.clone()
        };
        match replace(store, policy, &row, spec).await {
            Ok(_) => return Ok(()),
            Err(Failed::Beaten) if retry.once_more() => retry.pause().await,
            Err(failed) => return Err(failed.unexpected("keep the policy in force")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::ObjectList;
    use serde_json::{Value, json};

    fn journal(name: &str, spec: &Value) -> Value {
        json!({
            "apiVersion": "muster.dev/v1alpha1",
            "kind": "FailoverJournal",
            "metadata": { "namespace": "shop", "name": name, "resourceVersion": "7" },
            "spec": spec,
        })
    }

    #[test]
    fn a_journal_that_does_not_parse_hides_no_other_and_names_no_owner() {
        let good = json!({
            "owner": "uid-1", "epoch": 1, "term": 0, "activeRun": "first", "changes": 3,
            "lease": "muster/muster", "leaseNumber": 4, "body": "{}",
        });
        let listed = json!({
            "apiVersion": "muster.dev/v1alpha1",
            "kind": "FailoverJournalList",
            "metadata": {},
            "items": [journal("bad", &json!({ "owner": "uid-2", "epoch": "many" })), journal("good", &good)],
        });
        let listed: ObjectList<DeserializeGuard<FailoverJournal>> = serde_json::from_value(listed).unwrap();
        let known: Vec<Known> = listed.items.into_iter().map(know).collect();
        let of = |policy: &str, owner: Option<&str>, in_run| Known {
            policy: PolicyName::new(policy),
            owner: owner.map(Owner::new),
            version: Version::new("7"),
            in_run,
        };
        assert_eq!(known, [of("shop/bad", None, None), of("shop/good", Some("uid-1"), Some(true))]);
    }
}

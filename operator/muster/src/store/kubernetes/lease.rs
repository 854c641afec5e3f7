//! The lease: a `coordination.k8s.io/v1` Lease, changed only by a PUT with its resourceVersion.
//!
//! Both sides judge by their own monotonic clocks and by the changes that they see, never by the times in the object,
//! which are there for people. `leaseTransitions` is the number that grows with each acquisition.

use super::call::{Effect, Failed, call};
use super::{KubernetesStore, Retry};
use crate::store::{Acquired, LeaseToken, StoreError, StoreErrorClass};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use muster_core::ids::HolderId;
use muster_core::time::Millis;
use std::collections::BTreeMap;

/// Whole seconds are too coarse for how long the holder relies on a renewal.
const DURATION: &str = "muster.dev/lease-duration-ms";
const VERB: &str = "keep the lease";

/// What a Lease says.
struct Row {
    version: String,
    number: u64,
    holder: Option<HolderId>,
    duration: Millis,
}

impl Row {
    fn of(lease: &Lease) -> Self {
        let spec = lease.spec.as_ref();
        let number = spec.and_then(|s| s.lease_transitions).and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        let seconds = spec.and_then(|s| s.lease_duration_seconds).and_then(|n| u64::try_from(n).ok());
        let exact = lease.metadata.annotations.as_ref().and_then(|a| a.get(DURATION)?.parse().ok());
        let holder = spec.and_then(|s| s.holder_identity.as_deref()).filter(|holder| !holder.is_empty());
        Self {
            version: lease.metadata.resource_version.clone().unwrap_or_default(),
            number,
            holder: holder.map(HolderId::new),
            duration: exact.map_or_else(|| Millis::from_secs(seconds.unwrap_or(0)), Millis),
        }
    }

    /// An answer from before `token` was acquired: it says nothing of now.
    fn is_older_than(&self, token: &LeaseToken) -> bool {
        self.number < token.number()
    }

    /// Why `token` is not the newest one, if so.
    fn refuses(&self, token: &LeaseToken) -> Option<String> {
        if self.number != token.number() {
            let by = self.holder.as_ref().map_or_else(|| "nobody now".to_owned(), ToString::to_string);
            return Some(format!("number {} was followed by {}, held by {by}", token.number(), self.number));
        }
        (self.holder.as_ref() != Some(token.holder()))
            .then(|| format!("number {} was given back", token.number()))
    }
}

fn moment(store: &KubernetesStore) -> Option<MicroTime> {
    Timestamp::from_millisecond(store.clock.now().wall.0).ok().map(MicroTime)
}

fn describe(
    store: &KubernetesStore,
    version: Option<&str>,
    number: u64,
    holder: Option<&HolderId>,
    duration: Millis,
) -> Lease {
    Lease {
        metadata: ObjectMeta {
            name: Some(store.options.lease.name.clone()),
            namespace: Some(store.options.lease.namespace.clone()),
            resource_version: version.map(str::to_owned),
            annotations: Some(BTreeMap::from([(DURATION.to_owned(), duration.0.to_string())])),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: holder.map(ToString::to_string),
            lease_duration_seconds: Some(i32::try_from(duration.0.div_ceil(1000).max(1)).unwrap_or(i32::MAX)),
            lease_transitions: Some(i32::try_from(number).unwrap_or(i32::MAX)),
            renew_time: moment(store),
            ..LeaseSpec::default()
        }),
    }
}

fn leases(store: &KubernetesStore) -> Api<Lease> {
    Api::namespaced(store.client.clone(), &store.options.lease.namespace)
}

async fn read(store: &KubernetesStore) -> Result<Option<Row>, StoreError> {
    match call(VERB, Effect::Read, leases(store).get(&store.options.lease.name)).await {
        Ok(lease) => Ok(Some(Row::of(&lease))),
        Err(Failed::Missing) => Ok(None),
        Err(failed) => Err(failed.unexpected(VERB)),
    }
}

pub(super) async fn acquire(
    store: &KubernetesStore,
    holder: &HolderId,
    duration: Millis,
) -> Result<Acquired, StoreError> {
    let began = store.clock.now().tick;
    let row = read(store).await?;
    let number = row.as_ref().map_or(1, |row| row.number + 1);
    if let Some(row) = &row {
        let unchanged_for = store.sight.unchanged_for(row.version.clone(), store.clock.now().tick);
        let in_the_way = row.holder.as_ref().filter(|by| *by != holder && unchanged_for < row.duration);
        if let Some(by) = in_the_way {
            return Ok(Acquired::Held { by: by.clone(), unchanged_for });
        }
    }
    let next = describe(store, row.as_ref().map(|r| r.version.as_str()), number, Some(holder), duration);
    let (api, params) = (leases(store), PostParams::default());
    let taken = match &row {
        None => call(VERB, Effect::Write, api.create(&params, &next)).await,
        Some(_) => call(VERB, Effect::Write, api.replace(&store.options.lease.name, &params, &next)).await,
    };
    match taken {
        Ok(lease) => {
            store.remember_lease(number, Row::of(&lease).version);
            Ok(Acquired::Ours(LeaseToken::new(holder.clone(), number, duration, began, store.clock.clone())))
        }
        Err(Failed::Beaten) => {
            let by = read(store).await?.and_then(|row| row.holder).unwrap_or_else(|| "nobody".into());
            Ok(Acquired::Held { by, unchanged_for: Millis(0) })
        }
        Err(failed) => Err(failed.unexpected(VERB)),
    }
}

/// Refuses a token that is not the newest one, or has run out by its holder's own clock.
pub(super) async fn ensure_held(store: &KubernetesStore, token: &LeaseToken) -> Result<(), StoreError> {
    let refused = match read(store).await? {
        None => Some("the Lease is gone".to_owned()),
        Some(row) if row.is_older_than(token) => return Err(old_answer()),
        Some(row) => row.refuses(token),
    };
    match refused {
        Some(why) => Err(lost(token, why)),
        None if !token.is_live() => {
            Err(lost(token, format!("number {} ran out before it was renewed", token.number())))
        }
        None => Ok(()),
    }
}

/// The lease is not lost by what a lagging server says; if it is never renewed again, it runs out.
fn old_answer() -> StoreError {
    let why = "the API server answered with an older state of the Lease".to_owned();
    StoreError::Api { verb: VERB, why, class: StoreErrorClass::Busy }
}

fn lost(token: &LeaseToken, why: String) -> StoreError {
    token.void();
    StoreError::LeaseLost { why }
}

pub(super) async fn renew(store: &KubernetesStore, token: &LeaseToken) -> Result<(), StoreError> {
    let began = store.clock.now().tick;
    if !token.is_live() {
        return Err(lost(token, format!("number {} ran out before it was renewed", token.number())));
    }
    let mut retry = Retry::default();
    let mut known = store.take_lease_version(token.number());
    loop {
        let version = if let Some(version) = known.take() {
            version
        } else {
            let row = read(store).await?.ok_or_else(|| lost(token, "the Lease is gone".to_owned()))?;
            if row.is_older_than(token) {
                return Err(old_answer());
            }
            if let Some(why) = row.refuses(token) {
                return Err(lost(token, why));
            }
            row.version
        };
        let next = describe(store, Some(&version), token.number(), Some(token.holder()), token.duration());
        let params = PostParams::default();
        match call(VERB, Effect::Write, leases(store).replace(&store.options.lease.name, &params, &next))
            .await
        {
            Ok(lease) => {
                store.remember_lease(token.number(), Row::of(&lease).version);
                token.prolong(began);
                return Ok(());
            }
            // Somebody touched the object: whose it is now stands in it.
            Err(Failed::Beaten | Failed::Missing) if retry.once_more() => {}
            Err(failed) => return Err(failed.unexpected(VERB)),
        }
    }
}

pub(super) async fn give_back(store: &KubernetesStore, token: &LeaseToken) -> Result<(), StoreError> {
    token.void();
    let mut retry = Retry::default();
    loop {
        let Some(row) = read(store).await?.filter(|row| row.refuses(token).is_none()) else { return Ok(()) };
        let next = describe(store, Some(&row.version), row.number, None, row.duration);
        let params = PostParams::default();
        match call(VERB, Effect::Write, leases(store).replace(&store.options.lease.name, &params, &next))
            .await
        {
            Ok(_) => return Ok(()),
            Err(Failed::Beaten | Failed::Missing) if retry.once_more() => {}
            Err(failed) => return Err(failed.unexpected(VERB)),
        }
    }
}

/// Asks whether the API server would take a change of the lease; nothing is written. That shows that it answers and
/// lets this process write here: not that it lets it write journals, and not that etcd has room.
pub(super) async fn check(store: &KubernetesStore) -> Result<(), StoreError> {
    const VERB: &str = "try a write";
    let params = PostParams { dry_run: true, ..PostParams::default() };
    let tried = match read(store).await? {
        None => {
            let lease = describe(store, None, 0, None, Millis(1000));
            call(VERB, Effect::Read, leases(store).create(&params, &lease)).await
        }
        Some(row) => {
            let lease = describe(store, Some(&row.version), row.number, row.holder.as_ref(), row.duration);
            call(VERB, Effect::Read, leases(store).replace(&store.options.lease.name, &params, &lease)).await
        }
    };
    match tried {
        // Somebody was quicker: it takes writes.
        Ok(_) | Err(Failed::Beaten | Failed::Missing) => Ok(()),
        Err(failed) => Err(failed.unexpected(VERB)),
    }
}

/// Whether another installation's Lease is there.
pub(super) async fn exists(store: &KubernetesStore, namespace: &str, name: &str) -> Result<bool, StoreError> {
    let api: Api<Lease> = Api::namespaced(store.client.clone(), namespace);
    match call(VERB, Effect::Read, api.get(name)).await {
        Ok(_) => Ok(true),
        Err(Failed::Missing) => Ok(false),
        Err(failed) => Err(failed.unexpected(VERB)),
    }
}

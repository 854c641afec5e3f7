//! What a watch shows of the policies: each state that anybody could have seen, not only the last one.

use super::spec::NAMESPACE;
use anyhow::bail;
use futures::StreamExt;
use kube::api::{ApiResource, DynamicObject, ListParams, WatchEvent, WatchParams};
use kube::{Api, Client};
use muster_crds::RegionFailoverPolicy;
use serde_json::Value;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// `Accepted` as it was said of one generation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Said {
    pub(super) generation: i64,
    pub(super) status: String,
    pub(super) message: String,
}

/// A policy as it was seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// The newest state.
    pub(super) object: Value,
    /// What was said of its generations at their time, in order, without repetition.
    pub(super) said: Vec<Said>,
    /// States of the status that differ from the one before.
    pub(super) statuses: usize,
}

/// By name.
type All = BTreeMap<String, Seen>;

/// Follows the policies until dropped.
#[derive(Clone, Debug)]
pub(super) struct Eyes {
    all: Arc<Mutex<All>>,
    changes: watch::Sender<u64>,
    _task: Arc<AbortOnDropHandle<()>>,
}

impl Eyes {
    pub(super) fn open(client: Client) -> Self {
        let all = Arc::<Mutex<All>>::default();
        let changes = watch::Sender::new(0);
        let task = tokio::spawn(follow(client, Arc::clone(&all), changes.clone()));
        Self { all, changes, _task: Arc::new(AbortOnDropHandle::new(task)) }
    }

    /// What was seen of one policy.
    pub(super) fn of(&self, name: &str) -> Seen {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned().unwrap_or_default()
    }

    /// Waits until `find` finds what it looks for, or answers why it is not there.
    pub(super) async fn until<T>(
        &self,
        name: &str,
        patience: Duration,
        find: impl Fn(&Seen) -> Result<T, String>,
    ) -> anyhow::Result<T> {
        let deadline = Instant::now() + patience;
        let mut changes = self.changes.subscribe();
        loop {
            changes.borrow_and_update();
            let why = match find(&self.of(name)) {
                Ok(found) => return Ok(found),
                Err(why) => why,
            };
            if tokio::time::timeout_at(deadline, changes.changed()).await.is_err() {
                bail!("not within {} s: {why}", patience.as_secs());
            }
        }
    }
}

async fn follow(client: Client, all: Arc<Mutex<All>>, changes: watch::Sender<u64>) {
    let resource = ApiResource::erase::<RegionFailoverPolicy>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(client, NAMESPACE, &resource);
    loop {
        let Ok(listed) = api.list(&ListParams::default()).await else {
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        };
        let mut version = listed.metadata.resource_version.unwrap_or_default();
        for object in listed.items {
            note(&all, &object);
        }
        changes.send_modify(|n| *n += 1);
        // A watch ends after some minutes; then it goes on from where it was.
        while let Ok(events) = api.watch(&WatchParams::default(), &version).await {
            let mut events = pin!(events);
            let mut broken = false;
            while let Some(event) = events.next().await {
                match event {
                    Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => {
                        version = object.metadata.resource_version.clone().unwrap_or_default();
                        note(&all, &object);
                    }
                    Ok(WatchEvent::Deleted(object)) => {
                        version = object.metadata.resource_version.clone().unwrap_or_default();
                        let name = object.metadata.name.unwrap_or_default();
                        all.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
                    }
                    Ok(WatchEvent::Bookmark(_)) => {}
                    Ok(WatchEvent::Error(_)) | Err(_) => broken = true,
                }
                changes.send_modify(|n| *n += 1);
            }
            if broken {
                break;
            }
        }
    }
}

fn note(all: &Mutex<All>, object: &DynamicObject) {
    let Ok(object) = serde_json::to_value(object) else { return };
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = all.entry(name).or_default();
    seen.statuses += usize::from(seen.object.get("status") != object.get("status"));
    let accepted = condition(&object, "Accepted");
    let generation = object["metadata"]["generation"].as_i64().unwrap_or_default();
    if accepted["observedGeneration"] == generation {
        let text = |field: &str| accepted[field].as_str().unwrap_or_default().to_owned();
        let said = Said { generation, status: text("status"), message: text("message") };
        if seen.said.last() != Some(&said) {
            seen.said.push(said);
        }
    }
    seen.object = object;
}

/// A condition of an object; null if it has none of this kind.
pub(super) fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let conditions = object["status"]["conditions"].as_array();
    conditions.and_then(|all| all.iter().find(|c| c["type"] == kind)).unwrap_or(&Value::Null)
}

//! The cluster as a source of policies.

use super::secrets::{ClusterSecrets, named_by};
use super::view::{Known, Unreadable, View};
use crate::engine::source::{Changed, Found, Listing, PolicySource, problem};
use kube::core::ObjectMeta;
use muster_core::ids::{Owner, PolicyName};
use muster_crds::RegionFailoverPolicy;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior};

/// Between two looks whether Secrets have other values now.
const RENEW_EVERY: Duration = Duration::from_secs(30);

/// After a change, for those that come with it.
const SETTLE: Duration = Duration::from_millis(20);

/// What the engine is offered: policies whose Secrets were asked for.
#[derive(Debug, Default)]
struct Offered {
    /// `None` until the first listing.
    policies: Mutex<Option<BTreeMap<String, Known<RegionFailoverPolicy>>>>,
    changes: AtomicU64,
    credentials: AtomicU64,
    wakes: Arc<Notify>,
}

/// Keeps [`ClusterSource`] up to date.
#[derive(Debug)]
pub(super) struct Feeder {
    view: View,
    secrets: Arc<ClusterSecrets>,
    offered: Arc<Offered>,
}

/// The source, for the engine.
#[derive(Debug)]
pub(super) struct ClusterSource {
    offered: Arc<Offered>,
    seen: Option<(u64, u64)>,
}

/// Both ends.
pub(super) fn source(view: View, secrets: Arc<ClusterSecrets>) -> (Feeder, ClusterSource) {
    let offered = Arc::new(Offered::default());
    let feeder = Feeder { view, secrets, offered: Arc::clone(&offered) };
    (feeder, ClusterSource { offered, seen: None })
}

impl Feeder {
    /// Runs until dropped. A policy is offered once its Secrets were asked for, so that it is not called bad for what
    /// nobody has looked at.
    pub(super) async fn feed(self) {
        let mut changes = self.view.policies.changes();
        let mut offered = None;
        // Of its own: changes come at any time, and must not put it off.
        let mut renewals = tokio::time::interval_at(Instant::now() + RENEW_EVERY, RENEW_EVERY);
        renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            changes.borrow_and_update();
            let present = self.view.policies.all().map(|policies| (prints(&policies), policies));
            // What Muster itself writes into their status changes no policy.
            if let Some((print, policies)) = present.filter(|(print, _)| offered.as_ref() != Some(print)) {
                offered = Some(print);
                let good = policies.values().filter_map(|known| match known {
                    Known::Good(policy) => Some(policy),
                    Known::Poisoned(_) => None,
                });
                let wanted: BTreeSet<_> = good.flat_map(|policy| named_by(policy)).collect();
                self.secrets.ensure(&wanted).await;
                *self.offered.policies.lock().unwrap_or_else(PoisonError::into_inner) = Some(policies);
                self.offered.changes.fetch_add(1, Ordering::Release);
                self.offered.wakes.notify_one();
            }
            tokio::select! {
                alive = changes.changed() => {
                    if alive.is_err() {
                        return;
                    }
                    // Changes come in crowds, each look is at everything.
                    tokio::time::sleep(SETTLE).await;
                }
                _ = renewals.tick() => {
                    if self.secrets.renew().await {
                        tracing::info!("Secrets have other values now");
                        self.offered.credentials.fetch_add(1, Ordering::Release);
                        self.offered.wakes.notify_one();
                    }
                }
            }
        }
    }
}

/// What tells one state of a policy from another.
#[derive(PartialEq, Eq)]
enum Print {
    Good { uid: Option<String>, generation: Option<i64> },
    Poisoned(Arc<Unreadable>),
}

fn prints(policies: &BTreeMap<String, Known<RegionFailoverPolicy>>) -> BTreeMap<String, Print> {
    let print = |known: &Known<RegionFailoverPolicy>| match known {
        Known::Good(policy) => {
            let (uid, generation) = (policy.metadata.uid.clone(), policy.metadata.generation);
            Print::Good { uid, generation }
        }
        Known::Poisoned(unreadable) => Print::Poisoned(Arc::clone(unreadable)),
    };
    policies.iter().map(|(key, known)| (key.clone(), print(known))).collect()
}

/// What a person wrote, without what others and Muster itself write into the object.
fn as_written(policy: &RegionFailoverPolicy) -> RegionFailoverPolicy {
    RegionFailoverPolicy {
        metadata: ObjectMeta {
            name: policy.metadata.name.clone(),
            namespace: policy.metadata.namespace.clone(),
            ..ObjectMeta::default()
        },
        spec: policy.spec.clone(),
        status: None,
    }
}

impl PolicySource for ClusterSource {
    fn look(&mut self) -> Changed {
        let now =
            (self.offered.changes.load(Ordering::Acquire), self.offered.credentials.load(Ordering::Acquire));
        let before = self.seen.replace(now);
        Changed {
            policies: before.is_none_or(|(changes, _)| changes != now.0),
            credentials: before.is_some_and(|(_, credentials)| credentials != now.1),
        }
    }

    fn wakes(&self) -> Arc<Notify> {
        Arc::clone(&self.offered.wakes)
    }

    fn listing(&self, in_force: &BTreeMap<PolicyName, String>) -> Listing {
        let mut listing = Listing::default();
        let policies = self.offered.policies.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(policies) = policies.as_ref() else {
            // Nothing was listed yet: nothing is known to be gone.
            listing.doubtful.extend(in_force.keys().cloned());
            listing.obscure = true;
            return listing;
        };
        for (key, known) in policies {
            let name = PolicyName::new(key.clone());
            match known {
                Known::Good(policy) => {
                    let meta = &policy.metadata;
                    let found = Found {
                        file: "RegionFailoverPolicy".to_owned(),
                        policy: as_written(policy),
                        uid: meta.uid.clone().map(Owner::new),
                        generation: meta.generation.and_then(|n| u64::try_from(n).ok()),
                    };
                    listing.found.insert(name, found);
                }
                Known::Poisoned(unreadable) => {
                    let message = format!("this version of Muster cannot read it: {}", unreadable.why);
                    listing.doubtful.insert(name.clone());
                    listing.problems.push(problem("RegionFailoverPolicy", Some(name), "Unreadable", message));
                }
            }
        }
        listing
    }
}

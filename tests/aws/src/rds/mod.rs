//! RDS, API version 2014-10-31: global databases of Aurora, and instances with replicas in other regions.
//!
//! ```text
//! operation ──► checked against the world ──► accepted: its first step ── pace ──► the next step ──► ...
//!                                                  │                                  │
//!                                                  └─► events, in the regions         └─► happenings, told in order
//! ```
//!
//! Nothing waits: what is due is carried out at its own instant when somebody looks, and every few milliseconds by a
//! task of the fake, which also tells the test's listener what happened, outside of every lock.
//!
//! Each region is an endpoint of its own. It shows its own clusters, instances, snapshots and events, and the global
//! databases that have a member in it.
//!
//! What this module must never do: change what a refused operation is about; show a later state before an earlier
//! one; call a listener under its lock.

mod arn;
mod databases;
mod events;
mod globals;
mod messages;
mod names;
mod operations;
mod paging;
mod reads;
mod refusals;
mod reports;
mod rights;
mod scene;
mod settings;
mod shape;
mod steps;
mod store;
mod world;

pub use settings::{FenceVerdict, NewGlobalCluster, NewMember, RdsEffect, RdsHappening, RdsMove, RdsPace};
pub use shape::InstanceShape;

pub(crate) use scene::Scene;

use crate::clock::Clock;
use crate::query::{Form, invalid_action};
use crate::request::ApiRequest;
use crate::rights::Need;
use crate::service::{Operation, Refusal, Reply, Service, Turn};
use crate::xml::{write_answer, write_error};
use arn::{Arn, Place};
use databases::Turning;
use messages::{ClusterElement, GlobalElement, InstanceElement, Single, SingleResult, XMLNS};
use operations::Action;
use reports::SnapshotElement;
use serde::Serialize;
use settings::Listener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::Store;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const VERSION: &str = "2014-10-31";
/// How long a happening waits to be told at most.
const TICK: Duration = Duration::from_millis(20);

/// The databases of every account.
pub(crate) struct Rds {
    clock: Arc<Clock>,
    store: Mutex<Store>,
    listeners: Mutex<Vec<Listener>>,
}

/// Carries out what is due and tells what happened, until the fake ends.
pub(crate) async fn keep_up(rds: Arc<Rds>, ended: CancellationToken) {
    while ended.run_until_cancelled(tokio::time::sleep(TICK)).await.is_some() {
        rds.tell_happenings();
    }
}

impl Rds {
    pub(crate) fn new(clock: Arc<Clock>) -> Self {
        let store = Mutex::new(Store::new(Arc::clone(&clock)));
        Self { clock, store, listeners: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this one is told what happens.
    pub(crate) fn listen(&self, listener: Listener) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    fn tell_happenings(&self) {
        let now = self.clock.now();
        let happened = {
            let mut store = self.lock();
            store.catch_up(now);
            store.take_happenings()
        };
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for happening in &happened {
            for listener in &listeners {
                listener(happening);
            }
        }
    }

    /// Arranges something behind the API's back.
    pub(crate) fn arrange<T>(&self, change: impl FnOnce(&mut Scene<'_>) -> T) -> T {
        let now = self.clock.now();
        let mut store = self.lock();
        let now = store.catch_up(now);
        let outcome = change(&mut Scene::new(&mut store, now));
        store.remember(now);
        outcome
    }

    fn answer(
        &self,
        action: Action,
        form: &Form,
        place: Place<'_>,
        turn: &Turn<'_>,
    ) -> Result<String, Refusal> {
        form.check(action.signature())?;
        let mut store = self.lock();
        let now = store.catch_up(turn.now);
        if action.signature().is_mutation {
            let subject = change(&mut store, action, (place, now), form)?;
            store.remember(now);
            return describe_subject(&store, &subject, action, turn);
        }
        let world = store.seen(turn.seen);
        match action {
            Action::DescribeGlobalClusters => {
                Ok(write(action, &reads::describe_globals(world, place, form)?, turn))
            }
            Action::DescribeDbClusters => {
                Ok(write(action, &reads::describe_clusters(world, place, form)?, turn))
            }
            Action::DescribeDbInstances => {
                Ok(write(action, &reads::describe_instances(world, place, form)?, turn))
            }
            Action::DescribeDbClusterSnapshots => {
                Ok(write(action, &reads::describe_snapshots(&store, world, place, form)?, turn))
            }
            Action::DescribeEvents => {
                Ok(write(action, &reads::describe_events(&store, place, turn, form)?, turn))
            }
            _ => Err(invalid_action()),
        }
    }
}

/// Carries out what changes something, and returns what it is about.
fn change(store: &mut Store, action: Action, at: (Place<'_>, Instant), form: &Form) -> Result<Arn, Refusal> {
    match action {
        Action::SwitchoverGlobalCluster => globals::accept_move(store, at, form, RdsMove::Switchover),
        Action::FailoverGlobalCluster => {
            let kind = globals::read_failover(form)?;
            globals::accept_move(store, at, form, kind)
        }
        Action::RemoveFromGlobalCluster => globals::accept_removal(store, at, form),
        Action::PromoteReadReplica => databases::accept_promotion(store, at, form),
        Action::CreateDbInstanceReadReplica => databases::accept_replica(store, at, form),
        Action::ModifyDbInstance => names::accept_rename(store, at, form),
        Action::DeleteDbInstance => names::accept_deletion(store, at, form),
        Action::StopDbInstance => databases::turn_instance(store, at, form, Turning::Off),
        Action::StartDbInstance => databases::turn_instance(store, at, form, Turning::On),
        Action::StopDbCluster => databases::turn_cluster(store, at, form, Turning::Off),
        Action::StartDbCluster => databases::turn_cluster(store, at, form, Turning::On),
        Action::CopyDbClusterSnapshot => databases::copy_snapshot(store, at, form),
        _ => Err(invalid_action()),
    }
}

/// Answers a change with what it is about, as it is now.
fn describe_subject(
    store: &Store,
    subject: &Arn,
    action: Action,
    turn: &Turn<'_>,
) -> Result<String, Refusal> {
    let world = &store.world;
    let content = if let Some(global) = world.globals.get(subject) {
        Single::GlobalCluster(GlobalElement::from(global))
    } else if let Some(cluster) = world.clusters.get(subject) {
        Single::Cluster(ClusterElement::new(cluster, world))
    } else if let Some(instance) = world.instances.get(subject) {
        Single::Instance(InstanceElement::new(instance, world))
    } else if let Some(snapshot) = world.snapshots.get(subject) {
        Single::Snapshot(SnapshotElement::new(snapshot, store.date(snapshot.created_at)))
    } else {
        return Err(invalid_action());
    };
    Ok(write(action, &SingleResult { content }, turn))
}

fn write<T: Serialize>(action: Action, result: &T, turn: &Turn<'_>) -> String {
    write_answer(XMLNS, action.signature().name, result, turn.request_id)
}

fn read(request: &ApiRequest) -> Option<(Action, Form)> {
    let form = Form::read(request, VERSION)?;
    Some((Action::read(&form)?, form))
}

impl Service for Rds {
    fn operation(&self, request: &ApiRequest) -> Option<Operation> {
        read(request).map(|(action, _)| action.signature().operation())
    }

    fn carry_out(&self, request: &ApiRequest, turn: &Turn<'_>) -> Result<Reply, Refusal> {
        let (action, form) = read(request).ok_or_else(invalid_action)?;
        let place = Place { region: &request.scope.region, account: turn.account };
        Ok(Reply::ok(self.answer(action, &form, place, turn)?))
    }

    fn needs(&self, request: &ApiRequest, account: &str) -> Vec<Need> {
        let Some((action, form)) = read(request) else { return Vec::new() };
        rights::needs_of(action, &form, Place { region: &request.scope.region, account })
    }

    fn refuse(&self, refusal: &Refusal, request_id: &str) -> Reply {
        Reply::new(refusal.status, write_error(Some(XMLNS), refusal, request_id))
    }
}

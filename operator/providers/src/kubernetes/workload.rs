//! One workload in every region.

use super::call::{Effect, Failure, within};
use super::effects::{Change, change};
use super::link::Link;
use super::look::{Objects, READ, look};
use crate::{AdoptedOwners, ComputeControl, OpCtx};
use async_trait::async_trait;
use kube::Client;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use muster_core::facts::{ComputeFacts, ErrorClass, Outcome, Seen};
use muster_core::ids::{ItemName, Owner, RegionName};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;

/// Where a region's workload is.
#[derive(Clone, Debug)]
pub struct Place {
    /// The region's cluster.
    pub link: Arc<Link>,
    /// The namespace within it.
    pub namespace: String,
}

/// What a workload is, and where.
#[derive(Clone, Debug)]
pub struct WorkloadConfig {
    /// The compute item.
    pub item: ItemName,
    /// The policy's UID.
    pub owner: Owner,
    /// Its kind.
    pub kind: GroupVersionKind,
    /// Its name, the same in each region.
    pub name: String,
    /// A Service whose ready endpoints count, instead of ready pods.
    pub service: Option<String>,
    /// By region.
    pub places: BTreeMap<RegionName, Place>,
    /// Owners whose marks may be replaced.
    pub adopted: AdoptedOwners,
}

/// A workload that runs in every region.
#[derive(Debug)]
pub struct Workload {
    pub(super) config: WorkloadConfig,
    resources: BTreeMap<RegionName, OnceCell<ApiResource>>,
}

impl Workload {
    /// Connects to nothing.
    pub fn new(config: WorkloadConfig) -> Self {
        let resources = config.places.keys().map(|region| (region.clone(), OnceCell::new())).collect();
        Self { config, resources }
    }

    /// For messages.
    pub(super) fn title(&self, region: &RegionName) -> String {
        let namespace = self.config.places.get(region).map_or("", |place| place.namespace.as_str());
        format!("{} {namespace}/{}", self.config.kind.kind, self.config.name)
    }

    /// What reaches it in a region.
    pub(super) async fn reach(&self, region: &RegionName) -> Result<Objects, Failure> {
        let unknown = || Failure::new(ErrorClass::Invalid, format!("no cluster is given for {region}"));
        let place = self.config.places.get(region).ok_or_else(unknown)?;
        let cell = self.resources.get(region).ok_or_else(unknown)?;
        let client = place.link.client().await?.clone();
        let resource = cell.get_or_try_init(|| discover(&client, &self.config.kind)).await?.clone();
        Ok(Objects { client, namespace: place.namespace.clone(), resource })
    }

    /// Carries out a change by the deadline of `ctx`.
    pub(super) async fn apply(&self, region: &RegionName, wanted: Change, ctx: &OpCtx) -> Outcome {
        let deadline = ctx.remaining();
        match tokio::time::timeout(deadline, self.change(region, wanted, ctx)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(failure)) => failure.outcome(),
            Err(_) => Outcome::Failed(
                ErrorClass::UnknownOutcome,
                format!("{}: no answer within {} ms", self.title(region), deadline.as_millis()),
            ),
        }
    }
}

/// A workload's own controller writes its status all the time, and each such write is a rival: so often a change is begun
/// anew, from what stands there then.
const RIVALS: u32 = 20;
/// Before it is begun anew.
const AFTER_RIVAL: Duration = Duration::from_millis(20);

impl Workload {
    async fn change(&self, region: &RegionName, wanted: Change, ctx: &OpCtx) -> Result<Outcome, Failure> {
        for _ in 0..RIVALS {
            match change(self, region, wanted, ctx).await {
                Err(failure) if failure.is_beaten => tokio::time::sleep(AFTER_RIVAL).await,
                other => return other,
            }
        }
        let why = format!("{}: somebody else changes it all the time", self.title(region));
        Err(Failure::new(ErrorClass::Conflict, why))
    }
}

/// What the cluster calls the kind: its plural stands in no policy.
async fn discover(client: &Client, kind: &GroupVersionKind) -> Result<ApiResource, Failure> {
    let found = within(Effect::Read, READ, kube::discovery::pinned_kind(client, kind)).await;
    let (resource, _) = found.map_err(|Failure { why, .. }| {
        Failure::new(
            ErrorClass::Transient,
            format!("the cluster does not say what a {} is: {why}", kind.kind),
        )
    })?;
    Ok(resource)
}

/// An object whose kind is known only by name.
pub(super) type Object = DynamicObject;

#[async_trait]
impl ComputeControl for Workload {
    async fn observe(&self, region: &RegionName, deadline: Duration) -> Seen<ComputeFacts> {
        match tokio::time::timeout(deadline, look(self, region)).await {
            Ok(Ok(seen)) => Seen::Known(seen.facts),
            Ok(Err(failure)) => Seen::Unknown(failure.why),
            Err(_) => Seen::Unknown(format!("no answer within {} ms", deadline.as_millis())),
        }
    }

    async fn scale(&self, region: &RegionName, replicas: u32, ctx: &OpCtx) -> Outcome {
        self.apply(region, Change::AtLeast(replicas), ctx).await
    }

    async fn restore(&self, region: &RegionName, replicas: Option<u32>, ctx: &OpCtx) -> Outcome {
        self.apply(region, Change::Back(replicas), ctx).await
    }
}

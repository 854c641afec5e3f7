//! What there is: global clusters, clusters, instances and snapshots of every account in every region.
//!
//! What this module must never do: know when anything changes.

use super::arn::{Arn, Place};
use super::shape::InstanceShape;
use std::collections::BTreeMap;
use tokio::time::Instant;

/// A state in which a cluster or an instance takes an operation.
pub(super) const AVAILABLE: &str = "available";

/// All of it at one instant.
#[derive(Clone, Default)]
pub(super) struct World {
    pub(super) globals: BTreeMap<Arn, GlobalCluster>,
    pub(super) clusters: BTreeMap<Arn, Cluster>,
    pub(super) instances: BTreeMap<Arn, DbInstance>,
    pub(super) snapshots: BTreeMap<Arn, Snapshot>,
}

/// A global database.
#[derive(Clone)]
pub(super) struct GlobalCluster {
    pub(super) arn: Arn,
    pub(super) resource_id: String,
    /// Where it was created; its endpoint shows it even without a member.
    pub(super) home: String,
    pub(super) status: String,
    pub(super) engine_version: String,
    pub(super) members: Vec<Member>,
    pub(super) failover: Option<FailoverState>,
    /// Counts the operations, so that what remains of one that ended does no harm to the next.
    pub(super) operation: u64,
}

/// A cluster of a global database.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) cluster: Arn,
    pub(super) is_writer: bool,
    /// `connected`; `pending-resync` if not.
    pub(super) is_connected: bool,
}

/// A switchover or a failover in progress.
#[derive(Clone)]
pub(super) struct FailoverState {
    pub(super) status: String,
    pub(super) from: Arn,
    pub(super) to: Arn,
    pub(super) is_data_loss_allowed: bool,
}

/// A cluster of Aurora.
#[derive(Clone)]
pub(super) struct Cluster {
    pub(super) arn: Arn,
    pub(super) resource_id: String,
    pub(super) status: String,
    pub(super) engine_version: String,
}

/// An instance, of a cluster or by itself.
#[derive(Clone)]
pub(super) struct DbInstance {
    pub(super) arn: Arn,
    pub(super) resource_id: String,
    pub(super) status: String,
    pub(super) engine_version: String,
    /// `None`: it is a database by itself.
    pub(super) cluster: Option<Arn>,
    /// What it replicates from.
    pub(super) source: Option<Arn>,
    /// In days; 0: no backups.
    pub(super) backup_retention: u32,
    /// The name that it is given soon.
    pub(super) new_name: Option<String>,
    pub(super) shape: InstanceShape,
}

/// A snapshot of a cluster.
#[derive(Clone)]
pub(super) struct Snapshot {
    pub(super) arn: Arn,
    pub(super) cluster: Arn,
    /// What it was copied from; the service took it by itself if from nothing.
    pub(super) source: Option<Arn>,
    pub(super) status: &'static str,
    pub(super) engine_version: String,
    pub(super) created_at: Instant,
}

impl GlobalCluster {
    pub(super) fn writer(&self) -> Option<&Member> {
        self.members.iter().find(|member| member.is_writer)
    }

    pub(super) fn member(&self, cluster: &Arn) -> Option<&Member> {
        self.members.iter().find(|member| member.cluster == *cluster)
    }

    pub(super) fn is_in(&self, region: &str) -> bool {
        self.members.iter().any(|member| member.cluster.region() == region)
    }

    /// Whether an endpoint shows it.
    pub(super) fn is_seen_at(&self, place: Place<'_>) -> bool {
        self.arn.account() == place.account && (self.home == place.region || self.is_in(place.region))
    }
}

impl Snapshot {
    /// As the API names it.
    pub(super) fn kind(&self) -> &'static str {
        if self.source.is_none() { "automated" } else { "manual" }
    }
}

impl World {
    /// The global database that a cluster is a member of.
    pub(super) fn global_of(&self, cluster: &Arn) -> Option<&GlobalCluster> {
        self.globals.values().find(|global| global.member(cluster).is_some())
    }

    pub(super) fn instances_of<'a>(&'a self, cluster: &'a Arn) -> impl Iterator<Item = &'a DbInstance> {
        self.instances.values().filter(move |instance| instance.cluster.as_ref() == Some(cluster))
    }

    pub(super) fn replicas_of<'a>(&'a self, source: &'a Arn) -> impl Iterator<Item = &'a DbInstance> {
        self.instances.values().filter(move |instance| instance.source.as_ref() == Some(source))
    }

    /// Changes the status of a cluster alone, if it is still there.
    pub(super) fn set_cluster_status(&mut self, cluster: &Arn, status: &str) -> Option<()> {
        status.clone_into(&mut self.clusters.get_mut(cluster)?.status);
        Some(())
    }

    /// Changes the status of an instance, if it is still there.
    pub(super) fn set_instance_status(&mut self, instance: &Arn, status: &str) -> Option<()> {
        status.clone_into(&mut self.instances.get_mut(instance)?.status);
        Some(())
    }

    /// Of an instance, or of a cluster.
    pub(super) fn status_of(&self, database: &Arn) -> Option<&str> {
        let of_instance = self.instances.get(database).map(|instance| instance.status.as_str());
        of_instance.or_else(|| self.clusters.get(database).map(|cluster| cluster.status.as_str()))
    }

    /// Changes the status of an instance, or of a cluster and all its instances.
    pub(super) fn set_status(&mut self, database: &Arn, status: &str) -> Option<()> {
        if self.instances.contains_key(database) {
            return self.set_instance_status(database, status);
        }
        let of_cluster = |instance: &&mut DbInstance| instance.cluster.as_ref() == Some(database);
        for instance in self.instances.values_mut().filter(of_cluster) {
            status.clone_into(&mut instance.status);
        }
        self.set_cluster_status(database, status)
    }
}

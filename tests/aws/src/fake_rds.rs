//! The databases, as tests arrange them: the part of the handle that is about RDS.
//!
//! Global databases, clusters and instances are named by their ARNs, which the methods that create them return.

use crate::fake::FakeAws;
use crate::rds::{
    FenceVerdict, InstanceShape, NewGlobalCluster, NewMember, RdsHappening, RdsMove, RdsPace, Scene,
};
use std::collections::BTreeMap;
use std::sync::Arc;

impl FakeAws {
    fn arrange_rds<T>(&self, change: impl FnOnce(&mut Scene<'_>) -> T) -> T {
        self.shared().rds.arrange(change)
    }

    /// Sets how long the steps of every operation take from now on.
    pub fn set_rds_pace(&self, pace: RdsPace) {
        self.arrange_rds(|scene| scene.set_pace(pace));
    }

    /// Calls this with everything that happens to a database from now on, in order, within some 20 ms of its
    /// happening. It is called by one task, outside of every lock, and must not block for long.
    pub fn on_rds_event(&self, callback: Arc<dyn Fn(&RdsHappening) + Send + Sync>) {
        self.shared().rds.listen(callback);
    }

    /// Creates a global database whose first member is the writer; all are available and connected.
    pub fn create_global_cluster(
        &self,
        account: &str,
        name: &str,
        members: &[NewMember],
    ) -> NewGlobalCluster {
        self.arrange_rds(|scene| scene.create_global_cluster(account, name, members))
    }

    /// Creates a cluster that is a member of no global database, and returns its ARN.
    pub fn create_cluster(&self, account: &str, cluster: &NewMember) -> String {
        self.arrange_rds(|scene| scene.create_cluster(account, cluster))
    }

    /// Creates an instance that is a database by itself, and returns its ARN.
    pub fn create_instance(&self, account: &str, region: &str, name: &str) -> String {
        self.arrange_rds(|scene| scene.create_instance(account, region, name))
    }

    /// Creates a replica of an instance, which replicates at once, and returns its ARN.
    ///
    /// # Panics
    /// If there is no instance with the ARN `source`.
    pub fn create_read_replica(&self, source: &str, region: &str, name: &str) -> String {
        let created = self.arrange_rds(|scene| scene.create_read_replica(source, region, name));
        created.expect("a replica is created of an instance that was created")
    }

    /// Gives a cluster another status, as `modifying`, until an operation changes it.
    ///
    /// # Panics
    /// If there is no cluster with this ARN.
    pub fn set_cluster_status(&self, cluster: &str, status: &str) {
        let set = self.arrange_rds(|scene| scene.set_cluster_status(cluster, status));
        set.expect("a status is that of a cluster that was created");
    }

    /// Gives an instance another status, as `backing-up`. An operation that was on its way in it goes no further.
    ///
    /// # Panics
    /// If there is no instance with this ARN.
    pub fn set_instance_status(&self, instance: &str, status: &str) {
        let set = self.arrange_rds(|scene| scene.set_instance_status(instance, status));
        set.expect("a status is that of an instance that was created");
    }

    /// Gives an instance other settings.
    ///
    /// # Panics
    /// If there is no instance with this ARN.
    pub fn set_instance_shape(&self, instance: &str, shape: InstanceShape) {
        let set = self.arrange_rds(|scene| scene.set_instance_shape(instance, shape));
        set.expect("settings are those of an instance that was created");
    }

    /// The settings of all instances that an account has in a region, by their names.
    pub fn instance_shapes(&self, account: &str, region: &str) -> BTreeMap<String, InstanceShape> {
        self.arrange_rds(|scene| scene.instance_shapes(account, region))
    }

    /// Takes an instance away at once, as somebody who deleted it.
    ///
    /// # Panics
    /// If there is no instance with this ARN.
    pub fn remove_instance(&self, instance: &str) {
        let removed = self.arrange_rds(|scene| scene.remove_instance(instance));
        removed.expect("an instance that was created is removed");
    }

    /// Has an instance keep its backups for so many days; 0: it has none.
    ///
    /// # Panics
    /// If there is no instance with this ARN.
    pub fn set_backups(&self, instance: &str, days: u32) {
        let set = self.arrange_rds(|scene| scene.set_backups(instance, days));
        set.expect("backups are those of an instance that was created");
    }

    /// Gives a global database another status, as `modifying`.
    ///
    /// # Panics
    /// If there is no global database with this ARN.
    pub fn set_global_cluster_status(&self, global: &str, status: &str) {
        let set = self.arrange_rds(|scene| scene.set_global_status(global, status));
        set.expect("a status is that of a global database that was created");
    }

    /// Gives a global database, a cluster or an instance another version of its engine.
    ///
    /// # Panics
    /// If there is nothing with this ARN.
    pub fn set_engine_version(&self, database: &str, version: &str) {
        let set = self.arrange_rds(|scene| scene.set_engine_version(database, version));
        set.expect("a version is that of a database that was created");
    }

    /// Removes all instances of a cluster, which is headless then.
    ///
    /// # Panics
    /// If there is no cluster with this ARN.
    pub fn remove_instances(&self, cluster: &str) {
        let removed = self.arrange_rds(|scene| scene.remove_instances(cluster));
        removed.expect("instances are removed from a cluster that was created");
    }

    /// Shows this state of a switchover or failover, whether the service knows such a one or not, and ends what is
    /// really going on there. An empty status takes the state away; the status of the global database stays.
    ///
    /// # Panics
    /// If there is no global database with this ARN.
    pub fn set_failover_state(&self, global: &str, status: &str, from: &str, to: &str, data_loss: bool) {
        let set = self.arrange_rds(|scene| scene.set_failover_state(global, status, (from, to), data_loss));
        set.expect("a state is that of a global database that was created");
        self.shared().allow_unheard_of(status);
    }

    /// Another operator starts a switchover or a failover, which is no call here, and takes the course of any other.
    ///
    /// # Panics
    /// If the service would refuse it.
    pub fn start_by_somebody_else(&self, global: &str, target: &str, kind: RdsMove) {
        let started = self.arrange_rds(|scene| scene.start_move(global, target, kind));
        started.expect("an operation is started in a state that takes it");
    }

    /// Chooses whether the writes of the old writer are blocked in switchovers and failovers that begin from now on.
    pub fn set_fence_verdict(&self, verdict: FenceVerdict) {
        self.arrange_rds(|scene| scene.set_fence_verdict(verdict));
    }

    /// Chooses whether RDS itself cannot reach the old writer's region: the verdict of the fence is then recorded on
    /// the new one. What clients reach is a matter of faults.
    pub fn set_old_writer_lost(&self, is_lost: bool) {
        self.arrange_rds(|scene| scene.set_old_writer_lost(is_lost));
    }

    /// The next switchover or failover fails after it has begun, and is cancelled.
    pub fn fail_next_failover(&self) {
        self.arrange_rds(|scene| scene.set_next_fails(true));
    }
}

//! What a test arranges behind the API's back: what there is at first, and who interferes.
//!
//! What this module must never do: refuse what the service would never show, for a test may want to see what comes
//! of it.

use super::arn::{Arn, Kind, Place};
use super::globals::start_move;
use super::settings::{FenceVerdict, NewGlobalCluster, NewMember, RdsMove, RdsPace};
use super::shape::InstanceShape;
use super::store::Store;
use super::world::{AVAILABLE, Cluster, DbInstance, FailoverState, GlobalCluster, Member};
use std::collections::BTreeMap;
use tokio::time::Instant;

const AURORA_VERSION: &str = "16.6";
const POSTGRES_VERSION: &str = "16.6";
/// In days.
const FIRST_RETENTION: u32 = 7;

/// The world, to be arranged at one instant. What does not exist is answered with `None`.
pub(crate) struct Scene<'a> {
    store: &'a mut Store,
    now: Instant,
}

impl<'a> Scene<'a> {
    pub(super) fn new(store: &'a mut Store, now: Instant) -> Self {
        Self { store, now }
    }

    /// The first member is the writer.
    pub(crate) fn create_global_cluster(
        &mut self,
        account: &str,
        name: &str,
        members: &[NewMember],
    ) -> NewGlobalCluster {
        let home = members.first().map(|member| member.region.clone()).unwrap_or_default();
        let arn = Arn::new(Kind::GlobalCluster, Place { region: &home, account }, name);
        let clusters: Vec<Arn> = members.iter().map(|member| self.create_member(account, member)).collect();
        let resource_id = self.store.next_resource_id("cluster");
        let by_region = clusters.iter().map(|cluster| (cluster.region().to_owned(), cluster.to_string()));
        let created = NewGlobalCluster {
            arn: arn.to_string(),
            resource_id: resource_id.clone(),
            clusters: by_region.collect::<BTreeMap<_, _>>(),
        };
        let members = clusters.into_iter().enumerate();
        let global = GlobalCluster {
            arn: arn.clone(),
            resource_id,
            home,
            status: AVAILABLE.to_owned(),
            engine_version: AURORA_VERSION.to_owned(),
            members: members
                .map(|(number, cluster)| Member { cluster, is_writer: number == 0, is_connected: true })
                .collect(),
            failover: None,
            operation: 0,
        };
        self.store.world.globals.insert(arn, global);
        created
    }

    fn create_member(&mut self, account: &str, member: &NewMember) -> Arn {
        let place = Place { region: &member.region, account };
        let arn = Arn::new(Kind::Cluster, place, &member.cluster);
        let cluster = Cluster {
            arn: arn.clone(),
            resource_id: self.store.next_resource_id("cluster"),
            status: AVAILABLE.to_owned(),
            engine_version: AURORA_VERSION.to_owned(),
        };
        self.store.world.clusters.insert(arn.clone(), cluster);
        for name in &member.instances {
            let instance = Arn::new(Kind::Instance, place, name);
            self.insert_instance(&instance, AURORA_VERSION, Some(arn.clone()), None);
        }
        arn
    }

    fn insert_instance(&mut self, arn: &Arn, version: &str, cluster: Option<Arn>, source: Option<Arn>) {
        let backup_retention = if source.is_some() { 0 } else { FIRST_RETENTION };
        let instance = DbInstance {
            arn: arn.clone(),
            resource_id: self.store.next_resource_id("db"),
            status: AVAILABLE.to_owned(),
            engine_version: version.to_owned(),
            cluster,
            source,
            backup_retention,
            new_name: None,
            shape: InstanceShape::default(),
        };
        self.store.world.instances.insert(arn.clone(), instance);
    }

    /// A cluster that is a member of no global database, and stands by itself.
    pub(crate) fn create_cluster(&mut self, account: &str, member: &NewMember) -> String {
        self.create_member(account, member).to_string()
    }

    pub(crate) fn create_instance(&mut self, account: &str, region: &str, name: &str) -> String {
        let arn = Arn::new(Kind::Instance, Place { region, account }, name);
        self.insert_instance(&arn, POSTGRES_VERSION, None, None);
        arn.to_string()
    }

    pub(crate) fn create_read_replica(&mut self, source: &str, region: &str, name: &str) -> Option<String> {
        let source = Arn::given(source);
        let version = self.store.world.instances.get(&source)?.engine_version.clone();
        let arn = Arn::new(Kind::Instance, Place { region, account: source.account() }, name);
        self.insert_instance(&arn, &version, None, Some(source));
        Some(arn.to_string())
    }

    pub(crate) fn set_cluster_status(&mut self, cluster: &str, status: &str) -> Option<()> {
        self.store.world.set_cluster_status(&Arn::given(cluster), status)
    }

    pub(crate) fn set_instance_status(&mut self, instance: &str, status: &str) -> Option<()> {
        self.store.world.set_instance_status(&Arn::given(instance), status)
    }

    pub(crate) fn set_instance_shape(&mut self, instance: &str, shape: InstanceShape) -> Option<()> {
        self.store.world.instances.get_mut(&Arn::given(instance))?.shape = shape;
        Some(())
    }

    /// By name.
    pub(crate) fn instance_shapes(&self, account: &str, region: &str) -> BTreeMap<String, InstanceShape> {
        let place = Place { region, account };
        let there = self.store.world.instances.values().filter(|instance| instance.arn.is_at(place));
        there.map(|instance| (instance.arn.name().to_owned(), instance.shape.clone())).collect()
    }

    pub(crate) fn remove_instance(&mut self, instance: &str) -> Option<()> {
        self.store.world.instances.remove(&Arn::given(instance)).map(drop)
    }

    /// In days.
    pub(crate) fn set_backups(&mut self, instance: &str, retention: u32) -> Option<()> {
        self.store.world.instances.get_mut(&Arn::given(instance))?.backup_retention = retention;
        Some(())
    }

    pub(crate) fn set_global_status(&mut self, global: &str, status: &str) -> Option<()> {
        let global = self.store.world.globals.get_mut(&Arn::given(global))?;
        status.clone_into(&mut global.status);
        Some(())
    }

    /// Of a global database, a cluster, or an instance.
    pub(crate) fn set_engine_version(&mut self, database: &str, version: &str) -> Option<()> {
        let arn = Arn::given(database);
        let world = &mut self.store.world;
        let of_global = world.globals.get_mut(&arn).map(|global| &mut global.engine_version);
        let of_cluster = world.clusters.get_mut(&arn).map(|cluster| &mut cluster.engine_version);
        let of_instance = world.instances.get_mut(&arn).map(|instance| &mut instance.engine_version);
        version.clone_into(of_global.or(of_cluster).or(of_instance)?);
        Some(())
    }

    pub(crate) fn remove_instances(&mut self, cluster: &str) -> Option<()> {
        let cluster = Arn::given(cluster);
        let world = &mut self.store.world;
        world.instances.retain(|_, instance| instance.cluster.as_ref() != Some(&cluster));
        world.clusters.contains_key(&cluster).then_some(())
    }

    /// Whatever goes on there goes on no longer; an empty status takes the state away.
    pub(crate) fn set_failover_state(
        &mut self,
        global: &str,
        status: &str,
        (from, to): (&str, &str),
        is_data_loss_allowed: bool,
    ) -> Option<()> {
        let global = self.store.world.globals.get_mut(&Arn::given(global))?;
        global.operation += 1;
        let state = FailoverState {
            status: status.to_owned(),
            from: Arn::given(from),
            to: Arn::given(to),
            is_data_loss_allowed,
        };
        global.failover = (!status.is_empty()).then_some(state);
        Some(())
    }

    /// `None`: the service would refuse it.
    pub(crate) fn start_move(&mut self, global: &str, target: &str, kind: RdsMove) -> Option<()> {
        start_move(self.store, self.now, &Arn::given(global), &Arn::given(target), kind).ok()
    }

    pub(crate) fn set_pace(&mut self, pace: RdsPace) {
        self.store.settings.pace = pace;
    }

    pub(crate) fn set_fence_verdict(&mut self, verdict: FenceVerdict) {
        self.store.settings.verdict = verdict;
    }

    pub(crate) fn set_old_writer_lost(&mut self, is_lost: bool) {
        self.store.settings.is_old_writer_lost = is_lost;
    }

    pub(crate) fn set_next_fails(&mut self, does_fail: bool) {
        self.store.settings.does_next_fail = does_fail;
    }
}

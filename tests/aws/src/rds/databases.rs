//! Operations on single instances and clusters, and on snapshots.
//!
//! What this module must never do: stop a member of a global database or a part of a replication, as the service
//! does not either.

use super::arn::{Arn, Kind, Place};
use super::refusals::RdsRefusal;
use super::settings::RdsEffect;
use super::shape::{Asked, InstanceShape, check_encryption};
use super::steps::Step;
use super::store::Store;
use super::world::{AVAILABLE, Cluster, DbInstance, Snapshot, World};
use crate::query::{Form, invalid_value};
use crate::service::Refusal;
use tokio::time::Instant;

const STOPPED: &str = "stopped";
/// In days; what a promotion sets unless it is told otherwise.
const USUAL_RETENTION: u32 = 1;
const LONGEST_RETENTION: u32 = 35;

/// The cluster, if the place's endpoint shows it.
pub(super) fn find_cluster<'a>(
    world: &'a World,
    place: Place<'_>,
    text: &str,
) -> Result<&'a Cluster, RdsRefusal> {
    let found = world.clusters.get(&Arn::named(Kind::Cluster, place, text));
    let seen = found.filter(|cluster| cluster.arn.is_at(place));
    seen.ok_or_else(|| RdsRefusal::ClusterNotFound(text.to_owned()))
}

/// The instance, if the place's endpoint shows it.
pub(super) fn find_instance<'a>(
    world: &'a World,
    place: Place<'_>,
    text: &str,
) -> Result<&'a DbInstance, RdsRefusal> {
    let found = world.instances.get(&Arn::named(Kind::Instance, place, text));
    let seen = found.filter(|instance| instance.arn.is_at(place));
    seen.ok_or_else(|| RdsRefusal::InstanceNotFound(text.to_owned()))
}

/// The snapshot, if the caller may copy it from this place: it may be in another region.
fn find_snapshot<'a>(world: &'a World, place: Place<'_>, text: &str) -> Result<&'a Snapshot, RdsRefusal> {
    let found = world.snapshots.get(&Arn::named(Kind::ClusterSnapshot, place, text));
    let owned = found.filter(|snapshot| snapshot.arn.account() == place.account);
    owned.ok_or_else(|| RdsRefusal::SnapshotNotFound(text.to_owned()))
}

pub(super) fn refuse_instance(instance: &DbInstance, why: &str) -> RdsRefusal {
    RdsRefusal::InvalidInstanceState(format!("DB Instance {} {why}", instance.arn.name()))
}

pub(super) fn expect_status(instance: &DbInstance, status: &str) -> Result<(), RdsRefusal> {
    if instance.status == status {
        return Ok(());
    }
    Err(refuse_instance(instance, &format!("is not in {status} state: it is {}", instance.status)))
}

pub(super) fn accept_promotion(
    store: &mut Store,
    (place, now): (Place<'_>, Instant),
    form: &Form,
) -> Result<Arn, Refusal> {
    let backup_retention = form.number("BackupRetentionPeriod")?.unwrap_or(USUAL_RETENTION);
    if backup_retention > LONGEST_RETENTION {
        return Err(invalid_value("BackupRetentionPeriod must be between 0 and 35"));
    }
    let instance = find_instance(&store.world, place, form.require("DBInstanceIdentifier")?)?;
    if instance.source.is_none() {
        return Err(refuse_instance(instance, "is not a read replica").into());
    }
    expect_status(instance, AVAILABLE)?;
    let replica = instance.arn.clone();
    store.world.set_instance_status(&replica, "modifying");
    let (promote, reboot) = (store.settings.pace.promote, store.settings.pace.reboot);
    store.after(now, promote, Step::Reboot(replica.clone()));
    let promoted = Step::Promote { replica: replica.clone(), backup_retention };
    store.after(now, promote.saturating_add(reboot), promoted);
    Ok(replica)
}

pub(super) fn accept_replica(
    store: &mut Store,
    (place, now): (Place<'_>, Instant),
    form: &Form,
) -> Result<Arn, Refusal> {
    let name = form.require("DBInstanceIdentifier")?;
    let text = form.require("SourceDBInstanceIdentifier")?;
    let source = store.world.instances.get(&Arn::named(Kind::Instance, place, text));
    let source = source.filter(|source| source.arn.account() == place.account);
    let source = source.ok_or_else(|| RdsRefusal::InstanceNotFound(text.to_owned()))?;
    expect_status(source, AVAILABLE)?;
    if source.backup_retention == 0 {
        return Err(refuse_instance(source, "has no automated backups").into());
    }
    let asked =
        Asked { region: place.region, source_region: source.arn.region(), source_arn: source.arn.as_str() };
    check_encryption(form, &asked, &source.shape)?;
    let shape = InstanceShape::of_replica(form, &source.shape)?;
    let replica = Arn::new(Kind::Instance, place, name);
    if store.world.instances.contains_key(&replica) {
        return Err(RdsRefusal::InstanceAlreadyExists(name.to_owned()).into());
    }
    let (source, engine_version) = (source.arn.clone(), source.engine_version.clone());
    let instance = DbInstance {
        arn: replica.clone(),
        resource_id: store.next_resource_id("db"),
        status: "creating".to_owned(),
        engine_version,
        cluster: None,
        source: Some(source),
        backup_retention: 0,
        new_name: None,
        shape,
    };
    store.world.instances.insert(replica.clone(), instance);
    let step = way(&replica, "creating", AVAILABLE, RdsEffect::Replicates);
    store.after(now, store.settings.pace.create, step);
    Ok(replica)
}

fn way(database: &Arn, from: &'static str, to: &'static str, effect: RdsEffect) -> Step {
    Step::Settle { database: database.clone(), from, to, effect: Some(effect) }
}

/// Whether a database stops or starts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Turning {
    Off,
    On,
}

impl Turning {
    /// In which status it is asked for.
    fn expected(self) -> &'static str {
        if self == Self::Off { AVAILABLE } else { STOPPED }
    }

    fn begin(self, store: &mut Store, now: Instant, database: &Arn) {
        let pace = store.settings.pace;
        let (status, time, step) = match self {
            Self::Off => ("stopping", pace.stop, way(database, "stopping", STOPPED, RdsEffect::Stopped)),
            Self::On => ("starting", pace.start, way(database, "starting", AVAILABLE, RdsEffect::Started)),
        };
        store.world.set_status(database, status);
        store.after(now, time, step);
    }
}

pub(super) fn turn_instance(
    store: &mut Store,
    (place, now): (Place<'_>, Instant),
    form: &Form,
    turning: Turning,
) -> Result<Arn, Refusal> {
    let instance = find_instance(&store.world, place, form.require("DBInstanceIdentifier")?)?;
    if instance.cluster.is_some() {
        let message = "aurora-postgresql DB instances are not eligible for stopping or starting.".to_owned();
        return Err(RdsRefusal::InvalidParameterCombination(message).into());
    }
    let replicates = instance.source.is_some() || store.world.replicas_of(&instance.arn).next().is_some();
    if turning == Turning::Off && replicates {
        return Err(refuse_instance(instance, "is, or has, a read replica, and can't be stopped").into());
    }
    expect_status(instance, turning.expected())?;
    let database = instance.arn.clone();
    turning.begin(store, now, &database);
    Ok(database)
}

pub(super) fn turn_cluster(
    store: &mut Store,
    (place, now): (Place<'_>, Instant),
    form: &Form,
    turning: Turning,
) -> Result<Arn, Refusal> {
    let cluster = find_cluster(&store.world, place, form.require("DBClusterIdentifier")?)?;
    let name = cluster.arn.name();
    if store.world.global_of(&cluster.arn).is_some() {
        let message =
            format!("DB cluster {name} is a member of a global cluster, and can't be stopped or started.");
        return Err(RdsRefusal::InvalidClusterState(message).into());
    }
    if cluster.status != turning.expected() {
        let message = format!("DB cluster {name} is in {} state", cluster.status);
        return Err(RdsRefusal::InvalidClusterState(message).into());
    }
    let database = cluster.arn.clone();
    turning.begin(store, now, &database);
    Ok(database)
}

pub(super) fn copy_snapshot(
    store: &mut Store,
    (place, now): (Place<'_>, Instant),
    form: &Form,
) -> Result<Arn, Refusal> {
    let text = form.require("SourceDBClusterSnapshotIdentifier")?;
    let name = form.require("TargetDBClusterSnapshotIdentifier")?;
    if name.contains(':') || name.len() > 63 || name.ends_with('-') || name.contains("--") {
        return Err(invalid_value(&format!("{name} is not a valid identifier of a snapshot")));
    }
    let source = find_snapshot(&store.world, place, text)?;
    let copy = Arn::new(Kind::ClusterSnapshot, place, name);
    if store.world.snapshots.contains_key(&copy) {
        return Err(RdsRefusal::SnapshotAlreadyExists(name.to_owned()).into());
    }
    if source.status != AVAILABLE {
        return Err(RdsRefusal::InvalidSnapshotState(text.to_owned()).into());
    }
    let snapshot = Snapshot {
        arn: copy.clone(),
        source: Some(source.arn.clone()),
        status: "creating",
        created_at: now,
        ..source.clone()
    };
    store.world.snapshots.insert(copy.clone(), snapshot);
    store.after(now, store.settings.pace.snapshot, Step::CompleteSnapshot(copy.clone()));
    Ok(copy)
}

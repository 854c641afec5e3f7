//! What is there, as one region shows it to one account.
//!
//! What this module must never do: change anything; show what another account or region has.

use super::arn::{Arn, Place};
use super::databases::{find_cluster, find_instance};
use super::globals;
use super::messages::{ClustersResult, GlobalsResult, InstancesResult};
use super::paging::{page, read_filters};
use super::refusals::RdsRefusal;
use super::reports::{EventsResult, SnapshotsResult};
use super::store::Store;
use super::world::World;
use crate::query::{Form, invalid_value};
use crate::service::{Refusal, Turn};
use jiff::{SignedDuration, Timestamp};

/// How far back events go unless the caller says so, in minutes.
const USUAL_MINUTES: u32 = 60;
/// How long the service keeps events.
const LONGEST_MINUTES: u32 = 14 * 24 * 60;
const SOURCE_TYPES: [&str; 11] = [
    "db-instance",
    "db-parameter-group",
    "db-security-group",
    "db-snapshot",
    "db-cluster",
    "db-cluster-snapshot",
    "custom-engine-version",
    "db-proxy",
    "blue-green-deployment",
    "db-shard-group",
    "zero-etl",
];

pub(super) fn describe_globals<'a>(
    world: &'a World,
    place: Place<'_>,
    form: &Form,
) -> Result<GlobalsResult<'a>, Refusal> {
    if let Some(name) = form.get("GlobalClusterIdentifier") {
        let global = globals::find(world, place, name)?;
        return Ok(GlobalsResult::new(page([global], form)?));
    }
    let filters = read_filters(form, &["region"])?;
    let shown = world.globals.values().filter(|global| global.is_seen_at(place));
    let wanted =
        shown.filter(|global| filters.iter().all(|filter| filter.has_any(|region| global.is_in(region))));
    Ok(GlobalsResult::new(page(wanted, form)?))
}

pub(super) fn describe_clusters<'a>(
    world: &'a World,
    place: Place<'_>,
    form: &Form,
) -> Result<ClustersResult<'a>, Refusal> {
    if let Some(name) = form.get("DBClusterIdentifier") {
        let cluster = find_cluster(world, place, name)?;
        return Ok(ClustersResult::new(page([cluster], form)?, world));
    }
    let filters = read_filters(form, &["db-cluster-id", "db-cluster-resource-id"])?;
    let shown = world.clusters.values().filter(|cluster| cluster.arn.is_at(place));
    let wanted = shown.filter(|cluster| {
        filters.iter().all(|filter| match filter.name {
            "db-cluster-id" => filter.names(&cluster.arn),
            _ => filter.has(&cluster.resource_id),
        })
    });
    Ok(ClustersResult::new(page(wanted, form)?, world))
}

pub(super) fn describe_instances<'a>(
    world: &'a World,
    place: Place<'_>,
    form: &Form,
) -> Result<InstancesResult<'a>, Refusal> {
    if let Some(name) = form.get("DBInstanceIdentifier") {
        let instance = find_instance(world, place, name)?;
        return Ok(InstancesResult::new(page([instance], form)?, world));
    }
    let filters = read_filters(form, &["db-cluster-id", "db-instance-id", "dbi-resource-id"])?;
    let shown = world.instances.values().filter(|instance| instance.arn.is_at(place));
    let wanted = shown.filter(|instance| {
        filters.iter().all(|filter| match filter.name {
            "db-cluster-id" => instance.cluster.as_ref().is_some_and(|cluster| filter.names(cluster)),
            "db-instance-id" => filter.names(&instance.arn),
            _ => filter.has(&instance.resource_id),
        })
    });
    Ok(InstancesResult::new(page(wanted, form)?, world))
}

pub(super) fn describe_snapshots<'a>(
    store: &'a Store,
    world: &'a World,
    place: Place<'_>,
    form: &Form,
) -> Result<SnapshotsResult<'a>, Refusal> {
    let cluster = form.get("DBClusterIdentifier");
    let name = form.get("DBClusterSnapshotIdentifier");
    let kind = form.get("SnapshotType");
    if let Some(other) = kind.filter(|kind| !["automated", "manual"].contains(kind)) {
        return Err(invalid_value(&format!("This fake does not know snapshots of the type {other}")));
    }
    let is_named = |arn: &Arn, text: &str| arn.name() == text || arn.as_str() == text;
    let wanted = world.snapshots.values().filter(|snapshot| {
        snapshot.arn.is_at(place)
            && cluster.is_none_or(|cluster| is_named(&snapshot.cluster, cluster))
            && name.is_none_or(|name| is_named(&snapshot.arn, name))
            && kind.is_none_or(|kind| snapshot.kind() == kind)
    });
    let found = page(wanted, form)?;
    match name {
        Some(name) if found.items.is_empty() => Err(RdsRefusal::SnapshotNotFound(name.to_owned()).into()),
        _ => Ok(SnapshotsResult::new(found, |snapshot| store.date(snapshot.created_at))),
    }
}

pub(super) fn describe_events<'a>(
    store: &'a Store,
    place: Place<'_>,
    turn: &Turn<'_>,
    form: &Form,
) -> Result<EventsResult<'a>, Refusal> {
    let source = form.get("SourceIdentifier");
    let kind = form.get("SourceType");
    if source.is_some() && kind.is_none() {
        let message = "SourceIdentifier needs a SourceType".to_owned();
        return Err(RdsRefusal::InvalidParameterCombination(message).into());
    }
    if let Some(other) = kind.filter(|kind| !SOURCE_TYPES.contains(kind)) {
        return Err(invalid_value(&format!("Invalid source type: {other}")));
    }
    let categories = form.list("EventCategories.EventCategory");
    let (start, end) = read_window(form, store.date(turn.seen))?;
    let wanted = store.events_until(turn.seen).map(|event| (event, store.date(event.at)));
    let wanted = wanted.filter(|(event, date)| {
        event.source.is_at(place)
            && (start..=end).contains(date)
            && kind.is_none_or(|kind| event.source_type() == kind)
            && source.is_none_or(|source| event.source.name() == source)
            && (categories.is_empty() || event.categories().iter().any(|one| categories.contains(one)))
    });
    Ok(EventsResult::new(page(wanted, form)?))
}

/// From when to when events are asked for.
fn read_window(form: &Form, now: Timestamp) -> Result<(Timestamp, Timestamp), Refusal> {
    let minutes = form.number("Duration")?.unwrap_or(USUAL_MINUTES).min(LONGEST_MINUTES);
    let duration = SignedDuration::from_mins(i64::from(minutes));
    let end = read_time(form, "EndTime")?.unwrap_or(now);
    let start = read_time(form, "StartTime")?;
    let start = start.unwrap_or_else(|| end.checked_sub(duration).unwrap_or(Timestamp::UNIX_EPOCH));
    if start > end && form.get("EndTime").is_some() {
        let message = "StartTime is after EndTime".to_owned();
        return Err(RdsRefusal::InvalidParameterCombination(message).into());
    }
    Ok((start, end))
}

fn read_time(form: &Form, name: &str) -> Result<Option<Timestamp>, Refusal> {
    let refuse = |text: &str| invalid_value(&format!("Invalid value {text} for {name}."));
    form.get(name).map(|text| text.parse::<Timestamp>().map_err(|_| refuse(text))).transpose()
}

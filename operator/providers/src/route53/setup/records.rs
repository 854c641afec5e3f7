//! The two failover records of a name.
//!
//! What this module must never do: take a record away that was not told to the person, or write over one that changed since.

use super::super::health_object::{MarkerPlace, read_roles};
use super::super::values::{change, parse_listed, takes_part, wire_name, write_value};
use super::NameSetup;
use super::calls::{FailedCall, SetupCall, SetupError};
use crate::dns::SteeredName;
use aws_sdk_route53::Client;
use aws_sdk_route53::error::BuildError;
use aws_sdk_route53::types::{
    ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, ResourceRecordSetFailover,
};
use muster_core::ids::RegionName;
use std::collections::BTreeMap;

/// What stands at a name.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Standing {
    /// The two records that are needed.
    Good,
    /// Nothing, or simple records that the person gives up.
    Free(Vec<ResourceRecordSet>),
}

/// Looks what stands there; an error if it is in the way. `checks`: what was found of the regions' health checks, and of the one
/// that pins.
pub(super) async fn look(
    client: &Client,
    name: &NameSetup,
    checks: &BTreeMap<RegionName, Option<String>>,
    pin: Option<&str>,
    replaces: bool,
) -> Result<Standing, SetupError> {
    let steered = SteeredName::from_config(&name.name)?.without_witness();
    let list = client.list_resource_record_sets().hosted_zone_id(&name.zone_id);
    let list = list.start_record_name(wire_name(&steered.record));
    let failed = |error| {
        FailedCall::new(SetupCall::ListResourceRecordSets, &error)
            .about(format!("hosted zone {}", name.zone_id))
    };
    let page = Box::pin(list.send()).await.map_err(failed)?;
    let at_name = |set: &&ResourceRecordSet| {
        parse_listed(set.name()).as_ref() == Some(&steered.record) && takes_part(set.r#type(), steered.kind())
    };
    let sets: Vec<ResourceRecordSet> = page.resource_record_sets().iter().filter(at_name).cloned().collect();
    judge(&sets, name, &steered, checks, pin, replaces)
}

fn judge(
    sets: &[ResourceRecordSet],
    name: &NameSetup,
    steered: &SteeredName,
    checks: &BTreeMap<RegionName, Option<String>>,
    pin: Option<&str>,
    replaces: bool,
) -> Result<Standing, SetupError> {
    let record = &name.name.record;
    if sets.iter().all(is_simple) {
        if sets.is_empty() || replaces {
            return Ok(Standing::Free(sets.to_vec()));
        }
        let told = sets.iter().map(tell).collect::<Vec<_>>().join(", ");
        let fix = "Run it again with --replace: the record is deleted and both are created in one batch.";
        return Err(SetupError::in_the_way(format!("{record} has a simple record already: {told}"), fix));
    }
    let fix = "They are left alone. Correct or delete them, or use another name.";
    let strange = |why: String| {
        SetupError::in_the_way(format!("{record} has records that are none of these two: {why}"), fix)
    };
    let roles = read_roles(sets, steered, &places_of(name, checks), pin).map_err(strange)?;
    let watched = checks.get(&roles.secondary.region).is_some_and(Option::is_some);
    if watched || roles.is_pinned() {
        return Ok(Standing::Good);
    }
    let why = format!("no health check of this account watches the object of {}", roles.secondary.region);
    Err(strange(why))
}

/// With the health checks that were found; one that was not keeps the id that the policy gives.
fn places_of(
    name: &NameSetup,
    checks: &BTreeMap<RegionName, Option<String>>,
) -> BTreeMap<RegionName, MarkerPlace> {
    let mut places = name.markers.clone();
    for (region, place) in &mut places {
        if let Some(Some(found)) = checks.get(region) {
            place.health_check.clone_from(found);
        }
    }
    places
}

/// Answered whoever asks, and whatever is healthy.
fn is_simple(set: &ResourceRecordSet) -> bool {
    set.set_identifier().is_none() && set.health_check_id().is_none()
}

/// For people.
pub(super) fn tell(set: &ResourceRecordSet) -> String {
    let alias = set.alias_target().map(|alias| format!("alias of {}", alias.dns_name()));
    let values = || set.resource_records().iter().map(ResourceRecord::value).collect::<Vec<_>>().join(" ");
    format!("{} {}", set.r#type(), alias.unwrap_or_else(values))
}

/// Creates both, and deletes what stood there exactly as it was listed: all of it, or nothing.
pub(super) async fn create(
    client: &Client,
    name: &NameSetup,
    replaced: &[ResourceRecordSet],
    check: &str,
) -> Result<(), SetupError> {
    let batch = batch(name, replaced, check)?;
    let send = client.change_resource_record_sets().hosted_zone_id(&name.zone_id).change_batch(batch);
    let failed = |error| {
        FailedCall::new(SetupCall::ChangeResourceRecordSets, &error)
            .about(format!("records of {}", name.name.record))
    };
    Box::pin(send.send()).await.map(|_| ()).map_err(failed)
}

fn batch(name: &NameSetup, replaced: &[ResourceRecordSet], check: &str) -> Result<ChangeBatch, SetupError> {
    let steered = SteeredName::from_config(&name.name)?;
    let mut batch = ChangeBatch::builder().comment("muster aws plan-dns --apply");
    for set in replaced {
        batch = batch.changes(change(ChangeAction::Delete, set.clone())?);
    }
    for region in steered.targets.keys() {
        let is_active = *region == name.active;
        let set = set_of(&steered, region, is_active.then_some(check))?;
        batch = batch.changes(change(ChangeAction::Create, set)?);
    }
    Ok(batch.build()?)
}

/// `check`: of the primary one; the secondary one has none.
fn set_of(
    steered: &SteeredName,
    region: &RegionName,
    check: Option<&str>,
) -> Result<ResourceRecordSet, BuildError> {
    let role = if check.is_some() {
        ResourceRecordSetFailover::Primary
    } else {
        ResourceRecordSetFailover::Secondary
    };
    let mut set = ResourceRecordSet::builder()
        .name(wire_name(&steered.record))
        .set_identifier(region.as_str())
        .failover(role)
        .ttl(i64::from(steered.ttl))
        .set_health_check_id(check.map(str::to_owned));
    if let Some(target) = steered.targets.get(region) {
        let (kind, value) = write_value(target);
        set = set.r#type(kind).resource_records(ResourceRecord::builder().value(value).build()?);
    }
    set.build()
}

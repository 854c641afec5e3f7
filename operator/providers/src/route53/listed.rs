//! What stands at a name and what its health checks are, as the API has them: for ways whose records somebody has made before.

use super::values::{parse_listed, parse_value, wire_name};
use super::verb::VerbError;
use crate::aws::{Account, Action, CallError};
use crate::dns::SteeredName;
use aws_sdk_route53::types::{HealthCheck, HealthCheckConfig, HealthCheckObservation, ResourceRecordSet};
use hickory_proto::rr::Name;
use muster_core::ids::RegionName;

/// Records of one answer of the API: all that may stand at one name.
const PAGE: i32 = 100;

/// The record sets from a name on, all of its own among them; for people, why that cannot be told.
pub(super) async fn list_from(
    account: &Account,
    zone_id: &str,
    record: &Name,
) -> Result<Result<Vec<ResourceRecordSet>, String>, VerbError> {
    let list = account.route53().await.list_resource_record_sets().hosted_zone_id(zone_id).max_items(PAGE);
    let list = list.start_record_name(wire_name(record));
    let failed = |error| VerbError::Before(CallError::new(Action::ListResourceRecordSets, &error));
    let page = Box::pin(list.send()).await.map_err(failed)?;
    if page.next_record_name().and_then(parse_listed).as_ref() == Some(record) {
        return Ok(Err(format!("more than {PAGE} record sets stand there")));
    }
    Ok(Ok(page.resource_record_sets))
}

/// `None`: there is no such health check.
pub(super) async fn read_check(account: &Account, id: &str) -> Result<Option<HealthCheckConfig>, VerbError> {
    let get = account.route53().await.get_health_check().health_check_id(id);
    match Box::pin(get.send()).await {
        Ok(got) => Ok(got.health_check().and_then(HealthCheck::health_check_config).cloned()),
        Err(error) => {
            let error = CallError::new(Action::GetHealthCheck, &error);
            if error.code.as_deref() == Some("NoSuchHealthCheck") {
                Ok(None)
            } else {
                Err(VerbError::Before(error))
            }
        }
    }
}

/// What each checker of a health check saw last, newer than `after`, in seconds since 1970 by AWS' clock.
pub(super) async fn read_reports(account: &Account, id: &str, after: i64) -> Result<Vec<String>, CallError> {
    let get = account.route53().await.get_health_check_status().health_check_id(id);
    let got = Box::pin(get.send()).await;
    let got = got.map_err(|error| CallError::new(Action::GetHealthCheckStatus, &error))?;
    let reports = got.health_check_observations().iter().filter_map(HealthCheckObservation::status_report);
    let newer = reports.filter(|report| report.checked_time().is_some_and(|at| at.secs() > after));
    Ok(newer.filter_map(|report| report.status().map(str::to_owned)).collect())
}

/// The region that a record points at; nothing about it may be of another design.
pub(super) fn region_of(set: &ResourceRecordSet, name: &SteeredName) -> Result<RegionName, String> {
    if set.alias_target().is_some() {
        return Err(format!("{} is an alias; give it its region's target", tell(set)));
    }
    let [record] = set.resource_records() else {
        let count = set.resource_records().len();
        return Err(format!("{} has {count} values; give it one, its region's target", tell(set)));
    };
    let datum = parse_value(set.r#type(), record.value());
    let region = datum.as_ref().and_then(|datum| name.region_of(datum));
    let strange = || format!("{} points at `{}`, none of the regions' targets", tell(set), record.value());
    region.cloned().ok_or_else(strange)
}

/// Why resolvers may keep an answer for longer than the policy says, for people.
pub(super) fn kept_too_long(set: &ResourceRecordSet, name: &SteeredName) -> Option<String> {
    let ttl = set.ttl().filter(|ttl| *ttl > i64::from(name.ttl))?;
    Some(format!("{} may be kept for {ttl} s, and the policy's ttl is {} s", tell(set), name.ttl))
}

/// For messages.
pub(super) fn tell(set: &ResourceRecordSet) -> String {
    let kind = set.r#type();
    match set.set_identifier() {
        Some(identifier) => format!("the {kind} record `{identifier}`"),
        None => format!("the simple {kind} record"),
    }
}

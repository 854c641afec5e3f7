//! The documents of the protocol: batches that are read, answers that are written.
//!
//! What this module must never do: accept an element of a record set that it would not give back.

use super::NAME_SERVERS;
use super::batch::{Action, Batch, Change};
use super::listing::Page;
use super::records::{KINDS, RecordKey, RecordSet, Routing};
use super::refusals::Route53Refusal;
use super::store::{AcceptedChange, HostedZone};
use crate::name::DomainName;
use crate::xml::write_document;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// The namespace of every document.
pub(super) const XMLNS: &str = "https://route53.amazonaws.com/doc/2013-04-01/";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeRequest {
    change_batch: BatchElement,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchElement {
    #[serde(default)]
    comment: Option<String>,
    changes: ChangesElement,
}

#[derive(Deserialize)]
struct ChangesElement {
    #[serde(rename = "Change", default)]
    list: Vec<ChangeElement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeElement {
    action: String,
    resource_record_set: SetElement,
}

/// A record set, in requests and answers alike.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct SetElement {
    name: String,
    #[serde(rename = "Type")]
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    set_identifier: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weight: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failover: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    multi_value_answer: Option<String>,
    #[serde(rename = "TTL", default, skip_serializing_if = "Option::is_none")]
    ttl: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resource_records: Option<RecordsElement>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    health_check_id: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct RecordsElement {
    #[serde(rename = "ResourceRecord", default)]
    list: Vec<RecordElement>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RecordElement {
    value: String,
}

/// Reads the body of a request for changes.
pub(super) fn read_batch(body: &[u8]) -> Result<Batch, Route53Refusal> {
    let text = std::str::from_utf8(body).map_err(|error| invalid(&error.to_string()))?;
    let request: ChangeRequest =
        quick_xml::de::from_str(text).map_err(|error| invalid(&format!("Invalid XML ; {error}")))?;
    let BatchElement { comment, changes } = request.change_batch;
    if changes.list.is_empty() {
        return Err(invalid("Invalid XML ; The content of element 'Changes' is not complete."));
    }
    let changes = changes.list.into_iter().map(read_change).collect::<Result<Vec<_>, _>>()?;
    Ok(Batch { comment, changes })
}

fn read_change(element: ChangeElement) -> Result<Change, Route53Refusal> {
    let action = match element.action.as_str() {
        "CREATE" => Action::Create,
        "DELETE" => Action::Delete,
        "UPSERT" => Action::Upsert,
        other => return Err(invalid(&format!("Invalid XML ; Value '{other}' is no action"))),
    };
    let set = element.resource_record_set;
    let Some(name) = DomainName::parse(&set.name) else {
        return Err(invalid(&format!("Invalid request: '{}' is no domain name", set.name)));
    };
    if !KINDS.contains(&set.kind.as_str()) {
        return Err(invalid(&format!("Invalid XML ; Value '{}' is no record type", set.kind)));
    }
    let records = set.resource_records.map(|records| records.list).unwrap_or_default();
    let (Some(ttl), false) = (set.ttl, records.is_empty()) else {
        return Err(refuse_emptiness(&element.action, &set.name, &set.kind, set.set_identifier.as_deref()));
    };
    let routing = Routing {
        weight: set.weight,
        region: set.region,
        failover: set.failover,
        multi_value_answer: set.multi_value_answer,
        health_check_id: set.health_check_id,
    };
    let key = RecordKey { name, kind: set.kind, identifier: set.set_identifier };
    let values = records.into_iter().map(|record| record.value).collect();
    Ok(Change { action, set: RecordSet { key, ttl, values, routing } })
}

fn refuse_emptiness(action: &str, name: &str, kind: &str, identifier: Option<&str>) -> Route53Refusal {
    let identifier = identifier.unwrap_or("null");
    invalid(&format!(
        "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or \
         TrafficPolicyInstanceId], but found none in Change with [Action={action}, Name={name}, Type={kind}, \
         SetIdentifier={identifier}]"
    ))
}

fn invalid(message: &str) -> Route53Refusal {
    Route53Refusal::InvalidInput(message.to_owned())
}

impl From<&RecordSet> for SetElement {
    fn from(set: &RecordSet) -> Self {
        let RecordSet { key, ttl, values, routing } = set;
        let list = values.iter().map(|value| RecordElement { value: value.clone() }).collect();
        Self {
            name: key.name.to_string(),
            kind: key.kind.clone(),
            set_identifier: key.identifier.clone(),
            weight: routing.weight.clone(),
            region: routing.region.clone(),
            failover: routing.failover.clone(),
            multi_value_answer: routing.multi_value_answer.clone(),
            ttl: Some(*ttl),
            resource_records: Some(RecordsElement { list }),
            health_check_id: routing.health_check_id.clone(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeAnswer<'a> {
    #[serde(rename = "@xmlns")]
    xmlns: &'static str,
    change_info: ChangeInfo<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeInfo<'a> {
    id: String,
    status: &'static str,
    submitted_at: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<&'a str>,
}

/// Writes how far a change has got by then.
pub(super) fn write_change(root: &str, change: &AcceptedChange, at: Instant) -> String {
    let change_info = ChangeInfo {
        id: format!("/change/{}", change.id),
        status: if change.is_insync_at(at) { "INSYNC" } else { "PENDING" },
        submitted_at: &change.submitted_at,
        comment: change.comment.as_deref(),
    };
    write_document(root, &ChangeAnswer { xmlns: XMLNS, change_info })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PageAnswer {
    #[serde(rename = "@xmlns")]
    xmlns: &'static str,
    resource_record_sets: SetsElement,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_record_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_record_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_record_identifier: Option<String>,
    max_items: usize,
}

#[derive(Serialize)]
struct SetsElement {
    #[serde(rename = "ResourceRecordSet")]
    list: Vec<SetElement>,
}

/// Writes a page of a listing.
pub(super) fn write_page(page: &Page) -> String {
    let list = page.sets.iter().map(SetElement::from).collect();
    let next = page.next.as_ref();
    let answer = PageAnswer {
        xmlns: XMLNS,
        resource_record_sets: SetsElement { list },
        is_truncated: next.is_some(),
        next_record_name: next.map(|key| key.name.to_string()),
        next_record_type: next.map(|key| key.kind.clone()),
        next_record_identifier: next.and_then(|key| key.identifier.clone()),
        max_items: page.max_items,
    };
    write_document("ListResourceRecordSetsResponse", &answer)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ZoneAnswer {
    #[serde(rename = "@xmlns")]
    xmlns: &'static str,
    hosted_zone: ZoneElement,
    delegation_set: DelegationElement,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ZoneElement {
    id: String,
    name: String,
    caller_reference: String,
    config: ConfigElement,
    resource_record_set_count: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigElement {
    private_zone: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DelegationElement {
    name_servers: ServersElement,
}

#[derive(Serialize)]
struct ServersElement {
    #[serde(rename = "NameServer")]
    list: [&'static str; 4],
}

/// Writes what a zone is, with as many record sets as it had at that instant.
pub(super) fn write_zone(zone: &HostedZone, at: Instant) -> String {
    let hosted_zone = ZoneElement {
        id: format!("/hostedzone/{}", zone.id),
        name: zone.name.to_string(),
        caller_reference: format!("fake-{}", zone.id),
        config: ConfigElement { private_zone: false },
        resource_record_set_count: zone.history.accepted_at(at).len(),
    };
    let delegation_set = DelegationElement { name_servers: ServersElement { list: NAME_SERVERS } };
    write_document("GetHostedZoneResponse", &ZoneAnswer { xmlns: XMLNS, hosted_zone, delegation_set })
}

//! Judges a batch of changes against a copy of the zone, in the service's words.
//!
//! What this module must never do: let the outcome of a refused batch out.

use super::history::Writes;
use super::records::{RecordKey, RecordSet, Records};
use super::values;
use crate::name::DomainName;
use std::collections::BTreeSet;

/// What is done to a record set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Create,
    Delete,
    Upsert,
}

/// One change of a batch.
pub(super) struct Change {
    pub(super) action: Action,
    pub(super) set: RecordSet,
}

/// Changes that go together.
pub(super) struct Batch {
    pub(super) comment: Option<String>,
    pub(super) changes: Vec<Change>,
}

/// What the service asks of a PRIMARY set of a failover pair.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Primaries {
    /// A health check, as the service does of every one that is no alias (there are none here).
    #[default]
    NeedCheck,
    /// Nothing.
    MayStandAlone,
}

/// Applies the changes in their order. An error names every change that is refused.
pub(super) fn try_batch(
    zone: &DomainName,
    records: &Records,
    changes: &[Change],
    primaries: Primaries,
) -> Result<Writes, Vec<String>> {
    let repeated = find_repetitions(changes);
    if !repeated.is_empty() {
        return Err(repeated);
    }
    let mut copy = records.clone();
    let mut refused = Vec::new();
    for change in changes {
        match judge(zone, &copy, change, primaries) {
            Err(reason) => refused.push(reason),
            Ok(()) if change.action == Action::Delete => {
                copy.remove(&change.set.key);
            }
            Ok(()) => {
                copy.insert(change.set.key.clone(), change.set.clone());
            }
        }
    }
    if !refused.is_empty() {
        return Err(refused);
    }
    let touched: BTreeSet<&RecordKey> = changes.iter().map(|change| &change.set.key).collect();
    Ok(touched.into_iter().map(|key| (key.clone(), copy.get(key).cloned())).collect())
}

/// The service takes one new content for a record set, not two.
fn find_repetitions(changes: &[Change]) -> Vec<String> {
    let mut written = BTreeSet::new();
    let written_again = changes
        .iter()
        .filter(|change| change.action != Action::Delete)
        .map(|change| &change.set.key)
        .filter(|key| !written.insert(*key));
    written_again
        .map(|key| {
            let (kind, name) = (&key.kind, &key.name);
            format!(
                "The request contains an invalid set of changes for a resource record set '{kind} {name}'"
            )
        })
        .collect()
}

fn judge(zone: &DomainName, records: &Records, change: &Change, primaries: Primaries) -> Result<(), String> {
    let set = &change.set;
    match change.action {
        Action::Delete => judge_deletion(zone, records, set),
        Action::Create if records.contains_key(&set.key) => {
            Err(format!("Tried to create resource record set {} but it already exists", set.key))
        }
        Action::Create | Action::Upsert => {
            judge_values(set)?;
            judge_place(zone, set)?;
            judge_role(set, primaries)?;
            judge_company(zone, records, set)
        }
    }
}

fn judge_deletion(zone: &DomainName, records: &Records, set: &RecordSet) -> Result<(), String> {
    let key = &set.key;
    match (records.get(key), key.kind.as_str()) {
        (None, _) => Err(format!("Tried to delete resource record set {key} but it was not found")),
        (Some(current), _) if !current.has_contents_of(set) => Err(format!(
            "Tried to delete resource record set {key} but the values provided do not match the current values"
        )),
        (Some(_), "SOA") => Err("A HostedZone must contain exactly one SOA record.".to_owned()),
        (Some(_), "NS") if key.name == *zone => {
            Err("A HostedZone must contain at least one NS record for the zone itself.".to_owned())
        }
        (Some(_), _) => Ok(()),
    }
}

fn judge_values(set: &RecordSet) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for value in &set.values {
        if let Some(Err(illegal)) = values::parse(&set.key.kind, value) {
            return Err(format!("Invalid Resource Record: '{}'", illegal.sentence_about(value)));
        }
        if !seen.insert(value) {
            return Err(format!("Duplicate Resource Record: '{value}'"));
        }
    }
    let is_single = set.key.kind != "CNAME" || set.values.len() == 1;
    if is_single { Ok(()) } else { Err("A CNAME resource record set has exactly one value".to_owned()) }
}

fn judge_place(zone: &DomainName, set: &RecordSet) -> Result<(), String> {
    let RecordKey { name, kind, .. } = &set.key;
    if !name.is_within(zone) {
        return Err(format!("RRSet with DNS name {name} is not permitted in zone {zone}"));
    }
    if kind == "CNAME" && name == zone {
        return Err(format!(
            "RRSet of type CNAME with DNS name {name} is not permitted at apex in zone {zone}"
        ));
    }
    Ok(())
}

fn judge_role(set: &RecordSet, primaries: Primaries) -> Result<(), String> {
    let is_primary = set.routing.failover.as_deref() == Some("PRIMARY");
    if is_primary && set.routing.health_check_id.is_none() && primaries == Primaries::NeedCheck {
        let message =
            "A non-alias primary ResourceRecordSet must have an associated health check. No changes made.";
        return Err(message.to_owned());
    }
    Ok(())
}

/// What may stand beside what: a CNAME alone at its name, routed sets only beside routed ones, and of a failover pair
/// one of each role.
fn judge_company(zone: &DomainName, records: &Records, set: &RecordSet) -> Result<(), String> {
    let RecordKey { name, kind, identifier } = &set.key;
    for other_set in records.values().filter(|other| other.key.name == *name && other.key != set.key) {
        let other = &other_set.key;
        if other.kind != *kind && kind == "CNAME" {
            return Err(format!(
                "RRSet of type CNAME with DNS name {name} is not permitted as it conflicts with other records with \
                 the same DNS name in zone {zone}"
            ));
        }
        if other.kind != *kind && other.kind == "CNAME" {
            return Err(format!(
                "RRSet of type {kind} with DNS name {name} is not permitted because a conflicting RRSet of type \
                 CNAME with the same DNS name already exists in zone {zone}"
            ));
        }
        if other.kind == *kind && other.identifier.is_some() != identifier.is_some() {
            return Err(say_routing_conflict(&set.key));
        }
        if other.kind == *kind {
            judge_pair(set, other_set)?;
        }
    }
    Ok(())
}

/// The service's words for the first of these are known; for the second they are not.
fn judge_pair(set: &RecordSet, other: &RecordSet) -> Result<(), String> {
    let (role, other) = (&set.routing.failover, &other.routing.failover);
    let why = match (role, other) {
        (Some(_), None) => "a non-failover",
        (None, Some(_)) => "a failover",
        (Some(role), Some(other)) if role == other => "such an",
        _ => return Ok(()),
    };
    let RecordKey { name, kind, identifier } = &set.key;
    let identifier = identifier.as_deref().unwrap_or_default();
    let role = role.as_deref().map(|role| format!(", marked as {}", role.to_lowercase())).unwrap_or_default();
    Err(format!(
        "RRSet with DNS name {name}, type {kind}, SetIdentifier {identifier}{role} cannot be created because {why} \
         RRSet with the same name and type already exists"
    ))
}

fn say_routing_conflict(key: &RecordKey) -> String {
    let RecordKey { name, kind, identifier } = key;
    match identifier {
        None => format!(
            "RRSet with DNS name {name}, type {kind} cannot be created as other RRSets exist with the same name and \
             type."
        ),
        Some(identifier) => format!(
            "RRSet with DNS name {name}, type {kind}, SetIdentifier {identifier} cannot be created as a non-weighted \
             set exists with the same name and type."
        ),
    }
}

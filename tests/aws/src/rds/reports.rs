//! The elements of the answers about snapshots and events, which bear dates.
//!
//! What this module must never do: say what the date is; it is told.

use super::arn::Arn;
use super::events::Event;
use super::messages::AURORA;
use super::paging::Page;
use super::world::Snapshot;
use jiff::Timestamp;
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SnapshotsResult<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
    #[serde(rename = "DBClusterSnapshots")]
    snapshots: SnapshotsElement<'a>,
}

#[derive(Serialize)]
struct SnapshotsElement<'a> {
    #[serde(rename = "DBClusterSnapshot")]
    list: Vec<SnapshotElement<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SnapshotElement<'a> {
    #[serde(rename = "DBClusterSnapshotIdentifier")]
    identifier: &'a str,
    #[serde(rename = "DBClusterSnapshotArn")]
    arn: &'a str,
    #[serde(rename = "DBClusterIdentifier")]
    cluster: &'a str,
    snapshot_type: &'static str,
    status: &'static str,
    engine: &'static str,
    engine_version: &'a str,
    snapshot_create_time: String,
    percent_progress: u8,
    #[serde(rename = "SourceDBClusterSnapshotArn", skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
}

impl<'a> SnapshotsResult<'a> {
    pub(super) fn new(page: Page<&'a Snapshot>, date: impl Fn(&Snapshot) -> Timestamp) -> Self {
        let list = page.items.into_iter().map(|snapshot| SnapshotElement::new(snapshot, date(snapshot)));
        Self { marker: page.marker, snapshots: SnapshotsElement { list: list.collect() } }
    }
}

impl<'a> SnapshotElement<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, created: Timestamp) -> Self {
        Self {
            identifier: snapshot.arn.name(),
            arn: snapshot.arn.as_str(),
            cluster: snapshot.cluster.name(),
            snapshot_type: snapshot.kind(),
            status: snapshot.status,
            engine: AURORA,
            engine_version: &snapshot.engine_version,
            snapshot_create_time: created.to_string(),
            percent_progress: if snapshot.status == "creating" { 0 } else { 100 },
            source: snapshot.source.as_ref().map(Arn::as_str),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct EventsResult<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
    events: EventsElement<'a>,
}

#[derive(Serialize)]
struct EventsElement<'a> {
    #[serde(rename = "Event")]
    list: Vec<EventElement<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct EventElement<'a> {
    source_identifier: &'a str,
    source_type: &'static str,
    source_arn: &'a str,
    message: String,
    event_categories: CategoriesElement,
    date: String,
}

#[derive(Serialize)]
struct CategoriesElement {
    #[serde(rename = "EventCategory")]
    list: &'static [&'static str],
}

impl<'a> EventsResult<'a> {
    pub(super) fn new(page: Page<(&'a Event, Timestamp)>) -> Self {
        let list = page.items.into_iter().map(|(event, date)| EventElement {
            source_identifier: event.source.name(),
            source_type: event.source_type(),
            source_arn: event.source.as_str(),
            message: event.message(),
            event_categories: CategoriesElement { list: event.categories() },
            date: date.to_string(),
        });
        Self { marker: page.marker, events: EventsElement { list: list.collect() } }
    }
}

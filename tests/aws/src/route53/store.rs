//! The zones and changes of every account, and who may see them.

use super::NAME_SERVERS;
use super::batch::{Batch, Primaries, try_batch};
use super::history::{Edit, History, Writes};
use super::records::{RecordKey, RecordSet, Records, Routing};
use super::refusals::{BatchErrorForm, Route53Refusal};
use crate::name::DomainName;
use crate::service::Turn;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// How many changes can be asked for; the oldest are forgotten, as the service forgets them in time.
const REMEMBERED: usize = 4096;

/// A public hosted zone.
pub(super) struct HostedZone {
    pub(super) id: String,
    account: String,
    pub(super) name: DomainName,
    /// From the acceptance of a batch to its being in sync.
    insync_after: Duration,
    pub(super) history: History,
}

/// A batch that was accepted.
#[derive(Clone)]
pub(super) struct AcceptedChange {
    pub(super) id: String,
    account: String,
    accepted_at: Instant,
    /// Never if `None`.
    insync_at: Option<Instant>,
    pub(super) submitted_at: String,
    pub(super) comment: Option<String>,
}

impl AcceptedChange {
    pub(super) fn is_insync_at(&self, at: Instant) -> bool {
        self.insync_at.is_some_and(|since| since <= at)
    }
}

/// The state of the service.
#[derive(Default)]
pub(super) struct Store {
    pub(super) form: BatchErrorForm,
    pub(super) primaries: Primaries,
    numbers: u64,
    zones: BTreeMap<String, HostedZone>,
    changes: VecDeque<AcceptedChange>,
}

impl Store {
    fn next_id(&mut self, first: char) -> String {
        self.numbers += 1;
        format!("{first}{:013X}", self.numbers)
    }

    pub(super) fn create_zone(&mut self, account: &str, name: DomainName, insync_after: Duration) -> String {
        let id = self.next_id('Z');
        let history = History::new(first_records(&name));
        let zone = HostedZone { id: id.clone(), account: account.to_owned(), name, insync_after, history };
        self.zones.insert(id.clone(), zone);
        id
    }

    /// The zone, whoever it belongs to.
    pub(super) fn find_zone(&self, id: &str) -> Option<&HostedZone> {
        self.zones.get(id)
    }

    /// The zone, if it is the caller's.
    pub(super) fn zone(&self, id: &str, turn: &Turn<'_>) -> Result<&HostedZone, Route53Refusal> {
        let zone = self.zones.get(id).ok_or_else(|| Route53Refusal::NoSuchHostedZone(id.to_owned()))?;
        admit(turn, &zone.account)?;
        Ok(zone)
    }

    /// The change, if it is the caller's and was accepted by then.
    pub(super) fn change(&self, id: &str, turn: &Turn<'_>) -> Result<&AcceptedChange, Route53Refusal> {
        let known = self.changes.iter().find(|change| change.id == id && change.accepted_at <= turn.seen);
        let change = known.ok_or_else(|| Route53Refusal::NoSuchChange(id.to_owned()))?;
        admit(turn, &change.account)?;
        Ok(change)
    }

    /// Accepts the whole batch, or nothing of it.
    pub(super) fn accept(
        &mut self,
        zone: &str,
        batch: Batch,
        turn: &Turn<'_>,
        submitted_at: String,
    ) -> Result<AcceptedChange, Route53Refusal> {
        let no_zone = || Route53Refusal::NoSuchHostedZone(zone.to_owned());
        let zone = self.zones.get_mut(zone).ok_or_else(no_zone)?;
        admit(turn, &zone.account)?;
        let writes = try_batch(&zone.name, zone.history.latest(), &batch.changes, self.primaries)
            .map_err(Route53Refusal::InvalidChangeBatch)?;
        let insync_at = turn.now.checked_add(zone.insync_after);
        zone.history.accept(Edit { accepted_at: turn.now, visible_at: insync_at, writes });
        let change = AcceptedChange {
            id: self.next_id('C'),
            account: turn.account.to_owned(),
            accepted_at: turn.now,
            insync_at,
            submitted_at,
            comment: batch.comment,
        };
        self.changes.push_back(change.clone());
        if self.changes.len() > REMEMBERED {
            self.changes.pop_front();
        }
        Ok(change)
    }

    /// Writes without a batch, visible everywhere at once. `None`: there is no such zone.
    pub(super) fn write_behind(&mut self, zone: &str, writes: Writes, now: Instant) -> Option<()> {
        let zone = self.zones.get_mut(zone)?;
        zone.history.accept(Edit { accepted_at: now, visible_at: Some(now), writes });
        Some(())
    }
}

fn admit(turn: &Turn<'_>, owner: &str) -> Result<(), Route53Refusal> {
    if turn.account == owner { Ok(()) } else { Err(Route53Refusal::AccessDenied(turn.account.to_owned())) }
}

/// What the service puts into a new zone.
fn first_records(zone: &DomainName) -> Records {
    let soa = format!("{}. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400", NAME_SERVERS[0]);
    let servers = NAME_SERVERS.iter().map(|server| format!("{server}.")).collect();
    [("SOA", 900, vec![soa]), ("NS", 172_800, servers)]
        .into_iter()
        .map(|(kind, ttl, values)| {
            let key = RecordKey { name: zone.clone(), kind: kind.to_owned(), identifier: None };
            (key.clone(), RecordSet { key, ttl, values, routing: Routing::default() })
        })
        .collect()
}

//! Route 53, API version 2013-04-01: public hosted zones, and batches of changes to their record sets.
//!
//! ```text
//! batch ──► judged against a copy ──► accepted: listed at once, PENDING ── insync_after ──► INSYNC, and in DNS
//! person in the console ────────────► listed and in DNS at once
//! ```
//!
//! Routing policies (weights, failover, regions) are kept as what they are to an API client: a part of a record set's
//! identity and of its equality. The name servers follow failover and weights (`routing`), by the health of the moment
//! (`health`), and otherwise answer the first of several sets.
//!
//! What this module must never do: apply a part of a batch; show a batch in DNS before it says that it is in sync;
//! drop an element of a record set that it does not know.

mod answer;
mod batch;
mod health;
mod history;
mod listing;
mod messages;
mod records;
mod refusals;
mod rights;
mod routes;
mod routing;
mod store;
mod values;

pub use health::ObjectCheck;
pub use refusals::BatchErrorForm;

pub(crate) use answer::answer_question;
pub(crate) use health::{HealthChecks, Watched};

use crate::clock::Clock;
use crate::name::DomainName;
use crate::request::ApiRequest;
use crate::rights::Need;
use crate::service::{Operation, Refusal, Reply, Service, Turn};
use answer::ZoneView;
use batch::{Action, Batch, Primaries};
use history::Writes;
use listing::Asked;
use records::{RecordKey, RecordSet, Routing};
use refusals::Route53Refusal;
use routes::{Route, ZoneRoute};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::Store;

/// What a delegation to the fake would name; the last dot is left out, as the service does.
const NAME_SERVERS: [&str; 4] =
    ["ns-1.awsdns-00.com", "ns-513.awsdns-00.net", "ns-1025.awsdns-00.org", "ns-1537.awsdns-00.co.uk"];

/// The role of the record that is answered while its health check is well.
const PRIMARY: &str = "PRIMARY";

/// The hosted zones and health checks of every account.
pub(crate) struct Route53 {
    clock: Arc<Clock>,
    pub(crate) health: Arc<HealthChecks>,
    /// Never locked while the health checks are: they come second.
    store: Mutex<Store>,
}

/// One of the two records of a name that a failover moves.
#[derive(Clone, Copy, Debug)]
pub struct FailoverRecord<'a> {
    /// As `shop.example.com`.
    pub name: &'a str,
    /// `SetIdentifier`.
    pub identifier: &'a str,
    /// PRIMARY, or else SECONDARY.
    pub is_primary: bool,
    /// What it answers.
    pub address: Ipv4Addr,
    /// In seconds.
    pub ttl: u32,
    /// Its health check's id.
    pub health_check: Option<&'a str>,
}

/// One of the records of a name that health checks choose among.
#[derive(Clone, Copy, Debug)]
pub struct WeightedRecord<'a> {
    /// As `shop.example.com`.
    pub name: &'a str,
    /// `SetIdentifier`.
    pub identifier: &'a str,
    /// From 0 to 255.
    pub weight: u8,
    /// What it answers.
    pub address: Ipv4Addr,
    /// In seconds.
    pub ttl: u32,
    /// Its health check's id.
    pub health_check: Option<&'a str>,
}

impl Route53 {
    pub(crate) fn new(clock: Arc<Clock>, health: Arc<HealthChecks>) -> Self {
        Self { clock, health, store: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates a zone with its SOA and NS, and returns its id.
    pub(crate) fn create_zone(&self, account: &str, name: DomainName, insync_after: Duration) -> String {
        self.lock().create_zone(account, name, insync_after)
    }

    /// What readers of DNS see of the zone now.
    pub(crate) fn view(&self, zone: &str) -> Option<ZoneView> {
        let now = self.clock.now();
        let store = self.lock();
        let zone = store.find_zone(zone)?;
        // What the real service makes of a check that was deleted is not foretold; here it is as if there were none.
        let is_healthy = |check: &str| self.health.is_healthy(check).unwrap_or(true);
        let answering = routing::choose_answering(&zone.history.visible_at(now), is_healthy);
        Some(ZoneView::new(zone.name.clone(), answering))
    }

    /// Writes a simple record set as a person does in the console. `None`: there is no such zone.
    pub(crate) fn put(
        &self,
        zone: &str,
        name: DomainName,
        kind: &str,
        ttl: u32,
        values: &[&str],
    ) -> Option<()> {
        let key = RecordKey { name, kind: kind.to_owned(), identifier: None };
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        let set = RecordSet { key: key.clone(), ttl, values, routing: Routing::default() };
        self.write_behind(zone, vec![(key, Some(set))])
    }

    /// Writes a failover record as a person does in the console. `None`: there is no such zone, or no such name.
    pub(crate) fn put_failover(&self, zone: &str, record: &FailoverRecord<'_>) -> Option<()> {
        let role = if record.is_primary { PRIMARY } else { "SECONDARY" };
        let routing = Routing {
            failover: Some(role.to_owned()),
            health_check_id: record.health_check.map(str::to_owned),
            ..Routing::default()
        };
        self.put_routed(zone, (record.name, record.identifier), (record.ttl, record.address), routing)
    }

    /// The same of a weighted record.
    pub(crate) fn put_weighted(&self, zone: &str, record: &WeightedRecord<'_>) -> Option<()> {
        let routing = Routing {
            weight: Some(record.weight.to_string()),
            health_check_id: record.health_check.map(str::to_owned),
            ..Routing::default()
        };
        self.put_routed(zone, (record.name, record.identifier), (record.ttl, record.address), routing)
    }

    fn put_routed(
        &self,
        zone: &str,
        (name, identifier): (&str, &str),
        (ttl, address): (u32, Ipv4Addr),
        routing: Routing,
    ) -> Option<()> {
        let identifier = Some(identifier.to_owned());
        let key = RecordKey { name: DomainName::parse(name)?, kind: "A".to_owned(), identifier };
        let set = RecordSet { key: key.clone(), ttl, values: vec![address.to_string()], routing };
        self.write_behind(zone, vec![(key, Some(set))])
    }

    /// The first value of the name's PRIMARY record, if there is one.
    pub(crate) fn primary_value(&self, zone: &str, name: &DomainName) -> Option<String> {
        let store = self.lock();
        let latest = store.find_zone(zone)?.history.latest();
        let is_primary = |set: &RecordSet| set.routing.failover.as_deref() == Some(PRIMARY);
        let primary = latest.values().find(|set| set.key.name == *name && is_primary(set));
        primary.and_then(|set| set.values.first().cloned())
    }

    /// Removes every record set of this name and type, however it is routed. `None`: there is no such zone.
    pub(crate) fn remove(&self, zone: &str, name: &DomainName, kind: &str) -> Option<()> {
        let mut store = self.lock();
        let latest = store.find_zone(zone)?.history.latest();
        let keys = latest.keys().filter(|key| key.name == *name && key.kind == kind);
        let writes = keys.map(|key| (key.clone(), None)).collect();
        store.write_behind(zone, writes, self.clock.now())
    }

    fn write_behind(&self, zone: &str, writes: Writes) -> Option<()> {
        self.lock().write_behind(zone, writes, self.clock.now())
    }

    pub(crate) fn set_batch_error_form(&self, form: BatchErrorForm) {
        self.lock().form = form;
    }

    pub(crate) fn allow_primaries_without_check(&self) {
        self.lock().primaries = Primaries::MayStandAlone;
    }

    fn answer(&self, route: &Route, request: &ApiRequest, turn: &Turn<'_>) -> Result<Reply, Route53Refusal> {
        match route {
            Route::Health(route) => self.health.answer(route, request, turn.account),
            Route::Zones(route) => self.answer_of_zones(route, request, turn).map(Reply::ok),
        }
    }

    fn answer_of_zones(
        &self,
        route: &ZoneRoute,
        request: &ApiRequest,
        turn: &Turn<'_>,
    ) -> Result<String, Route53Refusal> {
        let mut store = self.lock();
        match route {
            ZoneRoute::GetHostedZone(id) => Ok(messages::write_zone(store.zone(id, turn)?, turn.seen)),
            ZoneRoute::ListResourceRecordSets(id) => {
                let asked = Asked::read(request)?;
                let records = store.zone(id, turn)?.history.accepted_at(turn.seen);
                Ok(messages::write_page(&asked.page(&records)))
            }
            ZoneRoute::ChangeResourceRecordSets(id) => {
                let batch = messages::read_batch(&request.body)?;
                self.refuse_unknown_checks(&batch)?;
                let submitted_at = self.clock.date(turn.now).to_string();
                let change = store.accept(id, batch, turn, submitted_at)?;
                Ok(messages::write_change("ChangeResourceRecordSetsResponse", &change, turn.now))
            }
            ZoneRoute::GetChange(id) => {
                Ok(messages::write_change("GetChangeResponse", store.change(id, turn)?, turn.seen))
            }
        }
    }

    /// A record set that is written names a health check that exists.
    fn refuse_unknown_checks(&self, batch: &Batch) -> Result<(), Route53Refusal> {
        let written = batch.changes.iter().filter(|change| change.action != Action::Delete);
        let mut named = written.filter_map(|change| change.set.routing.health_check_id.as_deref());
        let unknown = named.find(|id| self.health.is_healthy(id).is_none());
        unknown.map_or(Ok(()), |id| Err(Route53Refusal::NoSuchHealthCheck(id.to_owned())))
    }
}

impl Service for Route53 {
    fn operation(&self, request: &ApiRequest) -> Option<Operation> {
        Route::read(request).map(|route| route.operation())
    }

    fn carry_out(&self, request: &ApiRequest, turn: &Turn<'_>) -> Result<Reply, Refusal> {
        let route = Route::read(request).ok_or_else(Refusal::unknown_operation)?;
        Ok(self.answer(&route, request, turn)?)
    }

    fn needs(&self, request: &ApiRequest, _account: &str) -> Vec<Need> {
        Route::read(request).and_then(|route| rights::need_of(&route, request)).into_iter().collect()
    }

    fn refuse(&self, refusal: &Refusal, request_id: &str) -> Reply {
        let form = self.lock().form;
        Reply::new(refusal.status, refusals::write(refusal, request_id, form))
    }
}

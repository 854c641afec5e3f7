//! Health checks: checkers that really ask, and what follows from their opinions.
//!
//! ```text
//! checker 1 ──ask──► endpoint        opinion 1 ─┐
//! checker 2 ──ask──► endpoint  ───►  opinion 2 ─┼─ more than 18 % healthy? ── inverted? ──► answers of DNS
//! ...                                ...       ─┘
//! ```
//!
//! Checkers go by the runtime's time alone: time that a test skips does not hurry them; their pace can be set. Reads
//! are of now, so that a fault of stale reads does not touch them.
//!
//! What this module must never do: let a checker ask anything but this fake and 127.0.0.0/8, or outlive its check.

mod checker;
mod config;
mod messages;
mod opinions;
mod probe;
mod store;

use super::refusals::Route53Refusal;
use super::routes::HealthRoute;
use crate::request::ApiRequest;
use crate::s3::S3;
use crate::service::Reply;
use config::HealthCheckConfig;
use messages::CreateRequest;
use probe::Network;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::Store;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How many health checks a page has at most.
const LARGEST_PAGE: usize = 100;

/// The health checks of every account, and their checkers.
pub(crate) struct HealthChecks {
    store: Mutex<Store>,
    network: Network,
    /// Between two questions of a checker; what its health check says if `None`.
    pace: watch::Sender<Option<Duration>>,
    /// Cancelled when the fake ends.
    ended: CancellationToken,
}

impl HealthChecks {
    pub(crate) fn new(s3: Arc<S3>, ended: CancellationToken) -> Self {
        let (pace, _) = watch::channel(None);
        Self { store: Mutex::default(), network: Network::new(s3), pace, ended }
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What DNS goes by now. `None`: there is no such health check.
    pub(crate) fn is_healthy(&self, id: &str) -> Option<bool> {
        self.lock().is_healthy(id)
    }

    /// How many checkers the health checks have that are created from now on; one at least.
    pub(crate) fn set_checkers(&self, count: usize) {
        self.lock().checkers = count.max(1);
    }

    /// How long every checker waits between two questions.
    pub(crate) fn set_pace(&self, interval: Duration) {
        self.pace.send_replace(Some(interval));
    }

    /// Takes the S3 of a region away from the checkers.
    pub(crate) fn cut_from(&self, region: &str) {
        self.network.cut_from(region);
    }

    /// Gives it back.
    pub(crate) fn heal(&self, region: &str) {
        self.network.heal(region);
    }

    /// What the checkers of a health check go by. `None`: it was deleted.
    fn config(&self, id: &str) -> Option<HealthCheckConfig> {
        self.lock().find(id).map(|check| check.config.clone())
    }

    /// Notes what a checker saw.
    fn note(&self, id: &str, checker: usize, was_answered: bool) {
        self.lock().note(id, checker, was_answered);
    }

    /// Carries out an operation.
    pub(super) fn answer(
        self: &Arc<Self>,
        route: &HealthRoute,
        request: &ApiRequest,
        account: &str,
    ) -> Result<Reply, Route53Refusal> {
        match route {
            HealthRoute::Create => self.create(account, messages::read_creation(&request.body)?),
            HealthRoute::List => self.list(account, request),
            HealthRoute::Get(id) => {
                let store = self.lock();
                Ok(Reply::ok(messages::write_check("GetHealthCheckResponse", store.get(id, account)?)))
            }
            HealthRoute::Update(id) => {
                let update = messages::read_update(&request.body)?;
                let mut store = self.lock();
                let check = store.update(id, account, update)?;
                Ok(Reply::ok(messages::write_check("UpdateHealthCheckResponse", check)))
            }
            HealthRoute::Delete(id) => {
                self.lock().delete(id, account)?;
                Ok(Reply::ok(messages::write_deletion()))
            }
        }
    }

    fn create(self: &Arc<Self>, account: &str, request: CreateRequest) -> Result<Reply, Route53Refusal> {
        let mut store = self.lock();
        let (check, is_new) = store.create(account, request, &self.ended)?;
        let url = format!("https://route53.amazonaws.com/2013-04-01/healthcheck/{}", check.id);
        let mut reply = Reply::new(201, messages::write_check("CreateHealthCheckResponse", check));
        reply.headers.push(("location", url));
        if is_new {
            for number in 0..check.checkers() {
                let checks = Arc::clone(self);
                tokio::spawn(checker::ask_on(checks, check.id.clone(), number, check.deleted.clone()));
            }
        }
        Ok(reply)
    }

    fn list(&self, account: &str, request: &ApiRequest) -> Result<Reply, Route53Refusal> {
        let marker = request.parameter("marker").unwrap_or_default();
        let max_items = match request.parameter("maxitems") {
            None => LARGEST_PAGE,
            Some(text) => {
                let count = text.parse::<usize>().ok().filter(|count| *count > 0);
                let invalid =
                    || Route53Refusal::InvalidInput(format!("Invalid value for maxitems: '{text}'"));
                count.ok_or_else(invalid)?.min(LARGEST_PAGE)
            }
        };
        let store = self.lock();
        let mut following = store.list(account).filter(|check| check.id >= marker);
        let page: Vec<_> = following.by_ref().take(max_items).collect();
        let next = following.next().map(|check| check.id.as_str());
        Ok(Reply::ok(messages::write_page(&page, &marker, next, max_items)))
    }
}

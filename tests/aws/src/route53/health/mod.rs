//! Health checks: checkers that really ask, and what follows from their opinions.
//!
//! ```text
//! checker 1 ──ask──► endpoint        opinion 1 ─┐
//! checker 2 ──ask──► endpoint  ───►  opinion 2 ─┼─ more than 18 % healthy? ── inverted? ──► answers of DNS
//! ...                                ...       ─┘
//! ```
//! One of a routing control has no checkers: it is healthy while the control is on.
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
use crate::arc::RoutingControls;
use crate::clock::Clock;
use crate::request::ApiRequest;
use crate::s3::S3;
use crate::service::Reply;
use config::HealthCheckConfig;
use messages::CreateRequest;
use probe::{Heard, Network};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::{Check, Report, Store};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How many health checks a page has at most.
const LARGEST_PAGE: usize = 100;

/// What a health check watches that a person creates for Muster's marker.
#[derive(Clone, Copy, Debug)]
pub struct ObjectCheck<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// Its region.
    pub region: &'a str,
    /// The object's key.
    pub key: &'a str,
    /// What the object holds while it is on.
    pub text: &'a str,
}

/// What health checks are about, beside endpoints.
pub(crate) struct Watched {
    pub(crate) s3: Arc<S3>,
    pub(crate) controls: Arc<RoutingControls>,
}

/// The health checks of every account, and their checkers.
pub(crate) struct HealthChecks {
    clock: Arc<Clock>,
    store: Mutex<Store>,
    network: Network,
    controls: Arc<RoutingControls>,
    /// Between two questions of a checker; what its health check says if `None`.
    pace: watch::Sender<Option<Duration>>,
    /// Cancelled when the fake ends.
    ended: CancellationToken,
}

impl HealthChecks {
    pub(crate) fn new(clock: Arc<Clock>, watched: Watched, ended: CancellationToken) -> Self {
        let (pace, _) = watch::channel(None);
        let network = Network::new(watched.s3);
        Self { clock, store: Mutex::default(), network, controls: watched.controls, pace, ended }
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What DNS goes by now. `None`: there is no such health check.
    pub(crate) fn is_healthy(&self, id: &str) -> Option<bool> {
        self.lock().is_healthy(id, &|control| self.controls.is_on(control) == Some(true))
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
    fn note(&self, id: &str, checker: usize, heard: Heard) {
        let at = self.clock.moment(self.clock.now());
        self.lock().note(id, checker, Report { at, heard });
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
            HealthRoute::Status(id) => {
                let store = self.lock();
                Ok(Reply::ok(messages::write_status(store.get(id, account)?)))
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

    /// Creates one behind the API's back, and returns its id. `None`: the service would not take it.
    pub(crate) fn create_object_check(
        self: &Arc<Self>,
        account: &str,
        object: &ObjectCheck<'_>,
    ) -> Option<String> {
        let reference = format!("{}/{}", object.bucket, object.key);
        self.create_behind(account, reference, HealthCheckConfig::of_object(object))
    }

    /// The same of one that asks as rarely, and counts as many answers, as the API allows.
    pub(crate) fn create_slow_object_check(
        self: &Arc<Self>,
        account: &str,
        object: &ObjectCheck<'_>,
    ) -> Option<String> {
        let reference = format!("slow/{}/{}", object.bucket, object.key);
        self.create_behind(account, reference, HealthCheckConfig::of_object(object).at_its_slowest())
    }

    /// The same of one that is disabled.
    pub(crate) fn create_disabled_check(self: &Arc<Self>, account: &str, reference: &str) -> Option<String> {
        self.create_behind(account, reference.to_owned(), HealthCheckConfig::of_nothing())
    }

    /// The same of one that is as a routing control is.
    pub(crate) fn create_control_check(self: &Arc<Self>, account: &str, control: &str) -> Option<String> {
        self.controls.is_on(control)?;
        // A reference has 64 characters at most, and an ARN more: its last part is the control's own.
        let reference = control.rsplit('/').next().unwrap_or(control);
        self.create_behind(account, reference.to_owned(), HealthCheckConfig::of_control(control))
    }

    /// Deletes one behind the API's back. `None`: the account has no such one.
    pub(crate) fn delete(&self, account: &str, id: &str) -> Option<()> {
        self.lock().delete(id, account).ok()
    }

    fn create_behind(
        self: &Arc<Self>,
        account: &str,
        reference: String,
        config: HealthCheckConfig,
    ) -> Option<String> {
        let request = CreateRequest::new(reference, config);
        let mut store = self.lock();
        let (check, is_new) = store.create(account, request, &self.ended).ok()?;
        if is_new {
            self.start_checkers(check);
        }
        Some(check.id.clone())
    }

    fn start_checkers(self: &Arc<Self>, check: &Check) {
        for number in 0..check.checkers() {
            let checks = Arc::clone(self);
            tokio::spawn(checker::ask_on(checks, check.id.clone(), number, check.deleted.clone()));
        }
    }

    fn create(self: &Arc<Self>, account: &str, request: CreateRequest) -> Result<Reply, Route53Refusal> {
        let mut store = self.lock();
        let (check, is_new) = store.create(account, request, &self.ended)?;
        let url = format!("https://route53.amazonaws.com/2013-04-01/healthcheck/{}", check.id);
        let mut reply = Reply::new(201, messages::write_check("CreateHealthCheckResponse", check));
        reply.headers.push(("location", url));
        if is_new {
            self.start_checkers(check);
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

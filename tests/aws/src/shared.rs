//! What the connections share: the services, and what every one of them needs.

use crate::accounts::Accounts;
use crate::arc::RoutingControls;
use crate::calls::CallLog;
use crate::clock::Clock;
use crate::ec2::Ec2;
use crate::faults::Faults;
use crate::models::Modelled;
use crate::rds::Rds;
use crate::request::ApiRequest;
use crate::route53::{HealthChecks, Route53, Watched};
use crate::s3::S3;
use crate::service::{NoService, Operation, Refusal, Reply, Service};
use crate::sts::Sts;
use hyper::Method;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// The state of one fake.
pub(crate) struct Shared {
    pub(crate) clock: Arc<Clock>,
    pub(crate) calls: CallLog,
    pub(crate) faults: Faults,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) arc: Arc<RoutingControls>,
    pub(crate) ec2: Ec2,
    pub(crate) rds: Arc<Rds>,
    pub(crate) route53: Arc<Route53>,
    pub(crate) s3: Arc<S3>,
    pub(crate) sts: Sts,
    /// Cancelled when the last handle of the fake is dropped.
    pub(crate) ended: CancellationToken,
    requests: AtomicU64,
    /// What was not as the models of the APIs have it, each once.
    breaches: Mutex<BTreeSet<String>>,
    /// Values that a test had answered on purpose, and no model has.
    unheard_of: Mutex<BTreeSet<String>>,
}

impl Shared {
    pub(crate) fn new(ended: CancellationToken) -> Self {
        let clock = Arc::new(Clock::start());
        let accounts = Arc::new(Accounts::default());
        let s3 = Arc::new(S3::new(Arc::clone(&clock)));
        let arc = Arc::new(RoutingControls::new(Arc::clone(&clock)));
        let seen = Watched { s3: Arc::clone(&s3), controls: Arc::clone(&arc) };
        let health = Arc::new(HealthChecks::new(Arc::clone(&clock), seen, ended.clone()));
        Self {
            arc,
            calls: CallLog::default(),
            faults: Faults::default(),
            ec2: Ec2::new(Arc::clone(&clock)),
            rds: Arc::new(Rds::new(Arc::clone(&clock))),
            route53: Arc::new(Route53::new(Arc::clone(&clock), health)),
            s3,
            sts: Sts::new(Arc::clone(&clock), Arc::clone(&accounts)),
            accounts,
            ended,
            requests: AtomicU64::new(0),
            breaches: Mutex::default(),
            unheard_of: Mutex::default(),
            clock,
        }
    }

    /// The service that a request means.
    pub(crate) fn service_for(&self, request: &ApiRequest) -> &dyn Service {
        self.service(service_name(request))
    }

    /// Holds what a service made of a request against the model of its API.
    pub(crate) fn compare_with_model(
        &self,
        request: &ApiRequest,
        operation: &Operation,
        outcome: &Result<Reply, Refusal>,
    ) {
        if operation.name == Operation::UNKNOWN.name {
            return;
        }
        let service = service_name(request);
        let unheard_of = lock(&self.unheard_of);
        let found = Modelled::find(service, operation.name, &unheard_of).map(|modelled| match outcome {
            Ok(reply) => modelled.judge(request, reply),
            Err(refusal) => modelled.judge_refusal(refusal.status, &refusal.code),
        });
        let found = found.unwrap_or_else(|| vec!["no such operation in the model".to_owned()]);
        let found = found.into_iter().map(|breach| format!("{service} {}: {breach}", operation.name));
        lock(&self.breaches).extend(found);
    }

    pub(crate) fn take_breaches(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.breaches)).into_iter().collect()
    }

    /// From now on this value is no breach where the model lists others.
    pub(crate) fn allow_unheard_of(&self, value: &str) {
        lock(&self.unheard_of).insert(value.to_owned());
    }

    /// The service of this name in a credential scope.
    fn service(&self, name: &str) -> &dyn Service {
        match name {
            "ec2" => &self.ec2,
            "rds" => &*self.rds,
            "route53" => &*self.route53,
            "route53-recovery-cluster" => &*self.arc,
            "s3" => &*self.s3,
            "sts" => &self.sts,
            _ => &NoService,
        }
    }

    pub(crate) fn next_request_id(&self) -> String {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        format!("00000000-0000-4000-8000-{number:012x}")
    }
}

/// As a credential scope has it; who reads without signing means S3.
fn service_name(request: &ApiRequest) -> &str {
    let is_read = matches!(request.method, Method::GET | Method::HEAD);
    if is_read && request.is_anonymous() { "s3" } else { &request.scope.service }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

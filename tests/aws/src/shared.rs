//! What the connections share: the services, and what every one of them needs.

use crate::calls::CallLog;
use crate::clock::Clock;
use crate::faults::Faults;
use crate::request::ApiRequest;
use crate::route53::{HealthChecks, Route53};
use crate::s3::S3;
use crate::service::{NoService, Service};
use hyper::Method;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// The state of one fake.
pub(crate) struct Shared {
    pub(crate) clock: Arc<Clock>,
    pub(crate) calls: CallLog,
    pub(crate) faults: Faults,
    pub(crate) route53: Arc<Route53>,
    pub(crate) s3: Arc<S3>,
    /// Cancelled when the last handle of the fake is dropped.
    pub(crate) ended: CancellationToken,
    /// By access key.
    accounts: Mutex<BTreeMap<String, String>>,
    requests: AtomicU64,
}

impl Shared {
    pub(crate) fn new(ended: CancellationToken) -> Self {
        let clock = Arc::new(Clock::start());
        let s3 = Arc::new(S3::new(Arc::clone(&clock)));
        let health = Arc::new(HealthChecks::new(Arc::clone(&s3), ended.clone()));
        Self {
            calls: CallLog::default(),
            faults: Faults::default(),
            route53: Arc::new(Route53::new(Arc::clone(&clock), health)),
            s3,
            ended,
            accounts: Mutex::default(),
            requests: AtomicU64::new(0),
            clock,
        }
    }

    /// The service that a request means; who reads without signing means S3.
    pub(crate) fn service_for(&self, request: &ApiRequest) -> &dyn Service {
        let is_read = matches!(request.method, Method::GET | Method::HEAD);
        if is_read && request.is_anonymous() { &*self.s3 } else { self.service(&request.scope.service) }
    }

    /// The service of this name in a credential scope.
    fn service(&self, name: &str) -> &dyn Service {
        match name {
            "route53" => &*self.route53,
            "s3" => &*self.s3,
            _ => &NoService,
        }
    }

    fn lock_accounts(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add_account(&self, access_key: &str, account: &str) {
        self.lock_accounts().insert(access_key.to_owned(), account.to_owned());
    }

    /// Whose access key this is.
    pub(crate) fn account(&self, access_key: &str) -> Option<String> {
        self.lock_accounts().get(access_key).cloned()
    }

    pub(crate) fn next_request_id(&self) -> String {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        format!("00000000-0000-4000-8000-{number:012x}")
    }
}

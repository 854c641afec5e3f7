//! Anchors: independent targets that answer the question "is it us?" for a window of time.
//!
//! One check at a time and a few a second at most, whoever asks: anchors belong to others. Each tries all anchors at once and ends with the first that answers. A check
//! speaks for a window only if it *began* inside it: a line that came back after a probe's silence must not turn
//! that silence into the target's fault.

use crate::Clock;
use crate::error::{Mistakes, SpecError};
use crate::http::{Connections, HttpPlan, Place, fetch};
use crate::net::{Address, Lookup, SystemNames, dial};
use crate::progress::Progress;
use crate::run::{RunCx, Side};
use crate::spec::{AnchorSpec, HttpMethod, HttpSpec};
use crate::template::Saved;
use futures::stream::{FuturesUnordered, StreamExt};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;

/// One check takes no longer.
const CHECK_LIMIT: Duration = Duration::from_secs(1);
/// Between the beginnings of two checks, at least.
const GAP: Duration = Duration::from_millis(250);
/// A question waits for the rest of a check that began too early, and for one of its own.
const ANSWER_LIMIT: Duration = Duration::from_millis(2400);

enum Anchor {
    Http(Box<HttpPlan>),
    Tcp(Address),
}

/// The newest checks, by their beginning.
#[derive(Clone, Copy, Default)]
struct Checks {
    passed: Option<Instant>,
    ended: Option<Instant>,
}

/// Runs checks when asked.
pub(crate) struct Anchors {
    inner: Arc<Inner>,
    newest: Mutex<Option<Check>>,
}

struct Check {
    began: Instant,
    task: AbortOnDropHandle<()>,
}

struct Inner {
    anchors: Vec<Anchor>,
    names: Arc<SystemNames>,
    clock: Arc<dyn Clock>,
    checks: watch::Sender<Checks>,
}

impl Anchors {
    /// Compiles; mistakes are collected.
    pub(crate) fn compile(
        specs: &[AnchorSpec],
        names: Arc<SystemNames>,
        clock: Arc<dyn Clock>,
        mistakes: &mut Mistakes,
    ) -> Self {
        let compiled = specs.iter().enumerate().filter_map(|(n, spec)| {
            let field = format!("detection.anchors[{n}]");
            compile_anchor(spec, &field, mistakes)
        });
        let anchors = compiled.collect();
        let inner = Arc::new(Inner { anchors, names, clock, checks: watch::Sender::default() });
        Self { inner, newest: Mutex::default() }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.inner.anchors.is_empty()
    }

    /// Starts a check, unless one is under way or just began. Called in the middle of a silence, so that a check
    /// falls into it.
    pub(crate) fn nudge(&self) {
        self.start();
    }

    /// Starts a check, or says from when on that may be done.
    fn start(&self) -> Option<Instant> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match newest.as_ref() {
            _ if self.is_empty() => return None,
            Some(check) if !check.task.is_finished() => return None,
            Some(check) if check.began + GAP > now => return Some(check.began + GAP),
            _ => {}
        }
        let inner = Arc::clone(&self.inner);
        let task = AbortOnDropHandle::new(tokio::spawn(async move { inner.check(now).await }));
        *newest = Some(Check { began: now, task });
        None
    }

    /// Whether an anchor answered to a check that began at or after `began`. Bounded; without anchors `false`.
    pub(crate) async fn passed_since(&self, began: Instant) -> bool {
        if self.is_empty() {
            return false;
        }
        let until = Instant::now() + ANSWER_LIMIT;
        let mut checks = self.inner.checks.subscribe();
        loop {
            let now = *checks.borrow_and_update();
            let inside = |at: Option<Instant>| at.is_some_and(|at| at >= began);
            if inside(now.passed) || inside(now.ended) {
                return inside(now.passed);
            }
            let again = self.start().unwrap_or(until).min(until);
            match timeout_at(again, checks.changed()).await {
                Ok(Err(_)) => return false,
                Err(_) if again == until => return false,
                Ok(Ok(())) | Err(_) => {}
            }
        }
    }
}

impl Inner {
    async fn check(&self, began: Instant) {
        let mut attempts: FuturesUnordered<_> =
            self.anchors.iter().map(|anchor| self.attempt(anchor)).collect();
        let passed = timeout(CHECK_LIMIT, async {
            while let Some(passed) = attempts.next().await {
                if passed {
                    return true;
                }
            }
            false
        });
        let passed = passed.await.unwrap_or(false);
        self.checks.send_modify(|checks| {
            checks.ended = Some(began);
            checks.passed = if passed { Some(began) } else { checks.passed };
        });
    }

    async fn attempt(&self, anchor: &Anchor) -> bool {
        let progress = Progress::default();
        let clock = self.clock.as_ref();
        let cx = RunCx { names: &self.names, progress: &progress, clock, side: Side::Standby };
        match anchor {
            Anchor::Tcp(address) => dial(&self.names, address, Lookup::Recent, &progress).await.is_ok(),
            Anchor::Http(plan) => {
                let Ok(request) = plan.prepare(&Saved::new()) else { return false };
                let answer = fetch(plan, request, Lookup::Recent, &mut Connections::default(), &cx).await;
                answer.is_ok_and(|answer| answer.status < 400)
            }
        }
    }
}

fn compile_anchor(spec: &AnchorSpec, field: &str, mistakes: &mut Mistakes) -> Option<Anchor> {
    match spec {
        AnchorSpec::Tcp(address) => {
            let address = Address::parse(address, None).map_err(|problem| SpecError::new(field, problem));
            mistakes.take(address).map(Anchor::Tcp)
        }
        AnchorSpec::Http(url) => {
            let http = HttpSpec {
                method: HttpMethod::Get,
                url: url.clone(),
                fresh_connection: true,
                ..HttpSpec::default()
            };
            let place = Place { field, region: None, saved: &[] };
            HttpPlan::compile(&http, &[], &place, mistakes).map(|plan| Anchor::Http(Box::new(plan)))
        }
    }
}

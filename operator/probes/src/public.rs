//! The probe through the public name: a fresh look-up and a fresh connection each time, as a new client would.
//! N successes in a row end the RTO clock at the *start* of the first.

use crate::error::{Mistakes, SpecError};
use crate::finding::Finding;
use crate::http::Place;
use crate::net::{Address, Lookup};
use crate::progress::Progress;
use crate::report::Shared;
use crate::run::{Http, Outcome, RunCx, Side};
use crate::spec::{HttpSpec, PublicSpec};
use muster_core::facts::{Fact, PublicFacts};
use muster_core::time::Stamp;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

/// A compiled public probe.
pub(crate) struct PublicProbe {
    every: Duration,
    timeout: Duration,
    http: Http,
}

impl PublicProbe {
    pub(crate) fn compile(spec: &PublicSpec, mistakes: &mut Mistakes) -> Option<Self> {
        for (part, length) in [("every", spec.every), ("timeout", spec.timeout)] {
            if length < Duration::from_millis(1) {
                mistakes.add(SpecError::new(&format!("publicProbe.{part}"), "must be at least 1ms"));
            }
        }
        let lookup = mistakes.take(compile_resolver(spec.resolver.as_deref()));
        let fresh = HttpSpec { fresh_connection: true, ..spec.http.clone() };
        let place = Place { field: "publicProbe.http", region: None, saved: &[] };
        let http = Http::compile(&fresh, &place, mistakes);
        Some(Self { every: spec.every, timeout: spec.timeout, http: http?.with_lookup(lookup?) })
    }

    /// One run.
    pub(crate) async fn run(&mut self, shared: &Shared) -> Outcome {
        let progress = Progress::default();
        let clock = shared.clock.as_ref();
        let cx = RunCx { names: &shared.names, progress: &progress, clock, side: Side::Unknown };
        let began = Instant::now();
        let result = match timeout(self.timeout, self.http.run(&cx)).await {
            Ok(result) => result,
            Err(_) => Err(progress.timed_out(self.timeout)),
        };
        let result = result.map_err(|finding: Finding| finding.publishable(self.http.secrets()));
        Outcome { result, latency: began.elapsed() }
    }
}

fn compile_resolver(resolver: Option<&str>) -> Result<Lookup, SpecError> {
    let Some(resolver) = resolver else { return Ok(Lookup::Fresh) };
    let wrong = |problem: String| SpecError::new("publicProbe.resolver", problem);
    let address = Address::parse(resolver, Some(53)).map_err(wrong)?;
    let ip: IpAddr = address
        .host
        .parse()
        .map_err(|_| wrong(format!("{:?} must be an IP address: who would resolve it?", address.host)))?;
    Ok(Lookup::Server(SocketAddr::new(ip, address.port)))
}

/// Probes until the task is dropped.
pub(crate) async fn keep_probing(
    mut probe: PublicProbe,
    shared: Arc<Shared>,
    facts: watch::Sender<Option<Fact<PublicFacts>>>,
) {
    let mut row = PublicFacts::default();
    loop {
        let next = Instant::now() + probe.every;
        let at = shared.clock.now();
        let outcome = probe.run(&shared).await;
        row = fold(&row, at, outcome);
        facts.send_replace(Some(Fact::new(row.clone(), at.tick)));
        sleep_until(next).await;
    }
}

fn fold(row: &PublicFacts, at: Stamp, outcome: Outcome) -> PublicFacts {
    match outcome.result {
        Ok(()) => PublicFacts {
            successes: row.successes.saturating_add(1),
            since: row.since.or(Some(at)),
            last: "answered as expected".to_owned(),
        },
        Err(finding) => PublicFacts { successes: 0, since: None, last: finding.detail },
    }
}

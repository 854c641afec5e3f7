//! What the tests probe: small servers on loopback, certificates, a clock.
#![allow(dead_code, unreachable_pub, missing_docs)]

pub mod dns;
pub mod http;
pub mod postgres;
pub mod tls;

use muster_core::health::Symptom;
use muster_core::ids::RegionName;
use muster_core::policy::On;
use muster_core::time::{BootId, Stamp, Tick, Wall};
use muster_probes::{
    AnchorSpec, Clock, HttpSpec, Once, ProbeKind, ProbeSpec, RegionVars, Report, ReportSink, SpecError,
    run_once,
};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// A real clock, without a boot id.
pub struct TestClock(Instant);

impl TestClock {
    pub fn start() -> Arc<dyn Clock> {
        Arc::new(Self(Instant::now()))
    }
}

impl Clock for TestClock {
    #[allow(clippy::disallowed_methods)]
    fn now(&self) -> Stamp {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        let tick = u64::try_from(self.0.elapsed().as_millis()).expect("short test");
        let wall = i64::try_from(wall.as_millis()).expect("before the year 292 million");
        Stamp { boot: BootId(1), tick: Tick(tick), wall: Wall(wall) }
    }
}

pub fn region(name: &str, values: &[(&str, &str)]) -> RegionVars {
    let values = values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    RegionVars { name: name.into(), values }
}

pub fn probe(kind: ProbeKind) -> ProbeSpec {
    ProbeSpec {
        name: "p".into(),
        on: On::Both,
        every: Duration::from_secs(5),
        timeout: Duration::from_secs(3),
        kind,
    }
}

pub fn get(url: &str, expect: &[&str]) -> HttpSpec {
    let expect = expect.iter().map(|e| (*e).to_owned()).collect();
    HttpSpec { url: url.to_owned(), expect, ..HttpSpec::default() }
}

pub fn http_probe(url: &str, expect: &[&str]) -> ProbeSpec {
    probe(ProbeKind::Http(get(url, expect)))
}

pub fn within(limit_ms: u64, spec: ProbeSpec) -> ProbeSpec {
    ProbeSpec { timeout: Duration::from_millis(limit_ms), ..spec }
}

pub fn once(anchors: &[&str]) -> Once {
    let anchors = anchors.iter().map(|a| AnchorSpec::parse(a).expect("an anchor")).collect();
    Once { vantage: "v1".into(), clock: TestClock::start(), anchors, active: Some("east".into()) }
}

pub async fn run(spec: &ProbeSpec) -> Report {
    run_in(spec, &region("east", &[])).await
}

pub async fn run_in(spec: &ProbeSpec, region: &RegionVars) -> Report {
    run_once(spec, region, &once(&[])).await.expect("the probe compiles")
}

pub async fn mistakes(spec: &ProbeSpec) -> Vec<SpecError> {
    run_once(spec, &region("east", &[]), &once(&[])).await.expect_err("must be refused")
}

#[track_caller]
pub fn assert_saw(report: &Report, symptom: Symptom, detail: &str) {
    assert_eq!(report.symptom, symptom, "{report:?}");
    assert!(report.sample.detail.contains(detail), "want {detail:?} in {report:?}");
}

/// Collects reports.
#[derive(Clone, Default)]
pub struct Collected(pub Arc<Mutex<Vec<Report>>>);

impl ReportSink for Collected {
    fn report(&self, report: Report) {
        self.0.lock().expect("not poisoned").push(report);
    }
}

impl Collected {
    pub fn all(&self) -> Vec<Report> {
        self.0.lock().expect("not poisoned").clone()
    }

    pub fn of(&self, probe: &str, region: &str) -> Vec<Report> {
        let (probe, region) = (probe.into(), RegionName::new(region));
        self.all().into_iter().filter(|r| r.sample.probe == probe && r.sample.region == region).collect()
    }
}

/// Polls until `holds`, or fails after half a minute.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < until, "not within 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An address where nothing listens.
pub async fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    listener.local_addr().expect("bound").to_string()
}

/// An address that takes no connection and refuses none: its backlog is full.
pub struct BlackHole {
    pub address: String,
    _listener: TcpListener,
    _fill: Vec<TcpStream>,
}

impl BlackHole {
    pub async fn open() -> Self {
        let socket = TcpSocket::new_v4().expect("socket");
        socket.bind("127.0.0.1:0".parse().expect("address")).expect("binds");
        let listener = socket.listen(1).expect("listens");
        let address = listener.local_addr().expect("bound");
        let mut fill = Vec::new();
        while let Ok(Ok(stream)) =
            tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(address)).await
        {
            fill.push(stream);
            assert!(fill.len() < 100, "the backlog does not fill");
        }
        Self { address: address.to_string(), _listener: listener, _fill: fill }
    }
}

/// A listener that accepts and then does what the closure does with each connection.
pub async fn accepting<F, R>(each: F) -> String
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(each(stream));
        }
    });
    address
}

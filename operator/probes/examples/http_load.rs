//! Measures the scheduler under load: so many HTTP probes, each once a second over a fresh connection.
//!
//! ```text
//! http_load serve ADDRESS            a server that answers 200
//! http_load probe ADDRESS PROBES SECONDS
//! ```
//!
//! The last line is `http_load: key=value ...`: results per second, failures, CPU time of this process as a share of
//! one core, and its resident memory.

use muster_core::health::Symptom;
use muster_core::policy::On;
use muster_core::time::Stamp;
use muster_probes::{
    Clock, HttpSpec, ProbeKind, ProbeRunner, ProbeSpec, ProbingSpec, RegionVars, Report, ReportSink,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;

struct NoClock;

impl Clock for NoClock {
    fn now(&self) -> Stamp {
        Stamp::default()
    }
}

#[derive(Default)]
struct Count {
    all: AtomicU64,
    failed: AtomicU64,
}

impl ReportSink for Count {
    fn report(&self, report: Report) {
        self.all.fetch_add(1, Ordering::Relaxed);
        if report.symptom != Symptom::None {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve", address] => serve(address).await,
        ["probe", address, probes, seconds] => {
            let (probes, seconds) = (probes.parse().expect("a number"), seconds.parse().expect("a number"));
            probe(address, probes, Duration::from_secs(seconds)).await;
        }
        _ => eprintln!("usage: http_load serve ADDRESS | probe ADDRESS PROBES SECONDS"),
    }
}

async fn serve(address: &str) {
    let listener = TcpListener::bind(address).await.expect("binds");
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            if stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
                let _ = stream.write_all(answer).await;
            }
        });
    }
}

async fn probe(address: &str, probes: usize, long: Duration) {
    let count = Arc::new(Count::default());
    let (_active, watching) = watch::channel(Some("east".into()));
    let sink = Arc::<Count>::clone(&count);
    let mut runner = ProbeRunner::new("v1".into(), Arc::new(NoClock), sink, watching);
    let spec = |n: usize| ProbeSpec {
        name: format!("p{n}").as_str().into(),
        on: On::Both,
        every: Duration::from_secs(1),
        timeout: Duration::from_millis(900),
        kind: ProbeKind::Http(HttpSpec {
            url: format!("http://{address}/healthz"),
            expect: vec!["status == 200".to_owned()],
            fresh_connection: true,
            ..HttpSpec::default()
        }),
    };
    let regions = vec![RegionVars { name: "east".into(), values: BTreeMap::new() }];
    let spec = ProbingSpec { regions, probes: (0..probes).map(spec).collect(), ..ProbingSpec::default() };
    runner.apply(&spec).expect("compiles");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (began, all, cpu) = (Instant::now(), count.all.load(Ordering::Relaxed), cpu_seconds());
    tokio::time::sleep(long).await;
    let took = began.elapsed().as_secs_f64();
    let done = count.all.load(Ordering::Relaxed) - all;
    #[allow(clippy::cast_precision_loss)]
    let rate = done as f64 / took;
    println!(
        "http_load: probes={probes} per_second={rate:.0} failed={} cpu_share={:.3} rss_kb={}",
        count.failed.load(Ordering::Relaxed),
        (cpu_seconds() - cpu) / took,
        rss_kb()
    );
}

/// User and system time of this process, in ticks of a hundredth second (`man 5 proc`).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let after_name = stat.rsplit_once(')').expect("a name").1;
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.map(|n| n.parse::<f64>().expect("a number")).sum::<f64>() / 100.0
}

fn rss_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number")
}

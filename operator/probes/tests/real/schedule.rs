//! The scheduler: its own pace for each probe and region, live changes, immediate stop.

use crate::support::http::{HttpServer, reply};
use crate::support::{BlackHole, Collected, TestClock, eventually, get, http_probe, region, within};
use muster_core::health::ProbeResult;
use muster_core::ids::RegionName;
use muster_core::policy::On;
use muster_probes::{AnchorSpec, HttpSpec, ProbeKind, ProbeRunner, ProbeSpec, ProbingSpec};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::watch;

struct Bench {
    runner: ProbeRunner,
    reports: Collected,
    active: watch::Sender<Option<RegionName>>,
}

fn bench() -> Bench {
    let reports = Collected::default();
    let (active, watching) = watch::channel(Some("east".into()));
    let sink = Arc::new(reports.clone());
    let runner = ProbeRunner::new("v1".into(), TestClock::start(), sink, watching);
    Bench { runner, reports, active }
}

fn fast(name: &str, on: On, spec: ProbeSpec) -> ProbeSpec {
    ProbeSpec { name: name.into(), on, every: Duration::from_millis(20), ..spec }
}

fn plan(probes: Vec<ProbeSpec>, values: &[(&str, &str)]) -> ProbingSpec {
    ProbingSpec {
        regions: vec![region("east", values), region("west", values)],
        probes,
        ..ProbingSpec::default()
    }
}

#[tokio::test]
async fn a_slow_target_delays_no_other_and_never_overlaps_with_itself() {
    let hole = BlackHole::open().await;
    let slow = HttpServer::start(|_| reply(200, "").after(Duration::from_millis(150))).await;
    let quick = HttpServer::start(|_| reply(200, "")).await;
    let mut bench = bench();
    let mut probes: Vec<ProbeSpec> = (0..50)
        .map(|n| {
            let spec = within(60_000, http_probe(&format!("http://{}/", hole.address), &[]));
            fast(&format!("hole{n}"), On::Primary, spec)
        })
        .collect();
    probes.push(fast("slow", On::Primary, http_probe(&slow.url("/"), &[])));
    probes.push(fast("quick", On::Primary, http_probe(&quick.url("/"), &[])));
    bench.runner.apply(&plan(probes, &[])).expect("compiles");
    eventually("many quick results", || bench.reports.of("quick", "east").len() >= 40).await;
    eventually("some slow results", || bench.reports.of("slow", "east").len() >= 3).await;
    assert_eq!(slow.counts.most_under_way.load(Ordering::SeqCst), 1);
    assert_eq!(bench.reports.of("hole0", "east").len(), 0);
}

#[tokio::test]
async fn probes_switch_sides_when_the_active_region_changes() {
    let server = HttpServer::start(|_| reply(200, "")).await;
    let mut bench = bench();
    let url = server.url("/");
    let of = |name: &str, on: On| fast(name, on, http_probe(&format!("{url}{{{{ region.name }}}}"), &[]));
    let probes = vec![of("primary", On::Primary), of("standby", On::Standby), of("both", On::Both)];
    bench.runner.apply(&plan(probes, &[])).expect("compiles");
    let count = |probe: &str, region: &str| bench.reports.of(probe, region).len();
    eventually("first results", || {
        count("primary", "east") > 2
            && count("standby", "west") > 2
            && count("both", "east").min(count("both", "west")) > 2
    })
    .await;
    assert_eq!((count("primary", "west"), count("standby", "east")), (0, 0));

    bench.active.send_replace(Some("west".into()));
    eventually("the sides change", || count("primary", "west") > 2 && count("standby", "east") > 2).await;
    let (primary, standby) = (count("primary", "east"), count("standby", "west"));
    eventually("more results", || count("primary", "west") > 10).await;
    assert_eq!((count("primary", "east"), count("standby", "west")), (primary, standby));

    bench.active.send_replace(None);
    let (primary, both) = (count("primary", "west"), count("both", "west"));
    eventually("both goes on", || count("both", "west") > both + 5).await;
    assert!(count("primary", "west") <= primary + 1);
    assert!(bench.reports.all().iter().all(|r| r.sample.result == ProbeResult::Pass));
}

#[tokio::test]
async fn a_run_under_way_is_dropped_when_its_side_changes() {
    let server = HttpServer::start(|_| reply(200, "").after(Duration::from_secs(30))).await;
    let mut bench = bench();
    let probes = vec![fast("p", On::Primary, within(60_000, http_probe(&server.url("/"), &[])))];
    bench.runner.apply(&plan(probes, &[])).expect("compiles");
    eventually("the run begins", || server.asked().len() == 1).await;
    bench.active.send_replace(Some("west".into()));
    eventually("the other side begins", || server.asked().len() == 2).await;
    eventually("the first is gone", || server.counts.under_way.load(Ordering::SeqCst) <= 2).await;
    assert!(bench.reports.all().is_empty(), "a dropped run says nothing");
}

#[tokio::test]
async fn connections_are_kept_unless_a_fresh_one_is_the_point() {
    let (kept, fresh) =
        (HttpServer::start(|_| reply(200, "x")).await, HttpServer::start(|_| reply(200, "x")).await);
    let mut bench = bench();
    let anew = HttpSpec { fresh_connection: true, ..get(&fresh.url("/"), &[]) };
    let probes = vec![
        fast("kept", On::Primary, http_probe(&kept.url("/"), &[])),
        fast("fresh", On::Primary, crate::support::probe(ProbeKind::Http(anew))),
    ];
    bench.runner.apply(&plan(probes, &[])).expect("compiles");
    eventually("results", || kept.asked().len() >= 10 && fresh.asked().len() >= 10).await;
    assert_eq!(kept.connections(), 1);
    assert!(fresh.connections() >= 10);
}

#[tokio::test]
async fn many_silences_ask_an_anchor_a_few_times_only() {
    let (hole, anchor) = (BlackHole::open().await, HttpServer::start(|_| reply(200, "")).await);
    let mut bench = bench();
    let silent = |n: usize| {
        let spec = within(400, http_probe(&format!("http://{}/", hole.address), &[]));
        fast(&format!("hole{n}"), On::Primary, spec)
    };
    let anchors = vec![AnchorSpec::Http(anchor.url("/"))];
    let spec = ProbingSpec { anchors, ..plan((0..100).map(silent).collect(), &[]) };
    let began = Instant::now();
    bench.runner.apply(&spec).expect("compiles");
    eventually("each was judged", || bench.reports.all().len() >= 300).await;
    assert!(bench.reports.all().iter().all(|r| r.sample.result == ProbeResult::Fail));
    let at_most = 1 + began.elapsed().as_millis() / 250;
    assert!(anchor.asked().len() as u128 <= at_most, "{} in {:?}", anchor.asked().len(), began.elapsed());
}

#[tokio::test]
async fn an_edit_restarts_only_what_changed() {
    let (same, old, new) = (
        HttpServer::start(|_| reply(200, "")).await,
        HttpServer::start(|_| reply(200, "")).await,
        HttpServer::start(|_| reply(200, "")).await,
    );
    let mut bench = bench();
    let probes = |edited: &HttpServer| {
        vec![
            fast("same", On::Primary, http_probe(&same.url("/"), &[])),
            fast("edited", On::Primary, http_probe(&edited.url("/"), &[])),
        ]
    };
    bench.runner.apply(&plan(probes(&old), &[])).expect("compiles");
    eventually("first results", || same.asked().len() > 2 && old.asked().len() > 2).await;
    bench.runner.apply(&plan(probes(&new), &[])).expect("compiles");
    let asked = old.asked().len();
    eventually("the edit works", || new.asked().len() > 2).await;
    assert!(old.asked().len() <= asked + 1);

    // A broken edit changes nothing.
    let broken = vec![fast("same", On::Primary, http_probe("nonsense", &[]))];
    let mistakes = bench.runner.apply(&plan(broken, &[])).expect_err("is refused");
    assert!(mistakes[0].to_string().starts_with("probes[same].http.get"), "{mistakes:?}");
    let asked = new.asked().len();
    eventually("the old ones go on", || new.asked().len() > asked + 2).await;
    assert_eq!((same.connections(), new.connections()), (1, 1));
}

#[tokio::test]
async fn dropping_the_runner_stops_everything() {
    let server = HttpServer::start(|_| reply(200, "").after(Duration::from_millis(20))).await;
    let mut bench = bench();
    let probes = (0..20).map(|n| fast(&format!("p{n}"), On::Both, http_probe(&server.url("/"), &[])));
    bench.runner.apply(&plan(probes.collect(), &[])).expect("compiles");
    eventually("results", || bench.reports.all().len() > 50).await;
    drop(bench.runner);
    eventually("nothing is under way", || server.counts.under_way.load(Ordering::SeqCst) == 0).await;
    eventually("nobody is left to report", || Arc::strong_count(&bench.reports.0) == 1).await;
}

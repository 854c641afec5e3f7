//! SQL probes and heartbeats against real PostgreSQL servers.

use crate::support::postgres::{Postgres, target};
use crate::support::tls::Authority;
use crate::support::{
    Collected, TestClock, assert_saw, closed_port, eventually, once, probe, region, run, within,
};
use muster_core::facts::HeartbeatFacts;
use muster_core::health::{ProbeResult, Symptom};
use muster_core::ids::RegionName;
use muster_core::secret::Secret;
use muster_core::time::Millis;
use muster_probes::{
    HeartbeatSpec, Once, PgTarget, PgTls, ProbeKind, ProbeRunner, ProbeSpec, ProbingSpec, SqlSpec,
    StandbyBeat, run_once,
};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_postgres::Client;

fn sql_probe(target: PgTarget, query: &str, expect: &[&str]) -> ProbeSpec {
    let expect = expect.iter().map(|e| (*e).to_owned()).collect();
    probe(ProbeKind::Sql(SqlSpec { data: "orders".into(), target, query: query.to_owned(), expect }))
}

fn beat_probe(target: PgTarget) -> ProbeSpec {
    let spec = probe(ProbeKind::Heartbeat(HeartbeatSpec { data: "orders".into(), target }));
    ProbeSpec {
        name: "beat".into(),
        every: Duration::from_millis(50),
        timeout: Duration::from_secs(2),
        ..spec
    }
}

async fn number(client: &Client, query: &str) -> i64 {
    client.query_one(query, &[]).await.expect(query).get(0)
}

#[tokio::test]
async fn rows_are_judged_by_what_the_policy_expects() {
    let east = Postgres::primary().await;
    let all = "select true as b, 3::int2 as i2, 4 as i4, 5::int8 as i8, 1.5::float8 as f, 2.50::numeric as n, \
        7::numeric as whole, 'placed'::text as t, 'x'::char(3) as c, null::int as nothing, 'NaN'::float8 as nan, \
        '{\"a\": [1]}'::jsonb as j, '{\"a\": 2}'::json as k, interval '1 day 2 hours' as span, \
        timestamptz '2024-01-02 03:04:05Z' as at, '0f0e0d0c-0b0a-0908-0706-050403020100'::uuid as id";
    for (query, expect, symptom, detail) in [
        ("select 1", &[][..], Symptom::None, ""),
        (
            all,
            &["row.b && row.i2 + row.i4 + row.i8 == 12", "row.f == 1.5 && row.n == 2.5"],
            Symptom::None,
            "",
        ),
        (
            all,
            &["row.whole == 7", "row.t == 'placed' && row.c == 'x  '", "row.nothing == null"],
            Symptom::None,
            "",
        ),
        (all, &["row.j.a[0] == 1 && row.k.a == 2", "row.span == duration('26h')"], Symptom::None, ""),
        (all, &["row.at == timestamp('2024-01-02T03:04:05Z')"], Symptom::None, ""),
        (all, &["row.id == '0f0e0d0c-0b0a-0908-0706-050403020100'"], Symptom::None, ""),
        (all, &["row.i4 > 4"], Symptom::ExpectationFalse, "`row.i4 > 4` is false: row.i4 = 4"),
        (all, &["row.gone > 4"], Symptom::ExpectationFalse, "there is no gone"),
        (all, &["row.nothing < 5"], Symptom::NothingSaid, "a column is NULL or not a number"),
        (all, &["row.nan < 5.0"], Symptom::NothingSaid, "a column is NULL or not a number"),
        ("select null as n, 1 as name", &["row.name == 2"], Symptom::ExpectationFalse, "row.name = 1"),
        ("select 1 as n where false", &["row.n == 1"], Symptom::NothingSaid, "the query gave no row"),
        ("select 1 as n where false", &["rows.size() == 0"], Symptom::None, ""),
        (
            "select generate_series(1, 3) as n",
            &["rows.all(r, r.n < 4)", "size(rows) == 3"],
            Symptom::None,
            "",
        ),
        ("select generate_series(1, 2000)", &[], Symptom::OwnSetup, "more than 1000 rows"),
        ("select point(1, 2) as p", &[], Symptom::OwnSetup, "write p::text in the query"),
        ("selec 1", &[], Symptom::OwnSetup, "syntax error"),
        ("select * from gone", &[], Symptom::WrongAnswer, "does not exist (SQLSTATE 42P01)"),
        ("select 1 / 0", &[], Symptom::WrongAnswer, "division by zero"),
        ("select pg_read_file('/etc/passwd')", &[], Symptom::OwnSetup, "permission denied"),
    ] {
        let report = run(&sql_probe(target(&[("east", east.port)]), query, expect)).await;
        assert_saw(&report, symptom, detail);
    }
    let slow = within(300, sql_probe(target(&[("east", east.port)]), "select pg_sleep(60)", &[]));
    assert_saw(&run(&slow).await, Symptom::Timeout, "connected, but no answer within 300ms");
}

#[tokio::test]
async fn whose_fault_a_refused_login_is() {
    let east = Postgres::primary().await;
    let reach = target(&[("east", east.port)]);
    let closed = closed_port().await.rsplit_once(':').expect("a port").1.parse().expect("a number");
    let other = PgTarget { password: Some(Secret::new("hunter2")), ..reach.clone() };
    for (to, symptom, detail) in [
        (other, Symptom::OwnSetup, "password authentication failed"),
        (PgTarget { password: None, ..reach.clone() }, Symptom::OwnSetup, "password"),
        (PgTarget { database: "gone".into(), ..reach.clone() }, Symptom::WrongAnswer, "does not exist"),
        (PgTarget { tls: PgTls::Require, ..reach }, Symptom::WrongAnswer, "server does not support TLS"),
        (target(&[("east", closed)]), Symptom::Refused, "connection refused"),
    ] {
        let report = run(&sql_probe(to, "select 1", &[])).await;
        assert_saw(&report, symptom, detail);
        assert!(!report.sample.detail.contains("hunter2"));
    }
}

#[tokio::test]
async fn over_tls_the_server_is_verified_if_asked() {
    let ca = Authority::new();
    let (cert, key) = ca.server_pem("127.0.0.1");
    let east = Postgres::with_tls(&cert, &key).await;
    let with = |tls| sql_probe(PgTarget { tls, ..target(&[("east", east.port)]) }, TLS_USED, &["row.ssl"]);
    assert_saw(&run(&with(PgTls::Require)).await, Symptom::None, "");
    assert_saw(&run(&with(PgTls::VerifyFull { ca: Some(ca.pem()) })).await, Symptom::None, "");
    let report = run(&with(PgTls::VerifyFull { ca: Some(Authority::new().pem()) })).await;
    assert_saw(&report, Symptom::OwnSetup, "not in our trust store");
}

const TLS_USED: &str = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";

const CONNECTIONS: &str = "select count(*) from pg_stat_activity where application_name = 'muster-probe'";

struct Pair {
    east: Postgres,
    west: Postgres,
    runner: ProbeRunner,
    reports: Collected,
    active: watch::Sender<Option<RegionName>>,
}

impl Pair {
    async fn start() -> Self {
        let east = Postgres::primary().await;
        let west = east.standby();
        let (active, watching) = watch::channel(Some("east".into()));
        let reports = Collected::default();
        let sink = Arc::new(reports.clone());
        let runner = ProbeRunner::new("controller".into(), TestClock::start(), sink, watching);
        let mut pair = Self { east, west, runner, reports, active };
        let spec = pair.spec();
        pair.runner.apply(&spec).expect("compiles");
        pair
    }

    fn spec(&self) -> ProbingSpec {
        let beat = beat_probe(target(&[("east", self.east.port), ("west", self.west.port)]));
        let regions = vec![region("east", &[]), region("west", &[])];
        ProbingSpec { regions, probes: vec![beat], ..ProbingSpec::default() }
    }

    fn facts(&self) -> HeartbeatFacts {
        self.runner.heartbeats().remove(&"orders".into()).expect("there is a heartbeat")
    }

    fn west(&self) -> Option<StandbyBeat> {
        self.runner.standby_beats().remove(&"orders".into())?.remove(&"west".into())
    }

    fn last(&self, region: &str) -> Option<(ProbeResult, Symptom, String)> {
        let report = self.reports.of("beat", region).pop()?;
        Some((report.sample.result, report.symptom, report.sample.detail))
    }
}

#[tokio::test]
async fn beats_are_acknowledged_and_seen_at_the_standby() {
    let pair = Pair::start().await;
    eventually("beats arrive at the standby", || {
        pair.facts().acked_seq >= 5 && pair.west().is_some_and(|west| west.seq >= 5)
    })
    .await;
    let facts = pair.facts();
    assert_eq!(facts.writer.as_str(), "controller");
    assert!(facts.in_flight <= 1, "one beat at a time: {}", facts.in_flight);
    assert_eq!(
        facts.recent.last().map(|(seq, at)| (*seq, Some(*at))),
        Some((facts.acked_seq, facts.acked_at))
    );
    assert_eq!(pair.last("west").map(|(result, ..)| result), Some(ProbeResult::Pass));

    // A standby that stops to replay shows the loss that would be.
    let standby = pair.west.admin().await;
    standby.batch_execute("select pg_wal_replay_pause()").await.expect("pauses");
    eventually("the standby falls behind", || {
        pair.west().is_some_and(|west| west.behind >= 10 && west.lag >= Some(Millis(300)))
    })
    .await;
    standby.batch_execute("select pg_wal_replay_resume()").await.expect("resumes");
    eventually("the standby catches up", || pair.west().is_some_and(|west| west.behind <= 1)).await;

    let admin = pair.east.admin().await;
    assert_eq!(number(&admin, CONNECTIONS).await, 1, "one connection is kept");
}

#[tokio::test]
async fn the_sequence_goes_on_over_a_restart_of_the_process() {
    let mut pair = Pair::start().await;
    eventually("first beats", || pair.facts().acked_seq >= 3).await;
    let acked = pair.facts().acked_seq;
    let spec = pair.spec();
    let sink = Arc::new(pair.reports.clone());
    pair.runner = ProbeRunner::new("controller".into(), TestClock::start(), sink, pair.active.subscribe());
    pair.runner.apply(&spec).expect("compiles");
    eventually("further beats", || pair.facts().acked_seq > acked).await;
    assert!(pair.facts().recent.iter().all(|(seq, _)| *seq > acked), "{:?}", pair.facts());
}

#[tokio::test]
async fn beats_are_written_only_to_the_active_region() {
    let pair = Pair::start().await;
    eventually("beats in the east", || pair.facts().acked_seq >= 3).await;
    // Before the promotion: the journal says west, the node says standby.
    pair.active.send_replace(Some("west".into()));
    eventually("the standby refuses", || {
        pair.last("west").is_some_and(|(_, symptom, detail)| {
            symptom == Symptom::WrongAnswer && detail.contains("takes no writes")
        })
    })
    .await;
    let admin = pair.east.admin().await;
    let seq = "select seq from muster.heartbeat where writer = 'controller'";
    let written = number(&admin, seq).await;
    // The next one may be on its way just now.
    eventually("a refused beat is not in flight", || pair.facts().in_flight == 0).await;

    pair.west.admin().await.batch_execute("select pg_promote()").await.expect("promotes");
    let acked = pair.facts().acked_seq;
    eventually("beats in the west", || pair.facts().acked_seq > acked + 3).await;
    assert_eq!(number(&admin, seq).await, written, "the old side was not written");
    assert!(number(&pair.west.admin().await, seq).await > written);

    pair.active.send_replace(None);
    let west = pair.west.admin().await;
    let until = Instant::now() + Duration::from_secs(30);
    while number(&west, CONNECTIONS).await > 0 {
        assert!(Instant::now() < until, "without an active region no connection is kept");
    }
}

#[tokio::test]
async fn a_standby_is_asked_where_its_readers_are_and_who_takes_writes_is_not() {
    let mut pair = Pair::start().await;
    // As with Aurora: whoever does not take writes has no other name than that of its readers.
    let nowhere =
        closed_port().await.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port");
    let readers = target(&[("east", nowhere), ("west", pair.west.port)]).nodes;
    let reach = PgTarget { readers, ..target(&[("east", pair.east.port), ("west", nowhere)]) };
    let sql = sql_probe(reach.clone(), "select 1 as n", &["row.n == 1"]);
    let sql = ProbeSpec { name: "sql".into(), every: Duration::from_millis(50), ..sql };
    let spec = ProbingSpec { probes: vec![beat_probe(reach), sql], ..pair.spec() };
    pair.runner.apply(&spec).expect("compiles");
    let reports = pair.reports.clone();
    let last = |region: &str| ["beat", "sql"].map(|of| reports.of(of, region).pop().map(|r| r.symptom));
    let all = |symptom| ["east", "west"].iter().all(|region| last(region) == [Some(symptom); 2]);
    eventually("beats arrive at the standby", || pair.west().is_some_and(|west| west.seq >= 5)).await;
    eventually("all pass", || all(Symptom::None)).await;
    // No session that is kept from before is used by the other name.
    pair.active.send_replace(Some("west".into()));
    eventually("nobody is asked by the other name", || all(Symptom::Refused)).await;
}

#[tokio::test]
async fn a_beat_without_an_answer_is_in_flight_and_leaves_one_process_at_most() {
    let east = Postgres::primary().await;
    let (_active, watching) = watch::channel(Some("east".into()));
    let reports = Collected::default();
    let sink = Arc::new(reports.clone());
    let mut runner = ProbeRunner::new("controller".into(), TestClock::start(), sink, watching);
    let beat = within(1000, beat_probe(target(&[("east", east.port)])));
    let spec =
        ProbingSpec { regions: vec![region("east", &[])], probes: vec![beat], ..ProbingSpec::default() };
    runner.apply(&spec).expect("compiles");
    let facts = || runner.heartbeats().remove(&"orders".into()).expect("there is a heartbeat");
    eventually("first beats", || facts().acked_seq >= 3).await;

    // Somebody holds the row, then the table: writes hang at the server, as for a missing synchronous standby.
    let (holder, admin) = (east.admin().await, east.admin().await);
    let hold_row = "begin; update muster.heartbeat set seq = seq";
    for hold in [hold_row, "begin; lock table muster.heartbeat in exclusive mode"] {
        holder.batch_execute(hold).await.expect("locks");
        let (acked, seen) = (facts().acked_seq, reports.all().len());
        eventually("several beats hang", || reports.all().len() >= seen + 4).await;
        let in_flight = facts().in_flight;
        assert!(if hold == hold_row { in_flight >= 3 } else { in_flight >= 1 }, "{in_flight} in flight");
        assert!(number(&admin, CONNECTIONS).await <= 2, "processes pile up at the server");
        holder.batch_execute("rollback").await.expect("unlocks");
        eventually("beats go on", || facts().acked_seq > acked && facts().in_flight == 0).await;
    }
    let timeouts = reports.of("beat", "east").into_iter().filter(|r| r.symptom == Symptom::Timeout);
    assert!(timeouts.count() >= 3);
}

#[tokio::test]
async fn a_restarted_server_is_reconnected() {
    let east = Postgres::primary().await;
    let (_active, watching) = watch::channel(Some("east".into()));
    let reports = Collected::default();
    let sink = Arc::new(reports.clone());
    let mut runner = ProbeRunner::new("controller".into(), TestClock::start(), sink, watching);
    let fast = |name: &str, spec: ProbeSpec| ProbeSpec {
        name: name.into(),
        every: Duration::from_millis(50),
        ..spec
    };
    let reach = target(&[("east", east.port)]);
    let probes = vec![
        fast("beat", beat_probe(reach.clone())),
        fast("sql", sql_probe(reach, "select 1 as n", &["row.n == 1"])),
    ];
    let spec = ProbingSpec { regions: vec![region("east", &[])], probes, ..ProbingSpec::default() };
    runner.apply(&spec).expect("compiles");
    let last = |probe: &str| reports.of(probe, "east").pop().map(|r| r.symptom);
    let both = |symptom| last("beat") == Some(symptom) && last("sql") == Some(symptom);
    eventually("both pass", || both(Symptom::None)).await;
    east.down();
    eventually("both are refused", || both(Symptom::Refused)).await;
    east.up();
    eventually("both pass again", || both(Symptom::None)).await;

    // A connection that only broke is no failure: the server is asked again at once.
    let seen = reports.all().len();
    let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'muster-probe'";
    assert_eq!(number(&east.admin().await, end).await, 2);
    let began = Instant::now();
    eventually("more results", || reports.all().len() > seen + 8).await;
    assert!(began.elapsed() < Duration::from_secs(5));
    let since: Vec<_> =
        reports.all().split_off(seen).into_iter().filter(|r| r.symptom != Symptom::None).collect();
    assert!(since.is_empty(), "{since:?}");
}

#[tokio::test]
async fn a_single_heartbeat_reads_unless_the_region_is_active_and_names_a_missing_setup() {
    let east = Postgres::primary().await;
    let spec = beat_probe(target(&[("east", east.port)]));
    let elsewhere = Once { active: Some("west".into()), ..once(&[]) };
    let report = run_once(&spec, &region("east", &[]), &elsewhere).await.expect("compiles");
    assert_saw(&report, Symptom::None, "");
    let rows = "select count(*) from muster.heartbeat";
    assert_eq!(number(&east.admin().await, rows).await, 0);
    assert_saw(&run(&spec).await, Symptom::None, "");
    assert_eq!(number(&east.admin().await, rows).await, 1);

    east.admin().await.batch_execute("drop schema muster cascade").await.expect("drops");
    let report = run(&spec).await;
    assert_saw(&report, Symptom::OwnSetup, "muster.heartbeat is missing");
    assert_eq!(report.sample.result, ProbeResult::Error);
}

//! Broken specifications: each message names the place and what would be right.

use crate::support::{TestClock, get, http_probe, probe, region};
use muster_core::secret::Secret;
use muster_probes::{
    AnchorSpec, DnsSpec, GrpcSpec, HeartbeatSpec, HttpSpec, PgTarget, PgTls, ProbeKind, ProbeSpec,
    ProbingSpec, PublicSpec, SqlSpec, StepSpec, TcpSpec, validate,
};
use std::collections::BTreeMap;
use std::time::Duration;

fn check(probes: Vec<ProbeSpec>) -> Vec<String> {
    let regions = vec![region("east", &[("api", "http://127.0.1.1:80")]), region("west", &[])];
    let spec = ProbingSpec { regions, probes, ..ProbingSpec::default() };
    validate(&spec, &TestClock::start()).iter().map(ToString::to_string).collect()
}

fn one(kind: ProbeKind) -> String {
    let found = check(vec![probe(kind)]);
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

fn target() -> PgTarget {
    let nodes = [("east".into(), ("127.0.1.2".to_owned(), 5432))].into();
    let (password, tls, readers) = (None, PgTls::Disable, BTreeMap::new());
    PgTarget { database: "shop".into(), user: "muster".into(), password, tls, nodes, readers }
}

#[test]
fn http_mistakes_name_field_expression_and_position() {
    let http = |spec: HttpSpec| one(ProbeKind::Http(spec));
    for (found, want) in [
        (
            http(get("http://x/", &["status == 200", "stats == 200"])),
            "probes[p].http.expect[1]: `stats == 200` column 1: there is no variable stats here; there are status,",
        ),
        (
            http(get("http://x/{{ region.values.api }}", &[])),
            "probes[p].http.get: `http://x/{{ region.values.api }}` column 10: region west has no value api;",
        ),
        (http(get("ftp://x/", &[])), "probes[p].http.get: `ftp://x/` has the scheme ftp; use http or https"),
        (http(get("/healthz", &[])), "probes[p].http.get: `/healthz` is no URL: relative URL without a base"),
        (
            http(get("http://u:secret@x/", &[])),
            "probes[p].http.get: the URL has a user or password in it; use secretHeaders",
        ),
        (
            http(get("http://x/", &["cert.expiresIn > duration('1h')"])),
            "probes[p].http.expect: speaks of cert, but the URL is not https",
        ),
        (
            http(HttpSpec { headers: [("a b".into(), "x".into())].into(), ..get("http://x/", &[]) }),
            "probes[p].http.headers[a b]: is no header name",
        ),
        (
            http(HttpSpec {
                headers: [("Content-Length".into(), "1".into())].into(),
                ..get("http://x/", &[])
            }),
            "probes[p].http.headers[Content-Length]: is set by the connection itself",
        ),
        (
            http(HttpSpec {
                secret_headers: vec![("a".into(), Secret::new("x\ny"))],
                ..get("http://x/", &[])
            }),
            "probes[p].http.secretHeaders[a]: the secret cannot stand in a header",
        ),
        (
            http(HttpSpec { follow_redirects: 99, ..get("http://x/", &[]) }),
            "probes[p].http.followRedirects: 99 is too many; at most 20",
        ),
    ] {
        assert!(found.starts_with(want), "got  {found}\nwant {want}");
    }
}

#[test]
fn suite_mistakes_name_the_step() {
    let step = |http: HttpSpec| StepSpec { name: "s".into(), http, ..StepSpec::default() };
    let first = StepSpec { save: [("id".into(), "body.".into())].into(), ..step(get("http://x/", &[])) };
    let second = step(get("http://x/{{ id }}/{{ other }}", &["status == '201'"]));
    let found = check(vec![probe(ProbeKind::Suite(vec![first, second]))]);
    for (found, want) in found.iter().zip([
        "probes[p].suite[0].save[id]: `body.` column 6: ",
        "probes[p].suite[1].get: `http://x/{{ id }}/{{ other }}` column 19: nothing is named \"other\" here; there are \
         region.name, region.values.KEY and what earlier steps save (id)",
        "probes[p].suite[1].expect[0]: `status == '201'` column 8: compares a number with a text,",
    ]) {
        assert!(found.starts_with(want), "got  {found}\nwant {want}");
    }
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(one(ProbeKind::Suite(Vec::new())), "probes[p].suite: has 0 steps; it needs 1 to 64");
}

#[test]
fn the_other_kinds_name_their_fields_too() {
    let dns = |name: &str, record_type: &str| {
        let (server, name, record_type) = ("127.0.0.1".to_owned(), name.to_owned(), record_type.to_owned());
        ProbeKind::Dns(DnsSpec { server, name, record_type, expect: vec!["answer.size() > 0".to_owned()] })
    };
    let sql = SqlSpec {
        data: "orders".into(),
        target: target(),
        query: "select 1".to_owned(),
        expect: vec!["row.n => 0".to_owned()],
    };
    for (found, want) in [
        (
            check(vec![probe(ProbeKind::Tcp(TcpSpec { address: "db".into() }))]),
            vec!["probes[p].tcp.address: \"db\" is no address; write host:port"],
        ),
        (
            check(vec![probe(ProbeKind::Grpc(GrpcSpec {
                address: "x:0".into(),
                service: String::new(),
                tls: None,
            }))]),
            vec!["probes[p].grpc.address: \"x:0\" is no address; write host:port"],
        ),
        (
            check(vec![probe(dns("a..b", "A"))]),
            vec![
                "probes[p].dns.name: \"a..b\" is no domain name",
                "probes[p].dns.expect[0]: `answer.size() > 0` column 1: there is no variable answer here",
            ],
        ),
        (
            check(vec![probe(dns("a.b", "AB"))]),
            vec![
                "probes[p].dns.name: \"AB\" is no record type; use A, AAAA, CNAME, TXT, ...",
                "probes[p].dns.expect[0]",
            ],
        ),
        (
            check(vec![probe(ProbeKind::Sql(sql))]),
            vec![
                "probes[p].sql.expect[0]: `row.n => 0` column ",
                "probes[p].sql.data: orders has no node in region west",
            ],
        ),
        (
            check(vec![probe(ProbeKind::Heartbeat(HeartbeatSpec {
                data: "orders".into(),
                target: target(),
            }))]),
            vec!["probes[p].heartbeat.data: orders has no node in region west"],
        ),
        (
            check(vec![ProbeSpec { every: Duration::ZERO, ..http_probe("http://x/", &[]) }]),
            vec!["probes[p].every: must be at least 1ms"],
        ),
        (
            check(vec![http_probe("http://x/", &[]), http_probe("http://y/", &[])]),
            vec!["probes[p]: the name is used twice"],
        ),
    ] {
        assert_eq!(found.len(), want.len(), "{found:?}");
        for (found, want) in found.iter().zip(want) {
            assert!(found.starts_with(want), "got  {found}\nwant {want}");
        }
    }
}

#[test]
fn public_probe_and_anchors_are_checked() {
    let public = PublicSpec {
        every: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        http: get("http://{{ region.name }}/", &[]),
        resolver: Some("resolver.example:53".to_owned()),
    };
    let spec = ProbingSpec {
        public: Some(public),
        anchors: vec![AnchorSpec::Tcp("x".to_owned()), AnchorSpec::Http("http://".to_owned())],
        ..ProbingSpec::default()
    };
    let found: Vec<String> = validate(&spec, &TestClock::start()).iter().map(ToString::to_string).collect();
    for (found, want) in found.iter().zip([
        "publicProbe.resolver: \"resolver.example\" must be an IP address",
        "publicProbe.http.get: `http://{{ region.name }}/` column 8: region.name: no region is known here",
        "detection.anchors[0]: \"x\" is no address; write host:port",
        "detection.anchors[1].get: `http://` is no URL",
    ]) {
        assert!(found.starts_with(want), "got  {found}\nwant {want}");
    }
    assert_eq!(found.len(), 4, "{found:?}");
    assert_eq!(AnchorSpec::parse("udp://x:1"), None);
}

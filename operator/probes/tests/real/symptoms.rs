//! What a probe runs into, against real sockets, and what it makes of it (safety rules, section 8).

use crate::support::http::{HttpServer, reply};
use crate::support::{
    BlackHole, accepting, assert_saw, closed_port, get, http_probe, once, probe, region, run, within,
};
use muster_core::health::{ProbeResult, Symptom};
use muster_core::secret::Secret;
use muster_probes::{HttpMethod as Method, HttpSpec, ProbeKind, ProbeSpec, TcpSpec, run_once};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn tcp_probe(address: &str) -> ProbeSpec {
    probe(ProbeKind::Tcp(TcpSpec { address: address.to_owned() }))
}

#[tokio::test]
async fn a_closed_port_is_the_targets_fault() {
    let address = closed_port().await;
    for spec in [tcp_probe(&address), http_probe(&format!("http://{address}/"), &[])] {
        let report = run(&spec).await;
        assert_saw(&report, Symptom::Refused, "connection refused");
        assert_eq!(report.sample.result, ProbeResult::Fail);
    }
}

#[tokio::test]
async fn a_silence_counts_only_if_an_anchor_answered_in_the_same_window() {
    let hole = BlackHole::open().await;
    let anchor = HttpServer::start(|_| reply(200, "")).await;
    let spec = within(300, tcp_probe(&hole.address));
    let east = region("east", &[]);
    let ask = async |anchors: &[&str]| run_once(&spec, &east, &once(anchors)).await.expect("compiles");

    let report = ask(&[]).await;
    assert_saw(&report, Symptom::Timeout, "no connection within 300ms; there are no anchors");
    assert_eq!(report.sample.result, ProbeResult::Error);

    let report = ask(&[&anchor.url("/"), &format!("tcp://{}", hole.address)]).await;
    assert_saw(&report, Symptom::Timeout, "no connection within 300ms");
    assert_eq!(report.sample.result, ProbeResult::Fail);

    let began = Instant::now();
    let report =
        ask(&[&format!("tcp://{}", hole.address), &format!("http://{}/", closed_port().await)]).await;
    assert_saw(&report, Symptom::Timeout, "no anchor answered either");
    assert_eq!(report.sample.result, ProbeResult::Error);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_timeout_says_how_far_it_came() {
    let mute = accepting(|stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    });
    let slow_body = accepting(|mut stream| async move {
        let mut buffer = [0; 1024];
        let _ = stream.read(&mut buffer).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await;
        std::future::pending::<()>().await;
    });
    for (address, detail) in
        [(mute.await, "connected, but no answer"), (slow_body.await, "the answer began, but did not end")]
    {
        let report = run(&within(200, http_probe(&format!("http://{address}/"), &["status == 200"]))).await;
        assert_saw(&report, Symptom::Timeout, detail);
        assert!(report.latency < Duration::from_millis(600), "{:?}", report.latency);
    }
}

#[tokio::test]
async fn a_broken_conversation_is_the_targets_fault() {
    let closes = accepting(|mut stream| async move {
        let mut buffer = [0; 1024];
        let _ = stream.read(&mut buffer).await;
    });
    let chatter = accepting(|mut stream| async move {
        let _ = stream.write_all(b"220 mail.example ESMTP\r\n").await;
        std::future::pending::<()>().await;
    });
    let report = run(&http_probe(&format!("http://{}/", closes.await), &[])).await;
    assert_saw(&report, Symptom::Refused, "broken off");
    let report = run(&http_probe(&format!("http://{}/", chatter.await), &[])).await;
    assert_saw(&report, Symptom::WrongAnswer, "the answer is no HTTP");
}

#[tokio::test]
async fn answers_are_judged_by_what_the_policy_expects() {
    let server = HttpServer::start(|asked| match asked.path.as_str() {
        "/ok" => reply(200, r#"{"state": "placed", "n": 3}"#).header("x-kind", "Test"),
        "/broken" => reply(200, "<html>"),
        "/error" => reply(503, r#"{"state": "placed"}"#),
        "/busy" => reply(429, "slow down"),
        "/large" => reply(200, &"x".repeat(2 * 1024 * 1024)),
        "/empty" => reply(204, ""),
        "/slow" => reply(200, "").after(Duration::from_millis(50)),
        _ => reply(404, ""),
    })
    .await;
    for (path, expect, symptom, detail) in [
        ("/ok", &[][..], Symptom::None, ""),
        ("/ok", &["status == 200", "body.n == 3", "headers['x-kind'] == 'Test'"], Symptom::None, ""),
        ("/ok", &["latency < duration('2s')", "text.contains('placed')"], Symptom::None, ""),
        (
            "/ok",
            &["status == 200", "body.state == 'shipped'"],
            Symptom::ExpectationFalse,
            r#"`body.state == 'shipped'` is false: body.state = "placed""#,
        ),
        ("/ok", &["body.gone == 1"], Symptom::ExpectationFalse, "does not hold: there is no gone"),
        ("/ok", &["headers['x-other'] == 'a'"], Symptom::ExpectationFalse, "there is no x-other"),
        ("/slow", &["latency < duration('10ms')"], Symptom::ExpectationFalse, "is false: latency = "),
        ("/broken", &["body.state == 'placed'"], Symptom::WrongAnswer, "the body is no JSON"),
        ("/error", &[], Symptom::WrongAnswer, "status 503"),
        ("/error", &["body.state == 'placed'"], Symptom::WrongAnswer, "status 503"),
        ("/error", &["status == 503"], Symptom::None, ""),
        ("/none", &["status == 200"], Symptom::ExpectationFalse, "`status == 200` is false: status = 404"),
        ("/busy", &[], Symptom::NothingSaid, "slow down"),
        ("/busy", &["status == 200"], Symptom::NothingSaid, "slow down"),
        ("/busy", &["body.n == 1"], Symptom::NothingSaid, "slow down"),
        ("/busy", &["status == 429"], Symptom::None, ""),
        ("/large", &[], Symptom::None, ""),
        ("/large", &["text != ''"], Symptom::WrongAnswer, "larger than"),
        ("/empty", &["body == null"], Symptom::None, ""),
    ] {
        let report = run(&http_probe(&server.url(path), expect)).await;
        assert_saw(&report, symptom, detail);
        let want = symptom.judge(false);
        assert_eq!(report.sample.result, want, "{path} {expect:?}");
    }
}

#[tokio::test]
async fn every_method_sends_its_body_and_headers() {
    let server = HttpServer::start(|_| reply(200, "")).await;
    for method in [Method::Get, Method::Post, Method::Put, Method::Patch, Method::Delete] {
        let spec = HttpSpec {
            method,
            body: Some(r#"{"of": "{{ region.name }}"}"#.to_owned()),
            headers: [("content-type".to_owned(), "application/json".to_owned())].into(),
            secret_headers: vec![("authorization".to_owned(), Secret::new("Bearer abc"))],
            ..get(&server.url("/x"), &[])
        };
        assert_saw(&run(&probe(ProbeKind::Http(spec))).await, Symptom::None, "");
    }
    let log = server.log();
    assert_eq!(log, ["GET /x", "POST /x", "PUT /x", "PATCH /x", "DELETE /x"]);
    for asked in server.asked() {
        assert_eq!(&asked.body[..], br#"{"of": "east"}"#);
        assert_eq!(asked.headers["authorization"], "Bearer abc");
        assert_eq!(asked.headers["content-type"], "application/json");
        assert_eq!(asked.headers["host"], server.address.as_str());
    }
}

#[tokio::test]
async fn redirects_are_followed_so_far_and_take_no_secret_to_another_origin() {
    let other = HttpServer::start(|_| reply(200, "there")).await;
    let there = other.url("/there");
    let server = HttpServer::start(move |asked| match asked.path.as_str() {
        "/loop" => reply(302, "").header("location", "/loop"),
        "/away" => reply(307, "").header("location", &there),
        "/form" => reply(303, "").header("location", "done?x=1"),
        _ => reply(200, "here"),
    })
    .await;
    let follow = |path: &str, n: u32| {
        let spec = HttpSpec {
            method: Method::Post,
            body: Some("b".to_owned()),
            follow_redirects: n,
            secret_headers: vec![("authorization".to_owned(), Secret::new("Bearer abc"))],
            ..get(&server.url(path), &[])
        };
        probe(ProbeKind::Http(spec))
    };
    assert_saw(&run(&follow("/loop", 3)).await, Symptom::WrongAnswer, "more than 3 redirects");
    assert_saw(&run(&follow("/loop", 0)).await, Symptom::WrongAnswer, "status 302");
    assert_saw(&run(&follow("/form", 1)).await, Symptom::None, "");
    assert_eq!(server.log().last().map(String::as_str), Some("GET /done?x=1"));
    assert_saw(&run(&follow("/away", 1)).await, Symptom::None, "");
    let asked = &other.asked()[0];
    assert_eq!((asked.method.as_str(), &asked.body[..]), ("POST", &b"b"[..]));
    assert!(!asked.headers.contains_key("authorization"), "{asked:?}");
}

#[tokio::test]
async fn a_secret_that_the_target_echoes_is_not_shown() {
    let server = HttpServer::start(|asked| {
        let echoed = asked.headers["authorization"].to_str().expect("text").to_owned();
        reply(200, &format!(r#"{{"got": "{echoed}"}}"#))
    })
    .await;
    let spec = HttpSpec {
        secret_headers: vec![("authorization".to_owned(), Secret::new("hunter2hunter2"))],
        ..get(&server.url("/"), &["body.got == ''"])
    };
    let report = run(&probe(ProbeKind::Http(spec))).await;
    assert_saw(&report, Symptom::ExpectationFalse, r#"body.got = "[secret]""#);
    assert!(!format!("{report:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_name_that_cannot_be_resolved_is_our_own_trouble() {
    let report = run(&within(2000, tcp_probe("no-such-host.invalid:80"))).await;
    assert_saw(&report, Symptom::Resolver, "resolved");
    assert_eq!(report.sample.result, ProbeResult::Error);
}

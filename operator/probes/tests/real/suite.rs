//! Suites: an order is placed, read, deleted; whatever happens in between, it is deleted.

use crate::support::http::{Asked, HttpServer, Reply, reply};
use crate::support::{assert_saw, get, probe, region, run_in, within};
use muster_core::health::{ProbeResult, Symptom};
use muster_probes::{HttpMethod, HttpSpec, ProbeKind, ProbeSpec, RegionVars, StepSpec};
use std::time::Duration;

const API: &str = "{{ region.values.api }}";

fn step(name: &str, method: HttpMethod, path: &str, expect: &[&str]) -> StepSpec {
    let http = HttpSpec { method, ..get(&format!("{API}{path}"), expect) };
    StepSpec { name: name.to_owned(), http, ..StepSpec::default() }
}

fn saving(name: &str, source: &str, step: StepSpec) -> StepSpec {
    StepSpec { save: [(name.to_owned(), source.to_owned())].into(), ..step }
}

fn orders() -> ProbeSpec {
    let login = saving("token", "body.token", step("login", HttpMethod::Post, "/login", &[]));
    let mut order = saving("id", "body.id", step("order", HttpMethod::Post, "/orders", &["status == 201"]));
    order.http.headers.insert("authorization".to_owned(), "Bearer {{ token }}".to_owned());
    order.http.body = Some(r#"{"item": "x", "by": "{{ token }}"}"#.to_owned());
    let read = step("read", HttpMethod::Get, "/orders/{{ id }}", &["body.state == 'placed'"]);
    let delete = step("delete", HttpMethod::Delete, "/orders/{{ id }}", &[]);
    probe(ProbeKind::Suite(vec![login, order, read, StepSpec { always: true, ..delete }]))
}

fn shop(asked: &Asked) -> Reply {
    match (asked.method.as_str(), asked.path.as_str()) {
        ("POST", "/login") => reply(200, r#"{"token": "s3cr3t-t0k3n"}"#),
        ("POST", "/orders") => reply(201, r#"{"id": "a/1"}"#),
        ("GET", "/orders/a%2F1") => reply(200, r#"{"state": "placed"}"#),
        ("DELETE", "/orders/a%2F1") => reply(204, ""),
        _ => reply(404, ""),
    }
}

fn east(server: &HttpServer) -> RegionVars {
    region("east", &[("api", &server.url(""))])
}

#[tokio::test]
async fn values_are_carried_from_step_to_step() {
    let server = HttpServer::start(shop).await;
    assert_saw(&run_in(&orders(), &east(&server)).await, Symptom::None, "");
    assert_eq!(server.log(), ["POST /login", "POST /orders", "GET /orders/a%2F1", "DELETE /orders/a%2F1"]);
    let order = &server.asked()[1];
    assert_eq!(order.headers["authorization"], "Bearer s3cr3t-t0k3n");
    assert_eq!(&order.body[..], br#"{"item": "x", "by": "s3cr3t-t0k3n"}"#);
    assert_eq!(server.connections(), 1, "the steps share a connection");
}

#[tokio::test]
async fn clean_up_runs_after_a_failure() {
    let server = HttpServer::start(|asked| match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", _) => reply(200, r#"{"state": "lost"}"#),
        _ => shop(asked),
    })
    .await;
    let report = run_in(&orders(), &east(&server)).await;
    let detail = r#"step read: `body.state == 'placed'` is false: body.state = "lost""#;
    assert_saw(&report, Symptom::ExpectationFalse, detail);
    assert_eq!(server.log().last().map(String::as_str), Some("DELETE /orders/a%2F1"));
}

#[tokio::test]
async fn clean_up_runs_after_the_timeout_and_is_short() {
    let server = HttpServer::start(|asked| match asked.method.as_str() {
        "GET" => reply(200, "").after(Duration::from_mins(1)),
        _ => shop(asked),
    })
    .await;
    let report = run_in(&within(300, orders()), &east(&server)).await;
    assert_saw(&report, Symptom::Timeout, "step read: connected, but no answer within 300ms");
    assert!(report.latency < Duration::from_millis(500), "{:?}", report.latency);
    assert_eq!(server.log().last().map(String::as_str), Some("DELETE /orders/a%2F1"));

    let stuck = HttpServer::start(|asked| match asked.method.as_str() {
        "GET" | "DELETE" => reply(200, "").after(Duration::from_mins(1)),
        _ => shop(asked),
    })
    .await;
    let report = run_in(&within(300, orders()), &east(&stuck)).await;
    assert_saw(&report, Symptom::Timeout, "clean-up: step delete: no answer within 200ms");
}

#[tokio::test]
async fn nothing_is_cleaned_up_that_was_not_made() {
    let server = HttpServer::start(|asked| match asked.path.as_str() {
        "/orders" => reply(500, ""),
        _ => shop(asked),
    })
    .await;
    let report = run_in(&orders(), &east(&server)).await;
    assert_saw(&report, Symptom::ExpectationFalse, "step order: `status == 201` is false: status = 500");
    assert_eq!(server.log(), ["POST /login", "POST /orders"]);
}

#[tokio::test]
async fn a_failing_clean_up_fails_the_suite_when_all_else_passed() {
    let server = HttpServer::start(|asked| match asked.method.as_str() {
        "DELETE" => reply(500, ""),
        _ => shop(asked),
    })
    .await;
    assert_saw(&run_in(&orders(), &east(&server)).await, Symptom::WrongAnswer, "step delete: status 500");
}

#[tokio::test]
async fn a_token_is_never_shown() {
    let server = HttpServer::start(|asked| match asked.path.as_str() {
        "/orders" => reply(201, r#"{"echo": "s3cr3t-t0k3n"}"#),
        _ => shop(asked),
    })
    .await;
    let mut spec = orders();
    let ProbeKind::Suite(steps) = &mut spec.kind else { panic!("a suite") };
    steps[0].http.expect = vec!["body.token == 'other'".to_owned()];
    let report = run_in(&spec, &east(&server)).await;
    assert_saw(&report, Symptom::ExpectationFalse, r#"body.token = "[secret]""#);

    let ProbeKind::Suite(steps) = &mut spec.kind else { panic!("a suite") };
    steps[0].http.expect.clear();
    steps[1].http.expect = vec!["body.echo == ''".to_owned()];
    let report = run_in(&spec, &east(&server)).await;
    assert_saw(&report, Symptom::ExpectationFalse, r#"body.echo = "[secret]""#);
}

#[tokio::test]
async fn an_answer_without_the_value_to_save_is_wrong() {
    let server = HttpServer::start(|asked| match asked.path.as_str() {
        "/login" => reply(200, "{}"),
        _ => shop(asked),
    })
    .await;
    let report = run_in(&orders(), &east(&server)).await;
    assert_saw(
        &report,
        Symptom::WrongAnswer,
        "step login: token cannot be saved: `body.token`: there is no token",
    );
    assert_eq!(report.sample.result, ProbeResult::Fail);
}

//! Questions to name servers.

use crate::support::dns::{NameServer, Said, a, alias, txt};
use crate::support::{assert_saw, closed_port, probe, run, within};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use muster_core::health::Symptom;
use muster_probes::{DnsSpec, ProbeKind, ProbeSpec};
use std::sync::atomic::Ordering;

fn dns_probe(server: &str, name: &str, record_type: &str, expect: &[&str]) -> ProbeSpec {
    probe(ProbeKind::Dns(DnsSpec {
        server: server.to_owned(),
        name: name.to_owned(),
        record_type: record_type.to_owned(),
        expect: expect.iter().map(|e| (*e).to_owned()).collect(),
    }))
}

async fn server() -> NameServer {
    NameServer::start(|name, record_type| match (name, record_type) {
        ("shop.example.com.", RecordType::A) => Said::Records(vec![a("192.0.2.1"), a("192.0.2.2")]),
        ("alias.example.com.", RecordType::CNAME) => Said::Records(vec![alias("shop.example.com.")]),
        ("alias.example.com.", RecordType::A) => {
            Said::Records(vec![alias("shop.example.com."), a("192.0.2.1")])
        }
        ("text.example.com.", RecordType::TXT) => {
            Said::Long(vec![txt("v=1 \"quoted\""), txt(&"x".repeat(200))])
        }
        ("empty.example.com.", _) => Said::Records(Vec::new()),
        ("mute.example.com.", _) => Said::Nothing,
        _ => Said::Code(ResponseCode::NXDomain),
    })
    .await
}

#[tokio::test]
async fn answers_are_judged_by_what_the_policy_expects() {
    let server = server().await;
    for (name, record_type, expect, symptom, detail) in [
        ("shop.example.com", "A", &[][..], Symptom::None, ""),
        ("shop.example.com", "a", &["rcode == 'NOERROR'", "answers.size() == 2"], Symptom::None, ""),
        ("shop.example.com", "A", &["'192.0.2.1' in answers", "ttl == duration('60s')"], Symptom::None, ""),
        ("shop.example.com", "A", &["ttl < duration('30s')"], Symptom::ExpectationFalse, "ttl = 60.0s"),
        (
            "shop.example.com",
            "A",
            &["answers.all(a, a == '192.0.2.1')"],
            Symptom::ExpectationFalse,
            r#"answers = ["192.0.2.1", "192.0.2.2"]"#,
        ),
        ("alias.example.com", "CNAME", &["answers == ['shop.example.com']"], Symptom::None, ""),
        ("alias.example.com", "A", &["answers == ['192.0.2.1']"], Symptom::None, ""),
        ("text.example.com", "TXT", &["answers[0] == 'v=1 \"quoted\"'"], Symptom::None, ""),
        ("gone.example.com", "A", &[], Symptom::WrongAnswer, "NXDOMAIN"),
        ("gone.example.com", "A", &["rcode == 'NXDOMAIN'"], Symptom::None, ""),
        ("gone.example.com", "A", &["ttl < duration('30s')"], Symptom::ExpectationFalse, "there is no ttl"),
        ("empty.example.com", "A", &[], Symptom::WrongAnswer, "no answer"),
    ] {
        let report = run(&dns_probe(&server.address, name, record_type, expect)).await;
        assert_saw(&report, symptom, detail);
    }
}

#[tokio::test]
async fn a_mute_server_is_asked_twice_and_then_timed_out() {
    let server = server().await;
    let report = run(&within(700, dns_probe(&server.address, "mute.example.com", "A", &[]))).await;
    assert_saw(&report, Symptom::Timeout, "no answer within 700ms");
    assert_eq!(server.questions.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_machine_without_a_name_server_refuses() {
    let report = run(&dns_probe(&closed_port().await, "shop.example.com", "A", &[])).await;
    assert_saw(&report, Symptom::Refused, "connection refused");
}

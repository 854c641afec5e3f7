//! TLS targets: what is their fault, and what is ours.

use crate::support::http::{HttpServer, reply};
use crate::support::tls::Authority;
use crate::support::{assert_saw, get, mistakes, probe, run};
use muster_core::health::{ProbeResult, Symptom};
use muster_core::secret::Secret;
use muster_probes::{HttpSpec, ProbeKind, ProbeSpec, TlsSpec};

const FAR: (i32, u8, u8) = (2090, 1, 1);

fn https(server: &HttpServer, tls: TlsSpec, expect: &[&str]) -> ProbeSpec {
    let url = format!("https://{}/", server.address);
    probe(ProbeKind::Http(HttpSpec { tls, ..get(&url, expect) }))
}

fn trusting(ca: &Authority) -> TlsSpec {
    TlsSpec { ca: Some(ca.pem()), ..TlsSpec::default() }
}

#[tokio::test]
async fn a_good_certificate_passes_and_shows_how_long_it_lasts() {
    let ca = Authority::new();
    let server =
        HttpServer::start_tls(ca.server("127.0.0.1", FAR, None, &[b"http/1.1"]), |_| reply(200, "")).await;
    assert_saw(&run(&https(&server, trusting(&ca), &[])).await, Symptom::None, "");
    let lasts = ["cert.expiresIn > duration('24h')"];
    assert_saw(&run(&https(&server, trusting(&ca), &lasts)).await, Symptom::None, "");
    let report = run(&https(&server, trusting(&ca), &["cert.expiresIn < duration('24h')"])).await;
    assert_saw(&report, Symptom::ExpectationFalse, "cert.expiresIn = ");
}

#[tokio::test]
async fn an_expired_certificate_and_another_name_are_the_targets_fault() {
    let ca = Authority::new();
    let expired = ca.server("127.0.0.1", (2021, 1, 1), None, &[]);
    let other = ca.server("other.example", FAR, None, &[]);
    for (tls, detail) in
        [(expired, "certificate has expired"), (other.clone(), "certificate is for another name")]
    {
        let server = HttpServer::start_tls(tls, |_| reply(200, "")).await;
        let report = run(&https(&server, trusting(&ca), &[])).await;
        assert_saw(&report, Symptom::WrongAnswer, detail);
        assert_eq!(report.sample.result, ProbeResult::Fail);
    }
    let server = HttpServer::start_tls(other, |_| reply(200, "")).await;
    let named = TlsSpec { server_name: Some("other.example".to_owned()), ..trusting(&ca) };
    assert_saw(&run(&https(&server, named, &[])).await, Symptom::None, "");
}

#[tokio::test]
async fn an_issuer_that_we_do_not_trust_is_our_own_trouble() {
    let ca = Authority::new();
    let server = HttpServer::start_tls(ca.server("127.0.0.1", FAR, None, &[]), |_| reply(200, "")).await;
    let report = run(&https(&server, trusting(&Authority::new()), &[])).await;
    assert_saw(&report, Symptom::OwnSetup, "not in our trust store");
    assert_eq!(report.sample.result, ProbeResult::Error);
}

#[tokio::test]
async fn a_plain_server_behind_https_is_the_targets_fault() {
    let server = HttpServer::start(|_| reply(200, "")).await;
    let report = run(&https(&server, trusting(&Authority::new()), &[])).await;
    assert_eq!(report.sample.result, ProbeResult::Fail, "{report:?}");
}

#[tokio::test]
async fn our_client_certificate_opens_the_door_or_is_our_own_trouble() {
    let (ca, clients) = (Authority::new(), Authority::new());
    let server =
        HttpServer::start_tls(ca.server("127.0.0.1", FAR, Some(&clients), &[]), |_| reply(200, "")).await;
    let with = |identity: crate::support::tls::Identity| TlsSpec {
        client_cert: Some(identity.cert),
        client_key: Some(identity.key),
        ..trusting(&ca)
    };
    assert_saw(&run(&https(&server, with(clients.client(FAR)), &[])).await, Symptom::None, "");
    for tls in [trusting(&ca), with(clients.client((2021, 1, 1))), with(Authority::new().client(FAR))] {
        let report = run(&https(&server, tls, &[])).await;
        assert_saw(&report, Symptom::OwnSetup, "refused our client certificate");
    }
}

#[tokio::test]
async fn unusable_secrets_are_refused_without_their_content() {
    let ca = Authority::new();
    let identity = ca.client(FAR);
    let wrong = Some(Secret::new("not a certificate"));
    for (tls, problem) in [
        (TlsSpec { ca: wrong.clone(), ..TlsSpec::default() }, "caSecret holds no PEM certificate"),
        (
            TlsSpec { client_cert: Some(identity.cert.clone()), ..TlsSpec::default() },
            "clientCertSecret is given without clientKeySecret",
        ),
        (
            TlsSpec { client_cert: Some(identity.cert.clone()), client_key: wrong, ..TlsSpec::default() },
            "clientKeySecret holds no PEM private key",
        ),
        (
            TlsSpec {
                client_cert: Some(identity.cert),
                client_key: Some(ca.client(FAR).key),
                ca: Some(ca.pem()),
                ..TlsSpec::default()
            },
            "the client certificate and its key cannot be used",
        ),
    ] {
        let spec = probe(ProbeKind::Http(HttpSpec { tls, ..get("https://127.0.0.1:1/", &[]) }));
        let found = mistakes(&spec).await;
        let text = found[0].to_string();
        assert!(text.starts_with(&format!("probes[p].http.tls: {problem}")), "{text}");
        assert!(!text.contains("not a certificate"), "{text}");
    }
}

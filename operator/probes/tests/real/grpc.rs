//! The gRPC health protocol.

use crate::support::http::{HttpServer, grpc_server, reply};
use crate::support::tls::Authority;
use crate::support::{assert_saw, closed_port, probe, run};
use muster_core::health::Symptom;
use muster_probes::{GrpcSpec, ProbeKind, ProbeSpec, TlsSpec};

const SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 1];
const NOT_SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 2];

fn grpc_probe(address: String, tls: Option<TlsSpec>) -> ProbeSpec {
    probe(ProbeKind::Grpc(GrpcSpec { address, service: "shop.Orders".to_owned(), tls }))
}

#[tokio::test]
async fn health_answers_are_judged() {
    for (message, status, symptom, detail) in [
        (SERVING, "0", Symptom::None, ""),
        (NOT_SERVING, "0", Symptom::WrongAnswer, "NOT_SERVING"),
        (&[], "5", Symptom::WrongAnswer, "does not know this service"),
        (&[], "12", Symptom::WrongAnswer, "has no health service"),
        (&[], "14", Symptom::WrongAnswer, "UNAVAILABLE"),
        (&[], "8", Symptom::NothingSaid, "RESOURCE_EXHAUSTED"),
        (&[1, 2], "0", Symptom::WrongAnswer, "no health answer"),
    ] {
        let address = grpc_server(None, message, status).await;
        assert_saw(&run(&grpc_probe(address, None)).await, symptom, detail);
    }
}

#[tokio::test]
async fn over_tls_the_certificate_is_verified() {
    let ca = Authority::new();
    let tls = ca.server("127.0.0.1", (2090, 1, 1), None, &[b"h2"]);
    let address = grpc_server(Some(tls), SERVING, "0").await;
    let trusting = |ca: &Authority| Some(TlsSpec { ca: Some(ca.pem()), ..TlsSpec::default() });
    assert_saw(&run(&grpc_probe(address.clone(), trusting(&ca))).await, Symptom::None, "");
    let report = run(&grpc_probe(address, trusting(&Authority::new()))).await;
    assert_saw(&report, Symptom::OwnSetup, "not in our trust store");
}

#[tokio::test]
async fn a_server_of_another_protocol_fails() {
    let server = HttpServer::start(|_| reply(200, "")).await;
    let report = run(&grpc_probe(server.address.clone(), None)).await;
    assert!(matches!(report.symptom, Symptom::WrongAnswer | Symptom::Refused), "{report:?}");
    assert_saw(&run(&grpc_probe(closed_port().await, None)).await, Symptom::Refused, "connection refused");
}

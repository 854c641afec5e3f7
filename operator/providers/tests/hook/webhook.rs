//! Endpoints: what they are sent, and what their answers mean.

use crate::endpoint::{Answer, Endpoint};
use crate::*;
use hmac::{Hmac, Mac};
use muster_core::facts::{FenceFacts, PowerState, Seen};
use muster_core::secret::Secret;
use muster_providers::hook::WebhookConfig;
use muster_providers::postgres::RejoinRunner;
use muster_providers::{FenceControl, HookControl};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;
use tokio_rustls::TlsAcceptor;

const SIGNING_SECRET: &str = "only-the-endpoint-knows";

fn hook_at(address: SocketAddr) -> WebhookConfig {
    let signing_secret = Some(Secret::new(SIGNING_SECRET));
    WebhookConfig { signing_secret, ..WebhookConfig::new(format!("http://{address}/fence?token=hidden")) }
}

fn fence_at(address: SocketAddr) -> FenceHook {
    let call = || Call::Webhook(hook_at(address));
    fence(call(), call(), Some(call()))
}

async fn fence_answered(answer: Answer) -> Outcome {
    let endpoint = Endpoint::start(answer).await;
    fence_at(endpoint.address).fence(&east(), &fence_ctx(Duration::from_millis(800))).await
}

async fn status_answered(answer: Answer) -> Seen<FenceFacts> {
    let endpoint = Endpoint::start(answer).await;
    fence_at(endpoint.address).status(&east(), Duration::from_millis(800)).await
}

fn take_time_left(body: &mut Value) -> u64 {
    let taken = body.as_object_mut().and_then(|o| o.remove("notAfterMs"));
    taken.and_then(|left| left.as_u64()).expect("time left")
}

#[tokio::test]
async fn the_body_says_what_it_is_about_and_the_signature_verifies() {
    let endpoint = Endpoint::start(Answer::With(200, "")).await;
    assert_eq!(fence_at(endpoint.address).fence(&east(), &fence_ctx(TIMEOUT)).await, ISSUED);
    let received = endpoint.received().pop().expect("one call");
    assert_eq!(received.path, "/fence?token=hidden");
    assert_eq!(received.headers["content-type"], "application/json");
    assert_eq!(received.headers["host"], endpoint.address.to_string().as_str());
    assert_eq!(received.headers["muster-key"], "uid-1-3-7");

    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SIGNING_SECRET.as_bytes()).expect("any length");
    mac.update(&received.body);
    let signature = received.headers["muster-signature"].to_str().expect("text");
    let hex = signature.strip_prefix("sha256=").expect("the algorithm");
    let bytes: Vec<u8> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect();
    mac.verify_slice(&bytes).expect("it verifies");

    let mut body: Value = serde_json::from_slice(&received.body).expect("JSON");
    assert!((5_000..=10_000).contains(&take_time_left(&mut body)));
    let expected = json!({
        "verb": "fence", "owner": "uid-1", "policy": "shop/checkout", "run": "checkout-3", "region": "east",
        "from": null, "to": null, "follow": null, "followAddress": null,
        "epoch": 3, "term": 1, "seq": 7, "key": "uid-1-3-7",
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_repetition_has_the_same_key_and_a_new_effect_another() {
    let endpoint = Endpoint::start(Answer::With(503, "")).await;
    let fence = fence_at(endpoint.address);
    for attempt in 1..=2 {
        let mut ctx = fence_ctx(TIMEOUT);
        ctx.effect.attempt = attempt;
        assert_eq!(failure(&fence.fence(&east(), &ctx).await).0, ErrorClass::Transient);
    }
    let mut ctx = fence_ctx(TIMEOUT);
    ctx.effect.seq = Seq(8);
    let _ = fence.unfence(&east(), &ctx).await;
    let keys: Vec<_> = endpoint.received().iter().map(|r| r.headers["muster-key"].clone()).collect();
    assert_eq!(keys, ["uid-1-3-7", "uid-1-3-7", "uid-1-3-8"]);
}

#[tokio::test]
async fn a_step_and_a_rejoin_are_told_their_regions() {
    let endpoint = Endpoint::start(Answer::With(200, "{\"lostCommits\": 3}\n")).await;
    let call = || Call::Webhook(WebhookConfig::new(format!("http://{}/", endpoint.address)));
    assert_eq!(step(call(), None).run(&east(), &west(), &hook_ctx(TIMEOUT)).await, ISSUED);
    let run = rejoin(call()).run(&east(), &west(), "10.0.0.2:5432", &rejoin_ctx(TIMEOUT)).await;
    assert_eq!((run.outcome, run.stdout.as_str()), (ISSUED, "{\"lostCommits\": 3}\n"));
    let bodies: Vec<Value> =
        endpoint.received().iter().map(|r| serde_json::from_slice(&r.body).expect("JSON")).collect();
    assert_eq!((&bodies[0]["from"], &bodies[0]["to"]), (&json!("east"), &json!("west")));
    assert_eq!((&bodies[1]["region"], &bodies[1]["follow"]), (&json!("east"), &json!("west")));
    assert_eq!(bodies[1]["followAddress"], json!("10.0.0.2:5432"));
    assert!(
        !endpoint.received()[0].headers.contains_key("muster-signature"),
        "unsigned, if no secret is given"
    );
}

#[tokio::test]
async fn a_status_code_tells_the_class() {
    for status in [200, 202, 204] {
        assert_eq!(fence_answered(Answer::With(status, "")).await, ISSUED);
    }
    for (status, class) in [
        (400, ErrorClass::Invalid),
        (401, ErrorClass::Denied),
        (403, ErrorClass::Denied),
        (404, ErrorClass::Invalid),
        (409, ErrorClass::Conflict),
        (422, ErrorClass::Invalid),
        (429, ErrorClass::Throttled),
        (500, ErrorClass::Transient),
        (502, ErrorClass::UnknownOutcome),
        (503, ErrorClass::Transient),
        (504, ErrorClass::UnknownOutcome),
    ] {
        let outcome = fence_answered(Answer::With(status, "first\n\x1b[1mbecause\n")).await;
        let (found, why) = failure(&outcome);
        assert_eq!(found, class, "{status}");
        assert!(why.contains(&status.to_string()) && why.ends_with(": [1mbecause"), "{why}");
    }
    assert!(matches!(fence_answered(Answer::With(409, "")).await, Outcome::Conflict(_)));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Endpoint::start(Answer::With(200, "")).await;
    let outcome = fence_answered(Answer::Redirect(format!("http://{}/", target.address))).await;
    let (class, why) = failure(&outcome);
    assert_eq!(class, ErrorClass::Invalid);
    assert!(why.contains("redirects are not followed"), "{why}");
    assert!(target.received().is_empty());
}

#[tokio::test]
async fn after_the_request_was_sent_silence_and_a_reset_tell_nothing() {
    let started = Instant::now();
    let outcome = fence_answered(Answer::Never).await;
    assert_eq!(failure(&outcome).0, ErrorClass::UnknownOutcome);
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    let outcome = fence_answered(Answer::Break).await;
    assert_eq!(failure(&outcome).0, ErrorClass::UnknownOutcome);
}

#[tokio::test]
async fn before_the_request_is_sent_nothing_has_happened() {
    let closed =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let outcome = fence_at(closed).fence(&east(), &fence_ctx(TIMEOUT)).await;
    assert_eq!(failure(&outcome).0, ErrorClass::Transient);

    // A server that takes the connection and never finishes the TLS handshake.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let config = WebhookConfig::new(format!("https://{}/", silent.local_addr().expect("its address")));
    let config = WebhookConfig { ca_pem: Some(Authority::new().pem()), ..config };
    let call = || Call::Webhook(config.clone());
    let outcome = fence(call(), call(), None).fence(&east(), &fence_ctx(Duration::from_millis(300))).await;
    assert_eq!(failure(&outcome).0, ErrorClass::Transient);

    let endpoint = Endpoint::start(Answer::With(200, "")).await;
    let lost = Lease::new(false);
    let ctx = ctx_under(&lost, Action::Fence { way: "power".into(), region: east() }, TIMEOUT);
    let outcome = fence_at(endpoint.address).fence(&east(), &ctx).await;
    assert_eq!(failure(&outcome).0, ErrorClass::Transient);
    assert!(endpoint.received().is_empty() && lost.sent() == 0);
}

#[tokio::test]
async fn a_status_is_read_as_strictly_as_a_program_s() {
    let off = FenceFacts::new("i-1", PowerState::Off);
    let good = r#"{"id":"i-1","state":"off"}"#;
    assert_eq!(status_answered(Answer::With(200, good)).await, Seen::Known(off));
    for answer in [
        Answer::With(200, ""),
        Answer::With(200, "off"),
        Answer::With(500, good),
        Answer::With(404, good),
        Answer::Redirect("http://127.0.0.1:1/".to_owned()),
        Answer::Never,
        Answer::Break,
    ] {
        let seen = status_answered(answer).await;
        assert!(matches!(seen, Seen::Unknown(_)), "{seen:?}");
    }
    let endpoint = Endpoint::start(Answer::With(200, r#"{"done":true}"#)).await;
    let call = || Call::Webhook(hook_at(endpoint.address));
    assert_eq!(step(call(), Some(call())).status(&hook_ctx(TIMEOUT), TIMEOUT).await, Seen::Known(true));
}

#[tokio::test]
async fn neither_secret_nor_path_shows_in_a_message() {
    let endpoint = Endpoint::start(Answer::With(400, "")).await;
    let fence = fence_at(endpoint.address);
    let outcome = fence.fence(&east(), &fence_ctx(TIMEOUT)).await;
    let shown = format!("{outcome:?} {fence:?} {:?}", hook_at(endpoint.address));
    assert!(shown.contains(&format!("http://{}", endpoint.address)), "{shown}");
    assert!(!shown.contains(SIGNING_SECRET) && !shown.contains("hidden"), "{shown}");

    for url in
        ["ftp://example.com/hidden", "https://user:hidden@example.com/", "hidden", "https:///hidden", ""]
    {
        let call = || Call::Webhook(WebhookConfig::new(url));
        let (name, owner, policy) = ("warm".into(), "uid-1".into(), "shop/checkout".into());
        let config = HookConfig { name, owner, policy, run: call(), status: None, repeat_safe: true };
        match Hook::new(&config) {
            Err(error) => {
                let text = error.to_string();
                assert!(text.starts_with("run: ") && !text.contains("hidden"), "{text}");
            }
            // `https:///hidden` names the host "hidden", by the URL standard.
            Ok(_) => assert_eq!(url, "https:///hidden"),
        }
    }
}

/// A certificate authority of the test's own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    fn acceptor_for(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a certificate and its key");
        TlsAcceptor::from(Arc::new(config))
    }
}

#[tokio::test]
async fn https_is_spoken_only_with_whom_the_certificate_names() {
    let (ours, other) = (Authority::new(), Authority::new());
    let ip = Ipv4Addr::LOCALHOST.to_string();
    for (name, trusted, reached) in
        [(ip.as_str(), &ours, true), ("shop.example.com", &ours, false), (ip.as_str(), &other, false)]
    {
        let endpoint = Endpoint::start_with(Answer::With(200, ""), Some(ours.acceptor_for(name))).await;
        let config = WebhookConfig::new(format!("https://{}/", endpoint.address));
        let config = WebhookConfig { ca_pem: Some(trusted.pem()), ..config };
        let call = || Call::Webhook(config.clone());
        let outcome = fence(call(), call(), None).fence(&east(), &fence_ctx(TIMEOUT)).await;
        assert_eq!(outcome == ISSUED, reached, "{name}: {outcome:?}");
        assert_eq!(endpoint.received().len(), usize::from(reached));
    }
}

#[tokio::test]
async fn a_name_and_addresses_of_both_kinds_are_reached() {
    let endpoint = Endpoint::start(Answer::With(200, "")).await;
    let port = endpoint.address.port();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let call = || Call::Webhook(WebhookConfig::new(format!("http://{host}:{port}/fence")));
        let fence = fence(call(), call(), Some(call()));
        assert_eq!(fence.fence(&east(), &fence_ctx(TIMEOUT)).await, ISSUED, "{host}");
    }
    assert_eq!(endpoint.received().len(), 3);
}

#[test]
fn a_resolver_that_hangs_holds_up_no_other_task_and_ends_at_the_deadline() {
    // The system's resolver works on the threads for calls that block; here it waits for the only one, for ever.
    let (release, held) = std::sync::mpsc::channel::<()>();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build();
    runtime.expect("a runtime").block_on(async {
        tokio::task::spawn_blocking(move || held.recv());
        let call = || Call::Webhook(WebhookConfig::new("http://hooks.example.com/fence"));
        let fence = fence(call(), call(), Some(call()));
        let beats = tokio::spawn(async {
            let mut pace = tokio::time::interval(Duration::from_millis(10));
            for _ in 0..20 {
                pace.tick().await;
            }
            Instant::now()
        });
        let begun = Instant::now();
        let seen = fence.status(&east(), Duration::from_millis(800)).await;
        let took = begun.elapsed();
        assert!(matches!(&seen, Seen::Unknown(why) if why.contains("deadline")), "{seen:?}");
        assert!(took >= Duration::from_millis(700) && took < TIMEOUT, "{took:?}");
        let beaten = beats.await.expect("beats");
        assert!(beaten < begun + took, "the other task went on meanwhile");
        drop(release);
    });
}

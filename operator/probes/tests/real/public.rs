//! The public name: looked up anew each time, N successes counted from the start of the first.

use crate::support::dns::{NameServer, Said, a};
use crate::support::http::{HttpServer, reply};
use crate::support::{Collected, TestClock, eventually, get, once};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use muster_core::health::Symptom;
use muster_probes::{ProbeRunner, ProbingSpec, PublicSpec, run_public_once};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

#[tokio::test]
async fn a_flip_of_the_name_is_followed_at_once_and_the_row_starts_with_its_first_success() {
    let west_up = Arc::new(AtomicBool::new(false));
    let up = Arc::clone(&west_up);
    let east = HttpServer::start_with(None, "127.0.1.1", |_| reply(200, "")).await;
    let port: u16 = east.address.rsplit_once(':').expect("a port").1.parse().expect("a number");
    let target = Arc::new(Mutex::new("127.0.1.1"));
    let points_to = Arc::clone(&target);
    let names = NameServer::start(move |name, record_type| match (name, record_type) {
        ("shop.example.com.", RecordType::A) => Said::Records(vec![a(*points_to.lock().expect("lock"))]),
        ("shop.example.com.", _) => Said::Records(Vec::new()),
        _ => Said::Code(ResponseCode::NXDomain),
    })
    .await;
    let public = PublicSpec {
        every: Duration::from_millis(20),
        timeout: Duration::from_secs(1),
        http: get(&format!("http://shop.example.com:{port}/deep"), &["status == 200"]),
        resolver: Some(names.address.clone()),
    };
    let (symptom, detail, _) = run_public_once(&public, &once(&[])).await.expect("compiles");
    assert_eq!((symptom, detail.as_str()), (Symptom::None, ""));

    let (_active, watching) = watch::channel(None);
    let mut runner =
        ProbeRunner::new("v1".into(), TestClock::start(), Arc::new(Collected::default()), watching);
    let spec = ProbingSpec { public: Some(public), ..ProbingSpec::default() };
    runner.apply(&spec).expect("compiles");
    let facts = || runner.public().map(|fact| fact.value).unwrap_or_default();
    eventually("three successes", || facts().successes >= 3).await;
    let since = facts().since.expect("a row has a beginning");
    eventually("five successes", || facts().successes >= 5).await;
    assert_eq!(facts().since, Some(since), "the row still begins with its first");

    // The name moves before the other side answers.
    *target.lock().expect("lock") = "127.0.2.1";
    eventually("a failure", || facts().successes == 0).await;
    assert!(facts().since.is_none() && facts().last.contains("127.0.2.1"), "{:?}", facts());
    let listener = std::net::TcpListener::bind(("127.0.2.1", port)).expect("binds");
    drop(listener);
    let west = bind_at(&format!("127.0.2.1:{port}"), up).await;
    eventually("the other side answers", || facts().successes >= 1).await;
    assert!(facts().since.expect("a beginning").tick > since.tick);
    assert!(west_up.load(Ordering::SeqCst));
    drop(west);
}

async fn bind_at(address: &str, seen: Arc<AtomicBool>) -> tokio_util::task::AbortOnDropHandle<()> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind(address).await.expect("binds");
    tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            seen.store(true, Ordering::SeqCst);
            let mut buffer = [0; 1024];
            let _ = stream.read(&mut buffer).await;
            let _ =
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
        }
    }))
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_no_success() {
    let names = NameServer::start(|_, _| Said::Code(ResponseCode::NXDomain)).await;
    let public = PublicSpec {
        every: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        http: get("http://shop.example.com/", &[]),
        resolver: Some(names.address.clone()),
    };
    let (symptom, detail, _) = run_public_once(&public, &once(&[])).await.expect("compiles");
    assert_eq!(symptom, Symptom::Resolver);
    assert!(detail.contains("has no address for shop.example.com: NXDOMAIN"), "{detail}");
}

//! Each kind of fault, and what is left of the call that it strikes.

use crate::stage::{KEY, Stage, address, authorization, batch, send, simple, wait_until};
use muster_aws_fake::{Fault, FaultKind};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const CHANGE: &str = "ChangeResourceRecordSets";

fn strike(operation: &str, times: Option<u32>, kind: FaultKind) -> Fault {
    Fault { times, ..Fault::of(operation, kind) }
}

fn create(name: &str) -> [String; 1] {
    [simple("CREATE", &format!("{name}.example.com"), "A", &["192.0.2.1"])]
}

#[tokio::test]
async fn an_error_is_answered_as_often_as_it_was_asked_for() {
    let stage = Stage::start().await;
    let throttling =
        FaultKind::Answer { status: 400, code: "Throttling".to_owned(), message: "Rate exceeded".to_owned() };
    stage.aws.fault(strike(CHANGE, Some(2), throttling));
    assert_eq!(stage.list().await, [""; 0]);
    for _ in 0..2 {
        let error = stage.change(&create("shop")).await.error();
        assert_eq!(error, (400, "Throttling".to_owned(), "Rate exceeded".to_owned()));
        assert_eq!(stage.list().await, [""; 0]);
    }
    assert_eq!(stage.change(&create("shop")).await.status, 200);
    let codes: Vec<_> = stage.aws.calls().into_iter().filter_map(|call| call.code).collect();
    assert_eq!(codes, ["Throttling", "Throttling"]);
}

#[tokio::test]
async fn a_lost_answer_leaves_the_effect() {
    let stage = Stage::start().await;
    stage.aws.fault(strike(CHANGE, Some(1), FaultKind::LoseAnswer));
    assert!(stage.try_change(&create("shop")).await.is_err());
    assert_eq!(stage.list().await.len(), 1);
    let calls = stage.aws.calls();
    assert_eq!((calls[0].operation.as_str(), calls[0].status, calls[0].is_done), (CHANGE, 0, true));
}

#[tokio::test]
async fn a_lost_request_leaves_nothing() {
    let stage = Stage::start().await;
    let fault = stage.aws.fault(strike(CHANGE, None, FaultKind::LoseRequest));
    for _ in 0..3 {
        assert!(stage.try_change(&create("shop")).await.is_err());
    }
    assert_eq!(stage.list().await, [""; 0]);
    assert!(stage.aws.calls().iter().filter(|call| call.is_mutation).all(|call| !call.is_done));
    stage.aws.remove_fault(fault);
    assert_eq!(stage.change(&create("shop")).await.status, 200);
    assert_eq!(stage.aws.times_met(fault), 3);
}

#[tokio::test]
async fn a_fault_without_an_operation_strikes_every_call() {
    let stage = Stage::start().await;
    stage.aws.fault(Fault::of_everything(FaultKind::LoseRequest));
    assert!(send(&stage.aws, KEY, "GET", &stage.sets(), "").await.is_err());
    assert!(stage.try_change(&create("shop")).await.is_err());
    stage.aws.clear_faults();
    assert_eq!(stage.list().await, [""; 0]);
}

#[tokio::test]
async fn a_delayed_call_takes_its_time() {
    let stage = Stage::start().await;
    let delay = Duration::from_millis(30);
    for _ in 0..2 {
        stage.aws.fault(strike(CHANGE, Some(1), FaultKind::Delay(delay)));
    }
    let started = Instant::now();
    assert_eq!(stage.change(&create("shop")).await.status, 200);
    assert!(started.elapsed() >= 2 * delay, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_delayed_call_takes_effect_although_its_sender_hung_up() {
    let stage = Stage::start().await;
    stage.aws.fault(strike(CHANGE, None, FaultKind::Delay(Duration::from_millis(100))));
    let (body, path) = (batch(&create("shop")), stage.sets());
    let (host, length) = (address(&stage.aws), body.len());
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {}\r\nContent-Length: {length}\r\n\r\n{body}",
        authorization(KEY)
    );
    let mut stream = TcpStream::connect(&host).await.expect("the fake listens");
    stream.write_all(request.as_bytes()).await.expect("the request is sent");
    wait_until(|| !stage.aws.calls().is_empty()).await;
    drop(stream);
    wait_until(|| stage.aws.calls()[0].status == 200).await;
    assert_eq!(stage.list().await.len(), 1);
}

#[tokio::test]
async fn a_call_that_hangs_has_no_effect_and_keeps_nobody_else_waiting() {
    let stage = Stage::start().await;
    stage.aws.fault(strike(CHANGE, Some(1), FaultKind::Hang));
    let (aws, path, body) = (stage.aws.clone(), stage.sets(), batch(&create("shop")));
    let hanging = tokio::spawn(async move { send(&aws, KEY, "POST", &path, &body).await });
    wait_until(|| !stage.aws.calls().is_empty()).await;
    assert_eq!(stage.list().await, [""; 0]);
    assert_eq!(stage.change(&create("other")).await.status, 200);
    assert!(!hanging.is_finished());
    assert_eq!(stage.aws.calls()[0].status, 0);
    hanging.abort();
    // Its handle of the fake goes before the test's own, which tells of breaches.
    assert!(hanging.await.is_err());
}

#[tokio::test]
async fn stale_reads_answer_from_what_was() {
    let stage = Stage::start().await;
    assert_eq!(stage.change(&create("old")).await.status, 200);
    stage.aws.skip(Duration::from_mins(2));
    let change = stage.change(&create("new")).await;
    stage.aws.skip(Duration::from_mins(1));
    assert_eq!(stage.status(&change).await, "INSYNC");

    let age = Duration::from_secs(30);
    let fault = stage.aws.fault(Fault::of_everything(FaultKind::StaleReads(age)));
    assert_eq!(stage.list().await.len(), 2);
    assert_eq!(stage.status(&change).await, "PENDING");
    stage.aws.remove_fault(fault);

    let age = Duration::from_secs(90);
    stage.aws.fault(Fault::of_everything(FaultKind::StaleReads(age)).up_to(2));
    let again = stage.change(&create("new")).await;
    assert_eq!(again.status, 400, "a change sees what is: {}", again.body);
    assert_eq!(stage.list().await, ["old.example.com. A 60 192.0.2.1"]);
    let zone = stage.get(&format!("/2013-04-01/hostedzone/{}", stage.zone.id)).await;
    assert_eq!(zone.texts("ResourceRecordSetCount"), ["3"]);
    assert_eq!(stage.list().await.len(), 2, "the fault is used up");
}

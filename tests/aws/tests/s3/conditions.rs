//! Writes that depend on what is there.

use crate::stage::{KEY, REGION, Stage, send, sign};
use muster_aws_fake::{Fault, FaultKind};

const MARKER: &str = "/markers/shop/epoch";
const IF_ABSENT: (&str, &str) = ("if-none-match", "*");
const WRITERS: usize = 8;

#[tokio::test]
async fn an_object_that_exists_is_not_created_again() {
    let stage = Stage::start().await;
    assert_eq!(stage.put(MARKER, &[IF_ABSENT], "epoch=1").await.status, 200);
    let again = stage.put(MARKER, &[IF_ABSENT], "epoch=2").await;
    assert_eq!(again.error(), (412, "PreconditionFailed"));
    assert_eq!(again.text("Message"), "At least one of the pre-conditions you specified did not hold");
    assert_eq!(stage.get(MARKER).await.body, "epoch=1");

    assert_eq!(stage.ask("DELETE", MARKER, &[], "").await.status, 204);
    assert_eq!(stage.put(MARKER, &[IF_ABSENT], "epoch=2").await.status, 200);
}

#[tokio::test]
async fn of_writers_at_once_one_creates_the_object() {
    let stage = Stage::start().await;
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..WRITERS {
        let aws = stage.aws.clone();
        writers.spawn(async move {
            let (authorization, body) = (sign(KEY, REGION), format!("writer {number}"));
            let headers = [("authorization", authorization.as_str()), IF_ABSENT];
            let answer = send(&aws, "PUT", MARKER, &headers, &body).await;
            (answer.status, body)
        });
    }
    let written = writers.join_all().await;
    let winners: Vec<_> = written.iter().filter(|(status, _)| *status == 200).collect();
    let [(_, winner)] = winners.as_slice() else { unreachable!("one winner: {written:?}") };
    assert_eq!(written.iter().filter(|(status, _)| *status == 412).count(), WRITERS - 1);
    assert_eq!(stage.get(MARKER).await.body, *winner);
}

#[tokio::test]
async fn a_write_that_names_a_version_replaces_no_other() {
    let stage = Stage::start().await;
    let first = stage.put(MARKER, &[], "epoch=1").await;
    let named = ("if-match", first.header("etag"));
    let second = stage.put(MARKER, &[named], "epoch=2").await;
    assert_eq!(second.status, 200, "{}", second.body);
    assert_eq!(stage.put(MARKER, &[named], "epoch=3").await.error(), (412, "PreconditionFailed"));
    assert_eq!(stage.get(MARKER).await.body, "epoch=2");

    assert_eq!(stage.ask("DELETE", MARKER, &[], "").await.status, 204);
    let named = ("if-match", second.header("etag"));
    assert_eq!(stage.put(MARKER, &[named], "epoch=3").await.error(), (404, "NoSuchKey"));
    assert_eq!(stage.get(MARKER).await.status, 404);
}

#[tokio::test]
async fn a_deletion_that_names_a_version_removes_no_other() {
    let stage = Stage::start().await;
    let first = stage.put(MARKER, &[], "epoch=1").await;
    let second = stage.put(MARKER, &[], "epoch=2").await;
    let refused = stage.ask("DELETE", MARKER, &[("if-match", first.header("etag"))], "").await;
    assert_eq!(refused.error(), (412, "PreconditionFailed"));
    assert_eq!(stage.get(MARKER).await.body, "epoch=2");
    let named = stage.ask("DELETE", MARKER, &[("if-match", second.header("etag"))], "").await;
    assert_eq!(named.status, 204, "{}", named.body);
    assert_eq!(stage.get(MARKER).await.status, 404);
}

#[tokio::test]
async fn conditions_that_the_service_does_not_take_are_refused() {
    let stage = Stage::start().await;
    for condition in [("if-none-match", "\"00\""), ("if-match", "*")] {
        let refused = stage.put(MARKER, &[condition], "epoch=1").await;
        assert_eq!(refused.error(), (501, "NotImplemented"), "{condition:?}");
    }
    assert_eq!(stage.ask("DELETE", MARKER, &[IF_ABSENT], "").await.error(), (501, "NotImplemented"));
}

#[tokio::test]
async fn a_conflict_is_a_fault_that_writes_nothing() {
    let stage = Stage::start().await;
    let conflict = FaultKind::Answer {
        status: 409,
        code: "ConditionalRequestConflict".to_owned(),
        message: "The conditional request cannot succeed due to a conflicting operation".to_owned(),
    };
    stage.aws.fault(Fault::of("PutObject", conflict).up_to(1));
    let refused = stage.put(MARKER, &[IF_ABSENT], "epoch=1").await;
    assert_eq!(refused.error(), (409, "ConditionalRequestConflict"));
    assert_eq!(stage.get(MARKER).await.status, 404);
    assert_eq!(stage.put(MARKER, &[IF_ABSENT], "epoch=1").await.status, 200);
}

//! What is written, and what is then read.

use crate::stage::{ACCOUNT, KEY, REGION, Stage};

const MARKER: &str = "/markers/shop/a%20marker";
const NAMED_TYPE: (&str, &str) = ("content-type", "text/plain");

#[tokio::test]
async fn an_object_is_given_back_as_it_was_written() {
    let stage = Stage::start().await;
    let put = stage.put(MARKER, &[NAMED_TYPE], "epoch=7").await;
    assert_eq!((put.status, put.body.as_str()), (200, ""));
    let etag = put.header("etag");
    assert!(etag.len() == 34 && etag.starts_with('"') && etag.ends_with('"'), "{etag}");

    let read = stage.get(MARKER).await;
    assert_eq!((read.status, read.body.as_str()), (200, "epoch=7"));
    let head = stage.ask("HEAD", MARKER, &[], "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for (name, value) in [("etag", etag), ("content-length", "7"), ("content-type", "text/plain")] {
        assert_eq!((read.header(name), head.header(name)), (value, value), "{name}");
    }
    let modified = read.header("last-modified");
    assert!(modified.starts_with("Thu, 01 Jan 2026 00:") && modified.ends_with(" GMT"), "{modified}");
    let other = stage.put("/markers/other", &[], "epoch=8").await;
    assert_ne!(other.header("etag"), etag);
    let same = stage.put("/markers/other?x-id=PutObject", &[], "epoch=7").await;
    assert_eq!(same.header("etag"), etag);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let stage = Stage::start().await;
    let absent = stage.get(MARKER).await;
    assert_eq!(absent.error(), (404, "NoSuchKey"));
    assert_eq!(absent.header("content-type"), "application/xml");
    assert!(absent.body.contains("<Error><Code>"), "{}", absent.body);
    assert!(!absent.text("RequestId").is_empty(), "{}", absent.body);
    let head = stage.ask("HEAD", MARKER, &[], "").await;
    assert_eq!((head.status, head.body.as_str()), (404, ""));
    assert_eq!(stage.get("/nowhere/shop").await.error(), (404, "NoSuchBucket"));
    assert_eq!(stage.put("/nowhere/shop", &[], "x").await.error(), (404, "NoSuchBucket"));
}

#[tokio::test]
async fn who_may_not_list_a_bucket_is_not_told_that_an_object_is_not_there() {
    let stage = Stage::start().await;
    let allow = |more: &str| {
        let policy = format!(
            r#"{{"Version": "2012-10-17", "Statement": [
                {{"Sid": "A", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::markers/shop/*"}}{more}
            ]}}"#
        );
        stage.aws.attach_policy(KEY, &policy).expect("a document");
    };
    allow("");
    assert_eq!(stage.get(MARKER).await.error(), (403, "AccessDenied"));
    assert_eq!(stage.get("/markers?list-type=2").await.error(), (403, "AccessDenied"));
    assert_eq!(stage.put(MARKER, &[], "epoch=7").await.error(), (403, "AccessDenied"));
    let lists =
        r#"{"Sid": "B", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::markers"}"#;
    allow(&format!(", {lists}"));
    assert_eq!(stage.get(MARKER).await.error(), (404, "NoSuchKey"));
    assert_eq!(stage.get("/markers?list-type=2").await.status, 200);
}

#[tokio::test]
async fn objects_are_listed_in_order_with_their_versions_page_by_page() {
    let stage = Stage::start().await;
    let mut etags = Vec::new();
    for key in ["shop/b", "shop/a", "shop/c", "elsewhere"] {
        etags.push(stage.put(&format!("/markers/{key}"), &[], key).await.header("etag").to_owned());
    }
    let first = stage.get("/markers?list-type=2&prefix=shop/&max-keys=2").await;
    assert_eq!((first.text("IsTruncated"), first.text("KeyCount")), ("true", "2"), "{}", first.body);
    let listed = |key: &str, etag: &str| {
        format!("<Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>{etag}</ETag>")
    };
    let (a, b) = (listed("shop/a", &etags[1]), listed("shop/b", &etags[0]));
    let places = [first.body.find(&a), first.body.find(&b)];
    assert!(places[0].is_some() && places[0] < places[1], "{a}, {b}: {}", first.body);

    let token = first.text("NextContinuationToken");
    let rest = stage.get(&format!("/markers?list-type=2&prefix=shop/&continuation-token={token}")).await;
    assert_eq!((rest.text("IsTruncated"), rest.text("Key")), ("false", "shop/c"), "{}", rest.body);
    let none = stage.get("/markers?list-type=2&prefix=nothing").await;
    assert_eq!((none.status, none.text("KeyCount")), (200, "0"), "{}", none.body);
    assert_eq!(stage.ask_as_stranger("GET", "/markers?list-type=2").await.error(), (403, "AccessDenied"));
}

#[tokio::test]
async fn an_object_can_be_removed_twice() {
    let stage = Stage::start().await;
    assert_eq!(stage.put(MARKER, &[], "epoch=7").await.status, 200);
    for _ in 0..2 {
        let deleted = stage.ask("DELETE", MARKER, &[], "").await;
        assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
        assert_eq!(stage.get(MARKER).await.status, 404);
    }
}

#[tokio::test]
async fn a_body_in_chunks_is_put_together() {
    let stage = Stage::start().await;
    let chunks = "6\r\nepoch=\r\n1\r\n7\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
    let headers = [
        ("content-encoding", "aws-chunked"),
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("x-amz-decoded-content-length", "7"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ];
    assert_eq!(stage.put(MARKER, &headers, chunks).await.status, 200);
    assert_eq!(stage.get(MARKER).await.body, "epoch=7");

    let cut = stage.put(MARKER, &headers, "6\r\nepo").await;
    assert_eq!(cut.error(), (400, "IncompleteBody"));
    let short = stage.put(MARKER, &headers, "3\r\nepo\r\n0\r\n\r\n").await;
    assert_eq!(short.error(), (400, "IncompleteBody"));
    assert_eq!(stage.get(MARKER).await.body, "epoch=7");
}

#[tokio::test]
async fn what_would_be_lost_is_refused() {
    let stage = Stage::start().await;
    for header in [
        ("x-amz-meta-epoch", "7"),
        ("x-amz-acl", "public-read"),
        ("cache-control", "no-store"),
        ("content-encoding", "gzip"),
    ] {
        let refused = stage.put(MARKER, &[header], "epoch=7").await;
        assert_eq!(refused.error(), (501, "NotImplemented"), "{header:?}");
    }
    let part = stage.ask("GET", MARKER, &[("range", "bytes=0-1")], "").await;
    assert_eq!(part.error(), (501, "NotImplemented"));
    for (method, path) in [
        ("GET", "/markers"),
        ("GET", "/markers?list-type=2&delimiter=/"),
        ("PUT", "/markers/shop?acl"),
        ("DELETE", "/markers"),
    ] {
        assert_eq!(stage.ask(method, path, &[], "").await.error(), (501, "NotImplemented"), "{path}");
    }
    assert_eq!(stage.get(MARKER).await.status, 404);
}

#[tokio::test]
async fn calls_of_s3_are_noted() {
    let stage = Stage::start().await;
    stage.put(MARKER, &[], "epoch=7").await;
    stage.ask("HEAD", MARKER, &[], "").await;
    stage.ask_as_stranger("GET", MARKER).await;
    let calls = stage.aws.calls();
    let noted: Vec<_> =
        calls.iter().map(|call| (call.operation.as_str(), call.is_mutation, call.status)).collect();
    assert_eq!(noted, [("PutObject", true, 200), ("HeadObject", false, 200), ("GetObject", false, 403)]);
    let signed = &calls[0];
    assert_eq!((signed.service.as_str(), signed.region.as_str()), ("s3", REGION));
    assert_eq!((signed.account.as_str(), calls[2].account.as_str()), (ACCOUNT, ""));
}

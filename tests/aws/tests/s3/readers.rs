//! Who may see a bucket, and from where.

use crate::stage::{ACCOUNT, KEY, OTHER_ACCOUNT, OTHER_KEY, REGION, Stage, send, sign};

const MARKER: &str = "/markers/shop/flipped";

#[tokio::test]
async fn a_call_in_another_region_is_told_where_the_bucket_is() {
    let stage = Stage::start().await;
    let authorization = sign(KEY, "us-east-1");
    let headers = [("authorization", authorization.as_str())];
    for (method, path) in [("PUT", MARKER), ("GET", MARKER), ("DELETE", MARKER)] {
        let redirected = send(&stage.aws, method, path, &headers, "").await;
        assert_eq!(redirected.error(), (301, "PermanentRedirect"), "{method}");
        assert_eq!(redirected.header("x-amz-bucket-region"), REGION, "{method}");
    }
    let head = send(&stage.aws, "HEAD", "/markers", &headers, "").await;
    assert_eq!((head.status, head.header("x-amz-bucket-region")), (301, REGION));
    assert_eq!(stage.get(MARKER).await.status, 404, "nothing was written");

    let location = send(&stage.aws, "GET", "/markers?location", &headers, "").await;
    assert_eq!(location.status, 200, "{}", location.body);
    let document = "<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">eu-west-1<";
    assert!(location.body.contains(document), "{}", location.body);
    let head = stage.ask("HEAD", "/markers", &[], "").await;
    assert_eq!((head.status, head.header("x-amz-bucket-region")), (200, REGION));
}

#[tokio::test]
async fn a_bucket_is_its_owners() {
    let stage = Stage::start().await;
    assert_eq!(stage.put(MARKER, &[], "epoch=7").await.status, 200);
    let theirs = sign(OTHER_KEY, REGION);
    let nobodys = sign("AKIDNOBODY", REGION);
    for (authorization, code) in [(&theirs, "AccessDenied"), (&nobodys, "InvalidAccessKeyId")] {
        let headers = [("authorization", authorization.as_str())];
        for method in ["GET", "PUT", "DELETE"] {
            let denied = send(&stage.aws, method, MARKER, &headers, "epoch=8").await;
            assert_eq!(denied.error(), (403, code), "{method}");
        }
    }
    let expected = |account| [("x-amz-expected-bucket-owner", account)];
    assert_eq!(stage.put(MARKER, &expected(OTHER_ACCOUNT), "epoch=8").await.error(), (403, "AccessDenied"));
    assert_eq!(stage.get(MARKER).await.body, "epoch=7");
    assert_eq!(stage.put(MARKER, &expected(ACCOUNT), "epoch=8").await.status, 200);
}

#[tokio::test]
async fn strangers_read_what_was_made_public_and_nothing_else() {
    let stage = Stage::start().await;
    stage.aws.allow_anonymous_read("markers", "shop/flipped");
    let absent = stage.ask_as_stranger("GET", MARKER).await;
    assert_eq!(absent.error(), (403, "AccessDenied"), "whether it exists is not told");

    for key in ["flipped", "secret"] {
        assert_eq!(stage.put(&format!("/markers/shop/{key}"), &[], key).await.status, 200);
    }
    let read = stage.ask_as_stranger("GET", MARKER).await;
    assert_eq!((read.status, read.body.as_str()), (200, "flipped"));
    let head = stage.ask_as_stranger("HEAD", MARKER).await;
    assert_eq!((head.status, head.header("content-length")), (200, "7"));
    for path in ["/markers/shop/secret", "/markers?location"] {
        assert_eq!(stage.ask_as_stranger("GET", path).await.error(), (403, "AccessDenied"), "{path}");
    }
    for method in ["PUT", "DELETE"] {
        assert_eq!(stage.ask_as_stranger(method, MARKER).await.status, 403, "{method}");
    }
    assert_eq!(stage.get(MARKER).await.body, "flipped");
}

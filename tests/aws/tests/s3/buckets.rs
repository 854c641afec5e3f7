//! Buckets that are created through the API: where they may be, and who may read in them.

use crate::stage::{ACCOUNT, OTHER_KEY, REGION, Stage, send, sign};

const PRIVATE: &str = "<PublicAccessBlockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
    <BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls>\
    <BlockPublicPolicy>false</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets>\
    </PublicAccessBlockConfiguration>";

fn in_region(region: &str) -> String {
    format!(
        "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
    )
}

fn policy_for(key: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::made/{key}"}}]}}"#
    )
}

#[tokio::test]
async fn a_bucket_is_created_where_it_was_asked_for_and_by_one_account() {
    let stage = Stage::start().await;
    assert_eq!(stage.put("/made", &[], "").await.error(), (400, "IllegalLocationConstraintException"));
    let elsewhere = stage.put("/made", &[], &in_region("us-west-2")).await;
    assert_eq!(elsewhere.error(), (400, "IllegalLocationConstraintException"));
    assert_eq!(stage.put("/made", &[], &in_region(REGION)).await.status, 200);
    let again = stage.put("/made", &[], &in_region(REGION)).await;
    assert_eq!(again.error(), (409, "BucketAlreadyOwnedByYou"));
    let other = sign(OTHER_KEY, REGION);
    let other =
        send(&stage.aws, "PUT", "/made", &[("authorization", other.as_str())], &in_region(REGION)).await;
    assert_eq!(other.error(), (409, "BucketAlreadyExists"));
    let first = sign(crate::stage::KEY, "us-east-1");
    for status in [200, 200] {
        let made = send(&stage.aws, "PUT", "/first", &[("authorization", first.as_str())], "").await;
        assert_eq!(made.status, status, "in us-east-1 a repetition is no error");
    }
    assert_eq!(stage.ask_as_stranger("PUT", "/theirs").await.status, 403, "nobody signs it");
}

#[tokio::test]
async fn strangers_read_what_the_policy_says_once_nothing_keeps_the_bucket_from_being_public() {
    let stage = Stage::start().await;
    stage.put("/made", &[], &in_region(REGION)).await;
    stage.put("/made/marker", &[], "on").await;
    let block = stage.get("/made?publicAccessBlock").await;
    assert_eq!(block.text("BlockPublicPolicy"), "true", "as AWS creates them");
    assert_eq!(stage.get("/made?policy").await.error(), (404, "NoSuchBucketPolicy"));
    let refused = stage.put("/made?policy", &[], &policy_for("marker")).await;
    assert_eq!(refused.error(), (403, "AccessDenied"));
    assert!(refused.text("Message").contains("BlockPublicPolicy"));
    assert_eq!(stage.put("/made?publicAccessBlock", &[], PRIVATE).await.status, 200);
    assert_eq!(stage.put("/made?policy", &[], &policy_for("marker")).await.status, 204);
    assert_eq!(stage.get("/made?policy").await.body, policy_for("marker"));
    assert_eq!(stage.ask_as_stranger("GET", "/made/marker").await.status, 403, "restricted still");
    let open = PRIVATE.replace(
        "<RestrictPublicBuckets>true</RestrictPublicBuckets>",
        "<RestrictPublicBuckets>false</RestrictPublicBuckets>",
    );
    assert_eq!(stage.put("/made?publicAccessBlock", &[], &open).await.status, 200);
    assert_eq!(stage.ask_as_stranger("GET", "/made/marker").await.body, "on");
    assert_eq!(stage.put("/made?policy", &[], "no JSON").await.error(), (400, "MalformedPolicy"));
}

#[tokio::test]
async fn the_block_of_the_account_goes_before_that_of_the_bucket() {
    let stage = Stage::start().await;
    stage.put("/made", &[], &in_region(REGION)).await;
    let open = PRIVATE.replace(">true<", ">false<");
    stage.put("/made?publicAccessBlock", &[], &open).await;
    stage.aws.block_public_policies(ACCOUNT);
    let refused = stage.put("/made?policy", &[], &policy_for("marker")).await;
    assert_eq!(refused.error(), (403, "AccessDenied"));
    assert_eq!(stage.get("/markers?publicAccessBlock").await.status, 404, "a person removed it");
}

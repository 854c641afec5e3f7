//! Objects as a compare-and-swap, which Muster's markers are.

use super::{Case, case};
use crate::bench::{Bench, WEST};
use crate::check::{Answer, refused, same, taken};
use anyhow::Context;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::operation::put_object::{PutObjectError, PutObjectOutput};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::Object;

pub(super) const CASES: &[Case] = &[
    case!("object-is-created-once", "If-None-Match: * is refused when the object exists", is_created_once),
    case!("object-old-version", "If-Match of an older version is refused", old_version),
    case!(
        "object-current-version",
        "If-Match of the current version replaces it by another one",
        current_version
    ),
    case!("object-version-of-nothing", "If-Match is refused when there is no object", version_of_nothing),
    case!(
        "object-has-one-creator",
        "of several writers at once with If-None-Match: * one is taken",
        has_one_creator
    ),
    case!("object-is-read", "an object is read as it was written, with the version that was told", is_read),
    case!(
        "objects-are-listed",
        "a list tells the objects of a prefix in order, with their versions, page by page",
        are_listed
    ),
    case!("object-missing", "an object that does not exist is told as such", missing),
    case!("bucket-missing", "a bucket that does not exist is told as such", bucket_missing),
];

const KEY: &str = "muster/shop";
const LOST: &str = "412 PreconditionFailed";

fn put(bench: &Bench<'_>, bucket: &str, body: &str) -> PutObjectFluentBuilder {
    let put = bench.aws.s3(WEST).put_object().bucket(bucket).key(KEY);
    put.content_type("text/plain; charset=utf-8").body(ByteStream::from(body.as_bytes().to_vec()))
}

/// The version that was written.
fn version(put: Answer<PutObjectOutput, PutObjectError>) -> anyhow::Result<String> {
    taken(put)?.e_tag.context("a write that tells no version")
}

async fn body(bench: &Bench<'_>, bucket: &str) -> anyhow::Result<String> {
    let got = taken(bench.aws.s3(WEST).get_object().bucket(bucket).key(KEY).send().await)?;
    Ok(String::from_utf8(got.body.collect().await?.into_bytes().to_vec())?)
}

async fn is_created_once(bench: &Bench<'_>) -> anyhow::Result<()> {
    let bucket = bench.bucket().await?;
    taken(put(bench, &bucket, "first").if_none_match("*").send().await)?;
    refused(put(bench, &bucket, "second").if_none_match("*").send().await, LOST)?;
    same("afterwards", &body(bench, &bucket).await?, &"first".to_owned())
}

async fn old_version(bench: &Bench<'_>) -> anyhow::Result<()> {
    let bucket = bench.bucket().await?;
    let old = version(put(bench, &bucket, "first").send().await)?;
    taken(put(bench, &bucket, "second").send().await)?;
    refused(put(bench, &bucket, "third").if_match(old).send().await, LOST)?;
    same("afterwards", &body(bench, &bucket).await?, &"second".to_owned())
}

async fn current_version(bench: &Bench<'_>) -> anyhow::Result<()> {
    let bucket = bench.bucket().await?;
    let first = version(put(bench, &bucket, "first").send().await)?;
    let second = version(put(bench, &bucket, "second").if_match(&first).send().await)?;
    same("the version is the same", &(first == second), &false)?;
    same("afterwards", &body(bench, &bucket).await?, &"second".to_owned())
}

async fn version_of_nothing(bench: &Bench<'_>) -> anyhow::Result<()> {
    let bucket = bench.bucket().await?;
    let version = "\"00000000000000000000000000000000\"";
    refused(put(bench, &bucket, "first").if_match(version).send().await, "404 NoSuchKey")
}

async fn has_one_creator(bench: &Bench<'_>) -> anyhow::Result<()> {
    let bucket = bench.bucket().await?;
    let writers = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|writer| {
        let put = put(bench, &bucket, writer).if_none_match("*");
        async move { (writer, put.send().await) }
    });
    let mut taken = Vec::new();
    for (writer, answer) in futures::future::join_all(writers).await {
        match answer {
            Ok(_) => taken.push(writer),
            lost => refused(lost, LOST)?,
        }
    }
    same("taken", &taken.len(), &1)?;
    same("afterwards the one that was taken", &(taken == [body(bench, &bucket).await?]), &true)
}

async fn is_read(bench: &Bench<'_>) -> anyhow::Result<()> {
    let bucket = bench.bucket().await?;
    let written = version(put(bench, &bucket, "first").send().await)?;
    let got = taken(bench.aws.s3(WEST).get_object().bucket(&bucket).key(KEY).send().await)?;
    same("the version is the same", &(got.e_tag() == Some(written.as_str())), &true)?;
    same("type", &got.content_type(), &Some("text/plain; charset=utf-8"))?;
    same("length", &got.content_length(), &Some(5))?;
    same("body", &body(bench, &bucket).await?, &"first".to_owned())
}

async fn are_listed(bench: &Bench<'_>) -> anyhow::Result<()> {
    let (bucket, s3) = (bench.bucket().await?, bench.aws.s3(WEST));
    let mut written = Vec::new();
    for key in ["muster/a", "muster/b", "muster/c", "other"] {
        let put = s3.put_object().bucket(&bucket).key(key).body(ByteStream::from(key.as_bytes().to_vec()));
        written.push((key.to_owned(), version(put.send().await)?));
    }
    written.truncate(3);
    let (mut listed, mut token, mut pages) = (Vec::new(), None, 0);
    while pages == 0 || token.is_some() {
        let list = s3.list_objects_v2().bucket(&bucket).prefix("muster/").max_keys(2);
        let page = taken(list.set_continuation_token(token.take()).send().await)?;
        let of = |object: &Object| Some((object.key()?.to_owned(), object.e_tag()?.to_owned()));
        listed.extend(page.contents().iter().filter_map(of));
        token = page.next_continuation_token().map(str::to_owned);
        pages += 1;
    }
    same("listed", &listed, &written)?;
    same("pages", &pages, &2)
}

async fn missing(bench: &Bench<'_>) -> anyhow::Result<()> {
    let bucket = bench.bucket().await?;
    refused(bench.aws.s3(WEST).get_object().bucket(bucket).key(KEY).send().await, "404 NoSuchKey")
}

async fn bucket_missing(bench: &Bench<'_>) -> anyhow::Result<()> {
    let get = bench.aws.s3(WEST).get_object().bucket(bench.name("nowhere")).key(KEY);
    refused(get.send().await, "404 NoSuchBucket")
}

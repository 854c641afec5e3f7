//! Who may read an object: the checkers of Route 53 sign nothing.

use super::{Case, case};
use crate::bench::{Bench, EAST, WEST};
use crate::check::{refused, taken};
use aws_sdk_s3::primitives::ByteStream;

pub(super) const CASES: &[Case] = &[
    case!(
        "reader-of-public-object",
        "an object that everybody may read is shown to somebody who signs nothing",
        of_public_object
    ),
    case!(
        "reader-of-private-object",
        "any other object is denied to somebody who signs nothing",
        of_private_object
    ),
    case!(
        "reader-of-missing-object",
        "somebody who signs nothing is not told that an object does not exist",
        of_missing_object
    ),
    case!("reader-elsewhere", "a bucket is not answered by another region's endpoint", elsewhere),
];

const PUBLIC: &str = "muster/shop";
const PRIVATE: &str = "muster/other";

async fn write(bench: &Bench<'_>, bucket: &str, key: &str) -> anyhow::Result<()> {
    let put = bench.aws.s3(WEST).put_object().bucket(bucket).key(key).body(ByteStream::from_static(b"on"));
    taken(put.send().await)?;
    Ok(())
}

async fn of_public_object(bench: &Bench<'_>) -> anyhow::Result<()> {
    let bucket = bench.bucket().await?;
    bench.arrange.publish(&bucket, PUBLIC, WEST).await?;
    write(bench, &bucket, PUBLIC).await?;
    let get = bench.aws.s3_of_a_stranger(WEST).get_object().bucket(&bucket).key(PUBLIC);
    taken(get.send().await)?;
    Ok(())
}

async fn of_private_object(bench: &Bench<'_>) -> anyhow::Result<()> {
    let bucket = bench.bucket().await?;
    bench.arrange.publish(&bucket, PUBLIC, WEST).await?;
    write(bench, &bucket, PRIVATE).await?;
    let get = bench.aws.s3_of_a_stranger(WEST).get_object().bucket(&bucket).key(PRIVATE);
    refused(get.send().await, "403 AccessDenied")
}

async fn of_missing_object(bench: &Bench<'_>) -> anyhow::Result<()> {
    let bucket = bench.bucket().await?;
    bench.arrange.publish(&bucket, PUBLIC, WEST).await?;
    let get = bench.aws.s3_of_a_stranger(WEST).get_object().bucket(&bucket).key(PUBLIC);
    refused(get.send().await, "403 AccessDenied")
}

async fn elsewhere(bench: &Bench<'_>) -> anyhow::Result<()> {
    let bucket = bench.bucket().await?;
    write(bench, &bucket, PUBLIC).await?;
    let get = bench.aws.s3(EAST).get_object().bucket(&bucket).key(PUBLIC);
    refused(get.send().await, "301 PermanentRedirect")
}

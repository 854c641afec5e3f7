//! Who calls: a key that AWS does not know, by the codes that Muster takes for a denial.

use super::{Case, case};
use crate::bench::{Bench, WEST};
use crate::check::refused;

pub(super) const CASES: &[Case] = &[
    case!("caller-unknown-to-rds", "RDS does not know a strange access key", unknown_to_rds),
    case!("caller-unknown-to-route53", "Route 53 does not know a strange access key", unknown_to_route53),
    case!("caller-unknown-to-s3", "S3 does not know a strange access key", unknown_to_s3),
];

const NO_TOKEN: &str = "403 InvalidClientTokenId";

async fn unknown_to_rds(bench: &Bench<'_>) -> anyhow::Result<()> {
    refused(bench.aws.for_nobody().rds(WEST).describe_global_clusters().send().await, NO_TOKEN)
}

async fn unknown_to_route53(bench: &Bench<'_>) -> anyhow::Result<()> {
    let zone = bench.zone().await?;
    let list = bench.aws.for_nobody().route53().list_resource_record_sets().hosted_zone_id(&zone.id);
    refused(list.send().await, NO_TOKEN)
}

async fn unknown_to_s3(bench: &Bench<'_>) -> anyhow::Result<()> {
    let bucket = bench.bucket().await?;
    let get = bench.aws.for_nobody().s3(WEST).get_object().bucket(&bucket).key("muster/shop");
    refused(get.send().await, "403 InvalidAccessKeyId")
}

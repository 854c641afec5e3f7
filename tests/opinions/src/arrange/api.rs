//! Arranged through the API, as one would at AWS.

use super::{Arrange, GlobalDatabase, iam};
use crate::aws::Aws;
use crate::bench::{EAST, WEST};
use crate::check::taken;
use anyhow::Context;
use async_trait::async_trait;
use aws_sdk_s3::types::{
    BucketLocationConstraint, CreateBucketConfiguration, PublicAccessBlockConfiguration,
};
use serde_json::json;

const AURORA: &str = "aurora-postgresql";
/// One that both emulators know.
const AURORA_VERSION: &str = "16.8";
const CLASS: &str = "db.r6g.large";
/// For how many days backups are kept: a source of replicas has some.
const RETENTION: i32 = 7;

/// An endpoint whose API is all there is.
pub(crate) struct ByApi {
    aws: Aws,
}

impl ByApi {
    pub(crate) fn new(aws: Aws) -> Self {
        Self { aws }
    }

    /// Creates a cluster of a global database with one instance, and returns its ARN.
    async fn member(&self, global: &str, region: &str, side: &str, is_first: bool) -> anyhow::Result<String> {
        let (rds, name) = (self.aws.rds(region), format!("{global}-{side}"));
        let create = rds.create_db_cluster().db_cluster_identifier(&name).engine(AURORA);
        let mut create = create.engine_version(AURORA_VERSION).global_cluster_identifier(global);
        if is_first {
            create = create.master_username("muster").master_user_password("a-password");
        }
        let created = taken(create.send().await).context("CreateDBCluster")?;
        let arn = created.db_cluster().and_then(|cluster| cluster.db_cluster_arn());
        let arn = arn.context("a cluster without an ARN")?.to_owned();
        let instance = rds.create_db_instance().db_instance_identifier(format!("{name}-1"));
        let instance = instance.db_cluster_identifier(&name).engine(AURORA).db_instance_class(CLASS);
        taken(instance.send().await).context("CreateDBInstance")?;
        Ok(arn)
    }
}

#[async_trait(?Send)]
impl Arrange for ByApi {
    async fn zone(&self, name: &str) -> anyhow::Result<String> {
        let create = self.aws.route53().create_hosted_zone().name(name).caller_reference(name);
        let created = taken(create.send().await).context("CreateHostedZone")?;
        let id = created.hosted_zone().context("no zone was created")?.id();
        Ok(id.trim_start_matches("/hostedzone/").to_owned())
    }

    async fn bucket(&self, name: &str, region: &str) -> anyhow::Result<()> {
        let place = BucketLocationConstraint::from(region);
        let place = CreateBucketConfiguration::builder().location_constraint(place).build();
        let create = self.aws.s3(region).create_bucket().bucket(name).create_bucket_configuration(place);
        taken(create.send().await).context("CreateBucket")?;
        Ok(())
    }

    async fn publish(&self, bucket: &str, key: &str, region: &str) -> anyhow::Result<()> {
        let policy = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": "*",
                "Action": "s3:GetObject",
                "Resource": format!("arn:aws:s3:::{bucket}/{key}"),
            }],
        });
        let s3 = self.aws.s3(region);
        // A new bucket blocks what makes it public.
        let open = PublicAccessBlockConfiguration::builder().block_public_policy(false);
        let open = open.restrict_public_buckets(false).build();
        let open = s3.put_public_access_block().bucket(bucket).public_access_block_configuration(open);
        taken(open.send().await).context("PutPublicAccessBlock")?;
        let put = s3.put_bucket_policy().bucket(bucket).policy(policy.to_string());
        taken(put.send().await).context("PutBucketPolicy")?;
        Ok(())
    }

    async fn global_database(&self, name: &str) -> anyhow::Result<GlobalDatabase> {
        let create = self.aws.rds(EAST).create_global_cluster().global_cluster_identifier(name);
        let create = create.engine(AURORA).engine_version(AURORA_VERSION);
        taken(create.send().await).context("CreateGlobalCluster")?;
        let east = self.member(name, EAST, "east", true).await?;
        let west = self.member(name, WEST, "west", false).await?;
        Ok(GlobalDatabase { name: name.to_owned(), east, west })
    }

    async fn instance(&self, region: &str, name: &str) -> anyhow::Result<String> {
        let create = self.aws.rds(region).create_db_instance().db_instance_identifier(name);
        let create = create.engine("postgres").db_instance_class(CLASS).allocated_storage(20);
        let create = create.master_username("muster").master_user_password("a-password");
        let created = taken(create.backup_retention_period(RETENTION).send().await);
        let created = created.context("CreateDBInstance")?;
        let arn = created.db_instance().and_then(|instance| instance.db_instance_arn());
        Ok(arn.context("an instance without an ARN")?.to_owned())
    }

    async fn role(&self, name: &str, external_id: Option<&str>) -> anyhow::Result<String> {
        iam::create_role(self.aws.endpoint(), name, external_id).await.context("CreateRole")
    }
}

//! RDS at the wire, as a person's own tools ask it: who takes the writes, and what is done to the instances by hand.

use super::cloud::{ACCOUNT, Ask, Cloud, GLOBAL, instance, texts};
use super::region::{Parts, Region};

/// An instance, as its region's RDS says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct InstanceWord {
    pub(super) status: String,
    /// What it replicates from, by ARN.
    pub(super) source: Option<String>,
}

impl Cloud {
    /// The ARN of a region's instance.
    pub(super) fn instance_arn(region: Region) -> String {
        format!("arn:aws:rds:{}:{ACCOUNT}:db:{}", region.aws(), instance(region))
    }

    /// Who takes the writes of the global database, as RDS says.
    pub(super) async fn writer(&self) -> anyhow::Result<Option<Region>> {
        let ask = format!("DescribeGlobalClusters&GlobalClusterIdentifier={GLOBAL}");
        let told = match self.ask_rds(Region::West, &ask).await {
            // Its cluster has left.
            Err(error) if error.to_string().contains("GlobalClusterNotFoundFault") => {
                self.ask_rds(Region::East, &ask).await?
            }
            told => told?,
        };
        let members = texts(&told, "GlobalClusterMember");
        let writers: Vec<&str> = members
            .into_iter()
            .filter(|member| texts(member, "IsWriter") == ["true"])
            .flat_map(|member| texts(member, "DBClusterArn"))
            .collect();
        Ok(Region::ALL.into_iter().find(|region| writers == [self.cluster(*region)]))
    }

    /// Asks RDS for a switchover of the global database.
    pub(super) async fn switch_over(&self, parts: Parts) -> anyhow::Result<()> {
        let target = self.cluster(parts.taken);
        let action = "SwitchoverGlobalCluster&GlobalClusterIdentifier";
        let ask = format!("{action}={GLOBAL}&TargetDbClusterIdentifier={target}");
        self.ask_rds(parts.left, &ask).await.map(drop)
    }

    /// An instance by its name; `None`: RDS lists none of it there.
    pub(super) async fn instance_word(
        &self,
        region: Region,
        name: &str,
    ) -> anyhow::Result<Option<InstanceWord>> {
        let ask = format!(
            "DescribeDBInstances&Filters.Filter.1.Name=db-instance-id&Filters.Filter.1.Values.Value.1={name}"
        );
        let told = self.ask_rds(region, &ask).await?;
        let text = |tag: &str| texts(&told, tag).first().map(|text| (*text).to_owned());
        let source = text("ReadReplicaSourceDBInstanceIdentifier");
        Ok(text("DBInstanceStatus").map(|status| InstanceWord { status, source }))
    }

    /// The names of the instances in a region that gave a region's name away.
    pub(super) async fn kept_instances(&self, region: Region) -> anyhow::Result<Vec<String>> {
        let told = self.ask_rds(region, "DescribeDBInstances").await?;
        let prefix = format!("{}-old", instance(region));
        let names = texts(&told, "DBInstanceIdentifier").into_iter().filter(|name| name.starts_with(&prefix));
        Ok(names.map(str::to_owned).collect())
    }

    /// Asks RDS to promote a region's replica.
    pub(super) async fn promote_replica(&self, region: Region) -> anyhow::Result<()> {
        let ask = format!("PromoteReadReplica&DBInstanceIdentifier={}", instance(region));
        self.ask_rds(region, &ask).await.map(drop)
    }

    /// Asks RDS to give a region's instance another name.
    pub(super) async fn rename_instance(&self, region: Region, name: &str) -> anyhow::Result<()> {
        let action = "ModifyDBInstance&ApplyImmediately=true";
        let old = instance(region);
        let ask = format!("{action}&DBInstanceIdentifier={old}&NewDBInstanceIdentifier={name}");
        self.ask_rds(region, &ask).await.map(drop)
    }

    /// Asks RDS for a replica of the other region's instance.
    pub(super) async fn create_replica(&self, region: Region) -> anyhow::Result<()> {
        let (source, place) = (Self::instance_arn(region.other()), region.other().aws());
        let action = format!("CreateDBInstanceReadReplica&DBInstanceIdentifier={}", instance(region));
        let ask = format!("{action}&SourceDBInstanceIdentifier={source}&SourceRegion={place}");
        self.ask_rds(region, &ask).await.map(drop)
    }

    /// Asks RDS to delete an instance and all that is in it.
    pub(super) async fn delete_instance(&self, region: Region, name: &str) -> anyhow::Result<()> {
        let ask = format!("DeleteDBInstance&SkipFinalSnapshot=true&DBInstanceIdentifier={name}");
        self.ask_rds(region, &ask).await.map(drop)
    }

    async fn ask_rds(&self, region: Region, ask: &str) -> anyhow::Result<String> {
        let body = format!("Version=2014-10-31&Action={ask}");
        self.ask(Ask { method: "POST", path: "/", service: "rds", region: region.aws(), body }).await
    }
}

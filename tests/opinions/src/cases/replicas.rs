//! Read replicas in another region, and their promotion.

use super::{Case, case};
use crate::bench::{Bench, EAST, WEST};
use crate::check::{comes_true, refused, same, taken};
use anyhow::Context;
use aws_sdk_rds::types::DbInstance;

pub(super) const CASES: &[Case] = &[
    case!("replica-names-source", "a replica names its source in another region by its ARN", names_source),
    case!("replica-replicates", "a replica that follows its source is said to replicate", replicates),
    case!("replica-promoted", "a replica that was promoted names no source and is available", promoted),
    case!("replica-stays-itself", "a promotion keeps the instance's DbiResourceId", stays_itself),
    case!("replica-gets-backups", "a promotion sets for how long backups are kept", gets_backups),
    case!(
        "replica-promoted-once",
        "a promotion that is asked for twice is refused the second time",
        promoted_once
    ),
    case!("replica-of-nobody", "an instance that is no replica is not promoted", of_nobody),
    case!("replica-unknown", "an instance that does not exist is not promoted", unknown),
    case!("instance-unknown", "an instance that does not exist is not known", instance_unknown),
    case!("instance-of-own-region", "a region shows its own instances alone", of_own_region),
    case!(
        "instance-list-in-pages",
        "a list of instances comes in pages that the marker joins",
        list_in_pages
    ),
];

const NOT_FOUND: &str = "404 DBInstanceNotFound";
const IN_NO_STATE: &str = "400 InvalidDBInstanceState";

/// A source in `EAST` by its ARN, and the name of a replica of it in `WEST` that is available.
async fn replica(bench: &Bench<'_>) -> anyhow::Result<(String, String)> {
    let (source, name) = (bench.arrange.instance(EAST, &bench.name("a")).await?, bench.name("b"));
    let create = bench.aws.rds(WEST).create_db_instance_read_replica().db_instance_identifier(&name);
    let create = create.source_db_instance_identifier(&source).db_instance_class("db.r6g.large");
    taken(create.send().await).context("CreateDBInstanceReadReplica")?;
    come_to_rest(bench, &name).await?;
    Ok((source, name))
}

async fn describe(bench: &Bench<'_>, name: &str) -> anyhow::Result<DbInstance> {
    let describe = bench.aws.rds(WEST).describe_db_instances().db_instance_identifier(name);
    let found = taken(describe.send().await)?.db_instances.unwrap_or_default();
    found.into_iter().next().context("nothing was found")
}

async fn come_to_rest(bench: &Bench<'_>, name: &str) -> anyhow::Result<()> {
    comes_true(async || {
        let instance = describe(bench, name).await?;
        same("status", &instance.db_instance_status(), &Some("available"))
    })
    .await
}

/// An empty element is as none.
fn source(instance: &DbInstance) -> Option<&str> {
    instance.read_replica_source_db_instance_identifier().filter(|source| !source.is_empty())
}

async fn promote(bench: &Bench<'_>, name: &str, retention: i32) -> anyhow::Result<()> {
    let promote = bench.aws.rds(WEST).promote_read_replica().db_instance_identifier(name);
    taken(promote.backup_retention_period(retention).send().await).context("PromoteReadReplica")?;
    Ok(())
}

async fn names_source(bench: &Bench<'_>) -> anyhow::Result<()> {
    let (primary, name) = replica(bench).await?;
    let instance = describe(bench, &name).await?;
    let told = match source(&instance) {
        Some(told) if told == primary => "its ARN",
        Some(_) => "another name",
        None => "nothing",
    };
    same("named", &told, &"its ARN")
}

async fn replicates(bench: &Bench<'_>) -> anyhow::Result<()> {
    let (_, name) = replica(bench).await?;
    let instance = describe(bench, &name).await?;
    let mut infos = instance.status_infos().iter();
    let info = infos.find(|info| info.status_type() == Some("read replication"));
    same(
        "replication",
        &info.map(|info| (info.status(), info.normal())),
        &Some((Some("replicating"), Some(true))),
    )
}

async fn promoted(bench: &Bench<'_>) -> anyhow::Result<()> {
    let (_, name) = replica(bench).await?;
    promote(bench, &name, 1).await?;
    comes_true(async || {
        let instance = describe(bench, &name).await?;
        same("names a source", &source(&instance).is_some(), &false)?;
        same("status", &instance.db_instance_status(), &Some("available"))
    })
    .await
}

async fn stays_itself(bench: &Bench<'_>) -> anyhow::Result<()> {
    let (_, name) = replica(bench).await?;
    let before = describe(bench, &name).await?.dbi_resource_id.context("an instance without an id")?;
    promote(bench, &name, 1).await?;
    come_to_rest(bench, &name).await?;
    let after = describe(bench, &name).await?.dbi_resource_id;
    same("it is the same", &(after == Some(before)), &true)
}

async fn gets_backups(bench: &Bench<'_>) -> anyhow::Result<()> {
    let (_, name) = replica(bench).await?;
    promote(bench, &name, 3).await?;
    comes_true(async || same("days", &describe(bench, &name).await?.backup_retention_period(), &Some(3)))
        .await
}

async fn promoted_once(bench: &Bench<'_>) -> anyhow::Result<()> {
    let (_, name) = replica(bench).await?;
    promote(bench, &name, 1).await?;
    let again = bench.aws.rds(WEST).promote_read_replica().db_instance_identifier(&name);
    refused(again.send().await, IN_NO_STATE)
}

async fn of_nobody(bench: &Bench<'_>) -> anyhow::Result<()> {
    let name = bench.name("a");
    bench.arrange.instance(WEST, &name).await?;
    let promote = bench.aws.rds(WEST).promote_read_replica().db_instance_identifier(&name);
    refused(promote.send().await, IN_NO_STATE)
}

async fn unknown(bench: &Bench<'_>) -> anyhow::Result<()> {
    let promote = bench.aws.rds(WEST).promote_read_replica().db_instance_identifier("nobody");
    refused(promote.send().await, NOT_FOUND)
}

async fn instance_unknown(bench: &Bench<'_>) -> anyhow::Result<()> {
    let describe = bench.aws.rds(WEST).describe_db_instances().db_instance_identifier("nobody");
    refused(describe.send().await, NOT_FOUND)
}

async fn of_own_region(bench: &Bench<'_>) -> anyhow::Result<()> {
    let name = bench.name("a");
    bench.arrange.instance(EAST, &name).await?;
    let listed = |region: &'static str| {
        let describe = bench.aws.rds(region).describe_db_instances();
        let name = name.as_str();
        async move {
            let listed = taken(describe.send().await)?;
            let is_it = |instance: &DbInstance| instance.db_instance_identifier() == Some(name);
            anyhow::Ok(listed.db_instances().iter().any(is_it))
        }
    };
    same("in its region", &listed(EAST).await?, &true)?;
    same("in the other region", &listed(WEST).await?, &false)
}

async fn list_in_pages(bench: &Bench<'_>) -> anyhow::Result<()> {
    /// The fewest that the API takes.
    const PAGE: i32 = 20;
    // A region in which no other case has any.
    let region = "eu-west-1";
    for number in 0..=PAGE {
        bench.arrange.instance(region, &bench.name(&format!("{number:02}"))).await?;
    }
    let list = || bench.aws.rds(region).describe_db_instances().max_records(PAGE);
    let first = taken(list().send().await)?;
    same("on the first page", &first.db_instances().len(), &20)?;
    let marker = first.marker().context("a page without a marker")?;
    let second = taken(list().marker(marker).send().await)?;
    same("on the second page", &second.db_instances().len(), &1)?;
    same("a marker on the last page", &second.marker().is_some_and(|marker| !marker.is_empty()), &false)
}

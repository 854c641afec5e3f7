//! Global databases, and how their writer moves.

use super::{Case, case};
use crate::arrange::GlobalDatabase;
use crate::bench::{Bench, EAST, WEST};
use crate::check::{Answer, comes_true, refused, same, taken};
use anyhow::Context;
use aws_sdk_rds::operation::failover_global_cluster::{
    FailoverGlobalClusterError, FailoverGlobalClusterOutput,
};
use aws_sdk_rds::operation::switchover_global_cluster::{
    SwitchoverGlobalClusterError, SwitchoverGlobalClusterOutput,
};
use aws_sdk_rds::types::GlobalCluster;

pub(super) const CASES: &[Case] = &[
    case!("global-unknown", "a global database that does not exist is not known", unknown),
    case!("global-by-name", "a global database that is asked for by its name is listed alone", by_name),
    case!("global-members", "each region shows all members, one of which is the writer", members),
    case!("global-available", "a global database at rest is available, and has no FailoverState", available),
    case!("global-connected", "a reader that replicates is connected", connected),
    case!(
        "global-switchover",
        "a switchover makes the target the only writer, and keeps the members",
        switchover
    ),
    case!("global-failover", "a failover with data loss makes the target the only writer", failover),
    case!("global-failover-at-target", "a failover is taken by the region of its target", failover_at_target),
    case!(
        "global-move-is-shown",
        "a switchover is shown with its two sides while it is under way",
        move_is_shown
    ),
    case!("global-failover-is-shown", "a failover is shown as one that allows data loss", failover_is_shown),
    case!("global-move-once", "a switchover that is asked for twice is refused the second time", move_once),
    case!("global-move-to-writer", "a switchover to the writer itself is refused", move_to_writer),
    case!(
        "global-move-to-nobody",
        "a switchover to a cluster that does not exist is refused",
        move_to_nobody
    ),
    case!("global-move-of-nothing", "a failover of what does not exist is refused", move_of_nothing),
    case!(
        "cluster-of-own-region",
        "a region shows its own clusters alone, with their instances",
        of_own_region
    ),
];

const NO_GLOBAL: &str = "404 GlobalClusterNotFoundFault";
const IN_NO_STATE: &str = "400 InvalidGlobalClusterStateFault";

/// One of those that a region lists, as Muster finds it.
async fn describe(bench: &Bench<'_>, region: &str, name: &str) -> anyhow::Result<GlobalCluster> {
    let listed = taken(bench.aws.rds(region).describe_global_clusters().max_records(100).send().await)?;
    let mut listed = listed.global_clusters.unwrap_or_default().into_iter();
    let found = listed.find(|global| global.global_cluster_identifier() == Some(name));
    found.with_context(|| format!("not listed in {region}"))
}

/// `east writer`, `west reader`: by side, whatever the order of the list.
fn sides(global: &GlobalCluster, of: &GlobalDatabase) -> Vec<String> {
    let mut sides: Vec<String> = global
        .global_cluster_members()
        .iter()
        .map(|member| {
            let role = if member.is_writer() == Some(true) { "writer" } else { "reader" };
            let side = match member.db_cluster_arn().unwrap_or_default() {
                arn if arn == of.east => "east",
                arn if arn == of.west => "west",
                _ => "somebody else",
            };
            format!("{side} {role}")
        })
        .collect();
    sides.sort();
    sides
}

async fn come_to(bench: &Bench<'_>, of: &GlobalDatabase, expected: [&str; 2]) -> anyhow::Result<()> {
    comes_true(async || {
        for region in [EAST, WEST] {
            let global = describe(bench, region, &of.name).await?;
            same("members", &sides(&global, of), &expected.map(str::to_owned).to_vec())?;
            same("status", &global.status(), &Some("available"))?;
        }
        Ok(())
    })
    .await
}

async fn switch_over(
    bench: &Bench<'_>,
    name: &str,
    target: &str,
) -> Answer<SwitchoverGlobalClusterOutput, SwitchoverGlobalClusterError> {
    let switch = bench.aws.rds(EAST).switchover_global_cluster().global_cluster_identifier(name);
    switch.target_db_cluster_identifier(target).send().await
}

async fn fail_over(
    bench: &Bench<'_>,
    region: &str,
    name: &str,
    target: &str,
) -> Answer<FailoverGlobalClusterOutput, FailoverGlobalClusterError> {
    let fail = bench.aws.rds(region).failover_global_cluster().global_cluster_identifier(name);
    fail.target_db_cluster_identifier(target).allow_data_loss(true).send().await
}

async fn unknown(bench: &Bench<'_>) -> anyhow::Result<()> {
    let describe = bench.aws.rds(EAST).describe_global_clusters().global_cluster_identifier("nobody");
    refused(describe.send().await, NO_GLOBAL)
}

async fn by_name(bench: &Bench<'_>) -> anyhow::Result<()> {
    let of = bench.arrange.global_database(&bench.name("g")).await?;
    bench.arrange.global_database(&bench.name("h")).await?;
    let describe = bench.aws.rds(EAST).describe_global_clusters().global_cluster_identifier(&of.name);
    let listed = taken(describe.send().await)?;
    let names = listed.global_clusters().iter().map(|global| global.global_cluster_identifier());
    same("listed alone", &names.eq([Some(of.name.as_str())]), &true)
}

async fn members(bench: &Bench<'_>) -> anyhow::Result<()> {
    let of = bench.arrange.global_database(&bench.name("g")).await?;
    for region in [EAST, WEST] {
        let global = describe(bench, region, &of.name).await?;
        same("members", &sides(&global, &of), &vec!["east writer".to_owned(), "west reader".to_owned()])?;
    }
    Ok(())
}

async fn available(bench: &Bench<'_>) -> anyhow::Result<()> {
    let of = bench.arrange.global_database(&bench.name("g")).await?;
    let global = describe(bench, EAST, &of.name).await?;
    same("status", &global.status(), &Some("available"))?;
    // The API may write an empty element where nothing is under way.
    let status = global.failover_state().and_then(|state| state.status());
    same("operation", &status.is_none_or(|status| status.as_str().is_empty()), &true)
}

async fn connected(bench: &Bench<'_>) -> anyhow::Result<()> {
    let of = bench.arrange.global_database(&bench.name("g")).await?;
    let global = describe(bench, EAST, &of.name).await?;
    let reader = global.global_cluster_members().iter().find(|member| member.is_writer() != Some(true));
    let reader =
        reader.context("no reader")?.synchronization_status().map(|status| status.as_str().to_owned());
    same("synchronization", &reader.as_deref(), &Some("connected"))
}

async fn switchover(bench: &Bench<'_>) -> anyhow::Result<()> {
    let of = bench.arrange.global_database(&bench.name("g")).await?;
    taken(switch_over(bench, &of.name, &of.west).await)?;
    come_to(bench, &of, ["east reader", "west writer"]).await
}

async fn failover(bench: &Bench<'_>) -> anyhow::Result<()> {
    let of = bench.arrange.global_database(&bench.name("g")).await?;
    taken(fail_over(bench, EAST, &of.name, &of.west).await)?;
    come_to(bench, &of, ["east reader", "west writer"]).await
}

async fn failover_at_target(bench: &Bench<'_>) -> anyhow::Result<()> {
    let of = bench.arrange.global_database(&bench.name("g")).await?;
    taken(fail_over(bench, WEST, &of.name, &of.west).await)?;
    come_to(bench, &of, ["east reader", "west writer"]).await
}

/// The sides of what is under way, and whether it allows data loss; `None`: nothing is.
fn shown(global: Option<&GlobalCluster>, of: &GlobalDatabase) -> Option<(bool, bool, Option<bool>)> {
    let state = global?.failover_state()?;
    let (from, to) = (state.from_db_cluster_arn()?, state.to_db_cluster_arn()?);
    Some((from == of.east, to == of.west, state.is_data_loss_allowed()))
}

async fn move_is_shown(bench: &Bench<'_>) -> anyhow::Result<()> {
    let of = bench.arrange.global_database(&bench.name("g")).await?;
    taken(switch_over(bench, &of.name, &of.west).await)?;
    let global = describe(bench, EAST, &of.name).await?;
    same("from east, to west, data loss", &shown(Some(&global), &of), &Some((true, true, Some(false))))
}

async fn failover_is_shown(bench: &Bench<'_>) -> anyhow::Result<()> {
    let of = bench.arrange.global_database(&bench.name("g")).await?;
    taken(fail_over(bench, WEST, &of.name, &of.west).await)?;
    let global = describe(bench, WEST, &of.name).await?;
    same("from east, to west, data loss", &shown(Some(&global), &of), &Some((true, true, Some(true))))
}

async fn move_once(bench: &Bench<'_>) -> anyhow::Result<()> {
    let of = bench.arrange.global_database(&bench.name("g")).await?;
    taken(switch_over(bench, &of.name, &of.west).await)?;
    refused(switch_over(bench, &of.name, &of.west).await, IN_NO_STATE)
}

async fn move_to_writer(bench: &Bench<'_>) -> anyhow::Result<()> {
    let of = bench.arrange.global_database(&bench.name("g")).await?;
    refused(switch_over(bench, &of.name, &of.east).await, IN_NO_STATE)
}

async fn move_to_nobody(bench: &Bench<'_>) -> anyhow::Result<()> {
    let of = bench.arrange.global_database(&bench.name("g")).await?;
    let nobody = format!("{}-nobody", of.west);
    refused(switch_over(bench, &of.name, &nobody).await, "404 DBClusterNotFoundFault")
}

async fn move_of_nothing(bench: &Bench<'_>) -> anyhow::Result<()> {
    let of = bench.arrange.global_database(&bench.name("g")).await?;
    refused(fail_over(bench, WEST, "nobody", &of.west).await, NO_GLOBAL)
}

async fn of_own_region(bench: &Bench<'_>) -> anyhow::Result<()> {
    let of = bench.arrange.global_database(&bench.name("g")).await?;
    for (region, own, other) in [(EAST, &of.east, &of.west), (WEST, &of.west, &of.east)] {
        let listed = taken(bench.aws.rds(region).describe_db_clusters().send().await)?;
        let find =
            |arn: &str| listed.db_clusters().iter().find(|cluster| cluster.db_cluster_arn() == Some(arn));
        same("the other region's is listed", &find(other).is_some(), &false)?;
        let cluster = find(own).context("a region does not list its own cluster")?;
        same("status", &cluster.status(), &Some("available"))?;
        same("instances", &cluster.db_cluster_members().len(), &1)?;
    }
    Ok(())
}

//! With whose rights the operator works: in its own cluster those of the chart's ServiceAccount and no others, in a
//! region's cluster those of a kubeconfig that changes while it runs.

use anyhow::{Context as _, bail, ensure};
use muster::demo::policy::{POLICY, PolicyOptions};
use muster_core::ids::RegionName;
use muster_tests::chart;
use muster_tests::cluster::Cluster;
use muster_tests::operated::{
    OPERATOR, Operated, OperatorLink, Person, asking, condition, is_in, serves, text,
};
use muster_tests::patience;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tokio::time::sleep;

/// Of the policy, and of the installation.
const SHOP: &str = POLICY.0;
const CHECKOUT: &str = POLICY.1;
const MUSTER: &str = "muster";
/// Of the Secrets of the world's policy, and of no others.
const SECRETS: &str = "rbac.secretNames={pg,dns,v1,v2}";
/// Far less than lies between two looks at Secrets.
const BETWEEN_WRITES: Duration = Duration::from_secs(3);

fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_faults"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_charts_account_may_do_all_that_a_failover_and_the_way_back_take() -> anyhow::Result<()> {
    let policy = PolicyOptions { cooldown: "1s".to_owned(), ..asking() };
    let operated = Operated::start_linked(binary(), policy, link_by_chart).await?;
    let told = there_and_back(&operated).await;
    operated.end(told).await
}

/// Installs the chart, and answers a link with a token of its account.
async fn link_by_chart(cluster: &Cluster) -> anyhow::Result<OperatorLink> {
    cluster.kubectl_apply(&chart::render(MUSTER, &[SECRETS])?).await?;
    let kubeconfig = cluster.service_account_kubeconfig(MUSTER, "muster").await?;
    // Else the first calls would be refused, and the log could not show that none is.
    patience::until("the chart's rules are in force", || rules_are_in_force(cluster, &kubeconfig)).await?;
    Ok(OperatorLink { kubeconfig, args: Vec::new() })
}

async fn rules_are_in_force(cluster: &Cluster, account: &Path) -> anyhow::Result<()> {
    may(cluster, account, &["list", "failoverjournals", "-A"]).await?;
    may(cluster, account, &["create", "leases", "-n", MUSTER]).await?;
    may(cluster, account, &["get", "secrets/pg", "-n", SHOP]).await?;
    let status = r#"{"status": {"phase": "Completed"}}"#;
    let subresource = ["--subresource=status", "--dry-run=server", "--type=merge", "-p", status];
    let patch = [&["patch", "rfp", CHECKOUT, "-n", SHOP], subresource.as_slice()].concat();
    match cluster.kubectl(&patch).await {
        Err(error) if format!("{error:#}").contains("written by Muster alone") => Ok(()),
        Err(error) => Err(error),
        Ok(_) => bail!("the administrator may write a status"),
    }
}

/// An error unless the client of this kubeconfig may do so.
async fn may(cluster: &Cluster, kubeconfig: &Path, what: &[&str]) -> anyhow::Result<String> {
    let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
    cluster.kubectl(&[&[kubeconfig.as_str(), "auth", "can-i"], what].concat()).await
}

async fn there_and_back(operated: &Operated) -> anyhow::Result<()> {
    no_more_is_allowed(operated).await?;
    let admin = Person::new(operated, "admin");
    operated.until("rfp", CHECKOUT, serves("east")).await?;
    operated.world.kill(&"east".into());
    let run = operated.run_under_way().await?;
    admin.approve_shown(&run).await?;
    let ended = operated.until("run", &run, is_in("Completed")).await.context("the failover")?;
    ensure!(text(&ended, &["spec", "trigger"]) == "Verdict", "{ended:#}");
    ensure!(text(&ended, &["status", "to"]) == "west", "{ended:#}");
    operated.world.repair(&"east".into());
    operated.until("rfp", CHECKOUT, serves("west")).await.context("east follows")?;

    admin.ask("home", "Failback").await?;
    admin.approve_shown("home").await?;
    operated.until("run", "home", is_in("Completed")).await.context("the failback")?;
    operated.until("rfp", CHECKOUT, serves("east")).await.context("west follows")?;
    let events = admin.kubectl(&["get", "events", "-n", SHOP]).await?;
    for reason in ["RunOpened", "Promote", "Completed"] {
        ensure!(events.contains(reason), "no event {reason} in\n{events}");
    }
    nothing_was_forbidden(operated)
}

/// The account is not one that may do everything.
async fn no_more_is_allowed(operated: &Operated) -> anyhow::Result<()> {
    let account = operated.kubeconfig();
    for what in [
        ["list", "secrets", "--namespace=shop"],
        ["get", "secrets/other", "--namespace=shop"],
        ["update", "failoverruns", "--namespace=shop"],
        ["delete", "failoverjournals", "--namespace=shop"],
    ] {
        let said = may(&operated.cluster, account, &what).await;
        ensure!(said.is_err(), "the account may {what:?}: {said:?}");
    }
    let status = ["update", "failoverruns", "--subresource=status", "--namespace=shop"];
    may(&operated.cluster, account, &status).await.map(|_| ())
}

fn nothing_was_forbidden(operated: &Operated) -> anyhow::Result<()> {
    let log = std::fs::read_to_string(operated.world.controller_log())?;
    ensure!(log.contains("lease acquired"), "that is not the log of an operator that acts: {log}");
    let refused: Vec<&str> = log.lines().filter(|line| line.to_lowercase().contains("forbidden")).collect();
    ensure!(refused.is_empty(), "{} refusals:\n{}", refused.len(), refused.join("\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_kubeconfig_of_a_region_is_taken_up_while_the_operator_runs() -> anyhow::Result<()> {
    let policy = PolicyOptions { probe_every_ms: 1_000, ..PolicyOptions::default() };
    let operated = Operated::start_regional(binary(), policy).await?;
    let told = rotate(&operated).await;
    operated.end(told).await
}

async fn rotate(operated: &Operated) -> anyhow::Result<()> {
    let west = RegionName::from("west");
    let region = operated.regions.get(&west).context("a region of the world")?;
    operated.until("rfp", CHECKOUT, sees_all_workloads).await.context("at first")?;
    let process = operated.world.processes().id(OPERATOR);

    let kubeconfig = region.replace_account().await?;
    operated.until("rfp", CHECKOUT, misses_west).await.context("the old token is void")?;
    operated.replace_kubeconfig(&west, &kubeconfig).await?;
    let taken_up = tokio::select! {
        seen = operated.until("rfp", CHECKOUT, sees_all_workloads) => seen.map(|_| ()),
        failed = keep_writing(operated) => failed,
    };
    taken_up.context("with the new kubeconfig")?;
    ensure!(operated.world.processes().id(OPERATOR) == process, "the operator was started again");
    Ok(())
}

/// Somebody else writes into the policy's object all the time: no change of it may put off the look at its Secrets.
async fn keep_writing(operated: &Operated) -> anyhow::Result<()> {
    let person = Person::new(operated, "kim");
    for time in 0_u32.. {
        person.annotate(&format!("example.com/looked={time}")).await?;
        sleep(BETWEEN_WRITES).await;
    }
    Ok(())
}

fn sees_all_workloads(policy: &Value) -> Result<(), String> {
    let scalable = condition(policy, "Scalable");
    if scalable["status"] == "True" { Ok(()) } else { Err(format!("{scalable:#}")) }
}

fn misses_west(policy: &Value) -> Result<(), String> {
    let scalable = condition(policy, "Scalable");
    let is_told = text(scalable, &["message"]).contains("web in west is not seen");
    if scalable["status"] == "False" && is_told { Ok(()) } else { Err(format!("{scalable:#}")) }
}

//! `muster operator` with a cluster for each region: databases, names and workloads in one run, and workloads as a fence.

use anyhow::{Context as _, ensure};
use muster::demo::addresses::Place;
use muster::demo::controller::check_success;
use muster::demo::policy::{Fence, PolicyOptions};
use muster::demo::timeline::Timeline;
use muster_core::ids::RegionName;
use muster_core::journal::{Run, StepKey};
use muster_core::policy::ProofClass;
use muster_tests::operated::{Operated, Region};
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_mins(2);

fn region<'a>(operated: &'a Operated, name: &str) -> anyhow::Result<&'a Region> {
    operated.regions.get(&RegionName::from(name)).context("a region of the world")
}

async fn start(fences: Vec<Fence>) -> anyhow::Result<Operated> {
    let policy = PolicyOptions { probe_every_ms: 1_000, fences, ..PolicyOptions::default() };
    Operated::start_regional(Path::new(env!("CARGO_BIN_EXE_faults")), policy).await
}

async fn run_to_end(operated: &Operated, before: Option<&Run>) -> anyhow::Result<Run> {
    let before = before.map(|run| &run.name);
    let run = operated.controller.follow_run(before, PATIENCE, &Timeline::quiet()).await?;
    check_success(&run)?;
    Ok(run)
}

async fn until_rejoined(operated: &Operated, name: &str) -> anyhow::Result<()> {
    let rejoined = |status: &muster::api::PolicyStatus| match status.journal.state.outcasts.get(&name.into())
    {
        Some(outcast) => Err(format!("{name} has not rejoined: {}", outcast.message)),
        None => Ok(()),
    };
    operated.controller.wait_until(PATIENCE, rejoined).await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_dies_with_its_cluster_and_the_other_one_runs_its_peak() -> anyhow::Result<()> {
    let operated = start(vec![Fence::Sql, Fence::Power]).await?;
    let told = lose_a_region(&operated).await;
    operated.end(told).await
}

async fn lose_a_region(operated: &Operated) -> anyhow::Result<()> {
    let (east, west) = (region(operated, "east")?, region(operated, "west")?);
    let known = |status: &muster::api::PolicyStatus| match status.journal.state.peaks.values().next() {
        Some(peak) if peak.replicas == 3 => Ok(()),
        other => Err(format!("{other:?}")),
    };
    operated.controller.wait_until(PATIENCE, known).await.context("the peak is not known")?;
    operated.world.kill(&"east".into());
    east.cluster.stop_api_server().await;
    let run = run_to_end(operated, None).await?;
    ensure!(west.replicas().await? == (3, 3), "{:?}", west.replicas().await?);
    let awaited = run.steps.iter().find(|step| matches!(step.key, StepKey::AwaitCompute(_)));
    ensure!(awaited.is_some_and(|step| step.saw.contains("3 of 3 ready")), "{awaited:?}");
    let rto = run.measured.rto.context("measured")?;
    ensure!(rto.to_std() < Duration::from_secs(30), "{rto}");

    east.cluster.start_api_server().await?;
    operated.world.repair(&"east".into());
    until_rejoined(operated, "east").await?;
    operated.controller.wait_ready(&"west".into(), PATIENCE).await?;
    ensure!(west.replicas().await? == (3, 3), "the active region keeps what it has");
    let asked = r#"{"apiVersion": "muster.dev/v1alpha1", "kind": "FailoverRun", "metadata": {"name": "back", "namespace": "shop"},
        "spec": {"policy": "checkout", "kind": "Failback", "to": "east", "reason": "a test", "by": "admin"}}"#;
    operated.cluster.kubectl_apply(asked).await?;
    let back = run_to_end(operated, Some(&run)).await?;
    ensure!(back.steps.iter().any(|step| step.key == StepKey::ScaleCompute("web".into())));
    until_rejoined(operated, "west").await?;
    west.until_replicas(1).await.context("what Muster took is given back")?;
    ensure!(east.replicas().await? == (3, 3), "{:?}", east.replicas().await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn workloads_at_zero_fence_a_database_that_only_muster_cannot_reach() -> anyhow::Result<()> {
    let operated = start(vec![Fence::Sql]).await?;
    let told = fence_by_workloads(&operated).await;
    operated.end(told).await
}

async fn fence_by_workloads(operated: &Operated) -> anyhow::Result<()> {
    let east = region(operated, "east")?;
    for from in [Place::Controller, Place::Vantage(1), Place::Vantage(2)] {
        operated.world.cut(&from, &Place::Region("east".into()));
    }
    let run = run_to_end(operated, None).await?;
    let proof = run.proofs.get(&"east".into()).context("a proof")?;
    ensure!(proof.class == ProofClass::Attested && proof.saw.contains("Deployment shop"), "{proof:?}");
    ensure!(east.replicas().await?.0 == 0, "{:?}", east.replicas().await?);
    operated.world.heal_region(&"east".into());
    until_rejoined(operated, "east").await?;
    east.until_replicas(3).await.context("the standby has its size again")
}

//! What must not be done: the controller refuses, and `explain` names the gate and what it saw.

use super::Case;
use super::stage::{PATIENCE, Setting, Stage, east, no_run, west};
use anyhow::ensure;
use muster::demo::addresses::Place;
use muster::demo::clients::Pace;
use muster_core::ids::RegionName;
use muster_core::policy::Mode;
use std::time::Duration;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "both-regions-down",
        proves: "with no region left nothing is begun, and explain names the gate",
        run: |bench| Box::pin(async move { bench.play(|_| {}, both_down).await }),
    },
    Case {
        name: "own-network-down",
        proves: "an observer without its own network accuses nobody",
        run: |bench| Box::pin(async move { bench.play(|_| {}, own_network_down).await }),
    },
    Case {
        name: "no-vantage",
        proves: "without a quorum of vantages a dead region is not left",
        run: |bench| Box::pin(async move { bench.play(|_| {}, no_vantage).await }),
    },
    Case {
        name: "no-probes",
        proves: "a primary that nothing probes is never left, and explain says which gate and what it saw",
        run: |bench| Box::pin(async move { bench.play(without_probes, no_probes).await }),
    },
    Case {
        name: "standby-lagging",
        proves: "a standby that lags beyond the policy's limit does not take over by itself",
        run: |bench| Box::pin(async move { bench.play(little_loss, lagging).await }),
    },
    Case {
        name: "standby-dead-first",
        proves: "without a standby nothing is begun; once it is back, the failover goes through",
        run: |bench| Box::pin(async move { bench.play(|_| {}, standby_dead_first).await }),
    },
];

/// How long a refusal is watched.
const WATCH: Duration = Duration::from_secs(3);

async fn both_down(stage: &Stage) -> anyhow::Result<String> {
    stage.world.kill(&west());
    stage.world.kill(&east());
    let told = stage.blocked_by("TargetFit").await?;
    stage.stays(WATCH, no_run).await?;
    Ok(format!("no run; {told}"))
}

async fn own_network_down(stage: &Stage) -> anyhow::Result<String> {
    stage.world.isolate(&Place::Controller);
    let blind = |status: &muster::api::PolicyStatus| {
        let verdict = status.verdicts.get(&east()).map(|v| (format!("{:?}", v.kind), v.saw.clone()));
        let (kind, saw) = verdict.unwrap_or_default();
        if kind == "Healthy" { Err(format!("east is still called healthy: {saw}")) } else { Ok(()) }
    };
    let status = stage.controller.wait_until(PATIENCE, blind).await?;
    stage.stays(WATCH * 2, no_run).await?;
    let saw = status.verdicts.get(&east()).map(|v| format!("{:?}: {}", v.kind, v.saw)).unwrap_or_default();
    ensure!(!saw.starts_with("Unhealthy"), "east is accused: {saw}");
    stage.world.heal(&Place::Controller);
    stage.controller.wait_ready(&east(), PATIENCE).await?;
    stage.stays(Duration::from_secs(1), no_run).await?;
    Ok(format!("no run while blind and afterwards; {saw}"))
}

async fn no_vantage(stage: &Stage) -> anyhow::Result<String> {
    stage.world.kill_process("v1");
    stage.world.kill_process("v2");
    let customers = stage.world.write_outside(Pace::default());
    customers.wait_for(5, PATIENCE).await?;
    stage.world.kill(&east());
    let lost = |status: &muster::api::PolicyStatus| {
        let failing = status.failing.iter().any(|f| f.region == east());
        let healthy = status.verdicts.get(&east()).is_some_and(|v| format!("{:?}", v.kind) == "Healthy");
        if failing && !healthy { Ok(()) } else { Err("the loss of east is not seen".to_owned()) }
    };
    stage.controller.wait_until(PATIENCE, lost).await?;
    stage.stays(WATCH * 2, no_run).await?;
    let told = stage.explain().await?;
    let saw = told.verdicts.get(&east()).map(|v| format!("{:?}: {}", v.kind, v.saw)).unwrap_or_default();
    ensure!(stage.is_standby(&west()).await?, "west was promoted by one observer");
    stage.world.start_vantages()?;
    let run = stage.succeeded().await?;
    Ok(format!("no run by one observer ({saw}); with both back: {}", run.message))
}

fn without_probes(setting: &mut Setting) {
    let policy = &mut setting.spec.policy;
    (policy.mode, policy.primary_unprobed, policy.max_estimated_loss) = (Mode::Approve, true, None);
    setting.judged = false;
}

async fn no_probes(stage: &Stage) -> anyhow::Result<String> {
    stage.world.kill(&east());
    stage.controller.wait_until(PATIENCE, |status| silent(&east(), status)).await?;
    let told = stage.blocked_by("ObserversSuffice").await?;
    ensure!(told.ends_with("0 probes"), "explain does not say that nothing probes east: {told}");
    let unjudged = stage.blocked_by("PrimaryUnhealthy").await?;
    stage.stays(WATCH * 2, no_run).await?;
    ensure!(stage.is_standby(&west()).await?, "west was promoted");
    Ok(format!("no run; {told}; {unjudged}"))
}

fn little_loss(setting: &mut Setting) {
    setting.spec.policy.max_estimated_loss = Some("2s".to_owned());
}

async fn lagging(stage: &Stage) -> anyhow::Result<String> {
    let customers = stage.world.write_outside(Pace::default());
    customers.wait_for(5, PATIENCE).await?;
    stage.world.cut_replication(&east(), &west());
    let lags = |status: &muster::api::PolicyStatus| match status.summary.live_rpo {
        Some(loss) if loss.0 > 3_000 => Ok(()),
        loss => Err(format!("west does not lag: {loss:?}")),
    };
    stage.controller.wait_until(PATIENCE, lags).await?;
    stage.world.kill(&east());
    let told = stage.blocked_by("EstimatedLoss").await?;
    stage.stays(WATCH, no_run).await?;
    ensure!(stage.is_standby(&west()).await?, "west was promoted");
    Ok(format!("no run; {told}"))
}

fn silent(region: &RegionName, status: &muster::api::PolicyStatus) -> Result<(), String> {
    let gone = status.facts.data.iter().any(|d| d.region == *region && d.unknown.is_some());
    if gone { Ok(()) } else { Err(format!("{region} still answers")) }
}

async fn standby_dead_first(stage: &Stage) -> anyhow::Result<String> {
    stage.world.kill(&west());
    stage.controller.wait_until(PATIENCE, |status| silent(&west(), status)).await?;
    stage.world.kill(&east());
    let told = stage.blocked_by("TargetFit").await?;
    stage.stays(WATCH, no_run).await?;
    stage.world.restart(&west()).await?;
    let run = stage.succeeded().await?;
    ensure!(!stage.is_standby(&west()).await?, "west is not writable");
    Ok(format!("no run while west was dead ({told}); afterwards: {}", run.message))
}

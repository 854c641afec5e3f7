//! The controller itself is disturbed: paused, its clock stepped, its policy edited or removed.

use super::stage::{PATIENCE, Setting, Stage, east, west};
use super::{Bench, Case};
use anyhow::{Context, ensure};
use muster::api::PolicyStatus;
use muster::demo::clients::Pace;
use muster::demo::policy::PolicyOptions;
use muster::demo::power::PowerMode;
use muster_core::ids::RegionName;
use muster_core::journal::{Phase, Run, RunKind};
use muster_core::policy::Mode;
use muster_core::time::Millis;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "policy-edited-in-run",
        proves: "a run ends with the policy that it began with; the new one counts afterwards",
        run: |bench| Box::pin(async move { bench.play(|_| {}, edited).await }),
    },
    Case {
        name: "policy-removed-in-run",
        proves: "a run goes on to its end when its policy's file is removed",
        run: |bench| Box::pin(async move { bench.play(|_| {}, removed).await }),
    },
    Case {
        name: "clock-stepped",
        proves: "a wall clock stepped by an hour in mid-run, either way, changes neither the run nor its figures",
        run: |bench| Box::pin(clock_stepped(bench)),
    },
    Case {
        name: "paused-before-act",
        proves: "a controller stopped for seconds between the record and the act of each effect harms nothing",
        run: |bench| Box::pin(paused(bench)),
    },
];

/// Kills east so that the run waits for its fence, and answers it as it waits.
async fn hold_at_fence(stage: &Stage) -> anyhow::Result<Run> {
    stage.world.set_power(&east(), PowerMode::Fails)?;
    stage.world.kill(&east());
    let fencing = |run: &Run| {
        let at =
            run.current().and_then(|i| run.steps.get(i)).map(|s| format!("{:?}", s.key)).unwrap_or_default();
        if at.starts_with("FenceOld") && run.phase == Phase::AwaitingApproval { Ok(()) } else { Err(at) }
    };
    stage.run_until(None, fencing).await
}

async fn go_on(stage: &Stage) -> anyhow::Result<Run> {
    let plan = stage.preview().await?;
    stage.approve(&plan, &["Fenced"], Millis::from_secs(300)).await?;
    stage.succeeded().await
}

async fn edited(stage: &Stage) -> anyhow::Result<String> {
    let held = hold_at_fence(stage).await?;
    let after = PolicyOptions { mode: Mode::Approve, cooldown: "1h".to_owned(), ..PolicyOptions::default() };
    stage.world.write_policies(&after)?;
    let noted = |status: &PolicyStatus| {
        let deferred = status.file_problems.iter().find(|p| p.reason == "SpecChangeDeferred");
        deferred.map(|_| ()).ok_or_else(|| "the change is not reported as deferred".to_owned())
    };
    stage.controller.wait_until(PATIENCE, noted).await?;
    let run = go_on(stage).await?;
    ensure!(run.policy == held.policy, "the run changed its policy on the way");
    let in_force = |status: &PolicyStatus| {
        let mode = status.summary.mode;
        if mode == Mode::Approve { Ok(()) } else { Err(format!("mode {mode:?} is still in force")) }
    };
    stage.controller.wait_until(PATIENCE, in_force).await?;
    Ok(format!("deferred during {}, in force after it: mode Approve; {}", run.name, run.message))
}

async fn removed(stage: &Stage) -> anyhow::Result<String> {
    let held = hold_at_fence(stage).await?;
    std::fs::remove_file(stage.world.policy_file()).context("failed to remove the policy")?;
    let noted = |status: &PolicyStatus| {
        let gone =
            status.file_problems.iter().any(|p| p.reason == "Removed" || p.reason == "SpecChangeDeferred");
        if gone { Ok(()) } else { Err(format!("the removal is not reported: {:?}", status.file_problems)) }
    };
    stage.controller.wait_until(PATIENCE, noted).await?;
    let plan = stage.preview().await?;
    stage.approve(&plan, &["Fenced"], Millis::from_secs(300)).await?;
    // With its run over the policy may be gone at any moment: look at the world instead.
    let writable = async || stage.is_standby(&west()).await.is_ok_and(|standby| !standby);
    stage.until("west takes the writes", writable).await?;
    let customers = stage.world.write_outside(Pace::default());
    customers.wait_for(10, PATIENCE).await.context("the customers are not served in west")?;
    let run = stage.controller.run(&held.name).await?;
    Ok(format!("{}: {}", run.name, run.message))
}

async fn stepped(stage: &Stage) -> anyhow::Result<String> {
    let customers = stage.world.write_outside(Pace::default());
    customers.wait_for(20, PATIENCE).await?;
    stage.world.kill(&east());
    let run = stage.succeeded().await?;
    customers.wait_for(20, PATIENCE).await?;
    let rto = run.measured.rto.context("no RTO was measured")?;
    ensure!(rto < Millis::from_secs(60), "the step went into the RTO: {rto}");
    let stamps = [run.clock.first_failure, run.clock.settled.or(run.clock.first_success)];
    let walls: Vec<i64> = stamps.into_iter().flatten().map(|s| s.wall.0).collect();
    let apart = walls.iter().max().zip(walls.iter().min()).map_or(0, |(max, min)| max - min);
    ensure!(apart > 3_000_000, "the wall clock was not stepped in the run: {apart} ms apart");
    Ok(format!("RTO {rto} with the wall clock {} min apart", apart / 60_000))
}

async fn clock_stepped(bench: Bench) -> anyhow::Result<String> {
    let mut found = Vec::new();
    for step in ["3600000", "-3600000"] {
        let change = |setting: &mut Setting| {
            setting.controller_args = vec!["--step-wall-at".to_owned(), format!("Promote.1:{step}")];
        };
        found.push(bench.play(change, stepped).await.with_context(|| format!("stepped by {step} ms"))?);
    }
    Ok(found.join("; "))
}

/// Pauses before one effect of a failover, and answers which one it was.
async fn one_pause(stage: &Stage) -> anyhow::Result<String> {
    let customers = stage.world.write_outside(Pace::default());
    customers.wait_for(10, PATIENCE).await?;
    stage.world.kill(&east());
    let run = stage.succeeded().await?;
    customers.wait_for(20, PATIENCE).await?;
    let promotions = Stage::attempts(&run, "PromoteData");
    let names: Vec<RegionName> = stage.world.regions().to_vec();
    ensure!(names.len() == 2 && run.kind == RunKind::Failover, "another run than expected");
    ensure!(!stage.is_standby(&west()).await?, "west is not writable");
    Ok(format!("{promotions} attempt(s) to promote, RTO {}", run.measured.rto.unwrap_or_default()))
}

async fn paused(bench: Bench) -> anyhow::Result<String> {
    // The lease runs out in each of them.
    let pauses = [("Fence.1", 6), ("Promote.1", 60), ("Flip.1", 6)];
    let mut found = Vec::new();
    for (call, seconds) in pauses {
        let change = |setting: &mut Setting| {
            setting.controller_args = vec!["--pause-at".to_owned(), format!("{call}:{}", seconds * 1000)];
        };
        let told = bench.play(change, one_pause).await.with_context(|| format!("paused before {call}"))?;
        found.push(format!("{seconds} s before {call}: {told}"));
    }
    Ok(found.join("; "))
}

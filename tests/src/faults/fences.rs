//! Fences that do not do what they say.

use super::Case;
use super::stage::{PATIENCE, Setting, Stage, east, west};
use anyhow::ensure;
use muster::api::PolicyStatus;
use muster::demo::clients::Pace;
use muster::demo::policy::Fence;
use muster::demo::power::PowerMode;
use muster_core::journal::{OutcomeKind, Phase, Run};
use std::time::Duration;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "fence-hangs",
        proves: "a fence hook that never ends is ended, proves nothing, and a person is asked",
        run: |bench| Box::pin(async move { bench.play(|_| {}, hangs).await }),
    },
    Case {
        name: "fence-lies",
        proves: "two writers behind a lying hook are seen, closed and counted, and automation stands still",
        run: |bench| Box::pin(async move { bench.play(power_only, lies).await }),
    },
];

const WATCH: Duration = Duration::from_secs(3);

async fn hangs(stage: &Stage) -> anyhow::Result<String> {
    stage.world.set_power(&east(), PowerMode::Hangs)?;
    stage.world.freeze(&east());
    let asks = |run: &Run| {
        let asks =
            run.phase == Phase::AwaitingApproval && run.gates.iter().any(|g| g.name == "Fenced" && !g.ok);
        if asks { Ok(()) } else { Err("it does not ask for a waiver of Fenced".to_owned()) }
    };
    let run = stage.run_until(None, asks).await?;
    let waited = super::stage::span("the wait", run.clock.decided, Some(run.phase_since))?;
    let told = stage.blocked_by("Fenced").await?;
    let still = |status: &PolicyStatus| match &status.journal.run {
        Some(run) if !run.past_pivot() => Ok(()),
        run => Err(format!("it went on: {:?}", run.as_ref().map(|r| &r.message))),
    };
    stage.stays(WATCH, still).await?;
    ensure!(stage.is_standby(&west()).await?, "west was promoted without a proof");
    stage.world.set_power(&east(), PowerMode::Works)?;
    stage.world.thaw(&east());
    let run = stage.ended(None).await?;
    ensure!(run.outcome == Some(OutcomeKind::Aborted), "it ended with {:?}: {}", run.outcome, run.message);
    let customers = stage.world.write_outside(Pace::default());
    customers.wait_for(10, PATIENCE).await?;
    Ok(format!("asked after {waited} ({told}); after the thaw: {}", run.message))
}

fn power_only(setting: &mut Setting) {
    setting.spec.policy.fences = vec![Fence::Power, Fence::Sql];
}

async fn lies(stage: &Stage) -> anyhow::Result<String> {
    stage.world.set_power(&east(), PowerMode::Lies)?;
    let clerks = stage.world.write_inside(&east(), Pace::default());
    clerks.wait_for(20, PATIENCE).await?;
    stage.world.partition(&east());
    let run = stage.succeeded().await?;
    let before = clerks.ledger().acknowledged();
    clerks.wait_for(5, PATIENCE).await?;
    stage.world.set_power(&east(), PowerMode::Works)?;
    stage.world.heal_region(&east());
    let seen = |status: &PolicyStatus| {
        let split = status.journal.state.conditions.contains_key("SplitBrain");
        if split { Ok(()) } else { Err("nobody sees two writers".to_owned()) }
    };
    let status = stage.controller.wait_until(PATIENCE, seen).await?;
    let message = status.journal.state.conditions.get("SplitBrain").map(|c| c.message.clone());
    let run = stage.rejoined(&east(), &run.name).await?;
    let status = stage.controller.status().await?;
    ensure!(status.journal.state.needs_ack.is_some(), "automation does not stand still");
    let ledger = clerks.stop().await;
    let lost = stage.world.account(&ledger, &west()).await?.lost.len();
    let counted = run.measured.lost_commits.unwrap_or_default();
    ensure!(lost > 0 && counted >= lost as u64, "{lost} acknowledged writes lost, {counted} counted");
    let late = ledger.acknowledged() - before;
    Ok(format!(
        "{}; {late} writes behind the lie, {lost} lost, {counted} counted",
        message.unwrap_or_default()
    ))
}

//! Something comes back in the middle: the old primary, the name server.

use super::Case;
use super::stage::{PATIENCE, Stage, east, now, west};
use anyhow::{Context, ensure};
use muster::demo::clients::Pace;
use muster::demo::power::PowerMode;
use muster_core::journal::{OutcomeKind, Phase, Run};
use muster_core::rules::Rule;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "name-server-down",
        proves: "a run waits for the name server without promoting twice, and ends once it is back",
        run: |bench| Box::pin(async move { bench.play(|_| {}, name_server_down).await }),
    },
    Case {
        name: "old-primary-before-pivot",
        proves: "a region that recovers before the point of no return keeps its role, and all is undone",
        run: |bench| Box::pin(async move { bench.play(|_| {}, back_before_pivot).await }),
    },
    Case {
        name: "old-primary-after-pivot",
        proves: "an old primary that starts writable is closed again, counted, and made a standby",
        run: |bench| Box::pin(async move { bench.play(|_| {}, back_after_pivot).await }),
    },
];

async fn name_server_down(stage: &Stage) -> anyhow::Result<String> {
    let customers = stage.world.write_outside(Pace::default());
    customers.wait_for(20, PATIENCE).await?;
    stage.world.stop_names();
    stage.world.kill(&east());
    let stuck = |run: &Run| {
        let step = run.current().and_then(|i| run.steps.get(i)).map(|s| format!("{:?}", s.key));
        let at_names = step.as_ref().is_some_and(|s| s.starts_with("FlipTraffic"));
        if at_names && Stage::attempts(run, "FlipTraffic") >= 2 {
            Ok(())
        } else {
            Err(format!("at {step:?}"))
        }
    };
    let waiting = stage.run_until(None, stuck).await?;
    let retries = Stage::attempts(&waiting, "FlipTraffic");
    stage.world.start_names_again()?;
    let run = stage.succeeded().await?;
    customers.wait_for(20, PATIENCE).await?;
    let promotions = Stage::attempts(&run, "PromoteData");
    ensure!(promotions == 1, "west was promoted {promotions} times");
    Ok(format!("1 promotion; {retries} attempts to flip the name without a server; {}", run.message))
}

async fn back_before_pivot(stage: &Stage) -> anyhow::Result<String> {
    stage.world.set_power(&east(), PowerMode::OutOfReach)?;
    stage.world.kill(&east());
    let waits = |run: &Run| {
        if run.phase == Phase::AwaitingApproval { Ok(()) } else { Err("it does not wait".to_owned()) }
    };
    stage.run_until(None, waits).await.context("no proof, and no question")?;
    stage.world.set_power(&east(), PowerMode::Works)?;
    stage.world.restart(&east()).await?;
    let run = stage.ended(None).await?;
    ensure!(
        run.outcome == Some(OutcomeKind::Aborted),
        "the run ended with {:?}: {}",
        run.outcome,
        run.message
    );
    ensure!(!run.past_pivot(), "the run is past its point of no return");
    let calm = |status: &muster::api::PolicyStatus| {
        let active = status.summary.active_region == Some(east());
        if active && status.summary.rule == Some(Rule::Stable) {
            Ok(())
        } else {
            Err(status.summary.message.clone())
        }
    };
    stage.controller.wait_until(PATIENCE, calm).await?;
    ensure!(stage.is_standby(&west()).await?, "west was promoted");
    let customers = stage.world.write_outside(Pace::default());
    customers.wait_for(20, PATIENCE).await?;
    Ok(format!("{}; east serves, west was never promoted", run.message))
}

async fn back_after_pivot(stage: &Stage) -> anyhow::Result<String> {
    let clerks = stage.world.write_inside(&east(), Pace::default());
    clerks.wait_for(20, PATIENCE).await?;
    stage.world.kill(&east());
    let past = |run: &Run| run.past_pivot().then_some(()).ok_or_else(|| "not past the pivot".to_owned());
    let run = stage.run_until(None, past).await?;
    let back = now();
    stage.world.restart(&east()).await?;
    let run = stage.succeeded_after(None).await.with_context(|| format!("{} did not end well", run.name))?;
    let run = stage.rejoined(&east(), &run.name).await?;
    ensure!(!stage.is_standby(&west()).await? && stage.is_standby(&east()).await?, "two writers, or none");
    let ledger = clerks.stop().await;
    let late = ledger.acknowledged_since(back);
    let lost = stage.world.account(&ledger, &west()).await?.lost.len();
    let counted = run.measured.lost_commits.context("no loss was counted")?;
    ensure!(counted >= lost as u64, "{counted} commits counted, and {lost} acknowledged writes lost");
    Ok(format!(
        "{late} writes acknowledged before it was closed again; {lost} lost, {counted} commits counted"
    ))
}

//! Three regions.

use super::Case;
use super::stage::{PATIENCE, Setting, Stage, east, west};
use anyhow::{Context, ensure};
use muster::demo::clients::Pace;
use muster_core::ids::RegionName;
use muster_core::journal::{OutcomeKind, Run, Trigger};
use muster_core::time::Millis;

pub(super) const CASES: &[Case] = &[Case {
    name: "target-dead-after-pivot",
    proves: "a target that dies after the point of no return is given up by proof, and a third region takes over",
    run: |bench| Box::pin(async move { bench.play(three_regions, target_dies).await }),
}];

fn three_regions(setting: &mut Setting) {
    setting.spec.regions = ["east", "west", "north"].map(RegionName::from).into();
}

async fn target_dies(stage: &Stage) -> anyhow::Result<String> {
    let customers = stage.world.write_outside(Pace::default());
    customers.wait_for(20, PATIENCE).await?;
    // Without a name server the run stays between its promotion and its end.
    stage.world.stop_names();
    stage.world.kill(&east());
    let past = |run: &Run| run.past_pivot().then_some(()).ok_or_else(|| "not past the pivot".to_owned());
    let first = stage.run_until(None, past).await?;
    stage.world.kill(&first.to);
    stage.world.start_names_again()?;
    let second = stage.succeeded_after(Some(&first.name)).await.context("no second run went through")?;
    let first = stage.controller.run(&first.name).await?;
    ensure!(
        first.outcome == Some(OutcomeKind::TargetLost),
        "the first run ended with {:?}: {}",
        first.outcome,
        first.message
    );
    ensure!(second.trigger == Trigger::TargetLost(first.name.clone()), "triggered by {:?}", second.trigger);
    let rto = second.measured.rto.context("no RTO was measured")?;
    let since = [&first, &second].map(|run| run.clock.first_failure);
    ensure!(
        first.clock.first_success.is_some() || since[0] == since[1],
        "one outage, counted from two beginnings: {since:?}"
    );
    ensure!(rto < Millis::from_secs(15), "the third region took over only after {rto}");
    customers.wait_for(20, PATIENCE).await?;
    ensure!(!stage.is_standby(&second.to).await?, "{} is not writable", second.to);
    ensure!(second.to != west() || first.to != west(), "the same target again");
    Ok(format!("{} -> {}: {}; then {}: {}", first.from, first.to, first.message, second.to, second.message))
}

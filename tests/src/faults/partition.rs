//! The old primary lives, cut off, and clients beside it go on writing.

use super::Case;
use super::stage::{PATIENCE, Setting, Stage, east, now, west};
use anyhow::{Context, ensure};
use muster::demo::addresses::Place;
use muster::demo::clients::Pace;
use muster::demo::power::PowerMode;
use muster_core::facts::PowerState;
use muster_core::journal::{Phase, Run};
use muster_core::time::Millis;
use std::collections::HashSet;
use std::time::Duration;
use uuid::Uuid;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "partition-waived",
        proves: "nothing moves without a proof; a waiver is asked with the loss, and the old log counts it exactly",
        run: |bench| Box::pin(async move { bench.play(|_| {}, waived).await }),
    },
    Case {
        name: "partition-fenced",
        proves: "the power fence works behind the partition, and ends the writes there",
        run: |bench| Box::pin(async move { bench.play(|_| {}, fenced).await }),
    },
    Case {
        name: "partition-synchronous",
        proves: "with synchronous commit declared, no acknowledged write is lost and no power fence is needed",
        run: |bench| Box::pin(async move { bench.play(synchronous, no_ack).await }),
    },
    Case {
        name: "asymmetric-partition",
        proves: "a region whose answers are lost is fenced and left, and acknowledges nothing afterwards",
        run: |bench| Box::pin(async move { bench.play(|_| {}, asymmetric).await }),
    },
];

/// How long a state that must not change is watched.
const WATCH: Duration = Duration::from_secs(3);

/// Cuts everything but the replication, waits until that has carried over all that others wrote, and cuts it as
/// well: from then on every commit in the region is a clerk's.
async fn cut_off(stage: &Stage) -> anyhow::Result<()> {
    let region = Place::Region(east());
    for place in [Place::Outside, Place::Controller, Place::Vantage(1), Place::Vantage(2)] {
        stage.world.cut(&place, &region);
    }
    let admin = stage.world.admin(&east()).await?;
    let others = "select (coalesce((select sum(seq) from muster.heartbeat), 0) \
                  + (select count(*) from orders where writer = 'probe'))::int8";
    let (mut seen, mut looks) = (0, 0);
    while looks < 6 {
        let now: i64 = admin.query_one(others, &[]).await?.try_get(0)?;
        (seen, looks) = if now == seen { (seen, looks + 1) } else { (now, 0) };
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    stage.world.partition(&east());
    Ok(())
}

/// Orders that only the old primary has, read inside it.
async fn left_behind(stage: &Stage) -> anyhow::Result<HashSet<Uuid>> {
    let busy = "select count(*) from pg_stat_activity where usename = 'shop' and state = 'active'";
    let admin = stage.world.admin(&east()).await?;
    let idle = async || {
        let row = admin.query_one(busy, &[]).await;
        row.and_then(|row| row.try_get::<_, i64>(0)).is_ok_and(|count| count == 0)
    };
    stage.until("no order is under way in east", idle).await?;
    let (old, new) = (stage.world.orders_in(&east()).await?, stage.world.orders_in(&west()).await?);
    Ok(old.difference(&new).copied().collect())
}

async fn waived(stage: &Stage) -> anyhow::Result<String> {
    stage.world.set_power(&east(), PowerMode::OutOfReach)?;
    let clerks = stage.world.write_inside(&east(), Pace { clients: 1, pause: Duration::from_millis(10) });
    clerks.wait_for(20, PATIENCE).await?;
    cut_off(stage).await?;
    let waits = |run: &Run| {
        let asks =
            run.phase == Phase::AwaitingApproval && run.gates.iter().any(|g| g.name == "Fenced" && !g.ok);
        if asks { Ok(()) } else { Err("it does not ask for a waiver of Fenced".to_owned()) }
    };
    stage.run_until(None, waits).await?;
    let still = |status: &muster::api::PolicyStatus| {
        let run = status.journal.run.as_ref();
        let waits = run.is_some_and(|r| r.phase == Phase::AwaitingApproval && !r.past_pivot());
        if waits { Ok(()) } else { Err(format!("it went on by itself: {:?}", run.map(|r| &r.message))) }
    };
    stage.stays(WATCH, still).await?;
    ensure!(stage.is_standby(&west()).await?, "west was promoted without a proof");
    let plan = stage.preview().await?;
    let estimate = plan.estimated_loss.context("the plan shows no estimated loss")?;
    ensure!(plan.loss_is_growing, "the plan does not say that the loss grows");
    stage.approve(&plan, &["Fenced"], Millis::from_secs(300)).await?;
    let run = stage.succeeded().await?;
    ensure!(!run.measured.rpo.r#final, "the loss is called final before the old log was read");
    clerks.wait_for(5, PATIENCE).await?;
    let ledger = clerks.stop().await;
    let behind = left_behind(stage).await?;
    let account = stage.world.account(&ledger, &west()).await?;
    stage.world.set_power(&east(), PowerMode::Works)?;
    stage.world.heal_region(&east());
    let run = stage.rejoined(&east(), &run.name).await?;
    let counted = run.measured.lost_commits.context("the old log was read, and no loss was counted")?;
    let figures = format!(
        "{} writes acknowledged and lost, {} without an answer; in the old log {counted} commits; estimate before \
         {estimate}, measured at least {:?}",
        account.lost.len(),
        behind.len().saturating_sub(account.lost.len()),
        run.measured.rpo.at_least.map(|m| m.to_string()).unwrap_or_default(),
    );
    ensure!(run.measured.rpo.r#final, "the loss is not final: {figures}");
    ensure!(!account.lost.is_empty(), "nothing was lost, so nothing was proven: {figures}");
    ensure!(
        account.lost.iter().all(|id| behind.contains(id)),
        "a lost write is not in the old log: {figures}"
    );
    ensure!(counted == behind.len() as u64, "clients left {} writes behind: {figures}", behind.len());
    Ok(figures)
}

async fn fenced(stage: &Stage) -> anyhow::Result<String> {
    let clerks = stage.world.write_inside(&east(), Pace::default());
    let customers = stage.world.write_outside(Pace::default());
    clerks.wait_for(20, PATIENCE).await?;
    customers.wait_for(20, PATIENCE).await?;
    stage.world.partition(&east());
    let past = |run: &Run| run.past_pivot().then_some(()).ok_or_else(|| "not fenced yet".to_owned());
    stage.run_until(None, past).await?;
    let at_pivot = clerks.ledger().acknowledged();
    let run = stage.succeeded().await?;
    customers.wait_for(20, PATIENCE).await?;
    stage.world.heal_region(&east());
    let run = stage.rejoined(&east(), &run.name).await?;
    let late = clerks.ledger().acknowledged() - at_pivot;
    let (clerks, customers) = (clerks.stop().await, customers.stop().await);
    ensure!(late == 0, "{late} writes were acknowledged in east after the point of no return");
    let lost = stage.world.account(&clerks, &west()).await?.lost.len()
        + stage.world.account(&customers, &west()).await?.lost.len();
    let counted = run.measured.lost_commits.context("no loss was counted")?;
    ensure!(run.measured.rpo.r#final && counted >= lost as u64, "{counted} counted, {lost} lost");
    Ok(format!(
        "0 writes in east after the point of no return; {lost} acknowledged writes lost, {counted} commits"
    ))
}

fn synchronous(setting: &mut Setting) {
    setting.spec.synchronous = true;
    let policy = &mut setting.spec.policy;
    policy.no_ack = true;
    policy.fences = vec![muster::demo::policy::Fence::Sql];
    policy.accept = vec!["NoAck".to_owned()];
}

async fn no_ack(stage: &Stage) -> anyhow::Result<String> {
    let clerks = stage.world.write_inside(&east(), Pace::default());
    let customers = stage.world.write_outside(Pace::default());
    clerks.wait_for(20, PATIENCE).await?;
    customers.wait_for(20, PATIENCE).await?;
    stage.world.partition(&east());
    let run = stage.succeeded().await?;
    customers.wait_for(20, PATIENCE).await?;
    let proof = run.proofs.get(&east()).map(|p| format!("{:?}: {}", p.class, p.saw)).unwrap_or_default();
    let (clerks, customers) = (clerks.stop().await, customers.stop().await);
    let (inside, outside) =
        (stage.world.account(&clerks, &west()).await?, stage.world.account(&customers, &west()).await?);
    let lost = inside.lost.len() + outside.lost.len();
    let all = inside.acknowledged + outside.acknowledged;
    ensure!(lost == 0, "{lost} of {all} acknowledged writes were lost; proof {proof}");
    Ok(format!("0 of {all} acknowledged writes lost; proof {proof}"))
}

async fn asymmetric(stage: &Stage) -> anyhow::Result<String> {
    let clerks = stage.world.write_inside(&east(), Pace::default());
    clerks.wait_for(20, PATIENCE).await?;
    stage.world.partition_outward(&east());
    let run = stage.succeeded().await?;
    let moment = now();
    ensure!(!stage.is_standby(&west()).await?, "west is not writable");
    stage.world.heal_region(&east());
    let run = stage.rejoined(&east(), &run.name).await?;
    let ledger = clerks.stop().await;
    let late = ledger.acknowledged_since(moment);
    ensure!(late == 0, "{late} writes were acknowledged in east after the failover");
    let lost = stage.world.account(&ledger, &west()).await?.lost.len();
    let counted = run.measured.lost_commits.context("no loss was counted")?;
    ensure!(counted >= lost as u64, "{counted} commits counted, and {lost} acknowledged writes lost");
    let proof = run.proofs.get(&east()).map(|p| p.saw.clone()).unwrap_or_default();
    let on = stage.controller.status().await?.facts.fences.iter().any(|f| f.state == Some(PowerState::On));
    Ok(format!(
        "proof: {proof}; 0 writes afterwards, {lost} acknowledged writes lost, {counted} counted; power on: {on}"
    ))
}

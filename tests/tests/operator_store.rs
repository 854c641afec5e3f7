//! The API server and what it keeps, lost while a run acts: it is gone for a minute, or knows nothing of what was done.

use anyhow::{Context as _, anyhow, ensure};
use muster::api::PolicyStatus;
use muster::demo::World;
use muster::demo::policy::{POLICY, PolicyOptions};
use muster_core::journal::{Phase, Run};
use muster_core::rules::Rule;
use muster_tests::operated::{Operated, PATIENCE, Person, asking, condition, is_in, serves, text, told};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const CHECKOUT: &str = POLICY.1;
/// How long the API server is gone. The lease lasts 3 s.
const OUTAGE: Duration = Duration::from_mins(1);
/// After so long without the API server whatever left with the lease has landed, or never will.
const LANDED: Duration = Duration::from_secs(10);
/// Between two looks at the databases.
const LOOK: Duration = Duration::from_millis(250);

fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_faults"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_after_the_api_server_was_gone_for_a_minute() -> anyhow::Result<()> {
    // What is lost grows with the minute, and nobody is asked here.
    let policy =
        PolicyOptions { probe_every_ms: 1_000, max_estimated_loss: None, ..PolicyOptions::default() };
    let operated = Operated::start(binary(), policy).await?;
    let told = tokio::select! {
        told = lose_the_api_server(&operated) => told,
        broken = two_writers(&operated.world) => Err(broken),
    };
    operated.end(told).await
}

async fn lose_the_api_server(operated: &Operated) -> anyhow::Result<()> {
    operated.until("rfp", CHECKOUT, serves("east")).await?;
    // Cut off, not dead: until it is fenced it takes writes.
    operated.world.partition(&"east".into());
    let run = run_once(operated, |run| run.phase == Phase::Executing).await.context("no run acts")?;
    operated.cluster.stop_api_server().await;
    stands_still(&operated.world, Instant::now() + OUTAGE).await?;
    operated.cluster.start_api_server().await?;
    let journal = operated.get("failoverjournal", CHECKOUT).await?;
    let active = text(&journal, &["spec", "activeRun"]);
    ensure!(active == run.name.as_str(), "{} had ended before: {:#}", run.name, journal["spec"]);

    let ended = operated.until("run", run.name.as_str(), is_in("Completed")).await?;
    ensure!(text(&ended, &["status", "to"]) == "west", "{ended:#}");
    operated.world.heal_region(&"east".into());
    operated.until("rfp", CHECKOUT, serves("west")).await.context("east follows")?;
    let writers = writers(&operated.world).await;
    ensure!(writers == ["west"], "{writers:?} take writes");
    promoted_once(operated).await
}

/// The run under way, as soon as it is so far.
async fn run_once(operated: &Operated, is_so_far: impl Fn(&Run) -> bool) -> anyhow::Result<Run> {
    let reached = |status: &PolicyStatus| match &status.journal.run {
        Some(run) if is_so_far(run) && !run.phase.is_final() => Ok(()),
        Some(run) => Err(format!("{:?}: {}", run.phase, run.message)),
        None => Err(status.summary.message.clone()),
    };
    let status = operated.controller.wait_until(PATIENCE, reached).await?;
    status.journal.run.context("a run is there")
}

/// The regions whose databases take writes, seen from inside: a cut network hides none.
async fn writers(world: &World) -> Vec<String> {
    let mut writers = Vec::new();
    for region in world.regions() {
        let Ok(client) = world.admin(region).await else { continue };
        let Ok(row) = client.query_one("select pg_is_in_recovery()", &[]).await else { continue };
        if row.try_get::<_, bool>(0).is_ok_and(|is_standby| !is_standby) {
            writers.push(region.to_string());
        }
    }
    writers
}

/// Looks for ever, and ends with the error of two that take writes at once.
async fn two_writers(world: &World) -> anyhow::Error {
    loop {
        let writers = writers(world).await;
        if writers.len() > 1 {
            return anyhow!("{} take writes at once", writers.join(" and "));
        }
        sleep(LOOK).await;
    }
}

/// Without a lease nothing is done: whoever takes writes once all has landed still takes them in the end.
async fn stands_still(world: &World, until: Instant) -> anyhow::Result<()> {
    let landed = Instant::now() + LANDED;
    let mut first: Option<Vec<String>> = None;
    while Instant::now() < until {
        let now = writers(world).await;
        if Instant::now() >= landed {
            let first = first.get_or_insert_with(|| now.clone());
            ensure!(*first == now, "{first:?} took writes, and without a lease {now:?} do");
        }
        sleep(LOOK).await;
    }
    Ok(())
}

async fn promoted_once(operated: &Operated) -> anyhow::Result<()> {
    let timeline = operated.timeline(&"west".into()).await?;
    ensure!(timeline == "00000002", "promoted once, and not again: {timeline}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_journal_forgot_its_promotion_stands_still_until_a_person_says_so() -> anyhow::Result<()>
{
    let policy = asking();
    let operated = Operated::start(binary(), policy).await?;
    let told = forget_a_promotion(&operated).await;
    operated.end(told).await
}

async fn forget_a_promotion(operated: &Operated) -> anyhow::Result<()> {
    let kim = Person::new(operated, "kim");
    operated.until("rfp", CHECKOUT, serves("east")).await?;
    operated.world.kill(&"east".into());
    let run = operated.run_under_way().await?;
    operated.until("run", &run, is_in("AwaitingApproval")).await?;
    let snapshot = operated.cluster.snapshot().await?;
    kim.approve_shown(&run).await?;
    run_once(operated, |run| run.clock.promoted.is_some()).await.context("nothing is promoted")?;
    let before = effects_on_databases(operated)?;
    operated.cluster.restore(&snapshot).await?;

    operated.until("rfp", CHECKOUT, is_behind).await?;
    // It waits for the very approval that it had.
    kim.approve_shown(&run).await?;
    decided_with_approval(operated).await?;
    operated.until("rfp", CHECKOUT, is_behind).await?;
    let after = effects_on_databases(operated)?;
    ensure!(after == before, "{after:#?} instead of {before:#?}");
    promoted_once(operated).await?;

    let policy = operated.get("rfp", CHECKOUT).await?;
    kim.annotate(&format!("muster.dev/ack={}", text(&policy, &["status", "acknowledge"]))).await?;
    operated.until("run", &run, is_in("Failed")).await.context("the run has ended")?;
    operated.until("rfp", CHECKOUT, serves("west")).await.context("west is known to take the writes")?;
    promoted_once(operated).await
}

/// The policy says that its targets know more than its journal, and what a person has to acknowledge.
fn is_behind(policy: &Value) -> Result<(), String> {
    match text(condition(policy, "Ready"), &["reason"]) {
        "JournalBehindTargets" if !text(policy, &["status", "acknowledge"]).is_empty() => Ok(()),
        reason => Err(format!("{reason} {}", told(policy))),
    }
}

/// Waits for a pass that knew of an approval, and did nothing all the same.
async fn decided_with_approval(operated: &Operated) -> anyhow::Result<()> {
    let approved = |status: &PolicyStatus| match &status.journal.run {
        Some(run) if run.approval.is_some() => Ok(()),
        run => Err(format!("{:?}", run.as_ref().map(|run| (run.phase, &run.message)))),
    };
    operated.controller.wait_until(PATIENCE, approved).await.context("the approval is not taken")?;
    let since = Instant::now();
    let decided = |status: &PolicyStatus| match &status.decision {
        Some(made) if made.rule == Rule::JournalBehindTargets && made.age.to_std() < since.elapsed() => {
            Ok(())
        }
        other => Err(format!("{other:?}")),
    };
    operated.controller.wait_until(PATIENCE, decided).await.map(|_| ())
}

/// What was begun at a database or at its machines, by the operator's own log.
fn effects_on_databases(operated: &Operated) -> anyhow::Result<Vec<String>> {
    let log = std::fs::read_to_string(operated.world.controller_log())?;
    let is_one = |line: &&str| {
        let begins = line.contains("effect starts");
        begins && ["fence", "promote", "open"].iter().any(|verb| line.contains(&format!("action={verb} ")))
    };
    Ok(log.lines().filter(is_one).map(str::to_owned).collect())
}

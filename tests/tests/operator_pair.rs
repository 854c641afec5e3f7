//! Two operators: the one that acts dies in the middle of a run, or is asked to end, and the other one goes on with it; or
//! they are of two installations, and one keeps away.

use anyhow::{Context as _, ensure};
use jiff::{SignedDuration, Timestamp};
use muster::demo::policy::POLICY;
use muster_tests::operated::{OPERATOR, Operated, PATIENCE, Person, SECOND, asking, condition, is_in, text};
use muster_tests::patience;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Renewed each 12 s. Who stands by looks each 5 s, and takes over from one that is silent after 60 s.
const LONG_LEASE: [&str; 2] = ["--lease-ms", "60000"];
/// Far less than what is left of such a lease, whenever it was renewed.
const HAND_OVER: SignedDuration = SignedDuration::from_secs(30);
/// Between two looks at the lease.
const LOOK: Duration = Duration::from_millis(100);

fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_faults"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_one_that_stands_by_takes_a_run_over_when_the_leader_dies() -> anyhow::Result<()> {
    let operated = Operated::start_pair(binary(), asking()).await?;
    let told = leader_dies(&operated).await;
    operated.end(told).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_asked_to_end_hands_its_run_over_long_before_its_lease_is_over() -> anyhow::Result<()>
{
    let operated = Operated::start_pair_with(binary(), asking(), &LONG_LEASE).await?;
    let told = leader_is_asked_to_end(&operated).await;
    operated.end(told).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_of_another_installation_keeps_away_and_says_so() -> anyhow::Result<()> {
    let operated = Operated::start(binary(), asking()).await?;
    let told = a_stranger_comes(&operated).await;
    operated.end(told).await
}

async fn a_stranger_comes(operated: &Operated) -> anyhow::Result<()> {
    let stranger = operated.start_stranger()?;
    patience::until("the stranger says that it keeps away", || async {
        let metrics = operated.metrics_of(stranger).await?;
        let failing = metrics.lines().filter(|line| line.starts_with("muster_policy_pass_failing{"));
        let failing: Vec<_> = failing.collect();
        ensure!(failing.iter().any(|line| line.ends_with(" 1.0")), "{failing:?}");
        Ok(())
    })
    .await?;
    let policy = operated.get("rfp", POLICY.1).await?;
    let ready = condition(&policy, "Ready");
    ensure!(
        text(ready, &["reason"]) != "PassFails",
        "the stranger tells of a policy that is not its own: {ready}"
    );
    let person = Person::new(operated, "kim");
    person.ask("planned", "Switchover").await?;
    person.approve_shown("planned").await?;
    operated.until("run", "planned", is_in("Completed")).await?;
    let timeline = operated.timeline(&"west".into()).await?;
    ensure!(timeline == "00000002", "promoted once, and not again: {timeline}");
    let journal = operated.get("failoverjournal", POLICY.1).await?;
    ensure!(text(&journal, &["spec", "lease"]) == "muster/muster", "{:#}", journal["spec"]["lease"]);
    Ok(())
}

async fn leader_dies(operated: &Operated) -> anyhow::Result<()> {
    let waiting = in_mid_run(operated).await?;
    // On a busy machine the lease may have passed to the one that stood by.
    let leader = lease_of_another(operated, "").await?;
    let is_second = holder(&leader).starts_with(&format!("{SECOND}-"));
    let (acts, stands_by) = if is_second { (SECOND, OPERATOR) } else { (OPERATOR, SECOND) };
    operated.world.kill_process(acts);
    goes_on(operated, &waiting).await?;
    let next = lease(operated).await?;
    ensure!(holder(&next) != holder(&leader), "{leader:#} still acts: {next:#}");
    ensure!(operated.world.processes().is_running(stands_by), "the other one runs");
    Ok(())
}

async fn leader_is_asked_to_end(operated: &Operated) -> anyhow::Result<()> {
    let leader = lease(operated).await?;
    let waiting = in_mid_run(operated).await?;
    let asked = Timestamp::now();
    operated.world.processes().signal(OPERATOR, Signal::SIGTERM);
    let next = lease_of_another(operated, holder(&leader)).await?;
    // Seen within the first seconds after it was taken, it was not renewed yet.
    let taken: Timestamp = text(&next, &["spec", "renewTime"]).parse().context("the lease has a time")?;
    let took = taken.duration_since(asked);
    ensure!(took < HAND_OVER, "taken over {took:?} after the leader was asked to end: {next:#}");
    patience::until("the leader has ended", || async {
        ensure!(!operated.world.processes().is_running(OPERATOR), "{OPERATOR} runs");
        Ok(())
    })
    .await?;
    goes_on(operated, &waiting).await
}

async fn lease(operated: &Operated) -> anyhow::Result<Value> {
    let lease = operated.cluster.kubectl(&["get", "lease", "muster", "-n", "muster", "-o", "json"]).await?;
    Ok(serde_json::from_str(&lease)?)
}

fn holder(lease: &Value) -> &str {
    text(lease, &["spec", "holderIdentity"])
}

/// The lease as soon as somebody else than this one holds it. One that was given back is held by nobody.
async fn lease_of_another(operated: &Operated, leader: &str) -> anyhow::Result<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let lease = lease(operated).await?;
        if !holder(&lease).is_empty() && holder(&lease) != leader {
            return Ok(lease);
        }
        ensure!(Instant::now() < deadline, "nobody takes the lease of {leader}: {lease:#}");
        sleep(LOOK).await;
    }
}

/// A failover that waits for a person.
async fn in_mid_run(operated: &Operated) -> anyhow::Result<Value> {
    operated.world.kill(&"east".into());
    let run = operated.run_under_way().await?;
    operated.until("run", &run, is_in("AwaitingApproval")).await
}

/// Another process takes the run over, and it comes to its end once a person approves.
async fn goes_on(operated: &Operated, before: &Value) -> anyhow::Result<()> {
    let run = text(before, &["metadata", "name"]);
    let taken_over = |now: &Value| {
        let terms = (now["status"]["term"].as_i64(), before["status"]["term"].as_i64());
        if terms.0 > terms.1 { is_in("AwaitingApproval")(now) } else { Err(format!("term {terms:?}")) }
    };
    operated.until("run", run, taken_over).await.context("nobody takes the run over")?;
    Person::new(operated, "kim").approve_shown(run).await?;
    let ended = operated.until("run", run, is_in("Completed")).await?;
    ensure!(text(&ended, &["status", "to"]) == "west", "{ended:#}");
    let timeline = operated.timeline(&"west".into()).await?;
    ensure!(timeline == "00000002", "promoted once, and not again: {timeline}");
    Ok(())
}

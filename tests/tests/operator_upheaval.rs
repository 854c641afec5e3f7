//! The operator's world turned over: objects deleted, processes killed, the API server gone and restored from yesterday,
//! in the middle of a run and at rest.

use anyhow::{Context, ensure};
use muster::demo::policy::{POLICY, PolicyOptions};
use muster_tests::operated::{Operated, Person, asking, condition, is_in, serves, text, told};
use serde_json::{Value, json};
use std::path::Path;

const SHOP: &str = POLICY.0;
const CHECKOUT: &str = POLICY.1;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_survives_what_befalls_its_objects_and_processes() -> anyhow::Result<()> {
    let policy = PolicyOptions { cooldown: "1s".to_owned(), ..asking() };
    let operated = Operated::start(Path::new(env!("CARGO_BIN_EXE_faults")), policy).await?;
    let told = story(&operated).await;
    operated.end(told).await
}

async fn story(operated: &Operated) -> anyhow::Result<()> {
    let person = Person::new(operated, "kim");
    operated.until("rfp", CHECKOUT, serves("east")).await?;
    wishes_are_taken_in(operated, &person).await.context("wishes")?;
    let run = in_mid_run(operated, &person).await.context("in mid-run")?;
    the_policy_comes_back(operated, &run).await.context("the policy comes back")?;
    yesterday_is_noticed(operated, &person).await.context("yesterday")
}

/// Pause, a switchover that is refused its abort's twin, and an abort that undoes.
async fn wishes_are_taken_in(operated: &Operated, person: &Person<'_>) -> anyhow::Result<()> {
    person.annotate("muster.dev/paused=maintenance of the network").await?;
    operated.until("rfp", CHECKOUT, is_in("Paused")).await?;
    person.annotate("muster.dev/paused-").await?;
    operated.until("rfp", CHECKOUT, serves("east")).await?;

    person.ask("planned", "Switchover").await?;
    operated.until("run", "planned", is_in("AwaitingApproval")).await?;
    person.approve("planned", "0000000000000000").await?;
    let refused = |run: &Value| match text(condition(run, "ApprovalTaken"), &["reason"]) {
        "PlanChanged" => Ok(()),
        other => Err(format!("{other} {}", told(run))),
    };
    operated.until("run", "planned", refused).await?;
    person.patch_run("planned", &json!({"spec": {"abort": {"by": "kim", "reason": "not today"}}})).await?;
    operated.until("run", "planned", is_in("Aborted")).await?;
    let taken_back = person.patch_run("planned", &json!({"spec": {"abort": null}})).await;
    ensure!(taken_back.is_err(), "an abort was taken back");

    person.kubectl(&["delete", "run", "planned", "-n", SHOP]).await?;
    operated.until("rfp", CHECKOUT, serves("east")).await.map(|_| ())
}

/// A failover that waits for a person: its objects are deleted, its operator is killed, its API server is gone.
async fn in_mid_run(operated: &Operated, person: &Person<'_>) -> anyhow::Result<String> {
    operated.world.kill(&"east".into());
    let run = operated.run_under_way().await?;
    let before = operated.until("run", &run, is_in("AwaitingApproval")).await?;

    person.kubectl(&["delete", "run", &run, "-n", SHOP]).await?;
    let again = operated.until("run", &run, is_in("AwaitingApproval")).await?;
    ensure!(again["status"]["epoch"] == before["status"]["epoch"], "{again:#}");

    let before = restart_in(operated, &run, &before).await?;

    operated.cluster.stop_api_server().await;
    // Longer than the lease: the operator has lost it when the server is back.
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    operated.cluster.start_api_server().await?;
    operated.until("run", &run, is_in("AwaitingApproval")).await?;

    person.kubectl(&["delete", "rfp", CHECKOUT, "-n", SHOP]).await?;
    // What the run holds to stands in no policy any more, and neither do the Secrets that it names.
    restart_in(operated, &run, &before).await.context("restarted without the policy")?;
    person.approve_shown(&run).await?;
    let ended = operated.until("run", &run, is_in("Completed")).await?;
    ensure!(text(&ended, &["status", "to"]) == "west", "{ended:#}");
    Ok(run)
}

/// Kills the operator and starts it again; the run waits for approval as before, under a new holder.
async fn restart_in(operated: &Operated, run: &str, before: &Value) -> anyhow::Result<Value> {
    operated.restart_operator().await?;
    let newer = |run: &Value| {
        if run["status"]["term"].as_i64() > before["status"]["term"].as_i64() {
            is_in("AwaitingApproval")(run)
        } else {
            Err(format!("term {}", run["status"]["term"]))
        }
    };
    operated.until("run", run, newer).await
}

/// A policy that is created again goes on with its journal: nothing is foreign to it.
async fn the_policy_comes_back(operated: &Operated, run: &str) -> anyhow::Result<()> {
    operated.apply_policy_again().await?;
    operated.world.repair(&"east".into());
    let policy = operated.until("rfp", CHECKOUT, serves("west")).await?;
    ensure!(text(&policy, &["status", "lastRun", "name"]) == run, "{policy:#}");
    Ok(())
}

/// etcd is restored from before a run: the targets know more than the journal, and nothing is done until a person says so.
async fn yesterday_is_noticed(operated: &Operated, person: &Person<'_>) -> anyhow::Result<()> {
    let snapshot = operated.cluster.snapshot().await?;
    person.ask("home", "Failback").await?;
    person.approve_shown("home").await?;
    operated.until("run", "home", is_in("Completed")).await?;
    operated.until("rfp", CHECKOUT, serves("east")).await?;

    operated.cluster.restore(&snapshot).await?;
    let behind = |p: &Value| match text(condition(p, "Ready"), &["reason"]) {
        "JournalBehindTargets" if !text(p, &["status", "acknowledge"]).is_empty() => Ok(()),
        reason => Err(format!("{reason} {}", told(p))),
    };
    let policy = operated.until("rfp", CHECKOUT, behind).await?;
    let token = text(&policy, &["status", "acknowledge"]).to_owned();
    person.annotate("muster.dev/ack=something-else").await?;
    person.annotate(&format!("muster.dev/ack={token}")).await?;
    operated.until("rfp", CHECKOUT, serves("east")).await.map(|_| ())
}

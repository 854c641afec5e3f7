//! Two operators: the one that acts dies in the middle of a run, and the other one goes on with it.

use anyhow::{Context as _, ensure};
use muster::demo::policy::{POLICY, PolicyOptions};
use muster_core::policy::Mode;
use muster_tests::operated::{OPERATOR, Operated, SECOND};
use serde_json::{Value, json};
use std::path::Path;

fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// The phase of a run is this.
fn is_in(phase: &str) -> impl Fn(&Value) -> Result<(), String> + '_ {
    move |run| match text(run, "/status/phase") {
        found if found == phase => Ok(()),
        other => Err(format!("{other}: {}", text(run, "/status/message"))),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_one_that_stands_by_takes_a_run_over_when_the_leader_dies() -> anyhow::Result<()> {
    let policy = PolicyOptions {
        mode: Mode::Approve,
        probe_every_ms: 1_000,
        max_estimated_loss: None,
        ..PolicyOptions::default()
    };
    let operated = Operated::start_pair(Path::new(env!("CARGO_BIN_EXE_faults")), policy).await?;
    let told = story(&operated).await.map_err(|error| operated.with_last_words(&error));
    operated.stop().await?;
    told
}

async fn holder(operated: &Operated) -> anyhow::Result<String> {
    let words = ["get", "lease", "muster", "-n", "muster", "-o", "jsonpath={.spec.holderIdentity}"];
    operated.cluster.kubectl(&words).await
}

async fn story(operated: &Operated) -> anyhow::Result<()> {
    let leader = holder(operated).await?;
    operated.world.kill(&"east".into());
    let opened = |policy: &Value| match text(policy, "/status/activeRun/name") {
        "" => Err(text(policy, "/status/phase").to_owned()),
        _ => Ok(()),
    };
    let policy = operated.until("rfp", POLICY.1, opened).await?;
    let run = text(&policy, "/status/activeRun/name").to_owned();
    let before = operated.until("run", &run, is_in("AwaitingApproval")).await?;

    operated.world.kill_process(OPERATOR);
    let taken_over = |now: &Value| {
        let terms = (now["status"]["term"].as_i64(), before["status"]["term"].as_i64());
        if terms.0 > terms.1 { is_in("AwaitingApproval")(now) } else { Err(format!("term {terms:?}")) }
    };
    let waiting = operated.until("run", &run, taken_over).await.context("nobody takes the run over")?;
    ensure!(holder(operated).await? != leader, "{leader} still acts");
    ensure!(operated.world.processes().is_running(SECOND), "the other one runs");

    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(5);
    let hash = text(&waiting, "/status/planHash");
    let approval = json!({"spec": {"approval":
        {"planHash": hash, "by": "kim", "validUntil": until.to_string(), "maxLoss": "10m"}}});
    let patch = ["patch", "run", &run, "-n", POLICY.0, "--type=merge", "-p", &approval.to_string()];
    operated.cluster.kubectl(&patch).await?;
    let ended = operated.until("run", &run, is_in("Completed")).await?;
    ensure!(text(&ended, "/status/to") == "west", "{ended:#}");
    let promoted = operated.world.admin(&"west".into()).await?;
    // The control file knows the timeline only after the first checkpoint, which may take a while.
    let row = promoted.query_one("select pg_walfile_name(pg_current_wal_lsn())", &[]).await?;
    let log = row.try_get::<_, String>(0)?;
    ensure!(log.starts_with("00000002"), "promoted once, and not again: {log}");
    Ok(())
}

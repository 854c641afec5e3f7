//! `muster operator` from end to end: a real API server, real databases and names.

use anyhow::{Context, ensure};
use muster::demo::policy::{POLICY, PolicyOptions};
use muster_tests::operated::{Operated, PATIENCE, condition, text};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The `muster` of this build.
fn binary() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_faults")).to_owned()
}

fn ended(run: &Value) -> Result<(), String> {
    match text(run, &["status", "phase"]) {
        "Completed" | "Failed" | "Aborted" => Ok(()),
        phase => {
            Err(format!("{phase}: {} {}", text(run, &["status", "step"]), text(run, &["status", "message"])))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_fails_and_comes_back_under_the_operator() -> anyhow::Result<()> {
    let policy = PolicyOptions { probe_every_ms: 1_000, ..PolicyOptions::default() };
    let operated = Operated::start(&binary(), policy).await?;
    let told = story(&operated).await;
    operated.end(told).await
}

async fn story(operated: &Operated) -> anyhow::Result<()> {
    let (namespace, name) = POLICY;
    let watching = |p: &Value| match (text(p, &["status", "phase"]), text(p, &["status", "activeRegion"])) {
        ("Watching", "east") => Ok(()),
        (phase, active) => Err(format!("{phase} {active}")),
    };
    let policy = operated.until("rfp", name, watching).await?;
    ensure!(condition(&policy, "Accepted")["status"] == "True", "{policy:#}");
    ensure!(policy["status"]["observedGeneration"] == policy["metadata"]["generation"], "{policy:#}");

    operated.world.kill(&"east".into());
    let opened = |p: &Value| match text(p, &["status", "activeRun", "name"]) {
        "" if text(p, &["status", "lastRun", "name"]).is_empty() => Err("no run was opened".to_owned()),
        _ => Ok(()),
    };
    operated.until("rfp", name, opened).await?;
    let runs = operated.cluster.kubectl(&["get", "run", "-n", namespace, "-o", "name"]).await?;
    let run_name = runs.lines().next().and_then(|line| line.rsplit('/').next()).context("a run is there")?;
    let run = operated.until("run", run_name, ended).await?;
    ensure!(text(&run, &["status", "phase"]) == "Completed", "{run:#}");
    ensure!(
        text(&run, &["spec", "trigger"]) == "Verdict" && text(&run, &["status", "to"]) == "west",
        "{run:#}"
    );
    ensure!(!text(&run, &["status", "measured", "rto"]).is_empty(), "{run:#}");
    ensure!(run["status"]["proofs"][0]["class"] == "Attested", "{run:#}");

    let back = |p: &Value| match text(p, &["status", "regions"]) {
        _ if condition(p, "Protected")["status"] == "True"
            && text(p, &["status", "activeRegion"]) == "west" =>
        {
            Ok(())
        }
        _ => Err(format!("{:#}", p["status"])),
    };
    operated.world.repair(&"east".into());
    operated.until("rfp", name, back).await?;
    let loss_counted = |run: &Value| match run["status"]["measured"]["rpo"]["final"].as_bool() {
        Some(true) => Ok(()),
        _ => Err(format!("{:#}", run["status"]["measured"])),
    };
    operated.until("run", run_name, loss_counted).await?;

    // A person asks for the way back with kubectl alone.
    let asked = serde_json::json!({
        "apiVersion": "muster.dev/v1alpha1", "kind": "FailoverRun",
        "metadata": {"name": "home", "namespace": namespace},
        "spec": {"policy": name, "kind": "Failback", "reason": "east is well again", "by": "kim"},
    });
    operated.cluster.kubectl_apply(&asked.to_string()).await?;
    let run = operated.until("run", "home", ended).await?;
    ensure!(text(&run, &["status", "phase"]) == "Completed", "{run:#}");
    ensure!(text(&run, &["status", "measured", "rpo", "shown"]) == "none", "{run:#}");
    let home = |p: &Value| match text(p, &["status", "activeRegion"]) {
        "east" => Ok(()),
        active => Err(active.to_owned()),
    };
    operated.until("rfp", name, home).await?;

    let table = operated.cluster.kubectl(&["get", "rfp,run", "-n", namespace]).await?;
    println!("{table}");
    for word in ["Automatic", "east", "Failback", "Completed", "none"] {
        ensure!(table.contains(word), "{word} is not in\n{table}");
    }
    let events = operated.cluster.kubectl(&["get", "events", "-n", namespace]).await?;
    for reason in ["RunOpened", "Promote", "Completed"] {
        ensure!(events.contains(reason), "no event {reason} in\n{events}");
    }
    an_object_of_another_version_stops_nothing_and_is_seen(operated).await
}

/// As after an upgrade that was taken back: the definition allows what this version does not know.
async fn an_object_of_another_version_stops_nothing_and_is_seen(operated: &Operated) -> anyhow::Result<()> {
    let (namespace, name) = POLICY;
    let schema = r#"[{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema",
        "value": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}]"#;
    let crd = ["patch", "crd", "regionfailoverpolicies.muster.dev", "--type=json", "-p", schema];
    operated.cluster.kubectl(&crd).await?;
    let future = serde_json::json!({
        "apiVersion": "muster.dev/v1alpha1", "kind": "RegionFailoverPolicy",
        "metadata": {"name": "from-the-future", "namespace": namespace}, "spec": {"moons": 2},
    });
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while operated.cluster.kubectl_apply(&future.to_string()).await.is_err() {
        // The old definition is in force for a moment.
        ensure!(tokio::time::Instant::now() < deadline, "the object is not taken");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    loop {
        let events = operated.cluster.kubectl(&["get", "events", "-n", namespace, "-o", "wide"]).await?;
        let metrics = operated.metrics().await?;
        let status = operated.muster(&["status"]).await?;
        let sample =
            format!(r#"muster_policy_problem{{policy="{namespace}/from-the-future",reason="Unreadable"}} 1"#);
        let seen = [
            events.lines().any(|line| line.contains("from-the-future") && line.contains("Unreadable")),
            metrics.contains(&sample),
            status.contains("from-the-future") && status.contains("moons"),
        ];
        if seen == [true; 3] {
            break;
        }
        ensure!(tokio::time::Instant::now() < deadline, "{seen:?}\n{events}\n{metrics}\n{status}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    // What is in force goes on: it still answers a request.
    let paused = |wanted: bool| {
        move |p: &Value| match (text(p, &["status", "phase"]) == "Paused", wanted) {
            (is, wanted) if is == wanted => Ok(()),
            (is, _) => Err(format!("paused: {is}")),
        }
    };
    let annotate = |what| ["annotate", "rfp", name, "-n", namespace, "--overwrite", what];
    operated.cluster.kubectl(&annotate("muster.dev/paused=a test")).await?;
    operated.until("rfp", name, paused(true)).await?;
    operated.cluster.kubectl(&annotate("muster.dev/paused-")).await?;
    operated.until("rfp", name, paused(false)).await.map(|_| ())
}

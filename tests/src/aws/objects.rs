//! The policy as an object in a real API server, and what a person does there with kubectl.
//!
//! ```text
//! person ──kubectl──► API server ◄── muster operator ──► the bed
//!                         ▲                 └──fence──► door ──► the fence's program
//!                         └ RegionFailoverPolicy, FailoverRun, Secrets, the journal, the lease
//! ```
//! The operator runs no programs: the fence is an endpoint that does.

use super::control::{ME, WHY};
use super::policy::{POLICY, file, secrets};
use super::region::{Parts, Region};
use super::stage::Way;
use crate::cluster::{Cluster, Options};
use crate::operated::{Door, condition, install_kinds, read_policy, text, through, write_secrets};
use anyhow::{Context, ensure};
use jiff::{SignedDuration, Timestamp};
use muster_core::ids::{RegionName, RunName};
use muster_core::journal::RunKind;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// How long a person's consent holds.
const CONSENT: SignedDuration = SignedDuration::from_mins(2);
/// What is told of a run's object that says so.
const APPROVED: &str = ", approval taken";

/// The cluster with the policy in it.
pub(super) struct Objects {
    cluster: Cluster,
    door: Door,
    /// Requests so far; the newest is named by it.
    asked: AtomicU32,
}

impl Objects {
    /// Starts the cluster, and makes the objects of what is in the bed's folder.
    pub(super) async fn start(folder: &Path) -> anyhow::Result<Self> {
        let cluster = Cluster::start("mgmt", Options::default()).await?;
        install_kinds(&cluster).await?;
        for namespace in ["muster", POLICY.0] {
            cluster.kubectl(&["create", "namespace", namespace]).await?;
        }
        write_secrets(&cluster, &secrets(folder)).await?;
        let door = Door::open(&read_policy(&file(folder))?).await?;
        let objects = Self { cluster, door, asked: AtomicU32::new(0) };
        objects.apply_policy(folder).await?;
        Ok(objects)
    }

    /// How the operator reaches the API server.
    pub(super) fn kubeconfig(&self) -> &Path {
        self.cluster.kubeconfig()
    }

    /// Applies what stands in the policy's file now.
    pub(super) async fn apply_policy(&self, folder: &Path) -> anyhow::Result<()> {
        let policy = through(&self.door, read_policy(&file(folder))?);
        self.cluster.kubectl_apply(&policy.to_string()).await.context("failed to apply the policy").map(drop)
    }

    /// Asks for a run by an object of its own.
    pub(super) async fn ask(&self, kind: RunKind, to: Region) -> anyhow::Result<()> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let run = json!({
            "apiVersion": "muster.dev/v1alpha1", "kind": "FailoverRun",
            "metadata": {"name": self.newest(), "namespace": POLICY.0},
            "spec": {
                "policy": POLICY.1, "kind": format!("{kind:?}"), "to": to.name(), "reason": WHY, "by": ME,
            },
        });
        self.cluster.kubectl_apply(&run.to_string()).await.map(drop)
    }

    fn newest(&self) -> String {
        format!("asked-{}", self.asked.load(Ordering::Relaxed))
    }

    /// Agrees to the plan that the newest request shows, unless that was done.
    pub(super) async fn agree(&self) -> anyhow::Result<()> {
        let run = self.get("run", &self.newest()).await?;
        let hash = text(&run, &["status", "planHash"]);
        let is_shown = text(&run, &["status", "phase"]) == "AwaitingApproval" && !hash.is_empty();
        if !is_shown || text(&run, &["spec", "approval", "planHash"]) == hash {
            return Ok(());
        }
        self.approve(&self.newest(), hash, &[]).await
    }

    /// Agrees to the plan that the run's object shows, whether or not this gate is met.
    pub(super) async fn waive(&self, run: &RunName, gate: &str) -> anyhow::Result<()> {
        let shown = self.get("run", run.as_str()).await?;
        let hash = text(&shown, &["status", "planHash"]);
        ensure!(!hash.is_empty(), "the run's object does not show its plan yet");
        if text(&shown, &["spec", "approval", "planHash"]) == hash {
            return Ok(());
        }
        self.approve(run.as_str(), hash, &[gate]).await
    }

    async fn approve(&self, run: &str, hash: &str, waives: &[&str]) -> anyhow::Result<()> {
        let until = (Timestamp::now() + CONSENT).to_string();
        let approval = json!({"planHash": hash, "by": ME, "validUntil": until, "waives": waives});
        let patch = json!({"spec": {"approval": approval}}).to_string();
        let words = ["patch", "run", run, "-n", POLICY.0, "--type=merge", "-p", &patch];
        self.cluster.kubectl(&words).await.map(drop)
    }

    /// Why the newest request was refused, if it was.
    pub(super) async fn refusal(&self) -> anyhow::Result<Option<String>> {
        let run = self.get("run", &self.newest()).await?;
        let is_refused = text(&run, &["status", "outcome"]) == "Refused";
        Ok(is_refused.then(|| text(&run, &["status", "message"]).to_owned()))
    }

    /// Acknowledges what the policy shows to be open.
    pub(super) async fn acknowledge(&self) -> anyhow::Result<()> {
        let policy = self.get("rfp", POLICY.1).await?;
        let open = text(&policy, &["status", "acknowledge"]);
        ensure!(!open.is_empty(), "the policy does not show yet what is open");
        let said = format!("muster.dev/ack={open}");
        let words = ["annotate", "rfp", POLICY.1, "-n", POLICY.0, "--overwrite", &said];
        self.cluster.kubectl(&words).await.map(drop)
    }

    /// As they have to be once a run of this kind is over.
    pub(super) fn wanted(kind: RunKind, way: Way) -> Vec<(&'static str, String)> {
        // A person was asked before a planned one, and in the middle of one that went round Aurora.
        let approved = if kind.is_planned() || way == Way::Detached { APPROVED } else { "" };
        let protected = if way == Way::Detached { "False" } else { "True" };
        vec![
            ("policy object", format!("Watching, taken active, protected {protected}")),
            ("run object", format!("{kind:?} Completed, Succeeded{approved}")),
        ]
    }

    /// As they are: the policy, and the run that it names as its last.
    pub(super) async fn look(&self, parts: Parts) -> anyhow::Result<Vec<(&'static str, String)>> {
        let policy = self.get("rfp", POLICY.1).await?;
        let active = parts.name_of(&RegionName::from(text(&policy, &["status", "activeRegion"])));
        let phase = text(&policy, &["status", "phase"]);
        let protected = text(condition(&policy, "Protected"), &["status"]);
        let run = match text(&policy, &["status", "lastRun", "name"]) {
            "" => "none".to_owned(),
            name => told(&self.get("run", name).await?),
        };
        let policy = format!("{phase}, {active} active, protected {protected}");
        Ok(vec![("policy object", policy), ("run object", run)])
    }

    async fn get(&self, kind: &str, name: &str) -> anyhow::Result<Value> {
        let told = self.cluster.kubectl(&["get", kind, name, "-n", POLICY.0, "-o", "json"]).await?;
        Ok(serde_json::from_str(&told)?)
    }
}

fn told(run: &Value) -> String {
    let [kind, phase, outcome] =
        [["spec", "kind"], ["status", "phase"], ["status", "outcome"]].map(|path| text(run, &path));
    let approved = if condition(run, "ApprovalTaken")["status"] == "True" { APPROVED } else { "" };
    format!("{kind} {phase}, {outcome}{approved}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planned_run_is_told_with_its_approval_as_it_is_wanted() {
        let mut run =
            json!({"spec": {"kind": "Switchover"}, "status": {"phase": "Completed", "outcome": "Succeeded"}});
        let wanted = |kind| Objects::wanted(kind, Way::Usual).pop().map(|(_, is)| is).unwrap_or_default();
        assert_ne!(told(&run), wanted(RunKind::Switchover));
        run["status"]["conditions"] = json!([{"type": "ApprovalTaken", "status": "True"}]);
        assert_eq!(told(&run), wanted(RunKind::Switchover));
        let run =
            json!({"spec": {"kind": "Failover"}, "status": {"phase": "Completed", "outcome": "Succeeded"}});
        assert_eq!(told(&run), wanted(RunKind::Failover));
    }
}

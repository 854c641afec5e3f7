//! What a person sees in objects, and does with kubectl.

use super::Operated;
use muster::demo::policy::POLICY;
use muster_core::ids::RegionName;
use serde_json::{Value, json};

/// The text at these fields, or nothing.
pub fn text<'a>(object: &'a Value, path: &[&str]) -> &'a str {
    path.iter().fold(object, |at, field| &at[*field]).as_str().unwrap_or_default()
}

/// The condition of this type, or null.
pub fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let conditions = object["status"]["conditions"].as_array();
    conditions.and_then(|all| all.iter().find(|c| c["type"] == kind)).unwrap_or(&Value::Null)
}

/// Where a policy or a run is, for an error's text.
pub fn told(object: &Value) -> String {
    let status = &object["status"];
    format!("{} {} {}", status["phase"], status["step"], status["message"])
}

/// The phase of a policy or a run is this.
pub fn is_in(phase: &str) -> impl Fn(&Value) -> Result<(), String> + '_ {
    move |object| if text(object, &["status", "phase"]) == phase { Ok(()) } else { Err(told(object)) }
}

/// The policy is calm, takes its writes there, and every region follows.
pub fn serves(region: &str) -> impl Fn(&Value) -> Result<(), String> + '_ {
    move |policy| {
        let (phase, active) = (text(policy, &["status", "phase"]), text(policy, &["status", "activeRegion"]));
        let whole = condition(policy, "Protected")["status"] == "True";
        if phase == "Watching" && active == region && whole {
            Ok(())
        } else {
            Err(format!("{phase} {active} {:#}", policy["status"]["conditions"]))
        }
    }
}

impl Operated {
    /// The name of the run under way, once there is one.
    pub async fn run_under_way(&self) -> anyhow::Result<String> {
        let opened = |policy: &Value| match text(policy, &["status", "activeRun", "name"]) {
            "" => Err(told(policy)),
            _ => Ok(()),
        };
        let policy = self.until("rfp", POLICY.1, opened).await?;
        Ok(text(&policy, &["status", "activeRun", "name"]).to_owned())
    }

    /// The timeline that a region's database writes on, as its log's name has it: `00000002` after one promotion. The
    /// control file knows it only after the first checkpoint, which may take a while.
    pub async fn timeline(&self, region: &RegionName) -> anyhow::Result<String> {
        let client = self.world.admin(region).await?;
        let row = client.query_one("select pg_walfile_name(pg_current_wal_lsn())", &[]).await?;
        let log: String = row.try_get(0)?;
        Ok(log.chars().take(8).collect())
    }
}

/// Somebody with kubectl.
#[derive(Clone, Copy, Debug)]
pub struct Person<'a> {
    operated: &'a Operated,
    name: &'a str,
}

impl<'a> Person<'a> {
    /// Of this name. Where the chart's admission policies are, it must be `admin`, as the certificate says.
    pub fn new(operated: &'a Operated, name: &'a str) -> Self {
        Self { operated, name }
    }

    /// Runs kubectl.
    pub async fn kubectl(&self, words: &[&str]) -> anyhow::Result<String> {
        self.operated.cluster.kubectl(words).await
    }

    /// Changes a run.
    pub async fn patch_run(&self, run: &str, patch: &Value) -> anyhow::Result<()> {
        let patch = patch.to_string();
        self.kubectl(&["patch", "run", run, "-n", POLICY.0, "--type=merge", "-p", &patch]).await.map(|_| ())
    }

    /// Asks for a run of this name and kind.
    pub async fn ask(&self, name: &str, kind: &str) -> anyhow::Result<()> {
        let run = json!({
            "apiVersion": "muster.dev/v1alpha1", "kind": "FailoverRun",
            "metadata": {"name": name, "namespace": POLICY.0},
            "spec": {"policy": POLICY.1, "kind": kind, "reason": "a test", "by": self.name},
        });
        self.operated.cluster.kubectl_apply(&run.to_string()).await.map(|_| ())
    }

    /// Approves a plan.
    pub async fn approve(&self, run: &str, plan_hash: &str) -> anyhow::Result<()> {
        let until = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(5);
        let approval = json!({
            "planHash": plan_hash, "by": self.name, "validUntil": until.to_string(), "maxLoss": "10m",
        });
        self.patch_run(run, &json!({"spec": {"approval": approval}})).await
    }

    /// Approves the plan that the run shows.
    pub async fn approve_shown(&self, run: &str) -> anyhow::Result<()> {
        let waiting = self.operated.until("run", run, is_in("AwaitingApproval")).await?;
        self.approve(run, text(&waiting, &["status", "planHash"])).await
    }

    /// Annotates the policy.
    pub async fn annotate(&self, what: &str) -> anyhow::Result<()> {
        self.kubectl(&["annotate", "rfp", POLICY.1, "-n", POLICY.0, "--overwrite", what]).await.map(|_| ())
    }
}

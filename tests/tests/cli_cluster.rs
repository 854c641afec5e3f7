//! The command line on a cluster: a real API server with RBAC, the operator, real databases and names; `muster` with a
//! kubeconfig, and as a plugin of kubectl.

use anyhow::{Context, ensure};
use muster::demo::policy::{POLICY, PolicyOptions};
use muster_core::policy::Mode;
use muster_tests::operated::Operated;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// Longer than any wait of the command line's own.
const LONGEST: Duration = Duration::from_mins(3);

/// The `muster` of this build.
fn binary() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_faults")).to_owned()
}

/// How a command ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    /// It ended with this code, and said all of these.
    fn with(self, code: i32, words: &[&str]) -> anyhow::Result<Self> {
        let said = format!("{}\n{}", self.out, self.err);
        ensure!(self.code == Some(code), "code {:?}, not {code}:\n{said}", self.code);
        for word in words {
            ensure!(said.contains(word), "{word} is not in\n{said}");
        }
        Ok(self)
    }

    /// The hash that a plan ends with.
    fn plan_hash(&self) -> anyhow::Result<String> {
        let line = self.out.lines().find_map(|line| line.strip_prefix("plan "));
        Ok(line.with_context(|| format!("no plan in\n{}", self.out))?.to_owned())
    }
}

/// A person with a kubeconfig.
#[derive(Debug)]
struct Person {
    kubeconfig: PathBuf,
}

impl Person {
    async fn muster(&self, args: &[&str]) -> anyhow::Result<Ended> {
        let mut command = Command::new(binary());
        command.args(args).arg("--kubeconfig").arg(&self.kubeconfig);
        run(command).await.with_context(|| format!("muster {}", args.join(" ")))
    }
}

async fn run(mut command: Command) -> anyhow::Result<Ended> {
    for variable in ["KUBECONFIG", "MUSTER_CLUSTER", "MUSTER_SERVER"] {
        if variable != "KUBECONFIG" || command.as_std().get_envs().all(|(name, _)| name != variable) {
            command.env_remove(variable);
        }
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(LONGEST, command.output()).await.context("no end in time")??;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_works_on_a_cluster_under_the_callers_own_rights() -> anyhow::Result<()> {
    let policy = PolicyOptions { mode: Mode::Approve, probe_every_ms: 1_000, ..PolicyOptions::default() };
    let operated = Operated::start(&binary(), policy).await?;
    let told = story(&operated).await;
    operated.end(told).await
}

async fn story(operated: &Operated) -> anyhow::Result<()> {
    let admin = Person { kubeconfig: operated.cluster.kubeconfig().to_owned() };
    looks(&admin).await?;
    let hash = requests_and_aborts(operated, &admin).await?;
    pauses(operated, &admin).await?;
    switches_over(operated, &admin, &hash).await?;
    fails_back_with_two_people(operated, &admin).await?;
    rights(operated).await?;
    plugin(operated).await
}

async fn looks(admin: &Person) -> anyhow::Result<()> {
    let seen = admin.muster(&["status"]).await?;
    seen.with(0, &["shop/checkout", "Approve", "active", "From the objects of the cluster"])?;
    admin.muster(&["status", "-n", "nobody"]).await?.with(0, &["No policy is here", "-n NAMESPACE"])?;
    admin.muster(&["explain", "checkout"]).await?.with(0, &["Verdicts", "Nothing blocks."])?;
    admin.muster(&["plan"]).await?.with(3, &["no run of shop/checkout is under way", "--request-only"])?;
    admin.muster(&["abort"]).await?.with(3, &["has no run under way"])?;
    admin.muster(&["history"]).await?.with(0, &["No run yet"])?;
    admin.muster(&["show", "nothing"]).await?.with(4, &["there is no run nothing"])?;
    let failed = admin.muster(&["status", "--context", "prod"]).await?;
    failed.with(2, &["there is no context prod", "The kubeconfig has: context."])?;
    Ok(())
}

/// A run that waits shows its plan and is aborted: the hash of that plan.
async fn requests_and_aborts(operated: &Operated, admin: &Person) -> anyhow::Result<String> {
    let asked = admin.muster(&["switchover", "--to", "nowhere", "--request-only"]).await?;
    asked.with(2, &["nowhere is not a region of shop/checkout; it has east, west"])?;
    let asked = admin.muster(&["switchover", "--to", "west", "--yes", "--plan", "deadbeef"]).await?;
    asked.with(3, &["the plan is now", "is aborted; it had begun nothing"])?;
    no_run(operated).await?;
    let asked = admin.muster(&["switchover", "--to", "west", "--request-only", "--reason", "kernel"]).await?;
    let asked = asked.with(0, &["Switchover of shop/checkout: east to west", "is asked for"])?;
    let shown = admin.muster(&["plan"]).await?.with(0, &["PromoteData orders", "Gates"])?;
    ensure!(shown.plan_hash()? == asked.plan_hash()?, "{shown:?}\n{asked:?}");
    admin.muster(&["status"]).await?.with(0, &["AwaitingApproval"])?;
    let second = admin.muster(&["switchover", "--request-only"]).await?;
    second.with(3, &["only one run acts at a time"])?;
    admin.muster(&["abort", "--reason", "not today"]).await?.with(0, &["is being aborted"])?;
    no_run(operated).await?;
    let listed = admin.muster(&["history", "-o", "json"]).await?.with(0, &[])?;
    let runs: Value = serde_json::from_str(&listed.out)?;
    let newest = runs["runs"][0]["name"].as_str().context("a run")?;
    ensure!(newest.starts_with("checkout-switchover-"), "{newest}");
    admin.muster(&["show", newest]).await?.with(0, &["Aborted", "admin: not today", "by admin: kernel"])?;
    asked.plan_hash()
}

async fn no_run(operated: &Operated) -> anyhow::Result<()> {
    let free = |p: &Value| match p["status"]["activeRun"]["name"].as_str() {
        None => Ok(()),
        Some(run) => Err(format!("{run} acts")),
    };
    operated.until("rfp", POLICY.1, free).await.map(|_| ())
}

async fn pauses(operated: &Operated, admin: &Person) -> anyhow::Result<()> {
    admin.muster(&["pause", "--reason", "storage work"]).await?.with(0, &["paused: no new effect starts"])?;
    let journal = operated.get("failoverjournal", POLICY.1).await?;
    let body: Value = serde_json::from_str(journal["spec"]["body"].as_str().unwrap_or_default())?;
    ensure!(body["state"]["paused"] == "annotation: admin: storage work", "{:#}", body["state"]["paused"]);
    admin.muster(&["status"]).await?.with(0, &["admin: storage work"])?;
    admin.muster(&["resume"]).await?.with(0, &["resumed"])?;
    let ended = admin.muster(&["status"]).await?.with(0, &[])?;
    ensure!(!ended.out.contains("storage work"), "{}", ended.out);
    Ok(())
}

/// Without a terminal: consent to a plan that was seen before.
async fn switches_over(operated: &Operated, admin: &Person, hash: &str) -> anyhow::Result<()> {
    let asked = admin.muster(&["switchover", "--to", "west", "--yes", "--plan", hash, "--wait"]).await?;
    asked.with(0, &["PromoteData orders", "Completed", "west"])?;
    let active = |p: &Value| match p["status"]["activeRegion"].as_str() {
        Some("west") => Ok(()),
        other => Err(format!("{other:?}")),
    };
    operated.until("rfp", POLICY.1, active).await?;
    admin.muster(&["history"]).await?.with(0, &["Succeeded", "Aborted", "Switchover"])?;
    Ok(())
}

/// One asks, another one agrees, each with the role of the chart that is for it.
async fn fails_back_with_two_people(operated: &Operated, admin: &Person) -> anyhow::Result<()> {
    let protected = |p: &Value| {
        let conditions = p["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let holds = conditions.iter().any(|c| c["type"] == "Protected" && c["status"] == "True");
        if holds { Ok(()) } else { Err(format!("{conditions:?}")) }
    };
    operated.until("rfp", POLICY.1, protected).await?;
    let asked = admin.muster(&["failback", "--request-only"]).await?;
    let hash = asked.with(0, &["Failback of shop/checkout: west to east"])?.plan_hash()?;
    let approver = person(operated, "sam", &["get", "list", "patch"]).await?;
    let refused =
        approver.muster(&["approve", "--by", "kim", "--yes", "--plan", &hash, "-n", "shop"]).await?;
    refused.with(2, &["in a cluster you act as sam"])?;
    let short = hash.get(..8).unwrap_or_default();
    let agreed = approver.muster(&["approve", "shop/checkout", "--yes", "--plan", short, "--wait"]).await?;
    agreed.with(0, &["Completed", "by sam"])?;
    Ok(())
}

/// A user who may do these things with Muster's objects in the policy's namespace.
async fn person(operated: &Operated, user: &str, verbs: &[&str]) -> anyhow::Result<Person> {
    let (namespace, verbs) = (POLICY.0, format!("--verb={}", verbs.join(",")));
    let resources =
        "--resource=regionfailoverpolicies.muster.dev,failoverruns.muster.dev,failoverjournals.muster.dev";
    operated.cluster.kubectl(&["create", "role", user, &verbs, resources, "-n", namespace]).await?;
    let (role, subject) = (format!("--role={user}"), format!("--user={user}"));
    operated.cluster.kubectl(&["create", "rolebinding", user, &role, &subject, "-n", namespace]).await?;
    Ok(Person { kubeconfig: operated.cluster.kubeconfig_for(user, &[])? })
}

async fn rights(operated: &Operated) -> anyhow::Result<()> {
    let nobody = Person { kubeconfig: operated.cluster.kubeconfig_for("nobody", &[])? };
    let refused = nobody.muster(&["status"]).await?;
    refused.with(3, &["you may not list", "in all namespaces", "Name one namespace with -n NAMESPACE"])?;
    let refused = nobody.muster(&["status", "-n", "shop"]).await?;
    refused.with(3, &["in namespace shop", "nobody", "Ask for the ClusterRole muster-viewer"])?;
    let viewer = person(operated, "vera", &["get", "list"]).await?;
    viewer.muster(&["status", "shop/checkout"]).await?.with(0, &["shop/checkout"])?;
    let refused = viewer.muster(&["pause", "shop/checkout"]).await?;
    refused.with(
        3,
        &["you may not patch regionfailoverpolicies in namespace shop", "ClusterRole muster-oncall"],
    )?;
    let refused = viewer.muster(&["switchover", "shop/checkout", "--request-only"]).await?;
    refused.with(3, &["you may not create failoverruns in namespace shop", "ClusterRole muster-oncall"])?;
    Ok(())
}

/// `kubectl muster`, by a program of that name in the PATH.
async fn plugin(operated: &Operated) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    std::os::unix::fs::symlink(binary(), folder.path().join("kubectl-muster"))?;
    let kubectl = |args: &[&str]| {
        let mut command = Command::new(operated.cluster.tools().program("kubectl"));
        command.args(args).env("PATH", folder.path()).env("HOME", folder.path());
        command.env("KUBECONFIG", operated.cluster.kubeconfig());
        command
    };
    run(kubectl(&["muster", "status"])).await?.with(0, &["shop/checkout", "Approve"])?;
    run(kubectl(&["muster", "history", "--limit", "1"])).await?.with(0, &["Failback"])?;
    run(kubectl(&["muster", "status", "--wrong"])).await?.with(2, &["Usage: kubectl muster status"])?;
    Ok(())
}

//! The admission policies: who approves, aborts, pauses, and under which name. Each rule with one who may and one who may not.

use super::stage::{self, NAMESPACE, POLICY, SHOP, Stage, render, run_object};
use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What an approval looks like.
fn approval(by: &str) -> Value {
    json!({"planHash": "3f9c", "by": by, "validUntil": "2030-01-31T12:00:00Z"})
}

fn run_with(name: &str, by: &str, more: &Value) -> Value {
    let mut run = run_object(SHOP, name, by);
    for (field, value) in more.as_object().into_iter().flatten() {
        run["spec"][field] = value.clone();
    }
    run
}

/// People in the roles of the chart, all in the namespace of the policies.
struct People<'a> {
    stage: &'a Stage,
    kubeconfigs: BTreeMap<&'static str, PathBuf>,
}

const ROLES: [(&str, &str); 4] =
    [("vera", "muster-viewer"), ("olga", "muster-oncall"), ("adam", "muster-approver"), ("edda", "editor")];

/// Edits everything of the group, but has none of the chart's own verbs.
const EDITOR: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: editor}
rules:
- apiGroups: [muster.dev]
  resources: ['*']
  verbs: [get, list, watch, create, update, patch, delete]
";

impl<'a> People<'a> {
    async fn of(stage: &'a Stage) -> anyhow::Result<Self> {
        stage.apply(EDITOR).await?;
        let mut kubeconfigs = BTreeMap::new();
        for (user, role) in ROLES {
            let args = [&format!("--clusterrole={role}"), &format!("--user={user}"), "-n", SHOP];
            stage
                .cluster
                .kubectl(&[&["create", "rolebinding", user], args.map(|a| a as &str).as_slice()].concat())
                .await?;
            kubeconfigs.insert(user, stage.cluster.kubeconfig_for(user, &[])?);
        }
        kubeconfigs.insert("admin", stage.cluster.kubeconfig().to_owned());
        kubeconfigs.insert("muster", stage.cluster.service_account_kubeconfig(NAMESPACE, "muster").await?);
        Ok(Self { stage, kubeconfigs })
    }

    async fn does(&self, who: &str, args: &[&str]) -> anyhow::Result<String> {
        let kubeconfig: &Path =
            self.kubeconfigs.get(who).with_context(|| format!("nobody is called {who}"))?;
        let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
        self.stage.cluster.kubectl(&[&[kubeconfig.as_str(), "-n", SHOP], args].concat()).await
    }

    /// The error, which the API server worded so.
    async fn is_refused(&self, who: &str, args: &[&str], why: &str) -> anyhow::Result<()> {
        match self.does(who, args).await {
            Ok(said) => bail!("{who} may {args:?}: {said}"),
            Err(error) => {
                let error = format!("{error:#}");
                ensure!(error.contains(why), "{who} {args:?}: not refused by {why:?} but: {error}");
                Ok(())
            }
        }
    }

    async fn writes(&self, who: &str, verb: &[&str], object: &Value) -> anyhow::Result<String> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), object.to_string())?;
        self.does(who, &[verb, &["-f", &file.path().display().to_string()]].concat()).await
    }

    async fn may_not_write(&self, who: &str, verb: &[&str], object: &Value, why: &str) -> anyhow::Result<()> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), object.to_string())?;
        self.is_refused(who, &[verb, &["-f", &file.path().display().to_string()]].concat(), why).await
    }

    async fn patches(&self, who: &str, run: &str, spec: &Value) -> anyhow::Result<String> {
        let patch = json!({"spec": spec}).to_string();
        self.does(who, &["patch", "run", run, "--type=merge", "-p", &patch]).await
    }

    async fn may_not_patch(&self, who: &str, run: &str, spec: &Value, why: &str) -> anyhow::Result<()> {
        let patch = json!({"spec": spec}).to_string();
        self.is_refused(who, &["patch", "run", run, "--type=merge", "-p", &patch], why).await
    }

    /// A policy takes some seconds from its creation until it is looked at.
    async fn until_watched(&self) -> anyhow::Result<()> {
        let (run, status) =
            (run_object(SHOP, "early", "nobody"), json!({"status": {"phase": "Completed"}}).to_string());
        let policy = ["annotate", "rfp", POLICY, "muster.dev/paused=early", "--dry-run=server"];
        let journal = [
            "patch",
            "rfp",
            POLICY,
            "--subresource=status",
            "--type=merge",
            "-p",
            &status,
            "--dry-run=server",
        ];
        stage::until("the admission policies act", || async {
            self.may_not_write("admin", &["create", "--dry-run=server"], &run, "spec.by").await?;
            self.is_refused("edda", &policy, "operate").await?;
            self.is_refused("admin", &journal, "Muster alone").await
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admission_policies_let_each_role_do_its_own_and_no_more() -> anyhow::Result<()> {
    let stage = Stage::start("admission", &[]).await?;
    stage.apply_example(SHOP).await?;
    let people = People::of(&stage).await?;
    people.until_watched().await?;
    requests(&people).await.context("requests")?;
    approvals(&people).await.context("approvals")?;
    aborts(&people).await.context("aborts")?;
    annotations(&people).await.context("annotations")?;
    records(&people).await.context("records")?;
    switched_off(&stage, &people).await.context("switched off")
}

async fn requests(people: &People<'_>) -> anyhow::Result<()> {
    let create = ["create"];
    people.may_not_write("vera", &create, &run_object(SHOP, "r1", "vera"), "cannot create resource").await?;
    people
        .may_not_write(
            "olga",
            &create,
            &run_object(SHOP, "r1", "adam"),
            "spec.by must be your own name, olga",
        )
        .await?;
    people.writes("olga", &create, &run_object(SHOP, "r1", "olga")).await?;
    // A name that the API server makes up is judged too.
    let mut nameless = run_with("", "olga", &json!({"approval": approval("olga")}));
    nameless["metadata"] = json!({"generateName": "made-up-", "namespace": SHOP});
    people.may_not_write("olga", &create, &nameless, "verb approve").await?;
    nameless["spec"]["by"] = json!("adam");
    nameless["spec"]["approval"] = approval("adam");
    people.writes("adam", &create, &nameless).await?;
    // Muster opens runs by a verdict, in its own name.
    let by_verdict = |name, by| run_with(name, by, &json!({"trigger": "Verdict"}));
    people
        .may_not_write("adam", &create, &by_verdict("r2", "adam"), "only Muster itself opens a run")
        .await?;
    people.writes("muster", &create, &by_verdict("r2", "muster")).await.map(|_| ())
}

async fn approvals(people: &People<'_>) -> anyhow::Result<()> {
    const RIGHT: &str = "may not approve: the verb approve on failoverruns is needed";
    let approved = |by| json!({"approval": approval(by)});
    people.may_not_write("olga", &["create"], &run_with("r3", "olga", &approved("olga")), RIGHT).await?;
    people.writes("adam", &["create"], &run_with("r3", "adam", &approved("adam"))).await?;
    // Editing everything is not approving.
    people.may_not_patch("edda", "r1", &approved("edda"), RIGHT).await?;
    people.may_not_patch("olga", "r1", &approved("olga"), RIGHT).await?;
    people
        .may_not_patch("adam", "r1", &approved("olga"), "spec.approval.by must be your own name, adam")
        .await?;
    people.patches("adam", "r1", &approved("adam")).await?;
    let weaker = json!({"approval": {"maxLoss": "1h"}});
    people.may_not_patch("olga", "r1", &weaker, RIGHT).await?;
    people.patches("adam", "r1", &weaker).await?;
    // Nor may Muster itself consent to anything.
    people.may_not_write("muster", &["create"], &run_with("r4", "muster", &approved("muster")), RIGHT).await
}

async fn aborts(people: &People<'_>) -> anyhow::Result<()> {
    let abort = |by: &str| json!({"abort": {"by": by, "reason": "a test"}});
    people.may_not_patch("vera", "r1", &abort("vera"), "cannot patch resource").await?;
    people.may_not_patch("olga", "r1", &abort("adam"), "spec.abort.by must be your own name, olga").await?;
    // The approval that is there does not stand in the way of one who may not approve.
    people.patches("olga", "r1", &abort("olga")).await.map(|_| ())
}

async fn annotations(people: &People<'_>) -> anyhow::Result<()> {
    let annotate = |what: &'static str| ["annotate", "--overwrite", "rfp", POLICY, what];
    for (set, changed, unset) in [
        ("muster.dev/paused=works", "muster.dev/paused=other", "muster.dev/paused-"),
        ("muster.dev/ack=0a1b2c3d", "muster.dev/ack=other", "muster.dev/ack-"),
        ("muster.dev/adopt=uid", "muster.dev/adopt=other", "muster.dev/adopt-"),
    ] {
        let name = set.split('=').next().unwrap_or_default();
        let why = format!("edda may not change {name}: the verb operate");
        people.is_refused("edda", &annotate(set), &why).await?;
        people.does("olga", &annotate(set)).await?;
        people.is_refused("edda", &annotate(changed), &why).await?;
        people.is_refused("edda", &annotate(unset), &why).await?;
        people.does("olga", &annotate(unset)).await?;
    }
    people.does("edda", &annotate("example.com/owner=shop")).await?;
    let mut annotated: Value =
        serde_json::from_str(&people.does("edda", &["get", "rfp", POLICY, "-o", "json"]).await?)?;
    annotated["metadata"] =
        json!({"name": "second", "namespace": SHOP, "annotations": {"muster.dev/paused": "from the start"}});
    people.may_not_write("edda", &["create"], &annotated, "may not change muster.dev/paused").await?;
    // RBAC lets one who annotates patch everything.
    let spec = r#"{"spec":{"mode":"Observe"}}"#;
    let patch = ["patch", "rfp", POLICY, "--type=merge", "-p", spec];
    people.is_refused("olga", &patch, "spec: olga may not change it: the verb update").await?;
    people.does("edda", &patch).await.map(|_| ())
}

async fn records(people: &People<'_>) -> anyhow::Result<()> {
    const ALONE: &str = "written by Muster alone (ServiceAccount muster in muster), not by";
    for (kind, name, status) in [
        ("rfp", POLICY, r#"{"status":{"activeRegion":"west"}}"#),
        ("run", "r3", r#"{"status":{"phase":"Completed"}}"#),
    ] {
        let patch = ["patch", kind, name, "--subresource=status", "--type=merge", "-p", status];
        people.is_refused("admin", &patch, ALONE).await?;
        people.is_refused("edda", &patch, ALONE).await?;
        let mut object: Value =
            serde_json::from_str(&people.does("muster", &["get", kind, name, "-o", "json"]).await?)?;
        let wanted: Value = serde_json::from_str(status)?;
        object["status"] = wanted["status"].clone();
        people.writes("muster", &["replace", "--subresource=status"], &object).await?;
    }
    let journal = |changes: u64| {
        json!({
            "apiVersion": "muster.dev/v1alpha1", "kind": "FailoverJournal",
            "metadata": {"name": POLICY, "namespace": SHOP},
            "spec": {"owner": "uid", "epoch": 0, "term": 0, "changes": changes, "lease": "muster/muster",
                     "leaseNumber": 1, "body": "{}"},
        })
    };
    people.may_not_write("admin", &["create"], &journal(1), ALONE).await?;
    people.writes("muster", &["create"], &journal(1)).await?;
    people.may_not_write("admin", &["replace"], &journal(2), ALONE).await?;
    people.writes("muster", &["replace"], &journal(2)).await?;
    // A storage migration writes the same again; who may delete may delete, as a namespace's end does.
    people.does("admin", &["label", "failoverjournals", POLICY, "a=b"]).await?;
    people.is_refused("olga", &["delete", "failoverjournals", POLICY], "cannot delete resource").await?;
    people.does("edda", &["delete", "failoverjournals", POLICY]).await.map(|_| ())
}

/// With the value off the objects are not there; taken out, nothing of it is left.
async fn switched_off(stage: &Stage, people: &People<'_>) -> anyhow::Result<()> {
    let rendered = render(NAMESPACE, &["admission.enabled=false"])?;
    ensure!(!rendered.contains("ValidatingAdmissionPolicy"), "{rendered}");
    let kinds = "validatingadmissionpolicybindings,validatingadmissionpolicies";
    stage.cluster.kubectl(&["delete", kinds, "-l", "app.kubernetes.io/name=muster"]).await?;
    let run = run_object(SHOP, "late", "nobody");
    stage::until("nothing is looked at any more", || async {
        people.writes("edda", &["create", "--dry-run=server"], &run).await.map(|_| ())
    })
    .await
}

//! A cluster with the chart in it, and operators that run beside it.

pub(crate) use muster_tests::chart::{helm, render, root};
pub(crate) use muster_tests::patience::until;

use anyhow::{Context as _, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use muster::clock::Clock;
use muster::store::kubernetes::{KubernetesStore, ObjectName, Options as StoreOptions};
use muster::store::{Acquired, Store as _};
use muster_core::ids::{HolderId, Owner, PolicyName};
use muster_core::time::Millis;
use muster_tests::cluster::{Cluster, Options};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Of the installation.
pub(crate) const NAMESPACE: &str = "muster";
/// Of the policies.
pub(crate) const SHOP: &str = "shop";
/// The example's name.
pub(crate) const POLICY: &str = "checkout";

/// A client that repeats no call by itself, as the operator's.
pub(crate) async fn client(kubeconfig: &Path) -> anyhow::Result<Client> {
    let file = Kubeconfig::read_from(kubeconfig)?;
    let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

/// A store whose lease is in this namespace.
pub(crate) fn lease(namespace: &str) -> StoreOptions {
    StoreOptions::new(ObjectName { namespace: namespace.to_owned(), name: "muster".to_owned() })
}

/// As the administrator.
pub(crate) async fn apply(cluster: &Cluster, yaml: &str, flags: &[&str]) -> anyhow::Result<String> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), yaml)?;
    let path = file.path().display().to_string();
    cluster.kubectl(&[&["apply", "-f", &path], flags].concat()).await
}

/// The text at a JSON pointer, or nothing.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let conditions = object["status"]["conditions"].as_array();
    conditions.and_then(|all| all.iter().find(|c| c["type"] == kind)).unwrap_or(&Value::Null)
}

/// A person's request, which is refused: there is no such region.
pub(crate) fn run_object(namespace: &str, name: &str, by: &str) -> Value {
    json!({
        "apiVersion": "muster.dev/v1alpha1", "kind": "FailoverRun",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"policy": POLICY, "kind": "Switchover", "to": "north", "reason": "a test", "by": by},
    })
}

/// The example's text, in another namespace.
pub(crate) fn example(namespace: &str) -> anyhow::Result<String> {
    let example = std::fs::read_to_string(root().join("crds/examples/cluster.yaml"))?;
    Ok(example.replace("namespace: shop", &format!("namespace: {namespace}")))
}

/// The Secrets that the example names.
pub(crate) fn secrets(namespace: &str) -> String {
    let secret = |name: &str, data: Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "stringData": data});
    let all = [
        secret("pg", json!({"muster": "one", "shop": "two"})),
        secret("dns", json!({"tsig": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI="})),
        secret("hooks", json!({"signing": "0123456789abcdef0123456789abcdef"})),
    ];
    json!({"apiVersion": "v1", "kind": "List", "items": all}).to_string()
}

/// A cluster without nodes; the chart is installed in [`NAMESPACE`].
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
}

impl Stage {
    pub(crate) async fn start(name: &str, sets: &[&str]) -> anyhow::Result<Self> {
        let cluster = Cluster::start(name, Options::default()).await?;
        for namespace in [NAMESPACE, SHOP] {
            cluster.kubectl(&["create", "namespace", namespace]).await?;
        }
        let kinds = root().join("charts/muster/crds").display().to_string();
        cluster.kubectl(&["apply", "--server-side", "-f", &kinds]).await?;
        cluster.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"]).await?;
        let stage = Self { cluster };
        stage.apply(&render(NAMESPACE, sets)?).await?;
        Ok(stage)
    }

    pub(crate) async fn apply(&self, yaml: &str) -> anyhow::Result<String> {
        self.cluster.kubectl_apply(yaml).await
    }

    /// The example policy and its Secrets.
    pub(crate) async fn apply_example(&self, namespace: &str) -> anyhow::Result<()> {
        self.apply(&secrets(namespace)).await?;
        self.apply(&example(namespace)?).await.map(|_| ())
    }

    pub(crate) async fn get(&self, namespace: &str, kind: &str, name: &str) -> anyhow::Result<Value> {
        let text = self.cluster.kubectl(&["-n", namespace, "get", kind, name, "-o", "json"]).await?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Begins the journal of the example as `account`, as one that has seen east take writes: no database is here to
    /// show it.
    pub(crate) async fn seed_journal(
        &self,
        account: &Path,
        own: &str,
        namespace: &str,
    ) -> anyhow::Result<()> {
        let policy = self.get(namespace, "rfp", POLICY).await?;
        let (name, owner) =
            (PolicyName::new(format!("{namespace}/{POLICY}")), text(&policy, "/metadata/uid"));
        let store = KubernetesStore::new(client(account).await?, lease(own), Clock::system());
        until("the kinds are served", || async { Ok(store.policies().await.map(|_| ())?) }).await?;
        let loaded = store.create(&name, &Owner::new(owner)).await?;
        let Acquired::Ours(token) = store.acquire(&HolderId::new("test"), Millis(60_000)).await? else {
            bail!("somebody holds the lease of {own}");
        };
        let mut journal = loaded.journal;
        journal.state.active_region = Some("east".into());
        journal.state.may_be_writable = ["east".into()].into();
        store.record(&name, &loaded.version, &token, &journal).await?;
        Ok(store.release(&token).await?)
    }

    /// Begins a journal `taken` in this namespace as the installation in [`NAMESPACE`], whose Lease stays.
    pub(crate) async fn take(&self, namespace: &str) -> anyhow::Result<()> {
        let store =
            KubernetesStore::new(client(self.cluster.kubeconfig()).await?, lease(NAMESPACE), Clock::system());
        let name = PolicyName::new(format!("{namespace}/taken"));
        let loaded = store.create(&name, &Owner::new("uid")).await?;
        let Acquired::Ours(token) = store.acquire(&HolderId::new("first"), Millis(60_000)).await? else {
            bail!("somebody holds the lease of {NAMESPACE}");
        };
        store.record(&name, &loaded.version, &token, &loaded.journal).await?;
        Ok(store.release(&token).await?)
    }

    /// How often each refusal of a request was counted by its Event.
    pub(crate) async fn counted_events(&self, namespace: &str) -> anyhow::Result<Vec<u64>> {
        let args = ["-n", namespace, "get", "events.events.k8s.io", "-o", "json"];
        let events: Value = serde_json::from_str(&self.cluster.kubectl(&args).await?)?;
        let of_requests = events["items"].as_array().into_iter().flatten();
        let of_requests = of_requests.filter(|event| event["reason"] == "RequestRefused");
        Ok(of_requests.map(|event| event["series"]["count"].as_u64().unwrap_or(1)).collect())
    }

    /// Starts an operator of this build, as whom `kubeconfig` says.
    pub(crate) fn operate(
        kubeconfig: &Path,
        namespace: &str,
        watch: Option<&str>,
    ) -> anyhow::Result<Operator> {
        let folder = tempfile::tempdir()?;
        let log = folder.path().join("log");
        let output = std::fs::File::create(&log)?;
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_faults"));
        command.args(["operator", "--listen=127.0.0.1:0", "--lease-ms=3000", "--namespace", namespace]);
        command.arg("--kubeconfig").arg(kubeconfig).args(watch.map(|of| format!("--watch-namespace={of}")));
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).kill_on_drop(true);
        let child = command.spawn().context("the operator does not start")?;
        Ok(Operator { _child: child, log, _folder: folder })
    }
}

/// A running operator, killed when dropped.
pub(crate) struct Operator {
    _child: tokio::process::Child,
    log: PathBuf,
    _folder: tempfile::TempDir,
}

impl Operator {
    /// How often its log says this.
    pub(crate) fn said(&self, what: &str) -> usize {
        // Within a quoted field a quote has a backslash before it.
        let log = std::fs::read_to_string(&self.log).unwrap_or_default().replace('\\', "");
        log.lines().filter(|line| line.contains(what)).count()
    }

    pub(crate) fn with_last_words(&self, error: &anyhow::Error) -> anyhow::Error {
        let said = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> =
            said.lines().map(|line| line.get(..line.floor_char_boundary(300)).unwrap_or(line)).collect();
        let last =
            lines.iter().skip(lines.len().saturating_sub(30)).copied().collect::<Vec<_>>().join("\n  ");
        anyhow::anyhow!("{error:#}\n  the operator's last words:\n  {last}")
    }
}

//! One API server and one operator.

use super::eyes::Eyes;
use super::spec::{NAMESPACE, secrets};
use crate::cluster::{self, Cluster};
use crate::operated::install_kinds;
use anyhow::{Context, ensure};
use kube::api::{DeleteParams, GetParams, Patch, PatchParams, PostParams, Request};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use muster_crds::{FailoverJournal, RegionFailoverPolicy, schema};
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// What the API server made of a write.
#[derive(Debug)]
pub(super) enum Written {
    /// It is stored so.
    Taken(Box<Value>),
    /// It is not; why.
    Refused(String),
}

/// Dropped, all of it ends.
pub(super) struct Stage {
    pub(super) client: Client,
    pub(super) eyes: Eyes,
    operator: Operator,
    _cluster: Cluster,
    folder: tempfile::TempDir,
}

impl Stage {
    pub(super) async fn start(binary: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("muster-acto-").tempdir()?;
        let cluster = Cluster::start("acto", cluster::Options::default()).await?;
        install_kinds(&cluster).await?;
        for namespace in ["muster", NAMESPACE] {
            cluster.kubectl(&["create", "namespace", namespace]).await?;
        }
        for secret in secrets() {
            cluster.kubectl_apply(&secret.to_string()).await?;
        }
        let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig())?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let client = Client::try_from(config)?;
        let log = folder.path().join("operator.log");
        let operator = Operator::start(binary, cluster.kubeconfig(), &log)?;
        let eyes = Eyes::open(client.clone());
        Ok(Self { client, eyes, operator, _cluster: cluster, folder })
    }

    /// What the operator said.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("operator.log")).unwrap_or_default()
    }

    /// An error if the operator's process has ended.
    pub(super) fn ensure_running(&self) -> anyhow::Result<()> {
        ensure!(self.operator.is_running(), "the operator has ended");
        Ok(())
    }

    /// Creates a policy, with unknown fields refused as kubectl does.
    pub(super) async fn create(&self, name: &str, spec: &Value) -> anyhow::Result<Written> {
        let object = json!({
            "apiVersion": schema::API_VERSION, "kind": schema::POLICY_KIND,
            "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec,
        });
        let path = path();
        let made = Request::new(&path).create(&PostParams::default(), object.to_string().into_bytes());
        let mut request = made.context("failed to make a request")?;
        *request.uri_mut() = format!("{path}?fieldValidation=Strict").parse()?;
        written(self.client.request(request).await)
    }

    /// Puts a spec in the place of the present one.
    pub(super) async fn replace(&self, name: &str, spec: &Value) -> anyhow::Result<Written> {
        let path = path();
        let made = Request::new(&path).patch(name, &PatchParams::default(), &Patch::Merge(json!({})));
        let mut request = made.context("failed to make a request")?;
        // A merge would keep what the new spec leaves out.
        *request.body_mut() =
            json!([{"op": "replace", "path": "/spec", "value": spec}]).to_string().into_bytes();
        request.headers_mut().insert("content-type", "application/json-patch+json".parse()?);
        *request.uri_mut() = format!("{path}/{name}?fieldValidation=Strict").parse()?;
        written(self.client.request(request).await)
    }

    /// The object as it is now.
    pub(super) async fn get(&self, name: &str) -> anyhow::Result<Value> {
        // Untyped: the types leave out what has its default.
        let object =
            self.client.request::<Value>(Request::new(path()).get(name, &GetParams::default())?).await;
        object.context("failed to read a policy")
    }

    pub(super) async fn delete(&self, name: &str) -> anyhow::Result<()> {
        let policies: Api<RegionFailoverPolicy> = Api::namespaced(self.client.clone(), NAMESPACE);
        policies.delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// The version that acts, as the journal keeps it.
    pub(super) async fn in_force(&self, name: &str) -> anyhow::Result<Option<String>> {
        Ok(self.journals().get_opt(name).await?.and_then(|journal| journal.spec.in_force))
    }

    /// A journal outlives its policy, and hundreds of them would be in the way.
    pub(super) async fn forget(&self, name: &str) -> anyhow::Result<()> {
        match self.journals().delete(name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            other => other.map(|_| ()).context("failed to delete a journal"),
        }
    }

    fn journals(&self) -> Api<FailoverJournal> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }
}

fn path() -> String {
    format!("/apis/{}/namespaces/{NAMESPACE}/regionfailoverpolicies", schema::API_VERSION)
}

fn written(answer: kube::Result<Value>) -> anyhow::Result<Written> {
    match answer {
        Ok(object) => Ok(Written::Taken(Box::new(object))),
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 422) => {
            Ok(Written::Refused(status.message.clone()))
        }
        Err(error) => Err(error).context("failed to write a policy"),
    }
}

/// The operator's process; the kernel ends it with this program.
#[derive(Debug)]
struct Operator {
    child: std::sync::Mutex<Option<Child>>,
    /// Dropped, the thread that is the child's parent ends.
    _parent: mpsc::Sender<()>,
}

impl Operator {
    fn start(binary: &Path, kubeconfig: &Path, log: &Path) -> anyhow::Result<Self> {
        let output = OpenOptions::new().create(true).append(true).open(log)?;
        let text = |path: &Path| path.display().to_string();
        let args =
            ["operator", "--kubeconfig", &text(kubeconfig), "--listen", "127.0.0.1:0", "--name", "acto"];
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(binary).args(args).args(["--lease-ms", "3000"]);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        // The kernel counts the death of the thread that starts it: so that thread lives as long as this does.
        let (parent, ended) = mpsc::channel::<()>();
        let (sender, started) = mpsc::sync_channel(1);
        std::thread::spawn(move || {
            if sender.send(command.spawn()).is_ok() {
                let _ = ended.recv();
            }
        });
        let child =
            started.recv_timeout(Duration::from_secs(10)).context("the operator does not start")??;
        Ok(Self { child: std::sync::Mutex::new(Some(child)), _parent: parent })
    }

    fn is_running(&self) -> bool {
        let mut child = self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(mut child) = child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// This program, which is also the `muster` of its stage.
pub(super) fn this_program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("failed to find this program's file")
}

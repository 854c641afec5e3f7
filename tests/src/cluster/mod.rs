//! Real Kubernetes clusters for tests, without containers: etcd and kube-apiserver on loopback, and where pods are
//! wanted also the controllers, the scheduler, and kwok, which plays the nodes. The programs are built beforehand by
//! `scripts/build-kubernetes.sh`.
//!
//! Must never reach a cluster of the person who runs the tests: every client gets a kubeconfig of its own.
//!
//! ```text
//! Cluster ── ControlPlane ── etcd, kube-apiserver                        faults, snapshots
//!        └── Workloads ───── controller-manager, scheduler, kwok         two nodes
//! ```

mod certificates;
mod control_plane;
mod folder;
mod kubectl;
mod process;
mod tools;
mod workloads;

pub use tools::Tools;

use anyhow::Context;
use certificates::Authority;
use control_plane::ControlPlane;
use folder::{Folder, write_private};
use kubectl::{Credentials, Kubectl};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use workloads::Workloads;

/// How often a start is tried when somebody else took one of its ports.
const ATTEMPTS: u32 = 3;

/// What a cluster is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Pods come to life: controllers, a scheduler and two nodes, beside the API server. Without it objects are only
    /// stored: a namespace that is deleted stays, and the roles `view`, `edit` and `admin`, which a controller fills, are
    /// empty.
    pub workloads: bool,
}

/// A state of a cluster, kept in the cluster's folder as long as that is there.
#[derive(Debug)]
pub struct Snapshot(PathBuf);

/// A running cluster. Dropped, it ends and leaves nothing; its processes end also when the program is killed.
#[derive(Debug)]
pub struct Cluster {
    url: String,
    tools: Tools,
    authority: Authority,
    kubectl: Kubectl,
    // The order of the fields is the order of their end.
    workloads: Option<Workloads>,
    control_plane: ControlPlane,
    /// Numbers files that nobody names.
    files: AtomicU32,
    folder: Folder,
}

impl Cluster {
    /// Starts a cluster, and returns when it is ready: in a few seconds, and an error after a minute and a half. `name`
    /// is the region of its nodes, so it must be a label's value.
    pub async fn start(name: &str, options: Options) -> anyhow::Result<Self> {
        let tools = Tools::find()?;
        let mut attempt = 1;
        loop {
            let cluster = Self::prepare(name, options, &tools)?;
            match cluster.run().await {
                Ok(()) => return Ok(cluster),
                Err(error) if control_plane::is_lost_port(&error) && attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error.context(format!("the cluster {name} does not start"))),
            }
        }
    }

    fn prepare(name: &str, options: Options, tools: &Tools) -> anyhow::Result<Self> {
        let folder = Folder::create(name)?;
        let authority = Authority::new()?;
        let (server, (token_key, token_public)) = (authority.server()?, certificates::token_key()?);
        let files = [
            ("ca.crt", &authority.pem()),
            ("server.crt", &server.certificate),
            ("server.key", &server.key),
            ("tokens.key", &token_key),
            ("tokens.pub", &token_public),
        ];
        for (file, text) in files {
            write_private(&folder.path().join(file), text)?;
        }
        let port = control_plane::free_port()?;
        let url = format!("https://127.0.0.1:{port}");
        let kubeconfig = folder.path().join("admin.kubeconfig");
        let admin = authority.client("admin", &["system:masters"])?;
        kubectl::write_kubeconfig(&kubeconfig, &url, &authority.pem(), &Credentials::Certificate(&admin))?;
        let program = tools.program("kubectl");
        let kubectl = Kubectl { program, kubeconfig, folder: folder.path().to_path_buf() };
        let control_plane = ControlPlane::new(tools, folder.path(), port, kubectl.clone())?;
        let workloads = options.workloads.then(|| Workloads::new(tools, folder.path(), &kubectl, name));
        let (tools, files) = (tools.clone(), AtomicU32::new(0));
        Ok(Self { url, tools, authority, kubectl, workloads, control_plane, files, folder })
    }

    async fn run(&self) -> anyhow::Result<()> {
        self.control_plane.start().await?;
        match &self.workloads {
            Some(workloads) => workloads.start().await,
            None => Ok(()),
        }
    }

    /// The API server's address; it stays the same over its restarts.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificate of the authority that signs the API server and its clients.
    pub fn ca_pem(&self) -> String {
        self.authority.pem()
    }

    /// The programs that it runs with, helm among them.
    pub fn tools(&self) -> &Tools {
        &self.tools
    }

    /// A client that may do everything (group `system:masters`). The file holds all it needs, as every kubeconfig here.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubectl.kubeconfig
    }

    /// A client with a certificate of its own, of a user in at most two groups; what it may do is for RBAC to say.
    pub fn kubeconfig_for(&self, user: &str, groups: &[&str]) -> anyhow::Result<PathBuf> {
        let identity = self.authority.client(user, groups)?;
        self.write_kubeconfig(&Credentials::Certificate(&identity))
    }

    /// A client with a token of an existing service account, valid for a day.
    pub async fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> anyhow::Result<PathBuf> {
        let token = self.kubectl(&["create", "token", name, "-n", namespace, "--duration=24h"]).await?;
        self.write_kubeconfig(&Credentials::Token(token.trim()))
    }

    fn write_kubeconfig(&self, credentials: &Credentials<'_>) -> anyhow::Result<PathBuf> {
        let path = self.new_path("kubeconfig");
        kubectl::write_kubeconfig(&path, &self.url, &self.authority.pem(), credentials)?;
        Ok(path)
    }

    fn new_path(&self, kind: &str) -> PathBuf {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        self.folder.path().join(format!("{kind}-{number}"))
    }

    /// Runs kubectl as the administrator, and answers its standard output. Ends with an error after two minutes.
    pub async fn kubectl(&self, args: &[&str]) -> anyhow::Result<String> {
        self.kubectl.run(args, None).await
    }

    /// Starts kubectl as the administrator, for whoever reads what it prints for a while. Dropped, it ends.
    pub fn follow(&self, args: &[&str]) -> anyhow::Result<tokio::process::Child> {
        self.kubectl.follow(args)
    }

    /// Applies manifests as the administrator.
    pub async fn kubectl_apply(&self, yaml: &str) -> anyhow::Result<String> {
        self.kubectl.run(&["apply", "-f", "-"], Some(yaml)).await
    }

    /// Kills the API server: connections break, new ones are refused. Pods go on, as in a real cluster.
    pub async fn stop_api_server(&self) {
        self.control_plane.stop_api_server().await;
    }

    /// Starts a stopped API server with the same port and data, and returns when it is ready.
    pub async fn start_api_server(&self) -> anyhow::Result<()> {
        self.control_plane.start_api_server().await
    }

    /// Freezes the API server: connections stay open, new ones too, and nothing is answered.
    pub async fn pause_api_server(&self) -> anyhow::Result<()> {
        self.control_plane.pause_api_server().await
    }

    /// Lets a paused API server go on. What it got meanwhile it answers late.
    pub async fn resume_api_server(&self) -> anyhow::Result<()> {
        self.control_plane.resume_api_server().await
    }

    /// Saves the state of all objects. The cluster goes on; for some milliseconds it does not answer.
    pub async fn snapshot(&self) -> anyhow::Result<Snapshot> {
        let path = self.new_path("snapshot");
        self.control_plane.save(&path).await.context("failed to save a snapshot")?;
        Ok(Snapshot(path))
    }

    /// Sets all objects back to a snapshot of this cluster, and returns when it is ready again: resource versions go
    /// back too, which a client meets in no other way. Also starts an API server that was stopped.
    pub async fn restore(&self, snapshot: &Snapshot) -> anyhow::Result<()> {
        // They would go on with what they remember of the time that never was.
        if let Some(workloads) = &self.workloads {
            workloads.stop().await;
        }
        self.control_plane.load(&snapshot.0).await.context("failed to restore a snapshot")?;
        match &self.workloads {
            Some(workloads) => workloads.start().await.context("failed to start the workloads' controllers"),
            None => Ok(()),
        }
    }
}

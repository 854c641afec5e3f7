//! What turns objects into running pods: the controllers, the scheduler, and kwok in the place of kubelets.

use super::kubectl::Kubectl;
use super::process::{LOOK, Launch, Process};
use super::tools::Tools;
use anyhow::{bail, ensure};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::control_plane::READY;

/// Nodes of a cluster, each in a zone of its own.
const NODES: [&str; 2] = ["a", "b"];

/// Three controllers' programs, all or none running.
#[derive(Debug)]
pub(super) struct Workloads {
    tools: Tools,
    folder: PathBuf,
    kubectl: Kubectl,
    region: String,
    processes: Mutex<Vec<Process>>,
}

impl Workloads {
    /// Nothing runs yet.
    pub(super) fn new(tools: &Tools, folder: &Path, kubectl: &Kubectl, region: &str) -> Self {
        Self {
            tools: tools.clone(),
            folder: folder.to_path_buf(),
            kubectl: kubectl.clone(),
            region: region.to_owned(),
            processes: Mutex::default(),
        }
    }

    /// Starts them, and returns when both nodes are ready and pods can be created in the namespace `default`.
    pub(super) async fn start(&self) -> anyhow::Result<()> {
        let mut place = self.processes.lock().await;
        let nodes: Vec<Value> = NODES.iter().map(|zone| self.node(zone)).collect();
        let nodes = json!({"apiVersion": "v1", "kind": "List", "items": nodes}).to_string();
        let mut processes = vec![
            self.launch("kube-controller-manager", self.controller_args())?,
            self.launch("kube-scheduler", self.client_args())?,
            self.launch("kwok", self.kwok_args()?)?,
        ];
        self.kubectl.run(&["apply", "-f", "-"], Some(&nodes)).await?;
        let deadline = Instant::now() + READY;
        while let Err(unready) = self.ask_readiness().await {
            for process in &mut processes {
                process.ensure_running()?;
            }
            if Instant::now() >= deadline {
                let words: String = processes.iter().map(Process::last_words).collect();
                bail!("the workloads' controllers are not ready within {READY:?}: {unready:#}{words}");
            }
            sleep(LOOK * 4).await;
        }
        *place = processes;
        Ok(())
    }

    /// Kills them.
    pub(super) async fn stop(&self) {
        self.processes.lock().await.clear();
    }

    async fn ask_readiness(&self) -> anyhow::Result<()> {
        let path = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}";
        let ready = self.kubectl.run(&["get", "nodes", "-o", path], None).await?;
        ensure!(
            ready.split(' ').filter(|s| *s == "True").count() == NODES.len(),
            "nodes are ready: {ready:?}"
        );
        self.kubectl.run(&["get", "serviceaccount", "default", "-n", "default"], None).await.map(|_| ())
    }

    fn node(&self, zone: &str) -> Value {
        let (region, name) = (&self.region, format!("{}-{zone}", self.region));
        let labels = json!({
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "topology.kubernetes.io/region": region,
            "topology.kubernetes.io/zone": name,
        });
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}})
    }

    fn launch(&self, name: &'static str, args: Vec<String>) -> anyhow::Result<Process> {
        Process::start(&Launch { name, program: self.tools.program(name), args, folder: self.folder.clone() })
    }

    /// One of each, so none elects a leader; nobody asks them, so none serves.
    fn client_args(&self) -> Vec<String> {
        vec![
            format!("--kubeconfig={}", self.kubectl.kubeconfig.display()),
            "--leader-elect=false".to_owned(),
            "--secure-port=0".to_owned(),
            "--profiling=false".to_owned(),
        ]
    }

    fn controller_args(&self) -> Vec<String> {
        let mut args = self.client_args();
        args.extend([
            format!("--service-account-private-key-file={}", self.folder.join("tokens.key").display()),
            format!("--root-ca-file={}", self.folder.join("ca.crt").display()),
        ]);
        args
    }

    fn kwok_args(&self) -> anyhow::Result<Vec<String>> {
        let mut args = vec![
            format!("--kubeconfig={}", self.kubectl.kubeconfig.display()),
            "--manage-all-nodes=true".to_owned(),
        ];
        args.extend(self.tools.stages()?.iter().map(|stage| format!("--config={}", stage.display())));
        Ok(args)
    }
}

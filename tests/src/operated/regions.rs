//! The regions' own clusters: each runs the shop as a Deployment, and an agent in the place of kubelets runs an order
//! service for each pod that is ready.

use super::{LOOK, Operated};
use crate::cluster::{Cluster, Options};
use anyhow::Context;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use muster::demo::World;
use muster::demo::pods::Machines;
use muster::demo::policy::POLICY;
use muster_core::ids::RegionName;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

/// The Deployment and the Service.
const SHOP: &str = "shop";
/// The Secret with the regions' kubeconfigs, and the compute item.
const CLUSTERS: &str = "clusters";
const ITEM: &str = "web";
/// Between two looks at pods.
const AGENT: Duration = Duration::from_millis(100);

/// A region's cluster. Dropped, its pods' processes go on until the world ends.
#[derive(Debug)]
pub struct Region {
    /// The API server.
    pub cluster: Cluster,
    _agent: AbortOnDropHandle<()>,
}

impl Region {
    /// Starts the cluster, and the shop in it with so many replicas.
    pub(super) async fn start(world: &World, region: &RegionName, replicas: u32) -> anyhow::Result<Self> {
        let cluster = Cluster::start(region.as_str(), Options { workloads: true }).await?;
        cluster.kubectl(&["create", "namespace", POLICY.0]).await?;
        let role = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/region-role.yaml");
        let account = format!("--serviceaccount={}:muster", POLICY.0);
        cluster.kubectl(&["-n", POLICY.0, "apply", "-f", role]).await?;
        cluster.kubectl(&["-n", POLICY.0, "create", "serviceaccount", "muster"]).await?;
        let bind = ["-n", POLICY.0, "create", "rolebinding", "muster", "--role=muster-workloads", &account];
        cluster.kubectl(&bind).await?;
        cluster.kubectl_apply(&shop(replicas).to_string()).await?;
        let api: Api<Pod> = Api::namespaced(client(cluster.kubeconfig()).await?, POLICY.0);
        let agent = tokio::spawn(run_pods(api, world.machines(region)));
        Ok(Self { cluster, _agent: AbortOnDropHandle::new(agent) })
    }

    /// A kubeconfig of an account that may do with workloads what the documented role allows.
    pub(super) async fn kubeconfig(&self) -> anyhow::Result<String> {
        let path = self.cluster.service_account_kubeconfig(POLICY.0, "muster").await?;
        Ok(std::fs::read_to_string(path)?)
    }

    /// Deletes the account of the kubeconfig in use, whose token is void soon after, and answers a kubeconfig of another
    /// user, with a certificate, who may do the same.
    pub async fn replace_account(&self) -> anyhow::Result<String> {
        const NEXT: &str = "muster-next";
        let user = format!("--user={NEXT}");
        let bind = ["-n", POLICY.0, "create", "rolebinding", NEXT, "--role=muster-workloads", &user];
        self.cluster.kubectl(&bind).await?;
        self.cluster.kubectl(&["-n", POLICY.0, "delete", "serviceaccount", "muster"]).await?;
        Ok(std::fs::read_to_string(self.cluster.kubeconfig_for(NEXT, &[])?)?)
    }

    /// Replicas of the shop: asked for and ready.
    pub async fn replicas(&self) -> anyhow::Result<(u64, u64)> {
        let deployment = ["get", "deployment", SHOP, "-n", POLICY.0, "-o", "json"];
        let deployment: Value = serde_json::from_str(&self.cluster.kubectl(&deployment).await?)?;
        let number = |path: &str| deployment.pointer(path).and_then(Value::as_u64).unwrap_or(0);
        Ok((number("/spec/replicas"), number("/status/readyReplicas")))
    }

    /// Waits until so many are asked for and ready.
    pub async fn until_replicas(&self, wanted: u64) -> anyhow::Result<()> {
        let deadline = tokio::time::Instant::now() + super::PATIENCE;
        loop {
            let seen = self.replicas().await?;
            if seen == (wanted, wanted) {
                return Ok(());
            }
            anyhow::ensure!(tokio::time::Instant::now() < deadline, "{seen:?} replicas instead of {wanted}");
            sleep(LOOK).await;
        }
    }
}

impl Operated {
    /// Puts another kubeconfig of a region into the Secret that the policy names.
    pub async fn replace_kubeconfig(&self, region: &RegionName, kubeconfig: &str) -> anyhow::Result<()> {
        let mut data = serde_json::Map::new();
        data.insert(region.to_string(), kubeconfig.into());
        let patch = json!({"stringData": data}).to_string();
        let words = ["-n", POLICY.0, "patch", "secret", CLUSTERS, "--type=merge", "-p", &patch];
        self.cluster.kubectl(&words).await.map(|_| ())
    }
}

fn shop(replicas: u32) -> Value {
    let labels = json!({"app": SHOP});
    let metadata = json!({"name": SHOP, "namespace": POLICY.0});
    let container = json!({"name": SHOP, "image": "example.test/shop"});
    let pod = json!({"terminationGracePeriodSeconds": 1, "containers": [container]});
    let spec = json!({
        "replicas": replicas, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    });
    let service = json!({"selector": labels, "ports": [{"port": 80}]});
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
    ]})
}

/// The policy with the regions' clusters, the shop as what is scaled in them, and as the last fence.
pub(super) fn with_workloads(mut policy: Value) -> Value {
    let spec = &mut policy["spec"];
    for region in spec["regions"].as_array_mut().into_iter().flatten() {
        region["cluster"] = json!({"kubeconfigSecret": {"name": CLUSTERS, "key": region["name"]}});
    }
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": SHOP});
    spec["compute"] = json!([{"name": ITEM, "scale": {
        "target": target, "to": {"percentOfPeak": 100}, "service": SHOP, "expectedReady": "3s", "timeout": "30s",
    }}]);
    if let Some(fences) = spec["fence"].as_array_mut() {
        fences.push(json!({"name": "pods", "scaleToZero": {"compute": [ITEM]}, "timeout": "10s"}));
    }
    policy
}

/// The Secret that the policy names.
pub(super) fn secret(kubeconfigs: &serde_json::Map<String, Value>) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "stringData": kubeconfigs,
        "metadata": {"name": CLUSTERS, "namespace": POLICY.0},
    })
}

async fn client(kubeconfig: &Path) -> anyhow::Result<Client> {
    let file = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    Client::try_from(config).context("failed to make a client")
}

/// Runs a process for each pod that is ready and ends it with the pod. While the API server is silent they go on, as
/// real ones do.
async fn run_pods(api: Api<Pod>, machines: Machines) {
    let mut running = BTreeSet::new();
    loop {
        if let Ok(Ok(pods)) =
            tokio::time::timeout(Duration::from_secs(1), api.list(&ListParams::default())).await
        {
            let ready: BTreeSet<String> = pods
                .items
                .iter()
                .filter(|pod| is_ready(pod))
                .filter_map(|pod| pod.metadata.name.clone())
                .collect();
            for gone in running.difference(&ready) {
                machines.end(gone);
            }
            // One that cannot start now is tried again at the next look.
            running = ready.into_iter().filter(|pod| machines.run(pod).is_ok()).collect();
        }
        sleep(AGENT).await;
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
}

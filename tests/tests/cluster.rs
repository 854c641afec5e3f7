//! The test clusters themselves: what every suite on them takes for granted.

use muster_tests::cluster::{Cluster, Options};
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const PATIENCE: Duration = Duration::from_mins(1);

const SHOP: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: shop, image: example.test/shop}]}
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {selector: {app: shop}, ports: [{port: 80}]}
";

const READER: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: readers}
rules:
- {apiGroups: [''], resources: [pods], verbs: [list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: readers}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: readers}
subjects:
- {kind: Group, apiGroup: rbac.authorization.k8s.io, name: readers}
- {kind: ServiceAccount, name: reader, namespace: default}
";

/// Ready endpoints of the shop.
async fn ready_endpoints(cluster: &Cluster) -> usize {
    let args = ["get", "endpointslices", "-l", "kubernetes.io/service-name=shop", "-o", "json"];
    let slices = cluster.kubectl(&args).await.expect("the cluster answers");
    let slices: Value = serde_json::from_str(&slices).expect("kubectl prints JSON");
    let items = slices["items"].as_array().expect("a list has items").iter();
    let endpoints = items.flat_map(|slice| slice["endpoints"].as_array().cloned().unwrap_or_default());
    endpoints.filter(|endpoint| endpoint["conditions"]["ready"] == true).count()
}

async fn until_ready_endpoints(cluster: &Cluster, wanted: usize) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = ready_endpoints(cluster).await;
        if found == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{found} endpoints are ready, not {wanted}");
        sleep(Duration::from_millis(200)).await;
    }
}

async fn replicas(cluster: &Cluster) -> String {
    let args = ["get", "deployment", "shop", "-o", "jsonpath={.spec.replicas}"];
    cluster.kubectl(&args).await.expect("the cluster answers")
}

#[tokio::test]
async fn pods_come_to_life_and_outlast_a_restart_and_a_journey_back_in_time() {
    let cluster = Cluster::start("east", Options { workloads: true }).await.unwrap();
    cluster.kubectl_apply(SHOP).await.unwrap();
    cluster
        .kubectl(&["wait", "--for=condition=Available", "deployment/shop", "--timeout=60s"])
        .await
        .unwrap();
    until_ready_endpoints(&cluster, 2).await;
    let regions = "jsonpath={.items[*].metadata.labels.topology\\.kubernetes\\.io/region}";
    assert_eq!(cluster.kubectl(&["get", "nodes", "-o", regions]).await.unwrap(), "east east");

    cluster.stop_api_server().await;
    cluster.kubectl(&["get", "nodes", "--request-timeout=2s"]).await.unwrap_err();
    cluster.start_api_server().await.unwrap();
    assert_eq!(replicas(&cluster).await, "2");

    let snapshot = cluster.snapshot().await.unwrap();
    cluster.kubectl(&["scale", "deployment/shop", "--replicas=3"]).await.unwrap();
    until_ready_endpoints(&cluster, 3).await;
    cluster.restore(&snapshot).await.unwrap();
    assert_eq!(replicas(&cluster).await, "2");
    // The controllers work on from there.
    cluster.kubectl(&["scale", "deployment/shop", "--replicas=1"]).await.unwrap();
    until_ready_endpoints(&cluster, 1).await;
}

#[tokio::test]
async fn a_client_may_do_what_rbac_says_and_waits_while_the_api_server_is_paused() {
    let cluster = Cluster::start("west", Options::default()).await.unwrap();
    cluster.kubectl_apply(READER).await.unwrap();
    let group = cluster.kubeconfig_for("ann", &["staff", "readers"]).unwrap();
    let account = cluster.service_account_kubeconfig("default", "reader").await.unwrap();
    let stranger = cluster.kubeconfig_for("bob", &["staff"]).unwrap();
    for (who, verb, allowed) in [
        (&group, "list", "yes"),
        (&group, "delete", "no"),
        (&account, "list", "yes"),
        (&account, "delete", "no"),
        (&stranger, "list", "no"),
    ] {
        let config = format!("--kubeconfig={}", who.display());
        // It ends with code 1 for a no.
        let said = cluster.kubectl(&[&config, "auth", "can-i", verb, "pods"]).await;
        assert_eq!(said.is_ok(), allowed == "yes", "{verb} as {}: {said:?}", who.display());
    }

    cluster.pause_api_server().await.unwrap();
    let get = ["get", "--raw", "/readyz", "--request-timeout=1s"];
    cluster.kubectl(&get).await.unwrap_err();
    cluster.resume_api_server().await.unwrap();
    assert_eq!(cluster.kubectl(&["get", "--raw", "/readyz"]).await.unwrap(), "ok");
    assert!(cluster.url().starts_with("https://127.0.0.1:"));
    assert!(cluster.ca_pem().contains("BEGIN CERTIFICATE"));
}

//! The chart, `config/` and the roles, against real API servers.

#[path = "chart/admission.rs"]
mod admission;
#[path = "chart/permissions.rs"]
mod permissions;
#[path = "chart/stage.rs"]
mod stage;

use anyhow::{Context as _, ensure};
use muster_tests::cluster::{Cluster, Options};
use serde::Deserialize as _;
use serde_json::Value;
use stage::{NAMESPACE, POLICY, SHOP, Stage, helm, render, root, text};
use std::process::Command;

/// Every value of the chart, away from its default, alone or with what it needs.
const SWITCHED: [&[&str]; 32] = [
    &[],
    &["image.repository=registry.example.com/muster", "image.tag=1.2.3", "image.pullPolicy=Always"],
    &["image.digest=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
    &["imagePullSecrets[0].name=registry"],
    &["replicas=1"],
    &["watchNamespace=shop"],
    &["watchNamespace=shop", "roles.create=false"],
    &["region=east"],
    &["leaseName=other"],
    &["log.filter=muster=debug\\,hyper=warn", "log.format=text"],
    &["archive.kind=None"],
    &["archive.kind=PersistentVolumeClaim", "archive.claimName=muster"],
    &["archive.sizeLimit=500Mi"],
    &["serviceAccount.name=failover", "serviceAccount.annotations.example\\.com/role=muster"],
    &["serviceAccount.create=false"],
    &["rbac.create=false"],
    &["rbac.secretNames={pg,dns}"],
    &["rbac.workloadNamespaces={shop}"],
    &["roles.create=false"],
    &["admission.enabled=false"],
    &["env[0].name=AWS_REGION", "env[0].value=eu-west-1"],
    &["service.type=LoadBalancer", "service.port=80", "service.annotations.example\\.com/internal=yes"],
    &["apiTokenSecret.name=muster-api", "apiTokenSecret.key=api.token"],
    &["apiTokenSecret.name=muster-api", "archive.kind=None"],
    &["networkPolicy.enabled=false"],
    &["networkPolicy.from[0].ipBlock.cidr=192.0.2.0/24", "networkPolicy.from[1].podSelector.matchLabels.a=b"],
    &["podDisruptionBudget.enabled=false"],
    &[
        "serviceMonitor.enabled=true",
        "serviceMonitor.interval=1m",
        "serviceMonitor.labels.release=prometheus",
    ],
    &["resources=null"],
    &["resources.limits.cpu=2", "resources.requests.memory=256Mi"],
    &[
        "topologySpreadConstraints[0].maxSkew=1",
        "topologySpreadConstraints[0].topologyKey=rack",
        "topologySpreadConstraints[0].whenUnsatisfiable=DoNotSchedule",
    ],
    &[
        "nodeSelector.disk=fast",
        "tolerations[0].key=spot",
        "tolerations[0].operator=Exists",
        "affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey=rack",
        "priorityClassName=system-cluster-critical",
        "podAnnotations.a=b",
        "podLabels.c=d",
    ],
];

/// Nonsense, and the place that the refusal names.
const NONSENSE: [(&str, &str); 21] = [
    ("replica=3", "replica"),
    ("replicas=-1", "replicas"),
    ("replicas=two", "replicas"),
    ("image.repository=", "repository"),
    ("image.digest=sha256:abc", "digest"),
    ("image.pullPolicy=Sometimes", "pullPolicy"),
    ("watchNamespace=Not_a_namespace", "watchNamespace"),
    ("leaseName=", "leaseName"),
    ("log.format=xml", "format"),
    ("archive.kind=Disk", "kind"),
    ("archive.kind=PersistentVolumeClaim", "claimName"),
    ("archive.sizeLimit=much", "sizeLimit"),
    ("env[0].valueFrom=aws", "valueFrom"),
    ("service.port=70000", "port"),
    ("apiTokenSecret.key=", "key"),
    ("networkPolicy.from[0].host=example.com", "host"),
    ("admission.enabled=maybe", "enabled"),
    ("rbac.secretNames={pg,pg}", "secretNames"),
    ("serviceMonitor.interval=often", "interval"),
    ("rbac.workloadNamespaces={Shop}", "workloadNamespaces"),
    ("serviceAccount.annotations.a.b=c", "annotations"),
];

/// The kind that Prometheus' operator brings, as far as the chart fills it in; any other field is refused.
const SERVICE_MONITORS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: servicemonitors.monitoring.coreos.com}
spec:
  group: monitoring.coreos.com
  names: {kind: ServiceMonitor, plural: servicemonitors, singular: servicemonitor}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        required: [spec]
        properties:
          spec:
            type: object
            required: [endpoints, selector]
            properties:
              endpoints:
                type: array
                items:
                  type: object
                  properties:
                    {port: {type: string}, path: {type: string}, interval: {type: string, pattern: '^(([0-9]+)(ms|s|m|h))+$'}}
              selector: {type: object, properties: {matchLabels: {type: object, additionalProperties: {type: string}}}}
";

#[test]
fn the_chart_lints_and_every_value_is_switched_by_a_test() -> anyhow::Result<()> {
    let chart = root().join("charts/muster").display().to_string();
    helm(&["lint", "--strict", &chart], &[])?;
    let schema: Value =
        serde_json::from_str(&std::fs::read_to_string(root().join("charts/muster/values.schema.json"))?)?;
    let mut known = Vec::new();
    properties(&schema, "", &mut known);
    let switched: Vec<&str> = SWITCHED.iter().flat_map(|set| set.iter().copied()).collect();
    for value in known.iter().filter(|value| *value != "global") {
        let by = |set: &&str| {
            set.split('=').next().is_some_and(|path| {
                path == value
                    || path.starts_with(&format!("{value}."))
                    || path.starts_with(&format!("{value}["))
            })
        };
        ensure!(switched.iter().any(by), "no test switches {value}");
    }
    ensure!(known.len() > 25, "{known:?}");
    Ok(())
}

/// The values that a schema names, by their paths.
fn properties(schema: &Value, path: &str, found: &mut Vec<String>) {
    match schema["properties"].as_object() {
        Some(fields) => {
            for (name, inner) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                properties(inner, &path, found);
            }
        }
        None => found.push(path.to_owned()),
    }
}

#[test]
fn nonsense_is_refused_with_its_place() {
    for (set, place) in NONSENSE {
        let error = match render(NAMESPACE, &[set]) {
            Ok(_) => "it was taken".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        assert!(error.contains("schema") && error.contains(place), "{set}: {error}");
    }
}

#[test]
fn config_is_what_the_chart_renders() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let script = Command::new(root().join("scripts/render-config.sh")).arg(folder.path()).output()?;
    ensure!(script.status.success(), "{}", String::from_utf8_lossy(&script.stderr));
    for file in ["muster.yaml", "crds.yaml"] {
        let committed = std::fs::read_to_string(root().join("config").join(file))?;
        let rendered = std::fs::read_to_string(folder.path().join(file))?;
        ensure!(committed == rendered, "config/{file} is stale: run scripts/render-config.sh");
    }
    Ok(())
}

#[test]
fn workloads_of_this_cluster_and_of_another_need_the_same() -> anyhow::Result<()> {
    let rendered = render(NAMESPACE, &["rbac.workloadNamespaces={shop}"])?;
    let committed = std::fs::read_to_string(root().join("config/region-role.yaml"))?;
    let rules = |text: &str| -> anyhow::Result<Value> {
        let mut documents = serde_yaml_ng::Deserializer::from_str(text).map(Value::deserialize);
        let role = documents.find_map(|document| {
            let document = document.ok()?;
            let is_it = document["kind"] == "Role" && document["metadata"]["name"] == "muster-workloads";
            is_it.then_some(document)
        });
        Ok(role.context("no such role")?["rules"].clone())
    };
    ensure!(rules(&rendered)? == rules(&committed)?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rendering_is_taken_and_its_pods_keep_to_the_restricted_standard() -> anyhow::Result<()> {
    let cluster = Cluster::start("rendered", Options { workloads: true }).await?;
    let config = root().join("config").display().to_string();
    cluster.kubectl(&["apply", "--server-side", "-k", &config]).await?;
    cluster.kubectl(&["create", "namespace", SHOP]).await?;
    cluster.kubectl_apply(SERVICE_MONITORS).await?;
    cluster.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"]).await?;
    for set in SWITCHED {
        let rendered = render(NAMESPACE, set)?;
        stage::apply(&cluster, &rendered, &["--server-side", "--dry-run=server", "--force-conflicts"])
            .await
            .with_context(|| format!("{set:?}"))?;
    }
    // Its namespace takes only pods of the restricted standard, and kwok plays their nodes.
    cluster
        .kubectl(&[
            "-n",
            NAMESPACE,
            "wait",
            "--for=condition=Available",
            "deployment/muster",
            "--timeout=60s",
        ])
        .await?;
    let pods = cluster.kubectl(&["-n", NAMESPACE, "get", "pods", "-o", "name"]).await?;
    ensure!(pods.lines().count() == 2, "{pods}");
    let warnings = "jsonpath={.items[*].status.typeChecking.expressionWarnings}";
    let policies =
        ["get", "validatingadmissionpolicies", "-o", "jsonpath={.items[*].status.observedGeneration}"];
    stage::until("the admission policies' types are checked", || async {
        let checked = cluster.kubectl(&policies).await?;
        ensure!(checked.split_whitespace().count() == 3, "{checked}");
        Ok(())
    })
    .await?;
    let warned = cluster.kubectl(&["get", "validatingadmissionpolicies", "-o", warnings]).await?;
    ensure!(warned.trim().is_empty(), "{warned}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_runs_with_the_charts_account_and_a_second_installation_is_refused() -> anyhow::Result<()>
{
    let stage = Stage::start("installed", &[]).await?;
    let account = stage.cluster.service_account_kubeconfig(NAMESPACE, "muster").await?;
    stage.apply_example(SHOP).await?;
    stage.seed_journal(&account, NAMESPACE, SHOP).await?;
    let operator = Stage::operate(&account, NAMESPACE, None)?;
    let told = installed(&stage).await;
    told.map_err(|error| operator.with_last_words(&error))?;

    let chart = root().join("charts/muster").display().to_string();
    let config = format!("--kubeconfig={}", stage.cluster.kubeconfig().display());
    stage.cluster.kubectl(&["create", "namespace", "again"]).await?;
    let again = helm(&["install", "again", &chart, "--namespace=again", &config, "--skip-crds"], &[]);
    let refused = format!("{:#}", again.err().context("a second installation is refused")?);
    ensure!(refused.contains("muster") && refused.contains("exists"), "{refused}");
    Ok(())
}

async fn installed(stage: &Stage) -> anyhow::Result<()> {
    stage::until("the policy is accepted", || async {
        let policy = stage.get(SHOP, "rfp", POLICY).await?;
        let accepted = stage::condition(&policy, "Accepted");
        ensure!(accepted["status"] == "True", "{:#}", policy["status"]);
        ensure!(!text(&policy, "/status/phase").is_empty(), "{:#}", policy["status"]);
        Ok(())
    })
    .await?;
    let journal = stage.get(SHOP, "failoverjournals", POLICY).await?;
    ensure!(text(&journal, "/spec/lease") == "muster/muster", "{journal:#}");
    let lease = stage.get(NAMESPACE, "lease", "muster").await?;
    ensure!(!text(&lease, "/spec/holderIdentity").is_empty(), "{lease:#}");
    let claims = stage.get(NAMESPACE, "configmap", "muster-claims").await?;
    ensure!(text(&claims, "/data/claims.json").contains("dns/example.com"), "{claims:#}");
    // A request is answered where it was asked, and an Event tells of it; the second of its kind is counted.
    for name in ["first", "second"] {
        stage.apply(&stage::run_object(SHOP, name, "admin").to_string()).await?;
        stage::until("the request is refused", || async {
            let run = stage.get(SHOP, "run", name).await?;
            ensure!(text(&run, "/status/outcome") == "Refused", "{run:#}");
            Ok(())
        })
        .await?;
    }
    stage::until("an event counts both", || async {
        let counted = stage.counted_events(SHOP).await?;
        ensure!(counted == [2], "{counted:?}");
        Ok(())
    })
    .await?;
    println!("{}", stage.cluster.kubectl(&["-n", SHOP, "get", "rfp,run,events"]).await?);
    Ok(())
}

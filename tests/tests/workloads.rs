//! The adapter of workloads against a real cluster: what it asks for, what the API server refuses, what it says.
#![allow(clippy::panic)]

use muster_core::effect::{Action, Effect};
use muster_core::facts::{Autoscaler, ComputeFacts, ErrorClass, FenceFacts, Outcome, PowerState, Seen};
use muster_core::ids::{Epoch, Owner, RegionName, Seq, Term};
use muster_core::secret::Secret;
use muster_core::time::Millis;
use muster_providers::kubernetes::{Clusters, Link, Place, ScaleFence, Workload, WorkloadConfig};
use muster_providers::{AdoptedOwners, ComputeControl, FenceControl, OpCtx, SendGuard};
use muster_tests::cluster::{Cluster, Options};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const PATIENCE: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_secs(5);

const SHOP: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {terminationGracePeriodSeconds: 0, containers: [{name: web, image: example.test/web}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: queue}
spec:
  replicas: 1
  serviceName: queue
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: queue}}
  template:
    metadata: {labels: {app: queue}}
    spec: {containers: [{name: queue, image: example.test/queue}]}
";

/// A kind that nobody here knows, but for its scale; as others install them.
const ROLLOUT_KIND: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: rollouts.example.test}
spec:
  group: example.test
  names: {kind: Rollout, plural: rollouts}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas, labelSelectorPath: .status.selector}
";

const ROLLOUT: &str = "
apiVersion: example.test/v1
kind: Rollout
metadata: {name: roll}
spec: {replicas: 1}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: roll}
spec:
  replicas: 1
  selector: {matchLabels: {app: roll}}
  template:
    metadata: {labels: {app: roll}}
    spec: {terminationGracePeriodSeconds: 0, containers: [{name: roll, image: example.test/roll}]}
";

const AUTOSCALER: &str = "
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, minReplicas: 2, maxReplicas: 4}
";

struct Guard;

impl SendGuard for Guard {
    fn may_send(&self) -> bool {
        true
    }
    fn sent(&self) {}
}

fn east() -> RegionName {
    "east".into()
}

/// An effect of `owner`; its number is all that a target compares.
fn by(owner: &str, seq: u64) -> OpCtx {
    let effect = Effect {
        owner: Owner::new(owner),
        epoch: Epoch(3),
        term: Term(1),
        seq: Seq(seq),
        attempt: 1,
        action: Action::Restore { item: "web".into(), region: east(), replicas: None },
        timeout: Millis::from_secs(10),
    };
    OpCtx::new(effect, "checkout-3".to_owned(), Arc::new(Guard))
}

struct Stage {
    cluster: Cluster,
    clusters: Clusters,
    adopted: AdoptedOwners,
}

impl Stage {
    async fn start() -> Self {
        let cluster = Cluster::start("east", Options { workloads: true }).await.expect("a cluster");
        Self { cluster, clusters: Clusters::default(), adopted: AdoptedOwners::default() }
    }

    fn workload(&self, kind: (&str, &str, &str), name: &str, service: Option<&str>) -> Arc<Workload> {
        let text = std::fs::read_to_string(self.cluster.kubeconfig()).expect("a kubeconfig");
        let place = Place { link: self.clusters.link(&Secret::new(text)), namespace: "default".to_owned() };
        Arc::new(Workload::new(WorkloadConfig {
            item: name.into(),
            owner: Owner::new("us"),
            kind: kube::core::GroupVersionKind::gvk(kind.0, kind.1, kind.2),
            name: name.to_owned(),
            service: service.map(str::to_owned),
            places: [(east(), place)].into(),
            adopted: self.adopted.clone(),
        }))
    }

    /// The Deployment as another client sees it.
    fn workload_at(&self, link: Arc<Link>, name: &str) -> Arc<Workload> {
        Arc::new(Workload::new(WorkloadConfig {
            item: name.into(),
            owner: Owner::new("us"),
            kind: kube::core::GroupVersionKind::gvk("apps", "v1", "Deployment"),
            name: name.to_owned(),
            service: Some(name.to_owned()),
            places: [(east(), Place { link, namespace: "default".to_owned() })].into(),
            adopted: self.adopted.clone(),
        }))
    }

    fn web(&self) -> Arc<Workload> {
        self.workload(("apps", "v1", "Deployment"), "web", Some("web"))
    }

    async fn field(&self, object: &str, path: &str) -> String {
        self.cluster
            .kubectl(&["get", object, "-o", &format!("jsonpath={{{path}}}")])
            .await
            .expect("kubectl answers")
    }
}

async fn seen(workload: &Workload) -> ComputeFacts {
    match workload.observe(&east(), LOOK).await {
        Seen::Known(facts) => facts,
        Seen::Unknown(why) => panic!("{why}"),
    }
}

async fn until(workload: &Workload, wanted: impl Fn(&ComputeFacts) -> bool) -> ComputeFacts {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let facts = seen(workload).await;
        if wanted(&facts) {
            return facts;
        }
        assert!(Instant::now() < deadline, "{facts:?}");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workloads_are_scaled_marked_and_given_back() {
    let stage = Stage::start().await;
    stage.cluster.kubectl_apply(SHOP).await.expect("the shop is taken");
    it_is_scaled_up_and_given_back(&stage).await;
    a_stale_and_a_foreign_effect_are_refused(&stage).await;
    a_kind_that_is_known_by_its_scale_alone_is_scaled_too(&stage).await;
    an_autoscaler_gets_a_higher_minimum_and_its_own_back(&stage).await;
    who_applies_the_replicas_is_named_until_it_is_taken_over(&stage).await;
    a_fence_is_on_until_the_last_pod_is_gone(&stage).await;
    what_is_not_there_or_not_allowed_is_said(&stage).await;
    each_permission_of_the_regions_role_is_needed(&stage).await;
    a_cluster_that_hangs_costs_no_more_than_the_deadline(&stage).await;
}

async fn it_is_scaled_up_and_given_back(stage: &Stage) {
    let web = stage.web();
    let before = until(&web, |f| f.ready == 2).await;
    assert_eq!((before.wanted, before.before, &before.witness, &before.keeper), (2, None, &None, &None));
    assert_eq!(web.scale(&east(), 5, &by("us", 7)).await, Outcome::Issued(None));
    let scaled = until(&web, |f| f.ready == 5).await;
    assert_eq!((scaled.wanted, scaled.before), (5, Some(2)));
    assert_eq!(scaled.witness.as_ref().map(|w| (w.epoch, w.seq)), Some((Epoch(3), Seq(7))));
    assert_eq!(web.scale(&east(), 3, &by("us", 8)).await, Outcome::Issued(None));
    assert_eq!(seen(&web).await.wanted, 5, "never fewer than there are");
    assert_eq!(web.restore(&east(), None, &by("us", 9)).await, Outcome::Issued(None));
    let back = until(&web, |f| f.ready == 2).await;
    assert_eq!((back.wanted, back.before), (2, None));
    assert_eq!(web.restore(&east(), None, &by("us", 10)).await, Outcome::AlreadyDone);
    let queue = stage.workload(("apps", "v1", "StatefulSet"), "queue", None);
    assert_eq!(queue.scale(&east(), 3, &by("us", 11)).await, Outcome::Issued(None));
    until(&queue, |f| (f.wanted, f.ready) == (3, 3)).await;
    assert_eq!(queue.restore(&east(), Some(0), &by("us", 12)).await, Outcome::Issued(None));
    until(&queue, |f| (f.wanted, f.ready) == (0, 0)).await;
}

/// What the kind's own controller does: it makes pods, and counts them.
async fn control_rollout(stage: &Stage) {
    let replicas = stage.field("rollout/roll", ".spec.replicas").await;
    stage.cluster.kubectl(&["scale", "rs/roll", "--replicas", &replicas]).await.expect("its pods");
    let status = format!(r#"{{"status":{{"replicas":{replicas},"selector":"app=roll"}}}}"#);
    let patch = ["patch", "rollout/roll", "--subresource=status", "--type=merge", "-p", &status];
    stage.cluster.kubectl(&patch).await.expect("its status");
}

async fn a_kind_that_is_known_by_its_scale_alone_is_scaled_too(stage: &Stage) {
    stage.cluster.kubectl_apply(ROLLOUT_KIND).await.expect("the kind is taken");
    let served = ["wait", "--for=condition=Established", "crd/rollouts.example.test", "--timeout=30s"];
    stage.cluster.kubectl(&served).await.expect("the kind is served");
    stage.cluster.kubectl_apply(ROLLOUT).await.expect("the rollout is taken");
    let roll = stage.workload(("example.test", "v1", "Rollout"), "roll", None);
    let blind = roll.observe(&east(), LOOK).await;
    assert!(matches!(&blind, Seen::Unknown(why) if why.contains("no selector")), "{blind:?}");
    control_rollout(stage).await;
    assert_eq!(until(&roll, |f| f.ready == 1).await.wanted, 1);
    assert_eq!(roll.scale(&east(), 3, &by("us", 30)).await, Outcome::Issued(None));
    assert_eq!(seen(&roll).await.wanted, 3);
    let fence = ScaleFence::new(vec![Arc::clone(&roll)]);
    control_rollout(stage).await;
    until(&roll, |f| (f.wanted, f.ready, f.before) == (3, 3, Some(1))).await;
    assert_eq!(fence.fence(&east(), &by("us", 31)).await, Outcome::Issued(None));
    stage.cluster.kubectl(&["scale", "rs/roll", "--replicas", "0"]).await.expect("its pods");
    until(&roll, |f| (f.wanted, f.ready) == (0, 0)).await;
    let gone = ["wait", "--for=delete", "pod", "-l", "app=roll", "--timeout=30s"];
    stage.cluster.kubectl(&gone).await.expect("no pod is left");
    assert_eq!(status(&fence).await.state, PowerState::On, "its controller has not heard of the zero");
    control_rollout(stage).await;
    let deadline = Instant::now() + PATIENCE;
    while status(&fence).await.state != PowerState::Off {
        assert!(Instant::now() < deadline, "pods are left");
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(roll.restore(&east(), None, &by("us", 32)).await, Outcome::Issued(None));
    assert_eq!((seen(&roll).await.wanted, seen(&roll).await.before), (1, None));
}

async fn a_stale_and_a_foreign_effect_are_refused(stage: &Stage) {
    let web = stage.web();
    assert_eq!(web.scale(&east(), 3, &by("us", 20)).await, Outcome::Issued(None));
    let older = web.scale(&east(), 9, &by("us", 19)).await;
    assert!(matches!(&older, Outcome::StaleEpoch(why) if why.contains("effect 20")), "{older:?}");
    let foreign = web.restore(&east(), None, &by("them", 99)).await;
    assert!(matches!(&foreign, Outcome::Conflict(why) if why.contains("mark of us")), "{foreign:?}");
    assert_eq!(seen(&web).await.wanted, 3);
    stage.adopted.set([Owner::new("us")].into());
    assert_eq!(web.restore(&east(), None, &by("them", 21)).await, Outcome::Issued(None));
    stage.adopted.set([Owner::new("them")].into());
    assert_eq!(web.scale(&east(), 2, &by("us", 22)).await, Outcome::Issued(None));
    stage.adopted.set([].into());
}

async fn an_autoscaler_gets_a_higher_minimum_and_its_own_back(stage: &Stage) {
    let web = stage.web();
    assert_eq!(web.restore(&east(), None, &by("us", 29)).await, Outcome::Issued(None));
    stage.cluster.kubectl_apply(AUTOSCALER).await.expect("the autoscaler is taken");
    let bounds = until(&web, |f| f.autoscaler.is_some()).await.autoscaler;
    assert_eq!(bounds, Some(Autoscaler { min: 2, max: 4 }));
    assert_eq!(web.scale(&east(), 9, &by("us", 30)).await, Outcome::Issued(None));
    let scaled = until(&web, |f| f.ready == 4).await;
    assert!(scaled.is_scaled(9) && scaled.allowed(9) == 4, "{scaled:?}");
    assert_eq!(scaled.autoscaler, Some(Autoscaler { min: 4, max: 4 }));
    assert_eq!(web.restore(&east(), None, &by("us", 31)).await, Outcome::Issued(None));
    let back = until(&web, |f| f.ready == 2).await;
    assert_eq!(back.autoscaler, Some(Autoscaler { min: 2, max: 4 }));
    assert_eq!(stage.field("hpa/web", ".metadata.annotations").await.matches("min-before").count(), 0);
    stage.cluster.kubectl(&["delete", "hpa", "web"]).await.expect("deleted");
}

async fn who_applies_the_replicas_is_named_until_it_is_taken_over(stage: &Stage) {
    let web = stage.web();
    let applied = SHOP.split("---").next().expect("the Deployment").replace("replicas: 2", "replicas: 3");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), applied).expect("written");
    let file = file.path().display().to_string();
    let apply =
        ["apply", "--server-side", "--force-conflicts", "--field-manager=argocd-controller", "-f", &file];
    stage.cluster.kubectl(&apply).await.expect("applied");
    let kept = seen(&web).await;
    assert_eq!((kept.wanted, kept.keeper.as_deref()), (3, Some("argocd-controller")));
    assert_eq!(web.scale(&east(), 5, &by("us", 40)).await, Outcome::Issued(None));
    assert_eq!(seen(&web).await.keeper, None, "the field is ours now");
    let again: Vec<&str> = apply.iter().filter(|arg| **arg != "--force-conflicts").copied().collect();
    let refused = format!("{:#}", stage.cluster.kubectl(&again).await.expect_err("a conflict"));
    assert!(refused.contains("conflict with \"muster\""), "{refused}");
    assert_eq!(web.restore(&east(), Some(2), &by("us", 41)).await, Outcome::Issued(None));
}

async fn status(fence: &ScaleFence) -> FenceFacts {
    match fence.status(&east(), LOOK).await {
        Seen::Known(facts) => facts,
        Seen::Unknown(why) => panic!("{why}"),
    }
}

async fn a_fence_is_on_until_the_last_pod_is_gone(stage: &Stage) {
    let web = stage.web();
    until(&web, |f| f.ready == 2).await;
    let fence = ScaleFence::new(vec![Arc::clone(&web)]);
    let on = status(&fence).await;
    assert_eq!(on.state, PowerState::On);
    assert!(on.id.starts_with("Deployment web ("), "{}", on.id);
    // A finalizer keeps a pod's object, as a node that does not answer does.
    let pods = stage.cluster.kubectl(&["get", "pods", "-l", "app=web", "-o", "name"]).await.expect("pods");
    let pod = pods.lines().next().expect("a pod").to_owned();
    let finalizers = |list: &str| format!(r#"{{"metadata":{{"finalizers":{list}}}}}"#);
    let hold = finalizers(r#"["example.test/hold"]"#);
    stage.cluster.kubectl(&["patch", &pod, "--type=merge", "-p", &hold]).await.expect("held");
    assert_eq!(fence.fence(&east(), &by("us", 50)).await, Outcome::Issued(None));
    until(&web, |f| (f.wanted, f.ready) == (0, 0)).await;
    let terminating = status(&fence).await;
    assert_eq!(terminating.state, PowerState::On, "a pod that is not gone may still write");
    stage.cluster.kubectl(&["patch", &pod, "--type=merge", "-p", &finalizers("[]")]).await.expect("let go");
    let deadline = Instant::now() + PATIENCE;
    while status(&fence).await.state == PowerState::On {
        assert!(Instant::now() < deadline, "the fence is never off");
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(status(&fence).await.id, on.id);
    assert_eq!(fence.unfence(&east(), &by("us", 51)).await, Outcome::Issued(None));
    until(&web, |f| f.ready == 2).await;
    let lifted = status(&fence).await;
    assert_eq!((lifted.state, lifted.is_lifted), (PowerState::On, true));
    // What an active region ran comes back, not what it had as a standby.
    assert_eq!(web.scale(&east(), 4, &by("us", 52)).await, Outcome::Issued(None));
    assert_eq!(fence.fence(&east(), &by("us", 53)).await, Outcome::Issued(None));
    until(&web, |f| f.wanted == 0).await;
    assert!(!status(&fence).await.is_lifted);
    assert_eq!(fence.unfence(&east(), &by("us", 54)).await, Outcome::Issued(None));
    until(&web, |f| (f.ready, f.before) == (4, Some(2))).await;
    assert_eq!(fence.unfence(&east(), &by("us", 55)).await, Outcome::AlreadyDone);
    assert_eq!(web.restore(&east(), None, &by("us", 56)).await, Outcome::Issued(None));
    until(&web, |f| (f.ready, f.before) == (2, None)).await;
}

async fn what_is_not_there_or_not_allowed_is_said(stage: &Stage) {
    let gone = stage.workload(("apps", "v1", "Deployment"), "nowhere", None);
    let unknown = gone.observe(&east(), LOOK).await;
    let Seen::Unknown(why) = unknown else { panic!("{unknown:?}") };
    assert!(why.contains("Deployment default/nowhere") && why.contains("not found"), "{why}");
    let kind = stage.workload(("example.test", "v1", "Widget"), "web", None);
    let Seen::Unknown(why) = kind.observe(&east(), LOOK).await else { panic!("a Widget") };
    assert!(why.contains("Widget"), "{why}");
    let kubeconfig = stage.cluster.kubeconfig_for("nobody", &[]).expect("a client");
    let text = Secret::new(std::fs::read_to_string(kubeconfig).expect("a file"));
    let place = Place { link: stage.clusters.link(&text), namespace: "default".to_owned() };
    let mut config = WorkloadConfig {
        item: "web".into(),
        owner: Owner::new("us"),
        kind: kube::core::GroupVersionKind::gvk("apps", "v1", "Deployment"),
        name: "web".to_owned(),
        service: None,
        places: [(east(), place)].into(),
        adopted: AdoptedOwners::default(),
    };
    let denied = Workload::new(config.clone()).scale(&east(), 5, &by("us", 60)).await;
    // Several things are asked for at once; the first refusal is told.
    let is_refusal = |why: &str| why.contains("forbidden: User \"nobody\" cannot ");
    assert!(matches!(&denied, Outcome::Failed(ErrorClass::Denied, why) if is_refusal(why)), "{denied:?}");
    config.places.clear();
    let nowhere = Workload::new(config).scale(&east(), 5, &by("us", 61)).await;
    assert!(matches!(nowhere, Outcome::Failed(ErrorClass::Invalid, _)), "{nowhere:?}");
}

/// What no longer works without a permission.
const NEEDED: [(&str, &str, &str); 10] = [
    ("deployments", "get", "look"),
    ("deployments/scale", "get", "look"),
    ("horizontalpodautoscalers", "list", "look"),
    ("pods", "list", "look"),
    ("endpointslices", "list", "look"),
    ("deployments", "patch", "scale"),
    ("deployments/scale", "patch", "scale"),
    ("horizontalpodautoscalers", "patch", "scale"),
    ("secrets", "get", "nothing"),
    ("", "", "nothing"),
];

async fn each_permission_of_the_regions_role_is_needed(stage: &Stage) {
    let role = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/region-role.yaml");
    let role = std::fs::read_to_string(role).expect("the role");
    let role: Value = serde_yaml_ng::from_str(&role).expect("YAML");
    stage.cluster.kubectl_apply(AUTOSCALER).await.expect("an autoscaler");
    for (index, (resource, verb, breaks)) in NEEDED.iter().enumerate() {
        let name = format!("without-{index}");
        let mut role = role.clone();
        role["metadata"]["name"] = name.clone().into();
        let rules = role["rules"].as_array_mut().expect("rules");
        let names =
            |rule: &Value| rule["resources"].as_array().expect("resources").iter().any(|r| r == resource);
        for rule in rules.iter_mut().filter(|rule| names(rule)) {
            rule["verbs"].as_array_mut().expect("verbs").retain(|of| of != verb);
        }
        rules.retain(|rule| rule["verbs"].as_array().is_some_and(|verbs| !verbs.is_empty()));
        stage.cluster.kubectl_apply(&role.to_string()).await.expect("a role");
        let bind = ["create", "rolebinding", &name, &format!("--role={name}"), &format!("--user={name}")];
        stage.cluster.kubectl(&bind).await.expect("a binding");
        let kubeconfig = std::fs::read_to_string(stage.cluster.kubeconfig_for(&name, &[]).expect("a client"));
        let link = stage.clusters.link(&Secret::new(kubeconfig.expect("a file")));
        let web = stage.workload_at(link, "web");
        let left = if *resource == "pods" { ["get", "deployments"] } else { ["list", "pods"] };
        until_in_force(stage, &name, left).await;
        let (first, why) = first_broken(stage, &web, 100 + 10 * index as u64, breaks).await;
        assert_eq!(first, *breaks, "without {verb} on {resource}: {why}");
        assert!(first == "nothing" || why.contains("forbidden"), "{why}");
    }
    stage.cluster.kubectl(&["delete", "hpa", "web"]).await.expect("deleted");
}

/// RBAC takes a moment to be in force: until a role's user may do what it leaves them, everything is refused.
async fn until_in_force(stage: &Stage, user: &str, [verb, resource]: [&str; 2]) {
    let user = format!("--as={user}");
    let deadline = Instant::now() + PATIENCE;
    while let Err(why) = stage.cluster.kubectl(&["auth", "can-i", verb, resource, &user]).await {
        assert!(Instant::now() < deadline, "{why:#}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// The first step that fails, and its words. One that was not expected is asked again: an answer may be late.
async fn first_broken(stage: &Stage, web: &Arc<Workload>, seq: u64, expect: &str) -> (&'static str, String) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let look = web.observe(&east(), LOOK).await;
        let (step, why) = match look {
            Seen::Unknown(why) => ("look", why),
            Seen::Known(_) => match web.scale(&east(), 4, &by("us", seq)).await {
                Outcome::Failed(_, why) => ("scale", why),
                _ => ("nothing", String::new()),
            },
        };
        let is_expected = step == expect && (step == "nothing" || why.contains("forbidden"));
        if is_expected || Instant::now() >= deadline {
            let admin = stage.web();
            assert!(!matches!(
                admin.restore(&east(), Some(2), &by("us", seq + 1)).await,
                Outcome::Failed(..)
            ));
            return (step, why);
        }
        sleep(Duration::from_millis(300)).await;
    }
}

async fn a_cluster_that_hangs_costs_no_more_than_the_deadline(stage: &Stage) {
    let web = stage.web();
    stage.cluster.pause_api_server().await.expect("paused");
    // A busy machine may keep some of them waiting, not all.
    let is_quick = |(_, took): &(Seen<ComputeFacts>, Duration)| *took < Duration::from_secs(2);
    let mut looks = Vec::new();
    while looks.len() < 5 && !looks.iter().any(is_quick) {
        let began = Instant::now();
        let seen = web.observe(&east(), Duration::from_millis(700)).await;
        looks.push((seen, began.elapsed()));
    }
    stage.cluster.resume_api_server().await.expect("resumed");
    assert!(looks.iter().all(|(seen, _)| matches!(seen, Seen::Unknown(_))), "{looks:?}");
    assert!(looks.iter().any(is_quick), "{looks:?}");
    stage.cluster.stop_api_server().await;
    let dead = web.scale(&east(), 5, &by("us", 70)).await;
    assert!(matches!(dead, Outcome::Failed(ErrorClass::Transient, _)), "{dead:?}");
    stage.cluster.start_api_server().await.expect("started");
    until(&web, |f| f.ready == 2).await;
    let managed = stage.field("deployment/web", ".metadata.managedFields[*].manager").await;
    assert!(managed.contains("muster"), "{managed}");
    let annotations = stage.field("deployment/web", ".metadata.annotations").await;
    let annotations: Value = serde_json::from_str(&annotations).expect("annotations");
    assert!(
        annotations["muster.dev/witness"].is_string() && annotations["muster.dev/replicas-before"].is_null()
    );
}

//! What a region's cluster says of a workload, of its pods and of its autoscaler.

use super::call::{Effect, Failure, within};
use super::marks::{BEFORE, FENCED, keeper_of, read_number, read_witness};
use super::workload::{Object, Workload};
use k8s_openapi::api::autoscaling::v1::Scale;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use kube::core::ApiResource;
use kube::{Api, Client};
use muster_core::facts::{Autoscaler, ComputeFacts, ErrorClass};
use muster_core::ids::RegionName;
use std::collections::BTreeSet;
use std::time::Duration;

/// Of one read; a look makes two in a row.
pub(super) const READ: Duration = Duration::from_secs(4);
/// Pods and endpoint slices of one page.
const PAGE: u32 = 500;

/// How the objects of one place are reached.
#[derive(Clone)]
pub(super) struct Objects {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) resource: ApiResource,
}

impl Objects {
    pub(super) fn workloads(&self) -> Api<Object> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &self.resource)
    }

    pub(super) fn autoscalers(&self) -> Api<HorizontalPodAutoscaler> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

/// A workload as its cluster has it.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) facts: ComputeFacts,
    /// Pods that exist and have not run to their end, also while they are terminated.
    pub(super) pods: u32,
    /// Endpoints of its Service, ready or not.
    pub(super) endpoints: u32,
    /// A fence holds it at zero.
    pub(super) is_fenced: bool,
    /// Its controller has seen what is asked for, and counts that many.
    pub(super) is_settled: bool,
}

/// The workload and its replicas.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) object: Object,
    pub(super) scale: Scale,
    pub(super) autoscaler: Option<HorizontalPodAutoscaler>,
}

impl Head {
    pub(super) fn replicas(&self) -> u32 {
        count(self.scale.spec.as_ref().and_then(|spec| spec.replicas))
    }
}

/// Replicas in an object; a negative or absent number is none.
pub(super) fn count(replicas: Option<i32>) -> u32 {
    replicas.and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
}

/// Reads the workload, its replicas and its autoscaler.
pub(super) async fn read_head(workload: &Workload, objects: &Objects) -> Result<Head, Failure> {
    let (api, name) = (objects.workloads(), workload.config.name.as_str());
    let autoscalers = objects.autoscalers();
    let everything = ListParams::default();
    let (object, scale, listed) = tokio::try_join!(
        within(Effect::Read, READ, api.get(name)),
        within(Effect::Read, READ, api.get_scale(name)),
        within(Effect::Read, READ, autoscalers.list(&everything)),
    )?;
    let kind = &workload.config.kind;
    let is_its = |hpa: &HorizontalPodAutoscaler| {
        let target = hpa.spec.as_ref().map(|spec| &spec.scale_target_ref);
        target.is_some_and(|t| {
            let group =
                t.api_version.as_deref().unwrap_or_default().split_once('/').map_or("", |(group, _)| group);
            t.kind == kind.kind && t.name == name && group == kind.group
        })
    };
    Ok(Head { object, scale, autoscaler: listed.items.into_iter().find(is_its) })
}

/// Looks at everything.
pub(super) async fn look(workload: &Workload, region: &RegionName) -> Result<Looked, Failure> {
    let named = |failure: Failure| {
        Failure::new(failure.class, format!("{}: {}", workload.title(region), failure.why))
    };
    look_at(workload, region).await.map_err(named)
}

async fn look_at(workload: &Workload, region: &RegionName) -> Result<Looked, Failure> {
    let objects = workload.reach(region).await?;
    let head = read_head(workload, &objects).await?;
    let selector =
        head.scale.status.as_ref().and_then(|status| status.selector.as_deref()).unwrap_or_default();
    if selector.is_empty() {
        return Err(Failure::new(
            ErrorClass::Invalid,
            "its scale names no selector: its pods cannot be counted",
        ));
    }
    let pods: Api<Pod> = Api::namespaced(objects.client.clone(), &objects.namespace);
    let slices: Api<EndpointSlice> = Api::namespaced(objects.client.clone(), &objects.namespace);
    let (pods, endpoints) =
        tokio::try_join!(count_pods(&pods, selector), count_endpoints(&slices, workload))?;
    let ready = if workload.config.service.is_some() { endpoints.ready } else { pods.ready };
    let facts = facts_of(&head, ready).map_err(|why| Failure::new(ErrorClass::Invalid, why))?;
    let is_fenced = read_number(&head.object.metadata, FENCED).is_some();
    let is_settled = is_settled(&head);
    Ok(Looked { facts, pods: pods.all, endpoints: endpoints.all, is_fenced, is_settled })
}

fn is_settled(head: &Head) -> bool {
    let counted = head.scale.status.as_ref().map(|status| count(Some(status.replicas)));
    let observed = head.object.data.pointer("/status/observedGeneration").and_then(serde_json::Value::as_i64);
    let is_observed =
        observed.is_none_or(|seen| head.object.metadata.generation.is_none_or(|now| seen >= now));
    counted == Some(head.replicas()) && is_observed
}

fn facts_of(head: &Head, ready: u32) -> Result<ComputeFacts, String> {
    let meta = &head.object.metadata;
    let wanted = head.replicas();
    let bounds = |hpa: &HorizontalPodAutoscaler| {
        let spec = hpa.spec.as_ref()?;
        Some(Autoscaler { min: count(spec.min_replicas.or(Some(1))), max: count(Some(spec.max_replicas)) })
    };
    let of_autoscaler = head.autoscaler.as_ref().and_then(|hpa| keeper_of(&hpa.metadata, "minReplicas"));
    // With an autoscaler the number of replicas is its own to set, whoever wrote it once.
    let keeper = if head.autoscaler.is_some() { of_autoscaler } else { keeper_of(meta, "replicas") };
    Ok(ComputeFacts {
        id: meta.uid.clone().unwrap_or_default(),
        wanted,
        ready,
        recent: wanted,
        autoscaler: head.autoscaler.as_ref().and_then(bounds),
        before: read_number(meta, BEFORE).or_else(|| read_number(meta, FENCED)),
        witness: read_witness(meta)?,
        keeper,
    })
}

/// So many, and so many of them ready.
#[derive(Clone, Copy, Default, Debug)]
struct Counted {
    all: u32,
    ready: u32,
}

async fn count_pods(pods: &Api<Pod>, selector: &str) -> Result<Counted, Failure> {
    let mut counted = Counted::default();
    let mut params = ListParams::default().labels(selector).limit(PAGE);
    loop {
        let page = within(Effect::Read, READ, pods.list(&params)).await?;
        for pod in &page.items {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            if matches!(phase, Some("Succeeded" | "Failed")) {
                continue;
            }
            counted.all += 1;
            counted.ready += u32::from(is_ready(pod));
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => return Ok(counted),
        }
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
}

async fn count_endpoints(slices: &Api<EndpointSlice>, workload: &Workload) -> Result<Counted, Failure> {
    let Some(service) = &workload.config.service else { return Ok(Counted::default()) };
    let params = ListParams::default().labels(&format!("kubernetes.io/service-name={service}")).limit(PAGE);
    let listed = within(Effect::Read, READ, slices.list(&params)).await?;
    // A Service with two address families has a slice of each: the pod behind both counts once.
    let (mut all, mut ready) = (BTreeSet::new(), BTreeSet::new());
    for endpoint in listed.items.iter().flat_map(|slice| &slice.endpoints) {
        let pod = endpoint.target_ref.as_ref().and_then(|target| target.name.clone());
        let who = pod.or_else(|| endpoint.addresses.first().cloned()).unwrap_or_default();
        if endpoint.conditions.as_ref().and_then(|c| c.ready) != Some(false) {
            ready.insert(who.clone());
        }
        all.insert(who);
    }
    let size = |set: &BTreeSet<String>| u32::try_from(set.len()).unwrap_or(u32::MAX);
    Ok(Counted { all: size(&all), ready: size(&ready) })
}

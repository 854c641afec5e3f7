//! Compute items and the clusters of regions: what the core plans with, and what the adapters reach.

use super::findings::{Findings, one_of};
use super::names::is_domain_name;
use super::requests::{Resolver, exactly_one, within};
use super::{Environment, millis};
use muster_core::ids::{ClaimKey, ItemName, RegionName};
use muster_core::policy::{ComputeItem, ScaleTo};
use muster_core::secret::Secret;
use muster_crds::policy::{self as api, RegionFailoverPolicySpec};
use muster_providers::kubernetes::check_kubeconfig;
use std::collections::BTreeMap;

/// One compute item's adapter.
#[derive(Clone, Debug)]
pub struct ComputeConfig {
    /// API group, version and kind.
    pub kind: (String, String, String),
    /// The object's name.
    pub name: String,
    /// A Service whose endpoints count.
    pub service: Option<String>,
    /// Where it is, by region.
    pub places: BTreeMap<RegionName, ClusterPlace>,
}

/// A region's cluster, and the namespace in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClusterPlace {
    /// `None`: the cluster that Muster runs in.
    pub kubeconfig: Option<Secret>,
    /// The namespace.
    pub namespace: String,
}

/// Converts compute items; regions' clusters are checked also where nothing uses them yet.
pub(super) fn convert(
    spec: &RegionFailoverPolicySpec,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> (Vec<ComputeItem>, BTreeMap<ItemName, ComputeConfig>) {
    let places = places_of(spec, resolver, findings);
    check_clusters(spec, findings);
    let (mut items, mut configs) = (Vec::<ComputeItem>::new(), BTreeMap::new());
    for (index, item) in spec.compute.iter().enumerate() {
        let path = format!("spec.compute[{index}]");
        exactly_one(&[("scale", item.scale.is_some())], &path, "engine", findings);
        let Some(scale) = &item.scale else { continue };
        let path = format!("{path}.scale");
        check_scale(scale, &path, findings);
        let item = item_of(item, scale, spec, resolver);
        if let Some(other) = items.iter().find(|other| !other.claims.is_disjoint(&item.claims)) {
            let message = format!("{} scales the same {} too", other.name, scale.target.kind);
            findings.error(format!("{path}.target"), message, "keep one item for each workload");
        }
        configs.insert(item.name.clone(), config_of(scale, &places));
        items.push(item);
    }
    (items, configs)
}

fn item_of(
    item: &api::Compute,
    scale: &api::Scale,
    spec: &RegionFailoverPolicySpec,
    resolver: &Resolver<'_>,
) -> ComputeItem {
    let target = &scale.target;
    let claim = |region: &api::Region| {
        let (place, namespace) = place_words(region, resolver);
        ClaimKey::new(format!(
            "scale/{place}/{namespace}/{}/{}/{}",
            target.api_version, target.kind, target.name
        ))
    };
    ComputeItem {
        name: ItemName::new(item.name.as_str()),
        claims: spec.regions.iter().filter(|region| region.cluster.is_some()).map(claim).collect(),
        to: match (scale.to.replicas, scale.to.percent_of_peak) {
            (Some(replicas), _) => ScaleTo::Replicas(replicas),
            (None, percent) => ScaleTo::PercentOfPeak {
                percent: percent.unwrap_or(100),
                at_least: scale.to.at_least.unwrap_or(1),
            },
        },
        standby: scale.standby_replicas,
        ready_before_fence: scale.ready_before_fence,
        expected_ready: millis(scale.expected_ready),
        ready_timeout: millis(scale.timeout),
    }
}

fn config_of(scale: &api::Scale, places: &BTreeMap<RegionName, ClusterPlace>) -> ComputeConfig {
    let target = &scale.target;
    let (group, version) = target.api_version.split_once('/').unwrap_or(("", target.api_version.as_str()));
    ComputeConfig {
        kind: (group.to_owned(), version.to_owned(), target.kind.to_string()),
        name: target.name.to_string(),
        service: scale.service.as_ref().map(ToString::to_string),
        places: places.clone(),
    }
}

fn check_scale(scale: &api::Scale, path: &str, findings: &mut Findings) {
    let target = &scale.target;
    let parts: Vec<&str> = target.api_version.split('/').collect();
    if parts.len() > 2 || parts.iter().any(|part| !is_domain_name(part)) {
        let message = format!("`{}` is not an API version", target.api_version);
        findings.error(format!("{path}.target.apiVersion"), message, "write it like apps/v1");
    }
    if !target.kind.starts_with(|c: char| c.is_ascii_uppercase())
        || !target.kind.chars().all(|c| c.is_ascii_alphanumeric())
    {
        let message = format!("`{}` is not a kind", target.kind);
        findings.error(format!("{path}.target.kind"), message, "write it like Deployment");
    }
    let names = [("target.name", Some(&*target.name)), ("service", scale.service.as_deref())];
    for (field, name) in names.into_iter().filter_map(|(field, name)| Some((field, name?))) {
        if !is_object_name(name) {
            let message = format!("`{name}` is not the name of an object");
            findings.error(format!("{path}.{field}"), message, "use lower-case letters, digits, `-` and `.`");
        }
    }
    exactly_one(
        &[("percentOfPeak", scale.to.percent_of_peak.is_some()), ("replicas", scale.to.replicas.is_some())],
        &format!("{path}.to"),
        "number of replicas",
        findings,
    );
    if scale.to.at_least.is_some() && scale.to.percent_of_peak.is_none() {
        findings.error(
            format!("{path}.to.atLeast"),
            "nothing is a share of a peak here",
            "leave atLeast out",
        );
    }
    within(scale.timeout, ("1s", "1h"), &format!("{path}.timeout"), findings);
    if scale.expected_ready > scale.timeout {
        let message = format!("{} is above the timeout of {}", scale.expected_ready, scale.timeout);
        findings.error(format!("{path}.expectedReady"), message, "use a shorter time, or a longer timeout");
    }
}

fn is_object_name(name: &str) -> bool {
    is_domain_name(name)
        && !name.ends_with('.')
        && !name.contains(|c: char| c.is_ascii_uppercase() || c == '_')
}

fn check_clusters(spec: &RegionFailoverPolicySpec, findings: &mut Findings) {
    for (index, region) in spec.regions.iter().enumerate() {
        if region.cluster.is_none() && !spec.compute.is_empty() {
            let message = format!("{} has no cluster, and compute runs in every region", region.name);
            findings.error(
                format!("spec.regions[{index}].cluster"),
                message,
                "add kubeconfigSecret, or inCluster: {}",
            );
        }
        let same = |other: &&api::Region| region.cluster.is_some() && other.cluster == region.cluster;
        if let Some(other) = spec.regions.iter().take(index).find(same) {
            let message =
                format!("{} and {} are the same namespace of the same cluster", other.name, region.name);
            findings.error(
                format!("spec.regions[{index}].cluster"),
                message,
                "give each region a cluster of its own",
            );
        }
    }
}

fn places_of(
    spec: &RegionFailoverPolicySpec,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> BTreeMap<RegionName, ClusterPlace> {
    let mut places = BTreeMap::new();
    for (index, region) in spec.regions.iter().enumerate() {
        let Some(cluster) = &region.cluster else { continue };
        let path = format!("spec.regions[{index}].cluster");
        let keys = [
            ("kubeconfigSecret", cluster.kubeconfig_secret.is_some()),
            ("inCluster", cluster.in_cluster.is_some()),
        ];
        exactly_one(&keys, &path, "way to a cluster", findings);
        if cluster.in_cluster.is_some() && resolver.with.environment == Environment::Local {
            let message = "`muster local` runs in no cluster";
            findings.error(format!("{path}.inCluster"), message, "use kubeconfigSecret");
        }
        if cluster.namespace.is_some() && cluster.kubeconfig_secret.is_none() {
            let message = "in Muster's own cluster the policy's namespace is used, and no other";
            findings.error(format!("{path}.namespace"), message, "leave namespace out");
        }
        let path = format!("{path}.kubeconfigSecret");
        let kubeconfig = resolver.optional(cluster.kubeconfig_secret.as_ref(), &path, findings);
        if let Some(Err(error)) = kubeconfig.as_ref().map(check_kubeconfig) {
            findings.error(path, error.to_string(), "docs/compute.md says how to write one");
        }
        let (_, namespace) = place_words(region, resolver);
        places.insert(RegionName::new(region.name.as_str()), ClusterPlace { kubeconfig, namespace });
    }
    places
}

/// The cluster by the name of its Secret, and the namespace.
fn place_words(region: &api::Region, resolver: &Resolver<'_>) -> (String, String) {
    let cluster = region.cluster.as_ref();
    let secret = cluster.and_then(|cluster| cluster.kubeconfig_secret.as_ref());
    let place = secret.map_or_else(
        || "in-cluster".to_owned(),
        |secret| format!("{}/{}/{}", resolver.namespace, secret.name, secret.key),
    );
    let namespace = cluster.and_then(|cluster| cluster.namespace.as_ref()).map(ToString::to_string);
    (place, namespace.unwrap_or_else(|| resolver.namespace.clone()))
}

/// Finds whether a fence by scale names workloads of the policy.
pub(super) fn check_fence(
    spec: &RegionFailoverPolicySpec,
    fence: &api::FenceScaleToZero,
    path: &str,
    findings: &mut Findings,
) {
    for (index, name) in fence.compute.iter().enumerate() {
        let path = format!("{path}.compute[{index}]");
        if !spec.compute.iter().any(|item| item.name == *name) {
            let message = format!("there is no compute item `{name}` in spec.compute");
            findings.error(path, message, one_of(spec.compute.iter().map(|item| item.name.as_str())));
        }
    }
}

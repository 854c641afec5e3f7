//! Records of a hosted zone that routing controls decide on.

use super::super::findings::Findings;
use super::{Pointed, Steered};
use muster_core::ids::{ClaimKey, RegionName};
use muster_crds::policy as api;
use muster_providers::route53::{ClusterEndpoint, ControlPlace};
use std::collections::BTreeMap;

/// `path` is that of the engine.
pub(super) fn steered<'a>(
    zone: &'a api::Route53,
    controls: &'a api::RoutingControl,
    path: String,
) -> Steered<'a> {
    let claim = |region: &api::RoutingControlRegion| {
        ClaimKey::new(format!("arc/{}", region.routing_control_arn.as_str()))
    };
    let point =
        |region: &'a api::RoutingControlRegion| Pointed { region: &region.region, address: &region.address };
    Steered {
        engine: "route53",
        way: format!("{path}.flip.routingControl"),
        path,
        zone: &zone.zone,
        record: &zone.record,
        ttl: controls.ttl,
        timeout: zone.timeout,
        shortest_timeout: "1s",
        list: "regions",
        targets: controls.regions.iter().map(point).collect(),
        claims: controls.regions.iter().map(claim).collect(),
    }
}

/// Each region's routing control.
pub(super) fn places(controls: &api::RoutingControl) -> BTreeMap<RegionName, ControlPlace> {
    let place = |region: &api::RoutingControlRegion| ControlPlace {
        arn: region.routing_control_arn.to_string(),
        health_check: region.health_check_id.to_string(),
    };
    controls.regions.iter().map(|region| (RegionName::new(region.region.as_str()), place(region))).collect()
}

/// The cluster's.
pub(super) fn endpoints(controls: &api::RoutingControl) -> Vec<ClusterEndpoint> {
    let endpoint = |endpoint: &api::ClusterEndpoint| ClusterEndpoint {
        aws_region: endpoint.region.to_string(),
        url: endpoint.url.to_string(),
    };
    controls.endpoints.iter().map(endpoint).collect()
}

/// `way` is the path of the fields.
pub(super) fn check(controls: &api::RoutingControl, way: &str, findings: &mut Findings) {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for (index, endpoint) in controls.endpoints.iter().enumerate() {
        let path = format!("{way}.endpoints[{index}]");
        let (region, url) = (endpoint.region.as_str(), endpoint.url.as_str());
        if let Some(other) = seen.insert(url, region) {
            let message = format!("is that of {other} too: if one is away, so is the other");
            findings.error(
                format!("{path}.url"),
                message,
                "give each of the cluster's endpoints its own URL",
            );
        }
        if controls.endpoints.iter().take(index).any(|earlier| earlier.region.as_str() == region) {
            let message = format!("`{region}` is listed twice");
            findings.error(format!("{path}.region"), message, "list each of the cluster's regions once");
        }
    }
    check_regions(controls, &format!("{way}.regions"), findings);
}

fn check_regions(controls: &api::RoutingControl, path: &str, findings: &mut Findings) {
    let mut seen: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    let panel = |region: &api::RoutingControlRegion| {
        let arn = region.routing_control_arn.as_str();
        arn.split_once("/routingcontrol/").map(|(panel, _)| panel.to_owned())
    };
    let first = controls.regions.first().and_then(panel);
    for (index, region) in controls.regions.iter().enumerate() {
        for (field, value, fix) in [
            (
                "routingControlArn",
                region.routing_control_arn.as_str(),
                "create a routing control for each region",
            ),
            (
                "healthCheckId",
                region.health_check_id.as_str(),
                "create a health check for each routing control",
            ),
        ] {
            if let Some(other) = seen.insert((field, value), region.region.as_str()) {
                let message = format!("is that of {other} too: the two would be switched as one");
                findings.error(format!("{path}[{index}].{field}"), message, fix);
            }
        }
        if panel(region) != first {
            let message = "is of another control panel than the first region's";
            let fix = "put the routing controls of a name into one control panel: safety rules know no other";
            findings.error(format!("{path}[{index}].routingControlArn"), message, fix);
        }
    }
}

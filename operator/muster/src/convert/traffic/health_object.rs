//! Failover records of a hosted zone that objects decide on.

use super::super::findings::Findings;
use super::super::names::fold;
use super::super::requests::Resolver;
use super::{Pointed, Steered};
use muster_core::ids::{ClaimKey, RegionName};
use muster_core::secret::Secret;
use muster_crds::policy as api;
use muster_providers::route53::{HealthObjectConfig, MarkerPlace};
use std::collections::BTreeMap;

/// `path` is that of the engine.
pub(super) fn steered<'a>(
    zone: &'a api::Route53,
    objects: &'a api::HealthObject,
    path: String,
) -> Steered<'a> {
    let claim = |place: &MarkerPlace| ClaimKey::new(format!("s3/{}/{}", place.bucket, place.key));
    let point =
        |region: &'a api::HealthObjectRegion| Pointed { region: &region.region, address: &region.address };
    Steered {
        engine: "route53",
        way: format!("{path}.flip.healthObject"),
        path,
        zone: &zone.zone,
        record: &zone.record,
        ttl: objects.ttl,
        timeout: zone.timeout,
        shortest_timeout: "1s",
        list: "regions",
        targets: objects.regions.iter().map(point).collect(),
        claims: markers(objects, &zone.record).values().map(claim).collect(),
    }
}

/// Where each region's object is.
pub(super) fn markers(objects: &api::HealthObject, record: &str) -> BTreeMap<RegionName, MarkerPlace> {
    let place = |region: &api::HealthObjectRegion| MarkerPlace {
        bucket: region.bucket.to_string(),
        key: region.key.as_ref().map_or_else(|| format!("muster/{}", fold(record)), ToString::to_string),
        aws_region: region.bucket_region.to_string(),
        health_check: region.health_check_id.to_string(),
    };
    objects.regions.iter().map(|region| (RegionName::new(region.region.as_str()), place(region))).collect()
}

/// `way` is the path of the fields.
pub(super) fn check(objects: &api::HealthObject, way: &str, findings: &mut Findings) {
    let path = format!("{way}.regions");
    if objects.regions.len() != 2 {
        let message = format!(
            "has {} regions, and failover records know two: a primary and a secondary",
            objects.regions.len()
        );
        findings.error(&path, message, "use flip.routingControl or flip.record for more than two regions");
    }
    let pin = objects.pin_health_check_id.as_ref().map(ToString::to_string);
    if let Some(shared) = objects.regions.iter().find(|r| Some(r.health_check_id.to_string()) == pin) {
        let message = format!("is that of {} too, which watches an object", shared.region);
        findings.error(format!("{way}.pinHealthCheckId"), message, "create one for it, and disable it");
    }
    let mut seen: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for (index, region) in objects.regions.iter().enumerate() {
        for (field, value, fix) in [
            ("bucket", region.bucket.as_str(), "give each region a bucket of its own"),
            ("bucketRegion", region.bucket_region.as_str(), "put each region's bucket into that region"),
            ("healthCheckId", region.health_check_id.as_str(), "create a health check for each object"),
        ] {
            if let Some(other) = seen.insert((field, value), region.region.as_str()) {
                let message = format!("`{value}` is that of {other} too: the two would fail together");
                findings.error(format!("{path}[{index}].{field}"), message, fix);
            }
        }
    }
}

/// What the health checks look for.
pub(super) fn secret(
    objects: &api::HealthObject,
    way: &str,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> Secret {
    let path = format!("{way}.secret");
    let secret = resolver.secret(&objects.secret, &path, findings);
    // One that cannot be had was found already.
    let is_there = resolver.with.secrets.is_real() && !secret.expose().is_empty();
    if is_there && !HealthObjectConfig::is_secret(secret.expose()) {
        let message = "the value is not 16 to 128 letters and digits";
        findings.error(path, message, "make one, for example by `openssl rand -hex 16`");
    }
    secret
}

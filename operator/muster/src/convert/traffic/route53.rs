//! Hosted zones of Amazon Route 53.

use super::super::findings::Findings;
use super::super::names::is_host;
use super::super::requests::{Resolver, exactly_one};
use super::{Steered, TrafficConfig, health_object, pointed, routing_control};
use muster_core::ids::ItemName;
use muster_crds::policy as api;
use muster_providers::aws::AwsAccess;
use muster_providers::route53::{HealthObjectConfig, Route53Config, RoutingControlConfig, ServerName};
use std::collections::BTreeSet;

/// `None`: no way to flip is given, which was said.
pub(super) fn steered<'a>(
    zone: &'a api::Route53,
    item: &str,
    findings: &mut Findings,
) -> Option<Steered<'a>> {
    let path = format!("{item}.route53");
    let way = format!("{path}.flip");
    let flip = &zone.flip;
    let ways = [
        ("record", flip.record.is_some()),
        ("healthObject", flip.health_object.is_some()),
        ("routingControl", flip.routing_control.is_some()),
    ];
    exactly_one(&ways, &way, "way", findings);
    if let Some(objects) = &flip.health_object {
        return Some(health_object::steered(zone, objects, path));
    }
    if let Some(controls) = &flip.routing_control {
        return Some(routing_control::steered(zone, controls, path));
    }
    let record = flip.record.as_ref()?;
    Some(Steered {
        engine: "route53",
        way: format!("{way}.record"),
        path,
        zone: &zone.zone,
        record: &zone.record,
        ttl: record.ttl,
        timeout: zone.timeout,
        shortest_timeout: "1s",
        list: "targets",
        targets: pointed(&record.targets),
        claims: BTreeSet::new(),
    })
}

pub(super) fn convert(
    item: ItemName,
    zone: &api::Route53,
    steered: &Steered<'_>,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> TrafficConfig {
    let path = &steered.path;
    let servers = convert_servers(zone, path, findings);
    if zone.external_id_secret.is_some() && zone.role_arn.is_none() {
        let message = "an external id goes with a role";
        findings.error(format!("{path}.externalIdSecret"), message, "give roleArn, or leave it out");
    }
    let secret =
        resolver.optional(zone.external_id_secret.as_ref(), &format!("{path}.externalIdSecret"), findings);
    let access = AwsAccess {
        role_arn: zone.role_arn.as_ref().map(ToString::to_string),
        external_id: secret.map(|secret| secret.expose().to_owned()),
    };
    let (name, zone_id) = (steered.config(resolver), zone.zone_id.to_string());
    if let (None, Some(controls)) = (&zone.flip.health_object, &zone.flip.routing_control) {
        routing_control::check(controls, &steered.way, findings);
        let (endpoints, controls) = (routing_control::endpoints(controls), routing_control::places(controls));
        let config = RoutingControlConfig { item, name, zone_id, servers, endpoints, controls };
        return TrafficConfig::RoutingControl(config, access);
    }
    let Some(objects) = &zone.flip.health_object else {
        return TrafficConfig::Route53(Route53Config { item, name, zone_id, servers }, access);
    };
    health_object::check(objects, &steered.way, findings);
    let secret = health_object::secret(objects, &steered.way, resolver, findings);
    let markers = health_object::markers(objects, &zone.record);
    let pin_check = objects.pin_health_check_id.as_ref().map(ToString::to_string);
    let config = HealthObjectConfig { item, name, zone_id, servers, secret, markers, pin_check };
    TrafficConfig::HealthObject(config, access)
}

fn convert_servers(zone: &api::Route53, path: &str, findings: &mut Findings) -> Vec<ServerName> {
    let (mut servers, mut seen) = (Vec::new(), BTreeSet::new());
    for (index, text) in zone.name_servers.iter().enumerate() {
        let path = format!("{path}.nameServers[{index}]");
        match ServerName::parse(text).filter(|server| is_host(server.host())) {
            None => {
                let message = format!("`{text}` is not a name server");
                findings.error(
                    path,
                    message,
                    "write it like ns-1.awsdns-00.com, with a port if it is not 53",
                );
            }
            Some(server) if !seen.insert(server.to_string()) => {
                findings.error(path, format!("{text} is listed twice"), "list each server once");
            }
            Some(server) => servers.push(server),
        }
    }
    servers
}

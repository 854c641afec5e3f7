//! Hosted zones of Amazon Route 53.

use super::super::findings::Findings;
use super::super::names::is_host;
use super::super::requests::{Resolver, exactly_one};
use super::Steered;
use muster_core::ids::ItemName;
use muster_crds::policy as api;
use muster_providers::aws::AwsAccess;
use muster_providers::route53::{Route53Config, ServerName};
use std::collections::BTreeSet;

/// `None`: no way to flip is given, which was said.
pub(super) fn steered<'a>(
    zone: &'a api::Route53,
    item: &str,
    findings: &mut Findings,
) -> Option<Steered<'a>> {
    let path = format!("{item}.route53");
    let way = format!("{path}.flip");
    exactly_one(&[("record", zone.flip.record.is_some())], &way, "way", findings);
    let record = zone.flip.record.as_ref()?;
    Some(Steered {
        engine: "route53",
        way: format!("{way}.record"),
        path,
        zone: &zone.zone,
        record: &zone.record,
        ttl: record.ttl,
        timeout: zone.timeout,
        shortest_timeout: "1s",
        targets: &record.targets,
    })
}

pub(super) fn convert(
    item: ItemName,
    zone: &api::Route53,
    steered: &Steered<'_>,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> (Route53Config, AwsAccess) {
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
    let zone_id = zone.zone_id.to_string();
    (Route53Config { item, name: steered.config(resolver), zone_id, servers }, access)
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

//! Name servers that take dynamic updates.

use super::super::findings::Findings;
use super::super::names::socket_address;
use super::super::requests::Resolver;
use super::{Steered, check_domain_name, pointed};
use base64::Engine as _;
use muster_core::ids::ItemName;
use muster_crds::policy as api;
use muster_providers::rfc2136::{Rfc2136Config, TsigAlgorithm, TsigConfig};
use std::collections::BTreeSet;

pub(super) fn steered<'a>(dns: &'a api::Rfc2136, item: &str) -> Steered<'a> {
    let path = format!("{item}.rfc2136");
    Steered {
        engine: "rfc2136",
        way: path.clone(),
        path,
        zone: &dns.zone,
        record: &dns.record,
        ttl: dns.ttl,
        timeout: dns.timeout,
        shortest_timeout: "100ms",
        list: "targets",
        targets: pointed(&dns.targets),
        claims: BTreeSet::new(),
    }
}

pub(super) fn convert(
    item: ItemName,
    dns: &api::Rfc2136,
    steered: &Steered<'_>,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> Rfc2136Config {
    let path = &steered.path;
    check_servers(dns, path, findings);
    check_domain_name(&dns.tsig.key_name, &format!("{path}.tsig.keyName"), findings);
    let secret_path = format!("{path}.tsig.secret");
    let secret = resolver.secret(&dns.tsig.secret, &secret_path, findings);
    let is_base64 = || base64::engine::general_purpose::STANDARD.decode(secret.expose()).is_ok();
    if resolver.with.secrets.is_real() && !is_base64() {
        let message = "the key is not base64";
        findings.error(
            secret_path,
            message,
            "write the key as key files have it, the text after `secret`, without quotes",
        );
    }
    Rfc2136Config {
        item,
        name: steered.config(resolver),
        servers: dns.servers.iter().filter_map(|s| socket_address(s)).collect(),
        tsig: TsigConfig {
            key_name: dns.tsig.key_name.to_string(),
            algorithm: match dns.tsig.algorithm {
                api::TsigAlgorithm::HmacSha256 => TsigAlgorithm::HmacSha256,
                api::TsigAlgorithm::HmacSha384 => TsigAlgorithm::HmacSha384,
                api::TsigAlgorithm::HmacSha512 => TsigAlgorithm::HmacSha512,
            },
            secret,
        },
    }
}

fn check_servers(dns: &api::Rfc2136, path: &str, findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    for (index, server) in dns.servers.iter().enumerate() {
        let path = format!("{path}.servers[{index}]");
        if socket_address(server).is_none() {
            let message = format!("`{server}` is not an IP address with a port");
            findings.error(path, message, "write it like 192.0.2.53:53 or [2001:db8::53]:53");
        } else if !seen.insert(server.as_str()) {
            findings.error(path, format!("{server} is listed twice"), "list each server once");
        }
    }
}

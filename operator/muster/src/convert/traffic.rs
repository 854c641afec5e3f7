//! Traffic items: what the core plans with, and what the adapter updates.

use super::findings::Findings;
use super::names::{fold, is_domain_name, is_in_zone, socket_address};
use super::requests::{Resolver, exactly_one, within};
use super::{millis, rules};
use base64::Engine as _;
use muster_core::ids::{ClaimKey, ItemName, RegionName};
use muster_core::policy::TrafficItem;
use muster_crds::policy::{self as api, RegionFailoverPolicySpec};
use muster_providers::AdoptedOwners;
use muster_providers::rfc2136::{Rfc2136Config, Target, TsigAlgorithm, TsigConfig};
use std::collections::{BTreeMap, BTreeSet};

/// One traffic item's adapter.
#[derive(Clone, Debug)]
pub enum TrafficConfig {
    /// Name servers that take dynamic updates.
    Rfc2136(Rfc2136Config),
}

/// All traffic items.
pub(super) fn convert(
    spec: &RegionFailoverPolicySpec,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> (Vec<TrafficItem>, BTreeMap<ItemName, TrafficConfig>) {
    let mut items: Vec<TrafficItem> = Vec::new();
    let mut configs = BTreeMap::new();
    for (index, item) in spec.traffic.iter().enumerate() {
        let path = format!("spec.traffic[{index}]");
        exactly_one(&[("rfc2136", item.rfc2136.is_some())], &path, "engine", findings);
        let Some(dns) = &item.rfc2136 else { continue };
        let path = format!("{path}.rfc2136");
        let name = ItemName::new(item.name.as_str());
        check_names(spec, dns, &path, findings);
        check_targets(dns, &path, findings);
        let claims = claims_of(dns);
        if let Some(shared) = items.iter().flat_map(|i| &i.claims).find(|c| claims.contains(*c)) {
            let message = format!("another traffic item steers {shared} too");
            findings.error(format!("{path}.record"), message, "keep one item per record");
        }
        items.push(TrafficItem {
            name: name.clone(),
            engine: "rfc2136".to_owned(),
            claims,
            ttl: millis(dns.ttl),
            deadline: millis(dns.timeout),
        });
        let config = config_of(name.clone(), dns, &path, resolver, findings);
        configs.insert(name, TrafficConfig::Rfc2136(config));
    }
    (items, configs)
}

fn check_names(spec: &RegionFailoverPolicySpec, dns: &api::Rfc2136, path: &str, findings: &mut Findings) {
    let regions = dns.targets.iter().map(|t| &t.region);
    rules::check_regions(spec, &regions, &format!("{path}.targets"), "target", findings);
    for (field, name) in [("zone", &dns.zone), ("record", &dns.record), ("tsig.keyName", &dns.tsig.key_name)]
    {
        if !is_domain_name(name) {
            let message = format!("`{name}` is not a domain name");
            findings.error(
                format!("{path}.{field}"),
                message,
                "write it like shop.example.com, without port or scheme",
            );
        }
    }
    if is_domain_name(&dns.zone) && is_domain_name(&dns.record) && !is_in_zone(&dns.record, &dns.zone) {
        let message = format!("`{}` is not in the zone {}", dns.record, dns.zone);
        let fix = format!(
            "write the whole name, for example {}.{}",
            fold(&dns.record).split('.').next().unwrap_or("shop"),
            fold(&dns.zone)
        );
        findings.error(format!("{path}.record"), message, fix);
    }
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
    within(dns.ttl, ("1s", "24h"), &format!("{path}.ttl"), findings);
    if dns.ttl.as_millis() > 1000 && !dns.ttl.as_millis().is_multiple_of(1000) {
        let message = format!("{} is not whole seconds, which DNS counts in", dns.ttl);
        findings.error(format!("{path}.ttl"), message, "use whole seconds, for example 2s");
    }
    within(dns.timeout, ("100ms", "1h"), &format!("{path}.timeout"), findings);
}

fn check_targets(dns: &api::Rfc2136, path: &str, findings: &mut Findings) {
    let first = dns.targets.first().map(|t| record_type(&Target::parse(&t.address)));
    let mut seen = BTreeMap::new();
    for (index, target) in dns.targets.iter().enumerate() {
        let path = format!("{path}.targets[{index}].address");
        let parsed = Target::parse(&target.address);
        let kind = record_type(&parsed);
        let is_address_like = target.address.split('.').count() == 4
            && target.address.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if matches!(&parsed, Target::Cname(name) if !is_domain_name(name) || is_address_like) {
            let message = format!("`{}` is neither an IP address nor a domain name", target.address);
            findings.error(&path, message, "write an IPv4 address, an IPv6 address or a domain name");
        } else if Some(kind) != first {
            let message = format!(
                "`{}` makes the type {kind}, the first target makes {}",
                target.address,
                first.unwrap_or_default()
            );
            findings.error(&path, message, "use addresses of one kind for all regions");
        }
        if let Some(other) = seen.insert(fold(&target.address), &target.region) {
            let message =
                format!("`{}` is the target of {other} too, so nobody could tell them apart", target.address);
            findings.error(&path, message, "give each region an address of its own");
        }
    }
}

const fn record_type(target: &Target) -> &'static str {
    match target {
        Target::A(_) => "A",
        Target::Aaaa(_) => "AAAA",
        Target::Cname(_) => "CNAME",
    }
}

fn claims_of(dns: &api::Rfc2136) -> BTreeSet<ClaimKey> {
    let kind = dns.targets.first().map_or("A", |t| record_type(&Target::parse(&t.address)));
    BTreeSet::from([ClaimKey::new(format!("dns/{}/{}/{kind}", fold(&dns.zone), fold(&dns.record)))])
}

fn config_of(
    item: ItemName,
    dns: &api::Rfc2136,
    path: &str,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> Rfc2136Config {
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
        owner: resolver.with.owner.clone(),
        servers: dns.servers.iter().filter_map(|s| socket_address(s)).collect(),
        zone: dns.zone.to_string(),
        record: dns.record.to_string(),
        ttl: dns.ttl.to_std(),
        tsig: TsigConfig {
            key_name: dns.tsig.key_name.to_string(),
            algorithm: match dns.tsig.algorithm {
                api::TsigAlgorithm::HmacSha256 => TsigAlgorithm::HmacSha256,
                api::TsigAlgorithm::HmacSha384 => TsigAlgorithm::HmacSha384,
                api::TsigAlgorithm::HmacSha512 => TsigAlgorithm::HmacSha512,
            },
            secret,
        },
        targets: dns
            .targets
            .iter()
            .map(|t| (RegionName::new(t.region.as_str()), Target::parse(&t.address)))
            .collect(),
        adopted: AdoptedOwners::default(),
    }
}

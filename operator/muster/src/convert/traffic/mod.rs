//! Traffic items: what the core plans with, and what the adapter updates.

mod health_object;
mod rfc2136;
mod route53;
mod routing_control;

use super::findings::Findings;
use super::names::{fold, is_domain_name, is_in_zone};
use super::requests::{Resolver, exactly_one, within};
use super::{millis, rules};
use muster_core::ids::{ClaimKey, ItemName, RegionName};
use muster_core::policy::TrafficItem;
use muster_crds::Duration;
use muster_crds::policy::{self as api, RegionFailoverPolicySpec};
use muster_crds::text::Name;
use muster_providers::AdoptedOwners;
use muster_providers::aws::AwsAccess;
use muster_providers::dns::{NameConfig, Target};
use muster_providers::rfc2136::Rfc2136Config;
use muster_providers::route53::{HealthObjectConfig, Route53Config, RoutingControlConfig};
use std::collections::{BTreeMap, BTreeSet};

/// One traffic item's adapter.
#[derive(Clone, Debug)]
pub enum TrafficConfig {
    /// Name servers that take dynamic updates.
    Rfc2136(Rfc2136Config),
    /// A hosted zone, and as whom it is changed.
    Route53(Route53Config, AwsAccess),
    /// A hosted zone whose failover records objects decide on, and as whom those are written.
    HealthObject(HealthObjectConfig, AwsAccess),
    /// A hosted zone whose records routing controls decide on, and as whom those are switched.
    RoutingControl(RoutingControlConfig, AwsAccess),
}

/// What every engine says of the name that it steers.
struct Steered<'a> {
    engine: &'static str,
    /// Of the engine's field.
    path: String,
    /// Of the field that holds targets and ttl.
    way: String,
    zone: &'a str,
    record: &'a str,
    ttl: Duration,
    timeout: Duration,
    shortest_timeout: &'static str,
    /// What the list of targets is called.
    list: &'static str,
    targets: Vec<Pointed<'a>>,
    /// What it claims beside the name.
    claims: BTreeSet<ClaimKey>,
}

/// Where the name points in one region.
struct Pointed<'a> {
    region: &'a Name,
    address: &'a str,
}

/// As most engines write it.
fn pointed(targets: &[api::Target]) -> Vec<Pointed<'_>> {
    targets.iter().map(|target| Pointed { region: &target.region, address: &target.address }).collect()
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
        let engines = [("rfc2136", item.rfc2136.is_some()), ("route53", item.route53.is_some())];
        exactly_one(&engines, &path, "engine", findings);
        let name = ItemName::new(item.name.as_str());
        let (steered, config) = if let Some(dns) = &item.rfc2136 {
            let steered = rfc2136::steered(dns, &path);
            let config = rfc2136::convert(name.clone(), dns, &steered, resolver, findings);
            (steered, TrafficConfig::Rfc2136(config))
        } else if let Some(zone) = &item.route53 {
            let Some(steered) = route53::steered(zone, &path, findings) else { continue };
            let config = route53::convert(name.clone(), zone, &steered, resolver, findings);
            (steered, config)
        } else {
            continue;
        };
        steered.check(spec, findings);
        let claims = steered.claims();
        if let Some(shared) = items.iter().flat_map(|i| &i.claims).find(|c| claims.contains(*c)) {
            let message = format!("another traffic item steers {shared} too");
            let (at, fix) = if shared.as_str().starts_with("s3/") {
                (format!("{}.{}", steered.way, steered.list), "give each an object of its own by `key`")
            } else if shared.as_str().starts_with("arc/") {
                let fix = "give each routing controls of its own, or let one name be a CNAME to the other";
                (format!("{}.{}", steered.way, steered.list), fix)
            } else {
                (format!("{}.record", steered.path), "keep one item per record")
            };
            findings.error(at, message, fix);
        }
        items.push(TrafficItem {
            name: name.clone(),
            engine: steered.engine.to_owned(),
            claims,
            ttl: millis(steered.ttl),
            deadline: millis(steered.timeout),
        });
        configs.insert(name, config);
    }
    (items, configs)
}

impl Steered<'_> {
    fn check(&self, spec: &RegionFailoverPolicySpec, findings: &mut Findings) {
        self.check_names(spec, findings);
        self.check_targets(findings);
        within(self.ttl, ("1s", "24h"), &format!("{}.ttl", self.way), findings);
        if self.ttl.as_millis() > 1000 && !self.ttl.as_millis().is_multiple_of(1000) {
            let message = format!("{} is not whole seconds, which DNS counts in", self.ttl);
            findings.error(format!("{}.ttl", self.way), message, "use whole seconds, for example 2s");
        }
        within(self.timeout, (self.shortest_timeout, "1h"), &format!("{}.timeout", self.path), findings);
    }

    fn check_names(&self, spec: &RegionFailoverPolicySpec, findings: &mut Findings) {
        let regions = self.targets.iter().map(|t| t.region);
        rules::check_regions(spec, &regions, &format!("{}.{}", self.way, self.list), "target", findings);
        for (field, name) in [("zone", self.zone), ("record", self.record)] {
            check_domain_name(name, &format!("{}.{field}", self.path), findings);
        }
        let (zone, record) = (self.zone, self.record);
        if is_domain_name(zone) && is_domain_name(record) && !is_in_zone(record, zone) {
            let message = format!("`{record}` is not in the zone {zone}");
            let label = fold(record).split('.').next().unwrap_or("shop").to_owned();
            let fix = format!("write the whole name, for example {label}.{}", fold(zone));
            findings.error(format!("{}.record", self.path), message, fix);
        }
    }

    fn check_targets(&self, findings: &mut Findings) {
        let first = self.targets.first().map(|t| Target::parse(t.address).record_type());
        let mut seen = BTreeMap::new();
        for (index, target) in self.targets.iter().enumerate() {
            let path = format!("{}.{}[{index}].address", self.way, self.list);
            let parsed = Target::parse(target.address);
            let kind = parsed.record_type();
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
            if let Some(other) = seen.insert(fold(target.address), target.region) {
                let message = format!(
                    "`{}` is the target of {other} too, so nobody could tell them apart",
                    target.address
                );
                findings.error(&path, message, "give each region an address of its own");
            }
        }
    }

    fn kind(&self) -> &'static str {
        self.targets.first().map_or("A", |t| Target::parse(t.address).record_type())
    }

    /// The name's is the same for every engine: it is one, whoever serves it.
    fn claims(&self) -> BTreeSet<ClaimKey> {
        let (zone, record) = (fold(self.zone), fold(self.record));
        let name = ClaimKey::new(format!("dns/{zone}/{record}/{}", self.kind()));
        self.claims.iter().cloned().chain([name]).collect()
    }

    fn config(&self, resolver: &Resolver<'_>) -> NameConfig {
        let target = |t: &Pointed<'_>| (RegionName::new(t.region.as_str()), Target::parse(t.address));
        NameConfig {
            owner: resolver.with.owner.clone(),
            zone: self.zone.to_owned(),
            record: self.record.to_owned(),
            ttl: self.ttl.to_std(),
            targets: self.targets.iter().map(target).collect(),
            adopted: AdoptedOwners::default(),
        }
    }
}

fn check_domain_name(name: &str, path: &str, findings: &mut Findings) {
    if !is_domain_name(name) {
        let message = format!("`{name}` is not a domain name");
        findings.error(path, message, "write it like shop.example.com, without port or scheme");
    }
}

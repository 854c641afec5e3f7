//! Aurora PostgreSQL global databases.

use super::super::findings::Findings;
use super::super::names::fold;
use super::super::requests::{Resolver, within};
use super::super::{millis, rules};
use super::{DataConfig, EngineConfig, aws, check_host, check_tls, tls_of};
use muster_core::ids::{ClaimKey, ItemName, RegionName};
use muster_core::policy::{Capability, DataItem};
use muster_core::time::Millis;
use muster_crds::policy::{self as api, RegionFailoverPolicySpec};
use muster_probes::PgTarget;
use muster_providers::AdoptedOwners;
use muster_providers::aurora::{AuroraConfig, AuroraMember};
use muster_providers::postgres::Node;
use std::collections::BTreeMap;

/// Its key in the API.
pub(super) const ENGINE: &str = "auroraGlobal";
/// AWS speaks of "typically within a minute" for a failover between regions.
const EXPECTED_PROMOTE: Millis = Millis::from_secs(60);

/// One item: for the core, and for the adapter. `path` is the item's.
pub(super) fn convert(
    name: &ItemName,
    aurora: &api::AuroraGlobal,
    spec: &RegionFailoverPolicySpec,
    path: &str,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> (DataItem, DataConfig) {
    let path = format!("{path}.{ENGINE}");
    check(spec, aurora, &path, findings);
    (item_of(name, aurora), config_of(name.clone(), aurora, spec, &path, resolver, findings))
}

fn item_of(name: &ItemName, aurora: &api::AuroraGlobal) -> DataItem {
    let claim = |member: &api::AuroraMember| ClaimKey::new(format!("aurora/{}", member.cluster_arn));
    DataItem {
        name: name.clone(),
        engine: ENGINE.to_owned(),
        claims: aurora.members.iter().map(claim).collect(),
        expected_promote: EXPECTED_PROMOTE,
        promote_deadline: millis(aurora.promote_timeout),
        capability: Capability::Unchecked,
        can_rejoin: false,
        rejoin_timeout: Millis(0),
        no_ack_declared: false,
        hands_over: true,
        saves_old_data: true,
        detaches_after: aurora.detach.as_ref().map(|detach| millis(detach.after)),
    }
}

fn check(spec: &RegionFailoverPolicySpec, aurora: &api::AuroraGlobal, path: &str, findings: &mut Findings) {
    let regions = aurora.members.iter().map(|member| &member.region);
    rules::check_regions(spec, &regions, &format!("{path}.members"), "member", findings);
    let (mut clusters, mut hosts) = (BTreeMap::new(), BTreeMap::new());
    for (index, member) in aurora.members.iter().enumerate() {
        let path = format!("{path}.members[{index}]");
        let arn = (member.cluster_arn.as_str(), "cluster");
        aws::check_place(spec, &member.region, arn, &format!("{path}.clusterArn"), findings);
        let fix = "give each region the cluster that stands in it";
        if let Some(other) = clusters.insert(member.cluster_arn.as_str(), &member.region) {
            let message = format!("{} is the cluster of {other} too", member.cluster_arn);
            findings.error(format!("{path}.clusterArn"), message, fix);
        }
        for (field, host) in [("host", &member.host), ("readerHost", &member.reader_host)] {
            let path = format!("{path}.{field}");
            check_host(host, &path, findings);
            let other = hosts.insert((fold(host), member.port), &member.region);
            if let Some(other) = other.filter(|other| **other != member.region) {
                let message = format!("{host}:{} is an endpoint of {other} too", member.port);
                findings.error(path.clone(), message, fix);
            }
            // It leads to whoever takes writes, so the others would never be looked at.
            if fold(host).ends_with(".global.rds.amazonaws.com") {
                let message = "the global writer endpoint leads to whichever region takes writes";
                let kind = if field == "host" { "cluster" } else { "reader" };
                findings.error(path.clone(), message, format!("write the {kind} endpoint of this region"));
            }
            if is_of_an_instance(&fold(host)) {
                let message =
                    "an instance's own endpoint stays with it when another one takes over in its cluster";
                let fix = "write the cluster endpoint in host (.cluster-...), the reader endpoint in readerHost (.cluster-ro-...)";
                findings.error(path, message, fix);
            }
        }
        if fold(&member.host).contains(".cluster-ro-") {
            let message = "the reader endpoint never leads to the writer";
            let fix = "write the cluster endpoint here, and this one in readerHost";
            findings.error(format!("{path}.host"), message, fix);
        }
    }
    within(aurora.promote_timeout, ("1m", "2h"), &format!("{path}.promoteTimeout"), findings);
    if let Some(detach) = &aurora.detach {
        within(detach.after, ("1m", "1h"), &format!("{path}.detach.after"), findings);
    }
    check_tls(&aurora.tls, path, findings);
}

/// Aurora's endpoints of a cluster say so in their second label; those of an instance do not.
fn is_of_an_instance(host: &str) -> bool {
    let labels: Vec<&str> = host.split('.').collect();
    let of_rds = host.ends_with(".rds.amazonaws.com") || host.ends_with(".rds.amazonaws.com.cn");
    let of_all = host.ends_with(".global.rds.amazonaws.com");
    of_rds && !of_all && labels.get(1).is_some_and(|label| !label.starts_with("cluster-"))
}

fn config_of(
    name: ItemName,
    aurora: &api::AuroraGlobal,
    spec: &RegionFailoverPolicySpec,
    path: &str,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> DataConfig {
    let password = resolver.secret(&aurora.password_secret, &format!("{path}.passwordSecret"), findings);
    let (tls, probed_tls) = tls_of(&aurora.tls, path, resolver, findings);
    let mut members = BTreeMap::new();
    for member in &aurora.members {
        // Its absence was found already.
        let Some((aws_region, access)) = aws::region_of(spec, &member.region, resolver, findings) else {
            continue;
        };
        let of = AuroraMember {
            aws_region,
            access,
            arn: member.cluster_arn.to_string(),
            node: Node { host: member.host.to_string(), port: member.port },
            reader: Node { host: member.reader_host.to_string(), port: member.port },
        };
        members.insert(RegionName::new(member.region.as_str()), of);
    }
    let at = |node: &Node| (node.host.clone(), node.port);
    let probed = PgTarget {
        database: aurora.database.to_string(),
        user: aurora.user.to_string(),
        password: Some(password.clone()),
        tls: probed_tls,
        nodes: members.iter().map(|(r, of)| (r.clone(), at(&of.node))).collect(),
        readers: members.iter().map(|(r, of)| (r.clone(), at(&of.reader))).collect(),
    };
    let config = AuroraConfig {
        item: name,
        owner: resolver.with.owner.clone(),
        cluster: aurora.cluster.to_string(),
        database: aurora.database.to_string(),
        user: aurora.user.to_string(),
        password,
        tls,
        members,
        may_detach: aurora.detach.is_some(),
        adopted: AdoptedOwners::default(),
    };
    DataConfig { engine: EngineConfig::AuroraGlobal(Box::new(config)), probed }
}

//! Aurora PostgreSQL global databases.

use super::super::findings::Findings;
use super::super::names::fold;
use super::super::requests::{Resolver, within};
use super::super::{millis, rules};
use super::{DataConfig, EngineConfig, check_host, check_tls, tls_of};
use muster_core::ids::{ClaimKey, ItemName, RegionName};
use muster_core::policy::{Capability, DataItem};
use muster_core::time::Millis;
use muster_crds::policy::{self as api, RegionFailoverPolicySpec};
use muster_probes::PgTarget;
use muster_providers::AdoptedOwners;
use muster_providers::aurora::{AuroraConfig, AuroraMember};
use muster_providers::aws::AwsAccess;
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
    }
}

/// What holds for `regions[].aws`, whoever uses it.
pub(super) fn check_regions(spec: &RegionFailoverPolicySpec, findings: &mut Findings) {
    let used = spec.data.iter().any(|item| item.aurora_global.is_some());
    for (index, region) in spec.regions.iter().enumerate() {
        let path = format!("spec.regions[{index}].aws");
        match &region.aws {
            None if used => {
                let message = format!("{} is no region of AWS, and auroraGlobal needs one", region.name);
                findings.error(format!("spec.regions[{index}]"), message, "add aws: {region: ...}");
            }
            Some(aws) if aws.external_id_secret.is_some() && aws.role_arn.is_none() => {
                let message = "an external id goes with a role";
                findings.error(format!("{path}.externalIdSecret"), message, "give roleArn, or leave it out");
            }
            Some(_) if !used => {
                let message = "the region of AWS is given, and nothing is steered in it";
                findings.warn(path, message, "add the data item that needs it, or leave it out");
            }
            _ => {}
        }
    }
}

fn check(spec: &RegionFailoverPolicySpec, aurora: &api::AuroraGlobal, path: &str, findings: &mut Findings) {
    let regions = aurora.members.iter().map(|member| &member.region);
    rules::check_regions(spec, &regions, &format!("{path}.members"), "member", findings);
    let (mut clusters, mut hosts) = (BTreeMap::new(), BTreeMap::new());
    for (index, member) in aurora.members.iter().enumerate() {
        let path = format!("{path}.members[{index}]");
        check_host(&member.host, &path, findings);
        check_arn(spec, member, &path, findings);
        let fix = "give each region the cluster that stands in it";
        if let Some(other) = clusters.insert(member.cluster_arn.as_str(), &member.region) {
            let message = format!("{} is the cluster of {other} too", member.cluster_arn);
            findings.error(format!("{path}.clusterArn"), message, fix);
        }
        if let Some(other) = hosts.insert((fold(&member.host), member.port), &member.region) {
            let message = format!("{}:{} is the endpoint of {other} too", member.host, member.port);
            findings.error(format!("{path}.host"), message, fix);
        }
        // It leads to whoever takes writes, so the others would never be looked at.
        if fold(&member.host).ends_with(".global.rds.amazonaws.com") {
            let message = "the global writer endpoint leads to whichever region takes writes";
            findings.error(format!("{path}.host"), message, "write the cluster endpoint of this region");
        }
    }
    within(aurora.promote_timeout, ("1m", "2h"), &format!("{path}.promoteTimeout"), findings);
    check_tls(&aurora.tls, path, findings);
}

/// A cluster is asked about at its own region's endpoint, and would not be found at another.
fn check_arn(
    spec: &RegionFailoverPolicySpec,
    member: &api::AuroraMember,
    path: &str,
    findings: &mut Findings,
) {
    let aws = spec.regions.iter().find(|region| region.name == member.region).and_then(|r| r.aws.as_ref());
    let stands_in = member.cluster_arn.split(':').nth(3).unwrap_or_default();
    if let Some(aws) = aws.filter(|aws| aws.region.as_str() != stands_in) {
        let message =
            format!("the cluster stands in {stands_in}, and {} is {} of AWS", member.region, aws.region);
        let fix = "correct the ARN, or regions[].aws.region";
        findings.error(format!("{path}.clusterArn"), message, fix);
    }
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
        let region = spec.regions.iter().enumerate().find(|(_, region)| region.name == member.region);
        // Its absence was found already.
        let Some((index, aws)) = region.and_then(|(index, region)| Some((index, region.aws.as_ref()?)))
        else {
            continue;
        };
        let of = AuroraMember {
            aws_region: aws.region.to_string(),
            access: access_of(aws, index, resolver, findings),
            arn: member.cluster_arn.to_string(),
            node: Node { host: member.host.to_string(), port: member.port },
        };
        members.insert(RegionName::new(member.region.as_str()), of);
    }
    let probed = PgTarget {
        database: aurora.database.to_string(),
        user: aurora.user.to_string(),
        password: Some(password.clone()),
        tls: probed_tls,
        nodes: members.iter().map(|(r, of)| (r.clone(), (of.node.host.clone(), of.node.port))).collect(),
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
        adopted: AdoptedOwners::default(),
    };
    DataConfig { engine: EngineConfig::AuroraGlobal(Box::new(config)), probed }
}

fn access_of(
    aws: &api::AwsRegion,
    index: usize,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> AwsAccess {
    let path = format!("spec.regions[{index}].aws.externalIdSecret");
    let secret = resolver.optional(aws.external_id_secret.as_ref(), &path, findings);
    AwsAccess {
        role_arn: aws.role_arn.as_ref().map(ToString::to_string),
        external_id: secret.map(|secret| secret.expose().to_owned()),
    }
}

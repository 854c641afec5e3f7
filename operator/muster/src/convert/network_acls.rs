//! Fences at the network ACLs of AWS.

use super::data::aws;
use super::findings::{Findings, words};
use super::requests::Resolver;
use super::rules;
use muster_core::ids::{ClaimKey, ItemName, RegionName};
use muster_core::policy::FenceKind;
use muster_crds::policy::{self as api, RegionFailoverPolicySpec};
use muster_crds::text::{Name, NetworkAclId};
use muster_providers::network_acl::{NetworkAclConfig, NetworkAclPlace};
use std::collections::{BTreeMap, BTreeSet};

/// The most that an entry may have, with the next number for IPv6.
const LAST_RULE: u32 = 32_765;

/// For the core. What is denied for one policy, another one must not open.
pub(super) fn kind_of(fence: &api::FenceAws) -> FenceKind {
    let ids = fence.network_acls.iter().flat_map(|of| &of.ids);
    FenceKind::Network { claims: ids.map(|id| ClaimKey::new(format!("network-acl/{id}"))).collect() }
}

/// For the adapter. `path` is the way's. `None`: something is wrong, and was found.
pub(super) fn convert(
    name: &ItemName,
    fence: &api::FenceAws,
    spec: &RegionFailoverPolicySpec,
    path: &str,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> Option<NetworkAclConfig> {
    let path = format!("{path}.aws");
    check(fence, spec, &path, findings);
    let mut regions = BTreeMap::new();
    for of in &fence.network_acls {
        let (aws_region, access) = aws::region_of(spec, &of.region, resolver, findings)?;
        let ids = of.ids.iter().map(ToString::to_string).collect();
        let databases = databases_in(spec, &of.region);
        let place = NetworkAclPlace { aws_region, access, ids, databases };
        regions.insert(RegionName::new(of.region.as_str()), place);
    }
    let rule_number = u16::try_from(fence.rule_number).ok()?;
    let owner = resolver.with.owner.clone();
    Some(NetworkAclConfig { owner, name: name.clone(), rule_number, regions })
}

/// ARNs of what the policy has of RDS in a region.
fn databases_in(spec: &RegionFailoverPolicySpec, region: &Name) -> BTreeSet<String> {
    let of_item = |item: &api::DataItem| {
        let members = item.aurora_global.iter().flat_map(|of| &of.members);
        let clusters = members.filter(|of| of.region == *region).map(|of| of.cluster_arn.to_string());
        let instances = item.rds_replica.iter().flat_map(|of| &of.instances);
        let instances = instances.filter(|of| of.region == *region).map(|of| of.instance_arn.to_string());
        clusters.chain(instances).collect::<Vec<_>>()
    };
    spec.data.iter().flat_map(of_item).collect()
}

fn check(fence: &api::FenceAws, spec: &RegionFailoverPolicySpec, path: &str, findings: &mut Findings) {
    let list = format!("{path}.networkAcls");
    let named = fence.network_acls.iter().map(|of| &of.region);
    rules::check_regions(spec, &named, &list, "network ACL", findings);
    if fence.rule_number == 0 || fence.rule_number > LAST_RULE {
        let message = format!("{} is out of range", fence.rule_number);
        findings.error(
            format!("{path}.ruleNumber"),
            message,
            format!("use 1 to {LAST_RULE}; 1 is the lowest"),
        );
    }
    for (index, of) in fence.network_acls.iter().enumerate() {
        if of.ids.is_empty() {
            let message = format!("has no network ACL for {}", of.region);
            findings.error(format!("{list}[{index}].ids"), message, "add those of the database's subnets");
        }
        let before: BTreeSet<_> = fence.network_acls.iter().take(index).flat_map(|of| &of.ids).collect();
        let twice: Vec<&str> =
            of.ids.iter().filter(|id| before.contains(id)).map(NetworkAclId::as_str).collect();
        if !twice.is_empty() {
            let message = format!("{} is of another region too: both would be cut off at once", words(twice));
            findings.error(format!("{list}[{index}].ids"), message, "name each region's own network ACLs");
        }
    }
}

/// Finds ways that deny at the same network ACL: the undo of one would open the other.
pub(super) fn check_shared(spec: &RegionFailoverPolicySpec, findings: &mut Findings) {
    let ids = |fence: &api::Fence| -> BTreeSet<String> {
        let of = fence.aws.iter().flat_map(|aws| &aws.network_acls).flat_map(|of| &of.ids);
        of.map(ToString::to_string).collect()
    };
    for (index, fence) in spec.fence.iter().enumerate() {
        for other in spec.fence.iter().take(index) {
            let (own, earlier) = (ids(fence), ids(other));
            let shared: Vec<&str> = own.intersection(&earlier).map(String::as_str).collect();
            if shared.is_empty() {
                continue;
            }
            let shared = words(shared);
            let message = format!("`{}` and `{}` both deny at {shared}", other.name, fence.name);
            let fix = "keep one of them: the undo of one would open what the other has shut";
            findings.error(format!("spec.fence[{index}].aws.networkAcls"), message, fix);
        }
    }
}

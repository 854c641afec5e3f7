//! What the fence needs to know.

use crate::aws::AwsAccess;
use muster_core::ids::{ItemName, Owner, RegionName};
use std::collections::{BTreeMap, BTreeSet};

/// A fence at the network ACLs of the databases' subnets.
#[derive(Clone, Debug)]
pub struct NetworkAclConfig {
    /// Whose memory of the databases' subnets it is.
    pub owner: Owner,
    /// The way's name in the policy.
    pub name: ItemName,
    /// Of the entries for IPv4; those for IPv6 have the next one.
    pub rule_number: u16,
    /// Each region's network ACLs.
    pub regions: BTreeMap<RegionName, NetworkAclPlace>,
}

/// The network ACLs of one region.
#[derive(Clone, Debug)]
pub struct NetworkAclPlace {
    /// AWS' name of the region.
    pub aws_region: String,
    /// As whom EC2 is called there.
    pub access: AwsAccess,
    /// `acl-0a1b...`, at least one.
    pub ids: BTreeSet<String>,
    /// ARNs of the clusters and instances that the policy has in the region.
    pub databases: BTreeSet<String>,
}

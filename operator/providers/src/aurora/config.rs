//! What the adapter needs to know of one global database.

use crate::AdoptedOwners;
use crate::aws::AwsAccess;
use crate::postgres::{Node, TlsMode};
use muster_core::ids::{ItemName, Owner, RegionName};
use muster_core::secret::Secret;
use std::collections::BTreeMap;

/// One Aurora global database of a policy.
#[derive(Clone, Debug)]
pub struct AuroraConfig {
    /// The item's name.
    pub item: ItemName,
    /// The policy's UID.
    pub owner: Owner,
    /// The global cluster's identifier.
    pub cluster: String,
    /// The application's database; Muster's schema is in it.
    pub database: String,
    /// Muster's own role.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// For every connection.
    pub tls: TlsMode,
    /// One cluster per region.
    pub members: BTreeMap<RegionName, AuroraMember>,
    /// The policy lets a person have the target detached.
    pub may_detach: bool,
    /// Foreign owners whose witness may be replaced.
    pub adopted: AdoptedOwners,
}

/// The global database's cluster in one region.
#[derive(Clone, Debug)]
pub struct AuroraMember {
    /// AWS' name of the region.
    pub aws_region: String,
    /// As whom RDS is called there.
    pub access: AwsAccess,
    /// The cluster's ARN.
    pub arn: String,
    /// The cluster endpoint: it leads to the cluster's writer. That of a secondary cluster does not resolve.
    pub node: Node,
    /// The reader endpoint: all that a secondary cluster answers by.
    pub reader: Node,
}

//! What the adapter needs to know of one primary and its read replicas.

use crate::AdoptedOwners;
use crate::aws::AwsAccess;
use crate::postgres::{Application, Node, TlsMode};
use muster_core::ids::{ItemName, Owner, RegionName};
use muster_core::secret::Secret;
use std::collections::BTreeMap;

/// One database of RDS for PostgreSQL, with an instance in each region.
#[derive(Clone, Debug)]
pub struct RdsReplicaConfig {
    /// The item's name.
    pub item: ItemName,
    /// The policy's UID.
    pub owner: Owner,
    /// The application's database; Muster's schema is in it.
    pub database: String,
    /// Muster's own role.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// The role that is fenced, and whose refused write proves it.
    pub application: Application,
    /// For every connection.
    pub tls: TlsMode,
    /// One instance per region.
    pub instances: BTreeMap<RegionName, RdsInstance>,
    /// For how many days a promoted instance keeps its backups.
    pub backup_days: u16,
    /// Whether Muster makes old primaries anew as replicas.
    pub rebuilds: bool,
    /// Foreign owners whose witness may be replaced.
    pub adopted: AdoptedOwners,
}

/// The database's instance in one region.
#[derive(Clone, Debug)]
pub struct RdsInstance {
    /// AWS' name of the region.
    pub aws_region: String,
    /// As whom RDS is called there.
    pub access: AwsAccess,
    /// The instance's ARN.
    pub arn: String,
    /// Its endpoint, which stays what it is when the instance is promoted.
    pub node: Node,
}

//! Replicated data stores.

use super::call::Rejoin;
use super::request::SecretRef;
use crate::duration::Duration;
use crate::text::{ClusterArn, GlobalClusterId, Host, Identifier, InstanceArn, Name};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One data store with a node in each region: exactly one engine.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("[has(self.postgres), has(self.auroraGlobal), has(self.rdsReplica)].filter(x, x).size() == 1")
        .message("exactly one engine is needed: postgres, auroraGlobal or rdsReplica"),
)]
pub struct DataItem {
    /// Its name.
    pub name: Name,
    /// PostgreSQL with streaming replication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<Postgres>,
    /// An Aurora PostgreSQL global database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aurora_global: Option<AuroraGlobal>,
    /// RDS for PostgreSQL with a read replica in each other region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rds_replica: Option<RdsReplica>,
}

/// PostgreSQL with streaming replication.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("duration(self.promoteTimeout) >= duration('1s') && duration(self.promoteTimeout) <= duration('1h')")
        .message("promoteTimeout must be between 1s and 1h").field_path(".promoteTimeout"),
    validation = Rule::new("self.user != self.application.user")
        .message("application.user must not be Muster's own role, which a fence would lock out").field_path(".application.user"),
)]
pub struct Postgres {
    /// The database.
    pub database: Identifier,
    /// Muster's own role.
    pub user: Identifier,
    /// Its password.
    pub password_secret: SecretRef,
    /// The role that the application writes as. It is the one that is fenced, and a refused write as this role is
    /// the proof.
    pub application: ApplicationRole,
    /// Whether and how connections are encrypted.
    #[serde(default)]
    pub tls: PostgresTls,
    /// One for each region.
    #[schemars(
        length(min = 2, max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["region"])
    )]
    pub nodes: Vec<PostgresNode>,
    /// Your way to make an old primary follow the new one. Absent: you do it by hand, and Muster sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejoin: Option<Rejoin>,
    /// What you declare about synchronous commit. Only with both may an unreachable primary that can acknowledge
    /// nothing count as NoAck.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_ack: Option<NoAck>,
    /// Deadline of one promotion.
    #[serde(default = "half_a_minute")]
    pub promote_timeout: Duration,
}

const fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

/// The application's own role.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApplicationRole {
    /// The role.
    pub user: Identifier,
    /// Its password: the refused write is tried with it.
    pub password_secret: SecretRef,
}

/// A node of the store.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PostgresNode {
    /// The region it stands in.
    pub region: Name,
    /// Its name or address, reachable from where Muster runs.
    pub host: Host,
    /// Its port.
    #[serde(default = "postgres_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
}

const fn postgres_port() -> u16 {
    5432
}

/// How a connection is encrypted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PostgresTlsMode {
    /// Not at all.
    Disable,
    /// Encrypted; the server's certificate is not looked at.
    Require,
    /// Encrypted; certificate and name are verified.
    #[default]
    VerifyFull,
}

/// Whether and how connections are encrypted.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("!has(self.caSecret) || self.mode == 'VerifyFull'")
    .message("caSecret is only looked at with mode VerifyFull").field_path(".caSecret"))]
pub struct PostgresTls {
    /// How.
    #[serde(default)]
    pub mode: PostgresTlsMode,
    /// Certificate authorities (PEM) that are trusted instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret: Option<SecretRef>,
}

/// What you declare about synchronous commit; Muster cannot see it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NoAck {
    /// No client lowers `synchronous_commit` in its own session.
    pub clients_never_lower_commit: bool,
    /// Nobody edits `synchronous_standby_names` during a run.
    pub list_is_not_edited: bool,
}

/// An Aurora PostgreSQL global database: one cluster in each region. Global clusters of Aurora MySQL, DocumentDB and Neptune
/// are not supported.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("duration(self.promoteTimeout) >= duration('1m') && duration(self.promoteTimeout) <= duration('2h')")
        .message("promoteTimeout must be between 1m and 2h").field_path(".promoteTimeout"),
)]
pub struct AuroraGlobal {
    /// The global cluster's identifier.
    pub cluster: GlobalClusterId,
    /// Its clusters, one for each region.
    #[schemars(
        length(min = 2, max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["region"])
    )]
    pub members: Vec<AuroraMember>,
    /// The database.
    pub database: Identifier,
    /// Muster's own role in it.
    pub user: Identifier,
    /// Its password.
    pub password_secret: SecretRef,
    /// Whether and how connections are encrypted. AWS signs its servers by an authority of its own: give its certificates in
    /// `caSecret`.
    #[serde(default)]
    pub tls: PostgresTls,
    /// Deadline of one switchover or failover.
    #[serde(default = "quarter_of_an_hour")]
    pub promote_timeout: Duration,
    /// The last way of a failover that Aurora does not finish: the cluster that is to take over leaves the global cluster and takes
    /// writes alone, once you agree in that very run (`muster approve --waive EngineFailover`). It fences nothing, and you have to
    /// build a global cluster again. Absent: there is no such way, and Muster waits for Aurora.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detach: Option<AuroraDetach>,
}

/// When you are asked to take a cluster out of its global cluster.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("duration(self.after) >= duration('1m') && duration(self.after) <= duration('1h')")
        .message("after must be between 1m and 1h").field_path(".after"),
)]
pub struct AuroraDetach {
    /// You are asked once the failover was asked for so long ago and the cluster takes no writes yet.
    #[serde(default = "ten_minutes")]
    pub after: Duration,
}

const fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

const fn quarter_of_an_hour() -> Duration {
    Duration::from_secs(900)
}

/// The global database's cluster in one region.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuroraMember {
    /// The region; its `aws.region` is that of the ARN.
    pub region: Name,
    /// The cluster's ARN.
    pub cluster_arn: ClusterArn,
    /// The cluster endpoint (not an instance's, not the global writer endpoint), reachable from where Muster runs. That of a
    /// secondary cluster does not resolve; it does once the cluster takes writes.
    pub host: Host,
    /// The reader endpoint (`cluster-ro`): all that a secondary cluster answers by.
    pub reader_host: Host,
    /// The port of both.
    #[serde(default = "postgres_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
}

/// RDS for PostgreSQL: a primary instance in one region, and a read replica of it in each other one. RDS promotes a replica, and
/// leaves the old primary as it was: it takes writes until it is fenced, and has to be made anew as a replica.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("duration(self.promoteTimeout) >= duration('1m') && duration(self.promoteTimeout) <= duration('4h')")
        .message("promoteTimeout must be between 1m and 4h").field_path(".promoteTimeout"),
    validation = Rule::new("self.user != self.application.user")
        .message("application.user must not be Muster's own role, which a fence would lock out").field_path(".application.user"),
)]
pub struct RdsReplica {
    /// One for each region: the primary, and its read replicas.
    #[schemars(
        length(min = 2, max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["region"])
    )]
    pub instances: Vec<RdsInstance>,
    /// The database.
    pub database: Identifier,
    /// Muster's own role in it.
    pub user: Identifier,
    /// Its password.
    pub password_secret: SecretRef,
    /// The role that the application writes as. It is the one that is fenced, and a refused write as this role is
    /// the proof.
    pub application: ApplicationRole,
    /// Whether and how connections are encrypted. AWS signs its servers by an authority of its own: give its certificates in
    /// `caSecret`.
    #[serde(default)]
    pub tls: PostgresTls,
    /// Deadline of one promotion: it reboots the instance, and takes several minutes or longer.
    #[serde(default = "half_an_hour")]
    pub promote_timeout: Duration,
    /// For how many days a promoted instance keeps its backups; a replica may have none.
    #[serde(default = "one_day")]
    #[schemars(range(min = 1, max = 35))]
    pub backup_retention_days: u16,
    /// Muster makes an old primary anew as a replica of the new one, once it is seen closed. Absent: you do it by hand, and Muster
    /// sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<RdsRebuild>,
}

/// How an old primary is made anew: it is renamed and kept (`orders-east` becomes `orders-east-old-` and eight characters of its
/// resource id), and a replica of the new primary gets its name and its settings. Muster deletes nothing.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("duration(self.timeout) >= duration('10m') && duration(self.timeout) <= duration('24h')")
        .message("timeout must be between 10m and 24h").field_path(".timeout"),
)]
pub struct RdsRebuild {
    /// RDS takes hours to make a replica. One that does not follow after so long is looked into again; a second one is never
    /// asked for while it is there.
    #[serde(default = "four_hours")]
    pub timeout: Duration,
}

const fn four_hours() -> Duration {
    Duration::from_secs(14_400)
}

const fn half_an_hour() -> Duration {
    Duration::from_secs(1800)
}

const fn one_day() -> u16 {
    1
}

/// The database's instance in one region.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RdsInstance {
    /// The region; its `aws.region` is that of the ARN.
    pub region: Name,
    /// The instance's ARN.
    pub instance_arn: InstanceArn,
    /// The instance's endpoint, reachable from where Muster runs. It stays what it is when the instance is promoted.
    pub host: Host,
    /// Its port.
    #[serde(default = "postgres_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
}

//! The elements of the answers about databases.
//!
//! What this module must never do: show what its caller did not choose.

use super::arn::Arn;
use super::paging::Page;
use super::reports::SnapshotElement;
use super::world::{Cluster, DbInstance, FailoverState, GlobalCluster, Member, World};
use serde::Serialize;

/// The namespace of every document.
pub(super) const XMLNS: &str = "http://rds.amazonaws.com/doc/2014-10-31/";
pub(super) const AURORA: &str = "aurora-postgresql";
const POSTGRES: &str = "postgres";
const PORT: u16 = 5432;
/// The group of parameters that the service makes by itself.
const OWN_PARAMETERS: &str = "default.postgres16";
/// What an account's endpoints have in their names.
const DOMAIN_PART: &str = "fake0fake0fa";

/// A result that is one thing: a global database, a cluster, an instance or a snapshot.
#[derive(Serialize)]
pub(super) enum Single<'a> {
    GlobalCluster(GlobalElement<'a>),
    #[serde(rename = "DBCluster")]
    Cluster(ClusterElement<'a>),
    #[serde(rename = "DBInstance")]
    Instance(InstanceElement<'a>),
    #[serde(rename = "DBClusterSnapshot")]
    Snapshot(SnapshotElement<'a>),
}

/// A result with one thing in it.
#[derive(Serialize)]
pub(super) struct SingleResult<'a> {
    #[serde(rename = "$value")]
    pub(super) content: Single<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GlobalsResult<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
    global_clusters: GlobalsElement<'a>,
}

#[derive(Serialize)]
struct GlobalsElement<'a> {
    // The service uses the same name for these as for the members of each.
    #[serde(rename = "GlobalClusterMember")]
    list: Vec<GlobalElement<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GlobalElement<'a> {
    global_cluster_identifier: &'a str,
    global_cluster_resource_id: &'a str,
    global_cluster_arn: &'a str,
    status: &'a str,
    engine: &'static str,
    engine_version: &'a str,
    storage_encrypted: bool,
    deletion_protection: bool,
    endpoint: String,
    global_cluster_members: MembersElement<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failover_state: Option<FailoverElement<'a>>,
}

#[derive(Serialize)]
struct MembersElement<'a> {
    #[serde(rename = "GlobalClusterMember")]
    list: Vec<MemberElement<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct MemberElement<'a> {
    #[serde(rename = "DBClusterArn")]
    cluster_arn: &'a str,
    readers: ReadersElement<'a>,
    is_writer: bool,
    global_write_forwarding_status: &'static str,
    synchronization_status: &'static str,
}

#[derive(Serialize)]
struct ReadersElement<'a> {
    #[serde(rename = "member")]
    list: Vec<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FailoverElement<'a> {
    status: &'a str,
    from_db_cluster_arn: &'a str,
    to_db_cluster_arn: &'a str,
    is_data_loss_allowed: bool,
}

impl<'a> GlobalsResult<'a> {
    pub(super) fn new(page: Page<&'a GlobalCluster>) -> Self {
        let list = page.items.into_iter().map(GlobalElement::from).collect();
        Self { marker: page.marker, global_clusters: GlobalsElement { list } }
    }
}

impl<'a> From<&'a GlobalCluster> for GlobalElement<'a> {
    fn from(global: &'a GlobalCluster) -> Self {
        let members = global.members.iter().map(|member| describe_member(global, member));
        Self {
            global_cluster_identifier: global.arn.name(),
            global_cluster_resource_id: &global.resource_id,
            global_cluster_arn: global.arn.as_str(),
            status: &global.status,
            engine: AURORA,
            engine_version: &global.engine_version,
            storage_encrypted: true,
            deletion_protection: false,
            endpoint: format!("{}.global-{DOMAIN_PART}.global.rds.amazonaws.com", global.arn.name()),
            global_cluster_members: MembersElement { list: members.collect() },
            failover_state: global.failover.as_ref().map(describe_failover),
        }
    }
}

fn describe_member<'a>(global: &'a GlobalCluster, member: &'a Member) -> MemberElement<'a> {
    let others = global.members.iter().filter(|other| member.is_writer && !other.is_writer);
    MemberElement {
        cluster_arn: member.cluster.as_str(),
        readers: ReadersElement { list: others.map(|other| other.cluster.as_str()).collect() },
        is_writer: member.is_writer,
        global_write_forwarding_status: "disabled",
        synchronization_status: if member.is_connected { "connected" } else { "pending-resync" },
    }
}

fn describe_failover(state: &FailoverState) -> FailoverElement<'_> {
    FailoverElement {
        status: &state.status,
        from_db_cluster_arn: state.from.as_str(),
        to_db_cluster_arn: state.to.as_str(),
        is_data_loss_allowed: state.is_data_loss_allowed,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ClustersResult<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
    #[serde(rename = "DBClusters")]
    clusters: ClustersElement<'a>,
}

#[derive(Serialize)]
struct ClustersElement<'a> {
    #[serde(rename = "DBCluster")]
    list: Vec<ClusterElement<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ClusterElement<'a> {
    #[serde(rename = "DBClusterIdentifier")]
    identifier: &'a str,
    #[serde(rename = "DBClusterArn")]
    arn: &'a str,
    db_cluster_resource_id: &'a str,
    status: &'a str,
    engine: &'static str,
    engine_version: &'a str,
    endpoint: String,
    reader_endpoint: String,
    port: u16,
    #[serde(rename = "DBClusterMembers")]
    members: ClusterMembersElement<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    global_cluster_identifier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replication_source_identifier: Option<&'a str>,
}

#[derive(Serialize)]
struct ClusterMembersElement<'a> {
    #[serde(rename = "DBClusterMember")]
    list: Vec<ClusterMemberElement<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ClusterMemberElement<'a> {
    #[serde(rename = "DBInstanceIdentifier")]
    identifier: &'a str,
    is_cluster_writer: bool,
    #[serde(rename = "DBClusterParameterGroupStatus")]
    parameter_group_status: &'static str,
    promotion_tier: u8,
}

impl<'a> ClustersResult<'a> {
    pub(super) fn new(page: Page<&'a Cluster>, world: &'a World) -> Self {
        let list = page.items.into_iter().map(|cluster| ClusterElement::new(cluster, world)).collect();
        Self { marker: page.marker, clusters: ClustersElement { list } }
    }
}

impl<'a> ClusterElement<'a> {
    pub(super) fn new(cluster: &'a Cluster, world: &'a World) -> Self {
        let (name, region) = (cluster.arn.name(), cluster.arn.region());
        let global = world.global_of(&cluster.arn);
        let writer = global.and_then(GlobalCluster::writer).map(|writer| &writer.cluster);
        // The writer inside of a cluster is its first instance, and nothing here changes that.
        let members =
            world.instances_of(&cluster.arn).enumerate().map(|(number, instance)| ClusterMemberElement {
                identifier: instance.arn.name(),
                is_cluster_writer: number == 0,
                parameter_group_status: "in-sync",
                promotion_tier: 1,
            });
        Self {
            identifier: name,
            arn: cluster.arn.as_str(),
            db_cluster_resource_id: &cluster.resource_id,
            status: &cluster.status,
            engine: AURORA,
            engine_version: &cluster.engine_version,
            endpoint: format!("{name}.cluster-{DOMAIN_PART}.{region}.rds.amazonaws.com"),
            reader_endpoint: format!("{name}.cluster-ro-{DOMAIN_PART}.{region}.rds.amazonaws.com"),
            port: PORT,
            members: ClusterMembersElement { list: members.collect() },
            global_cluster_identifier: global.map(|global| global.arn.name()),
            replication_source_identifier: writer.filter(|writer| **writer != cluster.arn).map(Arn::as_str),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct InstancesResult<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
    #[serde(rename = "DBInstances")]
    instances: InstancesElement<'a>,
}

#[derive(Serialize)]
struct InstancesElement<'a> {
    #[serde(rename = "DBInstance")]
    list: Vec<InstanceElement<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(clippy::struct_excessive_bools, reason = "the API's own flags")]
pub(super) struct InstanceElement<'a> {
    #[serde(rename = "DBInstanceIdentifier")]
    identifier: &'a str,
    #[serde(rename = "DBInstanceArn")]
    arn: &'a str,
    dbi_resource_id: &'a str,
    #[serde(rename = "DBInstanceStatus")]
    status: &'a str,
    #[serde(rename = "DBInstanceClass")]
    class: &'a str,
    engine: &'static str,
    engine_version: &'a str,
    endpoint: EndpointElement,
    backup_retention_period: u32,
    #[serde(rename = "DBClusterIdentifier", skip_serializing_if = "Option::is_none")]
    cluster: Option<&'a str>,
    #[serde(rename = "ReadReplicaSourceDBInstanceIdentifier", skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(rename = "ReadReplicaDBInstanceIdentifiers")]
    replicas: ReplicasElement<'a>,
    status_infos: StatusInfosElement,
    #[serde(rename = "MultiAZ")]
    multi_az: bool,
    publicly_accessible: bool,
    deletion_protection: bool,
    storage_encrypted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_key_id: Option<&'a str>,
    #[serde(rename = "DBSubnetGroup", skip_serializing_if = "Option::is_none")]
    subnet_group: Option<SubnetGroupElement<'a>>,
    #[serde(rename = "DBParameterGroups")]
    parameter_groups: ParameterGroupsElement<'a>,
    vpc_security_groups: SecurityGroupsElement<'a>,
    enabled_cloudwatch_logs_exports: LogExportsElement<'a>,
    tag_list: TagsElement<'a>,
    pending_modified_values: PendingElement<'a>,
}

#[derive(Serialize)]
struct SubnetGroupElement<'a> {
    #[serde(rename = "DBSubnetGroupName")]
    name: &'a str,
    #[serde(rename = "Subnets")]
    subnets: SubnetsElement<'a>,
}

#[derive(Serialize)]
struct SubnetsElement<'a> {
    #[serde(rename = "Subnet")]
    list: Vec<SubnetElement<'a>>,
}

#[derive(Serialize)]
struct SubnetElement<'a> {
    #[serde(rename = "SubnetIdentifier")]
    id: &'a str,
}

#[derive(Serialize)]
struct ParameterGroupsElement<'a> {
    #[serde(rename = "DBParameterGroup")]
    list: [ParameterGroupElement<'a>; 1],
}

#[derive(Serialize)]
struct ParameterGroupElement<'a> {
    #[serde(rename = "DBParameterGroupName")]
    name: &'a str,
}

#[derive(Serialize)]
struct SecurityGroupsElement<'a> {
    #[serde(rename = "VpcSecurityGroupMembership")]
    list: Vec<SecurityGroupElement<'a>>,
}

#[derive(Serialize)]
struct SecurityGroupElement<'a> {
    #[serde(rename = "VpcSecurityGroupId")]
    id: &'a str,
}

#[derive(Serialize)]
struct LogExportsElement<'a> {
    #[serde(rename = "member")]
    list: &'a [String],
}

#[derive(Serialize)]
struct TagsElement<'a> {
    #[serde(rename = "Tag")]
    list: Vec<TagElement<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TagElement<'a> {
    key: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
struct PendingElement<'a> {
    #[serde(rename = "DBInstanceIdentifier", skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct EndpointElement {
    address: String,
    port: u16,
}

#[derive(Serialize)]
struct ReplicasElement<'a> {
    #[serde(rename = "ReadReplicaDBInstanceIdentifier")]
    list: Vec<&'a str>,
}

#[derive(Serialize)]
struct StatusInfosElement {
    #[serde(rename = "DBInstanceStatusInfo")]
    list: Vec<StatusInfoElement>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StatusInfoElement {
    status_type: &'static str,
    normal: bool,
    status: &'static str,
}

impl<'a> InstancesResult<'a> {
    pub(super) fn new(page: Page<&'a DbInstance>, world: &'a World) -> Self {
        let list = page.items.into_iter().map(|instance| InstanceElement::new(instance, world)).collect();
        Self { marker: page.marker, instances: InstancesElement { list } }
    }
}

impl<'a> InstanceElement<'a> {
    pub(super) fn new(instance: &'a DbInstance, world: &'a World) -> Self {
        let (name, region, shape) = (instance.arn.name(), instance.arn.region(), &instance.shape);
        let replicas = world.replicas_of(&instance.arn).map(|replica| short_name(&replica.arn, region));
        Self {
            identifier: name,
            arn: instance.arn.as_str(),
            dbi_resource_id: &instance.resource_id,
            status: &instance.status,
            class: &shape.class,
            engine: if instance.cluster.is_some() { AURORA } else { POSTGRES },
            engine_version: &instance.engine_version,
            endpoint: EndpointElement {
                address: format!("{name}.{DOMAIN_PART}.{region}.rds.amazonaws.com"),
                port: shape.port,
            },
            backup_retention_period: instance.backup_retention,
            cluster: instance.cluster.as_ref().map(Arn::name),
            source: instance.source.as_ref().map(|source| short_name(source, region)),
            replicas: ReplicasElement { list: replicas.collect() },
            status_infos: StatusInfosElement { list: describe_replication(instance).into_iter().collect() },
            multi_az: shape.multi_az,
            publicly_accessible: shape.is_public,
            deletion_protection: shape.deletion_protection,
            storage_encrypted: shape.kms_key.is_some(),
            kms_key_id: shape.kms_key.as_deref(),
            subnet_group: shape.subnet_group.as_deref().map(|name| SubnetGroupElement {
                name,
                subnets: SubnetsElement {
                    list: shape.subnets.iter().map(|id| SubnetElement { id }).collect(),
                },
            }),
            parameter_groups: ParameterGroupsElement {
                list: [ParameterGroupElement {
                    name: shape.parameter_group.as_deref().unwrap_or(OWN_PARAMETERS),
                }],
            },
            vpc_security_groups: SecurityGroupsElement {
                list: shape.security_groups.iter().map(|id| SecurityGroupElement { id }).collect(),
            },
            enabled_cloudwatch_logs_exports: LogExportsElement { list: &shape.log_exports },
            tag_list: TagsElement {
                list: shape.tags.iter().map(|(key, value)| TagElement { key, value }).collect(),
            },
            pending_modified_values: PendingElement { name: instance.new_name.as_deref() },
        }
    }
}

/// The service names what is in the same region by its identifier, and everything else by its ARN.
fn short_name<'a>(arn: &'a Arn, region: &str) -> &'a str {
    if arn.region() == region { arn.name() } else { arn.as_str() }
}

fn describe_replication(instance: &DbInstance) -> Option<StatusInfoElement> {
    instance.source.as_ref()?;
    let (normal, status) = match instance.status.as_str() {
        "creating" => return None,
        "stopping" | "stopped" => (false, "stopped"),
        _ => (true, "replicating"),
    };
    Some(StatusInfoElement { status_type: "read replication", normal, status })
}

//! The operations of the API that the fake has.

use crate::query::{Form, Signature};

/// One of them.
#[derive(Clone, Copy)]
pub(super) enum Action {
    DescribeGlobalClusters,
    DescribeDbClusters,
    DescribeDbInstances,
    DescribeEvents,
    DescribeDbClusterSnapshots,
    SwitchoverGlobalCluster,
    FailoverGlobalCluster,
    RemoveFromGlobalCluster,
    PromoteReadReplica,
    CreateDbInstanceReadReplica,
    ModifyDbInstance,
    DeleteDbInstance,
    StopDbInstance,
    StartDbInstance,
    StopDbCluster,
    StartDbCluster,
    CopyDbClusterSnapshot,
}

const ALL: [Action; 17] = [
    Action::DescribeGlobalClusters,
    Action::DescribeDbClusters,
    Action::DescribeDbInstances,
    Action::DescribeEvents,
    Action::DescribeDbClusterSnapshots,
    Action::SwitchoverGlobalCluster,
    Action::FailoverGlobalCluster,
    Action::RemoveFromGlobalCluster,
    Action::PromoteReadReplica,
    Action::CreateDbInstanceReadReplica,
    Action::ModifyDbInstance,
    Action::DeleteDbInstance,
    Action::StopDbInstance,
    Action::StartDbInstance,
    Action::StopDbCluster,
    Action::StartDbCluster,
    Action::CopyDbClusterSnapshot,
];

impl Action {
    /// The operation that a request names. `None`: it is none of those here.
    pub(super) fn read(form: &Form) -> Option<Self> {
        ALL.into_iter().find(|action| action.signature().name == form.action())
    }

    pub(super) fn signature(self) -> &'static Signature {
        match self {
            Self::DescribeGlobalClusters => &DESCRIBE_GLOBAL_CLUSTERS,
            Self::DescribeDbClusters => &DESCRIBE_DB_CLUSTERS,
            Self::DescribeDbInstances => &DESCRIBE_DB_INSTANCES,
            Self::DescribeEvents => &DESCRIBE_EVENTS,
            Self::DescribeDbClusterSnapshots => &DESCRIBE_DB_CLUSTER_SNAPSHOTS,
            Self::SwitchoverGlobalCluster => &SWITCHOVER_GLOBAL_CLUSTER,
            Self::FailoverGlobalCluster => &FAILOVER_GLOBAL_CLUSTER,
            Self::RemoveFromGlobalCluster => &REMOVE_FROM_GLOBAL_CLUSTER,
            Self::PromoteReadReplica => &PROMOTE_READ_REPLICA,
            Self::CreateDbInstanceReadReplica => &CREATE_DB_INSTANCE_READ_REPLICA,
            Self::ModifyDbInstance => &MODIFY_DB_INSTANCE,
            Self::DeleteDbInstance => &DELETE_DB_INSTANCE,
            Self::StopDbInstance => &STOP_DB_INSTANCE,
            Self::StartDbInstance => &START_DB_INSTANCE,
            Self::StopDbCluster => &STOP_DB_CLUSTER,
            Self::StartDbCluster => &START_DB_CLUSTER,
            Self::CopyDbClusterSnapshot => &COPY_DB_CLUSTER_SNAPSHOT,
        }
    }
}

const fn read(name: &'static str, parameters: &'static [&'static str]) -> Signature {
    Signature { name, is_mutation: false, parameters }
}

const fn change(name: &'static str, parameters: &'static [&'static str]) -> Signature {
    Signature { name, is_mutation: true, parameters }
}

static DESCRIBE_GLOBAL_CLUSTERS: Signature =
    read("DescribeGlobalClusters", &["GlobalClusterIdentifier", "Filters", "MaxRecords", "Marker"]);
static DESCRIBE_DB_CLUSTERS: Signature =
    read("DescribeDBClusters", &["DBClusterIdentifier", "Filters", "MaxRecords", "Marker", "IncludeShared"]);
static DESCRIBE_DB_INSTANCES: Signature =
    read("DescribeDBInstances", &["DBInstanceIdentifier", "Filters", "MaxRecords", "Marker"]);
static DESCRIBE_EVENTS: Signature = read(
    "DescribeEvents",
    &[
        "SourceIdentifier",
        "SourceType",
        "StartTime",
        "EndTime",
        "Duration",
        "EventCategories",
        "MaxRecords",
        "Marker",
    ],
);
static DESCRIBE_DB_CLUSTER_SNAPSHOTS: Signature = read(
    "DescribeDBClusterSnapshots",
    &["DBClusterIdentifier", "DBClusterSnapshotIdentifier", "SnapshotType", "MaxRecords", "Marker"],
);
static SWITCHOVER_GLOBAL_CLUSTER: Signature =
    change("SwitchoverGlobalCluster", &["GlobalClusterIdentifier", "TargetDbClusterIdentifier"]);
static FAILOVER_GLOBAL_CLUSTER: Signature = change(
    "FailoverGlobalCluster",
    &["GlobalClusterIdentifier", "TargetDbClusterIdentifier", "AllowDataLoss", "Switchover"],
);
static REMOVE_FROM_GLOBAL_CLUSTER: Signature =
    change("RemoveFromGlobalCluster", &["GlobalClusterIdentifier", "DbClusterIdentifier"]);
static PROMOTE_READ_REPLICA: Signature =
    change("PromoteReadReplica", &["DBInstanceIdentifier", "BackupRetentionPeriod", "PreferredBackupWindow"]);
/// Of what shapes the new instance some is kept (`shape.rs`), and the rest taken and left aside.
static CREATE_DB_INSTANCE_READ_REPLICA: Signature = change(
    "CreateDBInstanceReadReplica",
    &[
        "DBInstanceIdentifier",
        "SourceDBInstanceIdentifier",
        "SourceRegion",
        "PreSignedUrl",
        "DBInstanceClass",
        "AvailabilityZone",
        "Port",
        "MultiAZ",
        "PubliclyAccessible",
        "DBParameterGroupName",
        "DBSubnetGroupName",
        "VpcSecurityGroupIds",
        "KmsKeyId",
        "Tags",
        "DeletionProtection",
        "EnableCloudwatchLogsExports",
        "AutoMinorVersionUpgrade",
        "EnableIAMDatabaseAuthentication",
        "CACertificateIdentifier",
        "CopyTagsToSnapshot",
        "NetworkType",
        "StorageType",
        "Iops",
        "StorageThroughput",
        "MaxAllocatedStorage",
        "MonitoringInterval",
        "MonitoringRoleArn",
        "EnablePerformanceInsights",
    ],
);
/// A new name, and at once: nothing else of an instance is modified here.
static MODIFY_DB_INSTANCE: Signature =
    change("ModifyDBInstance", &["DBInstanceIdentifier", "NewDBInstanceIdentifier", "ApplyImmediately"]);
static DELETE_DB_INSTANCE: Signature = change(
    "DeleteDBInstance",
    &["DBInstanceIdentifier", "SkipFinalSnapshot", "FinalDBSnapshotIdentifier", "DeleteAutomatedBackups"],
);
static STOP_DB_INSTANCE: Signature = change("StopDBInstance", &["DBInstanceIdentifier"]);
static START_DB_INSTANCE: Signature = change("StartDBInstance", &["DBInstanceIdentifier"]);
static STOP_DB_CLUSTER: Signature = change("StopDBCluster", &["DBClusterIdentifier"]);
static START_DB_CLUSTER: Signature = change("StartDBCluster", &["DBClusterIdentifier"]);
static COPY_DB_CLUSTER_SNAPSHOT: Signature = change(
    "CopyDBClusterSnapshot",
    &[
        "SourceDBClusterSnapshotIdentifier",
        "TargetDBClusterSnapshotIdentifier",
        "KmsKeyId",
        "PreSignedUrl",
        "SourceRegion",
        "CopyTags",
        "Tags",
    ],
);

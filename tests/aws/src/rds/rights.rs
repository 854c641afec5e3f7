//! What a request has to be allowed.
//!
//! The reference lists clusters for `CreateDBInstanceReadReplica`, too: a replica of an instance names none.
//!
//! What this module must never do: leave out a resource that IAM would look at.

use super::arn::{Arn, Kind, Place};
use super::operations::Action;
use crate::query::Form;
use crate::rights::Need;

pub(super) fn needs_of(action: Action, form: &Form, place: Place<'_>) -> Vec<Need> {
    // Who names none asks for all of them.
    let named = |kind: Kind, parameter: &str| {
        Arn::named(kind, place, form.get(parameter).unwrap_or("*")).as_str().to_owned()
    };
    let instance = || named(Kind::Instance, "DBInstanceIdentifier");
    let cluster = |parameter: &str| named(Kind::Cluster, parameter);
    let snapshot = |parameter: &str| named(Kind::ClusterSnapshot, parameter);
    let global = || named(Kind::GlobalCluster, "GlobalClusterIdentifier");
    let group = |kind: &str, parameter: &str| {
        let Place { region, account } = place;
        let name = form.get(parameter).unwrap_or("*");
        format!("arn:aws:rds:{region}:{account}:{kind}:{name}")
    };
    let resources = match action {
        Action::DescribeGlobalClusters => vec![global()],
        Action::DescribeDbClusters | Action::StopDbCluster | Action::StartDbCluster => {
            vec![cluster("DBClusterIdentifier")]
        }
        Action::DescribeDbInstances
        | Action::PromoteReadReplica
        | Action::ModifyDbInstance
        | Action::DeleteDbInstance
        | Action::StopDbInstance
        | Action::StartDbInstance => vec![instance()],
        // It takes no resource.
        Action::DescribeEvents => vec!["*".to_owned()],
        Action::DescribeDbClusterSnapshots => {
            vec![cluster("DBClusterIdentifier"), snapshot("DBClusterSnapshotIdentifier")]
        }
        Action::SwitchoverGlobalCluster | Action::FailoverGlobalCluster => {
            vec![global(), cluster("TargetDbClusterIdentifier")]
        }
        Action::RemoveFromGlobalCluster => vec![global(), cluster("DbClusterIdentifier")],
        Action::CreateDbInstanceReadReplica => {
            // Who names no group gets one of the region.
            vec![
                instance(),
                named(Kind::Instance, "SourceDBInstanceIdentifier"),
                group("og", "OptionGroupName"),
                group("pg", "DBParameterGroupName"),
                group("subgrp", "DBSubnetGroupName"),
            ]
        }
        Action::CopyDbClusterSnapshot => {
            vec![snapshot("SourceDBClusterSnapshotIdentifier"), snapshot("TargetDBClusterSnapshotIdentifier")]
        }
    };
    let need = Need::new(format!("rds:{}", action.signature().name), resources);
    let is_tagged = form.get("Tags.Tag.1.Key").is_some();
    // What is made gets them.
    let tagged = is_tagged.then(|| match action {
        Action::CopyDbClusterSnapshot => snapshot("TargetDBClusterSnapshotIdentifier"),
        _ => instance(),
    });
    let tags = tagged.map(|made| Need::new("rds:AddTagsToResource", vec![made]));
    std::iter::once(need).chain(tags).collect()
}

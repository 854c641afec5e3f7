//! Every call of AWS' API that Muster makes: what it is for, and on what.
//!
//! An error names its call by [`Action`], and `muster aws iam` writes IAM policies from the [`Permission`]s, so neither can
//! speak of a call that the other does not know. Which resources an action takes is said by AWS' service authorization
//! reference: <https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html>
//!
//! What this module must never do: hold a right that no adapter uses.

use std::fmt;

/// A call of AWS' API, as IAM names it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "AWS' own names")]
pub enum Action {
    AssumeRole,
    ListResourceRecordSets,
    ChangeResourceRecordSets,
    GetChange,
    GetHealthCheck,
    GetHealthCheckStatus,
    GetRoutingControlState,
    UpdateRoutingControlStates,
    GetObject,
    PutObject,
    /// Also decides how S3 answers [`Action::GetObject`] where no object is. The API calls it `ListObjectsV2`.
    ListBucket,
    DescribeGlobalClusters,
    DescribeDbClusters,
    SwitchoverGlobalCluster,
    FailoverGlobalCluster,
    RemoveFromGlobalCluster,
    DescribeDbInstances,
    PromoteReadReplica,
    ModifyDbInstance,
    CreateDbInstanceReadReplica,
    /// No call of its own: it decides whether a replica may be made with tags.
    AddTagsToResource,
    DescribeEvents,
    DescribeDbClusterSnapshots,
    CopyDbClusterSnapshot,
    DescribeNetworkAcls,
    CreateNetworkAclEntry,
    DeleteNetworkAclEntry,
}

impl Action {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::AssumeRole,
        Self::ListResourceRecordSets,
        Self::ChangeResourceRecordSets,
        Self::GetChange,
        Self::GetHealthCheck,
        Self::GetHealthCheckStatus,
        Self::GetRoutingControlState,
        Self::UpdateRoutingControlStates,
        Self::GetObject,
        Self::PutObject,
        Self::ListBucket,
        Self::DescribeGlobalClusters,
        Self::DescribeDbClusters,
        Self::SwitchoverGlobalCluster,
        Self::FailoverGlobalCluster,
        Self::RemoveFromGlobalCluster,
        Self::DescribeDbInstances,
        Self::PromoteReadReplica,
        Self::ModifyDbInstance,
        Self::CreateDbInstanceReadReplica,
        Self::AddTagsToResource,
        Self::DescribeEvents,
        Self::DescribeDbClusterSnapshots,
        Self::CopyDbClusterSnapshot,
        Self::DescribeNetworkAcls,
        Self::CreateNetworkAclEntry,
        Self::DeleteNetworkAclEntry,
    ];

    /// As IAM writes it, with its service.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AssumeRole => "sts:AssumeRole",
            Self::ListResourceRecordSets => "route53:ListResourceRecordSets",
            Self::ChangeResourceRecordSets => "route53:ChangeResourceRecordSets",
            Self::GetChange => "route53:GetChange",
            Self::GetHealthCheck => "route53:GetHealthCheck",
            Self::GetHealthCheckStatus => "route53:GetHealthCheckStatus",
            Self::GetRoutingControlState => "route53-recovery-cluster:GetRoutingControlState",
            Self::UpdateRoutingControlStates => "route53-recovery-cluster:UpdateRoutingControlStates",
            Self::GetObject => "s3:GetObject",
            Self::PutObject => "s3:PutObject",
            Self::ListBucket => "s3:ListBucket",
            Self::DescribeGlobalClusters => "rds:DescribeGlobalClusters",
            Self::DescribeDbClusters => "rds:DescribeDBClusters",
            Self::SwitchoverGlobalCluster => "rds:SwitchoverGlobalCluster",
            Self::FailoverGlobalCluster => "rds:FailoverGlobalCluster",
            Self::RemoveFromGlobalCluster => "rds:RemoveFromGlobalCluster",
            Self::DescribeDbInstances => "rds:DescribeDBInstances",
            Self::PromoteReadReplica => "rds:PromoteReadReplica",
            Self::ModifyDbInstance => "rds:ModifyDBInstance",
            Self::CreateDbInstanceReadReplica => "rds:CreateDBInstanceReadReplica",
            Self::AddTagsToResource => "rds:AddTagsToResource",
            Self::DescribeEvents => "rds:DescribeEvents",
            Self::DescribeDbClusterSnapshots => "rds:DescribeDBClusterSnapshots",
            Self::CopyDbClusterSnapshot => "rds:CopyDBClusterSnapshot",
            Self::DescribeNetworkAcls => "ec2:DescribeNetworkAcls",
            Self::CreateNetworkAclEntry => "ec2:CreateNetworkAclEntry",
            Self::DeleteNetworkAclEntry => "ec2:DeleteNetworkAclEntry",
        }
    }

    /// As the API calls it.
    pub(crate) fn operation(self) -> &'static str {
        self.name().split_once(':').map_or(self.name(), |(_, operation)| operation)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// On what calls may be made, by what a policy names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum On {
    /// The roles that items name.
    Roles,
    /// The item's hosted zone, whole: a list cannot be narrowed to a name.
    HostedZone,
    /// The hosted zone, and in it the name alone, by deletions and creations.
    Name,
    /// As [`On::Name`], with the witness beside the name, and records of the types that a flip may have to replace.
    NameAndWitness,
    /// Changes of Route 53: their ids are known only once they were asked for.
    Changes,
    /// The health checks that decide on the name.
    HealthChecks,
    /// The item's own routing controls, without the right to override a safety rule.
    RoutingControls,
    /// The objects that health checks watch.
    Markers,
    /// The buckets that these objects are in.
    MarkerBuckets,
    /// All global clusters of the account: one list serves every policy.
    GlobalClusters,
    /// All clusters of the account in the members' regions, for the same reason.
    Clusters,
    /// The global cluster, and its members.
    GlobalDatabase,
    /// All that RDS tells in the account: events cannot be narrowed to a database.
    Events,
    /// The members, and all snapshots of clusters in their regions: the list takes both.
    Snapshots,
    /// What Aurora saves of the members' volumes at a failover, and the copies that are kept of it.
    OldVolumes,
    /// All database instances of the account in the item's regions, for the same reason.
    Instances,
    /// The item's own instances.
    OwnInstances,
    /// The item's own instances in every region, and whatever groups they may be in: a replica is made of the one in another
    /// region, and in the groups that the old primary is in.
    OwnInstancesAndGroups,
    /// All network ACLs of the account: the list takes no resource.
    NetworkAcls,
    /// The network ACLs that the policy names.
    OwnNetworkAcls,
}

/// Calls that are made for one reason on the same things.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Permission {
    /// What the statement is called: letters and digits.
    pub sid: &'static str,
    /// The calls.
    pub actions: &'static [Action],
    /// What they are made on.
    pub on: On,
    /// What would not work without them.
    pub reason: &'static str,
}

/// Of the credentials that Muster runs with, where items name roles.
pub const ASSUME: &[Permission] = &[Permission {
    sid: "TakeTheRolesOfThePolicies",
    actions: &[Action::AssumeRole],
    on: On::Roles,
    reason: "each role is assumed before a call is made as it",
}];

/// Of [`crate::route53::Route53`].
pub const ROUTE53_RECORD: &[Permission] = &[
    Permission {
        sid: "ReadTheRecordsBeforeTheyAreReplaced",
        actions: &[Action::ListResourceRecordSets],
        on: On::HostedZone,
        reason: "a flip names the very records that it replaces, so that Route 53 refuses it once they have changed",
    },
    Permission {
        sid: "ReplaceTheNameAndItsWitness",
        actions: &[Action::ChangeResourceRecordSets],
        on: On::NameAndWitness,
        reason: "a flip deletes the record and the witness as they were read, and creates both anew, in one batch",
    },
    Permission {
        sid: "KnowWhenEveryServerHasTheFlip",
        actions: &[Action::GetChange],
        on: On::Changes,
        reason: "how long Route 53 took to bring a flip to every server is logged; nothing waits for it",
    },
];

/// Of [`crate::route53::HealthObject`].
pub const HEALTH_OBJECT: &[Permission] = &[
    Permission {
        sid: "ReadAndWriteTheMarkers",
        actions: &[Action::GetObject, Action::PutObject],
        on: On::Markers,
        reason: "a flip reads the objects that the health checks watch, and writes over the versions that it read",
    },
    Permission {
        sid: "BeToldThatAMarkerIsNotThereYet",
        actions: &[Action::ListBucket],
        on: On::MarkerBuckets,
        reason: "without it S3 answers 403 instead of 404 for an object that is not there, and the first flip cannot write it; \
                 where many objects are watched in a bucket, one list tells of all whether they changed",
    },
    Permission {
        sid: "SeeTheRolesOfTheRecords",
        actions: &[Action::ListResourceRecordSets],
        on: On::HostedZone,
        reason: "which region's record is the primary one decides what the objects mean",
    },
    Permission {
        sid: "SwapTheRolesOnceAllIsCalm",
        actions: &[Action::ChangeResourceRecordSets],
        on: On::Name,
        reason: "settling swaps the two records' roles, so that the name stays with every object gone",
    },
    Permission {
        sid: "KnowWhenEveryServerHasTheSwap",
        actions: &[Action::GetChange],
        on: On::Changes,
        reason: "the last object is switched off only once every name server has the swapped roles",
    },
    Permission {
        sid: "CompareTheHealthChecksWithThePolicy",
        actions: &[Action::GetHealthCheck],
        on: On::HealthChecks,
        reason: "a health check that watches something else, or is disabled, is told before the day",
    },
    Permission {
        sid: "SeeWhetherTheCheckersCanReadTheObjects",
        actions: &[Action::GetHealthCheckStatus],
        on: On::HealthChecks,
        reason: "a bucket that lets the checkers read no more is told before the day",
    },
];

/// Of [`crate::route53::RoutingControl`].
pub const ROUTING_CONTROL: &[Permission] = &[
    Permission {
        sid: "SeeWhichRoutingControlsAreOn",
        actions: &[Action::GetRoutingControlState],
        on: On::RoutingControls,
        reason: "a flip looks first, and what another writer switched is told",
    },
    Permission {
        sid: "SwitchTheRoutingControlsOfThisName",
        actions: &[Action::UpdateRoutingControlStates],
        on: On::RoutingControls,
        reason: "a flip switches one on and all others off, in one call; safety rules are never overridden",
    },
    Permission {
        sid: "CompareTheRecordsWithThePolicy",
        actions: &[Action::ListResourceRecordSets],
        on: On::HostedZone,
        reason: "a record without its region's health check is told before the day",
    },
    Permission {
        sid: "CompareTheControlsHealthChecksWithThePolicy",
        actions: &[Action::GetHealthCheck],
        on: On::HealthChecks,
        reason: "a health check that follows another routing control, or is disabled, is told before the day",
    },
];

/// Of [`crate::aurora::AuroraData`].
pub const AURORA_GLOBAL: &[Permission] = &[
    Permission {
        sid: "SeeWhichClusterTakesWritesAndWhatIsUnderWay",
        actions: &[Action::DescribeGlobalClusters],
        on: On::GlobalClusters,
        reason: "each change looks first: what is under way is adopted or left alone",
    },
    Permission {
        sid: "SeeWhetherAClusterIsWellAndHasInstances",
        actions: &[Action::DescribeDbClusters],
        on: On::Clusters,
        reason: "a cluster that is not well, or has no instance, is not made the writer",
    },
    Permission {
        sid: "MoveTheWriterOfThisGlobalDatabase",
        actions: &[Action::SwitchoverGlobalCluster, Action::FailoverGlobalCluster],
        on: On::GlobalDatabase,
        reason: "the planned move, and the one that accepts a loss",
    },
    Permission {
        sid: "BeToldWhetherWritesWereKeptOutOfTheOldPrimary",
        actions: &[Action::DescribeEvents],
        on: On::Events,
        reason: "by events Aurora tells whether it could block writes at the old primary, and how far it is meanwhile",
    },
    Permission {
        sid: "FindWhatAuroraSavedOfTheOldPrimary",
        actions: &[Action::DescribeDbClusterSnapshots],
        on: On::Snapshots,
        reason: "after a failover Aurora saves the old primary's volume, with the writes that were lost",
    },
    Permission {
        sid: "KeepWhatAuroraSavedOfTheOldPrimary",
        actions: &[Action::CopyDbClusterSnapshot],
        on: On::OldVolumes,
        reason: "that snapshot expires with the old cluster's backups, and a copy does not",
    },
];

/// Of the same, beside [`AURORA_GLOBAL`], where the policy lets a person have the target detached.
pub const AURORA_DETACH: &[Permission] = &[Permission {
    sid: "TakeTheTargetOutOfThisGlobalDatabase",
    actions: &[Action::RemoveFromGlobalCluster],
    on: On::GlobalDatabase,
    reason: "a failover that does not come to its end is gone round once a person agrees: the target takes writes alone",
}];

/// Of [`crate::rds_replica::RdsReplicaData`].
pub const RDS_REPLICA: &[Permission] = &[
    Permission {
        sid: "SeeWhatEachInstanceIsAndDoes",
        actions: &[Action::DescribeDbInstances],
        on: On::Instances,
        reason: "a promotion cannot be undone: whether one is under way or done is looked at first",
    },
    Permission {
        sid: "PromoteTheReadReplicasOfThisItem",
        actions: &[Action::PromoteReadReplica],
        on: On::OwnInstances,
        reason: "the replica of the region that takes over becomes a primary",
    },
];

/// Of the same, beside [`RDS_REPLICA`], where Muster makes old primaries anew.
pub const RDS_REBUILD: &[Permission] = &[
    Permission {
        sid: "LetAnOldPrimaryGiveItsNameAway",
        actions: &[Action::ModifyDbInstance],
        on: On::OwnInstances,
        reason: "an old primary is renamed and kept, and a replica gets its name",
    },
    Permission {
        sid: "MakeTheReplicaThatTakesItsPlace",
        actions: &[Action::CreateDbInstanceReadReplica],
        on: On::OwnInstancesAndGroups,
        reason: "the replica of the new primary is made under the old name, in the old primary's groups",
    },
    Permission {
        sid: "GiveTheReplicaTheTagsOfTheOldPrimary",
        actions: &[Action::AddTagsToResource],
        on: On::OwnInstances,
        reason: "without it RDS makes no replica with tags, and the old primary's go along with it",
    },
];

/// Of [`crate::network_acl::NetworkAclFence`].
pub const NETWORK_ACL: &[Permission] = &[
    Permission {
        sid: "SeeWhatTheNetworkAclsDeny",
        actions: &[Action::DescribeNetworkAcls],
        on: On::NetworkAcls,
        reason: "each change looks first, and what is read back is all that the fence attests",
    },
    Permission {
        sid: "DenyAndOpenTheseNetworkAcls",
        actions: &[Action::CreateNetworkAclEntry, Action::DeleteNetworkAclEntry],
        on: On::OwnNetworkAcls,
        reason: "the fence makes entries that deny everything, and its undo removes exactly these",
    },
    Permission {
        sid: "SeeWhichSubnetsTheDatabasesStandIn",
        actions: &[Action::DescribeDbInstances],
        on: On::Instances,
        reason: "a deny in front of other subnets than the databases' keeps nobody out",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    fn permissions() -> impl Iterator<Item = &'static Permission> {
        let of_names = [ROUTE53_RECORD, HEALTH_OBJECT, ROUTING_CONTROL];
        let of_databases = [AURORA_GLOBAL, AURORA_DETACH, RDS_REPLICA, RDS_REBUILD];
        [ASSUME, NETWORK_ACL].into_iter().chain(of_names).chain(of_databases).flatten()
    }

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("permissions.rs") {
                found.push(path);
            }
        }
    }

    /// All code of the adapters without its comments and without the tests, which stand at each file's end; and without what
    /// sets names up, which a person runs with other rights.
    fn code() -> String {
        let mut files = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
        files.retain(|file| !file.components().any(|part| part.as_os_str() == "setup"));
        let mut code = String::new();
        for file in files {
            let text = std::fs::read_to_string(file).expect("a file");
            let shipped = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            for line in shipped.lines().filter(|line| !line.trim_start().starts_with("//")) {
                code.push_str(line);
                code.push('\n');
            }
        }
        code
    }

    /// `GetObject` as the SDK's method is called: `get_object`.
    fn method(action: Action) -> String {
        let mut method = String::new();
        for c in format!("{action:?}").chars() {
            if c.is_ascii_uppercase() && !method.is_empty() {
                method.push('_');
            }
            method.push(c.to_ascii_lowercase());
        }
        method
    }

    #[test]
    fn every_action_of_the_table_is_one_that_the_code_uses() {
        let code = code();
        for action in Action::ALL {
            let (used, called) = match action {
                Action::AssumeRole => ("AssumeRoleProvider".to_owned(), String::new()),
                Action::ListBucket | Action::AddTagsToResource => {
                    (format!("Action::{action:?}"), String::new())
                }
                _ => (format!("Action::{action:?}"), format!(".{}(", method(*action))),
            };
            assert!(code.contains(&used), "{action}: no code says {used}");
            assert!(code.contains(&called), "{action}: no code calls {called}");
        }
    }

    #[test]
    fn no_code_names_a_call_otherwise_than_by_the_table() {
        let code = code();
        for service in ["rds:", "s3:", "route53:", "route53-recovery-cluster:", "sts:", "ec2:"] {
            for (at, _) in code.match_indices(service) {
                let next = code[at + service.len()..].chars().next();
                let around: String = code[at..].chars().take(40).collect();
                assert!(!next.is_some_and(|c| c.is_ascii_uppercase()), "a call is written out: {around}");
            }
        }
    }

    #[test]
    fn the_table_holds_every_action_and_names_each_statement_once() {
        let allowed: BTreeSet<Action> = permissions().flat_map(|p| p.actions).copied().collect();
        assert_eq!(allowed, Action::ALL.iter().copied().collect());
        let sids: BTreeSet<&str> = permissions().map(|p| p.sid).collect();
        assert_eq!(sids.len(), permissions().count());
        assert!(sids.iter().all(|sid| sid.bytes().all(|b| b.is_ascii_alphanumeric())));
    }

    #[test]
    fn names_are_those_of_the_api() {
        for action in Action::ALL {
            let bare = action.name().split_once(':').map_or("", |(_, bare)| bare);
            assert!(bare.eq_ignore_ascii_case(&format!("{action:?}")), "{action}");
        }
    }
}

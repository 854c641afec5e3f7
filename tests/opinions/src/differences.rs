//! What the emulators are known to do otherwise, and why the fake is right.
//!
//! The suite fails when one of these is gone, has become another one, or a further one comes up. `model` means the API
//! models that AWS publishes for its SDKs; what stands in quotation marks is from the API's reference.

/// A case that does not hold at an emulator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Difference {
    /// Its name.
    pub(crate) case: &'static str,
    /// What the case comes to instead, in its own words.
    pub(crate) instead: &'static str,
    /// The document, or the entry of the API's model, that the fake goes by.
    pub(crate) why: &'static str,
}

const fn known(case: &'static str, instead: &'static str, why: &'static str) -> Difference {
    Difference { case, instead, why }
}

const CREATE: &str = "API_ChangeResourceRecordSets: CREATE creates; only UPSERT takes a set that exists";
const DELETE: &str = "API_ChangeResourceRecordSets: \"To delete a resource record set, you must specify all the same \
                      values\", and a batch that is not valid is refused with InvalidChangeBatch";
const WHOLE: &str =
    "API_ChangeResourceRecordSets: \"makes all or none of the changes in the change batch request\"";
const PENDING: &str = "API_GetChange: PENDING \"is the initial status of all change batch requests\"";
const NO_CHANGE: &str = "model: GetChange refuses with NoSuchChange, 404";
const ORDER: &str = "API_ListResourceRecordSets: \"Note the trailing dot, which can change the sort order\" of names \
                     with a hyphen";
const PRIMARY: &str = "seen of the real service by many, and in no reference: \"A non-alias primary \
                       ResourceRecordSet must have an associated health check\" (kubernetes-sigs/external-dns#2362)";
const ONE_OF_EACH: &str = "API_ResourceRecordSet, Failover: of two sets \"for one\" PRIMARY is specified, \"for the \
                           other\" SECONDARY; the console says that such a set exists (boto/boto3#1347)";
const COMPANY: &str = "API_ResourceRecordSet, Failover: \"You can't create non-failover resource record sets that have \
                       the same values for the Name and Type elements\"";
const NO_CHECK: &str = "model: ChangeResourceRecordSets refuses with NoSuchHealthCheck, 404";
const BOOLEAN: &str =
    "model: Inverted is a boolean, which XML writes in lower case; it is answered as `True`";
const DENIED: &str =
    "S3's list of error codes: AccessDenied, 403; the bucket's policy allows another key alone";
const NOT_TOLD: &str =
    "API_GetObject: without s3:ListBucket an object that does not exist is \"403 Access Denied\"";
const ELSEWHERE: &str = "S3's list of error codes: PermanentRedirect, 301";
const NO_GLOBAL: &str = "model: DescribeGlobalClusters refuses with GlobalClusterNotFoundFault, 404";
const BY_NAME: &str =
    "API_DescribeGlobalClusters: with the identifier \"only the specific DB cluster is returned\"";
const CONNECTED: &str = "API_GlobalClusterMember: SynchronizationStatus is connected or pending-resync";
const NO_MOVES: &str =
    "model: SwitchoverGlobalCluster and FailoverGlobalCluster are operations; it has neither";
const SHOWN: &str = "API_FailoverState: empty \"unless a switchover or failover operation is scheduled or is in \
                     progress\"; here it is over at once";
const REPLICATES: &str = "API_DBInstanceStatusInfo: for \"read replication\" the status can be replicating";
const PROMOTED: &str = "API_DBInstance: ReadReplicaSourceDBInstanceIdentifier is there \"if this DB instance is a \
                        read replica\"";
const NO_REPLICA: &str = "model: PromoteReadReplica refuses with InvalidDBInstanceState, 400";
const NO_INSTANCE: &str = "model: PromoteReadReplica refuses with DBInstanceNotFound, 404";
const FROM_AFAR: &str = "API_CreateDBInstanceReadReplica: a source in another region is named by its ARN; here only \
                         one in the same region is known";
const NO_PROMOTION: &str = "model: PromoteReadReplica is an operation; it has none";
const PAGES: &str = "API_DescribeDBInstances: \"If more records exist than the specified MaxRecords value\", there is a \
                     marker";
const TRUST: &str =
    "IAM user guide, external id: the trust policy's condition denies whoever does not name it";
const NO_ROLE: &str =
    "STS: what no trust policy allows is AccessDenied, 403, whether there is such a role or not";

const NO_KEY: &str =
    "the APIs' common errors: InvalidClientTokenId, 403, for an access key that does not exist";
const NO_S3_KEY: &str = "S3's list of error codes: InvalidAccessKeyId, 403";
const BARE: &str =
    "model: Route 53 speaks rest-xml, which wraps an error in <ErrorResponse>; this one is as S3's";

const WITHOUT_CODE: &str = "refused: 500 without a code";
const NO_SOURCE: &str = "CreateDBInstanceReadReplica: refused: 400 InvalidParameterValue";
const NO_ACTION: &str = "refused: 400 InvalidAction";

/// Of moto 5.2.5.
pub(crate) const OF_MOTO: &[Difference] = &[
    known("batch-create-of-existing", "taken", CREATE),
    known("batch-delete-of-other-value", "refused: 400 InvalidInput", DELETE),
    known("batch-delete-of-other-ttl", "refused: 400 InvalidInput", DELETE),
    known("batch-delete-of-nothing", "refused: 400 InvalidInput", DELETE),
    known("batch-is-whole-or-nothing", "taken", WHOLE),
    known("batch-planned-on-older-look", "taken", DELETE),
    known("batch-change-is-known", "at first: \"INSYNC\" instead of \"PENDING\"", PENDING),
    known("batch-change-unknown", "taken", NO_CHANGE),
    known(
        "list-has-hyphen-first",
        "listed: [\"shop\", \"shop-x\", \"_muster.shop\"] instead of [\"shop-x\", \"shop\", \"_muster.shop\"]",
        ORDER,
    ),
    known("set-primary-needs-check", "taken", PRIMARY),
    known("set-has-one-of-a-role", "taken", ONE_OF_EACH),
    known("set-of-no-role-beside-pair", "taken", COMPANY),
    known("check-unknown-on-set", "taken", NO_CHECK),
    known("reader-of-private-object", "refused: 403 without a code", DENIED),
    known("reader-of-missing-object", "refused: 404 NoSuchKey", NOT_TOLD),
    known("reader-elsewhere", "taken", ELSEWHERE),
    known("global-unknown", "taken", NO_GLOBAL),
    known("global-by-name", "listed alone: false instead of true", BY_NAME),
    known("global-connected", "synchronization: None instead of Some(\"connected\")", CONNECTED),
    known("global-switchover", WITHOUT_CODE, NO_MOVES),
    known("global-failover", WITHOUT_CODE, NO_MOVES),
    known("global-failover-at-target", WITHOUT_CODE, NO_MOVES),
    known("global-move-is-shown", WITHOUT_CODE, NO_MOVES),
    known("global-failover-is-shown", WITHOUT_CODE, NO_MOVES),
    known("global-move-once", WITHOUT_CODE, NO_MOVES),
    known("global-move-to-writer", WITHOUT_CODE, NO_MOVES),
    known("global-move-to-nobody", WITHOUT_CODE, NO_MOVES),
    known("global-move-of-nothing", WITHOUT_CODE, NO_MOVES),
    known(
        "replica-replicates",
        "replication: None instead of Some((Some(\"replicating\"), Some(true)))",
        REPLICATES,
    ),
    known("replica-promoted", "names a source: true instead of false", PROMOTED),
    known("replica-promoted-once", "taken", NO_REPLICA),
    known("replica-of-nobody", "taken", NO_REPLICA),
    known("replica-unknown", WITHOUT_CODE, NO_INSTANCE),
    known("role-asks-for-external-id", "taken", TRUST),
    known("role-unknown", "taken", NO_ROLE),
    known("caller-unknown-to-rds", "taken", NO_KEY),
    known("caller-unknown-to-route53", "taken", NO_KEY),
    known("caller-unknown-to-s3", "refused: 404 NoSuchKey", NO_S3_KEY),
];

/// Of ministack 1.5.33.
pub(crate) const OF_MINISTACK: &[Difference] = &[
    known(
        "list-has-hyphen-first",
        "listed: [\"shop\", \"_muster.shop\", \"shop-x\"] instead of [\"shop-x\", \"shop\", \"_muster.shop\"]",
        ORDER,
    ),
    known("check-is-shown", "an answer that the SDK does not take: 201", BOOLEAN),
    known("set-primary-needs-check", "taken", PRIMARY),
    known("set-has-one-of-a-role", "taken", ONE_OF_EACH),
    known("set-of-no-role-beside-pair", "taken", COMPANY),
    known("check-unknown-on-set", "taken", NO_CHECK),
    known("reader-of-missing-object", "refused: 404 NoSuchKey", NOT_TOLD),
    known(
        "global-move-is-shown",
        "from east, to west, data loss: None instead of Some((true, true, Some(false)))",
        SHOWN,
    ),
    known(
        "global-failover-is-shown",
        "from east, to west, data loss: None instead of Some((true, true, Some(true)))",
        SHOWN,
    ),
    known("replica-names-source", NO_SOURCE, FROM_AFAR),
    known("replica-replicates", NO_SOURCE, FROM_AFAR),
    known("replica-promoted", NO_SOURCE, FROM_AFAR),
    known("replica-stays-itself", NO_SOURCE, FROM_AFAR),
    known("replica-gets-backups", NO_SOURCE, FROM_AFAR),
    known("replica-promoted-once", NO_SOURCE, FROM_AFAR),
    known("replica-of-nobody", NO_ACTION, NO_PROMOTION),
    known("replica-unknown", NO_ACTION, NO_PROMOTION),
    known("instance-list-in-pages", "on the first page: 21 instead of 20", PAGES),
    known("caller-unknown-to-route53", "refused: 403 without a code", BARE),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases;

    #[test]
    fn every_difference_is_that_of_a_case_and_listed_once() {
        for table in [OF_MOTO, OF_MINISTACK] {
            for difference in table {
                let listed = table.iter().filter(|other| other.case == difference.case).count();
                let cases = cases::all().iter().filter(|case| case.name == difference.case).count();
                assert_eq!((listed, cases), (1, 1), "{}", difference.case);
            }
        }
    }
}

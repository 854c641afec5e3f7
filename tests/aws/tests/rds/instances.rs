//! Instances and their replicas, what stops, and what a test bed is told of it.

use crate::stage::{ACCOUNT, Answer, EAST, Stage, WEST, WHOLE_MOVE, member, wait_until};
use muster_aws_fake::{FenceVerdict, InstanceShape, RdsHappening};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const REPLICA: [(&str, &str); 1] = [("DBInstanceIdentifier", "copy")];
const PRIMARY: [(&str, &str); 1] = [("DBInstanceIdentifier", "books")];

/// An instance `books` in the east, and its replica `copy` in the west, whose ARNs are returned.
fn add_replica(stage: &Stage) -> (String, String) {
    let source = stage.aws.create_instance(ACCOUNT, EAST, "books");
    let replica = stage.aws.create_read_replica(&source, WEST, "copy");
    (source, replica)
}

async fn describe_replica(stage: &Stage) -> Answer {
    stage.call(WEST, "DescribeDBInstances", &REPLICA).await
}

#[tokio::test]
async fn a_replica_that_is_promoted_reboots_and_is_a_database_by_itself() {
    let stage = Stage::start().await;
    let (source, _) = add_replica(&stage);
    let before = describe_replica(&stage).await;
    assert_eq!(before.texts("ReadReplicaSourceDBInstanceIdentifier"), [source.as_str()]);
    assert_eq!(before.texts_in("StatusInfos", "Status"), ["replicating"]);
    let parameters = [REPLICA[0], ("BackupRetentionPeriod", "3")];
    let accepted = stage.call(WEST, "PromoteReadReplica", &parameters).await;
    assert_eq!(accepted.texts("DBInstanceStatus"), ["modifying"], "{}", accepted.body);
    let again = stage.call(WEST, "PromoteReadReplica", &parameters).await;
    assert_eq!(again.error(), (400, "InvalidDBInstanceState".to_owned()));
    for (seconds, status, is_replica) in
        [(90, "rebooting", true), (60, "backing-up", false), (150, "available", false)]
    {
        stage.aws.skip(Duration::from_secs(seconds));
        let answer = describe_replica(&stage).await;
        assert_eq!(answer.texts("DBInstanceStatus"), [status]);
        assert_eq!(!answer.texts("ReadReplicaSourceDBInstanceIdentifier").is_empty(), is_replica, "{status}");
        assert_eq!(answer.texts("DbiResourceId"), before.texts("DbiResourceId"));
    }
    let after = describe_replica(&stage).await;
    assert_eq!(after.texts("BackupRetentionPeriod"), ["3"]);
    assert!(after.texts_in("StatusInfos", "Status").is_empty(), "{}", after.body);
    let once_more = stage.call(WEST, "PromoteReadReplica", &REPLICA).await;
    assert_eq!(once_more.error(), (400, "InvalidDBInstanceState".to_owned()), "it is no replica");
}

#[tokio::test]
async fn a_replica_is_not_promoted_while_it_is_backed_up() {
    let stage = Stage::start().await;
    let (_, replica) = add_replica(&stage);
    stage.aws.set_instance_status(&replica, "backing-up");
    let refused = stage.call(WEST, "PromoteReadReplica", &REPLICA).await;
    assert_eq!(refused.error(), (400, "InvalidDBInstanceState".to_owned()));
    stage.aws.set_instance_status(&replica, "available");
    assert_eq!(stage.call(WEST, "PromoteReadReplica", &REPLICA).await.status, 200);
}

#[tokio::test]
async fn a_new_replica_is_created_in_the_callers_region() {
    let stage = Stage::start().await;
    let source = stage.aws.create_instance(ACCOUNT, EAST, "books");
    let parameters = [REPLICA[0], ("SourceDBInstanceIdentifier", source.as_str()), ("SourceRegion", EAST)];
    let creating = stage.call(WEST, "CreateDBInstanceReadReplica", &parameters).await;
    assert_eq!(creating.texts("DBInstanceStatus"), ["creating"], "{}", creating.body);
    let again = stage.call(WEST, "CreateDBInstanceReadReplica", &parameters).await;
    assert_eq!(again.error(), (400, "DBInstanceAlreadyExists".to_owned()));
    stage.aws.skip(Duration::from_mins(16));
    assert_eq!(stage.instance_status(WEST, "copy").await, "available");
    let primary = stage.call(EAST, "DescribeDBInstances", &PRIMARY).await;
    let replicas = primary.texts("ReadReplicaDBInstanceIdentifier");
    assert_eq!(replicas, ["arn:aws:rds:us-west-2:111111111111:db:copy"]);
}

#[tokio::test]
async fn a_replica_is_as_it_was_asked_for_and_takes_its_class_from_the_source() {
    let stage = Stage::start().await;
    let source = stage.aws.create_instance(ACCOUNT, EAST, "books");
    let class = "db.r6g.2xlarge".to_owned();
    let shape = InstanceShape { class, multi_az: true, port: 6543, ..InstanceShape::default() };
    stage.aws.set_instance_shape(&source, shape);
    let parameters = [
        REPLICA[0],
        ("SourceDBInstanceIdentifier", source.as_str()),
        ("DBSubnetGroupName", "west"),
        ("DBParameterGroupName", "books"),
        ("VpcSecurityGroupIds.VpcSecurityGroupId.1", "sg-1"),
        ("EnableCloudwatchLogsExports.member.1", "postgresql"),
        ("Tags.Tag.1.Key", "team"),
        ("Tags.Tag.1.Value", "shop"),
        ("DeletionProtection", "true"),
    ];
    assert_eq!(stage.call(WEST, "CreateDBInstanceReadReplica", &parameters).await.status, 200);
    let replica = describe_replica(&stage).await;
    assert_eq!(
        (replica.texts("DBInstanceClass"), replica.texts("Port")),
        (vec!["db.r6g.2xlarge"], vec!["6543"])
    );
    assert_eq!(
        (replica.texts("MultiAZ"), replica.texts("DeletionProtection")),
        (vec!["false"], vec!["true"])
    );
    assert_eq!(replica.texts("DBSubnetGroupName"), ["west"]);
    assert_eq!(replica.texts("DBParameterGroupName"), ["books"]);
    assert_eq!(replica.texts("VpcSecurityGroupId"), ["sg-1"]);
    assert_eq!(replica.texts_in("EnabledCloudwatchLogsExports", "member"), ["postgresql"]);
    assert_eq!(replica.texts_in("TagList", "Key"), ["team"]);
}

#[tokio::test]
async fn an_instance_without_backups_has_no_replica() {
    let stage = Stage::start().await;
    let source = stage.aws.create_instance(ACCOUNT, EAST, "books");
    stage.aws.set_backups(&source, 0);
    let parameters = [REPLICA[0], ("SourceDBInstanceIdentifier", source.as_str())];
    let refused = stage.call(WEST, "CreateDBInstanceReadReplica", &parameters).await;
    assert_eq!(refused.error(), (400, "InvalidDBInstanceState".to_owned()));
}

/// Asks for a replica in the west of an encrypted instance in the east.
async fn ask_encrypted(stage: &Stage, source: &str, key: Option<&str>, url: Option<&str>) -> Answer {
    let mut parameters = vec![REPLICA[0], ("SourceDBInstanceIdentifier", source)];
    parameters.extend(key.map(|key| ("KmsKeyId", key)));
    parameters.extend(url.map(|url| ("PreSignedUrl", url)));
    stage.call(WEST, "CreateDBInstanceReadReplica", &parameters).await
}

#[tokio::test]
async fn an_encrypted_instance_has_a_replica_elsewhere_by_a_key_of_there_and_a_signed_request() {
    let stage = Stage::start().await;
    let source = stage.aws.create_instance(ACCOUNT, EAST, "books");
    let plain = ask_encrypted(&stage, &source, Some("key-west"), None).await;
    assert_eq!(plain.error(), (400, "InvalidParameterCombination".to_owned()), "the source is not encrypted");
    let kms_key = Some("key-east".to_owned());
    stage.aws.set_instance_shape(&source, InstanceShape { kms_key, ..InstanceShape::default() });
    for (key, url) in [(None, None), (Some("key-west"), None)] {
        let refused = ask_encrypted(&stage, &source, key, url).await;
        assert_eq!(refused.error(), (400, "InvalidParameterCombination".to_owned()), "{key:?}");
    }
    let url = |region: &str, destination: &str, key: &str| {
        format!(
            "https://rds.{region}.amazonaws.com/?Action=CreateDBInstanceReadReplica&DestinationRegion={destination}\
             &SourceDBInstanceIdentifier={source}&KmsKeyId={key}&X-Amz-Credential=K%2F20260101%2F{region}%2Frds%2F\
             aws4_request&X-Amz-Signature=00"
        )
    };
    for wrong in [url(WEST, WEST, "key-west"), url(EAST, EAST, "key-west"), url(EAST, WEST, "key-east")] {
        let refused = ask_encrypted(&stage, &source, Some("key-west"), Some(&wrong)).await;
        assert_eq!(refused.error(), (400, "InvalidParameterValue".to_owned()), "{wrong}");
    }
    let asked = ask_encrypted(&stage, &source, Some("key-west"), Some(&url(EAST, WEST, "key-west"))).await;
    assert_eq!(asked.status, 200, "{}", asked.body);
    assert_eq!(describe_replica(&stage).await.texts("KmsKeyId"), ["key-west"]);
}

#[tokio::test]
async fn an_instance_stops_and_starts_unless_it_replicates() {
    let stage = Stage::start().await;
    add_replica(&stage);
    for (region, instance) in [(EAST, &PRIMARY), (WEST, &REPLICA)] {
        let refused = stage.call(region, "StopDBInstance", instance).await;
        assert_eq!(refused.error(), (400, "InvalidDBInstanceState".to_owned()));
    }
    stage.call(WEST, "PromoteReadReplica", &REPLICA).await;
    stage.aws.skip(Duration::from_mins(3));
    let stopping = stage.call(EAST, "StopDBInstance", &PRIMARY).await;
    assert_eq!(stopping.texts("DBInstanceStatus"), ["stopping"], "{}", stopping.body);
    stage.aws.skip(Duration::from_mins(3));
    assert_eq!(stage.instance_status(EAST, "books").await, "stopped");
    assert_eq!(stage.call(EAST, "StartDBInstance", &PRIMARY).await.status, 200);
    stage.aws.skip(Duration::from_mins(6));
    assert_eq!(stage.instance_status(EAST, "books").await, "available");
    assert_eq!(stage.messages(EAST).await, ["DB instance stopped", "DB instance started"]);
}

#[tokio::test]
async fn a_member_of_a_global_database_is_not_stopped() {
    let stage = Stage::start().await;
    let refused = stage.call(EAST, "StopDBCluster", &[("DBClusterIdentifier", "shop-east")]).await;
    assert_eq!(refused.error(), (400, "InvalidDBClusterStateFault".to_owned()));
    let alone = member(EAST, "alone", &["alone-1"]);
    stage.aws.create_cluster(ACCOUNT, &alone);
    let alone = [("DBClusterIdentifier", "alone")];
    assert_eq!(stage.call(EAST, "StopDBCluster", &alone).await.texts("Status"), ["stopping"]);
    stage.aws.skip(Duration::from_mins(3));
    assert_eq!(stage.instance_status(EAST, "alone-1").await, "stopped");
    assert_eq!(stage.call(EAST, "StartDBCluster", &alone).await.texts("Status"), ["starting"]);
    stage.aws.skip(Duration::from_mins(6));
    assert_eq!(stage.instance_status(EAST, "alone-1").await, "available");
}

/// Notes what it is told: `Promoted shop-west`.
fn listen(stage: &Stage) -> Arc<Mutex<Vec<String>>> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&told);
    stage.aws.on_rds_event(Arc::new(move |happening: &RdsHappening| {
        let note = format!("{:?} {}", happening.effect, happening.identifier);
        notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }));
    told
}

async fn expect_told(told: &Mutex<Vec<String>>, expected: &[&str]) {
    let list = || told.lock().unwrap_or_else(PoisonError::into_inner).clone();
    wait_until(|| list().len() >= expected.len()).await;
    assert_eq!(list(), expected);
}

#[tokio::test]
async fn a_test_bed_is_told_what_happens_in_order() {
    let stage = Stage::start().await;
    let told = listen(&stage);
    stage.switch_over(WEST).await;
    stage.aws.skip(WHOLE_MOVE);
    let mut expected = vec!["Demoted shop-east", "Promoted shop-west", "Replicates shop-east"];
    expect_told(&told, &expected).await;

    stage.aws.set_fence_verdict(FenceVerdict::TimedOut);
    stage.fail_over(EAST).await;
    stage.aws.skip(WHOLE_MOVE);
    expected.push("Promoted shop-east");
    expect_told(&told, &expected).await;
    stage.aws.skip(Duration::from_mins(16));
    expected.extend(["Demoted shop-west", "Replicates shop-west"]);
    expect_told(&told, &expected).await;
}

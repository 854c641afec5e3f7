//! How an old primary makes room for a replica under its name, which is another instance then.

use crate::stage::{ACCOUNT, Answer, EAST, Stage, WEST};
use muster_aws_fake::RdsPace;
use std::time::Duration;

const RENAMED: Duration = Duration::from_mins(4);
const CREATED: Duration = Duration::from_mins(16);

async fn describe(stage: &Stage, region: &str, name: &str) -> Answer {
    stage.call(region, "DescribeDBInstances", &[("DBInstanceIdentifier", name)]).await
}

async fn rename(stage: &Stage, from: &str, to: &str) -> Answer {
    let names = [("DBInstanceIdentifier", from), ("NewDBInstanceIdentifier", to)];
    stage.call(EAST, "ModifyDBInstance", &[names[0], names[1], ("ApplyImmediately", "true")]).await
}

#[tokio::test]
async fn an_old_primary_is_renamed_and_a_replica_made_under_its_name() {
    let stage = Stage::start().await;
    let old = stage.aws.create_instance(ACCOUNT, EAST, "books");
    let new = stage.aws.create_instance(ACCOUNT, WEST, "copy");
    let before = describe(&stage, EAST, "books").await;
    let renaming = rename(&stage, "books", "books-old").await;
    assert_eq!(renaming.texts("DBInstanceStatus"), ["renaming"], "{}", renaming.body);
    let replica = [("DBInstanceIdentifier", "books"), ("SourceDBInstanceIdentifier", new.as_str())];
    let early = stage.call(EAST, "CreateDBInstanceReadReplica", &replica).await;
    assert_eq!(early.error(), (400, "DBInstanceAlreadyExists".to_owned()), "it bears its name until then");

    stage.aws.skip(RENAMED);
    assert_eq!(describe(&stage, EAST, "books").await.error(), (404, "DBInstanceNotFound".to_owned()));
    let renamed = describe(&stage, EAST, "books-old").await;
    assert_eq!(renamed.texts("DbiResourceId"), before.texts("DbiResourceId"));
    assert_eq!(renamed.texts("DBInstanceArn"), [format!("{old}-old")]);
    assert_eq!(renamed.texts("DBInstanceStatus"), ["available"]);

    assert_eq!(stage.call(EAST, "CreateDBInstanceReadReplica", &replica).await.status, 200);
    stage.aws.skip(CREATED);
    let anew = describe(&stage, EAST, "books").await;
    assert_eq!(anew.texts("ReadReplicaSourceDBInstanceIdentifier"), [new.as_str()]);
    assert_eq!(anew.texts("DBInstanceArn"), [old.as_str()]);
    assert_ne!(anew.texts("DbiResourceId"), before.texts("DbiResourceId"), "it is another instance");
}

#[tokio::test]
async fn a_new_name_may_be_pending_for_a_while_and_is_asked_for_once() {
    let stage = Stage::start().await;
    let rename_pending = Duration::from_mins(1);
    stage.aws.set_rds_pace(RdsPace { rename_pending, ..RdsPace::default() });
    stage.aws.create_instance(ACCOUNT, EAST, "books");
    for _ in 0..2 {
        let accepted = rename(&stage, "books", "books-old").await;
        assert_eq!(accepted.texts("DBInstanceStatus"), ["available"], "{}", accepted.body);
        assert_eq!(accepted.texts_in("PendingModifiedValues", "DBInstanceIdentifier"), ["books-old"]);
    }
    stage.aws.skip(rename_pending);
    let renaming = describe(&stage, EAST, "books").await;
    assert_eq!(renaming.texts("DBInstanceStatus"), ["renaming"]);
    assert!(renaming.texts_in("PendingModifiedValues", "DBInstanceIdentifier").is_empty());
    stage.aws.skip(RENAMED);
    assert_eq!(describe(&stage, EAST, "books-old").await.texts("DBInstanceStatus"), ["available"]);
}

#[tokio::test]
async fn replicas_follow_an_instance_that_is_renamed() {
    let stage = Stage::start().await;
    let source = stage.aws.create_instance(ACCOUNT, EAST, "books");
    stage.aws.create_read_replica(&source, WEST, "copy");
    rename(&stage, "books", "volumes").await;
    stage.aws.skip(RENAMED);
    let copy = describe(&stage, WEST, "copy").await;
    let renamed = "arn:aws:rds:us-east-1:111111111111:db:volumes";
    assert_eq!(copy.texts("ReadReplicaSourceDBInstanceIdentifier"), [renamed]);
}

#[tokio::test]
async fn a_name_that_is_taken_or_not_valid_is_refused_and_so_is_a_state_that_allows_no_change() {
    let stage = Stage::start().await;
    let books = stage.aws.create_instance(ACCOUNT, EAST, "books");
    stage.aws.create_instance(ACCOUNT, EAST, "volumes");
    let taken = rename(&stage, "books", "volumes").await;
    assert_eq!(taken.error(), (400, "DBInstanceAlreadyExists".to_owned()));
    for name in ["9books", "books-", "books--old", "books_old"] {
        let refused = rename(&stage, "books", name).await;
        assert_eq!(refused.error(), (400, "InvalidParameterValue".to_owned()), "{name}");
    }
    stage.aws.set_instance_status(&books, "backing-up");
    let busy = rename(&stage, "books", "books-old").await;
    assert_eq!(busy.error(), (400, "InvalidDBInstanceState".to_owned()));
    assert_eq!(rename(&stage, "nothing", "x").await.error(), (404, "DBInstanceNotFound".to_owned()));
}

#[tokio::test]
async fn an_instance_is_deleted_once_somebody_said_what_becomes_of_its_data() {
    let stage = Stage::start().await;
    stage.aws.create_instance(ACCOUNT, EAST, "books");
    let books = ("DBInstanceIdentifier", "books");
    let unsaid = stage.call(EAST, "DeleteDBInstance", &[books]).await;
    assert_eq!(unsaid.error(), (400, "InvalidParameterCombination".to_owned()));
    let said = [books, ("SkipFinalSnapshot", "true")];
    let deleting = stage.call(EAST, "DeleteDBInstance", &said).await;
    assert_eq!(deleting.texts("DBInstanceStatus"), ["deleting"], "{}", deleting.body);
    let again = stage.call(EAST, "DeleteDBInstance", &said).await;
    assert_eq!(again.error(), (400, "InvalidDBInstanceState".to_owned()));
    stage.aws.skip(Duration::from_mins(6));
    assert_eq!(describe(&stage, EAST, "books").await.error(), (404, "DBInstanceNotFound".to_owned()));
}

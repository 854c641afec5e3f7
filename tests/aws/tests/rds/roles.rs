//! Temporary credentials, and whom a role trusts.

use crate::stage::{ACCOUNT, Answer, EAST, KEY, Line, Stage, WEST, rds, send};
use muster_aws_fake::FakeAws;

const OTHER_ACCOUNT: &str = "222222222222";
const ROLE: &str = "arn:aws:iam::222222222222:role/muster";

async fn assume(aws: &FakeAws, key: &str, more: &[(&str, &str)]) -> Answer {
    let line = Line { key, region: EAST, service: "sts", version: "2011-06-15" };
    let mut parameters = vec![("RoleArn", ROLE), ("RoleSessionName", "muster")];
    parameters.extend_from_slice(more);
    send(aws, line, "AssumeRole", &parameters).await.expect("an answer")
}

#[tokio::test]
async fn a_role_gives_credentials_of_its_account() {
    let stage = Stage::start().await;
    stage.aws.add_role(ROLE, None, ACCOUNT);
    stage.aws.create_instance(OTHER_ACCOUNT, EAST, "theirs");
    let answer = assume(&stage.aws, KEY, &[("DurationSeconds", "900")]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.texts("Arn"), ["arn:aws:sts::222222222222:assumed-role/muster/muster"]);
    assert!(answer.texts("Expiration").concat().starts_with("2026-01-01T00:15:"), "{}", answer.body);
    let key = answer.texts("AccessKeyId").concat();
    let line = Line { key: &key, ..rds(EAST) };
    let theirs = send(&stage.aws, line, "DescribeDBInstances", &[]).await.expect("an answer");
    assert_eq!(theirs.texts("DBInstanceIdentifier"), ["theirs"]);
    let calls = stage.aws.calls();
    let noted: Vec<_> = calls.iter().map(|call| (call.operation.as_str(), call.account.as_str())).collect();
    assert_eq!(noted, [("AssumeRole", ACCOUNT), ("DescribeDBInstances", OTHER_ACCOUNT)]);
}

#[tokio::test]
async fn a_role_trusts_nobody_else() {
    let stage = Stage::start().await;
    let unknown = assume(&stage.aws, KEY, &[]).await;
    assert_eq!(unknown.error(), (403, "AccessDenied".to_owned()));
    stage.aws.add_role(ROLE, Some("a-secret-word"), ACCOUNT);
    stage.aws.add_account("AKIDTHREE", "333333333333");
    let word = [("ExternalId", "a-secret-word")];
    for (key, more) in [(KEY, &[][..]), (KEY, &[("ExternalId", "another")][..]), ("AKIDTHREE", &word[..])] {
        let refused = assume(&stage.aws, key, more).await;
        assert_eq!(refused.error(), (403, "AccessDenied".to_owned()));
        let message = refused.texts("Message").concat();
        assert!(
            message.ends_with(&format!("is not authorized to perform: sts:AssumeRole on resource: {ROLE}"))
        );
    }
    assert_eq!(assume(&stage.aws, KEY, &word).await.status, 200);
}

#[tokio::test]
async fn a_role_may_do_what_its_policy_allows_and_nothing_else() {
    let stage = Stage::start().await;
    stage.aws.add_role(ROLE, None, ACCOUNT);
    stage.aws.create_instance(OTHER_ACCOUNT, EAST, "theirs");
    let policy = r#"{"Version": "2012-10-17", "Statement": [
        {"Sid": "A", "Effect": "Allow", "Action": "rds:DescribeDBInstances",
         "Resource": "arn:aws:rds:us-east-1:222222222222:db:*"},
        {"Sid": "B", "Effect": "Allow", "Action": "rds:StopDBInstance",
         "Resource": ["arn:aws:rds:us-east-1:222222222222:db:ours"]}
    ]}"#;
    stage.aws.attach_policy(ROLE, policy).expect("a document");
    let key = assume(&stage.aws, KEY, &[]).await.texts("AccessKeyId").concat();
    let ask = async |region: &str, action: &str, parameters: &[(&str, &str)]| {
        let line = Line { key: &key, ..rds(region) };
        send(&stage.aws, line, action, parameters).await.expect("an answer")
    };
    assert_eq!(ask(EAST, "DescribeDBInstances", &[]).await.status, 200);
    assert_eq!(stage.aws.take_missing_rights(), [""; 0]);

    let theirs = [("DBInstanceIdentifier", "theirs")];
    let refused = ask(EAST, "StopDBInstance", &theirs).await;
    assert_eq!(refused.error(), (403, "AccessDenied".to_owned()));
    let resource = "arn:aws:rds:us-east-1:222222222222:db:theirs";
    let message = refused.texts("Message").concat();
    let said = format!(
        "is not authorized to perform: rds:StopDBInstance on resource: {resource} because no identity-based \
         policy allows the rds:StopDBInstance action"
    );
    assert!(message.ends_with(&said), "{message}");
    for (region, action) in [(WEST, "DescribeDBInstances"), (EAST, "DescribeGlobalClusters")] {
        assert_eq!(ask(region, action, &[]).await.status, 403, "{region} {action}");
    }
    let missing = [
        "rds:DescribeDBInstances on arn:aws:rds:us-west-2:222222222222:db:*".to_owned(),
        "rds:DescribeGlobalClusters on arn:aws:rds::222222222222:global-cluster:*".to_owned(),
        format!("rds:StopDBInstance on {resource}"),
    ];
    assert_eq!(stage.aws.take_missing_rights(), missing);
    assert_eq!(stage.aws.take_missing_rights(), [""; 0], "each is told once");
}

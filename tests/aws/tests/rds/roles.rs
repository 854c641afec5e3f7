//! Temporary credentials, and whom a role trusts.

use crate::stage::{ACCOUNT, Answer, EAST, KEY, Line, Stage, rds, send};
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

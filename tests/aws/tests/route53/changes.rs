//! What a batch of changes does, and how it is refused.

use crate::stage::{KEY, Stage, change_with, simple};
use muster_aws_fake::BatchErrorForm;

const SHOP: &str = "shop.example.com";

/// How a batch is refused for these reasons.
fn refused(reasons: &str) -> (u16, String, String) {
    (400, "InvalidChangeBatch".to_owned(), format!("[{reasons}]"))
}

#[tokio::test]
async fn a_set_that_exists_cannot_be_created_again() {
    let stage = Stage::start().await;
    let created = stage.change(&[simple("CREATE", SHOP, "A", &["192.0.2.1"])]).await;
    assert_eq!(created.status, 200, "{}", created.body);
    assert!(created.texts("Id").concat().starts_with("/change/C"), "{}", created.body);
    assert_eq!(created.texts("Status"), ["PENDING"]);

    let again = stage.change(&[simple("CREATE", "SHOP.example.com.", "A", &["192.0.2.2"])]).await;
    let reason =
        "Tried to create resource record set [name='shop.example.com.', type='A'] but it already exists";
    assert_eq!(again.error(), refused(reason));
    assert!(
        again.body.contains("<ErrorResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">"),
        "{}",
        again.body
    );
    assert_eq!(stage.list().await, ["shop.example.com. A 60 192.0.2.1"]);
}

#[tokio::test]
async fn a_deletion_that_names_other_contents_changes_nothing() {
    let stage = Stage::start().await;
    let absent = stage.change(&[simple("DELETE", SHOP, "A", &["192.0.2.1"])]).await;
    let reason =
        "Tried to delete resource record set [name='shop.example.com.', type='A'] but it was not found";
    assert_eq!(absent.error(), refused(reason));

    stage.aws.put_record(&stage.zone.id, SHOP, "A", 60, &["192.0.2.1", "192.0.2.2"]);
    stage.aws.put_record(&stage.zone.id, "slow.example.com", "A", 300, &["192.0.2.1"]);
    let other_value = simple("DELETE", SHOP, "A", &["192.0.2.1"]);
    let other_ttl = simple("DELETE", "slow.example.com", "A", &["192.0.2.1"]);
    for (name, deletion) in [("shop", other_value), ("slow", other_ttl)] {
        let reason = format!(
            "Tried to delete resource record set [name='{name}.example.com.', type='A'] but the values provided do \
             not match the current values"
        );
        assert_eq!(stage.change(&[deletion]).await.error(), refused(&reason));
    }
    assert_eq!(stage.list().await.len(), 2);

    let in_another_order = simple("DELETE", SHOP, "A", &["192.0.2.2", "192.0.2.1"]);
    assert_eq!(stage.change(&[in_another_order]).await.status, 200);
    assert_eq!(stage.list().await, ["slow.example.com. A 300 192.0.2.1"]);
}

#[tokio::test]
async fn an_upsert_creates_and_replaces() {
    let stage = Stage::start().await;
    for address in ["192.0.2.1", "192.0.2.2"] {
        assert_eq!(stage.change(&[simple("UPSERT", SHOP, "A", &[address])]).await.status, 200);
        assert_eq!(stage.list().await, [format!("shop.example.com. A 60 {address}")]);
    }
}

#[tokio::test]
async fn a_batch_is_applied_as_a_whole_or_not_at_all() {
    let stage = Stage::start().await;
    stage.aws.put_record(&stage.zone.id, SHOP, "A", 60, &["192.0.2.1"]);
    let answer = stage
        .change(&[
            simple("UPSERT", "new.example.com", "A", &["192.0.2.3"]),
            simple("DELETE", SHOP, "A", &["192.0.2.9"]),
            simple("CREATE", SHOP, "A", &["192.0.2.2"]),
        ])
        .await;
    let reasons = "Tried to delete resource record set [name='shop.example.com.', type='A'] but the values provided \
                   do not match the current values, Tried to create resource record set \
                   [name='shop.example.com.', type='A'] but it already exists";
    assert_eq!(answer.error(), refused(reasons));
    assert_eq!(stage.list().await, ["shop.example.com. A 60 192.0.2.1"]);

    let answer = stage
        .change(&[
            simple("DELETE", SHOP, "A", &["192.0.2.1"]),
            simple("CREATE", SHOP, "A", &["192.0.2.2"]),
            simple("CREATE", "_muster.shop.example.com", "TXT", &["\"muster1\" \"epoch=1\""]),
        ])
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let expected =
        ["shop.example.com. A 60 192.0.2.2", "_muster.shop.example.com. TXT 60 \"muster1\" \"epoch=1\""];
    assert_eq!(stage.list().await, expected);
}

#[tokio::test]
async fn one_set_cannot_be_written_twice_in_a_batch() {
    let stage = Stage::start().await;
    let changes = ["192.0.2.1", "192.0.2.2"].map(|address| simple("UPSERT", SHOP, "A", &[address]));
    let reason =
        "The request contains an invalid set of changes for a resource record set 'A shop.example.com.'";
    assert_eq!(stage.change(&changes).await.error(), refused(reason));
}

#[tokio::test]
async fn a_cname_stands_alone_and_not_at_the_apex() {
    let stage = Stage::start().await;
    let cname = |name: &str| simple("CREATE", name, "CNAME", &["east.example.net"]);
    let apex = "RRSet of type CNAME with DNS name example.com. is not permitted at apex in zone example.com.";
    assert_eq!(stage.change(&[cname("example.com")]).await.error(), refused(apex));

    stage.aws.put_record(&stage.zone.id, SHOP, "A", 60, &["192.0.2.1"]);
    let beside = "RRSet of type CNAME with DNS name shop.example.com. is not permitted as it conflicts with other \
                  records with the same DNS name in zone example.com.";
    let delete = simple("DELETE", SHOP, "A", &["192.0.2.1"]);
    assert_eq!(stage.change(&[cname(SHOP)]).await.error(), refused(beside));
    assert_eq!(stage.change(&[cname(SHOP), delete.clone()]).await.error(), refused(beside));
    assert_eq!(stage.change(&[delete, cname(SHOP)]).await.status, 200);

    let taken = "RRSet of type A with DNS name shop.example.com. is not permitted because a conflicting RRSet of \
                 type CNAME with the same DNS name already exists in zone example.com.";
    assert_eq!(stage.change(&[simple("CREATE", SHOP, "A", &["192.0.2.1"])]).await.error(), refused(taken));
}

#[tokio::test]
async fn routed_sets_are_told_apart_by_their_identifiers() {
    let stage = Stage::start().await;
    let routed = |action: &str, identifier: &str, weight: u8| {
        let more = format!("<SetIdentifier>{identifier}</SetIdentifier><Weight>{weight}</Weight>");
        change_with(action, SHOP, "A", &more, &["192.0.2.1"])
    };
    let created = stage.change(&[routed("CREATE", "east", 10), routed("CREATE", "west", 0)]).await;
    assert_eq!(created.status, 200, "{}", created.body);
    let listed = stage.get(&stage.sets()).await;
    assert_eq!(listed.texts("SetIdentifier"), ["east", "west"]);
    assert_eq!(listed.texts("Weight"), ["10", "0"]);

    let other_weight = "Tried to delete resource record set [name='shop.example.com.', type='A', \
                        set-identifier='east'] but the values provided do not match the current values";
    assert_eq!(stage.change(&[routed("DELETE", "east", 11)]).await.error(), refused(other_weight));
    let simple_beside = "RRSet with DNS name shop.example.com., type A cannot be created as other RRSets exist with \
                         the same name and type.";
    let created = stage.change(&[simple("UPSERT", SHOP, "A", &["192.0.2.2"])]).await;
    assert_eq!(created.error(), refused(simple_beside));
}

#[tokio::test]
async fn a_primary_set_needs_a_health_check_and_a_secondary_one_does_not() {
    let stage = Stage::start().await;
    let role = |role: &str| {
        let more = format!("<SetIdentifier>{role}</SetIdentifier><Failover>{role}</Failover>");
        change_with("CREATE", SHOP, "A", &more, &["192.0.2.1"])
    };
    let reason =
        "A non-alias primary ResourceRecordSet must have an associated health check. No changes made.";
    let pair = [role("PRIMARY"), role("SECONDARY")];
    assert_eq!(stage.change(&pair).await.error(), refused(reason));
    assert_eq!(stage.list().await, [""; 0]);
    assert_eq!(stage.change(&[role("SECONDARY")]).await.status, 200);

    stage.aws.allow_primaries_without_check();
    assert_eq!(stage.change(&[role("PRIMARY")]).await.status, 200);
}

#[tokio::test]
async fn a_failover_pair_has_one_set_of_each_role_and_no_other_beside_it() {
    let stage = Stage::start().await;
    let set = |action: &str, identifier: &str, routing: &str| {
        let more = format!("<SetIdentifier>{identifier}</SetIdentifier>{routing}");
        change_with(action, SHOP, "A", &more, &["192.0.2.1"])
    };
    let (secondary, weight) = ("<Failover>SECONDARY</Failover>", "<Weight>1</Weight>");
    assert_eq!(stage.change(&[set("CREATE", "one", secondary)]).await.status, 200);
    for (another, role, why) in [(secondary, ", marked as secondary", "such an"), (weight, "", "a failover")]
    {
        let reason = format!(
            "RRSet with DNS name shop.example.com., type A, SetIdentifier two{role} cannot be created because {why} \
             RRSet with the same name and type already exists"
        );
        assert_eq!(stage.change(&[set("CREATE", "two", another)]).await.error(), refused(&reason));
    }
    let replaced = [set("DELETE", "one", secondary), set("CREATE", "two", weight)];
    assert_eq!(stage.change(&replaced).await.status, 200);
    let beside = stage.change(&[set("CREATE", "one", secondary)]).await.error();
    assert!(beside.2.contains("because a non-failover RRSet"), "{}", beside.2);
}

#[tokio::test]
async fn values_that_are_none_of_their_type_are_refused() {
    let stage = Stage::start().await;
    let address = "Invalid Resource Record: 'FATAL problem: ARRDATAIllegalIPv4Address (Value is not a valid IPv4 \
                   address) encountered with 'nonsense''";
    assert_eq!(stage.change(&[simple("CREATE", SHOP, "A", &["nonsense"])]).await.error(), refused(address));
    let text = "Invalid Resource Record: 'FATAL problem: InvalidCharacterString (Value should be enclosed in \
                quotation marks) encountered with 'bare''";
    assert_eq!(stage.change(&[simple("CREATE", SHOP, "TXT", &["bare"])]).await.error(), refused(text));
    let elsewhere = "RRSet with DNS name shop.example.net. is not permitted in zone example.com.";
    let outside = stage.change(&[simple("CREATE", "shop.example.net", "A", &["192.0.2.1"])]).await;
    assert_eq!(outside.error(), refused(elsewhere));
}

#[tokio::test]
async fn elements_that_would_be_lost_are_refused() {
    let stage = Stage::start().await;
    let alias = "<AliasTarget><DNSName>elb.example.net</DNSName></AliasTarget>";
    let answer = stage.change(&[change_with("CREATE", SHOP, "A", alias, &["192.0.2.1"])]).await;
    let (status, code, message) = answer.error();
    assert_eq!((status, code.as_str()), (400, "InvalidInput"));
    assert!(message.contains("AliasTarget"), "{message}");
    assert_eq!(stage.list().await, [""; 0]);
}

#[tokio::test]
async fn the_older_form_of_the_error_can_be_chosen() {
    let stage = Stage::start().await;
    stage.aws.set_batch_error_form(BatchErrorForm::Bare);
    let deletions =
        ["a", "b"].map(|name| simple("DELETE", &format!("{name}.example.com"), "A", &["192.0.2.1"]));
    let answer = stage.change(&deletions).await;
    let root =
        "<InvalidChangeBatch xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Messages><Message>";
    assert!(answer.body.contains(root), "{}", answer.body);
    let reasons = [
        "Tried to delete resource record set [name='a.example.com.', type='A'] but it was not found",
        "Tried to delete resource record set [name='b.example.com.', type='A'] but it was not found",
    ];
    assert_eq!(answer.texts("Message"), reasons);
    assert_eq!(answer.texts("RequestId").len(), 1);
}

#[tokio::test]
async fn a_batch_is_allowed_by_the_names_types_and_actions_in_it() {
    let stage = Stage::start().await;
    let policy = format!(
        r#"{{"Version": "2012-10-17", "Statement": [{{
            "Sid": "A", "Effect": "Allow", "Action": "route53:ChangeResourceRecordSets",
            "Resource": "arn:aws:route53:::hostedzone/{zone}",
            "Condition": {{"ForAllValues:StringEquals": {{
                "route53:ChangeResourceRecordSetsNormalizedRecordNames": ["{SHOP}"],
                "route53:ChangeResourceRecordSetsRecordTypes": "A",
                "route53:ChangeResourceRecordSetsActions": ["CREATE", "DELETE"]
            }}}}
        }}]}}"#,
        zone = stage.zone.id
    );
    stage.aws.attach_policy(KEY, &policy).expect("a document");
    let good = || simple("CREATE", "SHOP.example.com.", "A", &["192.0.2.1"]);
    for wrong in [
        simple("CREATE", "www.example.com", "A", &["192.0.2.1"]),
        simple("CREATE", SHOP, "TXT", &["\"a\""]),
        simple("UPSERT", SHOP, "A", &["192.0.2.1"]),
    ] {
        let refused = stage.change(&[good(), wrong]).await;
        let (status, code, message) = refused.error();
        assert_eq!((status, code.as_str()), (403, "AccessDenied"), "{message}");
    }
    let taken = stage.change(&[good()]).await;
    assert_eq!(taken.status, 200, "{}", taken.body);
    let listed = stage.get(&stage.sets()).await.error();
    assert_eq!((listed.0, listed.1.as_str()), (403, "AccessDenied"));
    let on = format!("on arn:aws:route53:::hostedzone/{}", stage.zone.id);
    let missing =
        ["ChangeResourceRecordSets", "ListResourceRecordSets"].map(|of| format!("route53:{of} {on}"));
    assert_eq!(stage.aws.take_missing_rights(), missing);
}

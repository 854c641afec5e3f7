//! Who may ask, how ids are written, and what is noted of a call.

use crate::stage::{ACCOUNT, INSYNC_AFTER, KEY, Stage, batch, send, simple};
use muster_aws_fake::Call;

const OTHER_KEY: &str = "AKIDTWO";
const OTHER_ACCOUNT: &str = "222222222222";

#[tokio::test]
async fn a_zone_is_shown_with_its_name_servers() {
    let stage = Stage::start().await;
    let id = &stage.zone.id;
    assert!(id.len() == 14 && id.starts_with('Z'), "{id}");
    assert!(id.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()), "{id}");
    let answer = stage.get(&format!("/2013-04-01/hostedzone/{id}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.texts("Id"), [format!("/hostedzone/{id}")]);
    assert_eq!(answer.texts("Name"), ["example.com."]);
    assert_eq!(answer.texts("PrivateZone"), ["false"]);
    assert_eq!(answer.texts("ResourceRecordSetCount"), ["2"]);
    let servers = answer.texts("NameServer");
    assert_eq!((servers.len(), servers[0]), (4, "ns-1.awsdns-00.com"));
}

#[tokio::test]
async fn ids_may_bear_their_prefix_encoded_or_not() {
    let stage = Stage::start().await;
    let id = &stage.zone.id;
    for written in [id.clone(), format!("%2Fhostedzone%2F{id}"), format!("/hostedzone/{id}")] {
        let answer = stage.get(&format!("/2013-04-01/hostedzone/{written}")).await;
        assert_eq!(answer.status, 200, "{written}: {}", answer.body);
        let listed = stage.get(&format!("/2013-04-01/hostedzone/{written}/rrset?maxitems=1")).await;
        assert_eq!(listed.status, 200, "{written}: {}", listed.body);
    }
    let body = batch(&[simple("CREATE", "shop.example.com", "A", &["192.0.2.1"])]);
    let with_slash = format!("{}/", stage.sets());
    let change = send(&stage.aws, KEY, "POST", &with_slash, &body).await.expect("an answer");
    let change_id = change.texts("Id").concat();
    let bare = change_id.trim_start_matches("/change/");
    for written in [bare.to_owned(), format!("%2Fchange%2F{bare}"), change_id.clone()] {
        let answer = stage.get(&format!("/2013-04-01/change/{written}")).await;
        assert_eq!(answer.texts("Id"), [change_id.as_str()], "{written}: {}", answer.body);
    }
}

#[tokio::test]
async fn who_asks_decides_what_is_answered() {
    let stage = Stage::start().await;
    stage.aws.add_account(OTHER_KEY, OTHER_ACCOUNT);
    let change = stage.change(&[simple("CREATE", "shop.example.com", "A", &["192.0.2.1"])]).await;
    let zone = format!("/2013-04-01/hostedzone/{}", stage.zone.id);
    let changed = format!("/2013-04-01{}", change.texts("Id").concat());
    for path in [&zone, &stage.sets(), &changed] {
        let unknown = send(&stage.aws, "AKIDNOBODY", "GET", path, "").await.expect("an answer");
        let message = "The security token included in the request is invalid.".to_owned();
        assert_eq!(unknown.error(), (403, "InvalidClientTokenId".to_owned(), message));
        let (status, code, message) =
            send(&stage.aws, OTHER_KEY, "GET", path, "").await.expect("an answer").error();
        assert_eq!((status, code.as_str()), (403, "AccessDenied"));
        let expected = format!("User: arn:aws:iam::{OTHER_ACCOUNT}:");
        assert!(message.starts_with(&expected), "{message}");
        assert!(message.ends_with(" is not authorized to access this resource"), "{message}");
    }
    let body = batch(&[simple("DELETE", "shop.example.com", "A", &["192.0.2.1"])]);
    let theirs = send(&stage.aws, OTHER_KEY, "POST", &stage.sets(), &body).await.expect("an answer");
    assert_eq!(theirs.status, 403);
    assert_eq!(stage.list().await.len(), 1);
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let stage = Stage::start().await;
    let zone = stage.get("/2013-04-01/hostedzone/ZNOWHERE").await.error();
    let message = "No hosted zone found with ID: ZNOWHERE".to_owned();
    assert_eq!(zone, (404, "NoSuchHostedZone".to_owned(), message));
    let change = stage.get("/2013-04-01/change/CNEVER").await.error();
    let message = "Could not find resource with ID: CNEVER".to_owned();
    assert_eq!(change, (404, "NoSuchChange".to_owned(), message));
    let (status, code, _) = stage.get("/2013-04-01/trafficpolicies").await.error();
    assert_eq!((status, code.as_str()), (404, "UnknownOperationException"));
}

#[tokio::test]
async fn calls_are_noted_in_order_of_arrival() {
    let stage = Stage::start().await;
    stage.get(&stage.sets()).await;
    stage.change(&[simple("DELETE", "shop.example.com", "A", &["192.0.2.1"])]).await;
    let call = |operation: &str, is_mutation: bool, status: u16, code: Option<&str>| Call {
        service: "route53".to_owned(),
        operation: operation.to_owned(),
        account: ACCOUNT.to_owned(),
        region: "us-east-1".to_owned(),
        is_mutation,
        status,
        code: code.map(str::to_owned),
        is_struck: false,
        is_done: code.is_none(),
    };
    let expected = [
        call("ListResourceRecordSets", false, 200, None),
        call("ChangeResourceRecordSets", true, 400, Some("InvalidChangeBatch")),
    ];
    assert_eq!(stage.aws.calls(), expected);
    stage.aws.clear_calls();
    assert!(stage.aws.calls().is_empty());
}

#[tokio::test]
async fn two_zones_of_one_fake_do_not_meet() {
    let stage = Stage::start().await;
    let other = stage.aws.create_zone(ACCOUNT, "example.com", INSYNC_AFTER).await.expect("another zone");
    assert_ne!(other.id, stage.zone.id);
    stage.aws.put_record(&other.id, "shop.example.com", "A", 60, &["192.0.2.1"]);
    assert_eq!(stage.list().await, [""; 0]);
}

#[tokio::test]
#[should_panic(
    expected = "ListResourceRecordSets: ResourceRecordSets.ResourceRecordSet.ResourceRecords: members: 0"
)]
async fn an_answer_that_is_not_as_the_model_has_it_fails_the_test() {
    let stage = Stage::start().await;
    stage.aws.put_record(&stage.zone.id, "shop.example.com", "A", 60, &[]);
    stage.list().await;
}

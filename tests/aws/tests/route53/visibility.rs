//! From the acceptance of a change to its being seen.

use crate::stage::{ACCOUNT, INSYNC_AFTER, KEY, Stage, TcpAsker, batch, send, simple};
use hickory_proto::rr::RecordType;
use std::time::Duration;

const SHOP: &str = "shop.example.com.";
const WITNESS: &str = "_muster.shop.example.com.";
const NOTHING: [&str; 0] = [];

#[tokio::test]
async fn a_batch_is_pending_until_it_is_in_sync_and_then_all_of_it_is_visible() {
    let stage = Stage::start().await;
    let change = stage
        .change(&[
            simple("CREATE", SHOP, "A", &["192.0.2.1"]),
            simple("CREATE", WITNESS, "TXT", &["&quot;muster1&quot; &quot;owner=a b&quot;"]),
        ])
        .await;
    assert_eq!(change.texts("Status"), ["PENDING"], "{}", change.body);
    for _ in 0..2 {
        assert_eq!(stage.status(&change).await, "PENDING");
        assert_eq!(stage.data(SHOP, RecordType::A).await, NOTHING);
        assert_eq!(stage.data(WITNESS, RecordType::TXT).await, NOTHING);
        let listed = stage.list().await;
        assert_eq!(listed.len(), 2, "{listed:?}");
        stage.aws.skip(INSYNC_AFTER / 3);
    }
    stage.aws.skip(INSYNC_AFTER / 3);
    assert_eq!(stage.status(&change).await, "INSYNC");
    assert_eq!(stage.data(SHOP, RecordType::A).await, ["192.0.2.1"]);
    assert_eq!(stage.data(WITNESS, RecordType::TXT).await.len(), 1);
    for server in &stage.zone.servers {
        let mut asker = TcpAsker::connect(*server).await.expect("the server listens");
        let answer = asker.ask(SHOP, RecordType::A).await.expect("an answer");
        assert_eq!(answer.answers.len(), 1);
    }
}

#[tokio::test]
async fn what_a_person_writes_is_seen_at_once_and_outlives_an_older_batch() {
    let stage = Stage::start().await;
    let change = stage.change(&[simple("CREATE", SHOP, "A", &["192.0.2.1"])]).await;
    stage.aws.put_record(&stage.zone.id, SHOP, "A", 30, &["192.0.2.9"]);
    assert_eq!(stage.list().await, ["shop.example.com. A 30 192.0.2.9"]);
    assert_eq!(stage.data(SHOP, RecordType::A).await, ["192.0.2.9"]);
    stage.aws.skip(INSYNC_AFTER);
    assert_eq!(stage.status(&change).await, "INSYNC");
    assert_eq!(stage.data(SHOP, RecordType::A).await, ["192.0.2.9"]);

    stage.aws.remove_record(&stage.zone.id, SHOP, "A");
    assert_eq!(stage.list().await, NOTHING);
    assert_eq!(stage.data(SHOP, RecordType::A).await, NOTHING);
}

#[tokio::test]
async fn a_deletion_is_visible_when_it_is_in_sync() {
    let stage = Stage::start().await;
    stage.aws.put_record(&stage.zone.id, SHOP, "A", 60, &["192.0.2.1"]);
    assert_eq!(stage.change(&[simple("DELETE", SHOP, "A", &["192.0.2.1"])]).await.status, 200);
    assert_eq!(stage.list().await, NOTHING);
    assert_eq!(stage.data(SHOP, RecordType::A).await, ["192.0.2.1"]);
    stage.aws.skip(INSYNC_AFTER);
    assert_eq!(stage.data(SHOP, RecordType::A).await, NOTHING);
}

#[tokio::test]
async fn many_changes_leave_the_zone_as_the_last_one_wants_it() {
    let stage = Stage::start().await;
    for last in 0..=255_u8 {
        let address = format!("192.0.2.{last}");
        let name = format!("n{last}.example.com");
        let changes =
            [simple("UPSERT", SHOP, "A", &[&address]), simple("CREATE", &name, "A", &["192.0.2.1"])];
        assert_eq!(stage.change(&changes).await.status, 200);
        stage.aws.skip(INSYNC_AFTER);
    }
    for _ in 0..8 {
        assert_eq!(stage.change(&[simple("UPSERT", SHOP, "A", &["192.0.2.7"])]).await.status, 200);
    }
    assert_eq!(stage.data(SHOP, RecordType::A).await, ["192.0.2.255"]);
    assert_eq!(stage.data("n0.example.com.", RecordType::A).await, ["192.0.2.1"]);
    stage.aws.skip(INSYNC_AFTER);
    assert_eq!(stage.data(SHOP, RecordType::A).await, ["192.0.2.7"]);
    assert_eq!(stage.list().await.len(), 257);
}

#[tokio::test]
async fn a_zone_may_never_get_in_sync() {
    let stage = Stage::start().await;
    let zone =
        stage.aws.create_zone(ACCOUNT, "example.net", Duration::MAX).await.expect("name servers start");
    let path = format!("/2013-04-01/hostedzone/{}/rrset", zone.id);
    let body = batch(&[simple("CREATE", "shop.example.net", "A", &["192.0.2.1"])]);
    let change = send(&stage.aws, KEY, "POST", &path, &body).await.expect("an answer");
    assert_eq!(change.status, 200, "{}", change.body);
    stage.aws.skip(Duration::from_hours(24));
    assert_eq!(stage.status(&change).await, "PENDING");
}

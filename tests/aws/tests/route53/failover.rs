//! From a marker in S3, through a health check, to what the name servers answer.

use crate::stage::{ACCOUNT, INSYNC_AFTER, KEY, Stage, change_with, send_signed, wait_until};
use hickory_proto::rr::RecordType;
use muster_aws_fake::{FailoverRecord, ObjectCheck};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

const SHOP: &str = "shop.example.com.";
const PRIMARY: [&str; 1] = ["192.0.2.1"];
const SECONDARY: [&str; 1] = ["192.0.2.2"];
/// Where the marker of the standby is.
const STANDBY: &str = "eu-west-1";
const MARKER: &str = "/markers/shop/flipped";

/// Reads the marker, and is unhealthy while it is there.
const IS_FLIPPED: &str = "<Type>HTTPS_STR_MATCH</Type>\
     <FullyQualifiedDomainName>markers.s3.eu-west-1.amazonaws.com</FullyQualifiedDomainName>\
     <ResourcePath>/shop/flipped</ResourcePath><SearchString>epoch=7</SearchString>\
     <RequestInterval>10</RequestInterval><FailureThreshold>2</FailureThreshold><Inverted>true</Inverted>";
const NOWHERE: &str =
    "<Type>HTTP</Type><FullyQualifiedDomainName>shop.example.com</FullyQualifiedDomainName>";

/// A zone, a bucket for the marker, and checkers in a hurry.
async fn start() -> Stage {
    let stage = Stage::start().await;
    stage.aws.set_checker_pace(Duration::from_millis(5));
    stage.aws.create_bucket(ACCOUNT, "markers", STANDBY);
    stage.aws.allow_anonymous_read("markers", "shop/flipped");
    stage
}

async fn create_check(stage: &Stage, reference: &str, config: &str) -> String {
    let created = stage.create_check(reference, config).await;
    assert_eq!(created.status, 201, "{}", created.body);
    created.texts("Id").concat()
}

/// Writes a pair whose members have these health checks, and lets it come into sync.
async fn write_pair(stage: &Stage, primary: &str, secondary: Option<&str>) {
    let set = |role: &str, check: Option<&str>, address: &str| {
        let check = check.map(|id| format!("<HealthCheckId>{id}</HealthCheckId>")).unwrap_or_default();
        let more = format!("<SetIdentifier>{role}</SetIdentifier><Failover>{role}</Failover>{check}");
        change_with("CREATE", SHOP, "A", &more, &[address])
    };
    let changes = [set("PRIMARY", Some(primary), PRIMARY[0]), set("SECONDARY", secondary, SECONDARY[0])];
    let answer = stage.change(&changes).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    stage.aws.skip(INSYNC_AFTER);
}

/// Asks S3 in the standby's region, as whoever flips does.
async fn ask_s3(stage: &Stage, method: &str, body: &str) -> u16 {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={KEY}/20260101/{STANDBY}/s3/aws4_request, SignedHeaders=host, Signature=00"
    );
    send_signed(&stage.aws, &authorization, method, MARKER, body).await.expect("an answer").status
}

async fn wait_for_health(stage: &Stage, check: &str, expected: bool) {
    wait_until(|| stage.aws.health(check) == expected).await;
}

async fn answered(stage: &Stage) -> Vec<String> {
    stage.data(SHOP, RecordType::A).await
}

#[tokio::test]
async fn a_marker_moves_the_answer_to_the_secondary_and_its_removal_back() {
    let stage = start().await;
    let check = create_check(&stage, "flip", IS_FLIPPED).await;
    write_pair(&stage, &check, None).await;
    wait_for_health(&stage, &check, true).await;
    assert_eq!(answered(&stage).await, PRIMARY);

    assert_eq!(ask_s3(&stage, "PUT", "muster1 epoch=7").await, 200);
    wait_for_health(&stage, &check, false).await;
    assert_eq!(answered(&stage).await, SECONDARY);

    assert_eq!(ask_s3(&stage, "DELETE", "").await, 204);
    wait_for_health(&stage, &check, true).await;
    assert_eq!(answered(&stage).await, PRIMARY);
}

#[tokio::test]
async fn a_marker_of_another_epoch_moves_nothing() {
    let stage = start().await;
    let check = create_check(&stage, "flip", IS_FLIPPED).await;
    write_pair(&stage, &check, None).await;
    assert_eq!(ask_s3(&stage, "PUT", "muster1 epoch=6").await, 200);
    wait_for_health(&stage, &check, true).await;
    assert_eq!(answered(&stage).await, PRIMARY);
}

#[tokio::test]
async fn a_standby_that_cannot_be_reached_keeps_the_primary() {
    let stage = start().await;
    let check = create_check(&stage, "flip", IS_FLIPPED).await;
    write_pair(&stage, &check, None).await;
    assert_eq!(ask_s3(&stage, "PUT", "muster1 epoch=7").await, 200);
    // By the marker, or because nothing is known yet: what follows holds either way.
    wait_for_health(&stage, &check, false).await;

    stage.aws.cut_checkers_from(STANDBY);
    wait_for_health(&stage, &check, true).await;
    assert_eq!(answered(&stage).await, PRIMARY);
    assert_eq!(ask_s3(&stage, "GET", "").await, 200, "everybody else reaches it");

    stage.aws.heal_checkers(STANDBY);
    wait_for_health(&stage, &check, false).await;
    assert_eq!(answered(&stage).await, SECONDARY);
}

#[tokio::test]
async fn what_a_person_arranges_in_the_console_moves_by_a_marker_at_every_server() {
    let stage = start().await;
    let object = ObjectCheck { bucket: "markers", region: STANDBY, key: "shop/flipped", text: "epoch=7" };
    let check = stage.aws.create_object_check(ACCOUNT, &object);
    let sides = [("one", true, Some(check.as_str()), 1), ("two", false, None, 2)];
    for (identifier, is_primary, health_check, last) in sides {
        let address = Ipv4Addr::new(192, 0, 2, last);
        let name = "shop.example.com";
        let record = FailoverRecord { name, identifier, is_primary, address, ttl: 1, health_check };
        stage.aws.put_failover_record(&stage.zone.id, &record);
    }
    let mut zone = stage.zone.clone();
    zone.servers.push(further_server(&stage).await);
    let stage = Stage { zone, ..stage };
    wait_for_health(&stage, &check, true).await;
    assert_eq!(answered(&stage).await, PRIMARY);
    assert_eq!(ask_s3(&stage, "PUT", "muster1 epoch=7").await, 200);
    wait_for_health(&stage, &check, false).await;
    assert_eq!(answered(&stage).await, SECONDARY);
    let primary = stage.aws.primary_value(&stage.zone.id, "shop.example.com");
    assert_eq!(primary.as_deref(), Some(PRIMARY[0]));
}

/// A port that is free by UDP may be taken by TCP, and either at any time: another one is tried then.
async fn further_server(stage: &Stage) -> SocketAddr {
    let mut tried = 0;
    loop {
        let free = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        if stage.aws.add_server(&stage.zone, address).await.is_ok() {
            return address;
        }
        tried += 1;
        assert!(tried < 20, "no port is free by UDP and by TCP");
    }
}

#[tokio::test]
async fn if_nothing_is_healthy_the_primary_is_answered() {
    let stage = start().await;
    let primary = create_check(&stage, "primary", NOWHERE).await;
    let secondary = create_check(&stage, "secondary", NOWHERE).await;
    write_pair(&stage, &primary, Some(&secondary)).await;
    wait_for_health(&stage, &primary, false).await;
    wait_for_health(&stage, &secondary, false).await;
    assert_eq!(answered(&stage).await, PRIMARY);
}

#[tokio::test]
async fn a_region_that_a_health_check_names_is_the_buckets() {
    let stage = start().await;
    let elsewhere = IS_FLIPPED.replace(STANDBY, "us-west-2");
    let check = create_check(&stage, "elsewhere", &elsewhere).await;
    assert_eq!(ask_s3(&stage, "PUT", "muster1 epoch=7").await, 200);
    wait_for_health(&stage, &check, true).await;
}

#[tokio::test]
async fn a_health_check_that_does_not_exist_cannot_be_named() {
    let stage = start().await;
    let more =
        "<SetIdentifier>one</SetIdentifier><Failover>PRIMARY</Failover><HealthCheckId>none</HealthCheckId>";
    let refused = stage.change(&[change_with("CREATE", SHOP, "A", more, &PRIMARY)]).await.error();
    assert_eq!((refused.0, refused.1.as_str()), (404, "NoSuchHealthCheck"));
    assert_eq!(stage.list().await, [""; 0]);
}

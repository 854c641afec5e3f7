//! Health checks as the API shows them, and what makes one healthy.

use crate::stage::{ACCOUNT, KEY, Stage, check_creation, check_update, send, wait_until};
use muster_aws_fake::FakeAws;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const CHECKS: &str = "/2013-04-01/healthcheck";
const OTHER_KEY: &str = "AKIDTWO";
/// Of an endpoint that nobody serves.
const NOWHERE: &str =
    "<Type>HTTP</Type><FullyQualifiedDomainName>shop.example.com</FullyQualifiedDomainName>";

/// Serves HTTP, and has something good to say only to some of the checkers.
struct Endpoint {
    port: u16,
    /// The last octets of their addresses.
    good_for: Arc<Mutex<BTreeSet<u8>>>,
}

impl Endpoint {
    async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let good_for = Arc::new(Mutex::new(BTreeSet::new()));
        tokio::spawn(serve(listener, Arc::clone(&good_for)));
        Self { port, good_for }
    }

    fn be_good_for(&self, checkers: &[u8]) {
        *self.good_for.lock().expect("no server panics") = checkers.iter().copied().collect();
    }

    /// The elements of a check of it that goes by a single answer.
    fn config(&self, kind: &str) -> String {
        format!(
            "<IPAddress>127.0.0.1</IPAddress><Port>{}</Port><Type>{kind}</Type>\
             <RequestInterval>10</RequestInterval><FailureThreshold>1</FailureThreshold>",
            self.port
        )
    }
}

async fn serve(listener: TcpListener, good_for: Arc<Mutex<BTreeSet<u8>>>) {
    loop {
        let (mut stream, client) = listener.accept().await.expect("a connection");
        let IpAddr::V4(address) = client.ip() else { unreachable!("a client by IPv4: {client}") };
        let is_good = good_for.lock().expect("no server panics").contains(&address.octets()[3]);
        let status = if is_good { "302 Found" } else { "503 Service Unavailable" };
        let answer =
            format!("HTTP/1.1 {status}\r\nContent-Length: 9\r\nConnection: close\r\n\r\nepoch=\"7\"");
        tokio::spawn(async move {
            let mut question = [0_u8; 1024];
            if stream.read(&mut question).await.is_ok_and(|length| length > 0) {
                // A checker may be gone already.
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
    }
}

async fn create(stage: &Stage, config: &str) -> String {
    let created = stage.create_check("one", config).await;
    assert_eq!(created.status, 201, "{}", created.body);
    created.texts("Id").concat()
}

async fn wait_for_health(aws: &FakeAws, check: &str, expected: bool) {
    wait_until(|| aws.health(check) == expected).await;
}

#[tokio::test]
async fn a_health_check_is_shown_with_what_was_left_out() {
    let stage = Stage::start().await;
    let id = create(&stage, NOWHERE).await;
    let shown = stage.get(&format!("{CHECKS}/{id}")).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    for (tag, value) in [
        ("Id", id.as_str()),
        ("CallerReference", "one"),
        ("Type", "HTTP"),
        ("FullyQualifiedDomainName", "shop.example.com"),
        ("Port", "80"),
        ("RequestInterval", "30"),
        ("FailureThreshold", "3"),
        ("Inverted", "false"),
        ("Disabled", "false"),
        ("EnableSNI", "false"),
        ("HealthCheckVersion", "1"),
    ] {
        assert_eq!(shown.texts(tag), [value], "{tag} in {}", shown.body);
    }
    assert!(stage.aws.health(&id), "it is healthy until more is known");
    let inverted = format!("{NOWHERE}<Inverted>true</Inverted>");
    let inverted = stage.create_check("two", &inverted).await.texts("Id").concat();
    assert!(!stage.aws.health(&inverted), "and unhealthy if it is inverted");
}

#[tokio::test]
async fn a_reference_means_one_health_check_for_good() {
    let stage = Stage::start().await;
    let id = create(&stage, NOWHERE).await;
    assert_eq!(create(&stage, NOWHERE).await, id);
    let spelled_out = format!("{NOWHERE}<Port>80</Port><FailureThreshold>3</FailureThreshold>");
    assert_eq!(create(&stage, &spelled_out).await, id);
    let inverted = format!("{NOWHERE}<Inverted>true</Inverted>");
    let other = stage.create_check("one", &inverted).await;
    assert_eq!((other.status, other.texts("Code").concat()), (409, "HealthCheckAlreadyExists".to_owned()));
    assert_ne!(stage.create_check("two", NOWHERE).await.texts("Id"), [id.as_str()]);

    let path = format!("{CHECKS}/{id}");
    assert_eq!(send(&stage.aws, KEY, "DELETE", &path, "").await.expect("an answer").status, 200);
    assert_eq!(stage.get(&path).await.error().1, "NoSuchHealthCheck");
    assert_eq!(stage.create_check("one", NOWHERE).await.error().1, "HealthCheckAlreadyExists");
}

#[tokio::test]
async fn an_update_names_the_version_that_it_replaces() {
    let stage = Stage::start().await;
    let path = format!("{CHECKS}/{}", create(&stage, NOWHERE).await);
    let update = |version: u64| {
        check_update(&format!(
            "<HealthCheckVersion>{version}</HealthCheckVersion><ResourcePath>/ok</ResourcePath>\
             <FailureThreshold>5</FailureThreshold><Inverted>true</Inverted>"
        ))
    };
    let updated = stage.post(&path, &update(1)).await;
    assert_eq!(updated.status, 200, "{}", updated.body);
    assert_eq!(updated.texts("HealthCheckVersion"), ["2"]);
    let shown = stage.get(&path).await;
    let changed = ["ResourcePath", "FailureThreshold", "Inverted"].map(|tag| shown.texts(tag).concat());
    assert_eq!(changed, ["/ok", "5", "true"]);
    assert_eq!(shown.texts("FullyQualifiedDomainName"), ["shop.example.com"]);

    let refused = stage.post(&path, &update(1)).await.error();
    assert_eq!((refused.0, refused.1.as_str()), (409, "HealthCheckVersionMismatch"));
    let other_kind = stage.post(&path, &check_update("<Type>TCP</Type>")).await.error();
    assert_eq!((other_kind.0, other_kind.1.as_str()), (400, "InvalidInput"));
}

#[tokio::test]
async fn health_checks_are_listed_in_pages_to_their_owner() {
    let stage = Stage::start().await;
    stage.aws.add_account(OTHER_KEY, "222222222222");
    let mut created = Vec::new();
    for reference in ["one", "two", "three"] {
        created.push(stage.create_check(reference, NOWHERE).await.texts("Id").concat());
    }
    let first = stage.get(&format!("{CHECKS}?maxitems=2")).await;
    assert_eq!(first.texts("Id"), created[..2]);
    assert_eq!(first.texts("IsTruncated"), ["true"]);
    let next = first.texts("NextMarker").concat();
    let second = stage.get(&format!("{CHECKS}?maxitems=2&marker={next}")).await;
    assert_eq!((second.texts("Id"), second.texts("IsTruncated")), (vec![created[2].as_str()], vec!["false"]));
    let path = format!("{CHECKS}/{next}");
    let theirs = send(&stage.aws, OTHER_KEY, "GET", CHECKS, "").await.expect("an answer");
    assert_eq!((theirs.status, theirs.texts("Id").len()), (200, 0));
    let theirs = send(&stage.aws, OTHER_KEY, "GET", &path, "").await.expect("an answer");
    assert_eq!(theirs.status, 403, "{}", theirs.body);
}

#[tokio::test]
async fn what_is_not_understood_is_refused() {
    let stage = Stage::start().await;
    for config in [
        "<Type>CLOUDWATCH_METRIC</Type>",
        "<Type>HTTP</Type>",
        "<Type>TCP</Type><IPAddress>127.0.0.1</IPAddress>",
        "<Type>HTTP_STR_MATCH</Type><IPAddress>127.0.0.1</IPAddress>",
        "<Type>HTTP</Type><IPAddress>127.0.0.1</IPAddress><RequestInterval>20</RequestInterval>",
        "<Type>HTTP</Type><IPAddress>127.0.0.1</IPAddress><RoutingControlArn>arn</RoutingControlArn>",
        "<Type>CALCULATED</Type><HealthThreshold>1</HealthThreshold><ChildHealthChecks><ChildHealthCheck>none\
         </ChildHealthCheck></ChildHealthChecks>",
    ] {
        let refused = stage.create_check("one", config).await.error();
        assert_eq!((refused.0, refused.1.as_str()), (400, "InvalidInput"), "{config}");
    }
    let broken = stage.post(CHECKS, &check_creation("", NOWHERE)).await;
    assert_eq!(broken.status, 400, "{}", broken.body);
}

#[tokio::test]
async fn an_endpoint_is_healthy_if_more_than_18_percent_of_the_checkers_say_so() {
    let stage = Stage::start().await;
    let endpoint = Endpoint::start().await;
    stage.aws.set_checker_pace(Duration::from_millis(5));
    let check = create(&stage, &endpoint.config("HTTP")).await;
    wait_for_health(&stage.aws, &check, false).await;
    endpoint.be_good_for(&[1, 2]);
    wait_for_health(&stage.aws, &check, true).await;
    endpoint.be_good_for(&[1]);
    wait_for_health(&stage.aws, &check, false).await;
    endpoint.be_good_for(&[5, 6]);
    wait_for_health(&stage.aws, &check, true).await;
}

#[tokio::test]
async fn a_text_that_is_looked_for_has_to_be_there() {
    let stage = Stage::start().await;
    let endpoint = Endpoint::start().await;
    endpoint.be_good_for(&[1, 2, 3, 4, 5, 6]);
    stage.aws.set_checker_pace(Duration::from_millis(5));
    let config =
        |text: &str| format!("{}<SearchString>{text}</SearchString>", endpoint.config("HTTP_STR_MATCH"));
    let check = create(&stage, &config("epoch=&quot;8&quot;")).await;
    wait_for_health(&stage.aws, &check, false).await;
    let update = check_update("<SearchString>epoch=&quot;7&quot;</SearchString>");
    assert_eq!(stage.post(&format!("{CHECKS}/{check}"), &update).await.status, 200);
    wait_for_health(&stage.aws, &check, true).await;
}

#[tokio::test]
async fn a_port_that_is_open_is_enough_for_tcp() {
    let stage = Stage::start().await;
    let endpoint = Endpoint::start().await;
    stage.aws.set_checker_pace(Duration::from_millis(5));
    let by_status = stage.create_check("status", &endpoint.config("HTTP")).await.texts("Id").concat();
    let closed = "<Type>TCP</Type><IPAddress>127.0.0.1</IPAddress><Port>1</Port>";
    let closed = stage.create_check("closed", closed).await.texts("Id").concat();
    let by_port = format!("{}<Inverted>true</Inverted>", endpoint.config("TCP"));
    let by_port = stage.create_check("port", &by_port).await.texts("Id").concat();
    wait_for_health(&stage.aws, &by_status, false).await;
    wait_for_health(&stage.aws, &closed, false).await;
    assert!(!stage.aws.health(&by_port), "it is open, and the check is inverted");
}

#[tokio::test]
async fn a_health_check_that_is_disabled_is_healthy() {
    let stage = Stage::start().await;
    stage.aws.set_checker_pace(Duration::from_millis(5));
    let check = create(&stage, NOWHERE).await;
    wait_for_health(&stage.aws, &check, false).await;
    let path = format!("{CHECKS}/{check}");
    assert_eq!(stage.post(&path, &check_update("<Disabled>true</Disabled>")).await.status, 200);
    assert!(stage.aws.health(&check));
}

#[tokio::test]
async fn a_calculated_health_check_counts_its_children() {
    let stage = Stage::start().await;
    stage.aws.set_checker_pace(Duration::from_millis(5));
    let bad = create(&stage, NOWHERE).await;
    let good = format!("{NOWHERE}<Inverted>true</Inverted>");
    let good = stage.create_check("good", &good).await.texts("Id").concat();
    wait_for_health(&stage.aws, &bad, false).await;
    wait_for_health(&stage.aws, &good, true).await;
    let children = [&bad, &good].map(|id| format!("<ChildHealthCheck>{id}</ChildHealthCheck>")).concat();
    for (threshold, expected) in [(0, true), (1, true), (2, false), (3, false)] {
        let config = format!(
            "<Type>CALCULATED</Type><HealthThreshold>{threshold}</HealthThreshold>\
             <ChildHealthChecks>{children}</ChildHealthChecks>"
        );
        let created = stage.create_check(&format!("of {threshold}"), &config).await;
        assert_eq!(created.status, 201, "{}", created.body);
        assert_eq!(stage.aws.health(&created.texts("Id").concat()), expected, "at least {threshold}");
    }
}

#[tokio::test]
async fn calls_about_health_checks_are_noted() {
    let stage = Stage::start().await;
    let id = create(&stage, NOWHERE).await;
    stage.get(&format!("{CHECKS}/{id}")).await;
    let noted: Vec<_> =
        stage.aws.calls().into_iter().map(|call| (call.operation, call.is_mutation)).collect();
    let expected = [("CreateHealthCheck", true), ("GetHealthCheck", false)];
    assert_eq!(noted, expected.map(|(operation, is_mutation)| (operation.to_owned(), is_mutation)));
    assert!(stage.aws.calls().iter().all(|call| call.account == ACCOUNT));
}

#[tokio::test]
async fn each_checker_that_has_looked_reports_what_it_saw_and_when() {
    let stage = Stage::start().await;
    let endpoint = Endpoint::start().await;
    endpoint.be_good_for(&[1]);
    stage.aws.set_checkers(2);
    stage.aws.set_checker_pace(Duration::from_millis(20));
    let made = stage.create_check("status", &endpoint.config("HTTP")).await;
    let path = format!("{CHECKS}/{}/status", made.texts("Id").concat());
    let mut times = Vec::new();
    let both = async || {
        let answer = stage.get(&path).await;
        let said: Vec<String> = answer.texts("Status").into_iter().map(str::to_owned).collect();
        (said, answer.texts("CheckedTime").concat(), answer.texts("IPAddress").concat())
    };
    while times.len() < 2 {
        let (said, at, from) = both().await;
        if said.len() == 2 && !times.contains(&at) {
            assert!(said[0].starts_with("Success: HTTP Status Code: 302"), "{said:?}");
            assert!(said[1].starts_with("Failure: "), "{said:?}");
            assert_eq!(from, "127.53.0.1127.53.0.2");
            times.push(at);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(stage.get(&format!("{CHECKS}/none/status")).await.error().1, "NoSuchHealthCheck");
}

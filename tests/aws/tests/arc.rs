//! The fake's routing controls, at the wire.

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use muster_aws_fake::{FakeAws, RuleKind, SafetyRule};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;

const KEY: &str = "AKIDONE";
const ACCOUNT: &str = "111111111111";
const REGION: &str = "eu-west-1";

struct Stage {
    aws: FakeAws,
    /// Two controls of one panel.
    arns: [String; 2],
}

impl Stage {
    async fn start() -> Self {
        let aws = FakeAws::start().await.expect("the fake starts");
        aws.add_account(KEY, ACCOUNT);
        let arns = ["east", "west"].map(|name| aws.create_routing_control(ACCOUNT, "shop", name));
        Self { aws, arns }
    }

    /// An operation at the endpoint of one region, signed for another.
    async fn call_as(&self, key: &str, (at, signed): (&str, &str), name: &str, body: Value) -> (u16, Value) {
        let endpoint = self.aws.endpoint();
        let address = endpoint.trim_start_matches("http://");
        let stream = TcpStream::connect(address).await.expect("the fake listens");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
        tokio::spawn(connection);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={key}/20260101/{signed}/route53-recovery-cluster/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature=00"
        );
        let request = Request::builder()
            .method("POST")
            .uri(format!("/arc/{at}/v1/"))
            .header("host", address)
            .header("authorization", authorization)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("ToggleCustomerAPI.{name}"))
            .body(Full::new(Bytes::from(body.to_string())))
            .expect("a request");
        let answer = sender.send_request(request).await.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn call(&self, name: &str, body: Value) -> (u16, Value) {
        self.call_as(KEY, (REGION, REGION), name, body).await
    }

    /// Switches both.
    async fn switch(&self, east: &str, west: &str) -> (u16, Value) {
        let entries: Vec<Value> =
            self.arns.iter().zip([east, west]).map(|(arn, state)| entry(arn, state)).collect();
        self.call("UpdateRoutingControlStates", json!({ "UpdateRoutingControlStateEntries": entries })).await
    }

    fn states(&self) -> [bool; 2] {
        [0, 1].map(|at| self.aws.is_routing_control_on(&self.arns[at]))
    }
}

fn entry(arn: &str, state: &str) -> Value {
    json!({ "RoutingControlArn": arn, "RoutingControlState": state })
}

fn code((_, answer): &(u16, Value)) -> String {
    let code = answer["__type"].as_str().unwrap_or_default();
    code.rsplit('#').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn controls_are_off_at_first_and_switched_whole_or_not_at_all() {
    let stage = Stage::start().await;
    assert_eq!(stage.states(), [false, false]);
    assert_eq!(stage.switch("On", "Off").await, (200, json!({})));
    assert_eq!(stage.states(), [true, false]);
    assert_eq!(code(&stage.switch("Off", "Maybe").await), "ValidationException");
    let unknown = format!("{}0", stage.arns[0]);
    let entries = json!([entry(&stage.arns[1], "On"), entry(&unknown, "On")]);
    let refused = stage
        .call("UpdateRoutingControlStates", json!({ "UpdateRoutingControlStateEntries": entries }))
        .await;
    assert_eq!((code(&refused), refused.0), ("ResourceNotFoundException".to_owned(), 404));
    assert_eq!(stage.states(), [true, false]);
}

#[tokio::test]
async fn a_control_is_read_alone_and_in_a_list_of_its_panel_page_by_page() {
    let stage = Stage::start().await;
    stage.aws.put_routing_control(&stage.arns[1], true);
    let (_, one) = stage.call("GetRoutingControlState", json!({ "RoutingControlArn": stage.arns[1] })).await;
    assert_eq!((&one["RoutingControlName"], &one["RoutingControlState"]), (&json!("west"), &json!("On")));
    let (panel, _) = stage.arns[0].split_once("/routingcontrol/").expect("a panel");
    let asked = json!({ "ControlPanelArn": panel, "MaxResults": 1 });
    let (_, first) = stage.call("ListRoutingControls", asked).await;
    assert_eq!(first["RoutingControls"][0]["RoutingControlName"], "east");
    let asked = json!({ "ControlPanelArn": panel, "MaxResults": 1, "NextToken": first["NextToken"] });
    let (_, second) = stage.call("ListRoutingControls", asked).await;
    assert_eq!(second["RoutingControls"][0]["RoutingControlState"], "On");
    assert_eq!(
        (&second["NextToken"], &second["RoutingControls"][0]["Owner"]),
        (&Value::Null, &json!(ACCOUNT))
    );
}

#[tokio::test]
async fn a_safety_rule_refuses_by_its_name_unless_it_is_overridden_and_waits_after_a_change() {
    let stage = Stage::start().await;
    stage.aws.put_routing_control(&stage.arns[0], true);
    let (panel, _) = stage.arns[0].split_once("/routingcontrol/").expect("a panel");
    let rule = stage.aws.add_safety_rule(SafetyRule {
        panel: panel.to_owned(),
        name: "one-on".to_owned(),
        counted: stage.arns.to_vec(),
        targets: Vec::new(),
        kind: RuleKind::AtLeast(1),
        is_inverted: false,
        wait_period: Duration::from_secs(5),
    });
    let refused = stage.switch("Off", "Off").await;
    assert_eq!((code(&refused), refused.0), ("ConflictException".to_owned(), 409));
    assert_eq!((&refused.1["resourceId"], stage.states()), (&json!(rule), [true, false]));
    assert_eq!(stage.switch("Off", "On").await.0, 200);
    assert_eq!(code(&stage.switch("On", "Off").await), "ConflictException");
    stage.aws.skip(Duration::from_secs(5));
    assert_eq!(stage.switch("On", "Off").await.0, 200);
    let broken = json!({
        "RoutingControlArn": stage.arns[0],
        "RoutingControlState": "Off",
        "SafetyRulesToOverride": [rule],
    });
    stage.aws.skip(Duration::from_secs(1));
    assert_eq!(stage.call("UpdateRoutingControlState", broken).await.0, 200);
    assert_eq!(stage.states(), [false, false]);
}

#[tokio::test]
async fn the_limits_of_a_call_and_of_an_endpoint_hold() {
    let stage = Stage::start().await;
    let entries: Vec<Value> = (0..11).map(|at| entry(&format!("{at}"), "On")).collect();
    let many = stage
        .call("UpdateRoutingControlStates", json!({ "UpdateRoutingControlStateEntries": entries }))
        .await;
    assert_eq!(code(&many), "ServiceLimitExceededException");
    for _ in 0..3 {
        assert_eq!(stage.switch("On", "Off").await.0, 200);
    }
    assert_eq!(code(&stage.switch("On", "Off").await), "ThrottlingException");
    stage.aws.skip(Duration::from_secs(1));
    assert_eq!(stage.switch("On", "Off").await.0, 200);
}

#[tokio::test]
async fn strangers_other_accounts_and_other_regions_are_refused() {
    let stage = Stage::start().await;
    stage.aws.add_account("AKIDTWO", "222222222222");
    let asked = json!({ "RoutingControlArn": stage.arns[0] });
    for (key, place, expect) in [
        (KEY, (REGION, "us-east-1"), "UnknownOperationException"),
        (KEY, ("eu-central-1", "eu-central-1"), "UnknownOperationException"),
        ("AKIDNONE", (REGION, REGION), "UnrecognizedClientException"),
        ("AKIDTWO", (REGION, REGION), "AccessDeniedException"),
    ] {
        let answer = stage.call_as(key, place, "GetRoutingControlState", asked.clone()).await;
        assert_eq!(code(&answer), expect, "{key} {place:?}: {answer:?}");
    }
    let odd = json!({ "RoutingControlArn": stage.arns[0], "Force": true });
    assert_eq!(code(&stage.call("GetRoutingControlState", odd).await), "ValidationException");
}

#[tokio::test]
async fn a_health_check_of_a_control_is_as_the_control_is() {
    let stage = Stage::start().await;
    let check = stage.aws.create_control_check(ACCOUNT, &stage.arns[1]);
    assert!(!stage.aws.health(&check));
    assert_eq!(stage.switch("Off", "On").await.0, 200);
    assert!(stage.aws.health(&check));
}

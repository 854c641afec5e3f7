//! Conformance of the way of Route 53 that objects decide on: the real SDK against the fake, its checkers and its DNS.

#![expect(clippy::panic, reason = "what helps a test fails as the test does")]

mod names;

use futures::StreamExt;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use muster_aws_fake::{Call, FakeAws, Fault, FaultKind, Zone};
use muster_core::facts::{ErrorClass, Outcome, Seen, TrafficFacts};
use muster_core::ids::{Epoch, Owner, RegionName};
use muster_core::secret::Secret;
use muster_providers::TrafficControl;
use muster_providers::aws::{AwsAccess, AwsAccounts};
use muster_providers::dns::Target;
use muster_providers::route53::{HealthObject, HealthObjectConfig, MarkerPlace};
use names::{
    ACCOUNT, HELD, KEY, NAME, Numbers, accounts, ctx_of, facts, fake_with_zone, name_config, servers_of,
    until_seen_within, until_within,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

const MARKER: &str = "muster/shop.example.com";
const MARKER_SECRET: &str = "0123456789abcdefSECRET";
const GET: &str = "GetObject";
const LIST: &str = "ListObjectsV2";
const PUT: &str = "PutObject";
const CHANGE: &str = "ChangeResourceRecordSets";
const OTHER_SECRET: &str = "fedcba9876543210OTHER";
/// A health check of 10 s that was attached too early would move a name, so that settling takes 20 s after a marker was on.
const PATIENCE: Duration = Duration::from_mins(1);
/// Region, its target, its region of AWS.
const REGIONS: [(&str, &str, &str); 2] =
    [("east", "127.0.1.1", "us-east-1"), ("west", "127.0.2.1", "us-west-2")];

struct Stage {
    aws: FakeAws,
    zone: Zone,
    /// The health checks, in the order of [`REGIONS`].
    checks: Vec<String>,
}

impl Stage {
    /// Buckets, checks and records as a person sets them up: the primary is east.
    async fn start() -> Self {
        let stage = Self::without_records().await;
        let [(_, east, _), (_, west, _)] = REGIONS;
        stage.create_record("PRIMARY", east, Some(&stage.checks[1])).await;
        stage.create_record("SECONDARY", west, None).await;
        stage
    }

    async fn without_records() -> Self {
        let (aws, zone) = fake_with_zone().await;
        aws.set_checker_pace(Duration::from_millis(20));
        let mut stage = Self { aws, zone, checks: Vec::new() };
        for (region, _, aws_region) in REGIONS {
            stage.aws.create_bucket(ACCOUNT, &bucket_of(region), aws_region);
            stage.aws.allow_anonymous_read(&bucket_of(region), MARKER);
            let check = stage.create_check(region, aws_region).await;
            stage.checks.push(check);
        }
        stage
    }

    async fn create_check(&self, region: &str, aws_region: &str) -> String {
        let host = format!("{}.s3.{aws_region}.amazonaws.com", bucket_of(region));
        let body = format!(
            "<CreateHealthCheckRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><CallerReference>{region}\
             </CallerReference><HealthCheckConfig><Type>HTTPS_STR_MATCH</Type><FullyQualifiedDomainName>{host}\
             </FullyQualifiedDomainName><ResourcePath>/{MARKER}</ResourcePath><SearchString>muster-on-{MARKER_SECRET}\
             </SearchString><RequestInterval>10</RequestInterval><FailureThreshold>1</FailureThreshold><Inverted>true\
             </Inverted></HealthCheckConfig></CreateHealthCheckRequest>"
        );
        let created = self.post("/2013-04-01/healthcheck", body).await;
        let (_, rest) = created.split_once("<Id>").expect("an id");
        rest.split_once("</Id>").expect("its end").0.to_owned()
    }

    async fn create_record(&self, role: &str, address: &str, check: Option<&str>) {
        let check = check.map(|id| format!("<HealthCheckId>{id}</HealthCheckId>")).unwrap_or_default();
        let body = format!(
            "<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><ChangeBatch><Changes>\
             <Change><Action>CREATE</Action><ResourceRecordSet><Name>{NAME}.</Name><Type>A</Type>\
             <SetIdentifier>at-{address}</SetIdentifier><Failover>{role}</Failover>{check}<TTL>1</TTL><ResourceRecords>\
             <ResourceRecord><Value>{address}</Value></ResourceRecord></ResourceRecords></ResourceRecordSet></Change>\
             </Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
        );
        self.post(&format!("/2013-04-01/hostedzone/{}/rrset", self.zone.id), body).await;
    }

    /// Changes the health check of a region's marker: what stands in the request.
    async fn update_check(&self, region: &str, changed: &str) {
        let at = REGIONS.iter().position(|(known, _, _)| *known == region).expect("a region");
        let body = format!(
            "<UpdateHealthCheckRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">{changed}\
             </UpdateHealthCheckRequest>"
        );
        self.post(&format!("/2013-04-01/healthcheck/{}", self.checks[at]), body).await;
    }

    /// Writes a region's object as somebody else does.
    async fn put_object(&self, region: &str, body: &str) {
        self.put_object_at(region, MARKER, body).await;
    }

    async fn put_object_at(&self, region: &str, key: &str, body: &str) {
        let (_, _, aws_region) =
            REGIONS.into_iter().find(|(known, _, _)| *known == region).expect("a region");
        let path = format!("/{}/{key}", bucket_of(region));
        self.send("PUT", &path, &format!("{aws_region}/s3"), body.to_owned()).await;
    }

    async fn post(&self, path: &str, body: String) -> String {
        self.send("POST", path, "us-east-1/route53", body).await
    }

    /// As a person's own tool does.
    async fn send(&self, method: &str, path: &str, scope: &str, body: String) -> String {
        let endpoint = self.aws.endpoint();
        let address = endpoint.trim_start_matches("http://");
        let stream = TcpStream::connect(address).await.expect("the fake listens");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
        tokio::spawn(connection);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={KEY}/20260101/{scope}/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature=00"
        );
        let request = Request::builder().method(method).uri(path);
        let request = request.header("host", address).header("authorization", authorization);
        let request = request.body(Full::new(Bytes::from(body))).expect("a request");
        let answer = sender.send_request(request).await.expect("an answer");
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        assert!(status.is_success(), "{path}: {status}: {body}");
        body
    }

    fn config(&self) -> HealthObjectConfig {
        let marker = |(at, (region, _, aws_region)): (usize, (&str, &str, &str))| {
            let place = MarkerPlace {
                bucket: bucket_of(region),
                key: MARKER.to_owned(),
                aws_region: aws_region.to_owned(),
                health_check: self.checks[at].clone(),
            };
            (RegionName::from(region), place)
        };
        HealthObjectConfig {
            item: "shop".into(),
            name: name_config(
                Duration::from_secs(1),
                REGIONS.map(|(region, at, _)| (RegionName::from(region), Target::parse(at))).into(),
            ),
            zone_id: self.zone.id.clone(),
            servers: servers_of(&self.zone),
            secret: Secret::new(MARKER_SECRET),
            markers: REGIONS.into_iter().enumerate().map(marker).collect(),
            pin_check: Some(self.aws.create_disabled_check(ACCOUNT, "pin")),
        }
    }

    fn accounts(&self) -> AwsAccounts {
        accounts(&self.aws, KEY)
    }

    fn adapter_with(&self, config: &HealthObjectConfig) -> HealthObject {
        let accounts = self.accounts();
        HealthObject::new(config, accounts.account(&AwsAccess::default())).expect("the configuration holds")
    }

    fn adapter(&self) -> HealthObject {
        self.adapter_with(&self.config())
    }

    fn writes(&self) -> Vec<Call> {
        self.aws.calls().into_iter().filter(|call| call.operation == PUT).collect()
    }

    fn fault(&self, operation: &str, kind: FaultKind) {
        self.aws.fault(Fault::of(operation, kind).up_to(1));
    }
}

fn bucket_of(region: &str) -> String {
    format!("muster-{region}")
}

async fn flip_as(owner: &str, adapter: &HealthObject, numbers: Numbers, to: &str) -> Outcome {
    adapter.flip(&to.into(), &ctx_of(owner, numbers, to, Duration::from_secs(10), HELD)).await
}

async fn flip(adapter: &HealthObject, numbers: Numbers, to: &str) -> Outcome {
    flip_as("uid-1", adapter, numbers, to).await
}

async fn flip_within(timeout: Duration, adapter: &HealthObject, numbers: Numbers, to: &str) -> Outcome {
    adapter.flip(&to.into(), &ctx_of("uid-1", numbers, to, timeout, HELD)).await
}

async fn settle(adapter: &HealthObject, numbers: Numbers, to: &str) -> Outcome {
    adapter.settle(&to.into(), &ctx_of("uid-1", numbers, to, Duration::from_secs(10), HELD)).await
}

/// Settles until it is done. What has to be waited for is no failure.
async fn settle_wholly(adapter: &HealthObject, numbers: Numbers, to: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let outcome = settle(adapter, numbers, to).await;
        match outcome {
            Outcome::AlreadyDone => return,
            Outcome::Issued(_) => {}
            other => panic!("{other:?}"),
        }
        assert!(Instant::now() < deadline, "{outcome:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until it is observed.
async fn until(adapter: &HealthObject, holds: impl Fn(&TrafficFacts) -> bool) -> TrafficFacts {
    until_within(PATIENCE, adapter, holds).await
}

/// Waits until every server answers so, and the markers say who wrote it.
async fn until_seen(adapter: &HealthObject, to: &str, numbers: Numbers) -> TrafficFacts {
    until_seen_within(PATIENCE, adapter, to, numbers).await
}

/// Flips, and waits until every server answers so. A flip waits two seconds for the other region's marker: what that leaves open
/// is asked for again, and may be done by then.
async fn flip_wholly(adapter: &HealthObject, numbers: Numbers, to: &str) -> TrafficFacts {
    let deadline = Instant::now() + PATIENCE;
    let (mut outcome, mut is_repeated) = (flip(adapter, numbers, to).await, false);
    while matches!(outcome, Outcome::Failed(ErrorClass::Transient | ErrorClass::UnknownOutcome, _)) {
        assert!(Instant::now() < deadline, "{outcome:?}");
        sleep(Duration::from_millis(50)).await;
        (outcome, is_repeated) = (flip(adapter, numbers, to).await, true);
    }
    let is_done = is_repeated && outcome == Outcome::AlreadyDone;
    assert!(is_done || outcome == Outcome::Issued(None), "{outcome:?}");
    until_seen(adapter, to, numbers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_moved_and_moved_back_without_the_api_of_route_53() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    let seen = until(&adapter, |seen| seen.points_to == Some("east".into())).await;
    assert_eq!((seen.witness, seen.drift, seen.unsettled, seen.contested), (None, None, None, None));
    stage.aws.clear_calls();
    for (epoch, to) in [(1, "west"), (2, "east"), (3, "west")] {
        let seen = flip_wholly(&adapter, Numbers(epoch, 0, 1), to).await;
        assert_eq!((seen.drift, seen.unsettled), (None, Some(format!("the marker of region {to}"))));
    }
    let calls = stage.aws.calls();
    let written = stage.writes().into_iter().filter(|call| call.is_done);
    assert_eq!(written.count(), 6, "two writes for each flip: {calls:?}");
    assert!(calls.iter().all(|call| !(call.is_mutation && call.service == "route53")), "{calls:?}");
    assert_eq!(calls.iter().filter(|call| call.service == "route53").count(), 0, "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_rest_nothing_is_asked_but_the_name_servers() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    until(&adapter, |seen| seen.points_to == Some("east".into())).await;
    // Looks of before may still be on their way, and a server that is late to answer makes a name doubt its markers for a moment.
    let deadline = Instant::now() + PATIENCE;
    let mut calm = 0;
    while calm < 20 {
        facts(&adapter).await;
        // The checkers ask too, and sign nothing.
        let own: Vec<_> = stage.aws.calls().into_iter().filter(|call| call.account == ACCOUNT).collect();
        assert!(Instant::now() < deadline, "{own:?}");
        if own.is_empty() {
            calm += 1;
        } else {
            stage.aws.clear_calls();
            calm = 0;
        }
    }
}

/// As many names as make a list cheaper than reads, each with a marker of its own in the same two buckets.
fn adapters_of_many(stage: &Stage) -> Vec<HealthObject> {
    let account = stage.accounts().account(&AwsAccess::default());
    let adapter = |n| {
        let mut config = stage.config();
        for marker in config.markers.values_mut() {
            marker.key = format!("muster/shop-{n}");
        }
        HealthObject::new(&config, Arc::clone(&account)).expect("the configuration holds")
    };
    (0..12).map(adapter).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_many_markers_stand_in_a_bucket_one_list_a_minute_tells_which_has_changed() {
    let stage = Stage::start().await;
    let adapters = adapters_of_many(&stage);
    let look = || futures::future::join_all(adapters.iter().map(facts));
    let of = |operation| {
        let calls = stage.aws.calls().into_iter();
        calls.filter(|call| call.operation == operation && call.account == ACCOUNT).count()
    };
    let deadline = Instant::now() + 6 * PATIENCE;
    // Until its health checks have settled, a name doubts its markers and reads them.
    let mut calm = 0;
    while calm < 5 {
        stage.aws.clear_calls();
        look().await;
        calm = if of(GET) == 0 { calm + 1 } else { 0 };
        assert!(Instant::now() < deadline, "a name goes on reading its markers");
    }
    stage.put_object_at("west", "muster/shop-5", "not a marker").await;
    // A server that is late to answer makes a name doubt its markers for a moment: one minute without that is enough.
    let mut told = Vec::new();
    loop {
        stage.aws.clear_calls();
        while of(LIST) < 2 {
            let drifts = look().await.into_iter().filter_map(|seen| seen.drift);
            told = drifts.filter(|drift| drift.contains("the marker of region west")).collect();
            assert!(Instant::now() < deadline, "{told:?}, {} reads and {} lists", of(GET), of(LIST));
            sleep(Duration::from_millis(200)).await;
        }
        if told.len() == 1 && of(GET) <= 1 {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_older_and_foreign_effects_change_nothing() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    assert_eq!(flip(&adapter, Numbers(2, 1, 5), "west").await, Outcome::Issued(None));
    assert_eq!(flip(&adapter, Numbers(2, 1, 5), "west").await, Outcome::AlreadyDone);
    for older in [Numbers(1, 9, 9), Numbers(2, 0, 9), Numbers(2, 1, 4)] {
        for outcome in [flip(&adapter, older, "east").await, settle(&adapter, older, "west").await] {
            assert!(matches!(outcome, Outcome::StaleEpoch(_)), "{outcome:?}");
        }
    }
    let other = flip(&adapter, Numbers(2, 1, 5), "east").await;
    assert!(matches!(other, Outcome::Conflict(_)), "{other:?}");

    let mut config = stage.config();
    config.name.owner = "uid-2".into();
    let adopted = config.name.adopted.clone();
    let foreign = stage.adapter_with(&config);
    let refused = flip_as("uid-2", &foreign, Numbers(9, 0, 1), "east").await;
    assert!(matches!(&refused, Outcome::Conflict(why) if why.contains("uid-1 owns it")), "{refused:?}");
    assert_eq!(stage.writes().len(), 2);
    adopted.set([Owner::new("uid-1")].into());
    assert_eq!(flip_as("uid-2", &foreign, Numbers(9, 0, 1), "east").await, Outcome::Issued(None));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_is_found_out_by_looking() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    stage.fault(PUT, FaultKind::LoseAnswer);
    let lost = flip(&adapter, Numbers(1, 0, 1), "west").await;
    assert!(matches!(lost, Outcome::Failed(ErrorClass::UnknownOutcome, _)), "{lost:?}");
    assert_eq!(stage.writes().len(), 1, "the client repeats nothing by itself");
    // The first write has landed, the second is missing.
    assert_eq!(flip(&adapter, Numbers(1, 0, 1), "west").await, Outcome::Issued(None));
    assert_eq!(stage.writes().len(), 2);
    assert_eq!(flip(&adapter, Numbers(1, 0, 1), "west").await, Outcome::AlreadyDone);
    until_seen(&adapter, "west", Numbers(1, 0, 1)).await;
}

/// An effect that S3 took too late finds another version there: also after a way there and back.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_was_planned_on_an_older_look_is_refused_by_the_service() {
    let stage = Stage::start().await;
    let (slow, fast) = (stage.adapter(), stage.adapter());
    assert_eq!(flip(&fast, Numbers(1, 0, 1), "east").await, Outcome::Issued(None));
    // Long enough for the two flips of the fast one.
    stage.fault(PUT, FaultKind::Delay(Duration::from_secs(5)));
    let slow_flip = flip_within(Duration::from_secs(30), &slow, Numbers(1, 0, 2), "west");
    let (late, ()) = tokio::join!(slow_flip, async {
        let deadline = Instant::now() + PATIENCE;
        // The slow write is on its way.
        while stage.writes().len() < 3 {
            assert!(Instant::now() < deadline, "{:?}", stage.aws.calls());
            sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(flip(&fast, Numbers(1, 0, 3), "west").await, Outcome::Issued(None));
        assert_eq!(flip(&fast, Numbers(1, 0, 4), "east").await, Outcome::Issued(None));
    });
    assert!(matches!(late, Outcome::StaleEpoch(_)), "{late:?}");
    until_seen(&fast, "east", Numbers(1, 0, 4)).await;
    assert_eq!(stage.writes().iter().filter(|call| call.status == 412).count(), 1, "{:?}", stage.writes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_whose_bucket_does_not_answer_holds_nothing_up() {
    let stage = Stage::start().await;
    let mut config = stage.config();
    let east = config.markers.get_mut(&RegionName::from("east")).expect("its marker");
    east.bucket = "nowhere-at-all".to_owned();
    let adapter = stage.adapter_with(&config);
    // It learns the roles: the silent region's record is the primary one, which no marker of its own brings back.
    until(&adapter, |seen| seen.points_to == Some("east".into())).await;
    let seen = flip_wholly(&adapter, Numbers(1, 0, 1), "west").await;
    assert_eq!((seen.unsettled.as_deref(), seen.contested), (Some("the marker of region west"), None));
    let back = flip(&adapter, Numbers(2, 0, 1), "east").await;
    assert!(matches!(back, Outcome::Failed(ErrorClass::Invalid | ErrorClass::Transient, _)), "{back:?}");
    // The name is pinned to west, however long east is lost.
    let deadline = Instant::now() + PATIENCE;
    loop {
        match settle(&adapter, Numbers(3, 0, 1), "west").await {
            Outcome::Issued(Some(why)) if why.contains("pinned") => break,
            Outcome::Issued(_) => {}
            other => panic!("{other:?}"),
        }
        assert!(Instant::now() < deadline, "never pinned");
        sleep(Duration::from_millis(50)).await;
    }
    for (_, _, aws_region) in REGIONS {
        stage.aws.cut_checkers_from(aws_region);
    }
    sleep(Duration::from_millis(500)).await;
    let seen = until(&adapter, |seen| seen.unsettled.as_deref() != Some("the marker of region west")).await;
    assert_eq!(seen.points_to, Some("west".into()));
    assert_eq!(seen.unsettled.as_deref(), Some("pinned: no marker's health check is attached"));
}

/// The name is held by its object alone, and nothing is sent that Route 53 would refuse.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_check_to_pin_by_a_name_beside_a_silent_region_is_held_by_its_object_and_says_so() {
    let stage = Stage::start().await;
    let config = HealthObjectConfig { pin_check: None, ..stage.config() };
    let adapter = stage.adapter_with(&config);
    until(&adapter, |seen| seen.points_to == Some("east".into())).await;
    stage.aws.fault(Fault::of(GET, FaultKind::Hang).in_region("us-east-1"));
    flip_wholly(&adapter, Numbers(1, 0, 1), "west").await;
    stage.aws.clear_calls();
    let outcome = settle(&adapter, Numbers(1, 0, 2), "west").await;
    let Outcome::Issued(Some(why)) = &outcome else { panic!("{outcome:?}") };
    assert!(why.contains("held by its object") && why.contains("pinHealthCheckId"), "{why}");
    assert!(stage.aws.calls().iter().all(|call| !call.is_mutation), "{:?}", stage.aws.calls());
}

/// A check that may turn unhealthy would give the name back to the region that it was taken from.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_is_not_disabled_pins_nothing() {
    let stage = Stage::start().await;
    let strange = stage.create_check("strange", "us-west-2").await;
    let config = HealthObjectConfig { pin_check: Some(strange.clone()), ..stage.config() };
    let adapter = stage.adapter_with(&config);
    until(&adapter, |seen| seen.points_to == Some("east".into())).await;
    stage.aws.fault(Fault::of(GET, FaultKind::Hang).in_region("us-east-1"));
    flip_wholly(&adapter, Numbers(1, 0, 1), "west").await;
    let outcome = settle(&adapter, Numbers(1, 0, 2), "west").await;
    let Outcome::Conflict(why) = &outcome else { panic!("{outcome:?}") };
    assert!(why.contains(&strange) && why.contains("inverted"), "{why}");
}

/// On the day the same would keep the name from moving.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_at_rest_is_told_before_the_day() {
    let stage = Stage::start().await;
    assert_eq!(flip(&stage.adapter(), Numbers(1, 0, 1), "east").await, Outcome::Issued(None));
    for (operation, right) in [
        (GET, "s3:GetObject"),
        ("ListResourceRecordSets", "route53:ListResourceRecordSets"),
        ("GetHealthCheck", "route53:GetHealthCheck"),
        ("GetHealthCheckStatus", "route53:GetHealthCheckStatus"),
    ] {
        stage.aws.fault(Fault::of(operation, FaultKind::Deny));
        let drift = until(&stage.adapter(), |seen| seen.drift.is_some()).await.drift.expect("it is told");
        assert!(drift.contains(right) && drift.contains("AccessDenied"), "{operation}: {drift}");
        stage.aws.clear_faults();
    }
    // Silence says nothing.
    stage.aws.fault(Fault::of(
        GET,
        FaultKind::Answer {
            status: 503,
            code: "SlowDown".to_owned(),
            message: "Please reduce your request rate.".to_owned(),
        },
    ));
    let seen = until(&stage.adapter(), |seen| seen.points_to == Some("east".into())).await;
    assert_eq!(seen.drift, None);

    let mut config = stage.config();
    let east = config.markers.get_mut(&RegionName::from("east")).expect("its marker");
    east.bucket = "nowhere-at-all".to_owned();
    stage.aws.clear_faults();
    let drift = until(&stage.adapter_with(&config), |seen| seen.drift.is_some()).await.drift;
    let told = drift.unwrap_or_default();
    assert!(told.contains("the marker of region east") && told.contains("NoSuchBucket"), "{told}");
}

/// What a process that has just started says, once it has asked what the checkers of both health checks saw.
async fn told_of_checkers(stage: &Stage) -> Option<String> {
    let asked = || stage.aws.calls().iter().filter(|call| call.operation == "GetHealthCheckStatus").count();
    let (before, adapter) = (asked(), stage.adapter());
    let seen = until(&adapter, |seen| seen.drift.is_some() || asked() >= before + 2).await;
    seen.drift
}

/// The write goes well, and Muster itself reads what it wrote: only the checkers know.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_the_checkers_cannot_read_is_told_before_the_day() {
    let stage = Stage::start().await;
    assert_eq!(flip(&stage.adapter(), Numbers(1, 0, 1), "east").await, Outcome::Issued(None));
    assert_eq!(told_of_checkers(&stage).await, None);
    stage.aws.deny_anonymous_read(&bucket_of("west"), MARKER);
    let deadline = Instant::now() + PATIENCE;
    let told = loop {
        match told_of_checkers(&stage).await {
            Some(told) => break told,
            // The newest words are of the very second of the write, or of before.
            None => assert!(Instant::now() < deadline, "nothing is told"),
        }
    };
    assert!(told.contains("cannot read the object of region west") && told.contains("403"), "{told}");
    assert!(!told.contains(MARKER_SECRET), "{told}");
}

/// The name was moved to west and back to east, west is silent since then, and the name is pinned to east.
async fn pinned_to_east(stage: &Stage, adapter: &HealthObject) {
    until(adapter, |seen| seen.points_to == Some("east".into())).await;
    flip_wholly(adapter, Numbers(1, 0, 1), "west").await;

    // The region west is gone, for Muster and for the checkers.
    stage.aws.fault(Fault::of(GET, FaultKind::Hang).in_region("us-west-2"));
    stage.aws.cut_checkers_from("us-west-2");
    for _ in 0..2 {
        let left = flip(adapter, Numbers(2, 0, 1), "east").await;
        let Outcome::Failed(ErrorClass::UnknownOutcome, why) = &left else { panic!("{left:?}") };
        assert!(why.contains("the marker of region west may still be on"), "{why}");
    }
    let seen = until(adapter, |seen| seen.points_to == Some("east".into())).await;
    assert_eq!(seen.contested.as_deref(), Some("the marker of region west may still be on"));

    // Pinned: it may come back.
    let deadline = Instant::now() + PATIENCE;
    while facts(adapter).await.contested.is_some() {
        let outcome = settle(adapter, Numbers(2, 0, 2), "east").await;
        assert!(matches!(outcome, Outcome::Issued(_)), "{outcome:?}");
        assert!(Instant::now() < deadline, "{outcome:?}");
    }
    stage.aws.heal_checkers("us-west-2");
    sleep(Duration::from_millis(500)).await;
    let seen = facts(adapter).await;
    assert_eq!(seen.points_to, Some("east".into()));
    assert_eq!(seen.unsettled.as_deref(), Some("pinned: no marker's health check is attached"));
}

/// Of the region whose record is the secondary one: once it answers, Route 53 would answer it.
#[tokio::test(flavor = "multi_thread")]
async fn a_marker_that_nobody_could_switch_off_keeps_a_move_from_being_called_durable() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    pinned_to_east(&stage, &adapter).await;
    stage.aws.clear_faults();
    settle_wholly(&adapter, Numbers(3, 0, 2), "east").await;
    let seen = until(&adapter, |seen| seen.unsettled.is_none()).await;
    assert_eq!((seen.points_to, seen.contested), (Some("east".into()), None));
    flip_wholly(&adapter, Numbers(4, 0, 1), "west").await;
}

/// Nothing settles a name while a run is at work: whatever pinned it must not hold the run's own flip up.
#[tokio::test(flavor = "multi_thread")]
async fn a_flip_away_from_a_pinned_name_writes_its_records() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    pinned_to_east(&stage, &adapter).await;
    let silent = flip(&adapter, Numbers(3, 0, 1), "west").await;
    assert!(matches!(silent, Outcome::Failed(ErrorClass::Transient, _)), "{silent:?}");
    stage.aws.clear_faults();
    stage.fault(CHANGE, FaultKind::Hang);
    let refused = flip(&adapter, Numbers(3, 0, 1), "west").await;
    assert!(matches!(refused, Outcome::Failed(ErrorClass::UnknownOutcome, _)), "{refused:?}");
    assert_eq!(facts(&adapter).await.points_to, Some("east".into()));

    stage.aws.clear_faults();
    flip_wholly(&adapter, Numbers(3, 0, 1), "west").await;
    assert_eq!(flip(&adapter, Numbers(3, 0, 1), "west").await, Outcome::AlreadyDone);
    let older = flip(&adapter, Numbers(2, 0, 9), "east").await;
    assert!(matches!(older, Outcome::StaleEpoch(_)), "{older:?}");
    settle_wholly(&adapter, Numbers(3, 0, 2), "west").await;
    let seen = until(&adapter, |seen| seen.unsettled.is_none()).await;
    assert_eq!((seen.points_to, seen.contested), (Some("west".into()), None));
    // And away from there the markers move it again.
    stage.aws.clear_calls();
    flip_wholly(&adapter, Numbers(4, 0, 1), "east").await;
    assert!(stage.aws.calls().iter().all(|call| call.operation != CHANGE), "{:?}", stage.aws.calls());
}

/// The marker and the records are written side by side: what becomes of the one says nothing of the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_flip_that_wrote_one_of_two_things_is_not_said_to_have_had_no_effect() {
    let answer = |status, code: &str| FaultKind::Answer {
        status,
        code: code.to_owned(),
        message: "of this test".to_owned(),
    };
    // Answered later than the change of records leaves.
    let late = || FaultKind::Delay(Duration::from_secs(4));
    let cases = [
        (Some(FaultKind::Hang), late(), PUT),
        (Some(answer(400, "InvalidChangeBatch")), late(), PUT),
        (Some(FaultKind::Deny), late(), PUT),
        (Some(FaultKind::Hang), answer(412, "PreconditionFailed"), CHANGE),
        (None, FaultKind::Deny, CHANGE),
    ];
    let done_in_part = |(change, put, sent): (Option<FaultKind>, FaultKind, &'static str)| async move {
        let stage = Stage::start().await;
        let adapter = stage.adapter();
        pinned_to_east(&stage, &adapter).await;
        stage.aws.clear_faults();
        stage.aws.clear_calls();
        if let Some(kind) = change {
            stage.fault(CHANGE, kind);
        }
        stage.aws.fault(Fault::of(PUT, put).in_region("us-west-2"));
        let unknown = flip(&adapter, Numbers(3, 0, 1), "west").await;
        assert!(matches!(unknown, Outcome::Failed(ErrorClass::UnknownOutcome, _)), "{unknown:?}");
        // Taken, or without an answer.
        let has_left = |call: &Call| call.operation == sent && matches!(call.status, 0 | 200);
        assert!(stage.aws.calls().iter().any(has_left), "{:?}", stage.aws.calls());
    };
    futures::stream::iter(cases.map(done_in_part)).buffer_unordered(2).collect::<()>().await;
}

/// Then the marker alone moves the name, and has to be written although Route 53's API went with the region that is left.
#[tokio::test(flavor = "multi_thread")]
async fn a_pin_that_another_process_has_ended_keeps_no_marker_from_being_written() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    pinned_to_east(&stage, &adapter).await;
    stage.aws.clear_faults();
    settle_wholly(&stage.adapter(), Numbers(3, 0, 2), "east").await;
    stage.aws.fault(Fault::of_everything(FaultKind::LoseRequest).in_service("route53"));
    let told = flip(&adapter, Numbers(4, 0, 1), "west").await;
    assert!(matches!(told, Outcome::Failed(..)), "{told:?}");
    until_seen(&adapter, "west", Numbers(4, 0, 1)).await;
    // And it is known once the API answers.
    stage.aws.clear_faults();
    assert_eq!(flip(&adapter, Numbers(4, 0, 1), "west").await, Outcome::AlreadyDone);
}

/// It would make the region primary that the name was moved away from, with no marker left to say otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn a_swap_of_roles_that_got_stuck_moves_nothing_once_all_is_settled() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    flip_wholly(&adapter, Numbers(1, 0, 1), "west").await;
    // Later than all that follows is settled.
    stage.fault(CHANGE, FaultKind::Delay(Duration::from_secs(30)));
    let deadline = Instant::now() + PATIENCE;
    let stuck = loop {
        let ctx = ctx_of("uid-1", Numbers(1, 0, 2), "west", Duration::from_secs(8), HELD);
        match adapter.settle(&"west".into(), &ctx).await {
            // For all that a new process knows, the marker of east was on until just now.
            Outcome::Issued(Some(why)) if why.contains("may not know") => {}
            // Nothing has left.
            Outcome::Failed(ErrorClass::Transient, _) => {}
            stuck => break stuck,
        }
        assert!(Instant::now() < deadline, "nothing is sent");
        sleep(Duration::from_millis(100)).await;
    };
    assert!(matches!(stuck, Outcome::Failed(ErrorClass::UnknownOutcome, _)), "{stuck:?}");

    flip_wholly(&adapter, Numbers(2, 0, 1), "east").await;
    settle_wholly(&adapter, Numbers(2, 0, 2), "east").await;
    let is_late =
        |call: &Call| call.operation == CHANGE && call.code.as_deref() == Some("InvalidChangeBatch");
    let deadline = Instant::now() + PATIENCE;
    while !stage.aws.calls().iter().any(is_late) {
        assert!(Instant::now() < deadline, "{:?}", stage.aws.calls());
        sleep(Duration::from_millis(50)).await;
    }
    sleep(Duration::from_millis(500)).await;
    let seen = until(&adapter, |seen| seen.unsettled.is_none()).await;
    assert_eq!(seen.points_to, Some("east".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn from_afar_a_flip_is_seen_done_too() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    assert_eq!(flip(&adapter, Numbers(1, 0, 1), "west").await, Outcome::Issued(None));
    stage.aws.fault(Fault::of(GET, FaultKind::Delay(Duration::from_millis(1500))));
    let deadline = Instant::now() + PATIENCE;
    loop {
        let seen = adapter.observe(Duration::from_secs(1)).await;
        if matches!(&seen, Seen::Known(seen) if seen.witness.as_ref().is_some_and(|w| w.epoch == Epoch(1))) {
            return;
        }
        assert!(Instant::now() < deadline, "{seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_no_marker_keeps_nobody_in_its_region() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    until(&adapter, |seen| seen.points_to == Some("east".into())).await;
    stage.put_object("east", "<html></html>").await;
    assert_eq!(flip(&adapter, Numbers(1, 0, 1), "west").await, Outcome::Issued(None));
    let seen = until(&adapter, |seen| seen.points_to == Some("west".into())).await;
    assert!(seen.contested.is_none(), "{seen:?}");
    assert_eq!(stage.writes().len(), 2, "that of this test, and the marker of west");
    // Towards it nothing is written over.
    let refused = flip(&adapter, Numbers(2, 0, 1), "east").await;
    assert!(matches!(&refused, Outcome::Conflict(why) if why.contains("region east")), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_and_health_checks_that_would_not_move_the_name_are_told() {
    let stage = Stage::without_records().await;
    let seen = facts(&stage.adapter()).await;
    assert!(seen.drift.as_deref().is_some_and(|why| why.contains("role PRIMARY")), "{seen:?}");

    let stage = Stage::start().await;
    let seen = until(&stage.adapter(), |seen| seen.points_to == Some("east".into())).await;
    assert_eq!(seen.drift, None);
    // What was read is kept for ten minutes, so each is told by another adapter; reads of one account follow each other.
    let told =
        || async { until(&stage.adapter(), |seen| seen.drift.is_some()).await.drift.expect("it is told") };
    stage.update_check("west", "<SearchString>muster-on-another</SearchString>").await;
    let other_text = told().await;
    assert!(other_text.contains("looks for another text"), "{other_text}");
    assert!(!other_text.contains("muster-on-another"), "{other_text}");
    // Both at once are told one after the other.
    stage.update_check("west", "<Disabled>true</Disabled>").await;
    let disabled = told().await;
    assert!(disabled.contains("is disabled") && disabled.contains(&stage.checks[1]), "{disabled}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marker_by_an_older_secret_is_written_again_once_its_health_check_looks_for_the_new_one() {
    let stage = Stage::start().await;
    let before = stage.adapter();
    flip_wholly(&before, Numbers(1, 0, 1), "west").await;
    let mut config = stage.config();
    config.secret = Secret::new(OTHER_SECRET);
    let adapter = stage.adapter_with(&config);
    let early = settle(&adapter, Numbers(1, 0, 2), "west").await;
    assert!(matches!(&early, Outcome::Conflict(why) if why.contains("another text")), "{early:?}");
    let text = format!("<SearchString>muster-on-{OTHER_SECRET}</SearchString>");
    for (region, _, _) in REGIONS {
        stage.update_check(region, &text).await;
    }
    let renewed = settle(&adapter, Numbers(1, 0, 2), "west").await;
    assert!(matches!(&renewed, Outcome::Issued(Some(why)) if why.contains("new secret")), "{renewed:?}");
    until_seen(&adapter, "west", Numbers(1, 0, 2)).await;
    settle_wholly(&adapter, Numbers(1, 0, 2), "west").await;
    let seen = until(&adapter, |seen| seen.unsettled.is_none()).await;
    assert_eq!(seen.points_to, Some("west".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_hang_cost_no_more_than_the_deadline() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    let soon = |numbers| ctx_of("uid-1", numbers, "west", Duration::from_secs(3), HELD);
    for (operation, class) in [(GET, ErrorClass::Transient), (PUT, ErrorClass::UnknownOutcome)] {
        // Of both regions.
        stage.aws.fault(Fault::of(operation, FaultKind::Hang));
        let began = Instant::now();
        let hung = adapter.flip(&"west".into(), &soon(Numbers(1, 0, 1))).await;
        assert!(matches!(&hung, Outcome::Failed(found, _) if *found == class), "{operation}: {hung:?}");
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
        stage.aws.clear_faults();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_buckets_leave_what_the_servers_answer() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    stage.aws.fault(Fault::of(GET, FaultKind::Hang));
    let seen = until(&adapter, |seen| seen.points_to == Some("east".into())).await;
    assert_eq!((seen.witness, seen.unsettled), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_lease_nothing_is_changed() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    // Before the call is made, and while it is signed.
    for lease_checks in [0, 1] {
        let ctx = ctx_of("uid-1", Numbers(1, 0, 1), "west", Duration::from_secs(5), lease_checks);
        let refused = adapter.flip(&"west".into(), &ctx).await;
        let lost = |why: &String| why.contains("the lease was lost");
        assert!(matches!(&refused, Outcome::Failed(ErrorClass::Transient, why) if lost(why)), "{refused:?}");
        assert_eq!(stage.writes(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_has_its_class_and_shows_no_secret() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    for (status, code, class) in [
        (403, "AccessDenied", ErrorClass::Denied),
        (503, "SlowDown", ErrorClass::Throttled),
        (500, "InternalError", ErrorClass::UnknownOutcome),
    ] {
        let message = format!("about muster-on-{MARKER_SECRET}");
        stage.fault(PUT, FaultKind::Answer { status, code: code.to_owned(), message });
        let failed = flip(&adapter, Numbers(1, 0, 1), "west").await;
        let Outcome::Failed(found, why) = &failed else { panic!("{code}: {failed:?}") };
        assert_eq!(*found, class, "{code}: {why}");
        assert!(why.contains("s3:PutObject") && why.contains(code) && why.contains(NAME), "{why}");
        assert!(!why.contains(MARKER_SECRET), "{why}");
    }
    let told = format!("{adapter:?} {:?}", stage.config());
    assert!(!told.contains(MARKER_SECRET), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn once_settled_the_name_stays_where_it_is_when_everything_that_was_set_is_gone() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    flip_wholly(&adapter, Numbers(1, 0, 1), "west").await;
    settle_wholly(&adapter, Numbers(1, 0, 2), "west").await;
    let seen = until(&adapter, |seen| seen.unsettled.is_none()).await;
    assert_eq!(seen.points_to, Some("west".into()));
    for (_, _, aws_region) in REGIONS {
        stage.aws.cut_checkers_from(aws_region);
    }
    sleep(Duration::from_millis(500)).await;
    assert_eq!(facts(&adapter).await.points_to, Some("west".into()));
    for (_, _, aws_region) in REGIONS {
        stage.aws.heal_checkers(aws_region);
    }

    // And back, from the other side.
    flip_wholly(&adapter, Numbers(2, 0, 1), "east").await;
    settle_wholly(&adapter, Numbers(2, 0, 2), "east").await;
    let seen = until(&adapter, |seen| seen.unsettled.is_none()).await;
    assert_eq!(seen.points_to, Some("east".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_route_53_does_not_show_yet_is_waited_for_and_not_made_again() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    flip_wholly(&adapter, Numbers(1, 0, 1), "west").await;
    stage.aws.clear_calls();
    // Older than the change can be: it is not there yet.
    stage.fault("GetChange", FaultKind::StaleReads(Duration::from_mins(5)));
    settle_wholly(&adapter, Numbers(1, 0, 2), "west").await;
    let calls = stage.aws.calls();
    let said = |operation: &str| {
        let of = calls.iter().filter(|call| call.operation == operation);
        of.map(|call| call.code.as_deref()).collect::<Vec<_>>()
    };
    assert_eq!(said("GetChange").first(), Some(&Some("NoSuchChange")));
    assert_eq!(said(CHANGE).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn settling_moves_nothing() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    until(&adapter, |seen| seen.points_to == Some("east".into())).await;
    // No marker is on: the name points at east.
    let refused = settle(&adapter, Numbers(1, 0, 1), "west").await;
    assert!(matches!(&refused, Outcome::Conflict(why) if why.contains("is not on")), "{refused:?}");
    assert_eq!(flip(&adapter, Numbers(1, 0, 2), "west").await, Outcome::Issued(None));
    let refused = settle(&adapter, Numbers(1, 0, 3), "east").await;
    assert!(matches!(&refused, Outcome::Conflict(why) if why.contains("region west is on")), "{refused:?}");
    assert_eq!(settle(&adapter, Numbers(1, 0, 4), "elsewhere").await, {
        let why = format!("{NAME}.: region elsewhere has no target");
        Outcome::Failed(ErrorClass::Invalid, why)
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_another_design_are_not_touched() {
    let [(_, east, _), (_, west, _)] = REGIONS;
    let stage = Stage::without_records().await;
    let adapter = stage.adapter();
    assert_eq!(flip(&adapter, Numbers(1, 0, 1), "west").await, Outcome::Issued(None));
    let refused = settle(&adapter, Numbers(1, 0, 2), "west").await;
    assert!(matches!(&refused, Outcome::Conflict(why) if why.contains("role PRIMARY")), "{refused:?}");
    // The check of its own region's marker.
    stage.create_record("PRIMARY", east, Some(&stage.checks[0])).await;
    stage.create_record("SECONDARY", west, None).await;
    let refused = settle(&adapter, Numbers(1, 0, 3), "west").await;
    assert!(matches!(&refused, Outcome::Conflict(why) if why.contains(&stage.checks[1])), "{refused:?}");
    let changes = stage.aws.calls().into_iter().filter(|call| call.operation == "ChangeResourceRecordSets");
    assert_eq!(changes.count(), 2, "those of this test itself");
}

//! Conformance of the Route 53 adapter: the real SDK against the fake, real DNS answers, every call counted.

#![expect(clippy::panic, reason = "what helps a test fails as the test does")]

mod names;

use muster_aws_fake::{Call, FailoverRecord, FakeAws, Fault, FaultKind, Zone};
use muster_core::facts::{ErrorClass, Outcome, Seen, TrafficFacts};
use muster_core::ids::{Owner, RegionName};
use muster_providers::TrafficControl;
use muster_providers::aws::AwsAccess;
use muster_providers::dns::Target;
use muster_providers::route53::{Route53, Route53Config};
use names::{
    ACCOUNT, HELD, INSYNC, KEY, NAME, Numbers, accounts, ctx_of, facts, fake_with_zone, name_config,
    servers_of, until_seen_within, until_within,
};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const WITNESS: &str = "_muster.shop.example.com";
const CHANGE: &str = "ChangeResourceRecordSets";
const LIST: &str = "ListResourceRecordSets";
const GET_CHANGE: &str = "GetChange";
const PATIENCE: Duration = Duration::from_secs(30);

struct Stage {
    aws: FakeAws,
    zone: Zone,
}

impl Stage {
    async fn start() -> Self {
        let (aws, zone) = fake_with_zone().await;
        Self { aws, zone }
    }

    fn config(&self, targets: [&str; 2]) -> Route53Config {
        let targets = [("east", targets[0]), ("west", targets[1])];
        Route53Config {
            item: "shop".into(),
            name: name_config(
                Duration::from_secs(5),
                targets.map(|(region, at)| (RegionName::from(region), Target::parse(at))).into(),
            ),
            zone_id: self.zone.id.clone(),
            servers: servers_of(&self.zone),
        }
    }

    fn adapter_with(&self, config: &Route53Config) -> Route53 {
        self.adapter_as(config, KEY)
    }

    fn adapter_as(&self, config: &Route53Config, key: &str) -> Route53 {
        let accounts = accounts(&self.aws, key);
        Route53::new(config, accounts.account(&AwsAccess::default())).expect("the configuration holds")
    }

    fn adapter(&self) -> Route53 {
        self.adapter_with(&self.config(["127.0.1.1", "127.0.2.1"]))
    }

    fn changes(&self) -> Vec<Call> {
        self.aws.calls().into_iter().filter(|call| call.is_mutation).collect()
    }

    /// How many calls of this operation were answered.
    fn answered(&self, operation: &str) -> usize {
        let calls = self.aws.calls().into_iter();
        calls.filter(|call| call.operation == operation && call.status != 0).count()
    }

    fn fault(&self, operation: &str, kind: FaultKind) {
        self.aws.fault(Fault::of(operation, kind).up_to(1));
    }
}

async fn flip_as(owner: &str, adapter: &Route53, numbers: Numbers, to: &str) -> Outcome {
    adapter.flip(&to.into(), &ctx_of(owner, numbers, to, Duration::from_secs(10), HELD)).await
}

async fn flip(adapter: &Route53, numbers: Numbers, to: &str) -> Outcome {
    flip_as("uid-1", adapter, numbers, to).await
}

async fn flip_within(timeout: Duration, adapter: &Route53, numbers: Numbers, to: &str) -> Outcome {
    adapter.flip(&to.into(), &ctx_of("uid-1", numbers, to, timeout, HELD)).await
}

fn ensure_issued(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Issued(Some(id)) if id.contains('C')), "{outcome:?}");
}

/// Waits until every server answers so.
async fn until_seen(adapter: &Route53, to: &str, numbers: Numbers) -> TrafficFacts {
    until_seen_within(PATIENCE, adapter, to, numbers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_made_moved_and_moved_back_and_seen_at_every_server() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    let nothing = TrafficFacts {
        points_to: None,
        agree: 4,
        servers: 4,
        witness: None,
        drift: None,
        unsettled: None,
        contested: None,
    };
    assert_eq!(facts(&adapter).await, nothing);
    for (epoch, to) in [(1, "east"), (2, "west"), (3, "east")] {
        ensure_issued(&flip(&adapter, Numbers(epoch, 0, 1), to).await);
        let seen = until_seen(&adapter, to, Numbers(epoch, 0, 1)).await;
        assert_eq!((seen.servers, seen.drift), (4, None));
    }
    let calls = stage.aws.calls();
    assert_eq!(stage.changes().len(), 3, "one change for each flip: {calls:?}");
    // Before the name is there, the look before the day asks whether the zone is the right one.
    let looks = stage.answered(LIST);
    assert!((4..=5).contains(&looks), "one for each flip, and none to observe: {calls:?}");
    assert!(calls.iter().all(|call| call.account == ACCOUNT && call.service == "route53"), "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_taken_counts_only_once_the_servers_answer_it() {
    let (mut stage, pending) = (Stage::start().await, Duration::from_mins(1));
    stage.zone = stage.aws.create_zone(ACCOUNT, "example.com", pending).await.expect("a zone");
    let adapter = stage.adapter();
    ensure_issued(&flip(&adapter, Numbers(1, 0, 1), "east").await);
    stage.aws.skip(pending);
    until_seen(&adapter, "east", Numbers(1, 0, 1)).await;
    ensure_issued(&flip(&adapter, Numbers(2, 0, 1), "west").await);
    // Pending: the API shows it already, the servers do not.
    assert_eq!(facts(&adapter).await.points_to, Some("east".into()));
    assert_eq!(flip(&adapter, Numbers(2, 0, 1), "west").await, Outcome::AlreadyDone);
    stage.aws.skip(pending);
    until_seen(&adapter, "west", Numbers(2, 0, 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_older_and_foreign_effects_change_nothing() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    ensure_issued(&flip(&adapter, Numbers(2, 1, 5), "west").await);
    assert_eq!(flip(&adapter, Numbers(2, 1, 5), "west").await, Outcome::AlreadyDone);
    for older in [Numbers(1, 9, 9), Numbers(2, 0, 9), Numbers(2, 1, 4)] {
        let refused = flip(&adapter, older, "east").await;
        assert!(matches!(refused, Outcome::StaleEpoch(_)), "{refused:?}");
    }
    let other = flip(&adapter, Numbers(2, 1, 5), "east").await;
    assert!(matches!(other, Outcome::Conflict(_)), "{other:?}");

    let mut config = stage.config(["127.0.1.1", "127.0.2.1"]);
    config.name.owner = "uid-2".into();
    let adopted = config.name.adopted.clone();
    let foreign = stage.adapter_with(&config);
    let refused = flip_as("uid-2", &foreign, Numbers(9, 0, 1), "east").await;
    assert!(matches!(&refused, Outcome::Conflict(why) if why.contains("uid-1 owns it")), "{refused:?}");
    assert_eq!(stage.changes().len(), 1);
    adopted.set([Owner::new("uid-1")].into());
    ensure_issued(&flip_as("uid-2", &foreign, Numbers(9, 0, 1), "east").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_is_found_out_by_looking_and_the_change_is_not_made_twice() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    ensure_issued(&flip(&adapter, Numbers(1, 0, 1), "east").await);
    stage.fault(CHANGE, FaultKind::LoseAnswer);
    let lost = flip(&adapter, Numbers(2, 0, 1), "west").await;
    assert!(matches!(lost, Outcome::Failed(ErrorClass::UnknownOutcome, _)), "{lost:?}");
    assert_eq!(stage.changes().len(), 2, "the client repeats nothing by itself");
    assert_eq!(flip(&adapter, Numbers(2, 0, 1), "west").await, Outcome::AlreadyDone);
    assert_eq!(stage.changes().len(), 2);
    until_seen(&adapter, "west", Numbers(2, 0, 1)).await;

    // Lost on its way: nobody can tell, and the repetition makes it.
    stage.fault(CHANGE, FaultKind::LoseRequest);
    let lost = flip(&adapter, Numbers(3, 0, 1), "east").await;
    assert!(matches!(lost, Outcome::Failed(ErrorClass::UnknownOutcome, _)), "{lost:?}");
    ensure_issued(&flip(&adapter, Numbers(3, 0, 1), "east").await);
    until_seen(&adapter, "east", Numbers(3, 0, 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_has_its_class_and_names_the_permission() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    ensure_issued(&flip(&adapter, Numbers(1, 0, 1), "east").await);
    until_seen(&adapter, "east", Numbers(1, 0, 1)).await;
    for (operation, status, code, class) in [
        (CHANGE, 400, "Throttling", ErrorClass::Throttled),
        (CHANGE, 400, "PriorRequestNotComplete", ErrorClass::Throttled),
        (CHANGE, 403, "AccessDenied", ErrorClass::Denied),
        (CHANGE, 500, "InternalFailure", ErrorClass::UnknownOutcome),
        (CHANGE, 503, "ServiceUnavailable", ErrorClass::UnknownOutcome),
        ("ListResourceRecordSets", 500, "InternalFailure", ErrorClass::Transient),
        ("ListResourceRecordSets", 403, "AccessDenied", ErrorClass::Denied),
        ("ListResourceRecordSets", 404, "NoSuchHostedZone", ErrorClass::Invalid),
    ] {
        let message = "said by the fake".to_owned();
        stage.fault(operation, FaultKind::Answer { status, code: code.to_owned(), message });
        let failed = flip(&adapter, Numbers(2, 0, 1), "west").await;
        let Outcome::Failed(found, why) = &failed else { panic!("{code}: {failed:?}") };
        assert_eq!(*found, class, "{code}: {why}");
        assert!(why.contains(&format!("route53:{operation}")) && why.contains(code), "{why}");
        assert!(why.contains(NAME) && !why.contains("a-secret-of-nobody"), "{why}");
    }
    let stranger = stage.adapter_as(&stage.config(["127.0.1.1", "127.0.2.1"]), "AKIDNOBODY");
    let denied = flip(&stranger, Numbers(2, 0, 1), "west").await;
    assert!(matches!(denied, Outcome::Failed(ErrorClass::Denied, _)), "{denied:?}");
    assert_eq!(facts(&adapter).await.points_to, Some("east".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_hangs_costs_no_more_than_the_deadline() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    ensure_issued(&flip(&adapter, Numbers(1, 0, 1), "east").await);
    for (operation, class) in
        [("ListResourceRecordSets", ErrorClass::Transient), (CHANGE, ErrorClass::UnknownOutcome)]
    {
        stage.fault(operation, FaultKind::Hang);
        let began = Instant::now();
        let hung = flip_within(Duration::from_secs(4), &adapter, Numbers(2, 0, 1), "west").await;
        assert!(matches!(&hung, Outcome::Failed(found, _) if *found == class), "{operation}: {hung:?}");
        // A call ends by itself after 20 s.
        assert!(began.elapsed() < Duration::from_secs(16), "{:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_lease_nothing_is_changed() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    // Before the call is made, and while it is signed.
    for lease_checks in [0, 1] {
        let ctx = ctx_of("uid-1", Numbers(1, 0, 1), "east", Duration::from_secs(5), lease_checks);
        let refused = adapter.flip(&"east".into(), &ctx).await;
        let lost = |why: &String| why.contains("the lease was lost");
        assert!(matches!(&refused, Outcome::Failed(ErrorClass::Transient, why) if lost(why)), "{refused:?}");
        assert_eq!(stage.changes(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_writer_is_seen_and_not_written_over() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    stage.aws.put_record(&stage.zone.id, NAME, "A", 60, &["127.0.9.9"]);
    let refused = flip(&adapter, Numbers(1, 0, 1), "west").await;
    assert!(matches!(&refused, Outcome::Conflict(why) if why.contains("A 127.0.9.9")), "{refused:?}");

    // Made by hand, but pointing at a region, with a lifetime of its own: taken over.
    stage.aws.put_record(&stage.zone.id, NAME, "A", 300, &["127.0.1.1"]);
    ensure_issued(&flip(&adapter, Numbers(1, 0, 1), "west").await);
    until_seen(&adapter, "west", Numbers(1, 0, 1)).await;

    stage.aws.put_record(&stage.zone.id, NAME, "A", 60, &["127.0.9.9"]);
    let seen = facts(&adapter).await;
    assert_eq!(
        seen.drift.as_deref(),
        Some("another writer: A 127.0.9.9 stands there, A 127.0.2.1 was written")
    );
    let refused = flip(&adapter, Numbers(2, 0, 1), "east").await;
    assert!(matches!(&refused, Outcome::Conflict(why) if why.contains("127.0.9.9")), "{refused:?}");

    stage.aws.remove_record(&stage.zone.id, NAME, "A");
    ensure_issued(&flip(&adapter, Numbers(3, 0, 1), "east").await);
    stage.aws.put_record(&stage.zone.id, WITNESS, "TXT", 5, &["\"hello\""]);
    let refused = flip(&adapter, Numbers(4, 0, 1), "west").await;
    assert!(matches!(refused, Outcome::Conflict(_)), "{refused:?}");
}

/// An effect that the API took too late finds another witness, and Route 53 refuses it: also after a way there and back.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_was_planned_on_an_older_look_is_refused_by_the_service() {
    let stage = Stage::start().await;
    let (slow, fast) = (stage.adapter(), stage.adapter());
    ensure_issued(&flip(&fast, Numbers(1, 0, 1), "east").await);
    // Long enough for the two flips of the fast one.
    stage.fault(CHANGE, FaultKind::Delay(Duration::from_secs(5)));
    let slow_flip = flip_within(Duration::from_secs(30), &slow, Numbers(1, 0, 2), "west");
    let (late, ()) = tokio::join!(slow_flip, async {
        let deadline = Instant::now() + PATIENCE;
        // The slow change is on its way.
        while stage.changes().len() < 2 {
            assert!(Instant::now() < deadline, "{:?}", stage.aws.calls());
            sleep(Duration::from_millis(5)).await;
        }
        ensure_issued(&flip(&fast, Numbers(1, 0, 3), "west").await);
        ensure_issued(&flip(&fast, Numbers(1, 0, 4), "east").await);
    });
    assert!(matches!(late, Outcome::StaleEpoch(_)), "{late:?}");
    until_seen(&fast, "east", Numbers(1, 0, 4)).await;
    let refused: Vec<_> = stage.changes().into_iter().filter(|call| call.status == 400).collect();
    assert_eq!(refused.len(), 1, "{:?}", stage.aws.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_back_in_time_is_refused_by_the_service_and_looked_at_again() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    ensure_issued(&flip(&adapter, Numbers(1, 0, 1), "east").await);
    until_seen(&adapter, "east", Numbers(1, 0, 1)).await;
    ensure_issued(&flip(&adapter, Numbers(2, 0, 1), "west").await);
    stage.fault("ListResourceRecordSets", FaultKind::StaleReads(Duration::from_millis(100)));
    ensure_issued(&flip(&adapter, Numbers(3, 0, 1), "east").await);
    until_seen(&adapter, "east", Numbers(3, 0, 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_ipv6_addresses_are_steered_too() {
    for targets in [["2001:db8:1::1", "2001:db8:2::1"], ["east.example.net", "West.example.com."]] {
        let stage = Stage::start().await;
        let adapter = stage.adapter_with(&stage.config(targets));
        for (epoch, to) in [(1, "east"), (2, "west"), (3, "east")] {
            ensure_issued(&flip(&adapter, Numbers(epoch, 0, 1), to).await);
            let seen = until_seen(&adapter, to, Numbers(epoch, 0, 1)).await;
            assert_eq!(seen.drift, None, "{targets:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_lowers_the_agreement() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    ensure_issued(&flip(&adapter, Numbers(1, 0, 1), "east").await);
    until_seen(&adapter, "east", Numbers(1, 0, 1)).await;
    stage.aws.stop_server(stage.zone.servers[0]);
    let seen = facts(&adapter).await;
    assert_eq!((seen.points_to, seen.agree, seen.servers), (Some("east".into()), 3, 4));
    for server in &stage.zone.servers[1..] {
        stage.aws.stop_server(*server);
    }
    let Seen::Unknown(why) = adapter.observe(Duration::from_secs(2)).await else { panic!("nobody answers") };
    assert!(why.contains(NAME), "{why}");
}

/// Waits until something is told to be wrong.
async fn until_told(adapter: &Route53) -> String {
    let seen = until_within(PATIENCE, adapter, |seen| seen.drift.is_some()).await;
    seen.drift.expect("it is told")
}

#[tokio::test(flavor = "multi_thread")]
async fn at_rest_nothing_is_asked_but_the_name_servers() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    ensure_issued(&flip(&adapter, Numbers(1, 0, 1), "east").await);
    let deadline = Instant::now() + PATIENCE;
    // The flip's own list told what a look before the day would; then, whether every server has the change.
    while stage.answered(GET_CHANGE) < 1 {
        assert!(Instant::now() < deadline, "{:?}", stage.aws.calls());
        facts(&adapter).await;
        sleep(Duration::from_millis(20)).await;
    }
    until_seen(&adapter, "east", Numbers(1, 0, 1)).await;
    stage.aws.clear_calls();
    for _ in 0..20 {
        assert_eq!(facts(&adapter).await.drift, None);
    }
    assert_eq!(stage.aws.calls(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_is_told_before_the_day_until_it_is_there() {
    let stage = Stage::start().await;
    stage.aws.put_record(&stage.zone.id, NAME, "A", 60, &["127.0.1.1"]);
    let denied = stage.aws.fault(Fault::of(LIST, FaultKind::Deny));
    let adapter = stage.adapter();
    let told = until_told(&adapter).await;
    assert!(told.contains("AccessDenied") && told.contains("route53:ListResourceRecordSets"), "{told}");
    stage.aws.remove_fault(denied);
    // By itself it looks again in a minute; a flip looks too.
    ensure_issued(&flip(&adapter, Numbers(1, 0, 1), "west").await);
    assert_eq!(facts(&adapter).await.drift, None);
    until_seen(&adapter, "west", Numbers(1, 0, 1)).await;
    assert_eq!(facts(&adapter).await.drift, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_that_is_not_there_or_another_one_is_told_before_the_day() {
    let stage = Stage::start().await;
    let mut config = stage.config(["127.0.1.1", "127.0.2.1"]);
    config.zone_id = "ZNOWHERE".to_owned();
    let told = until_told(&stage.adapter_with(&config)).await;
    assert!(told.contains("NoSuchHostedZone") && told.contains("ZNOWHERE"), "{told}");
    // Its records come after the name in Route 53's order, or all before it.
    for name in ["example.net", "another.com"] {
        let other = stage.aws.create_zone(ACCOUNT, name, INSYNC).await.expect("a zone");
        config.zone_id = other.id.clone();
        let told = until_told(&stage.adapter_with(&config)).await;
        assert_eq!(
            told,
            format!("hosted zone {} has no records of example.com.: it is another zone's id", other.id)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_no_flip_would_replace_are_told_before_the_day() {
    let stage = Stage::start().await;
    stage.aws.put_record(&stage.zone.id, NAME, "A", 60, &["127.0.9.9"]);
    let told = until_told(&stage.adapter()).await;
    assert!(told.contains("A 127.0.9.9 stands there, none of the regions' targets"), "{told}");

    let stage = Stage::start().await;
    let record = FailoverRecord {
        name: NAME,
        identifier: "by-hand",
        is_primary: true,
        address: Ipv4Addr::new(127, 0, 1, 1),
        ttl: 60,
        health_check: None,
    };
    stage.aws.put_failover_record(&stage.zone.id, &record);
    let told = until_told(&stage.adapter()).await;
    assert!(told.contains("has a routing policy (set `by-hand`)"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_kept_for_longer_than_the_policy_says_is_told_until_a_flip_writes_it() {
    let stage = Stage::start().await;
    stage.aws.put_record(&stage.zone.id, NAME, "A", 300, &["127.0.1.1"]);
    let adapter = stage.adapter();
    let told = until_told(&adapter).await;
    assert_eq!(told, "the simple A record may be kept for 300 s, and the policy's ttl is 5 s");
    ensure_issued(&flip(&adapter, Numbers(1, 0, 1), "west").await);
    let seen = until_seen(&adapter, "west", Numbers(1, 0, 1)).await;
    assert_eq!(seen.drift, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn that_external_dns_takes_the_name_for_its_own_is_told_beside_all_else() {
    const OWN: &str =
        "\"heritage=external-dns,external-dns/owner=default,external-dns/resource=ingress/shop/web\"";
    for at in [NAME.to_owned(), format!("a-{NAME}"), format!("cname-{NAME}")] {
        let stage = Stage::start().await;
        stage.aws.put_record(&stage.zone.id, NAME, "A", 5, &["127.0.1.1"]);
        stage.aws.put_record(&stage.zone.id, &at, "TXT", 5, &[OWN]);
        let adapter = stage.adapter();
        let told = until_told(&adapter).await;
        assert!(told.contains("external-dns takes the name for its own") && told.contains(&at), "{told}");
        // It keeps nothing from being moved.
        ensure_issued(&flip(&adapter, Numbers(1, 0, 1), "west").await);
        let seen = until_seen(&adapter, "west", Numbers(1, 0, 1)).await;
        assert_eq!(seen.drift.as_deref(), Some(told.as_str()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_throttles_or_is_silent_tells_nothing_of_the_records() {
    let stage = Stage::start().await;
    stage.aws.put_record(&stage.zone.id, NAME, "A", 60, &["127.0.1.1"]);
    let answer = |status, code: &str| {
        let (code, message) = (code.to_owned(), "said by the fake".to_owned());
        FaultKind::Answer { status, code, message }
    };
    for kind in [answer(400, "Throttling"), answer(500, "InternalFailure"), FaultKind::LoseRequest] {
        let fault = stage.aws.fault(Fault::of(LIST, kind));
        stage.aws.clear_calls();
        let adapter = stage.adapter();
        let deadline = Instant::now() + PATIENCE;
        while !stage.aws.calls().iter().any(|call| call.operation == LIST) {
            assert!(Instant::now() < deadline);
            facts(&adapter).await;
        }
        for _ in 0..10 {
            sleep(Duration::from_millis(20)).await;
            assert_eq!(facts(&adapter).await.drift, None);
        }
        stage.aws.remove_fault(fault);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_record_is_not_asked_for_again_and_another_refusal_is_after_a_moment() {
    let stage = Stage::start().await;
    let message = "[The resource record set is protected]".to_owned();
    let code = "InvalidChangeBatch".to_owned();
    let fault = stage.aws.fault(Fault::of(CHANGE, FaultKind::Answer { status: 400, code, message }));
    let refused = flip(&stage.adapter(), Numbers(1, 0, 1), "west").await;
    assert!(matches!(&refused, Outcome::Conflict(why) if why.contains("set is protected")), "{refused:?}");
    assert_eq!(stage.changes().len(), 1);

    stage.aws.remove_fault(fault);
    stage.aws.clear_calls();
    // No name stands beside a text.
    stage.aws.put_record(&stage.zone.id, NAME, "TXT", 60, &["\"v=spf1 -all\""]);
    let adapter = stage.adapter_with(&stage.config(["east.example.net", "west.example.net"]));
    let began = Instant::now();
    let refused = flip(&adapter, Numbers(1, 0, 1), "west").await;
    let is_other = |why: &str| why.contains("conflicts with other records");
    assert!(matches!(&refused, Outcome::Failed(ErrorClass::Transient, why) if is_other(why)), "{refused:?}");
    assert_eq!(stage.changes().len(), 5);
    assert!(began.elapsed() >= Duration::from_millis(800), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_move_at_once_share_the_account_s_budget() {
    let stage = Stage::start().await;
    let account = accounts(&stage.aws, KEY).account(&AwsAccess::default());
    let adapter = |name: &str| {
        let mut config = stage.config(["127.0.1.1", "127.0.2.1"]);
        config.name.record = format!("{name}.example.com");
        Route53::new(&config, Arc::clone(&account)).expect("the configuration holds")
    };
    let names: Vec<_> = (0..6).map(|n| adapter(&format!("shop-{n}"))).collect();
    let hurried = adapter("hurried");
    let began = Instant::now();
    let flips = futures::future::join_all(names.iter().map(|name| flip(name, Numbers(1, 0, 1), "west")));
    let (flips, late) = tokio::join!(flips, async {
        let ctx = ctx_of("uid-1", Numbers(1, 0, 1), "west", Duration::from_millis(400), HELD);
        hurried.flip(&"west".into(), &ctx).await
    });
    flips.iter().for_each(ensure_issued);
    // Twelve calls: five at once, and four a second.
    assert!(began.elapsed() >= Duration::from_millis(1700), "{:?}", began.elapsed());
    let is_budget = |why: &str| why.contains("the account's budget of 4 calls a second");
    assert!(matches!(&late, Outcome::Failed(ErrorClass::Throttled, why) if is_budget(why)), "{late:?}");
}

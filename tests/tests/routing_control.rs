//! Conformance of the way of Route 53 that routing controls decide on: the real SDK against the fake, its cluster and its DNS.

#![expect(clippy::panic, reason = "what helps a test fails as the test does")]

mod names;

use muster_aws_fake::{
    Call, FailoverRecord, FakeAws, Fault, FaultKind, RuleKind, SafetyRule, WeightedRecord,
};
use muster_aws_fake::{FaultId, Zone};
use muster_core::facts::{ErrorClass, Outcome, TrafficFacts};
use muster_core::ids::RegionName;
use muster_providers::TrafficControl;
use muster_providers::aws::{AwsAccess, AwsAccounts};
use muster_providers::dns::Target;
use muster_providers::route53::{
    ClusterEndpoint, ControlPlace, RoutingControl, RoutingControlConfig, RoutingControlConfigError,
};
use names::{
    ACCOUNT, HELD, KEY, NAME, Numbers, accounts, ctx_of, facts, fake_with_zone, name_config, servers_of,
    until_seen_within, until_within,
};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const GET: &str = "GetRoutingControlState";
const UPDATE: &str = "UpdateRoutingControlStates";
const CLUSTER: &str = "route53-recovery-cluster";
const PATIENCE: Duration = Duration::from_secs(30);
const REGIONS: [(&str, Ipv4Addr); 3] = [
    ("east", Ipv4Addr::new(127, 0, 1, 1)),
    ("west", Ipv4Addr::new(127, 0, 2, 1)),
    ("north", Ipv4Addr::new(127, 0, 3, 1)),
];

struct Stage {
    aws: FakeAws,
    zone: Zone,
    /// The regions' controls and health checks.
    places: Vec<ControlPlace>,
}

impl Stage {
    /// Controls, health checks and weighted records of so many regions, as a person sets them up: east is on.
    async fn start(count: usize) -> Self {
        let (aws, zone) = fake_with_zone().await;
        let place = |(region, address): &(&str, Ipv4Addr)| {
            let arn = aws.create_routing_control(ACCOUNT, "shop", region);
            let health_check = aws.create_control_check(ACCOUNT, &arn);
            let record = WeightedRecord {
                name: NAME,
                identifier: region,
                weight: 1,
                address: *address,
                ttl: 1,
                health_check: Some(&health_check),
            };
            aws.put_weighted_record(&zone.id, &record);
            ControlPlace { arn, health_check }
        };
        let places: Vec<_> = REGIONS.iter().take(count).map(place).collect();
        let stage = Self { aws, zone, places };
        stage.put("east", true);
        stage
    }

    fn place(&self, region: &str) -> &ControlPlace {
        let at = REGIONS.iter().position(|(known, _)| *known == region).expect("a region");
        &self.places[at]
    }

    /// Switches a region's control as somebody else does.
    fn put(&self, region: &str, is_on: bool) {
        self.aws.put_routing_control(&self.place(region).arn, is_on);
    }

    /// The regions whose controls are on.
    fn on(&self) -> Vec<&'static str> {
        let all = REGIONS.iter().zip(&self.places);
        all.filter(|(_, place)| self.aws.is_routing_control_on(&place.arn))
            .map(|((name, _), _)| *name)
            .collect()
    }

    fn config(&self) -> RoutingControlConfig {
        let regions = || REGIONS.iter().zip(&self.places);
        let target = |((region, at), _): (&RegionAt, &ControlPlace)| {
            (RegionName::from(*region), Target::parse(&at.to_string()))
        };
        let endpoints = self.aws.cluster_endpoints();
        RoutingControlConfig {
            item: "shop".into(),
            name: name_config(Duration::from_secs(1), regions().map(target).collect()),
            zone_id: self.zone.id.clone(),
            servers: servers_of(&self.zone),
            endpoints: endpoints
                .into_iter()
                .map(|(region, url)| ClusterEndpoint { aws_region: region.to_owned(), url })
                .collect(),
            controls: regions()
                .map(|((region, _), place)| (RegionName::from(*region), place.clone()))
                .collect(),
        }
    }

    fn adapter(&self) -> RoutingControl {
        self.adapter_in(&accounts(&self.aws, KEY))
    }

    /// As a process with these accounts has it for one version of its policy.
    fn adapter_in(&self, accounts: &AwsAccounts) -> RoutingControl {
        let account = accounts.account(&AwsAccess::default());
        RoutingControl::new(&self.config(), account).expect("the configuration holds")
    }

    /// What was asked of the cluster.
    fn calls(&self, operation: &str) -> Vec<Call> {
        self.aws.calls().into_iter().filter(|call| call.operation == operation).collect()
    }

    fn fault(&self, operation: &str, times: u32, kind: FaultKind) {
        self.aws.fault(Fault::of(operation, kind).up_to(times));
    }

    /// All endpoints but that of one region fail like this.
    fn leave(&self, region: &str, kind: &FaultKind) -> Vec<FaultId> {
        let others = self.aws.cluster_endpoints().into_iter().filter(|(known, _)| *known != region);
        let fault =
            |(of, _)| self.aws.fault(Fault::of_everything(kind.clone()).in_service(CLUSTER).in_region(of));
        others.map(fault).collect()
    }
}

type RegionAt = (&'static str, Ipv4Addr);

fn answer(status: u16, code: &str, message: &str) -> FaultKind {
    FaultKind::Answer { status, code: code.to_owned(), message: message.to_owned() }
}

async fn flip_within(adapter: &RoutingControl, numbers: Numbers, to: &str, timeout: Duration) -> Outcome {
    adapter.flip(&to.into(), &ctx_of("uid-1", numbers, to, timeout, HELD)).await
}

async fn flip(adapter: &RoutingControl, numbers: Numbers, to: &str) -> Outcome {
    flip_within(adapter, numbers, to, Duration::from_secs(20)).await
}

async fn settle(adapter: &RoutingControl, numbers: Numbers, to: &str) -> Outcome {
    adapter.settle(&to.into(), &ctx_of("uid-1", numbers, to, Duration::from_secs(10), HELD)).await
}

fn ensure_issued(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Issued(Some(by)) if by.starts_with("endpoint of ")), "{outcome:?}");
}

/// Why it failed, with this class.
fn why_failed(outcome: Outcome, class: ErrorClass) -> String {
    match outcome {
        Outcome::Failed(found, why) if found == class => why,
        other => panic!("{other:?} is no {class:?}"),
    }
}

/// Waits until it is observed.
async fn until(adapter: &RoutingControl, holds: impl Fn(&TrafficFacts) -> bool) -> TrafficFacts {
    until_within(PATIENCE, adapter, holds).await
}

/// Waits until every server answers so, and this process vouches for these numbers.
async fn until_seen(adapter: &RoutingControl, to: &str, numbers: Numbers) -> TrafficFacts {
    until_seen_within(PATIENCE, adapter, to, numbers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_moved_among_three_regions_by_one_call_each_while_the_control_planes_are_gone() {
    let stage = Stage::start(3).await;
    let adapter = stage.adapter();
    stage.aws.fault(Fault::of_everything(FaultKind::LoseRequest).in_service("route53"));
    let seen = until(&adapter, |seen| seen.points_to == Some("east".into())).await;
    assert_eq!((seen.witness, seen.drift, seen.unsettled, seen.contested), (None, None, None, None));
    stage.aws.clear_calls();
    for (epoch, to) in [(1, "west"), (2, "north"), (3, "east"), (4, "west")] {
        ensure_issued(&flip(&adapter, Numbers(epoch, 0, 1), to).await);
        assert_eq!(stage.on(), [to]);
        let seen = until_seen(&adapter, to, Numbers(epoch, 0, 1)).await;
        assert_eq!((seen.drift, seen.unsettled, seen.contested), (None, None, None));
        stage.aws.skip(Duration::from_secs(1));
    }
    let calls = stage.aws.calls();
    let changes: Vec<_> = calls.iter().filter(|call| call.is_mutation).map(|call| &call.operation).collect();
    assert_eq!(changes, [UPDATE; 4], "one for each flip");
    assert!(calls.iter().all(|call| [CLUSTER, "route53"].contains(&call.service.as_str())), "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_rest_nothing_is_asked_but_the_name_servers() {
    let stage = Stage::start(2).await;
    let adapter = stage.adapter();
    until(&adapter, |seen| seen.points_to == Some("east".into())).await;
    // The list, and two health checks, each in its turn.
    let deadline = Instant::now() + PATIENCE;
    while stage.calls("GetHealthCheck").len() < 2 {
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(20)).await;
    }
    sleep_until_idle(&stage).await;
    stage.aws.clear_calls();
    for _ in 0..20 {
        assert_eq!(facts(&adapter).await.drift, None);
    }
    assert_eq!(stage.aws.calls(), []);
}

/// Until the last answer is written down.
async fn sleep_until_idle(stage: &Stage) {
    while stage.aws.calls().iter().any(|call| call.status == 0) {
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_effect_changes_nothing_more_and_a_successor_finds_it_done() {
    let stage = Stage::start(2).await;
    let adapter = stage.adapter();
    ensure_issued(&flip(&adapter, Numbers(2, 1, 5), "west").await);
    assert_eq!(flip(&adapter, Numbers(2, 1, 5), "west").await, Outcome::AlreadyDone);
    let older = flip(&adapter, Numbers(2, 0, 9), "east").await;
    assert!(matches!(older, Outcome::StaleEpoch(_)), "{older:?}");
    let foreign = ctx_of("uid-2", Numbers(3, 0, 1), "east", Duration::from_secs(5), HELD);
    let foreign = adapter.flip(&"east".into(), &foreign).await;
    assert!(matches!(foreign, Outcome::Failed(ErrorClass::Invalid, _)), "{foreign:?}");
    // What was asked for is not known to another process, until it has asked for the same.
    let successor = stage.adapter();
    assert_eq!(until(&successor, |seen| seen.points_to == Some("west".into())).await.witness, None);
    assert_eq!(flip(&successor, Numbers(2, 2, 5), "west").await, Outcome::AlreadyDone);
    until_seen(&successor, "west", Numbers(2, 2, 5)).await;
    assert_eq!(stage.calls(UPDATE).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_effect_of_another_process_is_not_refused() {
    let stage = Stage::start(2).await;
    let (old, new) = (stage.adapter(), stage.adapter());
    ensure_issued(&flip(&new, Numbers(2, 0, 1), "west").await);
    until_seen(&new, "west", Numbers(2, 0, 1)).await;
    // As docs/aws.md says: ARC compares nothing.
    ensure_issued(&flip(&old, Numbers(1, 0, 1), "east").await);
    let seen = until(&new, |seen| seen.points_to == Some("east".into()) && seen.witness.is_none()).await;
    assert!(seen.drift.is_some_and(|why| why.contains("another Muster: east was switched on")));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_endpoint_of_five_is_enough() {
    let stage = Stage::start(2).await;
    for (epoch, kind, to) in [
        (1, FaultKind::LoseRequest, "west"),
        (2, answer(500, "InternalServerException", "oops"), "east"),
        (3, answer(400, "EndpointTemporarilyUnavailableException", "Try another cluster endpoint."), "west"),
        (4, answer(429, "ThrottlingException", "Rate exceeded"), "east"),
    ] {
        let left = stage.leave("eu-west-1", &kind);
        let adapter = stage.adapter();
        ensure_issued(&flip(&adapter, Numbers(epoch, 0, 1), to).await);
        until_seen(&adapter, to, Numbers(epoch, 0, 1)).await;
        for fault in left {
            stage.aws.remove_fault(fault);
        }
        stage.aws.skip(Duration::from_secs(1));
    }
    let taken = stage.calls(UPDATE).into_iter().filter(|call| call.status == 200);
    assert!(taken.clone().all(|call| call.region == "eu-west-1") && taken.count() == 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_hangs_costs_two_seconds_and_is_asked_last_from_then_on() {
    let stage = Stage::start(2).await;
    let adapter = stage.adapter();
    let hangs = || Fault::of_everything(FaultKind::Hang).in_service(CLUSTER);
    let hanging = ["us-east-1", "us-west-2"];
    for region in hanging {
        stage.aws.fault(hangs().in_region(region));
    }
    let began = Instant::now();
    ensure_issued(&flip(&adapter, Numbers(1, 0, 1), "west").await);
    assert!(began.elapsed() < Duration::from_secs(18), "{:?}", began.elapsed());
    // Whichever were met were remembered: of three others one is always first.
    stage.aws.skip(Duration::from_secs(1));
    for region in hanging {
        let near = Duration::from_secs(20);
        while !stage.aws.calls().iter().any(|call| call.region == region) {
            flip_within(&adapter, Numbers(1, 0, 1), "west", near).await;
        }
    }
    stage.aws.clear_calls();
    for _ in 0..10 {
        assert_eq!(flip(&adapter, Numbers(1, 0, 1), "west").await, Outcome::AlreadyDone);
    }
    let calls = stage.aws.calls();
    assert!(calls.iter().all(|call| !hanging.contains(&call.region.as_str())), "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_no_endpoint_nothing_is_changed_and_each_is_told() {
    let stage = Stage::start(2).await;
    let adapter = stage.adapter();
    let fault = stage.aws.fault(Fault::of_everything(FaultKind::LoseRequest).in_service(CLUSTER));
    let why = why_failed(flip(&adapter, Numbers(1, 0, 1), "west").await, ErrorClass::Transient);
    for (region, _) in stage.aws.cluster_endpoints() {
        assert!(why.contains(&format!("endpoint of {region}: route53-recovery-cluster:{GET}")), "{why}");
    }
    let seen = until(&adapter, |seen| seen.points_to == Some("east".into())).await;
    assert_eq!((seen.witness, seen.contested), (None, None), "silence says nothing by itself");
    stage.aws.remove_fault(fault);
    ensure_issued(&flip(&adapter, Numbers(1, 0, 1), "west").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_after_the_effect_is_found_at_the_next_endpoint() {
    let stage = Stage::start(2).await;
    let adapter = stage.adapter();
    stage.fault(UPDATE, 1, FaultKind::LoseAnswer);
    assert_eq!(flip(&adapter, Numbers(1, 0, 1), "west").await, Outcome::AlreadyDone);
    assert_eq!(stage.calls(UPDATE).len(), 1);
    let seen = until_seen(&adapter, "west", Numbers(1, 0, 1)).await;
    assert_eq!(seen.contested, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_nobody_saw_done_holds_a_different_one_back_and_not_the_same() {
    let stage = Stage::start(2).await;
    let adapter = stage.adapter();
    stage.fault(UPDATE, 5, FaultKind::LoseRequest);
    let why = why_failed(flip(&adapter, Numbers(1, 0, 1), "west").await, ErrorClass::UnknownOutcome);
    assert!(why.contains("no endpoint did it"), "{why}");
    let why = why_failed(flip(&adapter, Numbers(2, 0, 1), "east").await, ErrorClass::Transient);
    assert!(why.contains("a request to switch to region west had no answer"), "{why}");
    let seen = until(&adapter, |seen| seen.contested.is_some()).await;
    assert_eq!((seen.points_to, seen.witness), (Some("east".into()), None));
    let older = flip(&adapter, Numbers(1, 0, 2), "west").await;
    assert!(matches!(&older, Outcome::StaleEpoch(_)), "a newer one was asked for: {older:?}");
    ensure_issued(&flip(&adapter, Numbers(3, 0, 1), "west").await);
    until_seen(&adapter, "west", Numbers(3, 0, 1)).await;
    // One of the copies was answered; the others may land still.
    let why = why_failed(flip(&adapter, Numbers(4, 0, 1), "east").await, ErrorClass::Transient);
    assert!(why.contains("a request to switch to region west had no answer"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_of_the_policy_knows_what_this_process_sent() {
    let stage = Stage::start(2).await;
    let accounts = accounts(&stage.aws, KEY);
    let before = stage.adapter_in(&accounts);
    stage.fault(UPDATE, 5, FaultKind::LoseRequest);
    why_failed(flip(&before, Numbers(1, 0, 1), "west").await, ErrorClass::UnknownOutcome);
    let edited = stage.adapter_in(&accounts);
    drop(before);
    let why = why_failed(flip(&edited, Numbers(2, 0, 1), "east").await, ErrorClass::Transient);
    assert!(why.contains("a request to switch to region west had no answer"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_late_request_of_this_process_moved_is_moved_back_by_settling() {
    let stage = Stage::start(2).await;
    let adapter = stage.adapter();
    stage.fault(UPDATE, 1, FaultKind::LoseAnswer);
    assert_eq!(flip(&adapter, Numbers(1, 0, 1), "west").await, Outcome::AlreadyDone);
    until_seen(&adapter, "west", Numbers(1, 0, 1)).await;
    // It was seen: one that is stuck still contests what follows, and holds nothing up.
    ensure_issued(&flip(&adapter, Numbers(2, 0, 1), "east").await);
    let seen = until_seen(&adapter, "east", Numbers(2, 0, 1)).await;
    assert!(seen.contested.is_some_and(|why| why.contains("region west had no answer, and may still land")));
    let waited = settle(&adapter, Numbers(2, 0, 2), "east").await;
    assert!(matches!(&waited, Outcome::Issued(Some(why)) if why.contains("may still land")), "{waited:?}");
    // A copy of it that lands does what somebody else's call does here.
    stage.put("west", true);
    stage.put("east", false);
    until(&adapter, |seen| seen.points_to == Some("west".into())).await;
    assert_eq!(stage.on(), ["west"]);
    ensure_issued(&settle(&adapter, Numbers(2, 0, 3), "east").await);
    let seen = until_seen(&adapter, "east", Numbers(2, 0, 3)).await;
    assert_eq!((stage.on(), seen.drift), (vec!["east"], None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_at_one_endpoint_is_tried_at_the_next() {
    let stage = Stage::start(2).await;
    let adapter = stage.adapter();
    stage.fault(
        UPDATE,
        2,
        answer(409, "ConflictException", "There was a conflict with this request. Try again."),
    );
    ensure_issued(&flip(&adapter, Numbers(1, 0, 1), "west").await);
    assert_eq!(stage.calls(UPDATE).len(), 3);
    stage.fault(
        UPDATE,
        5,
        answer(409, "ConflictException", "There was a conflict with this request. Try again."),
    );
    let why = why_failed(flip(&adapter, Numbers(2, 0, 1), "east").await, ErrorClass::Conflict);
    assert!(why.contains("ConflictException"), "{why}");
    assert_eq!(stage.on(), ["west"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_takes_three_changes_a_second_and_the_others_take_more() {
    let stage = Stage::start(2).await;
    // A busy machine does not make them all in a second.
    let window = Duration::from_mins(1);
    stage.aws.set_change_window(window);
    let adapter = stage.adapter();
    for epoch in 1..=15 {
        let to = if epoch % 2 == 0 { "east" } else { "west" };
        ensure_issued(&flip(&adapter, Numbers(epoch, 0, 1), to).await);
    }
    let why = why_failed(flip(&adapter, Numbers(16, 0, 1), "east").await, ErrorClass::Throttled);
    assert!(why.contains("ThrottlingException"), "{why}");
    stage.aws.skip(window);
    ensure_issued(&flip(&adapter, Numbers(17, 0, 1), "east").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_is_told_by_its_name_and_asked_for_once() {
    for operation in [GET, UPDATE] {
        let stage = Stage::start(2).await;
        let adapter = stage.adapter();
        stage.aws.fault(Fault::of(operation, FaultKind::Deny));
        let why = why_failed(flip(&adapter, Numbers(1, 0, 1), "west").await, ErrorClass::Denied);
        assert!(
            why.contains(&format!("route53-recovery-cluster:{operation}: AccessDeniedException")),
            "{why}"
        );
        let regions: std::collections::BTreeSet<_> =
            stage.calls(operation).into_iter().map(|call| call.region).collect();
        assert_eq!((regions.len(), stage.on()), (1, vec!["east"]));
    }
}

/// And one that is known to have done nothing leaves the next one's word as it is.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_endpoint_refuses_says_nothing_of_what_another_may_still_take() {
    let away = answer(400, "EndpointTemporarilyUnavailableException", "Try another cluster endpoint.");
    let by_rule = || answer(409, "ConflictException", "the safety rule of this test");
    for (first, second, is_open) in [
        (FaultKind::LoseRequest, FaultKind::Deny, true),
        (FaultKind::LoseRequest, by_rule(), true),
        (away, by_rule(), false),
    ] {
        let stage = Stage::start(2).await;
        stage.fault(UPDATE, 1, first);
        stage.aws.fault(Fault::of(UPDATE, second));
        let outcome = flip(&stage.adapter(), Numbers(1, 0, 1), "west").await;
        if is_open {
            why_failed(outcome, ErrorClass::UnknownOutcome);
        } else {
            assert!(matches!(outcome, Outcome::Conflict(_)), "{outcome:?}");
        }
        assert_eq!(stage.calls(UPDATE).len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_is_told_before_the_day() {
    let stage = Stage::start(2).await;
    let adapter = stage.adapter();
    let denied = stage.aws.fault(Fault::of(GET, FaultKind::Deny));
    let drift = until(&adapter, |seen| seen.drift.is_some()).await.drift.unwrap_or_default();
    let expect = format!("the routing controls cannot be read: route53-recovery-cluster:{GET}: AccessDenied");
    assert!(drift.starts_with(&expect), "{drift}");
    stage.aws.remove_fault(denied);
    until(&adapter, |seen| seen.drift.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_safety_rule_refuses_with_its_words_and_is_never_overridden() {
    let stage = Stage::start(3).await;
    let adapter = stage.adapter();
    let (panel, _) = stage.places[0].arn.split_once("/routingcontrol/").expect("a panel");
    let gate = stage.aws.create_routing_control(ACCOUNT, "shop", "promoted");
    let rule = |name: &str, counted: Vec<String>, targets, wait_period| SafetyRule {
        panel: panel.to_owned(),
        name: name.to_owned(),
        counted,
        targets,
        kind: RuleKind::AtLeast(1),
        is_inverted: false,
        wait_period,
    };
    let all: Vec<String> = stage.places.iter().map(|place| place.arn.clone()).collect();
    let gating = rule("after-promotion", vec![gate.clone()], all.clone(), Duration::ZERO);
    stage.aws.add_safety_rule(gating);
    let refused = flip(&adapter, Numbers(1, 0, 1), "west").await;
    assert!(matches!(&refused, Outcome::Conflict(why) if why.contains("'after-promotion'")), "{refused:?}");
    assert_eq!((stage.calls(UPDATE).len(), stage.on()), (1, vec!["east"]), "no other endpoint is asked");
    stage.aws.put_routing_control(&gate, true);
    // One that holds for as long as one region is on: a flip is one transaction, and so never without.
    let wait_period = Duration::from_mins(1);
    stage.aws.add_safety_rule(rule("one-on", all, Vec::new(), wait_period));
    ensure_issued(&flip(&adapter, Numbers(1, 0, 1), "west").await);
    let refused = flip(&adapter, Numbers(2, 0, 1), "north").await;
    assert!(matches!(&refused, Outcome::Conflict(why) if why.contains("wait period")), "{refused:?}");
    stage.aws.skip(wait_period);
    ensure_issued(&flip(&adapter, Numbers(2, 0, 1), "north").await);
    until_seen(&adapter, "north", Numbers(2, 0, 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_else_switches_is_told_and_a_name_that_went_elsewhere_is_left_there() {
    let stage = Stage::start(2).await;
    let adapter = stage.adapter();
    ensure_issued(&flip(&adapter, Numbers(1, 0, 1), "west").await);
    until_seen(&adapter, "west", Numbers(1, 0, 1)).await;
    stage.put("east", true);
    stage.put("west", false);
    let seen = until(&adapter, |seen| seen.drift.is_some()).await;
    assert_eq!((seen.points_to, seen.witness), (Some("east".into()), None));
    let settled = settle(&adapter, Numbers(1, 0, 2), "west").await;
    assert!(
        matches!(&settled, Outcome::Conflict(why) if why.contains("settling moves nothing")),
        "{settled:?}"
    );
    assert_eq!(stage.on(), ["east"]);
    ensure_issued(&flip(&adapter, Numbers(2, 0, 1), "west").await);
    until_seen(&adapter, "west", Numbers(2, 0, 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_controls_that_are_on_and_none_contest_the_name_until_it_is_settled() {
    for (on, told) in [(true, "regions east and west are on"), (false, "no routing control is on")] {
        let stage = Stage::start(2).await;
        stage.put("west", on);
        stage.put("east", on);
        let adapter = stage.adapter();
        let seen = until(&adapter, |seen| seen.contested.is_some()).await;
        assert_eq!(seen.points_to, Some("east".into()), "the fake draws the first");
        assert!(seen.contested.is_some_and(|why| why.contains(told)));
        ensure_issued(&settle(&adapter, Numbers(1, 0, 1), "east").await);
        assert_eq!(stage.on(), ["east"]);
        let seen = until(&adapter, |seen| seen.contested.is_none()).await;
        assert_eq!((seen.unsettled, seen.drift), (None, None));
        assert_eq!(settle(&adapter, Numbers(1, 0, 2), "east").await, Outcome::AlreadyDone);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_and_health_checks_that_do_not_follow_the_controls_are_drift() {
    let stage = Stage::start(2).await;
    let record = |health_check| WeightedRecord {
        name: NAME,
        identifier: "west",
        weight: 1,
        address: REGIONS[1].1,
        ttl: 1,
        health_check,
    };
    let east = &stage.place("east").health_check;
    for (health_check, told) in [(None, "has no health check"), (Some(east.as_str()), "it needs")] {
        stage.aws.put_weighted_record(&stage.zone.id, &record(health_check));
        let adapter = stage.adapter();
        let drift = until(&adapter, |seen| seen.drift.is_some()).await.drift.unwrap_or_default();
        assert!(drift.contains(told), "{drift}");
    }
    let west = stage.place("west").health_check.clone();
    stage.aws.put_weighted_record(&stage.zone.id, &record(Some(&west)));
    stage.aws.delete_check(ACCOUNT, &west);
    let adapter = stage.adapter();
    let drift = until(&adapter, |seen| seen.drift.is_some()).await.drift.unwrap_or_default();
    assert!(drift.contains("of region west, does not exist"), "{drift}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_pair_is_moved_as_well() {
    let stage = Stage::start(2).await;
    stage.aws.remove_record(&stage.zone.id, NAME, "A");
    for (at, (region, address)) in REGIONS.iter().take(2).enumerate() {
        let record = FailoverRecord {
            name: NAME,
            identifier: region,
            is_primary: at == 0,
            address: *address,
            ttl: 1,
            health_check: Some(&stage.places[at].health_check),
        };
        stage.aws.put_failover_record(&stage.zone.id, &record);
    }
    let adapter = stage.adapter();
    for (epoch, to) in [(1, "west"), (2, "east")] {
        ensure_issued(&flip(&adapter, Numbers(epoch, 0, 1), to).await);
        until_seen(&adapter, to, Numbers(epoch, 0, 1)).await;
        stage.aws.skip(Duration::from_secs(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_lease_nothing_leaves() {
    let stage = Stage::start(2).await;
    let adapter = stage.adapter();
    for checks in [0, 1] {
        let ctx = ctx_of("uid-1", Numbers(1, 0, 1), "west", Duration::from_secs(5), checks);
        let why = why_failed(adapter.flip(&"west".into(), &ctx).await, ErrorClass::Transient);
        assert!(why.contains("the lease was lost"), "{why}");
    }
    assert_eq!((stage.calls(UPDATE).len(), stage.on()), (0, vec!["east"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn configurations_that_cannot_hold_are_refused() {
    let stage = Stage::start(2).await;
    let accounts = AwsAccounts::default();
    let account = accounts.account(&AwsAccess::default());
    let check = |change: fn(&mut RoutingControlConfig), expect: &str| {
        let mut config = stage.config();
        change(&mut config);
        let why: RoutingControlConfigError =
            RoutingControl::new(&config, Arc::clone(&account)).expect_err(expect);
        assert!(why.to_string().contains(expect), "{why}");
    };
    check(|config| config.servers.clear(), "nameServers");
    check(|config| config.endpoints.truncate(1), "two to five");
    check(|config| config.endpoints[1] = config.endpoints[0].clone(), "each once");
    check(|config| drop(config.controls.remove(&RegionName::from("east"))), "each needs its routing control");
    check(
        |config| {
            let east = config.controls[&RegionName::from("east")].clone();
            config.controls.insert("west".into(), east);
        },
        "two share",
    );
    check(
        |config| {
            let place = config.controls.get_mut(&RegionName::from("east")).expect("a control");
            place.arn = "arn:aws:route53-recovery-control::1:controlpanel/0/routingcontrol/1".to_owned();
        },
        "not all of one control panel",
    );
}

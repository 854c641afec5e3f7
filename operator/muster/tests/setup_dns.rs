//! `muster aws plan-dns --apply` against a fake of AWS, by AWS' own SDK: what it makes, what it leaves alone, and what is left
//! when it is stopped.

use muster::demo::cloud::environment_at;
use muster_aws_fake::{FailoverRecord, FakeAws, Fault, FaultKind, ObjectCheck, Zone};
use muster_core::ids::RegionName;
use muster_core::secret::Secret;
use muster_providers::AdoptedOwners;
use muster_providers::aws::{Account, AwsAccess, AwsAccounts, AwsPlace};
use muster_providers::dns::{NameConfig, Target};
use muster_providers::route53::MarkerPlace;
use muster_providers::route53::setup::{NameIds, NameSetup, Pace, Setup, SetupCall, SetupError, Step};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

const KEY: &str = "AKIDONE";
const ACCOUNT: &str = "111111111111";
const NAME: &str = "shop.example.com";
const EAST: &str = "192.0.2.10";
const WEST: &str = "198.51.100.10";
const MARKER_SECRET: &str = "0123456789abcdefXYZ";
const PLACES: [(&str, &str); 2] = [("east", "us-east-1"), ("west", "us-west-2")];
/// Calls that change something, as one name is set up in an account without anything.
const CHANGES: [&str; 10] = [
    "CreateBucket",
    "PutPublicAccessBlock",
    "PutBucketPolicy",
    "CreateBucket",
    "PutPublicAccessBlock",
    "PutBucketPolicy",
    "CreateHealthCheck",
    "CreateHealthCheck",
    "CreateHealthCheck",
    "ChangeResourceRecordSets",
];

struct Stage {
    aws: FakeAws,
    zone: Zone,
}

impl Stage {
    async fn start() -> Self {
        let aws = FakeAws::start().await.expect("the fake starts");
        aws.add_account(KEY, ACCOUNT);
        aws.set_checkers(3);
        aws.set_checker_pace(Duration::from_millis(10));
        let zone = aws.create_zone(ACCOUNT, "example.com", Duration::ZERO).await.expect("a zone");
        Self { aws, zone }
    }

    fn account(&self) -> Arc<Account> {
        let place = AwsPlace {
            endpoint: self.aws.endpoint(),
            access_key: KEY.to_owned(),
            secret_key: Secret::new("a-secret-of-nobody"),
        };
        AwsAccounts::at(place).account(&AwsAccess::default())
    }

    fn name(&self, record: &str) -> NameSetup {
        let place = |(region, aws_region): (&str, &str)| {
            let place = MarkerPlace {
                bucket: format!("muster-{region}"),
                key: format!("muster/{record}"),
                aws_region: aws_region.to_owned(),
                health_check: format!("of-{region}"),
            };
            (RegionName::from(region), place)
        };
        NameSetup {
            label: "shop/checkout shop".to_owned(),
            zone_id: self.zone.id.clone(),
            name: NameConfig {
                owner: "setup".into(),
                zone: "example.com".to_owned(),
                record: record.to_owned(),
                ttl: Duration::from_secs(5),
                targets: [("east", EAST), ("west", WEST)]
                    .map(|(region, at)| (RegionName::from(region), Target::parse(at)))
                    .into(),
                adopted: AdoptedOwners::default(),
            },
            markers: PLACES.map(place).into(),
            partition: "aws".to_owned(),
            secret: Secret::new(MARKER_SECRET),
            active: "east".into(),
            pin_check: None,
        }
    }

    fn setup(&self) -> Setup {
        Setup {
            account: self.account(),
            names: vec![self.name(NAME)],
            replaces: false,
            pace: Pace { poll: Duration::from_millis(15), patience: Duration::from_secs(20) },
        }
    }

    /// What changed something, or was to, since it was last asked.
    fn changes(&self) -> Vec<String> {
        let calls = self.aws.calls().into_iter().filter(|call| call.is_mutation);
        let changes = calls.map(|call| call.operation).collect();
        self.aws.clear_calls();
        changes
    }

    fn object_check(&self, region: &str, aws_region: &str, text: &str) -> String {
        let object = ObjectCheck {
            bucket: &format!("muster-{region}"),
            region: aws_region,
            key: &format!("muster/{NAME}"),
            text,
        };
        self.aws.create_object_check(ACCOUNT, &object)
    }

    fn put_pair(&self, primary: &str, check: &str) {
        for (address, is_primary) in [(primary, true), (WEST, false)] {
            let record = FailoverRecord {
                name: NAME,
                identifier: if is_primary { "one" } else { "two" },
                is_primary,
                address: address.parse().expect("an address"),
                ttl: 5,
                health_check: is_primary.then_some(check),
            };
            self.aws.put_failover_record(&self.zone.id, &record);
        }
    }
}

async fn run(setup: &Setup) -> Result<(Vec<Step>, Vec<NameIds>), SetupError> {
    let blueprint = setup.look().await?;
    let steps = blueprint.steps.clone();
    Ok((steps, setup.carry_out(blueprint, &|_| {}).await?))
}

async fn refusal(setup: &Setup) -> (String, String) {
    let error = run(setup).await.expect_err("it is refused");
    assert!(error.is_refusal(), "{error}");
    (error.to_string(), error.fix())
}

/// The fake numbers its health checks, so that one too many is seen.
fn numbers(ids: &NameIds) -> Vec<String> {
    let all = ids.checks.values().chain([&ids.pin]).map(|id| id.clone().expect("an id"));
    all.map(|id| id.rsplit('-').next().unwrap_or_default().trim_start_matches('0').to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_account_is_set_up_and_a_second_time_nothing_is_changed() {
    let stage = Stage::start().await;
    let (steps, ids) = run(&stage.setup()).await.expect("all is made");
    assert_eq!(stage.changes(), CHANGES);
    assert_eq!(steps.len(), CHANGES.len());
    assert_eq!(numbers(&ids[0]), ["1", "2", "3"]);
    assert_eq!(stage.aws.primary_value(&stage.zone.id, NAME).as_deref(), Some(EAST));
    for id in ids[0].checks.values().chain([&ids[0].pin]).flatten() {
        assert!(stage.aws.health(id), "the name stays with its primary record");
    }
    let (steps, again) = run(&stage.setup()).await.expect("all is there");
    assert_eq!((steps, &again), (Vec::new(), &ids));
    assert_eq!(stage.changes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_share_buckets_and_the_check_that_pins() {
    let stage = Stage::start().await;
    run(&stage.setup()).await.expect("the first name");
    stage.changes();
    let both = Setup { names: vec![stage.name(NAME), stage.name("cart.example.com")], ..stage.setup() };
    let (_, ids) = run(&both).await.expect("the second name");
    let changes = stage.changes();
    assert_eq!(changes.iter().filter(|change| *change == "CreateBucket").count(), 0, "{changes:?}");
    assert_eq!(changes.iter().filter(|change| *change == "CreateHealthCheck").count(), 2, "{changes:?}");
    assert_eq!(ids[0].pin, ids[1].pin);
    let (steps, _) = run(&both).await.expect("all is there");
    assert_eq!(steps, []);
    // Both objects are readable: neither policy took the other's place.
    let (steps, _) = run(&stage.setup()).await.expect("all is there");
    assert_eq!(steps, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_one_policy_is_pinned_by_will_do_for_all() {
    let stage = Stage::start().await;
    let pin = stage.aws.create_disabled_check(ACCOUNT, "own");
    let mut second = stage.name("cart.example.com");
    second.pin_check = Some(pin.clone());
    let both = Setup { names: vec![stage.name(NAME), second], ..stage.setup() };
    let (steps, ids) = run(&both).await.expect("all is made");
    assert!(!steps.contains(&Step::CreatePin), "{steps:?}");
    assert_eq!([&ids[0].pin, &ids[1].pin], [&Some(pin.clone()), &Some(pin)]);
}

/// Every answer to a change gets lost once, each in a run of its own.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_stopped_after_any_change_begins_again_and_comes_to_the_same_end() {
    let stage = Stage::start().await;
    let mut stopped = 0;
    let ids = loop {
        stage.aws.clear_faults();
        for operation in CHANGES {
            stage.aws.fault(Fault::of(operation, FaultKind::LoseAnswer));
        }
        match run(&stage.setup()).await {
            Ok((_, ids)) => break ids,
            Err(error) => assert!(!error.is_refusal(), "{error}"),
        }
        stopped += 1;
        assert!(stopped <= CHANGES.len(), "it does not come to an end");
    };
    assert_eq!(stopped, CHANGES.len());
    assert_eq!(numbers(&ids[0]), ["1", "2", "3"], "no health check is there twice");
    assert_eq!(stage.changes(), CHANGES, "each was asked for once");
    assert_eq!(stage.aws.primary_value(&stage.zone.id, NAME).as_deref(), Some(EAST));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_stopped_before_a_change_begins_again_and_comes_to_the_same_end() {
    let stage = Stage::start().await;
    for operation in CHANGES {
        let lost = stage.aws.fault(Fault::of(operation, FaultKind::LoseRequest));
        let _ = run(&stage.setup()).await;
        stage.aws.remove_fault(lost);
    }
    let (_, ids) = run(&stage.setup()).await.expect("the rest is made");
    assert_eq!(numbers(&ids[0]), ["1", "2", "3"]);
    stage.changes();
    assert_eq!(run(&stage.setup()).await.expect("all is there").0, []);
    assert_eq!(stage.changes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_told_which_right_is_missing() {
    for call in SetupCall::ALL {
        let stage = Stage::start().await;
        stage.aws.create_bucket(ACCOUNT, "muster-east", "us-east-1");
        let denied = stage.aws.fault(Fault::of(&format!("{call:?}"), FaultKind::Deny));
        let (what, fix) = refusal(&stage.setup()).await;
        assert!(what.contains(call.right()) && fix.contains(call.right()), "{call:?}: {what}; {fix}");
        stage.aws.remove_fault(denied);
        run(&stage.setup()).await.expect("it goes on where it stopped");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simple_record_is_replaced_only_by_whoever_gives_it_up() {
    let stage = Stage::start().await;
    stage.aws.put_record(&stage.zone.id, NAME, "A", 60, &["203.0.113.9"]);
    let (what, fix) = refusal(&stage.setup()).await;
    assert!(what.contains("203.0.113.9") && fix.contains("--replace"), "{what}; {fix}");
    assert_eq!(stage.changes(), Vec::<String>::new(), "nothing is made before all is clear");
    let replacing = Setup { replaces: true, ..stage.setup() };
    let told = replacing.look().await.expect("it is given up").steps;
    assert!(told.iter().any(|step| step.to_string().starts_with("replace A 203.0.113.9 by")), "{told:?}");
    run(&replacing).await.expect("it is replaced");
    assert_eq!(stage.changes(), CHANGES, "in one batch");
    assert_eq!(stage.aws.primary_value(&stage.zone.id, NAME).as_deref(), Some(EAST));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_another_made_are_left_alone() {
    let stage = Stage::start().await;
    let theirs = stage.aws.create_disabled_check(ACCOUNT, "theirs");
    stage.put_pair("203.0.113.9", &theirs);
    let (what, fix) = refusal(&Setup { replaces: true, ..stage.setup() }).await;
    assert!(what.contains("203.0.113.9") && fix.contains("left alone"), "{what}; {fix}");
    stage.put_pair(EAST, &theirs);
    let (what, _) = refusal(&stage.setup()).await;
    assert!(what.contains(&theirs), "{what}");
    assert_eq!(stage.changes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_by_hand_is_found_and_stays() {
    let stage = Stage::start().await;
    let text = format!("muster-on-{MARKER_SECRET}");
    let [east, west] = PLACES.map(|(region, aws_region)| stage.object_check(region, aws_region, &text));
    stage.put_pair(EAST, &west);
    let (steps, ids) = run(&stage.setup()).await.expect("the rest is made");
    assert!(!steps.iter().any(|s| matches!(s, Step::CreateCheck { .. } | Step::CreateRecords { .. })));
    assert_eq!(ids[0].checks.values().flatten().collect::<Vec<_>>(), [&east, &west]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_was_deleted_is_made_anew_and_one_that_is_wrong_is_told() {
    let stage = Stage::start().await;
    let (_, ids) = run(&stage.setup()).await.expect("all is made");
    let east = ids[0].checks.get(&"east".into()).cloned().flatten().expect("an id");
    stage.aws.delete_check(ACCOUNT, &east);
    let (steps, ids) = run(&stage.setup()).await.expect("it is made anew");
    assert!(matches!(steps[..], [Step::CreateCheck { .. }]), "{steps:?}");
    assert_ne!(ids[0].checks.get(&"east".into()).cloned().flatten().as_ref(), Some(&east));
    stage.changes();
    let mut other = stage.name(NAME);
    other.secret = Secret::new("another0123456789");
    let (what, fix) = refusal(&Setup { names: vec![other], ..stage.setup() }).await;
    assert!(what.contains("another text") && fix.contains("update-health-check"), "{what}; {fix}");
    assert!(!what.contains(MARKER_SECRET) && !what.contains("another0123456789"), "{what}");
    let mut named = stage.name(NAME);
    named.pin_check = ids[0].checks.get(&"west".into()).cloned().flatten();
    let (what, _) = refusal(&Setup { names: vec![named], ..stage.setup() }).await;
    assert!(what.contains("which pins names, is inverted"), "{what}");
    assert_eq!(stage.changes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn records_wait_until_every_checker_has_looked() {
    let stage = Stage::start().await;
    stage.aws.fault(Fault::of("GetHealthCheckStatus", FaultKind::LoseAnswer));
    let hasty = Pace { poll: Duration::from_millis(10), patience: Duration::from_millis(60) };
    let error = run(&Setup { pace: hasty, ..stage.setup() }).await.expect_err("nobody reports");
    assert!(matches!(error, SetupError::NotQuiet { .. }), "{error}");
    assert_eq!(stage.changes(), CHANGES[..9], "all but the records");
    stage.aws.clear_faults();
    run(&stage.setup()).await.expect("the checkers report");
    assert_eq!(stage.changes(), CHANGES[9..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_wait_longer_for_a_check_that_goes_by_more_failures() {
    let stage = Stage::start().await;
    // Ten looks take far longer than two and all that is asked meanwhile.
    stage.aws.set_checker_pace(Duration::from_millis(50));
    let object = ObjectCheck {
        bucket: "muster-west",
        region: "us-west-2",
        key: &format!("muster/{NAME}"),
        text: &format!("muster-on-{MARKER_SECRET}"),
    };
    let slow = stage.aws.create_slow_object_check(ACCOUNT, &object);
    run(&stage.setup()).await.expect("all is made");
    assert!(stage.aws.health(&slow), "the name stays with its primary record");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_of_the_whole_account_is_told_with_the_way_out() {
    let stage = Stage::start().await;
    stage.aws.block_public_policies(ACCOUNT);
    let (what, fix) = refusal(&stage.setup()).await;
    let command = "aws s3control get-public-access-block --account-id";
    assert!(what.contains("s3:PutBucketPolicy") && fix.contains(command), "{what}; {fix}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_full_is_told_where_to_ask_for_more() {
    let stage = Stage::start().await;
    let full = FaultKind::Answer {
        status: 400,
        code: "TooManyHealthChecks".to_owned(),
        message: "This AWS account has reached its limit of health checks".to_owned(),
    };
    stage.aws.fault(Fault::of("CreateHealthCheck", full));
    let (what, fix) = refusal(&stage.setup()).await;
    assert!(what.contains("TooManyHealthChecks") && fix.contains("Service Quotas"), "{what}; {fix}");
    stage.aws.clear_faults();
    run(&stage.setup()).await.expect("it goes on where it stopped");
}

/// Opened a moment ago, the block may not be known everywhere yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_the_block_still_refuses_is_tried_again() {
    let stage = Stage::start().await;
    let late = FaultKind::Answer {
        status: 403,
        code: "AccessDenied".to_owned(),
        message: "prevented by the BlockPublicPolicy setting".to_owned(),
    };
    stage.aws.fault(Fault::of("PutBucketPolicy", late).up_to(3));
    run(&stage.setup()).await.expect("all is made");
    let tried = stage.changes().into_iter().filter(|change| change == "PutBucketPolicy").count();
    assert_eq!(tried, 3 + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_account_s_bucket_is_left_alone() {
    let stage = Stage::start().await;
    stage.aws.create_bucket("222222222222", "muster-west", "us-west-2");
    let (what, _) = refusal(&stage.setup()).await;
    assert!(what.contains("muster-west") && what.contains("another account"), "{what}");
    stage.aws.create_bucket(ACCOUNT, "muster-east", "eu-west-1");
    let (what, _) = refusal(&stage.setup()).await;
    assert!(what.contains("muster-east is not in us-east-1"), "{what}");
    assert_eq!(stage.changes(), Vec::<String>::new());
}

/// The program itself, with a policy of one name in the fake's zone.
async fn program(stage: &Stage, secret: Option<&str>, args: &[&str]) -> Output {
    let good = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/policies/good/health-object.yaml");
    let policy = std::fs::read_to_string(good).expect("a good policy");
    let policy = policy
        .replace("Z0123456789ABC", &stage.zone.id)
        .replace("zone: example.org", "zone: example.com")
        .replace("record: shop.example.org", "record: name.example.com");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("policy.yaml");
    std::fs::write(&file, policy).expect("written");
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_muster"));
    command.args(["aws", "plan-dns", "--apply", "-f"]).arg(&file).args(args).stdin(Stdio::null());
    for (name, value) in environment_at(&stage.aws, KEY, "us-east-1") {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env_remove("MUSTER_SECRET_AWS_MARKER");
    if let Some(secret) = secret {
        command.env("MUSTER_SECRET_AWS_MARKER", secret);
    }
    let output = command.output().await.expect("it runs");
    let told = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(secret.is_none_or(|secret| !told.contains(secret)), "the secret is shown: {told}");
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_terminal_it_needs_yes_and_a_good_secret() {
    let stage = Stage::start().await;
    let refused = program(&stage, Some(MARKER_SECRET), &[]).await;
    let told = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{told}");
    assert!(
        told.contains("create the bucket muster-shop-east in us-east-1") && told.contains("--yes"),
        "{told}"
    );
    let secretless = program(&stage, None, &["--yes"]).await;
    assert_eq!(secretless.status.code(), Some(2));
    assert!(text(&secretless.stderr).contains("MUSTER_SECRET_AWS_MARKER"), "{}", text(&secretless.stderr));
    let short = program(&stage, Some("short"), &["--yes"]).await;
    assert!(text(&short.stderr).contains("16 to 128 letters and digits"), "{}", text(&short.stderr));
    let script = program(&stage, Some(MARKER_SECRET), &["--yes", "-o", "cli"]).await;
    assert_eq!(script.status.code(), Some(2));
    assert_eq!(stage.changes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_makes_it_tells_the_ids_and_then_has_nothing_to_do() {
    let stage = Stage::start().await;
    let made = program(&stage, Some(MARKER_SECRET), &["--yes", "-o", "json"]).await;
    assert!(made.status.success(), "{}", text(&made.stderr));
    let answer: Value = serde_json::from_slice(&made.stdout).expect("JSON");
    assert_eq!(answer["made"].as_array().map(Vec::len), Some(CHANGES.len()), "{answer:#}");
    let name = &answer["names"][0];
    let ids = [&name["healthCheckIds"]["east"], &name["healthCheckIds"]["west"], &name["pinHealthCheckId"]];
    assert!(ids.iter().all(|id| id.as_str().is_some_and(|id| id.len() == 36)), "{answer:#}");
    assert_eq!(name["policyDiffers"].as_array().map(Vec::len), Some(3), "{answer:#}");
    stage.changes();
    let again = program(&stage, Some(MARKER_SECRET), &[]).await;
    assert!(again.status.success(), "{}", text(&again.stderr));
    assert!(text(&again.stderr).contains("nothing is changed"), "{}", text(&again.stderr));
    assert!(
        text(&again.stdout).contains("Write into the policy: healthCheckId of east"),
        "{}",
        text(&again.stdout)
    );
    assert_eq!(stage.changes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_is_slow_is_taken_and_told_with_its_numbers() {
    let stage = Stage::start().await;
    let object = ObjectCheck {
        bucket: "muster-shop-west",
        region: "us-west-2",
        key: "markers/shop",
        text: &format!("muster-on-{MARKER_SECRET}"),
    };
    let slow = stage.aws.create_slow_object_check(ACCOUNT, &object);
    for (address, is_primary) in [("127.0.1.1", true), ("127.0.2.1", false)] {
        let record = FailoverRecord {
            name: "name.example.com",
            identifier: address,
            is_primary,
            address: address.parse().expect("an address"),
            ttl: 5,
            health_check: is_primary.then_some(slow.as_str()),
        };
        stage.aws.put_failover_record(&stage.zone.id, &record);
    }
    let looked = program(&stage, Some(MARKER_SECRET), &[]).await;
    let warned = format!("warning: the health check {slow}, of region west, looks every 30 s");
    assert!(text(&looked.stderr).contains(&warned), "before it asks: {}", text(&looked.stderr));
    let made = program(&stage, Some(MARKER_SECRET), &["--yes", "-o", "json"]).await;
    assert!(made.status.success(), "{}", text(&made.stderr));
    let answer: Value = serde_json::from_slice(&made.stdout).expect("JSON");
    assert_eq!(answer["names"][0]["healthCheckIds"]["west"], slow.as_str());
    let warning = answer["warnings"][0].as_str().expect("a warning");
    for part in ["failure threshold of 10", "waits 300 s", "20 s for one that is made here"] {
        assert!(warning.contains(part), "{part}: {warning}");
    }
    let again = program(&stage, Some(MARKER_SECRET), &[]).await;
    let told = text(&again.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains(&warned), "{told}");
}

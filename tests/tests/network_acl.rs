//! Conformance of the fence at network ACLs, against the fake's EC2 at the wire.

use muster_aws_fake::{AclEntry, FakeAws, Fault, FaultKind, InstanceShape};
use muster_core::effect::{Action, Effect};
use muster_core::facts::{ErrorClass, FenceFacts, Outcome, PowerState, Seen};
use muster_core::ids::{Epoch, ItemName, Owner, RegionName, Seq, Term};
use muster_core::secret::Secret;
use muster_core::time::Millis;
use muster_providers::aws::{AwsAccess, AwsAccounts, AwsPlace};
use muster_providers::network_acl::{NetworkAclConfig, NetworkAclFence, NetworkAclPlace};
use muster_providers::{FenceControl, OpCtx, SendGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const KEY: &str = "AKIDEXAMPLE";
const ACCOUNT: &str = "111122223333";
const CREATE: &str = "CreateNetworkAclEntry";
const DELETE: &str = "DeleteNetworkAclEntry";
const DESCRIBE: &str = "DescribeNetworkAcls";
/// RDS is asked again after half a minute if it has not answered.
const PATIENCE: Duration = Duration::from_mins(1);
/// Two in east, one in west.
const EAST: [&str; 2] = ["acl-0a1", "acl-0a2"];
const WEST: &str = "acl-0b1";

/// A lease that is lost after so many checks.
struct Lease(AtomicU32);

impl SendGuard for Lease {
    fn may_send(&self) -> bool {
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }
    fn sent(&self) {}
}

fn ctx_within(timeout: Duration, checks: u32) -> OpCtx {
    let effect = Effect {
        owner: Owner::new("uid-1"),
        epoch: Epoch(1),
        term: Term(1),
        seq: Seq(1),
        attempt: 1,
        action: Action::Fence { way: ItemName::new("cut-off"), region: RegionName::new("east") },
        timeout: Millis::from(timeout),
    };
    OpCtx::new(effect, "run-1".to_owned(), Arc::new(Lease(AtomicU32::new(checks))))
}

fn ctx() -> OpCtx {
    ctx_within(Duration::from_secs(10), u32::MAX)
}

fn east() -> RegionName {
    RegionName::new("east")
}

struct Stage {
    aws: FakeAws,
    /// ARN of an instance in east.
    database: String,
}

impl Stage {
    async fn start() -> Self {
        let aws = FakeAws::start().await.expect("the fake starts");
        aws.add_account(KEY, ACCOUNT);
        aws.create_network_acl(ACCOUNT, "us-east-1", EAST[0], &["subnet-1", "subnet-2"]);
        aws.create_network_acl(ACCOUNT, "us-east-1", EAST[1], &["subnet-3"]);
        aws.create_network_acl(ACCOUNT, "us-west-2", WEST, &["subnet-9"]);
        let database = aws.create_instance(ACCOUNT, "us-east-1", "reports");
        let stage = Self { aws, database };
        stage.stand_in(&["subnet-1", "subnet-3"]);
        stage
    }

    /// Of another process.
    fn accounts(&self) -> AwsAccounts {
        AwsAccounts::at(AwsPlace {
            endpoint: self.aws.endpoint(),
            access_key: KEY.to_owned(),
            secret_key: Secret::new("a-secret-of-nobody"),
        })
    }

    /// As another process has it.
    fn fence_at(&self, rule_number: u16) -> NetworkAclFence {
        self.fence_of(&self.accounts(), rule_number)
    }

    /// As a version of the policy has it.
    fn fence_of(&self, accounts: &AwsAccounts, rule_number: u16) -> NetworkAclFence {
        let place = |aws_region: &str, ids: &[&str]| NetworkAclPlace {
            aws_region: aws_region.to_owned(),
            access: AwsAccess::default(),
            ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            databases: [self.database.clone()].into(),
        };
        let regions =
            [(east(), place("us-east-1", &EAST)), (RegionName::new("west"), place("us-west-2", &[WEST]))];
        let (owner, name) = (Owner::new("uid-1"), ItemName::new("cut-off"));
        let config = NetworkAclConfig { owner, name, rule_number, regions: regions.into() };
        NetworkAclFence::new(config, accounts)
    }

    /// The subnets of the instance's group.
    fn stand_in(&self, subnets: &[&str]) {
        let subnets = subnets.iter().map(|id| (*id).to_owned()).collect();
        let shape =
            InstanceShape { subnet_group: Some("data".to_owned()), subnets, ..InstanceShape::default() };
        self.aws.set_instance_shape(&self.database, shape);
    }

    fn fence(&self) -> NetworkAclFence {
        self.fence_at(1)
    }

    /// How often something was asked to be changed.
    fn changes(&self) -> usize {
        self.aws.calls().into_iter().filter(|call| call.is_mutation).count()
    }

    fn fault(&self, operation: &str, kind: FaultKind) {
        self.aws.fault(Fault::of(operation, kind).up_to(1));
    }

    fn is_cut_off(&self) -> bool {
        self.aws.is_cut_off(ACCOUNT, "us-east-1")
    }
}

async fn status(fence: &NetworkAclFence) -> Seen<FenceFacts> {
    fence.status(&east(), Duration::from_secs(5)).await
}

async fn state(fence: &NetworkAclFence) -> (PowerState, bool) {
    let facts = status(fence).await.known().cloned().expect("EC2 answers");
    (facts.state, facts.is_lifted)
}

/// A look waits for RDS for a moment only, and RDS is asked on: waits until the look names this.
async fn until_named(fence: &NetworkAclFence, what: &str) -> FenceFacts {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match status(fence).await {
            Seen::Known(facts) if facts.id.contains(what) => return facts,
            seen => assert!(Instant::now() < deadline, "{what}: {seen:?}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

fn class_of(outcome: &Outcome) -> Option<ErrorClass> {
    if let Outcome::Failed(class, _) = outcome { Some(*class) } else { None }
}

const ON: (PowerState, bool) = (PowerState::On, true);
const OFF: (PowerState, bool) = (PowerState::Off, false);
const BETWEEN: (PowerState, bool) = (PowerState::On, false);

#[tokio::test]
async fn a_fence_denies_both_ways_at_every_acl_of_the_region_and_its_undo_leaves_what_was_there() {
    let stage = Stage::start().await;
    let fence = stage.fence();
    let before = stage.aws.acl_entries(EAST[0]);
    assert_eq!(state(&fence).await, ON);
    assert!(matches!(fence.fence(&east(), &ctx()).await, Outcome::Issued(_)));
    assert_eq!((state(&fence).await, stage.is_cut_off(), stage.changes()), (OFF, true, 4));
    assert!(!stage.aws.is_cut_off(ACCOUNT, "us-west-2"));
    let denied = |egress| (egress, 1, "deny".to_owned());
    assert!(stage.aws.acl_entries(EAST[1]).contains(&denied(false)));
    assert!(stage.aws.acl_entries(EAST[1]).contains(&denied(true)));
    // Again, by another process.
    assert_eq!(stage.fence().fence(&east(), &ctx()).await, Outcome::AlreadyDone);
    assert_eq!(stage.changes(), 4);

    assert!(matches!(fence.unfence(&east(), &ctx()).await, Outcome::Issued(_)));
    assert_eq!((state(&fence).await, stage.is_cut_off(), stage.changes()), (ON, false, 8));
    assert_eq!(stage.aws.acl_entries(EAST[0]), before);
    assert_eq!(stage.fence().unfence(&east(), &ctx()).await, Outcome::AlreadyDone);
    assert_eq!(stage.changes(), 8);
}

#[tokio::test]
async fn the_id_is_that_of_the_acls_and_their_subnets_on_and_off() {
    let stage = Stage::start().await;
    let fence = stage.fence();
    let id = |seen: Seen<FenceFacts>| seen.known().map(|facts| facts.id.clone());
    let on = id(status(&fence).await);
    assert_eq!(on.as_deref(), Some("acl-0a1 (subnet-1, subnet-2), acl-0a2 (subnet-3)"));
    fence.fence(&east(), &ctx()).await;
    assert_eq!(id(status(&fence).await), on);
    // A subnet that is taken out is open again, whatever the ACL says.
    stage.aws.set_acl_subnets(EAST[0], &["subnet-1"]);
    assert_ne!(id(status(&fence).await), on);
    stage.aws.set_acl_subnets(EAST[0], &[]);
    assert!(matches!(status(&fence).await, Seen::Unknown(why) if why.contains("acl-0a1 is of no subnet")));
}

#[tokio::test]
async fn ipv6_is_denied_where_it_is_let_in() {
    let stage = Stage::start().await;
    let fence = stage.fence();
    let open = AclEntry { number: 101, egress: false, allows: true, ipv6: true };
    stage.aws.put_acl_entry(EAST[0], open);
    assert!(matches!(fence.fence(&east(), &ctx()).await, Outcome::Issued(_)));
    assert_eq!((state(&fence).await, stage.changes()), (OFF, 5));
    assert!(stage.aws.acl_entries(EAST[0]).contains(&(false, 2, "deny".to_owned())));
    // Let in meanwhile, it is open, and a repetition denies it.
    stage.aws.put_acl_entry(EAST[1], open);
    assert_eq!(state(&fence).await, BETWEEN);
    assert!(matches!(fence.fence(&east(), &ctx()).await, Outcome::Issued(_)));
    assert_eq!((state(&fence).await, stage.changes()), (OFF, 6));
    assert!(matches!(fence.unfence(&east(), &ctx()).await, Outcome::Issued(_)));
    assert_eq!((state(&fence).await, stage.changes()), (ON, 12));
}

#[tokio::test]
async fn an_entry_of_somebody_else_is_named_and_nothing_is_denied_in_part() {
    let stage = Stage::start().await;
    stage.aws.put_acl_entry(EAST[1], AclEntry { number: 1, egress: true, allows: true, ipv6: false });
    let outcome = stage.fence().fence(&east(), &ctx()).await;
    let Outcome::Conflict(why) = &outcome else { unreachable!("{outcome:?}") };
    assert!(why.contains("acl-0a2") && why.contains("outbound rule 1, allow 0.0.0.0/0"), "{why}");
    assert_eq!((stage.changes(), state(&stage.fence()).await), (0, ON));
    // The undo leaves it where it is.
    assert_eq!(stage.fence().unfence(&east(), &ctx()).await, Outcome::AlreadyDone);
    // A number that is not the lowest decides nothing.
    let late = stage.fence_at(200).fence(&east(), &ctx()).await;
    assert!(matches!(&late, Outcome::Conflict(why) if why.contains("rule 100")), "{late:?}");
    assert_eq!(stage.changes(), 0);
}

#[tokio::test]
async fn an_entry_that_appeared_since_the_look_is_read_back() {
    let stage = Stage::start().await;
    stage.aws.skip(Duration::from_mins(10));
    let read_late = || stage.fault(DESCRIBE, FaultKind::StaleReads(Duration::from_mins(1)));
    let deny = |number, egress| AclEntry { number, egress, allows: false, ipv6: false };
    for id in EAST {
        stage.aws.put_acl_entry(id, deny(1, false));
        stage.aws.put_acl_entry(id, deny(1, true));
    }
    read_late();
    let outcome = stage.fence().fence(&east(), &ctx()).await;
    assert!(matches!(outcome, Outcome::Issued(_)), "the same is there: {outcome:?}");
    assert_eq!((stage.is_cut_off(), stage.changes()), (true, 4));
    // Another person's, since the look.
    stage.aws.put_acl_entry(EAST[0], AclEntry { allows: true, ..deny(1, false) });
    read_late();
    let outcome = stage.fence().fence(&east(), &ctx()).await;
    assert!(matches!(&outcome, Outcome::Conflict(why) if why.contains("acl-0a1")), "{outcome:?}");
    assert_eq!(stage.changes(), 5);
}

#[tokio::test]
async fn an_entry_that_is_gone_since_the_look_is_opened_already() {
    let stage = Stage::start().await;
    let fence = stage.fence();
    fence.fence(&east(), &ctx()).await;
    stage.aws.skip(Duration::from_mins(10));
    for id in EAST {
        stage.aws.remove_acl_entry(id, false, 1);
        stage.aws.remove_acl_entry(id, true, 1);
    }
    stage.fault(DESCRIBE, FaultKind::StaleReads(Duration::from_mins(1)));
    let outcome = fence.unfence(&east(), &ctx()).await;
    assert!(matches!(outcome, Outcome::Issued(_)), "{outcome:?}");
    assert_eq!((state(&fence).await, stage.changes()), (ON, 8));
}

#[tokio::test]
async fn a_lost_answer_leaves_the_outcome_open_and_the_repetition_makes_what_is_missing() {
    let stage = Stage::start().await;
    stage.fault(CREATE, FaultKind::LoseAnswer);
    let outcome = stage.fence().fence(&east(), &ctx()).await;
    assert_eq!(class_of(&outcome), Some(ErrorClass::UnknownOutcome), "{outcome:?}");
    assert_eq!((state(&stage.fence()).await, stage.changes()), (BETWEEN, 1), "it is not repeated by itself");
    assert!(matches!(stage.fence().fence(&east(), &ctx()).await, Outcome::Issued(_)));
    assert_eq!((state(&stage.fence()).await, stage.changes()), (OFF, 4));
}

#[tokio::test]
async fn a_process_that_ends_between_two_acls_is_gone_on_from() {
    let stage = Stage::start().await;
    // Inbound at both ACLs comes first: each entry takes two checks of the lease, and the third finds it lost.
    let killed = stage.fence().fence(&east(), &ctx_within(Duration::from_secs(10), 2)).await;
    assert_eq!(class_of(&killed), Some(ErrorClass::UnknownOutcome), "{killed:?}");
    assert_eq!((state(&stage.fence()).await, stage.changes()), (BETWEEN, 1));
    assert!(matches!(stage.fence().fence(&east(), &ctx()).await, Outcome::Issued(_)));
    assert_eq!((state(&stage.fence()).await, stage.changes()), (OFF, 4));
    // The same on the way back.
    let killed = stage.fence().unfence(&east(), &ctx_within(Duration::from_secs(10), 2)).await;
    assert_eq!(class_of(&killed), Some(ErrorClass::UnknownOutcome), "{killed:?}");
    assert_eq!((state(&stage.fence()).await, stage.changes()), (BETWEEN, 5));
    assert!(matches!(stage.fence().unfence(&east(), &ctx()).await, Outcome::Issued(_)));
    assert_eq!((state(&stage.fence()).await, stage.changes()), (ON, 8));
}

#[tokio::test]
async fn a_lease_that_is_lost_after_the_signature_lets_nothing_leave() {
    let stage = Stage::start().await;
    let outcome = stage.fence().fence(&east(), &ctx_within(Duration::from_secs(10), 1)).await;
    assert_eq!(class_of(&outcome), Some(ErrorClass::Transient), "{outcome:?}");
    assert_eq!((stage.changes(), stage.is_cut_off()), (0, false));
}

#[tokio::test]
async fn a_denied_call_names_its_permission_and_a_throttled_one_is_not_made_twice() {
    let stage = Stage::start().await;
    stage.fault(CREATE, FaultKind::Deny);
    let outcome = stage.fence().fence(&east(), &ctx()).await;
    assert!(
        matches!(&outcome, Outcome::Failed(ErrorClass::Denied, why) if why.contains("ec2:CreateNetworkAclEntry")),
        "{outcome:?}"
    );
    stage.fault(DESCRIBE, FaultKind::Deny);
    let outcome = stage.fence().fence(&east(), &ctx()).await;
    assert!(
        matches!(&outcome, Outcome::Failed(ErrorClass::Denied, why) if why.contains("ec2:DescribeNetworkAcls")),
        "{outcome:?}"
    );
    assert_eq!(stage.changes(), 1);
    for (status, class) in [(503, ErrorClass::Throttled), (500, ErrorClass::UnknownOutcome)] {
        let code = if status == 503 { "RequestLimitExceeded" } else { "InternalError" };
        let (code, message) = (code.to_owned(), "no".to_owned());
        stage.fault(CREATE, FaultKind::Answer { status, code, message });
        let outcome = stage.fence().fence(&east(), &ctx()).await;
        assert_eq!(class_of(&outcome), Some(class), "{outcome:?}");
    }
    assert_eq!(stage.changes(), 3);
    assert!(!stage.is_cut_off());
    stage.fence().fence(&east(), &ctx()).await;
    stage.fault(DELETE, FaultKind::Deny);
    let outcome = stage.fence().unfence(&east(), &ctx()).await;
    assert!(
        matches!(&outcome, Outcome::Failed(ErrorClass::Denied, why) if why.contains("ec2:DeleteNetworkAclEntry")),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_region_that_is_silent_is_unknown_and_nothing_is_sent_there() {
    let stage = Stage::start().await;
    stage.aws.fault(Fault::of_everything(FaultKind::Hang).in_region("us-east-1"));
    let fence = stage.fence();
    let seen = fence.status(&east(), Duration::from_millis(500)).await;
    assert!(matches!(&seen, Seen::Unknown(why) if why.contains("EC2 in us-east-1")), "{seen:?}");
    let outcome = fence.fence(&east(), &ctx_within(Duration::from_millis(500), u32::MAX)).await;
    assert_eq!(class_of(&outcome), Some(ErrorClass::Transient), "{outcome:?}");
    assert_eq!(stage.changes(), 0);
    // The other region does not wait for it.
    let west = RegionName::new("west");
    assert!(fence.status(&west, Duration::from_secs(5)).await.known().is_some());
    let unknown = fence.status(&RegionName::new("north"), Duration::from_secs(5)).await;
    assert!(matches!(unknown, Seen::Unknown(why) if why.contains("no network ACLs in north")));
}

#[tokio::test]
async fn a_change_that_hangs_may_have_its_effect_later() {
    let stage = Stage::start().await;
    stage.fault(CREATE, FaultKind::Hang);
    let outcome = stage.fence().fence(&east(), &ctx_within(Duration::from_secs(5), u32::MAX)).await;
    assert_eq!(class_of(&outcome), Some(ErrorClass::UnknownOutcome), "{outcome:?}");
    assert_eq!(stage.changes(), 1);
}

#[tokio::test]
async fn an_acl_that_is_not_there_is_unknown_and_never_off() {
    let stage = Stage::start().await;
    let ids = [EAST[0].to_owned(), "acl-0fff".to_owned()].into();
    let place = NetworkAclPlace {
        aws_region: "us-east-1".to_owned(),
        access: AwsAccess::default(),
        ids,
        databases: [].into(),
    };
    let config = NetworkAclConfig {
        owner: Owner::new("uid-1"),
        name: ItemName::new("cut-off"),
        rule_number: 1,
        regions: [(east(), place)].into(),
    };
    let fence = NetworkAclFence::new(config, &stage.accounts());
    assert!(
        matches!(status(&fence).await, Seen::Unknown(why) if why.contains("knows no network ACL acl-0fff"))
    );
    let outcome = fence.fence(&east(), &ctx()).await;
    assert_eq!(class_of(&outcome), Some(ErrorClass::Invalid), "{outcome:?}");
    assert_eq!(stage.changes(), 0);
}

#[tokio::test]
async fn what_two_policies_look_at_together_is_read_once() {
    let stage = Stage::start().await;
    let fence = stage.fence();
    state(&fence).await;
    let looks = (0..20).map(|_| status(&fence));
    let seen = futures::future::join_all(looks).await;
    assert!(seen.iter().all(|seen| seen.known().is_some()));
    let reads = stage.aws.calls().into_iter().filter(|call| call.operation == DESCRIBE).count();
    assert_eq!(reads, 2);
}

#[tokio::test]
async fn a_list_of_many_acls_is_read_to_its_end() {
    let stage = Stage::start().await;
    for number in 0..1100 {
        stage.aws.create_network_acl(ACCOUNT, "us-east-1", &format!("acl-00{number:05x}"), &["subnet-8"]);
    }
    assert_eq!(state(&stage.fence()).await, ON);
    let reads = stage.aws.calls().into_iter().filter(|call| call.operation == DESCRIBE).count();
    assert_eq!(reads, 2);
}

#[tokio::test]
async fn a_database_that_may_stand_in_other_subnets_is_named_and_nothing_is_denied() {
    let stage = Stage::start().await;
    stage.stand_in(&["subnet-1", "subnet-7"]);
    let fence = stage.fence();
    let why = "reports may stand in subnet-7, which none of the policy's network ACLs is in force for";
    let seen = until_named(&fence, why).await;
    assert!(seen.id.ends_with(why), "{}", seen.id);
    assert_eq!(state(&fence).await, ON);
    let refused = fence.fence(&east(), &ctx()).await;
    assert_eq!(refused, Outcome::Failed(ErrorClass::Invalid, format!("nothing is denied: {why}")));
    assert_eq!(stage.changes(), 0);
    // A process that begins knows it by its first look, before it denies anything; a busy machine may be late for some.
    let mut first_looks = 0;
    while !matches!(status(&stage.fence()).await, Seen::Known(facts) if facts.id.ends_with(why)) {
        first_looks += 1;
        assert!(first_looks < 10, "no first look waits for RDS");
    }
}

#[tokio::test]
async fn an_edit_of_the_policy_forgets_no_gap_while_the_region_is_silent() {
    let stage = Stage::start().await;
    stage.stand_in(&["subnet-1", "subnet-7"]);
    let accounts = stage.accounts();
    let before = stage.fence_of(&accounts, 1);
    until_named(&before, "subnet-7").await;
    assert_eq!(state(&before).await, ON);
    stage.aws.fault(Fault::of("DescribeDBInstances", FaultKind::Hang));
    let after = stage.fence_of(&accounts, 5);
    drop(before);
    let refused = after.fence(&east(), &ctx()).await;
    assert!(matches!(&refused, Outcome::Failed(_, why) if why.contains("subnet-7")), "{refused:?}");
    assert_eq!(stage.changes(), 0);
}

#[tokio::test]
async fn what_was_denied_before_a_gap_was_known_is_not_off_and_can_be_lifted() {
    let stage = Stage::start().await;
    assert!(matches!(stage.fence().fence(&east(), &ctx()).await, Outcome::Issued(_)));
    stage.stand_in(&["subnet-7"]);
    let fence = stage.fence();
    until_named(&fence, "subnet-7").await;
    assert_eq!(state(&fence).await, BETWEEN);
    assert_eq!(fence.fence(&east(), &ctx()).await, Outcome::AlreadyDone);
    assert!(matches!(fence.unfence(&east(), &ctx()).await, Outcome::Issued(_)));
    assert_eq!((state(&fence).await, stage.is_cut_off()), (ON, false));
}

#[tokio::test]
async fn where_rds_does_not_say_where_the_databases_stand_the_acls_are_believed() {
    let stage = Stage::start().await;
    stage.aws.fault(Fault::of("DescribeDBInstances", FaultKind::Hang));
    let fence = stage.fence();
    assert_eq!(state(&fence).await, ON);
    assert!(matches!(fence.fence(&east(), &ctx()).await, Outcome::Issued(_)));
    assert_eq!((state(&fence).await, stage.is_cut_off()), (OFF, true));
}

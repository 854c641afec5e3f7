//! Conformance of the engine `rdsReplica`: the real SDK against the fake's RDS, whose promotions are carried out on a real pair of
//! PostgreSQL that a master user set up who is no superuser.

#![expect(clippy::panic, reason = "what helps a test fails as the test does")]

use muster_aws_fake::{FakeAws, Fault, FaultKind, RdsEffect, RdsHappening, RdsPace};
use muster_core::effect::{Action, Effect};
use muster_core::facts::{DataFacts, DataRole, ErrorClass, Outcome, Seen};
use muster_core::ids::{Epoch, Owner, RegionName, Seq, Term};
use muster_core::secret::Secret;
use muster_core::time::Millis;
use muster_providers::aws::{AwsAccess, AwsAccounts, AwsPlace};
use muster_providers::rds_replica::{RdsInstance, RdsReplicaConfig, RdsReplicaData};
use muster_providers::testing::postgres::Pair;
use muster_providers::{AdoptedOwners, DataControl, OpCtx, SendGuard};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const KEY: &str = "AKIDEXAMPLE";
const ACCOUNT: &str = "111122223333";
const OWNER: &str = "uid-1";
const PROMOTE: &str = "PromoteReadReplica";
/// Region, its region of AWS, its instance.
const REGIONS: [(&str, &str, &str); 2] =
    [("east", "us-east-1", "orders-east"), ("west", "us-west-2", "orders-west")];
/// Too little to wait for a read at the regular pace.
const LOOK: Duration = Duration::from_millis(1_900);
const PATIENCE: Duration = Duration::from_secs(30);

struct Lease(bool);

impl SendGuard for Lease {
    fn may_send(&self) -> bool {
        self.0
    }
    fn sent(&self) {
        assert!(self.0, "nothing may be sent");
    }
}

struct Stage {
    aws: FakeAws,
    pair: Arc<Pair>,
    /// ARNs, in the order of [`REGIONS`].
    arns: [String; 2],
}

impl Stage {
    /// The primary is east, and west replicates from it.
    async fn start() -> Self {
        let aws = FakeAws::start().await.expect("the fake starts");
        aws.add_account(KEY, ACCOUNT);
        let [promote, reboot, backup] = [2_000, 300, 300].map(Duration::from_millis);
        aws.set_rds_pace(RdsPace { promote, reboot, backup, ..RdsPace::default() });
        let [(east, east_aws, primary), (west, west_aws, replica)] = REGIONS;
        let source = aws.create_instance(ACCOUNT, east_aws, primary);
        let copy = aws.create_read_replica(&source, west_aws, replica);
        let pair = Arc::new(Pair::start_managed(&[east, west], "").await.expect("PostgreSQL starts"));
        let mirrored = Arc::downgrade(&pair);
        aws.on_rds_event(Arc::new(move |happening: &RdsHappening| mirror(&mirrored, happening)));
        Self { aws, pair, arns: [source, copy] }
    }

    fn config(&self) -> RdsReplicaConfig {
        let servers = self.pair.config(OWNER);
        let instance = |(at, (region, aws_region, _)): (usize, (&str, &str, &str))| {
            let region = RegionName::from(region);
            let of = RdsInstance {
                aws_region: aws_region.to_owned(),
                access: AwsAccess::default(),
                arn: self.arns[at].clone(),
                node: servers.nodes[&region].clone(),
            };
            (region, of)
        };
        RdsReplicaConfig {
            item: servers.item.clone(),
            owner: servers.owner.clone(),
            database: servers.database.clone(),
            user: servers.user.clone(),
            password: servers.password.clone(),
            application: servers.application.clone(),
            tls: servers.tls.clone(),
            instances: REGIONS.into_iter().enumerate().map(instance).collect(),
            backup_days: 3,
            adopted: AdoptedOwners::default(),
        }
    }

    fn adapter_of(&self, owner: &str) -> RdsReplicaData {
        let accounts = AwsAccounts::at(AwsPlace {
            endpoint: self.aws.endpoint(),
            access_key: KEY.to_owned(),
            secret_key: Secret::new("a-secret-of-nobody"),
        });
        let config = RdsReplicaConfig { owner: Owner::new(owner), ..self.config() };
        RdsReplicaData::new(config, &accounts).expect("the configuration holds")
    }

    /// As another process has it: it remembers nothing.
    fn adapter(&self) -> RdsReplicaData {
        self.adapter_of(OWNER)
    }

    /// How often a promotion was asked for.
    fn asked(&self) -> usize {
        self.aws.calls().into_iter().filter(|call| call.operation == PROMOTE).count()
    }

    fn fault(&self, kind: FaultKind) {
        self.aws.fault(Fault::of(PROMOTE, kind).up_to(1));
    }
}

/// What RDS has done, the server does too.
fn mirror(pair: &Weak<Pair>, happening: &RdsHappening) {
    let promoted = happening.effect == RdsEffect::Promoted;
    let region = REGIONS.into_iter().find(|(_, _, name)| promoted && *name == happening.identifier);
    if let (Some((region, _, _)), Some(pair)) = (region, pair.upgrade()) {
        tokio::spawn(async move { pair.server(region).sql("select pg_promote(wait => false)").await });
    }
}

fn ctx_of(owner: &str, (epoch, seq): (u64, u64), timeout: Duration, holds: bool) -> OpCtx {
    let effect = Effect {
        owner: Owner::new(owner),
        epoch: Epoch(epoch),
        term: Term(1),
        seq: Seq(seq),
        attempt: 1,
        action: Action::Promote { item: "orders".into(), region: "west".into() },
        timeout: Millis::from(timeout),
    };
    OpCtx::new(effect, "run-1".to_owned(), Arc::new(Lease(holds)))
}

fn ctx(epoch: u64, seq: u64) -> OpCtx {
    ctx_of(OWNER, (epoch, seq), Duration::from_secs(10), true)
}

async fn promote(adapter: &RdsReplicaData) -> Outcome {
    adapter.promote(&"west".into(), &ctx(1, 2)).await
}

/// Asks until it is answered that it is done.
async fn promote_wholly(adapter: &RdsReplicaData) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let outcome = promote(adapter).await;
        match outcome {
            Outcome::AlreadyDone => return,
            Outcome::Issued(_) | Outcome::Failed(ErrorClass::Transient, _) => {}
            other => panic!("{other:?}"),
        }
        assert!(Instant::now() < deadline, "{outcome:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until it is observed.
async fn until(
    adapter: &RdsReplicaData,
    region: &str,
    holds: impl Fn(&DataFacts) -> bool + Send,
) -> DataFacts {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let seen = adapter.observe(&region.into(), LOOK).await;
        match seen {
            Seen::Known(facts) if holds(&facts) => return facts,
            seen => assert!(Instant::now() < deadline, "{region}: {seen:?}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// A standby that is well, with the first witness.
async fn calm(adapter: &RdsReplicaData) -> DataFacts {
    assert_eq!(adapter.open_writer(&"east".into(), &ctx(1, 1)).await, Outcome::Issued(None));
    until(adapter, "west", |facts| facts.streaming && facts.witness.is_some()).await
}

fn told(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Issued(Some(text))
        | Outcome::Conflict(text)
        | Outcome::StaleEpoch(text)
        | Outcome::Failed(_, text) => text,
        Outcome::Issued(None) | Outcome::AlreadyDone => "",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_promoted_once_and_takes_writes() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    let before = calm(&adapter).await;
    assert_eq!((before.role, before.timeline, before.unfit), (DataRole::Standby, 1, None));
    let east = until(&adapter, "east", |facts| facts.role == DataRole::Writable).await;
    assert_eq!((east.system, east.unfit), (before.system, None));

    let issued = promote(&adapter).await;
    assert!(told(&issued).starts_with("asked us-west-2 for it; it has no backups yet"), "{issued:?}");
    let again = promote(&adapter).await;
    assert!(told(&again).starts_with("adopted: the instance"), "{again:?}");
    promote_wholly(&adapter).await;
    assert_eq!(stage.asked(), 1, "{:?}", stage.aws.calls());

    let after = until(&adapter, "west", |facts| facts.role == DataRole::Writable).await;
    assert_eq!((after.timeline, after.unfit), (2, None));
    assert_eq!(adapter.open_writer(&"west".into(), &ctx(1, 3)).await, Outcome::Issued(None));
    let opened = until(&adapter, "west", |facts| facts.closed.is_open()).await;
    assert_eq!(opened.witness.map(|witness| witness.seq), Some(Seq(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_is_found_out_by_looking() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    calm(&adapter).await;
    stage.fault(FaultKind::LoseAnswer);
    let lost = promote(&adapter).await;
    assert!(matches!(lost, Outcome::Failed(ErrorClass::UnknownOutcome, _)), "{lost:?}");
    promote_wholly(&adapter).await;
    assert_eq!(stage.asked(), 1, "{:?}", stage.aws.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_lost_is_sent_again() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    calm(&adapter).await;
    stage.fault(FaultKind::LoseRequest);
    let lost = promote(&adapter).await;
    assert!(matches!(lost, Outcome::Failed(ErrorClass::UnknownOutcome, _)), "{lost:?}");
    promote_wholly(&adapter).await;
    assert_eq!(stage.asked(), 2, "{:?}", stage.aws.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_hangs_costs_no_more_than_the_deadline() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    calm(&adapter).await;
    stage.fault(FaultKind::Hang);
    let began = Instant::now();
    let soon = ctx_of(OWNER, (1, 2), Duration::from_secs(4), true);
    let hung = adapter.promote(&"west".into(), &soon).await;
    assert!(matches!(hung, Outcome::Failed(ErrorClass::UnknownOutcome, _)), "{hung:?}");
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_told_before_the_day_and_waited_for_on_it() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    calm(&adapter).await;
    stage.aws.set_instance_status(&stage.arns[1], "backing-up");
    let seen = until(&adapter, "west", |facts| facts.unready.is_some()).await;
    assert!(seen.unready.is_some_and(|why| why.contains("until the backup is done")));
    let waits = promote(&adapter).await;
    assert!(matches!(&waits, Outcome::Failed(ErrorClass::Transient, why) if why.contains("backing-up")));
    assert_eq!(stage.asked(), 0);
    stage.aws.set_instance_status(&stage.arns[1], "available");
    promote_wholly(&adapter).await;
    assert_eq!(stage.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_has_to_mend_is_not_tried() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    calm(&adapter).await;
    stage.aws.set_instance_status(&stage.arns[1], "storage-full");
    let stuck = promote(&adapter).await;
    assert!(matches!(&stuck, Outcome::Failed(ErrorClass::Invalid, why) if why.contains("storage-full")));
    assert_eq!(stage.asked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_of_somebody_else_is_adopted_and_then_done() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    calm(&adapter).await;
    assert!(matches!(promote(&stage.adapter()).await, Outcome::Issued(_)));
    let adopted = promote(&adapter).await;
    assert!(told(&adopted).starts_with("adopted: "), "{adopted:?}");
    promote_wholly(&adapter).await;
    // And one that never saw it as a replica.
    let late = stage.adapter();
    until(&late, "west", |facts| facts.role == DataRole::Writable).await;
    assert_eq!(promote(&late).await, Outcome::AlreadyDone);
    assert_eq!(stage.asked(), 1, "{:?}", stage.aws.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_looked_into_and_has_its_class() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    calm(&adapter).await;
    stage.fault(FaultKind::Deny);
    let denied = promote(&adapter).await;
    assert!(matches!(denied, Outcome::Failed(ErrorClass::Denied, _)), "{denied:?}");
    assert!(told(&denied).contains("rds:PromoteReadReplica"), "{denied:?}");
    for (status, code, class) in [
        (400, "Throttling", ErrorClass::Throttled),
        (404, "DBInstanceNotFound", ErrorClass::Invalid),
        (500, "InternalFailure", ErrorClass::UnknownOutcome),
        (400, "InvalidDBInstanceState", ErrorClass::Transient),
    ] {
        stage.fault(FaultKind::Answer { status, code: code.to_owned(), message: "no".to_owned() });
        let failed = promote(&adapter).await;
        assert!(matches!(&failed, Outcome::Failed(found, _) if *found == class), "{code}: {failed:?}");
        assert!(told(&failed).contains(code), "{failed:?}");
    }
    let seen = until(&adapter, "west", |facts| facts.unfit.is_none()).await;
    assert_eq!(seen.role, DataRole::Standby, "nothing has happened");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_of_which_nothing_is_heard_holds_nothing_up() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    calm(&adapter).await;
    stage.aws.clear_calls();
    stage.aws.fault(Fault::of_everything(FaultKind::Hang).in_region("us-east-1"));
    stage.pair.server("east").freeze();
    let began = Instant::now();
    promote_wholly(&adapter).await;
    until(&adapter, "west", |facts| facts.role == DataRole::Writable).await;
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    let elsewhere = stage.aws.calls().into_iter().filter(|call| call.region != "us-west-2");
    assert_eq!(elsewhere.count(), 0, "{:?}", stage.aws.calls());
    let east = adapter.observe(&"east".into(), Duration::from_millis(500)).await;
    assert!(matches!(east, Seen::Unknown(_)), "{east:?}");
}

/// What a planned run does: nothing that was acknowledged is lost, and the application goes on at the new primary alone.
#[tokio::test(flavor = "multi_thread")]
async fn the_primary_is_closed_by_its_own_sql_before_the_replica_is_promoted() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    calm(&adapter).await;
    let (east, west) = (stage.pair.server("east"), stage.pair.server("west"));
    let writer = east.application().await.expect("the application is let in");
    writer.batch_execute("insert into orders (item) values ('x')").await.expect("it writes");
    let fenced = adapter.fence(&"east".into(), &ctx(1, 2)).await;
    assert!(matches!(fenced, Outcome::Issued(_)), "{fenced:?}");
    assert!(writer.batch_execute("insert into orders (item) values ('late')").await.is_err());
    assert!(east.application().await.is_err(), "no new session");
    let closed = until(&adapter, "east", DataFacts::is_closed).await;
    assert_eq!((closed.role, closed.closed.app_write_refused), (DataRole::Writable, Some(true)));
    until(&adapter, "west", |facts| facts.replayed >= closed.position).await;

    assert_eq!(adapter.fence(&"west".into(), &ctx(1, 2)).await, Outcome::AlreadyDone, "it is a standby");
    promote_wholly(&adapter).await;
    until(&adapter, "west", |facts| facts.role == DataRole::Writable).await;
    assert!(west.application().await.is_err(), "the fence came here by replication");
    assert_eq!(adapter.open_writer(&"west".into(), &ctx(1, 3)).await, Outcome::Issued(None));
    until(&adapter, "west", |facts| facts.closed.is_open()).await;
    let writer = west.application().await.expect("the application is let in");
    writer.batch_execute("insert into orders (item) values ('y')").await.expect("it writes");
    assert_eq!(west.sql("select count(*) from orders").await.expect("a count"), ["2"]);
    assert!(until(&adapter, "east", DataFacts::is_closed).await.is_closed(), "the old primary stays closed");

    // A fence of the new primary is one of its own, and an undo opens it again.
    assert!(matches!(adapter.fence(&"west".into(), &ctx(1, 4)).await, Outcome::Issued(_)));
    assert_eq!(adapter.open_writer(&"west".into(), &ctx(1, 5)).await, Outcome::Issued(None));
    assert!(west.application().await.is_err(), "it was not closed elsewhere");
    assert_eq!(adapter.unfence(&"west".into(), &ctx(1, 6)).await, Outcome::Issued(None));
    west.application().await.expect("the application is let in");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_replica_has_seen_overtaken_is_not_asked_for() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    calm(&adapter).await;
    assert_eq!(adapter.open_writer(&"east".into(), &ctx(5, 3)).await, Outcome::Issued(None));
    until(&adapter, "west", |facts| facts.witness.as_ref().is_some_and(|w| w.epoch == Epoch(5))).await;
    for older in [ctx(4, 9), ctx(5, 2)] {
        let refused = adapter.promote(&"west".into(), &older).await;
        assert!(matches!(refused, Outcome::StaleEpoch(_)), "{refused:?}");
    }
    let foreign = ctx_of("uid-2", (9, 1), Duration::from_secs(10), true);
    let refused = stage.adapter_of("uid-2").promote(&"west".into(), &foreign).await;
    assert!(matches!(&refused, Outcome::Conflict(why) if why.contains(OWNER)), "{refused:?}");
    let unleased = ctx_of(OWNER, (6, 1), Duration::from_secs(10), false);
    let refused = adapter.promote(&"west".into(), &unleased).await;
    assert!(matches!(refused, Outcome::Failed(ErrorClass::Transient, _)), "{refused:?}");
    assert_eq!(stage.asked(), 0, "{:?}", stage.aws.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_instance_of_the_same_name_is_a_stranger_until_it_is_seen_to_follow() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    calm(&adapter).await;
    let (_, west_aws, replica) = REGIONS[1];
    stage.aws.create_read_replica(&stage.arns[0], west_aws, replica);
    let refused = promote(&adapter).await;
    assert!(matches!(&refused, Outcome::Conflict(why) if why.contains("was replaced")), "{refused:?}");
    assert_eq!(stage.asked(), 0);
    until(&adapter, "west", |facts| facts.unfit.is_none()).await;
    promote_wholly(&adapter).await;
    assert_eq!(stage.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rds_has_no_way_to_do_is_refused_with_the_reason() {
    let stage = Stage::start().await;
    let adapter = stage.adapter();
    let (east, west) = (RegionName::from("east"), RegionName::from("west"));
    let rejoin = adapter.rejoin(&east, &west, &ctx(1, 1)).await;
    assert!(told(&rejoin).contains("has to be made anew as a replica of the one in west"), "{rejoin:?}");
    for refused in [
        rejoin,
        adapter.stop_receiving(&west, &ctx(1, 1)).await,
        adapter.resume_receiving(&west, &ctx(1, 1)).await,
        adapter.switch_over(&east, &west, &ctx(1, 1)).await,
        adapter.promote(&"north".into(), &ctx(1, 1)).await,
    ] {
        assert!(matches!(refused, Outcome::Failed(ErrorClass::Invalid, _)), "{refused:?}");
    }
    let loss = adapter.read_loss(&east, &west, "controller", LOOK).await;
    assert!(matches!(&loss, Seen::Unknown(why) if why.contains("no log")), "{loss:?}");
}

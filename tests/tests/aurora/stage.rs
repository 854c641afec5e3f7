//! The stage of these tests: a global database of three regions at the fake, of which the policy names two, and the
//! adapter on it.
//!
//! Nothing of RDS passes by itself: a test lets its time pass where it wants to.

use crate::servers::{Servers, mirror};
use muster_aws_fake::{FakeAws, Fault, FaultKind, NewMember, RdsEffect, RdsHappening, RdsMove, RdsPace};
use muster_core::effect::{Action, Effect};
use muster_core::facts::{DataFacts, Outcome, Seen};
use muster_core::ids::{Epoch, Owner, RegionName, Seq, Term};
use muster_core::secret::Secret;
use muster_core::time::Millis;
use muster_providers::aurora::{AuroraConfig, AuroraData, AuroraMember};
use muster_providers::aws::{AwsAccess, AwsAccounts, AwsPlace};
use muster_providers::postgres::{Node, TlsMode};
use muster_providers::testing::TestGuard;
use muster_providers::testing::postgres::{DATABASE, MUSTER, Pair};
use muster_providers::{AdoptedOwners, DataControl, OpCtx, SendGuard};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep};

pub(crate) const KEY: &str = "AKIDEXAMPLE";
pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const SECRET_KEY: &str = "a-secret-of-nobody";
pub(crate) const OWNER: &str = "uid-1";
const GLOBAL: &str = "orders-global";
/// The policy's names of the regions.
pub(crate) const EAST: &str = "east";
pub(crate) const WEST: &str = "west";
/// AWS' names of them.
pub(crate) const EAST_AWS: &str = "us-east-1";
pub(crate) const WEST_AWS: &str = "us-west-2";
const NORTH_AWS: &str = "ca-central-1";
/// How long the steps of RDS take: no test waits so long, see [`FakeAws::skip`].
pub(crate) const PENDING: Duration = Duration::from_mins(10);
pub(crate) const MOVING: Duration = Duration::from_mins(10);
pub(crate) const REJOIN: Duration = Duration::from_mins(10);
pub(crate) const CANCELLING: Duration = Duration::from_mins(10);
/// How long everything has been as it is when a test begins.
pub(crate) const CALM: Duration = Duration::from_mins(5);
/// Of a look that does not wait for a regular read.
pub(crate) const QUICK: Duration = Duration::from_millis(1800);
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const KINDS: [RdsMove; 2] = [RdsMove::Switchover, RdsMove::Failover];
pub(crate) const REMOVAL: &str = "RemoveFromGlobalCluster";
/// How long RDS takes to make a cluster one by itself.
pub(crate) const DETACH: Duration = Duration::from_mins(1);
/// Nobody listens there.
const NO_PORT: u16 = 1;

/// A call that changes something, as it reached the fake.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Change {
    operation: String,
    region: String,
    account: String,
    /// 0: the answer was lost, or the request was.
    status: u16,
}

/// The one change that brings about a move.
pub(crate) fn change(kind: RdsMove, status: u16) -> Change {
    let (operation, region) = (operation_of(kind).to_owned(), region_of(kind).to_owned());
    Change { operation, region, account: ACCOUNT.to_owned(), status }
}

/// The one change that detaches west.
pub(crate) fn removal(status: u16) -> Change {
    Change { operation: REMOVAL.to_owned(), ..change(RdsMove::Failover, status) }
}

pub(crate) fn operation_of(kind: RdsMove) -> &'static str {
    match kind {
        RdsMove::Switchover => "SwitchoverGlobalCluster",
        RdsMove::Failover => "FailoverGlobalCluster",
    }
}

/// Which region is asked for it.
fn region_of(kind: RdsMove) -> &'static str {
    match kind {
        RdsMove::Switchover => EAST_AWS,
        RdsMove::Failover => WEST_AWS,
    }
}

pub(crate) fn other_than(kind: RdsMove) -> RdsMove {
    match kind {
        RdsMove::Switchover => RdsMove::Failover,
        RdsMove::Failover => RdsMove::Switchover,
    }
}

pub(crate) struct Stage {
    pub(crate) aws: FakeAws,
    /// ARN of the global cluster.
    pub(crate) global: String,
    /// ARN of its first writer.
    pub(crate) east: String,
    /// ARN of its standby.
    pub(crate) west: String,
    /// ARN of another standby, of which the policy knows nothing.
    pub(crate) north: String,
    servers: Option<Servers>,
    /// Of east and west.
    ports: [u16; 2],
    happened: Arc<Mutex<Vec<RdsHappening>>>,
}

impl Stage {
    /// With real servers: east is the primary, west streams from it.
    pub(crate) async fn start() -> Self {
        let pair = Pair::start_managed(&[EAST, WEST], "").await.expect("the servers start");
        let ports = [EAST, WEST].map(|region| pair.server(region).port);
        let servers = Arc::new(tokio::sync::Mutex::new(pair));
        let (sender, happenings) = unbounded_channel();
        tokio::spawn(mirror(Arc::clone(&servers), happenings));
        let stage = Self::set_up(ports, Some(sender)).await;
        Self { servers: Some(servers), ..stage }
    }

    /// Without any: a change of roles asks RDS alone.
    pub(crate) async fn without_servers() -> Self {
        Self::set_up([NO_PORT; 2], None).await
    }

    async fn set_up(ports: [u16; 2], mirrored: Option<UnboundedSender<RdsHappening>>) -> Self {
        let aws = FakeAws::start().await.expect("the fake starts");
        aws.add_account(KEY, ACCOUNT);
        let (pending, moving, rejoin, cancelling) = (PENDING, MOVING, REJOIN, CANCELLING);
        aws.set_rds_pace(RdsPace {
            pending,
            moving,
            rejoin,
            cancelling,
            detach: DETACH,
            ..RdsPace::default()
        });
        let happened = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&happened);
        aws.on_rds_event(Arc::new(move |happening: &RdsHappening| {
            noted.lock().unwrap_or_else(PoisonError::into_inner).push(happening.clone());
            if let Some(mirrored) = &mirrored {
                // Nobody hears it at the end of a test.
                let _ = mirrored.send(happening.clone());
            }
        }));
        let members = [EAST_AWS, WEST_AWS, NORTH_AWS].map(new_member);
        let created = aws.create_global_cluster(ACCOUNT, GLOBAL, &members);
        aws.skip(CALM);
        let [east, west, north] =
            [EAST_AWS, WEST_AWS, NORTH_AWS].map(|region| created.clusters[region].clone());
        Self { aws, global: created.arn, east, west, north, servers: None, ports, happened }
    }

    /// The servers of a stage that has some.
    pub(crate) fn servers(&self) -> &tokio::sync::Mutex<Pair> {
        self.servers.as_deref().expect("the stage was started with servers")
    }

    /// What a superuser of a region's server is answered.
    pub(crate) async fn sql(&self, region: &str, sql: &str) -> Vec<String> {
        let servers = self.servers().lock().await;
        servers.server(region).sql(sql).await.expect("the server answers")
    }

    /// The accounts, as the one who has this access key comes to them.
    pub(crate) fn accounts(&self, access_key: &str) -> AwsAccounts {
        AwsAccounts::at(AwsPlace {
            endpoint: self.aws.endpoint(),
            access_key: access_key.to_owned(),
            secret_key: Secret::new(SECRET_KEY),
        })
    }

    pub(crate) fn config(&self, access: &AwsAccess) -> AuroraConfig {
        let [east, west] = self.ports;
        let member = |aws_region: &str, arn: &str, port| AuroraMember {
            aws_region: aws_region.to_owned(),
            access: access.clone(),
            arn: arn.to_owned(),
            node: Node { host: "127.0.0.1".to_owned(), port },
            reader: Node { host: "127.0.0.1".to_owned(), port },
        };
        AuroraConfig {
            item: "orders".into(),
            owner: Owner::new(OWNER),
            cluster: GLOBAL.to_owned(),
            database: DATABASE.to_owned(),
            user: MUSTER.to_owned(),
            password: Secret::new(MUSTER),
            tls: TlsMode::Disable,
            members: [
                (RegionName::from(EAST), member(EAST_AWS, &self.east, east)),
                (RegionName::from(WEST), member(WEST_AWS, &self.west, west)),
            ]
            .into(),
            may_detach: true,
            adopted: AdoptedOwners::default(),
        }
    }

    /// The adapter in a process of its own: it shares nothing with another one.
    pub(crate) fn adapter(&self) -> AuroraData {
        let config = self.config(&AwsAccess::default());
        AuroraData::new(config, &self.accounts(KEY)).expect("the configuration holds")
    }

    /// Every call so far that would change something, in order.
    pub(crate) fn changes(&self) -> Vec<Change> {
        let calls = self.aws.calls().into_iter().filter(|call| call.is_mutation);
        let change = calls.map(|call| Change {
            operation: call.operation,
            region: call.region,
            account: call.account,
            status: call.status,
        });
        change.collect()
    }

    /// Strikes the next call of this operation.
    pub(crate) fn fault(&self, operation: &str, kind: FaultKind) {
        self.aws.fault(Fault::of(operation, kind).up_to(1));
    }

    /// Lets what was begun come to its end, and makes sure that it took effect once and that nothing else did.
    pub(crate) async fn finish(&self, data: &AuroraData, kind: RdsMove) {
        self.aws.skip(PENDING + MOVING);
        assert_eq!(ask(data, kind).await, Outcome::AlreadyDone, "{kind:?}");
        let deadline = Instant::now() + PATIENCE;
        while self.promoted().is_empty() {
            assert!(Instant::now() < deadline, "nobody was promoted");
            sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(self.promoted(), std::slice::from_ref(&self.west), "{kind:?}");
    }

    /// Who was promoted so far.
    fn promoted(&self) -> Vec<String> {
        let happened = self.happened.lock().unwrap_or_else(PoisonError::into_inner);
        let promoted = happened.iter().filter(|happening| happening.effect == RdsEffect::Promoted);
        promoted.map(|happening| happening.arn.clone()).collect()
    }
}

fn new_member(region: &str) -> NewMember {
    NewMember {
        region: region.to_owned(),
        cluster: format!("orders-{region}"),
        instances: vec![format!("orders-{region}-1")],
    }
}

/// The context of an effect with a lease that the test may take away.
pub(crate) fn ctx_of(action: Action, epoch: u64, timeout: Duration) -> (OpCtx, Arc<TestGuard>) {
    let guard = Arc::new(TestGuard::default());
    let effect = Effect {
        owner: Owner::new(OWNER),
        epoch: Epoch(epoch),
        term: Term(1),
        seq: Seq(2),
        attempt: 1,
        action,
        timeout: Millis::from(timeout),
    };
    let holder: Arc<dyn SendGuard> = guard.clone();
    (OpCtx::new(effect, "run-1".to_owned(), holder), guard)
}

pub(crate) fn action_of(kind: RdsMove) -> Action {
    let (from, to) = (RegionName::from(EAST), RegionName::from(WEST));
    match kind {
        RdsMove::Switchover => Action::SwitchOver { item: "orders".into(), from, to },
        RdsMove::Failover => Action::Promote { item: "orders".into(), region: to },
    }
}

/// Asks for a move of the writer from east to west.
pub(crate) async fn ask(data: &AuroraData, kind: RdsMove) -> Outcome {
    ask_with(data, kind, &ctx_of(action_of(kind), 1, PATIENCE).0).await
}

pub(crate) async fn ask_with(data: &AuroraData, kind: RdsMove, ctx: &OpCtx) -> Outcome {
    match kind {
        RdsMove::Switchover => data.switch_over(&EAST.into(), &WEST.into(), ctx).await,
        RdsMove::Failover => data.promote(&WEST.into(), ctx).await,
    }
}

/// Asks for west to be taken out of the global cluster.
pub(crate) async fn detach(data: &AuroraData) -> Outcome {
    detach_with(data, &detach_ctx().0).await
}

pub(crate) fn detach_ctx() -> (OpCtx, Arc<TestGuard>) {
    ctx_of(Action::Detach { item: "orders".into(), region: WEST.into() }, 1, PATIENCE)
}

pub(crate) async fn detach_with(data: &AuroraData, ctx: &OpCtx) -> Outcome {
    data.detach(&WEST.into(), ctx).await
}

pub(crate) async fn open_writer(data: &AuroraData, region: &str, epoch: u64) -> Outcome {
    let region = RegionName::from(region);
    let action = Action::OpenWriter { item: "orders".into(), region: region.clone() };
    data.open_writer(&region, &ctx_of(action, epoch, PATIENCE).0).await
}

#[track_caller]
pub(crate) fn assert_asked(outcome: &Outcome, kind: RdsMove) {
    let told = format!("asked {} for it", region_of(kind));
    assert_eq!(*outcome, Outcome::Issued(Some(told)), "{kind:?}");
}

#[track_caller]
pub(crate) fn assert_adopted(outcome: &Outcome, status: &str) {
    let is_adopted = |told: &str| told.starts_with("adopted: ") && told.contains(status);
    assert!(matches!(outcome, Outcome::Issued(Some(told)) if is_adopted(told)), "{status}: {outcome:?}");
}

/// Waits until it is observed.
pub(crate) async fn until(data: &AuroraData, region: &str, holds: impl Fn(&DataFacts) -> bool) -> DataFacts {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match data.observe(&region.into(), QUICK).await {
            Seen::Known(facts) if holds(&facts) => return facts,
            seen => assert!(Instant::now() < deadline, "{region}: {seen:?}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until something hinders a region, and this is a part of it.
pub(crate) async fn until_hindered(data: &AuroraData, region: &str, told: &str) -> DataFacts {
    let says = |why: &Option<String>| why.as_deref().is_some_and(|why| why.contains(told));
    until(data, region, |facts| says(&facts.unfit) || says(&facts.unready)).await
}

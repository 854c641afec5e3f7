//! A primary in the east, its replica in the west, and the real pair of PostgreSQL behind them.

use muster_aws_fake::{FakeAws, Fault, FaultKind, RdsEffect, RdsHappening, RdsPace};
use muster_core::effect::{Action, Effect};
use muster_core::facts::{DataFacts, ErrorClass, Outcome, Seen};
use muster_core::ids::{Epoch, Owner, RegionName, Seq, Term};
use muster_core::secret::Secret;
use muster_core::time::Millis;
use muster_providers::aws::{AwsAccess, AwsAccounts, AwsPlace};
use muster_providers::rds_replica::{RdsInstance, RdsReplicaConfig, RdsReplicaData};
use muster_providers::testing::postgres::{Pair, Server, program};
use muster_providers::{AdoptedOwners, DataControl, OpCtx, SendGuard};
use std::process::Stdio;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{RwLock, RwLockReadGuard};
use tokio::time::{Instant, sleep};

pub(crate) const KEY: &str = "AKIDEXAMPLE";
pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const OWNER: &str = "uid-1";
pub(crate) const PROMOTE: &str = "PromoteReadReplica";
/// Region, its region of AWS, its instance.
pub(crate) const REGIONS: [(&str, &str, &str); 2] =
    [("east", "us-east-1", "orders-east"), ("west", "us-west-2", "orders-west")];
/// Too little to wait for a read at the regular pace.
pub(crate) const LOOK: Duration = Duration::from_millis(1_900);
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Lease(bool);

impl SendGuard for Lease {
    fn may_send(&self) -> bool {
        self.0
    }
    fn sent(&self) {
        assert!(self.0, "nothing may be sent");
    }
}

pub(crate) struct Stage {
    pub(crate) aws: FakeAws,
    pub(crate) pair: Arc<RwLock<Pair>>,
    /// ARNs, in the order of [`REGIONS`].
    pub(crate) arns: [String; 2],
    /// Whether old primaries are made anew.
    pub(crate) rebuilds: bool,
}

impl Stage {
    /// The primary is east, and west replicates from it.
    pub(crate) async fn start() -> Self {
        let aws = FakeAws::start().await.expect("the fake starts");
        aws.add_account(KEY, ACCOUNT);
        aws.set_rds_pace(pace_of(Duration::from_secs(2)));
        let [(east, east_aws, primary), (west, west_aws, replica)] = REGIONS;
        let source = aws.create_instance(ACCOUNT, east_aws, primary);
        let copy = aws.create_read_replica(&source, west_aws, replica);
        let pair = Pair::start_managed(&[east, west], "").await.expect("PostgreSQL starts");
        let pair = Arc::new(RwLock::new(pair));
        let mirrored = Arc::downgrade(&pair);
        aws.on_rds_event(Arc::new(move |happening: &RdsHappening| mirror(&mirrored, happening)));
        Self { aws, pair, arns: [source, copy], rebuilds: false }
    }

    /// The servers.
    pub(crate) async fn pair(&self) -> RwLockReadGuard<'_, Pair> {
        self.pair.read().await
    }

    async fn config(&self) -> RdsReplicaConfig {
        let servers = self.pair().await.config(OWNER);
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
            rebuilds: self.rebuilds,
            adopted: AdoptedOwners::default(),
        }
    }

    /// Of one process.
    pub(crate) fn accounts(&self) -> AwsAccounts {
        AwsAccounts::at(AwsPlace {
            endpoint: self.aws.endpoint(),
            access_key: KEY.to_owned(),
            secret_key: Secret::new("a-secret-of-nobody"),
        })
    }

    pub(crate) async fn adapter_of(&self, owner: &str) -> RdsReplicaData {
        self.adapter_in(&self.accounts(), owner).await
    }

    /// As a process has it for one version of its policy.
    pub(crate) async fn adapter_in(&self, accounts: &AwsAccounts, owner: &str) -> RdsReplicaData {
        let config = RdsReplicaConfig { owner: Owner::new(owner), ..self.config().await };
        RdsReplicaData::new(config, accounts).expect("the configuration holds")
    }

    /// As another process has it: it remembers nothing.
    pub(crate) async fn adapter(&self) -> RdsReplicaData {
        self.adapter_of(OWNER).await
    }

    /// How often a promotion was asked for.
    pub(crate) fn asked(&self) -> usize {
        self.asked_for(PROMOTE)
    }

    /// How often this was asked for.
    pub(crate) fn asked_for(&self, operation: &str) -> usize {
        self.aws.calls().into_iter().filter(|call| call.operation == operation).count()
    }

    pub(crate) fn fault(&self, kind: FaultKind) {
        self.aws.fault(Fault::of(PROMOTE, kind).up_to(1));
    }
}

/// A replica that is promoted reboots after this time, and all else of it takes little.
pub(crate) fn pace_of(promote: Duration) -> RdsPace {
    let [reboot, backup] = [Duration::from_millis(300); 2];
    RdsPace { promote, reboot, backup, ..RdsPace::default() }
}

/// What RDS has done, the server does too.
fn mirror(pair: &Weak<RwLock<Pair>>, happening: &RdsHappening) {
    let region = REGIONS.into_iter().find(|(_, _, name)| *name == happening.identifier);
    let (Some((region, _, _)), Some(pair)) = (region, pair.upgrade()) else { return };
    let effect = happening.effect;
    tokio::spawn(async move {
        match effect {
            RdsEffect::Promoted => {
                pair.read().await.server(region).sql("select pg_promote(wait => false)").await.map(drop)
            }
            RdsEffect::Renamed => {
                pair.write().await.server_mut(region).kill();
                Ok(())
            }
            RdsEffect::Replicates => follow(&mut *pair.write().await, region).await,
            _ => Ok(()),
        }
    });
}

/// A copy of the other region's server takes the place of this one, and follows.
async fn follow(pair: &mut Pair, region: &str) -> std::io::Result<()> {
    let other = REGIONS.into_iter().find(|(name, _, _)| *name != region).map_or("", |(name, _, _)| name);
    let source = pair.server(other).port;
    let server: &mut Server = pair.server_mut(region);
    server.kill();
    std::fs::remove_dir_all(&server.data)?;
    let source = format!("host=127.0.0.1 port={source} user=postgres application_name={region}");
    let mut copy = tokio::process::Command::from(program("pg_basebackup"));
    copy.arg("-D").arg(&server.data).args(["-c", "fast", "-R", "--no-sync", "-d", &source]);
    copy.stdin(Stdio::null()).kill_on_drop(true).output().await?;
    server.start().await
}

pub(crate) fn ctx_of(owner: &str, (epoch, seq): (u64, u64), timeout: Duration, holds: bool) -> OpCtx {
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

pub(crate) fn ctx(epoch: u64, seq: u64) -> OpCtx {
    ctx_of(OWNER, (epoch, seq), Duration::from_secs(10), true)
}

pub(crate) async fn promote(adapter: &RdsReplicaData) -> Outcome {
    adapter.promote(&"west".into(), &ctx(1, 2)).await
}

/// Asks until it is answered that it is done.
pub(crate) async fn promote_wholly(adapter: &RdsReplicaData) {
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
pub(crate) async fn until(
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
pub(crate) async fn calm(adapter: &RdsReplicaData) -> DataFacts {
    assert_eq!(adapter.open_writer(&"east".into(), &ctx(1, 1)).await, Outcome::Issued(None));
    until(adapter, "west", |facts| facts.streaming && facts.witness.is_some()).await
}

pub(crate) fn told(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Issued(Some(text))
        | Outcome::Conflict(text)
        | Outcome::StaleEpoch(text)
        | Outcome::Failed(_, text) => text,
        Outcome::Issued(None) | Outcome::AlreadyDone => "",
    }
}

//! RDS for PostgreSQL: a primary in one region, and a read replica of it in each other one.
//!
//! RDS promotes, and nothing else: it has no switchover, fences nobody, and leaves the old primary as it was, which takes writes
//! until somebody keeps it from that. So a planned run fences it by SQL first, as a server of one's own, and what a failover
//! finds in its way it has to fence too. RDS checks nothing of what Muster counts by: no owner, no epoch, no token. So a
//! promotion looks at both sides first, adopts what is under way, and is told apart from what somebody else did (`judge.rs`).
//! Each region is asked at its own endpoint, and a promotion asks the target's alone: the old primary's may be gone.
//!
//! ```text
//! observe:   SQL at the instance's endpoint ║ DescribeDBInstances of that region (shared by policies)
//! promote:   look at the target's two sides ──► judge ──► PromoteReadReplica at the target's region
//! the rest:  one guarded function in the database each (`postgres/setup_fence.sql`)
//! ```
//!
//! | call | idempotent because | checked by the target | not protected |
//! |---|---|---|---|
//! | `observe` | reads only, but for the write that a fenced instance must refuse | - | RDS may be late to tell what the database does; the role is the database's own word |
//! | `open_writer` | the same numbers are written again | witness (older: `StaleEpoch`; other owner: `Conflict`), clock, not in recovery | - |
//! | `fence` | NOLOGIN twice is NOLOGIN; sessions are ended until there are none | witness, clock | an instance that is cut off takes no fence |
//! | `unfence` | opens only what the marks name, then removes them | witness, clock | - |
//! | `promote` | looked for first: under way is adopted, done is `AlreadyDone`; one that is no replica any more is never asked for again | **nothing of Muster's** but by a read of the replicated witness just before; RDS refuses one of an instance that is no replica, or not `available` | a signed request that got stuck lands for 15 minutes, also one of an older epoch. What the replica had not received is lost |
//! | `rejoin` | a step a call: rename, then create (`rebuild/mod.rs`). Refused without `rebuild`: a person makes it anew, see docs/aws.md | that no two instances bear a name; nothing of Muster's but by a read of both witnesses just before | an old primary that somebody opens meanwhile |
//! | `stop_receiving`, `resume_receiving` | refused: RDS lets nobody redirect a replica | - | - |
//! | `read_loss` | refused: no log can be read | - | - |
//!
//! # Which instance it is
//! RDS names an instance by what its user calls it. The first sight pins its `DbiResourceId`, for as long as this process has a
//! policy that names it (`memory.rs`). Another one under the same name is a `Conflict` and unfit, until it is seen as a replica of the
//! item's other instances that follows: that is how an old primary comes back. A run keeps the id with the promotion that it records,
//! so that behind it no instance counts as promoted that RDS says is another, whichever process looks.
//!
//! # What the database is asked
//! What a server of one's own is asked (see [`crate::postgres`] for what makes a fence Closed), but for what takes a superuser:
//! - The identity of the data is a row that the setup made once (`muster.identity`).
//! - A standby's timeline is the one that it receives, or the newest that Muster opened a writer on, as it has replayed. The
//!   second may be behind, where a promotion was done by hand; then the gate `TargetCurrent` asks a person.
//! - A log-in under way cannot be ended, and delays the proof for `authentication_timeout` at most.
//! - A session of `rdsadmin` in the application's database would keep a fence from being proved. Its own is another one.
//!
//! # What was never seen on a real RDS
//! All of it. The tests run the SQL on PostgreSQL by a role that is no superuser, with the rights that AWS' documents give to
//! the master user (`rds_superuser`): it creates and alters roles, has `pg_monitor` and `pg_signal_backend`, and may end other
//! sessions. PostgreSQL's documents let anybody call `pg_walfile_name` and `pg_current_wal_insert_lsn`, and give
//! `pg_stat_wal_receiver` to `pg_read_all_stats`. That RDS promotes as PostgreSQL does, onto a new timeline, is **assumed**: on an
//! unchanged one the logins that a fence closed would stay closed on the new primary, and the run would wait there, blocked.
//!
//! What this module must never do: ask for a promotion of an instance that is no replica any more; ask the old primary's region
//! anything before a promotion; call something done because RDS took it; delete an instance.

mod config;
mod effects;
mod facts;
mod judge;
mod memory;
mod rebuild;
mod view;

pub use config::{RdsInstance, RdsReplicaConfig};
pub use rebuild::LONGEST_NAME;

use crate::aws::{AwsAccounts, CallError, Rds, SHARED, in_time, invalid};
use crate::postgres::error::PgError;
use crate::postgres::link::{Link, Login};
use crate::postgres::look::{self, LookFor, RunBy};
use crate::postgres::steering::Steering;
use crate::postgres::{TlsError, tls};
use crate::{DataControl, OpCtx};
use async_trait::async_trait;
use aws_sdk_rds::types::DbInstance;
use facts::Subject;
use memory::Memory;
use muster_core::facts::{DataFacts, DataRole, LossFacts, Outcome, Seen};
use muster_core::ids::RegionName;
use rebuild::Asks;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use view::{InstanceView, State};

/// One primary and its replicas.
#[derive(Debug)]
pub struct RdsReplicaData {
    config: RdsReplicaConfig,
    instances: BTreeMap<RegionName, Instance>,
}

/// The database's instance in one region.
#[derive(Debug)]
struct Instance {
    arn: String,
    /// The item's other instances, by ARN: it replicates from one of them, or from none.
    sources: Vec<String>,
    link: Link,
    rds: Arc<Rds>,
    memory: Arc<Mutex<Memory>>,
    /// For its replacement.
    asks: Arc<Mutex<Asks>>,
}

impl Instance {
    /// What its own region calls it.
    fn name(&self) -> &str {
        self.arn.rsplit(':').next().unwrap_or_default()
    }

    fn lock_memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_asks(&self) -> MutexGuard<'_, Asks> {
        self.asks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn view_in(&self, all: &[DbInstance]) -> Option<InstanceView> {
        let own = all.iter().find(|instance| instance.db_instance_arn() == Some(self.arn.as_str()));
        own.map(InstanceView::of)
    }

    /// What its region's RDS says, at the pace that all policies share unless there is little time.
    async fn look_control(&self, by: Instant) -> Result<Option<InstanceView>, String> {
        let all = self.rds.instances(by).await.map_err(|error: CallError| error.why)?;
        Ok(self.view_in(&all))
    }

    /// Takes in what was seen, and says what it means.
    fn facts(&self, looked: DataFacts, control: &Result<Option<InstanceView>, String>) -> DataFacts {
        let mut memory = self.lock_memory();
        if let Ok(Some(view)) = control {
            let follows = looked.role == DataRole::Standby && looked.streaming && view.is_replicating();
            let made_anew =
                follows && view.state() == State::Available && view.replicates_from(&self.sources);
            memory.see(view, made_anew);
        }
        let (arn, region) = (self.arn.as_str(), self.rds.region());
        facts::facts(Subject { arn, region, sources: &self.sources, memory: &memory }, looked, control)
    }
}

impl RdsReplicaData {
    /// Connects to nothing yet.
    pub fn new(config: RdsReplicaConfig, accounts: &AwsAccounts) -> Result<Self, TlsError> {
        let tls = tls::connector(&config.tls)?;
        let muster = Login { user: &config.user, password: &config.password };
        let application = &config.application;
        let application = Login { user: &application.user, password: &application.password };
        let arns = || config.instances.values().map(|of| of.arn.clone());
        let instance = |of: &RdsInstance| {
            let account = accounts.account(&of.access);
            Instance {
                arn: of.arn.clone(),
                sources: arns().filter(|arn| *arn != of.arn).collect(),
                link: Link::new(&of.node, &config.database, muster, Some(application), tls.clone()),
                rds: account.rds(&of.aws_region),
                memory: account.memory(&config.owner, of.arn.clone(), Memory::default),
                asks: account.memory(&config.owner, of.arn.clone(), Asks::default),
            }
        };
        let instances = config.instances.iter().map(|(region, of)| (region.clone(), instance(of))).collect();
        Ok(Self { config, instances })
    }

    fn instance(&self, region: &RegionName) -> Result<&Instance, String> {
        self.instances.get(region).ok_or_else(|| format!("the policy has no RDS instance in {region}"))
    }

    fn steering(&self) -> Steering<'_> {
        let (owner, application) = (&self.config.owner, self.config.application.user.as_str());
        let look_for = LookFor { owner, application, run_by: RunBy::Provider };
        Steering { look_for, adopted: &self.config.adopted }
    }

    async fn look(&self, instance: &Instance, by: Instant) -> Result<DataFacts, String> {
        // Both begin at once. The database decides whether anything is known.
        let control = in_time(by, instance.look_control(by));
        let look_for = self.steering().look_for;
        let database = look::look(&instance.link, &look_for, by);
        let is_made = instance.lock_asks().is_made();
        if is_made {
            return look_at_one_that_is_made(instance, tokio::join!(database, control));
        }
        let control = async { Ok::<_, PgError>(control.await) };
        let (looked, control) = tokio::try_join!(database, control).map_err(|error| error.to_string())?;
        Ok(instance.facts(looked, &control))
    }
}

/// A database that RDS makes is silent for hours. What RDS says meanwhile is worth the wait.
fn look_at_one_that_is_made(
    instance: &Instance,
    (looked, control): (Result<DataFacts, PgError>, Result<Option<InstanceView>, String>),
) -> Result<DataFacts, String> {
    match (looked, control) {
        (Ok(looked), control) => {
            instance.lock_asks().set_made(false);
            Ok(instance.facts(looked, &control))
        }
        (Err(error), Ok(Some(view))) => Err(format!("{error}; RDS says: {}", view.describe())),
        (Err(error), _) => Err(error.to_string()),
    }
}

/// Refused: the engine has no such verb.
fn not_by_this_engine(what: &str) -> Outcome {
    invalid(format!("not by this engine: RDS has no way to {what}"))
}

#[async_trait]
impl DataControl for RdsReplicaData {
    async fn observe(&self, region: &RegionName, deadline: Duration) -> Seen<DataFacts> {
        let by = Instant::now() + deadline;
        let instance = match self.instance(region) {
            Ok(instance) => instance,
            Err(why) => return Seen::Unknown(why),
        };
        match self.look(instance, by).await {
            Ok(facts) => Seen::Known(facts),
            Err(why) => Seen::Unknown(why),
        }
    }
    async fn open_writer(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        match self.instance(region) {
            Ok(instance) => self.do_open_writer(instance, ctx).await,
            Err(why) => invalid(why),
        }
    }
    async fn fence(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        match self.instance(region) {
            Ok(instance) => self.do_fence(region, instance, ctx).await,
            Err(why) => invalid(why),
        }
    }
    async fn unfence(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        match self.instance(region) {
            Ok(instance) => self.do_unfence(instance, ctx).await,
            Err(why) => invalid(why),
        }
    }
    async fn stop_receiving(&self, _: &RegionName, _: &OpCtx) -> Outcome {
        not_by_this_engine("stop a read replica from receiving and let it go on later")
    }
    async fn resume_receiving(&self, _: &RegionName, _: &OpCtx) -> Outcome {
        not_by_this_engine("stop a read replica from receiving, so there is nothing to undo")
    }
    async fn promote(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        match self.instance(region) {
            Ok(instance) => self.do_promote(instance, ctx).await,
            Err(why) => invalid(why),
        }
    }
    fn shares_reads(&self) -> Option<Duration> {
        Some(SHARED)
    }
    async fn rejoin(&self, region: &RegionName, follow: &RegionName, ctx: &OpCtx) -> Outcome {
        if !self.config.rebuilds {
            return not_by_this_engine(&format!(
                "make a replica of a primary: the instance in {region} has to be made anew as a replica of the one in {follow}, \
                 by hand or by `rebuild`, see docs/aws.md"
            ));
        }
        match (self.instance(region), self.instance(follow)) {
            (Ok(old), Ok(source)) => Box::pin(self.do_rejoin(old, source, ctx)).await,
            (Err(why), _) | (_, Err(why)) => invalid(why),
        }
    }
    async fn read_loss(
        &self,
        _old: &RegionName,
        _new: &RegionName,
        _heartbeat_writer: &str,
        _deadline: Duration,
    ) -> Seen<LossFacts> {
        let why = "RDS shows no log of the old primary, so its lost writes cannot be counted";
        Seen::Unknown(why.to_owned())
    }
}

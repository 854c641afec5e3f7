//! Aurora PostgreSQL global databases: one cluster per region, of which one takes writes and the others replay its storage.
//!
//! RDS moves the writer's role, and checks nothing of what Muster counts by: no owner, no epoch, no token. So each change
//! looks first, adopts what is under way, and is told apart from what somebody else began (`judge.rs`). Each region is asked
//! at its own endpoint, and a failover asks the target's alone: the old primary's region may be gone.
//!
//! ```text
//! observe:      SQL at the cluster endpoint ║ DescribeGlobalClusters, DescribeDBClusters of that region (shared by policies)
//! switch_over:  look at both regions ──► judge ──► SwitchoverGlobalCluster at the primary's region
//! promote:      look at the target's region ──► judge ──► FailoverGlobalCluster(AllowDataLoss) at the target's region
//! detach:       look at the target's region ──► judge ──► RemoveFromGlobalCluster at the target's region
//! ```
//!
//! | call | idempotent because | checked by the target | not protected |
//! |---|---|---|---|
//! | `observe` | reads only | - | RDS may tell each region another story for a while; the role is the database's own word |
//! | `open_writer` | the same numbers are written again | witness (older: `StaleEpoch`; other owner: `Conflict`), clock, not in recovery | - |
//! | `switch_over` | looked for first: under way to the same target is adopted, done is `AlreadyDone` | **nothing of Muster's**; RDS itself refuses one while another operation runs, or while a member is not well. It keeps one writer throughout | a signed request that got stuck lands for 15 minutes, also one of an older epoch |
//! | `promote` | the same; a switchover under way is a `Conflict`, never adopted: it waits for the old primary. Where RDS lists no global clusters, RDS' refusal is all that tells | **nothing of Muster's** | as above. AWS *tries* to block writes at the old primary, and tells by an event whether it could (`tidings.rs`), after the fact. What the target had not received is lost |
//! | `detach` | the same; a cluster that is no member and takes writes, or the writer already, is `AlreadyDone`; an operation to another member is a `Conflict` | **nothing of Muster's**; RDS refuses a cluster that is no member | as above: one that lands once the target is the writer can leave it alone, and never makes another one the writer. Nothing is fenced: the old primary stays the writer of the old global cluster. The global writer endpoint does not follow |
//! | `rejoin` | reads only: Aurora builds the old primary again by itself | - | - |
//! | `keep_old_data` | the copy's name follows from the snapshot's, and is looked for first | RDS takes a name once | a copy costs until a person deletes it |
//! | `fence`, `unfence`, `stop_receiving`, `resume_receiving` | refused: Aurora has no way that proves anything | - | - |
//! | `read_loss` | refused: no log can be read | - | - |
//!
//! # What stands alone
//! A cluster that was detached, by Muster or by a person, takes writes and is a member of nothing: it is `alone`, and `unfit`. A
//! standby says whose writes it gets ([`DataFacts::follows`](muster_core::facts::DataFacts)), so that one of the old global cluster is
//! never taken for a standby of the cluster that left it.
//!
//! # What stands for a position
//! Aurora shows no position in a log. [`DataFacts::position`](muster_core::facts::DataFacts) is the time of the newest heartbeat,
//! in microseconds since 1970 by its writer's clock: among standbys of one item, the one with the newer heartbeat has received
//! more. The timeline is always 1, and the identity is a row that the setup made once (`muster.identity`).
//!
//! # What is not supported
//! Aurora MySQL, DocumentDB and Neptune have global clusters by the same API, and other databases behind it. A global cluster of
//! another engine is `unfit`.
//!
//! What this module must never do: call a failover without `AllowDataLoss`, which would be a switchover; ask the old primary's
//! region anything before a failover; call something done because RDS took it; remove a cluster from the global one, but the target,
//! where a person's consent to it is recorded.

mod config;
mod effects;
mod facts;
mod judge;
mod lag;
mod look;
mod saved;
mod tidings;
mod view;

pub use config::{AuroraConfig, AuroraMember};
pub use saved::old_volumes;

use crate::aws::{AwsAccounts, CallError, Rds, SHARED, in_time, invalid};
use crate::postgres::error::PgError;
use crate::postgres::link::{Link, Login};
use crate::postgres::{TlsError, tls};
use crate::{DataControl, OpCtx};
use async_trait::async_trait;
use aws_sdk_rds::types::{DbCluster, GlobalCluster};
use facts::Subject;
use lag::Lags;
use look::{LookFor, Looked};
use muster_core::facts::{DataFacts, LossFacts, Outcome, Seen};
use muster_core::ids::RegionName;
use muster_core::time::Wall;
use saved::Saved;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tidings::{Tidings, Told};
use tokio::time::Instant;
use view::{ClusterView, Control, GlobalView};

/// One global database.
#[derive(Debug)]
pub struct AuroraData {
    config: AuroraConfig,
    members: BTreeMap<RegionName, Member>,
    tidings: Tidings,
    saved: Saved,
    lags: Lags,
}

/// Its cluster in one region.
#[derive(Debug)]
struct Member {
    arn: String,
    /// The cluster endpoint: the writer's, which a secondary cluster has not.
    writer: Link,
    /// The reader endpoint; `None`: it is the same one.
    reader: Option<Link>,
    rds: Arc<Rds>,
}

impl Member {
    /// What its own region calls it.
    fn name(&self) -> &str {
        self.arn.rsplit(':').next().unwrap_or_default()
    }

    fn cluster_in(&self, all: &[DbCluster]) -> Option<ClusterView> {
        let own = all.iter().find(|cluster| cluster.db_cluster_arn() == Some(self.arn.as_str()));
        own.map(ClusterView::of)
    }

    /// What its region's RDS says, at the pace that all policies share unless there is little time.
    async fn look_control(&self, data: &AuroraData, by: Instant) -> Result<Control, String> {
        let both = tokio::try_join!(self.rds.global_clusters(by), self.rds.clusters(by));
        let (global, clusters) = both.map_err(|error: CallError| error.why)?;
        Ok(Control { global: data.global_in(&global), cluster: self.cluster_in(&clusters) })
    }
}

impl AuroraData {
    /// Connects to nothing yet.
    pub fn new(config: AuroraConfig, accounts: &AwsAccounts) -> Result<Self, TlsError> {
        let tls = tls::connector(&config.tls)?;
        let login = Login { user: &config.user, password: &config.password };
        let member = |member: &AuroraMember| Member {
            arn: member.arn.clone(),
            writer: Link::new(&member.node, &config.database, login, None, tls.clone()),
            reader: (member.reader != member.node)
                .then(|| Link::new(&member.reader, &config.database, login, None, tls.clone())),
            rds: accounts.account(&member.access).rds(&member.aws_region),
        };
        let members = config.members.iter().map(|(region, of)| (region.clone(), member(of))).collect();
        let tidings = Tidings::new(&config, &members);
        Ok(Self { config, members, tidings, saved: Saved::default(), lags: Lags::default() })
    }

    fn member(&self, region: &RegionName) -> Result<&Member, String> {
        self.members.get(region).ok_or_else(|| format!("the policy has no Aurora cluster in {region}"))
    }

    fn global_in(&self, all: &[GlobalCluster]) -> Option<GlobalView> {
        let name = Some(self.config.cluster.as_str());
        all.iter().find(|global| global.global_cluster_identifier() == name).map(GlobalView::of)
    }

    async fn look(&self, member: &Member, by: Instant) -> Result<DataFacts, LookError> {
        // Both begin at once. The database decides whether anything is known.
        let control = async { Ok::<_, PgError>(in_time(by, member.look_control(self, by)).await) };
        let (looked, control) = tokio::try_join!(self.look_database(member, by), control)?;
        let subject =
            Subject { cluster: &self.config.cluster, arn: &member.arn, region: member.rds.region() };
        if facts::is_reader_of_a_writer(subject, &looked, &control) {
            // The next look is by a new connection, which goes where the name leads then.
            member.writer.forget();
            return Err(LookError::Reader);
        }
        let global = control.as_ref().ok().and_then(|control| control.global.as_ref());
        let Told { write_block, progress } = global.map(|global| self.tidings.of(global)).unwrap_or_default();
        let writer = global.and_then(|global| facts::followed(subject, &looked, global));
        let facts = lag::add(facts::facts(subject, &looked, &control), self.lags.of(subject.region));
        let (write_block, saved) = (write_block.map(Box::new), self.saved.all());
        let facts = DataFacts { write_block, saved, progress, ..facts };
        Ok(match writer {
            Some(writer) => facts::following(facts, writer, self.region_of(writer)),
            None => facts,
        })
    }

    fn region_of(&self, arn: &str) -> Option<&RegionName> {
        self.members.iter().find(|(_, member)| member.arn == arn).map(|(region, _)| region)
    }

    /// What the cluster's database says: by the writer's endpoint, or where there is none, as in a secondary cluster, by the
    /// reader's. One that takes writes outweighs one that replays: names change late.
    async fn look_database(&self, member: &Member, by: Instant) -> Result<Looked, PgError> {
        let look_for = LookFor { owner: &self.config.owner, lags: &self.lags, region: member.rds.region() };
        let by_writer = look::look(&member.writer, look_for, by);
        let Some(reader) = &member.reader else { return by_writer.await };
        let (by_writer, by_reader) = tokio::join!(by_writer, look::look(reader, look_for, by));
        match (by_writer, by_reader) {
            (Ok(writer), Ok(reader)) => Ok(if reader.recovering { writer } else { reader }),
            (Ok(looked), Err(_)) | (Err(_), Ok(looked)) => Ok(looked),
            (Err(error), Err(_)) => Err(error),
        }
    }
}

/// A look that says nothing.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Database(#[from] PgError),
    #[error("a reader answered: RDS says that this cluster takes writes")]
    Reader,
}

/// Refused: the engine has no such verb.
fn not_by_this_engine(what: &str) -> Outcome {
    invalid(format!("not by this engine: Aurora has no way to {what}"))
}

#[async_trait]
impl DataControl for AuroraData {
    async fn observe(&self, region: &RegionName, deadline: Duration) -> Seen<DataFacts> {
        let by = Instant::now() + deadline;
        let member = match self.member(region) {
            Ok(member) => member,
            Err(why) => return Seen::Unknown(why),
        };
        match self.look(member, by).await {
            Ok(facts) => Seen::Known(facts),
            Err(error) => Seen::Unknown(error.to_string()),
        }
    }
    async fn open_writer(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        match self.member(region) {
            Ok(member) => self.do_open_writer(member, ctx).await,
            Err(why) => invalid(why),
        }
    }
    async fn fence(&self, _: &RegionName, _: &OpCtx) -> Outcome {
        not_by_this_engine("fence a writer that proves anything; use another fence")
    }
    async fn unfence(&self, _: &RegionName, _: &OpCtx) -> Outcome {
        not_by_this_engine("fence a writer, so there is nothing to undo")
    }
    async fn stop_receiving(&self, _: &RegionName, _: &OpCtx) -> Outcome {
        not_by_this_engine("stop a secondary cluster from receiving and let it go on later")
    }
    async fn resume_receiving(&self, _: &RegionName, _: &OpCtx) -> Outcome {
        not_by_this_engine("stop a secondary cluster from receiving, so there is nothing to undo")
    }
    async fn promote(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        match self.member(region) {
            Ok(member) => self.do_fail_over(member, ctx).await,
            Err(why) => invalid(why),
        }
    }
    async fn detach(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        match self.member(region) {
            Ok(member) => self.do_detach(member, ctx).await,
            Err(why) => invalid(why),
        }
    }
    async fn switch_over(&self, from: &RegionName, to: &RegionName, ctx: &OpCtx) -> Outcome {
        match (self.member(from), self.member(to)) {
            (Ok(from), Ok(to)) => self.do_switch_over(from, to, ctx).await,
            (Err(why), _) | (_, Err(why)) => invalid(why),
        }
    }
    fn shares_reads(&self) -> Option<Duration> {
        Some(SHARED)
    }
    async fn rejoin(&self, region: &RegionName, _follow: &RegionName, ctx: &OpCtx) -> Outcome {
        match self.member(region) {
            Ok(member) => self.do_rejoin(region, member, ctx).await,
            Err(why) => invalid(why),
        }
    }
    async fn keep_old_data(&self, region: &RegionName, since: Wall, ctx: &OpCtx) -> Outcome {
        match self.member(region) {
            Ok(member) => self.do_keep_old_data((region, member), since, ctx).await,
            Err(why) => invalid(why),
        }
    }
    async fn read_loss(
        &self,
        _old: &RegionName,
        _new: &RegionName,
        _heartbeat_writer: &str,
        _deadline: Duration,
    ) -> Seen<LossFacts> {
        Seen::Unknown(
            "Aurora shows no log of the old writer, so its lost writes cannot be counted".to_owned(),
        )
    }
}

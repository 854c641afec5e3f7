//! PostgreSQL with streaming replication: one primary, one standby per other region.
//!
//! Every change but three is one call of a function in the database (`setup_fence.sql`, `setup_server.sql`), which compares
//! the effect's numbers with the *witness* row and the deadline with the node's own clock before it does anything. The
//! witness replicates, so a standby refuses what its primary had already seen overtaken. This module must never promote, open or fence
//! past those functions, and never says that something is done: [`DataControl::observe`] does.
//!
//! | call | idempotent because | checked by the node | not protected |
//! |---|---|---|---|
//! | `observe` | reads only, but for the write that a fenced node must refuse | - | - |
//! | `open_writer` | the same numbers are written again | witness (older: `StaleEpoch`; other owner: `Conflict`), clock, not in recovery. The list of synchronous standbys is cleared before, by `ALTER SYSTEM`: checked by a read just before | an `ALTER SYSTEM` that was on its way when the process died lands late; it only ever clears a list that was unconfirmed on a newly promoted node |
//! | `fence` | NOLOGIN twice is NOLOGIN; sessions are ended until there are none | witness, clock | a node that is cut off or frozen takes no fence, and one that dies first comes back open |
//! | `unfence` | opens only what the marks name, then removes them | witness, clock | - |
//! | `promote` | a writable node answers `AlreadyDone` | replicated witness (none: refused), the standby's own clock, in recovery | a standby that had not received the newest witness; a promotion that was accepted just before a freeze lands after it |
//! | `stop_receiving`, `resume_receiving` | the mark is set once | in recovery and witness, by a read just before | `ALTER SYSTEM` cannot be guarded: a late one lands |
//! | `rejoin` | a node that already streams the new timeline is `AlreadyDone` | witness on the new primary, by a read just before | the user's hook checks what it checks |
//! | `read_loss` | reads only | - | - |
//!
//! # Waiting for standbys
//! Muster's own sessions run with `synchronous_commit = local`. Its writes steer; they must go through on a new primary
//! whose list nobody can confirm, and on an old one whose standby is gone. They are waited for in another way: `fence`
//! looks at the standbys that stream until they have the witness, for a second at most.
//!
//! # What makes a fence Closed
//! `fence` sets NOLOGIN on every role in `muster.fenced_role`, ends their sessions and those of all others but
//! superusers in the database, and then commits once more with a flush, so that commits which did not wait for the disk
//! are there too. `observe` fills [`ClosedView`](muster_core::facts::ClosedView) only where the application's role may
//! not log in:
//! - `app_write_refused`: a new connection logs in as the application and updates `muster.app_write`, committed. It
//!   is `true` only if the log in itself was refused with SQLSTATE 28000, the role was NOLOGIN in the catalogue before
//!   *and* after, and so was every other fenced role. A wrong password, too many connections, silence: `None`. A write
//!   that went through is `false`, and is a real one.
//! - `sessions`: every session in this database but those of Muster's own role, superusers' and unknown background
//!   workers' too (a person's `psql` could write), and sessions of fenced roles anywhere. Not counted: walsenders of
//!   other roles, autovacuum, parallel workers.
//! - `arriving`: processes that hold a lock but are on no list of sessions are in the middle of logging in, perhaps
//!   past the check of NOLOGIN. Counted are those that were so in every look since the fence stood (`arrivals.rs`).
//! - `prepared`, `apply_workers`: of this database.
//! - `position_still`: between two looks, one before and one after the refused write, no transaction that writes ended
//!   (`xmax` of the snapshot), and none is running (its lock on its own transaction id). Bytes are not compared: the
//!   background writer and checkpoints move the position without any commit.
//!
//! Roles that can log in, can write and are *not* listed pass unseen unless they have a session just then. The setup's
//! documentation says to list them.
//!
//! # No write is lost by a planned switchover
//! Once `is_closed()` holds, every commit lies before [`DataFacts::position`]: compare the standby's `replayed` with it.
//! Records of the background may lie between for up to 15 s if they were not flushed (PostgreSQL's
//! `LOG_SNAPSHOT_INTERVAL_MS`); that delays, and loses nothing. Heartbeats are refused by a trigger as long as a fence
//! stands, so Muster itself writes nothing there that could be lost.
//!
//! # What is counted as lost
//! Commits behind the fork, on the old timeline, that changed a row of a table outside Muster's schema and the
//! catalogues, drew from a sequence, made storage, sent a transactional message or wrote a heartbeat; in all databases
//! of the cluster. Not: rolled back ones, ANALYZE, VACUUM, temporary tables, changes of the catalogue alone, Muster's
//! own. A commit that hung because no synchronous standby confirmed it is in that log as well, although nobody was told
//! that it succeeded: under NoAck this is not the count of *acknowledged* losses.
mod arrivals;
mod config;
mod conninfo;
mod effects;
pub(crate) mod error;
pub(crate) mod guarded;
pub(crate) mod link;
pub(crate) mod look;
mod loss;
mod opening;
mod receiving;
mod rejoin;
mod setup;
pub(crate) mod steering;
mod sync;
#[cfg(test)]
mod tests;
pub(crate) mod tls;
mod wal;

pub use config::{Application, Node, PostgresConfig, RejoinRun, RejoinRunner, TlsMode};
pub use setup::{SETUP_VERSION, managed_fence_setup_sql, managed_setup_sql, setup_sql};
pub use tls::TlsError;

pub(crate) use setup::literal;

use crate::{DataControl, OpCtx};
use async_trait::async_trait;
use error::PgError;
use link::{Link, Login};
use look::{LookFor, RunBy};
use loss::ReportedLoss;
use muster_core::facts::{DataFacts, LossFacts, Outcome, Seen};
use muster_core::ids::RegionName;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;
use steering::Steering;
use tokio::time::Instant;

/// One data item. Holds at most a few open connections per node.
#[derive(Debug)]
pub struct PostgresData {
    config: PostgresConfig,
    links: BTreeMap<RegionName, Link>,
    /// By old primary.
    reported: Mutex<BTreeMap<RegionName, ReportedLoss>>,
}

impl PostgresData {
    /// Connects to nothing yet.
    pub fn new(config: PostgresConfig) -> Result<Self, TlsError> {
        let tls = tls::connector(&config.tls)?;
        let muster = Login { user: &config.user, password: &config.password };
        let application = &config.application;
        let application = Login { user: &application.user, password: &application.password };
        let link = |node| Link::new(node, &config.database, muster, Some(application), tls.clone());
        let links = config.nodes.iter().map(|(region, node)| (region.clone(), link(node))).collect();
        Ok(Self { config, links, reported: Mutex::default() })
    }

    fn link(&self, region: &RegionName) -> Result<&Link, PgError> {
        self.links.get(region).ok_or_else(|| PgError::NoNode(region.to_string()))
    }

    fn steering(&self) -> Steering<'_> {
        let (owner, application) = (&self.config.owner, self.config.application.user.as_str());
        let look_for = LookFor { owner, application, run_by: RunBy::Oneself };
        Steering { look_for, adopted: &self.config.adopted }
    }
}

/// Ends an effect at its deadline, whatever it waits for. Each wait inside has the same deadline; this is the net
/// below them, a little later so that their better messages come first.
pub(crate) async fn by_deadline(ctx: &OpCtx, effect: impl Future<Output = Outcome> + Send) -> Outcome {
    const NET: Duration = Duration::from_millis(200);
    match tokio::time::timeout_at(ctx.not_after + NET, effect).await {
        Ok(outcome) => outcome,
        Err(_) => Outcome::Failed(
            muster_core::facts::ErrorClass::UnknownOutcome,
            "the deadline passed without an answer".to_owned(),
        ),
    }
}

#[async_trait]
impl DataControl for PostgresData {
    async fn observe(&self, region: &RegionName, deadline: Duration) -> Seen<DataFacts> {
        let by = Instant::now() + deadline;
        match self.look(region, by).await {
            Ok(facts) => Seen::Known(facts),
            Err(error) => Seen::Unknown(error.to_string()),
        }
    }
    async fn open_writer(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        by_deadline(ctx, self.do_open_writer(region, ctx)).await
    }
    async fn fence(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        by_deadline(ctx, self.do_fence(region, ctx)).await
    }
    async fn unfence(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        by_deadline(ctx, self.do_unfence(region, ctx)).await
    }
    async fn stop_receiving(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        by_deadline(ctx, self.do_stop_receiving(region, ctx)).await
    }
    async fn resume_receiving(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        by_deadline(ctx, self.do_resume_receiving(region, ctx)).await
    }
    async fn promote(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        by_deadline(ctx, self.do_promote(region, ctx)).await
    }
    async fn rejoin(&self, region: &RegionName, follow: &RegionName, ctx: &OpCtx) -> Outcome {
        by_deadline(ctx, self.do_rejoin(region, follow, ctx)).await
    }
    async fn read_loss(
        &self,
        old: &RegionName,
        new: &RegionName,
        _heartbeat_writer: &str,
        deadline: Duration,
    ) -> Seen<LossFacts> {
        let by = Instant::now() + deadline;
        match self.do_read_loss(old, new, by).await {
            Ok(loss) => Seen::Known(loss),
            Err(why) => Seen::Unknown(why),
        }
    }
}

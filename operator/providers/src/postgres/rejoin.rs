//! An old primary becomes a standby of the new one.

use super::PostgresData;
use super::error::PgError;
use super::loss::{ReportedLoss, reported_by_hook};
use crate::OpCtx;
use muster_core::facts::{DataFacts, DataRole, ErrorClass, LossFacts, Outcome};
use muster_core::ids::RegionName;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::time::Instant;

/// An old primary that does not answer within this is taken for one that only the hook can reach.
const LOOK_AT_OLD: Duration = Duration::from_secs(2);

impl PostgresData {
    /// CHECKPOINT on the new primary, then the user's hook. Without the checkpoint the new primary's control file
    /// still names the old timeline, and `pg_rewind` says "no rewind required" and leaves a node that never catches
    /// up.
    pub(super) async fn do_rejoin(&self, region: &RegionName, follow: &RegionName, ctx: &OpCtx) -> Outcome {
        let Some(runner) = &self.config.rejoin else {
            return Outcome::Failed(ErrorClass::Invalid, "the policy has no rejoin hook".to_owned());
        };
        let prepared = match self.prepare(follow, ctx).await {
            Ok(prepared) => prepared,
            Err(outcome) => return outcome,
        };
        let leader = match self.look(follow, ctx.not_after).await {
            Ok(facts) if facts.role == DataRole::Writable => facts,
            Ok(_) => return Outcome::Conflict(format!("{follow} is a standby itself: nothing to follow")),
            Err(error) => return error.outcome(false),
        };
        let by = ctx.not_after.min(Instant::now() + LOOK_AT_OLD);
        let old = self.look(region, by).await.ok();
        if old.as_ref().is_some_and(|old| follows(old, &leader)) {
            return Outcome::AlreadyDone;
        }
        let failed = |error: PgError| error.outcome(false);
        if let Some(refusal) = match self.refusal(&prepared, ctx).await.map_err(failed) {
            Ok(refusal) => refusal,
            Err(outcome) => return outcome,
        } {
            return super::guarded::outcome_of(&refusal, prepared.session.node());
        }
        if let Err(error) = prepared.session.run("make a checkpoint", "checkpoint").await {
            return error.outcome(false);
        }
        let upstream = prepared.session.node().to_owned();
        prepared.session.keep();
        let counted = match old.filter(|old| old.role == DataRole::Writable) {
            Some(old) => {
                let by = Instant::now() + ctx.remaining() / 2;
                self.count(region, &old, follow, &leader, by).await.ok()
            }
            None => None,
        };
        self.remember_loss(region, follow, &leader, counted);
        let run = runner.run(region, follow, &upstream, ctx).await;
        self.remember_loss(region, follow, &leader, reported_by_hook(&run.stdout));
        run.outcome
    }

    /// After the hook the old log is gone: what was counted first is what stays. A repeated hook may find a log that
    /// the attempt before it had begun to replace.
    fn remember_loss(
        &self,
        region: &RegionName,
        follow: &RegionName,
        leader: &DataFacts,
        loss: Option<LossFacts>,
    ) {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        reported.retain(|old, r| old != region || (r.new == *follow && r.timeline == leader.timeline));
        if let Some(loss) = loss {
            let loss = ReportedLoss { new: follow.clone(), timeline: leader.timeline, loss };
            reported.entry(region.clone()).or_insert(loss);
        }
    }
}

/// A standby that streams the leader's own timeline. That it also *replays* there is for observing to show.
fn follows(facts: &DataFacts, leader: &DataFacts) -> bool {
    facts.role == DataRole::Standby
        && facts.streaming
        && facts.system == leader.system
        && facts.timeline == leader.timeline
}

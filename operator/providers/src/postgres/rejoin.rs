//! An old primary becomes a standby of the new one.

use super::PostgresData;
use super::error::PgError;
use super::loss::{ReportedLoss, reported_by_hook};
use crate::OpCtx;
use muster_core::facts::{DataFacts, DataRole, ErrorClass, Outcome};
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
        if let Ok(facts) = self.look(region, by).await
            && follows(&facts, &leader)
        {
            return Outcome::AlreadyDone;
        }
        let failed = |error: PgError| error.outcome(false);
        if let Some(refusal) = match self.refusal(&prepared, ctx).await.map_err(failed) {
            Ok(refusal) => refusal,
            Err(outcome) => return outcome,
        } {
            return super::effects::outcome_of(&refusal, prepared.session.node());
        }
        if let Err(error) = prepared.session.run("make a checkpoint", "checkpoint").await {
            return error.outcome(false);
        }
        let upstream = prepared.session.node().to_owned();
        prepared.session.keep();
        self.reported.lock().unwrap_or_else(PoisonError::into_inner).remove(region);
        let run = runner.run(region, follow, &upstream, ctx).await;
        if let Some(loss) = reported_by_hook(&run.stdout) {
            let reported = ReportedLoss { new: follow.clone(), timeline: leader.timeline, loss };
            self.reported.lock().unwrap_or_else(PoisonError::into_inner).insert(region.clone(), reported);
        }
        run.outcome
    }
}

/// A standby that streams the leader's own timeline. That it also *replays* there is for observing to show.
fn follows(facts: &DataFacts, leader: &DataFacts) -> bool {
    facts.role == DataRole::Standby
        && facts.streaming
        && facts.system == leader.system
        && facts.timeline == leader.timeline
}

//! Changes at one node of a server of one's own: what `steering.rs` makes at every engine's, and what takes more.

use super::PostgresData;
use super::error::PgError;
use super::guarded::{self, NOT_SENT, Prepared, lease_lost, outcome_of};
use super::look;
use super::receiving;
use super::steering::Change;
use super::sync::parse_list;
use crate::{LeaseLost, OpCtx};
use muster_core::facts::{DataFacts, ErrorClass, Outcome};
use muster_core::ids::RegionName;
use serde::Deserialize;
use tokio::time::Instant;

impl PostgresData {
    /// Connects to the region's node for an effect; changes nothing.
    pub(super) async fn prepare(&self, region: &RegionName, ctx: &OpCtx) -> Result<Prepared<'_>, Outcome> {
        let link = self.link(region).map_err(|error| error.outcome(NOT_SENT))?;
        guarded::prepare(link, ctx).await
    }

    /// One guarded function as a whole effect.
    async fn change(&self, region: &RegionName, change: Change, ctx: &OpCtx) -> Outcome {
        match self.link(region) {
            Ok(link) => self.steering().change(link, change, ctx).await,
            Err(error) => error.outcome(NOT_SENT),
        }
    }

    pub(super) async fn do_promote(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        self.change(region, Change::Promote, ctx).await
    }

    pub(super) async fn do_unfence(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        self.change(region, Change::OpenLogins { older_only: false }, ctx).await
    }

    /// Closes logins and ends sessions; the other nodes are its standbys.
    pub(super) async fn do_fence(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        let link = match self.link(region) {
            Ok(link) => link,
            Err(error) => return error.outcome(NOT_SENT),
        };
        let others: Vec<_> = self.links.iter().filter(|(other, _)| *other != region).collect();
        self.steering().fence(link, &others, ctx).await
    }

    /// Raises the witness. On a node that was promoted since the last time, first clears a synchronous list that
    /// nobody could confirm, and opens the logins that a fence closed elsewhere.
    pub(super) async fn do_open_writer(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        let prepared = match self.prepare(region, ctx).await {
            Ok(prepared) => prepared,
            Err(outcome) => return outcome,
        };
        let cleared = match self.list_to_clear(&prepared, ctx).await {
            Ok(cleared) => cleared,
            Err(outcome) => return outcome,
        };
        let change = Change::OpenLogins { older_only: true };
        let sent = ctx.send(async {
            receiving::forget_stop(&prepared.session).await?;
            if cleared.is_some() {
                // Not in a transaction: PostgreSQL does not allow it. It comes first, because what comes second
                // remembers that this node was opened, and then nobody would clear the list any more.
                prepared
                    .session
                    .run("clear the list", "alter system set synchronous_standby_names = ''")
                    .await?;
                prepared.session.run("reload", "select pg_reload_conf()").await?;
            }
            self.steering().call(&prepared, change, ctx).await
        });
        match sent.await {
            Err(LeaseLost) => lease_lost(),
            Ok(Err(error)) => error.outcome(true),
            Ok(Ok(verdict)) => {
                let outcome = outcome_of(&verdict, prepared.session.node());
                prepared.session.keep();
                match (outcome, cleared) {
                    (Outcome::Issued(None), Some(list)) => Outcome::Issued(Some(format!(
                        "cleared synchronous_standby_names, which nobody could confirm; it was {list}"
                    ))),
                    (other, _) => other,
                }
            }
        }
    }

    /// The synchronous list, if this node is a new primary and too few of its standbys are there. Refuses a stale
    /// effect before anything is changed.
    async fn list_to_clear(&self, prepared: &Prepared<'_>, ctx: &OpCtx) -> Result<Option<String>, Outcome> {
        #[derive(Deserialize)]
        struct Opening {
            promoted: bool,
            confirming: u32,
            list: String,
        }
        let sql = "select json_build_object(
            'promoted', muster.timeline() > (select coalesce(max(timeline), muster.timeline())
                        from (select timeline from muster.opened union all select timeline from muster.fence) t),
            'confirming', (select count(*) from pg_stat_replication where sync_priority > 0 and state = 'streaming'),
            'list', current_setting('synchronous_standby_names'))::text
            where not pg_is_in_recovery()";
        let failed = |error: PgError| error.outcome(NOT_SENT);
        let answer = prepared.session.text("look at the list", sql, &[]).await.map_err(failed)?;
        let Some(answer) = answer else { return Ok(None) };
        let opening: Opening = serde_json::from_str(&answer)
            .map_err(|error| Outcome::Failed(ErrorClass::Transient, error.to_string()))?;
        // A list that cannot be read is cleared too: it was made for another primary.
        let unconfirmed = parse_list(&opening.list).is_none_or(|list| opening.confirming < list.needed);
        if !opening.promoted || !unconfirmed {
            return Ok(None);
        }
        match self.refusal(prepared, ctx).await.map_err(failed)? {
            None => Ok(Some(opening.list)),
            Some(refusal) => Err(outcome_of(&refusal, prepared.session.node())),
        }
    }

    /// Why the node would refuse this effect, by its witness; for changes that no function can guard.
    pub(super) async fn refusal(
        &self,
        prepared: &Prepared<'_>,
        ctx: &OpCtx,
    ) -> Result<Option<String>, PgError> {
        let steering = self.steering();
        let newest = look::witness(&prepared.session, &steering.look_for).await?;
        Ok(newest.and_then(|newest| steering.refuses(&newest, ctx)))
    }

    /// Looks at a region until `by`.
    pub(super) async fn look(&self, region: &RegionName, by: Instant) -> Result<DataFacts, PgError> {
        look::look(self.link(region)?, &self.steering().look_for, by).await
    }
}

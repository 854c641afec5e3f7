//! Changes at one node. Each is one call into Muster's schema, guarded there by the witness and the node's own clock.

use super::PostgresData;
use super::error::PgError;
use super::guarded::{self, NOT_SENT, NUMBERS, Prepared, lease_lost, outcome_of};
use super::look;
use super::receiving;
use super::setup::literal;
use super::sync::parse_list;
use crate::{LeaseLost, OpCtx};
use muster_core::facts::{DataFacts, DataRole, ErrorClass, Outcome, Witness};
use muster_core::ids::RegionName;
use serde::Deserialize;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks while waiting for something that takes milliseconds.
const POLL: Duration = Duration::from_millis(20);
/// Standbys that stream see a commit within one round trip and one replay; longer, and they are not worth waiting for.
const SEEN_WITHIN: Duration = Duration::from_secs(1);

/// The functions of the setup that change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    RaiseWitness,
    CloseLogins,
    OpenLogins { older_only: bool },
    Promote,
}

impl Change {
    fn verb(self) -> &'static str {
        match self {
            Self::RaiseWitness => "raise the witness",
            Self::CloseLogins => "close logins",
            Self::OpenLogins { .. } => "open logins",
            Self::Promote => "promote",
        }
    }
    fn sql(self, application: &str) -> String {
        match self {
            Self::RaiseWitness => format!("select muster.raise_witness({NUMBERS})"),
            Self::CloseLogins => format!("select muster.close_logins({NUMBERS}, {})", literal(application)),
            Self::OpenLogins { older_only } => format!("select muster.open_logins({NUMBERS}, {older_only})"),
            Self::Promote => format!("select muster.promote({NUMBERS})"),
        }
    }
}

impl PostgresData {
    /// Connects to the region's node for an effect; changes nothing.
    pub(super) async fn prepare(&self, region: &RegionName, ctx: &OpCtx) -> Result<Prepared<'_>, Outcome> {
        let link = self.link(region).map_err(|error| error.outcome(NOT_SENT))?;
        guarded::prepare(link, ctx).await
    }

    /// Calls one guarded function.
    pub(super) async fn call(
        &self,
        prepared: &Prepared<'_>,
        change: Change,
        ctx: &OpCtx,
    ) -> Result<String, PgError> {
        let sql = change.sql(&self.config.application.user);
        prepared.call(change.verb(), &sql, (&self.config.owner, &self.config.adopted), ctx).await
    }

    /// One guarded function as a whole effect.
    async fn change(&self, region: &RegionName, change: Change, ctx: &OpCtx) -> Outcome {
        let prepared = match self.prepare(region, ctx).await {
            Ok(prepared) => prepared,
            Err(outcome) => return outcome,
        };
        match ctx.send(self.call(&prepared, change, ctx)).await {
            Err(LeaseLost) => lease_lost(),
            Ok(Err(error)) => error.outcome(true),
            Ok(Ok(verdict)) => {
                let outcome = outcome_of(&verdict, prepared.session.node());
                prepared.session.keep();
                outcome
            }
        }
    }

    pub(super) async fn do_promote(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        self.change(region, Change::Promote, ctx).await
    }

    pub(super) async fn do_unfence(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        self.change(region, Change::OpenLogins { older_only: false }, ctx).await
    }

    /// Closes logins, ends sessions until there are none, makes the log durable up to there, and waits a moment for
    /// standbys to have it. What was not reached by the deadline is in the text; observing tells the rest.
    pub(super) async fn do_fence(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        let prepared = match self.prepare(region, ctx).await {
            Ok(prepared) => prepared,
            Err(outcome) => return outcome,
        };
        let verdict = match ctx.send(self.call(&prepared, Change::CloseLogins, ctx)).await {
            Err(LeaseLost) => return lease_lost(),
            Ok(Err(error)) => return error.outcome(true),
            Ok(Ok(verdict)) => verdict,
        };
        if verdict == "standby" {
            return Outcome::AlreadyDone;
        }
        let outcome = outcome_of(&verdict, prepared.session.node());
        if !matches!(outcome, Outcome::Issued(_)) {
            return outcome;
        }
        let said = match self.end_sessions(&prepared, ctx).await {
            Ok(()) => self.await_standbys(region, ctx).await,
            Err(text) => Some(text),
        };
        prepared.session.keep();
        Outcome::Issued(said)
    }

    async fn end_sessions(&self, prepared: &Prepared<'_>, ctx: &OpCtx) -> Result<(), String> {
        loop {
            let told = prepared.session.text("end sessions", "select muster.end_sessions()::text", &[]).await;
            match told.map_err(|error| error.to_string())?.as_deref() {
                Some("0") => break,
                _ if ctx.remaining() < POLL * 2 => return Err("some sessions did not end in time".to_owned()),
                _ => tokio::time::sleep(POLL).await,
            }
        }
        // Its commit is flushed, and with it everything that the ended sessions had committed without waiting for it.
        match self.call(prepared, Change::RaiseWitness, ctx).await {
            Ok(verdict) if verdict == "ok" => Ok(()),
            Ok(verdict) => Err(format!("the log may not be on disk yet ({verdict})")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Waits until every standby that can be reached and streams has this effect's witness; `None`: all have.
    async fn await_standbys(&self, writer: &RegionName, ctx: &OpCtx) -> Option<String> {
        let by = (Instant::now() + SEEN_WITHIN).min(Instant::now() + ctx.remaining() / 2);
        let others = self.links.keys().filter(|region| *region != writer);
        let waits =
            others.map(|region| async move { (!self.has_witness(region, ctx, by).await).then_some(region) });
        let missing: Vec<String> =
            futures::future::join_all(waits).await.into_iter().flatten().map(ToString::to_string).collect();
        (!missing.is_empty()).then(|| format!("not seen in {} yet", missing.join(", ")))
    }

    async fn has_witness(&self, region: &RegionName, ctx: &OpCtx, by: Instant) -> bool {
        let effect = &ctx.effect;
        let wanted = (effect.epoch, effect.term, effect.seq);
        loop {
            match self.look(region, by).await {
                Ok(facts) if facts.role == DataRole::Standby && facts.streaming => {
                    if facts.witness.is_some_and(|w| w.owner == effect.owner && w.order() >= wanted) {
                        return true;
                    }
                }
                // It cannot get it now.
                _ => return false,
            }
            if Instant::now() + POLL >= by {
                return false;
            }
            tokio::time::sleep(POLL).await;
        }
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
            self.call(&prepared, change, ctx).await
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
        let facts = look::witness(&prepared.session, &self.look_for()).await?;
        Ok(facts.and_then(|newest| self.refuses(&newest, ctx)))
    }

    fn refuses(&self, newest: &Witness, ctx: &OpCtx) -> Option<String> {
        let effect = &ctx.effect;
        if newest.owner != effect.owner && !self.config.adopted.get().contains(&newest.owner) {
            return Some(format!("foreign {} at epoch {}", newest.owner, newest.epoch));
        }
        let stale = if newest.owner == effect.owner {
            newest.order() > (effect.epoch, effect.term, effect.seq)
        } else {
            newest.epoch > effect.epoch
        };
        stale.then(|| format!("stale epoch {} term {} seq {}", newest.epoch, newest.term, newest.seq))
    }

    /// Looks at a region until `by`.
    pub(super) async fn look(&self, region: &RegionName, by: Instant) -> Result<DataFacts, PgError> {
        look::look(self.link(region)?, &self.look_for(), by).await
    }
}

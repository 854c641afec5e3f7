//! Changes at one node that every engine makes alike whose nodes have Muster's functions of `setup_fence.sql`. Each is one call
//! into Muster's schema, guarded there by the witness and the node's own clock.

use super::error::PgError;
use super::guarded::{self, NUMBERS, Prepared, lease_lost, outcome_of};
use super::link::Link;
use super::look::{self, LookFor};
use super::setup::literal;
use crate::{AdoptedOwners, LeaseLost, OpCtx};
use muster_core::facts::{DataRole, Outcome, Witness};
use muster_core::ids::RegionName;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks while waiting for something that takes milliseconds.
const POLL: Duration = Duration::from_millis(20);
/// Standbys that stream see a commit within one round trip and one replay; longer, and they are not worth waiting for.
const SEEN_WITHIN: Duration = Duration::from_secs(1);

/// The functions of the setup that change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    RaiseWitness,
    CloseLogins,
    OpenLogins {
        older_only: bool,
    },
    /// Of a server of one's own alone.
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

/// As whom nodes are steered.
#[derive(Clone, Copy)]
pub(crate) struct Steering<'a> {
    pub(crate) look_for: LookFor<'a>,
    pub(crate) adopted: &'a AdoptedOwners,
}

impl Steering<'_> {
    /// Calls one guarded function.
    pub(super) async fn call(
        &self,
        prepared: &Prepared<'_>,
        change: Change,
        ctx: &OpCtx,
    ) -> Result<String, PgError> {
        let sql = change.sql(self.look_for.application);
        prepared.call(change.verb(), &sql, (self.look_for.owner, self.adopted), ctx).await
    }

    /// One guarded function as a whole effect.
    pub(crate) async fn change(&self, link: &Link, change: Change, ctx: &OpCtx) -> Outcome {
        let prepared = match guarded::prepare(link, ctx).await {
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

    /// Closes logins, ends sessions until there are none, makes the log durable up to there, and waits a moment for
    /// `standbys` to have it. What was not reached by the deadline is in the text; observing tells the rest.
    pub(crate) async fn fence(&self, link: &Link, standbys: &[(&RegionName, &Link)], ctx: &OpCtx) -> Outcome {
        let prepared = match guarded::prepare(link, ctx).await {
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
            Ok(()) => self.await_standbys(standbys, ctx).await,
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
    async fn await_standbys(&self, standbys: &[(&RegionName, &Link)], ctx: &OpCtx) -> Option<String> {
        let by = (Instant::now() + SEEN_WITHIN).min(Instant::now() + ctx.remaining() / 2);
        let mut waits = Vec::new();
        for (region, link) in standbys {
            waits.push(async move { (!self.has_witness(link, ctx, by).await).then(|| region.to_string()) });
        }
        let missing: Vec<String> = futures::future::join_all(waits).await.into_iter().flatten().collect();
        (!missing.is_empty()).then(|| format!("not seen in {} yet", missing.join(", ")))
    }

    async fn has_witness(&self, link: &Link, ctx: &OpCtx, by: Instant) -> bool {
        let effect = &ctx.effect;
        let wanted = (effect.epoch, effect.term, effect.seq);
        loop {
            match look::look(link, &self.look_for, by).await {
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

    /// Why a node with this witness would refuse the effect; for changes that no function can guard.
    pub(crate) fn refuses(&self, newest: &Witness, ctx: &OpCtx) -> Option<String> {
        let effect = &ctx.effect;
        if newest.owner != effect.owner && !self.adopted.get().contains(&newest.owner) {
            return Some(format!("foreign {} at epoch {}", newest.owner, newest.epoch));
        }
        let stale = if newest.owner == effect.owner {
            newest.order() > (effect.epoch, effect.term, effect.seq)
        } else {
            newest.epoch > effect.epoch
        };
        stale.then(|| format!("stale epoch {} term {} seq {}", newest.epoch, newest.term, newest.seq))
    }
}

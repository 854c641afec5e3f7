//! A standby that stops confirming, and starts again.

use super::PostgresData;
use super::conninfo;
use super::error::PgError;
use super::guarded::{Prepared, lease_lost, outcome_of};
use super::link::Session;
use super::setup::literal;
use crate::{LeaseLost, OpCtx};
use muster_core::facts::{ErrorClass, Outcome};
use muster_core::ids::RegionName;
use serde::Deserialize;

/// `primary_conninfo` on a standby.
#[derive(Deserialize)]
struct Source {
    recovering: bool,
    conninfo: String,
}

const SOURCE: &str = "select json_build_object('recovering', pg_is_in_recovery(), \
                      'conninfo', current_setting('primary_conninfo'))::text";

impl PostgresData {
    pub(super) async fn do_stop_receiving(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        self.redirect(region, ctx, |source| if source.is_empty() { None } else { conninfo::stopped(source) })
            .await
    }

    pub(super) async fn do_resume_receiving(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        self.redirect(region, ctx, |source| conninfo::running(source).map(ToOwned::to_owned)).await
    }

    /// Rewrites `primary_conninfo`; `None` from `rewrite`: it is as wanted.
    async fn redirect(
        &self,
        region: &RegionName,
        ctx: &OpCtx,
        rewrite: impl Fn(&str) -> Option<String> + Send,
    ) -> Outcome {
        let prepared = match self.prepare(region, ctx).await {
            Ok(prepared) => prepared,
            Err(outcome) => return outcome,
        };
        let source = match self.source(&prepared, ctx).await {
            Ok(source) => source,
            Err(outcome) => return outcome,
        };
        let Some(wanted) = rewrite(&source) else {
            prepared.session.keep();
            return Outcome::AlreadyDone;
        };
        let sent = ctx.send(async {
            let sql = format!("alter system set primary_conninfo = {}", literal(&wanted));
            prepared.session.run("redirect the receiver", &sql).await?;
            prepared.session.run("reload", "select pg_reload_conf()").await
        });
        match sent.await {
            Err(LeaseLost) => lease_lost(),
            Ok(Err(error)) => error.outcome(true),
            Ok(Ok(())) => {
                prepared.session.keep();
                Outcome::Issued(None)
            }
        }
    }

    async fn source(&self, prepared: &Prepared<'_>, ctx: &OpCtx) -> Result<String, Outcome> {
        let failed = |error: PgError| error.outcome(false);
        if let Some(refusal) = self.refusal(prepared, ctx).await.map_err(failed)? {
            return Err(outcome_of(&refusal, prepared.session.node()));
        }
        let answer = prepared.session.text("read primary_conninfo", SOURCE, &[]).await.map_err(failed)?;
        let source: Source = serde_json::from_str(&answer.unwrap_or_default())
            .map_err(|error| Outcome::Failed(ErrorClass::Transient, error.to_string()))?;
        if source.recovering {
            Ok(source.conninfo)
        } else {
            Err(Outcome::Conflict(format!("{} takes writes: it is no standby", prepared.session.node())))
        }
    }
}

/// On a writer: takes the mark of a stop away, so that it cannot come to life again when this node, or one rewound
/// from it, is a standby later.
pub(super) async fn forget_stop(session: &Session<'_>) -> Result<(), PgError> {
    let answer = session.text("read primary_conninfo", SOURCE, &[]).await?.unwrap_or_default();
    let Ok(source) = serde_json::from_str::<Source>(&answer) else { return Ok(()) };
    match conninfo::running(&source.conninfo) {
        Some(wanted) if !source.recovering => {
            let sql = format!("alter system set primary_conninfo = {}", literal(wanted));
            session.run("redirect the receiver", &sql).await
        }
        _ => Ok(()),
    }
}

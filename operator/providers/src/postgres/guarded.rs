//! A call of one guarded function of Muster's schema: the node compares the effect's numbers with its witness, and the
//! deadline with its own clock. Every engine whose nodes speak PostgreSQL's protocol steers by it.

use super::error::PgError;
use super::link::{Link, Param, Session};
use crate::{AdoptedOwners, LeaseLost, OpCtx};
use muster_core::facts::{ErrorClass, Outcome};
use muster_core::ids::Owner;
use tokio::time::Instant;
use tokio_postgres::types::Type;

/// The arguments that every guarded function begins with.
pub(crate) const NUMBERS: &str = "$1, $2, $3, $4, $5, $6::text::timestamptz + $7 * interval '1 millisecond'";

/// A session for an effect, with the node's clock read once.
pub(crate) struct Prepared<'a> {
    pub(crate) session: Session<'a>,
    /// The node's clock, in its own words.
    clock: String,
    /// Ours when that answer was here: the deadline that the node gets is never later than ours.
    read_at: Instant,
}

/// Text of a failed clock reading and so on never counts as sent.
pub(crate) const NOT_SENT: bool = false;

/// Connects and reads the node's clock. Nothing here changes anything, so a dead idle connection is replaced.
pub(crate) async fn prepare<'a>(link: &'a Link, ctx: &OpCtx) -> Result<Prepared<'a>, Outcome> {
    let outcome = |error: PgError| error.outcome(NOT_SENT);
    if ctx.remaining().is_zero() {
        return Err(Outcome::Failed(
            ErrorClass::Transient,
            "the deadline has passed: nothing was sent".into(),
        ));
    }
    let session = link.session(ctx.not_after).await.map_err(outcome)?;
    let was_idle = session.was_idle();
    match read_clock(session).await {
        Err(error) if was_idle && error.is_stale_connection() => {
            let session = link.fresh_session(ctx.not_after).await.map_err(outcome)?;
            read_clock(session).await.map_err(outcome)
        }
        other => other.map_err(outcome),
    }
}

impl Prepared<'_> {
    /// Runs `sql`, which calls one guarded function with [`NUMBERS`], and gives its verdict.
    pub(crate) async fn call(
        &self,
        verb: &'static str,
        sql: &str,
        (owner, adopted): (&Owner, &AdoptedOwners),
        ctx: &OpCtx,
    ) -> Result<String, PgError> {
        let effect = &ctx.effect;
        let [epoch, term, seq] =
            [effect.epoch.0, effect.term.0, effect.seq.0].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        let adopted = adopted.get();
        let adopted: Vec<&str> = adopted.iter().map(Owner::as_str).collect();
        let owner = owner.as_str();
        let left = ctx.not_after.saturating_duration_since(self.read_at).as_millis();
        #[allow(clippy::cast_precision_loss)]
        let left = left as f64;
        let params: [Param<'_>; 7] = [
            (&owner, Type::TEXT),
            (&epoch, Type::INT8),
            (&term, Type::INT8),
            (&seq, Type::INT8),
            (&adopted, Type::TEXT_ARRAY),
            (&self.clock, Type::TEXT),
            (&left, Type::FLOAT8),
        ];
        let answer = self.session.text(verb, sql, &params).await?;
        answer.ok_or_else(|| PgError::Unreadable {
            node: self.session.node().to_owned(),
            what: "no verdict".to_owned(),
        })
    }
}

async fn read_clock(session: Session<'_>) -> Result<Prepared<'_>, PgError> {
    let left = session.left().as_millis().max(1);
    let sql =
        format!("set statement_timeout = {left}; set lock_timeout = {left}; select clock_timestamp()::text");
    let clock = session.texts("read the clock", &sql).await?.into_iter().next();
    let read_at = Instant::now();
    let clock = clock.ok_or_else(|| PgError::Unreadable {
        node: session.node().to_owned(),
        what: "no clock".to_owned(),
    })?;
    Ok(Prepared { session, clock, read_at })
}

/// The process may not act any more; another one goes on.
pub(crate) fn lease_lost() -> Outcome {
    Outcome::Failed(ErrorClass::Transient, LeaseLost.to_string())
}

/// What a verdict of the setup's functions means.
pub(crate) fn outcome_of(verdict: &str, node: &str) -> Outcome {
    let said = |text: &str| format!("{node}: {text}");
    match verdict.split(' ').next().unwrap_or_default() {
        "ok" => Outcome::Issued(None),
        "writable" => Outcome::AlreadyDone,
        "stale" => Outcome::StaleEpoch(said(&format!(
            "the witness is newer: {}",
            verdict.trim_start_matches("stale ")
        ))),
        "foreign" => Outcome::Conflict(said(&format!(
            "the witness is another policy's: {}; `muster adopt` takes it over",
            verdict.trim_start_matches("foreign ")
        ))),
        "standby" => Outcome::Conflict(said("it is a standby and takes no writes")),
        "unseen" => {
            Outcome::Conflict(said("it has no witness of this policy, so it cannot refuse what is older"))
        }
        "late" => {
            Outcome::Failed(ErrorClass::Transient, said("by its own clock the deadline has passed; refused"))
        }
        "unlisted" => Outcome::Failed(
            ErrorClass::Invalid,
            said("the application's role does not exist or is not in muster.fenced_role"),
        ),
        other => Outcome::Failed(ErrorClass::Transient, said(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_says_what_may_be_assumed() {
        let outcome = |verdict| outcome_of(verdict, "n");
        assert_eq!(outcome("ok"), Outcome::Issued(None));
        assert_eq!(outcome("writable"), Outcome::AlreadyDone);
        assert!(
            matches!(outcome("stale epoch 3 term 1 seq 2"), Outcome::StaleEpoch(s) if s.contains("epoch 3"))
        );
        assert!(matches!(outcome("foreign u9 at epoch 4"), Outcome::Conflict(s) if s.contains("u9")));
        assert!(matches!(outcome("unseen"), Outcome::Conflict(_)));
        assert!(matches!(outcome("late"), Outcome::Failed(ErrorClass::Transient, _)));
        assert!(matches!(outcome("unlisted"), Outcome::Failed(ErrorClass::Invalid, _)));
        assert!(matches!(outcome("unsignalled"), Outcome::Failed(ErrorClass::Transient, _)));
    }
}

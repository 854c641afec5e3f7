//! How a verb ends: by an outcome of its own, a failed call, a lost lease, or its deadline.

use crate::aws::{CallError, done_in_part, transient};
use crate::{LeaseLost, OpCtx};
use aws_sdk_route53::error::BuildError;
use muster_core::facts::{ErrorClass, Outcome};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::timeout_at;

/// So long at most is anybody waited for whom a verb or a look can do without.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// So long is one waited for who may be lost: a part of the deadline at most.
pub(super) fn share_of(ctx: &OpCtx) -> Duration {
    (ctx.remaining() / 4).min(PATIENCE)
}

/// How many requests of one verb may have had an effect, or may have it still. Several may be out at once.
#[derive(Debug, Default)]
pub(super) struct Sends(AtomicU32);

impl Sends {
    /// One is about to leave.
    pub(super) fn leave(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One of those counted has never left, or is known to have had no effect and never to have one.
    pub(super) fn had_no_effect(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// The answer to one of those counted: every refusal but one that leaves it open had no effect.
    pub(super) fn failed(&self, error: &CallError) {
        if error.class != ErrorClass::UnknownOutcome {
            self.had_no_effect();
        }
    }

    /// Whether something of the verb may stand, or may come to stand.
    pub(super) fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

/// A verb that gave no outcome of its own.
#[derive(Debug, thiserror::Error)]
pub(super) enum VerbError {
    #[error("{}", .0.why)]
    Before(CallError),
    #[error("{}", .0.why)]
    After(CallError),
    #[error(transparent)]
    Lease(#[from] LeaseLost),
    #[error("failed to make the change: {0}")]
    Build(#[from] BuildError),
}

impl VerbError {
    /// The call that failed, if one did.
    pub(super) const fn call(&self) -> Option<&CallError> {
        match self {
            Self::Before(error) | Self::After(error) => Some(error),
            Self::Lease(_) | Self::Build(_) => None,
        }
    }

    /// A read that failed has changed nothing, whatever became of it.
    const fn class(&self) -> ErrorClass {
        match self {
            Self::Before(error) => match error.class {
                ErrorClass::UnknownOutcome => ErrorClass::Transient,
                class => class,
            },
            Self::After(error) => error.class,
            Self::Lease(_) => ErrorClass::Transient,
            Self::Build(_) => ErrorClass::Invalid,
        }
    }
}

/// Waits for a verb until its deadline; `whom` is waited for. Where any request of the verb may have had its effect, a failure is
/// that of something done in part.
pub(super) async fn end_verb(
    work: impl Future<Output = Result<Outcome, VerbError>> + Send,
    ctx: &OpCtx,
    sends: &Sends,
    whom: &str,
    about: impl Fn(&str) -> String + Send,
) -> Outcome {
    let outcome = match timeout_at(ctx.not_after, work).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => Outcome::Failed(error.class(), about(&error.to_string())),
        Err(_) => transient(about(&format!("no answer of {whom} by the deadline"))),
    };
    if sends.any() { done_in_part(outcome) } else { outcome }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::fixtures::ctx_that_leads_for;

    #[tokio::test(start_paused = true)]
    async fn who_may_be_lost_is_waited_for_a_part_of_the_deadline() {
        let ctx = ctx_that_leads_for(0);
        assert_eq!(share_of(&ctx), PATIENCE, "of 20 s");
        tokio::time::advance(Duration::from_secs(16)).await;
        assert_eq!(share_of(&ctx), Duration::from_secs(1));
    }

    async fn ended(sends: &Sends, outcome: Outcome) -> Outcome {
        let ctx = ctx_that_leads_for(0);
        end_verb(async { Ok(outcome) }, &ctx, sends, "nobody", str::to_owned).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_one_without_effect_only_where_nothing_that_was_sent_may_have_one() {
        let failed = |class| Outcome::Failed(class, "x".to_owned());
        let (unknown, denied) = (failed(ErrorClass::UnknownOutcome), failed(ErrorClass::Denied));
        let sends = Sends::default();
        assert_eq!(ended(&sends, denied.clone()).await, denied);
        sends.leave();
        sends.leave();
        sends.had_no_effect();
        for class in [ErrorClass::Denied, ErrorClass::Transient, ErrorClass::Invalid] {
            assert_eq!(ended(&sends, failed(class)).await, unknown, "{class:?}");
        }
        for kept in [failed(ErrorClass::Throttled), Outcome::Conflict("x".to_owned()), Outcome::AlreadyDone] {
            assert_eq!(ended(&sends, kept.clone()).await, kept);
        }
        sends.had_no_effect();
        assert_eq!(ended(&sends, denied.clone()).await, denied);
    }

    #[tokio::test(start_paused = true)]
    async fn a_verb_ends_at_its_deadline() {
        for (left, class) in [(false, ErrorClass::Transient), (true, ErrorClass::UnknownOutcome)] {
            let (ctx, sends) = (ctx_that_leads_for(0), Sends::default());
            let work = async {
                if left {
                    sends.leave();
                }
                std::future::pending().await
            };
            let outcome = end_verb(work, &ctx, &sends, "nobody", str::to_owned).await;
            assert_eq!(outcome, Outcome::Failed(class, "no answer of nobody by the deadline".to_owned()));
            assert!(ctx.remaining().is_zero());
        }
    }
}

//! How a verb ends that did not come to an outcome of its own: a failed call, a lost lease, or its deadline.

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

    fn any(&self) -> bool {
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

/// Waits for a verb until its deadline; `whom` is waited for. No failure is said to have had no effect where any request of the
/// verb may have one.
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

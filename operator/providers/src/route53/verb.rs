//! How a verb ends that did not come to an outcome of its own: a failed call, a lost lease, or its deadline.

use crate::aws::{CallError, late};
use crate::{LeaseLost, OpCtx};
use aws_sdk_route53::error::BuildError;
use muster_core::facts::{ErrorClass, Outcome};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::timeout_at;

/// So long at most is anybody waited for whom a verb or a look can do without.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// So long is one waited for who may be lost: a part of the deadline at most.
pub(super) fn share_of(ctx: &OpCtx) -> Duration {
    (ctx.remaining() / 4).min(PATIENCE)
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

/// Waits for a verb until its deadline. `under_way`: a request is out that changes something; `whom` is waited for.
pub(super) async fn end_verb(
    work: impl Future<Output = Result<Outcome, VerbError>> + Send,
    ctx: &OpCtx,
    under_way: &AtomicBool,
    whom: &str,
    about: impl Fn(&str) -> String + Send,
) -> Outcome {
    match timeout_at(ctx.not_after, work).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => Outcome::Failed(error.class(), about(&error.to_string())),
        Err(_) => {
            late(under_way.load(Ordering::Relaxed), about(&format!("no answer of {whom} by the deadline")))
        }
    }
}

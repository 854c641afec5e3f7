//! What the effects of all engines have in common that a control plane carries out: it checks nothing of Muster's, and may have
//! acted although no answer came.

use super::CallError;
use crate::OpCtx;
use muster_core::facts::{ErrorClass, Outcome};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};

/// A region that shows nothing to act on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Silent {
    pub(crate) class: ErrorClass,
    pub(crate) why: String,
}

impl Silent {
    /// A read that failed has changed nothing, whatever became of it.
    pub(crate) fn new(region: &str, error: &CallError) -> Self {
        Self::of("RDS", region, error)
    }

    /// The same of another service.
    pub(crate) fn of(service: &str, region: &str, error: &CallError) -> Self {
        let (class, does) = match error.class {
            ErrorClass::Denied | ErrorClass::Invalid | ErrorClass::Conflict => (error.class, "refuses"),
            ErrorClass::Throttled => (error.class, "throttles"),
            ErrorClass::Transient | ErrorClass::UnknownOutcome => (ErrorClass::Transient, "does not answer"),
        };
        Self { class, why: format!("{service} in {region} {does}: {}", error.why) }
    }

    /// Whether nothing at all was heard: not a refusal, and not that the thing does not exist.
    pub(crate) const fn says_nothing(&self) -> bool {
        matches!(self.class, ErrorClass::Transient | ErrorClass::UnknownOutcome)
    }

    pub(crate) fn outcome(self) -> Outcome {
        Outcome::Failed(self.class, self.why)
    }
}

/// It had no effect, and may have it later.
pub(crate) fn transient(why: String) -> Outcome {
    Outcome::Failed(ErrorClass::Transient, why)
}

/// It was refused, and always will be.
pub(crate) fn invalid(why: impl Into<String>) -> Outcome {
    Outcome::Failed(ErrorClass::Invalid, why.into())
}

/// The deadline is over, and no answer came. What was sent may still have its effect.
fn late(was_sent: bool, why: String) -> Outcome {
    Outcome::Failed(if was_sent { ErrorClass::UnknownOutcome } else { ErrorClass::Transient }, why)
}

/// What an effect of several changes ends with where one was carried out, or may have been: a failure of another one does not
/// mean that nothing was done. Being throttled stays what it is, to be repeated more slowly; so does what stands in the way.
pub(crate) fn done_in_part(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Failed(ErrorClass::Throttled, _) => outcome,
        Outcome::Failed(_, why) => Outcome::Failed(ErrorClass::UnknownOutcome, why),
        other => other,
    }
}

/// Ends an effect at its deadline.
pub(crate) async fn by_deadline(
    ctx: &OpCtx,
    sent: &AtomicBool,
    effect: impl Future<Output = Outcome> + Send,
) -> Outcome {
    if let Ok(outcome) = tokio::time::timeout_at(ctx.not_after, effect).await {
        return outcome;
    }
    late(sent.load(Ordering::Relaxed), "no answer of AWS by the deadline".to_owned())
}

//! One call to an API server: with a deadline, and what its failure means.

use muster_core::facts::{ErrorClass, Outcome};
use std::time::Duration;

/// Why a call did not work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Failure {
    pub(super) class: ErrorClass,
    pub(super) why: String,
    /// Somebody else changed the object first: nothing was done, and a new look may show that it still can be.
    pub(super) is_beaten: bool,
}

impl Failure {
    pub(super) fn new(class: ErrorClass, why: impl Into<String>) -> Self {
        Self { class, why: why.into(), is_beaten: false }
    }

    pub(super) fn outcome(self) -> Outcome {
        match self.class {
            ErrorClass::Conflict => Outcome::Conflict(self.why),
            class => Outcome::Failed(class, self.why),
        }
    }
}

/// What a call without an answer may have done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Effect {
    Read,
    Write,
}

/// Waits for `call`, at most for `deadline`.
pub(super) async fn within<T>(
    effect: Effect,
    deadline: Duration,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, Failure> {
    let unanswered = match effect {
        Effect::Read => ErrorClass::Transient,
        Effect::Write => ErrorClass::UnknownOutcome,
    };
    match tokio::time::timeout(deadline, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => {
            let failure = Failure::new(class_of(status.code, unanswered), &status.message);
            Err(Failure { is_beaten: status.code == 409, ..failure })
        }
        Ok(Err(error)) => Err(Failure::new(unanswered, tell(&error))),
        Err(_) => Err(Failure::new(unanswered, format!("no answer within {} ms", deadline.as_millis()))),
    }
}

const fn class_of(code: u16, unanswered: ErrorClass) -> ErrorClass {
    match code {
        401 | 403 => ErrorClass::Denied,
        // A workload that is not there yet may come.
        404 | 409 | 410 => ErrorClass::Conflict,
        400 | 405 | 413 | 415 | 422 => ErrorClass::Invalid,
        429 => ErrorClass::Throttled,
        _ => unanswered,
    }
}

/// What went wrong with a call to an API server, the innermost cause too: the client's own words are only "service error".
pub fn tell(error: &kube::Error) -> String {
    let mut told = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        let inner_told = inner.to_string();
        if !told.contains(&inner_told) {
            told = format!("{told}: {inner_told}");
        }
        source = inner.source();
    }
    told
}

//! One call to the API server: with a deadline, tried once, and what its failure means.

use crate::store::{StoreError, StoreErrorClass as Class};
use kube::core::Status;
use muster_core::time::Millis;
use muster_providers::kubernetes::tell;
use std::future::Future;
use std::time::Duration;

/// A plain call of the client has no deadline of its own.
const DEADLINE: Duration = Duration::from_secs(5);

/// What a call could do to the cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Effect {
    /// Nothing: without an answer nothing happened.
    Read,
    /// Without an answer it may have happened.
    Write,
}

/// How a call went wrong, as far as callers tell it apart.
#[derive(Debug)]
pub(super) enum Failed {
    /// There is no such object.
    Missing,
    /// It was changed or created by somebody else first.
    Beaten,
    /// Anything else.
    Other(StoreError),
}

impl Failed {
    /// For callers to whom neither a missing object nor a rival can happen.
    pub(super) fn unexpected(self, verb: &'static str) -> StoreError {
        match self {
            Self::Other(error) => error,
            Self::Missing => api(verb, Class::Unknown, "an object is gone that was there a moment ago"),
            Self::Beaten => api(verb, Class::Busy, "somebody else changes the same object all the time"),
        }
    }
}

fn api(verb: &'static str, class: Class, why: impl Into<String>) -> StoreError {
    StoreError::Api { verb, why: why.into(), class }
}

/// Waits for `call`, at most for its deadline.
pub(super) async fn call<T>(
    verb: &'static str,
    effect: Effect,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, Failed> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => Err(judge(verb, effect, &status)),
        Ok(Err(error)) => Err(Failed::Other(api(verb, unanswered(effect), tell(&error)))),
        Err(_) => Err(Failed::Other(match effect {
            Effect::Read => api(verb, Class::Busy, format!("no answer within {DEADLINE:?}")),
            Effect::Write => StoreError::Deadline { verb, after: Millis::from(DEADLINE) },
        })),
    }
}

const fn unanswered(effect: Effect) -> Class {
    match effect {
        Effect::Read => Class::Busy,
        Effect::Write => Class::Unknown,
    }
}

fn judge(verb: &'static str, effect: Effect, status: &Status) -> Failed {
    let said = || status.message.clone();
    let other = |class, why: String| Failed::Other(api(verb, class, why));
    match status.code {
        // Without a name it is the kind that is missing, not the object.
        404 if status.details.as_ref().is_none_or(|d| d.name.is_empty()) => {
            other(Class::Broken, format!("{}; are Muster's CustomResourceDefinitions installed?", said()))
        }
        404 => Failed::Missing,
        409 | 410 => Failed::Beaten,
        401 | 429 => other(Class::Busy, said()),
        403 => other(Class::Broken, format!("{}: give Muster's ServiceAccount this permission", said())),
        400 | 405 | 413 | 415 | 422 => other(Class::Refused, said()),
        // The API server tells a full etcd as an internal error.
        500 if status.message.contains("space exceeded") => other(Class::Full, said()),
        _ => other(unanswered(effect), said()),
    }
}

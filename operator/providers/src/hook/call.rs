//! One call, by program or by endpoint, and what its failure means.

use super::config::{Call, ExecConfig, HookConfigError};
use super::context::Context;
use super::exec::{self, Exit};
use super::webhook::Webhook;
use crate::{LeaseLost, OpCtx};
use http::StatusCode;
use muster_core::facts::{ErrorClass, Outcome, Seen};
use std::io;
use std::time::Duration;
use tokio::time::Instant;

/// A call that is ready to be made.
#[derive(Debug)]
pub(super) enum Caller {
    Exec(ExecConfig),
    Webhook(Box<Webhook>),
}

impl Caller {
    /// `field` is where the call stands, for messages.
    pub(super) fn from_config(field: &'static str, call: &Call) -> Result<Self, HookConfigError> {
        match call {
            Call::Exec(config) => {
                config.check(field)?;
                Ok(Self::Exec(config.clone()))
            }
            Call::Webhook(config) => Ok(Self::Webhook(Box::new(Webhook::from_config(field, config)?))),
        }
    }

    /// Carries out an effect; also returns what it printed or answered.
    pub(super) async fn act(&self, context: &Context, ctx: &OpCtx) -> (Outcome, String) {
        let done = match self {
            Self::Exec(config) => exec::act(config, context, ctx).await,
            Self::Webhook(webhook) => webhook.act(context, ctx).await,
        };
        match done {
            Ok((printed, _)) => (Outcome::Issued(None), printed),
            Err(error) if error.class() == ErrorClass::Conflict => {
                (Outcome::Conflict(error.to_string()), String::new())
            }
            Err(error) => (Outcome::Failed(error.class(), error.to_string()), String::new()),
        }
    }

    /// Asks for a status and reads it by `read`.
    pub(super) async fn ask<T>(
        &self,
        context: &Context,
        deadline: Duration,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Seen<T> {
        let until = Instant::now() + deadline;
        let answer = match self {
            Self::Exec(config) => exec::ask(config, context, until).await,
            Self::Webhook(webhook) => webhook.ask(context, until).await,
        };
        match answer {
            Ok((_, true)) => Seen::Unknown("the status is longer than 64 KiB".to_owned()),
            Ok((text, false)) => read(&text).map_or_else(Seen::Unknown, Seen::Known),
            Err(error) => Seen::Unknown(error.to_string()),
        }
    }
}

/// Why a call did not go through.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error(transparent)]
    Lease(LeaseLost),
    #[error("failed to start {program}: {source}")]
    Start { program: String, source: io::Error },
    #[error("failed to wait for {program}: {source}")]
    Wait { program: String, source: io::Error },
    #[error("{program} {status}{complained}")]
    Exit { program: String, status: Exit, complained: String },
    #[error("{program} was killed at its deadline, with all that it started{complained}")]
    Killed { program: String, complained: String },
    #[error("failed to connect to {origin}: {reason}")]
    Connect { origin: String, reason: String },
    #[error("failed to make the request for {origin}: {reason}")]
    Request { origin: String, reason: String },
    #[error("{origin} broke off after the request was sent: {reason}")]
    Broken { origin: String, reason: String },
    #[error("{origin} did not answer by the deadline")]
    TooLate { origin: String },
    #[error("{origin} answered {status}{said}")]
    Status { origin: String, status: StatusCode, said: String },
}

impl CallError {
    /// What may be assumed.
    pub(super) fn class(&self) -> ErrorClass {
        match self {
            Self::Start { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => ErrorClass::Invalid,
                io::ErrorKind::PermissionDenied => ErrorClass::Denied,
                _ => ErrorClass::Transient,
            },
            Self::Exit { status, .. } if status.is_usage() => ErrorClass::Invalid,
            Self::Exit { status, .. } if status.is_killed() => ErrorClass::UnknownOutcome,
            Self::Exit { .. } | Self::Lease(_) | Self::Connect { .. } => ErrorClass::Transient,
            Self::Request { .. } => ErrorClass::Invalid,
            Self::Wait { .. } | Self::Killed { .. } | Self::Broken { .. } | Self::TooLate { .. } => {
                ErrorClass::UnknownOutcome
            }
            Self::Status { status, .. } => match *status {
                StatusCode::CONFLICT => ErrorClass::Conflict,
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorClass::Denied,
                StatusCode::TOO_MANY_REQUESTS => ErrorClass::Throttled,
                // A proxy's word, which does not know what became of the request behind it.
                StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => ErrorClass::UnknownOutcome,
                status if status.is_server_error() => ErrorClass::Transient,
                _ => ErrorClass::Invalid,
            },
        }
    }
}

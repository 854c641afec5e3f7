//! What can go wrong at a node, and what may be assumed then.

use muster_core::facts::{ErrorClass, Outcome};
use std::time::Duration;
use tokio_postgres::error::SqlState;

/// A failed verb at one node.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PgError {
    /// No connection: nothing was asked.
    #[error("failed to connect to {node}: {}", told(source))]
    Connect { node: String, source: tokio_postgres::Error },
    /// The node answered with an error, or the connection broke before an answer.
    #[error("failed to {verb} at {node}: {}", told(source))]
    Query { node: String, verb: &'static str, source: tokio_postgres::Error },
    /// No answer by the deadline.
    #[error("{node} did not answer within {} ms ({verb})", limit.as_millis())]
    Late { node: String, verb: &'static str, limit: Duration },
    /// The answer is not what this version expects.
    #[error("{node} gave an answer that cannot be read: {what}")]
    Unreadable { node: String, what: String },
    /// The setup SQL has not been run there, or by an older version.
    #[error(
        "{node}: the setup SQL of Muster is missing or old ({what}); run it on the primary, see docs/postgres.md \
         or, for Aurora and RDS, docs/aws.md"
    )]
    Setup { node: String, what: String },
    /// The policy names no node there.
    #[error("the policy has no PostgreSQL node in {0}")]
    NoNode(String),
}

/// The server's own words where there are some; the driver's say only "db error".
fn told(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        return format!("{} ({})", db.message(), db.code().code());
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

impl PgError {
    /// Wraps an error of a statement; a missing schema or function becomes [`PgError::Setup`].
    pub(crate) fn query(node: &str, verb: &'static str, source: tokio_postgres::Error) -> Self {
        let node = node.to_owned();
        let missing = [
            &SqlState::INVALID_SCHEMA_NAME,
            &SqlState::UNDEFINED_TABLE,
            &SqlState::UNDEFINED_FUNCTION,
            &SqlState::UNDEFINED_COLUMN,
        ];
        if source.code().is_some_and(|code| missing.contains(&code)) {
            return Self::Setup { node, what: told(&source) };
        }
        Self::Query { node, verb, source }
    }

    /// The server closed the connection, or it broke: a pooled one may simply be old.
    pub(crate) fn is_stale_connection(&self) -> bool {
        match self {
            Self::Query { source, .. } => {
                source.is_closed()
                    || source.code().is_none()
                    || source.code().is_some_and(|c| {
                        [&SqlState::ADMIN_SHUTDOWN, &SqlState::CRASH_SHUTDOWN, &SqlState::CANNOT_CONNECT_NOW]
                            .contains(&c)
                    })
            }
            _ => false,
        }
    }

    /// The class of a call whose request had (`sent`) or had not left. An error that the server itself reported
    /// means that its transaction had no effect.
    pub(crate) fn class(&self, sent: bool) -> ErrorClass {
        match self {
            Self::Setup { .. } | Self::NoNode(_) => ErrorClass::Invalid,
            Self::Connect { source, .. } | Self::Query { source, .. } => match source.code() {
                Some(code) => server_class(code),
                None if sent => ErrorClass::UnknownOutcome,
                None => ErrorClass::Transient,
            },
            Self::Late { .. } | Self::Unreadable { .. } if sent => ErrorClass::UnknownOutcome,
            Self::Late { .. } | Self::Unreadable { .. } => ErrorClass::Transient,
        }
    }

    /// As an outcome.
    pub(crate) fn outcome(&self, sent: bool) -> Outcome {
        Outcome::Failed(self.class(sent), self.to_string())
    }
}

/// By the class of the SQLSTATE (PostgreSQL documentation, appendix A).
fn server_class(code: &SqlState) -> ErrorClass {
    if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        return ErrorClass::Denied;
    }
    match &code.code()[..2] {
        "28" => ErrorClass::Denied,
        "53" => ErrorClass::Throttled,
        "08" | "25" | "40" | "55" | "57" | "58" => ErrorClass::Transient,
        _ => ErrorClass::Invalid,
    }
}

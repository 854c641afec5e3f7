//! What the service says when it does not do as it is told.

use super::messages::XMLNS;
use crate::service::Refusal;
use crate::xml::{write_document, write_error};
use serde::Serialize;

/// How an `InvalidChangeBatch` is answered.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum BatchErrorForm {
    /// As every other error, in `<ErrorResponse>`, with the reasons in brackets: what the service answers today.
    #[default]
    Wrapped,
    /// As `<InvalidChangeBatch>` with one message for each reason: an older form that some SDKs still read. The SDK
    /// for Rust finds neither a code nor a message in it.
    Bare,
}

/// A refusal by Route 53.
#[derive(Debug, thiserror::Error)]
pub(super) enum Route53Refusal {
    #[error("No hosted zone found with ID: {0}")]
    NoSuchHostedZone(String),
    #[error("Could not find resource with ID: {0}")]
    NoSuchChange(String),
    #[error("No health check exists with the specified ID: {0}")]
    NoSuchHealthCheck(String),
    /// With this reference of a caller.
    #[error("A health check has already been created with caller reference '{0}'")]
    HealthCheckAlreadyExists(String),
    #[error("The health check has version {current}, and not {named}")]
    HealthCheckVersionMismatch { current: u64, named: u64 },
    /// Of the account that asks.
    #[error("User: arn:aws:iam::{0}:user/fake is not authorized to access this resource")]
    AccessDenied(String),
    #[error("{0}")]
    InvalidInput(String),
    #[error("{}", in_brackets(.0))]
    InvalidChangeBatch(Vec<String>),
}

/// The service prints a list.
fn in_brackets(reasons: &[String]) -> String {
    format!("[{}]", reasons.join(", "))
}

impl Route53Refusal {
    fn status_and_code(&self) -> (u16, &'static str) {
        match self {
            Self::NoSuchHostedZone(_) => (404, "NoSuchHostedZone"),
            Self::NoSuchChange(_) => (404, "NoSuchChange"),
            Self::NoSuchHealthCheck(_) => (404, "NoSuchHealthCheck"),
            Self::HealthCheckAlreadyExists(_) => (409, "HealthCheckAlreadyExists"),
            Self::HealthCheckVersionMismatch { .. } => (409, "HealthCheckVersionMismatch"),
            Self::AccessDenied(_) => (403, "AccessDenied"),
            Self::InvalidInput(_) => (400, "InvalidInput"),
            Self::InvalidChangeBatch(_) => (400, "InvalidChangeBatch"),
        }
    }
}

impl From<Route53Refusal> for Refusal {
    fn from(refused: Route53Refusal) -> Self {
        let (status, code) = refused.status_and_code();
        let mut refusal = Self::new(status, code, refused.to_string());
        if let Route53Refusal::InvalidChangeBatch(reasons) = refused {
            refusal.reasons = reasons;
        }
        refusal
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct InvalidChangeBatch<'a> {
    #[serde(rename = "@xmlns")]
    xmlns: &'a str,
    messages: Messages<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Messages<'a> {
    message: &'a [String],
}

/// Writes the body of a refusal.
pub(super) fn write(refusal: &Refusal, request_id: &str, form: BatchErrorForm) -> String {
    if refusal.code != "InvalidChangeBatch" || form == BatchErrorForm::Wrapped {
        return write_error(Some(XMLNS), refusal, request_id);
    }
    let whole = std::slice::from_ref(&refusal.message);
    let message = if refusal.reasons.is_empty() { whole } else { refusal.reasons.as_slice() };
    let document = InvalidChangeBatch { xmlns: XMLNS, messages: Messages { message }, request_id };
    write_document("InvalidChangeBatch", &document)
}

//! What a failed call says, and whether it can have happened all the same.

use super::Action;
use aws_sdk_route53::config::http::HttpResponse;
use aws_sdk_route53::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use muster_core::facts::ErrorClass;
use std::error::Error;
use std::fmt::Display;

/// A call that failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CallError {
    /// AWS' own word for it, if it answered.
    pub(crate) code: Option<String>,
    /// Its class for a call that changes something.
    pub(crate) class: ErrorClass,
    /// For people.
    pub(crate) why: String,
}

impl CallError {
    pub(crate) fn new<E>(action: Action, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let status = error.raw_response().map_or(0, |response| response.status().as_u16());
        let code = error.code().map(str::to_owned);
        let class = match (error, code.as_deref()) {
            (SdkError::ConstructionFailure(_), _) => ErrorClass::Transient,
            (SdkError::ServiceError(_), code) => classify(status, code.unwrap_or_default()),
            _ => ErrorClass::UnknownOutcome,
        };
        let why = match (&code, error.message()) {
            (Some(code), Some(message)) => format!("{action}: {code}: {message}"),
            (Some(code), None) => format!("{action}: {code}"),
            _ => format!("{action}: {}", DisplayErrorContext(error)),
        };
        Self { code, class, why }
    }

    /// No answer, or only the beginning of one.
    pub(crate) fn unanswered(action: Action, why: impl Display) -> Self {
        Self { code: None, class: ErrorClass::UnknownOutcome, why: format!("{action}: {why}") }
    }
}

/// By the codes of the services' API models.
fn classify(status: u16, code: &str) -> ErrorClass {
    match code {
        "Throttling"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "PriorRequestNotComplete"
        | "SlowDown" => ErrorClass::Throttled,
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "MissingAuthenticationToken"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "OptInRequired" => ErrorClass::Denied,
        _ if status >= 500 => ErrorClass::UnknownOutcome,
        _ => ErrorClass::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_s_error_leaves_the_outcome_open_and_a_refusal_does_not() {
        assert_eq!(classify(500, "InternalFailure"), ErrorClass::UnknownOutcome);
        assert_eq!(classify(503, "ServiceUnavailable"), ErrorClass::UnknownOutcome);
        assert_eq!(classify(400, "Throttling"), ErrorClass::Throttled);
        assert_eq!(classify(503, "Throttling"), ErrorClass::Throttled);
        assert_eq!(classify(503, "SlowDown"), ErrorClass::Throttled);
        assert_eq!(classify(403, "AccessDenied"), ErrorClass::Denied);
        assert_eq!(classify(404, "NoSuchHostedZone"), ErrorClass::Invalid);
    }
}

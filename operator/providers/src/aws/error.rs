//! What a failed call says, and whether it can have happened all the same.

use super::lease_gate::TooLate;
use crate::LeaseLost;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_route53::config::http::HttpResponse;
use aws_sdk_route53::error::{ProvideErrorMetadata, SdkError};
use muster_core::facts::ErrorClass;
use std::error::Error;
use std::fmt::Display;
use std::time::Duration;

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
    /// `action`: the call, as IAM names the right to it.
    pub(crate) fn new<E>(action: impl Display, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let is_held_back =
            |source: &(dyn Error + 'static)| source.is::<LeaseLost>() || source.is::<TooLate>();
        if let Some(held_back) = sources(error).find(|source| is_held_back(*source)) {
            // Stopped right before it would have left.
            let why = format!("{action}: {held_back}");
            return Self { code: None, class: ErrorClass::Transient, why };
        }
        let status = error.raw_response().map_or(0, |response| response.status().as_u16());
        let code = error.code().map(str::to_owned);
        let class = match (error, code.as_deref()) {
            (SdkError::ConstructionFailure(_), _) => ErrorClass::Transient,
            (SdkError::ServiceError(_), code) => classify(status, code.unwrap_or_default()),
            _ => credentials_class(error).unwrap_or(ErrorClass::UnknownOutcome),
        };
        let why = match (&code, error.message()) {
            (Some(code), Some(message)) => format!("{action}: {code}: {message}"),
            (Some(code), None) => format!("{action}: {code}"),
            _ => format!("{action}: {}", chain(error)),
        };
        Self { code, class, why }
    }

    /// Whether waiting does not mend it: it is refused as long as things are as they are. Silence and throttling are not.
    pub(crate) const fn is_for_good(&self) -> bool {
        matches!(self.class, ErrorClass::Denied | ErrorClass::Invalid)
    }

    /// No answer, or only the beginning of one.
    pub(crate) fn unanswered(action: impl Display, why: impl Display) -> Self {
        Self { code: None, class: ErrorClass::UnknownOutcome, why: format!("{action}: {why}") }
    }

    /// No answer in the time that it was waited for.
    pub(crate) fn no_answer_in(action: impl Display, patience: Duration) -> Self {
        Self::unanswered(action, format!("no answer in {} ms", patience.as_millis()))
    }
}

/// The class of a call that never left, because there were no credentials for it; `None`: that was not the reason.
fn credentials_class(error: &(dyn Error + 'static)) -> Option<ErrorClass> {
    let missing = sources(error).find(|source| source.is::<CredentialsError>())?;
    // The answer of STS is of a type that the SDK keeps to itself; its code is in its words.
    let told = chain(missing);
    let is_refused = DENIALS.iter().any(|code| told.contains(code));
    Some(if is_refused { ErrorClass::Denied } else { ErrorClass::Transient })
}

fn sources<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'e (dyn Error + 'static)| (*error).source())
}

/// What an error and its sources say, in one line: without their insides, which hold requests and answers, and without what is
/// another text each time.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut told: Vec<String> = Vec::new();
    for text in sources(error).map(|source| without_request_id(&source.to_string())) {
        if told.last() != Some(&text) {
            told.push(text);
        }
    }
    told.join(": ")
}

/// The SDK's words for what a service answered end with the request's own number.
fn without_request_id(text: &str) -> String {
    const BEGIN: &str = "aws_request_id: \"";
    let Some((before, rest)) = text.split_once(BEGIN) else { return text.to_owned() };
    let after = rest.split_once('"').map_or("", |(_, after)| after);
    format!("{}{after}", before.trim_end_matches([',', ' ']))
}

/// Who calls may not do it, or is not known.
const DENIALS: [&str; 12] = [
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "AuthFailure",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "MissingAuthenticationToken",
    "ExpiredToken",
    "ExpiredTokenException",
    "OptInRequired",
];

/// The signature is of another time than the service's: a clock is wrong, or the request was stuck on its way. It had no effect.
const OF_ANOTHER_TIME: [&str; 3] = ["RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"];

/// By the codes of the services' API models.
fn classify(status: u16, code: &str) -> ErrorClass {
    match code {
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "EC2ThrottledException"
        | "TooManyRequestsException"
        | "PriorRequestNotComplete"
        | "SlowDown" => ErrorClass::Throttled,
        code if DENIALS.contains(&code) => ErrorClass::Denied,
        code if OF_ANOTHER_TIME.contains(&code) => ErrorClass::Transient,
        // ARC: there was a conflict, nothing was changed; another endpoint may take it.
        "ConflictException" => ErrorClass::Conflict,
        // The last two: it gave up waiting for the request, or for it to be read, and does not say what became of what it had. S3
        // answers 400 then.
        "EndpointTemporarilyUnavailableException" | "RequestTimeout" | "RequestTimeoutException" => {
            ErrorClass::UnknownOutcome
        }
        _ if status >= 500 => ErrorClass::UnknownOutcome,
        _ => ErrorClass::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_refusal_is_the_same_text_each_time() {
        let told = r#"unhandled error (AccessDenied): Error { code: "AccessDenied", message: "no", aws_request_id: "1-2" }"#;
        let expected = r#"unhandled error (AccessDenied): Error { code: "AccessDenied", message: "no" }"#;
        assert_eq!(without_request_id(told), expected);
        assert_eq!(without_request_id("no answer"), "no answer");
    }

    #[test]
    fn a_server_s_error_leaves_the_outcome_open_and_a_refusal_does_not() {
        assert_eq!(classify(500, "InternalFailure"), ErrorClass::UnknownOutcome);
        assert_eq!(classify(503, "ServiceUnavailable"), ErrorClass::UnknownOutcome);
        assert_eq!(classify(400, "Throttling"), ErrorClass::Throttled);
        assert_eq!(classify(503, "Throttling"), ErrorClass::Throttled);
        assert_eq!(classify(503, "SlowDown"), ErrorClass::Throttled);
        assert_eq!(classify(400, "ThrottledException"), ErrorClass::Throttled);
        assert_eq!(classify(400, "RequestThrottledException"), ErrorClass::Throttled);
        assert_eq!(classify(400, "ConflictException"), ErrorClass::Conflict);
        let away = classify(400, "EndpointTemporarilyUnavailableException");
        assert_eq!(away, ErrorClass::UnknownOutcome);
        assert_eq!(
            classify(400, "RequestTimeout"),
            ErrorClass::UnknownOutcome,
            "of S3: it may be tried again"
        );
        assert_eq!(classify(403, "AccessDenied"), ErrorClass::Denied);
        assert_eq!(classify(404, "NoSuchHostedZone"), ErrorClass::Invalid);
        assert_eq!(classify(403, "RequestTimeTooSkewed"), ErrorClass::Transient, "a clock can be set right");
    }
}

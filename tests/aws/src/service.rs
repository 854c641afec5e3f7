//! What the HTTP side needs of a service, and nothing of how it keeps its state.

use crate::request::ApiRequest;
use crate::xml;
use tokio::time::Instant;

/// What a request asks for.
pub(crate) struct Operation {
    /// As AWS names it.
    pub(crate) name: &'static str,
    /// Whether it changes anything when it succeeds.
    pub(crate) is_mutation: bool,
}

impl Operation {
    /// Of a request that no operation reads.
    pub(crate) const UNKNOWN: Self = Self { name: "Unknown", is_mutation: false };
}

/// Who asks, and when.
pub(crate) struct Turn<'a> {
    pub(crate) account: &'a str,
    /// When a change is accepted.
    pub(crate) now: Instant,
    /// The instant whose state a read answers: now, or earlier if reads are stale.
    pub(crate) seen: Instant,
    /// What the answer bears where it names its request.
    pub(crate) request_id: &'a str,
}

/// An answer, before it is HTTP.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn ok(body: String) -> Self {
        Self { status: 200, body }
    }
}

/// Why a request is not carried out; each service has its own form for saying so.
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    /// The reasons one by one, where there are several.
    pub(crate) reasons: Vec<String>,
}

impl Refusal {
    pub(crate) fn new(status: u16, code: &str, message: String) -> Self {
        Self { status, code: code.to_owned(), message, reasons: Vec::new() }
    }

    pub(crate) fn unknown_key() -> Self {
        let message = "The security token included in the request is invalid.";
        Self::new(403, "InvalidClientTokenId", message.to_owned())
    }

    /// What every service says when no policy of the caller allows an operation.
    pub(crate) fn denied(service: &str, operation: &str, account: &str) -> Self {
        let message = format!(
            "User: arn:aws:iam::{account}:user/fake is not authorized to perform: {service}:{operation} because no \
             identity-based policy allows the {service}:{operation} action"
        );
        Self::new(403, "AccessDenied", message)
    }

    pub(crate) fn unknown_operation() -> Self {
        Self::new(404, "UnknownOperationException", "This fake does not know the operation".to_owned())
    }
}

/// One AWS service.
pub(crate) trait Service: Send + Sync {
    /// What the request asks for. `None`: nothing that is known here.
    fn operation(&self, request: &ApiRequest) -> Option<Operation>;

    /// Carries it out, at once and as a whole.
    fn carry_out(&self, request: &ApiRequest, turn: &Turn<'_>) -> Result<Reply, Refusal>;

    /// Words a refusal as this service does.
    fn refuse(&self, refusal: &Refusal, request_id: &str) -> Reply;
}

/// Stands in for every service that is not there.
pub(crate) struct NoService;

impl Service for NoService {
    fn operation(&self, _request: &ApiRequest) -> Option<Operation> {
        None
    }

    fn carry_out(&self, _request: &ApiRequest, _turn: &Turn<'_>) -> Result<Reply, Refusal> {
        Err(Refusal::unknown_operation())
    }

    fn refuse(&self, refusal: &Refusal, request_id: &str) -> Reply {
        Reply { status: refusal.status, body: xml::write_error(None, refusal, request_id) }
    }
}

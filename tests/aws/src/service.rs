//! What the HTTP side needs of a service, and nothing of how it keeps its state.

use crate::request::ApiRequest;
use crate::rights::{Document, Need};
use crate::xml;
use hyper::body::Bytes;
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
    /// Empty for a stranger that the service admits.
    pub(crate) account: &'a str,
    /// When a change is accepted.
    pub(crate) now: Instant,
    /// The instant whose state a read answers: now, or earlier if reads are stale.
    pub(crate) seen: Instant,
    /// What the answer bears where it names its request.
    pub(crate) request_id: &'a str,
    /// What says what the caller may do, if something does.
    pub(crate) document: Option<&'a Document>,
}

/// An answer, before it is HTTP.
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// What is said beside the request's id and the length.
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

impl Reply {
    /// A document.
    pub(crate) fn new(status: u16, body: String) -> Self {
        Self { status, headers: vec![("content-type", "text/xml".to_owned())], body: Bytes::from(body) }
    }

    pub(crate) fn ok(body: String) -> Self {
        Self::new(200, body)
    }

    /// Says nothing but its status and headers.
    pub(crate) fn without_body(status: u16, headers: Vec<(&'static str, String)>) -> Self {
        Self { status, headers, body: Bytes::new() }
    }
}

/// Why a request is not carried out; each service has its own form for saying so.
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    /// The reasons one by one, where there are several.
    pub(crate) reasons: Vec<String>,
    /// What the answer says in headers.
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub(crate) fn new(status: u16, code: &str, message: String) -> Self {
        Self { status, code: code.to_owned(), message, reasons: Vec::new(), headers: Vec::new() }
    }

    pub(crate) fn unknown_key() -> Self {
        let message = "The security token included in the request is invalid.";
        Self::new(403, "InvalidClientTokenId", message.to_owned())
    }

    /// What every service says when no policy of the caller allows an action, as `rds:PromoteReadReplica`, on what is named.
    pub(crate) fn denied(action: &str, resource: Option<&str>, account: &str) -> Self {
        let on = resource.map(|resource| format!(" on resource: {resource}")).unwrap_or_default();
        let message = format!(
            "User: arn:aws:iam::{account}:user/fake is not authorized to perform: {action}{on} because no identity-based \
             policy allows the {action} action"
        );
        // Some have a word of their own for it.
        let code = match action.split(':').next().unwrap_or_default() {
            "ec2" => "UnauthorizedOperation",
            "route53-recovery-cluster" => "AccessDeniedException",
            _ => "AccessDenied",
        };
        Self::new(403, code, message)
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

    /// What a request has to be allowed; nothing where that is not known here.
    fn needs(&self, _request: &ApiRequest, _account: &str) -> Vec<Need> {
        Vec::new()
    }

    /// Whether a request that no known access key signs is carried out nevertheless, for the account `""`.
    fn admit_stranger(&self, _request: &ApiRequest) -> Result<(), Refusal> {
        Err(Refusal::unknown_key())
    }

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
        Reply::new(refusal.status, xml::write_error(None, refusal, request_id))
    }
}

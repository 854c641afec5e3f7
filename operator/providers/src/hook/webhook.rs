//! Posts signed JSON to an endpoint: one connection per call, no redirects, bounded in time and size.

use super::call::CallError;
use super::config::{HookConfigError, WebhookConfig};
use super::context::Context;
use super::output::{MAX_OUTPUT, Output, quote_last_line};
use crate::OpCtx;
use hmac::{Hmac, Mac};
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use muster_core::secret::Secret;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sha2::Sha256;
use std::fmt;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

/// An endpoint, checked.
pub(super) struct Webhook {
    url: Url,
    /// Scheme, host and port: all that messages show, since paths and queries of webhooks are often secret.
    origin: String,
    tls: Option<Tls>,
    signing_secret: Option<Secret>,
}

struct Tls {
    connector: TlsConnector,
    server_name: ServerName<'static>,
}

/// A connection that is open, with the task that moves its bytes.
struct Open {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinSet<()>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Webhook {
    pub(super) fn from_config(field: &'static str, config: &WebhookConfig) -> Result<Self, HookConfigError> {
        let bad = |reason: &str| HookConfigError::BadUrl { field, reason: reason.to_owned() };
        let url = Url::parse(&config.url).map_err(|e| bad(&e.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("it holds a user or a password; sign the call instead"));
        }
        let tls = match (url.scheme(), url.host()) {
            ("http", Some(_)) => None,
            ("https", Some(host)) => Some(make_tls(field, config, &host)?),
            _ => return Err(bad("it must begin with https:// or http:// and name a host")),
        };
        if config.signing_secret.as_ref().is_some_and(|secret| secret.expose().is_empty()) {
            return Err(HookConfigError::EmptySecret { field });
        }
        let origin = url.origin().ascii_serialization();
        Ok(Self { url, origin, tls, signing_secret: config.signing_secret.clone() })
    }

    /// Carries out an effect.
    pub(super) async fn act(&self, context: &Context, ctx: &OpCtx) -> Result<(String, bool), CallError> {
        let request = self.make_request(context)?;
        let open = self.open(ctx.not_after).await?;
        match ctx.send(self.exchange(open, request, ctx.not_after)).await {
            Ok(answered) => answered,
            Err(lost) => Err(CallError::Lease(lost)),
        }
    }

    /// Asks for a status.
    pub(super) async fn ask(&self, context: &Context, until: Instant) -> Result<(String, bool), CallError> {
        let request = self.make_request(context)?;
        let open = self.open(until).await?;
        self.exchange(open, request, until).await
    }

    fn make_request(&self, context: &Context) -> Result<Request<Full<Bytes>>, CallError> {
        let broken = |reason: String| CallError::Request { origin: self.origin.clone(), reason };
        let body = serde_json::to_vec(context).map_err(|e| broken(e.to_string()))?;
        let path = &self.url[url::Position::BeforePath..url::Position::AfterQuery];
        let host = &self.url[url::Position::BeforeHost..url::Position::AfterPort];
        let mut request = Request::post(path)
            .header(HOST, host)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("muster/", env!("CARGO_PKG_VERSION")));
        if let Some(key) = &context.key {
            request = request.header("muster-key", key);
        }
        if let Some(secret) = &self.signing_secret {
            request = request.header("muster-signature", sign(secret, &body));
        }
        request.body(Full::new(Bytes::from(body))).map_err(|e| broken(e.to_string()))
    }

    /// Everything before the request leaves: whatever fails here had no effect.
    async fn open(&self, until: Instant) -> Result<Open, CallError> {
        let failed = |reason: String| CallError::Connect { origin: self.origin.clone(), reason };
        match timeout_at(until, self.connect()).await {
            Ok(Ok(open)) => Ok(open),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed("no connection by the deadline".to_owned())),
        }
    }

    async fn connect(&self) -> Result<Open, Box<dyn std::error::Error + Send + Sync>> {
        let port = self.url.port_or_known_default().unwrap_or(443);
        let stream = match self.url.host() {
            Some(Host::Ipv4(address)) => TcpStream::connect((address, port)).await?,
            Some(Host::Ipv6(address)) => TcpStream::connect((address, port)).await?,
            // The system's resolver blocks and cannot be interrupted: tokio gives it a thread apart, and only this
            // call waits for it, until its deadline. `Url::socket_addrs` would hold up all that runs beside it.
            Some(Host::Domain(name)) => TcpStream::connect((name, port)).await?,
            None => return Err("the URL names no host".into()),
        };
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &self.tls {
            Some(tls) => Box::new(tls.connector.connect(tls.server_name.clone(), stream).await?),
            None => Box::new(stream),
        };
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            let _ = connection.await;
        });
        Ok(Open { sender, driver })
    }

    async fn exchange(
        &self,
        mut open: Open,
        request: Request<Full<Bytes>>,
        until: Instant,
    ) -> Result<(String, bool), CallError> {
        let origin = || self.origin.clone();
        let response = match timeout_at(until, open.sender.send_request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(CallError::Broken { origin: origin(), reason: describe(&error) }),
            Err(_) => return Err(CallError::TooLate { origin: origin() }),
        };
        let status = response.status();
        let (text, cut) = read_body(response, until).await.finish();
        drop(open.driver);
        if status.is_success() {
            return Ok((text, cut));
        }
        let said = match quote_last_line(&text) {
            _ if status.is_redirection() => " (redirects are not followed)".to_owned(),
            Some(line) => format!(": {line}"),
            None => String::new(),
        };
        Err(CallError::Status { origin: origin(), status, said })
    }
}

/// As far as it comes: the status line has told how the call went.
async fn read_body(response: Response<Incoming>, until: Instant) -> Output {
    let mut body = response.into_body();
    let mut output = Output::default();
    let mut length = 0;
    while let Ok(Some(Ok(frame))) = timeout_at(until, body.frame()).await {
        if let Some(data) = frame.data_ref() {
            length += data.len();
            output.extend(data);
        }
        if length > 2 * MAX_OUTPUT {
            break;
        }
    }
    output
}

/// hyper's own words, with the cause that it wraps.
fn describe(error: &hyper::Error) -> String {
    let cause = std::error::Error::source(error).map_or(String::new(), |cause| format!(": {cause}"));
    format!("{error}{cause}")
}

/// `sha256=` and the HMAC of the body in hex.
fn sign(secret: &Secret, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .expect("an HMAC takes a key of any length");
    mac.update(body);
    mac.finalize().into_bytes().iter().fold("sha256=".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

fn make_tls(field: &'static str, config: &WebhookConfig, host: &Host<&str>) -> Result<Tls, HookConfigError> {
    let bad = |reason: String| HookConfigError::BadCertificates { field, reason };
    let mut roots = RootCertStore::empty();
    match &config.ca_pem {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                roots.add(certificate.map_err(|e| bad(e.to_string()))?).map_err(|e| bad(e.to_string()))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(bad("there is none".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| bad(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let host = host.to_string();
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let server_name = ServerName::try_from(name).map_err(|e| bad(e.to_string()))?;
    Ok(Tls { connector: TlsConnector::from(Arc::new(client)), server_name })
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("origin", &self.origin).finish_non_exhaustive()
    }
}

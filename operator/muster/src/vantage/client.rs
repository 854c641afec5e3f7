//! One report: a request with a deadline, over plain HTTP or TLS.

use crate::api::{VantageReply, VantageReport};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use muster_core::secret::Secret;
use rustls::pki_types::ServerName;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use url::Url;

/// Of one report, all together.
const DEADLINE: Duration = Duration::from_secs(5);
/// Bytes of an answer.
const LARGEST_ANSWER: usize = 1 << 20;

/// Why a report did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The controller's address.
    #[error("failed to read the controller's address {url}: {why}")]
    Address {
        /// As given.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// The network.
    #[error("failed to reach {url}: {why}")]
    Unreachable {
        /// Whom.
        url: String,
        /// What was seen.
        why: String,
    },
    /// No answer in time; it may have arrived.
    #[error("failed to get an answer from {url} within {} s", DEADLINE.as_secs())]
    Deadline {
        /// Whom.
        url: String,
    },
    /// An answer other than 200.
    #[error("failed to report to {url}: {status}: {message}")]
    Refused {
        /// Whom.
        url: String,
        /// Its code.
        status: StatusCode,
        /// Its words.
        message: String,
    },
}

/// The way to one controller, or to all that stand behind one name.
#[derive(Clone)]
pub(super) struct Controller {
    url: Url,
    host: String,
    port: u16,
    /// The one address that is meant, of those that the name has.
    address: Option<SocketAddr>,
    tls: Option<TlsConnector>,
}

impl Controller {
    pub(super) fn parse(text: &str) -> Result<Self, ReportError> {
        let wrong = |why: &str| ReportError::Address { url: text.to_owned(), why: why.to_owned() };
        let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
        let tls = match url.scheme() {
            "http" => None,
            "https" => Some(system_tls().map_err(|error| wrong(&error))?),
            _ => return Err(wrong("it must begin with http:// or https://")),
        };
        let host =
            url.host_str().ok_or_else(|| wrong("it names no host"))?.trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().ok_or_else(|| wrong("it names no port"))?;
        Ok(Self { url, host, port, address: None, tls })
    }

    /// Every address of the name: a headless Service has one for each replica.
    pub(super) async fn addresses(&self) -> Result<BTreeSet<SocketAddr>, ReportError> {
        let looked = tokio::time::timeout(DEADLINE, lookup_host((self.host.as_str(), self.port))).await;
        let found = looked.map_err(|_| ReportError::Deadline { url: self.name().to_owned() })?;
        Ok(found.map_err(|error| self.unreachable(&error))?.collect())
    }

    /// The process at one of the addresses.
    pub(super) fn at(&self, address: SocketAddr) -> Self {
        Self { address: Some(address), ..self.clone() }
    }

    pub(super) fn name(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    fn unreachable(&self, why: &impl ToString) -> ReportError {
        let at = self.address.map_or_else(String::new, |address| format!(" at {address}"));
        ReportError::Unreachable { url: format!("{}{at}", self.name()), why: why.to_string() }
    }

    /// Sends one report.
    pub(super) async fn report(
        &self,
        report: &VantageReport,
        token: &Secret,
    ) -> Result<VantageReply, ReportError> {
        match tokio::time::timeout(DEADLINE, self.exchange(report, token)).await {
            Ok(answer) => answer,
            Err(_) => Err(ReportError::Deadline { url: self.name().to_owned() }),
        }
    }

    async fn exchange(&self, report: &VantageReport, token: &Secret) -> Result<VantageReply, ReportError> {
        let body = serde_json::to_vec(report).map_err(|e| self.unreachable(&e))?;
        let authority = self.url.authority();
        let request = Request::post("/v1/vantage/report")
            .header(header::HOST, authority)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {}", token.expose()))
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| self.unreachable(&e))?;
        let connected = match self.address {
            Some(address) => TcpStream::connect(address).await,
            None => TcpStream::connect((self.host.as_str(), self.port)).await,
        };
        let tcp = connected.map_err(|e| self.unreachable(&e))?;
        match &self.tls {
            None => self.send(tcp, request).await,
            Some(tls) => {
                let name = ServerName::try_from(self.host.clone()).map_err(|e| self.unreachable(&e))?;
                let stream = tls.connect(name, tcp).await.map_err(|e| self.unreachable(&e))?;
                self.send(stream, request).await
            }
        }
    }

    async fn send<S>(&self, stream: S, request: Request<Full<Bytes>>) -> Result<VantageReply, ReportError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|e| self.unreachable(&e))?;
        let exchange = async {
            let answer = sender.send_request(request).await.map_err(|e| self.unreachable(&e))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await;
            let body = body.map_err(|e| self.unreachable(&e))?.to_bytes();
            Ok::<_, ReportError>((status, body))
        };
        let mut exchange = std::pin::pin!(exchange);
        let (status, body) = tokio::select! {
            answer = &mut exchange => answer?,
            ended = connection => {
                ended.map_err(|e| self.unreachable(&e))?;
                // A server that closes right after its answer: the answer is here, only not read yet.
                exchange.await?
            }
        };
        if status != StatusCode::OK {
            let message = String::from_utf8_lossy(&body).chars().take(300).collect();
            return Err(ReportError::Refused { url: self.name().to_owned(), status, message });
        }
        serde_json::from_slice(&body).map_err(|e| self.unreachable(&e))
    }
}

fn system_tls() -> Result<TlsConnector, String> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls_native_certs::load_native_certs().certs {
        roots.add(certificate).map_err(|e| e.to_string())?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

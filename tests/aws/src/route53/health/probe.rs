//! One question of a checker, and whether the answer speaks for the endpoint.
//!
//! The S3 of this fake is asked by its names on the internet; 127.0.0.0/8 and `localhost` are asked over TCP, where TLS
//! is not spoken; nothing else answers.
//!
//! What this module must never do: ask outside of loopback; resolve a name.

use super::config::{HealthCheckConfig, Kind};
use crate::s3::{S3, S3Address};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a connection may take, if more is asked than whether there is one.
const CONNECT_WITHIN: Duration = Duration::from_secs(4);
const CONNECT_ALONE_WITHIN: Duration = Duration::from_secs(10);
/// From the connection to the status.
const STATUS_WITHIN: Duration = Duration::from_secs(2);
/// From the status to the text that is looked for.
const TEXT_WITHIN: Duration = Duration::from_secs(2);
/// How much of a body is searched.
const SEARCHED: usize = 5120;

/// What the checkers reach.
pub(super) struct Network {
    s3: Arc<S3>,
    /// The regions whose S3 they do not.
    cut: Mutex<BTreeSet<String>>,
}

impl Network {
    pub(super) fn new(s3: Arc<S3>) -> Self {
        Self { s3, cut: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.cut.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn cut_from(&self, region: &str) {
        self.lock().insert(region.to_owned());
    }

    pub(super) fn heal(&self, region: &str) {
        self.lock().remove(region);
    }

    /// Status and body. `None`: it cannot be reached.
    fn read_s3(&self, address: &S3Address) -> Option<(u16, Bytes)> {
        let is_cut = self.lock().contains(&address.region);
        (!is_cut).then(|| self.s3.read_anonymously(address))
    }
}

/// Where an endpoint is.
enum Place {
    S3(S3Address),
    Loopback(SocketAddr),
    /// Where nothing answers.
    Nowhere,
}

/// What speaks for the endpoint.
enum Wanted {
    Connection,
    GoodStatus,
    /// A good status, and this text at the beginning of the body.
    Text(String),
}

/// What came of a question.
#[derive(Clone, Copy, Default)]
pub(super) struct Heard {
    /// It speaks for the endpoint.
    pub(super) is_good: bool,
    /// Of an answer by HTTP.
    pub(super) status: Option<u16>,
}

/// One question.
pub(super) struct Probe {
    place: Place,
    wanted: Wanted,
    host: String,
    path: String,
    agent: String,
}

impl Probe {
    /// What a checker of this health check asks.
    pub(super) fn of(config: &HealthCheckConfig, id: &str) -> Self {
        let given = config.resource_path.as_deref().unwrap_or_default();
        let path = if given.starts_with('/') { given.to_owned() } else { format!("/{given}") };
        let named = config.fully_qualified_domain_name.as_deref().or(config.ip_address.as_deref());
        let host = named.unwrap_or_default();
        let port = config.port.unwrap_or_default();
        let text = config.search_string.clone().unwrap_or_default();
        Self {
            place: find_place(config, &path, port),
            wanted: match config.kind() {
                Kind::Tcp | Kind::Calculated | Kind::RecoveryControl => Wanted::Connection,
                Kind::Http | Kind::Https => Wanted::GoodStatus,
                Kind::HttpMatch | Kind::HttpsMatch => Wanted::Text(text),
            },
            host: if matches!(port, 80 | 443) { host.to_owned() } else { format!("{host}:{port}") },
            path,
            agent: format!("Amazon-Route53-Health-Check-Service (ref {id}; report http://amzn.to/1vsZADi)"),
        }
    }

    /// Asks from this address.
    pub(super) async fn ask(&self, network: &Network, source: Ipv4Addr) -> Heard {
        match &self.place {
            Place::Nowhere => Heard::default(),
            Place::S3(address) => {
                let Some((status, body)) = network.read_s3(address) else { return Heard::default() };
                let is_good = match &self.wanted {
                    Wanted::Connection => return Heard { is_good: true, status: None },
                    Wanted::GoodStatus => is_good(status),
                    Wanted::Text(text) => is_good(status) && has_text(&body, text),
                };
                Heard { is_good, status: Some(status) }
            }
            Place::Loopback(address) => self.ask_at(*address, source).await,
        }
    }

    async fn ask_at(&self, address: SocketAddr, source: Ipv4Addr) -> Heard {
        let is_alone = matches!(self.wanted, Wanted::Connection);
        let time = if is_alone { CONNECT_ALONE_WITHIN } else { CONNECT_WITHIN };
        match timeout(time, connect(address, source)).await {
            Ok(Ok(_)) if is_alone => Heard { is_good: true, status: None },
            Ok(Ok(stream)) => self.ask_on(stream).await.unwrap_or_default(),
            _ => Heard::default(),
        }
    }

    /// `None`: no answer came in time, or none that is HTTP.
    async fn ask_on(&self, stream: TcpStream) -> Option<Heard> {
        // Ends with this question, whatever the other side does.
        let mut connections = JoinSet::new();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        connections.spawn(connection);
        let request = Request::get(self.path.as_str())
            .header("host", self.host.as_str())
            .header("user-agent", self.agent.as_str())
            .body(Empty::<Bytes>::new())
            .ok()?;
        let response = timeout(STATUS_WITHIN, sender.send_request(request)).await.ok()?.ok()?;
        let status = response.status().as_u16();
        let heard = |is_good: bool| Some(Heard { is_good, status: Some(status) });
        if !is_good(status) {
            return heard(false);
        }
        let Wanted::Text(text) = &self.wanted else { return heard(true) };
        let beginning = timeout(TEXT_WITHIN, read_beginning(response)).await.ok()?;
        heard(has_text(&beginning, text))
    }
}

fn find_place(config: &HealthCheckConfig, path: &str, port: u16) -> Place {
    let is_encrypted = matches!(config.kind(), Kind::Https | Kind::HttpsMatch);
    let is_served_by_s3 = match port {
        80 => !is_encrypted,
        443 => is_encrypted || config.kind() == Kind::Tcp,
        _ => false,
    };
    let name = config.fully_qualified_domain_name.as_deref().unwrap_or_default().trim_end_matches('.');
    if config.ip_address.is_none()
        && is_served_by_s3
        && let Some(address) = S3Address::parse(name, path)
    {
        return Place::S3(address);
    }
    let address = config.ip_address.as_deref().unwrap_or(name);
    let address = if address.eq_ignore_ascii_case("localhost") { "127.0.0.1" } else { address };
    match address.parse::<Ipv4Addr>() {
        Ok(address) if address.is_loopback() && !is_encrypted => {
            Place::Loopback(SocketAddr::from((address, port)))
        }
        _ => Place::Nowhere,
    }
}

async fn connect(address: SocketAddr, source: Ipv4Addr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    // Only Linux has all of 127.0.0.0/8 without being told to; elsewhere the checkers have one address.
    let _ = socket.bind(SocketAddr::from((source, 0)));
    socket.connect(address).await
}

fn is_good(status: u16) -> bool {
    StatusCode::from_u16(status).is_ok_and(|status| status.is_success() || status.is_redirection())
}

fn has_text(body: &[u8], text: &str) -> bool {
    let searched = body.get(..SEARCHED).unwrap_or(body);
    !text.is_empty() && searched.windows(text.len()).any(|part| part == text.as_bytes())
}

/// As much as is searched, or as much as comes.
async fn read_beginning(response: Response<Incoming>) -> Vec<u8> {
    let mut body = response.into_body();
    let mut beginning = Vec::new();
    while beginning.len() < SEARCHED
        && let Some(Ok(frame)) = body.frame().await
    {
        if let Some(data) = frame.data_ref() {
            beginning.extend_from_slice(data);
        }
    }
    beginning
}

#[cfg(test)]
mod tests {
    use super::{SEARCHED, has_text};

    #[test]
    fn only_the_beginning_of_a_body_is_searched() {
        let mut body = vec![b'x'; SEARCHED - 2];
        body.extend_from_slice(b"epoch=7");
        assert!(has_text(&body, "ep"));
        assert!(!has_text(&body, "epo"));
        assert!(!has_text(b"", "epoch"));
        assert!(has_text(b"epoch=7", "epoch=7"));
    }
}

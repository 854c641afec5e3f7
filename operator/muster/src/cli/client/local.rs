//! The local HTTP API: one connection a call, a deadline on each, errors with their fix.

use super::super::exit::{Code, Done, Failure};
use super::{ANSWER_WITHIN, ApiPath};
use crate::api::ApiError;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use muster_core::secret::Secret;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpStream;
use url::Url;

/// Where the server listens when nobody says otherwise.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:7420";

const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// A run's frames are the largest answer; a journal beyond this is not one of ours.
const LARGEST_ANSWER: usize = 256 << 20;

/// Calls one server with one token.
#[derive(Debug)]
pub(super) struct Server {
    address: Url,
    host: String,
    port: u16,
    token: Secret,
}

impl Server {
    /// Reads the token and checks the address; connects to nothing yet.
    pub(super) fn new(server: Option<&str>, token_file: Option<&Path>, state: &Path) -> Done<Self> {
        let (server, host, port) = parse_server(server.unwrap_or(DEFAULT_SERVER))?;
        let token = read_token(&token_file.map_or_else(|| state.join("token"), Path::to_path_buf), &server)?;
        Ok(Self { address: server, host, port, token })
    }

    /// The address, for messages.
    pub(super) fn server(&self) -> String {
        self.address.as_str().trim_end_matches('/').to_owned()
    }

    /// Whether the token travels unencrypted to another machine.
    pub(super) fn is_exposed(&self) -> bool {
        !matches!(self.host.as_str(), "localhost" | "[::1]") && !self.host.starts_with("127.")
    }

    /// Reads.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: ApiPath<'_>) -> Done<T> {
        self.call(Method::GET, path, None, ANSWER_WITHIN).await
    }

    /// Changes. After a timeout the request may have been taken.
    pub(super) async fn post_within<B: Serialize, T: DeserializeOwned>(
        &self,
        path: ApiPath<'_>,
        body: &B,
        deadline: Duration,
    ) -> Done<T> {
        let body = serde_json::to_vec(body)
            .map_err(|e| Failure::failed(format!("cannot write the request: {e}")))?;
        self.call(Method::POST, path, Some(body), deadline).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: ApiPath<'_>,
        body: Option<Vec<u8>>,
        deadline: Duration,
    ) -> Done<T> {
        let changes = method == Method::POST;
        let stream = self.connect().await?;
        let exchange = self.exchange(stream, method, &path, body);
        let (status, bytes) = tokio::time::timeout(deadline, exchange)
            .await
            .map_err(|_| self.too_late(deadline, changes))?
            .map_err(|e| self.broken(&e, changes))?;
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|e| self.not_understood(&e));
        }
        Err(self.refusal(status, &bytes))
    }

    async fn connect(&self) -> Done<TcpStream> {
        let address = (self.host.trim_matches(['[', ']']), self.port);
        let connected = tokio::time::timeout(CONNECT_WITHIN, TcpStream::connect(address)).await;
        let why = match connected {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(e)) if e.kind() == std::io::ErrorKind::ConnectionRefused => {
                "connection refused".to_owned()
            }
            Ok(Err(e)) => e.to_string(),
            Err(_) => format!("no answer within {} s", CONNECT_WITHIN.as_secs()),
        };
        let what = format!("no Muster server answers at {} ({why})", self.server());
        Err(Failure::new(Code::Unreachable, what).fix(
            "Start it with `muster local --policies DIR --secrets DIR`, or name another one with --server URL \
             (MUSTER_SERVER).",
        ))
    }

    async fn exchange(
        &self,
        stream: TcpStream,
        method: Method,
        path: &ApiPath<'_>,
        body: Option<Vec<u8>>,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path.to_uri())
            .header("host", format!("{}:{}", self.host, self.port))
            .header("authorization", format!("Bearer {}", self.token.expose()))
            .header("user-agent", concat!("muster/", env!("CARGO_PKG_VERSION")))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.unwrap_or_default())))?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let collected = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await;
        driver.abort();
        Ok((status, collected.map_err(|e| anyhow::anyhow!("{e}"))?.to_bytes()))
    }

    fn too_late(&self, deadline: Duration, changes: bool) -> Failure {
        let what = format!("{} gave no answer within {} s", self.server(), deadline.as_secs());
        Failure::new(Code::Unreachable, what).fix(after_silence(changes))
    }

    fn broken(&self, error: &anyhow::Error, changes: bool) -> Failure {
        let what = format!("the connection to {} broke: {error:#}", self.server());
        Failure::new(Code::Unreachable, what).fix(after_silence(changes))
    }

    fn not_understood(&self, error: &serde_json::Error) -> Failure {
        Failure::failed(format!("the answer of {} makes no sense to this version: {error}", self.server()))
            .fix("Compare the versions of both sides: `muster version`.")
    }

    fn refusal(&self, status: StatusCode, body: &[u8]) -> Failure {
        let told: Option<ApiError> = serde_json::from_slice(body).ok();
        let what = told.map_or_else(
            || format!("{} answered {status}, which is no answer of Muster", self.server()),
            |e| e.field.map_or(e.message.clone(), |field| format!("{field}: {}", e.message)),
        );
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Failure::new(
                Code::Unreachable,
                format!("{} does not accept the token: {what}", self.server()),
            )
            .fix("The token is in STATE/token of the server; name it with --token-file FILE or --state DIR."),
            StatusCode::NOT_FOUND => Failure::new(Code::NotFound, what),
            StatusCode::BAD_REQUEST => Failure::new(Code::Usage, what),
            StatusCode::CONFLICT => Failure::new(Code::Refused, what),
            StatusCode::SERVICE_UNAVAILABLE => Failure::new(Code::Unreachable, what),
            _ => Failure::failed(what),
        }
    }
}

fn after_silence(changes: bool) -> &'static str {
    if changes {
        "The request may have been taken: look with `muster status` before you repeat it."
    } else {
        "Try again; if it stays silent, look at the server's log."
    }
}

fn parse_server(text: &str) -> Done<(Url, String, u16)> {
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let wrong =
        |why: String| Failure::usage(format!("--server {text}: {why}")).fix("Write it as http://HOST:PORT.");
    let url = Url::parse(&with_scheme).map_err(|e| wrong(e.to_string()))?;
    if url.scheme() != "http" {
        return Err(wrong(format!("{} is not served", url.scheme()))
            .fix("Muster serves plain HTTP on loopback; reach another machine's through `ssh -L`."));
    }
    let host = url.host_str().map(str::to_owned).ok_or_else(|| wrong("it names no host".into()))?;
    let port = url.port_or_known_default().unwrap_or(80);
    Ok((url, host, port))
}

fn read_token(file: &Path, server: &Url) -> Done<Secret> {
    match std::fs::read_to_string(file) {
        Ok(text) if !text.trim().is_empty() => Ok(Secret::new(text.trim())),
        Ok(_) => Err(no_token(file, "it is empty", server)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(no_token(file, "there is none", server)),
        Err(e) => Err(no_token(file, &e.to_string(), server)),
    }
}

fn no_token(file: &Path, why: &str, server: &Url) -> Failure {
    let server = server.as_str().trim_end_matches('/');
    let what = format!("cannot read the token for {server} from {}: {why}", file.display());
    Failure::new(Code::Unreachable, what).fix(
        "`muster local` writes it to its state folder when it starts: is it running?\n\
         If its folder is another one, name it with --state DIR, or the file with --token-file FILE.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_may_be_given_without_its_scheme() {
        let (url, host, port) = parse_server("10.0.0.7:7420").unwrap();
        assert_eq!((url.as_str(), host.as_str(), port), ("http://10.0.0.7:7420/", "10.0.0.7", 7420));
        let failure = parse_server("https://muster.example.com").unwrap_err();
        assert_eq!(failure.code, Code::Usage);
        assert!(failure.fix.contains("ssh -L"), "{failure}");
    }

    #[test]
    fn a_missing_token_says_where_it_was_looked_for_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let failure = Server::new(None, None, folder.path()).unwrap_err();
        assert_eq!(failure.code, Code::Unreachable);
        assert!(failure.what.contains("/token: there is none"), "{failure}");
        assert!(failure.fix.contains("--state DIR"), "{failure}");
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named_with_the_way_to_start_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "secret\n").unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let server = format!("http://{}", free.local_addr().unwrap());
        drop(free);
        let client = Server::new(Some(&server), None, folder.path()).unwrap();
        let failure = client.get::<serde_json::Value>(ApiPath::new(["health"])).await.unwrap_err();
        assert_eq!(failure.code, Code::Unreachable);
        assert_eq!(failure.what, format!("no Muster server answers at {server} (connection refused)"));
        assert!(failure.fix.starts_with("Start it with `muster local"), "{failure}");
    }
}

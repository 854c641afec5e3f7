//! A fake with one bucket, and a client that speaks to it without an SDK.

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HeaderMap;
use hyper_util::rt::TokioIo;
use muster_aws_fake::FakeAws;
use tokio::net::TcpStream;

pub(crate) const KEY: &str = "AKIDONE";
pub(crate) const ACCOUNT: &str = "111111111111";
pub(crate) const OTHER_KEY: &str = "AKIDTWO";
pub(crate) const OTHER_ACCOUNT: &str = "222222222222";
pub(crate) const REGION: &str = "eu-west-1";

/// An answer of the API.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().expect("a header is text")).unwrap_or_default()
    }

    /// The text of the only element with this tag.
    pub(crate) fn text(&self, tag: &str) -> &str {
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        let after_open = self.body.split_once(open.as_str()).map(|(_, rest)| rest).unwrap_or_default();
        after_open.split_once(close.as_str()).map(|(text, _)| text).unwrap_or_default()
    }

    /// Status and error code.
    pub(crate) fn error(&self) -> (u16, &str) {
        (self.status, self.text("Code"))
    }
}

/// The fake, and the bucket `markers` in it.
pub(crate) struct Stage {
    pub(crate) aws: FakeAws,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        let aws = FakeAws::start().await.expect("the fake starts");
        aws.add_account(KEY, ACCOUNT);
        aws.add_account(OTHER_KEY, OTHER_ACCOUNT);
        aws.create_bucket(ACCOUNT, "markers", REGION);
        Self { aws }
    }

    /// Asks with more headers, as the owner and in the bucket's region.
    pub(crate) async fn ask(&self, method: &str, path: &str, more: &[(&str, &str)], body: &str) -> Answer {
        let authorization = sign(KEY, REGION);
        let mut headers = vec![("authorization", authorization.as_str())];
        headers.extend_from_slice(more);
        send(&self.aws, method, path, &headers, body).await
    }

    pub(crate) async fn put(&self, path: &str, more: &[(&str, &str)], body: &str) -> Answer {
        self.ask("PUT", path, more, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    /// Asks without a signature.
    pub(crate) async fn ask_as_stranger(&self, method: &str, path: &str) -> Answer {
        send(&self.aws, method, path, &[], "").await
    }
}

/// What the signature of an SDK would begin with.
pub(crate) fn sign(key: &str, region: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={key}/20260101/{region}/s3/aws4_request, SignedHeaders=host, Signature=00"
    )
}

/// Sends a request on a connection of its own.
pub(crate) async fn send(
    aws: &FakeAws,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let address = aws.endpoint().trim_start_matches("http://").to_owned();
    let stream = TcpStream::connect(&address).await.expect("the fake listens");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("a connection");
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", &address);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body.to_owned()))).expect("a request");
    let response = sender.send_request(request).await.expect("an answer");
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("a whole answer").to_bytes();
    Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}

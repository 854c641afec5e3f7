//! One HTTP request on a fresh connection, with a deadline.

use anyhow::Context;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest answer that is read.
const LARGEST: usize = 4 * 1024 * 1024;

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Body; a text when it is not JSON.
    pub body: serde_json::Value,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// Method.
    pub method: Method,
    /// Path with its query.
    pub path: &'a str,
    /// JSON to send.
    pub body: Option<serde_json::Value>,
    /// Token to show.
    pub bearer: Option<&'a str>,
}

impl<'a> Call<'a> {
    /// A GET.
    pub const fn get(path: &'a str) -> Self {
        Self { method: Method::GET, path, body: None, bearer: None }
    }
    /// A POST of this JSON.
    pub const fn post(path: &'a str, body: serde_json::Value) -> Self {
        Self { method: Method::POST, path, body: Some(body), bearer: None }
    }
}

/// Sends it; the whole takes at most `patience`.
pub async fn send(address: SocketAddr, call: &Call<'_>, patience: Duration) -> anyhow::Result<Answer> {
    let answer = timeout(patience, exchange(address, call)).await;
    answer.with_context(|| format!("no answer from {address} within {} ms", patience.as_millis()))?
}

async fn exchange(address: SocketAddr, call: &Call<'_>) -> anyhow::Result<Answer> {
    let stream =
        TcpStream::connect(address).await.with_context(|| format!("failed to connect to {address}"))?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut request =
        Request::builder().method(&call.method).uri(call.path).header("host", address.to_string());
    request = request.header("connection", "close").header("content-type", "application/json");
    if let Some(token) = call.bearer {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let body = call.body.as_ref().map(ToString::to_string).unwrap_or_default();
    let request = request.body(Full::new(Bytes::from(body)))?;
    let receive = async {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let bytes = Limited::new(response.into_body(), LARGEST).collect().await;
        let bytes = bytes.map_err(|e| anyhow::anyhow!("failed to read the answer: {e}"))?.to_bytes();
        let text = || String::from_utf8_lossy(&bytes).into_owned().into();
        anyhow::Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_else(|_| text()) })
    };
    // The connection ends with this future: a request that was given up leaves nothing behind.
    let mut receive = std::pin::pin!(receive);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        answer = &mut receive => answer,
        ended = &mut connection => {
            ended.context("the connection broke")?;
            receive.await
        }
    }
}

//! One request and its answer over one HTTP/1.1 connection, fresh or kept.

use super::plan::{HttpPlan, Prepared};
use super::target::{Origin, Target};
use crate::finding::Finding;
use crate::net::{Lookup, Stream, dial, drive};
use crate::progress::Phase;
use crate::run::RunCx;
use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, HOST, HeaderMap, HeaderValue};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use muster_core::health::Symptom;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// Read of a body at most; expressions over it stay bounded.
pub(crate) const MAX_BODY: usize = 1024 * 1024;
/// Kept connections of one probe: a suite may speak with several origins.
const MAX_KEPT: usize = 4;
/// A kept connection is not trusted longer: servers close idle ones, and the request that meets the closing is
/// lost. Requests that may safely be sent twice are repeated, the others meet only just-used connections.
const MAX_IDLE: Duration = Duration::from_secs(55);
const MAX_IDLE_UNREPEATABLE: Duration = Duration::from_secs(1);

/// An answer, read in full or up to [`MAX_BODY`].
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// There was more.
    pub(crate) cut: bool,
    /// End of the target's certificate, in seconds since 1970.
    pub(crate) cert_until: Option<i64>,
    /// From before the look-up to the end of the body, redirects included.
    pub(crate) latency: Duration,
}

type Sender = http1::SendRequest<Full<Bytes>>;

struct Kept {
    origin: Origin,
    sender: Sender,
    _connection: AbortOnDropHandle<()>,
    idle_since: Instant,
    cert_until: Option<i64>,
}

/// Connections that one probe keeps between its requests.
#[derive(Default)]
pub(crate) struct Connections(Vec<Kept>);

impl Connections {
    /// Closes all.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    fn take(&mut self, origin: &Origin, repeatable: bool) -> Option<Kept> {
        let limit = if repeatable { MAX_IDLE } else { MAX_IDLE_UNREPEATABLE };
        self.0.retain(|kept| !kept.sender.is_closed() && kept.idle_since.elapsed() < MAX_IDLE);
        let at = self.0.iter().position(|k| k.origin == *origin && k.idle_since.elapsed() < limit)?;
        Some(self.0.swap_remove(at))
    }

    fn keep(&mut self, kept: Kept) {
        if self.0.len() < MAX_KEPT && !kept.sender.is_closed() {
            self.0.push(kept);
        }
    }
}

/// Sends one request and reads the answer; follows nothing.
pub(crate) async fn exchange(
    plan: &HttpPlan,
    request: &Prepared,
    with_secrets: bool,
    lookup: Lookup,
    connections: &mut Connections,
    cx: &RunCx<'_>,
) -> Result<Answer, Finding> {
    let repeatable = request.method.is_idempotent();
    let target = &request.target;
    if !plan.fresh
        && let Some(kept) = connections.take(&target.origin, repeatable)
    {
        cx.progress.enter(Phase::Answer);
        match over_kept(kept, message(plan, request, with_secrets, false), connections, cx).await {
            Err(lost) if repeatable && lost.symptom == Symptom::Refused => {}
            done => return done,
        }
    }
    let stream = dial(cx.names, &target.origin.address, lookup, cx.progress).await?;
    let stream = encrypt(plan, stream, target, cx).await?;
    let cert_until = if plan.wants.cert { cert_until(&stream)? } else { None };
    let (mut sender, connection) = http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(|e| Finding::chain(&e, Symptom::Refused, "speaking HTTP"))?;
    if plan.fresh {
        let work = send(&mut sender, message(plan, request, with_secrets, true), cx);
        return Ok(Answer { cert_until, ..drive(connection, work).await? });
    }
    let connection = AbortOnDropHandle::new(tokio::spawn(async move {
        // Its errors reach the request that they break.
        let _ = connection.await;
    }));
    let origin = target.origin.clone();
    let kept = Kept { origin, sender, _connection: connection, idle_since: Instant::now(), cert_until };
    over_kept(kept, message(plan, request, with_secrets, false), connections, cx).await
}

async fn encrypt(
    plan: &HttpPlan,
    stream: tokio::net::TcpStream,
    target: &Target,
    cx: &RunCx<'_>,
) -> Result<Stream, Finding> {
    if target.origin.https {
        plan.tls.handshake(stream, &target.origin.address.host, cx.progress).await
    } else {
        Ok(Stream::Plain(stream))
    }
}

async fn over_kept(
    mut kept: Kept,
    message: http::Request<Full<Bytes>>,
    connections: &mut Connections,
    cx: &RunCx<'_>,
) -> Result<Answer, Finding> {
    let answer = send(&mut kept.sender, message, cx).await?;
    let answer = Answer { cert_until: kept.cert_until, ..answer };
    if !answer.cut && kept.sender.ready().await.is_ok() {
        kept.idle_since = Instant::now();
        connections.keep(kept);
    }
    Ok(answer)
}

fn message(
    plan: &HttpPlan,
    request: &Prepared,
    with_secrets: bool,
    last: bool,
) -> http::Request<Full<Bytes>> {
    let mut message = http::Request::new(Full::new(request.body.clone()));
    *message.method_mut() = request.method.clone();
    *message.uri_mut() = request.target.path.clone().into();
    let headers = message.headers_mut();
    headers.clone_from(&request.headers);
    if with_secrets {
        headers.extend(plan.secret_headers.iter().cloned());
    }
    if !headers.contains_key(HOST) {
        headers.insert(HOST, request.target.host_header.clone());
    }
    if last {
        // The server closes first, so that the closed connection's wait (TIME_WAIT) uses up no port of ours.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    message
}

async fn send(
    sender: &mut Sender,
    message: http::Request<Full<Bytes>>,
    cx: &RunCx<'_>,
) -> Result<Answer, Finding> {
    cx.progress.enter(Phase::Answer);
    let response = sender.send_request(message).await.map_err(|e| of_hyper(&e))?;
    cx.progress.enter(Phase::Body);
    let (head, body) = response.into_parts();
    let (body, cut) = read(body).await?;
    Ok(Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body,
        cut,
        cert_until: None,
        latency: Duration::ZERO,
    })
}

async fn read(mut body: Incoming) -> Result<(Bytes, bool), Finding> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| of_hyper(&e))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + all.len() + data.len() > MAX_BODY {
            return Ok((first, true));
        }
        // Most bodies are one piece, that needs no copy.
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&data);
        }
    }
    Ok((if all.is_empty() { first } else { all.freeze() }, false))
}

fn of_hyper(error: &hyper::Error) -> Finding {
    if error.is_parse() {
        return Finding::wrong(format!("the answer is no HTTP: {error}"));
    }
    Finding::chain(error, Symptom::Refused, "the connection was broken off")
}

fn cert_until(stream: &Stream) -> Result<Option<i64>, Finding> {
    let Some(der) = stream.certificate() else { return Ok(None) };
    let (_, certificate) = x509_parser::parse_x509_certificate(der)
        .map_err(|_| Finding::wrong("the target's certificate cannot be read"))?;
    Ok(Some(certificate.validity().not_after.timestamp()))
}

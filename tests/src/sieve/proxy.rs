//! A proxy in front of the API server that counts writes, answers reads late by a version, loses events, and fails
//! requests.

use futures::StreamExt;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use kube::Client;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// How long an API server is in trouble: longer than a lease and a deadline of the operator.
const TROUBLE: Duration = Duration::from_secs(12);

/// What is done to the operator's requests.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Rule {
    /// Keep the answer to this write, from 1, and tell of it: the operator is killed there.
    pub(super) hold_write: Option<usize>,
    /// Answer every second read of these kinds with the version before; empty words match every kind.
    pub(super) stale: Option<String>,
    /// Lose every second event of watches of these kinds.
    pub(super) lose: Option<String>,
    /// Fail every third request, the Lease's included, in this way, for [`TROUBLE`].
    pub(super) fail: Option<Failure>,
}

/// What an API server in trouble does with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Failure {
    /// 429, not carried out.
    Busy,
    /// 500, carried out nevertheless.
    Broken,
    /// Carried out, and answered late.
    Slow(Duration),
}

#[derive(Default)]
struct State {
    rule: Rule,
    /// Writes since the rule was set, without the lease's, which come by time.
    writes: Vec<String>,
    /// By path and query: the last two different answers, and how often it was read.
    reads: BTreeMap<String, (Vec<Bytes>, usize)>,
    /// When the rule was set, and requests since then.
    since: Option<Instant>,
    requests: usize,
    /// Answers that were stale, events that were lost, and requests that failed.
    disturbed: usize,
}

struct Shared {
    client: Client,
    state: Mutex<State>,
    held: watch::Sender<bool>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves until dropped.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    _task: AbortOnDropHandle<()>,
}

impl Proxy {
    pub(super) async fn start(client: Client) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { client, state: Mutex::default(), held: watch::Sender::new(false) });
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let shared = Arc::clone(&serving);
                let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
                let serving = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(serving);
            }
        });
        Ok(Self { address, shared, _task: AbortOnDropHandle::new(task) })
    }

    /// From now on; writes count from 1.
    pub(super) fn set(&self, rule: Rule) {
        let mut state = self.shared.lock();
        (state.rule, state.disturbed) = (rule, 0);
        (state.since, state.requests) = (Some(Instant::now()), 0);
        state.writes.clear();
        drop(state);
        self.shared.held.send_replace(false);
    }

    /// The writes since the rule was set.
    pub(super) fn writes(&self) -> Vec<String> {
        self.shared.lock().writes.clone()
    }

    /// How often the rule was felt.
    pub(super) fn disturbed(&self) -> usize {
        self.shared.lock().disturbed
    }

    /// Whether the write to be held has come.
    pub(super) fn is_held(&self) -> bool {
        *self.shared.held.borrow()
    }
}

fn full(bytes: Bytes) -> UnsyncBoxBody<Bytes, Infallible> {
    Full::new(bytes).boxed_unsync()
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Answer, Infallible> {
    let answer = forward(request, &shared).await.unwrap_or_else(|error| {
        let mut answer = Response::new(full(Bytes::from(error.to_string())));
        *answer.status_mut() = StatusCode::BAD_GATEWAY;
        answer
    });
    Ok(answer)
}

async fn forward(request: Request<Incoming>, shared: &Arc<Shared>) -> anyhow::Result<Answer> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
    let body = body.collect().await?.to_bytes();
    let mut onward = Request::builder().method(parts.method.clone()).uri(path.as_str());
    for name in [hyper::header::CONTENT_TYPE, hyper::header::ACCEPT] {
        if let Some(value) = parts.headers.get(&name) {
            onward = onward.header(name, value);
        }
    }
    let watches = path.contains("watch=true") || path.contains("watch=1");
    let failure = if watches { None } else { failure(shared) };
    if failure == Some(Failure::Busy) {
        return Ok(refuse(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"));
    }
    let answer = shared.client.send(onward.body(kube::client::Body::from(body.to_vec()))?).await?;
    if watches {
        return Ok(watched(answer, &path, shared));
    }
    match failure {
        Some(Failure::Broken) => return Ok(refuse(StatusCode::INTERNAL_SERVER_ERROR, "InternalError")),
        Some(Failure::Slow(late)) => tokio::time::sleep(late).await,
        Some(Failure::Busy) | None => {}
    }
    let (head, body) = answer.into_parts();
    let mut body = body.collect().await?.to_bytes();
    if parts.method == Method::GET {
        if head.status.is_success() {
            body = read(shared, &path, body);
        }
    } else if is_counted(&path) && hold(shared, format!("{} {path}", parts.method)) {
        shared.held.send_replace(true);
        // The operator is killed now; its connection ends with it.
        std::future::pending::<()>().await;
    }
    let mut told = Response::builder().status(head.status);
    if let Some(kind) = head.headers.get(hyper::header::CONTENT_TYPE) {
        told = told.header(hyper::header::CONTENT_TYPE, kind);
    }
    Ok(told.body(full(body))?)
}

/// Whether this request fails.
fn failure(shared: &Shared) -> Option<Failure> {
    let mut state = shared.lock();
    state.requests += 1;
    let over = state.since.is_none_or(|since| since.elapsed() > TROUBLE);
    let failure = state.rule.fail.filter(|_| !over && state.requests.is_multiple_of(3));
    state.disturbed += usize::from(failure.is_some());
    failure
}

fn refuse(status: StatusCode, reason: &str) -> Answer {
    let said = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "reason": reason, "message": "the server is in trouble", "code": status.as_u16(),
    });
    let mut answer = Response::new(full(Bytes::from(said.to_string())));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    answer
}

/// The lease is renewed by time, and a dry run writes nothing.
fn is_counted(path: &str) -> bool {
    !path.contains("/leases") && !path.contains("dryRun")
}

fn hold(shared: &Shared, write: String) -> bool {
    let mut state = shared.lock();
    state.writes.push(write);
    state.rule.hold_write == Some(state.writes.len())
}

/// What is answered to a read: the newest, or every second time the version before it.
fn read(shared: &Shared, path: &str, newest: Bytes) -> Bytes {
    let mut state = shared.lock();
    let lags = state.rule.stale.as_ref().is_some_and(|kinds| path.contains(kinds.as_str()));
    let (versions, count) = state.reads.entry(path.to_owned()).or_default();
    if versions.last() != Some(&newest) {
        versions.push(newest.clone());
        if versions.len() > 2 {
            versions.remove(0);
        }
    }
    *count += 1;
    match versions.as_slice() {
        [older, _] if lags && count.is_multiple_of(2) => {
            let older = older.clone();
            state.disturbed += 1;
            older
        }
        _ => newest,
    }
}

/// A watch, with its lines passed on one by one.
fn watched(answer: Response<kube::client::Body>, path: &str, shared: &Arc<Shared>) -> Answer {
    let (head, body) = answer.into_parts();
    let (sender, receiver) = mpsc::channel::<Bytes>(64);
    let (shared, path) = (Arc::clone(shared), path.to_owned());
    tokio::spawn(async move {
        let mut body = body.into_data_stream();
        let (mut waiting, mut count) = (Vec::new(), 0_usize);
        while let Some(Ok(data)) = body.next().await {
            waiting.extend_from_slice(&data);
            while let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = waiting.drain(..=end).collect();
                count += 1;
                if is_lost(&shared, &path, count) {
                    continue;
                }
                if sender.send(Bytes::from(line)).await.is_err() {
                    return;
                }
            }
        }
    });
    let lines = futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|line| (Ok::<_, Infallible>(Frame::data(line)), receiver))
    });
    let mut told = Response::new(StreamBody::new(lines).boxed_unsync());
    *told.status_mut() = head.status;
    told
}

fn is_lost(shared: &Shared, path: &str, count: usize) -> bool {
    let mut state = shared.lock();
    let lost = count.is_multiple_of(2)
        && state.rule.lose.as_ref().is_some_and(|kinds| path.contains(kinds.as_str()));
    state.disturbed += usize::from(lost);
    lost
}

//! An HTTP server whose answers a closure makes.

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

/// What came in.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    pub path: String,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

/// What goes out.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    pub delay: Duration,
}

pub fn reply(status: u16, body: &str) -> Reply {
    Reply { status, body: body.to_owned(), ..Reply::default() }
}

impl Reply {
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

#[derive(Default)]
pub struct Counts {
    pub connections: AtomicUsize,
    pub under_way: AtomicUsize,
    pub most_under_way: AtomicUsize,
    pub asked: Mutex<Vec<Asked>>,
}

/// Stops when dropped.
pub struct HttpServer {
    pub address: String,
    pub counts: Arc<Counts>,
    _accepting: AbortOnDropHandle<()>,
}

impl HttpServer {
    pub async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(None, "127.0.0.1", answer).await
    }

    pub async fn start_tls(
        tls: TlsAcceptor,
        answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(Some(tls), "127.0.0.1", answer).await
    }

    pub async fn start_with(
        tls: Option<TlsAcceptor>,
        ip: &str,
        answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.expect("binds");
        let address = listener.local_addr().expect("bound").to_string();
        let counts = Arc::new(Counts::default());
        let (shared, answer) = (Arc::clone(&counts), Arc::new(answer));
        let accepting = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let (counts, answer, tls) = (Arc::clone(&shared), Arc::clone(&answer), tls.clone());
                open.spawn(async move {
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, counts, answer).await;
                            }
                        }
                        None => serve(stream, counts, answer).await,
                    }
                });
            }
        });
        Self { address, counts, _accepting: AbortOnDropHandle::new(accepting) }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::SeqCst)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.counts.asked.lock().expect("not poisoned").clone()
    }

    /// `GET /path`, one a line.
    pub fn log(&self) -> Vec<String> {
        self.asked().iter().map(|a| format!("{} {}", a.method, a.path)).collect()
    }
}

async fn serve<S, A>(stream: S, counts: Arc<Counts>, answer: Arc<A>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(&Asked) -> Reply + Send + Sync + 'static,
{
    let service = service_fn(|request: Request<Incoming>| {
        let (counts, answer) = (Arc::clone(&counts), Arc::clone(&answer));
        async move {
            let now = counts.under_way.fetch_add(1, Ordering::SeqCst) + 1;
            counts.most_under_way.fetch_max(now, Ordering::SeqCst);
            let _leaving = Leaving(Arc::clone(&counts));
            let (head, body) = request.into_parts();
            let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            let path = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
            let asked = Asked { method: head.method, path, headers: head.headers, body };
            counts.asked.lock().expect("not poisoned").push(asked.clone());
            let reply = answer(&asked);
            tokio::time::sleep(reply.delay).await;
            let mut response = Response::builder().status(reply.status);
            for (name, value) in &reply.headers {
                response = response.header(*name, value);
            }
            Ok::<_, Infallible>(response.body(Full::new(Bytes::from(reply.body))).expect("a response"))
        }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

struct Leaving(Arc<Counts>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A gRPC server that answers every call with the same message, trailers and HTTP status.
pub async fn grpc_server(
    tls: Option<TlsAcceptor>,
    message: &'static [u8],
    grpc_status: &'static str,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                match tls {
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            serve_grpc(stream, message, grpc_status).await;
                        }
                    }
                    None => serve_grpc(stream, message, grpc_status).await,
                }
            });
        }
    });
    address
}

async fn serve_grpc<S>(stream: S, message: &'static [u8], grpc_status: &'static str)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| async move {
        assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
        assert_eq!(request.headers()["content-type"], "application/grpc");
        let trailers = http::HeaderMap::from_iter([(
            http::HeaderName::from_static("grpc-status"),
            grpc_status.parse().expect("a value"),
        )]);
        let body = Full::new(Bytes::from_static(message)).with_trailers(async move { Some(Ok(trailers)) });
        let response = Response::builder().header("content-type", "application/grpc").body(body);
        Ok::<_, Infallible>(response.expect("a response"))
    });
    let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

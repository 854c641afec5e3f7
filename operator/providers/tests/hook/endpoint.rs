//! A small HTTP endpoint that records what it gets and answers as the test wants.

use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// What to answer.
#[derive(Clone)]
pub(crate) enum Answer {
    /// This status and body.
    With(u16, &'static str),
    /// This status, with a `location` header.
    Redirect(String),
    /// Nothing, ever.
    Never,
    /// The connection is closed without a word.
    Break,
}

/// The endpoint; stops with the runtime.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Endpoint {
    pub(crate) async fn start(answer: Answer) -> Self {
        Self::start_with(answer, None).await
    }

    pub(crate) async fn start_with(answer: Answer, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let endpoint = Self { address, received: Arc::default() };
        let serving = endpoint.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (serving, answer, tls) = (serving.clone(), answer.clone(), tls.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request| serving.clone().serve(request, answer.clone()));
                    match tls {
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            let _ =
                                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                        }
                        None => {
                            let _ =
                                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                        }
                    }
                });
            }
        });
        endpoint
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().expect("no test panicked with it").clone()
    }

    async fn serve(
        self,
        request: Request<Incoming>,
        answer: Answer,
    ) -> Result<Response<Full<Bytes>>, std::io::Error> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes().to_vec();
        let path = parts.uri.to_string();
        let one = Received { path, headers: parts.headers, body };
        self.received.lock().expect("no test panicked with it").push(one);
        let response = match answer {
            Answer::With(status, text) => Response::builder().status(status).body(Full::from(text)),
            Answer::Redirect(to) => {
                Response::builder().status(307).header("location", to).body(Full::default())
            }
            Answer::Never => std::future::pending().await,
            Answer::Break => return Err(std::io::Error::other("no answer")),
        };
        Ok(response.expect("a response"))
    }
}

//! The local HTTP API; its table stands in [`crate::api`]. Reads from memory and the store, and changes nothing but
//! by wishes, which go through the same versioned record as every decision.

mod answer;
mod look;
mod metrics;
mod report;
mod wishes;

use crate::engine::Engine;
use crate::execute::Shell;
use crate::local::token::is_same;
use crate::store::LeaseKeeper;
use answer::Refused;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::http::header::AUTHORIZATION;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use muster_core::ids::HolderId;
use muster_core::secret::Secret;
use muster_core::time::Stamp;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) shell: Arc<Shell>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) keeper: Arc<LeaseKeeper>,
    pub(crate) token: Secret,
    pub(crate) started: Stamp,
    /// Whether people ask here for what changes something; with an operator they ask the API server.
    pub(crate) takes_wishes: bool,
}

impl Api {
    fn lease_holder(&self) -> Option<HolderId> {
        self.keeper.holder()
    }
}

/// All routes.
fn router(api: Arc<Api>) -> Router {
    let of_policy = Router::new()
        .route("/", get(look::policy))
        .route("/explain", get(look::explain))
        .route("/plan", get(look::plan))
        .route("/runs", get(look::runs).post(wishes::start_run))
        .route("/approve", post(wishes::approve))
        .route("/abort", post(wishes::abort))
        .route("/ack", post(wishes::ack))
        .route("/adopt", post(wishes::adopt))
        .route("/pause", post(wishes::pause))
        .route("/resume", post(wishes::resume))
        .route("/probe", post(look::probe));
    let guarded = Router::new()
        .route("/v1/health", get(look::health))
        .route("/v1/policies", get(look::policies))
        .route("/v1/runs/{run}", get(look::run))
        .route("/v1/runs/{run}/frames", get(look::frames))
        .route("/v1/events", get(look::events))
        .nest("/v1/policies/{namespace}/{name}", of_policy)
        .fallback(no_such_path)
        .layer(from_fn_with_state(Arc::clone(&api), check_token));
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics::scrape))
        .route("/v1/vantage/report", post(report::take))
        .merge(guarded)
        .with_state(api)
}

/// Ready once it is known who acts: this process, or another one that it would follow.
async fn ready(State(api): State<Arc<Api>>) -> Response {
    match api.lease_holder() {
        Some(holder) => format!("{holder} acts\n").into_response(),
        None => Refused::unavailable("NoLease", "nobody is known to act").into_response(),
    }
}

/// Serves until `stop`.
pub(crate) async fn serve(listener: TcpListener, api: Api, stop: CancellationToken) {
    let served = axum::serve(listener, router(Arc::new(api)))
        .with_graceful_shutdown(async move { stop.cancelled().await })
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the HTTP API ended");
    }
}

async fn no_such_path(request: Request) -> Refused {
    Refused::not_found(format!("there is no {} {}", request.method(), request.uri().path()))
}

async fn check_token(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    match bearer(&request) {
        Some(shown) if is_same(shown, &api.token) => {
            let changes = request.method() == Method::POST && !request.uri().path().ends_with("/probe");
            if changes && !api.takes_wishes {
                let fix = "ask the API server instead: create, approve or abort a FailoverRun, or annotate the policy";
                return Refused::unavailable("AskTheApiServer", fix).into_response();
            }
            next.run(request).await
        }
        _ => Refused::unauthorized("show the token of STATE/token as `authorization: Bearer ...`")
            .into_response(),
    }
}

fn bearer(request: &Request) -> Option<&str> {
    request.headers().get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}

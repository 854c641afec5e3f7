//! The local HTTP API; its table stands in [`crate::api`]. Reads from memory and the store, and changes nothing but
//! by wishes, which go through the same versioned record as every decision.

mod answer;
mod look;
mod report;
mod wishes;

use super::engine::Engine;
use super::token::is_same;
use crate::execute::Shell;
use crate::store::LeaseKeeper;
use answer::Refused;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use muster_core::ids::HolderId;
use muster_core::secret::Secret;
use muster_core::time::Stamp;
use std::sync::Arc;

/// What the handlers share.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) shell: Arc<Shell>,
    pub(super) engine: Arc<Engine>,
    pub(super) keeper: Arc<LeaseKeeper>,
    pub(super) token: Secret,
    pub(super) started: Stamp,
}

impl Api {
    fn lease_holder(&self) -> Option<HolderId> {
        self.keeper.holder()
    }
}

/// All routes.
pub(super) fn router(api: Arc<Api>) -> Router {
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
    Router::new().route("/v1/vantage/report", post(report::take)).merge(guarded).with_state(api)
}

async fn no_such_path(request: Request) -> Refused {
    Refused::not_found(format!("there is no {} {}", request.method(), request.uri().path()))
}

async fn check_token(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    match bearer(&request) {
        Some(shown) if is_same(shown, &api.token) => next.run(request).await,
        _ => Refused::unauthorized("show the token of STATE/token as `authorization: Bearer ...`")
            .into_response(),
    }
}

fn bearer(request: &Request) -> Option<&str> {
    request.headers().get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}

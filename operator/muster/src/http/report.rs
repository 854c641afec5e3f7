//! Reports of vantages; each shows its own token.

use super::answer::{Answer, Body, Refused};
use super::{Api, bearer};
use crate::api::{VantageReply, VantageReport};
use crate::engine::reports;
use axum::Json;
use axum::extract::{FromRequest, Request, State};
use std::sync::Arc;

/// Stamps on arrival, before the body is read: what reading takes makes no result younger.
pub(super) async fn take(State(api): State<Arc<Api>>, request: Request) -> Answer<VantageReply> {
    let arrived = api.shell.clock.now();
    let token = bearer(&request).map(str::to_owned);
    let token = token.ok_or_else(|| Refused::unauthorized("show the vantage's own token"))?;
    let Body(report) = Body::<VantageReport>::from_request(request, &api).await?;
    Ok(Json(reports::take_in(&api.engine, report, &token, arrived)))
}

//! The endpoint: takes requests from their connections, has them carried out, and loses what a fault says.
//!
//! What this module must never do: answer a call that a fault has taken away, or let a connection outlive the fake.

use crate::calls::Call;
use crate::faults::Ending;
use crate::request::ApiRequest;
use crate::rights::{Document, Need};
use crate::service::{Operation, Refusal, Reply, Service, Turn};
use crate::shared::Shared;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

type Answer = Result<Response<Full<Bytes>>, NoAnswer>;

/// Ends a connection: hyper closes it when its service fails.
#[derive(Debug, thiserror::Error)]
#[error("failed to answer: the fake ends, or a fault took the answer away")]
struct NoAnswer;

/// Serves until the fake ends.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shared.ended.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = accepted else { continue };
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Answer {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| NoAnswer)?.to_bytes();
    let request = ApiRequest::new(&head, body);
    // A task of its own: what was sent takes effect even if its sender hangs up before it does.
    tokio::spawn(respond_until_the_end(shared, request)).await.unwrap_or(Err(NoAnswer))
}

async fn respond_until_the_end(shared: Arc<Shared>, request: ApiRequest) -> Answer {
    let ended = shared.ended.clone();
    ended.run_until_cancelled(respond(&shared, &request)).await.unwrap_or(Err(NoAnswer))
}

async fn respond(shared: &Shared, request: &ApiRequest) -> Answer {
    let service = shared.service_for(request);
    let operation = service.operation(request).unwrap_or(Operation::UNKNOWN);
    let account = shared.accounts.of(&request.scope.access_key);
    let number = shared.calls.arrive(call(request, &operation, account.clone()));
    let plan = shared.faults.plan(&operation, &request.scope);
    let request_id = shared.next_request_id();
    if !plan.delay.is_zero() {
        tokio::time::sleep(plan.delay).await;
    }
    let is_lost = matches!(plan.ending, Ending::AnswerLost);
    if matches!(plan.ending, Ending::Refused(_) | Ending::Denied) {
        shared.calls.struck(number);
    }
    let outcome = match plan.ending {
        Ending::Hangs => std::future::pending::<Result<Reply, Refusal>>().await,
        Ending::RequestLost => return Err(NoAnswer),
        Ending::Refused(refusal) => Err(refusal),
        Ending::Denied => {
            let action = format!("{}:{}", request.scope.service, operation.name);
            Err(Refusal::denied(&action, None, account.as_deref().unwrap_or_default()))
        }
        Ending::Served | Ending::AnswerLost => {
            let document = shared.accounts.document_of(&request.scope.access_key);
            let caller = Caller {
                account: account.as_deref(),
                request_id: &request_id,
                document: document.as_deref(),
            };
            if let Some(refusal) = find_denial(shared, service, (request, &operation), &caller) {
                Err(refusal)
            } else {
                let outcome = carry_out(shared, service, request, &caller, plan.stale);
                shared.compare_with_model(request, &operation, &outcome);
                if outcome.is_ok() {
                    shared.calls.done(number);
                }
                outcome
            }
        }
    };
    let code = outcome.as_ref().err().map(|refusal| refusal.code.clone());
    if is_lost {
        shared.calls.answered(number, 0, code);
        return Err(NoAnswer);
    }
    let reply = outcome.unwrap_or_else(|refusal| service.refuse(&refusal, &request_id));
    shared.calls.answered(number, reply.status, code);
    write_response(reply, &request_id)
}

fn call(request: &ApiRequest, operation: &Operation, account: Option<String>) -> Call {
    Call {
        service: request.scope.service.clone(),
        operation: operation.name.to_owned(),
        account: account.unwrap_or_default(),
        region: request.scope.region.clone(),
        is_mutation: operation.is_mutation,
        status: 0,
        code: None,
        is_struck: false,
        is_done: false,
    }
}

/// Who asks, in which request.
struct Caller<'a> {
    /// `None`: nobody who is known.
    account: Option<&'a str>,
    request_id: &'a str,
    /// `None`: they may do everything.
    document: Option<&'a Document>,
}

/// What to say to a caller who may not do what they ask for.
fn find_denial(
    shared: &Shared,
    service: &dyn Service,
    (request, operation): (&ApiRequest, &Operation),
    caller: &Caller<'_>,
) -> Option<Refusal> {
    let (document, account) = (caller.document?, caller.account?);
    let mut needs = service.needs(request, account);
    if needs.is_empty() {
        // Nobody knows here what it would be allowed on: nothing less than everything.
        needs.push(Need::new(format!("{}:{}", request.scope.service, operation.name), vec!["*".to_owned()]));
    }
    let (action, resource) = shared.accounts.find_missing(document, &needs)?;
    Some(Refusal::denied(action, Some(resource), account))
}

fn carry_out(
    shared: &Shared,
    service: &dyn Service,
    request: &ApiRequest,
    caller: &Caller<'_>,
    stale: Duration,
) -> Result<Reply, Refusal> {
    let account = match caller.account {
        Some(account) => account,
        None => service.admit_stranger(request).map(|()| "")?,
    };
    let now = shared.clock.now();
    // The clock may not reach back that far; no history does either.
    let seen = now.checked_sub(stale).unwrap_or(shared.clock.started());
    service.carry_out(
        request,
        &Turn { account, now, seen, request_id: caller.request_id, document: caller.document },
    )
}

fn write_response(reply: Reply, request_id: &str) -> Answer {
    let mut response = Response::builder().status(reply.status).header("x-amzn-requestid", request_id);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(Full::new(reply.body)).map_err(|_| NoAnswer)
}

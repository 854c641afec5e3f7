//! Calls of the cluster: any of its endpoints has the consensus of all, and may be away for a while.

use super::config::{ClusterEndpoint, ControlPlace};
use super::states::States;
use crate::aws::{Account, Action, CallError, LeaseGate};
use crate::{LeaseLost, OpCtx};
use aws_sdk_route53recoverycluster::error::BuildError;
use aws_sdk_route53recoverycluster::types::{RoutingControlState, UpdateRoutingControlStateEntry};
use futures::future::try_join_all;
use muster_core::facts::ErrorClass;
use muster_core::ids::RegionName;
use rand::seq::SliceRandom as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

const GET: Action = Action::GetRoutingControlState;
const UPDATE: Action = Action::UpdateRoutingControlStates;

/// The routing controls of one name, and where they are reached.
pub(super) struct Cluster {
    pub(super) endpoints: Vec<ClusterEndpoint>,
    pub(super) controls: BTreeMap<RegionName, ControlPlace>,
    pub(super) account: Arc<Account>,
}

/// A write that gave no answer to go by.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error("{}", .0.why)]
    Call(CallError),
    #[error(transparent)]
    Lease(#[from] LeaseLost),
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl Cluster {
    /// The endpoints in an order of chance, as AWS asks for; those last that were silent just now.
    pub(super) fn shuffled(&self, is_silent: impl Fn(&ClusterEndpoint) -> bool) -> Vec<&ClusterEndpoint> {
        let mut order: Vec<_> = self.endpoints.iter().collect();
        order.shuffle(&mut rand::rng());
        order.sort_by_key(|endpoint| is_silent(endpoint));
        order
    }

    /// Every control's state at one endpoint, in one moment but for changes in between.
    pub(super) async fn read(
        &self,
        endpoint: &ClusterEndpoint,
        patience: Duration,
    ) -> Result<States, CallError> {
        let reads = self.controls.iter().map(|(region, place)| async move {
            let is_on = self.read_one(endpoint, place).await?;
            Ok::<_, CallError>((region.clone(), is_on))
        });
        let read = timeout(patience, try_join_all(reads)).await;
        let read = read.unwrap_or_else(|_| Err(CallError::no_answer_in(GET, patience)));
        read.map(States::new)
    }

    async fn read_one(&self, endpoint: &ClusterEndpoint, place: &ControlPlace) -> Result<bool, CallError> {
        let client = self.account.recovery_cluster(&endpoint.aws_region, &endpoint.url).await;
        let get = client.get_routing_control_state().routing_control_arn(&place.arn);
        let got = Box::pin(get.send()).await.map_err(|error| CallError::new(GET, &error))?;
        match got.routing_control_state() {
            RoutingControlState::On => Ok(true),
            RoutingControlState::Off => Ok(false),
            other => Err(CallError::unanswered(GET, format!("the state `{other}` is not known"))),
        }
    }

    /// Switches the control of `to` on and all others off, in one batch: carried out whole, or not at all. Never asks to
    /// override a safety rule. `leaves` is called right before the request may leave.
    pub(super) async fn switch(
        &self,
        endpoint: &ClusterEndpoint,
        to: &RegionName,
        ctx: &OpCtx,
        patience: Duration,
        leaves: impl Fn() + Send + Sync + 'static,
    ) -> Result<(), WriteError> {
        let client = self.account.recovery_cluster(&endpoint.aws_region, &endpoint.url).await;
        let mut update = client.update_routing_control_states();
        for (region, place) in &self.controls {
            let state = if region == to { RoutingControlState::On } else { RoutingControlState::Off };
            let entry = UpdateRoutingControlStateEntry::builder().routing_control_arn(&place.arn);
            let entry = entry.routing_control_state(state).build()?;
            update = update.update_routing_control_state_entries(entry);
        }
        let request = Box::pin(update.customize().interceptor(LeaseGate::noting(ctx, leaves)).send());
        let send = async {
            let answer = timeout(patience, request).await;
            match answer {
                Ok(answer) => answer.map(drop).map_err(|error| CallError::new(UPDATE, &error)),
                Err(_) => Err(CallError::no_answer_in(UPDATE, patience)),
            }
        };
        ctx.send(send).await?.map_err(WriteError::Call)
    }
}

/// The same, with who said so.
pub(super) fn about(endpoint: &ClusterEndpoint, error: CallError) -> CallError {
    CallError { why: format!("endpoint of {}: {}", endpoint.aws_region, error.why), ..error }
}

/// Whether another endpoint may do what this one did not. AWS asks for it where one is away, busy or in conflict; limits hold for
/// each by itself, and so do the credentials for it.
pub(super) fn is_worth_another(error: &CallError) -> bool {
    match error.class {
        ErrorClass::Denied | ErrorClass::Invalid => false,
        ErrorClass::Conflict => !is_by_rule(error),
        ErrorClass::Throttled | ErrorClass::Transient | ErrorClass::UnknownOutcome => true,
    }
}

/// Whether a safety rule refused: every endpoint would say the same. AWS documents neither the error nor its words, but that it
/// names the rule; what is not known for one is tried at each endpoint once.
fn is_by_rule(error: &CallError) -> bool {
    let told = error.why.to_ascii_lowercase();
    told.contains("/safetyrule/") || told.contains("safety rule")
}

/// Whether a request that was refused so has had no effect, and will have none. A server's error says neither.
pub(super) fn lands_no_more(error: &CallError) -> bool {
    let is_refusal = error.class != ErrorClass::UnknownOutcome || error.code.as_deref() == Some(AWAY);
    error.code.is_some() && is_refusal
}

/// The endpoint's word for asking another one.
const AWAY: &str = "EndpointTemporarilyUnavailableException";

/// Whether no answer came at all: what was sent may still land.
pub(super) fn is_unanswered(error: &CallError) -> bool {
    error.code.is_none() && error.class == ErrorClass::UnknownOutcome
}

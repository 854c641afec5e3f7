//! Routing controls of Application Recovery Controller (ARC): the data plane of a cluster, `route53-recovery-cluster`, API
//! version 2019-12-02, which speaks JSON 1.0.
//!
//! ```text
//! endpoint of one of five regions ──► one consensus of all five ── control on? ──► health check ──► answers of DNS
//!                                          ▲
//!                              safety rules judge every change
//! ```
//!
//! There is one cluster for everybody: its endpoints are paths of the fake, `/arc/REGION/v1`, and a request has to be signed for
//! the region of its path. Clusters, panels, controls and rules are made behind the API's back: the control plane, in us-west-2,
//! is not there, so that whoever asks it is told so.
//!
//! What this module must never do: change a part of a batch; change anything that a safety rule forbids, whoever asks, unless the
//! rule is overridden by name.

mod messages;
mod rules;
mod world;

pub use rules::{RuleKind, SafetyRule};

pub(crate) use world::World;

use crate::clock::Clock;
use crate::past::Past;
use crate::request::ApiRequest;
use crate::service::{Operation, Refusal, Reply, Service, Turn};
use messages::{GetRequest, ListRequest, UpdateManyRequest, UpdateOneRequest, read, write_refusal};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Where a cluster has its endpoints.
pub(crate) const REGIONS: [&str; 5] =
    ["ap-northeast-1", "ap-southeast-2", "eu-west-1", "us-east-1", "us-west-2"];
/// What `X-Amz-Target` begins with.
const TARGET: &str = "ToggleCustomerAPI.";
/// How many states can be read again; a stale read reaches no further back.
const REMEMBERED_STATES: usize = 128;
/// Of one call of `UpdateRoutingControlStates`.
const LARGEST_BATCH: usize = 10;
/// Calls that change something, of one endpoint in a window.
const LARGEST_RATE: usize = 3;
/// Unless a test says otherwise.
const USUAL_WINDOW: Duration = Duration::from_secs(1);
/// Of a list, unless the caller says so.
const USUAL_PAGE: usize = 500;

const OPERATIONS: [Operation; 4] = [
    Operation { name: "GetRoutingControlState", is_mutation: false },
    Operation { name: "ListRoutingControls", is_mutation: false },
    Operation { name: "UpdateRoutingControlState", is_mutation: true },
    Operation { name: "UpdateRoutingControlStates", is_mutation: true },
];

/// The cluster.
pub(crate) struct RoutingControls {
    clock: Arc<Clock>,
    state: Mutex<State>,
}

struct State {
    world: World,
    past: Past<World>,
    /// When each endpoint was asked for changes, in the last window.
    asked: BTreeMap<String, VecDeque<Instant>>,
    /// What the rate is counted in.
    window: Duration,
}

impl State {
    fn remember(&mut self, at: Instant) {
        self.past.remember(at, &self.world);
    }

    fn seen(&self, at: Instant) -> &World {
        self.past.seen(at).unwrap_or(&self.world)
    }

    fn ensure_rate(&mut self, region: &str, now: Instant) -> Result<(), Refusal> {
        let asked = self.asked.entry(region.to_owned()).or_default();
        asked.retain(|at| now.saturating_duration_since(*at) < self.window);
        if asked.len() >= LARGEST_RATE {
            return Err(Refusal::new(429, "ThrottlingException", "Rate exceeded".to_owned()));
        }
        asked.push_back(now);
        Ok(())
    }
}

impl RoutingControls {
    pub(crate) fn new(clock: Arc<Clock>) -> Self {
        let past = Past::new(clock.started(), World::default(), REMEMBERED_STATES);
        let state = State { world: World::default(), past, asked: BTreeMap::new(), window: USUAL_WINDOW };
        Self { clock, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Arranges something behind the API's back.
    pub(crate) fn arrange<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let mut state = self.lock();
        let outcome = change(&mut state.world);
        state.remember(self.clock.now());
        outcome
    }

    /// From now on the rate of each endpoint is counted in windows of this length.
    pub(crate) fn set_window(&self, window: Duration) {
        self.lock().window = window;
    }

    /// Whether a control is on. `None`: there is no such one.
    pub(crate) fn is_on(&self, arn: &str) -> Option<bool> {
        self.lock().world.is_on(arn)
    }

    fn answer(&self, operation: &str, request: &ApiRequest, turn: &Turn<'_>) -> Result<String, Refusal> {
        let body = request.body.as_ref();
        let mut state = self.lock();
        match operation {
            "GetRoutingControlState" => {
                let asked: GetRequest = read(body)?;
                messages::write_state(state.seen(turn.seen).find(&asked.routing_control_arn, turn.account)?)
            }
            "ListRoutingControls" => list(state.seen(turn.seen), &read(body)?, turn),
            "UpdateRoutingControlState" => {
                let asked: UpdateOneRequest = read(body)?;
                let (changes, overridden) = asked.split()?;
                change(&mut state, &request.scope.region, &changes, &overridden, turn)
            }
            _ => {
                let asked: UpdateManyRequest = read(body)?;
                if asked.update_routing_control_state_entries.len() > LARGEST_BATCH {
                    let message = format!("More than {LARGEST_BATCH} routing control state entries");
                    return Err(Refusal::new(400, "ServiceLimitExceededException", message));
                }
                let (changes, overridden) = asked.split()?;
                change(&mut state, &request.scope.region, &changes, &overridden, turn)
            }
        }
    }
}

fn change(
    state: &mut State,
    region: &str,
    changes: &BTreeMap<String, bool>,
    overridden: &[String],
    turn: &Turn<'_>,
) -> Result<String, Refusal> {
    state.ensure_rate(region, turn.now)?;
    state.world.change(changes, overridden, turn)?;
    state.remember(turn.now);
    Ok("{}".to_owned())
}

fn list(world: &World, asked: &ListRequest, turn: &Turn<'_>) -> Result<String, Refusal> {
    let all = world.list(asked.control_panel_arn.as_deref(), turn.account)?;
    let invalid = |what: &str| Refusal::new(400, "ValidationException", format!("{what} is invalid"));
    let start = match asked.next_token.as_deref() {
        None => 0,
        Some(token) => {
            let start = token.strip_prefix("fake-token-").and_then(|number| number.parse().ok());
            start.ok_or_else(|| invalid("NextToken"))?
        }
    };
    let size = asked.max_results.unwrap_or(USUAL_PAGE);
    if size == 0 {
        return Err(invalid("MaxResults"));
    }
    let mut following = all.into_iter().skip(start);
    let page: Vec<_> = following.by_ref().take(size).collect();
    let next = following.next().map(|_| format!("fake-token-{}", start.saturating_add(size)));
    messages::write_list(&page, next)
}

/// An endpoint is that of one region, and has a signature for another one refused.
fn is_for_its_region(request: &ApiRequest) -> bool {
    let segments = request.segments();
    let [prefix, region, version] = &segments[..] else { return false };
    prefix == "arc"
        && version == "v1"
        && *region == request.scope.region
        && REGIONS.contains(&region.as_str())
}

impl Service for RoutingControls {
    fn operation(&self, request: &ApiRequest) -> Option<Operation> {
        let name = request.header("x-amz-target")?.strip_prefix(TARGET)?;
        let known = OPERATIONS.into_iter().find(|operation| operation.name == name)?;
        is_for_its_region(request).then_some(known)
    }

    fn carry_out(&self, request: &ApiRequest, turn: &Turn<'_>) -> Result<Reply, Refusal> {
        let operation = self.operation(request).ok_or_else(Refusal::unknown_operation)?;
        Ok(messages::reply(200, self.answer(operation.name, request, turn)?))
    }

    fn refuse(&self, refusal: &Refusal, _request_id: &str) -> Reply {
        messages::reply(refusal.status, write_refusal(refusal))
    }
}

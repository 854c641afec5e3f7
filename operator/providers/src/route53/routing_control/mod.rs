//! Traffic by routing controls of Amazon Application Recovery Controller (ARC): the data plane alone, by any of five regions.
//!
//! Somebody has created, before the day, a cluster, a control panel, a **routing control** for each region, a health check of
//! type `RECOVERY_CONTROL` for each of those, and a record of the name for each region with that region's health check: all of
//! them weighted, or a PRIMARY and a SECONDARY one. Answered is the region whose control is on. Two regions or more.
//!
//! ```text
//! flip:     an endpoint by chance: GetRoutingControlState, each ──► judge ──► UpdateRoutingControlStates [one on, the others off]
//!              ▲                                                                     │ no answer, 5xx, away, busy, in conflict
//!              └───────────────────────────── the next endpoint ─────────────────────┘
//! observe:  the name at every authoritative server; in tasks of their own: states once a minute, records and health checks
//!           every ten minutes, and states after a change
//! settle:   the states once more, where they are not as they were asked for
//! ```
//!
//! | call | what makes it idempotent | what the target checks | what is not protected |
//! |---|---|---|---|
//! | `flip` | it sets states; read first, then `AlreadyDone` | nothing of Muster's: no owner, no number, no comparison. Safety rules, if somebody made any: a refusal is told, and never overridden | an older effect that lands late, for 15 minutes after it was signed: a different one waits for it only where this process sent it and nobody saw it done; one of a process that ended is not known. Who else switches is seen only afterwards |
//! | `settle` | as `flip` | as `flip` | as `flip` |
//! | `observe` | reads only | - | answers are not signed: who sits on the path to a server can forge one (off the path it cannot, TCP); the locations of Route 53 may differ about a health check for a while |
//!
//! A state stays when Muster is gone, so that nothing is left to settle after a flip. But **ARC keeps no witness**: what `observe`
//! calls one is the last effect that this very process saw taken, and it is gone with it. A successor asks for the same effect again and finds it done. So this name cannot tell that a journal is older than its targets, or that another policy steers it;
//! the claims in the store can, within one store.
//!
//! Which regions' controls are on is what the answers of Route 53 follow within seconds. Every endpoint gives the consensus of all
//! five. <https://docs.aws.amazon.com/r53recovery/latest/dg/introduction-regions-routing.html>
//!
//! What this module must never do: call the control planes (`route53-recovery-control-config` at all, Route 53 in a flip);
//! override a safety rule; switch controls in more than one call, so that none or two are on in between; ask for a different
//! effect while one may land that nobody saw; move a name when it settles it.

mod cluster;
mod config;
mod memory;
mod records;
mod settle;
mod states;

pub use config::{ClusterEndpoint, ControlPlace, RoutingControlConfig, RoutingControlConfigError};

use super::listed::{list_from, read_check};
use super::servers::Servers;
use super::verb::{PATIENCE, Sends, VerbError, end_verb, share_of};
use crate::aws::{Account, CallError, LONGEST_LOOK, Look};
use crate::dns::SteeredName;
use crate::{OpCtx, TrafficControl};
use async_trait::async_trait;
use cluster::{Cluster, WriteError, about, is_unanswered, is_worth_another, lands_no_more};
use memory::{Memory, Refused, Sent, Setup};
use muster_core::facts::{ErrorClass, Outcome, Seen, TrafficFacts, Witness};
use muster_core::ids::RegionName;
use records::{judge_check, judge_records};
use states::States;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// One public name with a record and a routing control for each region.
pub struct RoutingControl(Arc<Steering>);

/// What its verbs and looks share.
struct Steering {
    name: SteeredName,
    zone_id: String,
    servers: Servers,
    cluster: Cluster,
    memory: Arc<Mutex<Memory>>,
    setup: Mutex<Setup>,
    states_look: Look,
    setup_look: Look,
}

/// One effect on the way to the cluster.
#[derive(Clone, Copy)]
struct Switching<'a> {
    to: &'a RegionName,
    witness: &'a Witness,
    ctx: &'a OpCtx,
    sends: &'a Sends,
}

/// A request that memory knows of already.
struct Leaving {
    memory: Arc<Mutex<Memory>>,
    sent: Sent,
    has_left: Arc<AtomicBool>,
}

impl Drop for Leaving {
    /// What has never left lands nowhere.
    fn drop(&mut self) {
        if !self.has_left.load(Ordering::Relaxed) {
            lock(&self.memory).answer(&self.sent);
        }
    }
}

/// Why endpoints did not do what was asked.
#[derive(Default)]
struct Trouble {
    told: Vec<String>,
    /// Of what was told last; a write without an answer outweighs it.
    class: Option<ErrorClass>,
    is_unknown: bool,
}

impl RoutingControl {
    /// Checks the configuration; talks to nobody. The cluster is called as `account`.
    pub fn new(
        config: &RoutingControlConfig,
        account: Arc<Account>,
    ) -> Result<Self, RoutingControlConfigError> {
        let name = config::check(config)?;
        let memory = account.memory(&config.name.owner, config.what_is_switched(), Memory::default);
        let (endpoints, controls) = (config.endpoints.clone(), config.controls.clone());
        Ok(Self(Arc::new(Steering {
            name,
            zone_id: config.zone_id.clone(),
            servers: Servers::new(&config.servers),
            cluster: Cluster { endpoints, controls, account },
            memory,
            setup: Mutex::default(),
            states_look: Look::default(),
            setup_look: Look::default(),
        })))
    }
}

fn lock<T>(memory: &Mutex<T>) -> MutexGuard<'_, T> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Steering {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        lock(&self.memory)
    }

    fn setup(&self) -> MutexGuard<'_, Setup> {
        lock(&self.setup)
    }

    async fn try_flip(&self, switching: Switching<'_>) -> Result<Outcome, VerbError> {
        let judged = self.memory().judge(switching.to, switching.witness, Instant::now());
        match judged {
            Ok(()) => self.switch(switching, |_| None).await,
            Err(Refused::Stale(why)) => Ok(Outcome::StaleEpoch(self.about(&why))),
            Err(Refused::Waits(why)) => Ok(Outcome::Failed(ErrorClass::Transient, self.about(&why))),
        }
    }

    /// Reads the states at one endpoint, and switches there if need be; goes on to the next where that one does not. `decline`
    /// may end it, by what was read.
    async fn switch(
        &self,
        switching: Switching<'_>,
        decline: impl Fn(&States) -> Option<Outcome> + Send,
    ) -> Result<Outcome, VerbError> {
        let Switching { to, witness, ctx, .. } = switching;
        let mut trouble = Trouble::default();
        let now = Instant::now();
        for endpoint in self.cluster.shuffled(|endpoint| self.memory().is_silent(endpoint, now)) {
            let began = Instant::now();
            let read =
                self.cluster.read(endpoint, share_of(ctx)).await.map_err(|error| about(endpoint, error));
            self.memory().note_endpoint(endpoint, read.as_ref().is_err_and(is_unanswered), began);
            let states = match read {
                Ok(states) => states,
                Err(error) if is_worth_another(&error) => {
                    trouble.note_read(&error);
                    continue;
                }
                Err(error) => return Err(VerbError::Before(error)),
            };
            self.memory().take_states(states.clone(), began);
            if states.only_on() == Some(to) {
                self.memory().note_done(to, witness, began);
                return Ok(Outcome::AlreadyDone);
            }
            if let Some(outcome) = decline(&states) {
                return Ok(outcome);
            }
            let leaving = match self.leave(to, witness) {
                Ok(leaving) => leaving,
                Err(why) => return Ok(Outcome::StaleEpoch(self.about(&why))),
            };
            match self.write(endpoint, switching, leaving).await? {
                Ok(()) => return Ok(Outcome::Issued(Some(format!("endpoint of {}", endpoint.aws_region)))),
                Err(error) if is_worth_another(&error) => trouble.note_write(&error),
                Err(error) if error.class == ErrorClass::Conflict && !switching.sends.any() => {
                    return Ok(Outcome::Conflict(self.about(&error.why)));
                }
                Err(error) => return Err(VerbError::After(error)),
            }
        }
        Err(trouble.end())
    }

    /// Notes that a request leaves, before it does: an effect that begins from then on knows of it. `Err`: a newer one has begun.
    fn leave(&self, to: &RegionName, witness: &Witness) -> Result<Leaving, String> {
        let sent = self.memory().send(to, witness, Instant::now())?;
        Ok(Leaving { memory: Arc::clone(&self.memory), sent, has_left: Arc::default() })
    }

    /// The outer error ends the verb.
    async fn write(
        &self,
        endpoint: &ClusterEndpoint,
        switching: Switching<'_>,
        leaving: Leaving,
    ) -> Result<Result<(), CallError>, VerbError> {
        let Switching { to, witness, ctx, sends } = switching;
        let has_left = Arc::clone(&leaving.has_left);
        let leaves = move || has_left.store(true, Ordering::Relaxed);
        sends.leave();
        let switched = self.cluster.switch(endpoint, to, ctx, share_of(ctx), leaves).await;
        let is_refused = matches!(&switched, Err(WriteError::Call(error)) if lands_no_more(error));
        if is_refused || !leaving.has_left.load(Ordering::Relaxed) {
            sends.had_no_effect();
        }
        let answer = match switched {
            Ok(()) => Ok(()),
            Err(WriteError::Call(error)) => Err(about(endpoint, error)),
            Err(WriteError::Lease(lost)) => return Err(VerbError::Lease(lost)),
            Err(WriteError::Build(error)) => return Err(VerbError::Build(error)),
        };
        let mut memory = self.memory();
        let is_silent = answer.as_ref().is_err_and(is_unanswered);
        memory.note_endpoint(endpoint, is_silent, Instant::now());
        if answer.as_ref().err().is_none_or(lands_no_more) {
            memory.answer(&leaving.sent);
        }
        if answer.is_ok() {
            memory.note_done(to, witness, Instant::now());
        }
        drop(memory);
        Ok(answer)
    }

    /// Waits so long for a look at the states that is due; it goes on without it.
    async fn look_at_states(self: &Arc<Self>, within: Duration) {
        if !self.memory().needs_states(Instant::now()) {
            return;
        }
        let steering = Arc::clone(self);
        self.states_look.wait(async move { steering.read_states().await }, within).await;
    }

    async fn read_states(&self) {
        let began = Instant::now();
        let order = self.cluster.shuffled(|endpoint| self.memory().is_silent(endpoint, began));
        for endpoint in order {
            if began.elapsed() >= LONGEST_LOOK {
                break;
            }
            let read = self.cluster.read(endpoint, PATIENCE).await;
            let mut memory = self.memory();
            memory.note_endpoint(endpoint, read.as_ref().is_err_and(is_unanswered), Instant::now());
            match read {
                Ok(states) => {
                    if let Some(why) = states.ambiguous() {
                        tracing::warn!(record = %self.name.record, why, "the routing controls send the name nowhere");
                    }
                    return memory.take_states(states, began);
                }
                Err(error) if is_worth_another(&error) => {
                    let why = self.about(&about(endpoint, error).why);
                    tracing::debug!(why, "the routing controls cannot be read at an endpoint");
                }
                Err(error) => {
                    let why = self.about(&error.why);
                    tracing::warn!(why, "the routing controls cannot be read");
                    return memory.miss_states(Some(error.why), began);
                }
            }
        }
        self.memory().miss_states(None, began);
    }

    /// As [`Self::look_at_states`], at the records and the health checks.
    async fn look_at_setup(self: &Arc<Self>, within: Duration) {
        if !self.setup().is_due(Instant::now()) {
            return;
        }
        let steering = Arc::clone(self);
        let work = async move {
            // The list, and each health check.
            for _ in 0..=steering.cluster.controls.len() {
                steering.cluster.account.route53_turn().await;
            }
            steering.read_setup().await;
        };
        self.setup_look.wait(work, within).await;
    }

    async fn read_setup(&self) {
        let looked = timeout(LONGEST_LOOK, self.find_wrong_setup()).await;
        let (mut setup, now) = (self.setup(), Instant::now());
        match looked {
            Ok(Ok(wrong)) => {
                if let Some(why) = &wrong {
                    tracing::warn!(record = %self.name.record, why, "a flip would not move the name");
                }
                setup.take(wrong, now);
            }
            Ok(Err(error)) => {
                let why = self.about(&error.to_string());
                tracing::warn!(why, "records and health checks cannot be compared with the policy");
                setup.miss(now);
            }
            Err(_) => setup.miss(now),
        }
    }

    /// What is wrong with the records or any health check, for people.
    async fn find_wrong_setup(&self) -> Result<Option<String>, VerbError> {
        let (account, controls) = (&self.cluster.account, &self.cluster.controls);
        let sets = list_from(account, &self.zone_id, &self.name.record).await?;
        if let Err(why) = sets.and_then(|sets| judge_records(&sets, &self.name, controls)) {
            return Ok(Some(why));
        }
        for (region, place) in controls {
            let read = read_check(account, &place.health_check).await?;
            if let Some(why) = judge_check(read.as_ref(), place) {
                let id = &place.health_check;
                return Ok(Some(format!("the health check {id}, of region {region}, {why}")));
            }
        }
        Ok(None)
    }

    /// For messages.
    fn about(&self, what: &str) -> String {
        self.name.about(what)
    }
}

impl Trouble {
    fn note_read(&mut self, error: &CallError) {
        self.told.push(error.why.clone());
        self.class = Some(error.class);
    }

    fn note_write(&mut self, error: &CallError) {
        self.note_read(error);
        self.is_unknown |= error.class == ErrorClass::UnknownOutcome;
    }

    /// No endpoint did it.
    fn end(self) -> VerbError {
        let why = format!("no endpoint did it: {}", self.told.join("; "));
        let class = self.class.unwrap_or(ErrorClass::Transient);
        if self.is_unknown {
            return VerbError::After(CallError { code: None, class: ErrorClass::UnknownOutcome, why });
        }
        VerbError::Before(CallError { code: None, class, why })
    }
}

#[async_trait]
impl TrafficControl for RoutingControl {
    async fn observe(&self, deadline: Duration) -> Seen<TrafficFacts> {
        let steering = &self.0;
        // Half of it: what the servers answer is told also where the cluster or the API is silent, or far away.
        let half = deadline / 2;
        let (seen, (), ()) = tokio::join!(
            steering.servers.observe(&steering.name, deadline),
            steering.look_at_states(half),
            steering.look_at_setup(half),
        );
        match seen {
            Seen::Known(facts) => {
                let wrong = steering.setup().wrong();
                Seen::Known(steering.memory().complete(facts, wrong, Instant::now()))
            }
            Seen::Unknown(why) => Seen::Unknown(why),
        }
    }

    async fn flip(&self, to: &RegionName, ctx: &OpCtx) -> Outcome {
        let steering = &self.0;
        let flip = match steering.name.flip_to(to, ctx) {
            Ok(flip) => flip,
            Err(refused) => return refused,
        };
        let sends = Sends::default();
        let switching = Switching { to, witness: &flip.wanted.witness, ctx, sends: &sends };
        let work = steering.try_flip(switching);
        end_verb(work, ctx, &sends, "the cluster", |what| steering.about(what)).await
    }

    async fn settle(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        let steering = &self.0;
        let flip = match steering.name.flip_to(region, ctx) {
            Ok(flip) => flip,
            Err(refused) => return refused,
        };
        let sends = Sends::default();
        let switching = Switching { to: region, witness: &flip.wanted.witness, ctx, sends: &sends };
        let work = steering.try_settle(switching);
        end_verb(work, ctx, &sends, "the cluster", |what| steering.about(what)).await
    }
}

impl fmt::Debug for RoutingControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steering = &self.0;
        let mut debug = f.debug_struct("RoutingControl");
        debug.field("record", &steering.name.record.to_ascii()).field("zone_id", &steering.zone_id);
        debug.field("controls", &steering.cluster.controls).finish_non_exhaustive()
    }
}

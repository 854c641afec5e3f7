//! Traffic by the state of a health check, which an object in a bucket decides: the data plane alone.
//!
//! Somebody has created, before the day, two failover records for the name. Answered is the SECONDARY one while the health
//! check of the PRIMARY one is unhealthy. That check is inverted and watches an object in the bucket of the *other* region,
//! the one that would take over: its **marker**. So nothing that stands in the region that is lost is needed to leave it:
//!
//! ```text
//! marker of the secondary's region     check of the primary record     answer
//! on                                   unhealthy (inverted)            SECONDARY
//! off, absent, unreachable             healthy (inverted)              PRIMARY
//! ```
//!
//! Each region has a marker. It holds what the check looks for (`muster-on-SECRET`) or `muster-off`, and the *witness*: who
//! wrote last. Both are written at each flip, the one of the region that takes over first.
//!
//! ```text
//! flip:     GetObject, all regions ──► judge ──► PutObject on, then PutObject off [If-Match: what was read]
//!              ▲                                    │ 412, 409: somebody was faster
//!              └────────────────────────────────────┘
//! observe:  the name at every authoritative server; in tasks of their own: markers once a minute (one list of a bucket, where
//!           many are watched), roles and health checks every ten minutes, and after a change; what the checkers saw once an hour
//! settle:   swap the roles [DELETE exactly these, CREATE] ──► INSYNC and TTL ──► PutObject off
//!           another region is silent: pin the name [PRIMARY without a health check] ──► it answers, off ──► attach the check
//! ```
//!
//! | call | what makes it idempotent | what the target checks | what is not protected |
//! |---|---|---|---|
//! | `flip` | the markers name this very effect: read first, then `AlreadyDone`; written twice, the second write meets another version | each marker is exactly the version that was read, so an older effect that lands late is refused where anything newer was written; no text comes twice (seq grows), nothing is deleted | the two markers are no one thing: a region whose S3 is silent keeps its marker on until it answers. Where that could bring the SECONDARY back, the flip fails with an unknown outcome and the name is told to be contested; a holder of the right to write who ignores the witness |
//! | `settle`, roles | the records are listed first; the batch deletes them exactly as listed and gives new ones the effect's numbers | both records are exactly as they were listed, identifiers included: a batch that got stuck matches nothing that a later one wrote | one that got stuck may land for 15 minutes if nothing was written since: so the last marker goes off only after a batch of this very process is in sync, a *touch* of the same roles if need be; whoever changes the records by hand |
//! | `settle`, markers | as `flip` | as `flip` | as `flip` |
//! | `observe` | reads only | - | answers are not signed: who sits on the path to a server can forge one (off the path it cannot, TCP); the locations of Route 53 may differ about a health check for a while |
//!
//! While exactly one marker is on, both ways to give the roles have the same answer: that is when they are swapped. After it
//! nothing that Muster set is needed for the name to stay. The API of Route 53 is used for that alone, once all is calm.
//!
//! A region that was lost may be silent for days, its marker on or off. Then the name is *pinned*: the PRIMARY record has a
//! health check that is disabled, and so always healthy (Route 53 takes no PRIMARY record without one), and is answered whatever
//! any marker says. No marker moves a pinned name, so the check is attached again as soon as the other region's marker is seen to
//! be off. A flip that comes before that writes the records themselves, pinned to the region that takes over, and then the
//! markers: the one flip that takes the API of Route 53.
//!
//! What this module must never do: write over another owner's marker or one that it cannot read; delete one; call the API of
//! Route 53 in a flip of a name that is not pinned; switch the last marker off before every server knows the roles; call a move durable while another
//! marker may be on that could take it back; show the secret.

mod checks;
mod config;
mod judge;
mod marker;
mod memory;
mod objects;
mod reports;
mod roles;
mod settle;

pub use config::{HealthObjectConfig, HealthObjectConfigError, MarkerPlace};

pub(super) use checks::{judge_check, judge_pin_check};
pub(super) use roles::read_roles;

use super::servers::Servers;
use super::verb::{Sends, VerbError, end_verb, share_of};
use crate::aws::{Account, Action, CallError, Glance, LONGEST_LOOK, Look};
use crate::dns::{SteeredName, Verdict};
use crate::{OpCtx, TrafficControl};
use async_trait::async_trait;
use judge::{Goal, Standing, Standings, judge};
use memory::Memory;
use muster_core::facts::{ErrorClass, Outcome, Seen, TrafficFacts, Witness};
use muster_core::ids::RegionName;
use objects::{Objects, Put};
use settle::{Pin, Settling};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How often a flip that met another writer reads and judges again.
const ROUNDS: u32 = 5;

/// One public name with two failover records in a hosted zone.
pub struct HealthObject(Arc<Steering>);

/// What its verbs and looks share.
struct Steering {
    name: SteeredName,
    zone_id: String,
    servers: Servers,
    objects: Objects,
    memory: Arc<Mutex<Memory>>,
    marker_looks: BTreeMap<RegionName, Look>,
    roles_look: Look,
}

/// What a verb found in the buckets.
#[derive(Default)]
struct Looked {
    /// The markers that could be read.
    standings: Standings,
    /// The other regions, and why not.
    silent: BTreeMap<RegionName, String>,
}

impl HealthObject {
    /// Checks the configuration; talks to nobody. Zone and buckets are changed as `account`.
    pub fn new(config: &HealthObjectConfig, account: Arc<Account>) -> Result<Self, HealthObjectConfigError> {
        let name = config::check(config)?;
        let new = || Memory::new(config.markers.keys());
        let memory = account.memory(&config.name.owner, config.what_is_remembered(), new);
        memory.lock().unwrap_or_else(PoisonError::into_inner).judge_anew();
        let objects = Objects::new(config, account);
        Ok(Self(Arc::new(Steering {
            name,
            zone_id: config.zone_id.clone(),
            servers: Servers::new(&config.servers),
            memory,
            marker_looks: config.markers.keys().map(|region| (region.clone(), Look::default())).collect(),
            roles_look: Look::default(),
            objects,
        })))
    }
}

impl Steering {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn try_flip(
        &self,
        to: &RegionName,
        witness: &Witness,
        ctx: &OpCtx,
        sends: &Sends,
    ) -> Result<Outcome, VerbError> {
        let adopt = self.name.adopted.get();
        let goal = Goal { on: Some(to), may_stay_on: None, witness, adopt: &adopt };
        for _ in 0..ROUNDS {
            let looked = self.read_markers(to, ctx).await?;
            let verdict = judge(&looked.standings, &goal);
            match verdict {
                Verdict::Stale(why) => return Ok(Outcome::StaleEpoch(self.about(&why))),
                Verdict::Conflict(why) => return Ok(Outcome::Conflict(self.about(&why))),
                Verdict::Write | Verdict::AlreadyDone => {}
            }
            // `None`: the markers stood already.
            let switching = async {
                match verdict {
                    Verdict::AlreadyDone => Ok(None),
                    _ => self.switch(to, &looked.standings, &goal, ctx, sends).await.map(Some),
                }
            };
            let is_pinned_elsewhere = self.memory().is_pinned_elsewhere(to);
            let (switched, pin) = if is_pinned_elsewhere {
                // Both, whatever comes of the other: another process may have ended that, and then the marker moves the name
                // though no API answers.
                let settling = Settling { region: to, goal, ctx, sends };
                let (switched, pin) = tokio::join!(switching, self.move_pin(settling));
                (switched, pin?)
            } else {
                (switching.await, Pin::Gone { written: false })
            };
            let (is_pinned, written) = match pin {
                Pin::Stays(refused) => return Ok(refused),
                Pin::Here { written } => (true, written),
                Pin::Gone { written } => (false, written),
            };
            let outcome = match switched? {
                Some(Put::Lost) => continue,
                None if !written => Outcome::AlreadyDone,
                None | Some(Put::Taken) => Outcome::Issued(None),
            };
            // No marker takes a pinned name back.
            return Ok(if is_pinned { outcome } else { self.end_flip(&looked, outcome) });
        }
        let why = "another writer was faster each time";
        Ok(Outcome::Failed(ErrorClass::Transient, self.about(why)))
    }

    /// A region that was silent may take the name back once it answers, if its record is the secondary one: to be tried again
    /// soon.
    fn end_flip(&self, looked: &Looked, outcome: Outcome) -> Outcome {
        let memory = self.memory();
        let mut winning = looked
            .silent
            .iter()
            .filter(|(region, _)| memory.may_win(region) && !memory.is_surely_off(region));
        winning.next().map_or(outcome, |(region, why)| {
            let why = format!("the marker of region {region} may still be on: {why}");
            Outcome::Failed(ErrorClass::UnknownOutcome, self.about(&why))
        })
    }

    /// The markers that answer; that of `needed` must. What else cannot be read is as good as silent: it is left as it is.
    async fn read_markers(&self, needed: &RegionName, ctx: &OpCtx) -> Result<Looked, VerbError> {
        let began = Instant::now();
        let mut looked = Looked::default();
        for (region, answer) in self.objects.read_all(share_of(ctx), needed).await {
            self.memory().take_marker(&region, &answer, began);
            let why = match answer {
                Ok(Standing::Unreadable(why)) if region != *needed => why,
                Ok(standing) => {
                    looked.standings.insert(region, standing);
                    continue;
                }
                Err(error) if region == *needed => return Err(VerbError::Before(error)),
                Err(error) => error.why,
            };
            let told = self.about(&why);
            tracing::warn!(%region, why = told, "the marker of another region cannot be read");
            looked.silent.insert(region, why);
        }
        Ok(looked)
    }

    /// Writes the marker of `to`, then the others that answer: the new one stands before the old one goes.
    async fn switch(
        &self,
        to: &RegionName,
        standings: &Standings,
        goal: &Goal<'_>,
        ctx: &OpCtx,
        sends: &Sends,
    ) -> Result<Put, VerbError> {
        let others = standings.keys().filter(|region| *region != to);
        let order: Vec<&RegionName> = std::iter::once(to).chain(others).collect();
        for region in order {
            let Some(before) = standings.get(region) else { continue };
            let marker = before.marker();
            if marker.is_some_and(|marker| marker.is_exactly(goal.signal(region), goal.witness)) {
                continue;
            }
            self.memory().expect(region, goal.witness);
            let write = self.objects.write(region, before, goal, ctx, sends);
            let put = if region == to { write.await? } else { switch_off_other(region, write, ctx).await? };
            if put == Put::Lost {
                return Ok(Put::Lost);
            }
        }
        Ok(Put::Taken)
    }

    /// Waits so long for looks at the markers that are due; they go on without it.
    async fn look_at_markers(self: &Arc<Self>, within: Duration) {
        let mut waits = Vec::new();
        for (region, look) in &self.marker_looks {
            if self.memory().needs_marker(region, Instant::now()) {
                let (steering, of) = (Arc::clone(self), region.clone());
                waits.push(look.wait(async move { steering.read_marker(&of).await }, within));
            }
        }
        futures::future::join_all(waits).await;
    }

    async fn read_marker(&self, region: &RegionName) {
        let (began, answer) = self.look_at_marker(region).await;
        if let Err(error) = &answer {
            let why = self.about(&error.why);
            tracing::debug!(%region, why, "a marker cannot be read");
        }
        let mut memory = self.memory();
        memory.take_marker(region, &answer, began);
        match &answer {
            Ok(_) => memory.take_refusal(region, None),
            Err(error) => {
                if let Some(why) = self.refusal(error) {
                    memory.take_refusal(region, Some(why));
                }
            }
        }
        let on = memory.regions_on();
        if on.len() > 1 {
            let record = &self.name.record;
            tracing::warn!(%record, regions = ?on, "more than one marker is on; settling ends it");
        }
    }

    /// At rest a list that many share tells whether it is still the version that was read; since when, and what stands there.
    async fn look_at_marker(&self, region: &RegionName) -> (Instant, Result<Standing, CallError>) {
        let at_rest = self.memory().at_rest(region);
        let glance = match &at_rest {
            Some((looked, _)) => self.objects.glance(region, *looked).await,
            None => Glance::Nothing,
        };
        match (glance, at_rest) {
            (Glance::Seen(began, version), Some((_, known))) if known.is_version(version.as_deref()) => {
                (began, Ok(known))
            }
            _ => (Instant::now(), self.objects.read_within(region, LONGEST_LOOK).await),
        }
    }

    /// As [`Self::look_at_markers`], at the records and the health checks.
    async fn look_at_roles(self: &Arc<Self>, within: Duration) {
        if !self.memory().needs_roles(Instant::now()) {
            return;
        }
        let steering = Arc::clone(self);
        let work = async move {
            steering.objects.account.route53_turn().await;
            steering.read_records().await;
            steering.read_checks().await;
        };
        self.roles_look.wait(work, within).await;
    }

    async fn read_records(&self) {
        let looked = timeout(LONGEST_LOOK, self.list_roles()).await;
        let (mut memory, now) = (self.memory(), Instant::now());
        match looked {
            Ok(Ok(Ok(roles))) => {
                memory.take_refusal_of_roles(None);
                memory.take_roles(&roles, now);
                memory.take_ttl(roles.kept_too_long(&self.name));
            }
            Ok(Ok(Err(why))) => {
                tracing::warn!(record = %self.name.record, why, "the failover records are not as they must be");
                memory.take_wrong_roles(why, now);
            }
            Ok(Err(error)) => {
                let why = self.about(&error.to_string());
                tracing::debug!(why, "the failover records cannot be listed");
                memory.miss_roles(now);
                if let Some(why) = error.call().and_then(|error| self.refusal(error)) {
                    memory.take_refusal_of_roles(Some(why));
                }
            }
            Err(_) => memory.miss_roles(now),
        }
    }

    /// What cannot be asked keeps its last answer.
    async fn read_checks(&self) {
        let checks = self.objects.places.len() + usize::from(self.objects.pin_check.is_some());
        for _ in 0..checks {
            self.objects.account.route53_turn().await;
        }
        match timeout(LONGEST_LOOK, self.find_wrong_check()).await {
            Ok(Ok(wrong)) => {
                let is_due = wrong.is_none() && self.memory().needs_reading(Instant::now());
                let reading = if is_due { Some(self.read_checkers().await) } else { None };
                let mut memory = self.memory();
                memory.take_check(wrong);
                memory.take_refusal_of_checks(None);
                match reading {
                    Some(Ok(reading)) => memory.take_reading(reading, Instant::now()),
                    Some(Err(error)) => {
                        let why = self.about(&error.why);
                        tracing::debug!(why, "what the checkers saw cannot be read");
                        memory.take_refusal_of_checks(self.refusal(&error));
                    }
                    None => {}
                }
            }
            Ok(Err(error)) => {
                let why = self.about(&error.to_string());
                tracing::warn!(why, "a health check cannot be compared with its marker");
                if let Some(why) = error.call().and_then(|error| self.refusal(error)) {
                    self.memory().take_refusal_of_checks(Some(why));
                }
            }
            Err(_) => {}
        }
    }

    /// What a look was refused for, which waiting does not mend: on the day a flip would be refused as well. A region that is
    /// silent, or an API that throttles, says nothing.
    fn refusal(&self, error: &CallError) -> Option<String> {
        error.is_for_good().then(|| self.without_secret(&error.why))
    }

    /// Whatever AWS says.
    fn without_secret(&self, what: &str) -> String {
        what.replace(self.objects.secret.expose(), "[secret]")
    }

    /// For messages; the secret is not in them.
    fn about(&self, what: &str) -> String {
        self.name.about(&self.without_secret(what))
    }
}

/// The one marker is on by now: whatever becomes of this one, the effect was not without effect.
async fn switch_off_other(
    region: &RegionName,
    write: impl Future<Output = Result<Put, VerbError>> + Send,
    ctx: &OpCtx,
) -> Result<Put, VerbError> {
    let unknown = |why: String| {
        let why = format!("{why}: the marker of region {region} may still be on");
        VerbError::After(CallError { code: None, class: ErrorClass::UnknownOutcome, why })
    };
    match timeout(share_of(ctx), write).await {
        Ok(Err(VerbError::After(error))) => Err(unknown(error.why)),
        Ok(ended) => ended,
        Err(_) => Err(unknown(format!("{}: no answer", Action::PutObject))),
    }
}

#[async_trait]
impl TrafficControl for HealthObject {
    async fn observe(&self, deadline: Duration) -> Seen<TrafficFacts> {
        let steering = &self.0;
        // Half of it: what the servers answer is told also where S3 or the API is silent, or far away.
        let half = deadline / 2;
        let (seen, (), ()) = tokio::join!(
            steering.servers.observe(&steering.name, deadline),
            steering.look_at_markers(half),
            steering.look_at_roles(half),
        );
        match seen {
            Seen::Known(facts) => Seen::Known(steering.memory().complete(facts)),
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
        let work = steering.try_flip(to, &flip.wanted.witness, ctx, &sends);
        end_verb(work, ctx, &sends, "S3", |what| steering.about(what)).await
    }

    async fn settle(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        let steering = &self.0;
        let flip = match steering.name.flip_to(region, ctx) {
            Ok(flip) => flip,
            Err(refused) => return refused,
        };
        let sends = Sends::default();
        let work = steering.try_settle(region, &flip.wanted.witness, ctx, &sends);
        end_verb(work, ctx, &sends, "S3 or Route 53", |what| steering.about(what)).await
    }
}

impl fmt::Debug for HealthObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steering = &self.0;
        let mut debug = f.debug_struct("HealthObject");
        debug.field("record", &steering.name.record.to_ascii()).field("zone_id", &steering.zone_id);
        debug.field("markers", &steering.objects.places).finish_non_exhaustive()
    }
}

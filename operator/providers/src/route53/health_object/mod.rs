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
//! observe:  the name at every authoritative server; markers once a minute, roles every ten minutes, and after a change
//! settle:   swap the roles [DELETE exactly these, CREATE] ──► INSYNC and TTL ──► PutObject off
//! ```
//!
//! | call | what makes it idempotent | what the target checks | what is not protected |
//! |---|---|---|---|
//! | `flip` | the markers name this very effect: read first, then `AlreadyDone`; written twice, the second write meets another version | each marker is exactly the version that was read, so an older effect that lands late is refused where anything newer was written; no text comes twice (seq grows), nothing is deleted | the two markers are no one thing: a region whose S3 is silent keeps its marker on until it answers; a holder of the right to write who ignores the witness |
//! | `settle`, roles | the records are listed first; the batch deletes them exactly as listed | both records are exactly as they were listed | records hold no witness: a signed batch that got stuck may land for 15 minutes, if the roles were swapped there and back meanwhile |
//! | `settle`, markers | as `flip` | as `flip` | as `flip` |
//! | `observe` | reads only | - | answers are not signed: who sits on the path to a server can forge one (off the path it cannot, TCP) |
//!
//! While exactly one marker is on, both ways to give the roles have the same answer: that is when they are swapped. After it
//! nothing that Muster set is needed for the name to stay. The API of Route 53 is used for that alone, once all is calm.
//!
//! What this module must never do: write over another owner's marker or one that it cannot read; delete one; call the API of
//! Route 53 in a flip; switch the last marker off before every server knows the swapped roles; show the secret.

mod config;
mod judge;
mod marker;
mod memory;
mod objects;
mod roles;
mod settle;

pub use config::{HealthObjectConfig, HealthObjectConfigError, MarkerPlace};

use super::config::ServerName;
use super::verb::{VerbError, end_verb};
use crate::aws::{Account, Action, CallError};
use crate::dns::{SteeredName, Verdict};
use crate::{OpCtx, TrafficControl};
use async_trait::async_trait;
use judge::{Goal, Standings, judge};
use memory::Memory;
use muster_core::facts::{ErrorClass, Outcome, Seen, TrafficFacts, Witness};
use muster_core::ids::RegionName;
use objects::{Objects, Put};
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How often a flip that met another writer reads and judges again.
const ROUNDS: u32 = 5;
/// So long at most is a region waited for that the verb can do without.
const PATIENCE: Duration = Duration::from_secs(2);

/// One public name with two failover records in a hosted zone.
pub struct HealthObject {
    name: SteeredName,
    zone_id: String,
    servers: Vec<ServerName>,
    objects: Objects,
    memory: Mutex<Memory>,
}

impl HealthObject {
    /// Checks the configuration; talks to nobody. Zone and buckets are changed as `account`.
    pub fn new(config: &HealthObjectConfig, account: Arc<Account>) -> Result<Self, HealthObjectConfigError> {
        let name = config::check(config)?;
        let (places, secret) = (config.markers.clone(), config.secret.clone());
        Ok(Self {
            name,
            zone_id: config.zone_id.clone(),
            servers: config.servers.clone(),
            objects: Objects { places, secret, account },
            memory: Mutex::default(),
        })
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn try_flip(
        &self,
        to: &RegionName,
        witness: &Witness,
        ctx: &OpCtx,
        under_way: &AtomicBool,
    ) -> Result<Outcome, VerbError> {
        let adopt = self.name.adopted.get();
        let goal = Goal { on: Some(to), witness, adopt: &adopt };
        for _ in 0..ROUNDS {
            let standings = self.read_for(to, ctx).await?;
            match judge(&standings, &goal) {
                Verdict::AlreadyDone => return Ok(Outcome::AlreadyDone),
                Verdict::Stale(why) => return Ok(Outcome::StaleEpoch(self.about(&why))),
                Verdict::Conflict(why) => return Ok(Outcome::Conflict(self.about(&why))),
                Verdict::Write => {}
            }
            if self.switch(to, &standings, &goal, ctx, under_way).await? == Put::Taken {
                return Ok(Outcome::Issued(None));
            }
        }
        let why = "another writer was faster each time";
        Ok(Outcome::Failed(ErrorClass::Transient, self.about(why)))
    }

    /// The markers that answer; that of `to` must.
    async fn read_for(&self, to: &RegionName, ctx: &OpCtx) -> Result<Standings, VerbError> {
        let mut standings = Standings::new();
        for (region, answer) in self.objects.read_all(share_of(ctx), Some(to)).await {
            match answer {
                Ok(standing) => {
                    standings.insert(region, standing);
                }
                Err(error) if region == *to => return Err(VerbError::Before(error)),
                Err(error) => {
                    let why = self.about(&error.why);
                    tracing::warn!(%region, why, "the marker of a region that is left cannot be read");
                }
            }
        }
        Ok(standings)
    }

    /// Writes the marker of `to`, then the others that answer: the new one stands before the old one goes.
    async fn switch(
        &self,
        to: &RegionName,
        standings: &Standings,
        goal: &Goal<'_>,
        ctx: &OpCtx,
        under_way: &AtomicBool,
    ) -> Result<Put, VerbError> {
        self.memory().expect(goal.witness);
        let others = standings.keys().filter(|region| *region != to);
        let order: Vec<&RegionName> = std::iter::once(to).chain(others).collect();
        for region in order {
            let Some(before) = standings.get(region) else { continue };
            let marker = before.marker();
            if marker.is_some_and(|marker| marker.is_exactly(goal.signal(region), goal.witness)) {
                continue;
            }
            let write = self.objects.write(region, before, goal, ctx, under_way);
            let put = if region == to { write.await? } else { switch_off_other(region, write, ctx).await? };
            if put == Put::Lost {
                return Ok(Put::Lost);
            }
        }
        Ok(Put::Taken)
    }

    async fn look_at_markers(&self, within: Duration) {
        let began = Instant::now();
        if !self.memory().needs_markers(began) {
            return;
        }
        let answers = self.objects.read_all(within, None).await;
        for (region, answer) in &answers {
            if let Err(error) = answer {
                let why = self.about(&error.why);
                tracing::debug!(%region, why, "a marker cannot be read");
            }
        }
        let mut memory = self.memory();
        memory.take_markers(&answers, began);
        let on = memory.regions_on();
        if on.len() > 1 {
            let record = &self.name.record;
            tracing::warn!(%record, regions = ?on, "more than one marker is on; settling ends it");
        }
    }

    async fn look_at_roles(&self, within: Duration) {
        let began = Instant::now();
        if !self.memory().needs_roles(began) {
            return;
        }
        let roles = match timeout(within, self.list_roles()).await {
            Ok(Ok(Ok(roles))) => Some(roles),
            Ok(Ok(Err(why))) => {
                tracing::warn!(record = %self.name.record, why, "the failover records are not as they must be");
                None
            }
            Ok(Err(error)) => {
                let why = self.about(&error.to_string());
                tracing::debug!(why, "the failover records cannot be listed");
                None
            }
            Err(_) => None,
        };
        self.memory().take_roles(roles.as_ref(), began);
    }

    /// For messages; whatever AWS says, the secret is not in it.
    fn about(&self, what: &str) -> String {
        self.name.about(&what.replace(self.objects.secret.expose(), "[secret]"))
    }
}

/// So long is a region waited for that may be lost: a part of the deadline at most.
fn share_of(ctx: &OpCtx) -> Duration {
    (ctx.remaining() / 4).min(PATIENCE)
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
        // Half of it: what the servers answer is told also where S3 or the API is silent.
        let half = deadline / 2;
        let (seen, (), ()) = tokio::join!(
            super::servers::observe(&self.name, &self.servers, deadline),
            self.look_at_markers(half),
            self.look_at_roles(half),
        );
        match seen {
            Seen::Known(facts) => Seen::Known(self.memory().complete(facts)),
            Seen::Unknown(why) => Seen::Unknown(why),
        }
    }

    async fn flip(&self, to: &RegionName, ctx: &OpCtx) -> Outcome {
        let flip = match self.name.flip_to(to, ctx) {
            Ok(flip) => flip,
            Err(refused) => return refused,
        };
        let under_way = AtomicBool::new(false);
        let work = self.try_flip(to, &flip.wanted.witness, ctx, &under_way);
        end_verb(work, ctx, &under_way, "S3", |what| self.about(what)).await
    }

    async fn settle(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        let flip = match self.name.flip_to(region, ctx) {
            Ok(flip) => flip,
            Err(refused) => return refused,
        };
        let under_way = AtomicBool::new(false);
        let work = self.try_settle(region, &flip.wanted.witness, ctx, &under_way);
        end_verb(work, ctx, &under_way, "S3 or Route 53", |what| self.about(what)).await
    }
}

impl fmt::Debug for HealthObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("HealthObject");
        debug.field("record", &self.name.record.to_ascii()).field("zone_id", &self.zone_id);
        debug.field("markers", &self.objects.places).finish_non_exhaustive()
    }
}

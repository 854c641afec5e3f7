//! Traffic by a simple record of a public hosted zone of Amazon Route 53, replaced through its API.
//!
//! The witness of [`crate::dns`] stands beside the name. A flip is one change batch that deletes the records as they were
//! read, with their exact values, and creates the new ones; Route 53 carries a batch out whole or not at all, and refuses
//! one whose deletions do not match what stands there. So the service does the comparing.
//!
//! ```text
//! flip:     ListResourceRecordSets ──► judge ──► ChangeResourceRecordSets [DELETE exactly these, CREATE]
//!              ▲                                      │ InvalidChangeBatch: somebody was faster
//!              └── a moment later ────────────────────┘
//! observe:  name and witness at every authoritative server, in parallel. Never waited for, in tasks of their own:
//!           ListResourceRecordSets ──► judge, every ten minutes: what a flip would be refused for is told before the day
//!           GetChange, after a flip, until it is in sync or for five minutes: how long that took is logged
//! ```
//!
//! | call | what makes it idempotent | what the target checks | what is not protected |
//! |---|---|---|---|
//! | `flip` | the witness names this very effect: read first, then `AlreadyDone`; sent twice, the second batch meets another witness | that witness and data are exactly those that were read, so an older effect that lands late is refused, also after an undo (seq grows) | a signed request that got stuck may land for 15 minutes if nothing newer has landed; whoever changes the record and ignores the witness |
//! | `observe` | reads only | - | answers are not signed: who sits on the path to a server can forge one (off the path it cannot, TCP) |
//!
//! A change is taken by the API at once (PENDING) and by the servers within about a minute (INSYNC): only their answers
//! say that it is done. INSYNC is of all servers everywhere, where `observe` asks from one place; but the API says it, which may be
//! away on that very day, so nothing waits for it.
//!
//! The API takes five requests a second of an account. Each call has a turn (`aws/turns.rs`), so that many names that move at once
//! follow each other instead of being throttled together. They are **not put into one batch**, not even those of one zone: a batch is
//! refused whole if one of its deletions matches no more, so one name with another writer would hold up all others, and the refusal
//! tells which one it was by words alone. And each name is an effect of its own run: recorded by itself, with its own numbers, lease
//! and deadline, while a request is one thing that leaves or does not.
//!
//! The API is one for all regions of a partition, and stands in one of them (us-east-1): **it may fail
//! together with the region that is failed over.** <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/disaster-recovery-resiliency.html>
//!
//! What this module must never do: leave the name without an answer; write over another owner's witness, over data that
//! is no region's, or over a record with a routing policy, an alias or a health check; call something done because the
//! API took it; have an observation wait for the API.

mod batch;
mod looks;
mod memory;
mod records;

use super::change::send_batch;
use super::config::{Route53Config, Route53ConfigError};
use super::servers::Servers;
use super::values::wire_name;
use super::verb::{Sends, VerbError, end_verb};
use crate::aws::{Account, Action, CallError, LONGEST_LOOK, Look};
use crate::dns::{Flip, SteeredName, Verdict, join};
use crate::{OpCtx, TrafficControl};
use async_trait::async_trait;
use aws_sdk_route53::operation::list_resource_record_sets::ListResourceRecordSetsOutput;
use aws_sdk_route53::types::RrType;
use batch::make_batch;
use hickory_proto::rr::Name;
use memory::Memory;
use muster_core::facts::{ErrorClass, Outcome, Seen, TrafficFacts};
use muster_core::ids::RegionName;
use records::Records;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How often a flip that met another writer reads and judges again.
const ROUNDS: u32 = 5;
/// Before it does, in milliseconds: another writer has a moment to end, and two that met do not meet again.
const PAUSE_MS: RangeInclusive<u64> = 200..=600;
const LIST: Action = Action::ListResourceRecordSets;
const CHANGE: Action = Action::ChangeResourceRecordSets;

/// One public name in a hosted zone.
pub struct Route53(Arc<Steering>);

/// What its verbs and looks share.
struct Steering {
    name: SteeredName,
    zone_id: String,
    servers: Servers,
    account: Arc<Account>,
    memory: Mutex<Memory>,
    setup_look: Look,
    change_look: Look,
}

/// For whom the records are read.
#[derive(Clone, Copy)]
enum Reader<'a> {
    Flip(&'a OpCtx),
    /// One that has time.
    Look,
}

impl Route53 {
    /// Checks the configuration; talks to nobody. The zone is changed as `account`.
    pub fn new(config: &Route53Config, account: Arc<Account>) -> Result<Self, Route53ConfigError> {
        if config.servers.is_empty() {
            return Err(Route53ConfigError::NoServer);
        }
        Ok(Self(Arc::new(Steering {
            name: SteeredName::from_config(&config.name)?,
            zone_id: config.zone_id.clone(),
            servers: Servers::new(&config.servers),
            account,
            memory: Mutex::default(),
            setup_look: Look::default(),
            change_look: Look::default(),
        })))
    }
}

impl Steering {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Name and witness as the API has them: also what the servers do not answer yet.
    async fn read(&self, reader: Reader<'_>) -> Result<Records, VerbError> {
        let mut records = Records::default();
        // The witness comes right after the name in Route 53's order, but for names between them.
        for (name, kind) in [(&self.name.record, None), (&self.name.witness, Some(RrType::Txt))] {
            if !records.is_past(name) {
                records.take(self.list(reader, name, kind).await?);
            }
        }
        Ok(records)
    }

    /// One page of the zone, from a name on, once it is the reader's turn.
    async fn list(
        &self,
        reader: Reader<'_>,
        from: &Name,
        kind: Option<RrType>,
    ) -> Result<ListResourceRecordSetsOutput, VerbError> {
        let patience = match reader {
            Reader::Flip(ctx) => {
                self.account.route53_effect_turn(LIST, ctx).await.map_err(VerbError::Before)?;
                ctx.remaining()
            }
            Reader::Look => {
                self.account.route53_turn().await;
                LONGEST_LOOK
            }
        };
        let list = self.account.route53().await.list_resource_record_sets().hosted_zone_id(&self.zone_id);
        let list = list.start_record_name(wire_name(from)).set_start_record_type(kind).max_items(PAGE);
        let listed = match timeout(patience, Box::pin(list.send())).await {
            Ok(listed) => listed.map_err(|error| CallError::new(LIST, &error)),
            Err(_) => Err(CallError::no_answer_in(LIST, patience)),
        };
        listed.map_err(VerbError::Before)
    }

    async fn try_flip(&self, flip: &Flip<'_>, ctx: &OpCtx, sends: &Sends) -> Result<Outcome, VerbError> {
        let mut refused = String::new();
        for round in 0..ROUNDS {
            if round > 0 && !has_paused(ctx).await {
                break;
            }
            let began = Instant::now();
            let records = self.read(Reader::Flip(ctx)).await?;
            let view = records.view(&self.name);
            self.note_setup(self.wrong_in(&view), began);
            let before = match view {
                Ok(before) => before,
                Err(why) => return Ok(Outcome::Conflict(self.name.about(&why))),
            };
            match self.name.judge(&before, &flip.wanted) {
                Verdict::AlreadyDone => return Ok(Outcome::AlreadyDone),
                Verdict::Stale(why) => return Ok(Outcome::StaleEpoch(self.name.about(&why))),
                Verdict::Conflict(why) => return Ok(Outcome::Conflict(self.name.about(&why))),
                Verdict::Write => {}
            }
            match self.write(&records, flip, ctx, sends).await? {
                Ok(change) => return Ok(Outcome::Issued(change)),
                Err(why) if is_protected(&why, &self.name) => {
                    let why = format!("the record is protected, until somebody lifts that: {why}");
                    return Ok(Outcome::Conflict(self.name.about(&why)));
                }
                Err(why) => {
                    tracing::debug!(record = %self.name.record, why, "another writer was faster");
                    refused = why;
                }
            }
        }
        let why =
            format!("another writer was faster each time, or something else beside forbids it: {refused}");
        Ok(Outcome::Failed(ErrorClass::Transient, self.name.about(&why)))
    }

    /// Sends the change, once it is its turn; gives its id. The inner error: Route 53 compared, and refused it for this.
    async fn write(
        &self,
        records: &Records,
        flip: &Flip<'_>,
        ctx: &OpCtx,
        sends: &Sends,
    ) -> Result<Result<Option<String>, String>, VerbError> {
        let batch = make_batch(&self.name, records, flip, ctx)?;
        self.account.route53_effect_turn(CHANGE, ctx).await.map_err(VerbError::Before)?;
        let sent = send_batch(&self.account, &self.zone_id, batch, ctx, sends).await?;
        if let Ok(Some(change)) = &sent {
            let mut memory = self.memory();
            memory.remember_change(change.clone(), Instant::now());
            // It was written with the policy's own.
            memory.take_late(None);
        }
        Ok(sent)
    }
}

/// Lets a moment pass; `false`: there is no time for it.
async fn has_paused(ctx: &OpCtx) -> bool {
    let pause = Duration::from_millis(rand::random_range(PAUSE_MS));
    let has_time = pause < ctx.remaining();
    if has_time {
        sleep(pause).await;
    }
    has_time
}

/// Whether somebody has protected the record from every change. AWS documents the error, `InvalidChangeBatch`, and not its words;
/// those may name the record, which may be called anything.
fn is_protected(why: &str, name: &SteeredName) -> bool {
    let mut told = why.to_ascii_lowercase();
    for own in [&name.record, &name.zone] {
        told = told.replace(own.to_ascii().trim_end_matches('.'), "");
    }
    told.contains("protect")
}

/// Records of one answer of the API.
const PAGE: i32 = 20;

#[async_trait]
impl TrafficControl for Route53 {
    async fn observe(&self, deadline: Duration) -> Seen<TrafficFacts> {
        let steering = &self.0;
        let (seen, (), ()) = tokio::join!(
            steering.servers.observe(&steering.name, deadline),
            steering.look_at_setup(),
            steering.look_at_change(),
        );
        match seen {
            Seen::Known(facts) => {
                let wrong = steering.memory().told().map(str::to_owned);
                Seen::Known(TrafficFacts { drift: join(facts.drift, wrong), ..facts })
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
        let work = steering.try_flip(&flip, ctx, &sends);
        end_verb(work, ctx, &sends, "Route 53", |what| steering.name.about(what)).await
    }
}

impl fmt::Debug for Route53 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Route53");
        debug.field("record", &self.0.name.record.to_ascii()).field("zone_id", &self.0.zone_id);
        debug.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AdoptedOwners;
    use crate::dns::{NameConfig, Target};

    #[test]
    fn a_record_that_is_protected_is_told_from_one_that_is_only_called_so() {
        let targets = [("east", "127.0.1.1"), ("west", "127.0.2.1")];
        let config = NameConfig {
            owner: "uid-1".into(),
            zone: "protection.example".to_owned(),
            record: "Protected.protection.example".to_owned(),
            ttl: Duration::from_secs(5),
            targets: targets.map(|(region, at)| (RegionName::from(region), Target::parse(at))).into(),
            adopted: AdoptedOwners::default(),
        };
        let name = SteeredName::from_config(&config).expect("a name");
        let faster = "Tried to delete [name='protected.protection.example.', type='A'] but it was not found";
        assert!(!is_protected(faster, &name));
        let protected = "RRSet with name protected.protection.example. cannot be changed: it is Protected";
        assert!(is_protected(protected, &name));
    }
}

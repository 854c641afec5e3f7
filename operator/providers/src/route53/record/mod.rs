//! Traffic by a simple record of a public hosted zone of Amazon Route 53, replaced through its API.
//!
//! The witness of [`crate::dns`] stands beside the name. A flip is one change batch that deletes the records as they were
//! read, with their exact values, and creates the new ones; Route 53 carries a batch out whole or not at all, and refuses
//! one whose deletions do not match what stands there. So the service does the comparing.
//!
//! ```text
//! flip:     ListResourceRecordSets ──► judge ──► ChangeResourceRecordSets [DELETE exactly these, CREATE]
//!              ▲                                      │ InvalidChangeBatch: somebody was faster
//!              └──────────────────────────────────────┘
//! observe:  name and witness at every authoritative server, in parallel; no call of the API
//! ```
//!
//! | call | what makes it idempotent | what the target checks | what is not protected |
//! |---|---|---|---|
//! | `flip` | the witness names this very effect: read first, then `AlreadyDone`; sent twice, the second batch meets another witness | that witness and data are exactly those that were read, so an older effect that lands late is refused, also after an undo (seq grows) | a signed request that got stuck may land for 15 minutes if nothing newer has landed; whoever changes the record and ignores the witness |
//! | `observe` | reads only | - | answers are not signed: who sits on the path to a server can forge one (off the path it cannot, TCP) |
//!
//! A change is taken by the API at once (PENDING) and by the servers within about a minute (INSYNC): only their answers
//! say that it is done. The API is one for all regions of a partition, and stands in one of them (us-east-1): **it may fail
//! together with the region that is failed over.** <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/disaster-recovery-resiliency.html>
//!
//! What this module must never do: leave the name without an answer; write over another owner's witness, over data that
//! is no region's, or over a record with a routing policy, an alias or a health check; call something done because the
//! API took it.

mod batch;
mod records;

use super::config::{Route53Config, Route53ConfigError, ServerName};
use super::values::wire_name;
use super::verb::{VerbError, end_verb};
use crate::aws::{Account, Action, CallError, LeaseGate};
use crate::dns::{Flip, SteeredName, Verdict};
use crate::{OpCtx, TrafficControl};
use async_trait::async_trait;
use aws_sdk_route53::types::RrType;
use batch::make_batch;
use muster_core::facts::{ErrorClass, Outcome, Seen, TrafficFacts};
use muster_core::ids::RegionName;
use records::Records;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often a flip that met another writer reads and judges again.
const ROUNDS: u32 = 5;

/// One public name in a hosted zone.
pub struct Route53 {
    name: SteeredName,
    zone_id: String,
    servers: Vec<ServerName>,
    account: Arc<Account>,
}

impl Route53 {
    /// Checks the configuration; talks to nobody. The zone is changed as `account`.
    pub fn new(config: &Route53Config, account: Arc<Account>) -> Result<Self, Route53ConfigError> {
        if config.servers.is_empty() {
            return Err(Route53ConfigError::NoServer);
        }
        Ok(Self {
            name: SteeredName::from_config(&config.name)?,
            zone_id: config.zone_id.clone(),
            servers: config.servers.clone(),
            account,
        })
    }

    /// Name and witness as the API has them: also what the servers do not answer yet.
    async fn read(&self) -> Result<Records, VerbError> {
        let client = self.account.route53().await;
        let mut records = Records::default();
        // The witness comes right after the name in Route 53's order, but for names between them.
        for (name, kind) in [(&self.name.record, None), (&self.name.witness, Some(RrType::Txt))] {
            if records.is_past(name) {
                continue;
            }
            let list = client.list_resource_record_sets().hosted_zone_id(&self.zone_id);
            let list = list.start_record_name(wire_name(name)).set_start_record_type(kind).max_items(PAGE);
            let failed = |error| VerbError::Before(CallError::new(Action::ListResourceRecordSets, &error));
            records.take(Box::pin(list.send()).await.map_err(failed)?);
        }
        Ok(records)
    }

    async fn try_flip(
        &self,
        flip: &Flip<'_>,
        ctx: &OpCtx,
        under_way: &AtomicBool,
    ) -> Result<Outcome, VerbError> {
        let mut refused = String::new();
        for _ in 0..ROUNDS {
            let records = self.read().await?;
            let before = match records.view(&self.name) {
                Ok(before) => before,
                Err(why) => return Ok(Outcome::Conflict(self.name.about(&why))),
            };
            match self.name.judge(&before, &flip.wanted) {
                Verdict::AlreadyDone => return Ok(Outcome::AlreadyDone),
                Verdict::Stale(why) => return Ok(Outcome::StaleEpoch(self.name.about(&why))),
                Verdict::Conflict(why) => return Ok(Outcome::Conflict(self.name.about(&why))),
                Verdict::Write => {}
            }
            let batch = make_batch(&self.name, &records, flip, ctx)?;
            let client = self.account.route53().await;
            let change =
                client.change_resource_record_sets().hosted_zone_id(&self.zone_id).change_batch(batch);
            let failed = |error| CallError::new(Action::ChangeResourceRecordSets, &error);
            let send = async {
                under_way.store(true, Ordering::Relaxed);
                Box::pin(change.customize().interceptor(LeaseGate::new(ctx)).send()).await.map_err(failed)
            };
            match ctx.send(send).await? {
                Ok(taken) => {
                    let change = taken.change_info().map(|change| change.id().to_owned());
                    return Ok(Outcome::Issued(change));
                }
                Err(error) if error.code.as_deref() == Some("InvalidChangeBatch") => {
                    tracing::debug!(record = %self.name.record, why = error.why, "another writer was faster");
                    refused = error.why;
                }
                Err(error) => return Err(VerbError::After(error)),
            }
            under_way.store(false, Ordering::Relaxed);
        }
        let why =
            format!("another writer was faster each time, or something else beside forbids it: {refused}");
        Ok(Outcome::Failed(ErrorClass::Transient, self.name.about(&why)))
    }
}

/// Records of one answer of the API.
const PAGE: i32 = 20;

#[async_trait]
impl TrafficControl for Route53 {
    async fn observe(&self, deadline: Duration) -> Seen<TrafficFacts> {
        super::servers::observe(&self.name, &self.servers, deadline).await
    }

    async fn flip(&self, to: &RegionName, ctx: &OpCtx) -> Outcome {
        let flip = match self.name.flip_to(to, ctx) {
            Ok(flip) => flip,
            Err(refused) => return refused,
        };
        let under_way = AtomicBool::new(false);
        let work = self.try_flip(&flip, ctx, &under_way);
        end_verb(work, ctx, &under_way, "Route 53", |what| self.name.about(what)).await
    }
}

impl fmt::Debug for Route53 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Route53");
        debug.field("record", &self.name.record.to_ascii()).field("zone_id", &self.zone_id);
        debug.finish_non_exhaustive()
    }
}

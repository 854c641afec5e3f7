//! An old primary is made anew: it gives its name away and is kept, and a replica of the new primary gets the name.
//!
//! ```text
//! look ──► judge ──► ModifyDBInstance: another name        asked again within half a minute, while RDS renames it
//!  ▲                 CreateDBInstanceReadReplica           RDS takes hours: looks tell when it follows
//!  └──── each call anew ◄──┘
//! ```
//! A call makes at most one change, and waits for nothing: what another process left half done is judged as anybody finds it.
//! The stage is in the names: an old primary gives way to a name of its own (`name.rs`), so one that bears it has given way,
//! whoever renamed it. RDS lets no two bear a name, and that is what keeps a call that comes late, or twice, from any effect: the
//! second renaming finds its new name taken by the first one's instance, the second creation finds the replica.
//!
//! | step | idempotent because | checked by the target | not protected |
//! |---|---|---|---|
//! | rename | looked for first; not asked for again shortly after a call of which nothing is seen | no two bear a name | an old primary that somebody opens between the look and the call keeps its writes under the other name. The name's endpoint is gone then: no client finds it by that |
//! | create | looked for first, as above | no two bear a name; the source is available and keeps backups | a signed request that got stuck for minutes, if a person deletes the replica meanwhile |
//!
//! # Which old primary gives its name away
//! One whose database answers, as closed by this policy's own fence, with the identity of the new primary's data. One that is
//! silent, stopped (RDS renames none) or let in again is waited for. What replicates from it goes on to do so: a third
//! region's replica of it has to be made anew too, by hand.
//!
//! What this module must never do: delete anything; change an instance that is not seen closed, or a replica; wait with
//! something to send in its hand.

mod asks;
mod judge;
mod name;
mod settings;

pub use name::LONGEST_NAME;

use super::effects::is_state_fault;
use super::memory::Memory;
use super::view::InstanceView;
use super::{Instance, RdsReplicaData};
use crate::aws::{Action, CallError, LeaseGate, NewReplica, Silent, by_deadline, invalid, transient};
use crate::postgres::guarded::{lease_lost, outcome_of};
use crate::postgres::look;
use crate::{LeaseLost, OpCtx};
use asks::Ask;
pub(super) use asks::Asks;
use aws_sdk_rds::types::DbInstance;
use judge::{Old, Source, Verdict, is_the_kept, judge, judge_source};
use muster_core::facts::{DataFacts, ErrorClass, Outcome, Witness};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// For both databases to tell what they are.
const DATABASES: Duration = Duration::from_secs(10);
/// For RDS in both regions to list what it has.
const LISTS: Duration = Duration::from_secs(30);

/// What both regions say, in one look.
struct Around {
    /// Of the old primary's region.
    all: Arc<Vec<DbInstance>>,
    views: Vec<InstanceView>,
    database: Option<DataFacts>,
    /// Of the new primary; `None` in it: RDS lists no such instance.
    source: Result<Option<(InstanceView, bool)>, Silent>,
    writer: Option<DataFacts>,
}

impl RdsReplicaData {
    /// Takes the next step, if there is one to take.
    pub(super) async fn do_rejoin(&self, old: &Instance, source: &Instance, ctx: &OpCtx) -> Outcome {
        let sent = Arc::new(AtomicBool::new(false));
        by_deadline(ctx, &sent, async {
            let around = match Box::pin(self.look_around(old, source, ctx)).await {
                Ok(around) => around,
                Err(silent) => return silent.outcome(),
            };
            if let Some(refused) = self.refused(old, source, &around, ctx) {
                return refused;
            }
            let step = Step { old, source, ctx, sent: &sent };
            let outcome = match self.judge_around(old, source, &around) {
                Verdict::MayRename(name) => step.rename(&name).await,
                Verdict::MayCreate => step.create(&around).await,
                verdict => outcome_of_verdict(verdict),
            };
            old.lock_asks().set_made(matches!(outcome, Outcome::Issued(_)));
            outcome
        })
        .await
    }

    /// All four at once. Of the new primary's region nothing is needed unless something is to be sent.
    async fn look_around(&self, old: &Instance, source: &Instance, ctx: &OpCtx) -> Result<Around, Silent> {
        let (now, look_for) = (Instant::now(), self.steering().look_for);
        let (databases, lists) = (ctx.not_after.min(now + DATABASES), ctx.not_after.min(now + LISTS));
        let (all, of_source, database, writer) = tokio::join!(
            old.rds.instances_at_once(lists),
            source.rds.instances_at_once(lists),
            look::look(&old.link, &look_for, databases),
            look::look(&source.link, &look_for, databases),
        );
        let all = all.map_err(|error| Silent::new(old.rds.region(), &error))?;
        let views: Vec<InstanceView> = all.iter().map(InstanceView::of).collect();
        if let Some(own) = views.iter().find(|view| view.name == old.name()) {
            old.lock_memory().see(own, false);
        }
        let of_source = of_source.map(|all| {
            let own = all.iter().find(|instance| instance.db_instance_arn() == Some(source.arn.as_str()));
            own.map(|own| (InstanceView::of(own), own.storage_encrypted().unwrap_or_default()))
        });
        if let Ok(Some((view, _))) = &of_source {
            source.lock_memory().see(view, false);
        }
        let of_source = of_source.map_err(|error| Silent::new(source.rds.region(), &error));
        Ok(Around { all, views, database: database.ok(), source: of_source, writer: writer.ok() })
    }

    /// Why one of the databases would refuse it, if anybody asked it: it has seen a later process, or one of another owner.
    fn refused(&self, old: &Instance, source: &Instance, around: &Around, ctx: &OpCtx) -> Option<Outcome> {
        let of = |facts: &Option<DataFacts>, node: &Instance| {
            let newest = facts.as_ref()?.witness.as_ref()?;
            // A later effect of this very process is none that overtook this one.
            let newest = Witness { seq: newest.seq.min(ctx.effect.seq), ..newest.clone() };
            Some(outcome_of(&self.steering().refuses(&newest, ctx)?, &node.link.name))
        };
        of(&around.writer, source).or_else(|| of(&around.database, old))
    }

    /// What is next, and whether the new primary is ready for it.
    fn judge_around(&self, old: &Instance, source: &Instance, around: &Around) -> Verdict {
        let (of_old, of_source) = (old.lock_memory().clone(), source.lock_memory().clone());
        let (name, database) = (old.name(), around.database.as_ref());
        let there = Old { name, all: &around.views, database, memory: &of_old };
        let view = around.source.as_ref().ok().and_then(Option::as_ref).map(|(view, _)| view);
        let (arn, region) = (source.arn.as_str(), source.rds.region());
        let from = Source { arn, region, view, database: around.writer.as_ref(), memory: &of_source };
        let verdict = judge(there, from, &self.config.owner);
        let ask = match verdict {
            Verdict::MayRename(_) => Ask::Rename,
            Verdict::MayCreate => Ask::Create,
            _ => return verdict,
        };
        if let Some(since) = old.lock_asks().lately(ask) {
            let seconds = since.as_secs();
            return Verdict::Waiting(format!("{ask} was asked for {seconds} s ago, and is not seen yet"));
        }
        match &around.source {
            Err(silent) => Verdict::Waiting(silent.why.clone()),
            Ok(_) => judge_source(from).unwrap_or(verdict),
        }
    }
}

/// One change, at most.
struct Step<'a> {
    old: &'a Instance,
    source: &'a Instance,
    ctx: &'a OpCtx,
    sent: &'a Arc<AtomicBool>,
}

impl Step<'_> {
    async fn rename(&self, name: &str) -> Outcome {
        let region = self.old.rds.region();
        let request =
            self.old.rds.client().await.modify_db_instance().db_instance_identifier(self.old.name());
        let request = request.new_db_instance_identifier(name).apply_immediately(true);
        let gate = self.gate(Ask::Rename);
        let call = async {
            let answer = Box::pin(request.customize().interceptor(gate).send()).await;
            answer.map(drop).map_err(|error| CallError::new(Action::ModifyDbInstance, &error))
        };
        match self.send(Ask::Rename, call).await {
            Ok(()) => transient(format!(
                "asked {region} to call it {name}; the replica is made once nothing bears its name"
            )),
            Err(refused) => refused,
        }
    }

    async fn create(&self, around: &Around) -> Outcome {
        let memory = self.old.lock_memory().clone();
        let Some(kept) = newest_kept(&around.all, self.old.name(), &memory) else {
            return transient("the old primary is gone".to_owned());
        };
        let is_encrypted = matches!(&around.source, Ok(Some((_, true))));
        let kms_key = match (is_encrypted, kept.kms_key_id()) {
            (false, _) => None,
            (true, Some(key)) => Some(key),
            (true, None) => {
                return invalid(
                    "the new primary is encrypted and the old one is not, so nobody knows by which key the replica has to be: \
                     make it by hand",
                );
            }
        };
        let (region, source) = (self.old.rds.region(), self.source.arn.as_str());
        let replica = NewReplica { name: self.old.name(), region, source, kms_key };
        let url = match self.source.rds.presign_replica(replica).await {
            Ok(url) => url,
            Err(error) => return Outcome::Failed(error.class, error.why),
        };
        let request = self.old.rds.client().await.create_db_instance_read_replica();
        let request = request.db_instance_identifier(self.old.name()).source_db_instance_identifier(source);
        let request =
            settings::copy(request, kept).set_kms_key_id(kms_key.map(str::to_owned)).pre_signed_url(url);
        let gate = self.gate(Ask::Create);
        let call = async {
            let answer = Box::pin(request.customize().interceptor(gate).send()).await;
            answer.map(drop).map_err(|error| CallError::new(Action::CreateDbInstanceReadReplica, &error))
        };
        match self.send(Ask::Create, call).await {
            Ok(()) => {
                Outcome::Issued(Some(format!("asked {region} for a replica of {source}; RDS may take hours")))
            }
            Err(refused) => refused,
        }
    }

    /// Notes what leaves, right before it does.
    fn gate(&self, ask: Ask) -> LeaseGate {
        let (sent, asks) = (Arc::clone(self.sent), Arc::clone(&self.old.asks));
        LeaseGate::noting(self.ctx, move || {
            sent.store(true, Ordering::Relaxed);
            asks.lock().unwrap_or_else(PoisonError::into_inner).note(ask);
        })
    }

    /// `Err`: what comes of it, if it was not taken.
    async fn send(&self, ask: Ask, call: impl Future<Output = Result<(), CallError>>) -> Result<(), Outcome> {
        let answer = self.ctx.send(call).await.map_err(|LeaseLost| lease_lost())?;
        let Err(error) = answer else { return Ok(()) };
        if error.class != ErrorClass::UnknownOutcome {
            self.old.lock_asks().forget(ask);
        }
        Err(outcome_of_refusal(&error))
    }
}

/// The instance that gave the name away last, as far as its age tells.
fn newest_kept<'a>(all: &'a [DbInstance], name: &str, memory: &Memory) -> Option<&'a DbInstance> {
    let kept = all.iter().filter(|instance| is_the_kept(&InstanceView::of(instance), name, memory));
    kept.max_by_key(|instance| instance.instance_create_time().map(|time| (time.secs(), time.subsec_nanos())))
}

/// Only what RDS takes hours for is `Issued`: everything else is asked for again soon.
fn outcome_of_verdict(verdict: Verdict) -> Outcome {
    match verdict {
        Verdict::Running(told) => Outcome::Issued(Some(format!("adopted: {told}"))),
        Verdict::Done => Outcome::AlreadyDone,
        Verdict::Conflict(why) => Outcome::Conflict(why),
        Verdict::Stuck(why) => invalid(why),
        Verdict::Waiting(why) => transient(why),
        Verdict::MayRename(_) | Verdict::MayCreate => transient("nothing is under way".to_owned()),
    }
}

/// With what a person can do about it, where AWS' own words do not say it.
fn outcome_of_refusal(error: &CallError) -> Outcome {
    let with = |fix: &str| format!("{} ({fix})", error.why);
    let code = error.code.as_deref().unwrap_or_default();
    match code.trim_end_matches("Fault") {
        // Something has begun there meanwhile: the next look tells what.
        _ if is_state_fault(error) => transient(error.why.clone()),
        "DBInstanceNotFound" => transient(error.why.clone()),
        "DBInstanceAlreadyExists" => transient(with("the next look tells whose it is")),
        "InsufficientDBInstanceCapacity" => transient(with("AWS has no room for this class there now")),
        "InstanceQuotaExceeded" | "StorageQuotaExceeded" => {
            invalid(with("raise the quota of this region, or delete an old primary that is kept no longer"))
        }
        "KMSKeyNotAccessible" => {
            invalid(with("enable the key, and let Muster's role use it: kms:CreateGrant and kms:DescribeKey"))
        }
        _ if error.class == ErrorClass::Denied => {
            let tags = Action::AddTagsToResource;
            let why = with(&format!(
                "`muster aws iam` prints the rights; a replica with tags also takes {tags}, one with Enhanced Monitoring iam:PassRole"
            ));
            Outcome::Failed(error.class, why)
        }
        _ => Outcome::Failed(error.class, error.why.clone()),
    }
}

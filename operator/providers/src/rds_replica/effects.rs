//! Changes: the promotion by RDS, which checks nothing, and all others by the database, which does.

use super::judge::{Verdict, judge};
use super::view::InstanceView;
use super::{Instance, RdsReplicaData};
use crate::aws::{Action, CallError, LeaseGate, Silent, by_deadline, transient};
use crate::postgres;
use crate::postgres::guarded::{lease_lost, outcome_of};
use crate::postgres::link::Link;
use crate::postgres::look;
use crate::postgres::steering::Change;
use crate::{LeaseLost, OpCtx};
use muster_core::facts::{DataFacts, DataRole, ErrorClass, Outcome};
use muster_core::ids::RegionName;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A database that says nothing within this is one that reboots, or cannot be reached: RDS decides then.
const DATABASE_SILENT: Duration = Duration::from_secs(3);

impl RdsReplicaData {
    /// Asks the target's own region to promote it, unless that is under way or done. No other region is asked: that of the old
    /// primary may be gone.
    pub(super) async fn do_promote(&self, to: &Instance, ctx: &OpCtx) -> Outcome {
        let sent = Arc::new(AtomicBool::new(false));
        by_deadline(ctx, &sent, async {
            let look = match self.look_at_once(to, ctx.not_after).await {
                Ok(look) => look,
                Err(silent) => return silent.outcome(),
            };
            if let Some(refused) = self.refusal(to, &look, ctx) {
                return refused;
            }
            match to.judge(&look) {
                Verdict::NotStarted => self.send(to, &look.view, ctx, &sent).await,
                verdict => outcome_of_verdict(verdict),
            }
        })
        .await
    }

    /// Why the target's database would refuse it, if anybody asked it: it has seen a newer effect, or one of another owner.
    fn refusal(&self, to: &Instance, look: &Look, ctx: &OpCtx) -> Option<Outcome> {
        let witness = look.database.as_ref()?.witness.as_ref()?;
        let refused = self.steering().refuses(witness, ctx)?;
        Some(outcome_of(&refused, &to.link.name))
    }

    async fn send(&self, to: &Instance, view: &InstanceView, ctx: &OpCtx, sent: &Arc<AtomicBool>) -> Outcome {
        let client = to.rds.client().await;
        // Of backups that it has none is given up for it.
        let days = i32::from(self.config.backup_days).max(view.backup_days);
        // Noted earlier, what never left would make a change of somebody else's look like this promotion.
        let (sent, memory) = (Arc::clone(sent), Arc::clone(&to.memory));
        let gate = LeaseGate::noting(ctx, move || {
            sent.store(true, Ordering::Relaxed);
            memory.lock().unwrap_or_else(PoisonError::into_inner).note_asked();
        });
        let asked_before = to.lock_memory().asked();
        let request = async {
            let request = client.promote_read_replica().db_instance_identifier(to.name());
            // Without it an instance that has no backups gets some for a day.
            let request = request.backup_retention_period(days);
            let answer = Box::pin(request.customize().interceptor(gate).send()).await;
            answer.map(drop).map_err(|error| CallError::new(Action::PromoteReadReplica, &error))
        };
        let answer = ctx.send(request).await;
        if matches!(&answer, Ok(Err(error)) if error.class != ErrorClass::UnknownOutcome) {
            to.lock_memory().note_refused(asked_before);
        }
        match answer {
            Err(LeaseLost) => lease_lost(),
            Ok(Ok(())) => Outcome::Issued(Some(asked(to, view, days))),
            Ok(Err(error)) if is_state_fault(&error) => self.look_after_refusal(to, &error, ctx).await,
            Ok(Err(error)) => Outcome::Failed(error.class, error.why),
        }
    }

    /// RDS refused it for the instance's state, which was another one just before: something has begun there meanwhile.
    async fn look_after_refusal(&self, to: &Instance, error: &CallError, ctx: &OpCtx) -> Outcome {
        let look = match self.look_at_once(to, ctx.not_after).await {
            Ok(look) => look,
            Err(silent) => return transient(format!("{} ({})", error.why, silent.why)),
        };
        match to.judge(&look) {
            Verdict::NotStarted => transient(format!("{} (seen: {})", error.why, look.view.describe())),
            Verdict::Waiting(why) => transient(format!("{} ({why})", error.why)),
            verdict => outcome_of_verdict(verdict),
        }
    }

    /// What both sides of an instance say now, newer than this question.
    async fn look_at_once(&self, to: &Instance, by: Instant) -> Result<Look, Silent> {
        let region = to.rds.region();
        let soon = by.min(Instant::now() + DATABASE_SILENT);
        let look_for = self.steering().look_for;
        let (all, database) =
            tokio::join!(to.rds.instances_at_once(by), look::look(&to.link, &look_for, soon));
        let view = to.view_in(&all.map_err(|error| Silent::new(region, &error))?).ok_or_else(|| Silent {
            class: ErrorClass::Invalid,
            why: format!("RDS in {region} knows no instance {}", to.arn),
        })?;
        // A stranger of the same name stays one here: only looking when nothing is at stake takes it for the instance.
        to.lock_memory().see(&view, false);
        Ok(Look { view, database: database.ok() })
    }

    /// The first write on a new writer: raises the witness, and opens what a fence closed before the promotion.
    pub(super) async fn do_open_writer(&self, instance: &Instance, ctx: &OpCtx) -> Outcome {
        let change = Change::OpenLogins { older_only: true };
        postgres::by_deadline(ctx, self.steering().change(&instance.link, change, ctx)).await
    }

    pub(super) async fn do_fence(&self, region: &RegionName, instance: &Instance, ctx: &OpCtx) -> Outcome {
        let others = self.instances.iter().filter(|(other, _)| *other != region);
        let others: Vec<(&RegionName, &Link)> = others.map(|(region, of)| (region, &of.link)).collect();
        postgres::by_deadline(ctx, self.steering().fence(&instance.link, &others, ctx)).await
    }

    pub(super) async fn do_unfence(&self, instance: &Instance, ctx: &OpCtx) -> Outcome {
        let change = Change::OpenLogins { older_only: false };
        postgres::by_deadline(ctx, self.steering().change(&instance.link, change, ctx)).await
    }
}

/// What both sides say before and after a call.
struct Look {
    view: InstanceView,
    /// `None`: it does not answer.
    database: Option<DataFacts>,
}

impl Look {
    fn recovering(&self) -> Option<bool> {
        self.database.as_ref().map(|facts| facts.role == DataRole::Standby)
    }
}

impl Instance {
    fn judge(&self, look: &Look) -> Verdict {
        judge(&look.view, look.recovering(), &self.lock_memory(), &self.sources)
    }
}

/// What is said of a call that was taken.
fn asked(to: &Instance, view: &InstanceView, days: i32) -> String {
    let region = to.rds.region();
    match view.backup_days {
        0 => {
            format!("asked {region} for it; it has no backups yet, and keeps them for {days} d from then on")
        }
        _ => format!("asked {region} for it"),
    }
}

fn outcome_of_verdict(verdict: Verdict) -> Outcome {
    match verdict {
        Verdict::NotStarted => transient("nothing is under way".to_owned()),
        Verdict::Running(told) => Outcome::Issued(Some(format!("adopted: {told}"))),
        Verdict::Done => Outcome::AlreadyDone,
        Verdict::Conflict(why) => Outcome::Conflict(why),
        Verdict::Waiting(why) => transient(why),
        Verdict::Stuck(why) => Outcome::Failed(ErrorClass::Invalid, why),
    }
}

/// Refused for what the instance is or does: it had no effect. The API's model and its answers differ in the ending.
pub(super) fn is_state_fault(error: &CallError) -> bool {
    const FAULTS: [&str; 2] = ["InvalidDBInstanceState", "InvalidDBInstanceStateFault"];
    error.code.as_deref().is_some_and(|code| FAULTS.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AdoptedOwners;
    use crate::aws::fixtures::{Refuser, ctx_that_leads_for};
    use crate::aws::{AwsAccess, AwsAccounts};
    use crate::postgres::{Application, Node, TlsMode};
    use crate::rds_replica::{RdsInstance, RdsReplicaConfig};
    use muster_core::ids::{ItemName, Owner};
    use muster_core::secret::Secret;

    fn data(refuser: &Refuser, role_arn: Option<&str>) -> RdsReplicaData {
        let access = AwsAccess { role_arn: role_arn.map(str::to_owned), external_id: None };
        let instance = RdsInstance {
            aws_region: "us-west-2".to_owned(),
            access,
            arn: "arn:aws:rds:us-west-2:111122223333:db:orders-west".to_owned(),
            node: Node { host: "127.0.0.1".to_owned(), port: 1 },
        };
        let config = RdsReplicaConfig {
            item: ItemName::new("orders"),
            owner: Owner::new("policy-1"),
            database: "shop".to_owned(),
            user: "muster".to_owned(),
            password: Secret::new("secret"),
            application: Application { user: "shop".to_owned(), password: Secret::new("secret") },
            tls: TlsMode::Disable,
            instances: [(RegionName::new("west"), instance)].into(),
            backup_days: 7,
            rebuilds: false,
            adopted: AdoptedOwners::default(),
        };
        RdsReplicaData::new(config, &AwsAccounts::at(refuser.place())).expect("no TLS")
    }

    /// What comes of a promotion that is sent, whether it may have left, and whether it counts as asked for.
    async fn sent(data: &RdsReplicaData, checks: u32) -> (Outcome, bool, bool) {
        sent_for(data, &ctx_that_leads_for(checks)).await
    }

    async fn sent_for(data: &RdsReplicaData, ctx: &OpCtx) -> (Outcome, bool, bool) {
        let to = &data.instances[&RegionName::new("west")];
        let sent = Arc::new(AtomicBool::new(false));
        let outcome = data.send(to, &InstanceView::default(), ctx, &sent).await;
        (outcome, sent.load(Ordering::Relaxed), to.lock_memory().asked())
    }

    #[tokio::test]
    async fn a_promotion_that_the_lease_stopped_after_its_signature_was_not_asked_for() {
        let refuser = Refuser::start("AccessDenied").await;
        let (outcome, left, asked) = sent(&data(&refuser, None), 1).await;
        let why = format!("rds:PromoteReadReplica: {LeaseLost}");
        assert_eq!(outcome, Outcome::Failed(ErrorClass::Transient, why));
        assert_eq!((left, asked, refuser.requests()), (false, false, 0));
    }

    #[tokio::test]
    async fn a_promotion_whose_time_was_over_was_not_asked_for() {
        let refuser = Refuser::start("AccessDenied").await;
        let mut ctx = ctx_that_leads_for(9);
        ctx.not_after = Instant::now();
        let (outcome, left, asked) = sent_for(&data(&refuser, None), &ctx).await;
        let why = "rds:PromoteReadReplica: the time was over before the request was sent";
        assert_eq!(outcome, Outcome::Failed(ErrorClass::Transient, why.to_owned()));
        assert_eq!((left, asked, refuser.requests()), (false, false, 0));
    }

    #[tokio::test]
    async fn a_promotion_that_got_no_credentials_was_not_asked_for() {
        let refuser = Refuser::start("AccessDenied").await;
        let data = data(&refuser, Some("arn:aws:iam::111122223333:role/muster"));
        let (outcome, left, asked) = sent(&data, 9).await;
        assert!(matches!(&outcome, Outcome::Failed(ErrorClass::Denied, _)), "{outcome:?}");
        assert_eq!((left, asked, refuser.requests()), (false, false, 1), "STS alone was asked");
    }

    #[tokio::test]
    async fn a_promotion_that_was_refused_is_none_and_one_without_an_answer_may_be_one() {
        let refuser = Refuser::start("Throttling").await;
        let throttled = data(&refuser, None);
        let (outcome, left, asked) = sent(&throttled, 9).await;
        assert!(matches!(&outcome, Outcome::Failed(ErrorClass::Throttled, _)), "{outcome:?}");
        assert_eq!((left, asked), (true, false));
        // An earlier one may still be carried out.
        throttled.instances[&RegionName::new("west")].lock_memory().note_asked();
        assert_eq!((sent(&throttled, 9).await.2, refuser.requests()), (true, 2));

        let mute = Refuser::start("").await;
        let (outcome, left, asked) = sent(&data(&mute, None), 9).await;
        assert!(matches!(&outcome, Outcome::Failed(ErrorClass::UnknownOutcome, _)), "{outcome:?}");
        assert_eq!((left, asked), (true, true));
    }

    #[test]
    fn a_verdict_says_what_may_be_assumed() {
        let of = outcome_of_verdict;
        let adopted = of(Verdict::Running("it is rebooting".to_owned()));
        assert_eq!(adopted, Outcome::Issued(Some("adopted: it is rebooting".to_owned())));
        assert_eq!(of(Verdict::Done), Outcome::AlreadyDone);
        assert_eq!(of(Verdict::Conflict("x".to_owned())), Outcome::Conflict("x".to_owned()));
        let class = |verdict| match of(verdict) {
            Outcome::Failed(class, _) => Some(class),
            _ => None,
        };
        assert_eq!(class(Verdict::Waiting("x".to_owned())), Some(ErrorClass::Transient));
        assert_eq!(class(Verdict::Stuck("x".to_owned())), Some(ErrorClass::Invalid));
    }

    #[test]
    fn only_a_fault_of_the_state_is_looked_into() {
        let error = |code: &str| {
            let code = Some(code.to_owned());
            CallError { code, class: ErrorClass::Invalid, why: String::new() }
        };
        assert!(is_state_fault(&error("InvalidDBInstanceState")));
        assert!(is_state_fault(&error("InvalidDBInstanceStateFault")));
        assert!(!is_state_fault(&error("DBInstanceNotFound")), "another region or name: for good");
    }
}

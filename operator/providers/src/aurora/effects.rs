//! Changes: of the global cluster by RDS, which checks nothing, and of the witness by the database, which does.

use super::judge::{Verdict, judge_detachment, judge_failover, judge_switchover, latest};
use super::view::{ClusterView, GlobalView};
use super::{AuroraData, Member};
use crate::aws::{Action, CallError, LeaseGate, Silent, by_deadline, transient};
use crate::postgres::guarded::{self, NUMBERS, lease_lost, outcome_of};
use crate::{LeaseLost, OpCtx};
use muster_core::facts::{ErrorClass, Outcome};
use muster_core::ids::RegionName;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// So long an effect waits for what it can do without.
const SOON: Duration = Duration::from_secs(2);

/// The calls that change a global cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    SwitchOver,
    FailOver,
    Detach,
}

impl AuroraData {
    /// Asks the primary's region for the switchover, unless it is under way or done, as both regions see it.
    pub(super) async fn do_switch_over(&self, from: &Member, to: &Member, ctx: &OpCtx) -> Outcome {
        let sent = Arc::new(AtomicBool::new(false));
        by_deadline(ctx, &sent, async {
            let by = ctx.not_after;
            let (here, there) = tokio::join!(self.look_at_once(from, by), self.look_at_once(to, by));
            let judge = |view: &GlobalView| judge_switchover(view, &from.arn, &to.arn);
            let (verdicts, silent) = judge_each([&here, &there], judge);
            match (latest(verdicts), silent) {
                (Some(Verdict::NotStarted) | None, Some(silent)) => return silent.outcome(),
                (Some(verdict), _) if verdict != Verdict::NotStarted => return outcome_of_verdict(verdict),
                _ => {}
            }
            for (member, look) in [(from, &here), (to, &there)] {
                if let Some(why) = look.as_ref().ok().and_then(|look| look.unfit(member)) {
                    return transient(why);
                }
            }
            self.send(Call::SwitchOver, from, to, ctx, &sent).await
        })
        .await
    }

    /// Asks the target's own region for a failover that accepts a loss, unless it is under way or done. No other region is
    /// asked: that of the old primary may be gone.
    pub(super) async fn do_fail_over(&self, to: &Member, ctx: &OpCtx) -> Outcome {
        let sent = Arc::new(AtomicBool::new(false));
        by_deadline(ctx, &sent, async {
            let by = ctx.not_after;
            let (global, own) = tokio::join!(self.global_at_once(to, by), self.own_cluster(to, by));
            let own = match global.and_then(|global| global.ok_or_else(|| self.knows_none(to))) {
                Ok(global) => match judge_failover(&global, &to.arn) {
                    Verdict::NotStarted => own,
                    verdict => return outcome_of_verdict(verdict),
                },
                Err(silent) => match self.without_list(silent, to, own, by).await {
                    Ok(own) => Some(own),
                    Err(outcome) => return outcome,
                },
            };
            if let Some(why) = own.and_then(|own| headless(to, &own)) {
                return transient(why);
            }
            self.send(Call::FailOver, to, to, ctx, &sent).await
        })
        .await
    }

    /// Takes the target out of the global cluster at its own region, unless it has left it, or takes writes in it by now. A person
    /// has agreed to that: the core records it in no other case.
    pub(super) async fn do_detach(&self, to: &Member, ctx: &OpCtx) -> Outcome {
        let sent = Arc::new(AtomicBool::new(false));
        by_deadline(ctx, &sent, async {
            let by = ctx.not_after;
            let (global, own) = tokio::join!(self.global_at_once(to, by), self.own_cluster(to, by));
            let own = match global {
                Ok(global) => match judge_detachment(global.as_ref(), own.as_ref(), &to.arn) {
                    Verdict::NotStarted => own,
                    // A list that lacks it may be one that is late.
                    Verdict::Done if !is_listed(global.as_ref(), to) && !self.takes_writes(to, by).await => {
                        let arn = &to.arn;
                        return transient(format!(
                            "{arn} has left the global cluster, and takes no writes yet"
                        ));
                    }
                    verdict => return outcome_of_verdict(verdict),
                },
                // What keeps RDS from telling may be what keeps the failover from ending.
                Err(silent) => match self.without_list(silent, to, own, by).await {
                    Ok(own) => Some(own),
                    Err(outcome) => return outcome,
                },
            };
            if let Some(why) = own.and_then(|own| headless(to, &own)) {
                return transient(why);
            }
            self.send(Call::Detach, to, to, ctx, &sent).await
        })
        .await
    }

    /// The list of global clusters may fail with the region that is gone. Where it is `silent`, the target's own cluster is
    /// enough to ask by, and RDS refuses what it cannot do. `own`: what was seen of it beside the list. `Err`: it is not asked.
    async fn without_list(
        &self,
        silent: Silent,
        to: &Member,
        own: Option<ClusterView>,
        by: Instant,
    ) -> Result<ClusterView, Outcome> {
        let own_again = async {
            match own {
                Some(own) => Some(own),
                None => self.own_cluster(to, by).await,
            }
        };
        let (takes_writes, own) = tokio::join!(self.takes_writes(to, by), own_again);
        match own {
            // Nobody knows what RDS makes of a call for the cluster that takes writes already.
            _ if takes_writes => Err(Outcome::AlreadyDone),
            Some(own) if silent.says_nothing() => Ok(own),
            _ => Err(silent.outcome()),
        }
    }

    /// Whether the member's database says soon that it takes writes.
    async fn takes_writes(&self, member: &Member, by: Instant) -> bool {
        let by = by.min(Instant::now() + SOON);
        Box::pin(self.look_database(member, by)).await.is_ok_and(|looked| !looked.recovering)
    }

    /// Makes `call` at the region of `at`.
    async fn send(
        &self,
        call: Call,
        at: &Member,
        to: &Member,
        ctx: &OpCtx,
        sent: &Arc<AtomicBool>,
    ) -> Outcome {
        let client = at.rds.client().await;
        let (cluster, target) = (self.config.cluster.as_str(), to.arn.as_str());
        let sent = Arc::clone(sent);
        let gate = LeaseGate::noting(ctx, move || sent.store(true, Ordering::Relaxed));
        let request = async {
            match call {
                Call::SwitchOver => {
                    let request = client.switchover_global_cluster().global_cluster_identifier(cluster);
                    let request = request.target_db_cluster_identifier(target);
                    let answer = Box::pin(request.customize().interceptor(gate).send()).await;
                    answer.map(drop).map_err(|error| CallError::new(Action::SwitchoverGlobalCluster, &error))
                }
                Call::FailOver => {
                    // Without `allow_data_loss` it would be a switchover, which waits for a primary that may be gone.
                    let request = client.failover_global_cluster().global_cluster_identifier(cluster);
                    let request = request.target_db_cluster_identifier(target).allow_data_loss(true);
                    let answer = Box::pin(request.customize().interceptor(gate).send()).await;
                    answer.map(drop).map_err(|error| CallError::new(Action::FailoverGlobalCluster, &error))
                }
                Call::Detach => {
                    let request = client.remove_from_global_cluster().global_cluster_identifier(cluster);
                    let request = request.db_cluster_identifier(target);
                    let answer = Box::pin(request.customize().interceptor(gate).send()).await;
                    answer.map(drop).map_err(|error| CallError::new(Action::RemoveFromGlobalCluster, &error))
                }
            }
        };
        match ctx.send(request).await {
            Err(LeaseLost) => lease_lost(),
            Ok(Ok(())) => Outcome::Issued(Some(format!("asked {} for it", at.rds.region()))),
            Ok(Err(error)) if is_state_fault(&error) => {
                let seen = match self.look_at_once(at, ctx.not_after).await {
                    Ok(look) => look.global.describe(),
                    Err(silent) => silent.why,
                };
                transient(format!("{} (seen: {seen})", error.why))
            }
            Ok(Err(error)) => Outcome::Failed(error.class, error.why),
        }
    }

    /// What the member's region says now, newer than this question.
    async fn look_at_once(&self, member: &Member, by: Instant) -> Result<Look, Silent> {
        let (global, cluster) = tokio::join!(self.global_at_once(member, by), self.own_cluster(member, by));
        let global = global?.ok_or_else(|| self.knows_none(member))?;
        Ok(Look { global, cluster })
    }

    fn knows_none(&self, member: &Member) -> Silent {
        let (region, cluster) = (member.rds.region(), &self.config.cluster);
        Silent {
            class: ErrorClass::Invalid,
            why: format!("RDS in {region} knows no global cluster {cluster}"),
        }
    }

    /// The global cluster as the member's region sees it; `None`: it knows no such one.
    async fn global_at_once(&self, member: &Member, by: Instant) -> Result<Option<GlobalView>, Silent> {
        let all = member.rds.global_clusters_at_once(by).await;
        Ok(self.global_in(&all.map_err(|error| Silent::new(member.rds.region(), &error))?))
    }

    /// The member's own cluster, if RDS tells soon: what it says of the global cluster alone is enough to act on.
    async fn own_cluster(&self, member: &Member, by: Instant) -> Option<ClusterView> {
        let by = by.min(Instant::now() + SOON);
        member.cluster_in(&member.rds.clusters_at_once(by).await.ok()?)
    }

    /// The first write on a new writer, refused by a standby and below the witness.
    pub(super) async fn do_open_writer(&self, member: &Member, ctx: &OpCtx) -> Outcome {
        // Right after a promotion the writer's name may lead nowhere still, and a reader's to the new writer.
        let prepared = match guarded::prepare(&member.writer, ctx).await {
            Ok(prepared) => prepared,
            Err(outcome) => {
                let Some(reader) = &member.reader else { return outcome };
                match guarded::prepare(reader, ctx).await {
                    Ok(prepared) => prepared,
                    Err(outcome) => return outcome,
                }
            }
        };
        let sql = format!("select muster.raise_witness({NUMBERS})");
        let who = (&self.config.owner, &self.config.adopted);
        match ctx.send(prepared.call("raise the witness", &sql, who, ctx)).await {
            Err(LeaseLost) => lease_lost(),
            Ok(Err(error)) => error.outcome(true),
            Ok(Ok(verdict)) => {
                let outcome = outcome_of(&verdict, prepared.session.node());
                prepared.session.keep();
                outcome
            }
        }
    }

    /// Aurora makes an old primary a secondary by itself, once its region is back: there is nothing to ask for.
    pub(super) async fn do_rejoin(&self, region: &RegionName, member: &Member, ctx: &OpCtx) -> Outcome {
        let look = match self.look_at_once(member, ctx.not_after).await {
            Ok(look) => look,
            Err(silent) => return silent.outcome(),
        };
        match look.global.member(&member.arn) {
            Some(own) if !own.is_writer && own.is_connected() => Outcome::AlreadyDone,
            Some(own) => transient(format!(
                "Aurora builds the cluster in {region} again by itself; synchronization status `{}`",
                own.synchronization
            )),
            None => transient(format!("{} is not a member of the global cluster", member.arn)),
        }
    }
}

/// What a region says before and after a call.
struct Look {
    global: GlobalView,
    cluster: Option<ClusterView>,
}

impl Look {
    /// Why a switchover would be refused by the state of this member's own cluster.
    fn unfit(&self, member: &Member) -> Option<String> {
        let cluster = self.cluster.as_ref()?;
        let mut reasons = cluster.unfit();
        reasons.extend(cluster.unready());
        (!reasons.is_empty()).then(|| format!("{}: {}", member.arn, reasons.join("; ")))
    }
}

/// Whether the global cluster has this member.
fn is_listed(global: Option<&GlobalView>, member: &Member) -> bool {
    global.is_some_and(|global| global.member(&member.arn).is_some())
}

/// Why a cluster without instances is not made the writer.
fn headless(to: &Member, own: &ClusterView) -> Option<String> {
    let (arn, status) = (&to.arn, &own.status);
    (own.instances == 0)
        .then(|| format!("{arn} has no instance (headless, {status}) and would take no connection"))
}

/// Verdicts of the regions that answer, and why another one does not.
fn judge_each(
    looks: [&Result<Look, Silent>; 2],
    judge: impl Fn(&GlobalView) -> Verdict,
) -> (Vec<Verdict>, Option<Silent>) {
    let (mut verdicts, mut silent) = (Vec::new(), None);
    for look in looks {
        match look {
            Ok(look) => verdicts.push(judge(&look.global)),
            Err(why) => silent = Some(why.clone()),
        }
    }
    (verdicts, silent)
}

fn outcome_of_verdict(verdict: Verdict) -> Outcome {
    match verdict {
        Verdict::NotStarted => transient("nothing is under way".to_owned()),
        Verdict::Running(told) => Outcome::Issued(Some(format!("adopted: {told}"))),
        Verdict::Done => Outcome::AlreadyDone,
        Verdict::Conflict(why) => Outcome::Conflict(why),
        Verdict::Unready(why) => transient(why),
    }
}

/// The operation was refused because of what is, or goes on, there: it had no effect, and may be let in later.
fn is_state_fault(error: &CallError) -> bool {
    const FAULTS: [&str; 2] = ["InvalidGlobalClusterStateFault", "InvalidDBClusterStateFault"];
    error.code.as_deref().is_some_and(|code| FAULTS.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_is_adopted_and_what_is_done_is_not_asked_for_again() {
        let adopted = outcome_of_verdict(Verdict::Running("a switchover".to_owned()));
        assert_eq!(adopted, Outcome::Issued(Some("adopted: a switchover".to_owned())));
        assert_eq!(outcome_of_verdict(Verdict::Done), Outcome::AlreadyDone);
        let conflict = outcome_of_verdict(Verdict::Conflict("x".to_owned()));
        assert_eq!(conflict, Outcome::Conflict("x".to_owned()));
        let unready = outcome_of_verdict(Verdict::Unready("x".to_owned()));
        assert!(matches!(unready, Outcome::Failed(ErrorClass::Transient, _)));
    }

    #[test]
    fn a_read_that_is_denied_names_the_permission_and_one_that_fails_has_changed_nothing() {
        let of = |class| {
            let why = "rds:DescribeGlobalClusters: AccessDenied: no".to_owned();
            Silent::new("us-west-2", &CallError { code: None, class, why })
        };
        let told = |does| format!("RDS in us-west-2 {does}: rds:DescribeGlobalClusters: AccessDenied: no");
        for (class, as_class, does) in [
            (ErrorClass::Denied, ErrorClass::Denied, "refuses"),
            (ErrorClass::Invalid, ErrorClass::Invalid, "refuses"),
            (ErrorClass::Conflict, ErrorClass::Conflict, "refuses"),
            (ErrorClass::Throttled, ErrorClass::Throttled, "throttles"),
            (ErrorClass::UnknownOutcome, ErrorClass::Transient, "does not answer"),
        ] {
            let silent = of(class);
            assert_eq!(silent.says_nothing(), does == "does not answer", "{class:?}");
            assert_eq!(silent.outcome(), Outcome::Failed(as_class, told(does)));
        }
    }

    #[test]
    fn only_a_fault_of_the_state_is_one_that_passes() {
        let error = |code: &str| {
            let code = Some(code.to_owned());
            CallError { code, class: ErrorClass::Invalid, why: String::new() }
        };
        assert!(is_state_fault(&error("InvalidGlobalClusterStateFault")));
        assert!(is_state_fault(&error("InvalidDBClusterStateFault")));
        assert!(!is_state_fault(&error("GlobalClusterNotFoundFault")));
        assert!(!is_state_fault(&error("DBClusterNotFoundFault")));
    }
}

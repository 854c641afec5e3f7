//! Wishes: objects made or changed under the caller's name, and what the operator made of them.
//!
//! | wish | object | the operator's word |
//! |---|---|---|
//! | a run | `FailoverRun` created | an epoch, or outcome Refused |
//! | approve, abort | its `spec.approval`, `spec.abort`, under its resourceVersion | conditions `ApprovalTaken`, `AbortTaken` |
//! | pause, resume, adopt | annotations of the policy | the journal |
//! | ack | annotation `muster.dev/ack`, of what is open | the policy's `status.acknowledge` |

use super::super::exit::{Code, Done, Failure};
use super::Cluster;
use super::call::{Asked, Trouble, call};
use super::reads::{POLICIES, RUNS};
use super::show::{self, Request};
use crate::api::{Abort, Accepted, Ack, Adopt, Approve, Consent, LONGEST_CONSENT, Pause, Resume, StartRun};
use crate::clock::Clock;
use crate::controllers::{ACK, ADOPT, PAUSED};
use crate::store::kubernetes::split;
use crate::store::kubernetes::story::{self, moment};
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use muster_core::ids::{PolicyName, RegionName, RunName};
use muster_core::journal::{PolicyState, RunKind};
use muster_core::time::Millis;
use muster_crds::run::{self as api, Trigger};
use muster_crds::{FailoverRun, FailoverRunSpec, RegionFailoverPolicy};
use serde_json::{Value, json};
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;

const ONCALL: &str = "muster-oncall";
const APPROVER: &str = "muster-approver";
/// The operator looks within two seconds; another one takes over within ten, if the first one died.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);
/// A claim follows at the next pass, unless something is in its way.
const CLAIMED_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A person who waits longer is told what for.
const SAY_AFTER: Duration = Duration::from_secs(2);
/// Somebody else changes the run at the same time.
const TRIES: usize = 5;
/// Letters and digits that tell two requests apart.
const RANDOM: usize = 5;

fn accepted(run: Option<RunName>, message: impl Into<String>) -> Accepted {
    Accepted { run, message: message.into() }
}

impl Cluster {
    /// Makes a `FailoverRun` and waits until it is a run, or refused. One that nobody takes in is withdrawn.
    pub(super) async fn start_run(&self, policy: &PolicyName, asked: StartRun) -> Done<Accepted> {
        let (object, kept) = self.both(policy).await?;
        let regions = show::regions_of(&object, kept.as_ref());
        if let Some(to) = asked.to.as_ref().filter(|to| !regions.contains(to)) {
            let known: Vec<&str> = regions.iter().map(RegionName::as_str).collect();
            return Err(Failure::usage(format!(
                "{to} is not a region of {policy}; it has {}",
                known.join(", ")
            )));
        }
        let (namespace, short) = split(policy);
        let name = name_run(short, asked.kind);
        let approval = asked.approve.as_ref().map(|consent| approval_of(consent, &asked.by)).transpose()?;
        let spec = FailoverRunSpec {
            policy: short.into(),
            kind: story::kind(asked.kind),
            to: asked.to.as_ref().map(|to| to.as_str().into()),
            reason: asked.reason.as_str().into(),
            by: asked.by.as_str().into(),
            trigger: Trigger::Person,
            approval,
            abort: None,
        };
        let metadata = ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        };
        let run = FailoverRun { metadata, spec, status: None };
        let role = if run.spec.approval.is_some() { APPROVER } else { ONCALL };
        let create = Asked { verb: "create", resource: RUNS, namespace: Some(namespace), role };
        let api = self.api::<FailoverRun>(Some(namespace));
        call(&self.server, &create, api.create(&PostParams::default(), &run)).await?;
        self.taken_in(namespace, &name, &asked.by).await?;
        let message = format!("{namespace}/{name} is asked for");
        Ok(accepted(Some(RunName::new(name)), message))
    }

    async fn taken_in(&self, namespace: &str, name: &str, by: &str) -> Done {
        let seen = || async {
            match self.request(namespace, name).await? {
                Request::Unseen(_) => Ok(None),
                Request::Refused(failure) => Err(failure),
                Request::Claimed | Request::Waits => Ok(Some(())),
            }
        };
        let claimed = || async {
            match self.request(namespace, name).await? {
                Request::Claimed => Ok(Some(())),
                Request::Refused(failure) => Err(failure),
                Request::Unseen(_) | Request::Waits => Ok(None),
            }
        };
        if self.wait(&format!("until {name} is taken in"), TAKEN_WITHIN, seen).await?.is_some() {
            // A request may rightly wait, as with a policy that is paused.
            self.wait(&format!("until {name} is claimed"), CLAIMED_WITHIN, claimed).await?;
            return Ok(());
        }
        let said = match self.request(namespace, name).await? {
            Request::Claimed | Request::Waits => return Ok(()),
            Request::Refused(failure) => return Err(failure),
            Request::Unseen(said) => said,
        };
        let abort = json!({"spec": {"abort": {"by": by, "reason": "nobody took it in"}}});
        let withdrawn = match self.patch_run(namespace, name, ONCALL, &abort).await {
            Ok(_) => "It was withdrawn, and starts nothing later; repeat it.".to_owned(),
            Err(failure) => format!(
                "It stays, and begins once somebody takes it in ({}): `kubectl patch run {name} -n {namespace} --type=merge \
                 -p '{abort}'` withdraws it.",
                failure.what
            ),
        };
        Err(match said {
            Some(said) => Failure::new(Code::Refused, format!("{name} was not taken in: {said}")),
            None => nobody(&format!("{name} was not taken in")),
        }
        .fix(withdrawn))
    }

    async fn request(&self, namespace: &str, name: &str) -> Done<Request> {
        let object = self.run_object(namespace, name).await?.ok_or_else(|| removed(name))?;
        Ok(show::request_of(&object))
    }

    /// Writes consent to the run's plan, and waits for the operator's word.
    pub(super) async fn approve(&self, policy: &PolicyName, asked: Approve) -> Done<Accepted> {
        let Approve { run, plan_hash, max_loss, waives, by, valid_for } = asked;
        let consent = Consent { plan_hash, max_loss, waives, valid_for };
        let approval = approval_of(&consent, &by)?;
        // Each field is named: an earlier approval must leave nothing behind.
        let approval = json!({
            "planHash": approval.plan_hash, "maxLoss": approval.max_loss, "waives": approval.waives,
            "by": approval.by, "validUntil": approval.valid_until,
        });
        let change = json!({"spec": {"approval": approval}});
        self.change_run(policy, &run, (APPROVER, "ApprovalTaken"), &change).await?;
        Ok(accepted(Some(run.clone()), format!("{run} is approved for {valid_for}")))
    }

    /// Writes the abort, and waits for the operator's word.
    pub(super) async fn abort(&self, policy: &PolicyName, asked: Abort) -> Done<Accepted> {
        let Abort { run, by, reason } = asked;
        let change = json!({"spec": {"abort": {"by": by, "reason": reason}}});
        self.change_run(policy, &run, (ONCALL, "AbortTaken"), &change).await?;
        Ok(accepted(Some(run.clone()), format!("{run} is being aborted; what it began is undone")))
    }

    async fn change_run(
        &self,
        policy: &PolicyName,
        run: &RunName,
        (role, word): (&'static str, &str),
        change: &Value,
    ) -> Done {
        let (namespace, _) = split(policy);
        let active = self.journal(policy).await?;
        let active = active.as_ref().and_then(show::Kept::active).filter(|active| active.name == *run);
        let object = match active {
            Some(active) => self.object_of(policy, active).await?,
            None => self.run_object(namespace, run.as_str()).await?,
        };
        let object = object.ok_or_else(|| Failure::new(Code::NotFound, format!("there is no run {run}")))?;
        let name = object.metadata.name.clone().unwrap_or_default();
        let generation = self.patch_run(namespace, &name, role, change).await?;
        let look = || async {
            let object = self.run_object(namespace, &name).await?.ok_or_else(|| removed(&name))?;
            show::taken(&object, word, generation).transpose()
        };
        self.wait(&format!("for {word} of {name}"), TAKEN_WITHIN, look).await?.ok_or_else(|| {
            nobody(&format!("it stands in {name}, and was not taken in")).fix(
                "It counts once the operator sees it. `muster show` says where the run is; `kubectl get run -o yaml` \
                 shows the conditions.",
            )
        })
    }

    /// Patches a run under its resourceVersion; the generation that holds the change.
    async fn patch_run(&self, namespace: &str, name: &str, role: &'static str, change: &Value) -> Done<i64> {
        let asked = Asked { verb: "patch", resource: RUNS, namespace: Some(namespace), role };
        let api = self.api::<FailoverRun>(Some(namespace));
        let mut last = removed(name);
        for _ in 0..TRIES {
            let object = self.run_object(namespace, name).await?.ok_or_else(|| removed(name))?;
            let mut change = change.clone();
            change["metadata"] = json!({"resourceVersion": object.metadata.resource_version});
            match call(&self.server, &asked, api.patch(name, &PatchParams::default(), &Patch::Merge(&change)))
                .await
            {
                Ok(written) => return Ok(written.metadata.generation.unwrap_or(0)),
                Err(Trouble::Conflict(failure)) => last = failure,
                Err(other) => return Err(other.into()),
            }
        }
        Err(last)
    }

    /// Acknowledges what the policy's status says is open, and nothing that opens meanwhile.
    pub(super) async fn acknowledge(&self, policy: &PolicyName, _asked: Ack) -> Done<Accepted> {
        let open = open_matter(&self.policy_object(policy).await?);
        let Some(token) = open else {
            return Err(Failure::new(Code::Refused, format!("{policy} has nothing open to acknowledge")));
        };
        self.annotate(policy, ACK, Some(&token)).await?;
        let look = || async {
            let object = self.policy_object(policy).await?;
            Ok((open_matter(&object).as_ref() != Some(&token)).then_some(()))
        };
        self.wait("until it is acknowledged", TAKEN_WITHIN, look).await?.ok_or_else(|| unheard(ACK))?;
        Ok(accepted(None, "acknowledged; automation goes on"))
    }

    /// Allows the marks of another owner to be replaced.
    pub(super) async fn adopt(&self, policy: &PolicyName, asked: Adopt) -> Done<Accepted> {
        let owner = asked.owner;
        self.annotate(policy, ADOPT, Some(owner.as_str())).await?;
        self.wait_for_state(policy, ADOPT, |state| state.adopted_from.contains(&owner)).await?;
        Ok(accepted(None, format!("the marks of {owner} may be replaced from now on")))
    }

    /// No new effect until resumed.
    pub(super) async fn pause(&self, policy: &PolicyName, asked: Pause) -> Done<Accepted> {
        let why = format!("{}: {}", asked.by, asked.reason);
        self.annotate(policy, PAUSED, Some(&why)).await?;
        let paused = |state: &PolicyState| state.paused.as_ref().is_some_and(|told| told.ends_with(&why));
        self.wait_for_state(policy, PAUSED, paused).await?;
        Ok(accepted(None, "paused: no new effect starts until `muster resume`"))
    }

    /// Undoes a pause.
    pub(super) async fn resume(&self, policy: &PolicyName, _asked: Resume) -> Done<Accepted> {
        self.annotate(policy, PAUSED, None).await?;
        self.wait_for_state(policy, PAUSED, |state| state.paused.is_none()).await?;
        Ok(accepted(None, "resumed"))
    }

    async fn annotate(&self, policy: &PolicyName, key: &str, value: Option<&str>) -> Done {
        let (namespace, short) = split(policy);
        let asked = Asked { verb: "patch", resource: POLICIES, namespace: Some(namespace), role: ONCALL };
        let change = json!({"metadata": {"annotations": {key: value}}});
        let api = self.api::<RegionFailoverPolicy>(Some(namespace));
        call(&self.server, &asked, api.patch(short, &PatchParams::default(), &Patch::Merge(&change))).await?;
        Ok(())
    }

    async fn wait_for_state(
        &self,
        policy: &PolicyName,
        key: &str,
        reached: impl Fn(&PolicyState) -> bool,
    ) -> Done {
        let reached = &reached;
        let look = || async move {
            let kept = self.journal(policy).await?;
            Ok(kept.is_some_and(|kept| reached(&kept.journal.state)).then_some(()))
        };
        self.wait("until the operator has taken it in", TAKEN_WITHIN, look).await?.ok_or_else(|| unheard(key))
    }

    /// Looks until there is something, at most for a while. An API server that is away for a moment is asked again.
    async fn wait<T, F>(&self, what: &str, within: Duration, look: impl Fn() -> F) -> Done<Option<T>>
    where
        F: Future<Output = Done<Option<T>>>,
    {
        let (began, mut said) = (Instant::now(), false);
        loop {
            let late = began.elapsed() >= within;
            match look().await {
                Ok(Some(found)) => return Ok(Some(found)),
                Err(failure) if failure.code != Code::Unreachable || late => return Err(failure),
                Ok(None) | Err(_) => {}
            }
            if late {
                return Ok(None);
            }
            if !said && began.elapsed() >= SAY_AFTER && self.screen.terminal {
                said = true;
                self.screen.note(&format!("waiting {what}"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn open_matter(object: &RegionFailoverPolicy) -> Option<String> {
    object.status.as_ref().and_then(|status| status.acknowledge.clone())
}

fn removed(name: &str) -> Failure {
    Failure::new(Code::NotFound, format!("{name} was removed"))
}

fn nobody(what: &str) -> Failure {
    let within = TAKEN_WITHIN.as_secs();
    Failure::new(Code::Unreachable, format!("{what} within {within} s: does the operator run?"))
}

fn unheard(annotation: &str) -> Failure {
    nobody(&format!("the annotation {annotation} stands, and was not taken in"))
        .fix("It counts once the operator sees it; `muster status` shows when.")
}

/// A name that no other request has.
fn name_run(policy: &str, kind: RunKind) -> String {
    let kind = match kind {
        RunKind::Failover => "failover",
        RunKind::Switchover => "switchover",
        RunKind::Failback => "failback",
    };
    let random = uuid::Uuid::new_v4().simple().to_string();
    format!("{policy}-{kind}-{}", random.get(..RANDOM).unwrap_or_default())
}

/// Consent as the API has it, until a moment of the wall clock.
fn approval_of(consent: &Consent, by: &str) -> Done<api::Approval> {
    if consent.valid_for == Millis(0) || consent.valid_for > LONGEST_CONSENT {
        return Err(Failure::usage(format!(
            "--valid-for must be more than nothing and at most {LONGEST_CONSENT}"
        )));
    }
    Ok(api::Approval {
        plan_hash: consent.plan_hash.as_str().into(),
        max_loss: consent.max_loss.map(story::duration),
        waives: consent.waives.iter().map(|gate| gate.as_str().into()).collect(),
        by: by.into(),
        valid_until: moment(Clock::system().now().plus(consent.valid_for)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_tell_policy_and_kind_and_do_not_repeat() {
        let (one, other) = (name_run("checkout", RunKind::Failback), name_run("checkout", RunKind::Failback));
        assert!(one.starts_with("checkout-failback-") && one != other, "{one} {other}");
        assert_eq!(one.len(), "checkout-failback-".len() + RANDOM);
    }

    #[test]
    fn consent_ends_at_a_moment_of_the_wall_clock_and_within_a_day() {
        let consent = |valid_for| Consent {
            plan_hash: "3f9c".to_owned(),
            max_loss: Some(Millis(5_000)),
            waives: BTreeSet::from(["Fenced".to_owned()]),
            valid_for,
        };
        let approval = approval_of(&consent(Millis(900_000)), "kim").unwrap();
        let until: jiff::Timestamp = approval.valid_until.as_str().parse().unwrap();
        let left = until.as_millisecond() - Clock::system().now().wall.0;
        assert!((890_000..=900_000).contains(&left), "{left}");
        assert_eq!(serde_json::to_value(&approval).unwrap()["maxLoss"], "5s");
        for wrong in [Millis(0), LONGEST_CONSENT.plus(Millis(1))] {
            assert_eq!(approval_of(&consent(wrong), "kim").unwrap_err().code, Code::Usage);
        }
    }
}

//! What people ask for: `FailoverRun` objects that they create, approve and abort, and annotations of a policy. Each
//! becomes a wish, taken in under the journal's version; what became of it stands in the run's status.
//!
//! ```text
//! created  --Pending written, then the wish-->  requested  --claimed-->  the journal's run (told by `tell`)
//!                                                   |--refused, or nobody knows any more-->  Failed, outcome Refused
//! ```
//! A request is marked as seen before it is wished for: after a restart in between it is refused, never started late.

use super::link::within;
use super::view::{Known, View, key_of};
use crate::api::LONGEST_CONSENT;
use crate::engine::Engine;
use crate::execute::Shell;
use crate::store::kubernetes::story::{clip, moment};
use crate::store::{KubernetesStore, Store, StoreError};
use kube::api::PostParams;
use kube::{Api, Client};
use muster_core::ids::{Owner, PolicyName, RunName};
use muster_core::journal::{Approval, Journal, PolicyState, RunKind, RunRequest};
use muster_core::time::{Millis, Stamp};
use muster_core::wish::{Refusal, Wish};
use muster_crds::run::{self as api, Outcome, RunPhase};
use muster_crds::{Condition, ConditionStatus, FailoverRun, FailoverRunStatus, RegionFailoverPolicy};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// At the latest so often everything is looked at again.
const RESYNC: Duration = Duration::from_secs(2);

/// After a change, for those that come with it.
const SETTLE: Duration = Duration::from_millis(20);

/// Consent is taken by tick: its end is the same if it differs by less than this.
const SAME_TIME_MS: u64 = 5_000;
/// A request that was made longer ago is not started late.
const OLDEST_REQUEST_MS: i64 = 15 * 60 * 1_000;

/// An object that says that Muster made it is believed for so long, whatever the journal says.
const YOUNG_MS: i64 = 15_000;

/// No new effect while it is there; its value says who and why.
pub(crate) const PAUSED: &str = "muster.dev/paused";
/// Acknowledges what is open, if it is what `status.acknowledge` says.
pub(crate) const ACK: &str = "muster.dev/ack";
/// The owner whose marks may be replaced.
pub(crate) const ADOPT: &str = "muster.dev/adopt";

/// Turns what people write into wishes.
pub(super) struct Requests {
    pub(super) shell: Arc<Shell>,
    pub(super) engine: Arc<Engine>,
    pub(super) store: Arc<KubernetesStore>,
    pub(super) client: Client,
    pub(super) view: View,
    /// Requests that this process has wished for, by object.
    asked: BTreeSet<String>,
    /// Approvals and aborts that were answered, so that none is wished for again and again.
    answered: BTreeMap<String, String>,
}

impl Requests {
    pub(super) fn new(
        shell: Arc<Shell>,
        engine: Arc<Engine>,
        store: Arc<KubernetesStore>,
        client: Client,
        view: View,
    ) -> Self {
        let (asked, answered) = (BTreeSet::new(), BTreeMap::new());
        Self { shell, engine, store, client, view, asked, answered }
    }

    /// Runs until dropped. Only the process that acts takes anything in.
    pub(super) async fn follow(mut self) {
        let (mut runs, mut policies) = (self.view.runs.changes(), self.view.policies.changes());
        loop {
            runs.borrow_and_update();
            policies.borrow_and_update();
            if self.shell.lease.is_held() {
                self.look_at_runs().await;
                self.look_at_policies().await;
            }
            tokio::select! {
                () = tokio::time::sleep(RESYNC) => {}
                changed = runs.changed() => if changed.is_err() { return },
                changed = policies.changed() => if changed.is_err() { return },
            }
            // Changes come in crowds, each look is at everything.
            tokio::time::sleep(SETTLE).await;
        }
    }

    async fn look_at_runs(&mut self) {
        let Some(runs) = self.view.runs.all() else { return };
        for known in runs.values() {
            let Known::Good(object) = known else { continue };
            let ended = object.status.as_ref().and_then(|s| s.phase).is_some_and(RunPhase::is_final);
            if ended {
                continue;
            }
            if let Err(error) = self.look_at_run(object).await {
                let run = key_of(&object.metadata);
                tracing::warn!(run, error, "failed to take a request in; trying again");
            }
        }
        self.asked.retain(|key| runs.contains_key(key));
        self.answered.retain(|key, _| runs.contains_key(key.split('#').next().unwrap_or_default()));
    }

    async fn look_at_run(&mut self, object: &FailoverRun) -> Result<(), String> {
        let namespace = object.metadata.namespace.clone().unwrap_or_default();
        let policy = PolicyName::new(format!("{namespace}/{}", object.spec.policy));
        let name = RunName::new(object.metadata.name.clone().unwrap_or_default());
        let status = object.status.clone().unwrap_or_default();
        if self.engine.find(&policy).is_none() {
            if status.message.is_none() {
                let told = format!("no policy {} is in force here; see its conditions", object.spec.policy);
                self.write(object, |s| FailoverRunStatus {
                    phase: Some(RunPhase::Pending),
                    message: Some(told.clone()),
                    ..s
                })
                .await?;
            }
            return Ok(());
        }
        let journal = match self.store.load(&policy).await {
            Ok(loaded) => loaded.journal,
            Err(StoreError::UnknownPolicy { .. }) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        let active = journal.run.as_ref().filter(|run| !run.phase.is_final() && run.name == name);
        if active.is_some() {
            return self.consent(object, &policy, &journal).await;
        }
        let known = journal.run.as_ref().is_some_and(|run| run.name == name)
            || journal.requests.iter().any(|request| request.name == name);
        if status.epoch.is_some() || known {
            return Ok(());
        }
        self.request(object, &policy, &name, &status).await
    }

    /// A run that no journal knows.
    async fn request(
        &mut self,
        object: &FailoverRun,
        policy: &PolicyName,
        name: &RunName,
        status: &FailoverRunStatus,
    ) -> Result<(), String> {
        let key = key_of(&object.metadata);
        let requested = status.conditions.iter().any(|c| c.r#type == "Requested");
        if requested {
            let why = match self.refusal_of(policy, name) {
                Some(why) => why,
                None if self.asked.contains(&key) => return Ok(()),
                None => {
                    "it was not claimed before Muster was restarted; create it again if it is still wanted"
                        .to_owned()
                }
            };
            return self.refuse(object, "RequestRefused", &why).await;
        }
        if object.spec.trigger != api::Trigger::Person {
            // Muster's own: made a moment ago, and the journal that was read here may be older than that.
            if self.age_ms(object).is_some_and(|age| age < YOUNG_MS) {
                return Ok(());
            }
            return self
                .refuse(object, "RequestRefused", "only Muster itself opens a run by a verdict")
                .await;
        }
        if object.spec.abort.is_some() {
            return self.refuse(object, "Aborted", "aborted before it was claimed").await;
        }
        if self.is_old(object) {
            let why = "it was made more than 15 minutes ago, and nothing could take it in; create it again if it is still wanted";
            return self.refuse(object, "RequestRefused", why).await;
        }
        let requested = self.condition(object, "Requested", None);
        self.write(object, |s| FailoverRunStatus {
            phase: Some(RunPhase::Pending),
            message: Some("seen; waits to be claimed".to_owned()),
            conditions: with(s.conditions.clone(), requested.clone()),
            ..s
        })
        .await?;
        self.asked.insert(key);
        let now = self.shell.clock.now();
        let spec = &object.spec;
        let request = RunRequest {
            name: name.clone(),
            kind: kind_of(spec.kind),
            to: spec.to.as_ref().map(|to| to.as_str().into()),
            reason: spec.reason.to_string(),
            by: spec.by.to_string(),
            at: now,
            approval: spec.approval.as_ref().and_then(|approval| consent_of(approval, now).ok()),
        };
        match self.wish(policy, &Wish::Run(request)).await? {
            Ok(()) => Ok(()),
            Err(refusal) => self.refuse(object, &refusal.reason, &refusal.message).await,
        }
    }

    /// Whether a person may have given the request up: nobody was there to take it in.
    fn is_old(&self, object: &FailoverRun) -> bool {
        self.age_ms(object).is_some_and(|age| age > OLDEST_REQUEST_MS)
    }

    fn age_ms(&self, object: &FailoverRun) -> Option<i64> {
        let made = object.metadata.creation_timestamp.as_ref()?.0.as_millisecond();
        Some(self.shell.clock.now().wall.0 - made)
    }

    /// Why the core did not take a request, as its event says.
    fn refusal_of(&self, policy: &PolicyName, name: &RunName) -> Option<String> {
        let events = self.shell.events.page(0, Some(policy)).events;
        let prefix = format!("{name}: ");
        let of_name = events.iter().rev().filter(|e| e.reason == "RequestRefused");
        of_name.into_iter().find_map(|e| e.message.strip_prefix(&prefix)).map(str::to_owned)
    }

    /// Approval and abort of the active run.
    async fn consent(
        &mut self,
        object: &FailoverRun,
        policy: &PolicyName,
        journal: &Journal,
    ) -> Result<(), String> {
        let Some(run) = &journal.run else { return Ok(()) };
        let now = self.shell.clock.now();
        let key = key_of(&object.metadata);
        if let Some(abort) = object.spec.abort.as_ref().filter(|_| run.abort.is_none()) {
            let wish = Wish::Abort {
                run: run.name.clone(),
                by: abort.by.to_string(),
                reason: abort.reason.to_string(),
            };
            return self.answer(object, policy, (format!("{key}#abort"), "AbortTaken"), &wish, "abort").await;
        }
        let Some(asked) = object.spec.approval.as_ref() else { return Ok(()) };
        // Consent of another machine's clock cannot be counted on here: it is taken in again, for what is left of it.
        let asks = consent_of(asked, now);
        let taken = run.approval.as_ref().zip(asks.as_ref().ok()).is_some_and(|(has, asks)| {
            let same_time = has.valid_until.wall.0.abs_diff(asks.valid_until.wall.0) < SAME_TIME_MS;
            let until = has.valid_until;
            until.boot == now.boot && same_time && *has == Approval { valid_until: until, ..asks.clone() }
        });
        if taken {
            return Ok(());
        }
        let print = format!("{asked:?} {}", run.term.0);
        match asks {
            Ok(approval) => {
                let wish = Wish::Approve { run: run.name.clone(), approval };
                self.answer(object, policy, (format!("{key}#approval"), "ApprovalTaken"), &wish, &print).await
            }
            Err(why) => {
                let refusal = Refusal::new("ApprovalOver", why);
                self.say_answer(object, (format!("{key}#approval"), "ApprovalTaken"), Some(&refusal), &print)
                    .await
            }
        }
    }

    async fn answer(
        &mut self,
        object: &FailoverRun,
        policy: &PolicyName,
        (slot, condition): (String, &str),
        wish: &Wish,
        print: &str,
    ) -> Result<(), String> {
        if self.answered.get(&slot).is_some_and(|known| known == print) {
            return Ok(());
        }
        let refused = self.wish(policy, wish).await?.err();
        self.say_answer(object, (slot, condition), refused.as_ref(), print).await
    }

    async fn say_answer(
        &mut self,
        object: &FailoverRun,
        (slot, condition): (String, &str),
        refused: Option<&Refusal>,
        print: &str,
    ) -> Result<(), String> {
        if self.answered.get(&slot).is_some_and(|known| known == print) {
            return Ok(());
        }
        let condition = self.condition(object, condition, refused);
        self.write(object, |s| FailoverRunStatus {
            conditions: with(s.conditions.clone(), condition.clone()),
            ..s
        })
        .await?;
        self.answered.insert(slot, print.to_owned());
        Ok(())
    }

    /// The outer error: nothing is known of it.
    async fn wish(&self, policy: &PolicyName, wish: &Wish) -> Result<Result<(), Refusal>, String> {
        match self.store.wish(policy, wish, self.shell.clock.now()).await {
            Ok(_) => {
                if let Some(shown) = self.engine.find(policy) {
                    shown.handle.board.wake();
                }
                Ok(Ok(()))
            }
            Err(StoreError::Refused(refusal)) => Ok(Err(refusal)),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn refuse(&self, object: &FailoverRun, reason: &str, why: &str) -> Result<(), String> {
        let condition = self.condition(object, "Requested", Some(&Refusal::new(reason, why)));
        self.write(object, |s| FailoverRunStatus {
            phase: Some(RunPhase::Failed),
            outcome: Some(Outcome::Refused),
            message: Some(clip(why)),
            conditions: with(s.conditions.clone(), condition.clone()),
            ..s
        })
        .await
    }

    fn condition(&self, object: &FailoverRun, kind: &str, refused: Option<&Refusal>) -> Condition {
        let (status, reason, message) = match refused {
            None => (ConditionStatus::True, kind, String::new()),
            Some(refusal) => (ConditionStatus::False, refusal.reason.as_str(), clip(&refusal.message)),
        };
        Condition {
            r#type: kind.to_owned(),
            status,
            reason: reason.to_owned(),
            message,
            last_transition_time: moment(self.shell.clock.now()),
            observed_generation: object.metadata.generation.unwrap_or(0),
        }
    }

    /// Changes the status of a live copy; a conflict is an error, and everything is looked at again.
    async fn write(
        &self,
        object: &FailoverRun,
        change: impl FnOnce(FailoverRunStatus) -> FailoverRunStatus,
    ) -> Result<(), String> {
        let (namespace, name) = (object.metadata.namespace.as_deref(), object.metadata.name.as_deref());
        let (namespace, name) = (namespace.unwrap_or_default(), name.unwrap_or_default());
        let api: Api<FailoverRun> = Api::namespaced(self.client.clone(), namespace);
        let Some(mut live) = within(api.get_opt(name)).await? else { return Ok(()) };
        if live.metadata.uid != object.metadata.uid {
            return Ok(());
        }
        let present = live.status.take().unwrap_or_default();
        let next = change(present.clone());
        if next == present {
            return Ok(());
        }
        live.status = Some(next);
        within(api.replace_status(name, &PostParams::default(), &live)).await.map(|_| ())
    }

    async fn look_at_policies(&mut self) {
        let Some(policies) = self.view.policies.all() else { return };
        for known in policies.values() {
            let Known::Good(object) = known else { continue };
            if let Err(error) = self.look_at_policy(object).await {
                let policy = key_of(&object.metadata);
                tracing::warn!(policy, error, "failed to take a policy's annotations in; trying again");
            }
        }
    }

    async fn look_at_policy(&mut self, object: &RegionFailoverPolicy) -> Result<(), String> {
        let policy = PolicyName::new(key_of(&object.metadata));
        let Some(shown) = self.engine.find(&policy) else { return Ok(()) };
        let latest = shown.handle.latest.borrow().clone();
        let Some(state) = latest.as_ref().and_then(|l| Some(&l.journal.as_ref()?.state)) else {
            return Ok(());
        };
        let said = |key: &str| said(object, key);
        match (said(PAUSED), &state.paused) {
            (Some(why), paused) if paused.as_deref() != Some(paused_text(&why).as_str()) => {
                let wish = Wish::Pause { by: "annotation".to_owned(), reason: clip(&why) };
                self.tell_refusal(&policy, &wish).await?;
            }
            (None, Some(_)) => {
                self.tell_refusal(&policy, &Wish::Resume { by: "annotation".to_owned() }).await?;
            }
            _ => {}
        }
        if let Some(owner) = said(ADOPT).map(Owner::new).filter(|owner| !state.adopted_from.contains(owner)) {
            self.tell_refusal(&policy, &Wish::Adopt { owner, by: "annotation".to_owned() }).await?;
        }
        // An acknowledgement is of what was seen: it names that, and counts for nothing else.
        if said(ACK).is_some_and(|said| ack_token(state).as_ref() == Some(&said)) {
            self.tell_refusal(&policy, &Wish::Ack { by: "annotation".to_owned() }).await?;
        }
        Ok(())
    }

    async fn tell_refusal(&self, policy: &PolicyName, wish: &Wish) -> Result<(), String> {
        if let Err(refusal) = self.wish(policy, wish).await? {
            tracing::warn!(%policy, reason = refusal.reason, message = refusal.message, "a wish was refused");
        }
        Ok(())
    }
}

/// What names that which a person has to acknowledge; `None`: nothing is open.
pub(super) fn ack_token(state: &PolicyState) -> Option<String> {
    use sha2::{Digest, Sha256};
    if state.needs_ack.is_none() && state.behind.is_none() {
        return None;
    }
    // Not the whole witness: others of the same run are seen a little later, and are the same matter.
    let behind = state.behind.as_ref().map(|witness| (&witness.owner, witness.epoch));
    let open = format!("{:?} {behind:?} {:?}", state.needs_ack, state.last_run);
    let hash = Sha256::digest(open.as_bytes());
    let [a, b, c, d, ..] = hash.as_slice() else { return None };
    Some(format!("{a:02x}{b:02x}{c:02x}{d:02x}"))
}

/// What an annotation of a policy says, if it says something.
pub(super) fn said(object: &RegionFailoverPolicy, key: &str) -> Option<String> {
    let annotations = object.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(key)).filter(|value| !value.trim().is_empty()).cloned()
}

/// As the journal words it.
fn paused_text(why: &str) -> String {
    format!("annotation: {}", clip(why))
}

fn with(mut conditions: Vec<Condition>, condition: Condition) -> Vec<Condition> {
    conditions.retain(|c| c.r#type != condition.r#type);
    conditions.push(condition);
    conditions
}

const fn kind_of(kind: api::RunKind) -> RunKind {
    match kind {
        api::RunKind::Failover => RunKind::Failover,
        api::RunKind::Switchover => RunKind::Switchover,
        api::RunKind::Failback => RunKind::Failback,
    }
}

/// Consent as the core keeps it: by the tick of this machine, for what the wall clock leaves of it.
fn consent_of(approval: &api::Approval, now: Stamp) -> Result<Approval, String> {
    let until: jiff::Timestamp =
        approval.valid_until.as_str().parse().map_err(|error| format!("validUntil is no moment: {error}"))?;
    let left = until.as_millisecond().saturating_sub(now.wall.0);
    let left = u64::try_from(left).ok().filter(|left| *left > 0);
    let left = Millis(left.ok_or_else(|| format!("validUntil {} is over", approval.valid_until.as_str()))?);
    Ok(Approval {
        plan_hash: approval.plan_hash.to_string(),
        max_loss: approval.max_loss.map(|loss| Millis(loss.as_millis())),
        waives: approval.waives.iter().map(ToString::to_string).collect(),
        by: approval.by.to_string(),
        valid_until: now.plus(left.min(LONGEST_CONSENT)),
    })
}

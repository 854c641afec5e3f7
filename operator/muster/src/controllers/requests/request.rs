//! A person's request that no journal knows: marked as seen, wished for until the journal has answered, or refused.

use super::Requests;
use super::consent::consent_of;
use super::memory::{Asked, ObjectId};
use super::told::{REQUESTED, is_marked, name_of, with};
use crate::store::{KubernetesStore, Store};
use muster_core::ids::PolicyName;
use muster_core::journal::{Journal, RunKind, RunRequest};
use muster_core::time::{Millis, Stamp};
use muster_core::wish::{Refusal, Wish};
use muster_crds::run::{self as api, RunPhase};
use muster_crds::{FailoverRun, FailoverRunStatus};

/// A request that was made longer ago is not started late.
const OLDEST_REQUEST_MS: i64 = 15 * 60 * 1_000;
/// An object that says that Muster made it is believed for so long, whatever the journal says.
const YOUNG_MS: i64 = 15_000;
/// A write without an answer may be carried out for so long: an API server gives a request up after a minute.
const LANDS_WITHIN: Millis = Millis::from_secs(60);

const RESTARTED: &str =
    "it was not claimed before Muster was restarted; create it again if it is still wanted";
const LOST: &str = "it was taken in, and the journal has lost it; create it again if it is still wanted";
const NOT_A_PERSONS: &str = "only Muster itself opens a run by a verdict";
const TOO_OLD: &str = "it was made more than 15 minutes ago, and nothing could take it in; create it again if it is \
                       still wanted";

/// What is done about a request now.
#[derive(PartialEq, Eq, Debug)]
enum Next {
    /// Nothing: it is under way.
    Wait,
    /// It ends without a run.
    Refuse(Refusal),
    /// It is marked and wished for, once more if the answer was lost.
    Take,
}

impl Requests {
    /// A run that no journal knows.
    pub(super) async fn request(&self, object: &FailoverRun, policy: &PolicyName) -> Result<(), String> {
        let id = ObjectId::of(object);
        let asked = self.memory().asked(&id);
        // An earlier request of this name may have been refused: that counts only for one that was seen already.
        let seen = asked.is_some() || object.status.as_ref().is_some_and(is_marked);
        let since = asked.as_ref().map_or(0, |asked| asked.since);
        let told = if seen { self.refusal_of(policy, name_of(object), since) } else { None };
        match decide(object, asked.as_ref(), told, self.shell.clock.now()) {
            Next::Wait => Ok(()),
            Next::Refuse(refusal) => self.refuse(object, &refusal).await,
            Next::Take => self.take(object, policy, &id).await,
        }
    }

    async fn take(&self, object: &FailoverRun, policy: &PolicyName, id: &ObjectId) -> Result<(), String> {
        if !self.mark(object, id).await? {
            return Ok(());
        }
        let now = self.shell.clock.now();
        self.memory().note_sent(id, now.tick);
        let answer = self.wish(policy, &Wish::Run(request_of(object, now))).await?;
        // An earlier try may have been carried out: then it is its own run that is in the way.
        let taken = answer.is_ok() || self.is_known(object, policy).await?;
        let answer = if taken { Ok(()) } else { answer };
        self.memory().note_answer(id, answer.clone());
        match answer {
            Ok(()) => Ok(()),
            Err(refusal) => self.refuse(object, &refusal).await,
        }
    }

    /// Writes that the request was seen, and that this process takes it in. False: by now it is none any more, or another
    /// process marked it and did not live to take it in.
    async fn mark(&self, object: &FailoverRun, id: &ObjectId) -> Result<bool, String> {
        let Some(mut live) = self.live(object).await? else { return Ok(false) };
        let present = live.status.take().unwrap_or_default();
        if !is_free(&present) || live.spec.abort.is_some() {
            return Ok(false);
        }
        let ours = self.memory().asked(id).is_some();
        if is_marked(&present) {
            return Ok(ours);
        }
        // Before the write: without an answer it may stand there, and is this process's all the same.
        let since = self.shell.events.page(u64::MAX, None).next;
        self.memory().begin(id, since);
        let requested = self.condition(&live, REQUESTED, None);
        live.status = Some(FailoverRunStatus {
            phase: Some(RunPhase::Pending),
            message: Some("seen; waits to be claimed".to_owned()),
            conditions: with(present.conditions.clone(), &requested),
            ..present
        });
        let written = self.put(&live).await?;
        if !written && !ours {
            self.memory().forget(id);
        }
        Ok(written)
    }

    async fn is_known(&self, object: &FailoverRun, policy: &PolicyName) -> Result<bool, String> {
        let loaded = self.store.load(policy).await.map_err(|error| error.to_string())?;
        Ok(knows(&loaded.journal, object, policy))
    }

    /// Why the core did not take a request, as its newest event says.
    fn refusal_of(&self, policy: &PolicyName, name: &str, mut since: u64) -> Option<String> {
        let prefix = format!("{name}: ");
        let mut refusal = None;
        loop {
            let events = self.shell.events.page(since, Some(policy)).events;
            let Some(newest) = events.last().map(|event| event.id) else { return refusal };
            let of_name = events.iter().filter(|event| event.reason == "RequestRefused");
            let told = of_name.filter_map(|event| event.message.strip_prefix(&prefix)).next_back();
            refusal = told.map(str::to_owned).or(refusal);
            since = newest;
        }
    }
}

/// Whether the journal has the request, or the run that it became.
pub(super) fn knows(journal: &Journal, object: &FailoverRun, policy: &PolicyName) -> bool {
    let runs = journal.run.as_ref().is_some_and(|run| KubernetesStore::is_object_of(object, policy, run));
    runs || journal.requests.iter().any(|request| request.name.as_str() == name_of(object))
}

/// Whether no run has become of it, and it was not refused.
fn is_free(status: &FailoverRunStatus) -> bool {
    status.epoch.is_none() && !status.phase.is_some_and(RunPhase::is_final)
}

/// What is done about a request that no journal knows; `told`: why the core refused it.
fn decide(object: &FailoverRun, asked: Option<&Asked>, told: Option<String>, now: Stamp) -> Next {
    let refuse = |reason: &str, why: &str| Next::Refuse(Refusal::new(reason, why));
    if let Some(why) = told {
        return refuse("RequestRefused", &why);
    }
    match asked.map(|asked| asked.answer.as_ref()) {
        // It was taken in, and the journal has it no more: one that was set back.
        Some(Some(Ok(()))) if may_land(asked, now) => return Next::Wait,
        Some(Some(Ok(()))) => return refuse("RequestRefused", LOST),
        Some(Some(Err(refusal))) => return Next::Refuse(refusal.clone()),
        None if object.status.as_ref().is_some_and(is_marked) => return refuse("RequestRefused", RESTARTED),
        Some(None) | None => {}
    }
    let age_ms = age_ms(object, now);
    if object.spec.trigger != api::Trigger::Person {
        // Muster's own: made a moment ago, and the journal that was read here may be older than that.
        let young = age_ms.is_some_and(|age| age < YOUNG_MS);
        return if young { Next::Wait } else { refuse("RequestRefused", NOT_A_PERSONS) };
    }
    let (reason, why) = if object.spec.abort.is_some() {
        ("Aborted", "aborted before it was claimed")
    } else if age_ms.is_some_and(|age| age > OLDEST_REQUEST_MS) {
        ("RequestRefused", TOO_OLD)
    } else {
        return Next::Take;
    };
    // A run that opens after all must find its abort in an object that is still its own.
    if may_land(asked, now) { Next::Wait } else { refuse(reason, why) }
}

/// Whether a wish whose answer was lost may still be carried out.
fn may_land(asked: Option<&Asked>, now: Stamp) -> bool {
    let sent = asked.and_then(|asked| asked.sent);
    sent.and_then(|sent| now.tick.since(sent)).is_some_and(|age| age < LANDS_WITHIN)
}

fn age_ms(object: &FailoverRun, now: Stamp) -> Option<i64> {
    let made = object.metadata.creation_timestamp.as_ref()?.0.as_millisecond();
    Some(now.wall.0 - made)
}

fn request_of(object: &FailoverRun, now: Stamp) -> RunRequest {
    let spec = &object.spec;
    RunRequest {
        name: name_of(object).into(),
        kind: kind_of(spec.kind),
        to: spec.to.as_ref().map(|to| to.as_str().into()),
        reason: spec.reason.to_string(),
        by: spec.by.to_string(),
        at: now,
        approval: spec.approval.as_ref().and_then(|approval| consent_of(approval, now).ok()),
    }
}

const fn kind_of(kind: api::RunKind) -> RunKind {
    match kind {
        api::RunKind::Failover => RunKind::Failover,
        api::RunKind::Switchover => RunKind::Switchover,
        api::RunKind::Failback => RunKind::Failback,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::time::{BootId, Tick, Wall};
    use serde_json::{Value, json};

    /// 2025-10-09T08:53:20Z, and so much later.
    fn at(ms: u64) -> Stamp {
        let start = Stamp { boot: BootId(1), tick: Tick(1_000_000), wall: Wall(1_760_000_000_000) };
        start.plus(Millis(ms))
    }

    fn object(spec: &Value, status: &Value) -> FailoverRun {
        let mut object = json!({
            "apiVersion": "muster.dev/v1alpha1", "kind": "FailoverRun",
            "metadata": {"name": "planned", "namespace": "shop", "creationTimestamp": "2025-10-09T08:53:20Z"},
            "spec": {"policy": "checkout", "kind": "Switchover", "reason": "a test", "by": "kim"},
            "status": status,
        });
        for (field, value) in spec.as_object().expect("fields") {
            object["spec"][field] = value.clone();
        }
        serde_json::from_value(object).expect("a run")
    }

    fn fresh() -> FailoverRun {
        object(&json!({}), &json!({}))
    }

    fn marked_with(spec: &Value) -> FailoverRun {
        let condition = json!([{"type": "Requested", "status": "True", "reason": "Requested", "message": "",
            "lastTransitionTime": "2025-10-09T08:53:20Z", "observedGeneration": 1}]);
        object(spec, &json!({"phase": "Pending", "conditions": condition}))
    }

    fn marked() -> FailoverRun {
        marked_with(&json!({}))
    }

    fn aborted() -> Value {
        json!({"abort": {"by": "kim", "reason": "not today"}})
    }

    fn sent(ms: u64) -> Asked {
        Asked { sent: Some(at(ms).tick), ..Asked::default() }
    }

    fn reason(next: Next) -> String {
        match next {
            Next::Refuse(refusal) => refusal.reason,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_new_request_is_taken_and_one_without_an_answer_again() {
        assert_eq!(decide(&fresh(), None, None, at(100)), Next::Take);
        assert_eq!(decide(&marked(), Some(&Asked::default()), None, at(200)), Next::Take);
        assert_eq!(decide(&marked(), Some(&sent(100)), None, at(200)), Next::Take);
    }

    #[test]
    fn an_answered_request_waits_or_is_refused() {
        let taken = Asked { answer: Some(Ok(())), ..sent(100) };
        assert_eq!(decide(&marked(), Some(&taken), None, at(200)), Next::Wait);
        let refusal = Refusal::new("RunActive", "checkout-7 is active");
        let refused = Asked { answer: Some(Err(refusal.clone())), ..sent(100) };
        assert_eq!(decide(&marked(), Some(&refused), None, at(200)), Next::Refuse(refusal));
        let told = Some("east is the active region already".to_owned());
        assert_eq!(reason(decide(&marked(), Some(&taken), told, at(200))), "RequestRefused");
    }

    #[test]
    fn a_request_that_another_process_marked_is_never_started_late() {
        let next = decide(&marked(), None, None, at(100));
        assert_eq!(next, Next::Refuse(Refusal::new("RequestRefused", RESTARTED)));
    }

    #[test]
    fn an_old_request_and_an_aborted_one_are_refused_once_nothing_can_land_any_more() {
        let quarter = 15 * 60 * 1_000 + 1;
        assert_eq!(reason(decide(&fresh(), None, None, at(quarter))), "RequestRefused");
        let aborted = aborted();
        assert_eq!(reason(decide(&object(&aborted, &json!({})), None, None, at(100))), "Aborted");
        let lost = sent(100);
        assert_eq!(decide(&marked_with(&aborted), Some(&lost), None, at(60_000)), Next::Wait);
        assert_eq!(reason(decide(&marked_with(&aborted), Some(&lost), None, at(60_100))), "Aborted");
        assert_eq!(decide(&marked(), Some(&sent(quarter)), None, at(quarter + 1)), Next::Wait);
    }

    #[test]
    fn only_muster_itself_opens_a_run_by_a_verdict() {
        let object = object(&json!({"trigger": "Verdict"}), &json!({}));
        assert_eq!(decide(&object, None, None, at(14_000)), Next::Wait);
        assert_eq!(reason(decide(&object, None, None, at(15_000))), "RequestRefused");
    }

    #[test]
    fn what_was_refused_or_has_become_a_run_is_free_no_more() {
        let status = |status: Value| object(&json!({}), &status).status.unwrap_or_default();
        assert!(is_free(&FailoverRunStatus::default()));
        assert!(is_free(&marked().status.unwrap_or_default()));
        assert!(!is_free(&status(json!({"phase": "Pending", "epoch": 5}))));
        assert!(!is_free(&status(json!({"phase": "Failed", "outcome": "Refused"}))));
    }
}

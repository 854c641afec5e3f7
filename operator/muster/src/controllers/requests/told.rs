//! What stands in a run's object: read, compared and written, under the version of a live copy.

use super::super::link::{replace_status, within};
use super::Requests;
use crate::store::kubernetes::story::{clip, moment};
use kube::Api;
use muster_core::ids::PolicyName;
use muster_core::wish::Refusal;
use muster_crds::run::{Outcome, RunPhase};
use muster_crds::{Condition, ConditionStatus, FailoverRun, FailoverRunStatus};

/// Of one status, while others write into the same object.
const TRIES: usize = 3;

/// The condition of a request that was seen.
pub(super) const REQUESTED: &str = "Requested";

impl Requests {
    fn api_of(&self, object: &FailoverRun) -> Api<FailoverRun> {
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        Api::namespaced(self.client.clone(), namespace)
    }

    /// The object as it is now; `None`: it is gone, or another one has its name.
    pub(super) async fn live(&self, object: &FailoverRun) -> Result<Option<FailoverRun>, String> {
        let api = self.api_of(object);
        let live = within(api.get_opt(name_of(object))).await?;
        Ok(live.filter(|live| live.metadata.uid == object.metadata.uid))
    }

    /// Writes the status under the object's version. False: somebody else was first.
    pub(super) async fn put(&self, object: &FailoverRun) -> Result<bool, String> {
        let written = replace_status(&self.api_of(object), name_of(object), object).await?;
        Ok(written.is_some())
    }

    /// Changes the status of a live copy, unless that says it already.
    pub(super) async fn write(
        &self,
        object: &FailoverRun,
        change: impl Fn(FailoverRunStatus) -> FailoverRunStatus,
    ) -> Result<(), String> {
        for _ in 0..TRIES {
            let Some(mut live) = self.live(object).await? else { return Ok(()) };
            let present = live.status.take().unwrap_or_default();
            let next = change(present.clone());
            if next == present {
                return Ok(());
            }
            live.status = Some(next);
            if self.put(&live).await? {
                return Ok(());
            }
        }
        Err("others write into it at the same time".to_owned())
    }

    /// Makes sure that the condition stands there.
    pub(super) async fn say(&self, object: &FailoverRun, condition: &Condition) -> Result<(), String> {
        if object.status.as_ref().is_some_and(|status| stands(&status.conditions, condition)) {
            return Ok(());
        }
        self.write(object, |s| FailoverRunStatus { conditions: with(s.conditions.clone(), condition), ..s })
            .await
    }

    /// A request ends without a run. What has become a run by now is left to that.
    pub(super) async fn refuse(&self, object: &FailoverRun, refusal: &Refusal) -> Result<(), String> {
        let condition = self.condition(object, REQUESTED, Some(refusal));
        self.write(object, |s| {
            if s.epoch.is_some() {
                return s;
            }
            FailoverRunStatus {
                phase: Some(RunPhase::Failed),
                outcome: Some(Outcome::Refused),
                message: Some(clip(&refusal.message)),
                conditions: with(s.conditions.clone(), &condition),
                ..s
            }
        })
        .await
    }

    /// Nobody can take it in yet: said once.
    pub(super) async fn say_no_policy(&self, object: &FailoverRun) -> Result<(), String> {
        if object.status.as_ref().is_some_and(|status| status.message.is_some()) {
            return Ok(());
        }
        let told = format!("no policy {} is in force here; see its conditions", object.spec.policy);
        self.write(object, |s| {
            if s.message.is_some() {
                return s;
            }
            FailoverRunStatus { phase: Some(RunPhase::Pending), message: Some(told.clone()), ..s }
        })
        .await
    }

    /// A condition as of now; with a refusal it does not hold.
    pub(super) fn condition(&self, object: &FailoverRun, kind: &str, refused: Option<&Refusal>) -> Condition {
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
}

pub(super) fn name_of(object: &FailoverRun) -> &str {
    object.metadata.name.as_deref().unwrap_or_default()
}

/// The policy that the object is about.
pub(super) fn policy_of(object: &FailoverRun) -> PolicyName {
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    PolicyName::new(format!("{namespace}/{}", object.spec.policy))
}

/// Whether the object tells of an end.
pub(super) fn has_ended(object: &FailoverRun) -> bool {
    object.status.as_ref().and_then(|status| status.phase).is_some_and(RunPhase::is_final)
}

/// Whether a process has seen the request.
pub(super) fn is_marked(status: &FailoverRunStatus) -> bool {
    status.conditions.iter().any(|condition| condition.r#type == REQUESTED)
}

/// Whether the condition stands there, or a word on a later version of the spec.
fn stands(conditions: &[Condition], wanted: &Condition) -> bool {
    conditions.iter().filter(|c| c.r#type == wanted.r#type).any(|c| {
        let is_later = c.observed_generation > wanted.observed_generation;
        let is_same = (c.observed_generation, c.status) == (wanted.observed_generation, wanted.status);
        is_later || is_same && (&c.reason, &c.message) == (&wanted.reason, &wanted.message)
    })
}

/// The conditions with this one, unless it stands there. Its time is when its status changed.
pub(super) fn with(mut conditions: Vec<Condition>, wanted: &Condition) -> Vec<Condition> {
    if stands(&conditions, wanted) {
        return conditions;
    }
    let mut condition = wanted.clone();
    if let Some(before) = conditions.iter().find(|c| c.r#type == wanted.r#type && c.status == wanted.status) {
        condition.last_transition_time = before.last_transition_time.clone();
    }
    conditions.retain(|c| c.r#type != wanted.r#type);
    conditions.push(condition);
    conditions
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_crds::text::Moment;

    fn taken(status: ConditionStatus, generation: i64, at: &str) -> Condition {
        Condition {
            r#type: "AbortTaken".to_owned(),
            status,
            reason: "AbortTaken".to_owned(),
            message: String::new(),
            last_transition_time: Moment::new(at),
            observed_generation: generation,
        }
    }

    #[test]
    fn what_stands_there_is_not_written_again() {
        let there = vec![taken(ConditionStatus::True, 2, "early")];
        assert_eq!(with(there.clone(), &taken(ConditionStatus::True, 2, "late")), there);
        let earlier = taken(ConditionStatus::False, 1, "late");
        assert_eq!(with(there.clone(), &earlier), there, "a word on a later spec is not replaced");
    }

    #[test]
    fn a_word_on_a_newer_spec_is_said_and_keeps_the_time_of_its_status() {
        let there = vec![taken(ConditionStatus::True, 2, "early")];
        let same = with(there.clone(), &taken(ConditionStatus::True, 3, "late"));
        assert_eq!(same, [taken(ConditionStatus::True, 3, "early")]);
        let other = with(there, &taken(ConditionStatus::False, 3, "late"));
        assert_eq!(other, [taken(ConditionStatus::False, 3, "late")]);
    }
}

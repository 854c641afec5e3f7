//! Approval and abort of a run that is under way: taken into the journal, and answered by a condition that stands in the
//! object, however often its write fails.

use super::Requests;
use super::memory::ObjectId;
use super::told::has_ended;
use crate::api::LONGEST_CONSENT;
use muster_core::ids::PolicyName;
use muster_core::journal::{Approval, Run};
use muster_core::time::{Millis, Stamp};
use muster_core::wish::{Refusal, Wish};
use muster_crds::FailoverRun;
use muster_crds::run as api;

/// Consent is taken by tick: its end is the same if it differs by less than this.
const SAME_TIME_MS: u64 = 5_000;

/// What a person may say of a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Word {
    /// `spec.abort`.
    Abort,
    /// `spec.approval`.
    Approval,
}

impl Word {
    const ALL: [Self; 2] = [Self::Abort, Self::Approval];

    /// The condition that answers it.
    const fn condition(self) -> &'static str {
        match self {
            Self::Abort => "AbortTaken",
            Self::Approval => "ApprovalTaken",
        }
    }

    const fn is_in(self, object: &FailoverRun) -> bool {
        match self {
            Self::Abort => object.spec.abort.is_some(),
            Self::Approval => object.spec.approval.is_some(),
        }
    }

    /// What was said, and to whom: the same is answered once.
    fn print(self, object: &FailoverRun, run: &Run) -> String {
        let said = match self {
            Self::Abort => format!("{:?}", object.spec.abort),
            Self::Approval => format!("{:?}", object.spec.approval),
        };
        format!("{said} {} {:?}", run.term, object.metadata.generation)
    }
}

/// What a word calls for.
#[derive(PartialEq, Eq, Debug)]
enum Due {
    /// The journal is to take it in.
    Wish(Box<Wish>),
    /// It counts for nothing, and why.
    Refuse(Refusal),
    /// The journal has it; the object must say so.
    Say,
}

impl Requests {
    /// Answers what people wrote into the run's object. After the run's end nothing is taken in any more.
    pub(super) async fn consent(
        &self,
        object: &FailoverRun,
        policy: &PolicyName,
        run: &Run,
    ) -> Result<(), String> {
        let over = run.phase.is_final() || has_ended(object);
        let words = [
            (Word::Abort, abort_due(object, run)),
            (Word::Approval, approval_due(object, run, self.shell.clock.now())),
        ];
        for (word, due) in words {
            let Some(due) = due.filter(|due| !over || *due == Due::Say) else { continue };
            self.answer(object, policy, (word, due), &word.print(object, run)).await?;
        }
        Ok(())
    }

    async fn answer(
        &self,
        object: &FailoverRun,
        policy: &PolicyName,
        (word, due): (Word, Due),
        print: &str,
    ) -> Result<(), String> {
        let id = ObjectId::of(object);
        if self.memory().is_answered(&id, word, print) {
            return Ok(());
        }
        let refused = match due {
            Due::Wish(wish) => self.wish(policy, &wish).await?.err(),
            Due::Refuse(refusal) => Some(refusal),
            Due::Say => None,
        };
        let condition = self.condition(object, word.condition(), refused.as_ref());
        self.say(object, &condition).await?;
        self.memory().note_answered(&id, word, print);
        Ok(())
    }
}

fn abort_due(object: &FailoverRun, run: &Run) -> Option<Due> {
    let abort = object.spec.abort.as_ref()?;
    if run.abort.is_some() {
        return Some(Due::Say);
    }
    let (by, reason) = (abort.by.to_string(), abort.reason.to_string());
    Some(Due::Wish(Box::new(Wish::Abort { run: run.name.clone(), by, reason })))
}

fn approval_due(object: &FailoverRun, run: &Run, now: Stamp) -> Option<Due> {
    let asked = object.spec.approval.as_ref()?;
    Some(match consent_of(asked, now) {
        Err(why) => Due::Refuse(Refusal::new("ApprovalOver", why)),
        Ok(asks) if run.approval.as_ref().is_some_and(|has| is_same(has, &asks, now)) => Due::Say,
        Ok(approval) => Due::Wish(Box::new(Wish::Approve { run: run.name.clone(), approval })),
    })
}

/// Consent of another machine's clock cannot be counted on here: it is taken in again, for what is left of it.
fn is_same(has: &Approval, asks: &Approval, now: Stamp) -> bool {
    let until = has.valid_until;
    let same_time = until.wall.0.abs_diff(asks.valid_until.wall.0) < SAME_TIME_MS;
    until.boot == now.boot && same_time && *has == Approval { valid_until: until, ..asks.clone() }
}

/// Consent as the core keeps it: by the tick of this machine, for what the wall clock leaves of it.
pub(super) fn consent_of(approval: &api::Approval, now: Stamp) -> Result<Approval, String> {
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

/// Whether an ended run's object lacks the answer to a word: the run may have ended before it could be written.
pub(super) fn owes_word(object: &FailoverRun) -> bool {
    let Some(status) = object.status.as_ref().filter(|status| status.epoch.is_some()) else { return false };
    let told = |word: Word| status.conditions.iter().any(|c| c.r#type == word.condition());
    Word::ALL.into_iter().any(|word| word.is_in(object) && !told(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::ended_run;
    use muster_core::time::{BootId, Tick, Wall};
    use serde_json::{Value, json};

    /// 2025-10-09T08:53:20Z, and so much later.
    fn at(ms: u64) -> Stamp {
        let start = Stamp { boot: BootId(1), tick: Tick(1_000_000), wall: Wall(1_760_000_000_000) };
        start.plus(Millis(ms))
    }

    fn object(words: &Value, status: &Value) -> FailoverRun {
        let mut object = json!({
            "apiVersion": "muster.dev/v1alpha1", "kind": "FailoverRun",
            "metadata": {"name": "checkout-5", "namespace": "shop", "generation": 2},
            "spec": {"policy": "checkout", "kind": "Failover", "reason": "east is dark", "by": "kim"},
            "status": status,
        });
        for (field, value) in words.as_object().expect("fields") {
            object["spec"][field] = value.clone();
        }
        serde_json::from_value(object).expect("a run")
    }

    fn aborting() -> Value {
        json!({"abort": {"by": "kim", "reason": "east is back"}})
    }

    fn approving() -> Value {
        json!({"approval": {"planHash": "h", "by": "kim", "validUntil": "2025-10-09T08:54:20Z"}})
    }

    fn run() -> Run {
        Run { abort: None, approval: None, ..ended_run(5) }
    }

    #[test]
    fn an_abort_is_wished_for_until_the_journal_has_it_and_then_said() {
        let object = object(&aborting(), &json!({}));
        let wish = Wish::Abort { run: run().name, by: "kim".into(), reason: "east is back".into() };
        assert_eq!(abort_due(&object, &run()), Some(Due::Wish(Box::new(wish))));
        let aborted = Run { abort: Some("kim: east is back".into()), ..run() };
        assert_eq!(abort_due(&object, &aborted), Some(Due::Say));
        assert_eq!(approval_due(&object, &aborted, at(0)), None);
    }

    #[test]
    fn an_approval_is_taken_once_and_again_by_another_machines_clock() {
        let object = object(&approving(), &json!({}));
        let Some(Due::Wish(wish)) = approval_due(&object, &run(), at(0)) else { panic!("it is wished for") };
        let Wish::Approve { approval, .. } = *wish else { panic!("an approval") };
        assert_eq!(approval.valid_until, at(60_000));
        let approved = Run { approval: Some(approval.clone()), ..run() };
        assert_eq!(approval_due(&object, &approved, at(500)), Some(Due::Say));
        let elsewhere = Stamp { boot: BootId(2), ..at(500) };
        assert!(matches!(approval_due(&object, &approved, elsewhere), Some(Due::Wish(_))));
        let other = Run { approval: Some(Approval { by: "ann".into(), ..approval }), ..run() };
        assert!(matches!(approval_due(&object, &other, at(500)), Some(Due::Wish(_))));
    }

    #[test]
    fn an_approval_whose_time_is_over_counts_for_nothing() {
        let due = approval_due(&object(&approving(), &json!({})), &run(), at(60_000));
        let Some(Due::Refuse(refusal)) = due else { panic!("it is over") };
        assert_eq!(refusal.reason, "ApprovalOver");
    }

    #[test]
    fn the_same_word_has_the_same_print_for_one_term_of_a_run() {
        let object = object(&aborting(), &json!({}));
        let print = Word::Abort.print(&object, &run());
        assert_eq!(print, Word::Abort.print(&object, &Run { abort: Some("taken".into()), ..run() }));
        let term = run().term.next();
        assert_ne!(print, Word::Abort.print(&object, &Run { term, ..run() }));
    }

    #[test]
    fn an_ended_run_owes_a_word_until_its_status_has_it() {
        let condition = json!([{"type": "AbortTaken", "status": "True", "reason": "AbortTaken", "message": "",
            "lastTransitionTime": "2025-10-09T08:53:20Z", "observedGeneration": 2}]);
        let ended = json!({"phase": "Aborted", "epoch": 5});
        let told = json!({"phase": "Aborted", "epoch": 5, "conditions": condition});
        assert!(owes_word(&object(&aborting(), &ended)));
        assert!(!owes_word(&object(&aborting(), &told)));
        assert!(!owes_word(&object(&json!({}), &ended)), "nobody said anything");
        let refused = json!({"phase": "Failed", "outcome": "Refused"});
        assert!(!owes_word(&object(&aborting(), &refused)), "it was never a run");
    }
}

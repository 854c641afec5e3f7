//! What an effect that was not seen done yet asks for: patience, another attempt, or a person.

use crate::draft::timeout_of;
use crate::facts::{ErrorClass, Outcome};
use crate::journal::Step;
use crate::sight::Sight;
use crate::time::Millis;

/// What to do about a recorded effect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// Look again in a while; the text says what is waited for.
    Wait(Millis, String),
    /// Send the same effect again.
    Repeat(String),
    /// The target knows newer numbers: this process must not go on.
    Superseded(String),
}

/// How soon an answer that was taken is looked for again.
const LOOK_AGAIN: Millis = Millis(50);
/// First pause after a failed attempt; doubles with each further one.
const FIRST_PAUSE: Millis = Millis(200);
/// Longest pause between two attempts.
const LONGEST_PAUSE: Millis = Millis(30_000);

fn pause_after(attempts: u32, class: ErrorClass) -> Millis {
    let doubled = FIRST_PAUSE.times(1 << attempts.saturating_sub(1).min(8));
    let slowed = match class {
        ErrorClass::Throttled | ErrorClass::Denied | ErrorClass::Invalid => doubled.times(4),
        ErrorClass::Transient | ErrorClass::Conflict | ErrorClass::UnknownOutcome => doubled,
    };
    slowed.min(LONGEST_PAUSE)
}

/// Attempts beyond a limit for those that nobody heard of again: a call that ends its process each time must not be
/// made for ever.
const UNANSWERED: u32 = 3;

/// Whether another attempt is allowed. One whose process ended before its answer came is not a failed one.
pub(crate) fn is_allowed(sight: &Sight<'_>, step: &Step, limit: u32) -> bool {
    let heard = sight.is_in_flight(step) || sight.outcome_of(step).is_some();
    step.attempts < if heard { limit } else { limit.saturating_add(UNANSWERED) }
}

/// Judges an effect whose success is not observed. Observations of this pass are newer than the intent.
pub(crate) fn judge(sight: &Sight<'_>, step: &Step) -> Next {
    let (Some(_), Some(action), Some(_)) = (step.seq, &step.action, step.issued) else {
        return Next::Wait(LOOK_AGAIN, "nothing was sent".to_owned());
    };
    if sight.is_in_flight(step) {
        return Next::Wait(LOOK_AGAIN, format!("{action}: under way"));
    }
    let Some(outcome) = sight.outcome_of(step) else {
        // Nothing is known of this attempt here: another process (or this one before a restart) recorded it. The
        // observation shows that it has not had its effect; the same effect again does no harm.
        return Next::Repeat(format!("{action}: no answer is known"));
    };
    let waited = sight.now.tick.since(outcome.at).unwrap_or_default();
    let after = |pause: Millis, why: String| {
        if waited >= pause { Next::Repeat(why) } else { Next::Wait(Millis(pause.0 - waited.0), why) }
    };
    match &outcome.value {
        Outcome::Issued(_) | Outcome::AlreadyDone => {
            let limit = timeout_of(action, sight.policy);
            if waited >= limit {
                return Next::Repeat(format!("{action}: answered, but not seen within {limit}"));
            }
            Next::Wait(LOOK_AGAIN, format!("{action}: answered, not seen yet"))
        }
        Outcome::StaleEpoch(saw) => Next::Superseded(format!("{action}: {saw}")),
        Outcome::Conflict(saw) => {
            after(pause_after(step.attempts, ErrorClass::Conflict), format!("{action}: {saw}"))
        }
        Outcome::Failed(class, why) => after(pause_after(step.attempts, *class), format!("{action}: {why}")),
    }
}

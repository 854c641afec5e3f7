//! What was seen of the records before the day, and of this process' own last change of them. All of it is gone with the version of
//! the policy.

use std::time::Duration;
use tokio::time::Instant;

/// Between two looks at the records, at rest.
const SETUP_EVERY: Duration = Duration::from_mins(10);
/// Until they are looked at again that were not as they must be, or could not be listed.
const SETUP_AGAIN: Duration = Duration::from_mins(1);
/// Between two questions for a change.
const CHANGE_EVERY: Duration = Duration::from_secs(2);
/// For so long is a change asked for: it takes about a minute, and somebody is to know if it takes far longer.
const CHANGE_LONGEST: Duration = Duration::from_mins(5);

/// Under a lock that is never held while anything is waited for.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// When the look began that told what is wrong, or that nothing is.
    looked: Option<Instant>,
    due: Option<Instant>,
    /// Why every flip would be refused, for people.
    wrong: Option<String>,
    /// Why one would be seen later than the policy says, for people: no reason to look sooner.
    late: Option<String>,
    change: Option<Change>,
}

/// A change that Route 53 has taken, and may not have brought to every server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Change {
    pub(super) id: String,
    pub(super) taken: Instant,
    /// When it was asked for last, or was taken.
    asked: Instant,
}

impl Memory {
    pub(super) fn needs_setup(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| now >= due)
    }

    /// What a look found that began then. Looks may end in another order than they began.
    pub(super) fn take_setup(&mut self, wrong: Option<String>, began: Instant) {
        if self.looked.is_some_and(|at| began < at) {
            return;
        }
        let pause = if wrong.is_some() { SETUP_AGAIN } else { SETUP_EVERY };
        (self.looked, self.due) = (Some(began), Some(began + pause));
        self.wrong = wrong;
    }

    /// The API gave no answer to go by: the last one stays.
    pub(super) fn miss_setup(&mut self, now: Instant) {
        self.due = Some(now + SETUP_AGAIN);
    }

    pub(super) fn take_late(&mut self, late: Option<String>) {
        self.late = late;
    }

    /// What is not as it must be, for people.
    pub(super) fn told(&self) -> Option<&str> {
        self.wrong.as_deref().or(self.late.as_deref())
    }

    pub(super) fn wrong(&self) -> Option<&str> {
        self.wrong.as_deref()
    }

    /// Forgets any earlier one: what it wrote is gone.
    pub(super) fn remember_change(&mut self, id: String, now: Instant) {
        self.change = Some(Change { id, taken: now, asked: now });
    }

    /// The change that is to be asked for now.
    pub(super) fn change_due(&self, now: Instant) -> Option<Change> {
        let is_due = |change: &&Change| now.saturating_duration_since(change.asked) >= CHANGE_EVERY;
        self.change.as_ref().filter(is_due).cloned()
    }

    /// It was asked for, and is not known to be everywhere. Whether it is given up for that.
    pub(super) fn miss_change(&mut self, id: &str, now: Instant) -> bool {
        let Some(change) = self.change.as_mut().filter(|change| change.id == id) else { return false };
        change.asked = now;
        let is_overdue = now.saturating_duration_since(change.taken) >= CHANGE_LONGEST;
        if is_overdue {
            self.change = None;
        }
        is_overdue
    }

    /// Nothing more is to be learned of it.
    pub(super) fn forget_change(&mut self, id: &str) {
        self.change = self.change.take().filter(|change| change.id != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn records_are_looked_at_seldom_while_they_are_right_and_soon_again_while_they_are_not() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        assert!(memory.needs_setup(now));
        memory.take_setup(None, now);
        assert!(!memory.needs_setup(now + SETUP_EVERY - SECOND) && memory.needs_setup(now + SETUP_EVERY));
        let later = now + SETUP_EVERY;
        memory.take_setup(Some("denied".to_owned()), later);
        assert_eq!(memory.wrong(), Some("denied"));
        assert!(!memory.needs_setup(later + SECOND) && memory.needs_setup(later + SETUP_AGAIN));
        memory.take_setup(None, later + SETUP_AGAIN);
        assert_eq!(memory.wrong(), None);
    }

    #[test]
    fn what_was_wrong_stays_so_while_nobody_answers_and_a_late_look_takes_nothing_back() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        memory.take_setup(Some("denied".to_owned()), now);
        memory.miss_setup(now + SETUP_AGAIN);
        assert_eq!(memory.wrong(), Some("denied"));
        assert!(!memory.needs_setup(now + SETUP_AGAIN) && memory.needs_setup(now + SETUP_AGAIN * 2));
        memory.take_setup(None, now + SECOND);
        memory.take_setup(Some("denied".to_owned()), now);
        assert_eq!(memory.wrong(), None);
    }

    #[test]
    fn a_change_is_asked_for_every_two_seconds_for_five_minutes_at_most() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        memory.remember_change("C1".to_owned(), now);
        assert_eq!(memory.change_due(now + SECOND), None);
        let mut asked = 0;
        for second in 1..600 {
            if let Some(change) = memory.change_due(now + SECOND * second) {
                asked += 1;
                let is_given_up = memory.miss_change(&change.id, now + SECOND * second);
                assert_eq!(is_given_up, second == 300);
            }
        }
        assert_eq!(asked, 150);
    }

    #[test]
    fn a_newer_change_takes_the_place_of_an_older_one() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        memory.remember_change("C1".to_owned(), now);
        memory.remember_change("C2".to_owned(), now + SECOND);
        memory.forget_change("C1");
        assert!(!memory.miss_change("C1", now + CHANGE_LONGEST * 2));
        let due = memory.change_due(now + SECOND + CHANGE_EVERY).expect("the newer one");
        assert_eq!(due.id, "C2");
        memory.forget_change("C2");
        assert_eq!(memory.change_due(now + CHANGE_LONGEST), None);
    }
}

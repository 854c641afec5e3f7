//! What a zone was, and when: each change is accepted at one instant and visible in DNS from another.
//!
//! Both views are the changes in the order in which they were accepted. A batch that becomes visible late does therefore not
//! undo in DNS what was written after it.
//!
//! What this module must never do: grow without bound while changes become visible; forget one that is not yet.

use super::records::{RecordKey, RecordSet, Records};
use std::borrow::Cow;
use std::collections::VecDeque;
use tokio::time::Instant;

/// How many changes a zone remembers one by one; a stale read reaches no further back.
const REMEMBERED: usize = 256;

/// What stands under each key afterwards; `None`: nothing.
pub(super) type Writes = Vec<(RecordKey, Option<RecordSet>)>;

/// A change that was accepted.
pub(super) struct Edit {
    pub(super) accepted_at: Instant,
    /// When all of it is visible in DNS; never if `None`.
    pub(super) visible_at: Option<Instant>,
    pub(super) writes: Writes,
}

impl Edit {
    fn is_visible_at(&self, at: Instant) -> bool {
        self.visible_at.is_some_and(|since| since <= at)
    }
}

/// A zone through time.
pub(super) struct History {
    base: Records,
    /// In the order in which they were accepted.
    edits: VecDeque<Edit>,
    /// All edits on the base: what nearly every reader sees, and there are thousands of them.
    latest: Records,
}

impl History {
    pub(super) fn new(base: Records) -> Self {
        Self { latest: base.clone(), base, edits: VecDeque::new() }
    }

    pub(super) fn accept(&mut self, edit: Edit) {
        let now = edit.accepted_at;
        apply(&mut self.latest, &edit.writes);
        self.edits.push_back(edit);
        while self.edits.len() > REMEMBERED && self.edits.front().is_some_and(|edit| edit.is_visible_at(now))
        {
            if let Some(oldest) = self.edits.pop_front() {
                apply(&mut self.base, &oldest.writes);
            }
        }
    }

    /// All that was accepted.
    pub(super) const fn latest(&self) -> &Records {
        &self.latest
    }

    /// What the API showed at that instant.
    pub(super) fn accepted_at(&self, at: Instant) -> Cow<'_, Records> {
        self.replay(|edit| edit.accepted_at <= at)
    }

    /// What DNS showed at that instant.
    pub(super) fn visible_at(&self, at: Instant) -> Cow<'_, Records> {
        self.replay(|edit| edit.is_visible_at(at))
    }

    fn replay(&self, counts: impl Fn(&Edit) -> bool) -> Cow<'_, Records> {
        if self.edits.iter().all(&counts) {
            return Cow::Borrowed(&self.latest);
        }
        let mut records = self.base.clone();
        for edit in self.edits.iter().filter(|edit| counts(edit)) {
            apply(&mut records, &edit.writes);
        }
        Cow::Owned(records)
    }
}

fn apply(records: &mut Records, writes: &[(RecordKey, Option<RecordSet>)]) {
    for (key, written) in writes {
        match written {
            Some(set) => records.insert(key.clone(), set.clone()),
            None => records.remove(key),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::records::Routing;
    use super::*;
    use crate::name::DomainName;
    use std::time::Duration;

    fn key(number: usize) -> RecordKey {
        let name = DomainName::parse(&format!("shop-{number}.example.com")).expect("a name");
        RecordKey { name, kind: "A".to_owned(), identifier: None }
    }

    fn edit(number: usize, accepted_at: Instant, visible_at: Option<Instant>) -> Edit {
        let key = key(number);
        let set = RecordSet { key: key.clone(), ttl: 60, values: Vec::new(), routing: Routing::default() };
        Edit { accepted_at, visible_at, writes: vec![(key, Some(set))] }
    }

    fn keys(records: &Records) -> Vec<&RecordKey> {
        records.keys().collect()
    }

    #[test]
    fn what_is_kept_at_hand_is_what_a_replay_gives_however_many_edits_there_were() {
        let (began, second) = (Instant::now(), Duration::from_secs(1));
        let at = |number: usize| began + second * u32::try_from(number).expect("a few");
        let mut history = History::new(Records::new());
        let hidden = 3;
        for number in 0..2 * REMEMBERED {
            let visible_at = (number != hidden).then(|| at(number) + second);
            history.accept(edit(number, at(number), visible_at));
            let all: Vec<RecordKey> = (0..=number).map(key).collect();
            assert_eq!(history.latest().len(), all.len());
            assert!(all.iter().all(|key| history.latest().contains_key(key)));
            assert_eq!(keys(&history.accepted_at(at(number))), keys(history.latest()));
        }
        let last = 2 * REMEMBERED - 1;
        assert!(!history.accepted_at(at(last - 1)).contains_key(&key(last)), "before it was accepted");
        let visible = history.visible_at(at(last + 1));
        assert_eq!(visible.len(), last, "all but the one that is never visible");
        assert!(!visible.contains_key(&key(hidden)));
        assert!(!history.visible_at(at(last)).contains_key(&key(last)), "before it is visible");
    }

    #[test]
    fn where_all_is_visible_nothing_is_replayed() {
        let now = Instant::now();
        let mut history = History::new(Records::new());
        history.accept(edit(1, now, Some(now)));
        assert!(matches!(history.visible_at(now), Cow::Borrowed(_)));
        history.accept(edit(2, now, None));
        assert!(matches!(history.visible_at(now), Cow::Owned(_)));
        assert!(matches!(history.accepted_at(now), Cow::Borrowed(_)));
    }
}

//! What a zone was, and when: each change is accepted at one instant and visible in DNS from another.
//!
//! Both views replay the changes in the order in which they were accepted. A batch that becomes visible late does
//! therefore not undo in DNS what was written after it.
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
    /// All that was accepted.
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

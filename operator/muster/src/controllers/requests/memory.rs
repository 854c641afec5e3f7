//! What this process remembers of what it was asked, so that nothing is answered again and again, and nothing whose
//! answer was lost is forgotten. It ends with the process: what was only begun is refused then.

use super::super::view::{Key, key_of};
use super::consent::Word;
use muster_core::ids::PolicyName;
use muster_core::time::Tick;
use muster_core::wish::Refusal;
use muster_crds::FailoverRun;
use std::collections::BTreeMap;

/// One object, and not another one that got its name later.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct ObjectId {
    pub(super) key: Key,
    pub(super) uid: Option<String>,
}

impl ObjectId {
    pub(super) fn of(object: &FailoverRun) -> Self {
        Self { key: key_of(&object.metadata), uid: object.metadata.uid.clone() }
    }
}

/// A request that this process takes in.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Asked {
    /// The newest event before it: what was refused by then was another request of its name.
    pub(super) since: u64,
    /// When it was wished for last.
    pub(super) sent: Option<Tick>,
    /// The journal's answer; `None`: none yet, or it was lost.
    pub(super) answer: Option<Result<(), Refusal>>,
}

/// All that is remembered, by object.
#[derive(Default, Debug)]
pub(super) struct Memory {
    asked: BTreeMap<ObjectId, Asked>,
    /// Words that were answered, as they were then.
    answered: BTreeMap<(ObjectId, Word), String>,
    /// Objects that are read from the API server itself in their next look, and whose active run they tell of.
    live: BTreeMap<Key, PolicyName>,
}

impl Memory {
    pub(super) fn asked(&self, id: &ObjectId) -> Option<Asked> {
        self.asked.get(id).cloned()
    }

    /// From now on it is this process's to take in; nothing changes if it was before.
    pub(super) fn begin(&mut self, id: &ObjectId, since: u64) {
        self.asked.entry(id.clone()).or_insert_with(|| Asked { since, ..Asked::default() });
    }

    /// It was not begun after all.
    pub(super) fn forget(&mut self, id: &ObjectId) {
        self.asked.remove(id);
    }

    pub(super) fn note_sent(&mut self, id: &ObjectId, at: Tick) {
        if let Some(asked) = self.asked.get_mut(id) {
            asked.sent = Some(at);
        }
    }

    pub(super) fn note_answer(&mut self, id: &ObjectId, answer: Result<(), Refusal>) {
        if let Some(asked) = self.asked.get_mut(id) {
            asked.answer = Some(answer);
        }
    }

    pub(super) fn is_answered(&self, id: &ObjectId, word: Word, print: &str) -> bool {
        self.answered.get(&(id.clone(), word)).is_some_and(|known| known == print)
    }

    pub(super) fn note_answered(&mut self, id: &ObjectId, word: Word, print: &str) {
        self.answered.insert((id.clone(), word), print.to_owned());
    }

    pub(super) fn expect_live(&mut self, key: Key, policy: PolicyName) {
        self.live.insert(key, policy);
    }

    /// The policy whose active run's object is to be read now, once.
    pub(super) fn take_live(&mut self, key: &str) -> Option<PolicyName> {
        self.live.remove(key)
    }

    /// Forgets objects that are gone.
    pub(super) fn retain(&mut self, is_there: impl Fn(&ObjectId) -> bool) {
        self.asked.retain(|id, _| is_there(id));
        self.answered.retain(|(id, _), _| is_there(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(uid: &str) -> ObjectId {
        ObjectId { key: "shop/planned".to_owned(), uid: Some(uid.to_owned()) }
    }

    #[test]
    fn a_request_is_begun_once_and_keeps_what_is_known_of_it() {
        let mut memory = Memory::default();
        memory.begin(&id("a"), 7);
        memory.note_sent(&id("a"), Tick(5));
        memory.begin(&id("a"), 9);
        assert_eq!(memory.asked(&id("a")), Some(Asked { since: 7, sent: Some(Tick(5)), answer: None }));
        assert_eq!(memory.asked(&id("b")), None, "another object got its name");
    }

    #[test]
    fn a_word_is_answered_for_one_object_as_it_was() {
        let mut memory = Memory::default();
        memory.note_answered(&id("a"), Word::Abort, "1");
        assert!(memory.is_answered(&id("a"), Word::Abort, "1"));
        for (uid, word, print) in
            [("a", Word::Abort, "2"), ("a", Word::Approval, "1"), ("b", Word::Abort, "1")]
        {
            assert!(!memory.is_answered(&id(uid), word, print), "{uid} {word:?} {print}");
        }
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let mut memory = Memory::default();
        for uid in ["a", "b"] {
            memory.begin(&id(uid), 0);
            memory.note_answered(&id(uid), Word::Abort, "1");
        }
        memory.retain(|known| *known == id("b"));
        assert_eq!((memory.asked.len(), memory.answered.len()), (1, 1));
        assert!(memory.asked(&id("b")).is_some());
    }
}

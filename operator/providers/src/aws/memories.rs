//! What adapters remember of what they act on, for longer than one version of their policy lasts.

use muster_core::ids::Owner;
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// By what is acted on. Each version of a policy has adapters of its own; they share what is known of the same thing for as
/// long as any of them is in use, and when the last one goes it is forgotten.
#[derive(Clone, Default)]
pub(super) struct Memories(Arc<Mutex<HashMap<Subject, Weak<dyn Any + Send + Sync>>>>);

#[derive(PartialEq, Eq, Hash)]
struct Subject {
    kind: TypeId,
    owner: Owner,
    name: String,
}

impl fmt::Debug for Memories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memories").finish_non_exhaustive()
    }
}

impl Memories {
    /// What this policy's adapters remember of the thing of this `name`; what is `new`, if there are none.
    pub(super) fn of<T: Send + 'static>(
        &self,
        owner: &Owner,
        name: String,
        new: impl FnOnce() -> T,
    ) -> Arc<Mutex<T>> {
        let subject = Subject { kind: TypeId::of::<T>(), owner: owner.clone(), name };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = known.get(&subject).and_then(Weak::upgrade).and_then(|kept| kept.downcast().ok());
        if let Some(kept) = kept {
            return kept;
        }
        known.retain(|_, memory| memory.strong_count() > 0);
        let memory = Arc::new(Mutex::new(new()));
        let weak = Arc::downgrade(&(Arc::clone(&memory) as Arc<dyn Any + Send + Sync>));
        known.insert(subject, weak);
        drop(known);
        memory
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_remembered_while_anybody_acts_on_it_and_by_its_own_policy_alone() {
        let memories = Memories::default();
        let of = |owner: &str, name: &str| memories.of(&Owner::new(owner), name.to_owned(), u32::default);
        let first = of("a", "db");
        *first.lock().expect("nobody panicked") = 7;
        let next = of("a", "db");
        drop(first);
        assert_eq!(*of("a", "db").lock().expect("nobody panicked"), 7);
        for (owner, name) in [("b", "db"), ("a", "other")] {
            assert_eq!(*of(owner, name).lock().expect("nobody panicked"), 0);
        }
        drop(next);
        assert_eq!(*of("a", "db").lock().expect("nobody panicked"), 0, "the last one that knew it has gone");
        assert_eq!(memories.0.lock().expect("nobody panicked").len(), 1, "what is forgotten takes no room");
    }
}

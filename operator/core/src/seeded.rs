//! Switches that take one safety rule out, for the model check only: it must find the damage that the rule
//! prevents. Without the feature `seeded-bugs` every switch is the constant `false`.

/// One rule taken out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// An abort is allowed until the promotion was seen, not only until it was recorded.
    PivotAtObservation,
    /// Promotion is recorded without looking at `mayBeWritable`.
    IgnoreMayBeWritable,
    /// A step counts as done when its call was answered.
    IssuedIsDone,
    /// One vantage is enough for a verdict.
    NoQuorum,
    /// Another policy's claim on the same target is ignored.
    IgnoreClaims,
    /// A target is detached as soon as its engine was waited for, whether or not anybody agreed.
    DetachUnasked,
    /// A detachment that was not needed counts as one that lands no more.
    IgnoreLateDetachment,
    /// A fence's proof need not be seen again in the pass that promotes.
    StaleProof,
}

#[cfg(feature = "seeded-bugs")]
mod switch {
    use super::Bug;
    use std::cell::Cell;

    thread_local! {
        static ACTIVE: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Takes a rule out for the calls of `f` on this thread.
    pub fn with_bug<T>(bug: Option<Bug>, f: impl FnOnce() -> T) -> T {
        let before = ACTIVE.replace(bug);
        let result = f();
        ACTIVE.set(before);
        result
    }

    pub(crate) fn active(bug: Bug) -> bool {
        ACTIVE.get() == Some(bug)
    }
}

#[cfg(feature = "seeded-bugs")]
pub(crate) use switch::active;
#[cfg(feature = "seeded-bugs")]
pub use switch::with_bug;

#[cfg(not(feature = "seeded-bugs"))]
pub(crate) const fn active(_: Bug) -> bool {
    false
}

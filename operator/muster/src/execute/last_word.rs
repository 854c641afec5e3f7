//! Asked once more, right before what cannot be taken back: whether a person has said stop, and it has only not arrived.

use async_trait::async_trait;
use muster_core::ids::PolicyName;
use muster_core::journal::{Journal, Run};
use muster_core::wish::Wish;
use std::fmt::Debug;

/// Where people say things that reach the journal by a way of their own, which may be slow.
#[async_trait]
pub trait LastWord: Send + Sync + Debug {
    /// What stops this run, read now; `None`: nothing does. An error: nobody can say, and nothing goes on.
    async fn stop(&self, policy: &PolicyName, run: &Run) -> Result<Option<Wish>, String>;
}

/// Whether recording `next` passes the point of no return of its run.
pub(super) fn passes_pivot<'a>(before: &Journal, next: &'a Journal) -> Option<&'a Run> {
    let was_past =
        |run: &Run| before.run.as_ref().is_some_and(|old| old.epoch == run.epoch && old.past_pivot());
    next.run.as_ref().filter(|run| run.past_pivot() && !was_past(run))
}

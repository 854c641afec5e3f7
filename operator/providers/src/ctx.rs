//! The numbers and limits that travel with an effect.

use muster_core::effect::Effect;
use std::fmt::{self, Debug};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Asked right before something leaves this process, and told when it has left.
pub trait SendGuard: Send + Sync {
    /// Whether this process still holds its lease, with a margin.
    fn may_send(&self) -> bool;
    /// The request has left. Recorded for tests that stop the process at exactly this point.
    fn sent(&self);
}

/// The lease was lost between the record and the send: nothing was sent.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the lease was lost before the request was sent")]
pub struct LeaseLost;

/// What a mutating verb gets beside its target.
#[derive(Clone)]
pub struct OpCtx {
    /// Owner, epoch, term, seq and the action, as recorded.
    pub effect: Effect,
    /// The run's name, or the policy's outside of a run; for hooks and idempotency keys.
    pub run: String,
    /// The verb returns by then, and leaves nothing behind that could still act, where it can.
    pub not_after: Instant,
    guard: Arc<dyn SendGuard>,
}

impl OpCtx {
    /// A context for one attempt.
    pub fn new(effect: Effect, run: String, guard: Arc<dyn SendGuard>) -> Self {
        let not_after = Instant::now() + effect.timeout.to_std();
        Self { effect, run, not_after, guard }
    }

    /// A key that is equal for each repetition of the same effect and for nothing else.
    pub fn idempotency_key(&self) -> String {
        format!("{}-{}-{}", self.effect.owner, self.effect.epoch, self.effect.seq)
    }

    /// Time left until the deadline.
    pub fn remaining(&self) -> Duration {
        self.not_after.saturating_duration_since(Instant::now())
    }

    /// Whether this process still holds its lease, with a margin.
    pub(crate) fn may_send(&self) -> bool {
        self.guard.may_send()
    }

    /// Runs the request that changes the target: checks the lease right before, and reports that it has left as
    /// soon as it is on its way (or answered). Everything before it (connecting, signing) belongs outside.
    pub async fn send<F: Future>(&self, request: F) -> Result<F::Output, LeaseLost> {
        /// Long enough for a request to leave through a local socket, short beside any deadline.
        const LEAVES_WITHIN: Duration = Duration::from_millis(5);
        if !self.may_send() {
            return Err(LeaseLost);
        }
        let mut request = std::pin::pin!(request);
        let early = tokio::time::timeout(LEAVES_WITHIN, request.as_mut()).await;
        self.guard.sent();
        match early {
            Ok(output) => Ok(output),
            Err(_) => Ok(request.await),
        }
    }
}

impl Debug for OpCtx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpCtx").field("effect", &self.effect).field("run", &self.run).finish_non_exhaustive()
    }
}

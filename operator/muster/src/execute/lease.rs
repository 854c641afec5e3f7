//! What the stages know of this process's lease. They act only while it is known to hold, with a margin.

use crate::store::LeaseToken;
use muster_core::time::Millis;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// A request that leaves this long before the lease ends has landed, or has failed, when a successor acts.
const SEND_MARGIN: Millis = Millis(500);

/// Shared by the stages and the adapters' send guards. The token counts on a clock that runs in suspend: a paused
/// process finds its lease over as soon as it runs again.
#[derive(Debug)]
pub struct LeaseView {
    current: watch::Receiver<Option<LeaseToken>>,
    stopping: AtomicBool,
}

impl LeaseView {
    /// Over the keeper's word.
    pub fn new(current: watch::Receiver<Option<LeaseToken>>) -> Self {
        Self { current, stopping: AtomicBool::new(false) }
    }

    /// From now on nothing is started.
    pub fn stop_acting(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// The token, while the lease holds with a margin.
    pub fn token(&self) -> Option<LeaseToken> {
        if self.stopping.load(Ordering::Acquire) {
            return None;
        }
        self.current.borrow().clone().filter(|token| token.remaining() > SEND_MARGIN)
    }

    /// Whether something may still leave this process.
    pub fn may_send(&self) -> bool {
        self.token().is_some()
    }

    /// Whether this process acts, as far as it knows.
    pub fn is_held(&self) -> bool {
        self.token().is_some()
    }

    /// Tells of each acquisition and loss.
    pub fn subscribe(&self) -> watch::Receiver<Option<LeaseToken>> {
        self.current.clone()
    }
}

//! Real servers on loopback with free ports, for tests. They end with the test, whatever happens to it.

pub mod postgres;

use crate::SendGuard;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// A lease that a test can take away, and a count of what was sent.
#[derive(Debug, Default)]
pub struct TestGuard {
    lost: AtomicBool,
    sent: AtomicU32,
}

impl TestGuard {
    /// From now on nothing may be sent.
    pub fn lose_lease(&self) {
        self.lost.store(true, Ordering::SeqCst);
    }
    /// How many requests have left.
    pub fn sent(&self) -> u32 {
        self.sent.load(Ordering::SeqCst)
    }
}

impl SendGuard for TestGuard {
    fn may_send(&self) -> bool {
        !self.lost.load(Ordering::SeqCst)
    }
    fn sent(&self) {
        self.sent.fetch_add(1, Ordering::SeqCst);
    }
}

//! Real servers on loopback with free ports, for tests. They end with the test, whatever happens to it.

pub mod postgres;

use crate::SendGuard;
use std::sync::atomic::{AtomicU32, Ordering};

/// A lease that a test can take away, and a count of what was sent.
#[derive(Debug)]
pub struct TestGuard {
    /// How often it is still said that something may be sent.
    checks: AtomicU32,
    sent: AtomicU32,
}

impl Default for TestGuard {
    fn default() -> Self {
        Self { checks: AtomicU32::new(u32::MAX), sent: AtomicU32::new(0) }
    }
}

impl TestGuard {
    /// From now on nothing may be sent.
    pub fn lose_lease(&self) {
        self.lose_lease_after(0);
    }
    /// It may be asked so often before nothing may be sent any more.
    pub fn lose_lease_after(&self, checks: u32) {
        self.checks.store(checks, Ordering::SeqCst);
    }
    /// How many requests have left.
    pub fn sent(&self) -> u32 {
        self.sent.load(Ordering::SeqCst)
    }
}

impl SendGuard for TestGuard {
    fn may_send(&self) -> bool {
        self.checks.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }
    fn sent(&self) {
        self.sent.fetch_add(1, Ordering::SeqCst);
    }
}

//! The time that the services go by.
//!
//! What this module must never do: read the wall clock, for then an answer would depend on the day of the test.

use jiff::Timestamp;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// 2026-01-01T00:00:00Z, in seconds since 1970: the date on which every fake starts.
const FIRST_SECOND: i64 = 1_767_225_600;

/// The runtime's clock, ahead by what the test skipped.
pub(crate) struct Clock {
    started: Instant,
    skipped: Mutex<Duration>,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now(), skipped: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Duration> {
        self.skipped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Instant {
        let skipped = *self.lock();
        Instant::now() + skipped
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Makes it later.
    pub(crate) fn skip(&self, time: Duration) {
        let mut skipped = self.lock();
        *skipped = skipped.saturating_add(time);
    }

    /// What the calendar shows at this instant.
    pub(crate) fn date(&self, at: Instant) -> Timestamp {
        let since = at.saturating_duration_since(self.started).as_secs();
        let second = FIRST_SECOND.saturating_add(i64::try_from(since).unwrap_or(i64::MAX));
        Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

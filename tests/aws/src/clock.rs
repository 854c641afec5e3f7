//! The time that the services go by.
//!
//! What this module must never do: read the wall clock, for then an answer would depend on the day of the test.

use jiff::Timestamp;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// 2026-01-01T00:00:00Z, in milliseconds since 1970: the date on which every fake starts, unless it is told another.
const FIRST_MILLISECOND: i64 = 1_767_225_600_000;
const MILLISECONDS_OF_A_SECOND: i64 = 1000;

struct State {
    skipped: Duration,
    /// What the calendar shows at the start, in milliseconds since 1970.
    first: i64,
}

/// The runtime's clock, ahead by what the test skipped.
pub(crate) struct Clock {
    started: Instant,
    state: Mutex<State>,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let state = State { skipped: Duration::ZERO, first: FIRST_MILLISECOND };
        Self { started: Instant::now(), state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Instant {
        let skipped = self.lock().skipped;
        Instant::now() + skipped
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Makes it later.
    pub(crate) fn skip(&self, time: Duration) {
        let mut state = self.lock();
        state.skipped = state.skipped.saturating_add(time);
    }

    /// Makes the calendar show this date now.
    pub(crate) fn set_date(&self, date: Timestamp) {
        let since = self.since_start(self.now());
        self.lock().first = date.as_millisecond().saturating_sub(since);
    }

    /// What the calendar shows at this instant, in whole seconds.
    pub(crate) fn date(&self, at: Instant) -> Timestamp {
        let second = self.millisecond(at).div_euclid(MILLISECONDS_OF_A_SECOND);
        Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// What the calendar shows at this instant, with its milliseconds.
    pub(crate) fn moment(&self, at: Instant) -> Timestamp {
        Timestamp::from_millisecond(self.millisecond(at)).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn millisecond(&self, at: Instant) -> i64 {
        self.lock().first.saturating_add(self.since_start(at))
    }

    fn since_start(&self, at: Instant) -> i64 {
        i64::try_from(at.saturating_duration_since(self.started).as_millis()).unwrap_or(i64::MAX)
    }
}

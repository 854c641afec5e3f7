//! When what could not be done is tried again.

use std::time::Duration;
use tokio::time::Instant;

/// After a look that could not do all, the next one that tries again; doubled for each further one, up to [`LATEST`].
const FIRST: Duration = Duration::from_millis(500);
/// Each try lists all journals.
const LATEST: Duration = Duration::from_secs(8);

/// The next try, if one is due.
#[derive(Debug, Default)]
pub(super) struct Retry {
    failures: u32,
    due: Option<Instant>,
}

impl Retry {
    /// Something was left undone.
    pub(super) const fn is_open(&self) -> bool {
        self.due.is_some()
    }

    pub(super) fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now())
    }

    pub(super) fn after(&mut self, complete: bool) {
        if complete {
            *self = Self::default();
            return;
        }
        let pause = FIRST.saturating_mul(2_u32.saturating_pow(self.failures)).min(LATEST);
        self.failures = self.failures.saturating_add(1);
        self.due = Some(Instant::now() + pause);
    }
}

//! What this process asked for lately: RDS may list things as they were a moment ago.

use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// What RDS was asked for is in its lists by then, if it took it.
const SHOWN_WITHIN: Duration = Duration::from_secs(15);

/// A change of a rebuild.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ask {
    Rename,
    Create,
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rename => "another name",
            Self::Create => "the replica",
        })
    }
}

/// Of one instance. Empty after a restart: the other process' calls are as late as a look that comes now.
#[derive(Clone, Default, Debug)]
pub(in crate::rds_replica) struct Asks {
    rename: Option<Instant>,
    create: Option<Instant>,
    /// RDS makes the replica, and its database has not answered yet.
    is_made: bool,
}

impl Asks {
    fn of(&mut self, ask: Ask) -> &mut Option<Instant> {
        match ask {
            Ask::Rename => &mut self.rename,
            Ask::Create => &mut self.create,
        }
    }

    /// It leaves, and may have its effect whatever is heard of it.
    pub(super) fn note(&mut self, ask: Ask) {
        *self.of(ask) = Some(Instant::now());
    }

    /// It was refused, and has had no effect.
    pub(super) fn forget(&mut self, ask: Ask) {
        *self.of(ask) = None;
    }

    /// RDS makes the replica, or does so no longer.
    pub(in crate::rds_replica) fn set_made(&mut self, is_made: bool) {
        self.is_made = is_made;
    }

    /// Whether RDS makes the replica, as far as this process knows.
    pub(in crate::rds_replica) fn is_made(&self) -> bool {
        self.is_made
    }

    /// How long ago it was asked for, if that is so short that its effect need not be seen yet.
    pub(super) fn lately(&mut self, ask: Ask) -> Option<Duration> {
        self.of(ask).map(|at| at.elapsed()).filter(|since| *since < SHOWN_WITHIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_asked_for_is_not_asked_for_again_at_once_unless_it_was_refused() {
        let mut asks = Asks::default();
        asks.note(Ask::Rename);
        assert!(asks.lately(Ask::Rename).is_some() && asks.lately(Ask::Create).is_none());
        tokio::time::advance(SHOWN_WITHIN).await;
        assert_eq!(asks.lately(Ask::Rename), None);
        asks.note(Ask::Create);
        asks.forget(Ask::Create);
        assert_eq!(asks.lately(Ask::Create), None);
    }
}

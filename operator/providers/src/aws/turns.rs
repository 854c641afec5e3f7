//! Turns for reads that have time: however many policies look at an account, such reads of an API that is limited for the whole
//! account follow each other at one pace. Effects take no turn.
//!
//! What this module must never do: hold up what a run waits for.

use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// One after the other, in the order in which they were asked for.
#[derive(Debug)]
pub(crate) struct Turns {
    every: Duration,
    next: Mutex<Option<Instant>>,
}

impl Turns {
    /// At most one turn in this time.
    pub(crate) fn new(every: Duration) -> Self {
        Self { every, next: Mutex::default() }
    }

    /// Waits for a turn. Who goes away while waiting takes none.
    pub(crate) async fn take(&self) {
        let mut next = self.next.lock().await;
        if let Some(at) = *next {
            tokio::time::sleep_until(at).await;
        }
        *next = Some(Instant::now() + self.every);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test(start_paused = true)]
    async fn turns_follow_each_other_at_one_pace() {
        let (turns, began) = (Turns::new(Duration::from_secs(1)), Instant::now());
        futures::future::join_all((0..60).map(|_| turns.take())).await;
        assert_eq!(began.elapsed().as_secs(), 59);
        tokio::time::sleep(Duration::from_secs(10)).await;
        // Time that nobody used is not saved up.
        assert!(turns.take().now_or_never().is_some());
        assert!(turns.take().now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_away_takes_no_turn() {
        let (turns, began) = (Turns::new(Duration::from_secs(1)), Instant::now());
        turns.take().await;
        let gone = tokio::time::timeout(Duration::from_millis(100), turns.take()).await;
        assert!(gone.is_err());
        turns.take().await;
        assert_eq!(began.elapsed().as_secs(), 1);
    }
}

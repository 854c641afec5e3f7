//! Looks that outlive who asked for them: from afar a read takes longer than an observation waits for it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// So long at most does a look in a task of its own take.
pub(crate) const LONGEST_LOOK: Duration = Duration::from_secs(8);

/// One look at a time, in a task of its own.
#[derive(Debug, Default)]
pub(crate) struct Look(Mutex<Option<watch::Receiver<()>>>);

impl Look {
    /// Waits so long for the look that is under way; for `work` if there is none. It goes on without the caller, so it must
    /// end by itself.
    pub(crate) async fn wait(&self, work: impl Future<Output = ()> + Send + 'static, within: Duration) {
        let mut look = self.join(work);
        // Nothing is ever sent: this ends when the task does, however it does.
        let _ = timeout(within, look.changed()).await;
    }

    fn join(&self, work: impl Future<Output = ()> + Send + 'static) -> watch::Receiver<()> {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(look) = under_way.as_ref().filter(|look| look.has_changed().is_ok()) {
            return look.clone();
        }
        let (alive, look) = watch::channel(());
        tokio::spawn(async move {
            work.await;
            drop(alive);
        });
        *under_way = Some(look.clone());
        look
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[tokio::test(start_paused = true)]
    async fn a_look_goes_on_without_who_asked_and_is_shared_by_who_asks_meanwhile() {
        let (look, ended) = (Look::default(), Arc::new(AtomicU64::new(0)));
        let work = || {
            let ended = Arc::clone(&ended);
            async move {
                tokio::time::sleep(Duration::from_secs(5)).await;
                ended.fetch_add(1, Ordering::Relaxed);
            }
        };
        look.wait(work(), Duration::from_millis(500)).await;
        assert_eq!(ended.load(Ordering::Relaxed), 0);
        look.wait(work(), Duration::from_mins(1)).await;
        assert_eq!(ended.load(Ordering::Relaxed), 1, "the first one ended, and no second one began");
        look.wait(work(), Duration::from_mins(1)).await;
        assert_eq!(ended.load(Ordering::Relaxed), 2);
    }
}

//! One process acts at a time.
//!
//! ```text
//! holder     renew(t0) ......... renew(t1) ....x killed          its right ends at t1 + duration
//! candidate      sees a change   sees a change ...... no change for duration: takes over, number + 1
//! ```
//! Each side judges by its own monotonic clock, and only how long ago *it* saw the other's change: never by a
//! time that the other wrote down, never by the wall clock. The holder counts from before it asks, the candidate
//! from after it has looked, so the holder's right always ends first.
//!
//! The token's number only grows. A store refuses a record under an old number in the same transaction; for
//! targets that check nothing, the holder asks [`LeaseToken::remaining`] right before it sends.

use super::{Store, StoreError};
use crate::clock::Clock;
use muster_core::ids::HolderId;
use muster_core::time::{Millis, Tick};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The right to act, until it runs out. Clones share a renewal and a loss.
#[derive(Clone, Debug)]
pub struct LeaseToken {
    holder: HolderId,
    number: u64,
    duration: Millis,
    clock: Clock,
    state: Arc<TokenState>,
}

#[derive(Debug)]
struct TokenState {
    until: AtomicU64,
    void: AtomicBool,
}

impl LeaseToken {
    /// For stores: the lease as acquired by a call that began at `began`.
    pub fn new(holder: HolderId, number: u64, duration: Millis, began: Tick, clock: Clock) -> Self {
        let until = AtomicU64::new(began.plus(duration).0);
        Self {
            holder,
            number,
            duration,
            clock,
            state: Arc::new(TokenState { until, void: AtomicBool::new(false) }),
        }
    }

    /// Who.
    pub const fn holder(&self) -> &HolderId {
        &self.holder
    }
    /// Grows with each acquisition, also by the same process.
    pub const fn number(&self) -> u64 {
        self.number
    }
    /// How long a renewal lasts.
    pub const fn duration(&self) -> Millis {
        self.duration
    }
    /// How long this process may still act, by its own monotonic clock. Zero: not at all.
    pub fn remaining(&self) -> Millis {
        if self.state.void.load(Ordering::Acquire) {
            return Millis(0);
        }
        let until = self.state.until.load(Ordering::Acquire);
        Millis(until.saturating_sub(self.clock.now().tick.0))
    }
    /// Whether this process may act right now.
    pub fn is_live(&self) -> bool {
        self.remaining() > Millis(0)
    }
    /// For stores: a renewal that began at `began` went through.
    pub fn prolong(&self, began: Tick) {
        self.state.until.fetch_max(began.plus(self.duration).0, Ordering::AcqRel);
    }
    /// Ends the right to act for good, for all clones.
    pub fn void(&self) {
        self.state.void.store(true, Ordering::Release);
    }
}

/// How asking for the lease went.
#[derive(Clone, Debug)]
pub enum Acquired {
    /// This process may act.
    Ours(LeaseToken),
    /// Another one may.
    Held {
        /// Who.
        by: HolderId,
        /// Since when no change of it was seen here.
        unchanged_for: Millis,
    },
}

/// For stores: what was lately seen of another's lease, and when the newest of it was first seen.
///
/// No state of a lease ever comes back: one that was seen before is an old answer, and no sign of life.
#[derive(Debug)]
pub struct LeaseSight<T> {
    seen: Mutex<(VecDeque<T>, Tick)>,
}

impl<T> Default for LeaseSight<T> {
    fn default() -> Self {
        Self { seen: Mutex::new((VecDeque::new(), Tick(0))) }
    }
}

/// States of a lease that are remembered.
const REMEMBERED: usize = 8;

impl<T: PartialEq> LeaseSight<T> {
    /// Takes a look in; says for how long nothing new was seen. `now` must be read after the look.
    pub fn unchanged_for(&self, look: T, now: Tick) -> Millis {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (states, since) = &mut *seen;
        if states.contains(&look) {
            return now.since(*since).unwrap_or(Millis(0));
        }
        states.push_back(look);
        if states.len() > REMEMBERED {
            states.pop_front();
        }
        *since = now;
        Millis(0)
    }
}

/// How the lease is kept.
#[derive(Clone, Copy, Debug)]
pub struct LeaseSettings {
    /// For how long the holder may rely on a renewal; a killed holder is replaced after it.
    pub duration: Millis,
    /// From the start of a renewal that went through to the next one; at most a fifth of `duration`, so that two of
    /// them may hang: each ends at its deadline, and the third comes with a fifth of `duration` to spare.
    pub renew_every: Millis,
    /// Between two looks at another's lease.
    pub look_every: Millis,
}

impl Default for LeaseSettings {
    fn default() -> Self {
        Self { duration: Millis(3_000), renew_every: Millis(600), look_every: Millis(250) }
    }
}

impl LeaseSettings {
    /// An API server may be away for seconds while it is restarted or elects a leader.
    pub fn in_a_cluster() -> Self {
        Self::lasting(10_000)
    }

    /// The default's proportions for another duration.
    pub fn lasting(millis: u64) -> Self {
        let usual = Self::default();
        let scaled = |part: Millis| Millis(part.0 * millis / usual.duration.0);
        Self {
            duration: Millis(millis),
            renew_every: scaled(usual.renew_every),
            look_every: scaled(usual.look_every),
        }
    }

    /// Of one renewal: a connection that died in silence shows by nothing else.
    const fn renew_within(&self) -> Millis {
        Millis(self.duration.0 / 4)
    }

    /// From a renewal that failed to the next try.
    const fn retry_after(&self) -> Millis {
        Millis(self.duration.0 / 20)
    }
}

/// Acquires the lease, renews it, and tells the rest of the process whether it may act.
#[derive(Debug)]
pub struct LeaseKeeper {
    current: watch::Receiver<Option<LeaseToken>>,
    other: watch::Receiver<Option<HolderId>>,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl LeaseKeeper {
    /// Begins to ask for the lease.
    pub fn start(store: Arc<dyn Store>, holder: HolderId, settings: LeaseSettings) -> Self {
        let (tell, current) = watch::channel(None);
        let (tell_other, other) = watch::channel(None);
        let stop = CancellationToken::new();
        let keeping = Keeping { store, holder, settings, tell, tell_other, stop: stop.clone() };
        Self { current, other, stop, task: Some(tokio::spawn(keeping.keep())) }
    }

    /// The token while this process holds the lease. Ask the token itself too: a frozen process learns late.
    pub fn watch(&self) -> watch::Receiver<Option<LeaseToken>> {
        self.current.clone()
    }

    /// The live token, if there is one.
    pub fn token(&self) -> Option<LeaseToken> {
        self.current.borrow().clone().filter(LeaseToken::is_live)
    }

    /// Who holds the lease, as last seen: this process, or the one that kept it from acquiring.
    pub fn holder(&self) -> Option<HolderId> {
        let own = self.token().map(|token| token.holder().clone());
        own.or_else(|| self.other.borrow().clone())
    }

    /// Gives the lease back; returns when that is done or has failed. Asks for it no more.
    pub async fn give_back(&self) {
        self.stop.cancel();
        let mut current = self.current.clone();
        // The keeper's side closes when it ends.
        while current.changed().await.is_ok() {}
    }

    /// Gives the lease back and ends.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take()
            && task.await.is_err()
        {
            tracing::warn!("failed to give the lease back: its keeper ended early");
        }
    }
}

impl Drop for LeaseKeeper {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Keeping {
    store: Arc<dyn Store>,
    holder: HolderId,
    settings: LeaseSettings,
    tell: watch::Sender<Option<LeaseToken>>,
    tell_other: watch::Sender<Option<HolderId>>,
    stop: CancellationToken,
}

impl Keeping {
    async fn keep(self) {
        while let Some(token) = self.acquire().await {
            tracing::info!(holder = %self.holder, number = token.number(), "lease acquired");
            self.tell.send_replace(Some(token.clone()));
            let ended = self.hold(&token).await;
            self.tell.send_replace(None);
            if let Err(error) = self.store.release(&token).await {
                tracing::warn!(%error, "failed to give the lease back");
            }
            if ended == Ended::Asked {
                return;
            }
        }
    }

    /// `None`: asked to stop.
    async fn acquire(&self) -> Option<LeaseToken> {
        loop {
            // Also when asked to stop, one that is under way is waited for: it is given back, not left to run out.
            match self.store.acquire(&self.holder, self.settings.duration).await {
                Ok(Acquired::Ours(token)) => {
                    self.tell_other.send_replace(None);
                    return Some(token);
                }
                Ok(Acquired::Held { by, .. }) => {
                    self.tell_other.send_if_modified(|known| known.replace(by.clone()) != Some(by));
                }
                Err(error) => tracing::warn!(%error, "failed to ask for the lease"),
            }
            if self.rest(self.settings.look_every).await == Ended::Asked {
                return None;
            }
        }
    }

    async fn hold(&self, token: &LeaseToken) -> Ended {
        let mut pause = self.until_due(token);
        loop {
            if self.rest(pause).await == Ended::Asked {
                return Ended::Asked;
            }
            let within = token.remaining().min(self.settings.renew_within());
            pause = self.settings.retry_after();
            match tokio::time::timeout(within.to_std(), self.store.renew(token)).await {
                Ok(Ok(())) => pause = self.until_due(token),
                Ok(Err(error @ StoreError::LeaseLost { .. })) => {
                    tracing::warn!(holder = %self.holder, number = token.number(), %error, "lease lost");
                    return Ended::Lost;
                }
                Ok(Err(error)) => tracing::warn!(%error, "failed to renew the lease"),
                Err(_) => tracing::warn!(within_ms = within.0, "failed to renew the lease in time"),
            }
            if !token.is_live() {
                tracing::warn!(holder = %self.holder, number = token.number(), "lease ran out");
                return Ended::Lost;
            }
        }
    }

    /// Counted from when the last renewal began, as the token's right is: a slow answer leaves less time, not more.
    fn until_due(&self, token: &LeaseToken) -> Millis {
        let age = token.duration().0.saturating_sub(token.remaining().0);
        Millis(self.settings.renew_every.0.saturating_sub(age))
    }

    async fn rest(&self, long: Millis) -> Ended {
        let long: Duration = long.to_std();
        tokio::select! {
            () = self.stop.cancelled() => Ended::Asked,
            () = tokio::time::sleep(long) => Ended::No,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    No,
    Asked,
    Lost,
}

#[cfg(test)]
mod tests;

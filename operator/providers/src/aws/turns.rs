//! Turns at an API that is limited for a whole account: the control plane of Route 53 takes five requests a second of one, whoever
//! sends them (Route 53, quotas). Who calls an account takes a turn before each call, under whatever role.
//!
//! ```text
//! a change, the last call of an effect ─►┐
//! what an effect has yet to read ───────►├─► a bucket that holds five turns, and gets four a second
//! a read at rest ─► one a second, and ──►┘
//!                   three are left then
//! ```
//!
//! - Who finds a turn waits for nothing: a lone effect is never held up, for reads at rest leave it enough.
//! - An effect that has read goes before those that have yet to. What it has read grows old; and of many names that move at once
//!   the first are done soon, where all would be done at the end.
//! - Among equals who came first goes first. A read at rest waits for as long as any effect does.
//! - Who would wait for longer than there is time is told so at once.
//!
//! What this module must never do: hold up an effect while there are turns; give more of them than the account has.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Turns in a full bucket: as many requests as the account has in a second.
const BURST: u32 = 5;
/// Turns that it gets in a second: one less, for others call the account too.
const PER_SECOND: u64 = 4;
/// Until it gets the next.
const EACH: Duration = Duration::from_millis(1000 / PER_SECOND);
/// So many turns a read at rest leaves to effects.
const LEFT_BY_REST: u32 = 3;
/// Between two reads at rest.
const REST: Duration = Duration::from_secs(1);

/// What a turn is for, in the order in which they go.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Turn {
    /// A change.
    Change,
    /// What an effect reads before.
    Look,
    /// A read on which nothing hangs.
    Rest,
}

/// No turn comes in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "failed to get a turn in time: it waited {} ms for the account's budget of {} calls a second, \
     and {ahead} others come first",
    .waited.as_millis(), PER_SECOND
)]
pub(super) struct NoTurn {
    waited: Duration,
    ahead: usize,
}

/// The turns of one account.
#[derive(Debug, Default)]
pub(super) struct Turns {
    state: Mutex<State>,
    /// Somebody went away without a turn: who stands behind is earlier than it knows.
    left: Notify,
}

/// Who waits: what for, and the how-manyth that came.
type Place = (Turn, u64);

#[derive(Debug, Default)]
struct State {
    /// In the order in which they go.
    waiting: BTreeSet<Place>,
    came: u64,
    /// When the bucket is full again; `None`: nobody has taken a turn yet.
    full_at: Option<Instant>,
    /// When the last read at rest took its turn.
    rested: Option<Instant>,
}

/// Why it is not yet somebody's turn.
struct Behind {
    wait: Duration,
    ahead: usize,
}

/// Keeps a place among those who wait.
struct Ticket<'a> {
    turns: &'a Turns,
    place: Place,
}

impl Turns {
    /// Waits for a turn, at most until `by`. Who goes away while waiting takes none.
    pub(super) async fn take(&self, turn: Turn, by: Option<Instant>) -> Result<(), NoTurn> {
        let came = Instant::now();
        let ticket = Ticket::new(self, turn);
        loop {
            // Before the look: who leaves after it is noticed.
            let left = self.left.notified();
            let now = Instant::now();
            let gone = self.lock().go(ticket.place, now);
            let Err(Behind { wait, ahead }) = gone else { return Ok(()) };
            if by.is_some_and(|by| now + wait > by) {
                return Err(NoTurn { waited: now.saturating_duration_since(came), ahead });
            }
            tokio::select! {
                () = tokio::time::sleep_until(now + wait) => {}
                () = left => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes the turn, if there is one beside those of all who go before.
    fn go(&mut self, place: Place, now: Instant) -> Result<(), Behind> {
        let ahead = self.waiting.range(..place).count();
        let wait = self.until_token(place.0, ahead, now).max(self.until_rested(place, now));
        if !wait.is_zero() {
            return Err(Behind { wait, ahead });
        }
        self.waiting.remove(&place);
        self.full_at = Some(self.full_at.map_or(now, |at| at.max(now)) + EACH);
        if place.0 == Turn::Rest {
            self.rested = Some(now);
        }
        Ok(())
    }

    fn until_token(&self, turn: Turn, ahead: usize, now: Instant) -> Duration {
        let left = if turn == Turn::Rest { LEFT_BY_REST } else { 0 };
        let may_be_missing = EACH * (BURST - 1 - left);
        let missing_at = self.full_at.map(|at| at + EACH * count(ahead));
        missing_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now + may_be_missing))
    }

    fn until_rested(&self, place: Place, now: Instant) -> Duration {
        let Some(rested) = self.rested.filter(|_| place.0 == Turn::Rest) else { return Duration::ZERO };
        let ahead = self.waiting.range((Turn::Rest, 0)..place).count();
        (rested + REST * count(ahead).saturating_add(1)).saturating_duration_since(now)
    }
}

impl<'a> Ticket<'a> {
    fn new(turns: &'a Turns, turn: Turn) -> Self {
        let mut state = turns.lock();
        state.came += 1;
        let place = (turn, state.came);
        state.waiting.insert(place);
        Self { turns, place }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let has_left = self.turns.lock().waiting.remove(&self.place);
        if has_left {
            self.turns.left.notify_waiters();
        }
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use futures::future::join_all;

    /// Whether there is a turn for somebody who does not wait.
    fn has(turns: &Turns, turn: Turn) -> bool {
        turns.take(turn, None).now_or_never().is_some()
    }

    async fn rest(turns: &Turns) {
        turns.take(Turn::Rest, None).await.expect("without a deadline");
    }

    #[tokio::test(start_paused = true)]
    async fn reads_at_rest_follow_each_other_at_one_pace() {
        let (turns, began) = (Turns::default(), Instant::now());
        join_all((0..60).map(|_| rest(&turns))).await;
        assert_eq!(began.elapsed().as_secs(), 59);
        tokio::time::sleep(Duration::from_secs(10)).await;
        // Time that nobody used is not saved up.
        assert!(has(&turns, Turn::Rest) && !has(&turns, Turn::Rest));
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_away_takes_no_turn() {
        let (turns, began) = (Turns::default(), Instant::now());
        rest(&turns).await;
        let gone = tokio::time::timeout(Duration::from_millis(100), rest(&turns)).await;
        assert!(gone.is_err());
        rest(&turns).await;
        assert_eq!(began.elapsed().as_secs(), 1);
        assert!(turns.lock().waiting.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lone_effect_waits_for_nothing_however_many_reads_at_rest_do() {
        let turns = Turns::default();
        let reads = join_all((0..60).map(|_| rest(&turns)));
        let effect = async {
            for _ in 0..20 {
                tokio::time::sleep(Duration::from_millis(2300)).await;
                let began = Instant::now();
                // Its look, and its change.
                assert!(has(&turns, Turn::Look) && has(&turns, Turn::Change));
                assert_eq!(began.elapsed(), Duration::ZERO);
            }
        };
        tokio::join!(reads, effect);
    }

    #[tokio::test(start_paused = true)]
    async fn effects_get_five_turns_at_once_and_four_a_second_after_that() {
        let (turns, began) = (Turns::default(), Instant::now());
        let waits = join_all((0..25).map(|_| async {
            turns.take(Turn::Look, None).await.expect("without a deadline");
            began.elapsed().as_millis()
        }))
        .await;
        assert_eq!(waits[..7], [0_u128, 0, 0, 0, 0, 250, 500]);
        assert_eq!(waits[24], 5000);
    }

    /// Fifty names move at once: each looks, and changes. Reads at rest wait until they are through.
    #[tokio::test(start_paused = true)]
    async fn of_many_names_the_first_are_done_soon_and_reads_at_rest_come_last() {
        let (turns, began) = (Turns::default(), Instant::now());
        let names = join_all((0..50).map(|_| async {
            turns.take(Turn::Look, None).await.expect("without a deadline");
            turns.take(Turn::Change, None).await.expect("without a deadline");
            began.elapsed()
        }));
        let read = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            rest(&turns).await;
            began.elapsed()
        };
        let (mut done, read) = tokio::join!(names, read);
        done.sort();
        // A hundred calls, five of them at once.
        assert_eq!(done[49].as_millis(), 95 * 250);
        assert!(done[9] < Duration::from_secs(5), "{done:?}");
        assert!(read > done[49], "{read:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_no_time_to_wait_is_told_at_once_and_who_stands_behind_moves_up() {
        let (turns, began) = (Turns::default(), Instant::now());
        while has(&turns, Turn::Look) {}
        let by = began + Duration::from_millis(600);
        let take = || turns.take(Turn::Look, Some(by));
        let (first, second, third) = tokio::join!(take(), take(), take());
        assert!(first.is_ok() && second.is_ok());
        let told = third.expect_err("it would be the third").to_string();
        assert!(told.contains("it waited 0 ms for the account's budget of 4 calls a second"), "{told}");
        assert!(told.contains("2 others come first"), "{told}");
        assert_eq!(began.elapsed().as_millis(), 500);
        let patient = async {
            tokio::task::yield_now().await;
            turns.take(Turn::Look, None).await.expect("without a deadline");
            began.elapsed().as_millis()
        };
        let impatient = tokio::time::timeout(Duration::from_millis(100), turns.take(Turn::Look, None));
        let (gone, waited) = tokio::join!(impatient, patient);
        assert!(gone.is_err());
        assert_eq!(waited, 750);
    }
}

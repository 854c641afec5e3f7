//! One read for all who ask: however many policies look at an account, its API is called at one pace.
//!
//! - **Never older than asked.** A caller gets the result of a read that began when it had asked, or later. What an earlier
//!   read found is never handed out: facts must be newer than the intent that they are compared with.
//! - One read at a time. Who asks while one is under way waits for the next.
//! - A caller with time waits for the next regular read; one without starts a read at once, at the least distance from the
//!   last.
//! - Throttling doubles the time between regular reads, and successes halve it again.
//! - After a few reads in a row without an answer the circuit is open: looks are told so at once, and do without, while one
//!   read in a while tries again. An effect is never refused that way: its own read may be the one that closes the circuit.
//! - A caller that goes away takes nothing with it: reads run in a task of their own, as long as anybody waits.
//!
//! What this module must never do: read while nobody waits; let one that hangs hold up those who come after it for ever.

use super::CallError;
use futures::FutureExt;
use futures::future::BoxFuture;
use muster_core::facts::ErrorClass;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// Between the begins of two regular reads.
const REGULAR: Duration = Duration::from_secs(3);
/// The same while the service throttles, at most.
const THROTTLED: Duration = Duration::from_secs(30);
/// Between the begins of any two reads.
const LEAST: Duration = Duration::from_millis(250);
/// Who has as much time as this waits for a regular read.
const PATIENT: Duration = Duration::from_secs(2);
/// So many reads in a row without an answer open the circuit.
pub(super) const OPENS_AFTER: u32 = 3;
/// Between the begins of two reads while the circuit is open, at most.
const OPEN: Duration = Duration::from_secs(15);
/// Where nobody has read for so long, nobody does without it.
pub(super) const UNUSED: Duration = Duration::from_mins(15);
/// A read that takes longer is given up: others wait for the next.
const LONGEST: Duration = Duration::from_secs(8);

/// What a read gives to each who waited for it.
type Answer<T> = Result<Arc<T>, CallError>;

/// A read that many share.
pub(crate) struct SharedRead<T>(Arc<Inner<T>>);

struct Inner<T> {
    read: Box<dyn Fn() -> BoxFuture<'static, Result<T, CallError>> + Send + Sync>,
    state: Mutex<State<T>>,
    /// Somebody came.
    came: Notify,
}

struct State<T> {
    waiting: Vec<Waiter<T>>,
    /// A task reads for those who wait.
    driven: bool,
    /// When the last read began.
    began: Option<Instant>,
    /// Between the begins of two regular reads, now.
    interval: Duration,
    /// One is under way.
    reads: bool,
    /// Reads in a row without an answer, and why the last one had none.
    unanswered: u32,
    last: String,
}

struct Waiter<T> {
    urgent: bool,
    answer: oneshot::Sender<Answer<T>>,
}

impl<T: Send + Sync + 'static> SharedRead<T> {
    /// Reads nothing yet.
    pub(crate) fn new(
        read: impl Fn() -> BoxFuture<'static, Result<T, CallError>> + Send + Sync + 'static,
    ) -> Self {
        let state = State {
            waiting: Vec::new(),
            driven: false,
            began: None,
            interval: REGULAR,
            reads: false,
            unanswered: 0,
            last: String::new(),
        };
        Self(Arc::new(Inner { read: Box::new(read), state: Mutex::new(state), came: Notify::new() }))
    }

    /// What a read finds that begins from now on, at `by` at the latest; at once if there is little time until then. An error
    /// at once while the circuit is open.
    pub(crate) async fn read(&self, by: Instant) -> Answer<T> {
        let urgent = by.saturating_duration_since(Instant::now()) < PATIENT;
        if let Some(why) = self.0.lock().why_open(urgent) {
            return Err(unanswered(why));
        }
        self.wait(urgent, by).await
    }

    /// Whether looks are told at once that nothing answers, and there were any of late.
    pub(crate) fn is_open(&self) -> bool {
        let state = self.0.lock();
        state.is_open() && state.began.is_some_and(|began| began.elapsed() < UNUSED)
    }

    /// The same for one who has time and will not spend it: an effect.
    pub(crate) async fn read_at_once(&self, by: Instant) -> Answer<T> {
        self.wait(true, by).await
    }

    async fn wait(&self, urgent: bool, by: Instant) -> Answer<T> {
        let asked = Instant::now();
        match tokio::time::timeout_at(by, self.join(urgent)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(unanswered("the read ended without an answer".to_owned())),
            Err(_) => Err(unanswered(self.0.why_late(by.saturating_duration_since(asked)))),
        }
    }

    fn join(&self, urgent: bool) -> oneshot::Receiver<Answer<T>> {
        let (answer, receiver) = oneshot::channel();
        let mut state = self.0.lock();
        state.waiting.push(Waiter { urgent, answer });
        let is_driven = std::mem::replace(&mut state.driven, true);
        drop(state);
        if is_driven {
            self.0.came.notify_one();
        } else {
            tokio::spawn(Arc::clone(&self.0).drive());
        }
        receiver
    }
}

impl<T: Send + Sync + 'static> Inner<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads as long as anybody waits.
    async fn drive(self: Arc<Self>) {
        while let Some(begin) = self.next_begin() {
            if Instant::now() >= begin {
                self.read_once().await;
                continue;
            }
            // Who comes meanwhile may have less time.
            tokio::select! {
                () = tokio::time::sleep_until(begin) => {}
                () = self.came.notified() => {}
            }
        }
    }

    /// When to read next; `None`: nobody waits, and the next who comes starts another task.
    fn next_begin(&self) -> Option<Instant> {
        let mut state = self.lock();
        state.waiting.retain(|waiter| !waiter.answer.is_closed());
        if state.waiting.is_empty() {
            state.driven = false;
            return None;
        }
        let urgent = state.waiting.iter().any(|waiter| waiter.urgent);
        Some(state.began.map_or_else(Instant::now, |began| began + state.distance(urgent)))
    }

    async fn read_once(&self) {
        let waiting = {
            let mut state = self.lock();
            state.began = Some(Instant::now());
            state.reads = true;
            std::mem::take(&mut state.waiting)
        };
        let read = AssertUnwindSafe((self.read)()).catch_unwind();
        let answer = match tokio::time::timeout(LONGEST, read).await {
            Ok(Ok(answer)) => answer.map(Arc::new),
            Ok(Err(_)) => Err(unanswered("the read panicked".to_owned())),
            Err(_) => Err(unanswered(format!("no answer within {} s", LONGEST.as_secs()))),
        };
        self.lock().pace(&answer);
        for waiter in waiting {
            // Who is gone needs no answer.
            let _ = waiter.answer.send(answer.clone());
        }
    }

    fn why_late(&self, waited: Duration) -> String {
        let interval = self.lock().interval;
        let waited = waited.as_millis();
        if interval > REGULAR {
            let every = interval.as_secs();
            return format!(
                "no answer within {waited} ms: the service throttles, it is asked every {every} s"
            );
        }
        format!("no answer within {waited} ms")
    }
}

impl<T> State<T> {
    const fn is_open(&self) -> bool {
        self.unanswered >= OPENS_AFTER
    }

    /// From the begin of one read to that of the next. What slows regular reads down slows down who has no time, too.
    fn distance(&self, urgent: bool) -> Duration {
        if urgent { LEAST.max(self.interval / 12) } else { self.interval }
    }

    /// Why a look need not wait: the circuit is open, and it is not time to try again.
    fn why_open(&self, urgent: bool) -> Option<String> {
        let is_due = self.began.is_none_or(|began| began.elapsed() >= self.distance(urgent));
        let spares = self.is_open() && (self.reads || !is_due);
        spares.then(|| {
            let (times, every) = (self.unanswered, self.interval.as_secs());
            format!("{}; {times} times in a row, asked again every {every} s", self.last)
        })
    }

    fn pace(&mut self, answer: &Answer<T>) {
        self.reads = false;
        let was_open = self.is_open();
        match answer {
            Err(error) if error.class == ErrorClass::Throttled => {
                self.unanswered = 0;
                self.interval = (self.interval * 2).min(THROTTLED);
            }
            Err(error) if matches!(error.class, ErrorClass::Transient | ErrorClass::UnknownOutcome) => {
                self.unanswered = self.unanswered.saturating_add(1);
                self.last.clone_from(&error.why);
                if self.is_open() {
                    self.interval = (self.interval * 2).min(OPEN.max(self.interval));
                }
            }
            Ok(_) if was_open => (self.unanswered, self.interval) = (0, REGULAR),
            Ok(_) => (self.unanswered, self.interval) = (0, (self.interval / 2).max(REGULAR)),
            // It is there, and says no.
            Err(_) => self.unanswered = 0,
        }
    }
}

/// A read has changed nothing, whatever became of it.
fn unanswered(why: String) -> CallError {
    CallError { code: None, class: ErrorClass::Transient, why }
}

impl<T> fmt::Debug for SharedRead<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedRead").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Counts reads; each takes `takes`, and gives its own number, from 1.
    fn counted(takes: Duration) -> (Arc<SharedRead<u64>>, Arc<AtomicU64>) {
        let reads = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&reads);
        let read = move || -> BoxFuture<'static, Result<u64, CallError>> {
            let number = counter.fetch_add(1, Ordering::Relaxed) + 1;
            Box::pin(async move {
                tokio::time::sleep(takes).await;
                Ok(number)
            })
        };
        (Arc::new(SharedRead::new(read)), reads)
    }

    fn within(millis: u64) -> Instant {
        Instant::now() + Duration::from_millis(millis)
    }

    async fn pass(millis: u64) {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    fn number(answer: Answer<u64>) -> u64 {
        *answer.expect("an answer")
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_wait_share_one_read() {
        let (shared, reads) = counted(Duration::from_millis(100));
        number(shared.read(within(10_000)).await);
        let asks = (0..50).map(|_| shared.read(within(10_000)));
        let answers = futures::future::join_all(asks).await;
        assert!(answers.into_iter().all(|answer| number(answer) == 2));
        assert_eq!(reads.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_began_before_the_question_is_no_answer_to_it() {
        let (shared, _) = counted(Duration::from_millis(500));
        let first = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move { number(shared.read(within(1_000)).await) }
        });
        pass(100).await;
        // The first read is under way.
        assert_eq!(number(shared.read(within(1_500)).await), 2);
        assert_eq!(first.await.expect("ended"), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_time_waits_for_the_regular_read_and_who_has_none_does_not() {
        let (shared, reads) = counted(Duration::from_millis(10));
        let begun = Instant::now();
        number(shared.read(within(10_000)).await);
        number(shared.read(within(10_000)).await);
        assert!(begun.elapsed() >= REGULAR, "{:?}", begun.elapsed());
        let begun = Instant::now();
        number(shared.read(within(1_000)).await);
        assert!(begun.elapsed() >= LEAST / 2 && begun.elapsed() < REGULAR / 2);
        // One with little time serves those who wait, too.
        let patient = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move { number(shared.read(within(10_000)).await) }
        });
        pass(500).await;
        assert_eq!(number(shared.read_at_once(within(60_000)).await), 4);
        assert_eq!(patient.await.expect("ended"), 4);
        assert_eq!(reads.load(Ordering::Relaxed), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn throttling_slows_the_regular_reads_down_and_successes_bring_them_back() {
        let count = AtomicU64::new(0);
        let read = move || -> BoxFuture<'static, Result<u64, CallError>> {
            let throttled = count.fetch_add(1, Ordering::Relaxed) < 5;
            let class = ErrorClass::Throttled;
            let error = CallError { code: None, class, why: "Throttling".to_owned() };
            Box::pin(async move { if throttled { Err(error) } else { Ok(1) } })
        };
        let shared = SharedRead::new(read);
        let mut waits = Vec::new();
        for _ in 0..10 {
            let begun = Instant::now();
            let _ = shared.read(within(60_000)).await;
            waits.push(begun.elapsed().as_secs());
        }
        assert_eq!(waits, [0, 6, 12, 24, 30, 30, 15, 7, 3, 3]);
    }

    fn panic_on_purpose() -> Result<u64, CallError> {
        panic!("on purpose")
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_told_to_all_and_a_panic_ends_nothing() {
        let count = AtomicU64::new(0);
        let read = move || -> BoxFuture<'static, Result<u64, CallError>> {
            match count.fetch_add(1, Ordering::Relaxed) {
                0 => Box::pin(async { Err(unanswered("refused".to_owned())) }),
                1 => Box::pin(async { panic_on_purpose() }),
                _ => Box::pin(async { Ok(3) }),
            }
        };
        let shared = SharedRead::new(read);
        let two = futures::future::join(shared.read(within(1_000)), shared.read(within(1_000))).await;
        assert!(two.0.is_err_and(|e| e.why == "refused") && two.1.is_err_and(|e| e.why == "refused"));
        assert!(shared.read(within(1_000)).await.is_err_and(|e| e.why.contains("panicked")));
        assert_eq!(number(shared.read(within(1_000)).await), 3);
    }

    /// Answers nothing until the test says so; each try takes a second.
    fn silent() -> (SharedRead<u64>, Arc<AtomicU64>, Arc<std::sync::atomic::AtomicBool>) {
        let tries = Arc::new(AtomicU64::new(0));
        let answers = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (counter, is_back) = (Arc::clone(&tries), Arc::clone(&answers));
        let read = move || -> BoxFuture<'static, Result<u64, CallError>> {
            let number = counter.fetch_add(1, Ordering::Relaxed) + 1;
            let is_back = is_back.load(Ordering::Relaxed);
            Box::pin(async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if is_back { Ok(number) } else { Err(unanswered("nobody is there".to_owned())) }
            })
        };
        (SharedRead::new(read), tries, answers)
    }

    #[tokio::test(start_paused = true)]
    async fn where_nothing_answers_looks_do_without_and_one_read_in_a_while_tries_again() {
        let (shared, tries, answers) = silent();
        for _ in 0..OPENS_AFTER {
            assert!(!shared.is_open());
            assert!(shared.read(within(10_000)).await.is_err());
        }
        assert!(shared.is_open());
        let begun = Instant::now();
        let told = shared.read(within(10_000)).await.expect_err("open").why;
        assert_eq!(told, "nobody is there; 3 times in a row, asked again every 6 s");
        assert_eq!((begun.elapsed(), tries.load(Ordering::Relaxed)), (Duration::ZERO, 3));
        for _ in 0..300 {
            let _ = shared.read(within(4_000)).await;
            pass(200).await;
        }
        let count = tries.load(Ordering::Relaxed);
        assert!((6..=10).contains(&count), "{count} tries in a minute");
        // An effect is not refused, and what it finds is for all.
        answers.store(true, Ordering::Relaxed);
        assert!(shared.read_at_once(within(60_000)).await.is_ok());
        assert!(!shared.is_open());
        let begun = Instant::now();
        assert!(shared.read(within(10_000)).await.is_ok());
        assert!(begun.elapsed() <= REGULAR + Duration::from_secs(1), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_circuit_that_nobody_asks_for_any_more_is_not_told_to_be_open() {
        let (shared, ..) = silent();
        for _ in 0..OPENS_AFTER {
            assert!(shared.read(within(10_000)).await.is_err());
        }
        assert!(shared.is_open());
        tokio::time::sleep(UNUSED).await;
        assert!(!shared.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_refused_is_answered_and_opens_no_circuit() {
        let read = || -> BoxFuture<'static, Result<u64, CallError>> {
            let why = "AccessDenied".to_owned();
            Box::pin(async { Err(CallError { code: None, class: ErrorClass::Denied, why }) })
        };
        let shared = SharedRead::new(read);
        for _ in 0..OPENS_AFTER * 2 {
            assert!(shared.read(within(1_000)).await.is_err_and(|error| error.why == "AccessDenied"));
        }
        assert!(!shared.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_goes_away_takes_no_read_with_it() {
        let (shared, reads) = counted(Duration::from_millis(500));
        let gone = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move { shared.read(within(1_000)).await }
        });
        pass(100).await;
        let waits = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move { number(shared.read(within(1_500)).await) }
        });
        pass(10).await;
        gone.abort();
        assert_eq!(waits.await.expect("ended"), 2);
        // Nobody waits: nothing is read.
        pass(60_000).await;
        assert_eq!(reads.load(Ordering::Relaxed), 2);
        assert!(shared.read(within(100)).await.is_err_and(|e| e.why == "no answer within 100 ms"));
    }
}

//! One task per policy: wait for a change or for time, then one pass through the stages; never two at once.
//!
//! ```text
//! wait -> load -> observe -> decide -> record -> act -> report -> wait
//!                                        |conflict, error: the pass ends, the next one loads again
//! ```
//! An error or a panic ends the pass, never the task, and never touches another policy.

use super::act;
use super::board::Board;
use super::claims::Claims;
use super::decide::{self, Decided};
use super::last_word;
use super::load::{self, LoadError, Loaded};
use super::observe::{self, Eyes, Observed};
use super::record;
use super::report::{self, Frames, Latest};
use super::setup::{InForce, Offer, Setup};
use super::shell::Shell;
use crate::api::PassTimes;
use crate::store::{StoreError, StoreErrorClass};
use futures::FutureExt;
use muster_core::decision::Decision;
use muster_core::ids::{PolicyName, RunName};
use muster_core::journal::Journal;
use muster_core::policy::Policy;
use muster_core::time::{Millis, Stamp, Tick};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// At the latest so often a pass is made, whatever did or did not happen.
const RESYNC: Duration = Duration::from_secs(1);
/// Between two passes at least, so that a mistake in a rule costs a core and not the machine.
const BREATH: Duration = Duration::from_millis(2);
/// After an error of the store.
const AFTER_ERROR: Duration = Duration::from_millis(500);

/// A record without an effect is followed by the next step at once, and a run has no more steps than this; a text
/// that changes with every pass must not become a loop without a pause.
const MOST_IN_A_ROW: u32 = 32;
/// At the end of a task, frames for replay are waited for so long.
const END_OF_FRAMES: Duration = Duration::from_millis(500);

/// Failed passes in a row that nobody is told of: what goes wrong once is mostly mended by the next pass.
const FAILS_UNTOLD: u32 = 1;
/// The reason of a policy that is not ready because its passes fail.
pub const PASS_FAILS: &str = "PassFails";
/// What a process says that follows another one's journal; all that it has to say besides stands behind it.
const LOOKS_ON: &str = "this process does not hold the lease; it only looks on";
/// How old the journal may be that another process acts on, while nothing is under way.
const LOOKED_ON_AGE: Millis = Millis(10_000);

/// Why a pass ended early.
#[derive(Debug, thiserror::Error)]
enum PassError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("failed to claim what the policy steers: {0}")]
    Claim(#[source] StoreError),
    #[error("failed to record: {0}")]
    Record(#[source] StoreError),
    #[error("failed to see whether a person has stopped the run: {0}")]
    LastWord(String),
    #[error("a person has stopped the run")]
    Stopped,
    #[error(
        "the version of the policy that {0} was claimed with is not to be had: nothing is done for it, and nothing undone, until it is. The policy as it was then stands in its journal (inForce): write it again, with the Secrets that it names"
    )]
    OtherVersion(RunName),
}

/// What the rest of the process sees of a policy's task.
#[derive(Clone, Debug)]
pub struct PolicyHandle {
    /// Its name.
    pub name: PolicyName,
    /// Its newest facts.
    pub board: Arc<Board>,
    /// Its newest pass.
    pub latest: watch::Receiver<Option<Arc<Latest>>>,
    /// The version that acts: the newest, or the one that an active run pinned.
    pub acting: watch::Receiver<Arc<Setup>>,
}

impl Latest {
    /// Why this process's passes fail; `None` while they go well, and while another process makes them.
    pub fn failing(&self) -> Option<&str> {
        self.problem.as_deref().filter(|problem| !problem.starts_with(LOOKS_ON))
    }
}

/// The task of one policy.
#[derive(Debug)]
pub struct PolicyTask {
    shell: Arc<Shell>,
    offers: watch::Receiver<Offer>,
    board: Arc<Board>,
    latest: watch::Sender<Option<Arc<Latest>>>,
    acting: watch::Sender<Arc<Setup>>,
    in_force: InForce,
    claims: Claims,
    frames: Frames,
    /// Open while this process holds the lease.
    eyes: Option<Eyes>,
    /// Number of the lease that this process holds, and since when passes were made under it.
    holding: Option<(u64, Tick)>,
    /// Passes since the last one that wrote nothing or started an effect.
    in_a_row: u32,
    /// Passes since the last one that went well.
    failed: u32,
}

/// How a pass went on.
enum Next {
    /// At most so long; less if something happens.
    Wait(Duration),
    /// So long, whatever happens: the last pass failed.
    Pause(Duration),
    /// The policy is gone and nothing of it is under way.
    Ended,
}

impl PolicyTask {
    /// A task for what `offers` says, and the handle to look at it.
    pub fn new(shell: Arc<Shell>, offers: watch::Receiver<Offer>) -> (Self, PolicyHandle) {
        let first = offers.borrow().clone();
        let (latest, latest_seen) = watch::channel(None);
        let (acting, acting_seen) = watch::channel(Arc::clone(&first.newest));
        let board = Arc::new(Board::default());
        let handle = PolicyHandle {
            name: first.newest.policy.name.clone(),
            board: Arc::clone(&board),
            latest: latest_seen,
            acting: acting_seen,
        };
        let in_force = InForce::new(&first);
        let claims = Claims::default();
        let frames = Frames::start(Arc::clone(&shell.store));
        let (eyes, holding, in_a_row, failed) = (None, None, 0, 0);
        (
            Self {
                shell,
                offers,
                board,
                latest,
                acting,
                in_force,
                claims,
                frames,
                eyes,
                holding,
                in_a_row,
                failed,
            },
            handle,
        )
    }

    /// Passes until `stop`, or until the policy was removed and its run has ended.
    pub async fn run(mut self, stop: CancellationToken) {
        self.keep_passing(stop).await;
        self.frames.finish(END_OF_FRAMES).await;
    }

    async fn keep_passing(&mut self, stop: CancellationToken) {
        let mut lease = self.shell.lease.subscribe();
        loop {
            let wait = match self.guarded_pass().await {
                Next::Wait(wait) => wait.max(BREATH),
                Next::Pause(pause) => {
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(pause) => continue,
                    }
                }
                Next::Ended => return,
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
                () = self.board.changed() => {}
                changed = self.offers.changed() => if changed.is_err() { return },
                changed = lease.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn guarded_pass(&mut self) -> Next {
        let name = self.in_force.acting().policy.name.clone();
        match AssertUnwindSafe(self.pass()).catch_unwind().await {
            Ok(Ok(next)) => next,
            Ok(Err(error)) => self.after_error(&name, &error),
            Err(_) => {
                tracing::error!(policy = %name, "a pass panicked; the next one starts anew");
                self.tell_failure("the last pass panicked; see the log".to_owned());
                Next::Pause(RESYNC)
            }
        }
    }

    fn after_error(&mut self, name: &PolicyName, error: &PassError) -> Next {
        let conflict = match error {
            PassError::Record(e) | PassError::Load(LoadError::Store(e)) => {
                e.class() == StoreErrorClass::Conflict
            }
            PassError::Stopped => true,
            _ => false,
        };
        if conflict {
            tracing::debug!(policy = %name, %error, "somebody else was first; loading again");
            return Next::Wait(Duration::ZERO);
        }
        if matches!(error, PassError::Load(LoadError::NoLease)) {
            self.stand_back();
            return Next::Wait(RESYNC);
        }
        tracing::warn!(policy = %name, %error, "pass ended early");
        self.tell_failure(error.to_string());
        Next::Pause(AFTER_ERROR)
    }

    async fn pass(&mut self) -> Result<Next, PassError> {
        let offer = self.offers.borrow_and_update().clone();
        if !self.shell.lease.is_held() {
            self.stand_back();
            return Ok(self.look_on(&offer).await);
        }
        let mut lap = Lap::start();
        let loaded = Box::pin(self.load_journal(&offer.newest.policy)).await?;
        if self.settle(&offer, &loaded) {
            let owner = &self.in_force.acting().policy.owner;
            self.claims.release(self.shell.store.as_ref(), owner).await.map_err(PassError::Claim)?;
            self.latest.send_replace(None);
            return Ok(Next::Ended);
        }
        if let Some(run) = loaded.journal.active_run().filter(|run| !self.in_force.acting().fits(run)) {
            return Err(PassError::OtherVersion(run.name.clone()));
        }
        let acting = Arc::clone(self.in_force.acting());
        acting.adopted.set(loaded.journal.state.adopted_from.clone());
        if self.eyes.is_none() {
            self.board.start_health(&loaded.journal.state.marks, self.shell.clock.now());
        }
        let eyes = self.eyes.get_or_insert_with(|| Eyes::open(&self.shell, &self.board, &acting));

        let mut took = PassTimes { load_us: lap.split(), ..PassTimes::default() };
        let mut observed = Box::new(observe::observe(&self.shell, eyes, &acting, loaded).await);
        self.hold_claims(&acting, &mut observed).await?;
        took.observe_us = lap.split();
        let decided = Box::new(decide::decide(&offer.newest.policy, *observed, self.shell.clock.now()));
        took.decide_us = lap.split();
        self.hear_last_word(&decided).await?;
        let recorded = Box::pin(record::record(&self.shell, *decided)).await;
        let (recorded, inputs) = recorded.map_err(PassError::Record)?;
        took.record_us = lap.split();
        act::act(&self.shell, &self.board, &acting.adapters, &recorded);
        self.tell(&offer, recorded.value(), inputs.now);
        let wait = self.wait_after(recorded.value(), recorded.was_written());
        report::report(&self.shell, &self.frames, &recorded, inputs, took).await;
        Ok(Next::Wait(wait))
    }

    /// The journal to start from. What this process remembers from looking on may be from before the former holder's last
    /// record, so nothing counts that it read before it held this lease.
    async fn load_journal(&mut self, policy: &Policy) -> Result<Loaded, LoadError> {
        let lease = self.shell.lease.token().ok_or(LoadError::NoLease)?;
        let now = self.shell.clock.now().tick;
        let since = self.holding.filter(|(number, _)| *number == lease.number()).map(|(_, since)| since);
        self.holding = Some((lease.number(), since.unwrap_or(now)));
        load::load(&self.shell, policy, lease, since.and_then(|since| now.since(since))).await
    }

    /// Before a point of no return: what a person has said by now is taken in first, and the pass begins anew.
    async fn hear_last_word(&self, decided: &Decided) -> Result<(), PassError> {
        let Some(last_word) = &self.shell.last_word else { return Ok(()) };
        let passing = last_word::passes_pivot(&decided.loaded.journal, &decided.decision.next);
        let Some(run) = passing else { return Ok(()) };
        let policy = &decided.policy.name;
        let Some(wish) = last_word.stop(policy, run).await.map_err(PassError::LastWord)? else {
            return Ok(());
        };
        tracing::info!(%policy, run = %run.name, "stopped right before the point of no return");
        match self.shell.store.wish(policy, &wish, self.shell.clock.now()).await {
            Ok(_) => Err(PassError::Stopped),
            Err(error) => Err(PassError::LastWord(error.to_string())),
        }
    }

    /// Claims what was seen in this very pass too: nothing is decided on a node whose identity another policy holds.
    async fn hold_claims(&mut self, acting: &Setup, observed: &mut Observed) -> Result<(), PassError> {
        let run = observed.loaded.journal.active_run();
        let store = self.shell.store.as_ref();
        let held = self.claims.ensure(store, &acting.policy, run, &observed.seen.data).await;
        held.map_err(PassError::Claim)?;
        observed.seen.journal = self.claims.facts(&self.shell, run.is_some());
        self.board.set_journal(observed.seen.journal.clone());
        Ok(())
    }

    /// Another process may act from now on, and claim.
    fn stand_back(&mut self) {
        self.eyes = None;
        self.claims = Claims::default();
        self.holding = None;
        self.failed = 0;
    }

    /// Settles which version acts. True when the policy is gone and nothing of it is under way.
    fn settle(&mut self, offer: &Offer, loaded: &Loaded) -> bool {
        let active = loaded.journal.active_run();
        if offer.removed && active.is_none() {
            return true;
        }
        if self.in_force.settle(offer, active) || self.eyes.is_none() {
            self.announce();
        }
        false
    }

    /// The acting version changed: look with its adapters, and let the probes follow.
    fn announce(&mut self) {
        let acting = self.in_force.acting();
        let places = acting.vantages.iter().map(|(name, place)| (name.clone(), place.region.clone()));
        self.board.set_policy(&acting.policy, &places.collect());
        self.acting.send_if_modified(|old| {
            let other = !Arc::ptr_eq(old, acting);
            *old = Arc::clone(acting);
            other
        });
        if self.eyes.is_some() {
            self.eyes = Some(Eyes::open(&self.shell, &self.board, acting));
        }
    }

    /// Another process acts: only follow its journal, for status pages.
    async fn look_on(&mut self, offer: &Offer) -> Next {
        match self.glance(offer).await {
            Ok(found) => {
                let active = found.journal.active_run();
                if offer.removed && active.is_none() {
                    return Next::Ended;
                }
                if self.in_force.settle(offer, active) {
                    self.announce();
                }
                self.tell_looks_on(offer, Some(found.journal), None);
            }
            Err(StoreError::UnknownPolicy { .. }) => {
                self.tell_looks_on(offer, None, Some("no process has acted for this policy yet"));
            }
            Err(error) => self.tell_looks_on(offer, None, Some(&error.to_string())),
        }
        Next::Wait(RESYNC)
    }

    /// A thousand policies that are only looked at must not cost the store as many reads a second. Only what an edit or a
    /// removal hangs on is never taken from memory: a run may hold to the version from before it.
    async fn glance(&self, offer: &Offer) -> Result<crate::store::Loaded, StoreError> {
        let (store, name) = (&self.shell.store, &offer.newest.policy.name);
        let settled = !offer.removed && Arc::ptr_eq(&offer.newest, self.in_force.acting());
        if settled { store.load_in_calm(name, LOOKED_ON_AGE).await } else { store.load(name).await }
    }

    /// How long until the next pass, if nothing happens before.
    fn wait_after(&mut self, decision: &Decision, written: bool) -> Duration {
        let goes_on = written && decision.effects.is_empty();
        self.in_a_row = if goes_on { self.in_a_row + 1 } else { 0 };
        if goes_on && self.in_a_row <= MOST_IN_A_ROW {
            return Duration::ZERO;
        }
        let now = self.shell.clock.now().tick;
        let wake = decision.wake_at.map(|at| at.since(now).unwrap_or(Millis(0)).to_std());
        wake.map_or(RESYNC, |wake| wake.min(RESYNC))
    }

    fn blank(&self, offer: &Offer, journal: Option<Journal>) -> Latest {
        Latest {
            at: self.shell.clock.now(),
            acting: Arc::clone(self.in_force.acting()),
            deferred: journal.as_ref().and_then(|j| InForce::deferred(offer, j.active_run())),
            journal,
            rule: None,
            blocked: Vec::new(),
            verdicts: std::collections::BTreeMap::new(),
            problem: None,
        }
    }

    fn tell(&mut self, offer: &Offer, decision: &Decision, at: Stamp) {
        self.failed = 0;
        let mut latest = self.blank(offer, Some(decision.next.clone()));
        latest.at = at;
        latest.rule = Some((decision.rule, decision.message.clone()));
        latest.blocked.clone_from(&decision.blocked);
        latest.verdicts.clone_from(&decision.verdicts);
        self.latest.send_replace(Some(Arc::new(latest)));
    }

    /// Why there is no newer decision, beside the last one and what was seen for it.
    fn tell_failure(&mut self, problem: String) {
        self.failed = self.failed.saturating_add(1);
        if self.failed <= FAILS_UNTOLD {
            return;
        }
        let offer = self.offers.borrow().clone();
        let last = self.latest.borrow().clone();
        let mut latest = self.blank(&offer, last.as_ref().and_then(|last| last.journal.clone()));
        if let Some(last) = last {
            latest.at = last.at;
            latest.rule.clone_from(&last.rule);
            latest.blocked.clone_from(&last.blocked);
            latest.verdicts.clone_from(&last.verdicts);
        }
        latest.problem = Some(problem);
        self.latest.send_replace(Some(Arc::new(latest)));
    }

    /// Without a journal the last one that was seen stays.
    fn tell_looks_on(&self, offer: &Offer, journal: Option<Journal>, why: Option<&str>) {
        let last = self.latest.borrow().clone();
        let journal = journal.or_else(|| last.and_then(|last| last.journal.clone()));
        let mut latest = self.blank(offer, journal);
        latest.problem =
            Some(why.map_or_else(|| LOOKS_ON.to_owned(), |why| format!("{LOOKS_ON}, and {why}")));
        self.latest.send_replace(Some(Arc::new(latest)));
    }
}

/// A stop watch.
struct Lap(Instant);

impl Lap {
    fn start() -> Self {
        Self(Instant::now())
    }

    /// Microseconds since the last call.
    fn split(&mut self) -> u64 {
        let before = std::mem::replace(&mut self.0, Instant::now());
        u64::try_from(self.0.duration_since(before).as_micros()).unwrap_or(u64::MAX)
    }
}

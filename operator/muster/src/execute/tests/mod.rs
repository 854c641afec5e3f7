//! The stages together, on the fake world.

mod disturbed;
mod sharing;
mod undisturbed;

use super::fakes::{MemoryStore, World, policy, setup};
use super::{LeaseView, Offer, Paces, Points, PolicyHandle, PolicyTask, Shell, TestFlags};
use crate::clock::Clock;
use crate::store::{Archive, LeaseKeeper, LeaseSettings, Store};
use muster_core::journal::{Journal, Phase, Run};
use muster_core::policy::Policy;
use muster_core::time::{Millis, Tick};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// A process: a shell with its lease, and policies.
struct Process {
    shell: Arc<Shell>,
    keeper: Option<LeaseKeeper>,
    stop: CancellationToken,
    tasks: Vec<AbortOnDropHandle<()>>,
    handles: Vec<PolicyHandle>,
}

/// A test that fails shows where each policy stood.
impl Drop for Process {
    fn drop(&mut self) {
        for handle in self.handles.iter().filter(|_| std::thread::panicking()) {
            let Some(latest) = handle.latest.borrow().clone() else { continue };
            eprintln!("{}: {:?} {:?} {:?}", handle.name, latest.rule, latest.blocked, latest.problem);
            let journal = latest.journal.as_ref();
            eprintln!("state: {:?}", journal.map(|j| &j.state));
            for step in journal.and_then(|j| j.run.as_ref()).map_or(&[][..], |run| &run.steps) {
                eprintln!("  {:?} {:?} attempts {}: {}", step.key, step.state, step.attempts, step.saw);
            }
        }
    }
}

/// Short enough for a test, long enough for a busy machine.
const LEASE: LeaseSettings =
    LeaseSettings { duration: Millis(2_000), renew_every: Millis(300), look_every: Millis(30) };

impl Process {
    async fn start(name: &str, store: &Arc<MemoryStore>, clock: &Clock) -> Self {
        Self::start_with(name, store, clock, TestFlags::default()).await
    }

    async fn start_with(name: &str, store: &Arc<MemoryStore>, clock: &Clock, flags: TestFlags) -> Self {
        Self::start_with_archive(name, store, clock, flags, None).await
    }

    /// A process that asks before each point of no return.
    async fn start_asking(
        store: &Arc<MemoryStore>,
        clock: &Clock,
        last_word: Arc<dyn super::LastWord>,
    ) -> Self {
        let more = |shell: &mut Shell| shell.last_word = Some(last_word);
        Self::start_as("one", store, clock, TestFlags::default(), more).await
    }

    async fn start_with_archive(
        name: &str,
        store: &Arc<MemoryStore>,
        clock: &Clock,
        flags: TestFlags,
        archive: Option<Arc<Archive>>,
    ) -> Self {
        Self::start_as(name, store, clock, flags, |shell| shell.archive = archive).await
    }

    async fn start_as(
        name: &str,
        store: &Arc<MemoryStore>,
        clock: &Clock,
        flags: TestFlags,
        more: impl FnOnce(&mut Shell),
    ) -> Self {
        let store = Arc::clone(store) as Arc<dyn Store>;
        let keeper = LeaseKeeper::start(Arc::clone(&store), name.into(), LEASE);
        let paces = Paces {
            data_every: Duration::from_millis(50),
            traffic_every: Duration::from_millis(50),
            fence_every: Duration::from_millis(100),
            look_deadline: Duration::from_millis(400),
            wait_known: Duration::from_millis(400),
            ..Paces::default()
        };
        let points = Points::new(flags, clock.clone()).unwrap();
        let lease = Arc::new(LeaseView::new(keeper.watch()));
        let mut shell = Shell::new(store, lease, name.into(), clock.clone(), points, paces);
        more(&mut shell);
        let shell = Arc::new(shell);
        shell.check_room().await;
        Self {
            shell,
            keeper: Some(keeper),
            stop: CancellationToken::new(),
            tasks: Vec::new(),
            handles: Vec::new(),
        }
    }

    /// Killed: nothing is given back, the lease runs out.
    fn die(&mut self, store: &MemoryStore) {
        self.tasks.clear();
        store.orphan_lease();
        self.keeper = None;
    }

    /// Runs a policy on a world, probes and all.
    fn run(&mut self, policy: Policy, world: &Arc<World>) -> (PolicyHandle, watch::Sender<Offer>) {
        let offer =
            Offer { newest: Arc::new(setup(policy, world)), credentials: 0, removed: false, kept: None };
        let (offers, seen) = watch::channel(offer);
        let (task, handle) = PolicyTask::new(Arc::clone(&self.shell), seen);
        self.tasks.push(AbortOnDropHandle::new(tokio::spawn(task.run(self.stop.clone()))));
        self.handles.push(handle.clone());
        let probing = Arc::clone(world).keep_probing(handle.clone());
        self.tasks.push(AbortOnDropHandle::new(tokio::spawn(probing)));
        (handle, offers)
    }
}

/// Polls until `found` says something; a test that waits too long says for what.
async fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(tokio::time::Instant::now() < deadline, "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The run, once its promotion is recorded.
async fn past_pivot(store: &MemoryStore, name: &str) -> Run {
    until("the promotion is recorded", || {
        store.journal(&name.into())?.run.filter(|run| run.clock.pivot.is_some())
    })
    .await
}

fn ended(journal: &Journal) -> Option<&Run> {
    journal.run.as_ref().filter(|run| run.phase.is_final())
}

fn completed(store: &MemoryStore, name: &str) -> Option<Run> {
    let journal = store.journal(&name.into())?;
    ended(&journal).filter(|run| run.phase == Phase::Completed).cloned()
}

/// East is known to take the writes, its witness is raised, and two vantages see it healthy.
async fn settled(store: &MemoryStore, handle: &PolicyHandle) {
    until("the policy is settled", || {
        let journal = store.journal(&handle.name)?;
        let latest = handle.latest.borrow().clone()?;
        let stable = latest.rule.as_ref().is_some_and(|(rule, _)| rule.number() == 499);
        let seen = handle.board.snapshot(None, Tick(0));
        let west = seen.data.get(&"orders".into())?.get(&"west".into())?.value.known()?.heartbeat.clone()?;
        (stable && west.seq > 0 && journal.state.work.is_none() && !journal.state.fence_ids.is_empty())
            .then_some(())
    })
    .await;
}

//! A failover of the real stages on the real store, in a world that never makes them wait: every target answers at
//! once, and every probe result is there when it is needed. What time passes is the controller's own.

use anyhow::{Context, bail, ensure};
use muster::api::Frame;
use muster::clock::Clock;
use muster::execute::fakes::{World, policy, setup};
use muster::execute::{LeaseView, Offer, Paces, Points, PolicyHandle, PolicyTask, Shell};
use muster::store::archive::Limits;
use muster::store::sqlite::Options;
use muster::store::{Archive, LeaseKeeper, LeaseSettings, SqliteStore, Store};
use muster_core::facts::Observations;
use muster_core::ids::{HolderId, RegionName, VantageName};
use muster_core::journal::{Journal, Phase, Run};
use muster_core::policy::{On, Policy, ProbePlan, PublicProbe};
use muster_core::time::{Millis, Stamp, Tick};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Between two rounds of probes before the region dies.
const ROUND: Duration = Duration::from_millis(10);
/// The rule of a policy with nothing to do.
const CALM: u16 = 499;
/// A policy that does not settle, a run that does not end.
const LONGEST: Duration = Duration::from_secs(20);
const HOLDER: &str = "bench";
/// Both vantages of the fake world.
const VANTAGES: [&str; 2] = ["controller", "v1"];

/// A controller's process, without policies.
pub(super) struct Ground {
    shell: Arc<Shell>,
    store: Arc<dyn Store>,
    _checking: AbortOnDropHandle<()>,
    _keeper: LeaseKeeper,
    // Last: the store's files go after whoever writes them.
    _state: TempDir,
}

/// What a decision is made from.
pub(super) struct Inputs {
    pub(super) policy: Policy,
    pub(super) journal: Journal,
    pub(super) seen: Observations,
    pub(super) now: Stamp,
}

/// One failover from the calm before it to its end.
pub(super) struct Failover {
    /// From the probe result that made the verdict to the recorded end of the run.
    pub(super) took: Duration,
    pub(super) calm: Inputs,
    /// Recorded decisions.
    pub(super) frames: Vec<Frame>,
}

impl Ground {
    /// A journal and an archive in a new folder in `folder`, and the lease.
    pub(super) async fn open(folder: &Path) -> anyhow::Result<Self> {
        let state = tempfile::Builder::new().prefix("bench-").tempdir_in(folder)?;
        let clock = Clock::system();
        let store = SqliteStore::open(state.path(), Options::default(), clock.clone()).await?;
        let store: Arc<dyn Store> = Arc::new(store);
        let holder = HolderId::new(HOLDER);
        let keeper = LeaseKeeper::start(Arc::clone(&store), holder.clone(), LeaseSettings::default());
        let lease = Arc::new(LeaseView::new(keeper.watch()));
        let archive = Archive::open(state.path(), Limits::default(), clock.clone());
        // Quicker looks than a user's let a policy settle sooner; a run looks whenever it has to, at any pace.
        let paces = Paces { data_every: Duration::from_millis(100), ..Paces::default() };
        let points = Points::off(clock.clone());
        let mut shell = Shell::new(Arc::clone(&store), lease, holder, clock, points, paces);
        shell.archive = Some(Arc::new(archive));
        shell.check_room().await;
        let shell = Arc::new(shell);
        let checking = tokio::spawn({
            let shell = Arc::clone(&shell);
            async move { shell.keep_checking().await }
        });
        let checking = AbortOnDropHandle::new(checking);
        Ok(Self { shell, store, _checking: checking, _keeper: keeper, _state: state })
    }

    /// A new policy settles, loses its first region, and has failed over to the second.
    pub(super) async fn fail_over(&self, name: &str, regions: &[&str]) -> anyhow::Result<Failover> {
        let stage = Stage::start(&self.shell, name, regions);
        let played = tokio::time::timeout(LONGEST, async {
            let calm = stage.settle().await?;
            stage.world.change(regions[0], |node| node.running = false);
            let began = stage.probe_until_tripped(regions[0]).await;
            let run = stage.follow().await?;
            anyhow::Ok((calm, began.elapsed(), run))
        });
        let (calm, took, run) = played.await.with_context(|| stage.stands_at())??;
        ensure!(run.phase == Phase::Completed, "the run ended as {:?}: {}", run.phase, run.message);
        stage.end().await;
        let frames = self.store.frames(&calm.policy.name, &run.name).await?;
        let frames = frames.into_iter().map(serde_json::from_value).collect::<Result<Vec<Frame>, _>>()?;
        ensure!(!frames.is_empty(), "a run without a recorded decision");
        Ok(Failover { took, calm, frames })
    }
}

/// A service as many have it: a database, a name, two ways to fence, five probes, two vantages. One success through
/// the public name ends a run: more would wait for the pace of the probe.
fn realistic_policy(name: &str, regions: &[&str]) -> Policy {
    let probe =
        |name: &str, on| ProbePlan { name: name.into(), on, every: Millis(500), timeout: Millis(500) };
    let mut policy = policy(name);
    policy.regions = regions.iter().map(|name| RegionName::from(*name)).collect();
    policy.probes.extend([probe("beat", On::Primary), probe("login", On::Both), probe("search", On::Both)]);
    policy.public_probe = policy.public_probe.map(|probe| PublicProbe { successes: 1, ..probe });
    policy
}

/// One policy with its world.
struct Stage {
    world: Arc<World>,
    shell: Arc<Shell>,
    handle: PolicyHandle,
    policy: Policy,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
    // Open as long as the policy is in force.
    _offers: watch::Sender<Offer>,
}

impl Stage {
    fn start(shell: &Arc<Shell>, name: &str, regions: &[&str]) -> Self {
        let world = World::of(regions, shell.clock.clone());
        let policy = realistic_policy(name, regions);
        let newest = Arc::new(setup(policy.clone(), &world));
        let (offers, seen) = watch::channel(Offer { newest, credentials: 0, removed: false, kept: None });
        let (task, handle) = PolicyTask::new(Arc::clone(shell), seen);
        let stop = CancellationToken::new();
        let task = AbortOnDropHandle::new(tokio::spawn(task.run(stop.clone())));
        Self { world, shell: Arc::clone(shell), handle, policy, stop, task, _offers: offers }
    }

    fn probe(&self) {
        let latest = self.handle.latest.borrow().clone();
        let active = latest.and_then(|l| l.journal.as_ref()?.state.active_region.clone());
        self.world.probe(&self.handle.board, &self.policy, active.as_ref());
    }

    /// Probes until the first region is known to take the writes and nothing is left to do.
    async fn settle(&self) -> anyhow::Result<Inputs> {
        loop {
            self.probe();
            tokio::time::sleep(ROUND).await;
            if let Some(calm) = self.calm() {
                return Ok(calm);
            }
        }
    }

    fn calm(&self) -> Option<Inputs> {
        let latest = self.handle.latest.borrow().clone()?;
        let journal = latest.journal.clone()?;
        let seen = self.handle.board.snapshot(Some(self.shell.holder.clone()), latest.at.tick);
        let nodes = seen.data.get(&"orders".into())?;
        let beats = |region| Some(nodes.get(region)?.value.known()?.heartbeat.as_ref()?.seq);
        let followed = self.policy.regions.iter().all(|region| beats(region).is_some_and(|seq| seq > 0));
        let idle = latest.rule.as_ref().is_some_and(|(rule, _)| rule.number() == CALM)
            && journal.state.work.is_none()
            && !journal.state.fence_ids.is_empty();
        (followed && idle).then(|| Inputs {
            policy: self.policy.clone(),
            journal,
            seen,
            now: self.shell.clock.now(),
        })
    }

    /// Probes until both vantages count the region's functional probe as failed; gives when that result came.
    async fn probe_until_tripped(&self, region: &str) -> Instant {
        loop {
            let began = Instant::now();
            self.probe();
            if self.is_tripped(&region.into()) {
                return began;
            }
            tokio::time::sleep(ROUND).await;
        }
    }

    fn is_tripped(&self, region: &RegionName) -> bool {
        let health = self.handle.board.snapshot(None, Tick(0)).health;
        let streaks = health.streaks.get(region);
        let tripped = |vantage: &&str| {
            let of_vantage = streaks.and_then(|s| s.get(&VantageName::from(*vantage)));
            of_vantage.and_then(|s| s.get(&"order".into())).is_some_and(|streak| streak.tripped)
        };
        VANTAGES.iter().all(tripped)
    }

    /// Until the run has ended. The public name is probed as soon as it was moved.
    async fn follow(&self) -> anyhow::Result<Run> {
        let mut latest = self.handle.latest.clone();
        let mut is_probed = false;
        loop {
            let run = latest.borrow_and_update().as_ref().and_then(|l| l.journal.as_ref()?.run.clone());
            if let Some(run) = run.as_ref().filter(|run| run.phase.is_final()) {
                return Ok(run.clone());
            }
            if !is_probed && run.is_some_and(|run| run.clock.flipped.is_some()) {
                is_probed = true;
                self.probe();
            }
            if latest.changed().await.is_err() {
                bail!("the policy's task has ended");
            }
        }
    }

    /// For the message of a run that hangs.
    fn stands_at(&self) -> String {
        let latest = self.handle.latest.borrow().clone();
        let said = latest.as_ref().map(|l| (&l.rule, &l.blocked, &l.problem, &l.verdicts));
        format!("{} did not get on within {} s: {said:?}", self.policy.name, LONGEST.as_secs())
    }

    async fn end(self) {
        self.stop.cancel();
        // A task that panicked has said so in the log.
        let _ = self.task.await;
    }
}

/// Decisions of a run as the core is given them.
pub(super) fn inputs_of(frames: Vec<Frame>) -> Vec<Inputs> {
    let inputs = |f: Frame| Inputs { policy: f.policy, journal: f.journal, seen: f.observations, now: f.at };
    frames.into_iter().map(inputs).collect()
}

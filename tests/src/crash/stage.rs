//! One world, and one run after the other in it.

use super::calls::{self, CrashPoint, Reached};
use super::end::{End, Parts};
use super::targets::{Effects, Harmless, Meter};
use super::tools;
use anyhow::{Context, anyhow, bail};
use muster::api::{PolicyStatus, Role};
use muster::demo::controller::Controller;
use muster::demo::policy::PolicyOptions;
use muster::demo::{World, WorldSpec};
use muster_core::ids::RegionName;
use muster_core::journal::RunKind;
use muster_core::policy::Mode;
use nix::sys::signal::Signal;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The controller's process.
const NAME: &str = "controller";
/// A killed holder's lease is waited for in every run.
const LEASE: [&str; 2] = ["--lease-ms", "1500"];
/// For everything to be calm before and after a run; this machine may be busy.
const CALM: Duration = Duration::from_mins(1);
/// For a run with one restart in it, its rejoin included.
const RUN: Duration = Duration::from_secs(40);
const LOOK: Duration = Duration::from_millis(50);

/// A run that came to its end.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) end: End,
    pub(super) effects: Effects,
    pub(super) harmless: Harmless,
    /// All points up to the end, or to the crash.
    pub(super) reached: Vec<Reached>,
}

/// The run did not begin, or went another way than the undisturbed one before it came to the point, as on a busy
/// machine: the point was not tried, and it may be played again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Untested;

impl std::fmt::Display for Untested {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the point was not tried")
    }
}

/// A world with its policy, ready for the next run.
pub(super) struct Stage {
    world: World,
    active: RegionName,
    /// Files of this world's runs, beside the world.
    folder: tempfile::TempDir,
    runs: u32,
}

/// What one run is followed by.
struct Following<'s> {
    kind: RunKind,
    parts: &'s Parts,
    /// Runs opened before this one.
    epoch: u64,
    crash: bool,
    asked: bool,
    crashed: bool,
    last: String,
}

impl Stage {
    /// Starts a world; planned moves wait for a person there, so that no busy moment starts a failover.
    pub(super) async fn start(automatic: bool) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("muster-crash-").tempdir()?;
        // As root the databases run as another user, who has to pass through.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        let mode = if automatic { Mode::Automatic } else { Mode::Approve };
        // A busy machine answers late. Only where a region is lost must that be found out soon.
        let (probe_every_ms, failures) = if automatic { (800, 3) } else { (800, 4) };
        let cooldown = "1s".to_owned();
        let policy = PolicyOptions { mode, cooldown, probe_every_ms, failures, ..PolicyOptions::default() };
        let world = World::start(WorldSpec {
            dir: Some(folder.path().join("world")),
            binary: Some(std::env::current_exe().context("failed to find this program")?),
            policy,
            ..WorldSpec::default()
        })
        .await?;
        tools::wrap(world.dir())?;
        let active = world.regions().first().context("a world has regions")?.clone();
        let stage = Self { world, active, folder, runs: 0 };
        let ready = Controller::of(&stage.world).await?.wait_ready(&stage.active, CALM).await;
        ready.with_context(|| {
            format!("the world does not get calm; the log's end:\n{}", stage.last_words())
        })?;
        Ok(stage)
    }

    /// Whether a run of this kind can begin where the world stands.
    pub(super) fn fits(&self, kind: RunKind) -> bool {
        let at_home = self.world.regions().first() == Some(&self.active);
        match kind {
            RunKind::Failover => true,
            RunKind::Switchover => at_home,
            RunKind::Failback => !at_home,
        }
    }

    /// Plays a run to its end, with the controller aborted at `crash` if one is given.
    pub(super) async fn play(&mut self, kind: RunKind, crash: Option<&CrashPoint>) -> anyhow::Result<Played> {
        self.runs += 1;
        let taken = self.world.regions().iter().find(|r| **r != self.active).context("two regions")?.clone();
        let parts = Parts { left: self.active.clone(), taken };
        let log = self.folder.path().join(format!("calls-{}", self.runs));
        let (controller, ready) = Box::pin(self.begin(&log, crash, &parts)).await.context(Untested)?;
        let meter = Meter::start(&self.world).await?;
        let epoch = ready.journal.state.epoch.0;
        if kind == RunKind::Failover {
            // Repaired at once: nothing is started there before somebody says so, and no rejoin comes too early.
            self.world.kill(&parts.left);
            self.world.repair(&parts.left);
        }
        let mut following = Following {
            kind,
            parts: &parts,
            epoch,
            crash: crash.is_some(),
            asked: kind == RunKind::Failover,
            crashed: false,
            last: String::new(),
        };
        let status = Box::pin(following.follow(&self.world, controller)).await?;
        let reached = calls::read(&log)?;
        if let Some(point) = crash
            && !following.crashed
        {
            let calls: Vec<_> = reached.iter().map(|r| r.crash_point().to_string()).collect();
            return Err(anyhow!("{point} was not reached, but {}", calls.join(" ")).context(Untested));
        }
        let end = End::look(&self.world, &status, &parts).await?;
        let runs = usize::try_from(status.journal.state.epoch.0 - epoch)?;
        let (effects, harmless) = meter.read(&self.world, runs).await?;
        self.active = status.journal.state.active_region.context("a calm world has an active region")?;
        Ok(Played { end, effects, harmless, reached })
    }

    async fn begin(
        &self,
        log: &Path,
        crash: Option<&CrashPoint>,
        parts: &Parts,
    ) -> anyhow::Result<(Controller, PolicyStatus)> {
        let controller = self.restart(log, crash).await?;
        let ready = controller.wait_ready(&parts.left, CALM).await?;
        calls::check_quiet(log)?;
        Ok((controller, ready))
    }

    /// The next run's process: its calls count from 1.
    async fn restart(&self, log: &Path, crash: Option<&CrashPoint>) -> anyhow::Result<Controller> {
        tokio::task::block_in_place(|| {
            self.world.processes().stop(NAME, Signal::SIGTERM, Duration::from_secs(5));
        });
        let mut flags: Vec<String> = LEASE.map(str::to_owned).into();
        flags.extend(["--call-log".to_owned(), log.display().to_string()]);
        if let Some(point) = crash {
            flags.extend(["--crash-at".to_owned(), point.to_string()]);
        }
        self.world.start_controller_with(NAME, &flags).await?;
        Controller::of(&self.world).await
    }

    /// The controller's last words, for a run that did not end.
    pub(super) fn last_words(&self) -> String {
        let text = std::fs::read_to_string(self.world.controller_log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(12).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Ends the world.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.world.stop().await
    }
}

impl Following<'_> {
    /// Starts the controller again when it has ended, and waits until the run and all that follows it are over.
    async fn follow(&mut self, world: &World, mut controller: Controller) -> anyhow::Result<PolicyStatus> {
        let deadline = Instant::now() + RUN;
        while Instant::now() < deadline {
            if !world.processes().is_running(NAME) {
                if self.crashed || !self.crash {
                    bail!("the controller ended by itself");
                }
                self.crashed = true;
                world
                    .start_controller_with(NAME, &LEASE.map(str::to_owned))
                    .await
                    .context("failed to start it again")?;
                controller = Controller::of(world).await?;
            }
            match controller.status().await {
                Ok(status) if self.is_over(&controller, &status).await => {
                    match controller.wait_ready(&self.parts.taken, LOOK).await {
                        Ok(status) => return Ok(status),
                        Err(missing) => self.last = format!("{missing:#}"),
                    }
                }
                Ok(_) => {}
                Err(error) => self.last = format!("{error:#}"),
            }
            sleep(LOOK).await;
        }
        bail!("not over within {} s: {}", RUN.as_secs(), self.last)
    }

    /// Asks for the run and acknowledges its end, as a person would.
    async fn is_over(&mut self, controller: &Controller, status: &PolicyStatus) -> bool {
        let journal = &status.journal;
        if status.role != Role::Active || status.decision.is_none() {
            "no pass yet".clone_into(&mut self.last);
            return false;
        }
        let run = journal.run.as_ref().filter(|run| run.epoch.0 > self.epoch);
        self.asked |= run.is_some() || !journal.requests.is_empty();
        if !self.asked {
            match controller.start_run(self.kind, &self.parts.taken, "the crash suite asks").await {
                Ok(()) => self.asked = true,
                Err(error) => self.last = format!("asking for the run: {error:#}"),
            }
            return false;
        }
        let Some(run) = run else {
            self.last = format!("no run: {}", status.summary.message);
            return false;
        };
        if !run.phase.is_final() {
            self.last = format!("{:?}: {}", run.phase, run.message);
            return false;
        }
        if journal.state.needs_ack.is_some() {
            let done = controller.acknowledge().await;
            self.last = format!("acknowledging: {done:?}");
            return false;
        }
        if let Some(outcast) = journal.state.outcasts.values().next() {
            self.last = format!("not rejoined: {}", outcast.message);
            return false;
        }
        true
    }
}

//! A running world with its controller, and the questions that every case asks of them.

use super::Bench;
use anyhow::{Context, bail, ensure};
use muster::api::{Accepted, Approve, PolicyStatus};
use muster::cli::client::{ApiPath, Client};
use muster::demo::controller::Controller;
use muster::demo::policy::{POLICY, PolicyOptions};
use muster::demo::processes::Launch;
use muster::demo::{World, WorldSpec, folders};
use muster_core::decision::{Explanation, PlanPreview};
use muster_core::ids::{RegionName, RunName};
use muster_core::journal::{OutcomeKind, Run, RunKind};
use muster_core::time::{Millis, Stamp};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Patience with anything that must come.
pub(super) const PATIENCE: Duration = Duration::from_mins(2);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// What a case may change before the start.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) spec: WorldSpec,
    /// Further words of the controller's command line.
    pub(super) controller_args: Vec<String>,
    /// The primary is probed: a healthy verdict on it is waited for.
    pub(super) judged: bool,
}

/// A world at work.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) controller: Controller,
    client: Client,
    _folder: tempfile::TempDir,
}

pub(super) fn east() -> RegionName {
    "east".into()
}

pub(super) fn west() -> RegionName {
    "west".into()
}

pub(super) fn now() -> Stamp {
    muster::clock::Clock::system().now()
}

fn path<'a>(more: &[&'a str]) -> ApiPath<'a> {
    ApiPath::new(["policies", POLICY.0, POLICY.1].into_iter().chain(more.iter().copied()))
}

impl Bench {
    /// Starts a world, waits until it is well, tells the story in it, and ends it in any case.
    pub(super) async fn play(
        &self,
        change: impl FnOnce(&mut Setting),
        story: impl AsyncFnOnce(&Stage) -> anyhow::Result<String>,
    ) -> anyhow::Result<String> {
        // A busy machine delays probes; what is proven here does not depend on their pace.
        let policy = PolicyOptions { probe_every_ms: 1_000, ..PolicyOptions::default() };
        let mut setting = Setting {
            spec: WorldSpec { binary: Some(self.binary.clone()), policy, ..WorldSpec::default() },
            controller_args: Vec::new(),
            judged: true,
        };
        change(&mut setting);
        let judged = setting.judged;
        let stage = Stage::open(setting).await.context("the world does not start")?;
        let calm = if judged { stage.is_well().await } else { stage.is_seen().await };
        let told = match calm {
            Ok(()) => story(&stage).await,
            Err(error) => Err(error.context("the world does not get calm")),
        };
        let told = told.map_err(|error| stage.with_last_words(&error));
        stage.world.stop().await?;
        told
    }
}

impl Stage {
    async fn open(setting: Setting) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("muster-").tempdir()?;
        // As root the databases run as another user, who has to pass through.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        let Setting { mut spec, controller_args, .. } = setting;
        spec.dir = Some(folder.path().join("world"));
        let own_controller = !controller_args.is_empty();
        spec.controller = !own_controller;
        let binary = spec.binary.clone().context("a case knows its program")?;
        let world = World::start(spec).await?;
        if own_controller {
            start_controller(&world, binary, controller_args)?;
            world.start_vantages()?;
        }
        let controller = Controller::of(&world).await?;
        let client = Client::new(Some(&format!("http://{}", world.api())), None, &world.state())?;
        Ok(Self { world, controller, client, _folder: folder })
    }

    /// Waits until a failover could begin, and its loss could be estimated: heartbeats reach every standby.
    async fn is_well(&self) -> anyhow::Result<()> {
        self.controller.wait_ready(&east(), PATIENCE).await?;
        let beats = |status: &PolicyStatus| {
            let reach = |b: &muster::api::HeartbeatBrief| {
                b.acked_seq >= 5
                    && b.present.len() + 1 >= status.summary.regions.len()
                    && b.live_rpo.is_some()
            };
            let well = status.facts.heartbeats.iter().any(reach);
            if well {
                Ok(())
            } else {
                Err(format!("no heartbeat at a standby: {:?}", status.facts.heartbeats))
            }
        };
        self.controller.wait_until(PATIENCE, beats).await.map(|_| ())
    }

    /// Waits until the databases are seen: east takes the writes, and each standby follows.
    async fn is_seen(&self) -> anyhow::Result<()> {
        let seen = |status: &PolicyStatus| {
            let follows = status.facts.data.iter().filter(|d| d.streaming).count();
            if status.summary.active_region == Some(east()) && follows + 1 >= status.summary.regions.len() {
                Ok(())
            } else {
                Err(format!("not every database is seen: {}", status.summary.message))
            }
        };
        self.controller.wait_until(PATIENCE, seen).await.map(|_| ())
    }

    fn with_last_words(&self, error: &anyhow::Error) -> anyhow::Error {
        let said = std::fs::read_to_string(self.world.controller_log()).unwrap_or_default();
        let lines: Vec<&str> = said.lines().rev().take(60).collect();
        let last: Vec<&str> = lines.into_iter().rev().collect();
        anyhow::anyhow!("{error:#}\n  the controller's last words:\n  {}", last.join("\n  "))
    }

    /// Gates and rules as they stand.
    pub(super) async fn explain(&self) -> anyhow::Result<Explanation> {
        Ok(self.client.get(path(&["explain"])).await?)
    }

    /// What the run that waits would do.
    pub(super) async fn preview(&self) -> anyhow::Result<PlanPreview> {
        let plan = path(&["plan"]).with("kind", format!("{:?}", RunKind::Failover)).with("to", "west");
        Ok(self.client.get(plan).await?)
    }

    /// A person agrees to the plan as it is shown, and waives these gates.
    pub(super) async fn approve(
        &self,
        plan: &PlanPreview,
        waives: &[&str],
        max_loss: Millis,
    ) -> anyhow::Result<()> {
        let consent = Approve {
            run: plan.run.name.clone(),
            plan_hash: plan.plan_hash.clone(),
            max_loss: Some(max_loss),
            waives: waives.iter().map(|gate| (*gate).to_owned()).collect::<BTreeSet<_>>(),
            by: "a test".to_owned(),
            valid_for: Millis::from_secs(120),
        };
        let _: Accepted = self.client.post(path(&["approve"]), &consent).await?;
        Ok(())
    }

    /// Waits until a run that is not `before` has come so far, and says what it waits for.
    pub(super) async fn run_until(
        &self,
        before: Option<&RunName>,
        reached: impl Fn(&Run) -> Result<(), String>,
    ) -> anyhow::Result<Run> {
        let look =
            |status: &PolicyStatus| match status.journal.run.as_ref().filter(|r| Some(&r.name) != before) {
                Some(run) => reached(run).map_err(|why| format!("{why}; {:?}: {}", run.phase, run.message)),
                None => Err(format!("no run was opened: {}", status.summary.message)),
            };
        let status = self.controller.wait_until(PATIENCE, look).await?;
        status.journal.run.context("the run was just seen")
    }

    /// Waits for the end of the run after `before`, whatever it is.
    pub(super) async fn ended(&self, before: Option<&RunName>) -> anyhow::Result<Run> {
        let is_final =
            |run: &Run| if run.phase.is_final() { Ok(()) } else { Err("it has not ended".to_owned()) };
        self.run_until(before, is_final).await
    }

    /// Waits for the end of the first run, which must be good.
    pub(super) async fn succeeded(&self) -> anyhow::Result<Run> {
        self.succeeded_after(None).await
    }

    /// Waits for the end of the run after `before`, which must be good.
    pub(super) async fn succeeded_after(&self, before: Option<&RunName>) -> anyhow::Result<Run> {
        let run = self.ended(before).await?;
        let good = run.outcome == Some(OutcomeKind::Succeeded);
        ensure!(good, "the run ended with {:?}: {}", run.outcome, run.message);
        Ok(run)
    }

    /// Waits until the region follows the active one again and the run's loss is final, and answers the run.
    pub(super) async fn rejoined(&self, region: &RegionName, run: &RunName) -> anyhow::Result<Run> {
        let back = |status: &PolicyStatus| match status.journal.state.outcasts.get(region) {
            Some(outcast) => Err(format!("{region} has not rejoined: {}", outcast.message)),
            None => Ok(()),
        };
        self.controller.wait_until(PATIENCE, back).await?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.controller.run(run).await?;
            if found.measured.rpo.r#final {
                return Ok(found);
            }
            ensure!(Instant::now() < deadline, "the loss of {run} never became final: {:?}", found.measured);
            sleep(LOOK).await;
        }
    }

    /// Waits until this is among what blocks, as `explain` tells it; answers what it saw.
    pub(super) async fn blocked_by(&self, name: &str) -> anyhow::Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let told = self.explain().await?;
            if let Some(blocker) = told.blocked.iter().find(|b| b.name == name) {
                return Ok(format!("{name}: {}", blocker.saw));
            }
            if Instant::now() >= deadline {
                bail!("explain does not name {name}, but {:?} ({})", told.blocked, told.message);
            }
            sleep(LOOK).await;
        }
    }

    /// Watches for a while that something stays true.
    pub(super) async fn stays(
        &self,
        long: Duration,
        holds: impl Fn(&PolicyStatus) -> Result<(), String>,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + long;
        while Instant::now() < deadline {
            let status = self.controller.status().await?;
            holds(&status).map_err(anyhow::Error::msg)?;
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Whether the region's database is a standby, asked inside the region.
    pub(super) async fn is_standby(&self, region: &RegionName) -> anyhow::Result<bool> {
        let row = self.world.admin(region).await?.query_one("select pg_is_in_recovery()", &[]).await?;
        Ok(row.try_get(0)?)
    }

    /// Waits until something holds.
    pub(super) async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !holds().await {
            if Instant::now() >= deadline {
                bail!("not within {} s: {what}", PATIENCE.as_secs());
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// The number of attempts of the step whose text begins like this.
    pub(super) fn attempts(run: &Run, step: &str) -> u32 {
        let found = run.steps.iter().find(|s| format!("{:?}", s.key).starts_with(step));
        found.map_or(0, |s| s.attempts)
    }
}

fn start_controller(world: &World, binary: std::path::PathBuf, more: Vec<String>) -> anyhow::Result<()> {
    folders::make_private(&world.state(), None)?;
    let folder = |path: std::path::PathBuf| path.display().to_string();
    let mut args = vec!["local".to_owned(), "--policies".to_owned(), folder(world.policies("controller"))];
    args.extend([
        "--state".to_owned(),
        folder(world.state()),
        "--secrets".to_owned(),
        folder(world.secrets()),
    ]);
    args.extend([
        "--listen".to_owned(),
        world.api().to_string(),
        "--name".to_owned(),
        "controller".to_owned(),
    ]);
    args.extend(more);
    world.processes().spawn(&Launch {
        name: "controller".to_owned(),
        region: None,
        program: binary,
        args,
        folder: world.dir().to_path_buf(),
        identity: None,
        log: world.controller_log(),
        environment: Vec::new(),
    })?;
    Ok(())
}

/// No run was opened.
pub(super) fn no_run(status: &PolicyStatus) -> Result<(), String> {
    status.journal.run.as_ref().map_or(Ok(()), |run| Err(format!("a run was opened: {}", run.message)))
}

/// From one moment of a run to another.
pub(super) fn span(what: &str, from: Option<Stamp>, to: Option<Stamp>) -> anyhow::Result<Millis> {
    from.zip(to)
        .and_then(|(from, to)| to.since(&from))
        .with_context(|| format!("the run does not say when {what} began and ended"))
}

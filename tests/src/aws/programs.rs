//! The processes under test: the controller, which finds the fake by its environment, and two vantages.

use super::cloud::{ACCESS_KEY, Cloud};
use super::control::{Control, ME, WHY};
use super::items::{ORDERS, REPORTS};
use super::policy::{POLICY, policies, secrets};
use super::region::Region;
use anyhow::{Context, bail};
use muster::api::{Accepted, Ack, Approve, Consent, DataBrief, PolicyStatus, StartRun};
use muster::cli::client::{ApiPath, Client};
use muster::demo::cloud::environment_at;
use muster::demo::folders;
use muster::demo::http::{Call, send};
use muster::demo::processes::{Environment, Launch, Processes};
use muster_core::decision::PlanPreview;
use muster_core::facts::{DataRole, PowerState};
use muster_core::health::VerdictKind;
use muster_core::ids::RunName;
use muster_core::journal::RunKind;
use muster_core::rules::Rule;
use muster_core::time::Millis;
use nix::sys::signal::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const CONTROLLER: &str = "controller";
/// For a process to answer, on a busy machine.
const START: Duration = Duration::from_secs(30);
/// For a process to end by itself.
const END: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(50);
/// How long a person's consent holds.
const CONSENT: Millis = Millis::from_secs(120);
/// Lines of the log that an error shows.
const LAST_LINES: usize = 15;

/// The processes of one bed.
pub(super) struct Programs {
    processes: Processes,
    folder: PathBuf,
    binary: PathBuf,
    listen: SocketAddr,
    environment: Environment,
    /// The controller's verb, and where it finds its policy.
    verb: Vec<String>,
}

impl Programs {
    /// Starts none yet.
    pub(super) fn new(folder: &Path, cloud: &Cloud, control: &Control) -> anyhow::Result<Self> {
        let binary = std::env::current_exe().context("failed to find this program")?;
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port for the controller")?;
        folders::make_private(&state(folder), None)?;
        let environment = environment_at(&cloud.aws, ACCESS_KEY, Region::West.aws());
        Ok(Self {
            processes: Processes::start(folder, BTreeMap::new())?,
            folder: folder.to_path_buf(),
            binary,
            listen: free.local_addr()?,
            environment,
            verb: control.verb(folder)?,
        })
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    /// Starts this program as another one of its verbs, in that environment alone.
    fn spawn(&self, name: &str, args: Vec<String>) -> anyhow::Result<()> {
        self.processes.spawn(&Launch {
            name: name.to_owned(),
            region: None,
            program: self.binary.clone(),
            args,
            folder: self.folder.clone(),
            identity: None,
            log: self.log(name),
            environment: self.environment.clone(),
        })?;
        Ok(())
    }

    /// Starts the controller with further flags, and waits until its API answers.
    pub(super) async fn start_controller(&self, flags: &[String]) -> anyhow::Result<Api> {
        let mut args = self.verb.clone();
        args.extend(["--listen".to_owned(), self.listen.to_string()]);
        args.extend(["--name".to_owned(), CONTROLLER.to_owned()]);
        args.extend(["--lease-ms".to_owned(), "1500".to_owned()]);
        args.extend(flags.iter().cloned());
        self.spawn(CONTROLLER, args)?;
        let deadline = Instant::now() + START;
        while send(self.listen, &Call::get("/"), Duration::from_secs(1)).await.is_err() {
            if !self.is_running() || Instant::now() >= deadline {
                bail!("the controller does not answer; it said:\n{}", self.last_words());
            }
            sleep(LOOK).await;
        }
        Api::connect(self.listen, &state(&self.folder)).await
    }

    /// Starts both vantages.
    pub(super) fn start_vantages(&self) -> anyhow::Result<()> {
        for name in ["v1", "v2"] {
            let folder = |path: PathBuf| path.display().to_string();
            let mut args = vec!["vantage".to_owned(), "--name".to_owned(), name.to_owned()];
            args.extend(["--policies".to_owned(), folder(policies(&self.folder))]);
            args.extend(["--secrets".to_owned(), folder(secrets(&self.folder))]);
            args.extend(["--controller".to_owned(), format!("http://{}", self.listen)]);
            self.spawn(name, args)?;
        }
        Ok(())
    }

    /// Whether the controller runs.
    pub(super) fn is_running(&self) -> bool {
        self.processes.is_running(CONTROLLER)
    }

    /// Asks the controller to end, and waits for it.
    pub(super) fn stop_controller(&self) {
        self.end_controller(Signal::SIGTERM);
    }

    /// Kills the controller where it stands.
    pub(super) fn kill_controller(&self) {
        self.end_controller(Signal::SIGKILL);
    }

    fn end_controller(&self, signal: Signal) {
        // It waits for the process, which would stall a runtime's thread.
        tokio::task::block_in_place(|| self.processes.stop(CONTROLLER, signal, END));
    }

    /// The controller's last words, for a run that did not end.
    pub(super) fn last_words(&self) -> String {
        let text = std::fs::read_to_string(self.log(CONTROLLER)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(LAST_LINES).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// The folder of the controller's state and of its token.
pub(super) fn state(folder: &Path) -> PathBuf {
    folder.join("state")
}

/// The controller, by its HTTP API alone.
pub(super) struct Api {
    client: Client,
}

fn path<'a>(more: &[&'a str]) -> ApiPath<'a> {
    ApiPath::new(["policies", POLICY.0, POLICY.1].into_iter().chain(more.iter().copied()))
}

impl Api {
    /// Waits until it has written its token.
    async fn connect(listen: SocketAddr, state: &Path) -> anyhow::Result<Self> {
        let server = format!("http://{listen}");
        let deadline = Instant::now() + START;
        loop {
            match Client::new(Some(&server), None, state) {
                Ok(client) => return Ok(Self { client }),
                Err(failure) if Instant::now() >= deadline => return Err(failure.into()),
                Err(_) => sleep(LOOK).await,
            }
        }
    }

    pub(super) async fn status(&self) -> anyhow::Result<PolicyStatus> {
        Ok(self.client.get(path(&[])).await?)
    }

    /// Waits until a run that leaves `active` could begin.
    pub(super) async fn wait_ready(
        &self,
        active: Region,
        patience: Duration,
    ) -> anyhow::Result<PolicyStatus> {
        let deadline = Instant::now() + patience;
        loop {
            let missing = match self.status().await {
                Ok(status) => match is_ready(&status, active) {
                    Ok(()) => return Ok(status),
                    Err(missing) => missing,
                },
                Err(error) => format!("{error:#}"),
            };
            if Instant::now() >= deadline {
                bail!("not ready within {} s: {missing}", patience.as_secs());
            }
            sleep(LOOK).await;
        }
    }

    /// Asks for a run and agrees to its plan as it is shown now.
    pub(super) async fn start_run(&self, kind: RunKind, to: Region) -> anyhow::Result<()> {
        let plan = path(&["plan"]).with("kind", format!("{kind:?}")).with("to", to.name());
        let plan: PlanPreview = self.client.get(plan).await?;
        let (waives, valid_for) = (BTreeSet::new(), CONSENT);
        let approve = Consent { plan_hash: plan.plan_hash, max_loss: None, waives, valid_for };
        let request = StartRun {
            kind,
            to: Some(to.id()),
            reason: WHY.to_owned(),
            by: ME.to_owned(),
            approve: Some(approve),
        };
        let _: Accepted = self.client.post(path(&["runs"]), &request).await?;
        Ok(())
    }

    /// Agrees to the plan of this run as it is shown now, whether or not this gate is met.
    pub(super) async fn waive(&self, run: &RunName, gate: &str) -> anyhow::Result<()> {
        let plan: PlanPreview = self.client.get(path(&["plan"])).await?;
        let agreed = Approve {
            run: run.clone(),
            plan_hash: plan.plan_hash,
            max_loss: None,
            waives: BTreeSet::from([gate.to_owned()]),
            by: ME.to_owned(),
            valid_for: CONSENT,
        };
        let _: Accepted = self.client.post(path(&["approve"]), &agreed).await?;
        Ok(())
    }

    /// Acknowledges what made automation stand still.
    pub(super) async fn acknowledge(&self) -> anyhow::Result<()> {
        let _: Accepted = self.client.post(path(&["ack"]), &Ack { by: ME.to_owned() }).await?;
        Ok(())
    }
}

/// Everything was seen at least once and is well; else what is missing.
pub(super) fn is_ready(status: &PolicyStatus, active: Region) -> Result<(), String> {
    let summary = &status.summary;
    if summary.active_region != Some(active.id()) {
        return Err(format!("{} is not known to take writes ({})", active.name(), summary.message));
    }
    if summary.rule != Some(Rule::Stable) {
        return Err(format!("not calm yet: {}", summary.message));
    }
    let verdict = status.verdicts.get(&active.id());
    if verdict.is_none_or(|verdict| verdict.kind != VerdictKind::Healthy) {
        let saw = verdict.map_or("no verdict", |verdict| &verdict.saw);
        return Err(format!("{} is not seen healthy: {saw}", active.name()));
    }
    for item in [ORDERS, REPORTS] {
        let follows = |data: &DataBrief| data.role == Some(DataRole::Standby) && data.streaming;
        let standbys = status.facts.data.iter().filter(|data| data.item.as_str() == item && follows(data));
        match standbys.map(|data| &data.unfit).next() {
            None => return Err(format!("the standby of {item} is not seen to follow")),
            Some(Some(why)) => return Err(format!("the standby of {item} could not take over: {why}")),
            Some(None) => {}
        }
    }
    if let Some(fence) = status.facts.fences.iter().find(|fence| fence.state != Some(PowerState::On)) {
        return Err(format!("{} of {} is not seen on", fence.way, fence.region));
    }
    let beats = status.facts.heartbeats.iter().filter(|beat| beat.live_rpo.is_some());
    if beats.count() < 2 {
        return Err("no heartbeat of one of the items was seen at its standby".to_owned());
    }
    let works = status.facts.public.as_ref().is_some_and(|public| public.successes >= 3);
    if works { Ok(()) } else { Err("the public name does not work yet".to_owned()) }
}

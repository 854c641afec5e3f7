//! One bed, and one run after the other in it.

use super::clerk::Clerk;
use super::cloud::{Cloud, usual_pace};
use super::control::{Control, Under};
use super::effects::Effects;
use super::end::End;
use super::following::Following;
use super::fronts::Fronts;
use super::items::Items;
use super::links::Links;
use super::policy::{self, Bed, Terms, off_file};
use super::programs::{Api, Programs};
use super::region::{Parts, Region};
use super::rights;
use super::troubles::{Trouble, unavailable};
use crate::crash::{CrashPoint, Reached, check_quiet, read_calls};
use anyhow::{Context, anyhow};
use jiff::Timestamp;
use muster::api::PolicyStatus;
use muster_aws_fake::{Fault, FaultKind, RdsPace};
use muster_core::journal::{OutcomeKind, RunKind};
use muster_core::policy::Mode;
use muster_core::time::Wall;
use std::path::Path;
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;

/// For everything to be calm before and after a run; this machine may be busy.
const CALM: Duration = Duration::from_secs(100);
/// Longer than any run is waited for.
const NEVER: Duration = Duration::from_hours(1);
/// Where the global control planes stand.
const CONTROL_PLANES: &str = "us-east-1";

/// What is played.
#[derive(Clone, Copy)]
pub(super) struct Play<'p> {
    pub(super) kind: RunKind,
    pub(super) trouble: Option<&'static Trouble>,
    /// The process ends there.
    pub(super) crash: Option<&'p CrashPoint>,
    /// The process is gone for an hour once the run is over.
    pub(super) hour: bool,
    pub(super) way: Way,
}

/// What is otherwise in a run, whatever troubles it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// Nothing.
    Usual,
    /// Aurora's own failover comes to no end, and a person has its target detached. It uses the bed up.
    Detached,
    /// The application alone is lost, and the databases are cut off at their network ACL.
    ByAcl,
}

impl Way {
    /// A call that no run of another way makes.
    pub(super) const fn own_call(self) -> Option<&'static str> {
        match self {
            Self::Usual | Self::ByAcl => None,
            Self::Detached => Some("Detach."),
        }
    }

    /// In titles.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Usual => "",
            Self::Detached => "detached ",
            Self::ByAcl => "by network ACL ",
        }
    }
}

impl Play<'_> {
    /// Nothing is in the way.
    pub(super) const fn undisturbed(kind: RunKind) -> Self {
        Self { kind, trouble: None, crash: None, hour: false, way: Way::Usual }
    }

    pub(super) const fn is_undisturbed(&self) -> bool {
        self.trouble.is_none() && self.crash.is_none() && !self.hour
    }
}

/// A run that came to its end.
pub(super) struct Played {
    pub(super) end: End,
    pub(super) effects: Effects,
    /// So often a person opened the network ACL of the region that was left.
    pub(super) opened: usize,
    /// What was wrong on the way.
    pub(super) wrong: Vec<String>,
    /// What a reader should know beside that.
    pub(super) told: String,
    /// All points up to the end, or to the crash.
    pub(super) reached: Vec<Reached>,
}

impl Played {
    /// Whether the name's records may have been written before the process was ended.
    pub(super) fn was_settling(&self) -> bool {
        self.reached.iter().any(|at| at.call.starts_with("Settle.") && at.point != "before")
    }
}

/// The run did not begin, another one came between, or the trouble was over too soon, as on a busy machine: nothing was tried,
/// and it may be played again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Untested;

impl std::fmt::Display for Untested {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("it was not tried")
    }
}

/// The run came to its end, and never to the point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unreached;

impl std::fmt::Display for Unreached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the point was not reached")
    }
}

/// A bed with its processes, ready for the next run. What uses others comes before them.
pub(super) struct Stage {
    pub(super) programs: Programs,
    pub(super) api: Api,
    pub(super) control: Control,
    pub(super) active: Region,
    runs: u32,
    fronts: Fronts,
    links: Links,
    _mirrors: [AbortOnDropHandle<()>; 2],
    pub(super) cloud: Cloud,
    pub(super) items: Items,
    folder: tempfile::TempDir,
}

impl Stage {
    pub(super) async fn start(under: Under) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("muster-aws-").tempdir()?;
        let cloud = Cloud::start().await?;
        let items = Items::start().await?;
        let mirrors = items.mirror(&cloud.aws);
        let off = |region| off_file(folder.path(), region);
        let fronts = Fronts::start(|region| items.orders.address(region), off).await?;
        policy::prepare(folder.path())?;
        let links = Links::open(&cloud.aws, &items).await?;
        let bed = Bed { folder: folder.path(), cloud: &cloud, items: &items, fronts: &fronts, links: &links };
        put_policy(&bed, Terms { mode: Mode::Approve, way: Way::Usual }).await?;
        let control = Box::pin(Control::start(under, folder.path())).await?;
        let programs = Programs::new(folder.path(), &cloud, &control)?;
        let api = programs.start_controller(&[]).await?;
        programs.start_vantages()?;
        let active = Region::East;
        let stage = Self {
            programs,
            api,
            control,
            active,
            runs: 0,
            fronts,
            links,
            _mirrors: mirrors,
            cloud,
            items,
            folder,
        };
        let ready = stage.api.wait_ready(active, CALM).await;
        ready.with_context(|| format!("the bed does not get calm; {}", stage.last_words()))?;
        Ok(stage)
    }

    /// Whether a run of this kind can begin where everything stands. A failover leaves the region of the global
    /// control planes; what Muster stands in is not lost here.
    pub(super) fn fits(&self, kind: RunKind) -> bool {
        (kind == RunKind::Failback) == (self.active == Region::West)
    }

    /// Plays a run until everything is calm after it.
    pub(super) async fn play(&mut self, play: &Play<'_>) -> anyhow::Result<Played> {
        self.runs += 1;
        let parts = Parts::of(self.active);
        let log = self.folder.path().join(format!("calls-{}", self.runs));
        let ready = Box::pin(self.begin(&log, play, parts)).await.context(Untested)?;
        let promotions = self.items.promotions();
        let clerk = Clerk::start(&self.items.reports, parts.left).await?;
        self.cloud.aws.clear_calls();
        if play.way == Way::Detached {
            self.cloud.aws.set_rds_pace(RdsPace { pending: NEVER, ..usual_pace() });
        }
        let began = Wall(Timestamp::now().as_millisecond());
        match (play.kind, play.way) {
            (RunKind::Failover, Way::ByAcl) => self.fronts.set_up(parts.left, false),
            (RunKind::Failover, Way::Usual | Way::Detached) => self.lose(parts.left).await,
            _ => {}
        }
        if let Some(trouble) = play.trouble {
            self.cloud.forget_trouble();
            (trouble.begin)(&self.cloud, parts);
        }
        let mut following = Following::new(*play, parts, (ready.journal.state.epoch.0, began));
        let followed = Box::pin(following.follow(self)).await;
        if let Some(trouble) = play.trouble {
            self.cloud.end_trouble();
            (trouble.end)(&self.cloud, parts);
        }
        let status = followed?;
        if play.trouble.is_some() && !self.cloud.has_met_a_call() {
            return Err(anyhow!("the trouble met no call").context(Untested));
        }
        let reached = read_calls(&log)?;
        if play.crash.is_some() && !following.crashed {
            let calls: Vec<_> = reached.iter().map(|at| at.crash_point().to_string()).collect();
            return Err(anyhow!("it went through {}", calls.join(" ")).context(Unreached));
        }
        let run = status.journal.run.as_ref().context("there is no run")?;
        if !following.has_followed(run) && run.outcome == Some(OutcomeKind::Aborted) {
            let (name, why) = (&run.name, &run.reason);
            return Err(anyhow!("{name} was opened beside it, and given up: {why}").context(Untested));
        }
        let objects = self.control.look(parts).await?;
        let end = End::look((&self.cloud, &self.items), &status.journal, run, parts).await?.and(objects);
        let effects = Effects::count(&self.cloud.calls(), self.items.promotions().since(promotions));
        self.active = parts.taken;
        let mut wrong = following.take_wrong();
        wrong.extend(self.take_problems());
        let lost = clerk.lost(&self.items.reports, parts.taken).await?;
        let mut told = format!("; acknowledged writes {}{}", clerk.acknowledged(), following.told());
        if play.kind.is_planned() {
            wrong.extend(lost);
        } else {
            told.extend(lost.iter().flat_map(|lost| ["; ", lost]));
        }
        Ok(Played { end, effects, opened: following.opened, wrong, told, reached })
    }

    /// The next run's process: its calls count from 1. A busy moment must not start a failover where a run is planned.
    async fn begin(&mut self, log: &Path, play: &Play<'_>, parts: Parts) -> anyhow::Result<PolicyStatus> {
        self.programs.stop_controller();
        let mode = if play.kind == RunKind::Failover { Mode::Automatic } else { Mode::Approve };
        let (cloud, items, fronts) = (&self.cloud, &self.items, &self.fronts);
        let (folder, links) = (self.folder.path(), &self.links);
        put_policy(&Bed { folder, cloud, items, fronts, links }, Terms { mode, way: play.way }).await?;
        self.control.apply_policy(self.folder.path()).await?;
        let mut flags = vec!["--call-log".to_owned(), log.display().to_string()];
        if let Some(point) = play.crash {
            flags.extend(["--crash-at".to_owned(), point.to_string()]);
        }
        self.api = self.programs.start_controller(&flags).await?;
        let ready = self.api.wait_ready(parts.left, CALM).await?;
        if play.trouble.is_none() {
            check_quiet(log)?;
        }
        Ok(ready)
    }

    /// Takes a region away, and with it the global control planes, wherever the region is: all of Route 53's API, and the STS
    /// beside it.
    async fn lose(&self, region: Region) {
        self.cloud.fail(Fault::of_everything(unavailable()).in_service("route53"));
        let global = Fault::of_everything(unavailable()).in_service("sts").in_region(CONTROL_PLANES);
        self.cloud.fail(global);
        self.cloud.fail(Fault::of_everything(FaultKind::Hang).in_region(region.aws()));
        self.cloud.aws.set_old_writer_lost(true);
        self.fronts.set_up(region, false);
        self.items.lose(region).await;
    }

    /// Brings a region back.
    pub(super) async fn repair(&self, region: Region) -> anyhow::Result<()> {
        self.cloud.end_outage();
        self.cloud.aws.set_old_writer_lost(false);
        let follows_other = self.cloud.writer().await? == Some(region.other());
        self.items.repair(region, follows_other).await?;
        self.fronts.set_up(region, true);
        Ok(())
    }

    /// Switches a region's application on, whoever switched it off.
    pub(super) fn switch_on(&self, region: Region) -> anyhow::Result<()> {
        match std::fs::remove_file(off_file(self.folder.path(), region)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => removed.context("failed to switch the application on"),
        }
    }

    /// Whether the name stays where it is without anything that was set on the day.
    pub(super) async fn is_settled(&self, region: Region) -> anyhow::Result<bool> {
        Ok(self.cloud.markers_on().is_empty() && self.cloud.primary().await? == Some(region))
    }

    /// What the databases could not do, what the fake did otherwise than AWS, and what Muster asked for without a right to it,
    /// since that was last asked.
    fn take_problems(&self) -> Vec<String> {
        let mut problems = self.items.take_problems();
        problems.extend(self.cloud.take_breaches());
        problems.extend(self.cloud.take_missing_rights());
        problems
    }

    /// The end of the controller's log, and what went wrong beside it.
    pub(super) fn last_words(&self) -> String {
        let problems = self.take_problems();
        let problems = if problems.is_empty() { String::new() } else { format!("{}\n", problems.join("\n")) };
        format!("{problems}the log's end:\n{}", self.programs.last_words())
    }
}

/// Writes the policy as it is to be from now on, and attaches the rights that it needs.
async fn put_policy(bed: &Bed<'_>, terms: Terms) -> anyhow::Result<()> {
    policy::write(bed, terms)?;
    rights::attach(bed.cloud, &policy::file(bed.folder)).await
}

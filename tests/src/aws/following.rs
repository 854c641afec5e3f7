//! A run from its beginning until everything is calm after it, as a person and their on-call phone would follow it.

use super::effects::{Effects, Promotions};
use super::items::ORDERS;
use super::programs::is_ready;
use super::region::Parts;
use super::replacing::Replacing;
use super::stage::{Play, Stage, Untested, Way};
use anyhow::{Context, anyhow, bail};
use muster::api::{DataBrief, PolicyStatus, Role};
use muster_core::facts::DataRole;
use muster_core::ids::RunName;
use muster_core::journal::{Phase, PolicyState, Run, RunKind};
use muster_core::time::Wall;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// For a run, with one restart in it, and a lost request's grace.
const RUN: Duration = Duration::from_mins(4);
/// For what follows a run, with an old primary that is made anew in it, and the grace of both its calls if they are lost.
const AFTERWARDS: Duration = Duration::from_mins(4);
/// Often enough to see each state that lasts; a look costs the controller time as well.
const LOOK: Duration = Duration::from_millis(200);
/// The gate at which a person has a target detached.
const ENGINE_GATE: &str = "EngineFailover";
/// Of a region that was left and writes again.
const BESIDE: &str = "takes writes beside";
/// So long Muster is gone, by the clock of AWS.
const GONE: Duration = Duration::from_hours(1);
/// For the checkers and the name servers to notice that.
const NOTICED: Duration = Duration::from_secs(1);

/// What one run is followed by.
pub(super) struct Following<'f> {
    play: Play<'f>,
    parts: Parts,
    /// Runs opened before this one.
    epoch: u64,
    /// When the region was lost, or the run was about to be asked for.
    began: Wall,
    /// When the trouble is over.
    relief: Option<Instant>,
    asked: bool,
    /// The run that came to its end.
    over: Option<RunName>,
    /// What becomes of the old primary once the run is over.
    replacing: Replacing,
    pub(super) crashed: bool,
    /// A person has stopped the old writer, which came back beside one that was detached.
    stopped: bool,
    /// So often a person opened the network ACL of the region that was left.
    pub(super) opened: usize,
    /// What the run said that it waits for.
    reasons: Vec<String>,
    wrong: Vec<String>,
    told: Vec<String>,
    last: String,
}

impl<'f> Following<'f> {
    pub(super) fn new(play: Play<'f>, parts: Parts, (epoch, began): (u64, Wall)) -> Self {
        let lasts = play.trouble.and_then(|trouble| trouble.lasts);
        Self {
            play,
            parts,
            epoch,
            began,
            relief: lasts.map(|lasts| Instant::now() + lasts),
            asked: play.kind == RunKind::Failover,
            over: None,
            replacing: Replacing::after(parts),
            crashed: false,
            stopped: false,
            opened: 0,
            reasons: Vec::new(),
            wrong: Vec::new(),
            told: Vec::new(),
            last: String::new(),
        }
    }

    /// What was wrong on the way.
    pub(super) fn take_wrong(&mut self) -> Vec<String> {
        std::mem::take(&mut self.wrong)
    }

    /// Whether this is the run that was followed: on a busy machine probes come late, and a verdict may open another one.
    pub(super) fn has_followed(&self, run: &Run) -> bool {
        self.over.as_ref() == Some(&run.name)
    }

    /// For people.
    pub(super) fn told(&self) -> String {
        let told = self.told.iter().chain(self.reasons.first());
        told.fold(String::new(), |all, told| all + "; " + told)
    }

    /// Starts the controller again when it has ended, and waits until the run and all that follows it are over.
    pub(super) async fn follow(&mut self, stage: &mut Stage) -> anyhow::Result<PolicyStatus> {
        let (mut deadline, mut is_over) = (Instant::now() + RUN, false);
        while Instant::now() < deadline {
            self.relieve(stage);
            self.keep_running(stage).await?;
            match stage.api.status().await {
                Err(error) => self.last = format!("{error:#}"),
                Ok(status) if is_over => {
                    if self.is_calm(stage, &status).await? {
                        return Ok(status);
                    }
                }
                Ok(status) => {
                    let is_ended = self.is_over(stage, &status).await;
                    if let Some(error) = self.given_up(&status) {
                        return Err(error);
                    }
                    if is_ended {
                        is_over = true;
                        self.after_run(stage).await?;
                        deadline = Instant::now() + AFTERWARDS;
                    }
                }
            }
            sleep(LOOK).await;
        }
        let what = if is_over { "calm" } else { "over" };
        bail!("not {what} in time: {}", self.last)
    }

    fn relieve(&mut self, stage: &Stage) {
        if self.relief.is_none_or(|at| Instant::now() < at) {
            return;
        }
        self.relief = None;
        if let Some(trouble) = self.play.trouble {
            stage.cloud.end_trouble();
            (trouble.end)(&stage.cloud, self.parts);
        }
    }

    async fn keep_running(&mut self, stage: &mut Stage) -> anyhow::Result<()> {
        if stage.programs.is_running() {
            return Ok(());
        }
        if self.crashed || self.play.crash.is_none() {
            bail!("the controller ended by itself");
        }
        self.crashed = true;
        stage.api = stage.programs.start_controller(&[]).await.context("failed to start it again")?;
        Ok(())
    }

    /// Asks for the run, as a person would, and looks for its end.
    async fn is_over(&mut self, stage: &Stage, status: &PolicyStatus) -> bool {
        let journal = &status.journal;
        if status.role != Role::Active || status.decision.is_none() {
            "no pass yet".clone_into(&mut self.last);
            return false;
        }
        if let Some(why) = self.words().and_then(|words| said(status, words)) {
            self.note(&format!("waited: {why}"));
        }
        let run = journal.run.as_ref().filter(|run| run.epoch.0 > self.epoch);
        self.asked |= run.is_some() || !journal.requests.is_empty();
        if !self.asked {
            match stage.control.ask(&stage.api, self.play.kind, self.parts.taken).await {
                Ok(()) => self.asked = true,
                Err(error) => self.note(&format!("not begun: {error:#}")),
            }
            return false;
        }
        let Some(run) = run else {
            self.last = format!("no run: {}", status.summary.message);
            self.hear_refusal(stage).await;
            return false;
        };
        if self.play.kind.is_planned()
            && run.phase == Phase::AwaitingApproval
            && run.approval.is_none()
            && let Err(error) = stage.control.agree().await
        {
            self.note(&format!("not agreed to: {error:#}"));
        }
        if self.play.way == Way::Detached && run.phase == Phase::AwaitingApproval {
            self.consent(stage, run).await;
        }
        if matches!(run.phase, Phase::Blocked | Phase::AwaitingApproval) {
            self.note(&format!("waited: {}", run.message));
        }
        self.last = format!("{:?}: {}", run.phase, run.message);
        if run.phase == Phase::Aborted && self.words().is_some() {
            // It gave up, and said why: the person asks again.
            self.note(&format!("given up: {}", run.message));
            (self.epoch, self.asked) = (run.epoch.0, false);
            return false;
        }
        self.over = run.phase.is_final().then(|| run.name.clone());
        run.phase.is_final()
    }

    /// The run ended with everything undone. On a busy machine a planned one may not see its fence in time, and loses nothing
    /// rather than goes on; and late probes may open a failover right before the region is lost, which the next ones withdraw.
    fn given_up(&self, status: &PolicyStatus) -> Option<anyhow::Error> {
        let run = status.journal.run.as_ref().filter(|run| self.has_followed(run))?;
        if run.phase != Phase::Aborted {
            return None;
        }
        let is_of_before = run.clock.first_failure.is_some_and(|at| at.wall < self.began);
        let given_up = anyhow!("it was given up: {}", run.message);
        Some(if self.play.kind.is_planned() || is_of_before { given_up.context(Untested) } else { given_up })
    }

    /// Has the target detached, as the run asks for it.
    async fn consent(&mut self, stage: &Stage, run: &Run) {
        let is_asked = run.gates.iter().any(|gate| gate.name == ENGINE_GATE && !gate.ok);
        let has_agreed = run.approval.as_ref().is_some_and(|given| given.waives.contains(ENGINE_GATE));
        if !is_asked || has_agreed {
            return;
        }
        let removals = Effects::count(&stage.cloud.calls(), Promotions::default()).removals;
        if removals > 0 && self.wrong.is_empty() {
            self.wrong.push("the target was detached before anybody had agreed".to_owned());
        }
        if let Err(error) = stage.control.waive(&stage.api, &run.name, ENGINE_GATE).await {
            self.note(&format!("not agreed to: {error:#}"));
        }
    }

    /// Where the request came to nothing, the person asks again.
    async fn hear_refusal(&mut self, stage: &Stage) {
        if !self.play.kind.is_planned() {
            return;
        }
        match stage.control.refusal().await {
            Ok(None) => {}
            Ok(Some(why)) => {
                self.note(&format!("refused: {why}"));
                self.asked = false;
            }
            Err(error) => self.last = format!("the request cannot be read: {error:#}"),
        }
    }

    /// What the run has to say while it waits for the end of the trouble.
    fn words(&self) -> Option<&'static str> {
        self.play.trouble.and_then(|trouble| trouble.says)
    }

    fn note(&mut self, reason: &str) {
        reason.clone_into(&mut self.last);
        if !self.reasons.iter().any(|known| known == reason) {
            self.reasons.push(reason.to_owned());
        }
    }

    /// What the world does once the run is over.
    async fn after_run(&mut self, stage: &mut Stage) -> anyhow::Result<()> {
        let asks = (self.play.way == Way::Detached).then_some(ENGINE_GATE);
        if let Some(words) = self.words().or(asks)
            && !self.reasons.iter().any(|reason| reason.contains(words))
        {
            self.wrong.push(format!("the run did not say that it waited: {words}"));
        }
        if self.play.hour {
            self.go_for_an_hour(stage).await?;
        }
        if self.play.kind == RunKind::Failover {
            if self.play.way == Way::ByAcl && !stage.cloud.is_cut_off(self.parts.left) {
                self.wrong.push("the databases of the region that was left are not cut off".to_owned());
            }
            stage.repair(self.parts.left).await?;
        }
        Ok(())
    }

    /// Muster is gone, right after the run: the name stays.
    async fn go_for_an_hour(&mut self, stage: &mut Stage) -> anyhow::Result<()> {
        stage.programs.kill_controller();
        stage.cloud.aws.skip(GONE);
        sleep(NOTICED).await;
        let answers = stage.cloud.answers().await;
        let stays = std::net::IpAddr::from(self.parts.taken.front());
        if answers.iter().any(|answer| *answer != Some(stays)) {
            self.wrong.push(format!("with Muster gone for an hour the name servers answer {answers:?}"));
        }
        self.told.push("the name stayed without Muster".to_owned());
        stage.api = stage.programs.start_controller(&[]).await.context("failed to start it again")?;
        Ok(())
    }

    /// Everything is as before, by the other region; acknowledges what automation stands still for.
    async fn is_calm(&mut self, stage: &Stage, status: &PolicyStatus) -> anyhow::Result<bool> {
        let (kept, taken) = (&status.journal.state, self.parts.taken);
        if self.play.way == Way::Detached && !self.stopped {
            self.stop_old_writer(stage, status).await;
            return Ok(false);
        }
        if self.play.way == Way::ByAcl && stage.cloud.is_cut_off(self.parts.left) {
            self.open_again(stage).await?;
            return Ok(false);
        }
        let brought_back = self.bring_back(stage, kept).await;
        if self.relief.is_some() {
            "the trouble still lasts".clone_into(&mut self.last);
        } else if let Some(why) = &kept.needs_ack {
            let done = stage.control.acknowledge(&stage.api).await;
            self.last = format!("acknowledging {why}: {done:?}");
            let told = format!("acknowledged: {why}");
            if !self.told.contains(&told) {
                self.told.push(told);
            }
        } else if let Err(waits) = brought_back {
            self.last = format!("{waits:#}");
        } else if let Err(missing) = self.is_well(status) {
            self.last = missing;
        } else if self.waits_for_copies() && !kept.keeping.is_empty() {
            "what RDS saved of the old primary is not kept yet".clone_into(&mut self.last);
        } else if !stage.is_settled(taken).await? {
            "the roles of the records are not swapped yet, or a marker is on".clone_into(&mut self.last);
        } else if let Some(differs) = stage.control.differs(self.play.kind, self.play.way, self.parts).await?
        {
            self.last = differs;
        } else {
            return Ok(true);
        }
        Ok(false)
    }

    /// Where RDS answers for the region that was left, a copy is still asked for when a next run could begin.
    fn waits_for_copies(&self) -> bool {
        self.play.is_undisturbed() || self.play.way == Way::ByAcl
    }

    fn is_well(&self, status: &PolicyStatus) -> Result<(), String> {
        if self.play.way == Way::Detached {
            is_alone(status, self.parts)
        } else {
            is_ready(status, self.parts.taken)
        }
    }

    /// A person takes off what keeps everybody out, once RDS shows the old writer as a reader.
    async fn open_again(&mut self, stage: &Stage) -> anyhow::Result<()> {
        let Parts { left, taken } = self.parts;
        "RDS does not show the old writer as a reader yet".clone_into(&mut self.last);
        if stage.cloud.writer().await? == Some(taken) && stage.items.orders.is_reader(left).await {
            stage.cloud.lift(left);
            self.opened += 1;
        }
        Ok(())
    }

    /// The old writer came back, and nothing that the policy has keeps writes out of it: Muster says so, and a person stops it.
    async fn stop_old_writer(&mut self, stage: &Stage, status: &PolicyStatus) {
        let writes = |data: &&DataBrief| data.role == Some(DataRole::Writable);
        let mut of_left = status.facts.data.iter().filter(|data| data.region == self.parts.left.id());
        let is_seen = of_left.any(|data| data.item.as_str() == ORDERS && writes(&data));
        match &status.journal.state.needs_ack {
            // Not only the old primary of RDS, which comes back writing after each failover.
            Some(why) if why.contains(BESIDE) && is_seen => {
                stage.items.orders.retire(self.parts.left).await;
                self.told.push(format!("stopped by hand: {why}"));
                self.stopped = true;
            }
            why => self.last = format!("nobody says that the old writer is back, but {why:?}"),
        }
    }

    /// What becomes of the region that was left: Muster replaces its old primary, and a person switches its application on once
    /// it has rejoined. An error says what they wait for.
    async fn bring_back(&mut self, stage: &Stage, kept: &PolicyState) -> anyhow::Result<()> {
        let replaced = self.replacing.go_on(&stage.cloud).await;
        replaced.context("the old primary is not replaced")?;
        if self.play.way == Way::Detached {
            return Ok(());
        }
        if let Some(outcast) = kept.outcasts.values().next() {
            bail!("not rejoined: {}", outcast.message);
        }
        stage.switch_on(self.parts.left)
    }
}

/// Where the target was detached: it stands alone, and says so; the region that was left stays out.
fn is_alone(status: &PolicyStatus, parts: Parts) -> Result<(), String> {
    let state = &status.journal.state;
    if state.active_region != Some(parts.taken.id()) {
        return Err(format!("{} is not known to take writes", parts.taken.name()));
    }
    match state.conditions.get("Replicating") {
        Some(condition) if !condition.ok && condition.reason == "StandsAlone" => {}
        condition => return Err(format!("nobody says that it stands alone, but {condition:?}")),
    }
    let out: Vec<_> = state.outcasts.keys().cloned().collect();
    if out == [parts.left.id()] { Ok(()) } else { Err(format!("{out:?} stay out")) }
}

/// Where the newest pass says these words.
fn said(status: &PolicyStatus, words: &str) -> Option<String> {
    let blocked = status.decision.iter().flat_map(|decision| &decision.blocked).map(|blocker| &blocker.saw);
    let run = status.journal.run.iter().flat_map(|run| {
        let gates = run.gates.iter().filter(|gate| !gate.ok).map(|gate| &gate.saw);
        std::iter::once(&run.message).chain(gates)
    });
    let mut all = std::iter::once(&status.summary.message).chain(blocked).chain(run);
    all.find(|text| text.contains(words)).cloned()
}

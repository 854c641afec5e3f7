//! A run from its beginning until everything is calm after it, as a person and their on-call phone would follow it.

use super::programs::{Api, is_ready};
use super::region::Parts;
use super::stage::{CALM, Play, Stage};
use anyhow::{Context, bail};
use muster::api::{PolicyStatus, Role};
use muster_core::journal::{Phase, RunKind};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// For a run, with one restart in it, and a lost request's grace.
const RUN: Duration = Duration::from_mins(4);
const LOOK: Duration = Duration::from_millis(50);
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
    /// When the trouble is over.
    relief: Option<Instant>,
    asked: bool,
    pub(super) crashed: bool,
    /// What the run said that it waits for.
    reasons: Vec<String>,
    wrong: Vec<String>,
    told: Vec<String>,
    last: String,
}

impl<'f> Following<'f> {
    pub(super) fn new(play: Play<'f>, parts: Parts, epoch: u64) -> Self {
        let lasts = play.trouble.and_then(|trouble| trouble.lasts);
        Self {
            play,
            parts,
            epoch,
            relief: lasts.map(|lasts| Instant::now() + lasts),
            asked: play.kind == RunKind::Failover,
            crashed: false,
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
                    if self.is_over(&stage.api, &status).await {
                        is_over = true;
                        self.after_run(stage).await?;
                        deadline = Instant::now() + CALM;
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
    async fn is_over(&mut self, api: &Api, status: &PolicyStatus) -> bool {
        let journal = &status.journal;
        if status.role != Role::Active || status.decision.is_none() {
            "no pass yet".clone_into(&mut self.last);
            return false;
        }
        if let Some(why) = said_under_way(status).filter(|_| self.must_say_why()) {
            self.note(&format!("waited: {why}"));
        }
        let run = journal.run.as_ref().filter(|run| run.epoch.0 > self.epoch);
        self.asked |= run.is_some() || !journal.requests.is_empty();
        if !self.asked {
            match api.start_run(self.play.kind, self.parts.taken).await {
                Ok(()) => self.asked = true,
                Err(error) => self.note(&format!("not begun: {error:#}")),
            }
            return false;
        }
        let Some(run) = run else {
            self.last = format!("no run: {}", status.summary.message);
            return false;
        };
        if matches!(run.phase, Phase::Blocked | Phase::AwaitingApproval) {
            self.note(&format!("waited: {}", run.message));
        }
        self.last = format!("{:?}: {}", run.phase, run.message);
        if run.phase == Phase::Aborted && self.must_say_why() {
            // It gave up, and said why: the person asks again.
            self.note(&format!("given up: {}", run.message));
            (self.epoch, self.asked) = (run.epoch.0, false);
            return false;
        }
        run.phase.is_final()
    }

    fn must_say_why(&self) -> bool {
        self.play.trouble.is_some_and(|trouble| trouble.says_why)
    }

    fn note(&mut self, reason: &str) {
        reason.clone_into(&mut self.last);
        if !self.reasons.iter().any(|known| known == reason) {
            self.reasons.push(reason.to_owned());
        }
    }

    /// What the world does once the run is over.
    async fn after_run(&mut self, stage: &mut Stage) -> anyhow::Result<()> {
        if self.reasons.is_empty() && self.must_say_why() {
            self.wrong.push("the run did not say what it waited for".to_owned());
        }
        if self.play.hour {
            self.go_for_an_hour(stage).await?;
        }
        if self.play.kind == RunKind::Failover {
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
        if self.relief.is_some() {
            "the trouble still lasts".clone_into(&mut self.last);
        } else if let Some(why) = &kept.needs_ack {
            let done = stage.api.acknowledge().await;
            self.last = format!("acknowledging {why}: {done:?}");
            let told = format!("acknowledged: {why}");
            if !self.told.contains(&told) {
                self.told.push(told);
            }
        } else if let Some(outcast) = kept.outcasts.values().next() {
            self.last = format!("not rejoined: {}", outcast.message);
        } else if let Err(missing) = is_ready(status, taken) {
            self.last = missing;
        } else if stage.is_settled(taken).await? {
            return Ok(true);
        } else {
            "the roles of the records are not swapped yet, or a marker is on".clone_into(&mut self.last);
        }
        Ok(false)
    }
}

/// Where the newest pass speaks of an operation that somebody else began.
fn said_under_way(status: &PolicyStatus) -> Option<String> {
    let blocked = status.decision.iter().flat_map(|decision| &decision.blocked).map(|blocker| &blocker.saw);
    let run = status.journal.run.iter().flat_map(|run| {
        let gates = run.gates.iter().filter(|gate| !gate.ok).map(|gate| &gate.saw);
        std::iter::once(&run.message).chain(gates)
    });
    let mut all = std::iter::once(&status.summary.message).chain(blocked).chain(run);
    all.find(|text| text.contains("under way")).cloned()
}

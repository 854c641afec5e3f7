//! The demo's view of the controller: only by its public HTTP API, with its token, as any other user.

use super::policy::POLICY;
use super::timeline::{Timeline, Voice};
use super::world::World;
use crate::api::{Accepted, Ack, Consent, PolicyStatus, RunReport, StartRun};
use crate::cli::client::{ApiPath, Client};
use crate::cli::view::progress;
use anyhow::{Context, bail};
use muster_core::decision::PlanPreview;
use muster_core::facts::{DataRole, PowerState};
use muster_core::health::VerdictKind;
use muster_core::ids::{RegionName, RunName};
use muster_core::journal::{OutcomeKind, Run, RunKind};
use muster_core::rules::Rule;
use muster_core::time::Millis;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// Who asks, in the journal.
const ME: &str = "the demo";

/// A controller with its API.
#[derive(Debug)]
pub struct Controller {
    client: Client,
}

fn path<'a>(more: &[&'a str]) -> ApiPath<'a> {
    ApiPath::new(["policies", POLICY.0, POLICY.1].into_iter().chain(more.iter().copied()))
}

impl Controller {
    /// The world's controller, once it has written its token.
    pub async fn of(world: &World) -> anyhow::Result<Self> {
        let (server, state) = (format!("http://{}", world.api()), world.state());
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match Client::new(Some(&server), None, &state) {
                Ok(client) => return Ok(Self { client }),
                Err(failure) if Instant::now() >= deadline => return Err(failure.into()),
                Err(_) => sleep(LOOK).await,
            }
        }
    }

    /// All about the policy.
    pub async fn status(&self) -> anyhow::Result<PolicyStatus> {
        Ok(self.client.get(path(&[])).await?)
    }

    /// A run in full, also after its end.
    pub async fn run(&self, name: &RunName) -> anyhow::Result<Run> {
        let report: RunReport = self.client.get(ApiPath::new(["runs", name.as_str()])).await?;
        Ok(report.run)
    }

    /// Waits until `reached` has nothing to complain about any more; it says what is missing.
    pub async fn wait_until(
        &self,
        patience: Duration,
        reached: impl Fn(&PolicyStatus) -> Result<(), String>,
    ) -> anyhow::Result<PolicyStatus> {
        let deadline = Instant::now() + patience;
        loop {
            let missing = match self.status().await {
                Ok(status) => match reached(&status) {
                    Ok(()) => return Ok(status),
                    Err(missing) => missing,
                },
                Err(error) => format!("{error:#}"),
            };
            if Instant::now() >= deadline {
                bail!("not within {} s: {missing}", patience.as_secs());
            }
            sleep(LOOK).await;
        }
    }

    /// Waits until a failover of `active` could begin: everything was seen at least once and is well.
    pub async fn wait_ready(&self, active: &RegionName, patience: Duration) -> anyhow::Result<PolicyStatus> {
        self.wait_until(patience, |status| is_ready(status, active)).await
    }

    /// Follows the next run after `before` to its end and tells the steps.
    pub async fn follow_run(
        &self,
        before: Option<&RunName>,
        patience: Duration,
        timeline: &Timeline,
    ) -> anyhow::Result<Run> {
        let deadline = Instant::now() + patience;
        let mut seen: Option<Run> = None;
        loop {
            let status = self.status().await;
            let run = status.ok().and_then(|s| s.journal.run).filter(|r| Some(&r.name) != before);
            if let Some(run) = run {
                for line in progress::lines(seen.as_ref(), &run, timeline.paint()) {
                    timeline.tell(Voice::Muster, &line);
                }
                if run.phase.is_final() {
                    return Ok(run);
                }
                seen = Some(run);
            }
            if Instant::now() >= deadline {
                let message = seen.map_or_else(
                    || "no run was opened".to_owned(),
                    |r| format!("{:?}: {}", r.phase, r.message),
                );
                bail!("the run did not end within {} s: {message}", patience.as_secs());
            }
            sleep(LOOK).await;
        }
    }

    /// Asks for a run and agrees to its plan as it is shown now.
    pub async fn start_run(&self, kind: RunKind, to: &RegionName, reason: &str) -> anyhow::Result<()> {
        let plan = path(&["plan"]).with("kind", format!("{kind:?}")).with("to", to.as_str());
        let plan: PlanPreview = self.client.get(plan).await?;
        let valid_for = Millis::from_secs(60);
        let approve =
            Consent { plan_hash: plan.plan_hash, max_loss: None, waives: BTreeSet::new(), valid_for };
        let request = StartRun {
            kind,
            to: Some(to.clone()),
            reason: reason.to_owned(),
            by: ME.to_owned(),
            approve: Some(approve),
        };
        let _: Accepted = self.client.post(path(&["runs"]), &request).await?;
        Ok(())
    }

    /// Acknowledges what made automation stand still.
    pub async fn acknowledge(&self) -> anyhow::Result<()> {
        let _: Accepted = self.client.post(path(&["ack"]), &Ack { by: ME.to_owned() }).await?;
        Ok(())
    }
}

fn is_ready(status: &PolicyStatus, active: &RegionName) -> Result<(), String> {
    let summary = &status.summary;
    if summary.active_region.as_ref() != Some(active) {
        return Err(format!("{active} is not known to take writes ({})", summary.message));
    }
    if summary.rule != Some(Rule::Stable) {
        return Err(format!("not calm yet: {}", summary.message));
    }
    let verdict = status.verdicts.get(active);
    if verdict.is_none_or(|v| v.kind != VerdictKind::Healthy) {
        return Err(format!("{active} is not seen healthy: {}", verdict.map_or("no verdict", |v| &v.saw)));
    }
    let standby = |d: &&crate::api::DataBrief| d.role == Some(DataRole::Standby) && d.streaming;
    let standbys = status.facts.data.iter().filter(standby).count();
    if standbys + 1 < status.summary.regions.len() {
        return Err("not every standby streams".to_owned());
    }
    let off = status.facts.fences.iter().find(|f| f.state != Some(PowerState::On));
    if let Some(fence) = off {
        return Err(format!("{} of {} is not seen on", fence.way, fence.region));
    }
    let works = status.facts.public.as_ref().is_some_and(|p| p.successes >= 3);
    if works { Ok(()) } else { Err("the public name does not work yet".to_owned()) }
}

/// A run that ended as it should.
pub fn check_success(run: &Run) -> anyhow::Result<()> {
    let outcome = run.outcome.as_ref().context("the run has no outcome")?;
    if *outcome != OutcomeKind::Succeeded {
        bail!("the run ended with {outcome:?}: {}", run.message);
    }
    Ok(())
}

//! Bugs that are put into the bed: a suite that does not notice them would notice nothing else either.
//!
//! Each leaves the bed as it was. The process under test is stopped meanwhile: it has no part in them.

use super::effects::Effects;
use super::end::End;
use super::region::Parts;
use super::stage::Stage;
use anyhow::Context;
use muster_core::journal::RunKind;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// For a copy to stream.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(100);

/// One bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Seed {
    /// RDS was asked to move the writer once more than a run needs to.
    OneCallMore,
    /// Both databases take writes.
    TwoWriters,
    /// One of the four name servers does not know the name's region.
    SilentNameServer,
}

impl Seed {
    pub(super) const ALL: [Self; 3] = [Self::OneCallMore, Self::TwoWriters, Self::SilentNameServer];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::OneCallMore => "one call more",
            Self::TwoWriters => "two writers",
            Self::SilentNameServer => "a silent name server",
        }
    }

    /// What the comparison says of a bed with this bug.
    pub(super) async fn notice(self, stage: &Stage) -> anyhow::Result<Vec<String>> {
        // As a run would have left it that ended where everything stands now.
        let parts = Parts::of(stage.active.other());
        let before = look(stage, parts).await?;
        anyhow::ensure!(before.is_empty(), "the bed is not well before: {}", before.join("; "));
        match self {
            Self::OneCallMore => one_call_more(stage, parts).await,
            Self::TwoWriters => two_writers(stage, parts).await,
            Self::SilentNameServer => silent_name_server(stage, parts).await,
        }
    }
}

async fn look(stage: &Stage, parts: Parts) -> anyhow::Result<Vec<String>> {
    let seen = End::look_at_targets((&stage.cloud, &*stage.databases), parts).await?;
    Ok(seen.differences(&End::calm()))
}

/// There and back, each by a call at the wire.
async fn one_call_more(stage: &Stage, parts: Parts) -> anyhow::Result<Vec<String>> {
    let before = stage.databases.promotions();
    stage.cloud.aws.clear_calls();
    for there in [Parts { left: parts.taken, taken: parts.left }, parts] {
        stage.cloud.switch_over(there).await?;
        wait_for_data(stage, there).await?;
    }
    let effects = Effects::count(&stage.cloud.calls(), stage.databases.promotions() - before);
    Ok(effects.extra(&Effects::of_undisturbed(RunKind::Switchover)))
}

/// Waits until both databases and RDS are as after a run; the name may be elsewhere.
async fn wait_for_data(stage: &Stage, parts: Parts) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut missing = look(stage, parts).await?;
        missing.retain(|line| !line.starts_with("name"));
        if missing.is_empty() {
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < deadline, "the bed does not get well: {}", missing.join("; "));
        sleep(LOOK).await;
    }
}

async fn two_writers(stage: &Stage, parts: Parts) -> anyhow::Result<Vec<String>> {
    let standby = parts.left;
    stage.databases.make_writer(standby).await?;
    let noticed = look(stage, parts).await?;
    stage.databases.follow(standby).await?;
    wait_for_data(stage, parts).await?;
    Ok(noticed)
}

async fn silent_name_server(stage: &Stage, parts: Parts) -> anyhow::Result<Vec<String>> {
    let server = *stage.cloud.zone.servers.last().context("a zone has name servers")?;
    stage.cloud.aws.stop_server(server);
    let noticed = look(stage, parts).await;
    stage.cloud.aws.start_server(server).await.context("failed to start the name server again")?;
    noticed
}

//! Bugs that are put into the bed: a suite that does not notice them would notice nothing else either.
//!
//! Each leaves the bed as it was. The process under test is stopped meanwhile: it has no part in them.

use super::clerk::Clerk;
use super::databases::Databases;
use super::effects::{Effects, Promotions};
use super::end::{End, MEMBERS, REPLICAS};
use super::region::{Parts, Region};
use super::replacing::Replacing;
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
    /// RDS was asked to promote the replica once more than a run needs to.
    OnePromotionMore,
    /// RDS was asked for what it refuses: to promote a replica that is none any more.
    OneRequestInVain,
    /// Both databases of the global database take writes.
    TwoWriters,
    /// An old primary of RDS takes writes beside the new one.
    TwoPrimaries,
    /// A write that was acknowledged to the application is gone.
    LostWrite,
    /// One of the four name servers does not know the name's region.
    SilentNameServer,
}

impl Seed {
    pub(super) const ALL: [Self; 7] = [
        Self::OneCallMore,
        Self::OnePromotionMore,
        Self::OneRequestInVain,
        Self::TwoWriters,
        Self::TwoPrimaries,
        Self::LostWrite,
        Self::SilentNameServer,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::OneCallMore => "one call more",
            Self::OnePromotionMore => "one promotion more",
            Self::OneRequestInVain => "one request in vain",
            Self::TwoWriters => "two writers",
            Self::TwoPrimaries => "two primaries",
            Self::LostWrite => "a lost write",
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
            Self::OnePromotionMore => one_promotion_more(stage, parts).await,
            Self::OneRequestInVain => one_request_in_vain(stage, parts).await,
            Self::TwoWriters => two_writers(stage, (&stage.items.orders, MEMBERS), parts).await,
            Self::TwoPrimaries => two_writers(stage, (&stage.items.reports, REPLICAS), parts).await,
            Self::LostWrite => lost_write(&stage.items.reports, parts.taken).await,
            Self::SilentNameServer => silent_name_server(stage, parts).await,
        }
    }
}

async fn look(stage: &Stage, parts: Parts) -> anyhow::Result<Vec<String>> {
    let seen = End::look_at_targets((&stage.cloud, &stage.items), parts).await?;
    Ok(seen.differences(&End::calm()))
}

/// There and back, each by a call at the wire.
async fn one_call_more(stage: &Stage, parts: Parts) -> anyhow::Result<Vec<String>> {
    let before = stage.items.promotions();
    stage.cloud.aws.clear_calls();
    for there in [Parts { left: parts.taken, taken: parts.left }, parts] {
        stage.cloud.switch_over(there).await?;
        wait_for(stage, MEMBERS, there).await?;
    }
    let effects = Effects::count(&stage.cloud.calls(), stage.items.promotions().since(before));
    Ok(effects.extra(&Effects::of_undisturbed(RunKind::Switchover)))
}

/// There and back, each by a call at the wire, with a person who replaces the primary that was left.
async fn one_promotion_more(stage: &Stage, parts: Parts) -> anyhow::Result<Vec<String>> {
    let before = stage.items.promotions();
    stage.cloud.aws.clear_calls();
    for there in [Parts { left: parts.taken, taken: parts.left }, parts] {
        stage.cloud.promote_replica(there.taken).await?;
        replace_old_primary(stage, there).await?;
    }
    wait_for(stage, REPLICAS, parts).await?;
    let effects = Effects::count(&stage.cloud.calls(), stage.items.promotions().since(before));
    Ok(effects.extra(&Effects::of_undisturbed(RunKind::Switchover)))
}

/// By a client that repeats a promotion which is done.
async fn one_request_in_vain(stage: &Stage, parts: Parts) -> anyhow::Result<Vec<String>> {
    stage.cloud.aws.clear_calls();
    let repeated = stage.cloud.promote_replica(parts.taken).await;
    anyhow::ensure!(repeated.is_err(), "RDS promotes what is no replica");
    let effects = Effects::count(&stage.cloud.calls(), Promotions::ONE_OF_EACH);
    Ok(effects.extra(&Effects::of_undisturbed(RunKind::Switchover)))
}

/// Nobody fenced it, and nobody writes to it.
async fn replace_old_primary(stage: &Stage, parts: Parts) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut replacing = Replacing::of_a_rehearsal(parts);
    while let Err(waits) = replacing.go_on(&stage.cloud).await {
        anyhow::ensure!(Instant::now() < deadline, "the old primary is not replaced: {waits:#}");
        sleep(LOOK).await;
    }
    Ok(())
}

/// Waits until this much is as after a run.
async fn wait_for(stage: &Stage, names: &[&str], parts: Parts) -> anyhow::Result<()> {
    let (deadline, wanted) = (Instant::now() + PATIENCE, End::calm().only(names));
    loop {
        let missing = End::look_at_targets((&stage.cloud, &stage.items), parts).await?.differences(&wanted);
        if missing.is_empty() {
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < deadline, "the bed does not get well: {}", missing.join("; "));
        sleep(LOOK).await;
    }
}

async fn two_writers(
    stage: &Stage,
    (databases, names): (&Databases, &[&str]),
    parts: Parts,
) -> anyhow::Result<Vec<String>> {
    let standby = parts.left;
    databases.make_writer(standby).await?;
    let noticed = look(stage, parts).await?;
    databases.follow(standby).await?;
    wait_for(stage, names, parts).await?;
    Ok(noticed)
}

async fn lost_write(databases: &Databases, region: Region) -> anyhow::Result<Vec<String>> {
    let clerk = Clerk::start(databases, region).await?;
    let deadline = Instant::now() + PATIENCE;
    while clerk.acknowledged() == 0 {
        anyhow::ensure!(Instant::now() < deadline, "nothing is written");
        sleep(LOOK).await;
    }
    clerk.forget(databases, region).await?;
    clerk.lost(databases, region).await
}

async fn silent_name_server(stage: &Stage, parts: Parts) -> anyhow::Result<Vec<String>> {
    let server = *stage.cloud.zone.servers.last().context("a zone has name servers")?;
    stage.cloud.aws.stop_server(server);
    let noticed = look(stage, parts).await;
    stage.cloud.aws.start_server(server).await.context("failed to start the name server again")?;
    noticed
}

//! The nodes as Aurora's storage: what happens to a cluster of the fake's global database happens to the region's
//! PostgreSQL.
//!
//! | Aurora | PostgreSQL |
//! |---|---|
//! | the old writer takes no more writes | the node is stopped, wherever it is: that is up to AWS' own storage |
//! | a cluster becomes the writer | `pg_promote` |
//! | the old writer follows again, on a new volume | a fresh copy of the writer, started as its standby |

use super::super::addresses::{Kind, Place};
use super::super::postgres::{Login, Node, connect};
use super::super::site::Site;
pub(super) use super::super::template::Passwords;
use super::Cloud;
use anyhow::Context;
use muster_aws_fake::{RdsEffect, RdsHappening};
use muster_core::ids::RegionName;
use nix::sys::signal::Signal;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// For a session.
const CONNECT: Duration = Duration::from_secs(3);
/// For a node to send the rest of its log to its standby, and to end.
const END: Duration = Duration::from_secs(5);
/// Between two attempts at what a region that is down or cut off does not allow yet.
const AGAIN: Duration = Duration::from_millis(300);

struct Nodes {
    cloud: Arc<Cloud>,
    site: Arc<Site>,
    passwords: Passwords,
}

pub(super) fn keep_up(cloud: Arc<Cloud>, site: Arc<Site>, passwords: Passwords) -> JoinHandle<()> {
    let (sender, happenings) = unbounded_channel();
    cloud.aws.on_rds_event(Arc::new(move |happening: &RdsHappening| {
        // Nobody listens any more: the world is being taken down.
        let _ = sender.send(happening.clone());
    }));
    tokio::spawn(Nodes { cloud, site, passwords }.follow(happenings))
}

impl Nodes {
    async fn follow(self, mut happenings: UnboundedReceiver<RdsHappening>) {
        while let Some(happening) = happenings.recv().await {
            let Some(region) = self.cloud.region_of(&happening.region).cloned() else { continue };
            let name = &happening.identifier;
            match happening.effect {
                RdsEffect::Demoted => {
                    self.cloud.say(format!("{name} takes no more writes"));
                    self.stop(&region).await;
                }
                RdsEffect::Promoted => {
                    self.until_done(&region, Self::promote).await;
                    self.cloud.say(format!("{name} is the writer"));
                }
                RdsEffect::Replicates => {
                    self.until_done(&region, Self::build_again).await;
                    self.cloud.say(format!("{name} was built again and follows the writer"));
                }
                RdsEffect::Stopped | RdsEffect::Started | RdsEffect::Renamed => {}
            }
        }
    }

    /// A region that is down or cut off allows it later; an Aurora that cannot says nothing, and tries on.
    async fn until_done(
        &self,
        region: &RegionName,
        attempt: impl AsyncFn(&Self, &RegionName) -> anyhow::Result<()>,
    ) {
        let mut told = false;
        while let Err(error) = attempt(self, region).await {
            if !std::mem::replace(&mut told, true) {
                self.cloud.say(format!("{region} is not there yet: {error:#}"));
            }
            sleep(AGAIN).await;
        }
    }

    async fn stop(&self, region: &RegionName) {
        let (site, name) = (Arc::clone(&self.site), Node::process(region));
        // It waits for the process, which would stall a runtime's thread.
        let stopped = tokio::task::spawn_blocking(move || site.processes.stop(&name, Signal::SIGINT, END));
        let _ = stopped.await;
    }

    async fn promote(&self, region: &RegionName) -> anyhow::Result<()> {
        let own = self.site.addresses.own(&Place::Region(region.clone()), Kind::Database);
        let login = Login { user: "postgres", password: &self.passwords.superuser, database: "shop" };
        let client = connect(own, &login, CONNECT).await?;
        let promote = "select pg_promote(true, 30) where pg_is_in_recovery()";
        client.batch_execute(promote).await.context("failed to promote")
    }

    async fn build_again(&self, region: &RegionName) -> anyhow::Result<()> {
        let regions = self.site.addresses.regions();
        let writer =
            regions.iter().find(|other| *other != region).context("the demo's cloud has two regions")?;
        self.site.may_repair(region, writer)?;
        self.stop(region).await;
        let node = self.site.nodes.get(region).with_context(|| format!("there is no region {region}"))?;
        let upstream = self.site.addresses.path(
            &Place::Region(region.clone()),
            &Place::Region(writer.clone()),
            Kind::Database,
        );
        node.copy_from(upstream, &self.passwords.replicator).await?;
        node.make_standby()?;
        self.site.start_database(region)?;
        self.site.start_service(region).await
    }
}

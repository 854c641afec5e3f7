//! The two data items of the bed, each with databases of its own.

use super::databases::{Databases, Engine};
use super::effects::Promotions;
use super::region::Region;
use muster_aws_fake::FakeAws;
use std::sync::Arc;
use tokio_util::task::AbortOnDropHandle;

/// The item that is an Aurora global database; the application's orders are in it.
pub(super) const ORDERS: &str = "orders";
/// The item that is an instance of RDS with a read replica.
pub(super) const REPORTS: &str = "reports";

/// Both.
pub(super) struct Items {
    pub(super) orders: Arc<Databases>,
    pub(super) reports: Arc<Databases>,
}

impl Items {
    /// Starts both pairs; east takes the writes.
    pub(super) async fn start() -> anyhow::Result<Self> {
        let (orders, reports) = (Databases::start(Engine::Global), Databases::start(Engine::Replica));
        let (orders, reports) = tokio::try_join!(orders, reports)?;
        Ok(Self { orders, reports })
    }

    fn each(&self) -> [&Arc<Databases>; 2] {
        [&self.orders, &self.reports]
    }

    /// Has both do from now on what happens at the fake.
    pub(super) fn mirror(&self, aws: &FakeAws) -> [AbortOnDropHandle<()>; 2] {
        self.each().map(|databases| databases.mirror(aws))
    }

    /// Takes a region's servers away at once.
    pub(super) async fn lose(&self, region: Region) {
        for databases in self.each() {
            databases.lose(region).await;
        }
    }

    /// Lets a lost region's servers come back, as RDS brings them back: it builds those anew that are in a global database with
    /// the writer of the other region.
    pub(super) async fn repair(&self, region: Region, follows_other: bool) -> anyhow::Result<()> {
        for databases in self.each() {
            databases.repair(region, follows_other).await?;
        }
        Ok(())
    }

    /// How often RDS promoted something.
    pub(super) fn promotions(&self) -> Promotions {
        Promotions { members: self.orders.promotions(), replicas: self.reports.promotions() }
    }

    /// What the databases could not do, since they were last asked.
    pub(super) fn take_problems(&self) -> Vec<String> {
        let mut all = Vec::new();
        for (item, databases) in [ORDERS, REPORTS].into_iter().zip(self.each()) {
            all.extend(databases.take_problems().into_iter().map(|problem| format!("{item}: {problem}")));
        }
        all
    }
}

//! The application whose reports these are: it writes to their primary from before a run on, until it is let in no more. What
//! was acknowledged to it, a planned run must not lose.

use super::databases::Databases;
use super::region::Region;
use anyhow::Context;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::time::sleep;
use tokio_postgres::Client;
use tokio_util::task::AbortOnDropHandle;

/// Between two writes.
const PACE: Duration = Duration::from_millis(20);

/// One session of it, in one run.
pub(super) struct Clerk {
    /// Its rows bear it.
    mark: String,
    acknowledged: Arc<AtomicI64>,
    _task: AbortOnDropHandle<()>,
}

impl Clerk {
    /// Begins to write to a region's database.
    pub(super) async fn start(databases: &Databases, region: Region) -> anyhow::Result<Self> {
        let session = databases.application(region).await?.context("the application is kept out")?;
        let (mark, acknowledged) = (uuid::Uuid::new_v4().to_string(), Arc::new(AtomicI64::new(0)));
        let task = tokio::spawn(write(session, mark.clone(), Arc::clone(&acknowledged)));
        Ok(Self { mark, acknowledged, _task: AbortOnDropHandle::new(task) })
    }

    /// How many writes were acknowledged.
    pub(super) fn acknowledged(&self) -> i64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// What a region's database lacks of it, in words; nothing, if it has all.
    pub(super) async fn lost(&self, databases: &Databases, region: Region) -> anyhow::Result<Vec<String>> {
        let acknowledged = self.acknowledged();
        let session = databases.superuser(region).await?;
        let count = "select count(*) from orders where item = $1";
        let present: i64 = session.query_one(count, &[&self.mark]).await?.try_get(0)?;
        let lost = (present < acknowledged)
            .then(|| format!("{} of {acknowledged} acknowledged writes are lost", acknowledged - present));
        Ok(lost.into_iter().collect())
    }

    /// Takes its writes away from a region's database.
    pub(super) async fn forget(&self, databases: &Databases, region: Region) -> anyhow::Result<()> {
        let session = databases.superuser(region).await?;
        session.execute("delete from orders where item = $1", &[&self.mark]).await?;
        Ok(())
    }
}

/// Ends with the first write that is refused.
async fn write(session: Client, mark: String, acknowledged: Arc<AtomicI64>) {
    while session.execute("insert into orders (item) values ($1)", &[&mark]).await.is_ok() {
        acknowledged.fetch_add(1, Ordering::Relaxed);
        sleep(PACE).await;
    }
}

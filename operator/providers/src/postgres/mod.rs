//! PostgreSQL with streaming replication: one primary, one standby per other region.
mod config;
mod conninfo;
mod effects;
mod error;
mod link;
mod look;
mod loss;
mod receiving;
mod rejoin;
mod setup;
mod sync;
#[cfg(test)]
mod tests;
mod tls;
mod wal;

pub use config::{Application, Node, PostgresConfig, RejoinRun, RejoinRunner, TlsMode};
pub use setup::{SETUP_VERSION, setup_sql};
pub use tls::TlsError;

use crate::{DataControl, OpCtx};
use async_trait::async_trait;
use error::PgError;
use link::Link;
use look::LookFor;
use loss::ReportedLoss;
use muster_core::facts::{DataFacts, LossFacts, Outcome, Seen};
use muster_core::ids::RegionName;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// One data item. Holds at most a few open connections per node.
#[derive(Debug)]
pub struct PostgresData {
    config: PostgresConfig,
    links: BTreeMap<RegionName, Link>,
    /// By old primary.
    reported: Mutex<BTreeMap<RegionName, ReportedLoss>>,
}

impl PostgresData {
    /// Connects to nothing yet.
    pub fn new(config: PostgresConfig) -> Result<Self, TlsError> {
        let tls = tls::connector(&config.tls)?;
        let link = |node| Link::new(&config, node, tls.clone());
        let links = config.nodes.iter().map(|(region, node)| (region.clone(), link(node))).collect();
        Ok(Self { config, links, reported: Mutex::default() })
    }

    fn link(&self, region: &RegionName) -> Result<&Link, PgError> {
        self.links.get(region).ok_or_else(|| PgError::NoNode(region.to_string()))
    }

    fn look_for(&self) -> LookFor<'_> {
        LookFor { owner: &self.config.owner, application: &self.config.application.user }
    }
}

/// Ends an effect at its deadline, whatever it waits for. Each wait inside has the same deadline; this is the net
/// below them, a little later so that their better messages come first.
async fn by_deadline(ctx: &OpCtx, effect: impl Future<Output = Outcome> + Send) -> Outcome {
    const NET: Duration = Duration::from_millis(200);
    match tokio::time::timeout_at(ctx.not_after + NET, effect).await {
        Ok(outcome) => outcome,
        Err(_) => Outcome::Failed(
            muster_core::facts::ErrorClass::UnknownOutcome,
            "the deadline passed without an answer".to_owned(),
        ),
    }
}

#[async_trait]
impl DataControl for PostgresData {
    async fn observe(&self, region: &RegionName, deadline: Duration) -> Seen<DataFacts> {
        let by = Instant::now() + deadline;
        match self.look(region, by).await {
            Ok(facts) => Seen::Known(facts),
            Err(error) => Seen::Unknown(error.to_string()),
        }
    }
    async fn open_writer(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        by_deadline(ctx, self.do_open_writer(region, ctx)).await
    }
    async fn fence(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        by_deadline(ctx, self.do_fence(region, ctx)).await
    }
    async fn unfence(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        by_deadline(ctx, self.do_unfence(region, ctx)).await
    }
    async fn stop_receiving(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        by_deadline(ctx, self.do_stop_receiving(region, ctx)).await
    }
    async fn resume_receiving(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        by_deadline(ctx, self.do_resume_receiving(region, ctx)).await
    }
    async fn promote(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        by_deadline(ctx, self.do_promote(region, ctx)).await
    }
    async fn rejoin(&self, region: &RegionName, follow: &RegionName, ctx: &OpCtx) -> Outcome {
        by_deadline(ctx, self.do_rejoin(region, follow, ctx)).await
    }
    async fn read_loss(
        &self,
        old: &RegionName,
        new: &RegionName,
        _heartbeat_writer: &str,
        deadline: Duration,
    ) -> Seen<LossFacts> {
        let by = Instant::now() + deadline;
        match self.do_read_loss(old, new, by).await {
            Ok(loss) => Seen::Known(loss),
            Err(why) => Seen::Unknown(why),
        }
    }
}

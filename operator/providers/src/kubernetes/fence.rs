//! A region's workloads at zero, as a fence: its cluster attests that nothing of them is left.

use super::effects::Change;
use super::look::look;
use super::workload::Workload;
use crate::{FenceControl, OpCtx};
use async_trait::async_trait;
use muster_core::facts::{FenceFacts, Outcome, PowerState, Seen};
use muster_core::ids::RegionName;
use std::sync::Arc;
use std::time::Duration;

/// Scales workloads of a region to zero, and back.
#[derive(Debug)]
pub struct ScaleFence(Vec<Arc<Workload>>);

impl ScaleFence {
    /// A fence over these workloads, at least one.
    pub const fn new(workloads: Vec<Arc<Workload>>) -> Self {
        Self(workloads)
    }

    async fn apply(&self, region: &RegionName, change: Change, ctx: &OpCtx) -> Outcome {
        // One that fails keeps none of the others from being changed.
        let changes = self.0.iter().map(|workload| workload.apply(region, change, ctx));
        let outcomes = futures::future::join_all(changes).await;
        let went_wrong = |o: &&Outcome| !matches!(o, Outcome::AlreadyDone | Outcome::Issued(_));
        let issued = |o: &&Outcome| matches!(o, Outcome::Issued(_));
        let worst = outcomes.iter().find(went_wrong).or_else(|| outcomes.iter().find(issued));
        worst.cloned().unwrap_or(Outcome::AlreadyDone)
    }
}

#[async_trait]
impl FenceControl for ScaleFence {
    /// Off: none is wanted, no pod is left, terminating ones included, and no endpoint.
    async fn status(&self, region: &RegionName, deadline: Duration) -> Seen<FenceFacts> {
        let looks = futures::future::try_join_all(self.0.iter().map(|workload| look(workload, region)));
        let looked = match tokio::time::timeout(deadline, looks).await {
            Ok(Ok(looked)) => looked,
            Ok(Err(failure)) => return Seen::Unknown(failure.why),
            Err(_) => return Seen::Unknown(format!("no answer within {} ms", deadline.as_millis())),
        };
        let none_left =
            |seen: &super::look::Looked| (seen.facts.wanted, seen.pods, seen.endpoints) == (0, 0, 0);
        // Its controllers may not have heard of the zero yet, and make pods until then.
        let is_off = |seen: &super::look::Looked| none_left(seen) && seen.is_settled;
        let ids = self.0.iter().zip(&looked).map(|(workload, seen)| {
            format!("{} {} ({})", workload.config.kind.kind, workload.config.name, seen.facts.id)
        });
        Seen::Known(FenceFacts {
            id: ids.collect::<Vec<_>>().join(", "),
            is_lifted: looked.iter().all(|seen| !seen.is_fenced),
            state: if looked.iter().all(is_off) { PowerState::Off } else { PowerState::On },
        })
    }

    async fn fence(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        self.apply(region, Change::Zero, ctx).await
    }

    async fn unfence(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        self.apply(region, Change::Lift, ctx).await
    }
}

//! Adapters onto the [`World`].

use super::world::{Fault, World};
use crate::execute::{Adapters, FenceAdapter};
use async_trait::async_trait;
use muster_core::facts::{
    ClosedView, DataFacts, DataRole, ErrorClass, FenceFacts, HeartbeatRow, LossFacts, Outcome, PositionUnit,
    PowerState, Seen, SyncView, TrafficFacts,
};
use muster_core::ids::{Position, RegionName};
use muster_providers::{DataControl, FenceControl, HookControl, OpCtx, TrafficControl};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// One adapter for everything; the effect says what is meant.
#[derive(Clone, Debug)]
struct Target(Arc<World>);

impl World {
    /// Adapters for the items of [`super::policy`], and a hook `warm`.
    pub fn adapters(self: &Arc<Self>) -> Adapters {
        let target = Arc::new(Target(Arc::clone(self)));
        Adapters {
            data: BTreeMap::from([("orders".into(), Arc::clone(&target) as Arc<dyn DataControl>)]),
            traffic: BTreeMap::from([("shop".into(), Arc::clone(&target) as Arc<dyn TrafficControl>)]),
            compute: BTreeMap::new(),
            fences: BTreeMap::from([
                ("logins".into(), FenceAdapter::Data("orders".into())),
                ("power".into(), FenceAdapter::Hook(Arc::clone(&target) as Arc<dyn FenceControl>)),
            ]),
            hooks: BTreeMap::from([("warm".into(), target as Arc<dyn HookControl>)]),
        }
    }
}

impl Target {
    async fn perform(&self, ctx: &OpCtx) -> Outcome {
        let failed = |class, why: &str| Outcome::Failed(class, why.to_owned());
        match self.0.fault(ctx.effect.action.kind()) {
            Some(Fault::Hangs) => {
                self.0.lock().hanging += 1;
                std::future::pending().await
            }
            Some(Fault::Fails) => failed(ErrorClass::Transient, "told to fail"),
            Some(Fault::Panics) => panic!("told to panic"),
            lost => match ctx.send(async { self.0.apply(&ctx.effect, &ctx.run) }).await {
                Ok(_) if lost.is_some() => failed(ErrorClass::UnknownOutcome, "the answer was lost"),
                Ok(outcome) => outcome,
                Err(error) => failed(ErrorClass::Transient, &error.to_string()),
            },
        }
    }

    /// A target that does not answer is waited for until the deadline, as a real one.
    async fn wait_if_silent(&self, region: &RegionName, deadline: Duration) -> bool {
        let silent = {
            let mut state = self.0.lock();
            state.looks += 1;
            !state.nodes[region].reachable
        };
        if silent {
            tokio::time::sleep(deadline).await;
        }
        silent
    }
}

#[async_trait]
impl DataControl for Target {
    fn shares_reads(&self) -> Option<Duration> {
        self.0.lock().shares
    }
    async fn observe(&self, region: &RegionName, deadline: Duration) -> Seen<DataFacts> {
        if self.shares_reads() == Some(deadline) {
            tokio::time::sleep(deadline.mul_f64(0.9)).await;
        }
        if self.wait_if_silent(region, deadline).await {
            return Seen::Unknown("no answer".into());
        }
        let state = self.0.lock();
        let node = &state.nodes[region];
        if !node.running {
            return Seen::Unknown("connection refused".into());
        }
        let streams = node.follows.as_ref().is_some_and(|f| state.nodes[f].answers());
        Seen::Known(DataFacts {
            role: if node.writable { DataRole::Writable } else { DataRole::Standby },
            system: state.system.clone(),
            timeline: node.timeline,
            unit: PositionUnit::Bytes,
            position: Position(node.position),
            replayed: Position(node.position),
            streaming: !node.writable && streams,
            upstream: node.follows.as_ref().map(ToString::to_string),
            witness: node.witness.clone(),
            closed: ClosedView {
                role_closed: node.writable && !node.logins,
                app_write_refused: (node.writable && !node.logins).then_some(true),
                position_still: !node.logins,
                ..ClosedView::default()
            },
            sync: SyncView::default(),
            sync_name: None,
            heartbeat: Some(HeartbeatRow { writer: "controller".into(), seq: node.beat, acked_at: None }),
            unfit: None,
            unready: None,
            lag: None,
            alone: None,
            node: None,
            progress: None,
            follows: None,
            write_block: None,
            saved: Vec::new(),
            unproven: None,
        })
    }
    async fn open_writer(&self, _: &RegionName, ctx: &OpCtx) -> Outcome {
        self.perform(ctx).await
    }
    async fn fence(&self, _: &RegionName, ctx: &OpCtx) -> Outcome {
        self.perform(ctx).await
    }
    async fn unfence(&self, _: &RegionName, ctx: &OpCtx) -> Outcome {
        self.perform(ctx).await
    }
    async fn stop_receiving(&self, _: &RegionName, ctx: &OpCtx) -> Outcome {
        self.perform(ctx).await
    }
    async fn resume_receiving(&self, _: &RegionName, ctx: &OpCtx) -> Outcome {
        self.perform(ctx).await
    }
    async fn promote(&self, _: &RegionName, ctx: &OpCtx) -> Outcome {
        self.perform(ctx).await
    }
    async fn rejoin(&self, _: &RegionName, _: &RegionName, ctx: &OpCtx) -> Outcome {
        self.perform(ctx).await
    }
    async fn read_loss(&self, old: &RegionName, _: &RegionName, _: &str, _: Duration) -> Seen<LossFacts> {
        if !self.0.lock().nodes[old].reachable {
            return Seen::Unknown("no answer".into());
        }
        Seen::Known(LossFacts { commits_after_fork: 0, heartbeats_after_fork: 0, span: None })
    }
}

#[async_trait]
impl TrafficControl for Target {
    async fn observe(&self, _: Duration) -> Seen<TrafficFacts> {
        let mut state = self.0.lock();
        state.looks += 1;
        Seen::Known(TrafficFacts {
            points_to: Some(state.points_to.clone()),
            agree: 1,
            servers: 1,
            witness: state.name_witness.clone(),
            drift: None,
            unsettled: None,
            contested: None,
        })
    }
    async fn flip(&self, _: &RegionName, ctx: &OpCtx) -> Outcome {
        self.perform(ctx).await
    }
}

#[async_trait]
impl FenceControl for Target {
    async fn status(&self, region: &RegionName, _: Duration) -> Seen<FenceFacts> {
        let running = self.0.lock().nodes[region].running;
        let state = if running { PowerState::On } else { PowerState::Off };
        Seen::Known(FenceFacts::new(format!("i-{region}"), state))
    }
    async fn fence(&self, _: &RegionName, ctx: &OpCtx) -> Outcome {
        self.perform(ctx).await
    }
    async fn unfence(&self, _: &RegionName, ctx: &OpCtx) -> Outcome {
        self.perform(ctx).await
    }
}

#[async_trait]
impl HookControl for Target {
    fn has_status(&self) -> bool {
        false
    }
    async fn status(&self, _: &OpCtx, _: Duration) -> Seen<bool> {
        Seen::Unknown("no status verb".into())
    }
    async fn run(&self, _: &RegionName, _: &RegionName, ctx: &OpCtx) -> Outcome {
        self.perform(ctx).await
    }
}

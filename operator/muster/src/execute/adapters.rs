//! Which adapter carries out which action.

use muster_core::effect::Action;
use muster_core::facts::{ErrorClass, Outcome};
use muster_core::ids::ItemName;
use muster_providers::{ComputeControl, DataControl, FenceControl, HookControl, OpCtx, TrafficControl};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A way to fence, as it is carried out.
#[derive(Clone, Debug)]
pub enum FenceAdapter {
    /// The data item's own catalogue fence; what it proves is seen by observing that item.
    Data(ItemName),
    /// Something with the verbs `fence`, `status` and `unfence`.
    Hook(Arc<dyn FenceControl>),
}

/// The adapters of one policy, by item name.
#[derive(Clone, Debug, Default)]
pub struct Adapters {
    /// Data stores.
    pub data: BTreeMap<ItemName, Arc<dyn DataControl>>,
    /// Public names.
    pub traffic: BTreeMap<ItemName, Arc<dyn TrafficControl>>,
    /// Workloads.
    pub compute: BTreeMap<ItemName, Arc<dyn ComputeControl>>,
    /// Ways to fence.
    pub fences: BTreeMap<ItemName, FenceAdapter>,
    /// The user's own steps.
    pub hooks: BTreeMap<ItemName, Arc<dyn HookControl>>,
}

impl Adapters {
    /// Carries out one recorded effect. A name without an adapter is `Invalid`: nothing was sent.
    pub(super) async fn perform(&self, ctx: &OpCtx) -> Outcome {
        match &ctx.effect.action {
            Action::Fence { way, .. } | Action::Unfence { way, .. } => self.perform_fence(way, ctx).await,
            Action::Flip { item, to } => match self.traffic.get(item) {
                Some(traffic) => traffic.flip(to, ctx).await,
                None => no_adapter("traffic item", item),
            },
            Action::Settle { item, region } => match self.traffic.get(item) {
                Some(traffic) => traffic.settle(region, ctx).await,
                None => no_adapter("traffic item", item),
            },
            Action::Hook { name, from, to } => match self.hooks.get(name) {
                Some(hook) => hook.run(from, to, ctx).await,
                None => no_adapter("hook", name),
            },
            Action::Scale { item, region, replicas } => match self.compute.get(item) {
                Some(compute) => compute.scale(region, *replicas, ctx).await,
                None => no_adapter("compute item", item),
            },
            Action::Restore { item, region, replicas } => match self.compute.get(item) {
                Some(compute) => compute.restore(region, *replicas, ctx).await,
                None => no_adapter("compute item", item),
            },
            Action::OpenWriter { item, .. }
            | Action::StopReceiving { item, .. }
            | Action::ResumeReceiving { item, .. }
            | Action::Promote { item, .. }
            | Action::Detach { item, .. }
            | Action::SwitchOver { item, .. }
            | Action::KeepOldData { item, .. }
            | Action::Rejoin { item, .. } => self.perform_data(item, ctx).await,
        }
    }

    async fn perform_data(&self, item: &ItemName, ctx: &OpCtx) -> Outcome {
        let Some(data) = self.data.get(item) else { return no_adapter("data item", item) };
        match &ctx.effect.action {
            Action::OpenWriter { region, .. } => data.open_writer(region, ctx).await,
            Action::StopReceiving { region, .. } => data.stop_receiving(region, ctx).await,
            Action::ResumeReceiving { region, .. } => data.resume_receiving(region, ctx).await,
            Action::Promote { region, .. } => data.promote(region, ctx).await,
            Action::Detach { region, .. } => data.detach(region, ctx).await,
            Action::SwitchOver { from, to, .. } => data.switch_over(from, to, ctx).await,
            Action::Rejoin { region, follow, .. } => data.rejoin(region, follow, ctx).await,
            Action::KeepOldData { region, since, .. } => data.keep_old_data(region, *since, ctx).await,
            Action::Fence { region, .. } => data.fence(region, ctx).await,
            Action::Unfence { region, .. } => data.unfence(region, ctx).await,
            Action::Flip { .. }
            | Action::Settle { .. }
            | Action::Hook { .. }
            | Action::Scale { .. }
            | Action::Restore { .. } => no_adapter("data item", item),
        }
    }

    async fn perform_fence(&self, way: &ItemName, ctx: &OpCtx) -> Outcome {
        match (self.fences.get(way), &ctx.effect.action) {
            (Some(FenceAdapter::Data(item)), _) => self.perform_data(item, ctx).await,
            (Some(FenceAdapter::Hook(hook)), Action::Fence { region, .. }) => hook.fence(region, ctx).await,
            (Some(FenceAdapter::Hook(hook)), Action::Unfence { region, .. }) => {
                hook.unfence(region, ctx).await
            }
            _ => no_adapter("fence", way),
        }
    }
}

fn no_adapter(what: impl fmt::Display, name: &ItemName) -> Outcome {
    Outcome::Failed(ErrorClass::Invalid, format!("the policy in force has no {what} named {name}"))
}

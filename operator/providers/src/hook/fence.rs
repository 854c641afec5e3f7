//! A fence by the user's own calls.

use super::answer::read_fence_answer;
use super::call::Caller;
use super::config::{FenceHookConfig, HookConfigError};
use super::context::{Context, Verb};
use crate::{FenceControl, OpCtx};
use async_trait::async_trait;
use muster_core::facts::{ErrorClass, FenceFacts, Outcome, Seen};
use muster_core::ids::{ItemName, Owner, PolicyName, RegionName};
use std::time::Duration;

/// Fences a region by a program or an endpoint, and asks another verb whether it is off.
#[derive(Debug)]
pub struct FenceHook {
    name: ItemName,
    owner: Owner,
    policy: PolicyName,
    fence: Caller,
    status: Caller,
    unfence: Option<Caller>,
}

impl FenceHook {
    /// Checks the configuration; calls nobody.
    pub fn new(config: &FenceHookConfig) -> Result<Self, HookConfigError> {
        let unfence = config.unfence.as_ref().map(|call| Caller::from_config("unfence", call)).transpose()?;
        Ok(Self {
            name: config.name.clone(),
            owner: config.owner.clone(),
            policy: config.policy.clone(),
            fence: Caller::from_config("fence", &config.fence)?,
            status: Caller::from_config("status", &config.status)?,
            unfence,
        })
    }

    fn make_context(&self, verb: Verb, region: &RegionName, time_left: Duration) -> Context {
        let context = Context::new(verb, self.owner.clone(), self.policy.clone(), time_left);
        Context { region: Some(region.clone()), ..context }
    }

    async fn act(&self, caller: &Caller, verb: Verb, region: &RegionName, ctx: &OpCtx) -> Outcome {
        let context = self.make_context(verb, region, ctx.remaining()).with_effect(ctx);
        let context = Context { region: Some(region.clone()), ..context };
        caller.act(&context, ctx).await.0
    }
}

#[async_trait]
impl FenceControl for FenceHook {
    async fn status(&self, region: &RegionName, deadline: Duration) -> Seen<FenceFacts> {
        let context = self.make_context(Verb::Status, region, deadline);
        self.status.ask(&context, deadline, read_fence_answer).await
    }

    async fn fence(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        self.act(&self.fence, Verb::Fence, region, ctx).await
    }

    async fn unfence(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        match &self.unfence {
            Some(caller) => self.act(caller, Verb::Unfence, region, ctx).await,
            None => Outcome::Failed(ErrorClass::Invalid, format!("fence {} declares no unfence", self.name)),
        }
    }
}

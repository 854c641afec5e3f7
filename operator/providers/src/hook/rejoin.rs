//! The user's way to make an old primary a standby again.

use super::call::Caller;
use super::config::{HookConfigError, RejoinHookConfig};
use super::context::{Context, Verb};
use crate::OpCtx;
use crate::postgres::{RejoinRun, RejoinRunner};
use async_trait::async_trait;
use muster_core::ids::{Owner, PolicyName, RegionName};

/// Runs the rejoin step by a program or an endpoint. Whether the node follows is seen at the node itself.
#[derive(Debug)]
pub struct RejoinHook {
    owner: Owner,
    policy: PolicyName,
    run: Caller,
}

impl RejoinHook {
    /// Checks the configuration; calls nobody.
    pub fn new(config: &RejoinHookConfig) -> Result<Self, HookConfigError> {
        let run = Caller::from_config("rejoin", &config.run)?;
        Ok(Self { owner: config.owner.clone(), policy: config.policy.clone(), run })
    }
}

#[async_trait]
impl RejoinRunner for RejoinHook {
    async fn run(&self, region: &RegionName, follow: &RegionName, upstream: &str, ctx: &OpCtx) -> RejoinRun {
        let context = Context::new(Verb::Rejoin, self.owner.clone(), self.policy.clone(), ctx.remaining());
        let context = Context {
            region: Some(region.clone()),
            follow: Some(follow.clone()),
            follow_address: Some(upstream.to_owned()),
            ..context.with_effect(ctx)
        };
        let (outcome, stdout) = self.run.act(&context, ctx).await;
        RejoinRun { outcome, stdout }
    }
}

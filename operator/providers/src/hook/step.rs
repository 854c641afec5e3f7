//! A step of the user's own.

use super::answer::read_step_answer;
use super::call::Caller;
use super::config::{HookConfig, HookConfigError};
use super::context::{Context, Verb};
use crate::{HookControl, OpCtx};
use async_trait::async_trait;
use muster_core::facts::{Outcome, Seen};
use muster_core::ids::{ItemName, Owner, PolicyName, RegionName};
use std::time::Duration;

/// Runs a step by a program or an endpoint.
#[derive(Debug)]
pub struct Hook {
    name: ItemName,
    owner: Owner,
    policy: PolicyName,
    run: Caller,
    status: Option<Caller>,
}

impl Hook {
    /// Checks the configuration; calls nobody. A step that can neither say whether it is done nor be repeated is
    /// refused: after a lost answer nobody could go on.
    pub fn new(config: &HookConfig) -> Result<Self, HookConfigError> {
        if config.status.is_none() && !config.repeat_safe {
            return Err(HookConfigError::NotRepeatable { name: config.name.clone() });
        }
        Ok(Self {
            name: config.name.clone(),
            owner: config.owner.clone(),
            policy: config.policy.clone(),
            run: Caller::from_config("run", &config.run)?,
            status: config.status.as_ref().map(|call| Caller::from_config("status", call)).transpose()?,
        })
    }

    fn make_context(&self, verb: Verb, ctx: &OpCtx, time_left: Duration) -> Context {
        Context::new(verb, self.owner.clone(), self.policy.clone(), time_left).with_effect(ctx)
    }
}

#[async_trait]
impl HookControl for Hook {
    fn has_status(&self) -> bool {
        self.status.is_some()
    }

    async fn status(&self, ctx: &OpCtx, deadline: Duration) -> Seen<bool> {
        match &self.status {
            Some(caller) => {
                let context = self.make_context(Verb::Status, ctx, deadline);
                caller.ask(&context, deadline, read_step_answer).await
            }
            None => Seen::Unknown(format!("hook {} declares no status", self.name)),
        }
    }

    async fn run(&self, from: &RegionName, to: &RegionName, ctx: &OpCtx) -> Outcome {
        let context = self.make_context(Verb::Run, ctx, ctx.remaining());
        let context = Context { from: Some(from.clone()), to: Some(to.clone()), ..context };
        self.run.act(&context, ctx).await.0
    }
}

//! What a call is told: as environment variables, or as a JSON body.

use crate::OpCtx;
use muster_core::effect::Action;
use muster_core::ids::{Owner, PolicyName, RegionName};
use serde::Serialize;
use std::time::Duration;

/// What a call is asked to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verb {
    /// Switch a region's writers off.
    Fence,
    /// Say whether they are, or whether a step is done. Changes nothing.
    Status,
    /// Switch them on again.
    Unfence,
    /// Do a step.
    Run,
    /// Make an old primary a standby.
    Rejoin,
}

impl Verb {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Fence => "fence",
            Self::Status => "status",
            Self::Unfence => "unfence",
            Self::Run => "run",
            Self::Rejoin => "rejoin",
        }
    }
}

/// All that a call is told. What does not apply is absent from the environment and null in JSON.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Context {
    pub(super) verb: Verb,
    pub(super) owner: Owner,
    pub(super) policy: PolicyName,
    pub(super) run: Option<String>,
    /// The region that is fenced, or that rejoins.
    pub(super) region: Option<RegionName>,
    pub(super) from: Option<RegionName>,
    pub(super) to: Option<RegionName>,
    pub(super) follow: Option<RegionName>,
    /// `host:port` of the node to follow.
    pub(super) follow_address: Option<String>,
    pub(super) epoch: Option<u64>,
    pub(super) term: Option<u64>,
    pub(super) seq: Option<u64>,
    /// Equal for each repetition of one effect.
    pub(super) key: Option<String>,
    pub(super) not_after_ms: u64,
}

impl Context {
    /// For a question outside of any effect.
    pub(super) fn new(verb: Verb, owner: Owner, policy: PolicyName, time_left: Duration) -> Self {
        let not_after_ms = as_millis(time_left);
        let (run, region, from, to, follow, follow_address) = (None, None, None, None, None, None);
        let (epoch, term, seq, key) = (None, None, None, None);
        Self {
            verb,
            owner,
            policy,
            run,
            region,
            from,
            to,
            follow,
            follow_address,
            epoch,
            term,
            seq,
            key,
            not_after_ms,
        }
    }

    /// Adds the effect's numbers and regions.
    #[must_use]
    pub(super) fn with_effect(mut self, ctx: &OpCtx) -> Self {
        let effect = &ctx.effect;
        self.run = Some(ctx.run.clone());
        self.epoch = Some(effect.epoch.0);
        self.term = Some(effect.term.0);
        self.seq = Some(effect.seq.0);
        self.key = Some(ctx.idempotency_key());
        match &effect.action {
            Action::Hook { from, to, .. } => {
                self.from = Some(from.clone());
                self.to = Some(to.clone());
            }
            Action::Rejoin { region, follow, .. } => {
                self.region = Some(region.clone());
                self.follow = Some(follow.clone());
            }
            Action::Fence { region, .. } | Action::Unfence { region, .. } => {
                self.region = Some(region.clone());
            }
            _ => {}
        }
        self
    }

    /// The variables of an exec call.
    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        let text = |name: &RegionName| name.to_string();
        let number = |n: u64| n.to_string();
        let always = [
            ("MUSTER_VERB", self.verb.as_str().to_owned()),
            ("MUSTER_OWNER", self.owner.to_string()),
            ("MUSTER_POLICY", self.policy.to_string()),
            ("MUSTER_NOT_AFTER_MS", self.not_after_ms.to_string()),
        ];
        let sometimes = [
            ("MUSTER_RUN", self.run.clone()),
            ("MUSTER_REGION", self.region.as_ref().map(text)),
            ("MUSTER_FROM", self.from.as_ref().map(text)),
            ("MUSTER_TO", self.to.as_ref().map(text)),
            ("MUSTER_FOLLOW", self.follow.as_ref().map(text)),
            ("MUSTER_FOLLOW_ADDRESS", self.follow_address.clone()),
            ("MUSTER_EPOCH", self.epoch.map(number)),
            ("MUSTER_TERM", self.term.map(number)),
            ("MUSTER_SEQ", self.seq.map(number)),
            ("MUSTER_KEY", self.key.clone()),
        ];
        let sometimes = sometimes.into_iter().filter_map(|(name, value)| Some((name, value?)));
        always.into_iter().chain(sometimes).collect()
    }
}

fn as_millis(time_left: Duration) -> u64 {
    u64::try_from(time_left.as_millis()).unwrap_or(u64::MAX)
}

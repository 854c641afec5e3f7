//! How far Muster goes, and the limits that no run passes by itself.

use crate::duration::Duration;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far Muster goes by itself.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// Watches and says what it would do. Starts nothing.
    Observe,
    /// Opens a run and asks a person at the decision.
    #[default]
    Approve,
    /// Acts when every gate holds.
    Automatic,
}

/// What is promised.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Objectives {
    /// Recovery time: from the first failed probe until users are served again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto: Option<Duration>,
    /// Recovery point: how much of the newest data may be lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo: Option<Duration>,
}

/// Limits that no run passes by itself.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Safety {
    /// After a run, before the next one may start by a verdict.
    #[serde(default = "one_hour")]
    pub cooldown: Duration,
    /// A failover waits for a person while the estimated loss, by its upper bound, is above this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_estimated_loss: Option<Duration>,
    /// Proofs that are taken beside Closed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2), extend("x-kubernetes-list-type" = "set"))]
    pub accept: Vec<AcceptedProof>,
    /// Consent, given ahead of time, to promote without any proof that the old primary takes no writes. Writes
    /// that it still takes are lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_fence: Option<WithoutFence>,
}

const fn one_hour() -> Duration {
    Duration::from_secs(3600)
}

impl Default for Safety {
    fn default() -> Self {
        Self { cooldown: one_hour(), max_estimated_loss: None, accept: Vec::new(), without_fence: None }
    }
}

/// A proof that is weaker than Closed.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum AcceptedProof {
    /// A fence's separate `status` says off.
    Attested,
    /// Synchronous commit makes an acknowledgement impossible; needs `noAck` at the data item.
    NoAck,
}

/// Consent to promote without a proof.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WithoutFence {
    /// Only while the loss that is known for sure, its lower bound, is at most this. The upper bound grows with the time
    /// that fencing is tried for, and maxEstimatedLoss, where set, goes on holding for it.
    pub max_loss: Duration,
    /// Only after fencing was tried for this long.
    pub after: Duration,
}

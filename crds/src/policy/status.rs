//! What Muster says of a policy. What moves all the time is not here, but in metrics.

use crate::condition::Condition;
use crate::duration::Duration;
use crate::run::{Outcome, RunKind, RunPhase};
use crate::text::{Moment, Name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What Muster says of a policy.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct RegionFailoverPolicyStatus {
    /// The newest generation that was looked at; while an edit waits for a run's end, the one that acts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// The region that takes writes. Absent until it was seen once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub active_region: Option<String>,
    /// For people: `Watching`, `Unhealthy`, `Paused`, `NeedsAck`, or the active run's phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub phase: Option<String>,
    /// Where the active run hangs, or the rule that explains the newest decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub step: Option<String>,
    /// The run that acts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_run: Option<ActiveRun>,
    /// Regions that may take writes, as far as the journal knows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "set"))]
    pub may_be_writable: Vec<Name>,
    /// In the order of the spec.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub regions: Vec<RegionStatus>,
    /// Something is open that a person has to look at: set the annotation `muster.dev/ack` to this text once you did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub acknowledge: Option<String>,
    /// What keeps the next step from happening.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub blocked: Vec<Blocker>,
    /// The newest run that ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run: Option<LastRun>,
    /// `Accepted`, `Ready`, and what the journal reports.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
}

/// The run that acts.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub struct ActiveRun {
    /// The `FailoverRun`.
    #[schemars(length(max = 253))]
    pub name: String,
    /// What it does.
    pub kind: RunKind,
    /// Its number.
    #[schemars(range(min = 0))]
    pub epoch: i64,
    /// Its holder's number.
    #[schemars(range(min = 0))]
    pub term: i64,
}

/// One region.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub struct RegionStatus {
    /// Its name.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Healthy, Unhealthy, Unknown.
    #[schemars(length(max = 63))]
    pub verdict: String,
    /// Fenced, and not a standby again yet; why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub cast_out: Option<String>,
}

/// A condition that is not met.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Blocker {
    /// The gate's or rule's name; also the runbook's.
    #[schemars(length(max = 63))]
    pub name: String,
    /// What was seen when it began to block.
    #[schemars(length(max = 2048))]
    pub saw: String,
    /// What is needed.
    #[schemars(length(max = 2048))]
    pub needs: String,
}

/// The newest run that ended.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub struct LastRun {
    /// The `FailoverRun`.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Where it ended.
    pub phase: RunPhase,
    /// How.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Measured recovery time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto: Option<Duration>,
    /// Lost writes, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub lost: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Moment>,
}

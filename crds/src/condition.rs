//! Conditions, as `kubectl wait --for=condition=...` reads them.

use crate::text::Moment;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether a condition holds.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not; `reason` and `message` say why.
    False,
    /// Nobody can say.
    Unknown,
}

/// A condition with a reason that has a page in runbooks/.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it is about.
    #[schemars(length(max = 63))]
    pub r#type: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Why, in one word; the name of a runbook when it does not hold.
    #[schemars(length(max = 63))]
    pub reason: String,
    /// Why, for people.
    #[schemars(length(max = 2048))]
    pub message: String,
    /// When the status last changed.
    pub last_transition_time: Moment,
    /// The generation of the spec that it speaks of.
    #[schemars(range(min = 0))]
    pub observed_generation: i64,
}

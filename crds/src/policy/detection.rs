//! What turns probe results into a verdict on a region.

use crate::duration::Duration;
use crate::text::{Name, Url};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Thresholds, aggregation, quorum, and the check of our own connectivity.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("self.reset.successes >= self.trip.failures")
        .message("reset must not be quicker than trip: reset.successes must be at least trip.failures").field_path(".reset.successes"),
    validation = Rule::new("duration(self.reset.minHealthy) >= duration(self.trip.minOutage)")
        .message("reset must not be quicker than trip: reset.minHealthy must be at least trip.minOutage").field_path(".reset.minHealthy"),
)]
pub struct Detection {
    /// What turns Healthy into Unhealthy.
    #[serde(default)]
    pub trip: Trip,
    /// What turns Unhealthy into Healthy again.
    #[serde(default)]
    pub reset: Reset,
    /// How a vantage's view of a region follows from its probes.
    #[serde(default)]
    pub aggregate: Aggregate,
    /// How many vantages must agree.
    #[serde(default)]
    pub quorum: Quorum,
    /// Targets that depend on no region, as `http://`, `https://` or `tcp://host:port`. A silence counts against a
    /// region only while one of them answers: is it us?
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "set"))]
    pub anchors: Vec<Url>,
}

/// What turns Healthy into Unhealthy: both hold.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trip {
    /// Failures of a probe in a row.
    #[serde(default = "Trip::failures")]
    #[schemars(range(min = 1, max = 1000))]
    pub failures: u32,
    /// And at least this long.
    #[serde(default = "Trip::min_outage")]
    pub min_outage: Duration,
}

impl Trip {
    const fn failures() -> u32 {
        3
    }
    const fn min_outage() -> Duration {
        Duration::from_secs(60)
    }
}

impl Default for Trip {
    fn default() -> Self {
        Self { failures: Self::failures(), min_outage: Self::min_outage() }
    }
}

/// What turns Unhealthy into Healthy again: both hold. Never quicker than the way down.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reset {
    /// Successes of a probe in a row.
    #[serde(default = "Reset::successes")]
    #[schemars(range(min = 1, max = 1000))]
    pub successes: u32,
    /// And at least this long.
    #[serde(default = "Reset::min_healthy")]
    pub min_healthy: Duration,
}

impl Reset {
    const fn successes() -> u32 {
        5
    }
    const fn min_healthy() -> Duration {
        Duration::from_secs(300)
    }
}

impl Default for Reset {
    fn default() -> Self {
        Self { successes: Self::successes(), min_healthy: Self::min_healthy() }
    }
}

/// Exactly one of `require` and `atLeast`.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.require) != has(self.atLeast)")
    .message("exactly one of require and atLeast is needed"))]
pub struct Aggregate {
    /// Unhealthy when any of these probes is tripped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "set"))]
    pub require: Option<Vec<Name>>,
    /// Unhealthy when at least so many probes are tripped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 32))]
    pub at_least: Option<u32>,
}

impl Default for Aggregate {
    fn default() -> Self {
        Self { require: None, at_least: Some(1) }
    }
}

/// How many vantages must agree.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Quorum {
    /// Vantages outside the judged region that must see it fail.
    #[serde(default = "Quorum::vantages")]
    #[schemars(range(min = 1, max = 17))]
    pub vantages: u32,
}

impl Quorum {
    const fn vantages() -> u32 {
        2
    }
}

impl Default for Quorum {
    fn default() -> Self {
        Self { vantages: Self::vantages() }
    }
}

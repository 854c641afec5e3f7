//! Workloads that serve in every region.

use crate::duration::Duration;
use crate::text::{Name, Text};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One workload, the same in each region's cluster: exactly one engine.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.scale)").message("exactly one engine is needed: scale"))]
pub struct Compute {
    /// Its name.
    pub name: Name,
    /// Anything with a `scale` subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
}

/// A workload that is scaled up in the region that takes over, before the old one is fenced, and given back once its
/// region stands by again.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("duration(self.timeout) >= duration('1s') && duration(self.timeout) <= duration('1h')")
        .message("timeout must be between 1s and 1h").field_path(".timeout"),
    validation = Rule::new("duration(self.expectedReady) <= duration(self.timeout)")
        .message("expectedReady must be at most timeout").field_path(".expectedReady"),
)]
pub struct Scale {
    /// What is scaled, in the namespace of the region's cluster.
    pub target: ScaleTarget,
    /// How many replicas the region that takes over gets. It never gets fewer than it has.
    pub to: ScaleTo,
    /// How many replicas a standby keeps once Muster gives it back; 0 is a pilot light. Absent: as many as before Muster
    /// scaled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100_000))]
    pub standby_replicas: Option<u32>,
    /// A Service whose ready endpoints count, instead of ready pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Text<63>>,
    /// A planned run waits until the replicas are ready before it fences the source, and is given up if they are not
    /// within `timeout`. `false` where they get ready only with a database that takes writes.
    #[serde(default = "yes")]
    pub ready_before_fence: bool,
    /// How long new replicas usually take to be ready, for the predicted RTO.
    #[serde(default = "one_minute")]
    pub expected_ready: Duration,
    /// So long traffic waits for the replicas at most, counted from the first item that it waits for; then it moves to what
    /// is ready, and that is said.
    #[serde(default = "five_minutes")]
    pub timeout: Duration,
}

const fn yes() -> bool {
    true
}
const fn one_minute() -> Duration {
    Duration::from_secs(60)
}
const fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

/// An object by kind and name.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScaleTarget {
    /// For example `apps/v1`.
    pub api_version: Text<253>,
    /// For example `Deployment`.
    pub kind: Text<63>,
    /// Its name, the same in each region.
    pub name: Text<253>,
}

/// A number of replicas: exactly one of `percentOfPeak` and `replicas`.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.percentOfPeak) != has(self.replicas)")
        .message("exactly one of percentOfPeak and replicas is needed"),
    validation = Rule::new("!has(self.atLeast) || has(self.percentOfPeak)")
        .message("atLeast goes with percentOfPeak").field_path(".atLeast"),
)]
pub struct ScaleTo {
    /// A share of the most replicas that the active region ran within the last day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub percent_of_peak: Option<u32>,
    /// Never fewer, also where no peak is known. Absent: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub at_least: Option<u32>,
    /// So many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub replicas: Option<u32>,
}

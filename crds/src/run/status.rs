//! What happened: written by Muster alone, one copy of the journal for people.

use crate::condition::Condition;
use crate::duration::Duration;
use crate::text::{Moment, Name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a run is, and how it went.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct FailoverRunStatus {
    /// Where the run is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<RunPhase>,
    /// Where it hangs, or the last step.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub step: Option<String>,
    /// Why it waits, or how it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub message: Option<String>,
    /// The run's number: only grows, and every effect carries it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub epoch: Option<i64>,
    /// The number of its holder within the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub term: Option<i64>,
    /// The process that drives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub holder: Option<String>,
    /// The region that is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub from: Option<String>,
    /// The region that takes over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub to: Option<String>,
    /// What an approval binds to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub plan_hash: Option<String>,
    /// Regions that may take writes, as far as the journal knows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "set"))]
    pub may_be_writable: Vec<Name>,
    /// The plan, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub steps: Vec<Step>,
    /// What must hold before the next effect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub gates: Vec<Gate>,
    /// Why a fenced region is believed to take no writes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["region"])
    )]
    pub proofs: Vec<Proof>,
    /// Where what an engine saved of the old primary is kept, with the writes that were lost; or why nothing is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub saved: Vec<SavedData>,
    /// The moments that the figures come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<Clock>,
    /// Figures, never more exact than what was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// Figures expected at the start, from the policy's own numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicted: Option<Predicted>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// `Accepted`, `ApprovalTaken`, `AbortTaken`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// The whole run as the journal keeps it, once it has ended, for `muster show` and `muster replay`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 524_288))]
    pub record: Option<String>,
}

/// Where a run is.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunPhase {
    /// Seen by Muster, and not claimed yet.
    Pending,
    /// A gate is not met.
    Blocked,
    /// Waits for a person.
    AwaitingApproval,
    /// Steps are under way.
    Executing,
    /// All effects were seen; waits for successes through the public name.
    Verifying,
    /// Ended well.
    Completed,
    /// Ended otherwise.
    Failed,
    /// Ended with everything undone.
    Aborted,
}

impl RunPhase {
    /// Whether the run has ended.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Aborted)
    }
}

/// How a run ended.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// As asked.
    Succeeded,
    /// Everything was undone.
    Aborted,
    /// The target died after the point of no return; the next run goes on.
    TargetLost,
    /// It could not go on.
    Failed,
    /// It was never claimed.
    Refused,
}

/// One step of the plan.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Which.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Pending, Intended, Observed, Skipped, Undoing, Undone, Failed.
    #[schemars(length(max = 63))]
    pub state: String,
    /// Attempts of the present way.
    #[schemars(range(min = 0))]
    pub attempts: u32,
    /// Its first intent was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Moment>,
    /// Seen done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Moment>,
    /// What was seen.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 2048))]
    pub saw: String,
}

/// What an unmet gate does.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq, Debug)]
pub enum GateSeverity {
    /// Reported only.
    Warn,
    /// Stops until met or waived.
    Block,
    /// Stops, and nobody may waive it.
    Law,
}

/// A condition that must hold before a step.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// Its name; also the runbook's.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Whether it holds.
    pub ok: bool,
    /// What was seen.
    #[schemars(length(max = 2048))]
    pub saw: String,
    /// What is needed.
    #[schemars(length(max = 2048))]
    pub needs: String,
    /// What an unmet one does.
    pub severity: GateSeverity,
    /// An approval covers it.
    pub waived: bool,
}

/// What became of the old primary's data.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub struct SavedData {
    /// The data item.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Where it is kept, or why it is not.
    #[schemars(length(max = 2048))]
    pub said: String,
}

/// Why a region is believed to take no writes.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// The region.
    #[schemars(length(max = 63))]
    pub region: String,
    /// Closed, Attested, `NoAck`, Waived.
    #[schemars(length(max = 63))]
    pub class: String,
    /// What was seen.
    #[schemars(length(max = 2048))]
    pub saw: String,
    /// When looking began.
    pub at: Moment,
}

/// The moments of a run.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Clock {
    /// First failed functional probe of the outage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_failure: Option<Moment>,
    /// Thresholds and quorum reached, or the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detected: Option<Moment>,
    /// Gates held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided: Option<Moment>,
    /// A person agreed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved: Option<Moment>,
    /// The last fence was proved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fenced: Option<Moment>,
    /// The point of no return.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pivot: Option<Moment>,
    /// The last data item was seen writable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promoted: Option<Moment>,
    /// The last workload was ready in the target, or waited for long enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaled: Option<Moment>,
    /// The last name was seen moved at one server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flipped: Option<Moment>,
    /// All authoritative servers agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authoritative: Option<Moment>,
    /// Start of the first of N successes in a row through the public name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_success: Option<Moment>,
    /// N successes were seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled: Option<Moment>,
}

/// Lost writes, between two bounds until the old log was read.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Rpo {
    /// Age between the newest acknowledged and the newest present heartbeat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Duration>,
    /// Until the fence was proved. Absent: without a bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<Duration>,
    /// The old primary's log was read, or nothing could have been lost.
    pub r#final: bool,
    /// In one word, for `kubectl get`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub shown: Option<String>,
}

/// What was measured.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Measured {
    /// From the first failed functional probe to the first of N successes through the public name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rto: Option<Duration>,
    /// The same from the decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rto_from_decision: Option<Duration>,
    /// Lost writes.
    pub rpo: Rpo,
    /// Acknowledged heartbeats that the new primary does not have.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub lost_heartbeats: Option<i64>,
    /// Heartbeats sent and never answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub in_flight: Option<i64>,
    /// Clients' commits in the old log that the new primary does not have, acknowledged or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub lost_commits: Option<i64>,
    /// Without a writer: from the fence's proof, or the first failure, to the first write on the new primary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_gap: Option<Duration>,
    /// Largest error of these figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_bound: Option<Duration>,
}

/// One phase of a prediction.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub struct PhaseTime {
    /// Which.
    #[schemars(length(max = 63))]
    pub name: String,
    /// How long it should take.
    pub takes: Duration,
}

/// What the policy's own numbers predict.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Predicted {
    /// The sum.
    pub rto: Duration,
    /// By phase.
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub phases: Vec<PhaseTime>,
}

//! What is asked for: written once, but for consent and abort, which cannot be taken back.

#![expect(clippy::duplicated_attributes, reason = "print columns repeat their keys")]

use super::status::FailoverRunStatus;
use crate::duration::Duration;
use crate::text::{Moment, Name, Text};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One execution of a policy's plan.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[kube(
    group = "muster.dev",
    version = "v1alpha1",
    kind = "FailoverRun",
    plural = "failoverruns",
    namespaced,
    shortname = "run",
    category = "muster",
    status = "FailoverRunStatus",
    derive = "PartialEq",
    doc = "One execution of a policy's plan: a failover, a switchover or a failback.",
    selectable = ".spec.policy",
    selectable = ".status.phase",
    printcolumn(name = "Policy", type_ = "string", json_path = ".spec.policy"),
    printcolumn(name = "Kind", type_ = "string", json_path = ".spec.kind"),
    printcolumn(name = "From", type_ = "string", json_path = ".status.from"),
    printcolumn(name = "To", type_ = "string", json_path = ".status.to"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Step", type_ = "string", json_path = ".status.step"),
    printcolumn(name = "RTO", type_ = "string", json_path = ".status.measured.rto"),
    printcolumn(
        name = "Lost",
        type_ = "string",
        json_path = ".status.measured.rpo.shown",
        description = "Writes lost: between the bounds, exact once the old log was read."
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1)
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("self.policy == oldSelf.policy && self.kind == oldSelf.kind && self.reason == oldSelf.reason && self.by == oldSelf.by && self.trigger == oldSelf.trigger && has(self.to) == has(oldSelf.to) && (!has(self.to) || self.to == oldSelf.to)")
        .message("a run's spec cannot be changed, but for approval and abort: create another run"),
    validation = Rule::new("!has(oldSelf.approval) || has(self.approval)")
        .message("an approval cannot be taken back: abort the run instead").field_path(".approval"),
    validation = Rule::new("!has(oldSelf.abort) || (has(self.abort) && self.abort == oldSelf.abort)")
        .message("an abort cannot be taken back or changed").field_path(".abort"),
)]
pub struct FailoverRunSpec {
    /// The policy, in the same namespace.
    pub policy: Name,
    /// What is done.
    pub kind: RunKind,
    /// The region that takes over. Absent: Muster chooses; for a failback the preferred region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Name>,
    /// Why, for those who read it later.
    pub reason: Text<1024>,
    /// Who asks. With the chart's admission policy it must be the caller's own name.
    pub by: Text<253>,
    /// Who started it. Only Muster itself writes anything but `Person`.
    #[serde(default)]
    pub trigger: Trigger,
    /// Consent to the plan that `status.planHash` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Ends the run and undoes what it began. Refused past the point of no return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort: Option<Abort>,
}

/// What a run does.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunKind {
    /// Unplanned; may lose data.
    Failover,
    /// Planned; loses none.
    Switchover,
    /// A switchover to the preferred region.
    Failback,
}

/// Who started a run.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Trigger {
    /// A person, or something that acts for one.
    #[default]
    Person,
    /// A verdict on the primary.
    Verdict,
    /// Another run lost its target after the point of no return.
    TargetLost,
}

/// Consent to one plan.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("timestamp(self.validUntil) > timestamp('2020-01-01T00:00:00Z')")
    .message("validUntil must be a moment, such as 2030-01-31T12:00:00Z").field_path(".validUntil"))]
pub struct Approval {
    /// The plan, as `status.planHash` shows it. Consent to another plan counts for nothing.
    pub plan_hash: Text<128>,
    /// At most this loss, by its upper bound. Absent: at most the policy's own limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_loss: Option<Duration>,
    /// Gates, by name, that may be unmet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"))]
    pub waives: Vec<Text<63>>,
    /// Who agrees. With the chart's admission policy it must be the caller's own name.
    pub by: Text<253>,
    /// Until when; at most a day ahead counts.
    pub valid_until: Moment,
}

/// A person ends a run.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Abort {
    /// Who.
    pub by: Text<253>,
    /// Why.
    pub reason: Text<1024>,
}

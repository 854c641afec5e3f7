//! `FailoverJournal`: where Muster keeps the journal of a policy in a cluster. People read `FailoverRun` instead.

#![expect(clippy::duplicated_attributes, reason = "print columns repeat their keys")]

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The journal of one policy: one object, so that each change of it is one compare-and-swap. It has the policy's
/// name and no owner, and so outlives the policy and its runs.
#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[kube(
    group = "muster.dev",
    version = "v1alpha1",
    kind = "FailoverJournal",
    plural = "failoverjournals",
    namespaced,
    category = "muster",
    derive = "PartialEq",
    doc = "The journal of one policy. Written by Muster alone; removing it while a run is active loses the run.",
    printcolumn(name = "Epoch", type_ = "integer", json_path = ".spec.epoch"),
    printcolumn(name = "Term", type_ = "integer", json_path = ".spec.term"),
    printcolumn(name = "Run", type_ = "string", json_path = ".spec.activeRun"),
    printcolumn(name = "Changes", type_ = "integer", json_path = ".spec.changes"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct FailoverJournalSpec {
    /// The owner that every effect carries: the UID of the policy that it was begun for.
    #[schemars(length(max = 128))]
    pub owner: String,
    /// The newest run's number; never goes back.
    #[schemars(range(min = 0))]
    pub epoch: i64,
    /// The newest holder's number within it.
    #[schemars(range(min = 0))]
    pub term: i64,
    /// The run that acts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub active_run: Option<String>,
    /// Grows with each change, so that no two states of the journal are alike.
    #[schemars(range(min = 0))]
    pub changes: i64,
    /// The Lease, as `namespace/name`, of the installation that writes here. Another installation keeps away.
    #[schemars(length(max = 512))]
    pub lease: String,
    /// The number of the lease under which it was last written.
    #[schemars(range(min = 0))]
    pub lease_number: i64,
    /// The journal as JSON text. A text, because numbers in it are larger than what the API server keeps exactly.
    #[schemars(length(max = 786_432))]
    pub body: String,
    /// The policy as it acts, as YAML text: an active run holds to it over edits and restarts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 393_216))]
    pub in_force: Option<String>,
}

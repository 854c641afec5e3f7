//! Ways to make sure that the old primary takes no writes.

use super::call::Command;
use super::request::SecretRef;
use crate::duration::Duration;
use crate::text::{Name, NetworkAclId, Url};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One way to fence: exactly one of `sql`, `exec`, `webhook`, `scaleToZero`, `aws`.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("[has(self.sql), has(self.exec), has(self.webhook), has(self.scaleToZero), has(self.aws)].filter(x, x).size() == 1")
        .message("exactly one of sql, exec, webhook, scaleToZero, aws is needed"),
    validation = Rule::new("!has(self.proof) || self.proof == (has(self.sql) ? 'Closed' : 'Attested')")
        .message("a sql fence proves Closed, every other one Attested").field_path(".proof"),
    validation = Rule::new("(!has(self.exec) || has(self.exec.status)) && (!has(self.webhook) || has(self.webhook.status))")
        .message("a fence without status proves nothing: give status"),
    validation = Rule::new("duration(self.timeout) >= duration('100ms') && duration(self.timeout) <= duration('1h')")
        .message("timeout must be between 100ms and 1h").field_path(".timeout"),
)]
pub struct Fence {
    /// Its name.
    pub name: Name,
    /// At a data item: the application's role may log in no more, its sessions end. Proved by a refused write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<FenceSql>,
    /// Programs on Muster's machine. Local mode only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<FenceExec>,
    /// Endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<FenceWebhook>,
    /// The region's own workloads at zero. Its cluster attests that no pod of them is left; of the database that says
    /// nothing, so a database that answers open is not fenced by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_to_zero: Option<FenceScaleToZero>,
    /// In AWS: the network ACLs of the region's database subnets deny everything, to clients and to Muster. It attests; a
    /// database that still answers as a writer is not fenced by it. No planned run uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<FenceAws>,
    /// What it can prove. Absent: `Closed` for sql, `Attested` for the others, which is accepted only where
    /// `safety.accept` says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<FenceProof>,
    /// Of one attempt; a program is killed then, with everything that it started.
    #[serde(default = "five_seconds")]
    pub timeout: Duration,
    /// Before the next way is tried.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 10))]
    pub attempts: u32,
}

const fn five_seconds() -> Duration {
    Duration::from_secs(5)
}
const fn two() -> u32 {
    2
}

// The schema takes the description of an optional enum from here, not from the field.
/// What it can prove. Absent: `Closed` for sql, `Attested` for the others, which is accepted only where
/// `safety.accept` says so.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq, Debug)]
pub enum FenceProof {
    /// A real write as the application's own role was refused.
    Closed,
    /// The fence's separate `status` says off, for an id that it has said on for before.
    Attested,
}

/// A fence at a data item.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FenceSql {
    /// The data item, by name.
    pub data: Name,
}

/// Workloads that are scaled to zero in the region that is fenced.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FenceScaleToZero {
    /// Compute items, by name: all that writes.
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "set"))]
    pub compute: Vec<Name>,
}

/// Entries that deny everything, in and out, at network ACLs of AWS.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FenceAws {
    /// The network ACLs of the databases' subnets, for each region of the policy: of subnets in which databases stand and
    /// nothing else.
    #[schemars(length(min = 2, max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["region"]))]
    pub network_acls: Vec<RegionNetworkAcls>,
    /// Of the entries for IPv4; those for IPv6 have the next one. Both must be free and the lowest of each ACL.
    #[serde(default = "first_rule")]
    #[schemars(range(min = 1, max = 32_765))]
    pub rule_number: u32,
}

const fn first_rule() -> u32 {
    1
}

/// The network ACLs of one region.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegionNetworkAcls {
    /// A region of the policy, with `aws`.
    pub region: Name,
    /// Their ids.
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "set"))]
    pub ids: Vec<NetworkAclId>,
}

/// Programs on Muster's machine. Local mode only: in a cluster they are refused.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FenceExec {
    /// Switches a region's writers off.
    #[schemars(length(min = 1, max = 64))]
    pub fence: Command,
    /// Says whether they are: prints `{"id": "...", "state": "on"|"off"}`. Without it nothing is proved, and the
    /// policy is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub status: Option<Command>,
    /// Switches them on again. Without it an abort cannot undo this fence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub unfence: Option<Command>,
}

/// Endpoints that take JSON by POST.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FenceWebhook {
    /// Switches a region's writers off.
    pub fence: Url,
    /// Says whether they are: answers `{"id": "...", "state": "on"|"off"}`. Without it nothing is proved, and the
    /// policy is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Url>,
    /// Switches them on again. Without it an abort cannot undo this fence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfence: Option<Url>,
    /// Signs the body (HMAC-SHA256), so that the endpoint knows who calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_secret: Option<SecretRef>,
    /// Certificate authorities (PEM) that are trusted instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret: Option<SecretRef>,
}

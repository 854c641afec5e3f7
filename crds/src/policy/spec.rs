//! The policy as a whole, and the rules that hold across its parts.

#![expect(clippy::duplicated_attributes, reason = "print columns repeat their keys")]

use super::compute::Compute;
use super::data::DataItem;
use super::detection::Detection;
use super::fence::Fence;
use super::hooks::Hook;
use super::probes::{Probe, PublicProbe};
use super::regions::{Region, Vantage};
use super::safety::{Mode, Objectives, Safety};
use super::status::RegionFailoverPolicyStatus;
use super::traffic::Traffic;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// How an application moves out of a failed region.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, PartialEq, Debug)]
#[kube(
    group = "muster.dev",
    version = "v1alpha1",
    kind = "RegionFailoverPolicy",
    plural = "regionfailoverpolicies",
    namespaced,
    shortname = "rfp",
    category = "muster",
    status = "RegionFailoverPolicyStatus",
    derive = "PartialEq",
    doc = "How an application moves out of a failed region.",
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode"),
    printcolumn(name = "Active", type_ = "string", json_path = ".status.activeRegion"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Step", type_ = "string", json_path = ".status.step"),
    printcolumn(name = "Run", type_ = "string", json_path = ".status.activeRun.name"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Last RTO",
        type_ = "string",
        json_path = ".status.lastRun.rto",
        description = "Measured in the newest run that ended."
    ),
    printcolumn(
        name = "Regions",
        type_ = "string",
        json_path = ".spec.regions[*].name",
        description = "In order of preference.",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("!has(self.vantages) || self.vantages.all(v, !has(v.region) || self.regions.exists(r, r.name == v.region))")
        .message("every vantage's region must be one of spec.regions").field_path(".vantages"),
    validation = Rule::new("!has(self.vantages) || self.vantages.all(v, v.name != 'controller')")
        .message("the vantage name 'controller' stands for the controller's own probes: choose another").field_path(".vantages"),
    validation = Rule::new("!has(self.detection.aggregate.require) || (has(self.probes) && self.detection.aggregate.require.all(n, self.probes.exists(p, p.name == n && p.side != 'Standby')))")
        .message("detection.aggregate.require must name probes whose side is Primary or Both").field_path(".detection.aggregate.require"),
    validation = Rule::new("!has(self.probes) || !has(self.detection.aggregate.atLeast) || self.detection.aggregate.atLeast == 1 || self.probes.filter(p, p.side != 'Standby').size() >= self.detection.aggregate.atLeast")
        .message("detection.aggregate.atLeast must be at most the number of probes whose side is Primary or Both").field_path(".detection.aggregate.atLeast"),
    validation = Rule::new("!has(self.probes) || self.probes.all(p, (!has(p.sql) || self.data.exists(d, d.name == p.sql.data)) && (!has(p.heartbeat) || self.data.exists(d, d.name == p.heartbeat.data)))")
        .message("the data of a sql or heartbeat probe must be one of spec.data").field_path(".probes"),
    validation = Rule::new("self.data.all(d, !has(d.postgres) || (d.postgres.nodes.size() == self.regions.size() && d.postgres.nodes.all(n, self.regions.exists(r, r.name == n.region))))")
        .message("every data item needs exactly one node for each of spec.regions").field_path(".data"),
    validation = Rule::new("self.data.all(d, !has(d.auroraGlobal) || (d.auroraGlobal.members.size() == self.regions.size() && d.auroraGlobal.members.all(n, self.regions.exists(r, r.name == n.region))))")
        .message("every auroraGlobal needs exactly one member for each of spec.regions").field_path(".data"),
    validation = Rule::new("self.data.filter(d, has(d.auroraGlobal)).size() <= 1")
        .message("at most one auroraGlobal in a policy: each is moved by its own engine, and a source that dies in between leaves them apart").field_path(".data"),
    validation = Rule::new("!self.data.exists(d, has(d.auroraGlobal)) || self.regions.all(r, has(r.aws))")
        .message("auroraGlobal needs to know each region of AWS: give regions[].aws").field_path(".regions"),
    validation = Rule::new("self.data.all(d, !has(d.rdsReplica) || (d.rdsReplica.instances.size() == self.regions.size() && d.rdsReplica.instances.all(n, self.regions.exists(r, r.name == n.region))))")
        .message("every rdsReplica needs exactly one instance for each of spec.regions").field_path(".data"),
    validation = Rule::new("!self.data.exists(d, has(d.rdsReplica)) || self.regions.all(r, has(r.aws))")
        .message("rdsReplica needs to know each region of AWS: give regions[].aws").field_path(".regions"),
    validation = Rule::new("!has(self.traffic) || self.traffic.all(t, !has(t.rfc2136) || (t.rfc2136.targets.size() == self.regions.size() && t.rfc2136.targets.all(n, self.regions.exists(r, r.name == n.region))))")
        .message("every traffic item needs exactly one target for each of spec.regions").field_path(".traffic"),
    validation = Rule::new("!has(self.traffic) || self.traffic.all(t, !has(t.route53) || !has(t.route53.flip.record) || (t.route53.flip.record.targets.size() == self.regions.size() && t.route53.flip.record.targets.all(n, self.regions.exists(r, r.name == n.region))))")
        .message("every traffic item needs exactly one target for each of spec.regions").field_path(".traffic"),
    validation = Rule::new("!has(self.traffic) || self.traffic.all(t, !has(t.route53) || !has(t.route53.flip.healthObject) || (t.route53.flip.healthObject.regions.size() == self.regions.size() && t.route53.flip.healthObject.regions.all(n, self.regions.exists(r, r.name == n.region))))")
        .message("every traffic item needs exactly one target for each of spec.regions").field_path(".traffic"),
    validation = Rule::new("!has(self.traffic) || self.traffic.all(t, !has(t.route53) || !has(t.route53.flip.routingControl) || (t.route53.flip.routingControl.regions.size() == self.regions.size() && t.route53.flip.routingControl.regions.all(n, self.regions.exists(r, r.name == n.region))))")
        .message("every traffic item needs exactly one target for each of spec.regions").field_path(".traffic"),
    validation = Rule::new("!has(self.compute) || self.compute.size() == 0 || self.regions.all(r, has(r.cluster))")
        .message("compute needs the cluster of each region: give regions[].cluster").field_path(".regions"),
    validation = Rule::new("!has(self.fence) || self.fence.all(f, !has(f.scaleToZero) || (has(self.compute) && f.scaleToZero.compute.all(n, self.compute.exists(c, c.name == n))))")
        .message("the compute of a scaleToZero fence must be of spec.compute").field_path(".fence"),
    validation = Rule::new("!has(self.fence) || self.fence.all(f, !has(f.sql) || self.data.exists(d, d.name == f.sql.data))")
        .message("the data of a sql fence must be one of spec.data").field_path(".fence"),
    validation = Rule::new("!has(self.fence) || self.fence.all(f, !has(f.sql) || !self.data.exists(d, d.name == f.sql.data && has(d.auroraGlobal)))")
        .message("a sql fence proves nothing at an auroraGlobal: use another fence").field_path(".fence"),
    validation = Rule::new("self.mode != 'Automatic' || self.detection.quorum.vantages <= (has(self.vantages) ? self.vantages.size() : 0) + 1")
        .message("mode Automatic needs vantages: detection.quorum.vantages must be at most their number plus one, the controller itself").field_path(".detection.quorum.vantages"),
    validation = Rule::new("self.mode != 'Automatic' || (has(self.fence) && self.fence.size() > 0) || has(self.safety.withoutFence)")
        .message("mode Automatic needs a fence, or safety.withoutFence").field_path(".mode"),
    validation = Rule::new("self.mode != 'Automatic' || !has(self.fence) || has(self.safety.withoutFence) || self.fence.exists(f, has(f.sql)) || (has(self.safety.accept) && self.safety.accept.exists(a, a == 'Attested'))")
        .message("mode Automatic needs a fence whose proof is accepted: add Attested to safety.accept, or a sql fence").field_path(".safety"),
    validation = Rule::new("self.mode == 'Observe' || (has(self.probes) && self.probes.exists(p, p.side != 'Primary'))")
        .message("a probe whose side is Standby or Both is needed: without one that passes there, no region can take over").field_path(".probes"),
    validation = Rule::new("self.mode != 'Automatic' || (has(self.probes) && self.probes.exists(p, p.side != 'Standby'))")
        .message("mode Automatic needs at least one probe whose side is Primary or Both").field_path(".mode"),
    validation = Rule::new("self.mode != 'Automatic' || self.detection.quorum.vantages >= 2")
        .message("mode Automatic needs detection.quorum.vantages of at least 2").field_path(".mode"),
    validation = Rule::new("self.mode != 'Automatic' || (has(self.detection.anchors) && self.detection.anchors.size() > 0)")
        .message("mode Automatic needs at least one of detection.anchors").field_path(".mode"),
    validation = Rule::new("self.mode != 'Automatic' || has(self.publicProbe)")
        .message("mode Automatic needs publicProbe, which tells when users are served again").field_path(".mode"),
)]
pub struct RegionFailoverPolicySpec {
    /// How far Muster goes by itself. `Observe` never acts, `Approve` asks at the decision, `Automatic` acts.
    #[serde(default)]
    pub mode: Mode,
    /// What is promised, for reports and warnings; no gate reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objectives: Option<Objectives>,
    /// Failure domains that can serve the application, in order of preference.
    #[schemars(
        length(min = 2, max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub regions: Vec<Region>,
    /// Places that probe and report (`muster vantage`). The controller's own probes are one more, named `controller`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub vantages: Vec<Vantage>,
    /// What shows whether a region works.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub probes: Vec<Probe>,
    /// A probe through the public name, as users come; it ends the RTO clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_probe: Option<PublicProbe>,
    /// What turns results into a verdict on a region.
    #[serde(default)]
    pub detection: Detection,
    /// Replicated data stores, promoted in this order.
    #[schemars(
        length(min = 1, max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub data: Vec<DataItem>,
    /// Workloads that the region that takes over needs, scaled up before the old one is fenced and awaited before traffic
    /// moves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub compute: Vec<Compute>,
    /// Public names, moved in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub traffic: Vec<Traffic>,
    /// Ways to make sure that the old primary takes no writes, tried in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub fence: Vec<Fence>,
    /// Your own steps within a run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub hooks: Vec<Hook>,
    /// Limits that no run passes by itself.
    #[serde(default)]
    pub safety: Safety,
}

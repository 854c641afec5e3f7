//! Regions, their clusters, and vantages.

use super::request::SecretRef;
use crate::text::{AwsRegionName, Name, RoleArn, Text, Value};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A failure domain that can serve the application.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Region {
    /// Its name, also in templates as `{{ region.name }}`.
    pub name: Name,
    /// Free texts for templates: `{{ region.values.KEY }}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub values: BTreeMap<String, Value>,
    /// The Kubernetes cluster that its workloads run in; needed where `compute` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Cluster>,
    /// The region of AWS that it is; needed where `data` has an `auroraGlobal` or an `rdsReplica`, and
    /// where a fence is by `aws`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsRegion>,
}

/// A region of AWS, and as whom its databases are steered.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("!has(self.externalIdSecret) || has(self.roleArn)")
        .message("externalIdSecret goes with roleArn").field_path(".externalIdSecret"),
)]
pub struct AwsRegion {
    /// AWS' name of it. Only its own endpoints are called for what stands in it.
    pub region: AwsRegionName,
    /// The role that may steer the databases there, and fence them. Absent: the credentials that Muster runs with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<RoleArn>,
    /// The external id that the role's trust policy asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id_secret: Option<SecretRef>,
}

/// How a region's cluster is reached: exactly one of `kubeconfigSecret` and `inCluster`.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.kubeconfigSecret) != has(self.inCluster)")
        .message("exactly one of kubeconfigSecret and inCluster is needed"),
    validation = Rule::new("!has(self.__namespace__) || has(self.kubeconfigSecret)")
        .message("namespace goes with kubeconfigSecret: in Muster's own cluster it is the policy's").field_path(".namespace"),
)]
pub struct Cluster {
    /// A kubeconfig that holds all it needs: server, certificate-authority-data, and a token or a client certificate. One
    /// that runs a program or names files is refused. New values are taken up while Muster runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig_secret: Option<SecretRef>,
    /// The cluster that Muster itself runs in, with its ServiceAccount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_cluster: Option<InCluster>,
    /// The namespace of the workloads there. Absent: the policy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Text<63>>,
}

/// Nothing more needs to be said.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct InCluster {}

/// A place that probes run from. Replicas of one Deployment are one vantage.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Vantage {
    /// Its name, as it reports.
    pub name: Name,
    /// The region it stands in: there it does not count towards the quorum. Absent: outside all regions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Name>,
    /// The token that it shows when it reports.
    pub token_secret: SecretRef,
}

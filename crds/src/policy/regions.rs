//! Regions and vantages.

use super::request::SecretRef;
use crate::text::{Name, Value};
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
}

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

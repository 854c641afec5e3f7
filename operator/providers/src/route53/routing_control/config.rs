//! What a name needs to know that routing controls decide on.

use super::super::config::ServerName;
use crate::dns::{NameConfig, NameError, SteeredName};
use muster_core::ids::{ItemName, RegionName};
use std::collections::{BTreeMap, BTreeSet};

/// Routing controls that one call may switch (ARC, quotas).
const MOST_CONTROLS: usize = 10;
/// Endpoints of a cluster.
const MOST_ENDPOINTS: usize = 5;

/// One public name in a hosted zone, with a record and a routing control for each region.
#[derive(Clone, Debug)]
pub struct RoutingControlConfig {
    /// The traffic item, for messages.
    pub item: ItemName,
    /// The name, and where it points.
    pub name: NameConfig,
    /// The hosted zone, as `Z0123456789ABCDEFGHIJ`.
    pub zone_id: String,
    /// The zone's authoritative servers; every one is verified. At least one.
    pub servers: Vec<ServerName>,
    /// The cluster's endpoints.
    pub endpoints: Vec<ClusterEndpoint>,
    /// The switch of each region.
    pub controls: BTreeMap<RegionName, ControlPlace>,
}

/// One of a cluster's endpoints.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClusterEndpoint {
    /// The region that it is in, as AWS names it.
    pub aws_region: String,
    /// As `https://....route53-recovery-cluster.us-east-1.amazonaws.com/v1`.
    pub url: String,
}

/// A region's routing control, and the health check that follows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ControlPlace {
    /// The routing control's ARN.
    pub arn: String,
    /// The id of the health check of type `RECOVERY_CONTROL` that the region's record has.
    pub health_check: String,
}

impl ControlPlace {
    /// The ARN of the control's panel. `None`: this is no ARN of a routing control.
    pub fn panel(&self) -> Option<&str> {
        self.arn.split_once("/routingcontrol/").map(|(panel, _)| panel)
    }
}

impl RoutingControlConfig {
    /// All that requests and states are about, so that another version of the policy can go on with what is remembered of
    /// them, also under another name.
    pub(super) fn what_is_switched(&self) -> String {
        let arns: Vec<_> = self.controls.iter().map(|(region, place)| (region, &place.arn)).collect();
        format!("{arns:?}")
    }
}

/// What is wrong with a configuration; each names the field and the fix.
#[derive(Debug, thiserror::Error)]
pub enum RoutingControlConfigError {
    /// The name, or where it points.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Nobody to verify at.
    #[error("nameServers: list the zone's delegation set, as `aws route53 get-hosted-zone` shows it")]
    NoServer,
    /// One alone may be under maintenance on the day.
    #[error("endpoints: give two to five of the cluster's, each once")]
    Endpoints,
    /// A region without a control, or a control without a region.
    #[error("regions: each needs its routing control and its health check, and no other may have one")]
    OtherRegions,
    /// One call switches no more.
    #[error("regions: one call switches at most {MOST_CONTROLS} routing controls")]
    TooManyRegions,
    /// Two regions would be switched by one.
    #[error("regions: two share a routing control or a health check; give each its own")]
    SharedPlace,
    /// A safety rule is about one panel, and one call about one cluster.
    #[error("regions: the routing controls are not all of one control panel")]
    OtherPanel,
}

/// Checks everything, and reads the name.
pub(super) fn check(config: &RoutingControlConfig) -> Result<SteeredName, RoutingControlConfigError> {
    use RoutingControlConfigError as Wrong;
    if config.servers.is_empty() {
        return Err(Wrong::NoServer);
    }
    let name = SteeredName::from_config(&config.name)?.without_witness();
    let count = config.endpoints.len();
    let regions: BTreeSet<&str> = config.endpoints.iter().map(|e| e.aws_region.as_str()).collect();
    let urls: BTreeSet<&str> = config.endpoints.iter().map(|e| e.url.as_str()).collect();
    if !(2..=MOST_ENDPOINTS).contains(&count) || regions.len() != count || urls.len() != count {
        return Err(Wrong::Endpoints);
    }
    if !name.targets.keys().eq(config.controls.keys()) {
        return Err(Wrong::OtherRegions);
    }
    if config.controls.len() > MOST_CONTROLS {
        return Err(Wrong::TooManyRegions);
    }
    let places = || config.controls.values();
    let arns: BTreeSet<&str> = places().map(|place| place.arn.as_str()).collect();
    let checks: BTreeSet<&str> = places().map(|place| place.health_check.as_str()).collect();
    if arns.len() != config.controls.len() || checks.len() != config.controls.len() {
        return Err(Wrong::SharedPlace);
    }
    let panels: BTreeSet<Option<&str>> = places().map(ControlPlace::panel).collect();
    if panels.len() != 1 || panels.contains(&None) {
        return Err(Wrong::OtherPanel);
    }
    Ok(name)
}

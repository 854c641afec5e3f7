//! What a name with two failover records needs to know.

use super::super::config::ServerName;
use crate::dns::{NameConfig, NameError, SteeredName};
use muster_core::ids::{ItemName, RegionName};
use muster_core::secret::Secret;
use std::collections::{BTreeMap, BTreeSet};

/// One public name in a hosted zone, with a failover record for each of two regions.
#[derive(Clone, Debug)]
pub struct HealthObjectConfig {
    /// The traffic item, for messages.
    pub item: ItemName,
    /// The name, and where it points.
    pub name: NameConfig,
    /// The hosted zone, as `Z0123456789ABCDEFGHIJ`.
    pub zone_id: String,
    /// The zone's authoritative servers; every one is verified. At least one.
    pub servers: Vec<ServerName>,
    /// What the health checks look for, behind `muster-on-`: 16 to 128 letters and digits.
    pub secret: Secret,
    /// Where each region's marker is.
    pub markers: BTreeMap<RegionName, MarkerPlace>,
    /// The id of a health check that is always healthy, because it is disabled; `None`: the name cannot be pinned.
    pub pin_check: Option<String>,
}

/// Where a region's marker is, and which health check watches it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MarkerPlace {
    /// A bucket in that region.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// The region's name in AWS, as `us-west-2`.
    pub aws_region: String,
    /// The id of the inverted health check that watches the object.
    pub health_check: String,
}

/// What is wrong with a configuration; each names the field and the fix.
#[derive(Debug, thiserror::Error)]
pub enum HealthObjectConfigError {
    /// The name, or where it points.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Nobody to verify at.
    #[error("nameServers: list the zone's delegation set, as `aws route53 get-hosted-zone` shows it")]
    NoServer,
    /// A failover record is primary or secondary, and there is no third.
    #[error(
        "regions: failover records know two regions, and {count} are given; use `routingControl` or `record` for more"
    )]
    NotTwoRegions {
        /// How many.
        count: usize,
    },
    /// A region without a marker, or a marker without a region.
    #[error("regions: each needs its bucket and its health check, and no other may have one")]
    OtherRegions,
    /// Both regions would be switched by one object.
    #[error("regions: two share a bucket, an AWS region or a health check; give each its own")]
    SharedPlace,
    /// Attached, it would be taken for one that watches a marker.
    #[error("pinHealthCheckId: it is a region's, too; give it a health check of its own, which is disabled")]
    SharedPin,
    /// A text that a health check could find by accident.
    #[error("secret: use 16 to 128 letters and digits")]
    BadSecret,
}

impl HealthObjectConfig {
    /// What stands before the secret in an object that is on.
    pub const ON: &'static str = "muster-on-";

    /// All that what is remembered of the name is about, so that another version of the policy can go on with it.
    pub(super) fn what_is_remembered(&self) -> String {
        format!("{} {} {:?} {:?}", self.zone_id, self.name.record, self.markers, self.pin_check)
    }

    /// Whether a text can be the markers' secret.
    pub fn is_secret(text: &str) -> bool {
        (16..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
    }
}

/// Checks everything, and reads the name.
pub(super) fn check(config: &HealthObjectConfig) -> Result<SteeredName, HealthObjectConfigError> {
    if config.servers.is_empty() {
        return Err(HealthObjectConfigError::NoServer);
    }
    let name = SteeredName::from_config(&config.name)?.without_witness();
    if name.targets.len() != 2 {
        return Err(HealthObjectConfigError::NotTwoRegions { count: name.targets.len() });
    }
    if !name.targets.keys().eq(config.markers.keys()) {
        return Err(HealthObjectConfigError::OtherRegions);
    }
    let places = || config.markers.values();
    let differ = |part: fn(&MarkerPlace) -> &str| places().map(part).collect::<BTreeSet<_>>().len() == 2;
    let parts: [fn(&MarkerPlace) -> &str; 3] =
        [|p| p.bucket.as_str(), |p| p.aws_region.as_str(), |p| p.health_check.as_str()];
    if !parts.into_iter().all(differ) {
        return Err(HealthObjectConfigError::SharedPlace);
    }
    if places().any(|place| Some(&place.health_check) == config.pin_check.as_ref()) {
        return Err(HealthObjectConfigError::SharedPin);
    }
    if !HealthObjectConfig::is_secret(config.secret.expose()) {
        return Err(HealthObjectConfigError::BadSecret);
    }
    Ok(name)
}

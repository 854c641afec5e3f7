//! What a health check is asked to do.
//!
//! Of the addresses that the real service refuses those of loopback are taken, for no other is ever asked here.

use super::ObjectCheck;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// Of a search string, in octets.
const LONGEST_SEARCH: usize = 255;
const FEWEST_REGIONS: usize = 3;
const DEFAULT_INTERVAL_S: u64 = 30;
const SHORTEST_INTERVAL_S: u64 = 10;
const DEFAULT_THRESHOLD: u32 = 3;
const HIGHEST_THRESHOLD: u32 = 10;

/// What a checker does, or that there is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Http,
    Https,
    HttpMatch,
    HttpsMatch,
    Tcp,
    Calculated,
    RecoveryControl,
}

impl Kind {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "HTTP" => Self::Http,
            "HTTPS" => Self::Https,
            "HTTP_STR_MATCH" => Self::HttpMatch,
            "HTTPS_STR_MATCH" => Self::HttpsMatch,
            "TCP" => Self::Tcp,
            "CALCULATED" => Self::Calculated,
            "RECOVERY_CONTROL" => Self::RecoveryControl,
            _ => return None,
        })
    }

    fn is_matching(self) -> bool {
        matches!(self, Self::HttpMatch | Self::HttpsMatch)
    }

    fn default_port(self) -> Option<u16> {
        match self {
            Self::Http | Self::HttpMatch => Some(80),
            Self::Https | Self::HttpsMatch => Some(443),
            Self::Tcp | Self::Calculated | Self::RecoveryControl => None,
        }
    }

    /// Whether checkers ask an endpoint.
    pub(super) fn has_checkers(self) -> bool {
        !matches!(self, Self::Calculated | Self::RecoveryControl)
    }
}

/// As it is sent and given back.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct HealthCheckConfig {
    #[serde(rename = "IPAddress", default, skip_serializing_if = "Option::is_none")]
    pub(super) ip_address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) port: Option<u16>,
    #[serde(rename = "Type")]
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) resource_path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fully_qualified_domain_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) search_string: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request_interval: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure_threshold: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    measure_latency: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inverted: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disabled: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    health_threshold: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    child_health_checks: Option<Children>,
    #[serde(rename = "EnableSNI", default, skip_serializing_if = "Option::is_none")]
    enable_sni: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    regions: Option<Regions>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) routing_control_arn: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Children {
    #[serde(rename = "ChildHealthCheck", default)]
    list: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Regions {
    #[serde(rename = "Region", default)]
    list: Vec<String>,
}

/// What can be changed later; what is left out stays.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Update {
    #[serde(rename = "@xmlns", default)]
    pub(super) xmlns: Option<String>,
    /// The version that is to be replaced.
    #[serde(default)]
    pub(super) health_check_version: Option<u64>,
    #[serde(rename = "IPAddress", default)]
    ip_address: Option<String>,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    resource_path: Option<String>,
    #[serde(default)]
    fully_qualified_domain_name: Option<String>,
    #[serde(default)]
    search_string: Option<String>,
    #[serde(default)]
    failure_threshold: Option<u32>,
    #[serde(default)]
    inverted: Option<bool>,
    #[serde(default)]
    disabled: Option<bool>,
    #[serde(default)]
    health_threshold: Option<usize>,
    #[serde(default)]
    child_health_checks: Option<Children>,
    #[serde(rename = "EnableSNI", default)]
    enable_sni: Option<bool>,
    #[serde(default)]
    regions: Option<Regions>,
}

fn replace<T>(current: &mut Option<T>, new: Option<T>) {
    if new.is_some() {
        *current = new;
    }
}

impl HealthCheckConfig {
    /// Disabled: always well. What it would ask is nobody.
    pub(super) fn of_nothing() -> Self {
        Self {
            kind: "HTTP".to_owned(),
            fully_qualified_domain_name: Some("always-healthy.invalid".to_owned()),
            disabled: Some(true),
            ..Self::default()
        }
    }

    /// Well while this routing control is on.
    pub(super) fn of_control(arn: &str) -> Self {
        Self {
            kind: "RECOVERY_CONTROL".to_owned(),
            routing_control_arn: Some(arn.to_owned()),
            ..Self::default()
        }
    }

    /// Inverted: well as long as the object is not there, or lacks the text.
    pub(super) fn of_object(object: &ObjectCheck<'_>) -> Self {
        Self {
            kind: "HTTPS_STR_MATCH".to_owned(),
            fully_qualified_domain_name: Some(format!(
                "{}.s3.{}.amazonaws.com",
                object.bucket, object.region
            )),
            resource_path: Some(format!("/{}", object.key)),
            search_string: Some(object.text.to_owned()),
            request_interval: Some(SHORTEST_INTERVAL_S),
            failure_threshold: Some(1),
            inverted: Some(true),
            ..Self::default()
        }
    }

    /// As slow to change its mind as the API allows.
    pub(super) fn at_its_slowest(self) -> Self {
        Self {
            request_interval: Some(DEFAULT_INTERVAL_S),
            failure_threshold: Some(HIGHEST_THRESHOLD),
            ..self
        }
    }

    /// Fills in what was left out, or says why the service would not take it.
    pub(super) fn complete(mut self) -> Result<Self, String> {
        let kind = Kind::parse(&self.kind).ok_or_else(|| format!("Unknown type '{}'", self.kind))?;
        self.port = self.port.or(kind.default_port());
        self.measure_latency.get_or_insert(false);
        self.inverted.get_or_insert(false);
        self.disabled.get_or_insert(false);
        if kind.has_checkers() {
            self.request_interval.get_or_insert(DEFAULT_INTERVAL_S);
            self.failure_threshold.get_or_insert(DEFAULT_THRESHOLD);
            self.enable_sni.get_or_insert(matches!(kind, Kind::Https | Kind::HttpsMatch));
        }
        let judged = match kind {
            Kind::Calculated => self.judge_calculated(),
            Kind::RecoveryControl => self.judge_control(),
            _ => self.judge_endpoint(kind),
        };
        judged.map_err(str::to_owned)?;
        Ok(self)
    }

    fn names_an_endpoint(&self) -> bool {
        self.ip_address.is_some()
            || self.port.is_some()
            || self.resource_path.is_some()
            || self.fully_qualified_domain_name.is_some()
            || self.search_string.is_some()
            || self.regions.is_some()
    }

    fn judge_control(&self) -> Result<(), &'static str> {
        if self.names_an_endpoint() || self.health_threshold.is_some() || self.child_health_checks.is_some() {
            return Err("A health check of a routing control has neither an endpoint nor children");
        }
        let is_named =
            self.routing_control_arn.as_deref().is_some_and(|arn| arn.contains("/routingcontrol/"));
        if is_named { Ok(()) } else { Err("RoutingControlArn must be that of a routing control") }
    }

    fn judge_calculated(&self) -> Result<(), &'static str> {
        if self.names_an_endpoint() {
            return Err("A calculated health check has no endpoint");
        }
        if self.health_threshold.is_none() || self.children().is_empty() {
            return Err("A calculated health check has ChildHealthChecks and a HealthThreshold");
        }
        Ok(())
    }

    fn judge_endpoint(&self, kind: Kind) -> Result<(), &'static str> {
        if self.routing_control_arn.is_some() {
            return Err("Only a health check of type RECOVERY_CONTROL has a RoutingControlArn");
        }
        if self.health_threshold.is_some() || self.child_health_checks.is_some() {
            return Err("Only a calculated health check has ChildHealthChecks and a HealthThreshold");
        }
        if self.ip_address.is_none() && self.fully_qualified_domain_name.is_none() {
            return Err("Either IPAddress or FullyQualifiedDomainName must be specified");
        }
        if self.ip_address.as_ref().is_some_and(|address| address.parse::<IpAddr>().is_err()) {
            return Err("IPAddress must be a valid IPv4 or IPv6 address");
        }
        if self.port.is_none_or(|port| port == 0) {
            return Err("Port must be between 1 and 65535");
        }
        if !matches!(self.request_interval, Some(10 | 30)) {
            return Err("RequestInterval must be 10 or 30");
        }
        if !(1..=HIGHEST_THRESHOLD).contains(&self.threshold()) {
            return Err("FailureThreshold must be between 1 and 10");
        }
        if self.regions.as_ref().is_some_and(|regions| regions.list.len() < FEWEST_REGIONS) {
            return Err("At least 3 regions must be specified");
        }
        if kind == Kind::Tcp && self.resource_path.is_some() {
            return Err("ResourcePath is not allowed for this type");
        }
        match (&self.search_string, kind.is_matching()) {
            (Some(text), true) if (1..=LONGEST_SEARCH).contains(&text.len()) => Ok(()),
            (_, true) => Err("SearchString must have between 1 and 255 characters"),
            (Some(_), false) => Err("SearchString is not allowed for this type"),
            (None, false) => Ok(()),
        }
    }

    /// With these changes.
    pub(super) fn updated(&self, update: Update) -> Result<Self, String> {
        let mut config = self.clone();
        replace(&mut config.ip_address, update.ip_address);
        replace(&mut config.port, update.port);
        replace(&mut config.resource_path, update.resource_path);
        replace(&mut config.fully_qualified_domain_name, update.fully_qualified_domain_name);
        replace(&mut config.search_string, update.search_string);
        replace(&mut config.failure_threshold, update.failure_threshold);
        replace(&mut config.inverted, update.inverted);
        replace(&mut config.disabled, update.disabled);
        replace(&mut config.health_threshold, update.health_threshold);
        replace(&mut config.child_health_checks, update.child_health_checks);
        replace(&mut config.enable_sni, update.enable_sni);
        replace(&mut config.regions, update.regions);
        config.complete()
    }

    /// It was parsed when the health check was created.
    pub(super) fn kind(&self) -> Kind {
        Kind::parse(&self.kind).unwrap_or(Kind::Calculated)
    }

    pub(super) fn interval(&self) -> Duration {
        Duration::from_secs(self.request_interval.unwrap_or(DEFAULT_INTERVAL_S))
    }

    /// How many answers in a row change the opinion of a checker.
    pub(super) fn threshold(&self) -> u32 {
        self.failure_threshold.unwrap_or(DEFAULT_THRESHOLD)
    }

    pub(super) fn is_inverted(&self) -> bool {
        self.inverted == Some(true)
    }

    pub(super) fn is_disabled(&self) -> bool {
        self.disabled == Some(true)
    }

    pub(super) fn children(&self) -> &[String] {
        self.child_health_checks.as_ref().map(|children| children.list.as_slice()).unwrap_or_default()
    }

    /// How many of the children have to be healthy.
    pub(super) fn health_threshold(&self) -> usize {
        self.health_threshold.unwrap_or_default()
    }
}

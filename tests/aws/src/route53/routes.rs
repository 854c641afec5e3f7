//! Which operation a request asks for.

use crate::request::ApiRequest;
use crate::service::Operation;

/// An operation on zones, and the id of what it is about.
pub(super) enum ZoneRoute {
    GetHostedZone(String),
    ListResourceRecordSets(String),
    ChangeResourceRecordSets(String),
    GetChange(String),
}

/// An operation on health checks, and the id of the one that it is about.
pub(super) enum HealthRoute {
    Create,
    List,
    Get(String),
    Status(String),
    Update(String),
    Delete(String),
}

/// An operation.
pub(super) enum Route {
    Zones(ZoneRoute),
    Health(HealthRoute),
}

impl Route {
    pub(super) fn read(request: &ApiRequest) -> Option<Self> {
        let mut segments = request.segments();
        // An id may bear its prefix: `hostedzone//hostedzone/Z1`, and `change//change/C1`.
        segments.dedup();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (version, rest) = segments.split_first()?;
        if *version != "2013-04-01" {
            return None;
        }
        let method = request.method.as_str();
        let zones = ZoneRoute::read(method, rest).map(Self::Zones);
        zones.or_else(|| HealthRoute::read(method, rest).map(Self::Health))
    }

    pub(super) fn operation(&self) -> Operation {
        let (name, is_mutation) = match self {
            Self::Zones(ZoneRoute::GetHostedZone(_)) => ("GetHostedZone", false),
            Self::Zones(ZoneRoute::ListResourceRecordSets(_)) => ("ListResourceRecordSets", false),
            Self::Zones(ZoneRoute::ChangeResourceRecordSets(_)) => ("ChangeResourceRecordSets", true),
            Self::Zones(ZoneRoute::GetChange(_)) => ("GetChange", false),
            Self::Health(HealthRoute::Create) => ("CreateHealthCheck", true),
            Self::Health(HealthRoute::List) => ("ListHealthChecks", false),
            Self::Health(HealthRoute::Get(_)) => ("GetHealthCheck", false),
            Self::Health(HealthRoute::Status(_)) => ("GetHealthCheckStatus", false),
            Self::Health(HealthRoute::Update(_)) => ("UpdateHealthCheck", true),
            Self::Health(HealthRoute::Delete(_)) => ("DeleteHealthCheck", true),
        };
        Operation { name, is_mutation }
    }
}

impl ZoneRoute {
    fn read(method: &str, segments: &[&str]) -> Option<Self> {
        match (method, segments) {
            ("GET", ["hostedzone", id]) => Some(Self::GetHostedZone((*id).to_owned())),
            ("GET", ["hostedzone", id, "rrset"]) => Some(Self::ListResourceRecordSets((*id).to_owned())),
            ("POST", ["hostedzone", id, "rrset"]) => Some(Self::ChangeResourceRecordSets((*id).to_owned())),
            ("GET", ["change", id]) => Some(Self::GetChange((*id).to_owned())),
            _ => None,
        }
    }
}

impl HealthRoute {
    fn read(method: &str, segments: &[&str]) -> Option<Self> {
        match (method, segments) {
            ("POST", ["healthcheck"]) => Some(Self::Create),
            ("GET", ["healthcheck"]) => Some(Self::List),
            ("GET", ["healthcheck", id]) => Some(Self::Get((*id).to_owned())),
            ("GET", ["healthcheck", id, "status"]) => Some(Self::Status((*id).to_owned())),
            ("POST", ["healthcheck", id]) => Some(Self::Update((*id).to_owned())),
            ("DELETE", ["healthcheck", id]) => Some(Self::Delete((*id).to_owned())),
            _ => None,
        }
    }
}

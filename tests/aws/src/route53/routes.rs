//! Which operation a request asks for.

use crate::request::ApiRequest;
use crate::service::Operation;

/// An operation, and the id of what it is about.
pub(super) enum Route {
    GetHostedZone(String),
    ListResourceRecordSets(String),
    ChangeResourceRecordSets(String),
    GetChange(String),
}

impl Route {
    pub(super) fn read(request: &ApiRequest) -> Option<Self> {
        let mut segments = request.segments();
        // An id may bear its prefix: `hostedzone//hostedzone/Z1`, and `change//change/C1`.
        segments.dedup();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match (request.method.as_str(), segments.as_slice()) {
            ("GET", ["2013-04-01", "hostedzone", id]) => Some(Self::GetHostedZone((*id).to_owned())),
            ("GET", ["2013-04-01", "hostedzone", id, "rrset"]) => {
                Some(Self::ListResourceRecordSets((*id).to_owned()))
            }
            ("POST", ["2013-04-01", "hostedzone", id, "rrset"]) => {
                Some(Self::ChangeResourceRecordSets((*id).to_owned()))
            }
            ("GET", ["2013-04-01", "change", id]) => Some(Self::GetChange((*id).to_owned())),
            _ => None,
        }
    }

    pub(super) fn operation(&self) -> Operation {
        let (name, is_mutation) = match self {
            Self::GetHostedZone(_) => ("GetHostedZone", false),
            Self::ListResourceRecordSets(_) => ("ListResourceRecordSets", false),
            Self::ChangeResourceRecordSets(_) => ("ChangeResourceRecordSets", true),
            Self::GetChange(_) => ("GetChange", false),
        };
        Operation { name, is_mutation }
    }
}

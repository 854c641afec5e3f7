//! Which operation a request asks for.

use crate::request::ApiRequest;
use crate::service::Operation;
use percent_encoding::percent_decode_str;

/// An operation, and the key that it is about.
pub(super) enum Action {
    HeadBucket,
    GetBucketLocation,
    GetObject(String),
    HeadObject(String),
    PutObject(String),
    DeleteObject(String),
}

/// An action, and the bucket that it is about.
pub(super) struct Route {
    pub(super) bucket: String,
    pub(super) action: Action,
}

impl Route {
    /// Reads `/BUCKET/KEY`; a key may have slashes in it. A parameter that is not known makes it another operation.
    pub(super) fn read(request: &ApiRequest) -> Option<Self> {
        let path = request.path().strip_prefix('/')?;
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let [bucket, key] =
            [bucket, key].map(|text| percent_decode_str(text).decode_utf8_lossy().into_owned());
        if bucket.is_empty() {
            return None;
        }
        let mut parameters = request.parameter_names();
        // The SDKs name the operation.
        parameters.retain(|name| name != "x-id");
        let parameters: Vec<&str> = parameters.iter().map(String::as_str).collect();
        let action = match (request.method.as_str(), key.is_empty(), parameters.as_slice()) {
            ("HEAD", true, []) => Action::HeadBucket,
            ("GET", true, ["location"]) => Action::GetBucketLocation,
            ("GET", false, []) => Action::GetObject(key),
            ("HEAD", false, []) => Action::HeadObject(key),
            ("PUT", false, []) => Action::PutObject(key),
            ("DELETE", false, []) => Action::DeleteObject(key),
            _ => return None,
        };
        Some(Self { bucket, action })
    }

    pub(super) fn operation(&self) -> Operation {
        let (name, is_mutation) = match self.action {
            Action::HeadBucket => ("HeadBucket", false),
            Action::GetBucketLocation => ("GetBucketLocation", false),
            Action::GetObject(_) => ("GetObject", false),
            Action::HeadObject(_) => ("HeadObject", false),
            Action::PutObject(_) => ("PutObject", true),
            Action::DeleteObject(_) => ("DeleteObject", true),
        };
        Operation { name, is_mutation }
    }
}

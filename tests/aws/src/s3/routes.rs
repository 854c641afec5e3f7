//! Which operation a request asks for.

use crate::request::ApiRequest;
use crate::service::Operation;
use percent_encoding::percent_decode_str;

/// An operation, and the key that it is about.
pub(super) enum Action {
    CreateBucket,
    HeadBucket,
    GetBucketLocation,
    GetBucketPolicy,
    PutBucketPolicy,
    GetPublicAccessBlock,
    PutPublicAccessBlock,
    ListObjects(Listing),
    GetObject(String),
    HeadObject(String),
    PutObject(String),
    DeleteObject(String),
}

/// Which objects a list is to tell of.
pub(super) struct Listing {
    pub(super) prefix: String,
    /// The keys behind this one.
    pub(super) after: Option<String>,
    /// At most so many.
    pub(super) limit: usize,
}

/// The most that one answer lists.
const LONGEST_LIST: usize = 1000;
/// What makes it a list of the second version, and what may narrow it.
const LIST: &str = "list-type";
const NARROWS_LIST: [&str; 4] = ["prefix", "max-keys", "continuation-token", "start-after"];

/// `None`: a parameter would make it another list, or is none.
fn read_listing(request: &ApiRequest, parameters: &[&str]) -> Option<Listing> {
    let is_known = |name: &&str| *name == LIST || NARROWS_LIST.contains(name);
    if request.parameter(LIST)? != "2" || !parameters.iter().all(is_known) {
        return None;
    }
    let limit = match request.parameter("max-keys") {
        Some(limit) => limit.parse::<usize>().ok()?.min(LONGEST_LIST),
        None => LONGEST_LIST,
    };
    let after = request.parameter("continuation-token").or_else(|| request.parameter("start-after"));
    Some(Listing { prefix: request.parameter("prefix").unwrap_or_default(), after, limit })
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
            ("PUT", true, []) => Action::CreateBucket,
            ("HEAD", true, []) => Action::HeadBucket,
            ("GET", true, ["location"]) => Action::GetBucketLocation,
            ("GET", true, ["policy"]) => Action::GetBucketPolicy,
            ("PUT", true, ["policy"]) => Action::PutBucketPolicy,
            ("GET", true, ["publicAccessBlock"]) => Action::GetPublicAccessBlock,
            ("PUT", true, ["publicAccessBlock"]) => Action::PutPublicAccessBlock,
            ("GET", true, _) => Action::ListObjects(read_listing(request, &parameters)?),
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
            Action::CreateBucket => ("CreateBucket", true),
            Action::HeadBucket => ("HeadBucket", false),
            Action::GetBucketLocation => ("GetBucketLocation", false),
            Action::GetBucketPolicy => ("GetBucketPolicy", false),
            Action::PutBucketPolicy => ("PutBucketPolicy", true),
            Action::GetPublicAccessBlock => ("GetPublicAccessBlock", false),
            Action::PutPublicAccessBlock => ("PutPublicAccessBlock", true),
            Action::ListObjects(_) => ("ListObjectsV2", false),
            Action::GetObject(_) => ("GetObject", false),
            Action::HeadObject(_) => ("HeadObject", false),
            Action::PutObject(_) => ("PutObject", true),
            Action::DeleteObject(_) => ("DeleteObject", true),
        };
        Operation { name, is_mutation }
    }
}

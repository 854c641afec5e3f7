//! A request, as far as every service reads it in the same way.
//!
//! What this module must never do: verify a signature. The scope of one only says who asks, for what, and where.

use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::http::request::Parts;
use percent_encoding::percent_decode_str;
use url::form_urlencoded;

/// The credential scope of a signature: `AKID/20260101/us-east-1/route53/aws4_request`.
#[derive(Clone, Default)]
pub(crate) struct Scope {
    pub(crate) access_key: String,
    pub(crate) region: String,
    pub(crate) service: String,
}

impl Scope {
    fn parse(authorization: &str) -> Option<Self> {
        let (_, rest) = authorization.split_once("Credential=")?;
        let credential = rest.split([',', ' ']).next()?;
        let parts: Vec<&str> = credential.split('/').collect();
        let [access_key, _date, region, service, "aws4_request"] = parts[..] else { return None };
        Some(Self {
            access_key: access_key.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
        })
    }
}

/// What was sent.
pub(crate) struct ApiRequest {
    pub(crate) method: Method,
    /// Empty in all its parts if the request bears none.
    pub(crate) scope: Scope,
    path: String,
    query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl ApiRequest {
    pub(crate) fn new(head: &Parts, body: Bytes) -> Self {
        let authorization = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        Self {
            method: head.method.clone(),
            scope: authorization.and_then(Scope::parse).unwrap_or_default(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers.clone(),
            body,
        }
    }

    /// Whether nobody says who asks.
    pub(crate) fn is_anonymous(&self) -> bool {
        !self.headers.contains_key(AUTHORIZATION)
    }

    /// The value of a header, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The path as it was sent.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The parts of the path, decoded; an encoded slash parts them like any other.
    pub(crate) fn segments(&self) -> Vec<String> {
        let path = percent_decode_str(&self.path).decode_utf8_lossy();
        path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    /// The names of the query's parameters, decoded.
    pub(crate) fn parameter_names(&self) -> Vec<String> {
        form_urlencoded::parse(self.query.as_bytes()).map(|(key, _)| key.into_owned()).collect()
    }

    /// A parameter of the query, decoded.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = form_urlencoded::parse(self.query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

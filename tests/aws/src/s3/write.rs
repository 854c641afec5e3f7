//! What a request wants written, and under which condition.
//!
//! What this module must never do: pass over a header that would change what the real service keeps.

use super::chunked;
use super::refusals::S3Refusal;
use super::store::{Condition, Object, Write};
use crate::request::ApiRequest;
use hyper::body::Bytes;
use hyper::header::HeaderName;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// What the service takes an object for that nobody named the type of.
const UNNAMED_TYPE: &str = "binary/octet-stream";
/// Headers that say how a request was made, and nothing of the object.
const KNOWN_HEADERS: [&str; 8] = [
    "x-amz-date",
    "x-amz-content-sha256",
    "x-amz-security-token",
    "x-amz-user-agent",
    "x-amz-decoded-content-length",
    "x-amz-trailer",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-expected-bucket-owner",
];
/// Headers of HTTP itself that the service would keep, or judge by.
const UNKNOWN_HEADERS: [&str; 7] = [
    "cache-control",
    "content-disposition",
    "content-language",
    "content-md5",
    "expires",
    "if-modified-since",
    "if-unmodified-since",
];

/// The content that is to be written.
pub(super) struct Upload {
    condition: Condition,
    content_type: String,
    body: Bytes,
}

impl Upload {
    pub(super) fn into_write(self, modified: Timestamp) -> Write {
        let Self { condition, content_type, body } = self;
        Write { condition, object: Object { etag: etag_of(&body), content_type, modified, body } }
    }
}

/// Reads a `PutObject`.
pub(super) fn read(request: &ApiRequest) -> Result<Upload, S3Refusal> {
    refuse_unknown_headers(request)?;
    let condition = read_condition(request)?;
    if condition == Condition::Present {
        return Err(not_implemented("if-match: *"));
    }
    let content_type = request.header("content-type").unwrap_or(UNNAMED_TYPE).to_owned();
    Ok(Upload { condition, content_type, body: read_body(request)? })
}

/// Reads a `DeleteObject`.
pub(super) fn read_deletion(request: &ApiRequest) -> Result<Condition, S3Refusal> {
    refuse_unknown_headers(request)?;
    let condition = read_condition(request)?;
    if condition == Condition::Absent { Err(not_implemented("if-none-match")) } else { Ok(condition) }
}

pub(super) fn refuse_unknown_headers(request: &ApiRequest) -> Result<(), S3Refusal> {
    let is_unknown = |name: &&str| {
        let is_known = KNOWN_HEADERS.contains(name) || name.starts_with("x-amz-checksum-");
        UNKNOWN_HEADERS.contains(name) || (name.starts_with("x-amz-") && !is_known)
    };
    let mut names = request.headers.keys().map(HeaderName::as_str);
    names.find(is_unknown).map_or(Ok(()), |name| Err(not_implemented(name)))
}

fn read_condition(request: &ApiRequest) -> Result<Condition, S3Refusal> {
    match (request.header("if-match"), request.header("if-none-match")) {
        (None, None) => Ok(Condition::Always),
        (None, Some("*")) => Ok(Condition::Absent),
        (Some("*"), None) => Ok(Condition::Present),
        (Some(etag), None) => Ok(Condition::Unchanged(quote(etag))),
        (_, Some(_)) => Err(not_implemented("if-none-match")),
    }
}

/// The service takes a tag without its quotation marks for the same.
fn quote(etag: &str) -> String {
    format!("\"{}\"", etag.trim_matches('"'))
}

pub(super) fn read_body(request: &ApiRequest) -> Result<Bytes, S3Refusal> {
    let encoding = request.header("content-encoding").unwrap_or_default();
    let digest = request.header("x-amz-content-sha256").unwrap_or_default();
    if !matches!(encoding, "" | "aws-chunked") {
        return Err(not_implemented("content-encoding"));
    }
    if encoding.is_empty() && !digest.starts_with("STREAMING-") {
        return Ok(request.body.clone());
    }
    let content = chunked::decode(&request.body).ok_or(S3Refusal::IncompleteBody)?;
    let length = request.header("x-amz-decoded-content-length").and_then(|text| text.parse::<usize>().ok());
    if length.is_some_and(|length| length != content.len()) {
        return Err(S3Refusal::IncompleteBody);
    }
    Ok(Bytes::from(content))
}

/// As long as the MD5 of the real service, and as good a name of the content.
fn etag_of(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    let first = digest.first_chunk::<16>().expect("a SHA-256 has 32 octets");
    format!("\"{:032x}\"", u128::from_be_bytes(*first))
}

fn not_implemented(what: &str) -> S3Refusal {
    S3Refusal::NotImplemented(what.to_owned())
}

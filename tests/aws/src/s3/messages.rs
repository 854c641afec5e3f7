//! The documents of the protocol.

use super::access::PublicAccessBlock;
use super::refusals::S3Refusal;
use super::routes::Listing;
use super::store::{Object, Page};
use crate::service::Refusal;
use crate::xml::write_document;
use serde::{Deserialize, Serialize};

/// Of the documents that are no errors.
const XMLNS: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
/// The region that a document leaves out.
const FIRST_REGION: &str = "us-east-1";

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorDocument<'a> {
    code: &'a str,
    message: &'a str,
    request_id: &'a str,
    host_id: &'a str,
}

/// Writes a refusal as `<Error>`, which S3 wraps into nothing.
pub(super) fn write_error(refusal: &Refusal, request_id: &str) -> String {
    let document =
        ErrorDocument { code: &refusal.code, message: &refusal.message, request_id, host_id: "fake" };
    write_document("Error", &document)
}

#[derive(Serialize)]
struct Location<'a> {
    #[serde(rename = "@xmlns")]
    xmlns: &'static str,
    #[serde(rename = "$text", skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
}

/// Writes where a bucket is.
pub(super) fn write_location(region: &str) -> String {
    let region = (region != FIRST_REGION).then_some(region);
    write_document("LocationConstraint", &Location { xmlns: XMLNS, region })
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct NewBucket {
    #[serde(rename = "@xmlns", default)]
    _xmlns: Option<String>,
    #[serde(default)]
    location_constraint: Option<String>,
}

/// Reads in which region a bucket is wanted by a request to the endpoint of `asked`.
pub(super) fn read_new_bucket(body: &[u8], asked: &str) -> Result<String, S3Refusal> {
    let text = std::str::from_utf8(body).map_err(|_| S3Refusal::MalformedXml)?;
    let wanted = if text.is_empty() {
        NewBucket::default()
    } else {
        quick_xml::de::from_str(text).map_err(|_| S3Refusal::MalformedXml)?
    };
    match wanted.location_constraint {
        Some(region) if region == FIRST_REGION => Err(S3Refusal::InvalidLocationConstraint),
        Some(region) if region == asked || asked == FIRST_REGION => Ok(region),
        Some(region) => Err(S3Refusal::IllegalLocationConstraint(region)),
        None if asked == FIRST_REGION => Ok(asked.to_owned()),
        None => Err(S3Refusal::IllegalLocationConstraint("unspecified".to_owned())),
    }
}

#[derive(Serialize)]
struct BlockAnswer {
    #[serde(rename = "@xmlns")]
    xmlns: &'static str,
    #[serde(flatten)]
    block: PublicAccessBlock,
}

/// Writes what keeps a bucket from being public.
pub(super) fn write_block(block: PublicAccessBlock) -> String {
    write_document("PublicAccessBlockConfiguration", &BlockAnswer { xmlns: XMLNS, block })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct List<'a> {
    #[serde(rename = "@xmlns")]
    xmlns: &'static str,
    name: &'a str,
    prefix: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    continuation_token: Option<&'a str>,
    key_count: usize,
    max_keys: usize,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_continuation_token: Option<&'a str>,
    contents: Vec<Listed<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listed<'a> {
    key: &'a str,
    last_modified: String,
    #[serde(rename = "ETag")]
    etag: &'a str,
    size: usize,
    storage_class: &'static str,
}

impl<'a> Listed<'a> {
    fn of(key: &'a str, object: &'a Object) -> Self {
        let last_modified = object.modified.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string();
        Self { key, last_modified, etag: &object.etag, size: object.body.len(), storage_class: "STANDARD" }
    }
}

/// Writes a part of a list, and with what to ask for the next one.
pub(super) fn write_list(bucket: &str, listing: &Listing, page: &Page<'_>) -> String {
    let contents: Vec<Listed<'_>> =
        page.objects.iter().map(|(key, object)| Listed::of(key, object)).collect();
    let last = contents.last().map(|listed| listed.key);
    let document = List {
        xmlns: XMLNS,
        name: bucket,
        prefix: &listing.prefix,
        continuation_token: listing.after.as_deref(),
        key_count: contents.len(),
        max_keys: listing.limit,
        is_truncated: page.is_truncated,
        next_continuation_token: last.filter(|_| page.is_truncated),
        contents,
    };
    write_document("ListBucketResult", &document)
}

//! The documents of the protocol.

use crate::service::Refusal;
use crate::xml::write_document;
use serde::Serialize;

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

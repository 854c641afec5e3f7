//! Documents in the form that the XML protocols of AWS share.

use crate::service::Refusal;
use serde::Serialize;

/// Writes a document with this root element.
pub(crate) fn write_document<T: Serialize>(root: &str, content: &T) -> String {
    let body = quick_xml::se::to_string_with_root(root, content)
        .expect("an answer is made of elements, texts and numbers, which XML can carry");
    format!("<?xml version=\"1.0\"?>\n{body}")
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorResponse<'a> {
    #[serde(rename = "@xmlns", skip_serializing_if = "Option::is_none")]
    xmlns: Option<&'a str>,
    error: ErrorElement<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorElement<'a> {
    #[serde(rename = "Type")]
    fault_of: &'a str,
    code: &'a str,
    message: &'a str,
}

/// Writes a refusal as `<ErrorResponse>`.
pub(crate) fn write_error(xmlns: Option<&str>, refusal: &Refusal, request_id: &str) -> String {
    let fault_of = if refusal.status < 500 { "Sender" } else { "Receiver" };
    let error = ErrorElement { fault_of, code: &refusal.code, message: &refusal.message };
    write_document("ErrorResponse", &ErrorResponse { xmlns, error, request_id })
}

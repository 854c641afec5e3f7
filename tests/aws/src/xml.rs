//! Documents in the form that the XML protocols of AWS share.

use crate::service::Refusal;
use serde::Serialize;

/// Writes a document with this root element.
pub(crate) fn write_document<T: Serialize>(root: &str, content: &T) -> String {
    format!("<?xml version=\"1.0\"?>\n{}", write_element(root, content))
}

fn write_element<T: Serialize>(name: &str, content: &T) -> String {
    quick_xml::se::to_string_with_root(name, content)
        .expect("an answer is made of elements, texts and numbers, which XML can carry")
}

/// Writes an answer of the Query protocol: `<ActionResponse>` around `<ActionResult>` and the request's id.
pub(crate) fn write_answer<T: Serialize>(xmlns: &str, action: &str, result: &T, request_id: &str) -> String {
    let result = write_element(&format!("{action}Result"), result);
    format!(
        "<{action}Response xmlns=\"{xmlns}\">{result}<ResponseMetadata><RequestId>{request_id}</RequestId>\
         </ResponseMetadata></{action}Response>"
    )
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

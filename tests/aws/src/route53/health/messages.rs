//! The documents about health checks.
//!
//! What this module must never do: accept an element that would not be given back, or not be acted upon.

use super::checker::source_of;
use super::config::{HealthCheckConfig, Update};
use super::store::{Check, Report};
use crate::route53::messages::XMLNS;
use crate::route53::refusals::Route53Refusal;
use crate::xml::write_document;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A health check that is wanted.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct CreateRequest {
    #[serde(rename = "@xmlns", default)]
    xmlns: Option<String>,
    pub(super) caller_reference: String,
    pub(super) health_check_config: HealthCheckConfig,
}

impl CreateRequest {
    /// As if it had been sent.
    pub(super) fn new(caller_reference: String, health_check_config: HealthCheckConfig) -> Self {
        Self { xmlns: None, caller_reference, health_check_config }
    }
}

fn invalid(message: String) -> Route53Refusal {
    Route53Refusal::InvalidInput(message)
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Route53Refusal> {
    let text = std::str::from_utf8(body).map_err(|error| invalid(error.to_string()))?;
    quick_xml::de::from_str(text).map_err(|error| invalid(format!("Invalid XML ; {error}")))
}

fn judge_namespace(xmlns: Option<&str>) -> Result<(), Route53Refusal> {
    let is_known = xmlns.is_none_or(|xmlns| xmlns == XMLNS);
    if is_known { Ok(()) } else { Err(invalid("Invalid XML ; unknown namespace".to_owned())) }
}

/// Reads the body of a `CreateHealthCheck`.
pub(super) fn read_creation(body: &[u8]) -> Result<CreateRequest, Route53Refusal> {
    let request: CreateRequest = read(body)?;
    judge_namespace(request.xmlns.as_deref())?;
    if request.caller_reference.is_empty() {
        return Err(invalid("CallerReference must not be empty".to_owned()));
    }
    Ok(request)
}

/// Reads the body of an `UpdateHealthCheck`.
pub(super) fn read_update(body: &[u8]) -> Result<Update, Route53Refusal> {
    let update: Update = read(body)?;
    judge_namespace(update.xmlns.as_deref())?;
    Ok(update)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CheckElement<'a> {
    id: &'a str,
    caller_reference: &'a str,
    health_check_config: &'a HealthCheckConfig,
    health_check_version: u64,
}

impl<'a> From<&'a Check> for CheckElement<'a> {
    fn from(check: &'a Check) -> Self {
        Self {
            id: &check.id,
            caller_reference: &check.caller_reference,
            health_check_config: &check.config,
            health_check_version: check.version,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CheckAnswer<'a> {
    #[serde(rename = "@xmlns")]
    xmlns: &'static str,
    health_check: CheckElement<'a>,
}

/// Writes what a health check is.
pub(super) fn write_check(root: &str, check: &Check) -> String {
    write_document(root, &CheckAnswer { xmlns: XMLNS, health_check: check.into() })
}

#[derive(Serialize)]
struct EmptyAnswer {
    #[serde(rename = "@xmlns")]
    xmlns: &'static str,
}

/// Writes that a health check is gone.
pub(super) fn write_deletion() -> String {
    write_document("DeleteHealthCheckResponse", &EmptyAnswer { xmlns: XMLNS })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PageAnswer<'a> {
    #[serde(rename = "@xmlns")]
    xmlns: &'static str,
    health_checks: ChecksElement<'a>,
    marker: &'a str,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<&'a str>,
    max_items: usize,
}

#[derive(Serialize)]
struct ChecksElement<'a> {
    #[serde(rename = "HealthCheck")]
    list: Vec<CheckElement<'a>>,
}

/// Writes a page of a listing.
pub(super) fn write_page(page: &[&Check], marker: &str, next: Option<&str>, max_items: usize) -> String {
    let list = page.iter().map(|check| CheckElement::from(*check)).collect();
    let answer = PageAnswer {
        xmlns: XMLNS,
        health_checks: ChecksElement { list },
        marker,
        is_truncated: next.is_some(),
        next_marker: next,
        max_items,
    };
    write_document("ListHealthChecksResponse", &answer)
}

/// Where checkers ask from, one after the other.
const CHECKER_REGIONS: [&str; 8] = [
    "us-east-1",
    "us-west-1",
    "us-west-2",
    "eu-west-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-northeast-1",
    "sa-east-1",
];

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StatusAnswer {
    #[serde(rename = "@xmlns")]
    xmlns: &'static str,
    health_check_observations: ObservationsElement,
}

#[derive(Serialize)]
struct ObservationsElement {
    #[serde(rename = "HealthCheckObservation")]
    list: Vec<ObservationElement>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ObservationElement {
    region: &'static str,
    #[serde(rename = "IPAddress")]
    ip_address: String,
    status_report: ReportElement,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ReportElement {
    status: String,
    checked_time: String,
}

/// Writes what each checker saw last; one that has not looked yet is left out.
pub(super) fn write_status(check: &Check) -> String {
    let list = check.reports.iter().map(|(number, report)| observation(*number, report)).collect();
    let health_check_observations = ObservationsElement { list };
    write_document("GetHealthCheckStatusResponse", &StatusAnswer { xmlns: XMLNS, health_check_observations })
}

fn observation(number: usize, report: &Report) -> ObservationElement {
    let word = if report.heard.is_good { "Success" } else { "Failure" };
    let status = match report.heard.status {
        Some(status) => format!("{word}: HTTP Status Code: {status}. Resolved IP: 192.0.2.117."),
        None => format!("{word}: Resolved IP: 192.0.2.117."),
    };
    let status_report =
        ReportElement { status, checked_time: report.at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string() };
    let region = CHECKER_REGIONS[number % CHECKER_REGIONS.len()];
    ObservationElement { region, ip_address: source_of(number).to_string(), status_report }
}

//! The documents of JSON 1.0.
//!
//! What this module must never do: accept a field that is not acted upon.

use super::world::Control;
use crate::service::{Refusal, Reply};
use hyper::body::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct GetRequest {
    pub(super) routing_control_arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ListRequest {
    pub(super) control_panel_arn: Option<String>,
    pub(super) next_token: Option<String>,
    pub(super) max_results: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct UpdateOneRequest {
    routing_control_arn: String,
    routing_control_state: String,
    #[serde(default)]
    safety_rules_to_override: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct UpdateManyRequest {
    pub(super) update_routing_control_state_entries: Vec<Entry>,
    #[serde(default)]
    safety_rules_to_override: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Entry {
    routing_control_arn: String,
    routing_control_state: String,
}

/// Controls and what they are to be, and the rules that are overridden.
type Wanted = (BTreeMap<String, bool>, Vec<String>);

impl UpdateOneRequest {
    pub(super) fn split(self) -> Result<Wanted, Refusal> {
        let Self { routing_control_arn, routing_control_state, safety_rules_to_override } = self;
        let entry = Entry { routing_control_arn, routing_control_state };
        Ok((read_entries(vec![entry])?, safety_rules_to_override))
    }
}

impl UpdateManyRequest {
    pub(super) fn split(self) -> Result<Wanted, Refusal> {
        Ok((read_entries(self.update_routing_control_state_entries)?, self.safety_rules_to_override))
    }
}

fn invalid(message: String) -> Refusal {
    Refusal::new(400, "ValidationException", message)
}

fn read_entries(entries: Vec<Entry>) -> Result<BTreeMap<String, bool>, Refusal> {
    let mut wanted = BTreeMap::new();
    for Entry { routing_control_arn, routing_control_state } in entries {
        let is_on = match routing_control_state.as_str() {
            "On" => true,
            "Off" => false,
            other => return Err(invalid(format!("RoutingControlState '{other}' is neither On nor Off"))),
        };
        if wanted.insert(routing_control_arn, is_on).is_some() {
            return Err(invalid("A routing control is named twice".to_owned()));
        }
    }
    if wanted.is_empty() {
        return Err(invalid("No routing control state entries".to_owned()));
    }
    Ok(wanted)
}

pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| invalid(error.to_string()))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listed<'a> {
    control_panel_arn: &'a str,
    control_panel_name: &'a str,
    routing_control_arn: &'a str,
    routing_control_name: &'a str,
    routing_control_state: &'static str,
    owner: &'a str,
}

fn written(document: &impl Serialize) -> Result<String, Refusal> {
    let failed = |error: serde_json::Error| Refusal::new(500, "InternalServerException", error.to_string());
    serde_json::to_string(document).map_err(failed)
}

/// The answer of `GetRoutingControlState`.
pub(super) fn write_state(control: &Control) -> Result<String, Refusal> {
    written(&json!({
        "RoutingControlArn": control.arn,
        "RoutingControlName": control.name,
        "RoutingControlState": control.state(),
    }))
}

/// The answer of `ListRoutingControls`.
pub(super) fn write_list(page: &[&Control], next_token: Option<String>) -> Result<String, Refusal> {
    let listed: Vec<Listed<'_>> = page
        .iter()
        .map(|control| Listed {
            control_panel_arn: control.panel(),
            control_panel_name: &control.panel_name,
            routing_control_arn: &control.arn,
            routing_control_name: &control.name,
            routing_control_state: control.state(),
            owner: &control.account,
        })
        .collect();
    let mut answer = json!({ "RoutingControls": listed });
    if let Some(token) = next_token {
        answer["NextToken"] = token.into();
    }
    written(&answer)
}

/// A refusal; its reasons are the resource's type and id, where its code has them.
pub(super) fn write_refusal(refusal: &Refusal) -> String {
    let code = match refusal.code.as_str() {
        "InvalidClientTokenId" => "UnrecognizedClientException",
        other => other,
    };
    let mut answer = json!({
        "__type": format!("com.amazonaws.route53recoverycluster#{code}"),
        "message": refusal.message,
    });
    if let [kind, id] = &refusal.reasons[..] {
        answer["resourceType"] = kind.as_str().into();
        answer["resourceId"] = id.as_str().into();
    }
    answer.to_string()
}

pub(super) fn reply(status: u16, body: String) -> Reply {
    let headers = vec![("content-type", CONTENT_TYPE.to_owned())];
    Reply { status, headers, body: Bytes::from(body) }
}

//! The models as `scripts/extract-api-models.py` writes them.

use serde::Deserialize;
use std::collections::BTreeMap;

/// One API.
#[derive(Deserialize)]
pub(super) struct Model {
    pub(super) protocol: Protocol,
    pub(super) operations: BTreeMap<String, OperationModel>,
    pub(super) shapes: BTreeMap<String, Shape>,
}

/// How requests and answers are written.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Protocol {
    Ec2,
    Json,
    Query,
    RestXml,
}

#[derive(Deserialize)]
pub(super) struct OperationModel {
    pub(super) method: String,
    /// Of an answer. `None`: any that means success.
    pub(super) status: Option<u16>,
    /// What names the operation in the query.
    pub(super) query: Vec<String>,
    /// Code and status.
    pub(super) errors: BTreeMap<String, Option<u16>>,
    pub(super) input: Option<Side>,
    pub(super) output: Option<Side>,
}

/// A request, or an answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Side {
    pub(super) shape: String,
    pub(super) result_wrapper: Option<String>,
    pub(super) location_name: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Blob,
    Boolean,
    Double,
    Integer,
    List,
    Long,
    Map,
    String,
    Structure,
    Timestamp,
}

#[derive(Deserialize)]
pub(super) struct Shape {
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    #[serde(default)]
    pub(super) required: Vec<String>,
    #[serde(default, rename = "enum")]
    pub(super) values: Vec<String>,
    /// Of a number itself, of a text's characters, or of a list's members.
    pub(super) min: Option<i64>,
    pub(super) max: Option<i64>,
    #[serde(default)]
    pub(super) flattened: bool,
    /// The member that is the whole body.
    pub(super) payload: Option<String>,
    #[serde(default)]
    pub(super) members: BTreeMap<String, Member>,
    /// Of a list.
    pub(super) member: Option<Member>,
}

impl Shape {
    /// Whether a member is this parameter of the query.
    pub(super) fn is_in_query(&self, name: &str) -> bool {
        self.members.iter().any(|(own, member)| {
            let spelled = member.location_name.as_deref().unwrap_or(own);
            member.location.as_deref() == Some("querystring") && spelled == name
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Member {
    pub(super) shape: String,
    /// Where it is if not in the body: `header`, `uri`, `querystring`.
    pub(super) location: Option<String>,
    pub(super) location_name: Option<String>,
    #[serde(default)]
    pub(super) flattened: bool,
    pub(super) query_name: Option<String>,
    /// It is no element.
    #[serde(default)]
    pub(super) xml_attribute: bool,
}

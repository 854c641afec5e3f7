//! The models as `scripts/extract-api-models.py` writes them: a key below these that nothing reads fails every
//! test.

use serde::Deserialize;
use std::collections::BTreeMap;

/// One API.
#[derive(Deserialize)]
pub(super) struct Model {
    /// The library that they were taken from: `botocore==1.44.8`.
    #[cfg(test)]
    pub(super) from: String,
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
#[serde(deny_unknown_fields)]
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
#[serde(deny_unknown_fields, rename_all = "camelCase")]
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
#[serde(deny_unknown_fields)]
pub(super) struct Shape {
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    #[serde(default)]
    pub(super) required: Vec<String>,
    #[serde(default, rename = "enum")]
    pub(super) values: Vec<String>,
    /// Of a number itself, of a text's characters, or of a list's members. They are meant for requests, and the fake keeps them
    /// in its answers too.
    pub(super) min: Option<i64>,
    pub(super) max: Option<i64>,
    /// A list without an element around it.
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
    /// The members in this place, by how they are spelled there.
    pub(super) fn members_in<'a>(
        &'a self,
        place: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str, &'a Member)> {
        self.members
            .iter()
            .filter(move |(_, member)| member.location.as_deref() == Some(place))
            .map(|(name, member)| (member.location_name.as_deref().unwrap_or(name), name.as_str(), member))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Member {
    pub(super) shape: String,
    /// Where it is if not in the body: `header`, `uri`, `querystring`.
    pub(super) location: Option<String>,
    pub(super) location_name: Option<String>,
}

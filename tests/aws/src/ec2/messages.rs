//! Answers, as EC2's own form of the Query protocol has them.

use super::XMLNS;
use super::world::{Entry, NetworkAcl};
use crate::service::Refusal;
use crate::xml::write_document;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Items<T> {
    pub(super) item: Vec<T>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeAnswer<'a> {
    #[serde(rename = "@xmlns")]
    xmlns: &'static str,
    request_id: &'a str,
    network_acl_set: Items<AclElement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

impl<'a> DescribeAnswer<'a> {
    pub(super) fn new(request_id: &'a str, acls: Items<AclElement>, next_token: Option<String>) -> Self {
        Self { xmlns: XMLNS, request_id, network_acl_set: acls, next_token }
    }
}

/// What a change is answered.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Done<'a> {
    #[serde(rename = "@xmlns")]
    xmlns: &'static str,
    request_id: &'a str,
    #[serde(rename = "return")]
    taken: bool,
}

impl<'a> Done<'a> {
    pub(super) fn new(request_id: &'a str) -> Self {
        Self { xmlns: XMLNS, request_id, taken: true }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AclElement {
    network_acl_id: String,
    vpc_id: &'static str,
    default: bool,
    entry_set: Items<EntryElement>,
    association_set: Items<AssociationElement>,
    owner_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EntryElement {
    rule_number: u32,
    protocol: String,
    rule_action: String,
    egress: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cidr_block: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv6_cidr_block: Option<String>,
}

#[derive(Serialize)]
struct AssociationElement {
    #[serde(rename = "networkAclAssociationId")]
    association: String,
    #[serde(rename = "networkAclId")]
    acl: String,
    #[serde(rename = "subnetId")]
    subnet: String,
}

impl From<&NetworkAcl> for AclElement {
    fn from(acl: &NetworkAcl) -> Self {
        let association = |subnet: &String| AssociationElement {
            association: format!("aclassoc-of-{subnet}"),
            acl: acl.id.clone(),
            subnet: subnet.clone(),
        };
        Self {
            network_acl_id: acl.id.clone(),
            vpc_id: "vpc-0fa4e",
            default: false,
            entry_set: Items { item: acl.entries.values().map(EntryElement::from).collect() },
            association_set: Items { item: acl.subnets.iter().map(association).collect() },
            owner_id: acl.account.clone(),
        }
    }
}

impl From<&Entry> for EntryElement {
    fn from(entry: &Entry) -> Self {
        Self {
            rule_number: entry.number,
            protocol: entry.protocol.clone(),
            rule_action: entry.action.clone(),
            egress: entry.egress,
            cidr_block: entry.cidr_block.clone(),
            ipv6_cidr_block: entry.ipv6_cidr_block.clone(),
        }
    }
}

pub(super) fn write<T: Serialize>(root: &str, answer: &T) -> String {
    write_document(root, answer)
}

#[derive(Serialize)]
struct Response<'a> {
    #[serde(rename = "Errors")]
    errors: Errors<'a>,
    #[serde(rename = "RequestID")]
    request_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Errors<'a> {
    error: ErrorElement<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorElement<'a> {
    code: &'a str,
    message: &'a str,
}

pub(super) fn write_refusal(refusal: &Refusal, request_id: &str) -> String {
    let error = ErrorElement { code: &refusal.code, message: &refusal.message };
    write_document("Response", &Response { errors: Errors { error }, request_id })
}

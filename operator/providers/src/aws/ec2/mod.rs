//! EC2 in one region of an account: its network ACLs, and three calls.
//!
//! AWS' own crate for EC2 has some 700 calls, and takes minutes and gigabytes to compile. These three are made by what that crate
//! is made of (`wire.rs`).

mod acl;
mod wire;

#[cfg(test)]
pub(crate) use acl::Set;
pub(crate) use acl::{Entry, NetworkAcl};

use super::account::Way;
use super::pages::{Page, read_pages};
use super::shared_read::SharedRead;
use super::{Action, CallError, LeaseGate};
use acl::DescribeNetworkAclsResponse;
use muster_core::facts::ErrorClass;
use std::fmt;
use std::sync::Arc;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use wire::{Fields, Wire};

/// Of one answer: the most that the API gives.
const PAGE: u32 = 1000;

/// EC2 in one region, as somebody.
pub(crate) struct Ec2 {
    region: String,
    client: Arc<Client>,
    network_acls: SharedRead<Vec<NetworkAcl>>,
}

impl Ec2 {
    /// Connects to nothing yet.
    pub(super) fn new(way: Arc<Way>, region: String) -> Self {
        let client = Arc::new(Client { way, region: region.clone(), wire: OnceCell::new() });
        let of_acls = Arc::clone(&client);
        let network_acls = SharedRead::new(move || {
            let client = Arc::clone(&of_acls);
            Box::pin(async move { list_network_acls(&client).await })
        });
        Self { region, client, network_acls }
    }

    /// AWS' name of the region.
    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    /// Whether its list has not answered a few times in a row.
    pub(super) fn is_open(&self) -> bool {
        self.network_acls.is_open()
    }

    /// For calls that change something.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// All network ACLs in the region, newer than this question.
    pub(crate) async fn network_acls_at_once(&self, by: Instant) -> Result<Arc<Vec<NetworkAcl>>, CallError> {
        self.network_acls.read_at_once(by).await
    }
}

/// Without its client: it would show what it assumes roles by.
impl fmt::Debug for Ec2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ec2").field("region", &self.region).finish_non_exhaustive()
    }
}

/// Made at the first call.
pub(crate) struct Client {
    way: Arc<Way>,
    region: String,
    wire: OnceCell<Wire>,
}

impl Client {
    async fn call(
        &self,
        action: Action,
        fields: Fields,
        gate: Option<LeaseGate>,
    ) -> Result<Vec<u8>, CallError> {
        // In boxes: what the SDK's futures hold is large.
        let made = Box::pin(async { Wire::new(self.way.config(Some(&self.region)).await).await });
        let wire = self.wire.get_or_try_init(|| made).await.map_err(|error| {
            // It never left.
            CallError { code: None, class: ErrorClass::Transient, why: format!("{action}: {error}") }
        })?;
        Box::pin(wire.call(action, fields, gate)).await
    }

    async fn describe_network_acls(&self, token: Option<String>) -> Result<Page<NetworkAcl>, CallError> {
        const CALL: Action = Action::DescribeNetworkAcls;
        let mut fields = vec![("MaxResults", PAGE.to_string())];
        fields.extend(token.map(|token| ("NextToken", token)));
        let body = self.call(CALL, fields, None).await?;
        let text = String::from_utf8_lossy(&body);
        let page: DescribeNetworkAclsResponse =
            quick_xml::de::from_str(&text).map_err(|error| CallError::unanswered(CALL, error))?;
        Ok((page.network_acl_set.item, page.next_token))
    }

    /// Makes an entry; one of its number and direction that is there already is refused, whatever it says
    /// (`NetworkAclEntryAlreadyExists`).
    pub(crate) async fn create_network_acl_entry(
        &self,
        acl: &str,
        entry: &Entry,
        gate: LeaseGate,
    ) -> Result<(), CallError> {
        let mut fields = address_of(acl, entry);
        fields.push(("Protocol", entry.protocol.clone()));
        fields.push(("RuleAction", entry.rule_action.clone()));
        fields.extend(entry.cidr_block.clone().map(|block| ("CidrBlock", block)));
        fields.extend(entry.ipv6_cidr_block.clone().map(|block| ("Ipv6CidrBlock", block)));
        self.call(Action::CreateNetworkAclEntry, fields, Some(gate)).await.map(drop)
    }

    /// Removes the entry of this number and direction, whatever it says by then.
    pub(crate) async fn delete_network_acl_entry(
        &self,
        acl: &str,
        entry: &Entry,
        gate: LeaseGate,
    ) -> Result<(), CallError> {
        self.call(Action::DeleteNetworkAclEntry, address_of(acl, entry), Some(gate)).await.map(drop)
    }
}

/// By what EC2 finds an entry.
fn address_of(acl: &str, entry: &Entry) -> Fields {
    vec![
        ("NetworkAclId", acl.to_owned()),
        ("RuleNumber", entry.rule_number.to_string()),
        ("Egress", entry.egress.to_string()),
    ]
}

async fn list_network_acls(client: &Client) -> Result<Vec<NetworkAcl>, CallError> {
    read_pages(Action::DescribeNetworkAcls, |token| client.describe_network_acls(token)).await
}

//! Network ACLs, their entries, and what they let pass.

use crate::service::Refusal;
use std::collections::{BTreeMap, BTreeSet};

/// The number of the entry that denies what no other one decides.
const LAST: u32 = 32_767;

/// A rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(crate) number: u32,
    pub(crate) egress: bool,
    pub(crate) protocol: String,
    pub(crate) action: String,
    pub(crate) cidr_block: Option<String>,
    pub(crate) ipv6_cidr_block: Option<String>,
}

impl Entry {
    /// Of every protocol and address, IPv4 or IPv6.
    pub(crate) fn of_everything(number: u32, egress: bool, action: &str, is_ipv6: bool) -> Self {
        Self {
            number,
            egress,
            protocol: "-1".to_owned(),
            action: action.to_owned(),
            cidr_block: (!is_ipv6).then(|| "0.0.0.0/0".to_owned()),
            ipv6_cidr_block: is_ipv6.then(|| "::/0".to_owned()),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct NetworkAcl {
    pub(crate) id: String,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) subnets: BTreeSet<String>,
    /// By direction and number.
    pub(crate) entries: BTreeMap<(bool, u32), Entry>,
}

impl NetworkAcl {
    /// Whether a client's packets come in, and the answers go out: an entry of everything decides, since no other ones are
    /// asked about here.
    fn passes(&self) -> bool {
        [false, true].into_iter().all(|egress| {
            let of_direction = self.entries.values().filter(|entry| entry.egress == egress);
            let mut deciding = of_direction
                .filter(|entry| entry.protocol == "-1" && entry.cidr_block.as_deref() == Some("0.0.0.0/0"));
            deciding.next().is_some_and(|entry| entry.action == "allow")
        })
    }
}

/// All of them.
#[derive(Clone, Default)]
pub(crate) struct World {
    /// By id.
    acls: BTreeMap<String, NetworkAcl>,
}

impl World {
    /// Everything may pass, as with an ACL that came with its VPC.
    pub(crate) fn add(&mut self, place: (&str, &str), id: &str, subnets: &[&str]) -> Option<()> {
        let mut entries = BTreeMap::new();
        for egress in [false, true] {
            entries.insert((egress, 100), Entry::of_everything(100, egress, "allow", false));
            entries.insert((egress, LAST), Entry::of_everything(LAST, egress, "deny", false));
        }
        let acl = NetworkAcl {
            id: id.to_owned(),
            account: place.0.to_owned(),
            region: place.1.to_owned(),
            subnets: subnets.iter().map(|subnet| (*subnet).to_owned()).collect(),
            entries,
        };
        self.acls.insert(id.to_owned(), acl).is_none().then_some(())
    }

    /// A person's hand: an entry, or another one in its place.
    pub(crate) fn put(&mut self, id: &str, entry: Entry) -> Option<()> {
        let acl = self.acls.get_mut(id)?;
        acl.entries.insert((entry.egress, entry.number), entry);
        Some(())
    }

    /// A person's hand.
    pub(crate) fn remove(&mut self, id: &str, egress: bool, number: u32) -> Option<()> {
        self.acls.get_mut(id)?.entries.remove(&(egress, number)).map(drop)
    }

    /// A person's hand: other subnets than before.
    pub(crate) fn set_subnets(&mut self, id: &str, subnets: &[&str]) -> Option<()> {
        self.acls.get_mut(id)?.subnets = subnets.iter().map(|subnet| (*subnet).to_owned()).collect();
        Some(())
    }

    pub(crate) fn list(&self, place: (&str, &str), wanted: &[&str]) -> Result<Vec<&NetworkAcl>, Refusal> {
        for id in wanted {
            self.find(place, id)?;
        }
        let is_wanted = |acl: &&NetworkAcl| wanted.is_empty() || wanted.contains(&acl.id.as_str());
        Ok(self.of(place).filter(is_wanted).collect())
    }

    pub(crate) fn create(&mut self, place: (&str, &str), id: &str, entry: Entry) -> Result<(), Refusal> {
        self.find(place, id)?;
        let key = (entry.egress, entry.number);
        let entries = self.acls.get_mut(id).map(|acl| &mut acl.entries);
        let Some(entries) = entries.filter(|entries| !entries.contains_key(&key)) else {
            let message = format!("The network acl entry identified by {} already exists.", entry.number);
            return Err(Refusal::new(400, "NetworkAclEntryAlreadyExists", message));
        };
        entries.insert(key, entry);
        Ok(())
    }

    pub(crate) fn delete(
        &mut self,
        place: (&str, &str),
        id: &str,
        number: u32,
        egress: bool,
    ) -> Result<(), Refusal> {
        self.find(place, id)?;
        let removed = self.acls.get_mut(id).and_then(|acl| acl.entries.remove(&(egress, number)));
        removed.map(drop).ok_or_else(|| {
            let direction = if egress { "egress" } else { "ingress" };
            let message =
                format!("The specified {direction} network ACL entry {number} does not exist in {id}");
            Refusal::new(400, "InvalidNetworkAclEntry.NotFound", message)
        })
    }

    /// Whether no network ACL there lets a client's packets pass; `false` where there is none.
    pub(crate) fn is_cut_off(&self, place: (&str, &str)) -> bool {
        let mut acls = self.of(place).peekable();
        acls.peek().is_some() && acls.all(|acl| !acl.passes())
    }

    /// Of one ACL, as (egress, number, action), in order.
    pub(crate) fn entries(&self, id: &str) -> Option<Vec<(bool, u32, String)>> {
        let entries = self.acls.get(id)?.entries.values();
        Some(entries.map(|entry| (entry.egress, entry.number, entry.action.clone())).collect())
    }

    fn of(&self, (account, region): (&str, &str)) -> impl Iterator<Item = &NetworkAcl> {
        self.acls.values().filter(move |acl| acl.account == account && acl.region == region)
    }

    fn find(&self, place: (&str, &str), id: &str) -> Result<&NetworkAcl, Refusal> {
        self.of(place).find(|acl| acl.id == id).ok_or_else(|| {
            let message = format!("The networkAcl ID '{id}' does not exist");
            Refusal::new(400, "InvalidNetworkAclID.NotFound", message)
        })
    }
}

//! The network ACLs, as tests arrange them: the part of the handle that is about EC2.

use crate::ec2::{Entry, World};
use crate::fake::FakeAws;

/// An entry that a person makes in the console, of every protocol and address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AclEntry {
    /// Its rule number.
    pub number: u32,
    /// Of what goes out; else of what comes in.
    pub egress: bool,
    /// It allows; else it denies.
    pub allows: bool,
    /// Of IPv6; else of IPv4.
    pub ipv6: bool,
}

impl FakeAws {
    fn arrange_ec2<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        self.shared().ec2.arrange(change)
    }

    /// Creates a network ACL that lets everything of IPv4 pass, and is in force for these subnets.
    ///
    /// # Panics
    /// If there is one of this id.
    pub fn create_network_acl(&self, account: &str, region: &str, id: &str, subnets: &[&str]) {
        let created = self.arrange_ec2(|world| world.add((account, region), id, subnets));
        created.expect("a network ACL has an id of its own");
    }

    /// Puts an entry behind the API's back, in the place of one that was there.
    ///
    /// # Panics
    /// If there is no such network ACL.
    pub fn put_acl_entry(&self, id: &str, entry: AclEntry) {
        let action = if entry.allows { "allow" } else { "deny" };
        let entry = Entry::of_everything(entry.number, entry.egress, action, entry.ipv6);
        self.arrange_ec2(|world| world.put(id, entry)).expect("an entry is put into an ACL that was created");
    }

    /// Removes an entry behind the API's back.
    ///
    /// # Panics
    /// If there is no such entry.
    pub fn remove_acl_entry(&self, id: &str, egress: bool, number: u32) {
        let removed = self.arrange_ec2(|world| world.remove(id, egress, number));
        removed.expect("an entry is removed that was there");
    }

    /// Puts a network ACL in force for these subnets, and no others.
    ///
    /// # Panics
    /// If there is no such network ACL.
    pub fn set_acl_subnets(&self, id: &str, subnets: &[&str]) {
        let set = self.arrange_ec2(|world| world.set_subnets(id, subnets));
        set.expect("subnets are those of an ACL that was created");
    }

    /// The entries of a network ACL as (egress, number, action), in order.
    ///
    /// # Panics
    /// If there is no such network ACL.
    pub fn acl_entries(&self, id: &str) -> Vec<(bool, u32, String)> {
        self.shared().ec2.look(|world| world.entries(id)).expect("an ACL is looked at that was created")
    }

    /// Whether clients reach no database of this account and region, because no network ACL there lets them pass. What the
    /// fake's databases do by themselves does not ask.
    pub fn is_cut_off(&self, account: &str, region: &str) -> bool {
        self.shared().ec2.look(|world| world.is_cut_off((account, region)))
    }
}

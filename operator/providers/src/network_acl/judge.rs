//! What a network ACL lets pass, and what is missing until it lets nothing pass.

use crate::aws::{Entry, NetworkAcl};

/// One direction of one family of addresses: what an entry that denies everything shuts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Door {
    pub(super) egress: bool,
    pub(super) ipv6: bool,
}

/// In the order in which they are shut: what comes in first.
pub(super) const DOORS: [Door; 4] = [
    Door { egress: false, ipv6: false },
    Door { egress: false, ipv6: true },
    Door { egress: true, ipv6: false },
    Door { egress: true, ipv6: true },
];

/// One network ACL as it was read, with the rule number of the policy.
#[derive(Clone, Copy)]
pub(super) struct Acl<'a> {
    pub(super) acl: &'a NetworkAcl,
    pub(super) rule_number: u16,
}

impl Acl<'_> {
    /// The entry that shuts a door.
    pub(super) fn own(&self, door: Door) -> Entry {
        let block = |is_it: bool, all: &str| is_it.then(|| all.to_owned());
        Entry {
            rule_number: u32::from(self.rule_number) + u32::from(door.ipv6),
            protocol: "-1".to_owned(),
            rule_action: "deny".to_owned(),
            egress: door.egress,
            cidr_block: block(!door.ipv6, "0.0.0.0/0"),
            ipv6_cidr_block: block(door.ipv6, "::/0"),
        }
    }

    /// What stands where the own entry would.
    pub(super) fn at(&self, own: &Entry) -> Option<&Entry> {
        let stands = |entry: &&Entry| (entry.rule_number, entry.egress) == (own.rule_number, own.egress);
        self.acl.entry_set.item.iter().find(stands)
    }

    pub(super) fn has_own(&self, door: Door) -> bool {
        let own = self.own(door);
        self.at(&own) == Some(&own)
    }

    /// None of the entries is there.
    pub(super) fn is_lifted(&self) -> bool {
        DOORS.iter().all(|door| !self.has_own(*door))
    }

    /// Nothing passes, in no direction.
    pub(super) fn is_shut(&self) -> bool {
        DOORS.iter().all(|door| {
            self.is_never_open(*door) || (self.has_own(*door) && self.allows_before(*door).is_none())
        })
    }

    /// Which entries are missing, or whose entry is in the way.
    pub(super) fn missing(&self) -> Result<Vec<Entry>, String> {
        let mut missing = Vec::new();
        for door in DOORS.into_iter().filter(|door| !self.is_never_open(*door)) {
            let own = self.own(door);
            match self.at(&own) {
                Some(entry) if *entry == own => {}
                Some(stranger) => return Err(self.in_the_way(stranger)),
                None => missing.push(own),
            }
            if let Some(before) = self.allows_before(door) {
                return Err(self.in_the_way(before));
            }
        }
        Ok(missing)
    }

    pub(super) fn in_the_way(&self, entry: &Entry) -> String {
        let id = &self.acl.id;
        format!(
            "{id} has an entry of somebody else in the way: {}; Muster's rule number must be free and the lowest",
            describe(entry)
        )
    }

    /// IPv6 that no entry allows is denied anyway, and a VPC may have none.
    fn is_never_open(&self, door: Door) -> bool {
        door.ipv6 && self.allowed(door).next().is_none()
    }

    /// What decides before the own entry does.
    fn allows_before(&self, door: Door) -> Option<&Entry> {
        let own = self.own(door).rule_number;
        self.allowed(door).find(|entry| entry.rule_number < own)
    }

    fn allowed(&self, door: Door) -> impl Iterator<Item = &Entry> {
        let passes = move |entry: &&Entry| {
            entry.egress == door.egress
                && entry.ipv6_cidr_block.is_some() == door.ipv6
                // An action that is not known here may let something pass.
                && entry.rule_action != "deny"
        };
        self.acl.entry_set.item.iter().filter(passes)
    }
}

/// For people.
fn describe(entry: &Entry) -> String {
    let direction = if entry.egress { "outbound" } else { "inbound" };
    let block = entry.cidr_block.as_ref().or(entry.ipv6_cidr_block.as_ref());
    let (number, action) = (entry.rule_number, &entry.rule_action);
    let block = block.map_or("nothing", String::as_str);
    format!("{direction} rule {number}, {action} {block} protocol {}", entry.protocol)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Set;

    fn entry(rule_number: u32, rule_action: &str, egress: bool, ipv6: bool) -> Entry {
        let (cidr_block, ipv6_cidr_block) =
            if ipv6 { (None, Some("::/0".to_owned())) } else { (Some("0.0.0.0/0".to_owned()), None) };
        let (protocol, rule_action) = ("-1".to_owned(), rule_action.to_owned());
        Entry { rule_number, protocol, rule_action, egress, cidr_block, ipv6_cidr_block }
    }

    fn acl(entries: Vec<Entry>) -> NetworkAcl {
        NetworkAcl {
            id: "acl-1".to_owned(),
            association_set: Set::default(),
            entry_set: Set { item: entries },
        }
    }

    fn default_entries() -> Vec<Entry> {
        [false, true]
            .into_iter()
            .flat_map(|e| [entry(100, "allow", e, false), entry(32767, "deny", e, false)])
            .collect()
    }

    fn of(acl: &NetworkAcl) -> Acl<'_> {
        Acl { acl, rule_number: 1 }
    }

    #[test]
    fn both_directions_are_shut_and_ipv6_only_where_it_is_let_in() {
        let plain = acl(default_entries());
        let numbers = |acl: &NetworkAcl| {
            let missing = of(acl).missing().expect("nothing is in the way");
            missing.iter().map(|e| (e.rule_number, e.egress)).collect::<Vec<_>>()
        };
        assert_eq!(numbers(&plain), [(1, false), (1, true)]);
        let mut entries = default_entries();
        entries.push(entry(101, "allow", false, true));
        let with_ipv6 = acl(entries);
        assert_eq!(numbers(&with_ipv6), [(1, false), (2, false), (1, true)]);
        assert!(!of(&with_ipv6).is_shut() && of(&with_ipv6).is_lifted());
    }

    #[test]
    fn shut_is_every_door_and_lifted_is_none() {
        let mut entries = default_entries();
        entries.push(entry(1, "deny", false, false));
        let half = acl(entries.clone());
        assert!(!of(&half).is_shut() && !of(&half).is_lifted());
        entries.push(entry(1, "deny", true, false));
        let shut = acl(entries.clone());
        assert!(of(&shut).is_shut() && !of(&shut).is_lifted());
        assert_eq!(of(&shut).missing(), Ok(Vec::new()));
        // Somebody lets IPv6 in meanwhile.
        entries.push(entry(101, "allow", false, true));
        assert!(!of(&acl(entries)).is_shut());
    }

    #[test]
    fn what_stands_at_the_number_or_decides_before_it_is_named() {
        let mut entries = default_entries();
        entries.push(entry(1, "allow", false, false));
        let why = of(&acl(entries)).missing().expect_err("a stranger's");
        assert!(why.contains("inbound rule 1, allow 0.0.0.0/0 protocol -1"), "{why}");
        let taken = acl(default_entries());
        let later = Acl { acl: &taken, rule_number: 200 };
        assert!(later.missing().expect_err("100 decides").contains("rule 100"));
        assert!(!later.is_shut());
    }
}

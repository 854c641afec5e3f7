//! Record sets, and what makes two of them the same.

use crate::name::DomainName;
use std::collections::BTreeMap;
use std::fmt;

/// The types that a record set can have.
pub(super) const KINDS: [&str; 17] = [
    "A", "AAAA", "CAA", "CNAME", "DS", "HTTPS", "MX", "NAPTR", "NS", "PTR", "SOA", "SPF", "SRV", "SSHFP",
    "SVCB", "TLSA", "TXT",
];

/// Which record set it is. The order is that of a listing: names with their labels reversed, then types, then
/// identifiers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct RecordKey {
    pub(super) name: DomainName,
    /// As `AAAA`.
    pub(super) kind: String,
    /// `SetIdentifier`: tells sets of one name and type apart. None of a simple set.
    pub(super) identifier: Option<String>,
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[name='{}', type='{}'", self.name, self.kind)?;
        if let Some(identifier) = &self.identifier {
            write!(f, ", set-identifier='{identifier}'")?;
        }
        f.write_str("]")
    }
}

/// What the service routes by, kept as it was sent.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Routing {
    pub(super) weight: Option<String>,
    pub(super) region: Option<String>,
    pub(super) failover: Option<String>,
    pub(super) multi_value_answer: Option<String>,
    pub(super) health_check_id: Option<String>,
}

/// The records of one name and type.
#[derive(Clone, Debug)]
pub(super) struct RecordSet {
    pub(super) key: RecordKey,
    pub(super) ttl: u32,
    /// As they were sent.
    pub(super) values: Vec<String>,
    pub(super) routing: Routing,
}

impl RecordSet {
    /// Whether a deletion that names these contents means this set; the order of the values does not matter.
    pub(super) fn has_contents_of(&self, other: &Self) -> bool {
        let (mut mine, mut theirs) = (self.values.clone(), other.values.clone());
        mine.sort();
        theirs.sort();
        mine == theirs && self.ttl == other.ttl && self.routing == other.routing
    }
}

/// All that stands in a zone.
pub(super) type Records = BTreeMap<RecordKey, RecordSet>;

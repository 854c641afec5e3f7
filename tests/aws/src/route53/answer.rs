//! Answers of an authoritative name server, from a zone as its readers see it.
//!
//! What this module must never do: say anything about names outside of the zone.

use super::records::{RecordSet, Records};
use super::values;
use crate::dns::Transport;
use crate::name::DomainName;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record};

/// How many aliases are followed inside of the zone.
const LONGEST_CHAIN: usize = 8;
/// What a client may send by UDP (`https://www.dnsflagday.net/2020/`).
const UDP_PAYLOAD: u16 = 1232;

/// A zone at one instant.
pub(crate) struct ZoneView {
    name: DomainName,
    records: Records,
}

impl ZoneView {
    pub(super) fn new(name: DomainName, records: Records) -> Self {
        Self { name, records }
    }

    fn sets_named(&self, name: &DomainName) -> Vec<&RecordSet> {
        self.records.values().filter(|set| set.key.name == *name).collect()
    }

    /// Whether anything stands at the name or below it.
    fn has_name(&self, name: &DomainName) -> bool {
        self.records.keys().any(|key| key.name.is_within(name))
    }

    /// What stands at the name, itself or by a wildcard. `None`: there is no such name.
    fn sets_at(&self, name: &DomainName) -> Option<Vec<&RecordSet>> {
        if self.has_name(name) {
            return Some(self.sets_named(name));
        }
        // The wildcard of the closest name that exists, and of none above it (RFC 4592, 3.3.1).
        let mut above = name.parent();
        while let Some(encloser) = above {
            if self.has_name(&encloser) {
                let sets = self.sets_named(&encloser.wildcard());
                return (!sets.is_empty()).then_some(sets);
            }
            above = encloser.parent();
        }
        None
    }

    /// Goes with every answer that has nothing to tell (RFC 2308, 3).
    fn soa(&self) -> Vec<Record> {
        let owner = self.name.to_wire();
        let sets = self.sets_named(&self.name);
        let soa = find_set(&sets, "SOA");
        owner.zip(soa).map(|(owner, soa)| records_of(soa, &owner)).unwrap_or_default()
    }
}

fn find_set<'a>(sets: &[&'a RecordSet], kind: &str) -> Option<&'a RecordSet> {
    sets.iter().copied().find(|set| set.key.kind == kind)
}

fn records_of(set: &RecordSet, owner: &Name) -> Vec<Record> {
    let data = set.values.iter().filter_map(|value| values::parse(&set.key.kind, value)?.ok());
    data.map(|data| Record::from_rdata(owner.clone(), set.ttl, data)).collect()
}

/// Answers a message. `None`: it is no question that can be answered.
pub(crate) fn answer_question(question: &[u8], view: &ZoneView, transport: Transport) -> Option<Vec<u8>> {
    let request = Message::from_vec(question).ok()?;
    if request.metadata.message_type != MessageType::Query {
        return None;
    }
    let response = compose(&request, view);
    let bytes = response.to_vec().ok()?;
    if transport == Transport::Udp && bytes.len() > usize::from(request.max_payload()) {
        return response.truncate().to_vec().ok();
    }
    Some(bytes)
}

fn compose(request: &Message, view: &ZoneView) -> Message {
    let mut response = Message::response(request.metadata.id, request.metadata.op_code);
    // Given back and otherwise ignored: nobody is asked on the client's behalf.
    response.metadata.recursion_desired = request.metadata.recursion_desired;
    response.add_queries(request.queries.iter().cloned());
    if request.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_PAYLOAD);
        response.set_edns(edns);
    }
    response.metadata.response_code = match (request.metadata.op_code, request.queries.as_slice()) {
        (OpCode::Query, [query]) => resolve(&mut response, query, view),
        (OpCode::Query, _) => ResponseCode::FormErr,
        _ => ResponseCode::NotImp,
    };
    response
}

fn resolve(response: &mut Message, query: &Query, view: &ZoneView) -> ResponseCode {
    let kind = query.query_type().to_string();
    let mut owner = query.name().clone();
    if query.query_class() != DNSClass::IN || !DomainName::from_wire(&owner).is_within(&view.name) {
        return ResponseCode::Refused;
    }
    response.metadata.authoritative = true;
    for _ in 0..LONGEST_CHAIN {
        let name = DomainName::from_wire(&owner);
        if !name.is_within(&view.name) {
            break;
        }
        let Some(sets) = view.sets_at(&name) else {
            response.add_authorities(view.soa());
            return ResponseCode::NXDomain;
        };
        if let Some(set) = find_set(&sets, &kind) {
            response.add_answers(records_of(set, &owner));
            break;
        }
        let alias = find_set(&sets, "CNAME").map(|set| records_of(set, &owner)).unwrap_or_default();
        let Some(RData::CNAME(target)) = alias.first().map(|record| record.data.clone()) else {
            response.add_authorities(view.soa());
            break;
        };
        response.add_answers(alias);
        owner = target.0;
    }
    ResponseCode::NoError
}

//! The update as a compare-and-swap.

use super::checked::Checked;
use crate::dns::{Flip, View};
use hickory_proto::op::{Message, OpCode, Query};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use std::collections::BTreeSet;

/// One update that lands only on exactly what was read: each data set that takes part, and the witness.
pub(super) fn make_update(checked: &Checked, before: &View, flip: &Flip<'_>) -> Message {
    let kind = checked.name.kind();
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Update;
    message.metadata.recursion_desired = false;
    let mut zone = Query::query(checked.name.zone.clone(), RecordType::SOA);
    zone.set_query_class(DNSClass::IN);
    message.add_query(zone);

    let (record, witness) = (&checked.name.record, &checked.name.witness);
    let steered = before.steered(kind);
    for of_type in taking_part(kind) {
        let data: Vec<RData> =
            steered.iter().filter(|d| d.record_type() == of_type).map(|d| d.rdata()).collect();
        require(&mut message, record, of_type, data);
    }
    require(&mut message, witness, RecordType::TXT, before.witness.iter().cloned().map(RData::TXT).collect());

    // Applied in this order, and seen all at once (RFC 2136, 3.7): no reader finds the name empty.
    let present: BTreeSet<RecordType> = steered.iter().map(|d| d.record_type()).collect();
    for of_type in present {
        message.add_authority(delete_all(record, of_type));
    }
    message.add_authority(Record::from_rdata(record.clone(), checked.name.ttl, flip.target.rdata()));
    message.add_authority(delete_all(witness, RecordType::TXT));
    message.add_authority(Record::from_rdata(
        witness.clone(),
        checked.name.ttl,
        RData::TXT(flip.wanted.to_txt()),
    ));
    message
}

/// The types that the update stands on. The other address family stands beside and stays out of it.
fn taking_part(kind: RecordType) -> Vec<RecordType> {
    match kind {
        RecordType::CNAME => vec![RecordType::CNAME, RecordType::A, RecordType::AAAA],
        address => vec![address, RecordType::CNAME],
    }
}

/// Prerequisite: the set is exactly this (RFC 2136, 2.4.2), or there is none (2.4.3).
fn require(message: &mut Message, name: &Name, kind: RecordType, exact: Vec<RData>) {
    if exact.is_empty() {
        let mut absent = Record::update0(name.clone(), 0, kind);
        absent.dns_class = DNSClass::NONE;
        message.add_answer(absent);
    }
    message.add_answers(exact.into_iter().map(|rdata| Record::from_rdata(name.clone(), 0, rdata)));
}

fn delete_all(name: &Name, kind: RecordType) -> Record {
    let mut delete = Record::update0(name.clone(), 0, kind);
    delete.dns_class = DNSClass::ANY;
    delete
}

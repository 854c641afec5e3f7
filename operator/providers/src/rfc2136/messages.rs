//! The questions asked, the answers as a view, and the update as a compare-and-swap.

use super::checked::Checked;
use super::data::{Datum, View, Written};
use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use std::collections::BTreeSet;

/// An answer that is no view of the zone's data.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerError {
    #[error("{name} {kind}: {code}")]
    Code { name: Name, kind: RecordType, code: ResponseCode },
    #[error("{name} {kind}: the answer is not authoritative")]
    NotAuthoritative { name: Name, kind: RecordType },
    #[error("the answer is to another question")]
    OtherQuestion,
}

/// What is asked of each server; a CNAME shows itself in the answer for any type.
pub(super) fn make_questions(checked: &Checked) -> Vec<Message> {
    [
        (&checked.witness, RecordType::TXT),
        (&checked.record, RecordType::A),
        (&checked.record, RecordType::AAAA),
    ]
    .into_iter()
    .map(|(name, kind)| {
        let mut message = Message::query();
        message.metadata.recursion_desired = false;
        message.add_query(Query::query(name.clone(), kind));
        message
    })
    .collect()
}

/// Reads the answers to [`make_questions`], in its order.
pub(super) fn read_view(answers: &[Message]) -> Result<View, AnswerError> {
    let mut view = View { data: BTreeSet::new(), witness: Vec::new() };
    for answer in answers {
        let [question] = &answer.queries[..] else { return Err(AnswerError::OtherQuestion) };
        let (name, kind) = (question.name().clone(), question.query_type());
        match answer.metadata.response_code {
            // Behind a CNAME the code speaks of the last name, which may be anywhere.
            ResponseCode::NoError | ResponseCode::NXDomain => {}
            _ if !answer.answers.is_empty() => {}
            code => return Err(AnswerError::Code { name, kind, code }),
        }
        if !answer.metadata.authoritative {
            return Err(AnswerError::NotAuthoritative { name, kind });
        }
        for record in answer.answers.iter().filter(|record| record.name == name) {
            match &record.data {
                RData::TXT(txt) => view.witness.push(txt.clone()),
                rdata => view.data.extend(Datum::from_rdata(rdata)),
            }
        }
    }
    Ok(view)
}

/// One update that lands only on exactly what was read: each data set that takes part, and the witness.
pub(super) fn make_update(checked: &Checked, before: &View, target: &Datum, wanted: &Written) -> Message {
    let kind = checked.kind();
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Update;
    message.metadata.recursion_desired = false;
    let mut zone = Query::query(checked.zone.clone(), RecordType::SOA);
    zone.set_query_class(DNSClass::IN);
    message.add_query(zone);

    let (record, witness) = (&checked.record, &checked.witness);
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
    message.add_authority(Record::from_rdata(record.clone(), checked.ttl, target.rdata()));
    message.add_authority(delete_all(witness, RecordType::TXT));
    message.add_authority(Record::from_rdata(witness.clone(), checked.ttl, RData::TXT(wanted.to_txt())));
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

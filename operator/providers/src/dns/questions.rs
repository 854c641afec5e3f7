//! What is asked of a name server, and its answers as a view.

use super::data::{Datum, View};
use super::name::SteeredName;
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use std::collections::BTreeSet;

/// An answer that is no view of the zone's data.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    #[error("{name} {kind}: {code}")]
    Code { name: Name, kind: RecordType, code: ResponseCode },
    #[error("{name} {kind}: the answer is not authoritative")]
    NotAuthoritative { name: Name, kind: RecordType },
    #[error("the answer is to another question")]
    OtherQuestion,
}

/// What is asked of each server; a CNAME shows itself in the answer for any type.
pub(crate) fn make_questions(steered: &SteeredName) -> Vec<Message> {
    let witness = steered.has_witness.then_some((&steered.witness, RecordType::TXT));
    let data = [(&steered.record, RecordType::A), (&steered.record, RecordType::AAAA)];
    witness.into_iter().chain(data).map(|(name, kind)| ask(name.clone(), kind)).collect()
}

/// Of an authoritative server, which is to look nowhere else.
pub(super) fn ask(name: Name, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = false;
    message.add_query(Query::query(name, kind));
    message
}

/// Reads the answers to [`make_questions`], in its order.
pub(crate) fn read_view(answers: &[Message]) -> Result<View, AnswerError> {
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

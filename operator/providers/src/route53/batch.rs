//! The change batch as a compare-and-swap.

use super::records::{Records, wire_name, write_text};
use crate::OpCtx;
use crate::dns::{Datum, Flip, SteeredName};
use aws_sdk_route53::error::BuildError;
use aws_sdk_route53::types::{Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType};
use hickory_proto::rr::RecordType;

/// Deletes name and witness exactly as they were listed, and creates both anew: carried out whole, or not at all.
pub(super) fn make_batch(
    name: &SteeredName,
    records: &Records,
    flip: &Flip<'_>,
    ctx: &OpCtx,
) -> Result<ChangeBatch, BuildError> {
    let steered = records.at(&name.record).filter(|set| takes_part(set.r#type(), name.kind()));
    let witness = records.at(&name.witness).filter(|set| *set.r#type() == RrType::Txt);
    let mut batch = ChangeBatch::builder().comment(comment(ctx));
    for set in steered.chain(witness) {
        batch = batch.changes(change(ChangeAction::Delete, set.clone())?);
    }
    let (kind, value) = write_value(flip.target);
    let text = write_text(&flip.wanted.to_txt());
    for (at, kind, value) in [(&name.record, kind, value), (&name.witness, RrType::Txt, text)] {
        let set = ResourceRecordSet::builder().name(wire_name(at)).r#type(kind).ttl(i64::from(name.ttl));
        let set = set.resource_records(ResourceRecord::builder().value(value).build()?).build()?;
        batch = batch.changes(change(ChangeAction::Create, set)?);
    }
    batch.build()
}

fn change(action: ChangeAction, set: ResourceRecordSet) -> Result<Change, BuildError> {
    Change::builder().action(action).resource_record_set(set).build()
}

/// The other address family stands beside and stays out of it.
fn takes_part(found: &RrType, kind: RecordType) -> bool {
    match found {
        RrType::A => kind != RecordType::AAAA,
        RrType::Aaaa => kind != RecordType::A,
        RrType::Cname => true,
        _ => false,
    }
}

fn write_value(datum: &Datum) -> (RrType, String) {
    match datum {
        Datum::A(address) => (RrType::A, address.to_string()),
        Datum::Aaaa(address) => (RrType::Aaaa, address.to_string()),
        Datum::Cname(name) => (RrType::Cname, name.to_ascii()),
    }
}

/// For whoever reads the zone's history; the API takes 256 characters.
fn comment(ctx: &OpCtx) -> String {
    let text = format!("muster {} epoch {} effect {}", ctx.run, ctx.effect.epoch, ctx.effect.seq);
    text.chars().filter(char::is_ascii).take(256).collect()
}

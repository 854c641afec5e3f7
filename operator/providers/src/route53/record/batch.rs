//! The change batch as a compare-and-swap.

use super::super::values::{change, comment, takes_part, wire_name, write_value};
use super::records::{Records, write_text};
use crate::OpCtx;
use crate::dns::{Flip, SteeredName};
use aws_sdk_route53::error::BuildError;
use aws_sdk_route53::types::{ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType};

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

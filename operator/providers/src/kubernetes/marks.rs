//! What Muster writes beside a workload's own fields.

use kube::core::ObjectMeta;
use muster_core::effect::Effect;
use muster_core::facts::Witness;
use muster_core::ids::{Epoch, Owner, Seq, Term};

/// Who scaled it last.
pub(super) const WITNESS: &str = "muster.dev/witness";
/// What it had before Muster scaled it.
pub(super) const BEFORE: &str = "muster.dev/replicas-before";
/// What it had before a fence scaled it to zero.
pub(super) const FENCED: &str = "muster.dev/fenced-from";
/// What its autoscaler had as its minimum before Muster raised it.
pub(super) const MIN_BEFORE: &str = "muster.dev/min-before";
/// How the API server names us in `managedFields`.
pub(super) const MANAGER: &str = "muster";

/// Tools that write a number of replicas again and again, and not by server-side apply.
const TOOLS: [&str; 7] = [
    "keda",
    "keda-operator",
    "argocd-controller",
    "argocd-application-controller",
    "kustomize-controller",
    "helm-controller",
    "fleetagent",
];

/// The mark that an effect leaves.
pub(super) fn mark_of(effect: &Effect) -> Witness {
    Witness { owner: effect.owner.clone(), epoch: effect.epoch, term: effect.term, seq: effect.seq }
}

pub(super) fn write_witness(witness: &Witness) -> String {
    format!("{} {} {} {}", witness.epoch.0, witness.term.0, witness.seq.0, witness.owner)
}

fn annotation<'a>(meta: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    meta.annotations.as_ref()?.get(key).map(String::as_str)
}

/// The witness; `Err`: there is one that makes no sense.
pub(super) fn read_witness(meta: &ObjectMeta) -> Result<Option<Witness>, String> {
    let Some(text) = annotation(meta, WITNESS) else { return Ok(None) };
    let mut parts = text.splitn(4, ' ');
    let mut number = || parts.next().and_then(|part| part.parse::<u64>().ok());
    let numbers = (number(), number(), number());
    let owner = parts.next().filter(|owner| !owner.is_empty());
    match (numbers, owner) {
        ((Some(epoch), Some(term), Some(seq)), Some(owner)) => Ok(Some(Witness {
            owner: Owner::new(owner),
            epoch: Epoch(epoch),
            term: Term(term),
            seq: Seq(seq),
        })),
        _ => Err(format!("its annotation {WITNESS} makes no sense to this version")),
    }
}

/// A number in an annotation; one that is none counts as absent.
pub(super) fn read_number(meta: &ObjectMeta, key: &str) -> Option<u32> {
    annotation(meta, key)?.parse().ok()
}

/// Who else sets `spec.FIELD`, and will set it again: who applies it, or a tool that writes it at each of its rounds.
pub(super) fn keeper_of(meta: &ObjectMeta, field: &str) -> Option<String> {
    let key = format!("f:{field}");
    let keeps = |entry: &&k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry| {
        let manager = entry.manager.as_deref().unwrap_or_default();
        let applies = entry.operation.as_deref() == Some("Apply");
        let sets = entry
            .fields_v1
            .as_ref()
            .is_some_and(|fields| fields.0.pointer("/f:spec").is_some_and(|spec| spec.get(&key).is_some()));
        sets && manager != MANAGER && (applies || TOOLS.contains(&manager))
    };
    let entry = meta.managed_fields.as_ref()?.iter().find(keeps)?;
    entry.manager.clone()
}

#[cfg(test)]
mod tests {
    use super::{WITNESS, read_witness, write_witness};
    use kube::core::ObjectMeta;
    use muster_core::facts::Witness;
    use muster_core::ids::{Epoch, Owner, Seq, Term};

    fn with(text: &str) -> ObjectMeta {
        let annotations = Some([(WITNESS.to_owned(), text.to_owned())].into());
        ObjectMeta { annotations, ..ObjectMeta::default() }
    }

    #[test]
    fn a_witness_comes_back_as_it_was_written() {
        let witness = Witness { owner: Owner::new("a b/c"), epoch: Epoch(7), term: Term(2), seq: Seq(19) };
        assert_eq!(read_witness(&with(&write_witness(&witness))), Ok(Some(witness)));
        assert_eq!(read_witness(&ObjectMeta::default()), Ok(None));
    }

    #[test]
    fn a_witness_that_makes_no_sense_is_not_taken_for_none() {
        for text in ["", "7", "7 2 19", "7 2 19 ", "x 2 19 owner", "-1 2 19 owner"] {
            read_witness(&with(text)).expect_err(text);
        }
    }
}

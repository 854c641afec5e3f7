//! Whether a flip may write over what stands there. Pure; the server checks the same again by prerequisites.

use super::data::{Datum, View, WitnessView, Written, is_exactly, list_data};
use muster_core::ids::Owner;
use std::collections::BTreeSet;

/// What to do with a flip, after reading.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Write, as a compare-and-swap on what was read.
    Write,
    /// This very effect has landed.
    AlreadyDone,
    /// A newer one has.
    Stale(String),
    /// Another owner's, or nobody's.
    Conflict(String),
}

/// What a flip is judged against.
pub(crate) struct FlipRules<'a> {
    /// What it would write.
    pub(crate) wanted: &'a Written,
    /// All that the record may say.
    pub(crate) targets: &'a [&'a Datum],
    /// Owners that a person said may be replaced.
    pub(crate) adopt: &'a BTreeSet<Owner>,
}

/// Judges one view of the server that takes updates.
pub(crate) fn decide_flip(
    view: &View,
    kind: hickory_proto::rr::RecordType,
    rules: &FlipRules<'_>,
) -> Verdict {
    let steered = view.steered(kind);
    let ours =
        steered.is_empty() || (steered.len() == 1 && steered.iter().all(|d| rules.targets.contains(d)));
    let before = match view.written() {
        WitnessView::Unreadable => {
            return Verdict::Conflict("the witness there is not one that Muster wrote".to_owned());
        }
        WitnessView::Absent if ours => return Verdict::Write,
        WitnessView::Absent => {
            let found = list_data(steered);
            return Verdict::Conflict(format!(
                "{found} stands there, none of the regions' targets, and no witness; point it at one of them first"
            ));
        }
        WitnessView::Written(before) => before,
    };
    let wanted = rules.wanted;
    let (old, new) = (&before.witness, &wanted.witness);
    if old.owner != new.owner && !rules.adopt.contains(&old.owner) {
        return Verdict::Conflict(format!("{} owns it; `muster adopt` takes it over", old.owner));
    }
    if old.order() > new.order() {
        return Verdict::Stale(format!(
            "epoch {} term {} seq {} wrote last; this is epoch {} term {} seq {}",
            old.epoch, old.term, old.seq, new.epoch, new.term, new.seq
        ));
    }
    let unchanged = is_exactly(&steered, &before.data);
    if old == new {
        return match () {
            () if before.data != wanted.data => {
                Verdict::Conflict(format!("the same numbers have written {}", before.data))
            }
            () if unchanged => Verdict::AlreadyDone,
            () => Verdict::Conflict(format!(
                "this effect has landed, and another writer has put {} there since",
                list_data(steered)
            )),
        };
    }
    if unchanged || ours {
        return Verdict::Write;
    }
    let found = list_data(steered);
    Verdict::Conflict(format!("another writer has put {found} there, none of the regions' targets"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::rr::RecordType;
    use hickory_proto::rr::rdata::TXT;
    use muster_core::facts::Witness;
    use muster_core::ids::{Epoch, Seq, Term};
    use std::net::Ipv4Addr;

    fn a(last: u8) -> Datum {
        Datum::A(Ipv4Addr::new(127, 0, last, 1))
    }

    fn written(owner: &str, epoch: u64, term: u64, seq: u64, data: &Datum) -> Written {
        let witness = Witness { owner: owner.into(), epoch: Epoch(epoch), term: Term(term), seq: Seq(seq) };
        Written::new(witness, data)
    }

    /// `me` at epoch 2, term 1, seq 5 wants `a(2)`; the regions are at `a(1)` and `a(2)`; `friend` may be adopted.
    fn check(data: &[Datum], witness: Vec<TXT>, expect: &str) {
        let wanted = written("me", 2, 1, 5, &a(2));
        let adopt = BTreeSet::from([Owner::from("friend")]);
        let targets = [&a(1), &a(2)];
        let rules = FlipRules { wanted: &wanted, targets: &targets, adopt: &adopt };
        let view = View { data: data.iter().cloned().collect(), witness };
        let verdict = decide_flip(&view, RecordType::A, &rules);
        assert!(format!("{verdict:?}").starts_with(expect), "{view:?} gave {verdict:?}, not {expect}");
    }

    fn by(owner: &str, epoch: u64, term: u64, seq: u64, data: &Datum) -> Vec<TXT> {
        vec![written(owner, epoch, term, seq, data).to_txt()]
    }

    #[test]
    fn first_use_takes_over_a_region_s_address_and_nothing_else() {
        check(&[], vec![], "Write");
        check(&[a(1)], vec![], "Write");
        check(&[a(9)], vec![], "Conflict");
        check(&[a(1), a(2)], vec![], "Conflict");
    }

    #[test]
    fn older_numbers_are_written_over_and_newer_ones_never() {
        check(&[a(1)], by("me", 1, 9, 9, &a(1)), "Write");
        check(&[a(1)], by("me", 2, 0, 9, &a(1)), "Write");
        check(&[a(1)], by("me", 2, 1, 4, &a(1)), "Write");
        check(&[a(1)], by("me", 2, 1, 6, &a(1)), "Stale");
        check(&[a(1)], by("me", 2, 2, 0, &a(1)), "Stale");
        check(&[a(2)], by("me", 3, 0, 0, &a(2)), "Stale");
    }

    #[test]
    fn the_same_effect_again_is_already_done_unless_another_writer_came() {
        check(&[a(2)], by("me", 2, 1, 5, &a(2)), "AlreadyDone");
        check(&[a(1)], by("me", 2, 1, 5, &a(2)), "Conflict");
        check(&[a(1)], by("me", 2, 1, 5, &a(1)), "Conflict");
    }

    #[test]
    fn a_foreign_owner_is_a_conflict_until_adopted_whatever_its_numbers() {
        check(&[a(1)], by("other", 1, 0, 0, &a(1)), "Conflict");
        check(&[a(1)], by("other", 9, 0, 0, &a(1)), "Conflict");
        check(&[a(1)], by("friend", 1, 0, 0, &a(1)), "Write");
        check(&[a(1)], by("friend", 9, 0, 0, &a(1)), "Stale");
    }

    #[test]
    fn another_writer_s_data_is_not_written_over_unless_it_is_a_region_s() {
        check(&[a(9)], by("me", 1, 0, 1, &a(1)), "Conflict");
        check(&[a(2)], by("me", 1, 0, 1, &a(1)), "Write");
        check(&[], by("me", 1, 0, 1, &a(1)), "Write");
        // A target that a policy edit has taken away, untouched since.
        check(&[a(7)], by("me", 1, 0, 1, &a(7)), "Write");
    }

    #[test]
    fn a_witness_that_cannot_be_read_is_a_conflict() {
        let txt = TXT::new(vec!["v=spf1".to_owned()]);
        check(&[a(1)], vec![txt], "Conflict");
        let two = [by("me", 1, 0, 1, &a(1)), by("me", 1, 0, 2, &a(1))].concat();
        check(&[a(1)], two, "Conflict");
    }
}

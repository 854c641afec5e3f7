//! Whether an effect may write over the markers that stand there. Pure; S3 checks each of them again when it is written.

use super::marker::{Marker, Signal};
use crate::dns::Verdict;
use muster_core::facts::Witness;
use muster_core::ids::{Owner, RegionName};
use std::collections::{BTreeMap, BTreeSet};

/// What stands in a region's bucket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// No object.
    Absent,
    /// A marker that Muster wrote, and the version that S3 gave it.
    Written { marker: Marker, etag: String },
    /// Something else; says why.
    Unreadable(String),
}

impl Standing {
    pub(super) fn marker(&self) -> Option<&Marker> {
        match self {
            Self::Written { marker, .. } => Some(marker),
            Self::Absent | Self::Unreadable(_) => None,
        }
    }

    /// Whether an object of this version, or none, is what stands there.
    pub(super) fn is_version(&self, seen: Option<&str>) -> bool {
        match self {
            Self::Absent => seen.is_none(),
            Self::Written { etag, .. } => seen == Some(etag),
            Self::Unreadable(_) => false,
        }
    }

    /// Whether a health check may find the marker on.
    pub(super) fn is_on(&self) -> bool {
        self.marker().is_some_and(|marker| marker.signal == Signal::On)
    }

    /// Whether no health check can find it on.
    pub(super) fn is_off(&self) -> bool {
        match self {
            Self::Absent => true,
            Self::Written { marker, .. } => marker.signal == Signal::Off,
            Self::Unreadable(_) => false,
        }
    }
}

/// The markers that could be read.
pub(super) type Standings = BTreeMap<RegionName, Standing>;

/// What an effect wants the markers to be.
#[derive(Clone, Copy)]
pub(super) struct Goal<'a> {
    /// The region whose marker is on; `None`: none is.
    pub(super) on: Option<&'a RegionName>,
    /// The region whose marker the same effect may have left on: it goes off last.
    pub(super) may_stay_on: Option<&'a RegionName>,
    pub(super) witness: &'a Witness,
    /// Owners that a person said may be replaced.
    pub(super) adopt: &'a BTreeSet<Owner>,
}

impl Goal<'_> {
    pub(super) fn signal(&self, region: &RegionName) -> Signal {
        if self.on == Some(region) { Signal::On } else { Signal::Off }
    }
}

/// Who wrote last, as far as the markers say.
pub(super) fn newest<'a>(standings: impl IntoIterator<Item = &'a Standing>) -> Option<&'a Witness> {
    let markers = standings.into_iter().filter_map(Standing::marker);
    markers.map(|marker| &marker.witness).max_by_key(|witness| witness.order())
}

/// Judges all markers that could be read. Also one that is off already is written again: a late request of an older effect
/// stands on the text that was there.
pub(super) fn judge(standings: &Standings, goal: &Goal<'_>) -> Verdict {
    let new = goal.witness;
    for (region, standing) in standings {
        match standing {
            Standing::Unreadable(why) => {
                return Verdict::Conflict(format!("the marker of region {region}: {why}"));
            }
            Standing::Written { marker, .. } => {
                let owner = &marker.witness.owner;
                if *owner != new.owner && !goal.adopt.contains(owner) {
                    return Verdict::Conflict(format!("{owner} owns it; `muster adopt` takes it over"));
                }
            }
            Standing::Absent => {}
        }
    }
    if let Some(old) = newest(standings.values()).filter(|old| old.order() > new.order()) {
        return Verdict::Stale(format!(
            "epoch {} term {} seq {} wrote last; this is epoch {} term {} seq {}",
            old.epoch, old.term, old.seq, new.epoch, new.term, new.seq
        ));
    }
    let is_other = |(region, standing): (&RegionName, &Standing)| {
        let is_otherwise = |m: &Marker| m.witness == *new && m.signal != goal.signal(region);
        goal.may_stay_on != Some(region) && standing.marker().is_some_and(is_otherwise)
    };
    if let Some((region, _)) = standings.iter().find(|(region, standing)| is_other((*region, *standing))) {
        let why = format!("the same numbers have switched the marker of region {region} otherwise");
        return Verdict::Conflict(why);
    }
    let is_done = |(region, standing): (&RegionName, &Standing)| {
        standing.marker().is_some_and(|marker| marker.is_exactly(goal.signal(region), new))
    };
    if !standings.is_empty() && standings.iter().all(is_done) { Verdict::AlreadyDone } else { Verdict::Write }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::ids::{Epoch, Seq, Term};

    fn witness(owner: &str, epoch: u64, term: u64, seq: u64) -> Witness {
        Witness { owner: owner.into(), epoch: Epoch(epoch), term: Term(term), seq: Seq(seq) }
    }

    fn written(signal: Signal, witness: Witness) -> Standing {
        Standing::Written { marker: Marker { signal, is_current: true, witness }, etag: "\"1\"".to_owned() }
    }

    fn on(owner: &str, epoch: u64, term: u64, seq: u64) -> Standing {
        written(Signal::On, witness(owner, epoch, term, seq))
    }

    fn off(owner: &str, epoch: u64, term: u64, seq: u64) -> Standing {
        written(Signal::Off, witness(owner, epoch, term, seq))
    }

    fn verdict_of(standings: Vec<(&str, Standing)>, to: Option<&str>) -> Verdict {
        let standings = standings.into_iter().map(|(region, standing)| (RegionName::from(region), standing));
        let standings: Standings = standings.collect();
        let (wanted, adopt) = (witness("me", 2, 1, 5), BTreeSet::from([Owner::from("friend")]));
        let to = to.map(RegionName::from);
        judge(&standings, &Goal { on: to.as_ref(), may_stay_on: None, witness: &wanted, adopt: &adopt })
    }

    /// `me` at epoch 2, term 1, seq 5 wants west; `friend` may be adopted.
    fn check(east: Option<Standing>, west: Standing, expect: &str) {
        let told = format!("{east:?} {west:?}");
        let east = east.map(|standing| ("east", standing));
        let verdict = verdict_of(east.into_iter().chain([("west", west)]).collect(), Some("west"));
        assert!(format!("{verdict:?}").starts_with(expect), "{told} gave {verdict:?}, not {expect}");
    }

    #[test]
    fn the_first_markers_are_written() {
        check(Some(Standing::Absent), Standing::Absent, "Write");
        check(None, Standing::Absent, "Write");
    }

    #[test]
    fn older_numbers_are_written_over_and_newer_ones_never() {
        check(Some(off("me", 1, 9, 9)), off("me", 1, 9, 9), "Write");
        check(Some(on("me", 2, 0, 9)), off("me", 2, 1, 4), "Write");
        check(Some(off("me", 2, 1, 6)), off("me", 1, 0, 1), "Stale");
        check(Some(Standing::Absent), on("me", 2, 2, 0), "Stale");
        check(None, off("me", 3, 0, 0), "Stale");
    }

    #[test]
    fn the_same_effect_is_already_done_once_every_marker_that_answers_says_so() {
        check(Some(off("me", 2, 1, 5)), on("me", 2, 1, 5), "AlreadyDone");
        check(None, on("me", 2, 1, 5), "AlreadyDone");
        // Its second write is missing.
        check(Some(on("me", 2, 1, 4)), on("me", 2, 1, 5), "Write");
        check(Some(off("me", 2, 1, 4)), on("me", 2, 1, 5), "Write");
        check(Some(Standing::Absent), on("me", 2, 1, 5), "Write");
    }

    #[test]
    fn the_same_numbers_for_another_region_are_a_conflict() {
        check(Some(on("me", 2, 1, 5)), off("me", 2, 1, 5), "Conflict");
        check(None, off("me", 2, 1, 5), "Conflict");
    }

    #[test]
    fn a_foreign_owner_is_a_conflict_until_adopted_whatever_its_numbers() {
        check(Some(Standing::Absent), off("other", 1, 0, 0), "Conflict");
        check(Some(off("other", 9, 0, 0)), off("me", 1, 0, 0), "Conflict");
        check(Some(off("other", 1, 0, 0)), off("me", 9, 0, 0), "Conflict");
        check(Some(Standing::Absent), on("friend", 1, 0, 0), "Write");
        check(Some(Standing::Absent), on("friend", 9, 0, 0), "Stale");
    }

    #[test]
    fn an_object_that_is_no_marker_is_a_conflict() {
        check(Some(Standing::Unreadable("strange".to_owned())), Standing::Absent, "Conflict");
        check(Some(Standing::Absent), Standing::Unreadable("strange".to_owned()), "Conflict");
    }

    #[test]
    fn a_marker_by_an_older_secret_is_written_again() {
        let marker = Marker { signal: Signal::On, is_current: false, witness: witness("me", 2, 1, 5) };
        let old = Standing::Written { marker, etag: "\"1\"".to_owned() };
        assert!(old.is_on() && !old.is_off());
        check(Some(off("me", 2, 1, 5)), old, "Write");
    }

    #[test]
    fn without_a_region_every_marker_is_to_be_off() {
        let both = |east, west| verdict_of(vec![("east", east), ("west", west)], None);
        assert_eq!(both(off("me", 2, 1, 5), off("me", 2, 1, 5)), Verdict::AlreadyDone);
        assert_eq!(both(off("me", 2, 1, 4), on("me", 2, 1, 4)), Verdict::Write);
        assert!(matches!(both(off("me", 2, 1, 4), on("me", 2, 1, 5)), Verdict::Conflict(_)));
    }

    #[test]
    fn a_marker_that_goes_off_last_may_be_left_on_by_the_same_effect() {
        let standings = [("east", off("me", 2, 1, 4)), ("west", on("me", 2, 1, 5))];
        let standings: Standings =
            standings.into_iter().map(|(region, standing)| (RegionName::from(region), standing)).collect();
        let (wanted, adopt, west) = (witness("me", 2, 1, 5), BTreeSet::new(), RegionName::from("west"));
        let goal = Goal { on: None, may_stay_on: Some(&west), witness: &wanted, adopt: &adopt };
        assert_eq!(judge(&standings, &goal), Verdict::Write);
    }
}

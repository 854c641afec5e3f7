//! Takes vantages' reports in: checks who speaks, turns ages into stamps of this process's own clock, and folds.

use super::Engine;
use super::probing::keep_sample;
use crate::api::{AgedSample, VantageReply, VantageReport};
use crate::execute::{PolicyHandle, Setup};
use crate::local::token::is_same;
use crate::store::Archive;
use muster_core::health::Sample;
use muster_core::ids::VantageName;
use muster_core::time::{Millis, Stamp};

/// Older results say nothing any more.
const OLDEST: Millis = Millis::from_secs(15 * 60);
/// A round trip beyond this is no figure, but a vantage that slept.
const LONGEST_TRIP: Millis = Millis::from_secs(30);
/// Samples of one policy in one report.
const MOST_SAMPLES: usize = 2_000;
/// Bytes of a detail.
const LONGEST_DETAIL: usize = 1_024;

/// Takes a report in. Each policy is checked by itself: a token is good for the policies that name it.
pub(crate) fn take_in(engine: &Engine, report: VantageReport, token: &str, now: Stamp) -> VantageReply {
    let mut reply = VantageReply {
        active_regions: std::collections::BTreeMap::new(),
        holder: Some(engine.holder()),
        refused: std::collections::BTreeMap::new(),
    };
    let trip = report.round_trip.unwrap_or_default().min(LONGEST_TRIP);
    for (policy, samples) in report.policies {
        let Some(shown) = engine.find(&policy) else {
            reply.refused.insert(policy, "no such policy is in force here".to_owned());
            continue;
        };
        let handle = shown.handle;
        let setup = handle.acting.borrow().clone();
        if !may_report(&setup, &report.vantage, token) {
            let why = format!("the policy names no vantage {} with this token", report.vantage);
            reply.refused.insert(policy, why);
            continue;
        }
        fold(engine.archive(), &handle, &setup, &report.vantage, samples, (trip, now));
        let latest = handle.latest.borrow().clone();
        let active = latest.and_then(|latest| latest.journal.as_ref()?.state.active_region.clone());
        reply.active_regions.insert(policy, active);
    }
    reply
}

fn may_report(setup: &Setup, vantage: &VantageName, token: &str) -> bool {
    let place = setup.vantages.get(vantage);
    place.and_then(|place| place.token.as_ref()).is_some_and(|known| is_same(token, known))
}

/// Oldest first: streaks are counted in the order in which things happened.
fn fold(
    archive: Option<&Archive>,
    handle: &PolicyHandle,
    setup: &Setup,
    vantage: &VantageName,
    mut samples: Vec<AgedSample>,
    (trip, now): (Millis, Stamp),
) {
    samples.sort_by_key(|sample| std::cmp::Reverse(sample.age));
    let skipped = samples.len().saturating_sub(MOST_SAMPLES);
    for aged in samples.into_iter().skip(skipped) {
        let known = setup.policy.probes.iter().any(|p| p.name == aged.probe)
            && setup.policy.regions.contains(&aged.region);
        let Some(at) = stamp(&aged, trip, now).filter(|_| known) else { continue };
        let mut detail = aged.detail;
        if detail.len() > LONGEST_DETAIL {
            detail.truncate(detail.floor_char_boundary(LONGEST_DETAIL));
        }
        let sample = Sample {
            region: aged.region,
            vantage: vantage.clone(),
            probe: aged.probe,
            result: aged.result,
            at,
            detail,
        };
        handle.board.fold_sample(&sample, &setup.policy);
        if let Some(archive) = archive {
            keep_sample(archive, &setup.policy.name, &sample, None);
        }
    }
}

/// When it began, at the earliest: the age counts from before the report was sent, so that a whole round trip may
/// have passed since. A negative age cannot be true.
fn stamp(aged: &AgedSample, trip: Millis, now: Stamp) -> Option<Stamp> {
    let age = Millis(u64::try_from(aged.age).ok()?).plus(trip);
    (age <= OLDEST && age.0 <= now.tick.0).then(|| now.minus(age))
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::health::ProbeResult;
    use muster_core::time::{BootId, Tick, Wall};

    fn aged(age: i64) -> AgedSample {
        AgedSample {
            region: "east".into(),
            probe: "order".into(),
            result: ProbeResult::Fail,
            age,
            detail: String::new(),
        }
    }

    #[test]
    fn an_age_becomes_a_stamp_of_the_receiver_and_the_round_trip_makes_it_older() {
        let now = Stamp { boot: BootId(1), tick: Tick(1_000_000), wall: Wall(5_000_000) };
        assert_eq!(stamp(&aged(300), Millis(20), now), Some(now.minus(Millis(320))));
    }

    #[test]
    fn an_age_that_cannot_be_true_is_dropped() {
        let now = Stamp { boot: BootId(1), tick: Tick(1_000), wall: Wall(5_000_000) };
        assert_eq!(stamp(&aged(-1), Millis(0), now), None);
        assert_eq!(stamp(&aged(2_000), Millis(0), now), None, "from before the boot");
        let later = Stamp { tick: Tick(10_000_000), ..now };
        assert_eq!(stamp(&aged(3_600_000), Millis(0), later), None, "an hour old");
    }
}

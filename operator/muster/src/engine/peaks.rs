//! The largest live loss of each data item, hour by hour: what the worst moment would have cost.

use super::probing::StandbyBeats;
use crate::store::Archive;
use crate::store::archive::Kind;
use muster_core::ids::{ItemName, PolicyName};
use muster_core::time::{Millis, Wall};
use serde::Serialize;
use std::collections::BTreeMap;

const HOUR_MS: i64 = 3_600_000;

/// The largest value of one hour.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Peak {
    /// When the hour began.
    hour: Wall,
    /// What would have been lost.
    loss: Millis,
    /// When.
    seen: Wall,
}

/// The hour under way, by item.
#[derive(Debug, Default)]
pub(crate) struct Peaks(BTreeMap<ItemName, Peak>);

impl Peaks {
    /// Takes in what is seen now, and answers the peaks of hours that are over.
    pub(crate) fn fold(&mut self, live: &BTreeMap<ItemName, Millis>, now: Wall) -> Vec<(ItemName, Peak)> {
        let hour = Wall(now.0.div_euclid(HOUR_MS) * HOUR_MS);
        let over = self.0.iter().filter(|(_, peak)| peak.hour != hour);
        let over: Vec<_> = over.map(|(item, peak)| (item.clone(), peak.clone())).collect();
        self.0.retain(|_, peak| peak.hour == hour);
        for (item, loss) in live {
            let peak = Peak { hour, loss: *loss, seen: now };
            let known = self.0.entry(item.clone()).or_insert_with(|| peak.clone());
            if known.loss < peak.loss {
                *known = peak;
            }
        }
        over
    }

    /// What the hour has brought up to now; it begins anew.
    pub(crate) fn finish(&mut self) -> Vec<(ItemName, Peak)> {
        std::mem::take(&mut self.0).into_iter().collect()
    }
}

/// Adds peaks to their series, by policy and item.
pub(crate) fn keep(archive: &Archive, policy: &PolicyName, peaks: Vec<(ItemName, Peak)>) {
    for (item, peak) in peaks {
        archive.append(Kind::Peaks, &format!("{policy}/{item}"), &peak);
    }
}

/// What would be lost now, by item: the best standby counts.
pub(crate) fn live_losses(beats: &StandbyBeats) -> BTreeMap<ItemName, Millis> {
    let best = |(item, by_region): (&ItemName, &BTreeMap<_, muster_probes::StandbyBeat>)| {
        Some((item.clone(), by_region.values().filter_map(|beat| beat.lag).min()?))
    };
    beats.iter().filter_map(best).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(loss: u64) -> BTreeMap<ItemName, Millis> {
        BTreeMap::from([("orders".into(), Millis(loss))])
    }

    #[test]
    fn the_largest_value_of_each_hour_is_told_when_the_hour_is_over() {
        let mut peaks = Peaks::default();
        for (now, loss) in [(10, 5), (20, 90), (HOUR_MS - 1, 7)] {
            assert_eq!(peaks.fold(&live(loss), Wall(now)), []);
        }
        let first = Peak { hour: Wall(0), loss: Millis(90), seen: Wall(20) };
        assert_eq!(peaks.fold(&live(1), Wall(HOUR_MS)), [("orders".into(), first)]);
        let second = Peak { hour: Wall(HOUR_MS), loss: Millis(1), seen: Wall(HOUR_MS) };
        assert_eq!(peaks.fold(&BTreeMap::new(), Wall(5 * HOUR_MS)), [("orders".into(), second)]);
        assert_eq!(peaks.finish(), []);
    }

    #[test]
    fn an_hour_that_is_cut_short_tells_what_it_has() {
        let mut peaks = Peaks::default();
        peaks.fold(&live(3), Wall(-1));
        let peak = Peak { hour: Wall(-HOUR_MS), loss: Millis(3), seen: Wall(-1) };
        assert_eq!(peaks.finish(), [("orders".into(), peak)]);
        assert_eq!(peaks.finish(), []);
    }

    #[tokio::test]
    async fn peaks_are_kept_by_policy_and_item() {
        let dir = tempfile::tempdir().unwrap();
        let limits = crate::store::archive::Limits { keep_free_bytes: 0, ..Default::default() };
        let archive = Archive::open(dir.path(), limits, crate::clock::Clock::system());
        let mut peaks = Peaks::default();
        peaks.fold(&live(1_500), Wall(HOUR_MS));
        keep(&archive, &"shop/checkout".into(), peaks.finish());
        let all = Wall(0)..Wall(i64::MAX);
        let kept = archive.read(Kind::Peaks, "shop/checkout/orders", all, 9).await.unwrap();
        assert_eq!(kept[0].value, serde_json::json!({"hour": HOUR_MS, "loss": 1_500, "seen": HOUR_MS}));
    }
}

//! What was seen and not yet reported to one controller. Bounded: the oldest are dropped first.

use crate::api::AgedSample;
use muster_core::health::Sample;
use muster_core::ids::PolicyName;
use muster_core::time::{Millis, Stamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Kept samples, all policies together.
const KEPT: usize = 20_000;
/// Older ones say nothing to a controller any more.
const OLDEST: Millis = Millis::from_secs(15 * 60);
/// Samples in one report.
const AT_ONCE: usize = 1_000;

/// Samples on their way.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    waiting: Mutex<VecDeque<(PolicyName, Sample)>>,
    news: Notify,
}

impl Buffer {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(PolicyName, Sample)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, policy: PolicyName, sample: Sample) {
        let mut waiting = self.lock();
        waiting.push_back((policy, sample));
        while waiting.len() > KEPT {
            waiting.pop_front();
        }
        drop(waiting);
        self.news.notify_one();
    }

    /// Completes when something was pushed since the last call.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// The oldest samples of `policies`, at most one report full.
    pub(super) fn take(&self, policies: &[PolicyName], now: Stamp) -> Vec<(PolicyName, Sample)> {
        let mut waiting = self.lock();
        waiting.retain(|(_, sample)| now.since(&sample.at).is_some_and(|age| age <= OLDEST));
        let (mut taken, mut left) = (Vec::new(), VecDeque::new());
        for (policy, sample) in waiting.drain(..) {
            if taken.len() < AT_ONCE && policies.contains(&policy) {
                taken.push((policy, sample));
            } else {
                left.push_back((policy, sample));
            }
        }
        *waiting = left;
        taken
    }

    /// A report that did not arrive: its samples go first again.
    pub(super) fn put_back(&self, taken: Vec<(PolicyName, Sample)>) {
        let mut waiting = self.lock();
        for entry in taken.into_iter().rev() {
            waiting.push_front(entry);
        }
        while waiting.len() > KEPT {
            waiting.pop_front();
        }
    }
}

/// With ages as of `now`; what is from another boot has none.
pub(super) fn age_all(
    samples: &[(PolicyName, Sample)],
    policies: &[PolicyName],
    now: Stamp,
) -> BTreeMap<PolicyName, Vec<AgedSample>> {
    // A policy without news asks for its active region.
    let mut aged: BTreeMap<PolicyName, Vec<AgedSample>> =
        policies.iter().map(|policy| (policy.clone(), Vec::new())).collect();
    for (policy, sample) in samples {
        let Some(age) = now.since(&sample.at) else { continue };
        aged.entry(policy.clone()).or_default().push(AgedSample {
            region: sample.region.clone(),
            probe: sample.probe.clone(),
            result: sample.result,
            age: i64::try_from(age.0).unwrap_or(i64::MAX),
            detail: sample.detail.clone(),
        });
    }
    aged
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::health::ProbeResult;
    use muster_core::time::{BootId, Tick, Wall};

    fn at(tick: u64) -> Stamp {
        Stamp { boot: BootId(1), tick: Tick(tick), wall: Wall(0) }
    }

    fn sample(tick: u64) -> (PolicyName, Sample) {
        let sample = Sample {
            region: "east".into(),
            vantage: "v1".into(),
            probe: "order".into(),
            result: ProbeResult::Pass,
            at: at(tick),
            detail: String::new(),
        };
        ("shop/checkout".into(), sample)
    }

    fn ticks(samples: &[(PolicyName, Sample)]) -> Vec<u64> {
        samples.iter().map(|(_, s)| s.at.tick.0).collect()
    }

    #[test]
    fn what_did_not_arrive_is_sent_again_first_and_with_its_present_age() {
        let buffer = Buffer::default();
        let policies = ["shop/checkout".into()];
        for tick in [10, 20] {
            let (policy, sample) = sample(tick);
            buffer.push(policy, sample);
        }
        let taken = buffer.take(&policies, at(30));
        assert_eq!(ticks(&taken), [10, 20]);
        let (policy, newest) = sample(40);
        buffer.push(policy, newest);
        buffer.put_back(taken);
        let again = buffer.take(&policies, at(100));
        assert_eq!(ticks(&again), [10, 20, 40]);
        let aged = age_all(&again, &policies, at(100));
        assert_eq!(aged[&policies[0]].iter().map(|s| s.age).collect::<Vec<_>>(), [90, 80, 60]);
        assert!(buffer.take(&policies, at(100)).is_empty());
    }

    #[test]
    fn the_oldest_are_dropped_when_a_controller_stays_away() {
        let buffer = Buffer::default();
        for tick in 0..KEPT as u64 + 5 {
            let (policy, sample) = sample(tick);
            buffer.push(policy, sample);
        }
        let taken = buffer.take(&["shop/checkout".into()], at(KEPT as u64));
        assert_eq!((taken.len(), taken[0].1.at.tick), (AT_ONCE, Tick(5)));
    }

    #[test]
    fn a_policy_without_news_asks_for_its_active_region() {
        let policies = ["shop/checkout".into()];
        assert!(age_all(&[], &policies, at(5))[&policies[0]].is_empty());
    }
}

//! What happened at the targets in a run, counted at the wire and by what RDS itself says has happened.

use muster_aws_fake::Call;
use muster_core::journal::RunKind;
use std::fmt;

const SWITCHOVER: &str = "SwitchoverGlobalCluster";
const FAILOVER: &str = "FailoverGlobalCluster";
const TAKEN: u16 = 200;

/// Numbers of one run, and of all that follows it until everything is calm.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Effects {
    /// Members that RDS promoted.
    pub(super) promotions: usize,
    /// Switchovers that RDS took, as the caller was told.
    pub(super) switchovers: usize,
    /// Failovers that RDS took, as the caller was told.
    pub(super) failovers: usize,
    /// Batches of records that Route 53 took, as the caller was told.
    pub(super) swaps: usize,
    /// Objects that S3 took: more of them are harmless, since each stands on what was read.
    markers: usize,
    /// Changes that were asked for in vain, or whose answer was lost.
    in_vain: usize,
}

impl Effects {
    pub(super) fn count(calls: &[Call], promotions: usize) -> Self {
        let taken = |operation: &str| {
            calls.iter().filter(|call| call.operation == operation && call.status == TAKEN).count()
        };
        Self {
            promotions,
            switchovers: taken(SWITCHOVER),
            failovers: taken(FAILOVER),
            swaps: taken("ChangeResourceRecordSets"),
            markers: taken("PutObject"),
            in_vain: calls.iter().filter(|call| call.is_mutation && call.status != TAKEN).count(),
        }
    }

    /// What a run takes that nothing disturbs.
    pub(super) const fn of_undisturbed(kind: RunKind) -> Self {
        let (switchovers, failovers) = if kind.is_planned() { (1, 0) } else { (0, 1) };
        Self { promotions: 1, switchovers, failovers, swaps: 1, markers: 0, in_vain: 0 }
    }

    const fn compared(&self) -> [(&'static str, usize); 4] {
        [
            ("promotions by RDS", self.promotions),
            (SWITCHOVER, self.switchovers),
            (FAILOVER, self.failovers),
            ("swaps of the records", self.swaps),
        ]
    }

    /// What took effect more often than in `expected`. Where the region that was left is silent while the name is settled, its
    /// bucket among the rest, the records are written once more: pinned first, and given their check back later.
    pub(super) fn extra(&self, expected: &Self) -> Vec<String> {
        let swaps = expected.swaps + expected.failovers;
        self.compare(&Self { swaps, ..*expected }, |now, then| now > then)
    }

    /// What took effect less often than in `expected`: an answer that was lost counts for nothing here.
    pub(super) fn missing(&self, expected: &Self) -> Vec<String> {
        self.compare(expected, |now, then| now < then)
    }

    fn compare(&self, expected: &Self, differs: impl Fn(usize, usize) -> bool) -> Vec<String> {
        let pairs = self.compared().into_iter().zip(expected.compared());
        let differ = pairs.filter(|((_, now), (_, then))| differs(*now, *then));
        differ.map(|((name, now), (_, then))| format!("{name}: {now} instead of {then}")).collect()
    }
}

impl fmt::Display for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in self.compared().into_iter().filter(|(_, count)| *count > 0) {
            write!(f, "{name} {count}, ")?;
        }
        write!(f, "markers {}, in vain {}", self.markers, self.in_vain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(operation: &str, status: u16) -> Call {
        Call {
            service: "rds".to_owned(),
            operation: operation.to_owned(),
            account: String::new(),
            region: String::new(),
            is_mutation: true,
            status,
            code: None,
        }
    }

    #[test]
    fn only_what_was_taken_counts_as_an_effect() {
        let calls = [call(SWITCHOVER, 200), call(SWITCHOVER, 400), call("ChangeResourceRecordSets", 0)];
        let effects = Effects::count(&calls, 1);
        let expected = Effects::of_undisturbed(RunKind::Switchover);
        assert_eq!(effects.extra(&expected), [""; 0]);
        assert_eq!(effects.missing(&expected), ["swaps of the records: 0 instead of 1"]);
        assert!(effects.to_string().ends_with("in vain 2"), "{effects}");
    }

    #[test]
    fn only_a_failover_may_write_the_records_twice() {
        let calls = [call("ChangeResourceRecordSets", 200), call("ChangeResourceRecordSets", 200)];
        let extra = |kind| Effects::count(&calls, 1).extra(&Effects::of_undisturbed(kind));
        assert_eq!(extra(RunKind::Failover), [""; 0]);
        assert_eq!(extra(RunKind::Switchover), ["swaps of the records: 2 instead of 1"]);
    }

    #[test]
    fn a_second_promotion_is_one_too_many() {
        let effects = Effects::count(&[call(FAILOVER, 200)], 2);
        let extra = effects.extra(&Effects::of_undisturbed(RunKind::Failover));
        assert_eq!(extra, ["promotions by RDS: 2 instead of 1"]);
    }
}

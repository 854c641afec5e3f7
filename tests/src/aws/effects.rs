//! What happened at the targets in a run, counted at the wire and by what RDS itself says has happened.

use super::stage::Way;
use muster_aws_fake::Call;
use muster_core::journal::RunKind;
use std::fmt;

const SWITCHOVER: &str = "SwitchoverGlobalCluster";
const FAILOVER: &str = "FailoverGlobalCluster";
const REMOVE: &str = "RemoveFromGlobalCluster";
const DENY: &str = "CreateNetworkAclEntry";
const OPEN: &str = "DeleteNetworkAclEntry";
const PROMOTE: &str = "PromoteReadReplica";
const COPY: &str = "CopyDBClusterSnapshot";
const RENAME: &str = "ModifyDBInstance";
const CREATE: &str = "CreateDBInstanceReadReplica";
const CHANGE: &str = "ChangeResourceRecordSets";
/// Objects that S3 takes in one run, with all that is written again: more of them would be a loop.
const MOST_MARKERS: usize = 8;
/// Changes that are asked for in vain in one run, with a trouble of a minute in it: more of them would be a loop.
const MOST_IN_VAIN: usize = 100;

/// What RDS promoted, as it says itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Promotions {
    /// Of the global database.
    pub(super) members: usize,
    pub(super) replicas: usize,
}

impl Promotions {
    pub(super) const ONE_OF_EACH: Self = Self { members: 1, replicas: 1 };

    /// Since that was counted.
    pub(super) const fn since(self, before: Self) -> Self {
        Self { members: self.members - before.members, replicas: self.replicas - before.replicas }
    }
}

/// Numbers of one run, and of all that follows it until everything is calm.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Effects {
    pub(super) promotions: Promotions,
    /// Switchovers that RDS took.
    pub(super) switchovers: usize,
    /// Failovers that RDS took.
    pub(super) failovers: usize,
    /// Clusters that RDS took out of their global database.
    pub(super) removals: usize,
    /// Entries of network ACLs that EC2 made.
    denied: usize,
    /// Entries of network ACLs that EC2 removed.
    opened: usize,
    /// Promotions of the replica that RDS took.
    pub(super) promoted: usize,
    /// Other names for old primaries that RDS took.
    pub(super) renamed: usize,
    /// Replicas that RDS took to make.
    pub(super) created: usize,
    /// Batches of records that Route 53 took.
    pub(super) swaps: usize,
    /// Those among them whose answer was lost.
    unheard_swaps: usize,
    /// Copies of what RDS saved of an old primary.
    copies: usize,
    /// Objects that S3 took: more of them are harmless, since each stands on what was read.
    markers: usize,
    /// Changes that RDS or EC2 refused by itself, and no fault: they should not have been asked for.
    refused: usize,
    /// Changes that were asked for in vain, or whose answer was lost.
    in_vain: usize,
}

impl Effects {
    pub(super) fn count(calls: &[Call], promotions: Promotions) -> Self {
        let taken = |operation: &str| done(calls, operation).count();
        Self {
            promotions,
            switchovers: taken(SWITCHOVER),
            failovers: taken(FAILOVER),
            removals: taken(REMOVE),
            denied: taken(DENY),
            opened: taken(OPEN),
            promoted: taken(PROMOTE),
            renamed: taken(RENAME),
            created: taken(CREATE),
            swaps: taken(CHANGE),
            unheard_swaps: done(calls, CHANGE).filter(|call| call.status == 0).count(),
            copies: taken(COPY),
            markers: taken("PutObject"),
            refused: calls.iter().filter(|call| is_refused(call)).count(),
            in_vain: calls
                .iter()
                .filter(|call| call.is_mutation && (!call.is_done || call.status == 0))
                .count(),
        }
    }

    /// What a run takes that nothing disturbs.
    pub(super) fn of_undisturbed(kind: RunKind) -> Self {
        let (switchovers, failovers) = if kind.is_planned() { (1, 0) } else { (0, 1) };
        let promotions = Promotions::ONE_OF_EACH;
        let once = Self { promotions, promoted: 1, renamed: 1, created: 1, swaps: 1, ..Self::default() };
        Self { switchovers, failovers, copies: failovers, ..once }
    }

    /// The same in a run of this way, after which a person opened the network ACL so often.
    pub(super) const fn by(self, way: Way, opened: usize) -> Self {
        match way {
            Way::Usual => self,
            // Aurora saves nothing of the old volume where its own failover was gone round.
            Way::Detached => Self { removals: 1, copies: 0, ..self },
            // What comes in, and what goes out; and again, where the old writer is seen writing once it is reached.
            Way::ByAcl => Self { denied: 2 * opened, ..self },
        }
    }

    /// The same where the process was ended while the name settled: before the last marker goes off, the next process writes
    /// the same records anew, since an older batch that got stuck could land otherwise.
    pub(super) const fn and_a_touch(self) -> Self {
        Self { swaps: self.swaps + 1, ..self }
    }

    /// The same where so many changes may be refused.
    pub(super) const fn and_refusals(self, refused: usize) -> Self {
        Self { refused: self.refused + refused, ..self }
    }

    const fn compared(&self) -> [(&'static str, usize); 13] {
        [
            ("members that RDS promoted", self.promotions.members),
            ("replicas that RDS promoted", self.promotions.replicas),
            (SWITCHOVER, self.switchovers),
            (FAILOVER, self.failovers),
            (REMOVE, self.removals),
            (DENY, self.denied),
            (OPEN, self.opened),
            (PROMOTE, self.promoted),
            (RENAME, self.renamed),
            (CREATE, self.created),
            ("swaps of the records", self.swaps),
            (COPY, self.copies),
            ("refused by RDS or EC2", self.refused),
        ]
    }

    /// What took effect more often than in `expected`. Where the region that was left is silent while the name is settled, its
    /// bucket among the rest, the records are written once more: pinned first, and given their check back later. So are those
    /// whose answer was lost: nobody knows by which change to wait for them. What an earlier failover left may be copied late.
    pub(super) fn extra(&self, expected: &Self) -> Vec<String> {
        let swaps = expected.swaps + expected.failovers + self.unheard_swaps;
        let mut extra = self.compare(&Self { swaps, copies: 1, ..*expected }, |now, then| now > then);
        let bounded = [("objects", self.markers, MOST_MARKERS), ("in vain", self.in_vain, MOST_IN_VAIN)];
        let loops = bounded.into_iter().filter(|(_, now, most)| now > most);
        extra.extend(loops.map(|(name, now, most)| format!("{name}: {now}, and {most} at most")));
        extra
    }

    /// What took effect less often than in `expected`.
    pub(super) fn missing(&self, expected: &Self) -> Vec<String> {
        self.compare(expected, |now, then| now < then)
    }

    fn compare(&self, expected: &Self, differs: impl Fn(usize, usize) -> bool) -> Vec<String> {
        let pairs = self.compared().into_iter().zip(expected.compared());
        let differ = pairs.filter(|((_, now), (_, then))| differs(*now, *then));
        differ.map(|((name, now), (_, then))| format!("{name}: {now} instead of {then}")).collect()
    }
}

/// Calls of this operation that AWS did, whoever learned of it.
fn done<'c>(calls: &'c [Call], operation: &'c str) -> impl Iterator<Item = &'c Call> {
    calls.iter().filter(move |call| call.is_done && call.operation == operation)
}

/// S3 and Route 53 compare with what stands there, so that what comes too late is refused: that is how it has to be.
fn is_refused(call: &Call) -> bool {
    let checks_nothing = matches!(call.service.as_str(), "rds" | "ec2");
    call.is_mutation && checks_nothing && call.code.is_some() && !call.is_struck
}

impl fmt::Display for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in self.compared().into_iter().filter(|(_, count)| *count > 0) {
            write!(f, "{name} {count}, ")?;
        }
        write!(f, "markers {}, in vain or unheard {}", self.markers, self.in_vain)
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
            code: (status >= 300).then(|| "Refused".to_owned()),
            is_struck: false,
            is_done: status == 200,
        }
    }

    #[test]
    fn only_what_was_taken_counts_as_an_effect() {
        let calls = [SWITCHOVER, PROMOTE, RENAME, CREATE].map(|operation| call(operation, 200));
        let struck = Call { is_struck: true, ..call(PROMOTE, 400) };
        let calls = [&calls[..], &[struck, call(CHANGE, 0)]].concat();
        let effects = Effects::count(&calls, Promotions::ONE_OF_EACH);
        let expected = Effects::of_undisturbed(RunKind::Switchover);
        assert_eq!(effects.extra(&expected), [""; 0]);
        assert_eq!(effects.missing(&expected), ["swaps of the records: 0 instead of 1"]);
        assert!(effects.to_string().ends_with("in vain or unheard 2"), "{effects}");
    }

    #[test]
    fn only_a_failover_may_write_the_records_twice() {
        let calls = [call(CHANGE, 200), call(CHANGE, 200)];
        let extra =
            |kind| Effects::count(&calls, Promotions::ONE_OF_EACH).extra(&Effects::of_undisturbed(kind));
        assert_eq!(extra(RunKind::Failover), [""; 0]);
        assert_eq!(extra(RunKind::Switchover), ["swaps of the records: 2 instead of 1"]);
    }

    #[test]
    fn the_next_process_may_write_settling_records_once_more() {
        let expected = Effects::of_undisturbed(RunKind::Switchover).and_a_touch();
        let calls = |count| vec![call(CHANGE, 200); count];
        let extra = |count| Effects::count(&calls(count), Promotions::ONE_OF_EACH).extra(&expected);
        assert_eq!(extra(2), [""; 0]);
        assert_eq!(extra(3), ["swaps of the records: 3 instead of 2"]);
    }

    #[test]
    fn a_swap_whose_answer_was_lost_is_one_and_excuses_one_more() {
        let expected = Effects::of_undisturbed(RunKind::Switchover);
        let unheard = Call { is_done: true, ..call(CHANGE, 0) };
        let extra = |more: usize| {
            let calls = [&[unheard.clone()][..], &vec![call(CHANGE, 200); more]].concat();
            Effects::count(&calls, Promotions::ONE_OF_EACH).extra(&expected)
        };
        assert_eq!(extra(1), [""; 0]);
        assert_eq!(extra(2), ["swaps of the records: 3 instead of 2"]);
    }

    #[test]
    fn a_loop_is_too_many_of_what_is_harmless_by_itself() {
        let extra = |again: Call| {
            let effects = Effects::count(&vec![again; MOST_IN_VAIN + 1], Promotions::ONE_OF_EACH);
            effects.extra(&Effects::of_undisturbed(RunKind::Failover))
        };
        assert_eq!(extra(call("PutObject", 200)), ["objects: 101, and 8 at most"]);
        assert_eq!(extra(Call { is_struck: true, ..call(FAILOVER, 503) }), ["in vain: 101, and 100 at most"]);
    }

    #[test]
    fn a_second_rebuild_is_one_too_many() {
        let calls = [RENAME, CREATE, CREATE].map(|operation| call(operation, 200));
        let effects = Effects::count(&calls, Promotions::ONE_OF_EACH);
        let extra = effects.extra(&Effects::of_undisturbed(RunKind::Failover));
        assert_eq!(extra, ["CreateDBInstanceReadReplica: 2 instead of 1"]);
    }

    #[test]
    fn what_rds_refuses_should_not_have_been_asked_for() {
        let of = |refused: Call| {
            let effects = Effects::count(&[refused], Promotions::ONE_OF_EACH);
            effects.extra(&Effects::of_undisturbed(RunKind::Failover))
        };
        assert_eq!(of(call(FAILOVER, 400)), ["refused by RDS or EC2: 1 instead of 0"]);
        assert_eq!(of(Call { status: 0, ..call(FAILOVER, 400) }), ["refused by RDS or EC2: 1 instead of 0"]);
        let swap = Call { service: "route53".to_owned(), ..call(CHANGE, 400) };
        assert_eq!(of(swap), [""; 0]);
        assert_eq!(of(Call { is_mutation: false, ..call("DescribeDBInstances", 400) }), [""; 0]);
    }

    #[test]
    fn where_reads_are_late_so_many_changes_may_be_refused() {
        let expected = Effects::of_undisturbed(RunKind::Failover).and_refusals(2);
        let extra = |count| {
            let calls = vec![call(DENY, 400); count];
            Effects::count(&calls, Promotions::ONE_OF_EACH).extra(&expected)
        };
        assert_eq!(extra(2), [""; 0]);
        assert_eq!(extra(3), ["refused by RDS or EC2: 3 instead of 2"]);
    }

    #[test]
    fn a_second_promotion_is_one_too_many() {
        let extra = |promotions| {
            let effects = Effects::count(&[call(FAILOVER, 200)], promotions);
            effects.extra(&Effects::of_undisturbed(RunKind::Failover))
        };
        let members = Promotions { members: 2, ..Promotions::ONE_OF_EACH };
        assert_eq!(extra(members), ["members that RDS promoted: 2 instead of 1"]);
        let replicas = Promotions { replicas: 2, ..Promotions::ONE_OF_EACH };
        assert_eq!(extra(replicas), ["replicas that RDS promoted: 2 instead of 1"]);
    }
}

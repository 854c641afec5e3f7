//! What the two sides say of a member, as facts. The role is the database's own word; what RDS says beside it can only make
//! the member unfit or not ready, and is what a standby needs to be proven.

use super::look::Looked;
use super::view::{Control, GlobalView};
use muster_core::facts::{ClosedView, DataFacts, DataRole, PositionUnit, SyncView};
use muster_core::ids::{Position, RegionName};

/// Aurora counts no timelines: a global database has one history, whoever takes writes.
const TIMELINE: u64 = 1;

/// Whom the facts are about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub(super) cluster: &'a str,
    pub(super) arn: &'a str,
    /// AWS' name of its region.
    pub(super) region: &'a str,
}

/// Facts of a member whose database answers.
pub(super) fn facts(subject: Subject<'_>, looked: &Looked, control: &Result<Control, String>) -> DataFacts {
    let newest = Position(looked.newest_beat());
    DataFacts {
        role: if looked.recovering { DataRole::Standby } else { DataRole::Writable },
        system: looked.system(),
        timeline: TIMELINE,
        unit: PositionUnit::Micros,
        position: newest,
        replayed: newest,
        streaming: looked.recovering && is_connected(subject, control),
        upstream: None,
        witness: looked.witness(),
        closed: ClosedView::default(),
        sync: SyncView::default(),
        sync_name: None,
        heartbeat: looked.heartbeat(),
        unfit: unfit(subject, looked, control),
        unready: unready(subject, looked, control),
        lag: None,
        alone: alone(subject, looked, control),
        // Its resource's id is not known to outlive a failover that builds the old volume again.
        node: None,
        progress: None,
        follows: None,
        write_block: None,
        saved: Vec::new(),
        unproven: unproven(subject, looked, control),
    }
}

/// The writer of the global cluster that a standby is a member of, if one is said.
pub(super) fn followed<'a>(subject: Subject<'_>, looked: &Looked, global: &'a GlobalView) -> Option<&'a str> {
    let is_standby = looked.recovering && global.member(subject.arn).is_some();
    match global.writers().as_slice() {
        [writer] if is_standby && *writer != subject.arn => Some(writer),
        _ => None,
    }
}

/// Facts of a standby of `writer`. What a cluster that the policy does not name writes is nothing to take over from.
pub(super) fn following(facts: DataFacts, writer: &str, region: Option<&RegionName>) -> DataFacts {
    if region.is_some() {
        return DataFacts { follows: region.cloned(), ..facts };
    }
    let why = format!("it follows {writer}, which the policy does not name");
    let unready = facts.unready.into_iter().chain([why]).collect::<Vec<_>>().join("; ");
    // By what AWS calls it: no region of the policy is that.
    DataFacts { follows: Some(RegionName::new(writer)), streaming: false, unready: Some(unready), ..facts }
}

/// Why nobody follows a cluster that takes writes: it was detached, or its global cluster is gone.
fn alone(subject: Subject<'_>, looked: &Looked, control: &Result<Control, String>) -> Option<String> {
    let control = control.as_ref().ok().filter(|control| !looked.recovering && control.cluster.is_some())?;
    let member = control.global.as_ref().and_then(|global| global.member(subject.arn));
    let cluster = subject.cluster;
    let why = format!(
        "it takes writes outside of the global cluster {cluster}, and no cluster follows it: build a global cluster around it again (docs/aws.md)"
    );
    member.is_none().then_some(why)
}

fn is_connected(subject: Subject<'_>, control: &Result<Control, String>) -> bool {
    let global = control.as_ref().ok().and_then(|control| control.global.as_ref());
    let member = global.and_then(|global| global.member(subject.arn));
    member.is_some_and(|member| !member.is_writer && member.is_connected())
}

/// Every reader of the *primary* cluster is in recovery too: a session that stayed with one while another instance took over,
/// or an endpoint of one instance, would speak for the whole region. So a standby is proven only by RDS, in this very look. And
/// while a member is given the writer's role, RDS says that it has it later than an instance takes writes.
fn unproven(subject: Subject<'_>, looked: &Looked, control: &Result<Control, String>) -> Option<String> {
    let region = subject.region;
    match control {
        _ if !looked.recovering => None,
        Err(why) => Some(format!("RDS in {region} does not say whether the cluster takes writes: {why}")),
        Ok(control) => {
            let known = control.global.as_ref().filter(|global| global.member(subject.arn).is_some());
            let Some(global) = known else { return Some(format!("RDS in {region} knows no such member")) };
            let moves = global.operation.as_ref().filter(|operation| operation.to == subject.arn);
            moves.map(|moves| format!("it may take writes before RDS in {region} says so: {moves}"))
        }
    }
}

/// A reader of a cluster that takes writes answered: what it says of its role is nothing.
pub(super) fn is_reader_of_a_writer(
    subject: Subject<'_>,
    looked: &Looked,
    control: &Result<Control, String>,
) -> bool {
    let global = control.as_ref().ok().and_then(|control| control.global.as_ref());
    let member = global.and_then(|global| global.member(subject.arn));
    looked.recovering && member.is_some_and(|member| member.is_writer)
}

fn unfit(subject: Subject<'_>, looked: &Looked, control: &Result<Control, String>) -> Option<String> {
    let mut reasons =
        control.as_ref().map(|control| control.unfit(subject.cluster, subject.arn)).unwrap_or_default();
    reasons.extend(alone(subject, looked, control));
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

fn unready(subject: Subject<'_>, looked: &Looked, control: &Result<Control, String>) -> Option<String> {
    let reasons = match control {
        Err(why) => vec![format!("RDS in {} does not answer: {why}", subject.region)],
        Ok(control) => {
            let mut reasons = control.unready();
            reasons.extend(disagreement(subject, looked, control));
            reasons
        }
    };
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// The two sides differ while roles change, and after somebody detached a cluster.
fn disagreement(subject: Subject<'_>, looked: &Looked, control: &Control) -> Option<String> {
    let member = control.global.as_ref()?.member(subject.arn)?;
    (!looked.recovering && !member.is_writer).then(|| {
        "the control plane says that the member only replays, the database says that it takes writes"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::super::view::{ClusterView, GlobalView, MemberView, Operation};
    use super::*;

    const WEST: &str = "arn:aws:rds:us-west-2:111122223333:cluster:orders";

    fn subject() -> Subject<'static> {
        Subject { cluster: "orders-global", arn: WEST, region: "us-west-2" }
    }

    /// A standby that replicates and is well.
    fn well() -> Control {
        let east = MemberView { arn: "east".to_owned(), is_writer: true, synchronization: String::new() };
        let west =
            MemberView { arn: WEST.to_owned(), is_writer: false, synchronization: "connected".to_owned() };
        let (status, version) = ("available".to_owned(), "15.4".to_owned());
        let cluster = ClusterView { status: status.clone(), version: version.clone(), instances: 2 };
        let engine = "aurora-postgresql".to_owned();
        let global = GlobalView { status, engine, version, operation: None, members: vec![east, west] };
        Control { global: Some(global), cluster: Some(cluster) }
    }

    fn standby(control: &Result<Control, String>) -> DataFacts {
        facts(subject(), &Looked::of(true, 1_700_000_000_000_000), control)
    }

    fn changed(change: impl FnOnce(&mut GlobalView, &mut ClusterView)) -> DataFacts {
        let mut control = well();
        if let (Some(global), Some(cluster)) = (&mut control.global, &mut control.cluster) {
            change(global, cluster);
        }
        standby(&Ok(control))
    }

    fn unfit_of(change: impl FnOnce(&mut GlobalView, &mut ClusterView)) -> String {
        changed(change).unfit.expect("unfit")
    }

    /// Of what only a switchover minds.
    fn unready_of(change: impl FnOnce(&mut GlobalView, &mut ClusterView)) -> String {
        let facts = changed(change);
        assert_eq!(facts.unfit, None);
        facts.unready.expect("unready")
    }

    #[test]
    fn a_standby_that_is_well_is_closed_streams_and_is_as_new_as_its_newest_heartbeat() {
        let facts = standby(&Ok(well()));
        assert_eq!((facts.role, facts.streaming, facts.unfit.clone()), (DataRole::Standby, true, None));
        assert_eq!(facts.position, Position(1_700_000_000_000_000));
        assert_eq!(facts.replayed, facts.position);
        assert!(facts.is_closed() && !facts.takes_writes());
        assert_eq!(facts.heartbeat.map(|beat| beat.seq), Some(7));
        assert_eq!(facts.witness.map(|witness| witness.epoch.0), Some(3));
    }

    #[test]
    fn a_writer_takes_writes_and_is_never_closed() {
        let mut control = well();
        control.global.as_mut().expect("there").members[1].is_writer = true;
        let facts = facts(subject(), &Looked::of(false, 1), &Ok(control));
        assert_eq!((facts.role, facts.streaming), (DataRole::Writable, false));
        assert!(!facts.is_closed() && facts.takes_writes());
        assert!(facts.unready.expect("two writers").contains("more than one member"));
    }

    #[test]
    fn when_both_sides_disagree_the_role_is_the_database_s_own_word() {
        let facts = facts(subject(), &Looked::of(false, 1), &Ok(well()));
        assert_eq!(facts.role, DataRole::Writable);
        let told =
            "the control plane says that the member only replays, the database says that it takes writes";
        assert_eq!((facts.unfit, facts.unready.as_deref()), (None, Some(told)));
    }

    #[test]
    fn when_rds_is_silent_nothing_is_said_to_stream() {
        let facts = standby(&Err("rds:DescribeGlobalClusters: Throttling: Rate exceeded".to_owned()));
        assert_eq!((facts.role, facts.streaming), (DataRole::Standby, false));
        assert_eq!(facts.unfit, None);
        assert!(
            facts.unready.expect("unready").starts_with("RDS in us-west-2 does not answer: rds:Describe")
        );
    }

    #[test]
    fn a_node_in_recovery_is_no_proof_without_the_word_of_rds() {
        let silent = standby(&Err("no answer in time".to_owned()));
        assert!(silent.unproven.as_ref().is_some_and(|why| why.contains("no answer in time")), "{silent:?}");
        assert!(!silent.is_closed());
        assert!(!standby(&Ok(Control::default())).is_closed());
        assert!(standby(&Ok(well())).is_closed());
    }

    #[test]
    fn a_reader_of_the_writing_cluster_does_not_speak_for_it() {
        let reader =
            |control: &Control| is_reader_of_a_writer(subject(), &Looked::of(true, 1), &Ok(control.clone()));
        let mut control = well();
        assert!(!reader(&control));
        if let Some(global) = &mut control.global {
            (global.members[0].is_writer, global.members[1].is_writer) = (false, true);
        }
        assert!(reader(&control));
        assert!(!is_reader_of_a_writer(subject(), &Looked::of(false, 1), &Ok(control)));
    }

    #[test]
    fn a_member_that_the_writer_s_role_moves_to_proves_nothing_and_may_be_failed_over_to() {
        let moving = |to: &str| {
            changed(|global, _| {
                let (status, to) = ("failing-over".to_owned(), to.to_owned());
                let operation = Operation { status, from: "east".to_owned(), to, data_loss: Some(true) };
                global.operation = Some(operation);
            })
        };
        let to_it = moving(WEST);
        assert!(
            to_it.unproven.as_ref().is_some_and(|why| why.contains("a failover is under way")),
            "{to_it:?}"
        );
        assert!(!to_it.is_closed() && to_it.unfit.is_none());
        assert!(moving("north").is_closed());
    }

    #[test]
    fn what_can_take_over_in_no_way_is_unfit() {
        assert!(unfit_of(|_, cluster| cluster.instances = 0).contains("headless"));
        assert!(unfit_of(|_, cluster| "stopped".clone_into(&mut cluster.status)).contains("is stopped"));
        assert!(unfit_of(|global, _| "neptune".clone_into(&mut global.engine)).contains("engine is neptune"));
        assert!(unfit_of(|global, _| drop(global.members.pop())).contains("not a member"));
        assert!(standby(&Ok(Control::default())).unfit.expect("unfit").contains("no global cluster"));
    }

    #[test]
    fn a_writer_that_is_no_member_stands_alone_and_says_what_to_do() {
        let writer = |control: Control| facts(subject(), &Looked::of(false, 1), &Ok(control));
        assert_eq!(writer(well()).alone, None);
        let mut left = well();
        left.global.as_mut().expect("there").members.pop();
        let gone = Control { global: None, ..well() };
        for control in [left, gone] {
            let facts = writer(control.clone());
            let why = facts.alone.expect("alone");
            assert!(why.contains("build a global cluster around it again"), "{why}");
            assert_eq!(facts.role, DataRole::Writable);
            assert!(facts.unfit.expect("unfit").ends_with(&why));
            // A standby that is no member may be one that is being detached.
            assert_eq!(standby(&Ok(control)).alone, None);
        }
        assert_eq!(writer(Control::default()).alone, None, "RDS does not show the cluster itself");
        let silent = facts(subject(), &Looked::of(false, 1), &Err("no answer in time".to_owned()));
        assert_eq!((silent.alone, silent.unfit), (None, None));
    }

    #[test]
    fn a_standby_says_whose_writes_it_gets() {
        let global = well().global.expect("there");
        let looked = Looked::of(true, 1);
        assert_eq!(followed(subject(), &looked, &global), Some("east"));
        assert_eq!(followed(subject(), &Looked::of(false, 1), &global), None);
        let east = RegionName::new("east");
        let facts = following(standby(&Ok(well())), "east", Some(&east));
        assert!(facts.streams_from(&east) && !facts.streams_from(&RegionName::new("west")));
        let foreign = following(standby(&Ok(well())), "east", None);
        assert!(!foreign.streaming && !foreign.streams_from(&east));
        assert!(foreign.unready.expect("unready").contains("which the policy does not name"));
    }

    #[test]
    fn what_only_a_switchover_minds_keeps_no_failover_from_going_on() {
        assert!(
            unready_of(|_, cluster| "upgrading".clone_into(&mut cluster.status)).contains("is upgrading")
        );
        assert!(
            unready_of(|_, cluster| "15.5".clone_into(&mut cluster.version)).contains("has version 15.5")
        );
        assert!(unready_of(|global, _| "modifying".clone_into(&mut global.status)).contains("is modifying"));
        let told = unready_of(|global, _| {
            let (status, to) = ("switching-over".to_owned(), WEST.to_owned());
            let operation = Operation { status, from: "east".to_owned(), to, data_loss: Some(false) };
            global.operation = Some(operation);
        });
        assert!(told.starts_with("a switchover is under way (switching-over) from east to arn:"), "{told}");
    }

    #[test]
    fn a_standby_that_must_be_built_again_does_not_stream() {
        let mut control = well();
        "pending-resync".clone_into(&mut control.global.as_mut().expect("there").members[1].synchronization);
        assert!(!standby(&Ok(control)).streaming);
    }
}

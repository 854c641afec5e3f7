//! What the two sides say of an instance, as facts. The database's own word counts; what RDS says beside it can only make the
//! instance unfit, or not ready, and tells which instance it is and what goes on.

use super::memory::Memory;
use super::view::{InstanceView, State};
use muster_core::facts::{DataFacts, DataRole};

/// Whom the facts are about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub(super) arn: &'a str,
    /// AWS' name of its region.
    pub(super) region: &'a str,
    /// The item's other instances, by ARN.
    pub(super) sources: &'a [String],
    pub(super) memory: &'a Memory,
}

/// Facts of an instance whose database answers. `control`: what RDS says; `None` in it: it knows no such instance.
pub(super) fn facts(
    subject: Subject<'_>,
    looked: DataFacts,
    control: &Result<Option<InstanceView>, String>,
) -> DataFacts {
    let (unfit, unready) = match looked.role {
        DataRole::Standby => against_a_standby(subject, control),
        DataRole::Writable => against_a_writer(subject, control),
    };
    let told = |reasons: Vec<String>| (!reasons.is_empty()).then(|| reasons.join("; "));
    let view = control.as_ref().ok().and_then(Option::as_ref);
    DataFacts {
        unfit: told(unfit),
        unready: told(unready),
        node: view.map(|view| view.resource.clone()).filter(|resource| !resource.is_empty()),
        progress: view.filter(|view| view.state() != State::Available).map(InstanceView::describe),
        // Whom RDS lets confirm a commit is no matter of Muster's.
        sync_name: None,
        ..looked
    }
}

/// What can never be promoted, and what cannot just now.
fn against_a_standby(
    subject: Subject<'_>,
    control: &Result<Option<InstanceView>, String>,
) -> (Vec<String>, Vec<String>) {
    let view = match control {
        Ok(Some(view)) => view,
        Ok(None) => {
            let why = format!("RDS in {} knows no instance {}", subject.region, subject.arn);
            return (vec![why], Vec::new());
        }
        Err(why) => return (Vec::new(), vec![format!("RDS in {} does not answer: {why}", subject.region)]),
    };
    let mut unfit = view.unfit(subject.sources);
    unfit.extend(subject.memory.replaced(view));
    (unfit, view.unready().into_iter().collect())
}

/// A primary needs nothing of RDS to hand over: it is fenced by its database, and the target is promoted in its own region.
/// After a promotion RDS says later than the database what the instance is: that passes.
fn against_a_writer(
    subject: Subject<'_>,
    control: &Result<Option<InstanceView>, String>,
) -> (Vec<String>, Vec<String>) {
    let Ok(Some(view)) = control else { return Default::default() };
    let replica = "RDS says that it is a read replica, the database says that it takes writes";
    let replica = view.source.is_some().then(|| replica.to_owned());
    (subject.memory.replaced(view).into_iter().collect(), replica.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::facts::{ClosedView, PositionUnit, SyncView};
    use muster_core::ids::Position;

    const EAST: &str = "arn:aws:rds:us-east-1:111122223333:db:orders-east";
    const WEST: &str = "arn:aws:rds:us-west-2:111122223333:db:orders-west";

    fn looked(role: DataRole) -> DataFacts {
        DataFacts {
            role,
            system: "11111111-2222-3333-4444-555555555555".to_owned(),
            timeline: 2,
            unit: PositionUnit::Bytes,
            position: Position(9),
            replayed: Position(8),
            streaming: role == DataRole::Standby,
            upstream: None,
            witness: None,
            closed: ClosedView::default(),
            sync: SyncView::default(),
            sync_name: Some("walreceiver".to_owned()),
            heartbeat: None,
            unfit: None,
            unready: None,
            lag: None,
            alone: None,
            node: None,
            progress: None,
            follows: None,
            write_block: None,
            saved: Vec::new(),
            unproven: None,
        }
    }

    /// A replica that is well.
    fn well() -> InstanceView {
        InstanceView {
            resource: "db-1".to_owned(),
            status: "available".to_owned(),
            engine: "postgres".to_owned(),
            version: "16.6".to_owned(),
            source: Some(EAST.to_owned()),
            replication: "replicating".to_owned(),
            ..InstanceView::default()
        }
    }

    fn of(role: DataRole, control: &Result<Option<InstanceView>, String>) -> DataFacts {
        let mut memory = Memory::default();
        memory.see(&well(), false);
        let sources = [EAST.to_owned()];
        let subject = Subject { arn: WEST, region: "us-west-2", sources: &sources, memory: &memory };
        facts(subject, looked(role), control)
    }

    fn standby(change: impl FnOnce(&mut InstanceView)) -> Option<String> {
        let mut view = well();
        change(&mut view);
        of(DataRole::Standby, &Ok(Some(view))).unfit
    }

    #[test]
    fn a_standby_that_is_well_is_what_its_database_says() {
        let facts = of(DataRole::Standby, &Ok(Some(well())));
        let node = Some("db-1".to_owned());
        assert_eq!(facts, DataFacts { sync_name: None, node, ..looked(DataRole::Standby) });
    }

    #[test]
    fn which_instance_it_is_and_what_goes_on_is_told_where_rds_says_so() {
        for role in [DataRole::Standby, DataRole::Writable] {
            let changing = InstanceView { status: "modifying".to_owned(), ..well() };
            let facts = of(role, &Ok(Some(changing)));
            assert_eq!(facts.node.as_deref(), Some("db-1"));
            assert!(facts.progress.is_some_and(|told| told.contains("is modifying")));
            assert_eq!(of(role, &Ok(Some(well()))).progress, None);
            for silent in [Ok(None), Err("timed out".to_owned())] {
                let facts = of(role, &silent);
                assert_eq!((facts.node, facts.progress), (None, None), "{silent:?}");
            }
            let unsaid = InstanceView { resource: String::new(), ..well() };
            assert_eq!(of(role, &Ok(Some(unsaid))).node, None);
        }
    }

    #[test]
    fn a_standby_that_is_only_busy_is_not_ready() {
        let mut view = well();
        "backing-up".clone_into(&mut view.status);
        let facts = of(DataRole::Standby, &Ok(Some(view)));
        assert_eq!(facts.unfit, None);
        assert!(facts.unready.expect("busy").contains("backup"));
    }

    #[test]
    fn a_standby_that_rds_would_not_promote_is_unfit() {
        assert!(standby(|view| view.source = None).expect("unfit").contains("no read replica"));
        assert!(
            standby(|view| view.source = Some(WEST.to_owned())).expect("unfit").contains("no instance of")
        );
        assert!(
            standby(|view| "db-2".clone_into(&mut view.resource)).expect("unfit").contains("was replaced")
        );
    }

    #[test]
    fn a_standby_without_backups_or_whose_primary_is_gone_is_fit() {
        assert_eq!(standby(|view| view.backup_days = 0), None);
        assert_eq!(standby(|view| "error".clone_into(&mut view.replication)), None);
    }

    #[test]
    fn a_standby_of_which_rds_says_nothing_could_not_be_promoted() {
        let silent =
            of(DataRole::Standby, &Err("rds:DescribeDBInstances: Throttling: Rate exceeded".to_owned()));
        let told = "RDS in us-west-2 does not answer: rds:DescribeDBInstances: Throttling: Rate exceeded";
        assert_eq!((silent.unfit.as_deref(), silent.unready.as_deref()), (None, Some(told)));
        let unknown = of(DataRole::Standby, &Ok(None));
        assert_eq!(unknown.unfit, Some(format!("RDS in us-west-2 knows no instance {WEST}")));
    }

    #[test]
    fn a_primary_needs_nothing_of_rds() {
        for control in [Ok(None), Err("timed out".to_owned())] {
            assert_eq!(of(DataRole::Writable, &control).unfit, None);
        }
        let alone = InstanceView { source: None, status: "backing-up".to_owned(), ..well() };
        assert_eq!(of(DataRole::Writable, &Ok(Some(alone))).unfit, None);
    }

    #[test]
    fn an_old_word_of_rds_about_a_promoted_instance_passes_and_makes_it_not_unfit() {
        let facts = of(DataRole::Writable, &Ok(Some(well())));
        assert_eq!(facts.unfit, None);
        let told = facts.unready.expect("they disagree");
        assert!(told.contains("the database says that it takes writes"), "{told}");
    }
}

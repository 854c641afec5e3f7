//! What an old primary's region needs next to have a replica of the new one: judged from what is seen alone, at each call anew.
//!
//! | the instance that bears the name | its database | else | verdict |
//! |---|---|---|---|
//! | none | | one bears the name that gave way, and is not `renaming` | may be created |
//! | none | | one bears it, and is `renaming` | not now |
//! | none | | none bears it, or only one of an earlier failover: a person deleted or renamed the old primary | conflict |
//! | a replica of the new primary | | `available`, and replicating | done |
//! | a replica of the new primary | | `available`, and replication `error`, `terminated`, `stopped`; `failed`, `incompatible-...` | stuck |
//! | a replica of the new primary | | anything else | under way |
//! | a replica of something else | | RDS points no replica elsewhere | conflict |
//! | no replica, and another one than before | | | conflict |
//! | no replica | | `renaming`, or its new name is pending | not now |
//! | no replica | | `deleting` | conflict |
//! | no replica | | `stopped` | not now: RDS renames none that is |
//! | no replica | silent | silence proves nothing | not now |
//! | no replica | in recovery, or of another identity | | conflict |
//! | no replica | not seen closed by this policy | | not now: it is fenced first |
//! | no replica | closed | the name to give way to is another instance's | conflict |
//! | no replica | closed | `available` | may be renamed |
//! | no replica | closed | `storage-full`, `incompatible-...` | stuck |
//! | no replica | closed | anything else | not now |
//!
//! Both calls ask for more (`judge_source`): the new primary is the instance of the policy, no replica, `available`, keeps backups,
//! and its database takes writes and is not barred.

use super::super::memory::Memory;
use super::super::view::{InstanceView, State};
use super::name::{is_kept, kept_name};
use muster_core::facts::{DataFacts, DataRole};
use muster_core::ids::Owner;

/// What is found before a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::rds_replica) enum Verdict {
    /// The old primary may give its name away, for this one.
    MayRename(String),
    /// Nobody bears the name: the replica may be made.
    MayCreate,
    /// RDS makes the replica.
    Running(String),
    /// It is there, and replicates.
    Done,
    /// It may go on later, by itself or once the region is fenced.
    Waiting(String),
    /// It is not what was meant, or a person has done something else there.
    Conflict(String),
    /// It goes on once a person has mended something.
    Stuck(String),
}

/// The old primary's region, in one look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Old<'a> {
    /// The name that the policy knows.
    pub(super) name: &'a str,
    /// All instances of the region.
    pub(super) all: &'a [InstanceView],
    /// What answers at the instance's endpoint.
    pub(super) database: Option<&'a DataFacts>,
    pub(super) memory: &'a Memory,
}

/// The new primary, in one look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    pub(super) arn: &'a str,
    /// AWS' name of its region.
    pub(super) region: &'a str,
    /// `None`: RDS lists no such instance there.
    pub(super) view: Option<&'a InstanceView>,
    pub(super) database: Option<&'a DataFacts>,
    pub(super) memory: &'a Memory,
}

/// Says what is next. Whether the new primary can be followed is [`judge_source`]'s to say, before a call.
pub(super) fn judge(old: Old<'_>, source: Source<'_>, owner: &Owner) -> Verdict {
    let Some(own) = old.all.iter().find(|view| view.name == old.name) else {
        return judge_free_name(old);
    };
    match &own.source {
        Some(of) if of == source.arn => judge_replica(own),
        Some(of) => Verdict::Conflict(format!(
            "it replicates from {of} and not from {}, and RDS points no replica elsewhere: delete it, then it is made anew",
            source.arn
        )),
        None => judge_old_primary(own, old, source, owner),
    }
}

/// Nobody bears the name.
fn judge_free_name(old: Old<'_>) -> Verdict {
    let is_it = |view: &&InstanceView| is_the_kept(view, old.name, old.memory);
    let kept: Vec<&InstanceView> = old.all.iter().filter(is_it).collect();
    match kept.iter().find(|view| view.status == RENAMING) {
        Some(view) => Verdict::Waiting(format!("{} is still renaming", view.name)),
        None if kept.is_empty() => Verdict::Conflict(format!(
            "RDS lists neither {} nor an instance that was renamed from it, so nobody knows what the replica has to be like: \
             make it by hand, under the old name",
            old.name
        )),
        None => Verdict::MayCreate,
    }
}

/// Whether this one gave the name away: the very instance that bore it last, if this process has seen that one. One that is kept
/// of an earlier failover says nothing of it.
pub(super) fn is_the_kept(view: &InstanceView, name: &str, memory: &Memory) -> bool {
    is_kept(view, name) && memory.resource().is_none_or(|known| known == view.resource)
}

/// RDS' word for an instance that is given another name.
const RENAMING: &str = "renaming";

fn judge_replica(own: &InstanceView) -> Verdict {
    let told = own.describe();
    match (own.state(), own.replication.as_str()) {
        (State::Stuck, _) | (State::Available, "error" | "terminated" | "stopped") => {
            Verdict::Stuck(format!("{told}: delete it if it does not recover, then it is made anew"))
        }
        (State::Available, _) if own.is_replicating() => Verdict::Done,
        _ => Verdict::Running(told),
    }
}

fn judge_old_primary(own: &InstanceView, old: Old<'_>, source: Source<'_>, owner: &Owner) -> Verdict {
    if let Some(why) = old.memory.replaced(own) {
        return Verdict::Conflict(why);
    }
    if own.resource.is_empty() {
        return Verdict::Waiting("RDS does not say which instance it is".to_owned());
    }
    let status = own.status.as_str();
    if status == RENAMING || own.new_name.is_some() {
        let name = own.new_name.clone().unwrap_or_else(|| kept_name(own));
        return Verdict::Waiting(format!("it is {status}, and will be called {name}"));
    }
    match status {
        "deleting" => return Verdict::Conflict("somebody deletes it".to_owned()),
        "stopped" | "stopping" => {
            return Verdict::Waiting(format!("it is {status}, and RDS renames none that is: start it"));
        }
        _ => {}
    }
    if let Some(verdict) = against_the_database(old.database, source.database, owner) {
        return verdict;
    }
    let name = kept_name(own);
    if old.all.iter().any(|view| view.name == name) {
        return Verdict::Conflict(format!("another instance is called {name} already"));
    }
    match own.state() {
        State::Available => Verdict::MayRename(name),
        State::Stuck => Verdict::Stuck(format!("it is {status}, and stays so until a person mends it")),
        _ => Verdict::Waiting(format!("it is {status}")),
    }
}

/// Why the old primary keeps its name for now: only one that its own fence has closed gives it away, and silence proves nothing.
fn against_the_database(
    database: Option<&DataFacts>,
    writer: Option<&DataFacts>,
    owner: &Owner,
) -> Option<Verdict> {
    let Some(facts) = database else {
        let why = "its database does not answer, and only one that is seen closed gives its name away";
        return Some(Verdict::Waiting(why.to_owned()));
    };
    if facts.role == DataRole::Standby {
        return Some(Verdict::Conflict(
            "its database is in recovery, and RDS says that it is no replica".to_owned(),
        ));
    }
    if let Some(writer) = writer.filter(|writer| writer.system != facts.system) {
        let (own, other) = (&facts.system, &writer.system);
        return Some(Verdict::Conflict(format!("its data is {own}, that of the new primary is {other}")));
    }
    let is_marked = facts.witness.as_ref().is_some_and(|witness| witness.owner == *owner);
    let is_closed = facts.closed.role_closed && facts.is_closed();
    (!is_closed || !is_marked).then(|| {
        Verdict::Waiting(
            "its database is not seen closed by this policy's fence, and has to be fenced first".to_owned(),
        )
    })
}

/// Why nothing can be made a replica of it: now, or ever.
pub(super) fn judge_source(source: Source<'_>) -> Option<Verdict> {
    let Source { arn, region, .. } = source;
    let Some(view) = source.view else {
        return Some(Verdict::Conflict(format!("RDS in {region} lists no instance {arn} to replicate from")));
    };
    if let Some(why) = source.memory.replaced(view) {
        return Some(Verdict::Conflict(format!("the new primary, {arn}: {why}")));
    }
    let waits = |why: String| Some(Verdict::Waiting(format!("the new primary, {arn}: {why}")));
    if view.source.is_some() {
        return waits("RDS says that it is a read replica".to_owned());
    }
    match source.database {
        None => return waits("its database does not answer".to_owned()),
        Some(facts) if facts.role == DataRole::Standby => {
            return waits("its database is in recovery".to_owned());
        }
        Some(facts) if facts.closed.role_closed => return waits("its own logins are closed".to_owned()),
        Some(_) => {}
    }
    if view.state() != State::Available {
        return waits(format!("it is {}, and RDS makes replicas of one that is available", view.status));
    }
    let without_backups = || {
        let why = "it keeps no backups, and RDS makes no replica of such an instance: give it some days";
        Verdict::Stuck(format!("the new primary, {arn}: {why}"))
    };
    (view.backup_days == 0).then(without_backups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::facts::{ClosedView, PositionUnit, SyncView, Witness};
    use muster_core::ids::{Epoch, Position, Seq, Term};

    const WEST: &str = "arn:aws:rds:us-west-2:111122223333:db:orders-west";
    const KEPT: &str = "orders-east-old-abcd1234";

    fn instance(name: &str, resource: &str, status: &str) -> InstanceView {
        InstanceView {
            name: name.to_owned(),
            resource: resource.to_owned(),
            status: status.to_owned(),
            backup_days: 7,
            ..InstanceView::default()
        }
    }

    /// The old primary, which nothing has happened to yet.
    fn primary(status: &str) -> InstanceView {
        instance("orders-east", "db-ABCD1234", status)
    }

    /// What bears its name afterwards.
    fn replica(of: &str, status: &str, replication: &str) -> InstanceView {
        let (source, replication) = (Some(of.to_owned()), replication.to_owned());
        InstanceView { source, replication, ..instance("orders-east", "db-2", status) }
    }

    fn database(role: DataRole) -> DataFacts {
        DataFacts {
            role,
            system: "one".to_owned(),
            timeline: 1,
            unit: PositionUnit::Bytes,
            position: Position(1),
            replayed: Position(1),
            streaming: false,
            upstream: None,
            witness: Some(Witness {
                owner: Owner::new("uid-1"),
                epoch: Epoch(1),
                term: Term(1),
                seq: Seq(1),
            }),
            closed: ClosedView::default(),
            sync: SyncView::default(),
            sync_name: None,
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

    /// As this policy's fence leaves it.
    fn closed() -> DataFacts {
        let closed = ClosedView {
            role_closed: true,
            app_write_refused: Some(true),
            position_still: true,
            ..ClosedView::default()
        };
        DataFacts { closed, ..database(DataRole::Writable) }
    }

    fn source<'a>(
        view: Option<&'a InstanceView>,
        database: Option<&'a DataFacts>,
        memory: &'a Memory,
    ) -> Source<'a> {
        Source { arn: WEST, region: "us-west-2", view, database, memory }
    }

    /// By a process that remembers nothing.
    fn verdict(all: &[InstanceView], database: Option<&DataFacts>) -> Verdict {
        let (memory, writer) = (Memory::default(), self::database(DataRole::Writable));
        let old = Old { name: "orders-east", all, database, memory: &memory };
        judge(old, source(None, Some(&writer), &memory), &Owner::new("uid-1"))
    }

    fn waits(verdict: &Verdict) -> &str {
        let Verdict::Waiting(why) = verdict else { panic!("{verdict:?}") };
        why
    }

    fn conflict(verdict: &Verdict) -> &str {
        let Verdict::Conflict(why) = verdict else { panic!("{verdict:?}") };
        why
    }

    #[test]
    fn an_old_primary_that_is_seen_closed_may_give_its_name_away() {
        let found = verdict(&[primary("available")], Some(&closed()));
        assert_eq!(found, Verdict::MayRename(KEPT.to_owned()));
    }

    #[test]
    fn one_that_is_not_seen_closed_keeps_its_name() {
        let all = [primary("available")];
        assert!(waits(&verdict(&all, None)).contains("does not answer"));
        let open = database(DataRole::Writable);
        let session = ClosedView { sessions: 1, ..closed().closed };
        let untried = ClosedView { app_write_refused: None, ..closed().closed };
        let by_somebody_else = ClosedView { role_closed: false, ..closed().closed };
        for facts in [
            open,
            DataFacts { closed: session, ..closed() },
            DataFacts { closed: untried, ..closed() },
            DataFacts { closed: by_somebody_else, ..closed() },
            DataFacts { witness: None, ..closed() },
            DataFacts {
                witness: Some(Witness { owner: Owner::new("uid-2"), ..closed().witness.expect("one") }),
                ..closed()
            },
        ] {
            assert!(waits(&verdict(&all, Some(&facts))).contains("fenced first"), "{facts:?}");
        }
    }

    #[test]
    fn what_an_earlier_failover_left_says_nothing_of_an_old_primary_that_is_gone() {
        let kept = [instance(KEPT, "db-ABCD1234", "available")];
        assert_eq!(verdict(&kept, None), Verdict::MayCreate, "nobody knows another one");
        let mut memory = Memory::default();
        memory.see(&instance("orders-east", "db-LATER", "available"), false);
        let old = Old { name: "orders-east", all: &kept, database: None, memory: &memory };
        let found = judge(old, source(None, None, &memory), &Owner::new("uid-1"));
        assert!(conflict(&found).contains("make it by hand"), "{found:?}");
    }

    #[test]
    fn one_that_is_no_old_primary_of_this_data_is_a_conflict() {
        let all = [primary("available")];
        assert!(conflict(&verdict(&all, Some(&database(DataRole::Standby)))).contains("in recovery"));
        let other = DataFacts { system: "two".to_owned(), ..closed() };
        assert!(conflict(&verdict(&all, Some(&other))).contains("its data is two"));
        let mut memory = Memory::default();
        memory.see(&instance("orders-east", "db-0", "available"), false);
        let facts = closed();
        let old = Old { name: "orders-east", all: &all, database: Some(&facts), memory: &memory };
        let found = judge(old, source(None, None, &memory), &Owner::new("uid-1"));
        assert!(conflict(&found).contains("was replaced"), "{found:?}");
    }

    #[test]
    fn one_that_is_busy_is_waited_for_and_what_a_person_has_to_mend_is_not() {
        for (status, why) in [
            ("renaming", "will be called"),
            ("stopped", "start it"),
            ("stopping", "start it"),
            ("backing-up", "it is backing-up"),
            ("modifying", "it is modifying"),
            ("something-new", "it is something-new"),
        ] {
            let found = verdict(&[primary(status)], Some(&closed()));
            assert!(waits(&found).contains(why), "{found:?}");
        }
        assert!(conflict(&verdict(&[primary("deleting")], Some(&closed()))).contains("deletes it"));
        for status in ["storage-full", "incompatible-network"] {
            let found = verdict(&[primary(status)], Some(&closed()));
            assert!(matches!(&found, Verdict::Stuck(why) if why.contains(status)), "{found:?}");
        }
        let unnamed = InstanceView { resource: String::new(), ..primary("available") };
        assert!(waits(&verdict(&[unnamed], Some(&closed()))).contains("does not say which"));
    }

    #[test]
    fn a_name_that_is_pending_is_not_asked_for_again() {
        let pending = InstanceView { new_name: Some(KEPT.to_owned()), ..primary("available") };
        let found = verdict(&[pending], Some(&closed()));
        assert_eq!(waits(&found), format!("it is available, and will be called {KEPT}"));
    }

    #[test]
    fn a_name_that_is_taken_is_left_to_whom_it_is() {
        let stranger = instance(KEPT, "db-99999999", "available");
        let found = verdict(&[primary("available"), stranger], Some(&closed()));
        assert!(conflict(&found).contains("is called orders-east-old-abcd1234 already"), "{found:?}");
    }

    #[test]
    fn a_free_name_is_for_a_replica_once_somebody_has_given_it_away() {
        let kept = |status: &str| instance(KEPT, "db-ABCD1234", status);
        for database in [None, Some(&closed())] {
            assert_eq!(verdict(&[kept("available")], database), Verdict::MayCreate);
            assert_eq!(verdict(&[kept("stopped")], database), Verdict::MayCreate, "whatever becomes of it");
        }
        assert!(waits(&verdict(&[kept("renaming")], None)).contains("still renaming"));
    }

    #[test]
    fn a_free_name_that_nobody_gave_away_is_left_free() {
        let by_hand = instance("orders-east-old", "db-ABCD1234", "available");
        let of_another = instance(KEPT, "db-99999999", "available");
        for all in [vec![], vec![by_hand], vec![of_another]] {
            assert!(conflict(&verdict(&all, None)).contains("by hand"), "{all:?}");
        }
    }

    #[test]
    fn a_replica_of_the_new_primary_is_under_way_until_it_follows() {
        for (status, replication) in
            [("creating", ""), ("backing-up", ""), ("modifying", ""), ("available", "")]
        {
            let found = verdict(&[replica(WEST, status, replication)], None);
            assert!(matches!(&found, Verdict::Running(told) if told.contains(status)), "{found:?}");
        }
        assert_eq!(verdict(&[replica(WEST, "available", "replicating")], None), Verdict::Done);
        let progress = InstanceView { progress: "45".to_owned(), ..replica(WEST, "creating", "") };
        let found = verdict(&[progress], None);
        assert!(matches!(&found, Verdict::Running(told) if told.contains("creating (45 %)")), "{found:?}");
    }

    #[test]
    fn a_replica_that_does_not_come_to_follow_is_for_a_person() {
        for (status, replication) in [
            ("available", "error"),
            ("available", "terminated"),
            ("available", "stopped"),
            ("failed", ""),
            ("incompatible-network", ""),
        ] {
            let found = verdict(&[replica(WEST, status, replication)], None);
            assert!(matches!(&found, Verdict::Stuck(why) if why.contains("delete it")), "{found:?}");
        }
        let elsewhere = replica("arn:aws:rds:us-west-2:111122223333:db:other", "available", "replicating");
        assert!(conflict(&verdict(&[elsewhere], None)).contains("points no replica elsewhere"));
    }

    #[test]
    fn nothing_is_made_of_a_new_primary_that_is_not_ready() {
        let (memory, writer) = (Memory::default(), database(DataRole::Writable));
        let (view, reader, barred) =
            (instance("orders-west", "db-W", "available"), database(DataRole::Standby), closed());
        let of = |view: Option<&InstanceView>, database| judge_source(source(view, database, &memory));
        assert_eq!(of(Some(&view), Some(&writer)), None);
        let missing = of(None, Some(&writer)).expect("a reason");
        assert!(conflict(&missing).contains("lists no instance"), "{missing:?}");
        let late = InstanceView { source: Some("x".to_owned()), ..view.clone() };
        let busy = InstanceView { status: "backing-up".to_owned(), ..view.clone() };
        for (view, database, why) in [
            (&late, Some(&writer), "it is a read replica"),
            (&busy, Some(&writer), "it is backing-up"),
            (&view, None, "does not answer"),
            (&view, Some(&reader), "in recovery"),
            (&view, Some(&barred), "logins are closed"),
        ] {
            let found = of(Some(view), database).expect("a reason");
            assert!(waits(&found).contains(why), "{found:?}");
        }
        let bare = InstanceView { backup_days: 0, ..view.clone() };
        let found = of(Some(&bare), Some(&writer)).expect("a reason");
        assert!(matches!(&found, Verdict::Stuck(why) if why.contains("no backups")), "{found:?}");
        let mut memory = Memory::default();
        memory.see(&instance("orders-west", "db-V", "available"), false);
        let found = judge_source(source(Some(&view), Some(&writer), &memory)).expect("a reason");
        assert!(conflict(&found).contains("was replaced"), "{found:?}");
    }
}

//! Whether a promotion has to be asked for, is under way, or is done: nothing is checked by RDS itself, so both sides are looked
//! at first, and what is found is adopted. An instance that is no replica any more is never asked for again.
//!
//! | source | database | else | verdict |
//! |---|---|---|---|
//! | none | takes writes | | done |
//! | none | in recovery, or silent | it was seen as a replica | under way |
//! | none | in recovery | it never was | conflict: what it is, nobody knows |
//! | none | silent | it never was | not now |
//! | there | takes writes | | under way: RDS says it later |
//! | of another item | | | conflict |
//! | there | | `available` | may be asked for |
//! | there | | `modifying`, `rebooting`; asked for by this process | under way |
//! | there | | the same, not asked for: another change, or the promotion of a process before this one | not now |
//! | there | | `backing-up`, or anything else that passes | not now |
//! | there | | `storage-full`, `incompatible-...` | stuck |

use super::memory::Memory;
use super::view::{InstanceView, State, other_source};

/// What is found before a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Nothing is under way, and the call may be made.
    NotStarted,
    /// It is under way.
    Running(String),
    /// It is done.
    Done,
    /// It is another instance than the one that was meant, or one of which nobody knows what it is.
    Conflict(String),
    /// RDS would refuse it now.
    Waiting(String),
    /// RDS would refuse it until a person has done something.
    Stuck(String),
}

/// A promotion, as the instance's own region and its database see it; `recovering`: by the database, if it answers.
pub(super) fn judge(
    view: &InstanceView,
    recovering: Option<bool>,
    memory: &Memory,
    sources: &[String],
) -> Verdict {
    if let Some(why) = memory.replaced(view) {
        return Verdict::Conflict(why);
    }
    match (&view.source, recovering) {
        (None, Some(false)) => Verdict::Done,
        (None, _) => judge_detached(view, recovering, memory),
        (Some(_), Some(false)) => {
            Verdict::Running(format!("its database takes writes, and {}", view.describe()))
        }
        (Some(source), _) if !view.replicates_from(sources) => Verdict::Conflict(other_source(source)),
        (Some(_), _) => judge_replica(view, memory),
    }
}

/// It is no replica, and its database is not seen to take writes.
fn judge_detached(view: &InstanceView, recovering: Option<bool>, memory: &Memory) -> Verdict {
    let database = if recovering.is_some() { "is still in recovery" } else { "does not answer" };
    let told = format!("{}, and its database {database}", view.describe());
    match (memory.was_replica(), recovering) {
        (true, _) => Verdict::Running(told),
        (false, Some(_)) => Verdict::Conflict(format!("{told}; it was never seen as a replica")),
        (false, None) => Verdict::Waiting(told),
    }
}

fn judge_replica(view: &InstanceView, memory: &Memory) -> Verdict {
    match (view.state(), view.in_the_way()) {
        // That it does not replicate says nothing: no replica does whose primary is gone, whatever is changed about it. Nothing is
        // sent in these states, so that a promotion which somebody else began comes to its end all the same.
        (State::Changing, _) if memory.asked() => Verdict::Running(view.describe()),
        (State::Stuck, Some(why)) => Verdict::Stuck(why),
        (_, Some(why)) => Verdict::Waiting(why),
        (_, None) => Verdict::NotStarted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EAST: &str = "arn:aws:rds:us-east-1:111122223333:db:orders-east";
    const SILENT: Option<bool> = None;
    const REPLAYS: Option<bool> = Some(true);
    const WRITES: Option<bool> = Some(false);

    fn replica(status: &str, replication: &str) -> InstanceView {
        InstanceView {
            resource: "db-1".to_owned(),
            status: status.to_owned(),
            source: Some(EAST.to_owned()),
            replication: replication.to_owned(),
            ..InstanceView::default()
        }
    }

    fn promoted(status: &str) -> InstanceView {
        InstanceView { source: None, replication: String::new(), ..replica(status, "") }
    }

    /// As one that saw these before.
    fn after(seen: &[InstanceView]) -> Memory {
        let mut memory = Memory::default();
        for view in seen {
            memory.see(view, false);
        }
        memory
    }

    fn verdict(view: &InstanceView, recovering: Option<bool>, memory: &Memory) -> Verdict {
        judge(view, recovering, memory, &[EAST.to_owned()])
    }

    /// By a process that saw it as a replica before.
    fn known(view: &InstanceView, recovering: Option<bool>) -> Verdict {
        verdict(view, recovering, &after(&[replica("available", "replicating")]))
    }

    #[test]
    fn a_replica_that_is_available_may_be_promoted_whatever_its_replication_says() {
        for state in ["replicating", "error", "stopped", "terminated", ""] {
            assert_eq!(known(&replica("available", state), REPLAYS), Verdict::NotStarted, "{state}");
            assert_eq!(known(&replica("available", state), SILENT), Verdict::NotStarted, "{state}");
        }
    }

    #[test]
    fn one_that_is_promoted_is_adopted_and_nothing_is_sent_meanwhile() {
        for status in ["modifying", "rebooting"] {
            let view = replica(status, "replicating");
            let mut asked = after(&[replica("available", "replicating")]);
            asked.note_asked();
            for recovering in [REPLAYS, SILENT] {
                let found = verdict(&view, recovering, &asked);
                assert!(matches!(&found, Verdict::Running(told) if told.contains(status)), "{found:?}");
                let of_another_process = verdict(&view, recovering, &Memory::default());
                assert!(matches!(of_another_process, Verdict::Waiting(_)), "{of_another_process:?}");
            }
        }
    }

    #[test]
    fn another_change_is_waited_for_unless_this_process_asked_for_the_promotion() {
        for replication in ["replicating", "error", "terminated", ""] {
            let view = replica("modifying", replication);
            assert_eq!(
                known(&view, REPLAYS),
                Verdict::Waiting("it is modifying".to_owned()),
                "{replication}"
            );
        }
        let view = replica("modifying", "replicating");
        let mut memory = after(&[replica("available", "replicating")]);
        memory.note_asked();
        assert!(matches!(verdict(&view, REPLAYS, &memory), Verdict::Running(_)));
    }

    #[test]
    fn it_is_done_when_it_is_no_replica_and_its_database_takes_writes() {
        for status in ["available", "backing-up", "storage-optimization", "modifying"] {
            assert_eq!(known(&promoted(status), WRITES), Verdict::Done, "{status}");
            assert_eq!(verdict(&promoted(status), WRITES, &Memory::default()), Verdict::Done, "{status}");
        }
    }

    #[test]
    fn one_that_was_a_replica_and_is_none_any_more_is_never_asked_for_again() {
        for status in ["available", "rebooting", "backing-up"] {
            for recovering in [REPLAYS, SILENT] {
                let found = known(&promoted(status), recovering);
                assert!(matches!(&found, Verdict::Running(_)), "{status}: {found:?}");
            }
        }
    }

    #[test]
    fn one_that_was_never_a_replica_is_a_conflict_or_not_known() {
        let found = verdict(&promoted("available"), REPLAYS, &Memory::default());
        assert!(
            matches!(&found, Verdict::Conflict(why) if why.contains("never seen as a replica")),
            "{found:?}"
        );
        let found = verdict(&promoted("available"), SILENT, &Memory::default());
        assert!(matches!(&found, Verdict::Waiting(why) if why.contains("does not answer")), "{found:?}");
    }

    #[test]
    fn when_the_database_takes_writes_rds_is_only_late_to_say_so() {
        let found = known(&replica("available", "replicating"), WRITES);
        assert!(matches!(&found, Verdict::Running(told) if told.contains("takes writes")), "{found:?}");
    }

    #[test]
    fn one_that_was_replaced_is_a_conflict_whatever_it_is() {
        let memory = after(&[replica("available", "replicating")]);
        for view in [replica("available", "replicating"), promoted("available")] {
            let other = InstanceView { resource: "db-2".to_owned(), ..view };
            for recovering in [REPLAYS, WRITES, SILENT] {
                let found = verdict(&other, recovering, &memory);
                assert!(
                    matches!(&found, Verdict::Conflict(why) if why.contains("was replaced")),
                    "{found:?}"
                );
            }
        }
    }

    #[test]
    fn a_replica_of_something_else_is_not_promoted() {
        let source = Some("arn:aws:rds:us-east-1:111122223333:db:other".to_owned());
        let view = InstanceView { source, ..replica("available", "replicating") };
        assert!(matches!(known(&view, REPLAYS), Verdict::Conflict(why) if why.contains("db:other")));
    }

    #[test]
    fn a_backup_is_waited_for_and_what_a_person_has_to_mend_is_not() {
        let of = |status: &str| known(&replica(status, "replicating"), REPLAYS);
        assert!(
            matches!(of("backing-up"), Verdict::Waiting(why) if why.contains("until the backup is done"))
        );
        assert!(matches!(of("upgrading"), Verdict::Waiting(_)));
        for status in ["storage-full", "incompatible-parameters", "incompatible-network"] {
            assert!(matches!(of(status), Verdict::Stuck(why) if why.contains(status)), "{status}");
        }
    }
}

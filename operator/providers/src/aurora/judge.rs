//! Whether a switchover or a failover has to be asked for, is under way, or is done: nothing is checked by RDS itself, so it
//! is looked at first, and what is found is adopted.

use super::view::{ClusterView, GlobalView, Operation};

/// What is found before a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Nothing is under way, and the call may be made.
    NotStarted,
    /// Exactly this is under way.
    Running(String),
    /// It is done.
    Done,
    /// Somebody else does something else.
    Conflict(String),
    /// RDS would refuse it now.
    Unready(String),
}

/// A planned switchover, as one region's endpoint sees it.
pub(super) fn judge_switchover(view: &GlobalView, from: &str, to: &str) -> Verdict {
    if let Some(operation) = &view.operation {
        return judge_operation(operation, to, operation.data_loss != Some(true));
    }
    let writer = match view.writers().as_slice() {
        [writer] => (*writer).to_owned(),
        [] => return Verdict::Unready("no member is said to take writes".to_owned()),
        several => return Verdict::Unready(format!("several members take writes: {}", several.join(", "))),
    };
    if writer == to {
        return Verdict::Done;
    }
    if writer != from {
        return Verdict::Conflict(format!("{writer} takes writes, and not {from}"));
    }
    if !view.is_available() {
        return Verdict::Unready(format!("the global cluster is {}", view.status));
    }
    match view.member(to) {
        None => Verdict::Unready(format!("{to} is not a member of the global cluster")),
        Some(member) if !member.is_connected() => {
            let state = &member.synchronization;
            Verdict::Unready(format!("{to} does not replicate (synchronization status `{state}`)"))
        }
        Some(_) => Verdict::NotStarted,
    }
}

/// A failover that accepts a loss, as the target's region sees it. The old primary may be gone: its state is not asked for.
pub(super) fn judge_failover(view: &GlobalView, to: &str) -> Verdict {
    if let Some(operation) = &view.operation {
        return judge_operation(operation, to, operation.data_loss == Some(true));
    }
    match view.member(to) {
        None => Verdict::Unready(format!("{to} is not a member of the global cluster")),
        Some(member) if member.is_writer => Verdict::Done,
        Some(_) => Verdict::NotStarted,
    }
}

/// A detachment of the target, as its region sees it: `view` is `None` where RDS knows the global cluster no more, as after the last
/// of its members there left it. What hangs on the way to this target is why it is asked for.
pub(super) fn judge_detachment(view: Option<&GlobalView>, own: Option<&ClusterView>, to: &str) -> Verdict {
    let Some((global, member)) = view.and_then(|view| Some((view, view.member(to)?))) else {
        return match own {
            Some(_) => Verdict::Done,
            None => Verdict::Unready(format!("RDS does not show {to}")),
        };
    };
    if member.is_writer {
        return Verdict::Done;
    }
    match &global.operation {
        Some(operation) if operation.to != to => Verdict::Conflict(operation.to_string()),
        None if own.is_some_and(ClusterView::is_promoting) => {
            Verdict::Running(format!("{to} is promoting, and nothing else is under way"))
        }
        Some(_) | None => Verdict::NotStarted,
    }
}

fn judge_operation(operation: &Operation, to: &str, is_same_kind: bool) -> Verdict {
    let told = operation.to_string();
    match (operation.to == to && is_same_kind, operation.status.as_str()) {
        // It goes back to where it was, and may be asked for again then.
        (true, "cancelling") => Verdict::Unready(told),
        (true, _) => Verdict::Running(told),
        (false, _) => Verdict::Conflict(told),
    }
}

/// What several regions' views come to: they may differ for a while, and the later state is the true one.
pub(super) fn latest(verdicts: Vec<Verdict>) -> Option<Verdict> {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::Conflict(_) => 4,
        Verdict::Done => 3,
        Verdict::Running(_) => 2,
        Verdict::Unready(_) => 1,
        Verdict::NotStarted => 0,
    };
    verdicts.into_iter().max_by_key(rank)
}

#[cfg(test)]
mod tests {
    use super::super::view::MemberView;
    use super::*;

    const EAST: &str = "arn:aws:rds:us-east-1:111122223333:cluster:orders";
    const WEST: &str = "arn:aws:rds:us-west-2:111122223333:cluster:orders";
    const NORTH: &str = "arn:aws:rds:ca-central-1:111122223333:cluster:orders";

    fn member(arn: &str, is_writer: bool, synchronization: &str) -> MemberView {
        MemberView { arn: arn.to_owned(), is_writer, synchronization: synchronization.to_owned() }
    }

    /// East takes writes, the others replicate.
    fn calm() -> GlobalView {
        GlobalView {
            status: "available".to_owned(),
            members: vec![
                member(EAST, true, ""),
                member(WEST, false, "connected"),
                member(NORTH, false, "connected"),
            ],
            ..GlobalView::default()
        }
    }

    fn moved() -> GlobalView {
        let members = vec![member(EAST, false, "connected"), member(WEST, true, "")];
        GlobalView { members, ..calm() }
    }

    fn busy(status: &str, to: &str, data_loss: Option<bool>) -> GlobalView {
        let (status, from, to) = (status.to_owned(), EAST.to_owned(), to.to_owned());
        GlobalView { operation: Some(Operation { status, from, to, data_loss }), ..calm() }
    }

    fn switchover(view: &GlobalView) -> Verdict {
        judge_switchover(view, EAST, WEST)
    }

    fn failover(view: &GlobalView) -> Verdict {
        judge_failover(view, WEST)
    }

    #[test]
    fn a_switchover_that_nobody_began_may_begin() {
        assert_eq!(switchover(&calm()), Verdict::NotStarted);
    }

    #[test]
    fn a_switchover_to_the_same_target_is_adopted() {
        for status in ["pending", "switching-over", "failing-over", "something-new"] {
            for data_loss in [Some(false), None] {
                let verdict = switchover(&busy(status, WEST, data_loss));
                assert!(matches!(&verdict, Verdict::Running(told) if told.contains(status)), "{verdict:?}");
            }
        }
    }

    #[test]
    fn a_switchover_is_done_when_the_target_takes_writes_and_nothing_is_under_way() {
        assert_eq!(switchover(&moved()), Verdict::Done);
        let still = GlobalView { operation: busy("switching-over", WEST, Some(false)).operation, ..moved() };
        assert!(matches!(switchover(&still), Verdict::Running(_)));
    }

    #[test]
    fn an_operation_of_somebody_else_is_a_conflict() {
        assert!(matches!(switchover(&busy("pending", NORTH, Some(false))), Verdict::Conflict(_)));
        assert!(matches!(switchover(&busy("failing-over", WEST, Some(true))), Verdict::Conflict(_)));
        assert!(matches!(judge_switchover(&calm(), NORTH, WEST), Verdict::Conflict(_)));
    }

    #[test]
    fn a_switchover_that_is_cancelled_is_waited_for() {
        assert!(matches!(switchover(&busy("cancelling", WEST, Some(false))), Verdict::Unready(_)));
    }

    #[test]
    fn a_switchover_that_would_be_refused_is_not_asked_for() {
        let unready =
            |view: GlobalView| assert!(matches!(switchover(&view), Verdict::Unready(_)), "{view:?}");
        unready(GlobalView { status: "modifying".to_owned(), ..calm() });
        unready(GlobalView { members: vec![member(EAST, true, "")], ..calm() });
        let resync = vec![member(EAST, true, ""), member(WEST, false, "pending-resync")];
        unready(GlobalView { members: resync, ..calm() });
        unready(GlobalView { members: vec![member(WEST, false, "connected")], ..calm() });
        let two = vec![member(EAST, true, ""), member(NORTH, true, ""), member(WEST, false, "connected")];
        unready(GlobalView { members: two, ..calm() });
    }

    #[test]
    fn a_failover_that_nobody_began_may_begin_in_whatever_state_the_rest_is() {
        assert_eq!(failover(&calm()), Verdict::NotStarted);
        let members = vec![member(EAST, true, ""), member(WEST, false, "")];
        let modified = GlobalView { status: "modifying".to_owned(), members, ..calm() };
        assert_eq!(failover(&modified), Verdict::NotStarted);
    }

    #[test]
    fn a_failover_to_the_same_target_is_adopted() {
        for status in ["pending", "failing-over"] {
            let verdict = failover(&busy(status, WEST, Some(true)));
            assert!(matches!(&verdict, Verdict::Running(told) if told.contains(status)), "{verdict:?}");
        }
        assert!(matches!(failover(&busy("cancelling", WEST, Some(true))), Verdict::Unready(_)));
    }

    #[test]
    fn a_failover_is_done_when_the_target_takes_writes() {
        assert_eq!(failover(&moved()), Verdict::Done);
    }

    #[test]
    fn a_switchover_under_way_is_no_failover() {
        // It waits for the old primary, which may be gone: adopted as a failover, it would never end.
        assert!(matches!(failover(&busy("switching-over", WEST, Some(false))), Verdict::Conflict(_)));
        assert!(matches!(failover(&busy("pending", WEST, None)), Verdict::Conflict(_)));
        assert!(matches!(failover(&busy("failing-over", NORTH, Some(true))), Verdict::Conflict(_)));
    }

    #[test]
    fn a_cluster_that_was_detached_is_not_failed_over_to() {
        let alone = GlobalView { members: vec![member(EAST, true, "")], ..calm() };
        assert!(matches!(failover(&alone), Verdict::Unready(_)));
    }

    fn detachment(view: Option<&GlobalView>, status: Option<&str>) -> Verdict {
        let own = status.map(|status| ClusterView { status: status.to_owned(), ..ClusterView::default() });
        judge_detachment(view, own.as_ref(), WEST)
    }

    #[test]
    fn a_detachment_may_begin_whatever_hangs_on_the_way_to_the_same_target() {
        for view in [
            calm(),
            busy("pending", WEST, Some(true)),
            busy("cancelling", WEST, Some(true)),
            busy("switching-over", WEST, Some(false)),
        ] {
            assert_eq!(detachment(Some(&view), Some("available")), Verdict::NotStarted, "{view:?}");
            assert_eq!(detachment(Some(&view), None), Verdict::NotStarted, "{view:?}");
        }
        let hangs = busy("failing-over", WEST, Some(true));
        assert_eq!(detachment(Some(&hangs), Some("promoting")), Verdict::NotStarted);
    }

    #[test]
    fn a_detachment_is_no_answer_to_a_move_to_somebody_else() {
        for to in [NORTH, ""] {
            let view = busy("pending", to, Some(true));
            assert!(matches!(detachment(Some(&view), Some("available")), Verdict::Conflict(_)), "{to}");
        }
    }

    #[test]
    fn a_detachment_is_done_when_the_target_is_no_member_or_takes_writes() {
        let left = GlobalView { members: vec![member(EAST, true, "")], ..calm() };
        for view in [Some(&left), None] {
            assert_eq!(detachment(view, Some("available")), Verdict::Done);
            assert!(matches!(detachment(view, None), Verdict::Unready(_)));
        }
        assert_eq!(detachment(Some(&moved()), Some("available")), Verdict::Done);
    }

    #[test]
    fn a_detachment_that_is_under_way_is_adopted() {
        assert!(matches!(detachment(Some(&calm()), Some("promoting")), Verdict::Running(_)));
    }

    #[test]
    fn of_two_views_the_later_one_holds() {
        let running = Verdict::Running("x".to_owned());
        assert_eq!(latest(vec![Verdict::NotStarted, running.clone()]), Some(running.clone()));
        assert_eq!(latest(vec![running, Verdict::Done]), Some(Verdict::Done));
        let conflict = Verdict::Conflict("y".to_owned());
        assert_eq!(latest(vec![conflict.clone(), Verdict::Done]), Some(conflict));
        assert_eq!(latest(Vec::new()), None);
    }
}

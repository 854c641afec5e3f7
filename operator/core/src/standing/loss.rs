//! The exact loss, once the old log was read, and its bound where nobody reads it.

use crate::draft::Draft;
use crate::ids::RegionName;
use crate::rules::Rule;
use crate::time::Millis;

/// The old log was read: the loss is final and counted.
pub(crate) fn finish_loss(d: &mut Draft<'_>) {
    let Some(run) = d.next.run.as_ref().filter(|r| r.clock.promoted.is_some() && !r.measured.rpo.r#final)
    else {
        return;
    };
    let read: Vec<_> = d
        .sight
        .seen
        .losses
        .iter()
        .filter_map(|(item, runs)| runs.get(&run.name).map(|loss| (item.clone(), loss.clone())))
        .collect();
    if read.len() < run.policy.data.len() || read.is_empty() {
        return;
    }
    let commits: u64 = read.iter().map(|(_, l)| l.commits_after_fork).sum();
    let beats: u64 = read.iter().map(|(_, l)| l.heartbeats_after_fork).sum();
    let clients = commits.saturating_sub(beats);
    let span = read.iter().filter_map(|(_, l)| l.span).max();
    let run = d.run();
    run.measured.lost_commits = Some(clients);
    run.measured.rpo.r#final = true;
    if commits == 0 {
        (run.measured.rpo.at_least, run.measured.rpo.at_most) = (Some(Millis(0)), Some(Millis(0)));
    } else if let Some(span) = span {
        (run.measured.rpo.at_least, run.measured.rpo.at_most) = (Some(span), Some(span));
    } else {
        // Commits were lost, and nobody can say over what time: that heartbeats saw no loss bounds nothing.
        run.measured.rpo.at_least = run.measured.rpo.at_least.filter(|at_least| at_least.0 > 0);
        run.measured.rpo.at_most = None;
    }
    let message = format!(
        "{clients} commits of clients and {beats} heartbeats are on the old timeline and not on the new one"
    );
    d.event(commits > 0, "LossCounted", message.clone());
    d.fire(Rule::LossCounted, message);
}

/// The old primary follows: what it acknowledged by itself ended when it was proven closed, or at the latest now. So a loss
/// that had no upper bound has one, also where nobody reads the old log.
pub(super) fn bound_loss(d: &mut Draft<'_>, region: &RegionName) {
    let Some(run) = d.next.run.as_ref().filter(|r| r.from == *region && r.clock.promoted.is_some()) else {
        return;
    };
    let rpo = &run.measured.rpo;
    let open = rpo.at_least.filter(|_| !rpo.r#final && rpo.at_most.is_none());
    let closed = d.next.state.outcasts.get(region).and_then(|outcast| outcast.proven).unwrap_or(d.sight.now);
    let acked: Option<Vec<_>> = run.acked_at_pivot.values().map(|(_, at)| *at).collect();
    // The newest present heartbeat is no older than the newest acknowledged one by more than the lower bound.
    let (Some(at_least), Some(acked)) = (open, acked) else { return };
    let bound = acked.iter().map(|at| closed.since_or_wall(at).plus(at_least)).max();
    d.run().measured.rpo.at_most = bound;
}

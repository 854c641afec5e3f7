//! The exact loss, once the old log was read.

use crate::draft::Draft;
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

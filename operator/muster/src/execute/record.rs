//! Stage 4: the intent becomes durable, under the version that was loaded and the lease that it was loaded with.
//!
//! Only this module makes a [`Recorded`], and only a `Recorded<Decision>` can be acted on. A conflict ends the pass;
//! any other error means that nothing is known: load again.

use super::decide::Decided;
use super::points::{Call, Point, Points};
use super::shell::Shell;
use crate::store::StoreError;
use muster_core::decision::Decision;
use muster_core::facts::Observations;
use muster_core::journal::{Journal, Run, Step};
use muster_core::policy::Policy;
use muster_core::time::Stamp;

/// Something that has reached stable storage. Cannot be made elsewhere.
#[derive(Debug)]
pub struct Recorded<T> {
    value: T,
    written: bool,
}

impl<T> Recorded<T> {
    /// What was recorded.
    pub const fn value(&self) -> &T {
        &self.value
    }
    /// Whether the journal moved; false in a stable world.
    pub const fn was_written(&self) -> bool {
        self.written
    }
}

/// What the decision was made from, for replay.
#[derive(Debug)]
pub(super) struct Inputs {
    pub(super) policy: Policy,
    pub(super) journal: Journal,
    pub(super) seen: Observations,
    pub(super) now: Stamp,
}

/// Writes the next journal if it differs from the loaded one, or if effects hang on it.
pub(super) async fn record(
    shell: &Shell,
    decided: Decided,
) -> Result<(Recorded<Decision>, Inputs), StoreError> {
    let Decided { loaded, seen, policy, now, decision } = decided;
    let moved = decision.next != loaded.journal;
    // Without a change the intent is recorded already; it is written again all the same, so that an effect never
    // starts on a version or a lease that is no longer the newest.
    let written = moved || !decision.effects.is_empty();
    if written {
        let call = name_record(&shell.points, &loaded.journal, &decision);
        reach(&shell.points, call.as_ref(), Point::Before);
        shell.store.record(&policy.name, &loaded.version, &loaded.lease, &decision.next).await?;
        reach(&shell.points, call.as_ref(), Point::After);
    }
    let inputs = Inputs { policy, journal: loaded.journal, seen, now };
    Ok((Recorded { value: decision, written: moved }, inputs))
}

fn reach(points: &Points, call: Option<&Call>, point: Point) {
    if let Some(call) = call {
        points.reach(call, point);
    }
}

/// Names the records that move steps. Those that only keep streaks or figures come by chance, not in order.
fn name_record(points: &Points, before: &Journal, decision: &Decision) -> Option<Call> {
    let moves = !decision.effects.is_empty() || outline(before) != outline(&decision.next);
    moves.then(|| points.name(format!("R{}", decision.rule.number()), decision.rule.to_string(), 1))
}

/// What an undisturbed run does in the same order every time.
fn outline(journal: &Journal) -> impl PartialEq + '_ {
    let of_run = |run: &'_ Run| {
        let steps: Vec<_> = run.steps.iter().map(|s| (s.key.clone(), s.state, s.attempts)).collect();
        (run.name.clone(), run.phase, run.term, run.approval.clone(), run.abort.clone(), steps)
    };
    let of_work = |work: &Option<Step>| work.as_ref().map(|s: &Step| (s.key.clone(), s.state, s.attempts));
    let outcasts: Vec<_> =
        journal.state.outcasts.iter().map(|(region, o)| (region.clone(), of_work(&o.work))).collect();
    (
        journal.run.as_ref().map(of_run),
        of_work(&journal.state.work),
        outcasts,
        journal.state.active_region.clone(),
        journal.state.may_be_writable.clone(),
        journal.requests.len(),
    )
}

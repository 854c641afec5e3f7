//! An abort before the point of no return: everything that was recorded is undone, newest first, and seen undone.

use super::{has_effects, seen, steps};
use crate::draft::Draft;
use crate::effect::Action;
use crate::facts::{DataRole, PowerState};
use crate::ids::RegionName;
use crate::journal::{Phase, Step, StepKey, StepState};
use crate::policy::{FenceKind, Policy};
use crate::rules::Rule;
use crate::standing::other_writer;
use crate::time::{Millis, Tick};

/// An undo not seen for so long is an alert: nobody takes writes.
const NO_WRITER_AFTER: Millis = Millis(30_000);

/// One pass of undoing.
pub(super) fn drive(d: &mut Draft<'_>) {
    if take_term(d) {
        return;
    }
    if d.sight.seen.in_flight.iter().any(|seq| is_forward(d, *seq)) {
        d.fire(Rule::Undoing, "waiting for the effect that is under way to end");
        d.wake_in(Millis(50));
        return;
    }
    let Some(index) = next_to_undo(d) else { return finish(d) };
    let mut step = d.run().steps[index].clone();
    if ends_beside_a_writer(d, &step) {
        return;
    }
    if step.state == StepState::Undoing {
        look(d, &mut step);
    } else {
        begin(d, &mut step);
    }
    if let Some(place) = d.next.run.as_mut().and_then(|run| run.steps.get_mut(index)) {
        *place = step;
    }
}

/// The step that is undone next: one that is being undone, else the newest that has something to undo. Databases are opened
/// before workloads that want them are scaled back, and never wait for a cluster that does not answer.
fn next_to_undo(d: &mut Draft<'_>) -> Option<usize> {
    let policy = d.sight.policy;
    let more_than_scales = |step: &Step| step.tried.iter().any(|action| !scales(policy, action));
    let steps = &d.run().steps;
    steps
        .iter()
        .rposition(|s| s.state == StepState::Undoing)
        .or_else(|| steps.iter().rposition(more_than_scales))
        .or_else(|| steps.iter().rposition(|s| !s.tried.is_empty()))
}

/// How the way works that a fence or its undo uses.
fn kind_of<'p>(policy: &'p Policy, action: &Action) -> Option<&'p FenceKind> {
    let (Action::Fence { way, .. } | Action::Unfence { way, .. }) = action else { return None };
    policy.fences.iter().find(|w| w.name == *way).map(|way| &way.kind)
}

/// Whether an effect scales workloads, as a fence or as its undo.
fn scales(policy: &Policy, action: &Action) -> bool {
    kind_of(policy, action) == Some(&FenceKind::Scale)
}

/// In which order effects of one step are undone, the highest first: what cuts a database off hides it from every other undo.
fn undo_rank(policy: &Policy, action: &Action) -> u8 {
    match kind_of(policy, action) {
        Some(FenceKind::Network { .. }) => 2,
        Some(FenceKind::Scale) => 0,
        Some(FenceKind::Data(_) | FenceKind::Hook) | None => 1,
    }
}

fn is_forward(d: &Draft<'_>, seq: crate::ids::Seq) -> bool {
    d.sight
        .journal
        .run
        .as_ref()
        .is_some_and(|run| run.steps.iter().any(|s| s.seq == Some(seq) && s.state != StepState::Undoing))
}

/// The abort's own number, so that whatever still lands of the run is older than the undo.
fn take_term(d: &mut Draft<'_>) -> bool {
    if d.run().undoing {
        return false;
    }
    let term = d.next.state.term.next();
    d.next.state.term = term;
    if let Some(active) = d.next.state.active_run.as_mut() {
        active.term = term;
    }
    let run = d.run();
    run.term = term;
    run.undoing = true;
    let why = run.abort.clone().unwrap_or_default();
    if !has_effects(run) {
        finish(d);
        return true;
    }
    d.phase(Phase::Executing, format!("aborting: {why}"));
    d.event(true, "Aborting", why.clone());
    d.fire(Rule::AbortBegun, why);
    d.wake_in(Millis(0));
    true
}

fn inverse(action: &Action) -> Option<Action> {
    match action.clone() {
        Action::Fence { way, region } => Some(Action::Unfence { way, region }),
        Action::StopReceiving { item, region } => Some(Action::ResumeReceiving { item, region }),
        _ => None,
    }
}

/// Records the undo of the newest effect. Recording it voids the proof.
fn begin(d: &mut Draft<'_>, step: &mut Step) {
    // The newest is undone first, of those of one rank.
    step.tried.sort_by_key(|action| undo_rank(d.sight.policy, action));
    let Some(undo) = step.tried.last().and_then(inverse) else {
        step.tried.pop();
        d.wake_in(Millis(0));
        d.fire(Rule::Undoing, "nothing to undo");
        return;
    };
    if let StepKey::FenceOld(region) = &step.key {
        d.next.state.may_be_writable.insert(region.clone());
        d.run().proofs.remove(region);
    }
    d.fire(Rule::Undoing, undo.to_string());
    d.intend(step, undo);
}

fn look(d: &mut Draft<'_>, step: &mut Step) {
    let Some(action) = step.action.clone() else { return };
    if let Some(saw) = seen_undone(d, step, &action) {
        step.tried.pop();
        step.state = if step.tried.is_empty() { StepState::Undone } else { StepState::Intended };
        step.ended = Some(d.sight.now);
        d.fire(Rule::Undoing, saw.clone());
        step.saw = saw;
        d.wake_in(Millis(0));
        return;
    }
    let waited = d.sight.waited_since(step.started);
    if waited >= NO_WRITER_AFTER && cannot_land(d, &action) {
        let why = format!("{action}: the region is silent; what is left is undone when it answers");
        return leave_undone(d, "NoWriter", &why);
    }
    if waited >= NO_WRITER_AFTER {
        let saw = format!("{action} is not seen");
        let (name, needs) = if scales(d.sight.policy, &action) {
            ("StepOverdue", "its workloads run again")
        } else {
            ("NoWriter", "the old primary takes writes again")
        };
        d.block(name, saw.clone(), needs);
        if d.run().phase != Phase::Blocked {
            d.event(true, name, saw.clone());
        }
        d.phase(Phase::Blocked, saw);
    }
    steps::try_again(d, step, steps::Patience::Endless);
}

/// Whether an undo waits for a region that does not answer in any data item. A hook is another matter: what it switched
/// off answers only once it is on again.
fn cannot_land(d: &Draft<'_>, action: &Action) -> bool {
    let region = match action {
        Action::Unfence { way, region } => {
            let way = d.sight.policy.fences.iter().find(|w| w.name == *way);
            match way.map(|way| &way.kind) {
                Some(FenceKind::Data(_)) => Some(region),
                Some(FenceKind::Scale | FenceKind::Network { .. }) => {
                    return way.is_some_and(|way| d.sight.fence_since(&way.name, region, Tick(0)).is_none());
                }
                Some(FenceKind::Hook) | None => None,
            }
        }
        Action::ResumeReceiving { region, .. } => Some(region),
        _ => None,
    };
    region.is_some_and(|region| {
        d.sight.policy.data.iter().all(|item| d.sight.data(&item.name, region).is_none())
    })
}

/// The region died while its fence was undone, or another hand made another one the writer. The run ends, so that another one
/// may move the application away; the rest is undone when the region answers, is still the active one, and would be the only
/// writer.
fn leave_undone(d: &mut Draft<'_>, reason: &str, why: &str) {
    keep_undo(d);
    super::end::abandon_undo(d, reason, why);
}

/// Whether the run ends here, because what is undone next would open an old primary beside another writer.
fn ends_beside_a_writer(d: &mut Draft<'_>, step: &Step) -> bool {
    let StepKey::FenceOld(region) = &step.key else { return false };
    let Some(other) = other_writer(d, |other| other != region) else { return false };
    let why = format!("{}; what fences {region} is undone once no region beside it does", other.saw());
    leave_undone(d, "SoleWriter", &why);
    true
}

/// Leaves what the run has fenced to be opened again once it answers, if it is still the active region then.
pub(super) fn keep_undo(d: &mut Draft<'_>) {
    let active = d.next.state.active_region.clone();
    let steps = d.run().steps.clone();
    for step in &steps {
        let StepKey::FenceOld(region) = &step.key else { continue };
        let mut undo: Vec<Action> = step.tried.iter().filter_map(inverse).collect();
        undo.sort_by_key(|action| undo_rank(d.sight.policy, action));
        if undo.is_empty() {
            continue;
        }
        d.next.state.may_be_writable.insert(region.clone());
        d.run().proofs.remove(region);
        if let Some(outcast) = d.next.state.outcasts.get_mut(region) {
            (outcast.proven, outcast.work) = (None, None);
            outcast.undo = if Some(region) == active.as_ref() { undo } else { Vec::new() };
        }
    }
}

pub(crate) fn seen_undone(d: &Draft<'_>, step: &Step, action: &Action) -> Option<String> {
    let since = seen::since(&d.sight, step);
    match action {
        Action::Unfence { way, region } => {
            let way = d.sight.policy.fences.iter().find(|w| w.name == *way)?;
            match &way.kind {
                FenceKind::Data(item) => {
                    let facts = d.sight.data_since(item, region, since)?;
                    let open = facts.role == DataRole::Standby || facts.closed.is_open();
                    open.then(|| format!("{item} in {region} is open again"))
                }
                FenceKind::Scale | FenceKind::Network { .. } => {
                    let facts = d.sight.fence_since(&way.name, region, since)?;
                    facts.is_lifted.then(|| format!("{} is lifted", way.name))
                }
                FenceKind::Hook => {
                    let facts = d.sight.fence_since(&way.name, region, since)?;
                    (facts.state == PowerState::On).then(|| format!("{} says on", way.name))
                }
            }
        }
        Action::ResumeReceiving { item, region } => {
            let facts = d.sight.data_since(item, region, since)?;
            facts.may_confirm().then(|| format!("{item} in {region} receives again"))
        }
        _ => Some("nothing to see".to_owned()),
    }
}

fn finish(d: &mut Draft<'_>) {
    let why = d.run().abort.clone().unwrap_or_default();
    let fenced: Vec<RegionName> = d
        .run()
        .steps
        .iter()
        .filter_map(|s| match &s.key {
            StepKey::FenceOld(region) => Some(region.clone()),
            _ => None,
        })
        .collect();
    let name = d.run().name.clone();
    d.next.state.outcasts.retain(|region, o| !(fenced.contains(region) && o.run == name));
    super::end::abort(d, &why);
}

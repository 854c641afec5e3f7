//! Fenced regions: kept closed, and brought back as standbys.

use super::loss::bound_loss;
use super::{LOOK_AGAIN, may_act, other_writer};
use crate::draft::Draft;
use crate::effect::Action;
use crate::facts::DataRole;
use crate::ids::RegionName;
use crate::journal::{Outcast, Run, Step, StepKey};
use crate::policy::{DataItem, FenceKind, FenceWay};
use crate::proof;
use crate::retry::{self, Next};
use crate::rules::Rule;
use crate::time::{Millis, Tick};

/// Attempts to bring an outcast back before a person is asked: a dark region is tried for some hours.
const REJOIN_ATTEMPTS: u32 = 1_000;

/// What a run that is under way leaves to this module.
#[derive(Clone, Copy, PartialEq, Eq)]
enum During {
    /// No run, or one that waits and has touched nothing yet: fence again and bring back.
    Calm,
    /// A run at work: only fence again.
    Run,
}

/// Keeps fenced regions closed and brings them back, one effect at a time. A run that is under way owns the fences of
/// its own plan up to its point of no return; every other region is tended all the same.
pub(crate) fn tend_outcasts(d: &mut Draft<'_>) {
    let Some(active) = d.next.state.active_region.clone() else { return };
    let running = d.next.run.as_ref().filter(|r| !r.phase.is_final());
    let during = if running.is_some_and(crate::run::has_effects) { During::Run } else { During::Calm };
    let names: Vec<RegionName> = d.next.state.outcasts.keys().cloned().collect();
    for region in names {
        let fences_it =
            |r: &&Run| !r.past_pivot() && r.steps.iter().any(|s| s.key == StepKey::FenceOld(region.clone()));
        let running = d.next.run.as_ref().filter(|r| !r.phase.is_final());
        // The run makes it the writer.
        if running.is_some_and(|r| r.past_pivot() && r.to == region) {
            continue;
        }
        if running.filter(fences_it).is_some_and(|r| during == During::Run || r.clock.decided.is_some()) {
            continue;
        }
        let waits = during == During::Calm && running.is_none_or(|r| r.clock.decided.is_none());
        if region == active && waits {
            tend_active(d, &region);
            continue;
        }
        if during == During::Calm && has_rejoined(d, &region, &active) {
            bound_loss(d, &region);
            d.next.state.outcasts.remove(&region);
            d.event(false, "Rejoined", format!("{region} follows {active}"));
            d.fire(Rule::Rejoined, format!("{region} follows {active} again"));
            continue;
        }
        let is_left = running.is_some_and(|r| r.past_pivot() && r.from == region);
        if region != active || is_left {
            tend(d, &region, &active, during);
        }
    }
}

/// The active region is cast out only until it is known to take writes again: an abort that could not undo its fence
/// leaves the rest of that here.
fn tend_active(d: &mut Draft<'_>, region: &RegionName) {
    let Some(mut outcast) = d.next.state.outcasts.get(region).cloned() else { return };
    if outcast.undo.is_empty() {
        // After a lost target it is still closed by proof, and that proof bounds the loss of the next run.
        if d.next.state.may_be_writable.contains(region) || is_seen_writing(d, region) {
            d.next.state.outcasts.remove(region);
        }
        return;
    }
    if !may_act(d) || !answers_undo(d, region, &outcast) || is_beside_a_writer(d, region) {
        return;
    }
    undo_rest(d, region, &mut outcast);
    d.next.state.outcasts.insert(region.clone(), outcast);
}

/// Whether another region takes writes, or may: by another hand, since the fence. Opened now, there would be two.
fn is_beside_a_writer(d: &mut Draft<'_>, region: &RegionName) -> bool {
    let Some(other) = other_writer(d, |other| other != region) else { return false };
    let saw = format!("{}, and {region} is not opened beside it", other.saw());
    d.next.state.needs_ack.get_or_insert_with(|| saw.clone());
    d.block("SoleWriter", saw.clone(), other.needs());
    d.fire(Rule::GateUnmet, saw);
    d.wake_in(LOOK_AGAIN);
    true
}

/// Whether the next undo finds somebody who answers. A database that the network hides answers only after it.
fn answers_undo(d: &Draft<'_>, region: &RegionName, outcast: &Outcast) -> bool {
    let hidden = outcast.undo.last().is_some_and(|undo| {
        let Action::Unfence { way, .. } = undo else { return false };
        let hides = |w: &FenceWay| w.name == *way && matches!(w.kind, FenceKind::Network { .. });
        d.sight.policy.fences.iter().any(hides) && d.sight.fence_since(way, region, Tick(0)).is_some()
    });
    hidden || d.sight.policy.data.iter().any(|item| d.sight.data(&item.name, region).is_some())
}

/// One step of what an ended run left to undo.
fn undo_rest(d: &mut Draft<'_>, region: &RegionName, outcast: &mut Outcast) {
    let Some(undo) = outcast.undo.last().cloned() else { return };
    let Some(mut step) = outcast.work.take() else {
        let mut step = Step::new(StepKey::FenceOld(region.clone()));
        d.fire(Rule::Undoing, undo.to_string());
        d.intend(&mut step, undo);
        outcast.work = Some(step);
        return;
    };
    if let Some(saw) = crate::run::seen_undone(d, &step, &undo) {
        outcast.undo.pop();
        d.fire(Rule::Undoing, saw);
        return;
    }
    match retry::judge(&d.sight, &step) {
        Next::Wait(pause, why) => {
            d.fire(Rule::Undoing, why);
            d.wake_in(pause.max(LOOK_AGAIN));
        }
        Next::Superseded(why) => d.fire(Rule::Superseded, why),
        Next::Repeat(why) => {
            d.fire(Rule::Undoing, why);
            d.repeat(&mut step);
        }
    }
    outcast.work = Some(step);
}

fn has_rejoined(d: &Draft<'_>, region: &RegionName, active: &RegionName) -> bool {
    let policy = d.sight.policy;
    // What an unchecked call may still make a writer looks like any standby until then; and what may still detach the writer would
    // leave this standby behind.
    let may_land = d.next.state.outcasts.get(region).is_some_and(|outcast| {
        let pending = outcast.not_before.filter(|_| outcast.promotion_pending);
        pending.is_some_and(|t| d.sight.now.since(&t).is_none())
            || outcast.detachment_left(&d.sight.now).0 > 0
    });
    !may_land
        && !policy.data.is_empty()
        && policy.data.iter().all(|item| {
            let (Some(back), Some(writer)) =
                (d.sight.data(&item.name, region), d.sight.data(&item.name, active))
            else {
                return false;
            };
            back.role == DataRole::Standby
                && back.streams_from(active)
                && back.system == writer.system
                && back.timeline == writer.timeline
        })
}

/// Whether a region is not seen closed. What works there for a recorded rejoin is not taken for a writer as long as
/// the application's own write is refused: the hook has to log in to the node that it brings back.
pub(crate) fn is_seen_writing(d: &Draft<'_>, region: &RegionName) -> bool {
    let outcast = d.next.state.outcasts.get(region);
    let work = outcast.and_then(|o| o.work.as_ref());
    let rejoining = work.is_some_and(|step| matches!(step.action, Some(Action::Rejoin { .. })));
    // What its engine moves takes writes where it is, by right; what was detached does not.
    let arriving = outcast.is_some_and(|o| o.promotion_pending && !o.detached);
    let is_alone =
        |item: &DataItem| d.sight.data(&item.name, region).is_some_and(|facts| facts.alone.is_some());
    let moves = |item: &DataItem| {
        d.sight.is_yet_to_hand_over(&item.name, region) || (arriving && item.hands_over && !is_alone(item))
    };
    d.sight.policy.data.iter().filter(|item| !moves(item)).any(|item| {
        d.sight.data(&item.name, region).is_some_and(|facts| {
            if rejoining {
                !facts.is_closed() && facts.closed.app_write_refused != Some(true)
            } else {
                facts.takes_writes()
            }
        })
    })
}

fn tend(d: &mut Draft<'_>, region: &RegionName, active: &RegionName, during: During) {
    if !may_act(d) {
        return;
    }
    let Some(mut outcast) = d.next.state.outcasts.get(region).cloned() else { return };
    let writes = is_seen_writing(d, region);
    let refence = outcast.work.clone().filter(|s| matches!(s.action, Some(Action::Fence { .. })));
    match refence {
        None if writes => fence_again(d, region, &mut outcast),
        None if during == During::Calm => rejoin(d, region, active, &mut outcast),
        None => {}
        Some(mut step) => {
            crate::run::note_fence_answer(d, &mut step);
            let closed = closed_again(d, region, &step);
            outcast.work = Some(step);
            match closed {
                Some(saw) => {
                    outcast.work = None;
                    outcast.proven = Some(d.sight.now);
                    let moves = |item: &DataItem| d.sight.is_yet_to_hand_over(&item.name, region);
                    if !d.sight.policy.data.iter().any(moves) {
                        d.next.state.may_be_writable.remove(region);
                    }
                    "fenced again, not rejoined yet".clone_into(&mut outcast.message);
                    d.fire(Rule::FencedAgain, format!("{region} is closed again: {saw}"));
                }
                None => repeat_fence(d, region, &mut outcast),
            }
        }
    }
    d.next.state.outcasts.insert(region.clone(), outcast);
}

/// The accepted proof that a region which was fenced again takes no writes. Its silence is none.
fn closed_again(d: &Draft<'_>, region: &RegionName, step: &Step) -> Option<String> {
    let issued = step.issued.filter(|at| at.boot == d.sight.now.boot)?.tick;
    let proof = proof::judge_step(&d.sight, region, step, issued.plus(Millis(1)))?;
    d.sight.policy.accepts(proof.class).then(|| format!("{:?}: {}", proof.class, proof.saw))
}

fn fence_again(d: &mut Draft<'_>, region: &RegionName, outcast: &mut Outcast) {
    let Some(way) = d.sight.policy.fences.first() else {
        d.block("Fenced", format!("{region} takes writes again"), "a fence in the policy");
        return;
    };
    outcast.proven = None;
    outcast.undo.clear();
    let mut step = Step::new(StepKey::FenceOld(region.clone()));
    let action = Action::Fence { way: way.name.clone(), region: region.clone() };
    d.event(true, "OutcastWrites", format!("{region} takes writes again; fencing it"));
    d.fire(Rule::FencedAgain, format!("{region} takes writes again; fencing it"));
    d.intend(&mut step, action);
    outcast.work = Some(step);
}

fn repeat_fence(d: &mut Draft<'_>, region: &RegionName, outcast: &mut Outcast) {
    let Some(mut step) = outcast.work.take() else { return };
    match retry::judge(&d.sight, &step) {
        Next::Wait(pause, why) => {
            d.fire(Rule::StepAwaited, why);
            d.wake_in(pause);
        }
        Next::Superseded(why) => d.fire(Rule::Superseded, why),
        Next::Repeat(why) => {
            let ways = &d.sight.policy.fences;
            let attempts = ways.get(step.way).map_or(1, |w| w.attempts);
            if step.attempts < attempts || ways.len() < 2 {
                d.fire(Rule::StepRepeated, why);
                d.repeat(&mut step);
            } else {
                step.way = (step.way + 1) % ways.len();
                let action = Action::Fence { way: ways[step.way].name.clone(), region: region.clone() };
                d.fire(Rule::StepRepeated, why);
                d.intend(&mut step, action);
            }
        }
    }
    outcast.work = Some(step);
}

/// After so long a rejoin is one that takes hours: a replica is made anew of all data.
const TAKES_LONG: Millis = Millis(120_000);
/// Between two looks at one, then.
const LOOK_SELDOM: Millis = Millis(10_000);

/// What is waited for, and why nothing is seen of it; and when to look again.
fn await_rejoin(d: &mut Draft<'_>, region: &RegionName, step: &Step, pause: Millis, why: String) {
    let Some(Action::Rejoin { item, .. }) = &step.action else { return };
    let waited = d.sight.waited_since(step.issued);
    let is_long = waited >= TAKES_LONG;
    let silent = is_long && d.sight.data(item, region).is_none();
    let why = if silent { format!("{why} ({})", d.sight.why_unknown(item, region)) } else { why };
    d.fire(Rule::RejoinAwaited, why);
    d.wake_in(pause.max(if is_long { LOOK_SELDOM } else { LOOK_AGAIN }));
}

/// Lets the user's hook, or the engine, make the region a standby of the active one.
fn rejoin(d: &mut Draft<'_>, region: &RegionName, active: &RegionName, outcast: &mut Outcast) {
    if let Some(mut step) = outcast.work.take() {
        let is_of_another = matches!(&step.action, Some(Action::Rejoin { follow, .. }) if follow != active);
        if is_of_another && !d.sight.is_in_flight(&step) {
            // The writer has moved on: it begins anew, and follows that one.
            d.wake_in(LOOK_AGAIN);
            return;
        }
        match retry::judge(&d.sight, &step) {
            Next::Wait(pause, why) => await_rejoin(d, region, &step, pause, why),
            // Its number is old: the next one has a newer.
            Next::Superseded(why) => {
                d.fire(Rule::Superseded, why);
                d.wake_in(LOOK_AGAIN);
                return;
            }
            Next::Repeat(why) if step.attempts >= REJOIN_ATTEMPTS => {
                d.event(true, "RejoinFailed", format!("{region}: {why}"));
                outcast.rejoin_attempts = step.attempts;
                "could not rejoin by itself: rejoin it by hand, or say ack".clone_into(&mut outcast.message);
                return;
            }
            Next::Repeat(why) => {
                d.fire(Rule::RejoinBegun, why);
                d.repeat(&mut step);
            }
        }
        outcast.work = Some(step);
        return;
    }
    // Over a reboot nobody can say how long ago it was: then a person brings it back.
    let too_early = outcast.not_before.is_some_and(|t| d.sight.now.since(&t).is_none());
    if too_early || outcast.rejoin_attempts >= REJOIN_ATTEMPTS {
        return;
    }
    let waiting = d.sight.policy.data.iter().find(|item| {
        let follows =
            d.sight.data(&item.name, region).is_some_and(|f| f.role == DataRole::Standby && f.streaming);
        item.can_rejoin && !follows
    });
    let writer_known = d
        .sight
        .policy
        .data
        .iter()
        .all(|item| d.sight.data(&item.name, active).is_some_and(|f| f.role == DataRole::Writable));
    let Some(item) = waiting.filter(|_| writer_known) else { return };
    // A fence may have taken the place of a rejoin whose hook still works on the node's files: two would ruin them.
    if !d.sight.seen.in_flight.is_empty() {
        d.fire(Rule::RejoinAwaited, format!("{region}: an effect before this one is under way"));
        d.wake_in(LOOK_AGAIN);
        return;
    }
    let mut step = Step::new(StepKey::FenceOld(region.clone()));
    let action = Action::Rejoin { item: item.name.clone(), region: region.clone(), follow: active.clone() };
    d.fire(Rule::RejoinBegun, action.to_string());
    d.intend(&mut step, action);
    outcast.work = Some(step);
}

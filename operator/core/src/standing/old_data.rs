//! What an engine saved of an old primary that a failover left: it holds the writes that were lost, and expires with that
//! database's own backups, so it is copied. Nothing hangs on it, and it may take as long as the region is away.

use super::{CLOCKS_DIFFER, LOOK_AGAIN, may_act};
use crate::draft::Draft;
use crate::effect::Action;
use crate::facts::{Outcome, SavedData};
use crate::ids::ItemName;
use crate::journal::{Keeping, Run, Step, StepKey};
use crate::retry::{self, Next};
use crate::time::Millis;

/// A condition's type.
const KEPT: &str = "OldDataKept";
/// Its reason while it is false.
const NOT_KEPT: &str = "OldDataNotKept";
/// Between two attempts; doubles with each, up to [`LONGEST_REST`].
const FIRST_REST: Millis = Millis(5_000);
const LONGEST_REST: Millis = Millis(15 * 60_000);
/// So long after the region is back it is waited for: engines save before they bring it back.
const GIVEN_UP_AFTER: Millis = Millis(24 * 60 * 60_000);

/// Keeps what engines saved. At most one new effect a pass, and none beside others.
pub(crate) fn keep_old_data(d: &mut Draft<'_>) {
    begin(d);
    if !may_act(d) {
        return;
    }
    let (mut still, mut done) = (Vec::new(), None);
    for keeping in std::mem::take(&mut d.next.state.keeping) {
        match go_on(d, keeping) {
            End::Open(keeping) => still.push(*keeping),
            End::Kept(said) => done = Some(said),
            End::Dropped => {}
        }
    }
    tell(d, &still, done);
    d.next.state.keeping = still;
}

/// What a pass makes of one.
enum End {
    Open(Box<Keeping>),
    Kept(String),
    Dropped,
}

/// Remembers what the newest run left; another run may open before it is kept.
fn begin(d: &mut Draft<'_>) {
    let Some(run) = d.next.run.as_ref().filter(|run| run.phase.is_final()) else { return };
    let Some(pivot) = run.clock.pivot else { return };
    let is_open = |item: &ItemName| {
        let is_known = |keeping: &Keeping| keeping.run == run.name && keeping.item == *item;
        let is_saved = run.saved.contains_key(item) || d.next.state.keeping.iter().any(is_known);
        was_promoted(run, item) && !was_detached(d, run) && !is_saved
    };
    let saving = d.sight.policy.data.iter().filter(|item| item.saves_old_data && is_open(&item.name));
    let begun: Vec<Keeping> = saving
        .map(|item| Keeping {
            run: run.name.clone(),
            item: item.name.clone(),
            region: run.from.clone(),
            since: pivot.minus(CLOCKS_DIFFER).wall,
            step: Step::new(StepKey::FenceOld(run.from.clone())),
            back: None,
        })
        .collect();
    d.next.state.keeping.extend(begun);
}

/// Whether the run asked for a promotion of the item: a switchover leaves nothing behind.
fn was_promoted(run: &Run, item: &ItemName) -> bool {
    run.steps.iter().any(|step| step.key == StepKey::PromoteData(item.clone()) && step.started.is_some())
}

/// Whether the engine's own failover was gone round: it saved nothing, and the old primary has what it had. Where the detachment
/// was not needed in the end, it was not.
fn was_detached(d: &Draft<'_>, run: &Run) -> bool {
    let outcast = d.next.state.outcasts.get(&run.from);
    run.has_detached() && outcast.is_none_or(|outcast| outcast.detached_late.is_none())
}

fn go_on(d: &mut Draft<'_>, mut keeping: Keeping) -> End {
    let data = d.sight.policy.data.iter().find(|item| item.name == keeping.item);
    if !data.is_some_and(|item| item.saves_old_data) {
        return End::Dropped;
    }
    if let Some(saved) = saved(d, &keeping).filter(|saved| saved.kept) {
        let said = format!("{}: {} in {}: {}", keeping.run, keeping.item, keeping.region, saved.said);
        d.event(false, KEPT, said.clone());
        note(d, &keeping, saved.said.clone());
        return End::Kept(said);
    }
    keeping.back = match keeping.back {
        _ if d.next.state.outcasts.contains_key(&keeping.region) => None,
        None => Some(d.sight.now),
        back => back,
    };
    if let Some(why) = given_up(d, &keeping) {
        let said = format!("nothing is kept of {} in {}: {why}", keeping.item, keeping.region);
        d.event(true, NOT_KEPT, format!("{}: {said}", keeping.run));
        note(d, &keeping, said);
        return End::Dropped;
    }
    attempt(d, &mut keeping);
    End::Open(Box::new(keeping))
}

/// Why it is not waited for any longer: the region has been back for long, and this process has been told once more that there
/// is nothing.
fn given_up(d: &Draft<'_>, keeping: &Keeping) -> Option<String> {
    let is_over = d.sight.paused_since(keeping.back) >= GIVEN_UP_AFTER && saved(d, keeping).is_none();
    last_failure(d, keeping).filter(|_| is_over)
}

/// What is known of it, whichever region's engine tells.
fn saved<'a>(d: &Draft<'a>, keeping: &Keeping) -> Option<&'a SavedData> {
    let sight = d.sight;
    let told =
        sight.policy.regions.iter().filter_map(|r| Some(&sight.data(&keeping.item, r)?.saved)).flatten();
    told.filter(|saved| saved.region == keeping.region && saved.at >= keeping.since).max_by_key(|s| s.at)
}

fn attempt(d: &mut Draft<'_>, keeping: &mut Keeping) {
    let is_alone = d.effects.is_empty();
    if keeping.step.seq.is_none() {
        if is_alone {
            let (item, region, since) = (keeping.item.clone(), keeping.region.clone(), keeping.since);
            d.intend(&mut keeping.step, Action::KeepOldData { item, region, since });
        }
        return;
    }
    match retry::judge(&d.sight, &keeping.step) {
        Next::Wait(pause, _) => d.wake_in(pause.max(LOOK_AGAIN)),
        // Its number is old: the next one has a newer.
        Next::Superseded(_) => {
            keeping.step = Step::new(keeping.step.key.clone());
            d.wake_in(LOOK_AGAIN);
        }
        Next::Repeat(_) => {
            let doublings = keeping.step.attempts.saturating_sub(1).min(8);
            let rest = FIRST_REST.times(1 << doublings).min(LONGEST_REST);
            let waited = d.sight.paused_since(keeping.step.issued);
            if waited < rest {
                d.wake_in(Millis(rest.0 - waited.0));
            } else if is_alone {
                let failure =
                    last_failure(d, keeping).filter(|_| keeping.step.attempts == Keeping::TOLD_AFTER);
                if let Some(why) = failure {
                    d.event(true, NOT_KEPT, format!("{} in {}: {why}", keeping.item, keeping.region));
                }
                d.repeat(&mut keeping.step);
            }
        }
    }
}

/// Why the last attempt of this process failed, if it did.
fn last_failure(d: &Draft<'_>, keeping: &Keeping) -> Option<String> {
    match &d.sight.outcome_of(&keeping.step)?.value {
        Outcome::Failed(_, why) | Outcome::Conflict(why) | Outcome::StaleEpoch(why) => Some(why.clone()),
        Outcome::Issued(_) | Outcome::AlreadyDone => None,
    }
}

/// One condition for all of them. It moves only with what is heard: while an attempt is under way it says what the last one said.
fn tell(d: &mut Draft<'_>, still: &[Keeping], done: Option<String>) {
    let told: Vec<String> = still
        .iter()
        .filter_map(|keeping| {
            let why = last_failure(d, keeping).or_else(|| Some(saved(d, keeping)?.said.clone()))?;
            Some(format!("{}: {} in {}: {why}", keeping.run, keeping.item, keeping.region))
        })
        .collect();
    let stands = d.next.state.conditions.get(KEPT).map(|condition| condition.ok);
    match (still.is_empty(), done, stands) {
        (true, Some(said), _) => d.condition(KEPT, true, KEPT, said),
        // What was waited for went with the policy's item, or was given up.
        (true, None, Some(false)) => drop(d.next.state.conditions.remove(KEPT)),
        (false, _, _) if told.len() == still.len() => d.condition(KEPT, false, NOT_KEPT, told.join("; ")),
        _ => {}
    }
}

/// Notes in the run how it ended, if that run is still the newest.
fn note(d: &mut Draft<'_>, keeping: &Keeping, said: String) {
    if let Some(run) = d.next.run.as_mut().filter(|run| run.name == keeping.run) {
        run.saved.insert(keeping.item.clone(), said);
    }
}

//! All kinds, all points.

use super::calls::CrashPoint;
use super::report::{RunTitle, Tally};
use super::stage::{Played, Stage, Untested};
use anyhow::Context;
use muster_core::journal::RunKind;
use std::collections::BTreeMap;
use std::time::Instant;

/// So often in a suite a busy machine may keep a run from coming to its point.
const PATIENCE: usize = 5;

/// What is played; everything unless told otherwise.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Only this kind.
    pub kind: Option<RunKind>,
    /// Only this point.
    pub point: Option<CrashPoint>,
}

/// A kind's points that are still to be played, the next one last, and the run that they are compared with.
struct Kind {
    undisturbed: Played,
    points: Vec<RunTitle>,
}

/// Plays what was chosen, in two worlds at once: one loses its regions, the other one moves by plan.
pub async fn run(choice: &Choice) -> anyhow::Result<Tally> {
    let wanted = |kinds: &[RunKind]| -> Vec<RunKind> {
        kinds.iter().copied().filter(|k| choice.kind.is_none_or(|only| only == *k)).collect()
    };
    let unplanned = wanted(&[RunKind::Failover]);
    let planned = wanted(&[RunKind::Switchover, RunKind::Failback]);
    let (mut tally, other) =
        tokio::try_join!(play_all(&unplanned, choice, true), play_all(&planned, choice, false))?;
    tally.add(other);
    Ok(tally)
}

async fn play_all(kinds: &[RunKind], choice: &Choice, automatic: bool) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    if kinds.is_empty() {
        return Ok(tally);
    }
    let mut stage = Stage::start(automatic).await?;
    let mut all = BTreeMap::new();
    for kind in kinds {
        let undisturbed = typical(&mut stage, *kind).await?;
        let points = points(*kind, &undisturbed, choice);
        tell(*kind, &undisturbed);
        tally.found(*kind, points.len());
        all.insert(*kind, Kind { undisturbed, points });
    }
    let mut untried = 0;
    while let Some(kind) = next_kind(&stage, &all) {
        let began = Instant::now();
        if !stage.fits(kind) {
            go_to(&mut stage, kind).await?;
        }
        let Some(entry) = all.get_mut(&kind) else { break };
        let Some(title) = entry.points.pop() else { break };
        let mut played = stage.play(kind, Some(&title.point)).await;
        if let Err(error) = &mut played {
            let untested = error.is::<Untested>();
            let broken = std::mem::replace(error, anyhow::anyhow!("broken"));
            *error = broken.context(format!("the log's end:\n{}", stage.last_words()));
            // What is left of that world may be anything: begin anew.
            let fresh = Stage::start(automatic).await?;
            std::mem::replace(&mut stage, fresh).stop().await?;
            if untested && untried < PATIENCE {
                untried += 1;
                entry.points.push(title);
                continue;
            }
        }
        tally.judge(&title, played, &entry.undisturbed, began.elapsed().as_secs_f64());
    }
    stage.stop().await?;
    Ok(tally)
}

/// An undisturbed run with the points of one before it: now and then a run sees two things at once, or one after the
/// other, and has a point more or less that no other run comes by.
async fn typical(stage: &mut Stage, kind: RunKind) -> anyhow::Result<Played> {
    let mut before: Vec<Vec<String>> = Vec::new();
    loop {
        go_to(stage, kind).await?;
        let played = stage.play(kind, None).await;
        let played = played
            .with_context(|| format!("the undisturbed {kind:?}; the log's end:\n{}", stage.last_words()))?;
        let points = played.reached.iter().map(|r| r.crash_point().to_string()).collect();
        if before.contains(&points) || before.len() == PATIENCE {
            return Ok(played);
        }
        before.push(points);
    }
}

/// A kind with points left, if possible one that can begin where the world stands.
fn next_kind(stage: &Stage, all: &BTreeMap<RunKind, Kind>) -> Option<RunKind> {
    let open = || all.iter().filter(|(_, entry)| !entry.points.is_empty()).map(|(kind, _)| *kind);
    open().find(|kind| stage.fits(*kind)).or_else(|| open().next())
}

/// Moves the world to where a run of this kind can begin.
async fn go_to(stage: &mut Stage, kind: RunKind) -> anyhow::Result<()> {
    if stage.fits(kind) {
        return Ok(());
    }
    let way = if kind == RunKind::Failback { RunKind::Switchover } else { RunKind::Failback };
    stage.play(way, None).await.map(|_| ()).with_context(|| format!("on the way to a {kind:?}"))
}

/// The points of an undisturbed run, the first one last.
fn points(kind: RunKind, undisturbed: &Played, choice: &Choice) -> Vec<RunTitle> {
    let title = |reached: &super::calls::Reached| RunTitle {
        kind,
        point: reached.crash_point(),
        call: reached.detail.clone(),
    };
    let all = undisturbed.reached.iter().map(title);
    let mut chosen: Vec<_> =
        all.filter(|t| choice.point.as_ref().is_none_or(|only| *only == t.point)).collect();
    chosen.reverse();
    chosen
}

#[allow(clippy::print_stdout)] // a suite's line per run
fn tell(kind: RunKind, played: &Played) {
    println!("base  {kind:?}: {} points; {}; {}", played.reached.len(), played.effects, played.end);
}

//! Stage 2: facts. In a stable world the newest published ones; while something moves, each target is looked at
//! again first, so that a proof is one of this very pass.

use super::asks::Asks;
use super::board::Board;
use super::load::Loaded;
use super::observers::{Need, Observers};
use super::setup::Setup;
use super::shell::Shell;
use muster_core::facts::Observations;
use muster_core::ids::RegionName;
use muster_core::journal::{Journal, Phase, StepKey};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A loaded journal with what was seen after it was loaded.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) loaded: Loaded,
    pub(super) seen: Observations,
}

/// The eyes of one policy: what looks all the time, and what looks when asked.
#[derive(Debug)]
pub(super) struct Eyes {
    pub(super) board: Arc<Board>,
    observers: Observers,
    asks: Asks,
}

impl Eyes {
    /// Begins to look with the adapters of `setup`.
    pub(super) fn open(shell: &Shell, board: &Arc<Board>, setup: &Setup) -> Self {
        Self {
            board: Arc::clone(board),
            observers: Observers::start(&setup.policy, &setup.adapters, board, &shell.clock, shell.paces),
            asks: Asks::new(Arc::clone(board), shell.clock.clone()),
        }
    }
}

/// Gathers one pass's facts. Partial is fine: what is missing or old is unknown to the core.
pub(super) async fn observe(shell: &Shell, eyes: &mut Eyes, setup: &Setup, loaded: Loaded) -> Observed {
    let pass = shell.clock.now().tick;
    eyes.asks.start_due(&loaded.journal, &setup.adapters);
    if let Some(need) = what_to_look_at(&loaded.journal, &eyes.board) {
        eyes.observers.refresh(&eyes.board, pass, &need).await;
    }
    let seen = eyes.board.snapshot(Some(shell.holder.clone()), pass);
    Observed { loaded, seen }
}

/// What a pass must see with its own eyes; `None`: a stable world.
fn what_to_look_at(journal: &Journal, board: &Board) -> Option<Need> {
    let state = &journal.state;
    let outcasts: BTreeSet<RegionName> = state.outcasts.keys().cloned().collect();
    let works = state.work.is_some() || state.outcasts.values().any(|outcast| outcast.work.is_some());
    let gives_back = state.giving_back.is_some();
    let settles = journal.is_settling();
    // A region leaves `mayBeWritable` only by an observation of the pass.
    let unsettled = state.active_region.is_none() || state.may_be_writable.len() > 1;
    // Whoever waits for a person touches nothing: its gates are judged by looks as fresh as a stable world's.
    let active = journal.active_run();
    let waits = active.is_some_and(|run| {
        run.phase == Phase::AwaitingApproval && run.steps.iter().all(|step| step.started.is_none())
    });
    match active.filter(|_| !waits) {
        Some(run) => {
            let mut fences =
                if run.past_pivot() && !run.undoing && !works { BTreeSet::new() } else { outcasts };
            let current = run.current().and_then(|index| run.steps.get(index)).map(|step| &step.key);
            if run.undoing || (!run.past_pivot() && current.is_some_and(hangs_on_fences)) {
                fences.extend(run.steps.iter().filter_map(|step| match &step.key {
                    StepKey::FenceOld(region) => Some(region.clone()),
                    _ => None,
                }));
            }
            // A target that went silent is given up once a fence's `status` says that it is off.
            if run.policy.data.iter().all(|item| !board.knows_data(&item.name, &run.to)) {
                fences.insert(run.to.clone());
            }
            let compute = matches!(current, Some(StepKey::ScaleCompute(_) | StepKey::AwaitCompute(_)));
            Some(Need { fences, compute })
        }
        None if works => Some(Need { fences: outcasts, compute: gives_back }),
        None if unsettled || gives_back || settles || !journal.requests.is_empty() => {
            Some(Need { fences: BTreeSet::new(), compute: gives_back })
        }
        None => None,
    }
}

/// Whether a proof is looked for now, or would be lost.
const fn hangs_on_fences(step: &StepKey) -> bool {
    matches!(
        step,
        StepKey::FenceOld(_) | StepKey::CatchUp(_) | StepKey::HandOver(_) | StepKey::PromoteData(_)
    )
}

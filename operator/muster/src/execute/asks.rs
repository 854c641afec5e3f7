//! Looks that only make sense at certain moments of a run: a hook's `status` while its step is awaited, and the old
//! primary's log once the new one takes writes. One at a time each, in the background; a pass never waits for them.

use super::adapters::Adapters;
use super::board::Board;
use super::observers::look_within;
use crate::clock::Clock;
use muster_core::effect::Effect;
use muster_core::facts::{Fact, Seen};
use muster_core::ids::{ItemName, RunName};
use muster_core::journal::{Journal, Run, Step, StepKey, StepState};
use muster_core::time::Millis;
use muster_providers::{OpCtx, SendGuard};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Of one read of an old log.
const LOSS_DEADLINE: Duration = Duration::from_secs(20);
/// Between two tries to read an old log.
const LOSS_EVERY: Duration = Duration::from_secs(2);
/// Between two calls of a hook's `status`.
const HOOK_EVERY: Duration = Duration::from_millis(250);

/// A look that is under way or rests.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Ask {
    Hook(ItemName),
    Loss(ItemName, RunName),
}

/// The occasional looks of one policy; dropped, they end.
#[derive(Debug)]
pub(super) struct Asks {
    board: Arc<Board>,
    clock: Clock,
    busy: Arc<Mutex<BTreeSet<Ask>>>,
    tasks: JoinSet<()>,
}

impl Asks {
    pub(super) fn new(board: Arc<Board>, clock: Clock) -> Self {
        Self { board, clock, busy: Arc::default(), tasks: JoinSet::new() }
    }

    /// Starts what the journal calls for now.
    pub(super) fn start_due(&mut self, journal: &Journal, adapters: &Adapters) {
        while self.tasks.try_join_next().is_some() {}
        let Some(run) = &journal.run else { return };
        if run.phase.is_final() {
            self.ask_losses(run, adapters);
            return;
        }
        self.ask_losses(run, adapters);
        for step in run.steps.iter().filter(|s| s.state == StepState::Intended) {
            if let StepKey::Hook(name) = &step.key {
                self.ask_hook(run, step, name, journal, adapters);
            }
        }
    }

    fn begin(&self, ask: &Ask) -> bool {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(ask.clone())
    }

    fn ask_hook(&mut self, run: &Run, step: &Step, name: &ItemName, journal: &Journal, adapters: &Adapters) {
        let Some(hook) = adapters.hooks.get(name).filter(|h| h.has_status()) else { return };
        self.board.expect_hook(name, self.clock.now().tick);
        let Some(effect) = effect_of(step, journal) else { return };
        let ask = Ask::Hook(name.clone());
        if !self.begin(&ask) {
            return;
        }
        let deadline = effect.timeout.to_std();
        let ctx = OpCtx::new(effect, run.name.to_string(), Arc::new(OnlyLooks));
        let (hook, name) = (Arc::clone(hook), name.clone());
        let (board, clock, busy) = (Arc::clone(&self.board), self.clock.clone(), Arc::clone(&self.busy));
        self.tasks.spawn(async move {
            let (began, at) = (Instant::now(), clock.now().tick);
            let done = look_within(deadline, hook.status(&ctx, deadline)).await;
            let is_done = done.known() == Some(&true);
            board.publish_hook(&name, Fact::new(done, at));
            if !is_done {
                tokio::time::sleep_until(began + HOOK_EVERY).await;
            }
            busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&ask);
            board.wake();
        });
    }

    /// The loss is counted from the old log, and only before the old primary rejoins.
    fn ask_losses(&mut self, run: &Run, adapters: &Adapters) {
        if run.clock.promoted.is_none() || run.measured.rpo.r#final {
            return;
        }
        for item in &run.policy.data {
            let Some(data) = adapters.data.get(&item.name) else { continue };
            let ask = Ask::Loss(item.name.clone(), run.name.clone());
            if self.board.knows_loss(&item.name, &run.name) || !self.begin(&ask) {
                continue;
            }
            let (data, item, run) = (Arc::clone(data), item.name.clone(), run.clone());
            let (board, busy) = (Arc::clone(&self.board), Arc::clone(&self.busy));
            self.tasks.spawn(async move {
                let writer = board.heartbeat_writer(&item);
                let read = data.read_loss(&run.from, &run.to, &writer, LOSS_DEADLINE);
                match look_within(LOSS_DEADLINE, read).await {
                    Seen::Known(loss) => board.publish_loss(&item, &run.name, loss),
                    Seen::Unknown(why) => {
                        tracing::debug!(%item, run = %run.name, why, "old log not read yet");
                        tokio::time::sleep(LOSS_EVERY).await;
                    }
                }
                busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&ask);
            });
        }
    }
}

/// The recorded effect of a step, for a `status` verb that is asked about it.
fn effect_of(step: &Step, journal: &Journal) -> Option<Effect> {
    /// A `status` verb answers at once or not at all.
    const STATUS_DEADLINE: Millis = Millis(5_000);
    Some(Effect {
        owner: journal.state.owner.clone(),
        epoch: journal.state.epoch,
        term: journal.state.term,
        seq: step.seq?,
        attempt: step.attempts,
        action: step.action.clone()?,
        timeout: STATUS_DEADLINE,
    })
}

/// The guard of a context that is only looked with.
struct OnlyLooks;

impl SendGuard for OnlyLooks {
    fn may_send(&self) -> bool {
        true
    }
    fn sent(&self) {}
}

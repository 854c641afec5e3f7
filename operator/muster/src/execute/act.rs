//! Stage 5: recorded effects start, each as a task of its own with its deadline. How the call went is kept in
//! memory for the next passes; that it worked is for an observation to say, and is never written here.

use super::adapters::Adapters;
use super::board::Board;
use super::lease::LeaseView;
use super::points::{Call, Point, Points};
use super::record::Recorded;
use super::shell::Shell;
use futures::FutureExt;
use muster_core::decision::Decision;
use muster_core::effect::Effect;
use muster_core::facts::{ErrorClass, Fact, Outcome};
use muster_core::journal::Journal;
use muster_providers::{OpCtx, SendGuard};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// An adapter that keeps its own deadline says better what it waited for.
const GRACE: Duration = Duration::from_millis(500);

/// Starts the decision's effects. Nothing starts without the lease, and nothing twice at once.
pub(super) fn act(shell: &Shell, board: &Arc<Board>, adapters: &Adapters, recorded: &Recorded<Decision>) {
    let decision = recorded.value();
    for effect in &decision.effects {
        start(shell, board, adapters, effect, run_name(&decision.next, effect));
    }
}

/// The run that an effect belongs to, or its owner outside of runs.
fn run_name(journal: &Journal, effect: &Effect) -> String {
    journal
        .run
        .as_ref()
        .filter(|run| run.epoch == effect.epoch)
        .map_or_else(|| effect.owner.to_string(), |run| run.name.to_string())
}

fn start(shell: &Shell, board: &Arc<Board>, adapters: &Adapters, effect: &Effect, run: String) {
    let call = shell.points.name(effect.action.kind(), effect.action.to_string(), effect.attempt);
    shell.points.pause(&call);
    shell.points.reach(&call, Point::Before);
    if !board.begin_effect(effect.seq) {
        tracing::warn!(action = %effect.action, seq = %effect.seq, "effect is under way already; not started again");
        return;
    }
    tracing::info!(
        action = %effect.action, epoch = %effect.epoch, term = %effect.term, seq = %effect.seq,
        attempt = effect.attempt, run, "effect starts"
    );
    let guard = Guard {
        lease: Arc::clone(&shell.lease),
        points: Arc::clone(&shell.points),
        call: call.clone(),
        is_sent: AtomicBool::new(false),
    };
    let ctx = OpCtx::new(effect.clone(), run, Arc::new(guard));
    let (adapters, board, clock) = (adapters.clone(), Arc::clone(board), shell.clock.clone());
    let (lease, points) = (Arc::clone(&shell.lease), Arc::clone(&shell.points));
    shell.effects.spawn(async move {
        let outcome = if lease.may_send() {
            perform(&adapters, &ctx).await
        } else {
            Outcome::Failed(ErrorClass::Transient, "the lease was lost before the effect started".into())
        };
        points.reach(&call, Point::Answered);
        let seq = ctx.effect.seq;
        tracing::info!(action = %ctx.effect.action, %seq, outcome = ?outcome, "effect answered");
        board.end_effect(seq, Fact::new(outcome, clock.now().tick));
    });
}

async fn perform(adapters: &Adapters, ctx: &OpCtx) -> Outcome {
    let caught = AssertUnwindSafe(adapters.perform(ctx)).catch_unwind();
    let unknown = |why: &str| Outcome::Failed(ErrorClass::UnknownOutcome, why.to_owned());
    match tokio::time::timeout(ctx.remaining() + GRACE, caught).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => unknown("the adapter panicked"),
        Err(_) => unknown("no answer by the deadline"),
    }
}

/// Asked by the adapter right before a request leaves.
struct Guard {
    lease: Arc<LeaseView>,
    points: Arc<Points>,
    call: Call,
    is_sent: AtomicBool,
}

impl SendGuard for Guard {
    fn may_send(&self) -> bool {
        self.lease.may_send()
    }

    fn sent(&self) {
        if !self.is_sent.swap(true, Ordering::Relaxed) {
            self.points.reach(&self.call, Point::Sent);
        }
    }
}

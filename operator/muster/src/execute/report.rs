//! Stage 6: what happened, told after it was recorded: events, the newest state for people, frames for replay.

use super::record::{Inputs, Recorded};
use super::setup::Setup;
use super::shell::Shell;
use crate::api::{Frame, PassTimes};
use crate::store::Store;
use crate::store::archive::Kind;
use muster_core::decision::{Blocker, Decision};
use muster_core::health::Verdict;
use muster_core::ids::{PolicyName, RegionName, RunName};
use muster_core::journal::{Gate, Journal, Phase, Proof, Run};
use muster_core::rules::Rule;
use muster_core::time::Stamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Frames that may wait for the store.
const FRAMES_WAITING: usize = 256;

/// The newest pass of a policy, for status pages.
#[derive(Clone, Debug)]
pub struct Latest {
    /// When it was decided, or failed.
    pub at: Stamp,
    /// The version in force.
    pub acting: Arc<Setup>,
    /// The journal after it.
    pub journal: Option<Journal>,
    /// The rule and its message.
    pub rule: Option<(Rule, String)>,
    /// All that blocks.
    pub blocked: Vec<Blocker>,
    /// By region.
    pub verdicts: BTreeMap<RegionName, Verdict>,
    /// Why there was no decision, if there was none.
    pub problem: Option<String>,
    /// An edit or a removal that waits for the end of the active run.
    pub deferred: Option<String>,
}

/// Publishes a pass's events and hands its frame on. Trouble here is logged and changes nothing.
pub(super) async fn report(
    shell: &Shell,
    frames: &Frames,
    recorded: &Recorded<Decision>,
    inputs: Inputs,
    took: PassTimes,
) {
    let decision = recorded.value();
    let active = decision.next.active_run().or_else(|| inputs.journal.active_run());
    for event in &decision.events {
        shell.events.publish(&inputs.policy.name, active.map(|r| &r.name), event, inputs.now);
    }
    if !recorded.was_written() {
        return;
    }
    let (before, after) = (inputs.journal.run.as_ref(), decision.next.run.as_ref());
    keep_evidence(shell, &inputs.policy.name, before, decision);
    keep_figures(shell, &inputs.policy.name, before, after).await;
    if let Some(name) = active.map(|r| r.name.clone()) {
        let frame = Frame {
            at: inputs.now,
            policy: inputs.policy,
            journal: inputs.journal,
            observations: inputs.seen,
            decision: decision.clone(),
            took,
        };
        frames.hand_on(name, frame);
    }
}

/// Frames on their way to the store: in order, and no pass waits for them.
#[derive(Debug)]
pub(super) struct Frames {
    sender: mpsc::Sender<(RunName, Frame)>,
    writer: JoinHandle<()>,
}

impl Frames {
    pub(super) fn start(store: Arc<dyn Store>) -> Self {
        let (sender, mut waiting) = mpsc::channel::<(RunName, Frame)>(FRAMES_WAITING);
        let writer = tokio::spawn(async move {
            while let Some((run, frame)) = waiting.recv().await {
                let policy = &frame.policy.name;
                let kept = match serde_json::to_value(&frame) {
                    Ok(value) => store.append_frame(policy, &run, &value).await.map_err(|e| e.to_string()),
                    Err(error) => Err(error.to_string()),
                };
                if let Err(error) = kept {
                    tracing::warn!(%policy, %run, error, "failed to keep a frame for replay");
                }
            }
        });
        Self { sender, writer }
    }

    fn hand_on(&self, run: RunName, frame: Frame) {
        if let Err(error) = self.sender.try_send((run, frame)) {
            tracing::warn!(%error, "a frame for replay is lost");
        }
    }

    /// Writes what waits, at most for `within`.
    pub(super) async fn finish(self, within: Duration) {
        drop(self.sender);
        if tokio::time::timeout(within, self.writer).await.is_err() {
            tracing::warn!("frames for replay are lost: the store is slow");
        }
    }
}

/// What a run's decisions rest on, as it was recorded.
#[derive(Serialize)]
struct Evidence<'a> {
    rule: Rule,
    message: &'a str,
    phase: Phase,
    gates: &'a [Gate],
    proofs: &'a BTreeMap<RegionName, Proof>,
}

/// Keeps gates and proofs whenever they say something else, by policy and run. Figures in their texts move with every
/// look: while no step moves they are not kept, or a run that waits for a day would push all others out.
fn keep_evidence(shell: &Shell, policy: &PolicyName, before: Option<&Run>, decision: &Decision) {
    let (Some(archive), Some(run)) = (&shell.archive, decision.next.run.as_ref()) else { return };
    let before = before.filter(|before| before.name == run.name);
    let news = before.map_or(!run.gates.is_empty() || !run.proofs.is_empty(), |before| {
        let texts = before.gates != run.gates || before.proofs != run.proofs;
        let moved = before.steps.iter().map(|s| s.state).ne(run.steps.iter().map(|s| s.state));
        says(before) != says(run) || (texts && moved)
    });
    if news {
        let (rule, message) = (decision.rule, decision.message.as_str());
        let evidence = Evidence { rule, message, phase: run.phase, gates: &run.gates, proofs: &run.proofs };
        archive.append(Kind::Evidence, &format!("{policy}/{}", run.name), &evidence);
    }
}

/// Gates and proofs without their texts.
fn says(run: &Run) -> impl PartialEq + '_ {
    let gates: Vec<_> = run.gates.iter().map(|gate| (&gate.name, gate.ok, gate.waived)).collect();
    let proofs: Vec<_> = run.proofs.iter().map(|(region, proof)| (region, proof.class)).collect();
    (gates, proofs)
}

/// An ended run goes into the archive; one that had ended before and has new figures into the history too.
async fn keep_figures(shell: &Shell, policy: &PolicyName, before: Option<&Run>, after: Option<&Run>) {
    let Some(after) = after.filter(|run| run.phase.is_final() && before != Some(*run)) else { return };
    if let Some(archive) = &shell.archive {
        archive.append(Kind::Reports, policy.as_str(), after);
    }
    let had_ended = before.is_some_and(|run| run.name == after.name && run.phase.is_final());
    if had_ended && let Err(error) = shell.store.finish(policy, after).await {
        tracing::warn!(%policy, run = %after.name, %error, "failed to update the history");
    }
}

//! Stage 6: what happened, told after it was recorded: events, the newest state for people, frames for replay.

use super::load::active_run;
use super::record::{Inputs, Recorded};
use super::setup::Setup;
use super::shell::Shell;
use crate::api::Frame;
use crate::store::archive::Kind;
use muster_core::decision::{Blocker, Decision};
use muster_core::health::Verdict;
use muster_core::ids::{PolicyName, RegionName};
use muster_core::journal::{Journal, Run};
use muster_core::rules::Rule;
use muster_core::time::Stamp;
use std::collections::BTreeMap;
use std::sync::Arc;

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

/// Publishes a pass's events and keeps its frame. Trouble here is logged and changes nothing.
pub(super) async fn report(shell: &Shell, recorded: &Recorded<Decision>, inputs: Inputs) {
    let decision = recorded.value();
    let run = decision.next.run.as_ref();
    let active = active_run(&decision.next).or_else(|| active_run(&inputs.journal));
    for event in &decision.events {
        shell.events.publish(&inputs.policy.name, active.map(|r| &r.name), event, inputs.now);
    }
    if !recorded.was_written() {
        return;
    }
    keep_figures(shell, &inputs.policy.name, inputs.journal.run.as_ref(), run).await;
    if let Some(name) = active.map(|r| r.name.clone()) {
        let policy = inputs.policy.name.clone();
        let frame = Frame {
            at: inputs.now,
            policy: inputs.policy,
            journal: inputs.journal,
            observations: inputs.seen,
            decision: decision.clone(),
        };
        let kept = match serde_json::to_value(&frame) {
            Ok(value) => shell.store.append_frame(&policy, &name, &value).await.map_err(|e| e.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = kept {
            tracing::warn!(%policy, run = %name, error, "failed to keep a frame for replay");
        }
    }
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

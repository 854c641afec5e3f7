//! What a pass decided: the rule, the next journal, the effects to start, and every unmet condition.

use crate::effect::Effect;
use crate::health::Verdict;
use crate::ids::RegionName;
use crate::journal::{Gate, Journal, Predicted, Run};
use crate::rules::Rule;
use crate::time::{Millis, Tick};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The result of one pass.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Decision {
    /// The rule that fired; the number goes to status, event, log and metric.
    pub rule: Rule,
    /// What it did or waits for, with values, for people.
    pub message: String,
    /// The journal to record. Equal to the loaded one in a stable world: then nothing is written.
    pub next: Journal,
    /// To start, once `next` is recorded. Never more than one per run.
    pub effects: Vec<Effect>,
    /// When to look again at the latest, if nothing changes before.
    pub wake_at: Option<Tick>,
    /// Every condition that keeps the next step from happening.
    pub blocked: Vec<Blocker>,
    /// To publish after the record.
    pub events: Vec<Event>,
    /// Verdicts by region, for status and `explain`.
    pub verdicts: BTreeMap<RegionName, Verdict>,
}

/// An unmet condition: says what it saw and what it needs.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Blocker {
    /// `PascalCase`; the name of a gate or rule, and of a page in runbooks/.
    pub name: String,
    /// What was seen.
    pub saw: String,
    /// What is needed.
    pub needs: String,
}

/// Something that happened, for people. One reason per step.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Whether a person should look.
    pub warning: bool,
    /// `PascalCase`, bounded set.
    pub reason: String,
    /// With values.
    pub message: String,
}

/// What a run now would do, for `muster plan` and for an approver. Nothing was recorded.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PlanPreview {
    /// The run as it would be opened, or as it stands when one is active.
    pub run: Run,
    /// The gates as they are right now.
    pub gates: Vec<Gate>,
    /// By the policy's own numbers.
    pub predicted: Predicted,
    /// Upper bound of the loss if nothing more can be written from now on; `None`: unknown.
    pub estimated_loss: Option<Millis>,
    /// The old primary is not proven fenced: the loss grows while this is shown.
    pub loss_is_growing: bool,
    /// What an approval binds to.
    pub plan_hash: String,
}

/// One rule of the ladder as it stands, for `muster explain`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// The rule that fires now.
    pub rule: Rule,
    /// What it says.
    pub message: String,
    /// Verdicts by region.
    pub verdicts: BTreeMap<RegionName, Verdict>,
    /// Gates of the active run, or of the failover that a verdict would open.
    pub gates: Vec<Gate>,
    /// Every region that could take over, and why or why not.
    pub candidates: Vec<Candidate>,
    /// All that blocks.
    pub blocked: Vec<Blocker>,
}

/// A region as a target.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Candidate {
    /// The region.
    pub region: RegionName,
    /// Whether it could take over now.
    pub fit: bool,
    /// Why, or why not.
    pub saw: String,
}

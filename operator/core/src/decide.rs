//! The ladder: the first rule that fires decides.

use crate::decision::{Decision, Explanation, PlanPreview};
use crate::facts::Observations;
use crate::ids::RegionName;
use crate::journal::{Journal, RunKind};
use crate::policy::Policy;
use crate::rules::Rule;
use crate::time::Stamp;
use crate::wish::Refusal;
use std::collections::BTreeMap;

/// Decides one pass. Pure: equal arguments give an equal decision.
pub fn decide(policy: &Policy, journal: &Journal, seen: &Observations, now: Stamp) -> Decision {
    let _ = (policy, seen, now);
    Decision {
        rule: Rule::Stable,
        message: String::new(),
        next: journal.clone(),
        effects: Vec::new(),
        wake_at: None,
        blocked: Vec::new(),
        events: Vec::new(),
        verdicts: BTreeMap::new(),
    }
}

/// What a run of `kind` would do now, or what the active run is about to do.
pub fn preview(
    policy: &Policy,
    journal: &Journal,
    seen: &Observations,
    now: Stamp,
    kind: RunKind,
    to: Option<&RegionName>,
) -> Result<PlanPreview, Refusal> {
    let _ = (policy, journal, seen, now, kind, to);
    Err(Refusal::new("NotYet", "not built yet"))
}

/// Each gate and rule, why and why not.
pub fn explain(policy: &Policy, journal: &Journal, seen: &Observations, now: Stamp) -> Explanation {
    let decision = decide(policy, journal, seen, now);
    Explanation {
        rule: decision.rule,
        message: decision.message,
        verdicts: decision.verdicts,
        gates: Vec::new(),
        candidates: Vec::new(),
        blocked: decision.blocked,
    }
}

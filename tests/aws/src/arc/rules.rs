//! Safety rules: what must hold once a change is made, and how soon after one the next is taken.
//!
//! AWS does not document by which error a rule refuses, nor its words. Here it is a conflict that names the rule.

use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// How a rule counts the controls that it looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RuleKind {
    /// At least so many are on.
    AtLeast(usize),
    /// All are on.
    And,
    /// One at least is on.
    Or,
}

/// A rule that a person makes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SafetyRule {
    /// The panel's ARN.
    pub panel: String,
    /// Its name.
    pub name: String,
    /// The controls that it counts, by their ARNs.
    pub counted: Vec<String>,
    /// Of a gating rule: the controls that may change while it holds. Empty: an assertion rule, which must hold afterwards.
    pub targets: Vec<String>,
    /// How it counts.
    pub kind: RuleKind,
    /// It holds where it would not, and the other way round.
    pub is_inverted: bool,
    /// So long after a change the controls that it guards are not changed again.
    pub wait_period: Duration,
}

/// A rule that stands.
#[derive(Clone)]
pub(super) struct Standing {
    pub(super) arn: String,
    pub(super) rule: SafetyRule,
    changed: Option<Instant>,
}

impl Standing {
    pub(super) fn new(arn: String, rule: SafetyRule) -> Self {
        Self { arn, rule, changed: None }
    }

    /// Why a change is not taken, if it is not.
    pub(super) fn refuse(
        &self,
        before: &BTreeMap<String, bool>,
        after: &BTreeMap<String, bool>,
        now: Instant,
    ) -> Option<String> {
        if !self.is_touched(before, after) {
            return None;
        }
        let (arn, name) = (&self.arn, &self.rule.name);
        let waits = self.changed.is_some_and(|at| now.saturating_duration_since(at) < self.rule.wait_period);
        if waits {
            return Some(format!(
                "The routing control states can't be updated: safety rule '{name}' ({arn}) is in its wait period"
            ));
        }
        let judged = if self.rule.targets.is_empty() { after } else { before };
        (!self.holds(judged)).then(|| {
            format!(
                "The routing control states can't be updated: safety rule '{name}' ({arn}) evaluated to false"
            )
        })
    }

    /// A change was made.
    pub(super) fn note(
        &mut self,
        before: &BTreeMap<String, bool>,
        after: &BTreeMap<String, bool>,
        now: Instant,
    ) {
        if self.is_touched(before, after) {
            self.changed = Some(now);
        }
    }

    fn is_touched(&self, before: &BTreeMap<String, bool>, after: &BTreeMap<String, bool>) -> bool {
        let rule = &self.rule;
        let guarded = if rule.targets.is_empty() { &rule.counted } else { &rule.targets };
        guarded.iter().any(|arn| before.get(arn) != after.get(arn))
    }

    fn holds(&self, states: &BTreeMap<String, bool>) -> bool {
        let counted = &self.rule.counted;
        let on = counted.iter().filter(|arn| states.get(*arn) == Some(&true)).count();
        let holds = match self.rule.kind {
            RuleKind::AtLeast(threshold) => on >= threshold,
            RuleKind::And => on == counted.len(),
            RuleKind::Or => on > 0,
        };
        holds != self.rule.is_inverted
    }
}

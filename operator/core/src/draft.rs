//! A decision while it is being made.

use crate::decision::{Blocker, Decision, Event};
use crate::effect::{Action, Effect};
use crate::ids::Seq;
use crate::journal::{Condition, Journal, Phase, Run, Step, StepState};
use crate::policy::Policy;
use crate::rules::Rule;
use crate::sight::Sight;
use crate::time::{Millis, Tick};

/// Deadline of a short call to a target.
pub(crate) const SHORT_CALL: Millis = Millis(5_000);

/// Deadline of a read and a call at a control plane that nobody waits for.
const CONTROL_PLANE_CALL: Millis = Millis(20_000);

/// The journal to be, and what goes with it.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) sight: Sight<'a>,
    pub(crate) next: Journal,
    pub(crate) effects: Vec<Effect>,
    pub(crate) events: Vec<Event>,
    pub(crate) blocked: Vec<Blocker>,
    pub(crate) wake_at: Option<Tick>,
    fired: Option<(Rule, String)>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(sight: Sight<'a>) -> Self {
        Self {
            sight,
            next: sight.journal.clone(),
            effects: Vec::new(),
            events: Vec::new(),
            blocked: Vec::new(),
            wake_at: None,
            fired: None,
        }
    }

    /// The rule that explains this pass; the first one stays.
    pub(crate) fn fire(&mut self, rule: Rule, message: impl Into<String>) {
        self.fired.get_or_insert((rule, message.into()));
    }

    pub(crate) fn has_fired(&self) -> bool {
        self.fired.is_some()
    }

    pub(crate) fn block(&mut self, name: &str, saw: impl Into<String>, needs: impl Into<String>) {
        self.blocked.push(Blocker { name: name.to_owned(), saw: saw.into(), needs: needs.into() });
    }

    pub(crate) fn event(&mut self, warning: bool, reason: &str, message: impl Into<String>) {
        self.events.push(Event { warning, reason: reason.to_owned(), message: message.into() });
    }

    pub(crate) fn wake_in(&mut self, wait: Millis) {
        let at = self.sight.now.tick.plus(wait);
        self.wake_at = Some(self.wake_at.map_or(at, |old| old.min(at)));
    }

    /// Sets a condition; its time moves only when it changes.
    pub(crate) fn condition(&mut self, kind: &str, ok: bool, reason: &str, message: impl Into<String>) {
        let message = message.into();
        let same =
            self.next.state.conditions.get(kind).is_some_and(|c| {
                (c.ok, c.reason.as_str(), c.message.as_str()) == (ok, reason, message.as_str())
            });
        if !same {
            let condition = Condition { ok, reason: reason.to_owned(), message, since: self.sight.now };
            self.next.state.conditions.insert(kind.to_owned(), condition);
        }
    }

    /// The active run of the draft. Callers are past the check that there is one.
    pub(crate) fn run(&mut self) -> &mut Run {
        self.next.run.as_mut().expect("a rule for an active run fires only with one")
    }

    pub(crate) fn phase(&mut self, phase: Phase, message: impl Into<String>) {
        let now = self.sight.now;
        let run = self.run();
        if run.phase != phase {
            run.phase = phase;
            run.phase_since = now;
        }
        run.message = message.into();
    }

    /// Records a new effect in `step` and hands it out. The caller puts the step back into the journal.
    pub(crate) fn intend(&mut self, step: &mut Step, action: Action) {
        let now = self.sight.now;
        self.next.state.seq = Seq(self.next.state.seq.0 + 1);
        step.seq = Some(self.next.state.seq);
        step.state = if is_undo(&action) { StepState::Undoing } else { StepState::Intended };
        step.attempts = 1;
        step.started.get_or_insert(now);
        step.issued = Some(now);
        if matches!(action, Action::Fence { .. } | Action::StopReceiving { .. })
            && !step.tried.contains(&action)
        {
            step.tried.push(action.clone());
        }
        self.event(false, action.kind(), action.to_string());
        step.action = Some(action);
        self.hand_out(step);
    }

    /// Records another attempt of the same effect.
    pub(crate) fn repeat(&mut self, step: &mut Step) {
        step.attempts += 1;
        step.issued = Some(self.sight.now);
        self.hand_out(step);
    }

    fn hand_out(&mut self, step: &Step) {
        let (Some(action), Some(seq)) = (step.action.clone(), step.seq) else { return };
        let state = &self.next.state;
        self.effects.push(Effect {
            owner: state.owner.clone(),
            epoch: state.epoch,
            term: state.term,
            seq,
            attempt: step.attempts,
            timeout: timeout_of(&action, self.policy()),
            action,
        });
        self.wake_in(Millis(100));
    }

    /// The policy that rules now: the one pinned by the active run, else the present one.
    pub(crate) fn policy(&self) -> &'a Policy {
        self.sight.policy
    }

    pub(crate) fn into_decision(self, default: Rule) -> Decision {
        let sight = self.sight;
        let (rule, message) = self.fired.unwrap_or_else(|| (default, default.summary().to_owned()));
        let verdicts = sight.policy.regions.iter().map(|r| (r.clone(), sight.verdict(r))).collect();
        Decision {
            rule,
            message,
            next: self.next,
            effects: self.effects,
            wake_at: self.wake_at,
            blocked: self.blocked,
            events: self.events,
            verdicts,
        }
    }
}

const fn is_undo(action: &Action) -> bool {
    matches!(action, Action::Unfence { .. } | Action::ResumeReceiving { .. })
}

/// How long one attempt may take.
pub(crate) fn timeout_of(action: &Action, policy: &Policy) -> Millis {
    let way = |name: &crate::ids::ItemName| policy.fences.iter().find(|w| w.name == *name).map(|w| w.timeout);
    let found = match action {
        Action::Fence { way: name, .. } | Action::Unfence { way: name, .. } => way(name),
        Action::Promote { item, .. } | Action::Detach { item, .. } | Action::SwitchOver { item, .. } => {
            policy.data.iter().find(|d| d.name == *item).map(|d| d.promote_deadline)
        }
        Action::KeepOldData { .. } => Some(CONTROL_PLANE_CALL),
        Action::Rejoin { item, .. } => policy.data.iter().find(|d| d.name == *item).map(|d| d.rejoin_timeout),
        Action::Flip { item, .. } | Action::Settle { item, .. } => {
            policy.traffic.iter().find(|t| t.name == *item).map(|t| t.deadline)
        }
        Action::Hook { name, .. } => policy.hooks.iter().find(|h| h.name == *name).map(|h| h.timeout),
        Action::OpenWriter { .. }
        | Action::StopReceiving { .. }
        | Action::ResumeReceiving { .. }
        | Action::Scale { .. }
        | Action::Restore { .. } => None,
    };
    found.unwrap_or(SHORT_CALL)
}

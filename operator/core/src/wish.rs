//! What people ask for. A wish changes the journal under the same version that every record compares.

use crate::ids::{Owner, RunName};
use crate::journal::{Approval, Journal, Run, RunRequest};
use crate::plan::plan_hash;
use crate::run;
use crate::time::Stamp;
use serde::{Deserialize, Serialize};

/// A person's request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Wish {
    /// Start a run.
    Run(RunRequest),
    /// Consent to the active run's plan.
    Approve {
        /// The active run's name, so that consent never reaches another run.
        run: RunName,
        /// What was agreed to.
        approval: Approval,
    },
    /// Abort the active run; cannot be taken back, refused past the point of no return.
    Abort {
        /// The active run's name.
        run: RunName,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// Acknowledge what made automation stand still (end of a run, a witness above the journal, a split brain).
    Ack {
        /// Who.
        by: String,
    },
    /// Take over targets that another policy's UID has marked.
    Adopt {
        /// Whose marks.
        owner: Owner,
        /// Who.
        by: String,
    },
    /// No new effect until resumed.
    Pause {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// Undo a pause.
    Resume {
        /// Who.
        by: String,
    },
}

/// Why a wish was not taken in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// `PascalCase`.
    pub reason: String,
    /// For people, with what to do instead.
    pub message: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: reason.to_owned(), message: message.into() }
    }
}

/// Most wishes for runs that may wait at once.
const MAX_REQUESTS: usize = 8;

/// Takes a wish into the journal, or says why not.
pub fn take_in(journal: &Journal, wish: &Wish, now: Stamp) -> Result<Journal, Refusal> {
    let mut next = journal.clone();
    match wish {
        Wish::Run(request) => add_request(&mut next, request)?,
        Wish::Approve { run, approval } => {
            let active = active_run(&mut next, run)?;
            if approval.plan_hash != plan_hash(active) {
                return Err(Refusal::new(
                    "PlanChanged",
                    "the plan is not the one that was shown; look at it again with `muster plan` and approve that",
                ));
            }
            active.approval = Some(approval.clone());
            active.clock.approved = Some(now);
        }
        Wish::Abort { run, by, reason } => {
            let active = active_run(&mut next, run)?;
            if run::past_pivot(active) && !active.could_still_stay() {
                return Err(Refusal::new(
                    "PastPointOfNoReturn",
                    "the promotion is recorded: the run only goes forward; switch over afterwards instead",
                ));
            }
            active.abort.get_or_insert(format!("{by}: {reason}"));
        }
        Wish::Ack { .. } => acknowledge(&mut next, now),
        Wish::Adopt { owner, .. } => {
            next.state.adopted_from.insert(owner.clone());
        }
        Wish::Pause { by, reason } => next.state.paused = Some(format!("{by}: {reason}")),
        Wish::Resume { .. } => next.state.paused = None,
    }
    Ok(next)
}

fn add_request(journal: &mut Journal, request: &RunRequest) -> Result<(), Refusal> {
    if let Some(active) = &journal.state.active_run {
        return Err(Refusal::new(
            "RunActive",
            format!("{} is active; only one run acts at a time", active.name),
        ));
    }
    if journal.requests.iter().any(|r| r.name == request.name) {
        return Ok(());
    }
    if journal.requests.len() >= MAX_REQUESTS {
        return Err(Refusal::new("TooManyRequests", format!("{MAX_REQUESTS} requests wait already")));
    }
    journal.requests.push(request.clone());
    Ok(())
}

fn active_run<'a>(journal: &'a mut Journal, name: &RunName) -> Result<&'a mut Run, Refusal> {
    match journal.run.as_mut().filter(|r| !r.phase.is_final()) {
        Some(run) if run.name == *name => Ok(run),
        Some(run) => Err(Refusal::new("OtherRun", format!("{name} is not active, {} is", run.name))),
        None => Err(Refusal::new("NoActiveRun", "no run is active")),
    }
}

fn acknowledge(journal: &mut Journal, now: Stamp) {
    journal.state.needs_ack = None;
    journal.state.relearn = journal.state.conditions.get("SplitBrain").is_some_and(|c| !c.ok);
    if !journal.state.relearn {
        // None of them is seen to take writes now; while one is, it says nothing of what that one does later.
        journal.state.other_writers.clear();
    }
    for outcast in journal.state.outcasts.values_mut() {
        outcast.rejoin_attempts = 0;
    }
    let Some(witness) = journal.state.behind.take() else { return };
    // The journal catches up with its targets' numbers, and looks anew at who takes writes. It takes the next term:
    // targets that show later marks of the term that was acknowledged are the same matter.
    run::end_behind(journal, now);
    let state = &mut journal.state;
    let (epoch, term) = (state.epoch, state.term).max((witness.epoch, witness.term));
    (state.epoch, state.term) = (epoch, term.next());
    state.seq = state.seq.max(witness.seq);
    state.active_region = None;
    state.may_be_writable.clear();
    state.outcasts.clear();
    state.work = None;
    state.giving_back = None;
    state.settling.clear();
}

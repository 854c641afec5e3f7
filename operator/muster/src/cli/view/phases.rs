//! The phases of a run: which steps belong to which, what each took, what was predicted.
//!
//! Phase names are those of the core's prediction. A moment that was never reached leaves its phase without a
//! figure; one that came earlier than the phase's begin makes it zero.

use muster_core::journal::{Predicted, Run, RunClock, StepKey};
use muster_core::policy::{HookPoint, Policy};
use muster_core::time::{Millis, Stamp};

/// A phase with its two figures.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Phase {
    /// As the prediction names it; `approval` is a person's time and has no prediction.
    pub name: String,
    /// From the run's clock.
    pub measured: Option<Millis>,
    /// From the policy's numbers.
    pub predicted: Option<Millis>,
}

/// The phase that a step belongs to.
pub fn of_step(key: &StepKey, policy: &Policy) -> &'static str {
    match key {
        StepKey::RaiseWitness(_) | StepKey::FenceOld(_) => "fence",
        StepKey::CatchUp(_) | StepKey::HandOver(_) | StepKey::PromoteData(_) | StepKey::OpenWriter(_) => {
            "promotion"
        }
        StepKey::Hook(name) => match policy.hooks.iter().find(|h| h.name == *name).map(|h| h.at) {
            Some(HookPoint::BeforeFence) => "fence",
            Some(HookPoint::AfterPromote) | None => "hooks",
            Some(HookPoint::AfterTraffic) => "verification",
        },
        StepKey::ScaleCompute(_) | StepKey::AwaitCompute(_) => "compute",
        StepKey::FlipTraffic(_) => "traffic",
        StepKey::Verify => "verification",
    }
}

/// Every phase that was predicted or measured, in order.
pub fn compare(run: &Run) -> Vec<Phase> {
    let measured = measure(&run.clock);
    let mut names: Vec<&str> = run.predicted.phases.iter().map(|(name, _)| name.as_str()).collect();
    for (index, (name, took)) in measured.iter().enumerate() {
        if took.is_some() && !names.contains(name) {
            names.insert(index.min(names.len()), name);
        }
    }
    names
        .into_iter()
        .map(|name| Phase {
            name: name.to_owned(),
            measured: measured.iter().find(|(n, _)| *n == name).and_then(|(_, took)| *took),
            predicted: predicted(&run.predicted, name),
        })
        .collect()
}

/// What the policy's numbers say of one phase.
pub fn predicted(predicted: &Predicted, name: &str) -> Option<Millis> {
    predicted.phases.iter().find(|(n, _)| n == name).map(|(_, long)| *long)
}

fn measure(clock: &RunClock) -> Vec<(&'static str, Option<Millis>)> {
    let ends = [
        ("detection", clock.detected),
        ("decision", clock.decided),
        ("approval", clock.approved),
        ("fence", clock.fenced),
        ("promotion", clock.promoted),
        ("compute", clock.scaled),
        ("traffic", clock.authoritative),
        ("verification", clock.first_success),
    ];
    let mut begin: Option<Stamp> = clock.first_failure;
    ends.into_iter()
        .map(|(name, end)| {
            let took = begin.zip(end).map(|(begin, end)| end.since_or_wall(&begin));
            // A moment before the present begin (a fence that held already) does not move it back.
            begin = match (begin, end) {
                (Some(b), Some(e)) if e.since_or_wall(&b) == Millis(0) => Some(b),
                (_, Some(e)) => Some(e),
                (b, None) => b,
            };
            (name, took)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn phases_add_up_to_the_recovery_time() {
        let run = sample::finished_run();
        let sum: u64 = compare(&run).iter().filter_map(|p| p.measured).map(|m| m.0).sum();
        assert_eq!(Some(Millis(sum)), run.measured.rto);
    }

    #[test]
    fn a_phase_that_was_not_reached_has_no_figure() {
        let mut run = sample::finished_run();
        run.clock.promoted = None;
        let promotion = compare(&run).into_iter().find(|p| p.name == "promotion").unwrap();
        assert_eq!(promotion.measured, None);
        assert!(promotion.predicted.is_some());
    }
}

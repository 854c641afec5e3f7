//! Frames for replay, in this process only. Bounded in runs, frames and bytes; the oldest go first.

use muster_core::ids::{PolicyName, RunName};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Runs with frames, by policy.
const RUNS: usize = 3;
/// Of all policies together, as text.
const BYTES: usize = 64 << 20;

#[derive(Debug, Default)]
struct OfRun {
    run: String,
    frames: VecDeque<(usize, Value)>,
}

#[derive(Debug, Default)]
struct Kept {
    policies: BTreeMap<PolicyName, VecDeque<OfRun>>,
    bytes: usize,
}

/// All frames of this process.
#[derive(Debug)]
pub(super) struct Frames {
    kept: Mutex<Kept>,
    per_run: usize,
}

impl Frames {
    pub(super) fn new(per_run: usize) -> Self {
        Self { kept: Mutex::default(), per_run: per_run.max(1) }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn knows(&self, policy: &PolicyName) -> bool {
        self.lock().policies.contains_key(policy)
    }

    pub(super) fn append(&self, policy: &PolicyName, run: &RunName, frame: Value) {
        let bytes = frame.to_string().len();
        let mut kept = self.lock();
        let Kept { policies, bytes: total } = &mut *kept;
        if *total + bytes > BYTES {
            policies.clear();
            *total = 0;
        }
        let runs = policies.entry(policy.clone()).or_default();
        let index = runs.iter().position(|of| of.run == run.as_str()).unwrap_or_else(|| {
            runs.push_back(OfRun { run: run.to_string(), frames: VecDeque::new() });
            runs.len() - 1
        });
        if let Some(of) = runs.get_mut(index) {
            of.frames.push_back((bytes, frame));
            *total += bytes;
            while of.frames.len() > self.per_run {
                *total -= of.frames.pop_front().map_or(0, |(bytes, _)| bytes);
            }
        }
        while runs.len() > RUNS {
            let gone = runs.pop_front().map(|of| of.frames.iter().map(|(bytes, _)| bytes).sum::<usize>());
            *total -= gone.unwrap_or(0);
        }
    }

    /// Oldest first.
    pub(super) fn of(&self, policy: &PolicyName, run: &RunName) -> Vec<Value> {
        let kept = self.lock();
        let of_run = kept.policies.get(policy).and_then(|runs| runs.iter().find(|of| of.run == run.as_str()));
        of_run.map(|of| of.frames.iter().map(|(_, frame)| frame.clone()).collect()).unwrap_or_default()
    }
}

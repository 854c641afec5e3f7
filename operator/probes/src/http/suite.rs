//! Several requests in order, with values carried on and a clean-up that also runs after a failure.

use super::exchange::Connections;
use super::fetch::fetch;
use super::judge::judge;
use super::plan::{HttpPlan, Place};
use crate::error::{Mistakes, SpecError};
use crate::finding::Finding;
use crate::net::Lookup;
use crate::run::RunCx;
use crate::spec::{RegionVars, StepSpec};
use crate::template::Saved;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Steps of one suite.
const MAX_STEPS: usize = 64;

#[derive(Debug)]
struct Step {
    name: String,
    plan: Arc<HttpPlan>,
    always: bool,
}

/// A compiled suite, and how far its present run has come.
pub(crate) struct Suite {
    steps: Vec<Step>,
    connections: Connections,
    saved: Saved,
    next: usize,
    /// Saved names that go into headers.
    tokens: BTreeSet<String>,
}

impl Suite {
    /// Compiles; mistakes are collected, and `None` given, if there are any.
    pub(crate) fn compile(
        steps: &[StepSpec],
        field: &str,
        region: &RegionVars,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        if steps.is_empty() || steps.len() > MAX_STEPS {
            let problem = format!("has {} steps; it needs 1 to {MAX_STEPS}", steps.len());
            mistakes.add(SpecError::new(&format!("{field}.suite"), problem));
            return None;
        }
        let mut known: Vec<&str> = Vec::new();
        let mut compiled = Vec::with_capacity(steps.len());
        for (n, step) in steps.iter().enumerate() {
            let place = Place { field: &format!("{field}.suite[{n}]"), region: Some(region), saved: &known };
            let save: Vec<(&str, &str)> = step.save.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            compiled.push(HttpPlan::compile(&step.http, &save, &place, mistakes).map(|plan| Step {
                name: step.name.clone(),
                plan: Arc::new(plan),
                always: step.always,
            }));
            known.extend(step.save.keys().map(String::as_str));
        }
        let steps: Vec<Step> = compiled.into_iter().collect::<Option<_>>()?;
        let tokens = steps.iter().flat_map(|s| s.plan.saved_in_headers()).map(str::to_owned).collect();
        let next = steps.len();
        Some(Self { steps, connections: Connections::default(), saved: Saved::new(), next, tokens })
    }

    /// Runs from the first step to the last or to the first failure. Dropped in between (a timeout), it leaves
    /// what [`Suite::clean_up`] needs.
    pub(crate) async fn run(&mut self, cx: &RunCx<'_>) -> Result<(), Finding> {
        self.saved.clear();
        self.next = 0;
        while self.next < self.steps.len() {
            let result = self.step(self.next, cx).await;
            self.next += 1;
            result?;
        }
        Ok(())
    }

    async fn step(&mut self, n: usize, cx: &RunCx<'_>) -> Result<(), Finding> {
        let step = &self.steps[n];
        let within = |finding: Finding| finding.within(&format!("step {}", step.name));
        let request = step.plan.prepare(&self.saved).map_err(|why| within(Finding::wrong(why)))?;
        let lookup = if step.plan.fresh { Lookup::Fresh } else { Lookup::Recent };
        let answer = fetch(&step.plan, request, lookup, &mut self.connections, cx).await.map_err(within)?;
        let verdict = judge(&step.plan, answer, cx.clock.now().wall).await;
        self.saved.extend(verdict.saved);
        verdict.result.map_err(within)
    }

    /// Names the step that was under way.
    pub(crate) fn timed_out(&self, finding: Finding) -> Finding {
        match self.steps.get(self.next) {
            Some(step) => finding.within(&format!("step {}", step.name)),
            None => finding,
        }
    }

    /// Whether a failure or a timeout left clean-up steps undone.
    pub(crate) fn needs_clean_up(&self) -> bool {
        self.steps.iter().skip(self.next).any(|step| step.always)
    }

    /// Runs the clean-up steps that are left, at most for `limit`, and says what did not work. A step whose saved
    /// values are missing has nothing to clean up.
    pub(crate) async fn clean_up(&mut self, cx: &RunCx<'_>, limit: Duration) -> Vec<String> {
        let until = Instant::now() + limit;
        let mut notes = Vec::new();
        while self.next < self.steps.len() {
            let n = self.next;
            self.next += 1;
            if !self.steps[n].always || self.steps[n].plan.prepare(&self.saved).is_err() {
                continue;
            }
            match timeout_at(until, self.step(n, cx)).await {
                Ok(Ok(())) => {}
                Ok(Err(finding)) => notes.push(finding.detail),
                Err(_) => notes.push(format!("step {}: no answer within {limit:?}", self.steps[n].name)),
            }
        }
        notes
    }

    /// Closes kept connections.
    pub(crate) fn rest(&mut self) {
        self.connections.clear();
    }

    /// Never to be shown.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let given = self.steps.iter().flat_map(|step| step.plan.secrets.iter().cloned());
        let tokens = self.tokens.iter().filter_map(|name| self.saved.get(name).cloned());
        given.chain(tokens).collect()
    }
}

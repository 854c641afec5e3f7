//! `muster plan` and the page that an approver sees: the steps with predicted times, the gates, the loss.

use super::super::paint::Tone;
use super::super::table::{Cell, Table, paragraph};
use super::super::words;
use super::{Look, gates, gates_legend, phases, stops};
use muster_core::decision::PlanPreview;
use muster_core::ids::ItemName;
use muster_core::journal::{Gate, Phase, Run, Step, StepKey, StepState};
use muster_core::policy::{Policy, ProofClass, ScaleTo};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The plan with its gates and the loss.
pub fn render(plan: &PlanPreview, look: &Look) -> String {
    let run = &plan.run;
    let begun = has_begun(run);
    let state = if begun { format!("run {}", run.name) } else { "nothing was started".to_owned() };
    let title = format!("{:?} of {}: {} to {}", run.kind, run.policy.name, run.from, run.to);
    let mut out = format!("{} ({state})\n", look.paint.strong(&title));
    let _ = write!(out, "{}{}", look.title("Steps"), steps(plan, begun, look));
    let _ = write!(out, "{}{}", look.title("Gates"), look.table(&gates(&plan.gates)));
    if let Some(legend) = gates_legend(&plan.gates) {
        let _ = writeln!(out, "  {}", look.paint.dim(legend));
    }
    let _ = write!(out, "{}{}", look.title("Loss of writes"), loss(plan, look));
    let _ = writeln!(out, "\nplan {}", look.paint.strong(&plan.plan_hash));
    out
}

/// Whether this is a run under way and not only a preview.
pub fn has_begun(run: &Run) -> bool {
    run.phase != Phase::Pending || run.steps.iter().any(|s| s.state != StepState::Pending)
}

/// The gates that keep the plan from going on, by name.
pub fn unmet(gates: &[Gate]) -> Vec<&Gate> {
    gates.iter().filter(|g| stops(g)).collect()
}

/// What the loss is, and whether it grows.
fn loss(plan: &PlanPreview, look: &Look) -> String {
    let from = &plan.run.from;
    if plan.run.kind.is_planned() {
        let none =
            format!("none: {} is promoted only once it has all that was written in {from}", plan.run.to);
        return paragraph("  ", &none, look.width);
    }
    let known = match plan.estimated_loss {
        Some(loss) => format!("at most {loss} of writes, if {from} takes no more from now on"),
        None => match plan.gates.iter().find(|gate| gate.name == "EstimatedLoss") {
            Some(gate) => format!("not known right now; at the newest look: {}", gate.saw),
            None => format!("not known: no heartbeat says how far {} is behind {from}", plan.run.to),
        },
    };
    let mut out = paragraph("  ", &known, look.width);
    if plan.loss_is_growing {
        let grows =
            format!("GROWING: {from} is not proven fenced, so writes there may still be acknowledged");
        out.push_str(&look.paint.tone(Tone::Bad, paragraph("  ", &grows, look.width).trim_end()));
        out.push('\n');
    }
    out
}

fn steps(plan: &PlanPreview, begun: bool, look: &Look) -> String {
    let run = &plan.run;
    let mut rows =
        Rows { table: Table::new(&["#", "STEP", "EXPECTED", "WHAT"]).indent(2), shown: BTreeSet::new() };
    for phase in ["detection", "decision"] {
        if let Some(long) = phases::predicted(&plan.predicted, phase) {
            rows.shown.insert(phase);
            rows.push("", phase, long.to_string(), Tone::Dim, phase_words(phase));
        }
    }
    let mut pivot_shown = false;
    for (index, step) in run.steps.iter().enumerate() {
        if matches!(step.key, StepKey::HandOver(_) | StepKey::PromoteData(_)) && !pivot_shown {
            pivot_shown = true;
            rows.push(
                "",
                "--",
                String::new(),
                Tone::Warn,
                "point of no return: from here only forward".to_owned(),
            );
        }
        let phase = phases::of_step(&step.key, &run.policy);
        let expected = phases::predicted(&plan.predicted, phase).filter(|_| rows.shown.insert(phase));
        let expected = expected.map(|e| e.to_string()).unwrap_or_default();
        let what = if begun { with_state(step, &run.policy) } else { step_words(&step.key, &run.policy) };
        rows.push(&(index + 1).to_string(), &step.key.to_string(), expected, Tone::Plain, what);
    }
    let objective = run.policy.objectives.rto.map_or_else(String::new, |o| format!("objective {o}"));
    rows.push("", "RTO", plan.predicted.rto.to_string(), Tone::Strong, objective);
    look.table(&rows.table)
}

struct Rows {
    table: Table,
    /// Phases whose time was shown: at their first step.
    shown: BTreeSet<&'static str>,
}

impl Rows {
    fn push(&mut self, number: &str, step: &str, expected: String, tone: Tone, what: String) {
        self.table.row([
            Cell::from(number),
            Cell::new(tone, step),
            Cell::new(tone, expected),
            Cell::new(if tone == Tone::Strong { Tone::Plain } else { tone }, what),
        ]);
    }
}

fn phase_words(phase: &str) -> String {
    match phase {
        "detection" => "from the first failed probe to the verdict".to_owned(),
        _ => "gates, and the record of the run".to_owned(),
    }
}

fn with_state(step: &Step, policy: &Policy) -> String {
    let (state, _) = words::step_state(step.state);
    let saw = if step.saw.is_empty() { step_words(&step.key, policy) } else { step.saw.clone() };
    format!("{state}: {saw}")
}

/// What a step does, from the policy.
fn step_words(key: &StepKey, policy: &Policy) -> String {
    match key {
        StepKey::RaiseWitness(_) => "mark the writer with this run's number, while it is writable".to_owned(),
        StepKey::Hook(name) => hook_words(name, policy),
        StepKey::FenceOld(_) => fence_words(policy),
        StepKey::CatchUp(_) => "wait until the target has everything that was written".to_owned(),
        StepKey::HandOver(name) => {
            let item = policy.data.iter().find(|d| d.name == *name);
            item.map_or_else(String::new, |d| {
                format!("by {} itself, which keeps one writer; within {}", d.engine, d.promote_deadline)
            })
        }
        StepKey::PromoteData(name) => {
            let item = policy.data.iter().find(|d| d.name == *name);
            item.map_or_else(String::new, |d| format!("{}, within {}", d.engine, d.promote_deadline))
        }
        StepKey::OpenWriter(_) => {
            "first write on the new primary; undo what a fence replicated to it".to_owned()
        }
        StepKey::ScaleCompute(name) => scale_words(name, policy),
        StepKey::AwaitCompute(name) => {
            let item = policy.compute.iter().find(|c| c.name == *name);
            item.map_or_else(String::new, |c| {
                format!("ready in the target; traffic waits at most {}", c.ready_timeout)
            })
        }
        StepKey::FlipTraffic(name) => {
            let item = policy.traffic.iter().find(|t| t.name == *name);
            item.map_or_else(String::new, |t| {
                format!("{}; resolvers may keep the old answer for {}", t.engine, t.ttl)
            })
        }
        StepKey::Verify => policy.public_probe.as_ref().map_or_else(
            || "no publicProbe: nothing to verify".to_owned(),
            |p| format!("{} successes in a row through the public name", p.successes),
        ),
    }
}

fn scale_words(name: &ItemName, policy: &Policy) -> String {
    let item = policy.compute.iter().find(|c| c.name == *name);
    item.map_or_else(String::new, |c| match c.to {
        ScaleTo::Replicas(replicas) => format!("{replicas} replicas in the target"),
        ScaleTo::PercentOfPeak { percent, at_least } => {
            format!("{percent} % of the day's peak in the target, at least {at_least}")
        }
    })
}

fn hook_words(name: &ItemName, policy: &Policy) -> String {
    let hook = policy.hooks.iter().find(|h| h.name == *name);
    hook.map_or_else(String::new, |h| {
        let failure = if h.required { "a failure stops the run" } else { "a failure is reported and passed" };
        format!(
            "within {}, {}; {failure}",
            h.timeout,
            words::count(h.attempts as usize, "attempt", "attempts")
        )
    })
}

fn fence_words(policy: &Policy) -> String {
    if policy.fences.is_empty() {
        return "the policy names no fence: only a waiver lets the plan go on".to_owned();
    }
    let ways: Vec<String> = policy
        .fences
        .iter()
        .map(|way| {
            let opted = if policy.accepts(way.proof) || way.proof == ProofClass::Closed {
                ""
            } else {
                ", not accepted"
            };
            format!("{} ({:?}{opted})", way.name, way.proof)
        })
        .collect();
    ways.join(", then ")
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use muster_core::journal::RunKind;

    #[test]
    fn a_plan_shows_steps_times_gates_and_a_growing_loss() {
        let text = render(&sample::plan(), &sample::look());
        assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
        insta::assert_snapshot!(text, @r#"
        Failover of shop/checkout: east to west (nothing was started)

        Steps
          #  STEP                 EXPECTED  WHAT
             detection            3.0 s     from the first failed probe to the verdict
             decision             200 ms    gates, and the record of the run
          1  RaiseWitness orders  400 ms    mark the writer with this run's number,
                                            while it is writable
          2  FenceOld east                  deny-logins (Closed), then power (Attested)
             --                             point of no return: from here only forward
          3  PromoteData orders   1.2 s     postgres, within 30.0 s
          4  OpenWriter orders              first write on the new primary; undo what a
                                            fence replicated to it
          5  FlipTraffic shop     2.2 s     rfc2136; resolvers may keep the old answer
                                            for 2.0 s
          6  Verify               1.0 s     3 successes in a row through the public name
             RTO                  8.0 s     objective 30.0 s

        Gates
          GATE                      SAW
          JournalWritable   holds   written
          PrimaryUnhealthy  warns   east is healthy; needs: a quorum sees it fail
          EstimatedLoss     blocks  west is 42.0 s behind; needs: at most 30.0 s
          blocks: a person may waive it (--waive GATE).

        Loss of writes
          at most 42.0 s of writes, if east takes no more from now on
          GROWING: east is not proven fenced, so writes there may still be acknowledged

        plan 3f9c0a1b2c3d4e5f
        "#);
    }

    #[test]
    fn a_loss_without_a_heartbeat_is_said_to_be_unknown() {
        let mut plan = sample::plan();
        plan.estimated_loss = None;
        plan.gates.clear();
        assert!(loss(&plan, &sample::look()).contains("not known"));
    }

    #[test]
    fn a_planned_run_promises_to_lose_nothing() {
        let mut plan = sample::plan();
        plan.run.kind = RunKind::Switchover;
        assert!(loss(&plan, &sample::look()).starts_with("  none: west is promoted only once"));
    }

    #[test]
    fn only_gates_that_stop_are_unmet() {
        let names: Vec<String> = unmet(&sample::plan().gates).iter().map(|g| g.name.clone()).collect();
        assert_eq!(names, ["EstimatedLoss"]);
    }
}

//! A run as it happens: the lines that one look adds to the one before. Nothing is ever redrawn.

use super::super::paint::{Paint, clean};
use super::super::words;
use muster_core::journal::{Phase, Run, Step, StepState};
use muster_core::time::Stamp;

/// What changed between two looks at a run, a line each; `before` is `None` at the first look.
pub fn lines(before: Option<&Run>, now: &Run, paint: Paint) -> Vec<String> {
    let mut out = Vec::new();
    if before.is_none() {
        out.push(format!("{} {:?} of {}: {} to {}", now.name, now.kind, now.policy.name, now.from, now.to));
    }
    let began = now.clock.detected.unwrap_or(now.phase_since);
    let clock = |at: &Stamp| format!("{:>10}", words::offset(&began, at));
    for (index, step) in now.steps.iter().enumerate() {
        let old = before.and_then(|b| b.steps.get(index));
        if old.map(|s| (s.state, s.attempts)) != Some((step.state, step.attempts)) {
            if step.state != StepState::Pending {
                let at = step.ended.or(step.issued).map_or_else(String::new, |at| clock(&at));
                out.push(step_line(step, &at, paint));
            }
        } else if step.state == StepState::Intended && old.is_some_and(|s| s.saw != step.saw) {
            // How far its engine is; when it said so is in its words.
            out.push(format!("{:>10}  {}", "", paint.dim(&clean(&step.saw))));
        }
    }
    let phase_changed = before.is_none_or(|b| b.phase != now.phase || waits(now) && b.message != now.message);
    if phase_changed {
        let (phase, tone) = words::phase(now.phase);
        // While it acts, the line of its step says the same.
        let message = if waits(now) || now.phase.is_final() { clean(&now.message) } else { String::new() };
        let line = format!("{}  {}  {message}", clock(&now.phase_since), paint.tone(tone, phase));
        out.push(line.trim_end().to_owned());
        out.extend(advice(now).map(|text| format!("{:>10}  {}", "", paint.dim(&text))));
    }
    out
}

const fn waits(run: &Run) -> bool {
    matches!(run.phase, Phase::Blocked | Phase::AwaitingApproval)
}

fn step_line(step: &Step, clock: &str, paint: Paint) -> String {
    let (state, tone) = words::step_state(step.state);
    let again = if step.attempts > 1 { format!(" (attempt {})", step.attempts) } else { String::new() };
    let saw = match (&step.action, step.state) {
        (Some(action), StepState::Intended) if step.saw.is_empty() => action.to_string(),
        (Some(action), StepState::Intended) => format!("{action}: {}", clean(&step.saw)),
        _ => clean(&step.saw),
    };
    let name = step.key.to_string();
    format!("{clock:>10}  {name:<24} {}{again}  {saw}", paint.tone(tone, &format!("{state:<9}")))
        .trim_end()
        .to_owned()
}

/// What a person can do while the run waits.
fn advice(run: &Run) -> Option<String> {
    let policy = &run.policy.name;
    match run.phase {
        Phase::AwaitingApproval if run.past_pivot() => {
            Some(format!("muster approve {policy} shows what it would go on without, and asks"))
        }
        Phase::AwaitingApproval => {
            Some(format!("muster approve {policy} shows the plan and asks; muster abort {policy} ends it"))
        }
        Phase::Blocked => {
            Some(format!("muster explain {policy} says what it needs; muster abort {policy} ends it"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn each_change_of_a_step_or_phase_is_one_line() {
        let done = sample::finished_run();
        let mut under_way = done.clone();
        under_way.phase = Phase::Executing;
        under_way.message.clear();
        for step in &mut under_way.steps[3..] {
            *step = Step::new(step.key.clone());
        }
        under_way.steps[2].state = StepState::Intended;
        let first = lines(None, &under_way, Paint::PLAIN);
        let second = lines(Some(&under_way), &done, Paint::PLAIN);
        insta::assert_snapshot!([first, second].map(|l| l.join("\n")).join("\n--\n"), @r#"
        checkout-12 Failover of shop/checkout: east to west
                    RaiseWitness orders      skipped    east does not answer
           +0.40 s  FenceOld east            done       power says off for host-east
           +1.60 s  PromoteData orders       under way  writable on timeline 2
           +5.20 s  Executing
        --
           +1.60 s  PromoteData orders       done       writable on timeline 2
           +1.70 s  OpenWriter orders        done       witness 12.1.4
           +1.90 s  FlipTraffic shop         done       2 of 2 servers point at west
           +5.20 s  Verify                   done       3 successes in a row
           +5.20 s  Completed  west serves; 1 of 1 data items promoted
        "#);
    }

    #[test]
    fn what_an_engine_tells_of_a_step_under_way_is_a_line_below_it() {
        let mut before = sample::finished_run();
        (before.steps[2].state, before.steps[2].saw) = (StepState::Intended, String::new());
        let mut now = before.clone();
        now.steps[2].saw = "a switchover is under way\u{1b}[2J".to_owned();
        let told = lines(Some(&before), &now, Paint::PLAIN);
        assert_eq!(told.iter().map(|line| line.trim()).collect::<Vec<_>>(), [clean(&now.steps[2].saw)]);
        assert!(lines(Some(&now), &now, Paint::PLAIN).is_empty());
    }

    #[test]
    fn nothing_new_is_no_line() {
        let run = sample::finished_run();
        assert!(lines(Some(&run), &run, Paint::PLAIN).is_empty());
    }

    #[test]
    fn a_run_that_waits_for_a_person_says_how_to_answer() {
        let mut run = sample::finished_run();
        run.phase = Phase::AwaitingApproval;
        let text = |run: &Run| lines(None, run, Paint::PLAIN).join("\n");
        run.clock.pivot = None;
        assert!(text(&run).contains("muster abort shop/checkout ends it"), "{}", text(&run));
        run.clock.pivot = Some(run.phase_since);
        assert!(text(&run).contains("muster approve shop/checkout"), "{}", text(&run));
        assert!(!text(&run).contains("muster abort"), "nothing ends it behind the point of no return");
    }
}

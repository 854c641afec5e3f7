//! `muster replay`: one recorded decision at a time, made again from the same inputs.

use super::super::paint::Tone;
use super::super::table::{Cell, Table, paragraph};
use super::super::words;
use super::{Look, blockers};
use crate::api::Frame;
use muster_core::decide::decide;
use muster_core::decision::Decision;
use muster_core::journal::{Journal, Step};
use serde::Serialize;
use std::fmt::Write;

/// A recorded decision and what this version decides from the same inputs.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replayed {
    /// From 1.
    pub frame: usize,
    /// What was recorded.
    pub recorded: Decision,
    /// What this version decides.
    pub decided: Decision,
    /// Where both differ: path, recorded value, decided value. Empty: equal.
    pub differences: Vec<Difference>,
}

/// One value that differs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// Place in the decision, such as `next.run.phase`.
    pub path: String,
    /// Recorded.
    pub recorded: String,
    /// Decided now.
    pub decided: String,
}

/// Decides again.
pub fn replay(index: usize, frame: &Frame) -> Replayed {
    let decided = decide(&frame.policy, &frame.journal, &frame.observations, frame.at);
    let differences =
        if decided == frame.decision { Vec::new() } else { differences(&frame.decision, &decided) };
    Replayed { frame: index + 1, recorded: frame.decision.clone(), decided, differences }
}

fn differences(recorded: &Decision, decided: &Decision) -> Vec<Difference> {
    let mut found = Vec::new();
    match (serde_json::to_value(recorded), serde_json::to_value(decided)) {
        (Ok(recorded), Ok(decided)) => compare("", &recorded, &decided, &mut found),
        (Err(e), _) | (_, Err(e)) => found.push(difference("", &"recorded", &format!("not comparable: {e}"))),
    }
    if found.is_empty() {
        found.push(difference("", &"recorded", &"differs in a way that JSON does not show"));
    }
    found
}

fn difference(path: &str, recorded: &dyn std::fmt::Display, decided: &dyn std::fmt::Display) -> Difference {
    Difference { path: path.to_owned(), recorded: recorded.to_string(), decided: decided.to_string() }
}

fn compare(path: &str, a: &serde_json::Value, b: &serde_json::Value, found: &mut Vec<Difference>) {
    use serde_json::Value::{Array, Null, Object};
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match (a, b) {
        (Object(x), Object(y)) => {
            for key in x.keys().chain(y.keys().filter(|k| !x.contains_key(*k))) {
                compare(&below(key), x.get(key).unwrap_or(&Null), y.get(key).unwrap_or(&Null), found);
            }
        }
        (Array(x), Array(y)) if x.len() == y.len() => {
            for (index, (x, y)) in x.iter().zip(y).enumerate() {
                compare(&below(&index.to_string()), x, y, found);
            }
        }
        _ if a != b => found.push(difference(path, a, b)),
        _ => {}
    }
}

/// One frame: when, rule, message, what it changed, what it started, what blocked.
pub fn render(frame: &Frame, replayed: &Replayed, of: usize, look: &Look) -> String {
    let decision = &replayed.decided;
    let title = format!("{} of {of}", replayed.frame);
    let mut out = format!(
        "{}  {}  {}\n",
        look.paint.strong(&title),
        words::time_of_day(&frame.at, &look.zone),
        look.paint.strong(&decision.rule.to_string())
    );
    if !decision.message.is_empty() {
        out.push_str(&paragraph("  ", &decision.message, look.width));
    }
    for line in changes(&frame.journal, &decision.next) {
        out.push_str(&paragraph("  ~ ", &line, look.width));
    }
    for effect in &decision.effects {
        let line = format!(
            "{} (epoch {}, term {}, seq {}, attempt {}, within {})",
            effect.action, effect.epoch, effect.term, effect.seq, effect.attempt, effect.timeout
        );
        out.push_str(&paragraph("  > ", &line, look.width));
    }
    if !decision.blocked.is_empty() {
        out.push_str(&look.table(&blockers(&decision.blocked)));
    }
    if !replayed.differences.is_empty() {
        let _ = write!(out, "{}", difference_table(&replayed.differences, look));
    }
    out
}

/// At most so many values are shown: the first ones tell the cause.
const SHOWN_DIFFERENCES: usize = 10;

fn difference_table(differences: &[Difference], look: &Look) -> String {
    let mut table = Table::new(&["DIFFERS", "RECORDED, THEN DECIDED NOW"]).indent(2);
    for d in differences.iter().take(SHOWN_DIFFERENCES) {
        let values = format!("{}, now {}", short(&d.recorded), short(&d.decided));
        table.row([Cell::new(Tone::Bad, &d.path), Cell::from(values)]);
    }
    let more = differences.len().saturating_sub(SHOWN_DIFFERENCES);
    let more = if more > 0 { format!("  and {more} more (-o json shows all)\n") } else { String::new() };
    format!("{}{more}", look.table(&table))
}

fn short(text: &str) -> String {
    const LONGEST: usize = 120;
    if text.chars().count() <= LONGEST {
        text.to_owned()
    } else {
        text.chars().take(LONGEST).collect::<String>() + "..."
    }
}

/// What a decision changed in the journal, in words.
fn changes(before: &Journal, after: &Journal) -> Vec<String> {
    let mut out = Vec::new();
    let (old, new) = (&before.state, &after.state);
    if old.active_region != new.active_region {
        let name = |r: &Option<muster_core::ids::RegionName>| {
            r.as_ref().map_or("none".to_owned(), ToString::to_string)
        };
        out.push(format!("active region {} -> {}", name(&old.active_region), name(&new.active_region)));
    }
    if (old.epoch, old.term) != (new.epoch, new.term) {
        out.push(format!("epoch {}.{} -> {}.{}", old.epoch, old.term, new.epoch, new.term));
    }
    if old.may_be_writable != new.may_be_writable {
        out.push(format!("may be writable {:?} -> {:?}", old.may_be_writable, new.may_be_writable));
    }
    if old.needs_ack != new.needs_ack {
        out.push(format!("needs ack: {}", new.needs_ack.as_deref().unwrap_or("no more")));
    }
    for (name, condition) in &new.conditions {
        if old.conditions.get(name).is_none_or(|c| (c.ok, &c.reason) != (condition.ok, &condition.reason)) {
            out.push(format!(
                "condition {name}={}: {} ({})",
                condition.ok, condition.reason, condition.message
            ));
        }
    }
    out.extend(run_changes(before, after));
    out
}

fn run_changes(before: &Journal, after: &Journal) -> Vec<String> {
    let Some(run) = &after.run else { return Vec::new() };
    let old = before.run.as_ref().filter(|old| old.name == run.name);
    let mut out = Vec::new();
    if old.is_none() {
        out.push(format!("opens {} {:?} {} to {}", run.name, run.kind, run.from, run.to));
    }
    if old.is_some_and(|old| old.phase != run.phase) {
        out.push(format!(
            "phase {:?} -> {:?}: {}",
            old.map_or(run.phase, |o| o.phase),
            run.phase,
            run.message
        ));
    }
    for step in &run.steps {
        let was = old.and_then(|o| o.steps.iter().find(|s| s.key == step.key));
        if let Some(line) = step_change(was, step) {
            out.push(line);
        }
    }
    if old.is_some_and(|old| !old.past_pivot()) && run.past_pivot() {
        out.push("POINT OF NO RETURN".to_owned());
    }
    if let Some(outcome) = run.outcome.as_ref().filter(|_| old.is_none_or(|o| o.outcome.is_none())) {
        out.push(format!("ends: {outcome:?}"));
    }
    out
}

fn step_change(was: Option<&Step>, step: &Step) -> Option<String> {
    let old = was.map(|s| (s.state, s.attempts));
    let fresh = was.is_none() && step.state == muster_core::journal::StepState::Pending;
    if fresh || old == Some((step.state, step.attempts)) {
        return None;
    }
    let from = was.map_or("new", |s| words::step_state(s.state).0);
    let saw = if step.saw.is_empty() { String::new() } else { format!(" ({})", step.saw) };
    Some(format!("{}: {from} -> {}{saw}", step.key, words::step_state(step.state).0))
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn an_equal_decision_has_no_difference() {
        let frame = sample::frame();
        assert_eq!(replay(0, &frame).differences, []);
    }

    #[test]
    fn a_changed_record_is_named_by_its_place_and_both_values() {
        let mut frame = sample::frame();
        frame.decision.message = "tampered".to_owned();
        let replayed = replay(0, &frame);
        assert_eq!(replayed.differences.len(), 1);
        assert_eq!(replayed.differences[0].path, "message");
        assert_eq!(replayed.differences[0].recorded, "\"tampered\"");
        let text = render(&frame, &replayed, 7, &sample::look());
        assert!(text.contains("DIFFERS"), "{text}");
        assert!(text.starts_with("1 of 7  "), "{text}");
    }

    #[test]
    fn a_decision_reads_as_what_it_changed_and_what_it_started() {
        let (frame, replayed) = sample::promoting();
        insta::assert_snapshot!(render(&frame, &replayed, 9, &sample::look()), @r#"
        4 of 9  08:53:29.000  R230 StepRecorded
          east is proven fenced (Attested); promotes orders in west
          ~ may be writable {} -> {west}
          ~ PromoteData orders: pending -> under way
          ~ POINT OF NO RETURN
          > promote orders in west (epoch 12, term 1, seq 3, attempt 1, within 30.0 s)
        "#);
    }
}

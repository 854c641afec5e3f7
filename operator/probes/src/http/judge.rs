//! Expectations on an answer.

use super::exchange::{Answer, MAX_BODY};
use super::plan::{HttpPlan, Wants};
use crate::expr::{Expr, Held, Vars, from_json, show};
use crate::finding::Finding;
use crate::template::Saved;
use cel::objects::{Key, Map, Value};
use muster_core::health::Symptom;
use muster_core::time::Wall;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Larger bodies are judged on a thread of their own, so that no other probe waits for it.
const MAX_INLINE: usize = 64 * 1024;

/// A failed expectation, and what must not be shown of the answer.
pub(crate) struct Verdict {
    /// Values that the step saves; on failure those that could be had.
    pub(crate) saved: Saved,
    pub(crate) result: Result<(), Finding>,
}

/// Judges `answer`; `now` is for the certificate's remaining time.
pub(crate) async fn judge(plan: &Arc<HttpPlan>, answer: Answer, now: Wall) -> Verdict {
    if answer.body.len() <= MAX_INLINE || !(plan.wants.body || plan.wants.text) {
        return judge_now(plan, &answer, now);
    }
    let plan = Arc::clone(plan);
    let judged = tokio::task::spawn_blocking(move || judge_now(&plan, &answer, now)).await;
    judged.unwrap_or_else(|_| Verdict {
        saved: Saved::new(),
        result: Err(Finding::own_setup("judging the answer was broken off")),
    })
}

fn judge_now(plan: &HttpPlan, answer: &Answer, now: Wall) -> Verdict {
    let mut vars = match vars_of(plan.wants, answer, now) {
        Ok(vars) => vars,
        Err(finding) => {
            let result = Err(slow_down(answer).unwrap_or(finding));
            return Verdict { saved: Saved::new(), result };
        }
    };
    let result = expectations(plan, answer, &mut vars);
    let (saved, saving) = save(plan, &mut vars);
    Verdict { saved, result: result.and(saving) }
}

fn expectations(plan: &HttpPlan, answer: &Answer, vars: &mut Vars) -> Result<(), Finding> {
    if !plan.expect.iter().any(|expr| expr.uses("status")) {
        if let Some(finding) = slow_down(answer) {
            return Err(finding);
        }
        if !(200..300).contains(&answer.status) {
            return Err(Finding::wrong(format!("status {}", answer.status)));
        }
    }
    plan.expect
        .iter()
        .try_for_each(|expr| check(expr, vars))
        .map_err(|finding| slow_down(answer).unwrap_or(finding))
}

/// 429 says nothing about the target's health, unless the policy expects it.
fn slow_down(answer: &Answer) -> Option<Finding> {
    (answer.status == 429)
        .then(|| Finding::new(Symptom::NothingSaid, "status 429: the target asks to slow down"))
}

/// One expectation, of any kind of probe.
pub(crate) fn check(expr: &Expr, vars: &mut Vars) -> Result<(), Finding> {
    let source = expr.source();
    match expr.holds(vars) {
        Held::Yes => Ok(()),
        Held::No(seen) if seen.is_empty() => {
            Err(Finding::new(Symptom::ExpectationFalse, format!("`{source}` is false")))
        }
        Held::No(seen) => {
            Err(Finding::new(Symptom::ExpectationFalse, format!("`{source}` is false: {seen}")))
        }
        Held::Broken(why) => {
            Err(Finding::new(Symptom::ExpectationFalse, format!("`{source}` does not hold: {why}")))
        }
    }
}

fn save(plan: &HttpPlan, vars: &mut Vars) -> (Saved, Result<(), Finding>) {
    let mut saved = Saved::new();
    let mut result = Ok(());
    for (name, expr) in &plan.save {
        match expr.get(vars).and_then(|value| text_of(&value)) {
            Ok(text) => drop(saved.insert(name.clone(), text)),
            Err(why) if result.is_ok() => {
                result = Err(Finding::wrong(format!("{name} cannot be saved: `{}`: {why}", expr.source())));
            }
            Err(_) => {}
        }
    }
    (saved, result)
}

fn text_of(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.to_string()),
        Value::Int(_) | Value::UInt(_) | Value::Float(_) | Value::Bool(_) => Ok(show(value)),
        _ => Err("it is neither a text nor a number".to_owned()),
    }
}

/// A duration as expressions see it.
pub(crate) fn duration(d: Duration) -> Value {
    Value::Duration(chrono::Duration::from_std(d).unwrap_or(chrono::Duration::MAX))
}

fn vars_of(wants: Wants, answer: &Answer, now: Wall) -> Result<Vars, Finding> {
    let mut vars = Vars::new();
    vars.set("status", i64::from(answer.status));
    vars.set("latency", duration(answer.latency));
    if wants.headers {
        vars.set("headers", headers_of(answer));
    }
    if let (true, Some(until)) = (wants.cert, answer.cert_until) {
        let left = until.saturating_mul(1000).saturating_sub(now.0);
        let left = chrono::Duration::try_milliseconds(left).unwrap_or(chrono::Duration::MAX);
        vars.set("cert", map([("expiresIn".to_owned(), Value::Duration(left))]));
    }
    if (wants.body || wants.text) && answer.cut {
        return Err(Finding::wrong(format!("the body is larger than {MAX_BODY} bytes")));
    }
    if wants.text {
        vars.set("text", String::from_utf8_lossy(&answer.body).as_ref());
    }
    if wants.body {
        vars.set("body", body_of(answer)?);
    }
    Ok(vars)
}

fn body_of(answer: &Answer) -> Result<Value, Finding> {
    if answer.body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&answer.body).map(from_json).map_err(|e| {
        let start: String = String::from_utf8_lossy(&answer.body).chars().take(40).collect();
        Finding::wrong(format!("status {}, and the body is no JSON: {e}; it begins {start:?}", answer.status))
    })
}

fn headers_of(answer: &Answer) -> Value {
    let mut all: HashMap<Key, Value> = HashMap::with_capacity(answer.headers.len());
    for name in answer.headers.keys() {
        let values = answer.headers.get_all(name).iter();
        let values: Vec<_> = values.map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned()).collect();
        all.insert(Key::from(name.as_str()), Value::from(values.join(", ")));
    }
    Value::Map(Map { map: Arc::new(all) })
}

fn map<const N: usize>(entries: [(String, Value); N]) -> Value {
    let all: HashMap<Key, Value> = entries.into_iter().map(|(key, value)| (Key::from(key), value)).collect();
    Value::Map(Map { map: Arc::new(all) })
}

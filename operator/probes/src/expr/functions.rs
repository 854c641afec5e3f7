//! The functions that expressions may call: the interpreter's own, a `matches` that compiles a pattern once, and
//! two that [`super::rewrite`] puts in.

use super::Kind;
use super::rewrite::{EQUAL, WITHIN};
use cel::common::ast::{CallExpr, Expr as Node, IdedExpr, LiteralValue};
use cel::extractors::This;
use cel::objects::Value;
use cel::{Context, ExecutionError, FunctionContext};
use regex::{Regex, RegexBuilder};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use std::time::Instant;

/// Compiled patterns kept; more than any sane policy has. Beyond it a pattern is compiled at each use.
const MAX_PATTERNS: usize = 256;
/// Compiled size of one pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 256 * 1024;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);
static PATTERNS: LazyLock<RwLock<HashMap<String, Regex>>> = LazyLock::new(RwLock::default);
static ROOT: LazyLock<Context<'static>> = LazyLock::new(|| {
    let mut context = Context::default();
    context.add_function("matches", matches);
    context.add_function(EQUAL, |left: Value, right: Value| left == right);
    context.add_function(WITHIN, within);
    context
});

/// All functions, no variables.
pub(super) fn root() -> &'static Context<'static> {
    &ROOT
}

/// Nanoseconds between the first evaluation of this process and `at`.
pub(super) fn since_start(at: Instant) -> i64 {
    i64::try_from(at.saturating_duration_since(*START).as_nanos()).unwrap_or(i64::MAX)
}

fn within(ftx: &FunctionContext<'_, '_>, deadline: i64) -> Result<bool, ExecutionError> {
    if since_start(Instant::now()) <= deadline {
        return Ok(true);
    }
    Err(ExecutionError::function_error(ftx.name, "took too long on this answer"))
}

// The interpreter hands over owned arguments.
#[allow(clippy::needless_pass_by_value)]
fn matches(
    ftx: &FunctionContext<'_, '_>,
    This(text): This<Arc<String>>,
    pattern: Arc<String>,
) -> Result<bool, ExecutionError> {
    let known = PATTERNS.read().unwrap_or_else(PoisonError::into_inner).get(pattern.as_str()).cloned();
    let regex = match known {
        Some(regex) => regex,
        None => compile_pattern(&pattern).map_err(|problem| ftx.error(problem))?,
    };
    Ok(regex.is_match(&text))
}

fn compile_pattern(pattern: &str) -> Result<Regex, String> {
    let regex = RegexBuilder::new(pattern)
        .size_limit(MAX_PATTERN_BYTES)
        .build()
        .map_err(|error| format!("is no regular expression: {}", error.to_string().replace('\n', " ")))?;
    let mut kept = PATTERNS.write().unwrap_or_else(PoisonError::into_inner);
    if kept.len() < MAX_PATTERNS {
        kept.insert(pattern.to_owned(), regex.clone());
    }
    Ok(regex)
}

/// Name, arguments with the target among them (fewest, most), what comes out, what must go in first.
type Signature = (&'static str, usize, usize, Kind, &'static [Kind]);

const SIGNATURES: &[Signature] = &[
    (
        "size",
        1,
        1,
        Kind::Number,
        &[Kind::Text, Kind::Bytes, Kind::List, Kind::Texts, Kind::Map, Kind::TextMap],
    ),
    (
        "contains",
        2,
        2,
        Kind::Bool,
        &[Kind::Text, Kind::Bytes, Kind::List, Kind::Texts, Kind::Map, Kind::TextMap],
    ),
    ("startsWith", 2, 2, Kind::Bool, &[Kind::Text]),
    ("endsWith", 2, 2, Kind::Bool, &[Kind::Text]),
    ("matches", 2, 2, Kind::Bool, &[Kind::Text]),
    ("string", 1, 1, Kind::Text, &[Kind::Text, Kind::Number, Kind::Bytes, Kind::Duration, Kind::Time]),
    ("int", 1, 1, Kind::Number, &[Kind::Text, Kind::Number]),
    ("uint", 1, 1, Kind::Number, &[Kind::Text, Kind::Number]),
    ("double", 1, 1, Kind::Number, &[Kind::Text, Kind::Number]),
    ("bytes", 1, 1, Kind::Bytes, &[Kind::Text]),
    ("duration", 1, 1, Kind::Duration, &[Kind::Text]),
    ("timestamp", 1, 1, Kind::Time, &[Kind::Text]),
    ("max", 1, 16, Kind::Any, &[]),
    ("min", 1, 16, Kind::Any, &[]),
    ("getFullYear", 1, 1, Kind::Number, &[Kind::Time]),
    ("getMonth", 1, 1, Kind::Number, &[Kind::Time]),
    ("getDayOfYear", 1, 1, Kind::Number, &[Kind::Time]),
    ("getDayOfMonth", 1, 1, Kind::Number, &[Kind::Time]),
    ("getDate", 1, 1, Kind::Number, &[Kind::Time]),
    ("getDayOfWeek", 1, 1, Kind::Number, &[Kind::Time]),
    ("getHours", 1, 1, Kind::Number, &[Kind::Time, Kind::Duration]),
    ("getMinutes", 1, 1, Kind::Number, &[Kind::Time, Kind::Duration]),
    ("getSeconds", 1, 1, Kind::Number, &[Kind::Time, Kind::Duration]),
    ("getMilliseconds", 1, 1, Kind::Number, &[Kind::Time, Kind::Duration]),
    ("value", 1, 1, Kind::Any, &[]),
    ("hasValue", 1, 1, Kind::Bool, &[]),
    ("or", 2, 2, Kind::Any, &[]),
    ("orValue", 2, 2, Kind::Any, &[]),
];

/// What a call gives, or why it can never work.
pub(super) fn check_call(call: &CallExpr, kinds: &[Kind]) -> Result<Kind, String> {
    let name = call.func_name.as_str();
    let Some((_, fewest, most, gives, takes)) = SIGNATURES.iter().find(|(known, ..)| *known == name) else {
        return Err(format!("there is no function {name}"));
    };
    if kinds.len() < *fewest || kinds.len() > *most {
        let own = usize::from(call.target.is_some());
        return Err(format!(
            "{name} takes {} arguments here, not {}",
            fewest.saturating_sub(own),
            call.args.len()
        ));
    }
    if let Some(first) = kinds.first().filter(|k| **k != Kind::Any && !takes.is_empty() && !takes.contains(k))
    {
        return Err(format!("{name} does not work on {first}"));
    }
    check_literal(name, call)?;
    Ok(*gives)
}

/// A duration, a time or a pattern that stands in the source is read now, not at each run.
fn check_literal(name: &str, call: &CallExpr) -> Result<(), String> {
    match (name, call.args.last().and_then(text_of)) {
        ("matches", Some(pattern)) => compile_pattern(pattern).map(drop),
        ("duration" | "timestamp", Some(text)) => {
            let node = IdedExpr { id: 0, expr: Node::Call(call.clone()) };
            Value::resolve(&node, root()).map(drop).map_err(|_| format!("'{text}' is no {name}"))
        }
        _ => Ok(()),
    }
}

fn text_of(node: &IdedExpr) -> Option<&str> {
    match &node.expr {
        Node::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

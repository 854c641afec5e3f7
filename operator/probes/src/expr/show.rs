//! Values and the parts of an expression as people read them, always short.

use super::rewrite::EQUAL;
use cel::Context;
use cel::common::ast::{CallExpr, Expr as Node, IdedExpr, LiteralValue, operators};
use cel::objects::{Key, Value};
use std::fmt::Write;

/// Longest text of one value, in characters.
const MAX_SHOWN: usize = 80;
/// Values shown of one expression.
const MAX_VALUES: usize = 3;

/// A value, cut short.
pub(crate) fn show(value: &Value) -> String {
    let mut text = String::new();
    write_value(&mut text, value);
    if text.chars().count() > MAX_SHOWN {
        text = text.chars().take(MAX_SHOWN - 1).chain(['…']).collect();
    }
    text
}

fn write_value(out: &mut String, value: &Value) {
    // Each branch stops soon after the limit: an answer may be large.
    if out.len() > 4 * MAX_SHOWN {
        return;
    }
    let _ = match value {
        Value::String(text) => {
            let start: String = text.chars().take(MAX_SHOWN + 1).collect();
            write!(out, "{start:?}")
        }
        Value::Int(n) => write!(out, "{n}"),
        Value::UInt(n) => write!(out, "{n}"),
        Value::Float(n) => write!(out, "{n}"),
        Value::Bool(b) => write!(out, "{b}"),
        Value::Null => write!(out, "null"),
        Value::Bytes(bytes) => write!(out, "{} bytes", bytes.len()),
        Value::Duration(duration) => match duration.to_std() {
            Ok(positive) => write!(out, "{positive:.1?}"),
            Err(_) => write!(out, "-{:.1?}", duration.abs().to_std().unwrap_or_default()),
        },
        Value::Timestamp(time) => write!(out, "{time:?}"),
        Value::List(list) => {
            out.push('[');
            for (n, element) in list.iter().enumerate().take(MAX_SHOWN) {
                out.push_str(if n == 0 { "" } else { ", " });
                write_value(out, element);
            }
            write!(out, "]")
        }
        Value::Map(map) => {
            let mut keys: Vec<&Key> = map.map.keys().take(MAX_SHOWN).collect();
            keys.sort();
            out.push('{');
            for (n, key) in keys.into_iter().enumerate() {
                out.push_str(if n == 0 { "" } else { ", " });
                let _ = write!(out, "{key}: ");
                map.map.get(key).into_iter().for_each(|value| write_value(out, value));
            }
            write!(out, "}}")
        }
        Value::Function(..) | Value::Opaque(_) => write!(out, "a value"),
    };
}

/// The values that made an expression false: `body.state = "lost"`.
pub(super) fn explain(tree: &IdedExpr, context: &Context<'_>) -> String {
    let mut parts = Vec::new();
    collect(tree, context, &mut parts);
    parts.dedup();
    parts.truncate(MAX_VALUES);
    parts.join(", ")
}

fn collect(node: &IdedExpr, context: &Context<'_>, parts: &mut Vec<String>) {
    if parts.len() >= MAX_VALUES || node.references().variables().is_empty() {
        return;
    }
    let Node::Call(call) = &node.expr else {
        match &node.expr {
            Node::Comprehension(macro_) => collect(&macro_.iter_range, context, parts),
            _ => push(node, context, parts),
        }
        return;
    };
    match call.func_name.as_str() {
        operators::LOGICAL_AND => {
            let failing = call.args.iter().find(|arg| !is_true(arg, context));
            if let Some(failing) = failing {
                collect(failing, context, parts);
            }
        }
        operators::LOGICAL_OR
        | operators::LOGICAL_NOT
        | operators::LESS
        | operators::LESS_EQUALS
        | operators::GREATER
        | operators::GREATER_EQUALS
        | operators::IN
        | EQUAL => call.args.iter().for_each(|arg| collect(arg, context, parts)),
        "contains" | "startsWith" | "endsWith" | "matches" => {
            call.target.iter().for_each(|target| collect(target, context, parts));
            call.args.iter().for_each(|arg| collect(arg, context, parts));
        }
        _ => push(node, context, parts),
    }
}

fn is_true(node: &IdedExpr, context: &Context<'_>) -> bool {
    matches!(Value::resolve(node, context), Ok(Value::Bool(true)))
}

fn push(node: &IdedExpr, context: &Context<'_>, parts: &mut Vec<String>) {
    if let Ok(value) = Value::resolve(node, context) {
        parts.push(format!("{} = {}", source_of(node), show(&value)));
    }
}

/// Close to what was written; a macro is only hinted at.
fn source_of(node: &IdedExpr) -> String {
    match &node.expr {
        Node::Ident(name) => name.clone(),
        Node::Literal(literal) => source_of_literal(literal),
        Node::Select(select) => format!("has({}.{})", source_of(&select.operand), select.field),
        Node::Call(call) => source_of_call(call),
        _ => "...".to_owned(),
    }
}

fn source_of_literal(literal: &LiteralValue) -> String {
    match literal {
        LiteralValue::String(text) => format!("'{}'", text.inner()),
        LiteralValue::Int(n) => n.inner().to_string(),
        LiteralValue::UInt(n) => n.inner().to_string(),
        LiteralValue::Double(n) => n.inner().to_string(),
        LiteralValue::Boolean(b) => b.inner().to_string(),
        LiteralValue::Null => "null".to_owned(),
        LiteralValue::Bytes(_) => "b'...'".to_owned(),
    }
}

fn source_of_call(call: &CallExpr) -> String {
    let args: Vec<String> = call.args.iter().map(source_of).collect();
    let (name, target) = (call.func_name.as_str(), call.target.as_deref().map(source_of));
    match (name, args.as_slice()) {
        (operators::INDEX, [container, key]) => {
            let bare = key.trim_matches('\'');
            let simple = key.starts_with('\'') && bare.chars().all(|c| c.is_alphanumeric() || c == '_');
            if simple { format!("{container}.{bare}") } else { format!("{container}[{key}]") }
        }
        (EQUAL, [left, right]) => format!("{left} == {right}"),
        (operator, [left, right]) if operator.starts_with('_') => {
            format!("{left} {} {right}", operator.trim_matches('_'))
        }
        (operator, [inner]) if operator.ends_with('_') => format!("{}{inner}", operator.trim_matches('_')),
        _ => match target {
            Some(target) => format!("{target}.{name}({})", args.join(", ")),
            None => format!("{name}({})", args.join(", ")),
        },
    }
}

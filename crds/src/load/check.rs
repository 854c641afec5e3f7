//! A tree against a schema: the same checks as the API server's, in words for people, all at once.

use super::suggest::{list, nearest};
use super::tree::{Entry, Kind, Node, join, join_index};
use crate::problem::Problem;
use crate::text::pattern_hint;
use regex::Regex;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};

/// Problems that are listed per document; more would only hide the first.
const MAX_PROBLEMS: usize = 100;

/// Everything in `node` that the schema does not allow.
pub(super) fn check(node: &Node, schema: &Value, path: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    check_node(node, schema, path, &mut problems);
    problems.truncate(MAX_PROBLEMS);
    problems
}

fn check_node(node: &Node, schema: &Value, path: &str, out: &mut Vec<Problem>) {
    let wanted = schema["type"].as_str().unwrap_or_default();
    match (&node.kind, wanted) {
        (Kind::Map(entries), "object") => check_object(node, entries, schema, path, out),
        (Kind::List(items), "array") => check_list(node, items, schema, path, out),
        (Kind::Text(text), "string") => check_text(node, text, schema, path, out),
        (Kind::Int(number), "integer") => check_number(node, *number, schema, path, out),
        (Kind::Bool(_), "boolean") => {}
        _ => out.push(wrong_type(node, schema, path)),
    }
}

fn check_object(node: &Node, entries: &[Entry], schema: &Value, path: &str, out: &mut Vec<Problem>) {
    let empty = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&empty);
    let mut misspelt = Vec::new();
    for entry in entries {
        let path_of_entry = join(path, &entry.key);
        if let Some(property) = properties.get(&entry.key) {
            // The API server drops a null before it looks at the schema.
            if !entry.value.is_null() {
                check_node(&entry.value, property, &path_of_entry, out);
            }
        } else if let Some(values) = schema.get("additionalProperties") {
            check_node(&entry.value, values, &path_of_entry, out);
        } else {
            let meant = nearest(&entry.key, properties.keys().map(String::as_str));
            misspelt.extend(meant);
            out.push(unknown_field(&entry.key, meant, properties, &path_of_entry).at_line(entry.line));
        }
    }
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for field in required {
        if node.get(field).is_none_or(Node::is_null) && !misspelt.contains(&field) {
            let property = properties.get(field).unwrap_or(&Value::Null);
            let fields = property["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let fix = match list(fields) {
                fields if fields.is_empty() => {
                    format!("add `{field}`, {}{}", kind_of(property), purpose(property))
                }
                fields => format!("add `{field}` with {fields}{}", purpose(property)),
            };
            out.push(Problem::error(join(path, field), "is missing", fix).at_line(node.line));
        }
    }
    check_count(node, entries.len(), ("minProperties", "maxProperties"), schema, path, out);
}

fn unknown_field(field: &str, meant: Option<&str>, properties: &Map<String, Value>, path: &str) -> Problem {
    let fix = match meant {
        Some(known) => format!("did you mean `{known}`?"),
        None if properties.is_empty() => "leave it out: nothing is set here".to_owned(),
        None => format!("leave it out, or use one of: {}", list(properties.keys().map(String::as_str))),
    };
    Problem::error(path, format!("there is no field `{field}`"), fix)
}

fn check_list(node: &Node, items: &[Node], schema: &Value, path: &str, out: &mut Vec<Problem>) {
    for (index, item) in items.iter().enumerate() {
        check_node(item, &schema["items"], &join_index(path, index), out);
    }
    check_count(node, items.len(), ("minItems", "maxItems"), schema, path, out);
    match schema["x-kubernetes-list-type"].as_str() {
        Some("map") => {
            let key = schema["x-kubernetes-list-map-keys"][0].as_str().unwrap_or("name");
            let keys = items.iter().map(|i| i.get(key).and_then(Node::text));
            check_unique(items, keys, path, &format!(".{key}"), out);
        }
        Some("set") => check_unique(items, items.iter().map(Node::text), path, "", out),
        _ => {}
    }
}

fn check_unique<'a>(
    items: &[Node],
    keys: impl Iterator<Item = Option<&'a str>>,
    path: &str,
    suffix: &str,
    out: &mut Vec<Problem>,
) {
    let mut seen = BTreeMap::new();
    for (index, key) in keys.enumerate() {
        let Some(key) = key else { continue };
        if let Some(first) = seen.insert(key, index) {
            let message = format!("`{key}` is used twice, first in {}", join_index(path, first));
            let path = format!("{}{suffix}", join_index(path, index));
            out.push(
                Problem::error(path, message, "take another one, or remove one item")
                    .at_line(items[index].line),
            );
            seen.insert(key, first);
        }
    }
}

fn check_count(
    node: &Node,
    count: usize,
    (least, most): (&str, &str),
    schema: &Value,
    path: &str,
    out: &mut Vec<Problem>,
) {
    let count = count as u64;
    if let Some(least) = schema[least].as_u64().filter(|least| count < *least) {
        let message = format!("has {count} of at least {least} items");
        let fix = format!("add {} or more", least - count);
        out.push(Problem::error(path, message, fix).at_line(node.line));
    }
    if let Some(most) = schema[most].as_u64().filter(|most| count > *most) {
        let message = format!("has {count} items, {most} are allowed");
        let fix = format!("remove {} or more", count - most);
        out.push(Problem::error(path, message, fix).at_line(node.line));
    }
}

fn check_text(node: &Node, text: &str, schema: &Value, path: &str, out: &mut Vec<Problem>) {
    let mut problem = |message: String, fix: String| {
        out.push(Problem::error(path, message, fix).at_line(node.line));
    };
    if let Some(allowed) = schema["enum"].as_array() {
        let allowed: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        if !allowed.contains(&text) {
            let fix = match nearest(text, allowed.iter().copied()) {
                Some(near) => format!("did you mean `{near}`? Allowed: {}", list(allowed)),
                None => format!("use one of: {}", list(allowed)),
            };
            problem(format!("`{}` is not allowed here", shorten(text)), fix);
        }
        return;
    }
    let length = text.chars().count() as u64;
    if schema["minLength"].as_u64().is_some_and(|least| length < least) && text.is_empty() {
        problem("is empty".to_owned(), format!("give {}{}", kind_of(schema), purpose(schema)));
        return;
    }
    if let Some(most) = schema["maxLength"].as_u64().filter(|most| length > *most) {
        problem(format!("is {length} characters long"), format!("use at most {most}"));
        return;
    }
    if let Some(pattern) = schema["pattern"].as_str()
        && !matches(pattern, text)
    {
        let (what, fix) = pattern_hint(pattern);
        problem(format!("`{}` is not {what}", shorten(text)), fix.to_owned());
    }
}

fn check_number(node: &Node, number: i64, schema: &Value, path: &str, out: &mut Vec<Problem>) {
    let least = schema["minimum"].as_i64().unwrap_or(i64::MIN);
    let most = schema["maximum"].as_i64().unwrap_or(i64::MAX);
    if number < least || number > most {
        let fix = match most {
            i64::MAX => format!("use {least} or more"),
            _ => format!("use a number from {least} to {most}"),
        };
        out.push(Problem::error(path, format!("{number} is out of range"), fix).at_line(node.line));
    }
}

fn wrong_type(node: &Node, schema: &Value, path: &str) -> Problem {
    let found = match &node.kind {
        Kind::Null => "nothing".to_owned(),
        Kind::Bool(value) => format!("`{value}`"),
        Kind::Int(number) => format!("the number {number}"),
        Kind::Float(number) => format!("the number {number}"),
        Kind::Text(text) => format!("the text `{}`", shorten(text)),
        Kind::List(_) => "a list".to_owned(),
        Kind::Map(_) => "fields".to_owned(),
    };
    let wanted = kind_of(schema);
    let fix = match (&node.kind, schema["type"].as_str().unwrap_or_default()) {
        (Kind::Int(number), "string") if schema["pattern"] == crate::Duration::PATTERN => {
            format!("write a unit: {number}s, {number}ms or {number}m")
        }
        (Kind::Bool(_) | Kind::Int(_) | Kind::Float(_), "string") => "put it in quotes".to_owned(),
        (Kind::Text(text), "integer") if text.parse::<i64>().is_ok() => "leave the quotes out".to_owned(),
        (Kind::Text(text), "boolean") if matches!(text.as_str(), "true" | "false") => {
            "leave the quotes out".to_owned()
        }
        (_, "integer") => "write a whole number".to_owned(),
        (_, "boolean") => "write true or false".to_owned(),
        (_, "array") => "write one line per item, each beginning with `- `, or [a, b]".to_owned(),
        (_, "object") => {
            let empty = Map::new();
            let fields = schema["properties"].as_object().unwrap_or(&empty);
            if fields.is_empty() {
                "write fields as `name: value`, indented below".to_owned()
            } else {
                format!("write its fields indented below: {}", list(fields.keys().map(String::as_str)))
            }
        }
        _ => format!("write {wanted}{}", purpose(schema)),
    };
    Problem::error(path, format!("needs {wanted}, found {found}"), fix).at_line(node.line)
}

/// What a schema wants, with its article.
fn kind_of(schema: &Value) -> &'static str {
    match schema["type"].as_str().unwrap_or_default() {
        "object" => "fields",
        "array" => "a list",
        "integer" => "a whole number",
        "boolean" => "true or false",
        "string" => match schema["pattern"].as_str() {
            Some(pattern) => pattern_hint(pattern).0,
            None => "a text",
        },
        _ => "a value",
    }
}

/// The first sentence of a field's description, to follow what kind of value it is.
fn purpose(schema: &Value) -> String {
    let description = schema["description"].as_str().unwrap_or_default();
    let sentence = description.split(". ").next().unwrap_or_default().trim_end_matches('.');
    let mut letters = sentence.chars();
    match (letters.next(), letters.next()) {
        (None, _) => String::new(),
        // A name in capitals stays one.
        (Some(_), Some(second)) if second.is_uppercase() => format!(": {sentence}"),
        (Some(first), _) => format!(": {}{}", first.to_lowercase(), &sentence[first.len_utf8()..]),
    }
}

/// Long values are cut in messages.
fn shorten(text: &str) -> String {
    const MOST: usize = 60;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    text.chars().take(MOST).chain("...".chars()).collect()
}

fn matches(pattern: &str, text: &str) -> bool {
    static COMPILED: OnceLock<Mutex<BTreeMap<String, Regex>>> = OnceLock::new();
    let mut compiled =
        COMPILED.get_or_init(Mutex::default).lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(regex) = compiled.get(pattern) {
        return regex.is_match(text);
    }
    // The schema's own patterns compile; a test says so.
    Regex::new(pattern).is_ok_and(|regex| {
        let matches = regex.is_match(text);
        compiled.insert(pattern.to_owned(), regex);
        matches
    })
}

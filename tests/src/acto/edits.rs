//! Edits of good specs, from the schema: up to its bounds, and beyond.

use super::random::Random;
use muster_crds::duration::Duration;
use muster_crds::schema;
use serde_json::{Map, Value, json};

/// The spec's schema.
fn spec_schema() -> &'static Value {
    &schema::policy_schema()["properties"]["spec"]
}

/// Fields that decide when a verdict comes.
const TIMES: [&str; 2] = ["/detection/trip/minOutage", "/detection/reset/minHealthy"];

/// A place in a spec, and what the schema says of it.
struct Place {
    pointer: String,
    schema: &'static Value,
}

/// Every field that is there, and with `absent` also those that could be.
fn places(spec: &Value, absent: bool) -> Vec<Place> {
    let mut all = Vec::new();
    walk(spec_schema(), Some(spec), String::new(), absent, &mut all);
    all
}

fn walk(schema: &'static Value, value: Option<&Value>, pointer: String, absent: bool, all: &mut Vec<Place>) {
    match value {
        Some(Value::Object(fields)) => {
            for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
                let there = fields.get(name);
                if there.is_some() || absent {
                    walk(inner, there, format!("{pointer}/{name}"), absent, all);
                }
            }
            let Some(inner) = schema.get("additionalProperties") else { return push(all, pointer, schema) };
            for (name, there) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                walk(inner, Some(there), format!("{pointer}/{name}"), absent, all);
            }
            push(all, pointer, schema);
        }
        Some(Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                walk(&schema["items"], Some(item), format!("{pointer}/{index}"), absent, all);
            }
            push(all, pointer, schema);
        }
        _ => push(all, pointer, schema),
    }
}

fn push(all: &mut Vec<Place>, pointer: String, schema: &'static Value) {
    if !pointer.is_empty() {
        all.push(Place { pointer, schema });
    }
}

/// Puts `value` there; `None` takes the field or the item away.
pub(super) fn set(spec: &mut Value, pointer: &str, value: Option<Value>) {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return };
    let key = key.replace("~1", "/").replace("~0", "~");
    match (spec.pointer_mut(parent), value) {
        (Some(Value::Object(fields)), Some(value)) => drop(fields.insert(key, value)),
        (Some(Value::Object(fields)), None) => drop(fields.remove(&key)),
        (Some(Value::Array(items)), Some(value)) => match items.get_mut(key.parse().unwrap_or(usize::MAX)) {
            Some(item) => *item = value,
            None => items.push(value),
        },
        (Some(Value::Array(items)), None) => {
            if let Some(index) = key.parse().ok().filter(|index| *index < items.len()) {
                items.remove(index);
            }
        }
        _ => {}
    }
}

/// Puts a field to one of its bounds, or takes it away, or fills it in. Says what was done.
pub(super) fn to_a_bound(random: &mut Random, spec: &mut Value) -> String {
    let all = places(spec, true);
    loop {
        let place = random.pick(&all);
        let there = spec.pointer(&place.pointer).cloned();
        let value = if there.is_some() && random.chance(15) {
            None
        } else {
            bound(random, place.schema, there.as_ref())
        };
        // Nothing is ever tripped, and no probe runs all the time.
        let fixed = TIMES.iter().any(|field| format!("{field}/").starts_with(&format!("{}/", place.pointer)));
        if fixed || place.pointer.ends_with("/every") || value == there || !small(value.as_ref()) {
            continue;
        }
        let told = format!("{} to {}", place.pointer, tell(value.as_ref()));
        set(spec, &place.pointer, value);
        return told;
    }
}

/// A value at a bound of the schema, if there is one.
fn bound(random: &mut Random, schema: &Value, there: Option<&Value>) -> Option<Value> {
    let number = |key: &str| schema[key].as_u64();
    match schema["type"].as_str()? {
        "boolean" => Some(json!(random.chance(50))),
        "integer" => {
            let (least, most) = (number("minimum").unwrap_or(0), number("maximum").unwrap_or(100));
            Some(json!(random.pick(&[least, most, (least + 1).min(most)])))
        }
        "string" => Some(json!(text_at_a_bound(random, schema))),
        "array" => {
            let mut items = there.and_then(Value::as_array).cloned().unwrap_or_default();
            match random.below(3) {
                0 => items.reverse(),
                1 => items.truncate(usize::try_from(number("minItems").unwrap_or(0)).ok()?),
                _ => {
                    let by = 1.min(items.len());
                    items.rotate_left(by);
                }
            }
            Some(Value::Array(items))
        }
        _ => match schema.get("additionalProperties") {
            Some(inner) => {
                let most = number("maxProperties").unwrap_or(1).min(32);
                let value = json!(text_at_a_bound(random, inner).chars().take(40).collect::<String>());
                let full: Map<String, Value> = (0..most).map(|n| (format!("k{n}"), value.clone())).collect();
                Some(Value::Object(if random.chance(50) { full } else { Map::new() }))
            }
            None => there.is_none().then(|| json!({})),
        },
    }
}

fn text_at_a_bound(random: &mut Random, schema: &Value) -> String {
    if let Some(values) = schema["enum"].as_array().filter(|values| !values.is_empty()) {
        return random.pick(values).as_str().unwrap_or_default().to_owned();
    }
    let most = usize::try_from(schema["maxLength"].as_u64().unwrap_or(10)).unwrap_or(10);
    if schema["pattern"] == Duration::PATTERN {
        let all = ["0s", "10ms", "100ms", "1s", "1000ms", "1m", "1h", "24h", "999999h999999m999999s999999ms"];
        return (*random.pick(&all)).to_owned();
    }
    if schema["pattern"].is_string() {
        return random.pick(&["a".to_owned(), "a".repeat(most), "0".to_owned(), "a-0".to_owned()]).clone();
    }
    let all = [
        "x".to_owned(),
        "é".repeat(most),
        "y".repeat(most),
        "{{ region.name }}".to_owned(),
        "status == 200".to_owned(),
        "127.0.0.1:1".to_owned(),
        "http://127.0.0.1:1/".to_owned(),
        " ".to_owned(),
        "null".to_owned(),
        "a: b # c".to_owned(),
        "\"'\n".to_owned(),
    ];
    random.pick(&all).chars().take(most).collect()
}

/// Objects of more than a few kilobytes only slow the suite down.
fn small(value: Option<&Value>) -> bool {
    value.is_none_or(|value| value.to_string().len() < 6_000)
}

/// Breaks one rule of the schema. Says what was done.
pub(super) fn beyond_a_bound(random: &mut Random, spec: &mut Value) -> String {
    let all = places(spec, false);
    loop {
        let place = random.pick(&all);
        let there = spec.pointer(&place.pointer).cloned().unwrap_or_default();
        let Some(value) = broken(random, place.schema, &there).filter(|value| *value != there) else {
            continue;
        };
        let told = format!("{} to {}", place.pointer, tell(Some(&value)));
        set(spec, &place.pointer, Some(value));
        return told;
    }
}

fn broken(random: &mut Random, schema: &Value, there: &Value) -> Option<Value> {
    if random.chance(15) {
        return Some(json!(random.pick(&[
            json!(7.5),
            json!(["x"]),
            json!({"x": "y"}),
            json!("?"),
            json!(-1)
        ])))
        .filter(|value| !fits(schema, value));
    }
    match schema["type"].as_str()? {
        "integer" => Some(json!(
            random.pick(&[schema["maximum"].as_i64()? + 1, schema["minimum"].as_i64().unwrap_or(0) - 1])
        )),
        "string" if schema["enum"].is_array() => Some(json!(there.as_str()?.to_uppercase() + "X")),
        "string" if schema["pattern"].is_string() => Some(json!(random.pick(&["", "A b", "1d", "-", "é"]))),
        "string" => {
            let most = usize::try_from(schema["maxLength"].as_u64()?).ok().filter(|most| *most < 5_000)?;
            Some(json!(random.pick(&[String::new(), "x".repeat(most + 1)])))
        }
        "array" => {
            let mut items = there.as_array()?.clone();
            let first = items.first().cloned();
            match (first, schema["x-kubernetes-list-type"].as_str()) {
                (Some(first), Some("map" | "set")) => items.push(first),
                _ => items.clear(),
            }
            Some(Value::Array(items))
                .filter(|_| schema["minItems"].is_u64() || schema["x-kubernetes-list-type"] != "atomic")
        }
        "object" if schema.get("additionalProperties").is_none() => {
            let mut fields = there.as_object()?.clone();
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let required: Vec<&str> = required.collect();
            match random.below(2) {
                0 if !required.is_empty() => drop(fields.remove(*random.pick(&required))),
                _ => drop(fields.insert("colour".to_owned(), json!("red"))),
            }
            Some(Value::Object(fields))
        }
        _ => None,
    }
}

fn fits(schema: &Value, value: &Value) -> bool {
    match schema["type"].as_str() {
        Some("integer") => value.is_i64(),
        Some("string") => value.is_string(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => value.is_boolean(),
    }
}

fn tell(value: Option<&Value>) -> String {
    let text = value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    if text.len() > 60 {
        format!("{}... ({} bytes)", text.chars().take(60).collect::<String>(), text.len())
    } else {
        text
    }
}

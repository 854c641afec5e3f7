//! JSON as CEL sees it: whole numbers are ints, so that `body.n + 1` works.

use cel::objects::{Key, Map, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// Converts a parsed answer; the parser has bounded its depth.
pub(crate) fn from_json(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(b) => Value::Bool(b),
        serde_json::Value::Number(n) => number(&n),
        serde_json::Value::String(text) => Value::String(Arc::new(text)),
        serde_json::Value::Array(list) => Value::List(Arc::new(list.into_iter().map(from_json).collect())),
        serde_json::Value::Object(map) => {
            let map: HashMap<Key, Value> =
                map.into_iter().map(|(key, value)| (Key::from(key), from_json(value))).collect();
            Value::Map(Map { map: Arc::new(map) })
        }
    }
}

fn number(n: &serde_json::Number) -> Value {
    if let Some(int) = n.as_i64() {
        return Value::Int(int);
    }
    if let Some(uint) = n.as_u64() {
        return Value::UInt(uint);
    }
    Value::Float(n.as_f64().unwrap_or(f64::NAN))
}

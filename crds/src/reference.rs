//! docs/policy.md: every field of the policy, from the schema.

use crate::duration::Duration;
use crate::schema::policy_schema;
use crate::text::{
    AwsRegionName, BucketName, EndpointUrl, HeaderName, HealthCheckId, HostedZoneId, Name, ObjectKey,
    RoleArn, RoutingControlArn, SecretKey, SecretName,
};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;

const HEAD: &str = "\
# RegionFailoverPolicy: every field

Generated from the schema by `cargo run -p muster-crds --bin crdgen -- --write`; do not edit.

`muster validate FILE...` checks a policy against this page and against what a schema cannot say: templates,
expressions, addresses, and whether a failover could ever happen. A whole example: [crds/examples/local.yaml](../crds/examples/local.yaml).

- A *duration* is whole numbers with units in the order h, m, s, ms: `500ms`, `30s`, `1h30m`.
- A *name* is lower-case letters, digits and `-`, at most 63.
- A *template* may hold `{{ region.name }}`, `{{ region.values.KEY }}` and, in a suite, values that earlier steps saved.
- Secrets are referred to as `{name, key}`, never written into the policy.
- Unknown fields are refused. Words that kubectl reads in another way than they look (`on`, `yes`, `010`) need quotes.
";

/// The field reference, as Markdown.
pub fn policy_reference() -> String {
    let spec = &policy_schema()["properties"]["spec"];
    let mut text = HEAD.to_owned();
    let mut known = BTreeMap::new();
    let mut open = VecDeque::from([("spec".to_owned(), spec)]);
    known.insert(shape_of(spec), "spec".to_owned());
    while let Some((path, schema)) = open.pop_front() {
        // Depth first, so that the page reads from the outside in.
        let inner = write_section(&mut text, &path, schema, &mut known);
        for section in inner.into_iter().rev() {
            open.push_front(section);
        }
    }
    text
}

/// Writes one object's section; returns the objects in it that have none yet.
fn write_section<'a>(
    text: &mut String,
    path: &str,
    schema: &'a Value,
    known: &mut BTreeMap<String, String>,
) -> Vec<(String, &'a Value)> {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut inner = Vec::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "\n## {path}\n\n{}\n", description_of(schema));
    let _ = writeln!(text, "| field | type | default | |\n|---|---|---|---|");
    let mut fields: Vec<_> = schema["properties"].as_object().into_iter().flatten().collect();
    fields.sort_by_key(|(name, _)| (!required.contains(&name.as_str()), *name != "name"));
    for (name, field) in fields {
        let (object, suffix) =
            if field["items"]["properties"].is_object() { (&field["items"], "[]") } else { (field, "") };
        let mut link = None;
        if object["properties"].is_object() {
            let own = format!("{path}.{name}{suffix}");
            let section = known.entry(shape_of(object)).or_insert_with(|| {
                inner.push((own.clone(), object));
                own
            });
            link = Some(section.clone());
        }
        let default = match field.get("default") {
            Some(default) => format!("`{}`", compact(default)),
            None if required.contains(&name.as_str()) => "**required**".to_owned(),
            None => String::new(),
        };
        let kind = kind_of(field, link.as_deref());
        let _ = writeln!(
            text,
            "| `{name}` | {kind} | {default} | {} |",
            description_of(field).replace('|', "\\|")
        );
    }
    write_rules(text, schema);
    inner
}

fn write_rules(text: &mut String, schema: &Value) {
    let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    let messages: Vec<&str> = rules.filter_map(|rule| rule["message"].as_str()).collect();
    if !messages.is_empty() {
        text.push_str("\nRules:\n");
        for message in messages {
            let _ = writeln!(text, "- {message}");
        }
    }
}

/// What two objects of the same type have in common.
fn shape_of(schema: &Value) -> String {
    let mut schema = schema.clone();
    if let Some(map) = schema.as_object_mut() {
        map.remove("description");
        map.remove("default");
    }
    schema.to_string()
}

fn description_of(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace("\n\n", " ")
}

fn compact(default: &Value) -> String {
    match default {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name}: {}", compact(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

fn kind_of(schema: &Value, section: Option<&str>) -> String {
    let link = |section: &str| format!("[fields](#{})", anchor_of(section));
    match schema["type"].as_str().unwrap_or_default() {
        "array" => {
            let count = match (schema["minItems"].as_u64(), schema["maxItems"].as_u64()) {
                (Some(least), Some(most)) => format!("{least} to {most}"),
                (_, Some(most)) => format!("at most {most}"),
                _ => "any number".to_owned(),
            };
            let item = section.map_or_else(|| kind_of(&schema["items"], None), link);
            format!("list of {item}, {count}")
        }
        "object" => match section {
            Some(section) => link(section),
            None if schema.get("additionalProperties").is_none() => "`{}`".to_owned(),
            None => format!("map of texts to {}", kind_of(&schema["additionalProperties"], None)),
        },
        "integer" => match (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
            (Some(least), Some(most)) => format!("{least} to {most}"),
            _ => "whole number".to_owned(),
        },
        "boolean" => "true, false".to_owned(),
        "string" => text_kind_of(schema),
        other => other.to_owned(),
    }
}

fn text_kind_of(schema: &Value) -> String {
    if let Some(allowed) = schema["enum"].as_array() {
        let allowed: Vec<String> =
            allowed.iter().filter_map(Value::as_str).map(|a| format!("`{a}`")).collect();
        return allowed.join(", ");
    }
    match schema["pattern"].as_str() {
        Some(Duration::PATTERN) => "duration".to_owned(),
        Some(Name::PATTERN) => "name".to_owned(),
        Some(SecretName::PATTERN) => "name of a Secret".to_owned(),
        Some(SecretKey::PATTERN) => "key of a Secret".to_owned(),
        Some(HostedZoneId::PATTERN) => "id of a hosted zone".to_owned(),
        Some(RoleArn::PATTERN) => "ARN of a role".to_owned(),
        Some(BucketName::PATTERN) => "name of a bucket".to_owned(),
        Some(ObjectKey::PATTERN) => "key of an object".to_owned(),
        Some(AwsRegionName::PATTERN) => "region of AWS".to_owned(),
        Some(HealthCheckId::PATTERN) => "id of a health check".to_owned(),
        Some(RoutingControlArn::PATTERN) => "ARN of a routing control".to_owned(),
        Some(EndpointUrl::PATTERN) => "URL".to_owned(),
        Some(HeaderName::PATTERN) => "name of a header".to_owned(),
        _ => match schema["maxLength"].as_u64() {
            Some(most) => format!("text, at most {most}"),
            None => "text".to_owned(),
        },
    }
}

/// As GitHub makes anchors from headings.
fn anchor_of(heading: &str) -> String {
    heading.chars().filter(char::is_ascii_alphanumeric).flat_map(char::to_lowercase).collect()
}

//! The rules in the schema and the checks here are two readings of one law. The API server's reading is evaluated
//! by kube's own implementation.

use kube_cel::{ErrorKind, Validator};
use muster::convert::validate::validate_text;
use muster::convert::{Environment, UnresolvedSecrets};
use muster_crds::schema::policy_schema;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// Rules that the API server finds broken in the first document; none when CEL could not be evaluated, because the
/// document does not fit the schema.
fn broken_rules(text: &str) -> Vec<String> {
    use serde::Deserialize;
    let Some(document) = serde_yaml_ng::Deserializer::from_str(text).next() else { return Vec::new() };
    let Ok(object) = Value::deserialize(document) else { return Vec::new() };
    let Err(errors) = Validator::new().validate(policy_schema(), &object, None) else { return Vec::new() };
    let broken = errors.into_iter().filter(|e| e.kind == ErrorKind::ValidationFailure);
    broken.map(|e| format!("{}: {}", e.field_path, e.rule)).collect()
}

fn each_policy(folder: &str, mut see: impl FnMut(&str, &str)) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies").join(folder);
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|e| e == "yaml") {
            see(&path.display().to_string(), &std::fs::read_to_string(&path).expect("the file"));
        }
    }
}

#[test]
fn what_the_api_server_refuses_is_refused_here() {
    each_policy("broken", |name, text| {
        let rules = broken_rules(text);
        let report = validate_text(text, Environment::Cluster, &UnresolvedSecrets);
        assert!(rules.is_empty() || report.good.is_empty(), "{name}: {rules:?}");
    });
}

#[test]
fn what_is_good_here_is_good_for_the_api_server() {
    each_policy("good", |name, text| {
        let errors = {
            let object: Value = serde_yaml_ng::from_str(text).expect("YAML");
            Validator::new().validate(policy_schema(), &object, None)
        };
        assert!(errors.is_ok(), "{name}: {errors:?}");
    });
}

#[test]
fn each_rule_of_the_schema_is_broken_by_a_policy() {
    let mut unseen: BTreeSet<String> = BTreeSet::new();
    collect_rules(policy_schema(), &mut unseen);
    assert!(unseen.len() > 25, "{}", unseen.len());
    each_policy("broken", |_, text| {
        for rule in broken_rules(text) {
            unseen.retain(|r| !rule.ends_with(r.as_str()));
        }
    });
    assert!(unseen.is_empty(), "never broken: {unseen:#?}");
}

fn collect_rules(schema: &Value, rules: &mut BTreeSet<String>) {
    match schema {
        Value::Object(map) => {
            let own = map.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten();
            rules.extend(own.filter_map(|r| r["rule"].as_str()).map(str::to_owned));
            map.values().for_each(|v| collect_rules(v, rules));
        }
        Value::Array(items) => items.iter().for_each(|v| collect_rules(v, rules)),
        _ => {}
    }
}

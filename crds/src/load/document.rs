//! From a file's text to policies.

use super::MAX_FILE_BYTES;
use super::check::check;
use super::lines::LineMap;
use super::tree::{self, Entry, Kind, Node};
use crate::policy::RegionFailoverPolicy;
use crate::problem::Problem;
use crate::schema::{API_VERSION, POLICY_KIND, policy_schema};
use crate::text::{Name, SecretName};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A policy that fits the schema, and where its fields stand.
#[derive(Clone, PartialEq, Debug)]
pub struct LoadedPolicy {
    /// The policy, with its defaults. Its name and namespace are set.
    pub policy: RegionFailoverPolicy,
    /// Where its fields stand.
    pub lines: LineMap,
}

impl LoadedPolicy {
    /// `namespace/name`.
    pub fn name(&self) -> String {
        full_name(self.policy.metadata.namespace.as_deref(), self.policy.metadata.name.as_deref())
    }
    /// Gives problems that speak of this policy its name and their lines.
    pub fn locate(&self, problems: Vec<Problem>) -> Vec<Problem> {
        let name = self.name();
        let locate = |mut problem: Problem| {
            problem.line = problem.line.or_else(|| self.lines.line_of(&problem.path));
            problem.policy.get_or_insert_with(|| name.clone());
            problem
        };
        problems.into_iter().map(locate).collect()
    }
}

/// What a file holds.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Loaded {
    /// Policies that fit the schema.
    pub policies: Vec<LoadedPolicy>,
    /// What is wrong with the others, and warnings, in the order of lines.
    pub problems: Vec<Problem>,
}

/// Reads a file of one or several policies; all of them or all problems.
pub fn load_policy_file(text: &str) -> Result<Vec<RegionFailoverPolicy>, Vec<Problem>> {
    let loaded = load_documents(text);
    if loaded.problems.iter().any(Problem::is_error) {
        return Err(loaded.problems);
    }
    Ok(loaded.policies.into_iter().map(|p| p.policy).collect())
}

/// Reads a file of one or several policies; the good ones beside the problems of the others.
pub fn load_documents(text: &str) -> Loaded {
    if text.len() > MAX_FILE_BYTES {
        let message = format!("the file has {} bytes, more than {MAX_FILE_BYTES}", text.len());
        let problem = Problem::error("", message, "write one policy per file");
        return Loaded { policies: Vec::new(), problems: vec![problem] };
    }
    let (documents, problems) = tree::parse(text.strip_prefix('\u{feff}').unwrap_or(text));
    // A tree with a problem of its own would only show it again in other words.
    let broken_lines: BTreeSet<Option<u32>> = problems.iter().map(|p| p.line).collect();
    let broken_yaml = !problems.is_empty();
    let mut loaded = Loaded { policies: Vec::new(), problems };
    let mut found = broken_yaml;
    for mut document in documents {
        if document.is_null() {
            continue;
        }
        found = true;
        match load_document(&mut document) {
            Ok((policy, problems)) => {
                loaded.problems.extend(problems);
                if !broken_yaml {
                    loaded.policies.push(policy);
                }
            }
            Err(problems) => {
                loaded.problems.extend(problems.into_iter().filter(|p| !broken_lines.contains(&p.line)));
            }
        }
    }
    if !found {
        let fix = format!("begin with `apiVersion: {API_VERSION}` and `kind: {POLICY_KIND}`");
        loaded.problems.push(Problem::error("", "the file holds no policy", fix));
    }
    refuse_duplicates(&mut loaded);
    loaded.problems.sort_by_key(|p| p.line);
    loaded.problems.dedup();
    loaded
}

fn refuse_duplicates(loaded: &mut Loaded) {
    let mut first = BTreeMap::new();
    let mut twice = Vec::new();
    loaded.policies.retain(|loaded| {
        let (name, line) = (loaded.name(), loaded.lines.line_of("metadata.name").unwrap_or(1));
        let Some(first) = first.get(&name) else {
            first.insert(name, line);
            return true;
        };
        let message = format!("the policy {name} is in this file twice, first in line {first}");
        let problem = Problem::error("metadata.name", message, "give one of them another name, or remove it");
        twice.extend(loaded.locate(vec![problem]));
        false
    });
    loaded.problems.extend(twice);
}

fn load_document(document: &mut Node) -> Result<(LoadedPolicy, Vec<Problem>), Vec<Problem>> {
    check_kind(document).map_err(|problem| vec![problem])?;
    let warnings = adopt_old_spelling(document);
    let mut problems = check_metadata(document);
    problems.extend(check(document, whole_schema(), ""));
    let name = name_of(document);
    let with_name = |mut problem: Problem| {
        problem.policy.clone_from(&name);
        problem
    };
    let warnings = warnings.into_iter().map(with_name);
    if !problems.is_empty() {
        return Err(problems.into_iter().map(with_name).chain(warnings).collect());
    }
    let lines = LineMap::new(document);
    match serde_path_to_error::deserialize(to_json(document)) {
        Ok(policy) => Ok((LoadedPolicy { policy: with_namespace(policy), lines }, warnings.collect())),
        Err(error) => {
            let path = error.path().to_string();
            let line = lines.line_of(&path).unwrap_or(document.line);
            let fix = "see the field's description in docs/policy.md";
            let problem = Problem::error(path, error.into_inner().to_string(), fix).at_line(line);
            Err(vec![with_name(problem)])
        }
    }
}

fn with_namespace(mut policy: RegionFailoverPolicy) -> RegionFailoverPolicy {
    policy.metadata.namespace.get_or_insert_with(|| "default".to_owned());
    policy
}

fn check_kind(document: &Node) -> Result<(), Problem> {
    let line = document.line;
    let Kind::Map(_) = document.kind else {
        let fix = format!("begin with `apiVersion: {API_VERSION}` and `kind: {POLICY_KIND}`");
        return Err(Problem::error("", "is not a policy: needs fields", fix).at_line(line));
    };
    for (field, wanted) in [("apiVersion", API_VERSION), ("kind", POLICY_KIND)] {
        let found = document.get(field);
        if found.and_then(Node::text) == Some(wanted) {
            continue;
        }
        let message = match found {
            None => "is missing".to_owned(),
            Some(node) => format!("`{}` is not known here", node.text().unwrap_or("this")),
        };
        let line = found.map_or(line, |node| node.line);
        return Err(Problem::error(field, message, format!("write `{field}: {wanted}`")).at_line(line));
    }
    Ok(())
}

/// `on` became `side`: kubectl reads an unquoted `on` as true. Until nobody writes it any more.
fn adopt_old_spelling(document: &mut Node) -> Vec<Problem> {
    let mut warnings = Vec::new();
    let Some(probes) = list_mut(document, "spec").and_then(|spec| list_mut(spec, "probes")) else {
        return warnings;
    };
    let Kind::List(probes) = &mut probes.kind else { return warnings };
    for (index, probe) in probes.iter_mut().enumerate() {
        let Kind::Map(entries) = &mut probe.kind else { continue };
        if entries.iter().any(|e| e.key == "side") {
            continue;
        }
        if let Some(entry) = entries.iter_mut().find(|e| e.key == "on") {
            "side".clone_into(&mut entry.key);
            let path = format!("spec.probes[{index}].on");
            let message = "kubectl reads `on` as true";
            let fix = "write `side` instead of `on`";
            warnings.push(Problem::warning(path, message, fix).at_line(entry.line));
        }
    }
    warnings
}

fn list_mut<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    match &mut node.kind {
        Kind::Map(entries) => entries.iter_mut().find(|e| e.key == key).map(|e| &mut e.value),
        _ => None,
    }
}

/// The CRD's schema; `metadata` is the API server's own and is checked by [`check_metadata`].
fn whole_schema() -> &'static Value {
    static SCHEMA: std::sync::OnceLock<Value> = std::sync::OnceLock::new();
    SCHEMA.get_or_init(|| {
        let mut schema = policy_schema().clone();
        schema["properties"]["apiVersion"] = json!({"type": "string"});
        schema["properties"]["kind"] = json!({"type": "string"});
        schema["properties"]["metadata"] = metadata_schema();
        schema["required"] = json!(["metadata", "spec"]);
        schema
    })
}

/// What people write, and what `kubectl get -o yaml` adds. The latter is read and not looked at.
fn metadata_schema() -> Value {
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let any_text = json!({"type": "string"});
    let number = json!({"type": "integer"});
    let list = json!({"type": "array", "items": {"type": "string"}});
    json!({"type": "object", "required": ["name"], "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 253, "description": "The policy's name"},
        "namespace": {"type": "string", "minLength": 1, "maxLength": 63, "description": "The policy's namespace"},
        "labels": texts, "annotations": texts,
        "uid": any_text, "resourceVersion": any_text, "creationTimestamp": any_text, "selfLink": any_text,
        "generation": number, "finalizers": list,
    }})
}

fn check_metadata(document: &mut Node) -> Vec<Problem> {
    /// Written by the API server for itself.
    const BOOKKEEPING: [&str; 3] = ["managedFields", "ownerReferences", "deletionTimestamp"];
    let Some(metadata) = list_mut(document, "metadata") else { return Vec::new() };
    if let Kind::Map(entries) = &mut metadata.kind {
        entries.retain(|e: &Entry| !BOOKKEEPING.contains(&e.key.as_str()));
    }
    let mut problems = Vec::new();
    for (field, pattern) in [("name", SecretName::PATTERN), ("namespace", Name::PATTERN)] {
        let Some(node) = metadata.get(field) else { continue };
        let Some(text) = node.text().filter(|t| !t.is_empty()) else { continue };
        let wanted = json!({"type": "string", "pattern": pattern});
        if !check(node, &wanted, "").is_empty() {
            let message = format!("`{text}` is not a name that Kubernetes takes");
            let fix = "use lower-case letters, digits and `-`, beginning and ending with a letter or digit";
            problems.push(Problem::error(format!("metadata.{field}"), message, fix).at_line(node.line));
        }
    }
    problems
}

fn name_of(document: &Node) -> Option<String> {
    let metadata = document.get("metadata")?;
    let name = metadata.get("name").and_then(Node::text)?;
    Some(full_name(metadata.get("namespace").and_then(Node::text), Some(name)))
}

fn full_name(namespace: Option<&str>, name: Option<&str>) -> String {
    format!("{}/{}", namespace.unwrap_or("default"), name.unwrap_or_default())
}

/// As the API server sees it: without nulls in fields.
fn to_json(node: &Node) -> Value {
    match &node.kind {
        Kind::Null => Value::Null,
        Kind::Bool(value) => json!(value),
        Kind::Int(number) => json!(number),
        Kind::Float(number) => json!(number),
        Kind::Text(text) => json!(text),
        Kind::List(items) => Value::Array(items.iter().map(to_json).collect()),
        Kind::Map(entries) => {
            let fields = entries.iter().filter(|e| !e.value.is_null());
            Value::Object(fields.map(|e| (e.key.clone(), to_json(&e.value))).collect::<Map<_, _>>())
        }
    }
}

//! Dependencies point one way, and the core stays pure: read from `cargo metadata`, so that a manifest cannot lie.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// The only edges between the project's crates; `muster-tests` may use all of them.
const ALLOWED: &[(&str, &str)] = &[
    ("muster", "muster-providers"),
    ("muster", "muster-probes"),
    ("muster", "muster-crds"),
    ("muster", "muster-core"),
    ("muster", "muster-aws-fake"),
    ("muster-providers", "muster-core"),
    ("muster-probes", "muster-core"),
    ("muster-aws-opinions", "muster-aws-fake"),
];

/// What would let the core observe, act, or depend on anything but its arguments.
const IMPURE: &[&str] = &["tokio", "kube", "tracing", "rand", "getrandom", "hyper", "rustls", "libc", "nix"];
const IMPURE_PREFIXES: &[&str] = &["aws-", "kube-", "tracing-", "tokio-"];

fn metadata() -> Value {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--manifest-path", manifest])
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo prints JSON")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn items<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// Names of the workspace's own packages by id.
fn own_crates(metadata: &Value) -> BTreeMap<&str, &str> {
    let members: BTreeSet<&str> =
        items(metadata, "workspace_members").iter().filter_map(Value::as_str).collect();
    let packages = items(metadata, "packages").iter();
    packages.map(|p| (text(p, "id"), text(p, "name"))).filter(|(id, _)| members.contains(id)).collect()
}

#[test]
fn dependencies_between_our_crates_point_one_way() {
    let metadata = metadata();
    let own = own_crates(&metadata);
    assert_eq!(own.len(), 8, "a crate came or went: say here what it may use: {own:?}");
    let mut wrong = Vec::new();
    for package in items(&metadata, "packages").iter().filter(|p| own.contains_key(text(p, "id"))) {
        let from = text(package, "name");
        let ours = |d: &&Value| own.values().any(|name| *name == text(d, "name"));
        // Every kind of edge counts: a test that needs another crate belongs into `muster-tests`.
        for dependency in items(package, "dependencies").iter().filter(ours) {
            let to = text(dependency, "name");
            if from != "muster-tests" && !ALLOWED.contains(&(from, to)) {
                wrong.push(format!("{from} -> {to}"));
            }
        }
    }
    assert!(wrong.is_empty(), "these dependencies turn the arrows round: {wrong:?}");
}

#[test]
fn nothing_that_could_observe_or_act_reaches_the_core() {
    let metadata = metadata();
    let own = own_crates(&metadata);
    let core = own
        .iter()
        .find(|(_, name)| **name == "muster-core")
        .map(|(id, _)| *id)
        .expect("the core is a member");
    let names: BTreeMap<&str, &str> =
        items(&metadata, "packages").iter().map(|p| (text(p, "id"), text(p, "name"))).collect();
    let nodes: BTreeMap<&str, &Value> =
        items(&metadata["resolve"], "nodes").iter().map(|n| (text(n, "id"), n)).collect();
    let mut reached = BTreeSet::new();
    let mut next = vec![core];
    while let Some(id) = next.pop() {
        if reached.insert(id) {
            let normal = items(nodes[id], "deps").iter().filter(|d| is_normal(&d["dep_kinds"]));
            next.extend(normal.map(|d| text(d, "pkg")));
        }
    }
    let impure = |name: &&str| IMPURE.contains(name) || IMPURE_PREFIXES.iter().any(|p| name.starts_with(p));
    let found: Vec<&str> = reached.iter().map(|id| names[id]).filter(impure).collect();
    assert!(found.is_empty(), "muster-core pulls in {found:?}");
    assert!(reached.len() > 1, "the walk went nowhere: {reached:?}");
}

/// Compiled into the crate, unlike what only its tests or its build need.
fn is_normal(kinds: &Value) -> bool {
    kinds.as_array().is_some_and(|kinds| kinds.iter().any(|k| k["kind"].is_null()))
}

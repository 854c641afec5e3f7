//! Files that are not what they should be as YAML, or as a whole.

use muster_crds::{Problem, load_documents, load_policy_file};

const GOOD: &str = include_str!("../examples/local.yaml");

fn problems(text: &str) -> Vec<Problem> {
    load_policy_file(text).expect_err("the file has problems")
}

/// The only problem, as one line.
fn problem(text: &str) -> String {
    let problems = problems(text);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems[0].to_string()
}

#[test]
fn several_documents_are_several_policies() {
    let two = format!("---\n{GOOD}\n---\n{}\n---\n", GOOD.replace("name: checkout", "name: payments"));
    let policies = load_policy_file(&two).expect("both are good");
    let names: Vec<_> = policies.iter().filter_map(|p| p.metadata.name.as_deref()).collect();
    assert_eq!(names, ["checkout", "payments"]);
}

#[test]
fn a_good_policy_beside_a_bad_one_is_kept() {
    let two = format!(
        "{GOOD}\n---\n{}",
        GOOD.replace("name: checkout", "name: payments").replace("side: Both", "side: All")
    );
    let loaded = load_documents(&two);
    assert_eq!(loaded.policies.len(), 1);
    assert_eq!(loaded.problems.len(), 1);
    assert_eq!(loaded.problems[0].policy.as_deref(), Some("shop/payments"));
}

#[test]
fn the_same_policy_twice_is_refused() {
    let message = problem(&format!("{GOOD}\n---\n{GOOD}"));
    assert!(
        message.contains("metadata.name: the policy shop/checkout is in this file twice, first in line 5"),
        "{message}"
    );
}

#[test]
fn an_empty_file_is_no_policy() {
    for text in ["", "\n\n", "# nothing\n", "---\n---\n", "null\n"] {
        assert!(problem(text).starts_with("the file holds no policy; begin with"), "{text:?}");
    }
}

#[test]
fn another_kind_or_version_is_named() {
    let message = problem(&GOOD.replace("kind: RegionFailoverPolicy", "kind: Deployment"));
    assert!(
        message.contains("kind: `Deployment` is not known here; write `kind: RegionFailoverPolicy`"),
        "{message}"
    );
    let message = problem(&GOOD.replace("muster.dev/v1alpha1", "muster.dev/v1"));
    assert!(message.contains("apiVersion: `muster.dev/v1` is not known here"), "{message}");
    assert!(problem("- a\n- b\n").contains("is not a policy"));
}

#[test]
fn a_field_given_twice_is_refused_with_both_lines() {
    let message = problem(&GOOD.replace("  mode: Automatic", "  mode: Automatic\n  mode: Observe"));
    assert_eq!(message, "line 8: spec.mode: is given twice, first in line 7; keep one of them");
}

#[test]
fn a_syntax_error_names_its_line() {
    let message = problem(&GOOD.replace("objectives: {rto: 30s, rpo: 5s}", "objectives: {rto: 30s, rpo: 5s"));
    assert!(message.starts_with("line ") && message.contains("not YAML"), "{message}");
    let message = problem("apiVersion: muster.dev/v1alpha1\nspec:\n\tmode: Approve\n");
    assert!(message.contains("line 3") && message.contains("tabs"), "{message}");
}

#[test]
fn words_that_kubectl_reads_otherwise_need_quotes() {
    let message = problem(&GOOD.replace("database: shop", "database: yes"));
    assert!(message.contains("spec.data[0].postgres.database: `yes` means true to kubectl"), "{message}");
    assert!(load_policy_file(&GOOD.replace("database: shop", "database: \"yes\"")).is_ok());
    let message = problem(&GOOD.replace("port: 5432}", "port: 0123}").replacen("0123", "5432", 1));
    assert!(
        message.contains("spec.data[0].postgres.nodes[1].port: `0123` means an octal number"),
        "{message}"
    );
}

#[test]
fn on_is_taken_as_side_and_warned_about() {
    let loaded = load_documents(&GOOD.replace("side: Both", "on: Both"));
    assert_eq!(loaded.policies.len(), 1);
    assert_eq!(
        loaded.problems[0].to_string(),
        "line 32: spec.probes[1].on: kubectl reads `on` as true; write `side` instead of `on`"
    );
    assert!(!loaded.problems[0].is_error());
}

#[test]
fn a_null_is_an_absent_field() {
    let policies = load_policy_file(&GOOD.replace("cooldown: 1h", "cooldown: null")).expect("good");
    assert_eq!(policies[0].spec.safety.cooldown.to_string(), "1h");
    assert!(problem(&GOOD.replace("zone: example.com", "zone: ~")).contains("zone: is missing; add `zone`"));
}

#[test]
fn anchors_of_yaml_may_be_used() {
    let text = GOOD
        .replace("passwordSecret: {name: pg, key: muster}", "passwordSecret: &pg {name: pg, key: muster}")
        .replace("passwordSecret: {name: pg, key: shop}", "passwordSecret: *pg");
    assert!(load_policy_file(&text).is_ok());
}

#[test]
fn a_bomb_of_aliases_ends_early() {
    let level = |n: u32| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(","));
    let text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned() + &(1..12).map(level).collect::<String>();
    let started = std::time::Instant::now();
    assert!(problem(&text).contains("more than 100000 values in one file"));
    assert!(started.elapsed().as_secs() < 5);
}

#[test]
fn a_loop_of_aliases_is_refused() {
    assert!(!problems("a: &a [*a]\n").is_empty());
    assert!(!problems("&a {b: *a}\n").is_empty());
}

#[test]
fn deep_nesting_ends_early() {
    for text in ["[".repeat(100_000), "- ".repeat(100_000), format!("a: {}", "{b: ".repeat(100_000))] {
        assert!(!problems(&text).is_empty());
    }
}

#[test]
fn a_large_file_is_not_looked_at() {
    let message = problem(&"#".repeat(1024 * 1024 + 1));
    assert!(message.contains("the file has 1048577 bytes"), "{message}");
}

#[test]
fn tags_and_merge_keys_are_refused() {
    assert!(problem(&GOOD.replace("mode: Automatic", "mode: !secret Automatic")).contains("the YAML tag"));
    let merged = GOOD.replace("objectives: {rto: 30s, rpo: 5s}", "objectives: {<<: {rto: 30s}}");
    assert!(problem(&merged).contains("merge key"), "{:?}", problems(&merged));
}

#[test]
fn what_kubectl_prints_is_taken() {
    let text = GOOD.replace(
        "metadata: {name: checkout, namespace: shop}",
        "metadata: {name: checkout, namespace: shop, uid: 1-2, resourceVersion: '5', generation: 3, creationTimestamp: '2026-01-01T00:00:00Z', managedFields: [{manager: kubectl}], labels: {a: b}}",
    );
    let policies = load_policy_file(&format!("{text}status: {{}}\n")).expect("good");
    assert_eq!(policies[0].metadata.generation, Some(3));
}

#[test]
fn the_namespace_is_default_unless_given() {
    let policies = load_policy_file(&GOOD.replace(", namespace: shop", "")).expect("good");
    assert_eq!(policies[0].metadata.namespace.as_deref(), Some("default"));
}

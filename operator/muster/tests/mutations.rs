//! Random damage to good policies: never a panic, and always either good or a problem with its field.

use kube_cel::{ErrorKind, Validator};
use muster::convert::validate::validate_text;
use muster::convert::{Environment, UnresolvedSecrets};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_yaml_ng::Value;
use std::path::Path;

const CASES: u64 = 3000;

fn good_policies() -> Vec<String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    ["tests/policies/good/compact.yaml", "tests/policies/good/least.yaml", "../../crds/examples/local.yaml"]
        .iter()
        .map(|file| std::fs::read_to_string(here.join(file)).expect("the file"))
        .collect()
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Mapping(map) => map.values().map(count).sum(),
        Value::Sequence(items) => items.iter().map(count).sum(),
        _ => 0,
    }
}

/// Calls `change` with the n-th node below the root's own fields, by its parent.
fn visit(value: &mut Value, n: &mut usize, change: &mut impl FnMut(&mut Value, usize)) {
    let children = match &*value {
        Value::Mapping(map) => map.len(),
        Value::Sequence(items) => items.len(),
        _ => 0,
    };
    for index in 0..children {
        if *n == 0 {
            *n = usize::MAX;
            return change(value, index);
        }
        *n -= 1;
        let child = match value {
            Value::Mapping(map) => map.values_mut().nth(index),
            Value::Sequence(items) => items.get_mut(index),
            _ => None,
        };
        if let Some(child) = child {
            visit(child, n, change);
        }
        if *n == usize::MAX {
            return;
        }
    }
}

fn strange_value(random: &mut StdRng) -> Value {
    let values = [
        "null",
        "true",
        "0",
        "-1",
        "9999999999999999",
        "1.5",
        "''",
        "x",
        "east",
        "orders",
        "0s",
        "5s",
        "99h",
        "{}",
        "[]",
        "[x]",
        "{a: b}",
        "[[]]",
        "'{{ region.name }}'",
        "'{{'",
        "'status == 1'",
        "'\u{fffd}é'",
        "http://x/",
        "127.0.0.1:1",
        "Primary",
        "Standby",
        "Automatic",
        "'on'",
        "::1",
        ".",
        "-",
    ];
    serde_yaml_ng::from_str(values.choose(random).expect("not empty")).expect("YAML")
}

fn damage(policy: &mut Value, random: &mut StdRng) {
    let mut n = random.random_range(0..count(policy).saturating_sub(1).max(1));
    let (kind, strange) = (random.random_range(0..5), strange_value(random));
    visit(policy, &mut n, &mut |parent, index| match parent {
        Value::Sequence(items) => match kind {
            0 => drop(items.remove(index)),
            1 => items.push(items[index].clone()),
            2 => items.rotate_left(index),
            _ => items[index] = strange.clone(),
        },
        Value::Mapping(map) => {
            let Some((key, value)) = map.iter().nth(index).map(|(k, v)| (k.clone(), v.clone())) else {
                return;
            };
            match kind {
                0 => drop(map.remove(&key)),
                1 => drop(map.insert(Value::String(format!("{}x", key.as_str().unwrap_or("k"))), value)),
                2 => {
                    map.remove(&key);
                    map.insert(Value::String("name".into()), value);
                }
                _ => drop(map.insert(key, strange.clone())),
            }
        }
        _ => {}
    });
}

fn check(text: &str, seed: u64) -> bool {
    let report = validate_text(text, Environment::Local, &UnresolvedSecrets);
    let errors: Vec<_> = report.problems.iter().filter(|p| p.is_error()).collect();
    assert!(report.good.len() + errors.len() > 0, "seed {seed}: neither good nor bad:\n{text}");
    for error in &errors {
        assert!(!error.message.is_empty() && !error.fix.is_empty(), "seed {seed}: {error:?}\n{text}");
        assert!(
            !error.path.is_empty() || error.line.is_some() || text.len() < 200,
            "seed {seed}: {error:?}\n{text}"
        );
    }
    !report.good.is_empty()
}

#[test]
fn damaged_nodes_are_good_or_named() {
    let policies = good_policies();
    let mut taken = 0;
    for seed in 0..CASES {
        let mut random = StdRng::seed_from_u64(seed);
        let source = policies.choose(&mut random).expect("not empty");
        let mut policy: Value = serde_yaml_ng::from_str(source).expect("YAML");
        for _ in 0..random.random_range(1..4) {
            damage(&mut policy, &mut random);
        }
        let text = serde_yaml_ng::to_string(&policy).expect("prints");
        if check(&text, seed) {
            taken += 1;
            assert_api_server_agrees(&policy, seed);
        }
    }
    assert!(taken > 50 && taken < CASES / 2, "{taken} of {CASES} are good");
}

/// What is taken here breaks no rule there, and lets every rule be evaluated.
fn assert_api_server_agrees(policy: &Value, seed: u64) {
    let mut object = serde_json::to_value(policy).expect("JSON");
    drop_nulls(&mut object);
    if let Err(errors) = Validator::new().validate(muster_crds::schema::policy_schema(), &object, None) {
        let errors: Vec<_> =
            errors.into_iter().filter(|e| e.kind != ErrorKind::UnsupportedReference).collect();
        assert!(errors.is_empty(), "seed {seed}: {errors:#?}\n{object:#}");
    }
}

fn drop_nulls(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[test]
fn damaged_text_is_good_or_named() {
    let policies = good_policies();
    for seed in 0..CASES {
        let mut random = StdRng::seed_from_u64(seed);
        let mut text: Vec<char> = policies.choose(&mut random).expect("not empty").chars().collect();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..text.len());
            match random.random_range(0..4) {
                0 => drop(text.remove(at)),
                1 => text.insert(
                    at,
                    *"{}[]:,&*!|>'\"%@`#-? \n\t\0é"
                        .chars()
                        .collect::<Vec<_>>()
                        .choose(&mut random)
                        .expect("one"),
                ),
                2 => text.truncate(at.max(1)),
                _ => {
                    let end = (at + random.random_range(1..80)).min(text.len());
                    let piece: Vec<char> = text[at..end].to_vec();
                    text.splice(at..at, piece);
                }
            }
        }
        check(&text.into_iter().collect::<String>(), seed);
    }
}

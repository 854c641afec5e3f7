//! The committed files are what the types say, and the definition is one that an API server takes.

use muster_crds::{RegionFailoverPolicy, load_policy_file, reference, schema};
use serde_json::Value;

const EXAMPLE: &str = include_str!("../examples/local.yaml");

#[test]
fn the_committed_definitions_are_current() {
    for folder in ["generated", "../charts/muster/crds"] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for definition in schema::definitions() {
            let path = folder.join(definition.file);
            let committed = std::fs::read_to_string(&path).expect("the file is committed");
            assert!(
                committed == definition.yaml(),
                "{} is stale: run `cargo run -p muster-crds --bin crdgen -- --write`",
                path.display()
            );
        }
        // A kind that is no more must not be installed any more.
        let files = std::fs::read_dir(&folder).expect("the folder is committed").count();
        assert_eq!(files, schema::definitions().len(), "{}", folder.display());
    }
}

#[test]
fn the_committed_reference_is_current() {
    let committed = include_str!("../../docs/policy.md");
    assert!(
        committed == reference::policy_reference(),
        "stale: run `cargo run -p muster-crds --bin crdgen -- --write`"
    );
}

/// Calls `see` with every schema below, and its path.
fn walk(schema: &Value, path: &str, see: &mut impl FnMut(&Value, &str)) {
    see(schema, path);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(property, &format!("{path}.{name}"), see);
    }
    for (key, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(inner) = schema.get(key) {
            walk(inner, &format!("{path}{suffix}"), see);
        }
    }
}

/// Calls `see` with every schema of every definition.
fn walk_all(see: &mut impl FnMut(&Value, &str)) {
    for definition in schema::definitions() {
        let kind = definition.crd["spec"]["names"]["kind"].as_str().unwrap_or_default();
        walk(definition.schema(), kind, see);
    }
}

#[test]
fn the_schemas_are_structural() {
    walk_all(&mut |schema, path| {
        assert!(schema["type"].is_string(), "{path} has no type");
        for key in
            ["$ref", "anyOf", "oneOf", "allOf", "not", "nullable", "uniqueItems", "$schema", "definitions"]
        {
            assert!(schema.get(key).is_none(), "{path} has {key}");
        }
        let is_both = schema.get("properties").is_some() && schema.get("additionalProperties").is_some();
        assert!(!is_both, "{path} has properties and additionalProperties");
        assert_ne!(schema.get("additionalProperties"), Some(&Value::Bool(false)), "{path}");
    });
}

#[test]
fn everything_is_bounded_and_described() {
    walk_all(&mut |schema, path| {
        if !path.contains(".spec.") && !path.contains(".status.") {
            return;
        }
        match schema["type"].as_str() {
            Some("array") => assert!(schema["maxItems"].is_u64(), "{path} has no maxItems"),
            Some("string") if schema.get("enum").is_none() => {
                assert!(schema["maxLength"].is_u64(), "{path} has no maxLength");
            }
            Some("integer") if path.contains(".spec.") && !path.starts_with("FailoverJournal") => {
                assert!(schema["maximum"].is_i64(), "{path} has no maximum");
            }
            Some("object") if schema.get("additionalProperties").is_some() => {
                assert!(schema["maxProperties"].is_u64(), "{path} has no maxProperties");
            }
            _ => {}
        }
        let inner = path.ends_with("[]") || path.ends_with("{}");
        assert!(inner || schema["description"].is_string(), "{path} has no description");
    });
}

#[test]
fn lists_of_objects_are_keyed_by_a_required_field() {
    walk_all(&mut |schema, path| {
        if schema["items"]["properties"].is_object() {
            assert_eq!(schema["x-kubernetes-list-type"], "map", "{path}");
            let key = &schema["x-kubernetes-list-map-keys"][0];
            let required = schema["items"]["required"].as_array().expect("required fields");
            assert!(required.contains(key), "{path}: {key}");
        }
    });
}

#[test]
fn every_pattern_compiles_and_takes_its_default() {
    walk_all(&mut |schema, path| {
        if let Some(pattern) = schema["pattern"].as_str() {
            let pattern = regex::Regex::new(pattern).expect(path);
            if let Some(default) = schema["default"].as_str() {
                assert!(pattern.is_match(default), "{path}: {default}");
            }
        }
    });
}

#[test]
fn kubectl_finds_it_by_its_short_name_and_category() {
    let names = &schema::policy_crd()["spec"]["names"];
    assert_eq!(names["shortNames"][0], "rfp");
    assert_eq!(names["categories"][0], "muster");
    assert!(schema::policy_crd()["spec"]["versions"][0]["subresources"]["status"].is_object());
}

/// Fills in defaults as the API server does: a missing field that has one, outside in.
fn apply_defaults(schema: &Value, value: &mut Value) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let fields = value.as_object_mut().expect("fields");
        if let Some(default) = property.get("default") {
            fields.entry(name.clone()).or_insert_with(|| default.clone());
        }
        if let Some(inner) = fields.get_mut(name) {
            match inner {
                Value::Object(_) => apply_defaults(property, inner),
                Value::Array(items) => {
                    items
                        .iter_mut()
                        .filter(|i| i.is_object())
                        .for_each(|i| apply_defaults(&property["items"], i));
                }
                _ => {}
            }
        }
    }
}

/// Nothing that has a default; one item of each kind.
const MINIMAL: &str = "
apiVersion: muster.dev/v1alpha1
kind: RegionFailoverPolicy
metadata: {name: a}
spec:
  regions: [{name: east}, {name: west}]
  probes:
  - {name: p, tcp: {address: 'a:1'}}
  - {name: s, suite: [{name: x, get: 'http://x'}]}
  - {name: h, http: {get: 'http://x'}}
  - {name: d, dns: {server: 's:53', name: x.example.com}}
  publicProbe: {http: {get: 'http://x'}}
  data:
  - name: d
    postgres:
      database: x
      user: m
      passwordSecret: {name: a, key: b}
      application: {user: u, passwordSecret: {name: a, key: b}}
      nodes: [{region: east, host: a}, {region: west, host: b}]
      rejoin: {exec: {command: [x]}}
  - name: e
    auroraGlobal:
      cluster: g
      members:
      - {region: east, clusterArn: 'arn:aws:rds:us-east-1:111122223333:cluster:a', host: a, readerHost: a}
      - {region: west, clusterArn: 'arn:aws:rds:us-west-2:111122223333:cluster:b', host: b, readerHost: b}
      database: x
      user: m
      passwordSecret: {name: a, key: b}
  - name: f
    rdsReplica:
      instances:
      - {region: east, instanceArn: 'arn:aws:rds:us-east-1:111122223333:db:a', host: a}
      - {region: west, instanceArn: 'arn:aws:rds:us-west-2:111122223333:db:b', host: b}
      database: x
      user: m
      passwordSecret: {name: a, key: b}
      application: {user: u, passwordSecret: {name: a, key: b}}
  traffic:
  - name: t
    rfc2136:
      servers: ['127.0.0.1:53']
      zone: example.com
      record: x.example.com
      tsig: {keyName: k, secret: {name: a, key: b}}
      targets: [{region: east, address: 127.0.0.1}, {region: west, address: 127.0.0.2}]
  - name: u
    route53:
      zoneId: Z1
      zone: example.com
      record: x.example.com
      nameServers: [ns-1.awsdns-00.com]
      flip: {record: {targets: [{region: east, address: 127.0.0.1}, {region: west, address: 127.0.0.2}]}}
  - name: v
    route53:
      zoneId: Z1
      zone: example.com
      record: y.example.com
      nameServers: [ns-1.awsdns-00.com]
      flip:
        healthObject:
          secret: {name: a, key: b}
          regions:
          - {region: east, address: 127.0.0.1, bucket: muster-east, bucketRegion: us-east-1, healthCheckId: a}
          - {region: west, address: 127.0.0.2, bucket: muster-west, bucketRegion: us-west-2, healthCheckId: b}
  - name: w
    route53:
      zoneId: Z1
      zone: example.com
      record: z.example.com
      nameServers: [ns-1.awsdns-00.com]
      flip:
        routingControl:
          endpoints: [{region: us-east-1, url: https://a.example.com/v1}, {region: us-west-2, url: https://b.example.com/v1}]
          regions:
          - {region: east, address: 127.0.0.1, healthCheckId: c, routingControlArn: arn:aws:route53-recovery-control::111122223333:controlpanel/1/routingcontrol/1}
          - {region: west, address: 127.0.0.2, healthCheckId: d, routingControlArn: arn:aws:route53-recovery-control::111122223333:controlpanel/1/routingcontrol/2}
  fence: [{name: f, sql: {data: d}}]
  hooks: [{name: h, at: AfterPromote, exec: {command: [x]}}]
";

#[test]
fn the_schema_and_the_types_have_the_same_defaults() {
    let policies = load_policy_file(MINIMAL).expect("fits the schema");
    let by_types = serde_json::to_value(&policies[0].spec).expect("serializes");
    let mut by_schema: Value = serde_yaml_ng::from_str(MINIMAL).expect("YAML");
    apply_defaults(schema::policy_schema(), &mut by_schema);
    assert_eq!(by_types, by_schema["spec"]);
}

#[test]
fn the_example_reads_and_prints_back() {
    let policies = load_policy_file(EXAMPLE).expect("the example is good");
    let printed = serde_yaml_ng::to_string(&policies[0]).expect("prints");
    let again: Vec<RegionFailoverPolicy> = load_policy_file(&printed).expect("reads back");
    assert_eq!(policies, again);
}

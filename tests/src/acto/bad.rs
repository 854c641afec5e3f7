//! What people get wrong: specs that the API server takes and no policy can be made of, and rules across fields.

use super::edits::set;
use super::random::Random;
use super::sane::PLACE;
use serde_json::{Value, json};

/// A mistake: its name, where, and what stands there then. A text is JSON, or else a text; empty: taken away.
type Mistake = (&'static str, &'static [(&'static str, &'static str)]);

/// The API server cannot see these.
#[rustfmt::skip]
const UNUSABLE: &[Mistake] = &[
    ("a template of an unknown field", &[("/probes/-", r#"{"name": "x", "side": "Both", "http": {"get": "http://127.0.0.1:1/{{ region.nam }}"}}"#)]),
    ("a template without an end", &[("/probes/-", r#"{"name": "x", "side": "Both", "tcp": {"address": "{{ region.name:1"}}"#)]),
    ("a template of an unknown value", &[("/probes/-", r#"{"name": "x", "http": {"get": "http://127.0.0.1:1/{{ region.values.nope }}"}}"#)]),
    ("a template of a later step", &[("/probes/-", r#"{"name": "x", "suite": [{"name": "a", "get": "http://127.0.0.1:1/{{ id }}"}, {"name": "b", "get": "http://127.0.0.1:1/", "save": {"id": "body.id"}}]}"#)]),
    ("an expression that does not parse", &[("/probes/-", r#"{"name": "x", "http": {"get": "http://127.0.0.1:1/", "expect": ["status =="]}}"#)]),
    ("an expression of an unknown variable", &[("/probes/-", r#"{"name": "x", "http": {"get": "http://127.0.0.1:1/", "expect": ["statuz == 200"]}}"#)]),
    ("an expression that is a number", &[("/probes/-", r#"{"name": "x", "http": {"get": "http://127.0.0.1:1/", "expect": ["status + 1"]}}"#)]),
    ("an address without a port", &[("/probes/-", r#"{"name": "x", "side": "Both", "tcp": {"address": "127.0.0.1"}}"#)]),
    ("a header of two lines", &[("/probes/-", r#"{"name": "x", "http": {"get": "http://127.0.0.1:1/", "headers": {"a": "b\nc: d"}}}"#)]),
    ("a header without a name", &[("/probes/-", r#"{"name": "x", "http": {"get": "http://127.0.0.1:1/", "headers": {"a b": "c"}}}"#)]),
    ("a probe of a file", &[("/probes/-", r#"{"name": "x", "http": {"get": "file:///etc/passwd"}}"#)]),
    ("an authority that is no certificate", &[("/probes/-", r#"{"name": "x", "http": {"get": "https://127.0.0.1:1/", "tls": {"caSecret": {"name": "api", "key": "junk"}}}}"#)]),
    ("two heartbeats of one item", &[("/probes/-", r#"{"name": "x", "heartbeat": {"data": "@DATA@"}}"#), ("/probes/-", r#"{"name": "y", "heartbeat": {"data": "@DATA@"}}"#)]),
    ("a Secret that is not there", &[("/data/0/postgres/passwordSecret/name", "nope")]),
    ("a key that is not there", &[("/data/0/postgres/application/passwordSecret/key", "nope")]),
    ("a Secret that is no text", &[("/data/0/postgres/passwordSecret", r#"{"name": "api", "key": "binary"}"#)]),
    ("a Secret that is empty", &[("/data/0/postgres/passwordSecret", r#"{"name": "api", "key": "empty"}"#)]),
    ("a database's authority that is no certificate", &[("/data/0/postgres/tls", r#"{"mode": "VerifyFull", "caSecret": {"name": "api", "key": "junk"}}"#)]),
    ("a webhook's authority that is no certificate", &[("/hooks", r#"[{"name": "x", "at": "AfterTraffic", "repeatSafe": true, "webhook": {"url": "https://127.0.0.1:1/", "caSecret": {"name": "api", "key": "junk"}}}]"#)]),
    ("a rejoin's authority that is no certificate", &[("/data/0/postgres/rejoin", r#"{"webhook": {"url": "https://127.0.0.1:1/", "caSecret": {"name": "api", "key": "junk"}}}"#)]),
    ("a hook that is a program", &[("/hooks", r#"[{"name": "x", "at": "AfterTraffic", "repeatSafe": true, "exec": {"command": ["/bin/true"]}}]"#)]),
    ("a fence that is a program", &[("/fence", r#"[{"name": "x", "exec": {"fence": ["/bin/true"], "status": ["/bin/true"]}}]"#)]),
    ("a rejoin that is a program", &[("/data/0/postgres/rejoin", r#"{"exec": {"command": ["/bin/true"]}}"#)]),
    ("a webhook that is no URL", &[("/hooks", r#"[{"name": "x", "at": "BeforeFence", "repeatSafe": true, "webhook": {"url": "not a URL"}}]"#)]),
    ("a webhook with a password", &[("/hooks", r#"[{"name": "x", "at": "BeforeFence", "repeatSafe": true, "webhook": {"url": "http://kim:hunter2@127.0.0.1/"}}]"#)]),
    ("an anchor of an unknown scheme", &[("/detection/anchors", r#"["ftp://127.0.0.1/"]"#)]),
    ("an anchor without a port", &[("/detection/anchors", r#"["tcp://127.0.0.1"]"#)]),
    ("a host with a port", &[("/data/0/postgres/nodes/0/host", "127.0.0.1:1")]),
    ("a host that is nearly an address", &[("/data/0/postgres/nodes/0/host", "300.1.2.3")]),
    ("one node for two regions", &[("/data/0/postgres/nodes/0/host", "@HOST@"), ("/data/0/postgres/nodes/1/host", "@HOST@")]),
    ("a name server by name", &[("/traffic", r#"[{"name": "x", "rfc2136": {"servers": ["ns.example.com:53"], "zone": "example.com", "record": "x.example.com", "tsig": {"keyName": "k", "secret": {"name": "dns", "key": "tsig"}}, "targets": @TARGETS@}}]"#)]),
    ("a record outside its zone", &[("/traffic", r#"[{"name": "x", "rfc2136": {"servers": ["127.0.0.1:1"], "zone": "example.com", "record": "x.example.org", "tsig": {"keyName": "k", "secret": {"name": "dns", "key": "tsig"}}, "targets": @TARGETS@}}]"#)]),
    ("a key that is not base64", &[("/traffic", r#"[{"name": "x", "rfc2136": {"servers": ["127.0.0.1:1"], "zone": "example.com", "record": "@RECORD@", "tsig": {"keyName": "k", "secret": {"name": "api", "key": "junk"}}, "targets": @TARGETS@}}]"#)]),
    ("a key that is short", &[("/traffic", r#"[{"name": "x", "rfc2136": {"servers": ["127.0.0.1:1"], "zone": "example.com", "record": "@RECORD@", "tsig": {"keyName": "k", "secret": {"name": "api", "key": "short"}}, "targets": @TARGETS@}}]"#)]),
    ("a zone that is a URL", &[("/traffic", r#"[{"name": "x", "rfc2136": {"servers": ["127.0.0.1:1"], "zone": "http://x", "record": "@RECORD@", "tsig": {"keyName": "k", "secret": {"name": "dns", "key": "tsig"}}, "targets": @TARGETS@}}]"#)]),
    ("two targets of one address", &[("/traffic", r#"[{"name": "x", "rfc2136": {"servers": ["127.0.0.1:1"], "zone": "example.com", "record": "@RECORD@", "tsig": {"keyName": "k", "secret": {"name": "dns", "key": "tsig"}}, "targets": @SAME@}}]"#)]),
    ("a public name with a password", &[("/publicProbe", r#"{"http": {"get": "http://kim:hunter2@127.0.0.1:1/"}}"#)]),
    ("a public probe with a template", &[("/publicProbe", r#"{"http": {"get": "http://{{ region.name }}/"}}"#)]),
];

/// Rules of the schema that speak of more than one field.
#[rustfmt::skip]
const AGAINST_A_RULE: &[Mistake] = &[
    ("a timeout longer than every", &[("/probes/0/timeout", "9s"), ("/probes/0/every", "8s")]),
    ("an aggregate of no probe", &[("/detection/aggregate", r#"{"require": ["none"]}"#)]),
    ("an aggregate of both kinds", &[("/detection/aggregate", r#"{"require": ["api"], "atLeast": 1}"#)]),
    ("a heartbeat of no data", &[("/probes/-", r#"{"name": "x", "heartbeat": {"data": "none"}}"#)]),
    ("a reset that is quicker", &[("/detection/reset", r#"{"successes": 1000, "minHealthy": "1s"}"#), ("/detection/trip", r#"{"minOutage": "2s"}"#)]),
    ("a vantage named controller", &[("/vantages", r#"[{"name": "controller", "tokenSecret": {"name": "vantages", "key": "token"}}]"#)]),
    ("a vantage in no region", &[("/vantages", r#"[{"name": "v", "region": "nowhere", "tokenSecret": {"name": "vantages", "key": "token"}}]"#)]),
    ("a region more than nodes", &[("/regions/-", r#"{"name": "more"}"#)]),
    ("a region less than nodes", &[("/data/0/postgres/nodes/0", ""), ("/data/0/postgres/nodes/-", r#"{"region": "nowhere", "host": "x"}"#)]),
    ("a fence of no data", &[("/fence", r#"[{"name": "x", "sql": {"data": "none"}}]"#)]),
    ("two kinds of probe", &[("/probes/0/grpc", r#"{"address": "a:1"}"#), ("/probes/0/tcp", r#"{"address": "a:1"}"#)]),
    ("a role that locks itself out", &[("/data/0/postgres/user", "shop")]),
    ("automatic without a public name", &[("/mode", "Automatic"), ("/publicProbe", "")]),
    ("a hook required too late", &[("/hooks", r#"[{"name": "x", "at": "AfterTraffic", "required": true, "repeatSafe": true, "webhook": {"url": "http://127.0.0.1:1/"}}]"#)]),
];

/// Makes a mistake that only the conversion finds. Answers its name.
pub(super) fn make_unusable(random: &mut Random, spec: &mut Value) -> String {
    apply(random.pick(UNUSABLE), spec)
}

/// Breaks a rule across fields. Answers its name.
pub(super) fn break_a_rule(random: &mut Random, spec: &mut Value) -> String {
    apply(random.pick(AGAINST_A_RULE), spec)
}

fn apply((name, edits): &Mistake, spec: &mut Value) -> String {
    let regions = spec["regions"].as_array().cloned().unwrap_or_default();
    let targets = |same: bool| -> Value {
        let address = |index: usize| format!("127.{PLACE}.{}", if same { 1 } else { index + 1 });
        regions.iter().enumerate().map(|(i, r)| json!({"region": r["name"], "address": address(i)})).collect()
    };
    let words = [
        ("@DATA@", spec["data"][0]["name"].as_str().unwrap_or_default().to_owned()),
        ("@HOST@", format!("127.{PLACE}.99")),
        ("@RECORD@", format!("x{PLACE}.example.com")),
        ("@TARGETS@", targets(false).to_string()),
        ("@SAME@", targets(true).to_string()),
    ];
    for (pointer, text) in *edits {
        let mut text = (*text).to_owned();
        for (word, value) in &words {
            text = text.replace(word, value);
        }
        let value = serde_json::from_str(&text).unwrap_or_else(|_| json!(text));
        set(spec, pointer, (!text.is_empty()).then_some(value));
    }
    (*name).to_owned()
}

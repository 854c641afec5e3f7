//! Policies that are good: parts chosen at random, put together as the rules want them.
//!
//! Nothing ever acts on them: databases, name servers and endpoints are closed ports on loopback. [`PLACE`] stands for
//! two parts of an address that no other policy has, so that no two policies steer the same thing.

use super::random::Random;
use serde_json::{Value, json};

/// Replaced in each policy's text by its own.
pub(super) const PLACE: &str = "@PLACE@";
/// Longer than any suite runs. A probe that has failed for long enough stays tripped whatever a later spec says, and so an
/// old policy would differ from a new one.
const NEVER: &str = "999999h";

const REGIONS: [&str; 5] = ["east", "west", "north", "south", "r1"];

/// A policy's spec.
pub(super) fn spec(random: &mut Random) -> Value {
    let regions = random.some(&REGIONS, 2, 4);
    let data = data(random, &regions);
    let mode = *random.pick(&["Observe", "Approve", "Automatic"]);
    let automatic = mode == "Automatic";
    let fence = fences(random, automatic);
    let mut spec = json!({
        "mode": mode,
        "regions": region_list(random, &regions),
        "probes": probes(random, &data),
        "data": data,
        "detection": detection(random, automatic),
        "safety": safety(random, &fence),
    });
    let traffic: Vec<Value> = (0..random.below(3)).map(|n| record(random, &regions, n)).collect();
    for (field, items) in [
        ("fence", fence),
        ("traffic", traffic),
        ("hooks", hooks(random)),
        ("vantages", vantages(random, automatic)),
    ] {
        // A list of nothing and no list are two spellings that must come to the same.
        if !items.is_empty() || random.chance(20) {
            spec[field] = Value::Array(items);
        }
    }
    if automatic || random.chance(50) {
        spec["publicProbe"] = public_probe(random);
    }
    if random.chance(50) {
        spec["objectives"] =
            json!({"rto": random.pick(&["1m", "5m", "90s"]), "rpo": random.pick(&["0s", "30s"])});
    }
    if !automatic && random.chance(15) {
        spec.as_object_mut().map(|fields| fields.remove("mode"));
    }
    spec
}

fn region_list(random: &mut Random, regions: &[&str]) -> Vec<Value> {
    let zones = random.chance(50);
    let region = |(index, name): (usize, &&str)| {
        let mut values = json!({"api": format!("http://127.{PLACE}.{}:1", index + 1)});
        if zones {
            values["zone"] = json!(format!("{name}-a"));
        }
        json!({"name": name, "values": values})
    };
    regions.iter().enumerate().map(region).collect()
}

fn vantages(random: &mut Random, automatic: bool) -> Vec<Value> {
    let most = 2 + random.below(3);
    let count = if automatic { most } else { random.below(most) };
    let token =
        |n: usize| json!({"name": format!("v{n}"), "tokenSecret": {"name": "vantages", "key": "token"}});
    (0..count).map(token).collect()
}

fn data(random: &mut Random, regions: &[&str]) -> Value {
    let items = random.some(&["orders", "ledger", "stock"], 1, 2);
    let item = |(number, name): (usize, &&str)| {
        let node = |(index, region): (usize, &&str)| json!({"region": region, "host": format!("127.{PLACE}.{}", 10 * (number + 1) + index), "port": 1 + number});
        let mut postgres = json!({
            "database": "shop", "user": "muster", "passwordSecret": {"name": "pg", "key": "muster"},
            "application": {"user": "shop", "passwordSecret": {"name": "pg", "key": "shop"}},
            "nodes": regions.iter().enumerate().map(node).collect::<Vec<_>>(),
        });
        if let Some(mode) = [None, Some("Disable"), Some("Require"), Some("VerifyFull")][random.below(4)] {
            postgres["tls"] = json!({"mode": mode});
        }
        if random.chance(40) {
            let webhook =
                json!({"url": "http://127.0.0.1:1/rejoin", "signingSecret": {"name": "api", "key": "sign"}});
            postgres["rejoin"] = json!({"webhook": webhook, "timeout": random.pick(&["1s", "1m", "24h"])});
        }
        if random.chance(30) {
            postgres["noAck"] =
                json!({"clientsNeverLowerCommit": true, "listIsNotEdited": random.chance(50)});
        }
        if random.chance(30) {
            postgres["promoteTimeout"] = json!(random.pick(&["1s", "5s", "1h"]));
        }
        json!({"name": name, "postgres": postgres})
    };
    items.iter().enumerate().map(item).collect()
}

fn probes(random: &mut Random, data: &Value) -> Vec<Value> {
    let first = data[0]["name"].clone();
    let http = json!({"get": "{{ region.values.api }}/healthz", "expect": ["status == 200"]});
    let kinds = [
        json!({"name": "order", "suite": [
            {"name": "add", "post": "{{ region.values.api }}/orders", "body": "{}", "expect": ["status == 201"],
                "save": {"id": "body.id"}, "secretHeaders": [{"name": "authorization", "secret": {"name": "api", "key": "canary"}}]},
            {"name": "drop", "delete": "{{ region.values.api }}/orders/{{ id }}", "always": true},
        ]}),
        json!({"name": "port", "side": "Standby", "tcp": {"address": format!("127.{PLACE}.1:2")}}),
        json!({"name": "rpc", "side": "Both", "grpc": {"address": format!("127.{PLACE}.1:3"), "service": "shop"}}),
        json!({"name": "name", "dns": {"server": format!("127.{PLACE}.1:4"), "name": "{{ region.name }}.example.com", "type": "AAAA"}}),
        json!({"name": "rows", "side": "Both", "sql": {"data": first, "query": "select 1 as n", "expect": ["row.n == 1"]}}),
        json!({"name": "beat", "heartbeat": {"data": first}}),
    ];
    let mut probes = random.some(&kinds, 0, 4);
    let at = random.below(probes.len() + 1);
    probes.insert(at, json!({"name": "api", "side": "Both", "http": http}));
    for probe in &mut probes {
        let (every, timeout) =
            *random.pick(&[("5s", "3s"), ("2s", "2s"), ("1h", "1s"), ("1s500ms", "300ms")]);
        if random.chance(60) {
            (probe["every"], probe["timeout"]) = (json!(every), json!(timeout));
        }
    }
    probes
}

fn public_probe(random: &mut Random) -> Value {
    let mut probe = json!({"http": {"get": format!("http://n{PLACE}.example.com:1/healthz")}, "every": "2s", "timeout": "1s"});
    if random.chance(50) {
        probe["resolver"] = json!("127.0.0.1:1");
    }
    if random.chance(50) {
        probe["successes"] = json!(1 + random.below(100));
    }
    probe
}

fn detection(random: &mut Random, automatic: bool) -> Value {
    let quorum = if automatic { 2 } else { 1 + random.below(4) };
    let failures = 1 + random.below(5);
    let aggregate = if random.chance(50) { json!({"require": ["api"]}) } else { json!({"atLeast": 1}) };
    let anchors = random.some(&["http://127.0.0.1:1/", "tcp://127.0.0.1:2", "https://127.0.0.1:3/"], 1, 3);
    let mut detection = json!({
        "quorum": {"vantages": quorum},
        "trip": {"failures": failures, "minOutage": NEVER},
        "reset": {"successes": failures + random.below(3), "minHealthy": NEVER},
        "aggregate": aggregate,
    });
    if automatic || random.chance(50) {
        detection["anchors"] = json!(anchors);
    }
    detection
}

fn record(random: &mut Random, regions: &[&str], number: usize) -> Value {
    let target = |(index, region): (usize, &&str)| json!({"region": region, "address": format!("127.{PLACE}.{}", index + 1)});
    let dns = json!({
        "servers": random.some(&["127.0.0.1:1", "127.0.0.1:2"], 1, 2),
        "zone": "example.com", "record": format!("t{number}n{PLACE}.example.com"),
        "ttl": random.pick(&["1s", "5s", "24h"]), "timeout": random.pick(&["1s", "10s"]),
        "tsig": {"keyName": "muster", "algorithm": random.pick(&["hmac-sha256", "hmac-sha512"]),
            "secret": {"name": "dns", "key": "tsig"}},
        "targets": regions.iter().enumerate().map(target).collect::<Vec<_>>(),
    });
    json!({"name": format!("name-{number}"), "rfc2136": dns})
}

fn fences(random: &mut Random, automatic: bool) -> Vec<Value> {
    let url = |verb: &str| format!("http://127.0.0.1:1/{verb}");
    let power = json!({"name": "power", "webhook": {
        "fence": url("off"), "status": url("status"), "unfence": url("on"), "signingSecret": {"name": "api", "key": "sign"},
    }, "attempts": 1 + random.below(10)});
    let least = usize::from(automatic);
    random.some(
        &[
            power,
            json!({"name": "tool", "webhook": {"fence": url("a"), "status": url("b")}, "proof": "Attested"}),
        ],
        least,
        2,
    )
}

fn hooks(random: &mut Random) -> Vec<Value> {
    let hook = |name: &str, at: &str, required: bool| {
        json!({"name": name, "at": at, "required": required, "webhook": {
            "url": "http://127.0.0.1:1/a", "statusUrl": "http://127.0.0.1:1/b"}})
    };
    let all = [
        hook("drain", "BeforeFence", true),
        hook("warm", "AfterPromote", false),
        hook("tell", "AfterTraffic", false),
    ];
    random.some(&all, 0, 3)
}

fn safety(random: &mut Random, fence: &[Value]) -> Value {
    let mut safety = json!({"cooldown": random.pick(&["0s", "1h", "1h30m"])});
    if !fence.is_empty() {
        safety["accept"] = json!(random.some(&["Attested"], 1, 1));
    }
    if random.chance(30) {
        safety["maxEstimatedLoss"] = json!("45s");
    }
    if random.chance(30) {
        safety["withoutFence"] = json!({"maxLoss": "5s", "after": "20s"});
    }
    safety
}

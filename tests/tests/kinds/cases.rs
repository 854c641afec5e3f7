//! What the kinds take and refuse, as a table: the good objects, edits of them, and what the API server says.

use serde_json::{Value, json};

pub(super) const NAMESPACE: &str = "shop";

/// An edit: where (a JSON pointer; `-` is one more in a list), and the JSON there. A text needs no quotes, and the empty
/// text takes the field away.
pub(super) type Edit = (&'static str, &'static str);

/// A case: its name, the edits, and the field and the reason of the refusal; `None`: it is taken.
pub(super) type Case = (&'static str, &'static [Edit], Option<(&'static str, &'static str)>);

/// Automatic, with one of everything.
pub(super) fn good_policy() -> Value {
    let secret = json!({"name": "pg", "key": "muster"});
    json!({
        "apiVersion": "muster.dev/v1alpha1", "kind": "RegionFailoverPolicy",
        "metadata": {"name": "checkout", "namespace": NAMESPACE},
        "spec": {
            "mode": "Automatic",
            "objectives": {"rto": "5m", "rpo": "30s"},
            "regions": [
                {"name": "east", "values": {"api": "http://127.0.1.1"}, "cluster": {"kubeconfigSecret": secret, "namespace": "shop-east"}},
                {"name": "west", "cluster": {"inCluster": {}}},
            ],
            "vantages": [
                {"name": "v1", "tokenSecret": secret},
                {"name": "v2", "region": "west", "tokenSecret": secret},
            ],
            "probes": [
                {"name": "order", "suite": [{"name": "order", "post": "http://x/", "body": "{}", "save": {"id": "body.id"}}]},
                {"name": "api", "side": "Both", "every": "5s", "timeout": "2s", "http": {"get": "http://x/", "tls": {}}},
                {"name": "beat", "heartbeat": {"data": "orders"}},
                {"name": "rows", "side": "Standby", "sql": {"data": "orders", "query": "select 1"}},
            ],
            "publicProbe": {"http": {"get": "http://shop.example.com/"}},
            "detection": {"aggregate": {"require": ["order"]}, "quorum": {"vantages": 2}, "anchors": ["http://192.0.2.1/"]},
            "data": [{"name": "orders", "postgres": {
                "database": "shop", "user": "muster", "passwordSecret": secret,
                "application": {"user": "shop", "passwordSecret": secret},
                "nodes": [{"region": "east", "host": "127.0.1.2"}, {"region": "west", "host": "127.0.2.2"}],
                "rejoin": {"webhook": {"url": "http://x/"}},
            }}],
            "traffic": [{"name": "shop", "rfc2136": {
                "servers": ["127.0.0.1:53"], "zone": "example.com", "record": "shop.example.com",
                "tsig": {"keyName": "muster", "secret": secret},
                "targets": [{"region": "east", "address": "127.0.1.1"}, {"region": "west", "address": "127.0.2.1"}],
            }}],
            "compute": [{"name": "web", "scale": {
                "target": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "service": "web",
                "to": {"percentOfPeak": 100, "atLeast": 2}, "standbyReplicas": 0,
            }}],
            "fence": [{"name": "logins", "sql": {"data": "orders"}}, {"name": "pods", "scaleToZero": {"compute": ["web"]}}],
            "hooks": [{"name": "warm", "at": "AfterPromote", "webhook": {"url": "http://x/"}, "repeatSafe": true}],
            "safety": {"cooldown": "1h", "accept": ["Attested"]},
        },
    })
}

pub(super) fn good_run() -> Value {
    json!({
        "apiVersion": "muster.dev/v1alpha1", "kind": "FailoverRun",
        "metadata": {"name": "out", "namespace": NAMESPACE},
        "spec": {"policy": "checkout", "kind": "Failover", "to": "west", "reason": "east is down", "by": "kim"},
    })
}

const TRAFFIC: &str = "/spec/traffic/0";
const ROUTE53: &str = r#"{"name": "shop", "route53": {"zoneId": "Z0123456789ABCDEFGHIJ", "zone": "example.com", "record": "shop.example.com",
    "nameServers": ["ns-1.awsdns-00.com"], "roleArn": "arn:aws:iam::111122223333:role/muster", "externalIdSecret": {"name": "a", "key": "b"},
    "flip": {"record": {"targets": [{"region": "east", "address": "192.0.2.1"}, {"region": "west", "address": "192.0.2.2"}]}}}}"#;
const DATA: &str = "/spec/data/0";
const AURORA: &str = r#"{"name": "orders", "auroraGlobal": {"cluster": "orders-global", "database": "shop", "user": "muster",
    "passwordSecret": {"name": "a", "key": "b"}, "members": [
    {"region": "east", "clusterArn": "arn:aws:rds:us-east-1:111122223333:cluster:orders", "host": "a", "readerHost": "a-ro"},
    {"region": "west", "clusterArn": "arn:aws:rds:us-west-2:111122223333:cluster:orders", "host": "b", "readerHost": "b-ro"}]}}"#;
const RDS: &str = r#"{"name": "orders", "rdsReplica": {"database": "shop", "user": "muster", "passwordSecret": {"name": "a", "key": "b"},
    "application": {"user": "shop", "passwordSecret": {"name": "a", "key": "b"}}, "instances": [
    {"region": "east", "instanceArn": "arn:aws:rds:us-east-1:111122223333:db:orders", "host": "a"},
    {"region": "west", "instanceArn": "arn:aws:rds:us-west-2:111122223333:db:orders", "host": "b"}]}}"#;
const SECOND_AURORA: &str = r#"{"name": "bills", "auroraGlobal": {"cluster": "bills-global", "database": "bills",
    "user": "muster", "passwordSecret": {"name": "a", "key": "b"}, "members": [
    {"region": "east", "clusterArn": "arn:aws:rds:us-east-1:111122223333:cluster:bills", "host": "c", "readerHost": "c-ro"},
    {"region": "west", "clusterArn": "arn:aws:rds:us-west-2:111122223333:cluster:bills", "host": "d", "readerHost": "d-ro"}]}}"#;
const EAST: Edit = ("/spec/regions/0/aws", r#"{"region": "us-east-1"}"#);
const WEST: Edit = ("/spec/regions/1/aws", r#"{"region": "us-west-2"}"#);
const FLIP: &str = "/spec/traffic/0/route53/flip";
const HEALTH_OBJECT: &str = r#"{"healthObject": {"secret": {"name": "a", "key": "b"}, "regions": [
    {"region": "east", "address": "192.0.2.1", "bucket": "muster-east", "bucketRegion": "us-east-1", "healthCheckId": "a"},
    {"region": "west", "address": "192.0.2.2", "bucket": "muster-west", "bucketRegion": "us-west-2", "healthCheckId": "b"}]}}"#;
const REGIONS_PATH: &str = "spec.traffic[0].route53.flip.healthObject.regions";
const ROUTING_CONTROL: &str = r#"{"routingControl": {"endpoints": [
    {"region": "us-east-1", "url": "https://a.route53-recovery-cluster.us-east-1.amazonaws.com/v1"},
    {"region": "us-west-2", "url": "https://b.route53-recovery-cluster.us-west-2.amazonaws.com/v1"}], "regions": [
    {"region": "east", "address": "192.0.2.1", "healthCheckId": "a", "routingControlArn": "arn:aws:route53-recovery-control::111122223333:controlpanel/0a/routingcontrol/1b"},
    {"region": "west", "address": "192.0.2.2", "healthCheckId": "b", "routingControlArn": "arn:aws:route53-recovery-control::111122223333:controlpanel/0a/routingcontrol/2c"}]}}"#;
const HOOK: &str = "/spec/fence/0";
const WEBHOOK: &str = r#"{"name": "power", "webhook": {"fence": "http://x/", "status": "http://x/"}}"#;
const SECRET: &str = r#"{"name": "a", "key": "b"}"#;
const DURATION: &str = "should match '^([0-9]{1,6}h)?";

#[rustfmt::skip]
pub(super) const POLICY_CASES: &[Case] = &[
    ("the good policy", &[], None),
    // Rules across parts.
    ("a vantage in no region", &[("/spec/vantages/1/region", "north")], Some(("spec.vantages", "must be one of spec.regions"))),
    ("a vantage named controller", &[("/spec/vantages/0/name", "controller")], Some(("spec.vantages", "stands for the controller's own probes"))),
    ("an aggregate of no probe", &[("/spec/detection/aggregate/require/0", "none")], Some(("spec.detection.aggregate.require", "must name probes whose side"))),
    ("an aggregate of a standby's probe", &[("/spec/detection/aggregate/require/0", "rows")], Some(("spec.detection.aggregate.require", "must name probes whose side"))),
    ("an aggregate above all probes", &[("/spec/detection/aggregate", r#"{"atLeast": 4}"#)], Some(("spec.detection.aggregate.atLeast", "must be at most the number of probes"))),
    ("an aggregate of all probes", &[("/spec/detection/aggregate", r#"{"atLeast": 3}"#)], None),
    ("an aggregate of both kinds", &[("/spec/detection/aggregate/atLeast", "1")], Some(("spec.detection.aggregate", "exactly one of require and atLeast"))),
    ("an aggregate of neither kind", &[("/spec/detection/aggregate", "{}")], Some(("spec.detection.aggregate", "exactly one of require and atLeast"))),
    ("a heartbeat of no data", &[("/spec/probes/2/heartbeat/data", "none")], Some(("spec.probes", "must be one of spec.data"))),
    ("a query on no data", &[("/spec/probes/3/sql/data", "none")], Some(("spec.probes", "must be one of spec.data"))),
    ("a region without a node", &[("/spec/regions/-", r#"{"name": "north"}"#)], Some(("spec.data", "exactly one node for each of spec.regions"))),
    ("a region without a target", &[("/spec/regions/-", r#"{"name": "north"}"#)], Some(("spec.traffic", "exactly one target for each of spec.regions"))),
    ("a node of no region", &[("/spec/data/0/postgres/nodes/0/region", "north")], Some(("spec.data", "exactly one node for each of spec.regions"))),
    ("a fence of no data", &[("/spec/fence/0/sql/data", "none")], Some(("spec.fence", "must be one of spec.data"))),
    ("a quorum above all vantages", &[("/spec/detection/quorum/vantages", "4")], Some(("spec.detection.quorum.vantages", "mode Automatic needs vantages"))),
    ("a quorum of one", &[("/spec/detection/quorum/vantages", "1")], Some(("spec.mode", "needs detection.quorum.vantages of at least 2"))),
    ("automatic without a fence", &[("/spec/fence", "")], Some(("spec.mode", "needs a fence, or safety.withoutFence"))),
    ("automatic with consent ahead of time", &[("/spec/fence", ""), ("/spec/safety/withoutFence", r#"{"maxLoss": "5s", "after": "2m"}"#)], None),
    ("automatic with a proof that is not accepted", &[(HOOK, WEBHOOK), ("/spec/safety/accept", "")], Some(("spec.safety", "needs a fence whose proof is accepted"))),
    ("automatic with a proof that is accepted", &[(HOOK, WEBHOOK)], None),
    ("automatic without anchors", &[("/spec/detection/anchors", "")], Some(("spec.mode", "at least one of detection.anchors"))),
    ("automatic without the public name's probe", &[("/spec/publicProbe", "")], Some(("spec.mode", "needs publicProbe"))),
    ("automatic without a probe of the primary", &[("/spec/probes", r#"[{"name": "x", "side": "Standby", "tcp": {"address": "a:1"}}]"#), ("/spec/detection/aggregate", r#"{"atLeast": 1}"#)], Some(("spec.mode", "at least one probe whose side is Primary or Both"))),
    ("no probe of a standby", &[("/spec/probes/1/side", "Primary"), ("/spec/probes/3/side", "Primary")], Some(("spec.probes", "no region can take over"))),
    ("no probe of a standby, where nothing acts", &[("/spec/mode", "Observe"), ("/spec/probes/1/side", "Primary"), ("/spec/probes/3/side", "Primary")], None),
    ("no probes, where nothing acts", &[("/spec/mode", "Observe"), ("/spec/probes", ""), ("/spec/detection/aggregate", "")], None),
    ("a reset with fewer successes", &[("/spec/detection/reset", r#"{"successes": 2}"#)], Some(("spec.detection.reset.successes", "reset must not be quicker than trip"))),
    ("a reset that is quicker", &[("/spec/detection/reset", r#"{"minHealthy": "59s"}"#)], Some(("spec.detection.reset.minHealthy", "reset must not be quicker than trip"))),
    ("workloads without a cluster", &[("/spec/regions/1/cluster", "")], Some(("spec.regions", "compute needs the cluster of each region"))),
    ("neither workloads nor clusters", &[("/spec/regions/1/cluster", ""), ("/spec/compute", ""), ("/spec/fence/1", "")], None),
    ("a fence by workloads that are not there", &[("/spec/fence/1/scaleToZero/compute/0", "none")], Some(("spec.fence", "must be of spec.compute"))),
    ("a fence by workloads where there are none", &[("/spec/compute", "")], Some(("spec.fence", "must be of spec.compute"))),
    ("no engine of workloads", &[("/spec/compute/0/scale", "")], Some(("spec.compute[0]", "exactly one engine is needed: scale"))),
    ("a cluster reached in two ways", &[("/spec/regions/0/cluster/inCluster", "{}")], Some(("spec.regions[0].cluster", "exactly one of kubeconfigSecret and inCluster"))),
    ("a cluster reached in no way", &[("/spec/regions/1/cluster", "{}")], Some(("spec.regions[1].cluster", "exactly one of kubeconfigSecret and inCluster"))),
    ("another namespace of Muster's own cluster", &[("/spec/regions/1/cluster/namespace", "kube-system")], Some(("spec.regions[1].cluster.namespace", "goes with kubeconfigSecret"))),
    ("two numbers of replicas", &[("/spec/compute/0/scale/to", r#"{"percentOfPeak": 50, "replicas": 3}"#)], Some(("spec.compute[0].scale.to", "exactly one of percentOfPeak and replicas"))),
    ("no number of replicas", &[("/spec/compute/0/scale/to", "{}")], Some(("spec.compute[0].scale.to", "exactly one of percentOfPeak and replicas"))),
    ("a fixed number of replicas", &[("/spec/compute/0/scale/to", r#"{"replicas": 3}"#)], None),
    ("a least number beside a fixed one", &[("/spec/compute/0/scale/to", r#"{"replicas": 3, "atLeast": 2}"#)], Some(("spec.compute[0].scale.to.atLeast", "goes with percentOfPeak"))),
    ("no replicas at all", &[("/spec/compute/0/scale/to", r#"{"replicas": 0}"#)], Some(("spec.compute[0].scale.to.replicas", "greater than or equal to 1"))),
    ("replicas that take longer than is waited for", &[("/spec/compute/0/scale/expectedReady", "6m")], Some(("spec.compute[0].scale.expectedReady", "at most timeout"))),
    ("replicas without time", &[("/spec/compute/0/scale/timeout", "2h")], Some(("spec.compute[0].scale.timeout", "between 1s and 1h"))),
    ("a fence by scale that claims too much", &[("/spec/fence/1/proof", "Closed")], Some(("spec.fence[1].proof", "every other one Attested"))),
    ("a workload without a name", &[("/spec/compute/0/scale/target/name", "")], Some(("spec.compute[0].scale.target.name", "Required value"))),
    // Exactly one of.
    ("two kinds of probe", &[("/spec/probes/1/tcp", r#"{"address": "a:1"}"#)], Some(("spec.probes[1]", "exactly one of suite, http, tcp"))),
    ("no kind of probe", &[("/spec/probes/1/http", "")], Some(("spec.probes[1]", "exactly one of suite, http, tcp"))),
    ("two requests in a step", &[("/spec/probes/0/suite/0/delete", "http://x/")], Some(("spec.probes[0].suite[0]", "exactly one of get, post, put"))),
    ("a get with a body", &[("/spec/probes/0/suite/0/post", ""), ("/spec/probes/0/suite/0/get", "http://x/")], Some(("spec.probes[0].suite[0].body", "a get request has no body"))),
    ("no engine of data", &[("/spec/data/0/postgres", "")], Some(("spec.data[0]", "exactly one engine is needed: postgres"))),
    ("two engines of data", &[EAST, WEST, ("/spec/data/0/auroraGlobal", r#"{"cluster": "g", "database": "d", "user": "u", "passwordSecret": {"name": "a", "key": "b"}, "members": [{"region": "east", "clusterArn": "arn:aws:rds:us-east-1:111122223333:cluster:a", "host": "a", "readerHost": "a-ro"}, {"region": "west", "clusterArn": "arn:aws:rds:us-west-2:111122223333:cluster:b", "host": "b", "readerHost": "b-ro"}]}"#)], Some(("spec.data[0]", "exactly one engine is needed"))),
    ("an Aurora global database", &[EAST, WEST, (DATA, AURORA), (HOOK, WEBHOOK)], None),
    ("an Aurora global database nobody knows where", &[EAST, (DATA, AURORA), (HOOK, WEBHOOK)], Some(("spec.regions", "auroraGlobal needs to know each region of AWS"))),
    ("a cluster of nowhere", &[EAST, WEST, (DATA, AURORA), (HOOK, WEBHOOK), ("/spec/data/0/auroraGlobal/members/1/region", "north")], Some(("spec.data", "exactly one member for each"))),
    ("two Aurora global databases", &[EAST, WEST, (DATA, AURORA), ("/spec/data/-", SECOND_AURORA), (HOOK, WEBHOOK)], Some(("spec.data", "at most one auroraGlobal"))),
    ("a sql fence where it proves nothing", &[EAST, WEST, (DATA, AURORA)], Some(("spec.fence", "proves nothing at an auroraGlobal"))),
    ("a failover without time", &[EAST, WEST, (DATA, AURORA), (HOOK, WEBHOOK), ("/spec/data/0/auroraGlobal/promoteTimeout", "59s")], Some(("spec.data[0].auroraGlobal.promoteTimeout", "between 1m and 2h"))),
    ("a cluster that may be detached", &[EAST, WEST, (DATA, AURORA), (HOOK, WEBHOOK), ("/spec/data/0/auroraGlobal/detach", "{}")], None),
    ("a cluster that may be detached at once", &[EAST, WEST, (DATA, AURORA), (HOOK, WEBHOOK), ("/spec/data/0/auroraGlobal/detach", r#"{"after": "59s"}"#)], Some(("spec.data[0].auroraGlobal.detach.after", "between 1m and 1h"))),
    ("a cluster's name for its ARN", &[EAST, WEST, (DATA, AURORA), (HOOK, WEBHOOK), ("/spec/data/0/auroraGlobal/members/1/clusterArn", "orders")], Some(("spec.data[0].auroraGlobal.members[1].clusterArn", "should match"))),
    ("an RDS replica, fenced by SQL", &[EAST, WEST, (DATA, RDS)], None),
    ("an RDS replica nobody knows where", &[EAST, (DATA, RDS)], Some(("spec.regions", "rdsReplica needs to know each region of AWS"))),
    ("an instance of nowhere", &[EAST, WEST, (DATA, RDS), ("/spec/data/0/rdsReplica/instances/1/region", "north")], Some(("spec.data", "exactly one instance for each"))),
    ("a promotion of an RDS replica without time", &[EAST, WEST, (DATA, RDS), ("/spec/data/0/rdsReplica/promoteTimeout", "5h")], Some(("spec.data[0].rdsReplica.promoteTimeout", "between 1m and 4h"))),
    ("a fence of an RDS replica that locks Muster out", &[EAST, WEST, (DATA, RDS), ("/spec/data/0/rdsReplica/application/user", "muster")], Some(("spec.data[0].rdsReplica.application.user", "must not be Muster's own role"))),
    ("backups for longer than RDS keeps them", &[EAST, WEST, (DATA, RDS), ("/spec/data/0/rdsReplica/backupRetentionDays", "36")], Some(("spec.data[0].rdsReplica.backupRetentionDays", "less than or equal to 35"))),
    ("a rebuild of an old primary", &[EAST, WEST, (DATA, RDS), ("/spec/data/0/rdsReplica/rebuild", "{}")], None),
    ("a rebuild of an old primary without time", &[EAST, WEST, (DATA, RDS), ("/spec/data/0/rdsReplica/rebuild", r#"{"timeout": "9m"}"#)], Some(("spec.data[0].rdsReplica.rebuild.timeout", "between 10m and 24h"))),
    ("an instance's name for its ARN", &[EAST, WEST, (DATA, RDS), ("/spec/data/0/rdsReplica/instances/1/instanceArn", "orders")], Some(("spec.data[0].rdsReplica.instances[1].instanceArn", "should match"))),
    ("an RDS replica and an Aurora in one item", &[EAST, WEST, (DATA, RDS), (HOOK, WEBHOOK), ("/spec/data/0/auroraGlobal", r#"{"cluster": "g", "database": "d", "user": "u", "passwordSecret": {"name": "a", "key": "b"}, "members": [{"region": "east", "clusterArn": "arn:aws:rds:us-east-1:111122223333:cluster:a", "host": "a", "readerHost": "a-ro"}, {"region": "west", "clusterArn": "arn:aws:rds:us-west-2:111122223333:cluster:b", "host": "b", "readerHost": "b-ro"}]}"#)], Some(("spec.data[0]", "exactly one engine is needed"))),
    ("a region that AWS does not have", &[("/spec/regions/0/aws", r#"{"region": "Virginia"}"#)], Some(("spec.regions[0].aws.region", "should match"))),
    ("a region of AWS with an external id alone", &[("/spec/regions/0/aws", r#"{"region": "us-east-1", "externalIdSecret": {"name": "a", "key": "b"}}"#)], Some(("spec.regions[0].aws.externalIdSecret", "goes with roleArn"))),
    ("no engine of traffic", &[("/spec/traffic/0/rfc2136", "")], Some(("spec.traffic[0]", "exactly one engine is needed: rfc2136 or route53"))),
    ("a hosted zone", &[(TRAFFIC, ROUTE53)], None),
    ("two engines of traffic", &[("/spec/traffic/0/route53", r#"{"zoneId": "Z1", "zone": "z", "record": "z", "nameServers": ["a"], "flip": {"record": {"targets": [{"region": "east", "address": "a"}, {"region": "west", "address": "b"}]}}}"#)], Some(("spec.traffic[0]", "exactly one engine is needed"))),
    ("no way to flip", &[(TRAFFIC, ROUTE53), ("/spec/traffic/0/route53/flip", "{}")], Some(("spec.traffic[0].route53.flip", "exactly one way is needed: record, healthObject or routingControl"))),
    ("two ways to flip", &[(TRAFFIC, ROUTE53), ("/spec/traffic/0/route53/flip/healthObject", r#"{"secret": {"name": "a", "key": "b"}, "regions": [{"region": "east", "address": "a", "bucket": "aaa", "bucketRegion": "us-east-1", "healthCheckId": "a"}, {"region": "west", "address": "b", "bucket": "bbb", "bucketRegion": "us-west-2", "healthCheckId": "b"}]}"#)], Some(("spec.traffic[0].route53.flip", "exactly one way is needed: record, healthObject or routingControl"))),
    ("objects that decide", &[(TRAFFIC, ROUTE53), (FLIP, HEALTH_OBJECT)], None),
    ("an object with a key of its own", &[(TRAFFIC, ROUTE53), (FLIP, HEALTH_OBJECT), ("/spec/traffic/0/route53/flip/healthObject/regions/0/key", "a/b")], None),
    ("an object's key that begins with a slash", &[(TRAFFIC, ROUTE53), (FLIP, HEALTH_OBJECT), ("/spec/traffic/0/route53/flip/healthObject/regions/0/key", "/b")], Some(("spec.traffic[0].route53.flip.healthObject.regions[0].key", "should match"))),
    ("objects in one region of AWS", &[(TRAFFIC, ROUTE53), (FLIP, HEALTH_OBJECT), ("/spec/traffic/0/route53/flip/healthObject/regions/1/bucketRegion", "us-east-1")], Some((REGIONS_PATH, "a bucket of its own"))),
    ("objects in one bucket", &[(TRAFFIC, ROUTE53), (FLIP, HEALTH_OBJECT), ("/spec/traffic/0/route53/flip/healthObject/regions/1/bucket", "muster-east")], Some((REGIONS_PATH, "a bucket of its own"))),
    ("a name pinned by the check of a region", &[(TRAFFIC, ROUTE53), (FLIP, HEALTH_OBJECT), ("/spec/traffic/0/route53/flip/healthObject/pinHealthCheckId", "b")], Some(("spec.traffic[0].route53.flip.healthObject.pinHealthCheckId", "none of the regions' own"))),
    ("objects that one health check watches", &[(TRAFFIC, ROUTE53), (FLIP, HEALTH_OBJECT), ("/spec/traffic/0/route53/flip/healthObject/regions/1/healthCheckId", "a")], Some((REGIONS_PATH, "a health check of its own"))),
    ("an object of a third region", &[(TRAFFIC, ROUTE53), (FLIP, HEALTH_OBJECT), ("/spec/traffic/0/route53/flip/healthObject/regions/-", r#"{"region": "north", "address": "c", "bucket": "ccc", "bucketRegion": "eu-north-1", "healthCheckId": "c"}"#)], Some((REGIONS_PATH, "exactly two regions are needed"))),
    ("an object of nowhere", &[(TRAFFIC, ROUTE53), (FLIP, HEALTH_OBJECT), ("/spec/traffic/0/route53/flip/healthObject/regions/1/region", "north")], Some(("spec.traffic", "exactly one target for each"))),
    ("objects' ttl of a second and a half", &[(TRAFFIC, ROUTE53), (FLIP, HEALTH_OBJECT), ("/spec/traffic/0/route53/flip/healthObject/ttl", "1500ms")], Some(("spec.traffic[0].route53.flip.healthObject.ttl", "whole seconds between 1s and 24h"))),
    ("routing controls that decide", &[(TRAFFIC, ROUTE53), (FLIP, ROUTING_CONTROL)], None),
    ("an endpoint on this machine", &[(TRAFFIC, ROUTE53), (FLIP, ROUTING_CONTROL), ("/spec/traffic/0/route53/flip/routingControl/endpoints/0/url", "http://127.0.0.1:8080/arc/us-east-1/v1")], None),
    ("an endpoint without encryption", &[(TRAFFIC, ROUTE53), (FLIP, ROUTING_CONTROL), ("/spec/traffic/0/route53/flip/routingControl/endpoints/0/url", "http://a.example.com/v1")], Some(("spec.traffic[0].route53.flip.routingControl.endpoints[0].url", "should match"))),
    ("two endpoints with one URL", &[(TRAFFIC, ROUTE53), (FLIP, ROUTING_CONTROL), ("/spec/traffic/0/route53/flip/routingControl/endpoints/0/url", "https://b.route53-recovery-cluster.us-west-2.amazonaws.com/v1")], Some(("spec.traffic[0].route53.flip.routingControl.endpoints", "a URL of its own"))),
    ("a routing control's name for its ARN", &[(TRAFFIC, ROUTE53), (FLIP, ROUTING_CONTROL), ("/spec/traffic/0/route53/flip/routingControl/regions/0/routingControlArn", "east")], Some(("spec.traffic[0].route53.flip.routingControl.regions[0].routingControlArn", "should match"))),
    ("two regions by one health check", &[(TRAFFIC, ROUTE53), (FLIP, ROUTING_CONTROL), ("/spec/traffic/0/route53/flip/routingControl/regions/0/healthCheckId", "b")], Some(("spec.traffic[0].route53.flip.routingControl.regions", "a routing control and a health check of its own"))),
    ("a routing control of nowhere", &[(TRAFFIC, ROUTE53), (FLIP, ROUTING_CONTROL), ("/spec/traffic/0/route53/flip/routingControl/regions/1/region", "north")], Some(("spec.traffic", "exactly one target for each"))),
    ("routing controls and a record", &[(TRAFFIC, ROUTE53), (FLIP, ROUTING_CONTROL), ("/spec/traffic/0/route53/flip/record", r#"{"targets": [{"region": "east", "address": "192.0.2.1"}, {"region": "west", "address": "192.0.2.2"}]}"#)], Some(("spec.traffic[0].route53.flip", "exactly one way is needed"))),
    ("routing controls' ttl of a second and a half", &[(TRAFFIC, ROUTE53), (FLIP, ROUTING_CONTROL), ("/spec/traffic/0/route53/flip/routingControl/ttl", "1500ms")], Some(("spec.traffic[0].route53.flip.routingControl.ttl", "whole seconds between 1s and 24h"))),
    ("a zone's id with its path", &[(TRAFFIC, ROUTE53), ("/spec/traffic/0/route53/zoneId", "/hostedzone/Z1")], Some(("spec.traffic[0].route53.zoneId", "should match"))),
    ("a role that is none", &[(TRAFFIC, ROUTE53), ("/spec/traffic/0/route53/roleArn", "muster")], Some(("spec.traffic[0].route53.roleArn", "should match"))),
    ("an external id without a role", &[(TRAFFIC, ROUTE53), ("/spec/traffic/0/route53/roleArn", "")], Some(("spec.traffic[0].route53.externalIdSecret", "goes with roleArn"))),
    ("a hosted zone's flip without time", &[(TRAFFIC, ROUTE53), ("/spec/traffic/0/route53/timeout", "999ms")], Some(("spec.traffic[0].route53.timeout", "between 1s and 1h"))),
    ("a hosted zone's ttl of a second and a half", &[(TRAFFIC, ROUTE53), ("/spec/traffic/0/route53/flip/record/ttl", "1500ms")], Some(("spec.traffic[0].route53.flip.record.ttl", "whole seconds between 1s and 24h"))),
    ("a hosted zone's target of nowhere", &[(TRAFFIC, ROUTE53), ("/spec/traffic/0/route53/flip/record/targets/1/region", "north")], Some(("spec.traffic", "exactly one target for each"))),
    ("two ways to fence", &[("/spec/fence/0/exec", r#"{"fence": ["x"], "status": ["x"]}"#)], Some(("spec.fence[0]", "exactly one of sql, exec, webhook"))),
    ("two kinds of hook", &[("/spec/hooks/0/exec", r#"{"command": ["x"]}"#)], Some(("spec.hooks[0]", "exactly one of exec and webhook"))),
    ("two kinds of rejoin", &[("/spec/data/0/postgres/rejoin/exec", r#"{"command": ["x"]}"#)], Some(("spec.data[0].postgres.rejoin", "exactly one of exec and webhook"))),
    ("a certificate without its key", &[("/spec/probes/1/http/tls/clientCertSecret", SECRET)], Some(("spec.probes[1].http.tls", "go together"))),
    // Rules within a part.
    ("a timeout longer than every", &[("/spec/probes/1/timeout", "6s")], Some(("spec.probes[1].timeout", "must not be longer than every"))),
    ("a timeout as long as every", &[("/spec/probes/1/timeout", "5s")], None),
    ("a timeout of nothing", &[("/spec/probes/1/timeout", "9ms")], Some(("spec.probes[1].timeout", "at least 10ms"))),
    ("a probe more often than may be", &[("/spec/probes/1/every", "99ms"), ("/spec/probes/1/timeout", "50ms")], Some(("spec.probes[1].every", "between 100ms and 1h"))),
    ("a probe as often as may be", &[("/spec/probes/1/every", "100ms"), ("/spec/probes/1/timeout", "10ms")], None),
    ("a probe once an hour and more", &[("/spec/probes/1/every", "1h1ms")], Some(("spec.probes[1].every", "between 100ms and 1h"))),
    ("a heartbeat with a side", &[("/spec/probes/2/side", "Both")], Some(("spec.probes[2].side", "leave side out"))),
    ("a public timeout longer than every", &[("/spec/publicProbe/timeout", "2s")], Some(("spec.publicProbe.timeout", "must not be longer than every"))),
    ("a public timeout of nothing", &[("/spec/publicProbe/timeout", "1ms")], Some(("spec.publicProbe.timeout", "at least 10ms"))),
    ("a public probe too rarely", &[("/spec/publicProbe/every", "2h")], Some(("spec.publicProbe.every", "between 100ms and 1h"))),
    ("a role that locks itself out", &[("/spec/data/0/postgres/application/user", "muster")], Some(("spec.data[0].postgres.application.user", "must not be Muster's own role"))),
    ("a promotion without time", &[("/spec/data/0/postgres/promoteTimeout", "999ms")], Some(("spec.data[0].postgres.promoteTimeout", "between 1s and 1h"))),
    ("a rejoin of more than a day", &[("/spec/data/0/postgres/rejoin/timeout", "24h1s")], Some(("spec.data[0].postgres.rejoin.timeout", "between 1s and 24h"))),
    ("an authority nobody looks at", &[("/spec/data/0/postgres/tls", r#"{"mode": "Require", "caSecret": {"name": "a", "key": "b"}}"#)], Some(("spec.data[0].postgres.tls.caSecret", "only looked at with mode VerifyFull"))),
    ("a ttl of a second and a half", &[("/spec/traffic/0/rfc2136/ttl", "1500ms")], Some(("spec.traffic[0].rfc2136.ttl", "whole seconds between 1s and 24h"))),
    ("a ttl in milliseconds that are seconds", &[("/spec/traffic/0/rfc2136/ttl", "2000ms")], None),
    ("a flip without time", &[("/spec/traffic/0/rfc2136/timeout", "0s")], Some(("spec.traffic[0].rfc2136.timeout", "between 100ms and 1h"))),
    ("a fence that claims too much", &[(HOOK, WEBHOOK), ("/spec/fence/0/proof", "Closed")], Some(("spec.fence[0].proof", "a sql fence proves Closed"))),
    ("a fence without status", &[(HOOK, WEBHOOK), ("/spec/fence/0/webhook/status", "")], Some(("spec.fence[0]", "without status proves nothing"))),
    ("a fence without time", &[("/spec/fence/0/timeout", "50ms")], Some(("spec.fence[0].timeout", "between 100ms and 1h"))),
    ("a hook that may run twice", &[("/spec/hooks/0/repeatSafe", "")], Some(("spec.hooks[0].repeatSafe", "say repeatSafe: true"))),
    ("a hook that tells what was done", &[("/spec/hooks/0/repeatSafe", ""), ("/spec/hooks/0/webhook/statusUrl", "http://x/")], None),
    ("a hook without time", &[("/spec/hooks/0/timeout", "25h")], Some(("spec.hooks[0].timeout", "between 100ms and 24h"))),
    ("a hook required too late", &[("/spec/hooks/0/required", "true")], Some(("spec.hooks[0].required", "use at: BeforeFence"))),
    // Patterns, bounds, enums, types.
    ("a name in capitals", &[("/spec/probes/1/name", "API")], Some(("spec.probes[1].name", "should match '^[a-z0-9]("))),
    ("a name of 64", &[("/spec/probes/1/name", "a234567890123456789012345678901234567890123456789012345678901234")], Some(("spec.probes[1].name", "may not be more than 63"))),
    ("a Secret by path", &[("/spec/vantages/0/tokenSecret/name", "a/b")], Some(("spec.vantages[0].tokenSecret.name", "should match"))),
    ("a key of two parts", &[("/spec/vantages/0/tokenSecret/key", "a b")], Some(("spec.vantages[0].tokenSecret.key", "should match"))),
    ("a header with a colon", &[("/spec/probes/1/http/secretHeaders", r#"[{"name": "a:", "secret": {"name": "a", "key": "b"}}]"#)], Some(("spec.probes[1].http.secretHeaders[0].name", "should match"))),
    ("a duration without a unit", &[("/spec/objectives/rto", r#""300""#)], Some(("spec.objectives.rto", DURATION))),
    ("a duration in the wrong order", &[("/spec/objectives/rto", "1s1h")], Some(("spec.objectives.rto", DURATION))),
    ("an empty duration", &[("/spec/objectives/rto", r#""""#)], Some(("spec.objectives.rto", "should be at least 2 chars"))),
    ("a duration as a number", &[("/spec/objectives/rto", "300")], Some(("spec.objectives.rto", "must be of type string"))),
    ("a port of nothing", &[("/spec/data/0/postgres/nodes/0/port", "0")], Some(("spec.data[0].postgres.nodes[0].port", "greater than or equal to 1"))),
    ("a port beyond all", &[("/spec/data/0/postgres/nodes/0/port", "65536")], Some(("spec.data[0].postgres.nodes[0].port", "less than or equal to 65535"))),
    ("eleven attempts", &[("/spec/fence/0/attempts", "11")], Some(("spec.fence[0].attempts", "less than or equal to 10"))),
    ("no failures to trip", &[("/spec/detection/trip", r#"{"failures": 0}"#)], Some(("spec.detection.trip.failures", "greater than or equal to 1"))),
    ("eleven redirects", &[("/spec/probes/1/http/followRedirects", "11")], Some(("spec.probes[1].http.followRedirects", "less than or equal to 10"))),
    ("a null in a map", &[("/spec/regions/0/values/api", "null")], None),
    ("a null in a list", &[("/spec/detection/anchors/0", "null")], Some(("spec.detection.anchors[0]", "must be of type string"))),
    ("a number with a fraction", &[("/spec/detection/quorum/vantages", "2.5")], Some(("spec.detection.quorum.vantages", "must be of type integer"))),
    ("a whole number with a point, where a rule looks", &[("/spec/detection/quorum/vantages", "2.0")], Some(("spec", "expected int, got float64"))),
    ("a whole number with a point, where no rule looks", &[("/spec/data/0/postgres/nodes/0/port", "5432.0")], None),
    ("one region", &[("/spec/regions/1", "")], Some(("spec.regions", "should have at least 2 items"))),
    ("no data", &[("/spec/data", "[]")], Some(("spec.data", "should have at least 1 items"))),
    ("a command of nothing", &[("/spec/hooks/0", r#"{"name": "w", "at": "BeforeFence", "repeatSafe": true, "exec": {"command": []}}"#)], Some(("spec.hooks[0].exec.command", "should have at least 1 items"))),
    ("an empty text", &[("/spec/data/0/postgres/database", r#""""#)], Some(("spec.data[0].postgres.database", "should be at least 1 chars"))),
    ("three proofs", &[("/spec/safety/accept", r#"["Attested", "NoAck", "Closed"]"#)], Some(("spec.safety.accept", "must have at most 2 items"))),
    ("a mode in lower case", &[("/spec/mode", "automatic")], Some(("spec.mode", r#"supported values: "Observe", "Approve", "Automatic""#))),
    ("a proof that is always accepted", &[("/spec/safety/accept/0", "Closed")], Some(("spec.safety.accept[0]", r#"supported values: "Attested", "NoAck""#))),
    ("a record type of old", &[("/spec/probes/-", r#"{"name": "d", "dns": {"server": "a:1", "name": "x", "type": "WKS"}}"#)], Some(("spec.probes[4].dns.type", "supported values"))),
    ("a number in quotes", &[("/spec/detection/quorum/vantages", r#""2""#)], Some(("spec.detection.quorum.vantages", "must be of type integer"))),
    ("a list as a text", &[("/spec/regions", "east")], Some(("spec.regions", "must be of type array"))),
    ("no host", &[("/spec/data/0/postgres/nodes/0/host", "")], Some(("spec.data[0].postgres.nodes[0].host", "Required value"))),
    ("no regions", &[("/spec/regions", "")], Some(("spec.regions", "Required value"))),
    // Keys of lists, and fields that are not there.
    ("two regions of one name", &[("/spec/regions/1/name", "east")], Some(("spec.regions[1]", "Duplicate value"))),
    ("two probes of one name", &[("/spec/probes/1/name", "order")], Some(("spec.probes[1]", "Duplicate value"))),
    ("two nodes of one region", &[("/spec/data/0/postgres/nodes/1/region", "east")], Some(("spec.data[0].postgres.nodes[1]", "Duplicate value"))),
    ("an anchor twice", &[("/spec/detection/anchors/-", "http://192.0.2.1/")], Some(("spec.detection.anchors[1]", "Duplicate value"))),
    ("an unknown field", &[("/spec/colour", "red")], Some(("spec.colour", "unknown field"))),
    ("a misspelt field deep within", &[("/spec/probes/0/suite/0/expects", "[]")], Some(("spec.probes[0].suite[0].expects", "unknown field"))),
    ("a password in the policy", &[("/spec/data/0/postgres/password", "hunter2")], Some(("spec.data[0].postgres.password", "unknown field"))),
    ("a field in snake case", &[("/spec/detection/trip", r#"{"min_outage": "5s"}"#)], Some(("spec.detection.trip.min_outage", "unknown field"))),
];

const APPROVAL: &str = r#"{"planHash": "abc", "by": "kim", "validUntil": "2030-01-31T12:00:00Z"}"#;
const ABORT: &str = r#"{"by": "kim", "reason": "no"}"#;

#[rustfmt::skip]
pub(super) const RUN_CASES: &[Case] = &[
    ("the good run", &[], None),
    ("an approval from the first", &[("/spec/approval", APPROVAL)], None),
    ("a run without a policy", &[("/spec/policy", "")], Some(("spec.policy", "Required value"))),
    ("a run of another namespace's policy", &[("/spec/policy", "a/b")], Some(("spec.policy", "should match"))),
    ("a run of no kind", &[("/spec/kind", "Fallback")], Some(("spec.kind", "supported values"))),
    ("a run without a reason", &[("/spec/reason", r#""""#)], Some(("spec.reason", "should be at least 1 chars"))),
    ("a trigger that is none", &[("/spec/trigger", "GameDay")], Some(("spec.trigger", "supported values"))),
    ("an approval until some day", &[("/spec/approval", r#"{"planHash": "abc", "by": "kim", "validUntil": "tomorrow"}"#)], Some(("spec.approval.validUntil", "date-time"))),
    ("an approval until long ago", &[("/spec/approval", r#"{"planHash": "abc", "by": "kim", "validUntil": "2019-12-31T12:00:00Z"}"#)], Some(("spec.approval.validUntil", "validUntil must be a moment"))),
    ("an approval of a loss without a unit", &[("/spec/approval", APPROVAL), ("/spec/approval/maxLoss", r#""5""#)], Some(("spec.approval.maxLoss", "should be at least 2 chars"))),
    ("a gate waived twice", &[("/spec/approval", APPROVAL), ("/spec/approval/waives", r#"["Fenced", "Fenced"]"#)], Some(("spec.approval.waives[1]", "Duplicate value"))),
    ("an abort without a reason", &[("/spec/abort", r#"{"by": "kim"}"#)], Some(("spec.abort.reason", "Required value"))),
    ("an unknown field of a run", &[("/spec/force", "true")], Some(("spec.force", "unknown field"))),
];

/// Edits of a run that is there: with what it was created, and what is changed then.
pub(super) type Change =
    (&'static str, &'static [Edit], &'static [Edit], Option<(&'static str, &'static str)>);

const FIXED: Option<(&str, &str)> = Some(("spec", "a run's spec cannot be changed"));

#[rustfmt::skip]
pub(super) const RUN_CHANGES: &[Change] = &[
    ("nothing", &[], &[], None),
    ("another policy", &[], &[("/spec/policy", "other")], FIXED),
    ("another kind", &[], &[("/spec/kind", "Switchover")], FIXED),
    ("another target", &[], &[("/spec/to", "east")], FIXED),
    ("no target any more", &[], &[("/spec/to", "")], FIXED),
    ("a target afterwards", &[("/spec/to", "")], &[("/spec/to", "west")], FIXED),
    ("another reason", &[], &[("/spec/reason", "x")], FIXED),
    ("another person", &[], &[("/spec/by", "ann")], FIXED),
    ("another trigger", &[], &[("/spec/trigger", "Verdict")], FIXED),
    ("approved", &[], &[("/spec/approval", APPROVAL)], None),
    ("approved for another plan", &[("/spec/approval", APPROVAL)], &[("/spec/approval/planHash", "def")], None),
    ("an approval taken back", &[("/spec/approval", APPROVAL)], &[("/spec/approval", "")], Some(("spec.approval", "cannot be taken back"))),
    ("aborted", &[], &[("/spec/abort", ABORT)], None),
    ("aborted after an approval", &[("/spec/approval", APPROVAL)], &[("/spec/abort", ABORT)], None),
    ("an abort taken back", &[("/spec/abort", ABORT)], &[("/spec/abort", "")], Some(("spec.abort", "cannot be taken back or changed"))),
    ("another abort", &[("/spec/abort", ABORT)], &[("/spec/abort/reason", "yes")], Some(("spec.abort", "cannot be taken back or changed"))),
    ("approved after an abort", &[("/spec/abort", ABORT)], &[("/spec/approval", APPROVAL)], None),
];

/// As many items as may be, everywhere, with names as long as may be.
pub(super) fn largest_policy() -> Value {
    let name = |kind: &str, index: usize| format!("{kind:-<60}-{index:02}");
    let many = |most: usize, make: &dyn Fn(usize) -> Value| -> Value { (0..most).map(make).collect() };
    let texts = |most: usize| -> Value { (0..most).map(|i| (format!("k{i}"), json!("v"))).collect() };
    let secret = json!({"name": "a", "key": "b"});
    let command = many(64, &|_| json!("x"));
    let expect = many(16, &|_| json!("status == 200"));
    let headers = many(16, &|i| json!({"name": format!("h{i}"), "secret": secret}));
    let steps = many(16, &|i| {
        json!({"name": name("s", i), "get": "http://x/", "headers": texts(32), "save": texts(16),
            "secretHeaders": headers, "expect": expect})
    });
    // Half of them on data, since a rule looks each of those up.
    let probes = many(32, &|i| match i % 4 {
        0 => json!({"name": name("p", i), "suite": steps}),
        1 => json!({"name": name("p", i), "heartbeat": {"data": name("d", 7)}}),
        2 => {
            json!({"name": name("p", i), "side": "Both", "sql": {"data": name("d", 7), "query": "q", "expect": expect}})
        }
        _ => json!({"name": name("p", i), "http": {"get": "http://x/", "headers": texts(32),
            "secretHeaders": headers, "expect": expect}}),
    });
    let data = many(8, &|i| {
        json!({"name": name("d", i), "postgres": {"database": "a", "user": "u", "passwordSecret": secret,
            "application": {"user": "v", "passwordSecret": secret}, "rejoin": {"exec": {"command": command}},
            "nodes": many(8, &|r| json!({"region": name("r", r), "host": "h"}))}})
    });
    let traffic = many(8, &|i| {
        if i % 2 == 1 {
            json!({"name": name("t", i), "route53": {"zoneId": "Z1", "zone": "z", "record": "z",
                "nameServers": many(8, &|_| json!("a")), "roleArn": "arn:aws:iam::111122223333:role/a", "externalIdSecret": secret,
                "flip": {"record": {"targets": many(8, &|r| json!({"region": name("r", r), "address": format!("127.0.0.{r}")}))}}}})
        } else {
            json!({"name": name("t", i), "rfc2136": {"servers": many(8, &|_| json!("127.0.0.1:53")), "zone": "z",
                "record": "z", "tsig": {"keyName": "k", "secret": secret},
                "targets": many(8, &|r| json!({"region": name("r", r), "address": format!("127.0.0.{r}")}))}})
        }
    });
    let compute = many(8, &|i| {
        json!({"name": name("c", i), "scale": {
            "target": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x".repeat(253)}, "service": name("s", i),
            "to": {"percentOfPeak": 1000, "atLeast": 100_000}, "standbyReplicas": 100_000}})
    });
    // All workloads in each of them but two, since a rule looks each of those up.
    let fence = many(8, &|i| match i {
        7 => json!({"name": name("f", i), "sql": {"data": name("d", 7)}}),
        6 => json!({"name": name("f", i), "exec": {"fence": command, "status": command, "unfence": command}}),
        _ => json!({"name": name("f", i), "scaleToZero": {"compute": many(8, &|c| json!(name("c", c)))}}),
    });
    json!({
        "apiVersion": "muster.dev/v1alpha1", "kind": "RegionFailoverPolicy",
        "metadata": {"name": "largest", "namespace": NAMESPACE},
        "spec": {
            "mode": "Automatic",
            "regions": many(8, &|i| json!({"name": name("r", i), "values": texts(32),
                "cluster": {"kubeconfigSecret": secret, "namespace": name("n", i)}})),
            "vantages": many(16, &|i| json!({"name": name("v", i), "region": name("r", 7), "tokenSecret": secret})),
            "probes": probes,
            "publicProbe": {"http": {"get": "http://x/", "headers": texts(32), "expect": expect}},
            "detection": {"aggregate": {"require": many(32, &|i| json!(name("p", i)))},
                "anchors": many(8, &|i| json!(format!("tcp://127.0.0.{i}:1")))},
            "data": data,
            "traffic": traffic,
            "compute": compute,
            "fence": fence,
            "hooks": many(16, &|i| json!({"name": name("h", i), "at": "BeforeFence", "exec": {"command": command, "status": command}})),
            "safety": {"accept": ["NoAck", "Attested"]},
        },
    })
}

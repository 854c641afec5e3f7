//! Probes: what shows whether a region works.

use super::request::{ClientTls, HttpProbe, SuiteStep};
use crate::duration::Duration;
use crate::text::{Address, Expression, Name, Text, Url, Value};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which regions a probe runs against.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Side {
    /// Only the region that takes writes: a write cannot pass on a read-only standby.
    #[default]
    Primary,
    /// Only the others.
    Standby,
    /// Each region.
    Both,
}

/// One probe: exactly one of `suite`, `http`, `tcp`, `grpc`, `dns`, `sql`, `heartbeat`.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("[has(self.suite), has(self.http), has(self.tcp), has(self.grpc), has(self.dns), has(self.sql), has(self.heartbeat)].filter(x, x).size() == 1")
        .message("exactly one of suite, http, tcp, grpc, dns, sql, heartbeat is needed"),
    validation = Rule::new("duration(self.timeout) <= duration(self.every)")
        .message("timeout must not be longer than every").field_path(".timeout"),
    validation = Rule::new("duration(self.timeout) >= duration('10ms')")
        .message("timeout must be at least 10ms").field_path(".timeout"),
    validation = Rule::new("duration(self.every) >= duration('100ms') && duration(self.every) <= duration('1h')")
        .message("every must be between 100ms and 1h").field_path(".every"),
    validation = Rule::new("!has(self.heartbeat) || self.side == 'Primary'")
        .message("a heartbeat writes at the primary and reads at each standby by itself: leave side out").field_path(".side"),
)]
pub struct Probe {
    /// Its name, as aggregates and reports use it.
    pub name: Name,
    /// Which regions it runs against.
    #[serde(default)]
    pub side: Side,
    /// Between two starts.
    #[serde(default = "five_seconds")]
    pub every: Duration,
    /// Of one run, all requests together; at most `every`.
    #[serde(default = "three_seconds")]
    pub timeout: Duration,
    /// Several requests in order, values carried on, clean-up always run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub suite: Option<Vec<SuiteStep>>,
    /// One request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpProbe>,
    /// A connection, closed at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpProbe>,
    /// The gRPC health protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<GrpcProbe>,
    /// One question to one name server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsProbe>,
    /// One query on a data item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<SqlProbe>,
    /// A growing number written to a data item and read at each of its nodes: liveness, and the RPO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<HeartbeatProbe>,
}

const fn one_second() -> Duration {
    Duration::from_secs(1)
}
const fn three_seconds() -> Duration {
    Duration::from_secs(3)
}
const fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

/// A TCP connection.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TcpProbe {
    /// `host:port`; a template.
    pub address: Address,
}

/// `grpc.health.v1.Health/Check`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GrpcProbe {
    /// `host:port`; a template.
    pub address: Address,
    /// The service to ask for; absent: the server as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minLength" = 0))]
    pub service: Option<Text<253>>,
    /// Use TLS; absent: plaintext.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClientTls>,
}

/// The type of a DNS record.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq, Debug, Default)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum RecordType {
    #[default]
    A,
    Aaaa,
    Cname,
    Mx,
    Ns,
    Ptr,
    Soa,
    Srv,
    Txt,
}

/// One question to one name server.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DnsProbe {
    /// The name server, `host:port`; the port may be left out (53). A template.
    pub server: Address,
    /// The name to ask for; a template, taken as absolute.
    pub name: Text<300>,
    /// The type to ask for.
    #[serde(default, rename = "type")]
    pub record_type: RecordType,
    /// CEL over `rcode`, `answers` (texts), `ttl`, `latency`. Without any: NOERROR and an answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub expect: Vec<Expression>,
}

/// One query.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SqlProbe {
    /// The data item, by name.
    pub data: Name,
    /// The query, as it is sent.
    pub query: Value,
    /// CEL over `row` (the first one), `rows`, `latency`. Without any: the query runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub expect: Vec<Expression>,
}

/// A growing number per writer.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeartbeatProbe {
    /// The data item, by name.
    pub data: Name,
}

/// A probe through the public name, as users come.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("duration(self.timeout) <= duration(self.every)")
        .message("timeout must not be longer than every").field_path(".timeout"),
    validation = Rule::new("duration(self.timeout) >= duration('10ms')")
        .message("timeout must be at least 10ms").field_path(".timeout"),
    validation = Rule::new("duration(self.every) >= duration('100ms') && duration(self.every) <= duration('1h')")
        .message("every must be between 100ms and 1h").field_path(".every"),
)]
pub struct PublicProbe {
    /// Between two starts.
    #[serde(default = "one_second")]
    pub every: Duration,
    /// Of one run; at most `every`.
    #[serde(default = "one_second")]
    pub timeout: Duration,
    /// Successes in a row that count as recovered.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 100))]
    pub successes: u32,
    /// The request: a fresh look-up and a fresh connection each time.
    pub http: PublicHttp,
    /// A name server to look the name up at, `host:port`; absent: the system's way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolver: Option<Address>,
}

const fn three() -> u32 {
    3
}

/// The request through the public name. It knows no region, so nothing in it is a template.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublicHttp {
    /// The URL to GET.
    pub get: Url,
    /// Headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub headers: BTreeMap<String, Value>,
    /// CEL over `status`, `headers`, `body` (JSON), `text`, `latency`, `cert.expiresIn`. Without one that speaks of
    /// `status`, 200 to 299 is expected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub expect: Vec<Expression>,
    /// Follow at most so many redirects. With 0 a redirect is an answer like any other.
    #[serde(default)]
    #[schemars(range(max = 10))]
    pub follow_redirects: u32,
    /// For `https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClientTls>,
}

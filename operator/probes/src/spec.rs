//! What to probe: plain types, built from a policy, compared with `==` to find what an edit changed.
//!
//! Texts marked *template* may hold `{{ region.name }}` and `{{ region.values.KEY }}`; in a suite also the names
//! that earlier steps saved. Texts marked *CEL* are expressions; which variables they see stands at the field.
//! Nothing here is checked yet: `compile` does that, and names field, expression and position.

use muster_core::ids::{ItemName, ProbeName, RegionName};
use muster_core::policy::On;
use muster_core::secret::Secret;
use std::collections::BTreeMap;
use std::time::Duration;

/// Everything that one vantage probes for one policy.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ProbingSpec {
    /// In the policy's order.
    pub regions: Vec<RegionVars>,
    /// Names are unique.
    pub probes: Vec<ProbeSpec>,
    /// Through the public name.
    pub public: Option<PublicSpec>,
    /// Independent targets that show whether the observer itself is connected.
    pub anchors: Vec<AnchorSpec>,
}

/// What templates know of a region.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegionVars {
    /// `{{ region.name }}`.
    pub name: RegionName,
    /// `{{ region.values.KEY }}`.
    pub values: BTreeMap<String, String>,
}

/// One probe of a policy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProbeSpec {
    /// Its name.
    pub name: ProbeName,
    /// Which side it runs against. A heartbeat ignores it: it writes at the primary and reads at each standby.
    pub on: On,
    /// Between two starts.
    pub every: Duration,
    /// Of one run, all requests together.
    pub timeout: Duration,
    /// What it does.
    pub kind: ProbeKind,
}

/// What a probe does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProbeKind {
    /// One request.
    Http(HttpSpec),
    /// Several requests in order, values carried on.
    Suite(Vec<StepSpec>),
    /// A connection, closed at once.
    Tcp(TcpSpec),
    /// `grpc.health.v1.Health/Check`.
    Grpc(GrpcSpec),
    /// One question to one server.
    Dns(DnsSpec),
    /// One query.
    Sql(SqlSpec),
    /// A growing number written to the active region and read everywhere.
    Heartbeat(HeartbeatSpec),
}

/// The methods a probe may use.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum HttpMethod {
    /// `get:`
    #[default]
    Get,
    /// `post:`
    Post,
    /// `put:`
    Put,
    /// `patch:`
    Patch,
    /// `delete:`
    Delete,
}

/// One request and what is expected of its answer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HttpSpec {
    /// Which field of the policy holds the URL.
    pub method: HttpMethod,
    /// Template; `http` or `https`.
    pub url: String,
    /// Names, and values as templates.
    pub headers: BTreeMap<String, String>,
    /// Names, and values verbatim. Not sent on to another origin by a redirect.
    pub secret_headers: Vec<(String, Secret)>,
    /// Template.
    pub body: Option<String>,
    /// CEL over `status` (int), `headers` (lower-case name to text), `body` (JSON), `text`, `latency` (duration),
    /// `cert.expiresIn` (duration, https only). Where none speaks of `status`, 200 to 299 is expected.
    pub expect: Vec<String>,
    /// At most so many redirects; 0: a redirect is an answer like any other.
    pub follow_redirects: u32,
    /// A new connection each time. Else a kept one is used while the server leaves it open.
    pub fresh_connection: bool,
    /// For `https`.
    pub tls: TlsSpec,
}

/// How a TLS target is met. The default: the system's roots, the name of the URL, no certificate of our own.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TlsSpec {
    /// Certificates (PEM) that are trusted *instead of* the system's.
    pub ca: Option<Secret>,
    /// Our certificate chain (PEM); with `client_key`.
    pub client_cert: Option<Secret>,
    /// Its key (PEM).
    pub client_key: Option<Secret>,
    /// Instead of the name in the address.
    pub server_name: Option<String>,
}

/// One step of a suite.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StepSpec {
    /// For messages.
    pub name: String,
    /// The request.
    pub http: HttpSpec,
    /// Name to CEL (the variables of `expect`); for the templates of later steps.
    pub save: BTreeMap<String, String>,
    /// Clean-up: run also after a failed step, and for a short while after the suite's timeout.
    pub always: bool,
}

/// A TCP connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TcpSpec {
    /// Template; `host:port`.
    pub address: String,
}

/// The gRPC health protocol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GrpcSpec {
    /// Template; `host:port`.
    pub address: String,
    /// Empty: the server as a whole.
    pub service: String,
    /// Absent: plaintext.
    pub tls: Option<TlsSpec>,
}

/// One question to one name server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DnsSpec {
    /// Template; `host:port`, the port may be left out (53).
    pub server: String,
    /// Template; taken as absolute.
    pub name: String,
    /// `A`, `AAAA`, `CNAME`, `TXT`, ...
    pub record_type: String,
    /// CEL over `rcode` (text, as `NOERROR`), `answers` (list of texts, the data of the asked type), `ttl`
    /// (duration, the smallest; absent without an answer), `latency`. Without any: `NOERROR` and an answer.
    pub expect: Vec<String>,
}

/// A PostgreSQL database with a node per region.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PgTarget {
    /// Database.
    pub database: String,
    /// Muster's own role.
    pub user: String,
    /// Its password.
    pub password: Option<Secret>,
    /// Whether and how the connection is encrypted.
    pub tls: PgTls,
    /// Host and port by region.
    pub nodes: BTreeMap<RegionName, (String, u16)>,
    /// Host and port by region, where a standby answers by another name than what takes writes.
    pub readers: BTreeMap<RegionName, (String, u16)>,
}

/// How a database connection is encrypted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum PgTls {
    /// Not.
    #[default]
    Disable,
    /// Encrypted, the server's certificate is not looked at.
    Require,
    /// Encrypted, certificate and name are verified.
    VerifyFull {
        /// Certificates (PEM) that are trusted instead of the system's.
        ca: Option<Secret>,
    },
}

/// One query.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SqlSpec {
    /// The data item, for messages.
    pub data: ItemName,
    /// Where it lives.
    pub target: PgTarget,
    /// Verbatim.
    pub query: String,
    /// CEL over `row` (the first one, column to value), `rows` (all of them, bounded), `latency`.
    pub expect: Vec<String>,
}

/// A growing number per writer in `muster.heartbeat`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeartbeatSpec {
    /// The data item.
    pub data: ItemName,
    /// Where it lives.
    pub target: PgTarget,
}

/// The probe through the public name: always a fresh look-up and a fresh connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublicSpec {
    /// Between two starts.
    pub every: Duration,
    /// Of one run.
    pub timeout: Duration,
    /// The request. It knows no region: its templates are empty.
    pub http: HttpSpec,
    /// `host:port` of a name server to ask; absent: the system's way.
    pub resolver: Option<String>,
}

/// An independent target.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum AnchorSpec {
    /// `http://` or `https://`: an answer below 400.
    Http(String),
    /// `host:port` of `tcp://host:port`: a connection.
    Tcp(String),
}

impl AnchorSpec {
    /// Reads an anchor as the policy writes it. `None`: neither an `http(s)://` nor a `tcp://` URL.
    pub fn parse(url: &str) -> Option<Self> {
        if let Some(address) = url.strip_prefix("tcp://") {
            return Some(Self::Tcp(address.trim_end_matches('/').to_owned()));
        }
        (url.starts_with("http://") || url.starts_with("https://")).then(|| Self::Http(url.to_owned()))
    }
}

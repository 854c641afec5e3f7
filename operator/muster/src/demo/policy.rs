//! The policy file of the world, rendered with its addresses, and the secrets that it names.
//!
//! The controller and each vantage get a folder of their own: the same policy, but each place reaches the regions
//! over its own paths.

use super::addresses::{Addresses, Kind, Place};
use super::cloud::CloudPolicy;
use super::folders;
use super::nameserver::{KEY_NAME, RECORD, TTL_SECONDS, ZONE};
use super::template::Passwords;
use muster_core::ids::RegionName;
use muster_core::policy::Mode;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The policy's namespace and name.
pub const POLICY: (&str, &str) = ("shop", "checkout");

/// A way to fence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fence {
    /// Logins of the application's role are refused; proof Closed.
    Sql,
    /// The power tool; proof Attested.
    Power,
}

/// What may differ between worlds.
#[derive(Clone, Debug)]
pub struct PolicyOptions {
    /// How far Muster goes by itself.
    pub mode: Mode,
    /// Between two probes.
    pub probe_every_ms: u64,
    /// Results in a row that trip.
    pub failures: u32,
    /// After a run.
    pub cooldown: String,
    /// Fences, in order.
    pub fences: Vec<Fence>,
    /// Proof classes accepted beside Closed.
    pub accept: Vec<String>,
    /// `safety.withoutFence`, as YAML in one line.
    pub without_fence: Option<String>,
    /// `safety.maxEstimatedLoss`.
    pub max_estimated_loss: Option<String>,
    /// The rejoin hook.
    pub rejoin: bool,
    /// The declaration that makes synchronous commit a proof.
    pub no_ack: bool,
    /// Vantages outside the judged region that must agree.
    pub quorum: u32,
    /// Leave out every probe that runs against the primary: nothing is ever known of it.
    pub primary_unprobed: bool,
    /// Further lines below `spec`, indented by two.
    pub extra: String,
}

impl Default for PolicyOptions {
    fn default() -> Self {
        Self {
            mode: Mode::Automatic,
            probe_every_ms: 500,
            failures: 3,
            cooldown: "5s".to_owned(),
            fences: vec![Fence::Sql, Fence::Power],
            accept: vec!["Attested".to_owned()],
            without_fence: None,
            max_estimated_loss: Some("30s".to_owned()),
            rejoin: true,
            no_ack: false,
            quorum: 2,
            primary_unprobed: false,
            extra: String::new(),
        }
    }
}

/// Where the policy's programs are.
#[derive(Clone, Debug)]
pub struct Hooks {
    /// The power tool.
    pub power: PathBuf,
    /// The rejoin hook.
    pub rejoin: PathBuf,
}

/// By what Muster moves the name.
#[derive(Clone)]
pub enum TrafficKey {
    /// The key of the name server's updates, base64.
    Tsig(String),
    /// What the health checks of AWS look for.
    Marker(String),
}

impl TrafficKey {
    fn secret(&self) -> (&'static str, &'static str, String) {
        match self {
            Self::Tsig(key) => ("dns", "tsig", key.clone()),
            Self::Marker(key) => ("aws", "marker", key.clone()),
        }
    }
}

/// The policy as the process at `viewer` gets it.
pub(super) fn render(
    addresses: &Addresses,
    viewer: &Place,
    hooks: &Hooks,
    options: &PolicyOptions,
    cloud: Option<&CloudPolicy>,
) -> anyhow::Result<String> {
    let mut y = String::new();
    let (namespace, name) = POLICY;
    writeln!(y, "apiVersion: muster.dev/v1alpha1\nkind: RegionFailoverPolicy")?;
    writeln!(y, "metadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  mode: {:?}", options.mode)?;
    writeln!(y, "  objectives: {{rto: 30s, rpo: 5s}}\n  regions:")?;
    for region in addresses.regions() {
        let api = addresses.path(viewer, &Place::Region(region.clone()), Kind::Api);
        let aws = cloud.map(|cloud| cloud.region(region)).unwrap_or_default();
        writeln!(y, "  - {{name: {region}, values: {{api: \"http://{api}\"}}{aws}}}")?;
    }
    y.push_str("  vantages:\n");
    for vantage in ["v1", "v2"] {
        writeln!(y, "  - {{name: {vantage}, tokenSecret: {{name: {vantage}, key: token}}}}")?;
    }
    write_probes(&mut y, addresses, viewer, options)?;
    if let Some(cloud) = cloud {
        cloud.write_data(&mut y, addresses, viewer)?;
        cloud.write_traffic(&mut y, addresses)?;
        write_fence(&mut y, hooks, &[Fence::Power])?;
    } else {
        write_data(&mut y, addresses, viewer, hooks, options)?;
        write_traffic(&mut y, addresses, viewer)?;
        write_fence(&mut y, hooks, &options.fences)?;
    }
    write_safety(&mut y, options)?;
    y.push_str(&options.extra);
    Ok(y)
}

fn write_probes(
    y: &mut String,
    addresses: &Addresses,
    viewer: &Place,
    options: &PolicyOptions,
) -> anyhow::Result<()> {
    let every = options.probe_every_ms;
    let timeout = every * 4 / 5;
    let port = addresses.port(Kind::Api);
    let dns = addresses.path(viewer, &Place::NameServer, Kind::Dns);
    y.push_str("  probes:\n");
    if !options.primary_unprobed {
        writeln!(
            y,
            r#"  - name: place-order
    side: Primary
    every: {every}ms
    timeout: {timeout}ms
    suite:
    - {{name: order, post: "{{{{ region.values.api }}}}/orders", body: '{{"item":"probe","writer":"probe"}}', headers: {{content-type: application/json}}, expect: ["status == 201"], save: {{id: "body.id"}}}}
    - {{name: read, get: "{{{{ region.values.api }}}}/orders/{{{{ id }}}}", expect: ["status == 200", "body.state == 'placed'"]}}
    - {{name: delete, delete: "{{{{ region.values.api }}}}/orders/{{{{ id }}}}", always: true}}
  - {{name: beat, every: {every}ms, timeout: {timeout}ms, heartbeat: {{data: orders}}}}"#
        )?;
    }
    let (side, aggregate) = if options.primary_unprobed {
        ("Standby", "atLeast: 1")
    } else {
        ("Both", "require: [place-order, beat]")
    };
    writeln!(
        y,
        r#"  - {{name: api, side: {side}, every: {every}ms, timeout: {timeout}ms, http: {{get: "{{{{ region.values.api }}}}/healthz", expect: ["status == 200"]}}}}
  publicProbe: {{every: 300ms, timeout: 250ms, successes: 3, http: {{get: "http://{RECORD}:{port}/healthz/deep", expect: ["status == 200"]}}, resolver: "{dns}"}}"#
    )?;
    let anchor = |n| addresses.path(viewer, &Place::Anchor(n), Kind::Anchor);
    writeln!(
        y,
        r#"  detection:
    trip: {{failures: {failures}, minOutage: 1s}}
    reset: {{successes: {failures}, minHealthy: 2s}}
    aggregate: {{{aggregate}}}
    quorum: {{vantages: {quorum}}}
    anchors: ["http://{one}/", "tcp://{two}"]"#,
        failures = options.failures,
        quorum = options.quorum,
        one = anchor(1),
        two = anchor(2),
    )?;
    Ok(())
}

fn write_data(
    y: &mut String,
    addresses: &Addresses,
    viewer: &Place,
    hooks: &Hooks,
    options: &PolicyOptions,
) -> anyhow::Result<()> {
    y.push_str(
        r"  data:
  - name: orders
    postgres:
      database: shop
      user: muster
      passwordSecret: {name: pg, key: muster}
      application: {user: shop, passwordSecret: {name: pg, key: shop}}
      tls: {mode: Disable}
      promoteTimeout: 20s
      nodes:
",
    );
    for region in addresses.regions() {
        let node = addresses.path(viewer, &Place::Region(region.clone()), Kind::Database);
        writeln!(y, "      - {{region: {region}, host: {}, port: {}}}", node.ip(), node.port())?;
    }
    if options.rejoin {
        writeln!(y, "      rejoin: {{exec: {{command: [\"{}\"]}}, timeout: 30s}}", hooks.rejoin.display())?;
    }
    if options.no_ack {
        y.push_str("      noAck: {clientsNeverLowerCommit: true, listIsNotEdited: true}\n");
    }
    Ok(())
}

fn write_traffic(y: &mut String, addresses: &Addresses, viewer: &Place) -> anyhow::Result<()> {
    let server = addresses.path(viewer, &Place::NameServer, Kind::Dns);
    let front =
        |region: &RegionName| addresses.path(&Place::Outside, &Place::Region(region.clone()), Kind::Api).ip();
    let targets: Vec<String> =
        addresses.regions().iter().map(|r| format!("{{region: {r}, address: {}}}", front(r))).collect();
    writeln!(
        y,
        r#"  traffic:
  - name: shop
    rfc2136: {{servers: ["{server}"], zone: {ZONE}, record: {RECORD}, ttl: {TTL_SECONDS}s, tsig: {{keyName: {KEY_NAME}, algorithm: hmac-sha256, secret: {{name: dns, key: tsig}}}}, targets: [{}], timeout: 5s}}"#,
        targets.join(", ")
    )?;
    Ok(())
}

fn write_fence(y: &mut String, hooks: &Hooks, fences: &[Fence]) -> anyhow::Result<()> {
    if !fences.is_empty() {
        y.push_str("  fence:\n");
    }
    let tool = hooks.power.display();
    for fence in fences {
        match fence {
            Fence::Sql => {
                y.push_str("  - {name: deny-logins, sql: {data: orders}, timeout: 1500ms, attempts: 1}\n");
            }
            Fence::Power => writeln!(
                y,
                r#"  - {{name: power, exec: {{fence: ["{tool}", "fence"], status: ["{tool}", "status"], unfence: ["{tool}", "unfence"]}}, proof: Attested, timeout: 3s, attempts: 2}}"#
            )?,
        }
    }
    Ok(())
}

fn write_safety(y: &mut String, options: &PolicyOptions) -> anyhow::Result<()> {
    writeln!(
        y,
        "  safety:\n    cooldown: {}\n    accept: [{}]",
        options.cooldown,
        options.accept.join(", ")
    )?;
    if let Some(loss) = &options.max_estimated_loss {
        writeln!(y, "    maxEstimatedLoss: {loss}")?;
    }
    if let Some(without) = &options.without_fence {
        writeln!(y, "    withoutFence: {without}")?;
    }
    Ok(())
}

/// Writes the secrets' folder.
pub fn write_secrets(dir: &Path, passwords: &Passwords, key: &TrafficKey) -> anyhow::Result<()> {
    let token = || uuid::Uuid::new_v4().simple().to_string();
    let secrets = [
        ("pg", "muster", passwords.muster.clone()),
        ("pg", "shop", passwords.shop.clone()),
        key.secret(),
        ("v1", "token", token()),
        ("v2", "token", token()),
    ];
    for (name, key, value) in secrets {
        folders::make_private(&dir.join(name), None)?;
        folders::write(&dir.join(name).join(key), &value, 0o600)?;
    }
    Ok(())
}

//! The policy of the bed, its secrets, and the fence's program.

use super::cloud::{Cloud, GLOBAL, MARKER_SECRET, NAME, ROLE, RULE, ZONE, acl, bucket};
use super::fronts::Fronts;
use super::items::{Items, ORDERS, REPORTS};
use super::links::Links;
use super::region::Region;
use super::stage::Way;
use anyhow::Context;
use muster::demo::folders;
use muster_core::policy::Mode;
use muster_providers::testing::postgres::{APPLICATION, DATABASE, MUSTER};
use std::fmt::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Namespace and name.
pub(super) const POLICY: (&str, &str) = ("shop", "checkout");
const FILE: &str = "checkout.yaml";

/// What the policy speaks of.
pub(super) struct Bed<'b> {
    pub(super) folder: &'b Path,
    pub(super) cloud: &'b Cloud,
    pub(super) items: &'b Items,
    pub(super) fronts: &'b Fronts,
    pub(super) links: &'b Links,
}

impl Bed<'_> {
    /// Where an item's database is reached in a region: where it stands, unless it may be cut off.
    fn address(&self, item: &str, region: Region, way: Way) -> SocketAddr {
        let (databases, links) = if item == ORDERS {
            (&self.items.orders, &self.links.orders)
        } else {
            (&self.items.reports, &self.links.reports)
        };
        let link = links.get(&region).filter(|_| way == Way::ByAcl);
        link.copied().unwrap_or_else(|| databases.address(region))
    }
}

/// What differs from run to run.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    pub(super) mode: Mode,
    pub(super) way: Way,
}

/// The folder of the policy, for the controller and both vantages.
pub(super) fn policies(folder: &Path) -> PathBuf {
    folder.join("policies")
}

/// The policy's file.
pub(super) fn file(folder: &Path) -> PathBuf {
    policies(folder).join(FILE)
}

/// The folder of its secrets.
pub(super) fn secrets(folder: &Path) -> PathBuf {
    folder.join("secrets")
}

/// It is there while the fence keeps the region's application switched off.
pub(super) fn off_file(folder: &Path, region: Region) -> PathBuf {
    folder.join(format!("off-{}", region.name()))
}

/// Writes the secrets and the fence's program, once.
pub(super) fn prepare(folder: &Path) -> anyhow::Result<()> {
    let token = || uuid::Uuid::new_v4().simple().to_string();
    let all = [
        ("pg", "muster", MUSTER.to_owned()),
        ("pg", "shop", APPLICATION.to_owned()),
        ("aws", "marker", MARKER_SECRET.to_owned()),
        ("v1", "token", token()),
        ("v2", "token", token()),
    ];
    for (name, key, value) in all {
        let secret = secrets(folder).join(name);
        folders::make_private(&secret, None)?;
        folders::write(&secret.join(key), &value, 0o600)?;
    }
    folders::make_private(&policies(folder), None)?;
    let fence = fence(folder);
    let off = folder.join("off-").display().to_string();
    let text = format!(
        "#!/bin/sh\noff=\"{off}$MUSTER_REGION\"\ncase \"$1\" in\nfence) : > \"$off\" ;;\nunfence) rm -f \"$off\" ;;\n\
         status)\n  if [ -e \"$off\" ]; then state=off; else state=on; fi\n  \
         printf '{{\"id\":\"writers-of-%s\",\"state\":\"%s\"}}\\n' \"$MUSTER_REGION\" \"$state\" ;;\nesac\n"
    );
    folders::write(&fence, &text, 0o700)?;
    std::fs::set_permissions(&fence, std::fs::Permissions::from_mode(0o700))?;
    Ok(())
}

fn fence(folder: &Path) -> PathBuf {
    folder.join("fence")
}

/// Writes the policy as it is to be from now on.
pub(super) fn write(bed: &Bed<'_>, terms: Terms) -> anyhow::Result<()> {
    let text = render(bed, terms)?;
    // Renamed into place: a reader sees the old file or the new one.
    let new = policies(bed.folder).join(".checkout.yaml.new");
    folders::write(&new, &text, 0o600)?;
    std::fs::rename(new, file(bed.folder)).context("failed to write the policy")
}

fn render(bed: &Bed<'_>, Terms { mode, way }: Terms) -> anyhow::Result<String> {
    let mut y = String::new();
    let (namespace, name) = POLICY;
    writeln!(y, "apiVersion: muster.dev/v1alpha1\nkind: RegionFailoverPolicy")?;
    writeln!(y, "metadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  mode: {mode:?}")?;
    y.push_str("  objectives: {rto: 30s, rpo: 5s}\n  regions:\n");
    for region in Region::ALL {
        let (name, aws, front, port) = (region.name(), region.aws(), region.front(), bed.fronts.port);
        writeln!(
            y,
            r#"  - {{name: {name}, values: {{api: "http://{front}:{port}"}}, aws: {{region: {aws}, roleArn: "{ROLE}"}}}}"#
        )?;
    }
    y.push_str("  vantages:\n");
    for vantage in ["v1", "v2"] {
        writeln!(y, "  - {{name: {vantage}, tokenSecret: {{name: {vantage}, key: token}}}}")?;
    }
    write_probes(&mut y, bed)?;
    write_data(&mut y, bed, way)?;
    write_traffic(&mut y, bed)?;
    write_fences(&mut y, bed, way)?;
    writeln!(y, "  safety: {{cooldown: 1s, accept: [Attested], maxEstimatedLoss: 30s}}")?;
    Ok(y)
}

fn write_fences(y: &mut String, bed: &Bed<'_>, way: Way) -> anyhow::Result<()> {
    let fence = fence(bed.folder).display().to_string();
    writeln!(y, "  fence:\n  - {{name: deny-logins, sql: {{data: {REPORTS}}}, timeout: 3s, attempts: 2}}")?;
    if way == Way::ByAcl {
        let of = |region: Region| format!("{{region: {}, ids: [{}]}}", region.name(), acl(region));
        let acls = Region::ALL.map(of).join(", ");
        let aws = format!("{{networkAcls: [{acls}], ruleNumber: {RULE}}}");
        writeln!(y, "  - {{name: cut-off, aws: {aws}, timeout: 3s, attempts: 2}}")?;
        return Ok(());
    }
    writeln!(
        y,
        r#"  - {{name: writers, exec: {{fence: ["{fence}", "fence"], status: ["{fence}", "status"], unfence: ["{fence}", "unfence"]}}, proof: Attested, timeout: 3s, attempts: 2}}"#
    )?;
    Ok(())
}

fn write_probes(y: &mut String, bed: &Bed<'_>) -> anyhow::Result<()> {
    let [http, tcp] = bed.fronts.anchors;
    let port = bed.fronts.port;
    let server = bed.cloud.zone.servers.first().context("a zone has name servers")?;
    writeln!(
        y,
        r#"  probes:
  - name: place-order
    side: Primary
    every: 800ms
    timeout: 640ms
    suite:
    - {{name: order, post: "{{{{ region.values.api }}}}/orders", body: '{{"item":"probe"}}', headers: {{content-type: application/json}}, expect: ["status == 201"], save: {{id: "body.id"}}}}
    - {{name: read, get: "{{{{ region.values.api }}}}/orders/{{{{ id }}}}", expect: ["status == 200", "body.state == 'placed'"]}}
    - {{name: delete, delete: "{{{{ region.values.api }}}}/orders/{{{{ id }}}}", always: true}}
  - {{name: beat, every: 800ms, timeout: 640ms, heartbeat: {{data: {ORDERS}}}}}
  - {{name: beat-of-reports, every: 800ms, timeout: 640ms, heartbeat: {{data: {REPORTS}}}}}
  - {{name: api, side: Both, every: 800ms, timeout: 640ms, http: {{get: "{{{{ region.values.api }}}}/healthz", expect: ["status == 200"]}}}}
  publicProbe: {{every: 300ms, timeout: 250ms, successes: 3, http: {{get: "http://{NAME}:{port}/healthz/deep", expect: ["status == 200"]}}, resolver: "{server}"}}
  detection:
    trip: {{failures: 3, minOutage: 1s}}
    reset: {{successes: 3, minHealthy: 2s}}
    aggregate: {{require: [place-order, beat]}}
    quorum: {{vantages: 2}}
    anchors: ["http://{http}/", "tcp://{tcp}"]"#
    )?;
    Ok(())
}

fn write_data(y: &mut String, bed: &Bed<'_>, way: Way) -> anyhow::Result<()> {
    writeln!(y, "  data:\n  - name: {ORDERS}\n    auroraGlobal:\n      cluster: {GLOBAL}\n      members:")?;
    for region in Region::ALL {
        let (name, arn, at) = (region.name(), bed.cloud.cluster(region), bed.address(ORDERS, region, way));
        writeln!(
            y,
            r#"      - {{region: {name}, clusterArn: "{arn}", host: {ip}, readerHost: {ip}, port: {port}}}"#,
            ip = at.ip(),
            port = at.port()
        )?;
    }
    write_session(y)?;
    if way == Way::Detached {
        // As soon as the kind allows.
        y.push_str("      detach: {after: 1m}\n");
    }
    writeln!(y, "  - name: {REPORTS}\n    rdsReplica:\n      instances:")?;
    for region in Region::ALL {
        let (name, arn, at) = (region.name(), Cloud::instance_arn(region), bed.address(REPORTS, region, way));
        let (ip, port) = (at.ip(), at.port());
        writeln!(y, r#"      - {{region: {name}, instanceArn: "{arn}", host: {ip}, port: {port}}}"#)?;
    }
    write_session(y)?;
    writeln!(
        y,
        r"      application: {{user: {APPLICATION}, passwordSecret: {{name: pg, key: shop}}}}
      backupRetentionDays: 7
      rebuild: {{timeout: 10m}}"
    )?;
    Ok(())
}

/// What both engines are told of a session.
fn write_session(y: &mut String) -> anyhow::Result<()> {
    writeln!(
        y,
        r"      database: {DATABASE}
      user: {MUSTER}
      passwordSecret: {{name: pg, key: muster}}
      tls: {{mode: Disable}}
      promoteTimeout: 1m"
    )?;
    Ok(())
}

fn write_traffic(y: &mut String, bed: &Bed<'_>) -> anyhow::Result<()> {
    let servers: Vec<String> = bed.cloud.zone.servers.iter().map(|at| format!("\"{at}\"")).collect();
    writeln!(
        y,
        r#"  traffic:
  - name: shop
    route53:
      zoneId: {zone}
      zone: {ZONE}
      record: {NAME}
      nameServers: [{servers}]
      roleArn: "{ROLE}"
      timeout: 8s
      flip:
        healthObject:
          ttl: 1s
          secret: {{name: aws, key: marker}}
          pinHealthCheckId: {pin}
          regions:"#,
        zone = bed.cloud.zone.id,
        pin = bed.cloud.pin,
        servers = servers.join(", ")
    )?;
    for region in Region::ALL {
        let (name, front, aws) = (region.name(), region.front(), region.aws());
        let (bucket, check) = (bucket(region), bed.cloud.check(region));
        writeln!(
            y,
            r"          - {{region: {name}, address: {front}, bucket: {bucket}, bucketRegion: {aws}, healthCheckId: {check}}}"
        )?;
    }
    Ok(())
}

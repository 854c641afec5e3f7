//! The parts of the world's policy that speak of AWS.

use super::super::addresses::{Addresses, Kind, Place};
use super::super::nameserver::{RECORD, TTL_SECONDS, ZONE};
use super::{Cloud, GLOBAL, ROLE, bucket};
use muster_core::ids::RegionName;
use std::fmt::Write;

/// What the policy says of the cloud.
#[derive(Clone, Debug)]
pub(in crate::demo) struct CloudPolicy {
    regions: Vec<Member>,
    zone: String,
    pin: String,
    name_servers: Vec<String>,
}

#[derive(Clone, Debug)]
struct Member {
    region: RegionName,
    aws: &'static str,
    cluster: String,
    bucket: String,
    check: String,
}

impl Cloud {
    /// For the world's policies.
    pub(in crate::demo) fn policy(&self, addresses: &Addresses) -> CloudPolicy {
        let member = |region: &RegionName| {
            let aws = self.aws_name(region);
            let cluster = self.global.clusters.get(aws).cloned().unwrap_or_default();
            let (region, bucket, check) = (region.clone(), bucket(region), self.check(region).to_owned());
            Member { region, aws, cluster, bucket, check }
        };
        CloudPolicy {
            regions: addresses.regions().iter().map(member).collect(),
            zone: self.zone.id.clone(),
            pin: self.pin.clone(),
            name_servers: self.zone.servers.iter().map(|server| format!("\"{server}\"")).collect(),
        }
    }
}

impl CloudPolicy {
    /// The rest of a region's line.
    pub(in crate::demo) fn region(&self, region: &RegionName) -> String {
        let member = self.regions.iter().find(|member| member.region == *region);
        member.map(|m| format!(", aws: {{region: {}, roleArn: \"{ROLE}\"}}", m.aws)).unwrap_or_default()
    }

    /// `spec.data`.
    pub(in crate::demo) fn write_data(
        &self,
        y: &mut String,
        addresses: &Addresses,
        viewer: &Place,
    ) -> anyhow::Result<()> {
        writeln!(y, "  data:\n  - name: orders\n    auroraGlobal:\n      cluster: {GLOBAL}\n      members:")?;
        for Member { region, cluster, .. } in &self.regions {
            let at = addresses.path(viewer, &Place::Region(region.clone()), Kind::Database);
            writeln!(
                y,
                r#"      - {{region: {region}, clusterArn: "{cluster}", host: {ip}, readerHost: {ip}, port: {port}}}"#,
                ip = at.ip(),
                port = at.port()
            )?;
        }
        y.push_str(
            "      database: shop
      user: muster
      passwordSecret: {name: pg, key: muster}
      tls: {mode: Disable}
      promoteTimeout: 1m
",
        );
        Ok(())
    }

    /// `spec.traffic`.
    pub(in crate::demo) fn write_traffic(&self, y: &mut String, addresses: &Addresses) -> anyhow::Result<()> {
        writeln!(
            y,
            r#"  traffic:
  - name: shop
    route53:
      zoneId: {zone}
      zone: {ZONE}
      record: {RECORD}
      nameServers: [{servers}]
      roleArn: "{ROLE}"
      timeout: 10s
      flip:
        healthObject:
          ttl: {TTL_SECONDS}s
          secret: {{name: aws, key: marker}}
          pinHealthCheckId: {pin}
          regions:"#,
            zone = self.zone,
            pin = self.pin,
            servers = self.name_servers.join(", ")
        )?;
        for Member { region, aws, bucket, check, .. } in &self.regions {
            let front = addresses.path(&Place::Outside, &Place::Region(region.clone()), Kind::Api).ip();
            writeln!(
                y,
                r"          - {{region: {region}, address: {front}, bucket: {bucket}, bucketRegion: {aws}, healthCheckId: {check}}}"
            )?;
        }
        Ok(())
    }
}

//! Data items: what the core plans with, and what the adapters connect to.

mod aurora;
pub(super) mod aws;
mod postgres;
mod rds_replica;

use super::findings::{Findings, words};
use super::names::is_host;
use super::requests::{Resolver, exactly_one};
use muster_core::ids::{ClaimKey, ItemName};
use muster_core::policy::DataItem;
use muster_core::secret::Secret;
use muster_crds::policy::{self as api, RegionFailoverPolicySpec};
use muster_probes::{PgTarget, PgTls};
use muster_providers::aurora::AuroraConfig;
use muster_providers::hook::RejoinHookConfig;
use muster_providers::postgres::{PostgresConfig, TlsMode};
use muster_providers::rds_replica::RdsReplicaConfig;
use std::collections::BTreeMap;

/// One data item's adapter.
#[derive(Clone, Debug)]
pub struct DataConfig {
    /// What it is made from.
    pub engine: EngineConfig,
    /// The same database as probes see it.
    pub probed: PgTarget,
}

/// The engine of a data item.
#[derive(Clone, Debug)]
pub enum EngineConfig {
    /// PostgreSQL with streaming replication.
    Postgres {
        /// Its `rejoin` is empty: the shell makes the runner from the hook beside it.
        config: Box<PostgresConfig>,
        /// The user's way to make an old primary follow.
        rejoin: Option<Box<RejoinHookConfig>>,
    },
    /// An Aurora PostgreSQL global database.
    AuroraGlobal(Box<AuroraConfig>),
    /// RDS for PostgreSQL with read replicas.
    RdsReplica(Box<RdsReplicaConfig>),
}

/// All data items.
pub(super) fn convert(
    spec: &RegionFailoverPolicySpec,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> (Vec<DataItem>, BTreeMap<ItemName, DataConfig>) {
    let mut items = Vec::new();
    let mut configs = BTreeMap::new();
    aws::check_regions(spec, findings);
    for (index, item) in spec.data.iter().enumerate() {
        let path = format!("spec.data[{index}]");
        let engines = [
            ("postgres", item.postgres.is_some()),
            (aurora::ENGINE, item.aurora_global.is_some()),
            (rds_replica::ENGINE, item.rds_replica.is_some()),
        ];
        exactly_one(&engines, &path, "engine", findings);
        let name = ItemName::new(item.name.as_str());
        let (item, config) = match (&item.postgres, &item.aurora_global, &item.rds_replica) {
            (Some(postgres), _, _) => postgres::convert(&name, postgres, spec, &path, resolver, findings),
            (None, Some(aurora), _) => aurora::convert(&name, aurora, spec, &path, resolver, findings),
            (None, None, Some(rds)) => rds_replica::convert(&name, rds, spec, &path, resolver, findings),
            (None, None, None) => continue,
        };
        items.push(item);
        configs.insert(name, config);
    }
    check_shared(&items, findings);
    check_hand_overs(&items, findings);
    (items, configs)
}

/// `path` is the field's.
fn check_host(host: &str, path: &str, findings: &mut Findings) {
    if !is_host(host) {
        let message = format!("`{host}` is neither a host name nor an IP address");
        findings.error(path, message, "write the host alone, and its port in port");
    }
}

fn check_tls(tls: &api::PostgresTls, path: &str, findings: &mut Findings) {
    if tls.ca_secret.is_some() && tls.mode != api::PostgresTlsMode::VerifyFull {
        let message = format!("caSecret is not looked at with mode {:?}", tls.mode);
        let fix = "use mode VerifyFull, or leave caSecret out";
        findings.error(format!("{path}.tls.caSecret"), message, fix);
    }
}

/// The same for the adapter and for probes.
fn tls_of(
    tls: &api::PostgresTls,
    path: &str,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> (TlsMode, PgTls) {
    let ca: Option<Secret> =
        resolver.optional(tls.ca_secret.as_ref(), &format!("{path}.tls.caSecret"), findings);
    match tls.mode {
        api::PostgresTlsMode::Disable => (TlsMode::Disable, PgTls::Disable),
        api::PostgresTlsMode::Require => (TlsMode::Require, PgTls::Require),
        api::PostgresTlsMode::VerifyFull => {
            let ca_pem = ca.as_ref().map(|pem| pem.expose().as_bytes().to_vec());
            (TlsMode::VerifyFull { ca_pem }, PgTls::VerifyFull { ca })
        }
    }
}

/// Each would be moved by its own engine, one after the other, and a source that dies in between leaves them apart.
fn check_hand_overs(items: &[DataItem], findings: &mut Findings) {
    let mut moved = items.iter().enumerate().filter(|(_, item)| item.hands_over);
    let Some((_, first)) = moved.next() else { return };
    for (index, other) in moved {
        findings.error(
            format!("spec.data[{index}]"),
            format!("`{}` is moved by its own engine too, as `{}`", other.name, first.name),
            "keep one such item a policy, and give the other one a policy of its own",
        );
    }
}

fn check_shared(items: &[DataItem], findings: &mut Findings) {
    for (index, item) in items.iter().enumerate() {
        for other in items.iter().take(index) {
            let shared: Vec<&ClaimKey> = item.claims.intersection(&other.claims).collect();
            if shared.is_empty() {
                continue;
            }
            let bare = |key: &ClaimKey| key.as_str().split_once('/').map_or("", |(_, bare)| bare).to_owned();
            let servers: Vec<String> = shared.into_iter().map(bare).collect();
            let servers = words(servers.iter().map(String::as_str));
            let message = format!(
                "`{}` and `{}` are both on {servers}, and a promotion moves a server with all its databases",
                other.name, item.name
            );
            let nodes = match item.engine.as_str() {
                aurora::ENGINE => "members",
                rds_replica::ENGINE => "instances",
                _ => "nodes",
            };
            findings.error(
                format!("spec.data[{index}].{}.{nodes}", item.engine),
                message,
                format!("keep one of the two items: it moves the databases of both; or give `{}` servers of its own", item.name),
            );
        }
    }
}

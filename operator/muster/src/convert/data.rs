//! Data items: what the core plans with, and what the adapter connects to.

use super::findings::{Findings, words};
use super::names::{fold, is_host};
use super::requests::{Resolver, exactly_one, within};
use super::{millis, rules};
use muster_core::ids::{ClaimKey, ItemName, RegionName};
use muster_core::policy::{Capability, DataItem};
use muster_core::secret::Secret;
use muster_core::time::Millis;
use muster_crds::policy::{self as api, RegionFailoverPolicySpec};
use muster_probes::{PgTarget, PgTls};
use muster_providers::AdoptedOwners;
use muster_providers::hook::RejoinHookConfig;
use muster_providers::postgres::{Application, Node, PostgresConfig, TlsMode};
use std::collections::BTreeMap;

/// How long `pg_promote` takes as a rule (measured on PostgreSQL 15: about 40 ms, without a long replay).
const EXPECTED_PROMOTE: Millis = Millis(100);

/// One data item's adapter.
#[derive(Clone, Debug)]
pub struct DataConfig {
    /// The engine. `rejoin` is empty: the shell makes the runner from the hook below.
    pub postgres: PostgresConfig,
    /// The user's way to make an old primary follow.
    pub rejoin: Option<RejoinHookConfig>,
    /// The same database as probes see it.
    pub probed: PgTarget,
}

/// All data items.
pub(super) fn convert(
    spec: &RegionFailoverPolicySpec,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> (Vec<DataItem>, BTreeMap<ItemName, DataConfig>) {
    let mut items = Vec::new();
    let mut configs = BTreeMap::new();
    for (index, item) in spec.data.iter().enumerate() {
        let path = format!("spec.data[{index}]");
        exactly_one(&[("postgres", item.postgres.is_some())], &path, "engine", findings);
        let Some(postgres) = &item.postgres else { continue };
        let path = format!("{path}.postgres");
        let name = ItemName::new(item.name.as_str());
        check_postgres(spec, postgres, &path, findings);
        items.push(item_of(&name, postgres));
        configs.insert(name.clone(), config_of(name, postgres, &path, resolver, findings));
    }
    check_shared(&items, findings);
    (items, configs)
}

fn item_of(name: &ItemName, postgres: &api::Postgres) -> DataItem {
    // Without the database: a promotion moves the whole server.
    let claim =
        |node: &api::PostgresNode| ClaimKey::new(format!("postgres/{}:{}", fold(&node.host), node.port));
    DataItem {
        name: name.clone(),
        engine: "postgres".to_owned(),
        claims: postgres.nodes.iter().map(claim).collect(),
        expected_promote: EXPECTED_PROMOTE,
        promote_deadline: millis(postgres.promote_timeout),
        capability: Capability::Checked,
        hands_over: false,
        can_rejoin: postgres.rejoin.is_some(),
        rejoin_timeout: postgres.rejoin.as_ref().map_or(Millis(0), |r| millis(r.timeout)),
        no_ack_declared: postgres
            .no_ack
            .as_ref()
            .is_some_and(|d| d.clients_never_lower_commit && d.list_is_not_edited),
    }
}

fn check_postgres(
    spec: &RegionFailoverPolicySpec,
    postgres: &api::Postgres,
    path: &str,
    findings: &mut Findings,
) {
    let regions = postgres.nodes.iter().map(|n| &n.region);
    rules::check_regions(spec, &regions, &format!("{path}.nodes"), "node", findings);
    let mut seen = BTreeMap::new();
    for (index, node) in postgres.nodes.iter().enumerate() {
        let path = format!("{path}.nodes[{index}]");
        if !is_host(&node.host) {
            let message = format!("`{}` is neither a host name nor an IP address", node.host);
            findings.error(format!("{path}.host"), message, "write the host alone, and its port in port");
        }
        if let Some(other) = seen.insert((fold(&node.host), node.port), &node.region) {
            let message = format!("{}:{} is the node of {other} too", node.host, node.port);
            findings.error(path, message, "give each region a node of its own");
        }
    }
    if postgres.user == postgres.application.user {
        let message = format!("`{}` is Muster's own role too, which a fence would lock out", postgres.user);
        let fix = "use a role for Muster (user) and another one for the application";
        findings.error(format!("{path}.application.user"), message, fix);
    }
    within(postgres.promote_timeout, ("1s", "1h"), &format!("{path}.promoteTimeout"), findings);
    if postgres.tls.ca_secret.is_some() && postgres.tls.mode != api::PostgresTlsMode::VerifyFull {
        let message = format!("caSecret is not looked at with mode {:?}", postgres.tls.mode);
        let fix = "use mode VerifyFull, or leave caSecret out";
        findings.error(format!("{path}.tls.caSecret"), message, fix);
    }
}

fn config_of(
    name: ItemName,
    postgres: &api::Postgres,
    path: &str,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> DataConfig {
    let password = resolver.secret(&postgres.password_secret, &format!("{path}.passwordSecret"), findings);
    let application = &postgres.application;
    let ca_path = format!("{path}.tls.caSecret");
    let ca = resolver.optional(postgres.tls.ca_secret.as_ref(), &ca_path, findings);
    let rejoin = postgres.rejoin.as_ref();
    DataConfig {
        probed: target_of(postgres, &password, ca.clone()),
        rejoin: rejoin.and_then(|r| rejoin_of(r, &format!("{path}.rejoin"), resolver, findings)),
        postgres: PostgresConfig {
            item: name,
            owner: resolver.with.owner.clone(),
            database: postgres.database.to_string(),
            user: postgres.user.to_string(),
            password,
            application: Application {
                user: application.user.to_string(),
                password: resolver.secret(
                    &application.password_secret,
                    &format!("{path}.application.passwordSecret"),
                    findings,
                ),
            },
            tls: match postgres.tls.mode {
                api::PostgresTlsMode::Disable => TlsMode::Disable,
                api::PostgresTlsMode::Require => TlsMode::Require,
                api::PostgresTlsMode::VerifyFull => {
                    TlsMode::VerifyFull { ca_pem: ca.map(|pem| pem.expose().as_bytes().to_vec()) }
                }
            },
            nodes: postgres
                .nodes
                .iter()
                .map(|n| {
                    (RegionName::new(n.region.as_str()), Node { host: n.host.to_string(), port: n.port })
                })
                .collect(),
            rejoin: None,
            adopted: AdoptedOwners::default(),
        },
    }
}

fn target_of(postgres: &api::Postgres, password: &Secret, ca: Option<Secret>) -> PgTarget {
    PgTarget {
        database: postgres.database.to_string(),
        user: postgres.user.to_string(),
        password: Some(password.clone()),
        tls: match postgres.tls.mode {
            api::PostgresTlsMode::Disable => PgTls::Disable,
            api::PostgresTlsMode::Require => PgTls::Require,
            api::PostgresTlsMode::VerifyFull => PgTls::VerifyFull { ca },
        },
        nodes: postgres
            .nodes
            .iter()
            .map(|n| (RegionName::new(n.region.as_str()), (n.host.to_string(), n.port)))
            .collect(),
    }
}

fn rejoin_of(
    rejoin: &api::Rejoin,
    path: &str,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> Option<RejoinHookConfig> {
    let kinds = [("exec", rejoin.exec.is_some()), ("webhook", rejoin.webhook.is_some())];
    exactly_one(&kinds, path, "call", findings);
    within(rejoin.timeout, ("1s", "24h"), &format!("{path}.timeout"), findings);
    let run = match (&rejoin.exec, &rejoin.webhook) {
        (Some(exec), _) => resolver.exec(&exec.command, &format!("{path}.exec"), findings),
        (None, Some(webhook)) => {
            let path = format!("{path}.webhook");
            let (signing, ca) = (webhook.signing_secret.as_ref(), webhook.ca_secret.as_ref());
            let secrets = resolver.webhook_secrets(signing, ca, &path, findings);
            Resolver::webhook(&webhook.url, &format!("{path}.url"), &secrets, findings)
        }
        (None, None) => return None,
    };
    Some(RejoinHookConfig { owner: resolver.with.owner.clone(), policy: resolver.policy.clone(), run })
}

fn check_shared(items: &[DataItem], findings: &mut Findings) {
    for (index, item) in items.iter().enumerate() {
        for other in items.iter().take(index) {
            let shared: Vec<&ClaimKey> = item.claims.intersection(&other.claims).collect();
            if shared.is_empty() {
                continue;
            }
            let servers = words(shared.iter().map(|key| key.as_str().trim_start_matches("postgres/")));
            let message = format!(
                "`{}` and `{}` are both on {servers}, and a promotion moves a server with all its databases",
                other.name, item.name
            );
            findings.error(
                format!("spec.data[{index}].postgres.nodes"),
                message,
                format!("keep one of the two items: it moves the databases of both; or give `{}` servers of its own", item.name),
            );
        }
    }
}

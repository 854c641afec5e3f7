//! PostgreSQL with streaming replication.

use super::super::findings::Findings;
use super::super::names::fold;
use super::super::requests::{Resolver, exactly_one, within};
use super::super::{millis, rules};
use super::{DataConfig, EngineConfig, check_host, check_tls, tls_of};
use muster_core::ids::{ClaimKey, ItemName, RegionName};
use muster_core::policy::{Capability, DataItem};
use muster_core::time::Millis;
use muster_crds::policy::{self as api, RegionFailoverPolicySpec};
use muster_probes::PgTarget;
use muster_providers::AdoptedOwners;
use muster_providers::hook::RejoinHookConfig;
use muster_providers::postgres::{Application, Node, PostgresConfig};
use std::collections::BTreeMap;

/// How long `pg_promote` takes as a rule (measured on PostgreSQL 15: about 40 ms, without a long replay).
const EXPECTED_PROMOTE: Millis = Millis(100);

/// One item: for the core, and for the adapter. `path` is the item's.
pub(super) fn convert(
    name: &ItemName,
    postgres: &api::Postgres,
    spec: &RegionFailoverPolicySpec,
    path: &str,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> (DataItem, DataConfig) {
    let path = format!("{path}.postgres");
    check_postgres(spec, postgres, &path, findings);
    (item_of(name, postgres), config_of(name.clone(), postgres, &path, resolver, findings))
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
        can_rejoin: postgres.rejoin.is_some(),
        rejoin_timeout: postgres.rejoin.as_ref().map_or(Millis(0), |r| millis(r.timeout)),
        no_ack_declared: postgres
            .no_ack
            .as_ref()
            .is_some_and(|d| d.clients_never_lower_commit && d.list_is_not_edited),
        hands_over: false,
        saves_old_data: false,
        detaches_after: None,
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
        check_host(&node.host, &format!("{path}.host"), findings);
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
    check_tls(&postgres.tls, path, findings);
}

fn config_of(
    name: ItemName,
    postgres: &api::Postgres,
    path: &str,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> DataConfig {
    let password = resolver.secret(&postgres.password_secret, &format!("{path}.passwordSecret"), findings);
    let (tls, probed_tls) = tls_of(&postgres.tls, path, resolver, findings);
    let rejoin =
        postgres.rejoin.as_ref().and_then(|r| rejoin_of(r, &format!("{path}.rejoin"), resolver, findings));
    let application = &postgres.application;
    let application_path = format!("{path}.application.passwordSecret");
    let config = PostgresConfig {
        item: name,
        owner: resolver.with.owner.clone(),
        database: postgres.database.to_string(),
        user: postgres.user.to_string(),
        password: password.clone(),
        application: Application {
            user: application.user.to_string(),
            password: resolver.secret(&application.password_secret, &application_path, findings),
        },
        tls,
        nodes: postgres
            .nodes
            .iter()
            .map(|n| (RegionName::new(n.region.as_str()), Node { host: n.host.to_string(), port: n.port }))
            .collect(),
        rejoin: None,
        adopted: AdoptedOwners::default(),
    };
    let probed = PgTarget {
        database: config.database.clone(),
        user: config.user.clone(),
        password: Some(password),
        tls: probed_tls,
        nodes: config.nodes.iter().map(|(r, node)| (r.clone(), (node.host.clone(), node.port))).collect(),
        readers: BTreeMap::new(),
    };
    let engine = EngineConfig::Postgres { config: Box::new(config), rejoin: rejoin.map(Box::new) };
    DataConfig { engine, probed }
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

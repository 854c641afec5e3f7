//! What becomes of a good policy.

use muster::convert::{
    Circumstances, Converted, EngineConfig, Environment, FolderSecrets, TrafficConfig, convert,
};
use muster_core::ids::{ItemName, Owner, RegionName};
use muster_core::policy::{Aggregate, Capability, FenceKind, Mode, On, ProofClass};
use muster_core::time::Millis;
use muster_crds::{Problem, load_policy_file};
use muster_probes::ProbeKind;
use muster_providers::hook::Call;
use std::collections::BTreeMap;

const EXAMPLE: &str = include_str!("../../../crds/examples/local.yaml");

fn secrets() -> Vec<(String, String)> {
    let values = [
        ("V1_TOKEN", "v1-token"),
        ("V2_TOKEN", "v2-token"),
        ("API_CANARY", "Bearer canary"),
        ("PG_MUSTER", "muster-password"),
        ("PG_SHOP", "shop-password"),
        ("DNS_TSIG", "c2VjcmV0LXRzaWcta2V5"),
    ];
    values.iter().map(|(name, value)| (format!("MUSTER_SECRET_{name}"), (*value).to_owned())).collect()
}

fn convert_with(text: &str, variables: Vec<(String, String)>) -> Result<Converted, Vec<Problem>> {
    let policies = load_policy_file(text).expect("fits the schema");
    let with = Circumstances {
        environment: Environment::Local,
        owner: Owner::new("uid-1"),
        generation: 7,
        secrets: &FolderSecrets::new(None, variables),
        program_env: BTreeMap::from([("PATH".to_owned(), "/bin".to_owned())]),
    };
    convert(&policies[0], &with)
}

fn example() -> Converted {
    convert_with(EXAMPLE, secrets()).expect("the example is good")
}

#[test]
fn the_core_gets_names_and_numbers() {
    let policy = example().policy;
    assert_eq!(
        (policy.name.as_str(), policy.owner.as_str(), policy.generation),
        ("shop/checkout", "uid-1", 7)
    );
    assert_eq!(policy.mode, Mode::Automatic);
    let regions: Vec<_> = policy.regions.iter().map(RegionName::as_str).collect();
    assert_eq!(regions, ["east", "west"]);
    let sides: Vec<_> = policy.probes.iter().map(|p| (p.name.as_str(), p.on)).collect();
    assert_eq!(sides, [("place-order", On::Primary), ("api", On::Both), ("beat", On::Primary)]);
    assert_eq!(policy.detection.trip.min, Millis::from_secs(10));
    assert!(matches!(&policy.detection.aggregate, Aggregate::AnyOf(names) if names.len() == 2));
    assert_eq!(policy.detection.anchors, 2);
    let orders = &policy.data[0];
    assert_eq!(
        (orders.capability, orders.can_rejoin, orders.no_ack_declared),
        (Capability::Checked, true, true)
    );
    assert_eq!(orders.rejoin_timeout, Millis::from_secs(60));
    assert_eq!(policy.fences[0].kind, FenceKind::Data(ItemName::new("orders")));
    assert_eq!((&policy.fences[1].kind, policy.fences[1].proof), (&FenceKind::Hook, ProofClass::Attested));
    assert_eq!(policy.safety.without_fence.as_ref().map(|w| w.max_loss), Some(Millis::from_secs(5)));
}

#[test]
fn claims_name_each_server_and_record() {
    let claims: Vec<String> = example().policy.claims().iter().map(ToString::to_string).collect();
    assert_eq!(
        claims,
        ["dns/example.com/shop.example.com/A", "postgres/127.0.1.2:5432", "postgres/127.0.2.2:5432"]
    );
}

#[test]
fn the_adapters_get_addresses_and_secrets() {
    let adapters = example().adapters;
    let data = &adapters.data[&ItemName::new("orders")];
    let EngineConfig::Postgres { config, rejoin } = &data.engine else {
        panic!("the example's data is PostgreSQL's");
    };
    assert_eq!(config.password.expose(), "muster-password");
    assert_eq!(config.application.password.expose(), "shop-password");
    assert_eq!((config.nodes.len(), data.probed.nodes.len(), rejoin.is_some()), (2, 2, true));
    let TrafficConfig::Rfc2136(dns) = &adapters.traffic[&ItemName::new("shop")] else {
        panic!("the example's traffic is a name server's");
    };
    assert_eq!(dns.tsig.secret.expose(), "c2VjcmV0LXRzaWcta2V5");
    assert_eq!(dns.servers[0].to_string(), "127.0.0.1:5300");
    let fence = &adapters.fences[&ItemName::new("power")];
    assert!(
        matches!(&fence.status, Call::Exec(exec) if exec.command[1] == "status" && exec.env["PATH"] == "/bin")
    );
    assert!(adapters.hooks[&ItemName::new("warm")].repeat_safe);
    assert_eq!(adapters.vantages[1].region.as_ref().map(RegionName::as_str), Some("west"));
    assert_eq!(adapters.vantages[0].token.expose(), "v1-token");
}

#[test]
fn a_vantage_gets_what_it_probes() {
    let probing = example().adapters.probing;
    assert_eq!((probing.regions.len(), probing.probes.len(), probing.anchors.len()), (2, 3, 2));
    let ProbeKind::Suite(steps) = &probing.probes[0].kind else { panic!("a suite") };
    assert_eq!(steps[0].http.secret_headers[0].1.expose(), "Bearer canary");
    assert!(steps[2].always);
    assert_eq!(probing.public.expect("given").resolver.as_deref(), Some("127.0.0.1:5300"));
}

#[test]
fn secrets_that_are_missing_are_all_named_and_none_is_shown() {
    let problems = convert_with(EXAMPLE, Vec::new()).expect_err("no secret is there");
    let errors: Vec<_> = problems.iter().filter(|p| p.is_error()).collect();
    assert_eq!(errors.len(), 6, "{errors:#?}");
    for path in [
        "spec.vantages[0].tokenSecret",
        "spec.data[0].postgres.application.passwordSecret",
        "spec.traffic[0].rfc2136.tsig.secret",
    ] {
        assert!(errors.iter().any(|p| p.path == path), "{path}: {errors:#?}");
    }
    assert!(errors.iter().any(|p| p.fix.contains("MUSTER_SECRET_DNS_TSIG")), "{errors:#?}");
    let mut wrong = secrets();
    wrong[5].1 = "hunter2!".to_owned();
    let problems = convert_with(EXAMPLE, wrong).expect_err("not base64");
    assert!(problems[0].message.contains("not base64") && !format!("{problems:?}").contains("hunter2"));
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let warnings_of = |from: &str, to: &str| {
        assert!(EXAMPLE.contains(from), "{from}");
        let converted = convert_with(&EXAMPLE.replace(from, to), secrets()).expect("still good");
        converted.warnings.into_iter().map(|p| p.path).collect::<Vec<_>>()
    };
    assert_eq!(warnings_of("mode: Automatic", "mode: Automatic"), [""; 0]);
    assert_eq!(warnings_of(r#", "tcp://127.0.0.1:9002""#, ""), ["spec.detection.anchors"]);
    assert_eq!(warnings_of("minOutage: 10s", "minOutage: 4s"), ["spec.detection.trip.minOutage"]);
    assert_eq!(warnings_of("rto: 30s", "rto: 3s"), ["spec.objectives.rto"]);
    assert_eq!(warnings_of("accept: [Attested, NoAck]", "accept: [NoAck]"), ["spec.fence[1].proof"]);
    assert_eq!(warnings_of("listIsNotEdited: true", "listIsNotEdited: false"), ["spec.safety.accept"]);
    assert_eq!(warnings_of("maxLoss: 5s", "maxLoss: 50s"), ["spec.safety.withoutFence.maxLoss"]);
    assert_eq!(warnings_of(", unfence: [/usr/local/bin/power, unfence]", ""), ["spec.fence[1].exec.unfence"]);
    let rejoin = "      rejoin: {exec: {command: [/usr/local/bin/rejoin]}, timeout: 60s}\n";
    assert_eq!(warnings_of(rejoin, ""), ["spec.data[0].postgres.rejoin"]);
}

const AURORA: &str = include_str!("policies/good/aurora.yaml");

#[test]
fn an_aurora_global_database_hands_over_by_itself_and_is_called_in_each_region() {
    let more = [("AWS_EXTERNAL_ID", "external"), ("POWER_KEY", "key")];
    let more = more.map(|(name, value)| (format!("MUSTER_SECRET_{name}"), value.to_owned()));
    let variables = secrets().into_iter().chain(more).collect();
    let converted = convert_with(AURORA, variables).expect("it is good");
    let item = &converted.policy.data[0];
    assert_eq!((item.engine.as_str(), item.capability), ("auroraGlobal", Capability::Unchecked));
    assert!(item.hands_over && !item.can_rejoin && !item.no_ack_declared);
    assert_eq!(item.promote_deadline, Millis::from_secs(900));
    let claims: Vec<&str> = item.claims.iter().map(muster_core::ids::ClaimKey::as_str).collect();
    assert_eq!(
        claims,
        [
            "aurora/arn:aws:rds:us-east-1:111122223333:cluster:orders-east",
            "aurora/arn:aws:rds:us-west-2:111122223333:cluster:orders-west"
        ]
    );
    let data = &converted.adapters.data[&item.name];
    assert_eq!(data.probed.nodes.len(), 2);
    let readers = ("orders-west.cluster-ro-y.us-west-2.rds.amazonaws.com".to_owned(), 5432);
    assert_eq!(data.probed.readers[&RegionName::new("west")], readers, "a standby answers by no other name");
    let EngineConfig::AuroraGlobal(config) = &data.engine else { panic!("an Aurora global database") };
    let west = &config.members[&RegionName::new("west")];
    assert_eq!((west.aws_region.as_str(), west.node.port), ("us-west-2", 5432));
    assert_eq!(west.access.external_id.as_deref(), Some("external"));
    assert_eq!(config.members[&RegionName::new("east")].access.role_arn, None);
}

#[test]
fn only_where_the_policy_says_so_a_person_may_have_an_aurora_cluster_detached() {
    let after = |text: &str| {
        let converted = convert_aws(text).expect("it is good");
        let item = &converted.policy.data[0];
        let EngineConfig::AuroraGlobal(config) = &converted.adapters.data[&item.name].engine else {
            panic!("an Aurora global database")
        };
        assert_eq!(config.may_detach, item.detaches_after.is_some());
        item.detaches_after
    };
    assert_eq!(after(AURORA), None);
    let detachable = include_str!("policies/good/aurora-detach.yaml");
    assert_eq!(after(detachable), Some(Millis::from_secs(1200)));
    assert_eq!(after(&detachable.replace("{after: 20m}", "{}")), Some(Millis::from_secs(600)));
}

const RDS: &str = include_str!("policies/good/rds-replica.yaml");

#[test]
fn an_rds_replica_is_promoted_by_muster_and_fenced_by_sql() {
    let more = [("MUSTER_SECRET_AWS_EXTERNAL_ID".to_owned(), "external".to_owned())];
    let converted = convert_with(RDS, secrets().into_iter().chain(more).collect()).expect("it is good");
    let item = &converted.policy.data[0];
    assert_eq!((item.engine.as_str(), item.capability), ("rdsReplica", Capability::Unchecked));
    assert!(!item.hands_over && !item.can_rejoin && !item.no_ack_declared);
    let times = (item.expected_promote, item.promote_deadline);
    assert_eq!(times, (Millis::from_secs(300), Millis::from_secs(1800)));
    let claims: Vec<&str> = item.claims.iter().map(muster_core::ids::ClaimKey::as_str).collect();
    assert_eq!(
        claims,
        [
            "rds/arn:aws:rds:us-east-1:111122223333:db:orders-east",
            "rds/arn:aws:rds:us-west-2:111122223333:db:orders-west"
        ]
    );
    let fence = &converted.policy.fences[0];
    assert_eq!((&fence.kind, fence.proof), (&FenceKind::Data(item.name.clone()), ProofClass::Closed));
    let data = &converted.adapters.data[&item.name];
    assert_eq!(data.probed.nodes.len(), 2);
    let EngineConfig::RdsReplica(config) = &data.engine else { panic!("an RDS replica") };
    assert_eq!((config.application.user.as_str(), config.backup_days), ("shop", 1));
    let west = &config.instances[&RegionName::new("west")];
    assert_eq!((west.aws_region.as_str(), west.node.port), ("us-west-2", 5432));
    assert_eq!(west.access.external_id.as_deref(), Some("external"));
}

#[test]
fn an_rds_replica_is_made_anew_where_the_policy_says_so() {
    let before = "      application: {user: shop, passwordSecret: {name: pg, key: shop}}\n";
    assert!(RDS.contains(before));
    for (rebuild, hours) in [("rebuild: {}", 4), ("rebuild: {timeout: 6h}", 6)] {
        let text = RDS.replace(before, &format!("{before}      {rebuild}\n"));
        let converted = convert_aws(&text).expect("it is good");
        let item = &converted.policy.data[0];
        assert_eq!(
            (item.can_rejoin, item.rejoin_timeout),
            (true, Millis::from_secs(hours * 3600)),
            "{rebuild}"
        );
        assert!(!item.reads_old_log(), "RDS shows it to nobody");
        let EngineConfig::RdsReplica(config) = &converted.adapters.data[&item.name].engine else {
            panic!("an RDS replica")
        };
        assert!(config.rebuilds);
    }
}

#[test]
fn an_rds_replica_without_a_sql_fence_is_told_what_it_lacks() {
    let fence = "  fence:\n  - {name: deny-logins, sql: {data: orders}, timeout: 30s}\n";
    assert!(RDS.contains(fence));
    let more = [("MUSTER_SECRET_AWS_EXTERNAL_ID".to_owned(), "external".to_owned())];
    let variables = secrets().into_iter().chain(more).collect();
    let converted = convert_with(&RDS.replace(fence, ""), variables).expect("still good");
    let warned: Vec<&str> = converted.warnings.iter().map(|warning| warning.path.as_str()).collect();
    assert!(warned.contains(&"spec.data[0].rdsReplica"), "{warned:?}");
}

fn convert_aws(text: &str) -> Result<Converted, Vec<Problem>> {
    let more = [("AWS_EXTERNAL_ID", "external"), ("POWER_KEY", "key")];
    let more = more.map(|(name, value)| (format!("MUSTER_SECRET_{name}"), value.to_owned()));
    convert_with(text, secrets().into_iter().chain(more).collect())
}

const NETWORK_ACLS: &str = include_str!("policies/good/network-acls.yaml");

#[test]
fn network_acls_fence_each_region_and_are_claimed() {
    let converted = convert_aws(NETWORK_ACLS).expect("a good policy");
    let way = &converted.policy.fences[0];
    let FenceKind::Network { claims } = &way.kind else { panic!("a fence by the network") };
    assert_eq!((claims.len(), way.proof), (3, ProofClass::Attested));
    assert!(converted.policy.claims().is_superset(claims));
    let config = &converted.adapters.network_acls[&way.name];
    assert_eq!((config.rule_number, config.regions.len()), (1, 2));
    let west = &config.regions[&RegionName::new("west")];
    assert_eq!((west.aws_region.as_str(), west.ids.len()), ("us-west-2", 2));
    assert!(west.access.role_arn.is_some());
}

#[test]
fn network_acls_before_a_sql_fence_are_warned_of() {
    let by_acl =
        "  - {name: cut, aws: {networkAcls: [{region: east, ids: [acl-1]}, {region: west, ids: [acl-2]}]}}\n";
    let (before, after) = RDS.split_once("  - {name: deny-logins").expect("a fence");
    let warned = |text: &str| {
        let converted = convert_aws(text).expect("a good policy");
        converted.warnings.iter().any(|warning| warning.message.contains("before a sql fence"))
    };
    assert!(warned(&format!("{before}{by_acl}  - {{name: deny-logins{after}")));
    let (fence, rest) = after.split_once('\n').expect("a line");
    assert!(!warned(&format!("{before}  - {{name: deny-logins{fence}\n{by_acl}{rest}")));
}

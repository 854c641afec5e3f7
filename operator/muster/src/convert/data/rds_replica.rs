//! RDS for PostgreSQL with read replicas.

use super::super::findings::Findings;
use super::super::names::fold;
use super::super::requests::{Resolver, within};
use super::super::{millis, rules};
use super::{DataConfig, EngineConfig, aws, check_host, check_tls, tls_of};
use muster_core::ids::{ClaimKey, ItemName, RegionName};
use muster_core::policy::{Capability, DataItem};
use muster_core::time::Millis;
use muster_crds::policy::{self as api, RegionFailoverPolicySpec};
use muster_probes::PgTarget;
use muster_providers::AdoptedOwners;
use muster_providers::postgres::{Application, Node};
use muster_providers::rds_replica::{LONGEST_NAME, RdsInstance, RdsReplicaConfig};
use std::collections::BTreeMap;

/// Its key in the API.
pub(super) const ENGINE: &str = "rdsReplica";
/// AWS speaks of "several minutes or longer": the replica reboots.
const EXPECTED_PROMOTE: Millis = Millis::from_secs(300);

/// One item: for the core, and for the adapter. `path` is the item's.
pub(super) fn convert(
    name: &ItemName,
    rds: &api::RdsReplica,
    spec: &RegionFailoverPolicySpec,
    path: &str,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> (DataItem, DataConfig) {
    let path = format!("{path}.{ENGINE}");
    check(spec, rds, &path, findings);
    (item_of(name, rds), config_of(name.clone(), rds, spec, &path, resolver, findings))
}

fn item_of(name: &ItemName, rds: &api::RdsReplica) -> DataItem {
    let claim = |instance: &api::RdsInstance| ClaimKey::new(format!("rds/{}", instance.instance_arn));
    DataItem {
        name: name.clone(),
        engine: ENGINE.to_owned(),
        claims: rds.instances.iter().map(claim).collect(),
        expected_promote: EXPECTED_PROMOTE,
        promote_deadline: millis(rds.promote_timeout),
        capability: Capability::Unchecked,
        can_rejoin: rds.rebuild.is_some(),
        rejoin_timeout: rds.rebuild.as_ref().map_or(Millis(0), |rebuild| millis(rebuild.timeout)),
        no_ack_declared: false,
        hands_over: false,
        saves_old_data: false,
        detaches_after: None,
    }
}

fn check(spec: &RegionFailoverPolicySpec, rds: &api::RdsReplica, path: &str, findings: &mut Findings) {
    let regions = rds.instances.iter().map(|instance| &instance.region);
    rules::check_regions(spec, &regions, &format!("{path}.instances"), "instance", findings);
    let (mut arns, mut hosts) = (BTreeMap::new(), BTreeMap::new());
    for (index, instance) in rds.instances.iter().enumerate() {
        let path = format!("{path}.instances[{index}]");
        check_host(&instance.host, &format!("{path}.host"), findings);
        let arn = (instance.instance_arn.as_str(), "instance");
        aws::check_place(spec, &instance.region, arn, &format!("{path}.instanceArn"), findings);
        let fix = "give each region the instance that stands in it";
        if let Some(other) = arns.insert(instance.instance_arn.as_str(), &instance.region) {
            let message = format!("{} is the instance of {other} too", instance.instance_arn);
            findings.error(format!("{path}.instanceArn"), message, fix);
        }
        if let Some(other) = hosts.insert((fold(&instance.host), instance.port), &instance.region) {
            let message = format!("{}:{} is the endpoint of {other} too", instance.host, instance.port);
            findings.error(format!("{path}.host"), message, fix);
        }
    }
    if rds.user == rds.application.user {
        let message = format!("`{}` is Muster's own role too, which a fence would lock out", rds.user);
        let fix = "use a role for Muster (user) and another one for the application";
        findings.error(format!("{path}.application.user"), message, fix);
    }
    within(rds.promote_timeout, ("1m", "4h"), &format!("{path}.promoteTimeout"), findings);
    if let Some(rebuild) = &rds.rebuild {
        within(rebuild.timeout, ("10m", "24h"), &format!("{path}.rebuild.timeout"), findings);
        check_names(rds, path, findings);
    }
    check_tls(&rds.tls, path, findings);
}

/// An old primary that is made anew is kept under a longer name.
fn check_names(rds: &api::RdsReplica, path: &str, findings: &mut Findings) {
    for (index, instance) in rds.instances.iter().enumerate() {
        let name = instance.instance_arn.as_str().rsplit(':').next().unwrap_or_default();
        if name.len() > LONGEST_NAME {
            let message = format!(
                "{name} has {} characters: what it is called once a replica has its name would be too long for RDS",
                name.len()
            );
            let fix = format!("use names of at most {LONGEST_NAME} characters, or leave rebuild out");
            findings.error(format!("{path}.instances[{index}].instanceArn"), message, fix);
        }
    }
}

fn config_of(
    name: ItemName,
    rds: &api::RdsReplica,
    spec: &RegionFailoverPolicySpec,
    path: &str,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> DataConfig {
    let password = resolver.secret(&rds.password_secret, &format!("{path}.passwordSecret"), findings);
    let application_path = format!("{path}.application.passwordSecret");
    let application = Application {
        user: rds.application.user.to_string(),
        password: resolver.secret(&rds.application.password_secret, &application_path, findings),
    };
    let (tls, probed_tls) = tls_of(&rds.tls, path, resolver, findings);
    let mut instances = BTreeMap::new();
    for instance in &rds.instances {
        // Its absence was found already.
        let Some((aws_region, access)) = aws::region_of(spec, &instance.region, resolver, findings) else {
            continue;
        };
        let arn = instance.instance_arn.to_string();
        let node = Node { host: instance.host.to_string(), port: instance.port };
        let of = RdsInstance { aws_region, access, arn, node };
        instances.insert(RegionName::new(instance.region.as_str()), of);
    }
    let probed = PgTarget {
        database: rds.database.to_string(),
        user: rds.user.to_string(),
        password: Some(password.clone()),
        tls: probed_tls,
        nodes: instances.iter().map(|(r, of)| (r.clone(), (of.node.host.clone(), of.node.port))).collect(),
        readers: BTreeMap::new(),
    };
    let config = RdsReplicaConfig {
        item: name,
        owner: resolver.with.owner.clone(),
        database: rds.database.to_string(),
        user: rds.user.to_string(),
        password,
        application,
        tls,
        instances,
        backup_days: rds.backup_retention_days,
        rebuilds: rds.rebuild.is_some(),
        adopted: AdoptedOwners::default(),
    };
    DataConfig { engine: EngineConfig::RdsReplica(Box::new(config)), probed }
}

//! Who must be allowed what, item by item: the adapters' table of calls, on the very things that policies name.

use super::iam::Part;
use super::{Caller, CheckedPolicy, SecretPlace, item_name, partition_of};
use crate::convert::{EngineConfig, TrafficConfig, fold};
use muster_core::ids::{PolicyName, RegionName};
use muster_crds::policy::SecretRef;
use muster_crds::text::RoleArn;
use muster_providers::aurora::{AuroraConfig, AuroraMember, old_volumes};
use muster_providers::aws::permissions::{
    ASSUME, AURORA_DETACH, AURORA_GLOBAL, HEALTH_OBJECT, NETWORK_ACL, On, Permission, RDS_REBUILD,
    RDS_REPLICA, ROUTE53_RECORD, ROUTING_CONTROL,
};
use muster_providers::dns::{NameConfig, Target};
use muster_providers::network_acl::NetworkAclPlace;
use muster_providers::rds_replica::{RdsInstance, RdsReplicaConfig};
use muster_providers::route53::{ControlPlace, MarkerPlace};
use std::collections::{BTreeMap, BTreeSet};

/// A permission on certain things.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Grant {
    pub(super) permission: &'static Permission,
    /// ARNs.
    pub(super) resources: Vec<String>,
    pub(super) records: Option<RecordLimit>,
}

/// Which records of a zone a change may name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct RecordLimit {
    /// As Route 53 compares them: in lower case, without the last dot.
    pub(super) names: Vec<String>,
    pub(super) types: Vec<&'static str>,
}

/// What one caller must be allowed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Needs {
    pub(super) policies: BTreeSet<PolicyName>,
    pub(super) grants: Vec<Grant>,
    /// What the role is assumed with; `None`: somewhere without an external id.
    pub(super) external_ids: BTreeSet<Option<String>>,
}

pub(super) type NeedsByCaller = BTreeMap<Caller, Needs>;

/// What these policies need, by caller; empty where nothing of AWS is used.
pub(super) fn collect(policies: &[CheckedPolicy], part: Part) -> NeedsByCaller {
    let mut all = NeedsByCaller::new();
    for policy in policies {
        add_names(&mut all, policy);
        if part == Part::Everything {
            add_databases(&mut all, policy);
            add_network_acls(&mut all, policy);
        }
    }
    add_roles(&mut all);
    all
}

impl Needs {
    fn of<'a>(
        all: &'a mut NeedsByCaller,
        caller: Caller,
        policy: &CheckedPolicy,
        external_id: Option<&SecretRef>,
    ) -> &'a mut Self {
        let needs = all.entry(caller).or_default();
        needs.policies.insert(policy.name.clone());
        needs.external_ids.insert(external_id.map(|reference| SecretPlace::of(reference).reference));
        needs
    }

    /// What is allowed under the same limit becomes one statement.
    fn allow(&mut self, grant: Grant) {
        let known = self
            .grants
            .iter_mut()
            .find(|known| known.permission == grant.permission && known.records == grant.records);
        let Some(known) = known else {
            self.grants.push(grant);
            return;
        };
        for resource in grant.resources {
            if !known.resources.contains(&resource) {
                known.resources.push(resource);
            }
        }
    }
}

fn add_names(all: &mut NeedsByCaller, policy: &CheckedPolicy) {
    for item in &policy.spec.traffic {
        let Some(zone) = &item.route53 else { continue };
        let caller = Caller::of(zone.role_arn.as_ref());
        let Some(config) = policy.adapters.traffic.get(&item_name(item.name.as_str())) else { continue };
        let Some((permissions, item)) = NameItem::of(config, &caller) else { continue };
        let needs = Needs::of(all, caller, policy, zone.external_id_secret.as_ref());
        for permission in permissions {
            needs.allow(item.grant(permission));
        }
    }
}

/// A name of a hosted zone.
struct NameItem<'a> {
    partition: String,
    zone_id: &'a str,
    name: &'a NameConfig,
    /// Of a name that objects move.
    markers: Option<&'a BTreeMap<RegionName, MarkerPlace>>,
    /// The health check that pins it.
    pin_check: Option<&'a str>,
    /// Of a name that routing controls move.
    controls: Option<&'a BTreeMap<RegionName, ControlPlace>>,
}

impl<'a> NameItem<'a> {
    /// With the rights that its way takes. `None`: it is in no hosted zone.
    fn of(config: &'a TrafficConfig, caller: &Caller) -> Option<(&'static [Permission], Self)> {
        let (mut markers, mut pin_check, mut controls, mut region) = (None, None, None, None);
        let (permissions, zone_id, name) = match config {
            TrafficConfig::Rfc2136(_) => return None,
            TrafficConfig::Route53(config, _) => (ROUTE53_RECORD, &config.zone_id, &config.name),
            TrafficConfig::HealthObject(config, _) => {
                markers = Some(&config.markers);
                pin_check = config.pin_check.as_deref();
                region = config.markers.values().next().map(|marker| &marker.aws_region);
                (HEALTH_OBJECT, &config.zone_id, &config.name)
            }
            TrafficConfig::RoutingControl(config, _) => {
                controls = Some(&config.controls);
                region = config.endpoints.first().map(|endpoint| &endpoint.aws_region);
                (ROUTING_CONTROL, &config.zone_id, &config.name)
            }
        };
        let partition = partition_of(caller, region.map(String::as_str));
        Some((permissions, Self { partition, zone_id, name, markers, pin_check, controls }))
    }

    fn grant(&self, permission: &'static Permission) -> Grant {
        let partition = &self.partition;
        let markers = || self.markers.into_iter().flat_map(BTreeMap::values);
        let controls = || self.controls.into_iter().flat_map(BTreeMap::values);
        let resources = match permission.on {
            On::Changes => vec![format!("arn:{partition}:route53:::change/*")],
            On::Markers => {
                markers().map(|m| format!("arn:{partition}:s3:::{}/{}", m.bucket, m.key)).collect()
            }
            On::HealthChecks => markers()
                .map(|m| m.health_check.as_str())
                .chain(self.pin_check)
                .chain(controls().map(|place| place.health_check.as_str()))
                .map(|id| format!("arn:{partition}:route53:::healthcheck/{id}"))
                .collect(),
            On::RoutingControls => controls().map(|place| place.arn.clone()).collect(),
            On::MarkerBuckets => markers().map(|m| format!("arn:{partition}:s3:::{}", m.bucket)).collect(),
            _ => vec![format!("arn:{partition}:route53:::hostedzone/{}", self.zone_id)],
        };
        Grant { permission, resources, records: self.limit(permission.on) }
    }

    fn limit(&self, on: On) -> Option<RecordLimit> {
        let record = fold(&self.name.record);
        let kind = self.name.targets.values().next().map_or("A", Target::record_type);
        match on {
            On::Name => Some(RecordLimit { names: vec![record], types: vec![kind] }),
            On::NameAndWitness => {
                let witness = format!("_muster.{record}");
                let types = replaced_types(kind).iter().copied().chain(["TXT"]).collect();
                Some(RecordLimit { names: vec![record, witness], types })
            }
            _ => None,
        }
    }
}

/// What a flip to targets of this type may have to delete: targets of another type, that the policy had before. An address of
/// the other family stays where it is.
fn replaced_types(kind: &str) -> &'static [&'static str] {
    match kind {
        "A" => &["A", "CNAME"],
        "AAAA" => &["AAAA", "CNAME"],
        _ => &["A", "AAAA", "CNAME"],
    }
}

fn add_databases(all: &mut NeedsByCaller, policy: &CheckedPolicy) {
    for item in &policy.spec.data {
        let config = policy.adapters.data.get(&item_name(item.name.as_str())).map(|data| &data.engine);
        match config {
            Some(EngineConfig::AuroraGlobal(config)) => {
                let detach = if config.may_detach { AURORA_DETACH } else { &[] };
                for (region, member) in &config.members {
                    let permissions = AURORA_GLOBAL.iter().chain(detach);
                    let grants = permissions.map(|of| database_grant(config, member, of));
                    allow_in(all, policy, region, grants);
                }
            }
            Some(EngineConfig::RdsReplica(config)) => {
                let rebuild = if config.rebuilds { RDS_REBUILD } else { &[] };
                for (region, instance) in &config.instances {
                    let permissions = RDS_REPLICA.iter().chain(rebuild);
                    let grants = permissions.map(|of| instance_grant(config, instance, of));
                    allow_in(all, policy, region, grants);
                }
            }
            Some(EngineConfig::Postgres { .. }) | None => {}
        }
    }
}

fn add_network_acls(all: &mut NeedsByCaller, policy: &CheckedPolicy) {
    for (region, place) in policy.adapters.network_acls.values().flat_map(|config| &config.regions) {
        let account = account_in(policy, region);
        let needed = NETWORK_ACL.iter().filter(|of| of.on != On::Instances || !place.databases.is_empty());
        let grants = needed.map(|of| acl_grant(place, account.as_deref(), of));
        allow_in(all, policy, region, grants);
    }
}

/// The account that is called in a region: the role's, or that of a database which is named by its ARN.
fn account_in(policy: &CheckedPolicy, region: &RegionName) -> Option<String> {
    let arns = policy.adapters.data.values().filter_map(|data| match &data.engine {
        EngineConfig::AuroraGlobal(config) => config.members.get(region).map(|member| &member.arn),
        EngineConfig::RdsReplica(config) => config.instances.get(region).map(|instance| &instance.arn),
        EngineConfig::Postgres { .. } => None,
    });
    let roles = policy.spec.regions.iter().filter(|known| known.name.as_str() == region.as_str());
    let roles = roles.filter_map(|known| known.aws.as_ref()?.role_arn.as_ref());
    let mut owners = roles.map(RoleArn::as_str).chain(arns.map(String::as_str));
    owners.next().map(|arn| owner_of(arn).1.to_owned())
}

/// To whoever calls AWS in a region of the policy.
fn allow_in(
    all: &mut NeedsByCaller,
    policy: &CheckedPolicy,
    region: &RegionName,
    grants: impl Iterator<Item = Grant>,
) {
    let region = policy.spec.regions.iter().find(|known| known.name.as_str() == region.as_str());
    let Some(aws) = region.and_then(|region| region.aws.as_ref()) else { return };
    let caller = Caller::of(aws.role_arn.as_ref());
    let needs = Needs::of(all, caller, policy, aws.external_id_secret.as_ref());
    grants.for_each(|grant| needs.allow(grant));
}

/// Partition and account of an ARN.
fn owner_of(arn: &str) -> (&str, &str) {
    let mut parts = arn.split(':').skip(1);
    let partition = parts.next().unwrap_or("aws");
    (partition, parts.nth(2).unwrap_or_default())
}

/// For whoever calls the region of `member`.
fn database_grant(config: &AuroraConfig, member: &AuroraMember, permission: &'static Permission) -> Grant {
    let (partition, account) = owner_of(&member.arn);
    let snapshots =
        |name: &str| format!("arn:{partition}:rds:{}:{account}:cluster-snapshot:{name}", member.aws_region);
    let resources = match permission.on {
        On::GlobalClusters => vec![format!("arn:{partition}:rds::{account}:global-cluster:*")],
        // RDS knows no narrower resource for them.
        On::Events => vec!["*".to_owned()],
        On::Clusters => vec![format!("arn:{partition}:rds:{}:{account}:cluster:*", member.aws_region)],
        On::Snapshots => vec![member.arn.clone(), snapshots("*")],
        On::OldVolumes => {
            let cluster = member.arn.rsplit(':').next().unwrap_or_default();
            let [saved, kept] = old_volumes(cluster);
            vec![snapshots(&saved), snapshots(&kept)]
        }
        _ => {
            let global = format!("arn:{partition}:rds::{account}:global-cluster:{}", config.cluster);
            [global].into_iter().chain(config.members.values().map(|member| member.arn.clone())).collect()
        }
    };
    Grant { permission, resources, records: None }
}

/// For whoever calls the region of `instance`.
fn instance_grant(
    config: &RdsReplicaConfig,
    instance: &RdsInstance,
    permission: &'static Permission,
) -> Grant {
    let (partition, account) = owner_of(&instance.arn);
    let all = |kind: &str| format!("arn:{partition}:rds:{}:{account}:{kind}:*", instance.aws_region);
    let resources = match permission.on {
        On::Instances => vec![all("db")],
        On::OwnInstancesAndGroups => {
            let instances = config.instances.values().map(|instance| instance.arn.clone());
            instances.chain(["og", "pg", "subgrp"].map(all)).collect()
        }
        _ => vec![instance.arn.clone()],
    };
    Grant { permission, resources, records: None }
}

/// For whoever calls the region of `place`. The list of network ACLs takes no resource.
fn acl_grant(place: &NetworkAclPlace, account: Option<&str>, permission: &'static Permission) -> Grant {
    let partition = partition_of(&Caller::Own, Some(&place.aws_region));
    let (region, account) = (&place.aws_region, account.unwrap_or("*"));
    let arn = |id: &String| format!("arn:{partition}:ec2:{region}:{account}:network-acl/{id}");
    let resources = match permission.on {
        On::NetworkAcls => vec!["*".to_owned()],
        On::Instances => vec![format!("arn:{partition}:rds:{region}:{account}:db:*")],
        _ => place.ids.iter().map(arn).collect(),
    };
    Grant { permission, resources, records: None }
}

/// What Muster runs with must be able to take each role.
fn add_roles(all: &mut NeedsByCaller) {
    let roles = || all.iter().filter_map(|(caller, needs)| Some((caller.role()?, needs)));
    let resources: Vec<String> = roles().map(|(arn, _)| arn.to_owned()).collect();
    let policies: BTreeSet<PolicyName> = roles().flat_map(|(_, needs)| needs.policies.clone()).collect();
    if resources.is_empty() {
        return;
    }
    let own = all.entry(Caller::Own).or_default();
    own.policies.extend(policies);
    for permission in ASSUME {
        own.allow(Grant { permission, resources: resources.clone(), records: None });
    }
}

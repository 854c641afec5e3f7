//! What must exist before a name of a hosted zone can be moved.

use super::iam::{Document, Part, Rights, Statement, rights};
use super::{Caller, CheckedPolicy, SecretPlace, item_name, partition_of};
use crate::convert::{TrafficConfig, fold};
use muster_core::ids::{ItemName, PolicyName, RegionName};
use muster_crds::policy::Route53;
use muster_providers::aws::permissions::Action;
use muster_providers::dns::{NameConfig, Target};
use muster_providers::route53::setup::wanted::{
    CHECK_FAILURES, CHECK_INTERVAL_S, PIN_FAILURES, PIN_HOST, PIN_INTERVAL_S, PIN_PORT, READERS_SID,
    caller_reference,
};
use muster_providers::route53::{ControlPlace, HealthObjectConfig, MarkerPlace};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What must exist for some policies' names.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    /// Each name.
    pub names: Vec<NamePlan>,
    /// What moving them takes.
    pub rights: Vec<Rights>,
}

/// What must exist for one name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamePlan {
    /// The policy.
    pub policy: PolicyName,
    /// Its traffic item.
    pub item: ItemName,
    /// The hosted zone's id.
    pub zone_id: String,
    /// Its name.
    pub zone: String,
    /// The name, in lower case and without the last dot.
    pub record: String,
    /// The records' type.
    pub kind: &'static str,
    /// How long resolvers may keep an answer, in seconds.
    pub ttl_s: u64,
    /// How it is moved.
    pub way: Way,
}

/// How a name is moved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Way {
    /// By its record: nothing but the zone must exist.
    Record(Vec<Pointed>),
    /// By objects that health checks watch.
    Objects(Box<Objects>),
    /// By routing controls that health checks follow; the region that serves now first.
    Controls(Vec<ControlSide>),
}

/// A region of a name that routing controls move.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ControlSide {
    /// Where the name points there.
    pub at: Pointed,
    /// Its routing control, and the health check that follows it.
    pub control: ControlPlace,
}

/// Where a name points in one region.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pointed {
    /// The region.
    pub region: RegionName,
    /// Its target.
    pub address: String,
}

/// Of a name that objects move.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Objects {
    /// What the health checks look for, behind [`HealthObjectConfig::ON`].
    pub secret: SecretPlace,
    /// The region that serves now.
    pub primary: Side,
    /// The other one.
    pub secondary: Side,
    /// The health check that pins the name, if the policy names one.
    pub pin_check: Option<String>,
}

/// A region of such a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Side {
    /// Where the name points there.
    pub at: Pointed,
    /// Its object, and the health check that watches it.
    pub marker: MarkerPlace,
    /// AWS' partition.
    pub partition: String,
    /// All objects of the plan in this bucket, by their ARNs; empty: another name's side makes it.
    pub readable: Vec<String>,
}

/// The region that was said to serve is none of a name's.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{policy}: the name `{item}` has no region {region}; it has {known}")]
pub struct NoSuchRegion {
    policy: PolicyName,
    item: ItemName,
    region: String,
    known: String,
}

/// The names of these policies, as their traffic stands in `active`; `None`: in each policy's first region.
pub fn plan(policies: &[CheckedPolicy], active: Option<&str>) -> Result<Plan, NoSuchRegion> {
    let mut names = Vec::new();
    for policy in policies {
        for item in &policy.spec.traffic {
            let Some(zone) = &item.route53 else { continue };
            if let Some(name) = plan_name(policy, &item_name(item.name.as_str()), zone, active)? {
                names.push(name);
            }
        }
    }
    share_buckets(&mut names);
    Ok(Plan { names, rights: rights(policies, Part::Names, None) })
}

/// A bucket has one policy, whichever names share it: the first one's side makes it for all.
fn share_buckets(names: &mut [NamePlan]) {
    let mut readable: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for side in sides(names) {
        let object = side.marker.object_arn(&side.partition);
        readable.entry(side.marker.bucket.clone()).or_default().push(object);
    }
    for side in sides(names) {
        side.readable = readable.remove(&side.marker.bucket).unwrap_or_default();
    }
}

fn sides(names: &mut [NamePlan]) -> impl Iterator<Item = &mut Side> {
    names
        .iter_mut()
        .filter_map(|name| match &mut name.way {
            Way::Objects(objects) => Some(objects.as_mut()),
            Way::Record(_) | Way::Controls(_) => None,
        })
        .flat_map(|objects| [&mut objects.primary, &mut objects.secondary])
}

fn plan_name(
    policy: &CheckedPolicy,
    item: &ItemName,
    zone: &Route53,
    active: Option<&str>,
) -> Result<Option<NamePlan>, NoSuchRegion> {
    let (zone_id, name, way) = match policy.adapters.traffic.get(item) {
        Some(TrafficConfig::Route53(config, _)) => {
            let targets = ordered(policy, item, &config.name, active)?;
            (&config.zone_id, &config.name, Way::Record(targets))
        }
        Some(TrafficConfig::HealthObject(config, _)) => {
            let targets = ordered(policy, item, &config.name, active)?;
            let Some(objects) = objects_of(zone, config, &targets) else { return Ok(None) };
            (&config.zone_id, &config.name, Way::Objects(Box::new(objects)))
        }
        Some(TrafficConfig::RoutingControl(config, _)) => {
            let targets = ordered(policy, item, &config.name, active)?;
            let side = |at: Pointed| {
                let control = config.controls.get(&at.region)?.clone();
                Some(ControlSide { at, control })
            };
            let sides = targets.into_iter().filter_map(side).collect();
            (&config.zone_id, &config.name, Way::Controls(sides))
        }
        _ => return Ok(None),
    };
    Ok(Some(NamePlan {
        policy: policy.name.clone(),
        item: item.clone(),
        zone_id: zone_id.clone(),
        zone: name.zone.clone(),
        record: fold(&name.record),
        kind: name.targets.values().next().map_or("A", Target::record_type),
        ttl_s: name.ttl.as_secs(),
        way,
    }))
}

/// Where the name points: first the region that serves now, then the others as the policy prefers them.
fn ordered(
    policy: &CheckedPolicy,
    item: &ItemName,
    name: &NameConfig,
    active: Option<&str>,
) -> Result<Vec<Pointed>, NoSuchRegion> {
    let point = |region: &str| {
        let region = RegionName::new(region);
        let address = name.targets.get(&region)?.to_string();
        Some(Pointed { region, address })
    };
    let mut targets: Vec<Pointed> =
        policy.spec.regions.iter().filter_map(|region| point(region.name.as_str())).collect();
    if let Some(active) = active {
        if !targets.iter().any(|target| target.region.as_str() == active) {
            let known: Vec<&str> = targets.iter().map(|target| target.region.as_str()).collect();
            return Err(NoSuchRegion {
                policy: policy.name.clone(),
                item: item.clone(),
                region: active.to_owned(),
                known: known.join(", "),
            });
        }
        targets.sort_by_key(|target| target.region.as_str() != active);
    }
    Ok(targets)
}

/// `None` for what a good policy has not: other than two regions, or one without an object.
fn objects_of(zone: &Route53, config: &HealthObjectConfig, targets: &[Pointed]) -> Option<Objects> {
    let secret = &zone.flip.health_object.as_ref()?.secret;
    let caller = Caller::of(zone.role_arn.as_ref());
    let side = |at: &Pointed| {
        let marker = config.markers.get(&at.region)?.clone();
        let partition = partition_of(&caller, Some(marker.aws_region.as_str()));
        Some(Side { at: at.clone(), marker, partition, readable: Vec::new() })
    };
    let [primary, secondary] = targets else { return None };
    Some(Objects {
        secret: SecretPlace::of(secret),
        primary: side(primary)?,
        secondary: side(secondary)?,
        pin_check: config.pin_check.clone(),
    })
}

impl Objects {
    /// The region that serves now, then the other.
    pub const fn sides(&self) -> [&Side; 2] {
        [&self.primary, &self.secondary]
    }
}

impl Plan {
    /// The names that objects move.
    pub fn by_objects(&self) -> impl Iterator<Item = (&NamePlan, &Objects)> {
        self.names.iter().filter_map(|name| match &name.way {
            Way::Objects(objects) => Some((name, objects.as_ref())),
            Way::Record(_) | Way::Controls(_) => None,
        })
    }

    /// The names that routing controls move.
    pub fn by_controls(&self) -> impl Iterator<Item = (&NamePlan, &[ControlSide])> {
        self.names.iter().filter_map(|name| match &name.way {
            Way::Controls(sides) => Some((name, sides.as_slice())),
            Way::Record(_) | Way::Objects(_) => None,
        })
    }
}

/// The health check that pins names, as the API takes it: one for all of them.
pub fn pin_check() -> Value {
    json!({
        "Type": "HTTP",
        "Disabled": true,
        "Inverted": false,
        "FullyQualifiedDomainName": PIN_HOST,
        "Port": PIN_PORT,
        "RequestInterval": PIN_INTERVAL_S,
        "FailureThreshold": PIN_FAILURES,
    })
}

impl Side {
    /// Where the health check finds the bucket.
    pub fn host(&self) -> String {
        self.marker.host(&self.partition)
    }

    /// Where it finds the object there.
    pub fn path(&self) -> String {
        self.marker.path()
    }

    /// The same for the same object: a health check that was asked for twice is made once.
    pub fn caller_reference(&self) -> String {
        caller_reference(&self.marker.reference_stem(), 1)
    }

    /// The bucket's: that one object of each name is readable, and nothing else.
    pub fn bucket_policy(&self) -> Document {
        let statement = Statement::allow(READERS_SID, &[Action::GetObject], self.readable.clone());
        Document::of(vec![Statement { principal: Some(json!("*")), ..statement }])
    }

    /// As the API takes it; it looks for `sought`.
    pub fn health_check(&self, sought: &str) -> Value {
        json!({
            "Type": "HTTPS_STR_MATCH",
            "Inverted": true,
            "EnableSNI": true,
            "Port": 443,
            "FullyQualifiedDomainName": self.host(),
            "ResourcePath": self.path(),
            "SearchString": sought,
            "RequestInterval": CHECK_INTERVAL_S,
            "FailureThreshold": CHECK_FAILURES,
        })
    }
}

//! Which region's record is the primary one, and the batch that swaps the two.

use super::super::values::{change, comment, parse_listed, parse_value, takes_part, wire_name, write_value};
use super::config::MarkerPlace;
use crate::OpCtx;
use crate::dns::SteeredName;
use aws_sdk_route53::error::BuildError;
use aws_sdk_route53::types::{
    ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, ResourceRecordSetFailover,
};
use muster_core::ids::RegionName;
use std::collections::BTreeMap;

/// A region's record as it is listed.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Listed {
    pub(super) region: RegionName,
    set: ResourceRecordSet,
}

/// The two records of a name.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Roles {
    /// Answered while its health check is healthy: while the other region's marker is not on.
    pub(super) primary: Listed,
    /// Answered else.
    pub(super) secondary: Listed,
}

/// Reads the records of a name; an error for people if they are not the two that are needed.
pub(super) fn read_roles(
    sets: &[ResourceRecordSet],
    name: &SteeredName,
    places: &BTreeMap<RegionName, MarkerPlace>,
) -> Result<Roles, String> {
    let (mut primary, mut secondary) = (None, None);
    let at_name = |set: &&ResourceRecordSet| parse_listed(set.name()).as_ref() == Some(&name.record);
    for set in sets.iter().filter(at_name).filter(|set| takes_part(set.r#type(), name.kind())) {
        let listed = Listed { region: region_of(set, name)?, set: set.clone() };
        let (role, place) = match set.failover() {
            Some(ResourceRecordSetFailover::Primary) => ("PRIMARY", &mut primary),
            Some(ResourceRecordSetFailover::Secondary) => ("SECONDARY", &mut secondary),
            _ => return Err(format!("{} has no failover role; make it PRIMARY or SECONDARY", tell(set))),
        };
        if place.replace(listed).is_some() {
            return Err(format!("there are two records with the role {role}"));
        }
    }
    let missing = |role: &str| {
        format!("there is no record with the role {role}; create both, with the regions' targets")
    };
    let primary = primary.ok_or_else(|| missing("PRIMARY"))?;
    let secondary = secondary.ok_or_else(|| missing("SECONDARY"))?;
    if primary.region == secondary.region {
        return Err(format!("both records point at region {}", primary.region));
    }
    check_health(&primary, &secondary, places)?;
    Ok(Roles { primary, secondary })
}

/// The region that a record points at; nothing about it may be of another design.
fn region_of(set: &ResourceRecordSet, name: &SteeredName) -> Result<RegionName, String> {
    if set.alias_target().is_some() {
        return Err(format!("{} is an alias; give it its region's target", tell(set)));
    }
    let [record] = set.resource_records() else {
        let count = set.resource_records().len();
        return Err(format!("{} has {count} values; give it one, its region's target", tell(set)));
    };
    let datum = parse_value(set.r#type(), record.value());
    let region = datum.as_ref().and_then(|datum| name.region_of(datum));
    let strange = || format!("{} points at `{}`, none of the regions' targets", tell(set), record.value());
    region.cloned().ok_or_else(strange)
}

/// Health decides on the primary record alone: a check at the secondary one could bring a region back that is gone.
fn check_health(
    primary: &Listed,
    secondary: &Listed,
    places: &BTreeMap<RegionName, MarkerPlace>,
) -> Result<(), String> {
    let wanted = places.get(&secondary.region).map_or("", |place| place.health_check.as_str());
    let (region, other) = (&primary.region, &secondary.region);
    match primary.set.health_check_id() {
        Some(found) if found == wanted => {}
        Some(found) => {
            return Err(format!(
                "the primary record, of {region}, has the health check {found}; it needs {wanted}, which watches the marker of {other}"
            ));
        }
        None => {
            return Err(format!(
                "the primary record, of {region}, has no health check; it needs {wanted}, which watches the marker of {other}"
            ));
        }
    }
    match secondary.set.health_check_id() {
        None => Ok(()),
        Some(found) => {
            Err(format!("the secondary record, of {other}, has the health check {found}; it must have none"))
        }
    }
}

/// For messages.
fn tell(set: &ResourceRecordSet) -> String {
    let kind = set.r#type();
    match set.set_identifier() {
        Some(identifier) => format!("the {kind} record `{identifier}`"),
        None => format!("the simple {kind} record"),
    }
}

/// Deletes both records exactly as they were listed, and creates both with the other's role: carried out whole, or not at
/// all.
pub(super) fn swap_roles(
    roles: &Roles,
    name: &SteeredName,
    places: &BTreeMap<RegionName, MarkerPlace>,
    ctx: &OpCtx,
) -> Result<ChangeBatch, BuildError> {
    let (old, new) = (&roles.primary, &roles.secondary);
    let check = places.get(&old.region).map(|place| place.health_check.clone());
    let primary = make_set(new, ResourceRecordSetFailover::Primary, check, name)?;
    let secondary = make_set(old, ResourceRecordSetFailover::Secondary, None, name)?;
    let batch = ChangeBatch::builder()
        .comment(comment(ctx))
        .changes(change(ChangeAction::Delete, old.set.clone())?)
        .changes(change(ChangeAction::Delete, new.set.clone())?)
        .changes(change(ChangeAction::Create, primary)?)
        .changes(change(ChangeAction::Create, secondary)?);
    batch.build()
}

fn make_set(
    listed: &Listed,
    role: ResourceRecordSetFailover,
    check: Option<String>,
    name: &SteeredName,
) -> Result<ResourceRecordSet, BuildError> {
    let mut set = ResourceRecordSet::builder()
        .name(wire_name(&name.record))
        .r#type(listed.set.r#type().clone())
        .set_set_identifier(listed.set.set_identifier().map(str::to_owned))
        .failover(role)
        .ttl(i64::from(name.ttl))
        .set_health_check_id(check);
    if let Some(target) = name.targets.get(&listed.region) {
        set = set.resource_records(ResourceRecord::builder().value(write_value(target).1).build()?);
    }
    set.build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AdoptedOwners;
    use crate::dns::{NameConfig, Target};
    use aws_sdk_route53::types::RrType;
    use std::time::Duration;

    fn name() -> SteeredName {
        let targets = [("east", "127.0.1.1"), ("west", "127.0.2.1")];
        let config = NameConfig {
            owner: "uid-1".into(),
            zone: "example.com".to_owned(),
            record: "shop.example.com".to_owned(),
            ttl: Duration::from_secs(5),
            targets: targets.map(|(region, at)| (RegionName::from(region), Target::parse(at))).into(),
            adopted: AdoptedOwners::default(),
        };
        SteeredName::from_config(&config).expect("a name")
    }

    fn places() -> BTreeMap<RegionName, MarkerPlace> {
        let place = |region: &str| MarkerPlace {
            bucket: format!("marker-{region}"),
            key: "muster/shop".to_owned(),
            aws_region: region.to_owned(),
            health_check: format!("watches-{region}"),
        };
        ["east", "west"].map(|region| (RegionName::from(region), place(region))).into()
    }

    fn set(value: &str, role: Option<ResourceRecordSetFailover>, check: Option<&str>) -> ResourceRecordSet {
        let record = ResourceRecord::builder().value(value).build().expect("a value");
        ResourceRecordSet::builder()
            .name("shop.example.com.")
            .r#type(RrType::A)
            .set_set_identifier(role.as_ref().map(|_| format!("at-{value}")))
            .set_failover(role)
            .ttl(60)
            .set_health_check_id(check.map(str::to_owned))
            .resource_records(record)
            .build()
            .expect("a record set")
    }

    fn primary(value: &str, check: Option<&str>) -> ResourceRecordSet {
        set(value, Some(ResourceRecordSetFailover::Primary), check)
    }

    fn secondary(value: &str, check: Option<&str>) -> ResourceRecordSet {
        set(value, Some(ResourceRecordSetFailover::Secondary), check)
    }

    fn good() -> [ResourceRecordSet; 2] {
        [primary("127.0.1.1", Some("watches-west")), secondary("127.0.2.1", None)]
    }

    #[test]
    fn two_good_records_are_told_apart_among_others() {
        let [one, other] = good();
        let text = ResourceRecord::builder().value("\"v=spf1\"").build().expect("a value");
        let beside = ResourceRecordSet::builder().name("shop.example.com.").r#type(RrType::Txt);
        let beside = beside.resource_records(text).build().expect("a record set");
        let sets = [other, beside, one];
        let roles = read_roles(&sets, &name(), &places()).expect("both roles");
        assert_eq!((roles.primary.region.as_str(), roles.secondary.region.as_str()), ("east", "west"));
    }

    #[test]
    fn whatever_is_wrong_with_the_records_is_said() {
        let [one, other] = good();
        for (sets, expect) in [
            (vec![], "no record with the role PRIMARY"),
            (vec![one.clone()], "no record with the role SECONDARY"),
            (vec![one.clone(), one.clone()], "two records with the role PRIMARY"),
            (vec![one.clone(), secondary("127.0.1.1", None)], "both records point at region east"),
            (vec![one.clone(), secondary("127.0.9.9", None)], "none of the regions' targets"),
            (vec![set("127.0.1.1", None, None)], "the simple A record has no failover role"),
            (vec![primary("127.0.1.1", None), other.clone()], "it needs watches-west"),
            (vec![primary("127.0.1.1", Some("watches-east")), other], "it needs watches-west"),
            (vec![one, secondary("127.0.2.1", Some("watches-east"))], "it must have none"),
        ] {
            let why = read_roles(&sets, &name(), &places()).expect_err(expect);
            assert!(why.contains(expect), "{why} is not about: {expect}");
        }
    }

    #[test]
    fn swapped_roles_are_good_again_and_keep_each_region_s_identifier() {
        let roles = read_roles(&good(), &name(), &places()).expect("both roles");
        let swapped = [
            make_set(
                &roles.secondary,
                ResourceRecordSetFailover::Primary,
                Some("watches-east".to_owned()),
                &name(),
            ),
            make_set(&roles.primary, ResourceRecordSetFailover::Secondary, None, &name()),
        ];
        let swapped = swapped.map(|set| set.expect("a record set"));
        assert_eq!(swapped[0].set_identifier(), Some("at-127.0.2.1"));
        assert_eq!(swapped[0].ttl(), Some(5));
        let roles = read_roles(&swapped, &name(), &places()).expect("both roles");
        assert_eq!((roles.primary.region.as_str(), roles.secondary.region.as_str()), ("west", "east"));
    }
}

//! Whether a region's record and health check follow its routing control. Pure.

use super::super::listed::{kept_too_long, region_of, tell};
use super::super::values::{parse_listed, takes_part};
use super::config::ControlPlace;
use crate::dns::SteeredName;
use aws_sdk_route53::types::{
    HealthCheckConfig, HealthCheckType, ResourceRecordSet, ResourceRecordSetFailover,
};
use muster_core::ids::RegionName;
use std::collections::BTreeMap;

/// What is wrong with the records of a name, for people.
pub(super) fn judge_records(
    sets: &[ResourceRecordSet],
    name: &SteeredName,
    controls: &BTreeMap<RegionName, ControlPlace>,
) -> Result<(), String> {
    let mut found: BTreeMap<RegionName, &ResourceRecordSet> = BTreeMap::new();
    let at_name = |set: &&ResourceRecordSet| parse_listed(set.name()).as_ref() == Some(&name.record);
    for set in sets.iter().filter(at_name).filter(|set| takes_part(set.r#type(), name.kind())) {
        let region = region_of(set, name)?;
        judge_record(set, &region, name, controls)?;
        if found.contains_key(&region) {
            return Err(format!("two records point at region {region}"));
        }
        found.insert(region, set);
    }
    if let Some(missing) = controls.keys().find(|region| !found.contains_key(*region)) {
        return Err(format!("no record points at region {missing}; create one for each, before the day"));
    }
    let has_role = |role: &ResourceRecordSetFailover| found.values().any(|set| set.failover() == Some(role));
    let is_pair = has_role(&ResourceRecordSetFailover::Primary)
        && has_role(&ResourceRecordSetFailover::Secondary)
        && found.len() == 2;
    if is_pair || found.values().all(|set| set.weight().is_some()) {
        return Ok(());
    }
    Err("the records are neither all weighted nor a PRIMARY and a SECONDARY one".to_owned())
}

fn judge_record(
    set: &ResourceRecordSet,
    region: &RegionName,
    name: &SteeredName,
    controls: &BTreeMap<RegionName, ControlPlace>,
) -> Result<(), String> {
    if set.weight().is_none() && set.failover().is_none() {
        return Err(format!("{} has neither a weight nor a failover role", tell(set)));
    }
    if set.weight() == Some(0) {
        return Err(format!("{} has the weight 0; give each region's one the same above it", tell(set)));
    }
    if let Some(why) = kept_too_long(set, name) {
        return Err(why);
    }
    let wanted = controls.get(region).map_or("", |place| place.health_check.as_str());
    match set.health_check_id() {
        Some(found) if found == wanted => Ok(()),
        Some(found) => Err(format!("{} has the health check {found}; it needs {wanted}", tell(set))),
        None => Err(format!("{} has no health check, and is always answered; it needs {wanted}", tell(set))),
    }
}

/// What is wrong with the health check of a region; `None`: nothing.
pub(super) fn judge_check(config: Option<&HealthCheckConfig>, place: &ControlPlace) -> Option<String> {
    let Some(config) = config else { return Some("does not exist".to_owned()) };
    let kind = config.r#type();
    if *kind != HealthCheckType::RecoveryControl {
        return Some(format!("is of type {kind}; it must be RECOVERY_CONTROL"));
    }
    if config.routing_control_arn() != Some(place.arn.as_str()) {
        let found = config.routing_control_arn().unwrap_or("none");
        return Some(format!("follows the routing control {found}; it must be {}", place.arn));
    }
    if config.inverted() == Some(true) {
        return Some("is inverted: it is healthy while the routing control is off".to_owned());
    }
    (config.disabled() == Some(true))
        .then(|| "is disabled: it is healthy whatever the routing control says".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AdoptedOwners;
    use crate::dns::{NameConfig, Target};
    use aws_sdk_route53::types::{ResourceRecord, RrType};
    use std::time::Duration;

    const REGIONS: [(&str, &str); 3] = [("east", "127.0.1.1"), ("north", "127.0.3.1"), ("west", "127.0.2.1")];

    fn name_of(count: usize) -> SteeredName {
        let targets = REGIONS.iter().take(count);
        let config = NameConfig {
            owner: "uid-1".into(),
            zone: "example.com".to_owned(),
            record: "shop.example.com".to_owned(),
            ttl: Duration::from_mins(1),
            targets: targets.map(|(region, at)| (RegionName::from(*region), Target::parse(at))).collect(),
            adopted: AdoptedOwners::default(),
        };
        SteeredName::from_config(&config).expect("a name")
    }

    fn place(region: &str) -> ControlPlace {
        let panel = "arn:aws:route53-recovery-control::111122223333:controlpanel/1";
        ControlPlace {
            arn: format!("{panel}/routingcontrol/{region}"),
            health_check: format!("follows-{region}"),
        }
    }

    fn controls_of(count: usize) -> BTreeMap<RegionName, ControlPlace> {
        REGIONS.iter().take(count).map(|(region, _)| (RegionName::from(*region), place(region))).collect()
    }

    fn set(region: &str, change: impl Fn(&mut ResourceRecordSet)) -> ResourceRecordSet {
        let (_, at) = REGIONS.iter().find(|(known, _)| *known == region).expect("a region");
        let record = ResourceRecord::builder().value(*at).build().expect("a value");
        let mut set = ResourceRecordSet::builder()
            .name("shop.example.com.")
            .r#type(RrType::A)
            .set_identifier(region)
            .weight(1)
            .ttl(60)
            .health_check_id(format!("follows-{region}"))
            .resource_records(record)
            .build()
            .expect("a record set");
        change(&mut set);
        set
    }

    fn role(region: &str, role: &ResourceRecordSetFailover) -> ResourceRecordSet {
        set(region, |set| {
            set.weight = None;
            set.failover = Some(role.clone());
        })
    }

    fn good() -> Vec<ResourceRecordSet> {
        ["east", "north", "west"].map(|region| set(region, |_| {})).into()
    }

    #[test]
    fn weighted_records_and_a_failover_pair_are_good() {
        assert_eq!(judge_records(&good(), &name_of(3), &controls_of(3)), Ok(()));
        let pair = [
            role("east", &ResourceRecordSetFailover::Primary),
            role("north", &ResourceRecordSetFailover::Secondary),
        ];
        assert_eq!(judge_records(&pair, &name_of(2), &controls_of(2)), Ok(()));
    }

    #[test]
    fn whatever_is_wrong_with_the_records_is_said() {
        let with = |changed: ResourceRecordSet| {
            let mut sets = good();
            sets.retain(|set| set.set_identifier != changed.set_identifier);
            sets.push(changed);
            sets
        };
        for (sets, expect) in [
            (good().split_off(1), "no record points at region east"),
            (with(set("west", |set| set.weight = None)), "neither a weight nor a failover role"),
            (with(set("west", |set| set.weight = Some(0))), "has the weight 0"),
            (with(set("west", |set| set.ttl = Some(300))), "may be kept for 300 s"),
            (with(set("west", |set| set.health_check_id = None)), "is always answered"),
            (
                with(set("west", |set| set.health_check_id = Some("follows-east".to_owned()))),
                "it needs follows-west",
            ),
            (with(role("west", &ResourceRecordSetFailover::Primary)), "neither all weighted nor a PRIMARY"),
            ([good(), vec![set("west", |set| set.set_identifier = None)]].concat(), "two records point at"),
        ] {
            let why = judge_records(&sets, &name_of(3), &controls_of(3)).expect_err(expect);
            assert!(why.contains(expect), "{why} is not about: {expect}");
        }
    }

    #[test]
    fn a_health_check_that_does_not_follow_its_control_is_told() {
        let place = place("west");
        let good = HealthCheckConfig::builder()
            .r#type(HealthCheckType::RecoveryControl)
            .routing_control_arn(&place.arn)
            .build()
            .expect("a configuration");
        let check = |change: fn(&mut HealthCheckConfig), expect: &str| {
            let mut config = good.clone();
            change(&mut config);
            let why = judge_check(Some(&config), &place).expect(expect);
            assert!(why.contains(expect), "{why} is not about: {expect}");
        };
        assert_eq!(judge_check(Some(&good), &place), None);
        assert_eq!(judge_check(None, &place).as_deref(), Some("does not exist"));
        check(|config| config.r#type = HealthCheckType::Https, "must be RECOVERY_CONTROL");
        check(|config| config.routing_control_arn = None, "follows the routing control none");
        check(|config| config.inverted = Some(true), "is inverted");
        check(|config| config.disabled = Some(true), "is disabled");
    }
}

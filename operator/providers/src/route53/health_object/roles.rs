//! Which region's record is the primary one, and the batch that writes both anew.
//!
//! Records hold no witness. Instead every batch gives both records identifiers of its own (`REGION-EPOCH-SEQ`), and deletes
//! those that were listed. So no two batches of different effects delete the same, and one that got stuck cannot match what a
//! later one wrote, whichever way the roles went meanwhile.

use super::super::listed::{kept_too_long, region_of, tell};
use super::super::values::{change, comment, parse_listed, takes_part, wire_name, write_value};
use super::config::MarkerPlace;
use crate::OpCtx;
use crate::dns::SteeredName;
use aws_sdk_route53::error::BuildError;
use aws_sdk_route53::types::{
    ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, ResourceRecordSetFailover,
};
use muster_core::ids::RegionName;
use std::collections::BTreeMap;
use std::time::Duration;

/// A region's record as it is listed.
#[derive(Clone, PartialEq, Debug)]
pub(in crate::route53) struct Listed {
    pub(in crate::route53) region: RegionName,
    set: ResourceRecordSet,
}

/// The two records of a name.
#[derive(Clone, PartialEq, Debug)]
pub(in crate::route53) struct Roles {
    /// Answered while its health check is healthy: while the other region's marker is not on.
    pub(super) primary: Listed,
    /// Answered else.
    pub(in crate::route53) secondary: Listed,
    /// The health check that is always healthy, if there is one.
    pub(super) pin: Option<String>,
}

impl Roles {
    /// The health check that is attached is always healthy, or there is none: the primary record is answered whatever any marker
    /// says. Route 53 takes no primary record without a check any more.
    pub(in crate::route53) fn is_pinned(&self) -> bool {
        let attached = self.primary.set.health_check_id();
        attached.is_none() || attached == self.pin.as_deref()
    }

    /// So long may a resolver keep an answer of either.
    pub(super) fn ttl(&self) -> Duration {
        let ttls = [&self.primary, &self.secondary].map(|listed| listed.set.ttl().unwrap_or_default());
        Duration::from_secs(
            ttls.into_iter().max().and_then(|ttl| u64::try_from(ttl).ok()).unwrap_or_default(),
        )
    }

    /// Why resolvers may keep an answer of either for longer than the policy says, for people.
    pub(super) fn kept_too_long(&self, name: &SteeredName) -> Option<String> {
        [&self.primary, &self.secondary].into_iter().find_map(|listed| kept_too_long(&listed.set, name))
    }

    pub(super) fn form(&self) -> Form {
        let listed = [&self.primary, &self.secondary];
        Form {
            primary: self.primary.region.clone(),
            is_pinned: self.is_pinned(),
            is_own: listed.iter().all(|listed| listed.is_own()),
            identifiers: listed.map(|listed| listed.set.set_identifier().map(str::to_owned)),
        }
    }
}

impl Listed {
    /// Whether its identifier is one that Muster gives.
    fn is_own(&self) -> bool {
        let rest = self.set.set_identifier().and_then(|found| found.strip_prefix(self.region.as_str()));
        let numbers = rest.and_then(|rest| rest.strip_prefix('-')).and_then(|rest| rest.split_once('-'));
        let is_number = |text: &str| text.parse::<u64>().is_ok();
        numbers.is_some_and(|(epoch, seq)| is_number(epoch) && is_number(seq))
    }
}

/// What tells the two records from those of another batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Form {
    /// The region whose record is the primary one.
    pub(super) primary: RegionName,
    /// The health check that is attached is always healthy, or there is none.
    pub(super) is_pinned: bool,
    /// Muster wrote them.
    pub(super) is_own: bool,
    identifiers: [Option<String>; 2],
}

/// What the records are to become.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Health {
    /// The check that watches the other region's marker is attached to the primary record.
    Attached,
    /// The one that is always healthy is: the name stays with the primary record.
    Pinned,
}

/// Reads the records of a name; an error for people if they are not the two that are needed.
pub(in crate::route53) fn read_roles(
    sets: &[ResourceRecordSet],
    name: &SteeredName,
    places: &BTreeMap<RegionName, MarkerPlace>,
    pin: Option<&str>,
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
    check_health(&primary, &secondary, places, pin)?;
    Ok(Roles { primary, secondary, pin: pin.map(str::to_owned) })
}

/// Health decides on the primary record alone: a check at the secondary one could bring a region back that is gone. The
/// primary one may have none, or the one that is always healthy: it is pinned then.
fn check_health(
    primary: &Listed,
    secondary: &Listed,
    places: &BTreeMap<RegionName, MarkerPlace>,
    pin: Option<&str>,
) -> Result<(), String> {
    let wanted = places.get(&secondary.region).map_or("", |place| place.health_check.as_str());
    let (region, other) = (&primary.region, &secondary.region);
    let is_strange = |found: &&str| *found != wanted && Some(*found) != pin;
    if let Some(found) = primary.set.health_check_id().filter(is_strange) {
        return Err(format!(
            "the primary record, of {region}, has the health check {found}; it needs {wanted}, which watches the marker of {other}"
        ));
    }
    match secondary.set.health_check_id() {
        None => Ok(()),
        Some(found) => {
            Err(format!("the secondary record, of {other}, has the health check {found}; it must have none"))
        }
    }
}

/// Deletes both records exactly as they were listed, and creates both anew, `primary` the primary one: carried out whole, or
/// not at all. Also gives what stands there afterwards.
pub(super) fn write_roles(
    old: &Roles,
    primary: &RegionName,
    health: Health,
    name: &SteeredName,
    places: &BTreeMap<RegionName, MarkerPlace>,
    ctx: &OpCtx,
) -> Result<(ChangeBatch, Roles), BuildError> {
    let numbers = format!("{}-{}", ctx.effect.epoch, ctx.effect.seq);
    let new = make_roles(old, primary, health, name, places, &numbers)?;
    let batch = ChangeBatch::builder()
        .comment(comment(ctx))
        .changes(change(ChangeAction::Delete, old.primary.set.clone())?)
        .changes(change(ChangeAction::Delete, old.secondary.set.clone())?)
        .changes(change(ChangeAction::Create, new.primary.set.clone())?)
        .changes(change(ChangeAction::Create, new.secondary.set.clone())?);
    Ok((batch.build()?, new))
}

fn make_roles(
    old: &Roles,
    primary: &RegionName,
    health: Health,
    name: &SteeredName,
    places: &BTreeMap<RegionName, MarkerPlace>,
    numbers: &str,
) -> Result<Roles, BuildError> {
    let is_same = old.primary.region == *primary;
    let (first, second) =
        if is_same { (&old.primary, &old.secondary) } else { (&old.secondary, &old.primary) };
    let check = match health {
        Health::Attached => places.get(&second.region).map(|place| place.health_check.clone()),
        Health::Pinned => old.pin.clone(),
    };
    let make = |listed: &Listed, role, check| -> Result<Listed, BuildError> {
        let set = make_set(listed, role, check, name, numbers)?;
        Ok(Listed { region: listed.region.clone(), set })
    };
    Ok(Roles {
        primary: make(first, ResourceRecordSetFailover::Primary, check)?,
        secondary: make(second, ResourceRecordSetFailover::Secondary, None)?,
        pin: old.pin.clone(),
    })
}

fn make_set(
    listed: &Listed,
    role: ResourceRecordSetFailover,
    check: Option<String>,
    name: &SteeredName,
    numbers: &str,
) -> Result<ResourceRecordSet, BuildError> {
    let mut set = ResourceRecordSet::builder()
        .name(wire_name(&name.record))
        .r#type(listed.set.r#type().clone())
        .set_identifier(format!("{}-{numbers}", listed.region))
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

    const PIN: &str = "always-healthy";

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
        let roles = read_roles(&sets, &name(), &places(), Some(PIN)).expect("both roles");
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
            (vec![primary("127.0.1.1", Some("watches-east")), other], "it needs watches-west"),
            (vec![one, secondary("127.0.2.1", Some("watches-east"))], "it must have none"),
        ] {
            let why = read_roles(&sets, &name(), &places(), Some(PIN)).expect_err(expect);
            assert!(why.contains(expect), "{why} is not about: {expect}");
        }
    }

    fn written(old: &Roles, primary: &str, health: Health, numbers: &str) -> Roles {
        make_roles(old, &primary.into(), health, &name(), &places(), numbers).expect("two record sets")
    }

    /// As a later list has them.
    fn listed_again(roles: &Roles) -> Roles {
        let sets = [roles.primary.set.clone(), roles.secondary.set.clone()];
        read_roles(&sets, &name(), &places(), Some(PIN)).expect("both roles")
    }

    #[test]
    fn records_that_were_written_are_good_again() {
        let roles = read_roles(&good(), &name(), &places(), Some(PIN)).expect("both roles");
        assert!(!roles.form().is_own && roles.ttl() == Duration::from_mins(1));
        for (primary, health) in [
            ("east", Health::Attached),
            ("west", Health::Attached),
            ("east", Health::Pinned),
            ("west", Health::Pinned),
        ] {
            let new = listed_again(&written(&roles, primary, health, "3-7"));
            let form = new.form();
            assert_eq!((form.primary.as_str(), form.is_own), (primary, true));
            assert_eq!(form.is_pinned, health == Health::Pinned);
            assert_eq!(new.ttl(), Duration::from_secs(5));
        }
    }

    #[test]
    fn no_two_effects_write_records_that_one_batch_could_delete() {
        let roles = read_roles(&good(), &name(), &places(), Some(PIN)).expect("both roles");
        let there = written(&roles, "west", Health::Attached, "1-2");
        let back = written(&there, "east", Health::Attached, "2-2");
        let again = written(&back, "east", Health::Attached, "2-3");
        let sets = |roles: &Roles| [roles.primary.set.clone(), roles.secondary.set.clone()];
        for (one, other) in [(&roles, &back), (&roles, &again), (&back, &again), (&there, &back)] {
            assert!(sets(one).iter().all(|set| !sets(other).contains(set)), "{one:?} {other:?}");
        }
        assert_eq!(there.primary.set.set_identifier(), Some("west-1-2"));
    }

    #[test]
    fn roles_that_somebody_else_swapped_back_are_told() {
        use super::super::memory::Memory;
        use muster_core::facts::TrafficFacts;
        use tokio::time::Instant;

        let places = places();
        let (mut memory, now) = (Memory::new(places.keys()), Instant::now());
        let drift = |memory: &mut Memory| {
            let facts = TrafficFacts {
                points_to: Some("west".into()),
                agree: 4,
                servers: 4,
                witness: None,
                drift: None,
                unsettled: None,
                contested: None,
            };
            memory.complete(facts).drift
        };
        let by_hand = read_roles(&good(), &name(), &places, Some(PIN)).expect("both roles");
        memory.take_roles(&by_hand, now);
        assert_eq!(drift(&mut memory), None);
        memory.take_roles(&written(&by_hand, "west", Health::Attached, "1-2"), now);
        assert_eq!(drift(&mut memory), None);
        memory.take_roles(&by_hand, now);
        let told = drift(&mut memory).expect("told");
        assert!(told.contains("another writer: the record of east"), "{told}");
        memory.take_roles(&written(&by_hand, "west", Health::Attached, "1-3"), now);
        assert_eq!(drift(&mut memory), None);
    }

    #[test]
    fn a_primary_record_that_no_marker_moves_is_pinned_until_a_marker_s_check_is_attached() {
        use super::super::memory::Memory;
        use tokio::time::Instant;

        let [_, other] = good();
        for check in [Some(PIN), None] {
            let sets = [primary("127.0.1.1", check), other.clone()];
            let pinned = read_roles(&sets, &name(), &places(), Some(PIN)).expect("both roles");
            assert!(pinned.is_pinned());
            let places = places();
            let mut memory = Memory::new(places.keys());
            memory.take_roles(&pinned, Instant::now());
            assert!(memory.is_pinned_to(&"east".into()) && !memory.may_win(&"west".into()));
            assert!(memory.is_pinned_elsewhere(&"west".into()));
            memory.take_roles(&written(&pinned, "east", Health::Attached, "1-2"), Instant::now());
            assert!(!memory.is_pinned_elsewhere(&"west".into()));
            assert!(memory.may_win(&"west".into()));
        }
        let strange = [primary("127.0.1.1", Some(PIN)), other];
        assert!(read_roles(&strange, &name(), &places(), None).is_err_and(|why| why.contains("it needs")));
    }

    #[test]
    fn a_pinned_record_carries_the_check_that_is_always_healthy() {
        let roles = read_roles(&good(), &name(), &places(), Some(PIN)).expect("both roles");
        let pinned = written(&roles, "west", Health::Pinned, "1-1");
        assert_eq!(pinned.primary.set.health_check_id(), Some(PIN));
        assert_eq!(pinned.secondary.set.health_check_id(), None);
    }
}

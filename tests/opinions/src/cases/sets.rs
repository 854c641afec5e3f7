//! Record sets, and what a zone holds of them: what the cases about Route 53 share, and how sets are kept.

use super::health::create_plain_check;
use super::{Case, case};
use crate::bench::{Bench, Zone};
use crate::check::{Answer, comes_true, refused, same, taken};
use aws_sdk_route53::operation::change_resource_record_sets::{
    ChangeResourceRecordSetsError as ChangeError, ChangeResourceRecordSetsOutput as Changed,
};
use aws_sdk_route53::types::{
    Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, ResourceRecordSetFailover, RrType,
};

pub(super) const CASES: &[Case] = &[
    case!("set-name-is-absolute", "a listed name ends with a dot", name_is_absolute),
    case!("set-text-is-kept", "a text is listed with its quotation marks, as it was written", text_is_kept),
    case!(
        "set-failover-pair-is-kept",
        "two failover sets of one name are told apart by their identifiers, and keep their roles",
        failover_pair_is_kept
    ),
    case!(
        "set-primary-needs-check",
        "a PRIMARY set that is no alias is refused without a health check",
        primary_needs_check
    ),
    case!("set-has-one-of-a-role", "a second SECONDARY set of one name is refused", has_one_of_a_role),
    case!(
        "set-of-no-role-beside-pair",
        "a weighted set beside a failover set is refused",
        of_no_role_beside_pair
    ),
    case!("set-roles-swap", "one batch swaps the roles of two failover sets", roles_swap),
];

/// A set of this TTL.
pub(super) fn set(name: &str, kind: RrType, ttl: i64, values: &[&str]) -> anyhow::Result<ResourceRecordSet> {
    let mut set = ResourceRecordSet::builder().name(name).r#type(kind).ttl(ttl);
    for value in values {
        set = set.resource_records(ResourceRecord::builder().value(*value).build()?);
    }
    Ok(set.build()?)
}

/// The set that most cases are about.
pub(super) fn address(name: &str, value: &str) -> anyhow::Result<ResourceRecordSet> {
    set(name, RrType::A, 60, &[value])
}

pub(super) fn create(set: ResourceRecordSet) -> (ChangeAction, ResourceRecordSet) {
    (ChangeAction::Create, set)
}

pub(super) fn delete(set: ResourceRecordSet) -> (ChangeAction, ResourceRecordSet) {
    (ChangeAction::Delete, set)
}

/// Sends one batch.
pub(super) async fn send(
    bench: &Bench<'_>,
    zone: &str,
    changes: impl IntoIterator<Item = (ChangeAction, ResourceRecordSet)>,
) -> anyhow::Result<Answer<Changed, ChangeError>> {
    let mut batch = ChangeBatch::builder().comment("a second opinion");
    for (action, set) in changes {
        batch = batch.changes(Change::builder().action(action).resource_record_set(set).build()?);
    }
    let send = bench.aws.route53().change_resource_record_sets().hosted_zone_id(zone);
    Ok(send.change_batch(batch.build()?).send().await)
}

/// Writes one simple set, which is listed then.
pub(super) async fn write(bench: &Bench<'_>, zone: &Zone, set: ResourceRecordSet) -> anyhow::Result<()> {
    taken(send(bench, &zone.id, [create(set)]).await?)?;
    Ok(())
}

/// The sets at this name.
pub(super) async fn list(
    bench: &Bench<'_>,
    zone: &Zone,
    name: &str,
) -> anyhow::Result<Vec<ResourceRecordSet>> {
    let list = bench.aws.route53().list_resource_record_sets().hosted_zone_id(&zone.id);
    let page = taken(list.start_record_name(name).send().await)?;
    let sets = page.resource_record_sets.into_iter();
    Ok(sets.filter(|set| set.name().trim_end_matches('.') == name.trim_end_matches('.')).collect())
}

/// The values of the sets at this name.
pub(super) async fn values(bench: &Bench<'_>, zone: &Zone, name: &str) -> anyhow::Result<Vec<String>> {
    let sets = list(bench, zone, name).await?;
    let records = sets.iter().flat_map(ResourceRecordSet::resource_records);
    Ok(records.map(|record| record.value().to_owned()).collect())
}

async fn name_is_absolute(bench: &Bench<'_>) -> anyhow::Result<()> {
    let zone = bench.zone().await?;
    let name = zone.at("shop");
    write(bench, &zone, address(name.trim_end_matches('.'), "192.0.2.1")?).await?;
    let listed = list(bench, &zone, &name).await?;
    let is_absolute = listed.iter().map(|set| set.name() == name).collect::<Vec<_>>();
    same("absolute", &is_absolute, &vec![true])
}

async fn text_is_kept(bench: &Bench<'_>) -> anyhow::Result<()> {
    const TEXT: &str = "\"muster1 owner=a\" \"epoch=1\"";
    let zone = bench.zone().await?;
    let name = zone.at("_muster");
    write(bench, &zone, set(&name, RrType::Txt, 5, &[TEXT])?).await?;
    same("listed", &values(bench, &zone, &name).await?, &vec![TEXT.to_owned()])
}

/// One of two failover sets: `PRIMARY` with this health check, or `SECONDARY` with none.
fn role(name: &str, identifier: &str, check: Option<&str>, value: &str) -> anyhow::Result<ResourceRecordSet> {
    let role = check.map_or(ResourceRecordSetFailover::Secondary, |_| ResourceRecordSetFailover::Primary);
    let mut set = address(name, value)?;
    set.set_identifier = Some(identifier.to_owned());
    set.failover = Some(role);
    set.health_check_id = check.map(str::to_owned);
    Ok(set)
}

/// The roles at this name: `east-1 PRIMARY 192.0.2.1`.
async fn roles(bench: &Bench<'_>, zone: &Zone, name: &str) -> anyhow::Result<Vec<String>> {
    let describe = |set: &ResourceRecordSet| {
        let role = set.failover().map_or("-", ResourceRecordSetFailover::as_str);
        let value = set.resource_records().first().map_or("-", ResourceRecord::value);
        format!("{} {role} {value}", set.set_identifier().unwrap_or("-"))
    };
    let mut roles: Vec<String> = list(bench, zone, name).await?.iter().map(describe).collect();
    roles.sort();
    Ok(roles)
}

/// Writes both failover sets, and returns them.
async fn write_pair(
    bench: &Bench<'_>,
    zone: &Zone,
    (name, check): (&str, &str),
) -> anyhow::Result<[ResourceRecordSet; 2]> {
    let east = role(name, "east-1", Some(check), "192.0.2.1")?;
    let west = role(name, "west-1", None, "192.0.2.2")?;
    taken(send(bench, &zone.id, [create(east.clone()), create(west.clone())]).await?)?;
    Ok([east, west])
}

async fn failover_pair_is_kept(bench: &Bench<'_>) -> anyhow::Result<()> {
    let (zone, check) = (bench.zone().await?, create_plain_check(bench).await?);
    let name = zone.at("shop");
    write_pair(bench, &zone, (&name, &check)).await?;
    let expected = ["east-1 PRIMARY 192.0.2.1", "west-1 SECONDARY 192.0.2.2"].map(str::to_owned);
    same("roles", &roles(bench, &zone, &name).await?, &expected.to_vec())
}

async fn primary_needs_check(bench: &Bench<'_>) -> anyhow::Result<()> {
    let zone = bench.zone().await?;
    let mut primary = address(&zone.at("shop"), "192.0.2.1")?;
    primary.set_identifier = Some("east-1".to_owned());
    primary.failover = Some(ResourceRecordSetFailover::Primary);
    refused(send(bench, &zone.id, [create(primary)]).await?, "400 InvalidChangeBatch")
}

async fn has_one_of_a_role(bench: &Bench<'_>) -> anyhow::Result<()> {
    let zone = bench.zone().await?;
    let name = zone.at("shop");
    write(bench, &zone, role(&name, "east-1", None, "192.0.2.1")?).await?;
    let another = role(&name, "west-1", None, "192.0.2.2")?;
    refused(send(bench, &zone.id, [create(another)]).await?, "400 InvalidChangeBatch")
}

async fn of_no_role_beside_pair(bench: &Bench<'_>) -> anyhow::Result<()> {
    let zone = bench.zone().await?;
    let name = zone.at("shop");
    write(bench, &zone, role(&name, "east-1", None, "192.0.2.1")?).await?;
    let mut weighted = address(&name, "192.0.2.2")?;
    weighted.set_identifier = Some("west-1".to_owned());
    weighted.weight = Some(1);
    refused(send(bench, &zone.id, [create(weighted)]).await?, "400 InvalidChangeBatch")
}

async fn roles_swap(bench: &Bench<'_>) -> anyhow::Result<()> {
    let (zone, check) = (bench.zone().await?, create_plain_check(bench).await?);
    let name = zone.at("shop");
    let [east, west] = write_pair(bench, &zone, (&name, &check)).await?;
    let new_east = role(&name, "east-2", None, "192.0.2.1")?;
    let new_west = role(&name, "west-2", Some(&check), "192.0.2.2")?;
    let swap = [delete(east), delete(west), create(new_east), create(new_west)];
    taken(send(bench, &zone.id, swap).await?)?;
    let expected = ["east-2 SECONDARY 192.0.2.1", "west-2 PRIMARY 192.0.2.2"].map(str::to_owned);
    comes_true(async || same("roles", &roles(bench, &zone, &name).await?, &expected.to_vec())).await
}

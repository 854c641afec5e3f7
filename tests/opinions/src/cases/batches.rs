//! Batches of changes as a compare-and-swap, which Muster's flips are.

use super::sets::{address, create, delete, send, set, values, write};
use super::{Case, case};
use crate::bench::Bench;
use crate::check::{comes_true, refused, same, taken};
use anyhow::Context;
use aws_sdk_route53::types::RrType;

pub(super) const CASES: &[Case] = &[
    case!("batch-create-of-existing", "CREATE of a set that exists is refused", create_of_existing),
    case!(
        "batch-delete-of-other-value",
        "DELETE of a set that has another value is refused",
        delete_of_other_value
    ),
    case!(
        "batch-delete-of-other-ttl",
        "DELETE of a set that has another TTL is refused",
        delete_of_other_ttl
    ),
    case!("batch-delete-of-nothing", "DELETE of a set that does not exist is refused", delete_of_nothing),
    case!("batch-is-whole-or-nothing", "of a batch that is refused no part is carried out", whole_or_nothing),
    case!("batch-replaces", "DELETE and CREATE of one set in one batch replace it", replaces),
    case!(
        "batch-planned-on-older-look",
        "of two batches that replace the same set the second is refused",
        planned_on_older_look
    ),
    case!("batch-in-unknown-zone", "a batch for a zone that does not exist is refused", in_unknown_zone),
    case!(
        "batch-change-is-known",
        "a batch is PENDING under an id that GetChange knows, and INSYNC later",
        change_is_known
    ),
    case!("batch-change-unknown", "a change that was never made is not known", change_unknown),
];

const INVALID_BATCH: &str = "400 InvalidChangeBatch";
const OLD: &str = "192.0.2.1";
const NEW: &str = "192.0.2.2";

async fn create_of_existing(bench: &Bench<'_>) -> anyhow::Result<()> {
    let zone = bench.zone().await?;
    let name = zone.at("shop");
    write(bench, &zone, address(&name, OLD)?).await?;
    refused(send(bench, &zone.id, [create(address(&name, NEW)?)]).await?, INVALID_BATCH)?;
    same("afterwards", &values(bench, &zone, &name).await?, &vec![OLD.to_owned()])
}

async fn delete_of_other_value(bench: &Bench<'_>) -> anyhow::Result<()> {
    let zone = bench.zone().await?;
    let name = zone.at("shop");
    write(bench, &zone, address(&name, OLD)?).await?;
    refused(send(bench, &zone.id, [delete(address(&name, NEW)?)]).await?, INVALID_BATCH)?;
    same("afterwards", &values(bench, &zone, &name).await?, &vec![OLD.to_owned()])
}

async fn delete_of_other_ttl(bench: &Bench<'_>) -> anyhow::Result<()> {
    let zone = bench.zone().await?;
    let name = zone.at("shop");
    write(bench, &zone, address(&name, OLD)?).await?;
    let other = set(&name, RrType::A, 300, &[OLD])?;
    refused(send(bench, &zone.id, [delete(other)]).await?, INVALID_BATCH)?;
    same("afterwards", &values(bench, &zone, &name).await?, &vec![OLD.to_owned()])
}

async fn delete_of_nothing(bench: &Bench<'_>) -> anyhow::Result<()> {
    let zone = bench.zone().await?;
    refused(send(bench, &zone.id, [delete(address(&zone.at("shop"), OLD)?)]).await?, INVALID_BATCH)
}

async fn whole_or_nothing(bench: &Bench<'_>) -> anyhow::Result<()> {
    let zone = bench.zone().await?;
    let (taken_name, new_name) = (zone.at("shop"), zone.at("new"));
    write(bench, &zone, address(&taken_name, OLD)?).await?;
    // The part that could be carried out comes first: it would be by a service that goes through them one by one.
    let batch = [create(address(&new_name, NEW)?), create(address(&taken_name, NEW)?)];
    refused(send(bench, &zone.id, batch).await?, INVALID_BATCH)?;
    same("the other part", &values(bench, &zone, &new_name).await?, &Vec::new())
}

async fn replaces(bench: &Bench<'_>) -> anyhow::Result<()> {
    let zone = bench.zone().await?;
    let name = zone.at("shop");
    write(bench, &zone, address(&name, OLD)?).await?;
    let batch = [delete(address(&name, OLD)?), create(address(&name, NEW)?)];
    taken(send(bench, &zone.id, batch).await?)?;
    same("afterwards", &values(bench, &zone, &name).await?, &vec![NEW.to_owned()])
}

async fn planned_on_older_look(bench: &Bench<'_>) -> anyhow::Result<()> {
    const LATE: &str = "192.0.2.3";
    let zone = bench.zone().await?;
    let name = zone.at("shop");
    write(bench, &zone, address(&name, OLD)?).await?;
    let first = [delete(address(&name, OLD)?), create(address(&name, NEW)?)];
    let second = [delete(address(&name, OLD)?), create(address(&name, LATE)?)];
    taken(send(bench, &zone.id, first).await?)?;
    refused(send(bench, &zone.id, second).await?, INVALID_BATCH)?;
    same("afterwards", &values(bench, &zone, &name).await?, &vec![NEW.to_owned()])
}

async fn in_unknown_zone(bench: &Bench<'_>) -> anyhow::Result<()> {
    let batch = [create(address("shop.example.com.", OLD)?)];
    refused(send(bench, "Z00000000000000", batch).await?, "404 NoSuchHostedZone")
}

async fn change_is_known(bench: &Bench<'_>) -> anyhow::Result<()> {
    let zone = bench.zone().await?;
    let changed = taken(send(bench, &zone.id, [create(address(&zone.at("shop"), OLD)?)]).await?)?;
    let info = changed.change_info().context("no change was told")?;
    same("at first", &info.status().as_str(), &"PENDING")?;
    comes_true(async || {
        let known = taken(bench.aws.route53().get_change().id(info.id()).send().await)?;
        let status = known.change_info().map(|info| info.status().as_str());
        same("later", &status, &Some("INSYNC"))
    })
    .await
}

async fn change_unknown(bench: &Bench<'_>) -> anyhow::Result<()> {
    let get = bench.aws.route53().get_change().id("C0000000000000000000");
    refused(get.send().await, "404 NoSuchChange")
}

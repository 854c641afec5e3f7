//! Lists of record sets, in which Muster finds a name and its witness.

use super::sets::{address, create, send, set};
use super::{Case, case};
use crate::bench::{Bench, Zone};
use crate::check::{same, taken};
use aws_sdk_route53::operation::list_resource_record_sets::ListResourceRecordSetsOutput as Page;
use aws_sdk_route53::types::RrType;

pub(super) const CASES: &[Case] = &[
    case!("list-starts-at-name", "a list begins with the name that it is asked to start at", starts_at_name),
    case!(
        "list-starts-after-missing",
        "a list that is asked to start at a name that has no set begins with the next one",
        starts_after_missing
    ),
    case!(
        "list-starts-at-kind",
        "a list begins with the type that it is asked to start at, if a name has several",
        starts_at_kind
    ),
    case!("list-is-by-label", "names are in order of their labels from the last to the first", is_by_label),
    case!("list-has-hyphen-first", "a hyphen comes before the end of a label", has_hyphen_first),
    case!("list-shows-pending", "a change that is PENDING is listed", shows_pending),
    case!("list-in-pages", "a list that was cut short tells the set that the next one starts with", in_pages),
];

/// The zone's own sets stand at its apex, which is first in every order.
async fn write(bench: &Bench<'_>, zone: &Zone, labels: &[&str]) -> anyhow::Result<()> {
    for label in labels {
        taken(send(bench, &zone.id, [create(address(&zone.at(label), "192.0.2.1")?)]).await?)?;
    }
    Ok(())
}

fn names(page: &Page, zone: &Zone) -> Vec<String> {
    let suffix = format!(".{}", zone.name);
    let sets = page.resource_record_sets().iter();
    let labels =
        sets.filter_map(|set| set.name().trim_end_matches('.').strip_suffix(&suffix).map(str::to_owned));
    labels.collect()
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn starts_at_name(bench: &Bench<'_>) -> anyhow::Result<()> {
    let zone = bench.zone().await?;
    write(bench, &zone, &["a", "b", "c"]).await?;
    let list = bench.aws.route53().list_resource_record_sets().hosted_zone_id(&zone.id);
    let page = taken(list.start_record_name(zone.at("b")).send().await)?;
    same("listed", &names(&page, &zone), &owned(&["b", "c"]))
}

async fn starts_after_missing(bench: &Bench<'_>) -> anyhow::Result<()> {
    let zone = bench.zone().await?;
    write(bench, &zone, &["a", "c"]).await?;
    let list = bench.aws.route53().list_resource_record_sets().hosted_zone_id(&zone.id);
    let page = taken(list.start_record_name(zone.at("b")).send().await)?;
    same("listed", &names(&page, &zone), &owned(&["c"]))
}

async fn starts_at_kind(bench: &Bench<'_>) -> anyhow::Result<()> {
    let zone = bench.zone().await?;
    write(bench, &zone, &["a", "b"]).await?;
    let text = set(&zone.at("a"), RrType::Txt, 60, &["\"text\""])?;
    taken(send(bench, &zone.id, [create(text)]).await?)?;
    let list = bench.aws.route53().list_resource_record_sets().hosted_zone_id(&zone.id);
    let list = list.start_record_name(zone.at("a")).start_record_type(RrType::Txt);
    let page = taken(list.send().await)?;
    let kinds: Vec<&str> = page.resource_record_sets().iter().map(|set| set.r#type().as_str()).collect();
    same("listed", &kinds, &vec!["TXT", "A"])
}

async fn is_by_label(bench: &Bench<'_>) -> anyhow::Result<()> {
    let zone = bench.zone().await?;
    // In order of characters `a.shop` would come first, and `other` before `shop`.
    write(bench, &zone, &["zoo", "a.shop", "shop", "other"]).await?;
    let list = bench.aws.route53().list_resource_record_sets().hosted_zone_id(&zone.id);
    let page = taken(list.send().await)?;
    same("listed", &names(&page, &zone), &owned(&["other", "shop", "a.shop", "zoo"]))
}

async fn has_hyphen_first(bench: &Bench<'_>) -> anyhow::Result<()> {
    let zone = bench.zone().await?;
    // `com.example.shop-x.` comes before `com.example.shop.`: the witness beside a name stands right after it so.
    write(bench, &zone, &["shop", "shop-x", "_muster.shop"]).await?;
    let list = bench.aws.route53().list_resource_record_sets().hosted_zone_id(&zone.id);
    let page = taken(list.send().await)?;
    same("listed", &names(&page, &zone), &owned(&["shop-x", "shop", "_muster.shop"]))
}

async fn shows_pending(bench: &Bench<'_>) -> anyhow::Result<()> {
    let zone = bench.zone().await?;
    write(bench, &zone, &["shop"]).await?;
    let list = bench.aws.route53().list_resource_record_sets().hosted_zone_id(&zone.id);
    let page = taken(list.start_record_name(zone.at("shop")).send().await)?;
    same("listed", &names(&page, &zone), &owned(&["shop"]))
}

async fn in_pages(bench: &Bench<'_>) -> anyhow::Result<()> {
    let zone = bench.zone().await?;
    write(bench, &zone, &["a", "b", "c"]).await?;
    let list = bench.aws.route53().list_resource_record_sets().hosted_zone_id(&zone.id);
    let page = taken(list.start_record_name(zone.at("a")).max_items(2).send().await)?;
    same("listed", &names(&page, &zone), &owned(&["a", "b"]))?;
    same("cut short", &page.is_truncated(), &true)?;
    let is_next = page.next_record_name() == Some(zone.at("c").as_str());
    same("the next name is told", &is_next, &true)?;
    same("the next type", &page.next_record_type().map(RrType::as_str), &Some("A"))
}

//! Health checks that watch an object, as Muster compares them with its policy.

use super::sets::{address, create, send};
use super::{Case, case};
use crate::bench::Bench;
use crate::check::{refused, same, taken};
use anyhow::Context;
use aws_sdk_route53::types::{HealthCheckConfig, HealthCheckType, ResourceRecordSetFailover};

pub(super) const CASES: &[Case] = &[
    case!("check-is-shown", "a health check is shown as it was created", is_shown),
    case!("check-unknown", "a health check that does not exist is not known", unknown),
    case!(
        "check-stays-on-set",
        "a set is listed with the health check that it was created with",
        stays_on_set
    ),
    case!("check-unknown-on-set", "a set cannot name a health check that does not exist", unknown_on_set),
];

/// One that has none of what an emulator may trip over.
pub(super) async fn create_plain_check(bench: &Bench<'_>) -> anyhow::Result<String> {
    let config = HealthCheckConfig::builder().r#type(HealthCheckType::Tcp).port(443);
    let config = config.fully_qualified_domain_name("east.example.net").build()?;
    create_check(bench, config).await
}

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";
const NOT_KNOWN: &str = "404 NoSuchHealthCheck";

fn config() -> anyhow::Result<HealthCheckConfig> {
    let config = HealthCheckConfig::builder().r#type(HealthCheckType::HttpsStrMatch).inverted(true);
    let config = config.fully_qualified_domain_name("marker-west.s3.us-west-2.amazonaws.com").port(443);
    let config = config.resource_path("/muster/shop").search_string("muster-on-0123456789abcdef");
    Ok(config.request_interval(10).failure_threshold(2).build()?)
}

/// Creates a health check, and returns its id.
async fn create_check(bench: &Bench<'_>, config: HealthCheckConfig) -> anyhow::Result<String> {
    let create = bench.aws.route53().create_health_check().caller_reference(bench.name("check"));
    let created = taken(create.health_check_config(config).send().await)?;
    Ok(created.health_check().context("no health check was created")?.id().to_owned())
}

/// What Muster reads of it.
fn read(config: &HealthCheckConfig) -> String {
    format!(
        "{} {:?} {}{} for {} every {:?} s, {:?} times",
        config.r#type(),
        config.inverted(),
        config.fully_qualified_domain_name().unwrap_or("-"),
        config.resource_path().unwrap_or("-"),
        config.search_string().unwrap_or("-"),
        config.request_interval(),
        config.failure_threshold(),
    )
}

async fn is_shown(bench: &Bench<'_>) -> anyhow::Result<()> {
    let id = create_check(bench, config()?).await?;
    let got = taken(bench.aws.route53().get_health_check().health_check_id(id).send().await)?;
    let shown = got.health_check().and_then(|check| check.health_check_config());
    same("shown", &shown.map(read), &Some(read(&config()?)))
}

async fn unknown(bench: &Bench<'_>) -> anyhow::Result<()> {
    let get = bench.aws.route53().get_health_check().health_check_id(NOBODY);
    refused(get.send().await, NOT_KNOWN)
}

async fn stays_on_set(bench: &Bench<'_>) -> anyhow::Result<()> {
    let (zone, id) = (bench.zone().await?, create_plain_check(bench).await?);
    let mut set = address(&zone.at("shop"), "192.0.2.1")?;
    set.set_identifier = Some("east-1".to_owned());
    set.failover = Some(ResourceRecordSetFailover::Primary);
    set.health_check_id = Some(id.clone());
    taken(send(bench, &zone.id, [create(set)]).await?)?;
    let list = bench.aws.route53().list_resource_record_sets().hosted_zone_id(&zone.id);
    let page = taken(list.start_record_name(zone.at("shop")).send().await)?;
    let listed: Vec<_> = page.resource_record_sets().iter().map(|set| set.health_check_id()).collect();
    same("its health check is named", &(listed == [Some(id.as_str())]), &true)
}

async fn unknown_on_set(bench: &Bench<'_>) -> anyhow::Result<()> {
    let zone = bench.zone().await?;
    let mut set = address(&zone.at("shop"), "192.0.2.1")?;
    set.set_identifier = Some("east-1".to_owned());
    set.failover = Some(ResourceRecordSetFailover::Primary);
    set.health_check_id = Some(NOBODY.to_owned());
    refused(send(bench, &zone.id, [create(set)]).await?, NOT_KNOWN)
}

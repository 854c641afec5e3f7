//! Roles that are assumed, and for how long.

use super::{Case, case};
use crate::bench::Bench;
use crate::check::same;
use anyhow::{Context, anyhow, bail};
use aws_credential_types::provider::error::CredentialsError;
use jiff::{Timestamp, Unit};
use std::error::Error;
use std::time::Duration;

pub(super) const CASES: &[Case] = &[
    case!("role-session-ends", "a role's credentials say when their session ends", session_ends),
    case!(
        "role-takes-external-id",
        "a role that asks for an external id is assumed with it",
        takes_external_id
    ),
    case!(
        "role-asks-for-external-id",
        "a role that asks for an external id is denied without it",
        asks_for_external_id
    ),
    case!("role-unknown", "a role that does not exist is denied", unknown),
];

const SESSION: Duration = Duration::from_mins(20);
const EXTERNAL_ID: &str = "an-external-id";

/// The SDK keeps the type of what the STS answered to itself; the code is in its words.
fn is_denied(error: &CredentialsError) -> bool {
    let first: Option<&(dyn Error + 'static)> = Some(error);
    let mut sources = std::iter::successors(first, |error| (*error).source());
    sources.any(|source| {
        source.to_string().contains("AccessDenied") || format!("{source:?}").contains("AccessDenied")
    })
}

async fn denied(bench: &Bench<'_>, role: &str) -> anyhow::Result<()> {
    match bench.aws.assume(role, None, SESSION).await {
        Ok(_) => bail!("taken"),
        Err(error) if is_denied(&error) => Ok(()),
        Err(_) => bail!("refused otherwise"),
    }
}

async fn session_ends(bench: &Bench<'_>) -> anyhow::Result<()> {
    let role = bench.arrange.role(&bench.name("role"), None).await?;
    let credentials = bench.aws.assume(&role, None, SESSION).await;
    let credentials = credentials.map_err(|error| anyhow!("refused: {error:?}"))?;
    let end = Timestamp::try_from(credentials.expiry().context("credentials without an end")?)?;
    let minutes = Timestamp::now().until(end)?.total(Unit::Minute)?;
    same("in 18 to 21 minutes", &(18.0..21.0).contains(&minutes), &true)
}

async fn takes_external_id(bench: &Bench<'_>) -> anyhow::Result<()> {
    let role = bench.arrange.role(&bench.name("role"), Some(EXTERNAL_ID)).await?;
    let credentials = bench.aws.assume(&role, Some(EXTERNAL_ID), SESSION).await;
    credentials.map(drop).map_err(|error| anyhow!("refused: {error:?}"))
}

async fn asks_for_external_id(bench: &Bench<'_>) -> anyhow::Result<()> {
    let role = bench.arrange.role(&bench.name("role"), Some(EXTERNAL_ID)).await?;
    denied(bench, &role).await
}

async fn unknown(bench: &Bench<'_>) -> anyhow::Result<()> {
    let role = bench.arrange.role(&bench.name("role"), None).await?;
    denied(bench, &format!("{role}-nobody")).await
}

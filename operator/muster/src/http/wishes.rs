//! What people ask for. A wish is taken in under the journal's version, by whichever process was asked; the one
//! that acts sees it on its next pass.

use super::Api;
use super::answer::{Answer, Body, Refused};
use super::look::{PolicyPath, find};
use crate::api::{Abort, Accepted, Ack, Adopt, Approve, Consent, LONGEST_CONSENT, Pause, Resume, StartRun};
use crate::engine::Shown;
use axum::Json;
use axum::extract::{Path, State};
use muster_core::ids::{RegionName, RunName};
use muster_core::journal::{Approval, Journal, RunKind, RunRequest};
use muster_core::time::{Millis, Stamp};
use muster_core::wish::Wish;
use std::sync::Arc;

/// A text that people write.
const LONGEST_TEXT: usize = 1_024;

type Shared = State<Arc<Api>>;

async fn take(api: &Api, shown: &Shown, wish: &Wish) -> Result<Journal, Refused> {
    let loaded = api.shell.store.wish(&shown.handle.name, wish, api.shell.clock.now()).await?;
    shown.handle.board.wake();
    Ok(loaded.journal)
}

fn accepted(run: Option<RunName>, message: impl Into<String>) -> Json<Accepted> {
    Json(Accepted { run, message: message.into() })
}

fn ensure_text(field: &str, text: &str) -> Result<(), Refused> {
    if text.trim().is_empty() {
        return Err(Refused::input(field, format!("{field} must say something")));
    }
    if text.len() > LONGEST_TEXT {
        return Err(Refused::input(field, format!("{field} must have at most {LONGEST_TEXT} bytes")));
    }
    Ok(())
}

fn approval(consent: Consent, by: String, now: Stamp) -> Result<Approval, Refused> {
    if consent.valid_for == Millis(0) || consent.valid_for > LONGEST_CONSENT {
        let most = format!("validFor must be more than nothing and at most {LONGEST_CONSENT}");
        return Err(Refused::input("validFor", most));
    }
    Ok(Approval {
        plan_hash: consent.plan_hash,
        max_loss: consent.max_loss,
        waives: consent.waives,
        by,
        valid_until: now.plus(consent.valid_for),
    })
}

pub(super) async fn start_run(
    State(api): Shared,
    Path(path): PolicyPath,
    Body(asked): Body<StartRun>,
) -> Answer<Accepted> {
    let shown = find(&api, &path)?;
    ensure_text("by", &asked.by)?;
    ensure_text("reason", &asked.reason)?;
    let policy = shown.handle.acting.borrow().policy.clone();
    if let Some(to) = asked.to.as_ref().filter(|to| !policy.regions.contains(to)) {
        let regions: Vec<&str> = policy.regions.iter().map(RegionName::as_str).collect();
        let message = format!("{to} is not a region of {}; it has {}", policy.name, regions.join(", "));
        return Err(Refused::input("to", message));
    }
    let now = api.shell.clock.now();
    let journal = api.shell.store.load(&shown.handle.name).await?.journal;
    let name = name_run(&path.1, asked.kind, &journal);
    let consent = asked.approve.map(|consent| approval(consent, asked.by.clone(), now)).transpose()?;
    let request = RunRequest {
        name: name.clone(),
        kind: asked.kind,
        to: asked.to,
        reason: asked.reason,
        by: asked.by,
        at: now,
        approval: consent,
    };
    take(&api, &shown, &Wish::Run(request)).await?;
    Ok(accepted(Some(name.clone()), format!("{name} is asked for; `muster status -w` shows it")))
}

/// A name that no run of this journal has; the kind keeps it apart from runs that a verdict opens.
fn name_run(policy: &str, kind: RunKind, journal: &Journal) -> RunName {
    let kind = match kind {
        RunKind::Failover => "failover",
        RunKind::Switchover => "switchover",
        RunKind::Failback => "failback",
    };
    let next = journal.state.epoch.0 + 1 + journal.requests.len() as u64;
    RunName::new(format!("{policy}-{next}-{kind}"))
}

pub(super) async fn approve(
    State(api): Shared,
    Path(path): PolicyPath,
    Body(asked): Body<Approve>,
) -> Answer<Accepted> {
    let shown = find(&api, &path)?;
    ensure_text("by", &asked.by)?;
    let Approve { run, plan_hash, max_loss, waives, by, valid_for } = asked;
    let consent = Consent { plan_hash, max_loss, waives, valid_for };
    let approval = approval(consent, by, api.shell.clock.now())?;
    take(&api, &shown, &Wish::Approve { run: run.clone(), approval }).await?;
    Ok(accepted(Some(run.clone()), format!("{run} is approved for {valid_for}")))
}

pub(super) async fn abort(
    State(api): Shared,
    Path(path): PolicyPath,
    Body(asked): Body<Abort>,
) -> Answer<Accepted> {
    let shown = find(&api, &path)?;
    ensure_text("by", &asked.by)?;
    let Abort { run, by, reason } = asked;
    take(&api, &shown, &Wish::Abort { run: run.clone(), by, reason }).await?;
    Ok(accepted(Some(run.clone()), format!("{run} is being aborted; what it began is undone")))
}

pub(super) async fn ack(
    State(api): Shared,
    Path(path): PolicyPath,
    Body(asked): Body<Ack>,
) -> Answer<Accepted> {
    let shown = find(&api, &path)?;
    ensure_text("by", &asked.by)?;
    take(&api, &shown, &Wish::Ack { by: asked.by }).await?;
    Ok(accepted(None, "acknowledged; automation goes on"))
}

pub(super) async fn adopt(
    State(api): Shared,
    Path(path): PolicyPath,
    Body(asked): Body<Adopt>,
) -> Answer<Accepted> {
    let shown = find(&api, &path)?;
    ensure_text("by", &asked.by)?;
    ensure_text("owner", asked.owner.as_str())?;
    let message = format!("the marks of {} may be replaced from now on", asked.owner);
    take(&api, &shown, &Wish::Adopt { owner: asked.owner, by: asked.by }).await?;
    Ok(accepted(None, message))
}

pub(super) async fn pause(
    State(api): Shared,
    Path(path): PolicyPath,
    Body(asked): Body<Pause>,
) -> Answer<Accepted> {
    let shown = find(&api, &path)?;
    ensure_text("by", &asked.by)?;
    take(&api, &shown, &Wish::Pause { by: asked.by, reason: asked.reason }).await?;
    Ok(accepted(None, "paused: no new effect starts until `muster resume`"))
}

pub(super) async fn resume(
    State(api): Shared,
    Path(path): PolicyPath,
    Body(asked): Body<Resume>,
) -> Answer<Accepted> {
    let shown = find(&api, &path)?;
    ensure_text("by", &asked.by)?;
    take(&api, &shown, &Wish::Resume { by: asked.by }).await?;
    Ok(accepted(None, "resumed"))
}

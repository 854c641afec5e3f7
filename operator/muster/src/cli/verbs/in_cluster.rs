//! Runs that people start in a cluster. A plan is made by the operator, from what it sees: so the run comes first, and
//! consent is asked for once it waits and shows its plan. Without consent it is aborted; nothing was begun.
//!
//! ```text
//! Approve    make the run -> it waits, with its plan -> consent -> approve | abort
//! Automatic  ask -> make the run -> its gates decide
//! ```

use super::super::args::{ConsentArgs, StartArgs};
use super::super::client::Client;
use super::super::context::{Context, policy_path, who};
use super::super::exit::{Code, Done, Failure};
use super::super::output::Format;
use super::super::view;
use super::consent;
use super::follow::Ending;
use super::runs::{finish, preview, show_if_asking};
use crate::api::{Abort, Accepted, Approve, PolicyStatus, StartRun};
use muster_core::decision::PlanPreview;
use muster_core::ids::{PolicyName, RegionName, RunName};
use muster_core::journal::{Phase, RunKind};
use muster_core::policy::Mode;
use std::time::Duration;
use tokio::time::Instant;

/// A run shows its gates at its first pass.
const PLAN_WITHIN: Duration = Duration::from_secs(15);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(super) async fn start(
    cx: &Context,
    client: &Client,
    policy: &PolicyName,
    kind: RunKind,
    args: &StartArgs,
) -> Done {
    let by = who(client, args.by.as_ref()).await?;
    let status: PolicyStatus = client.get(policy_path(policy, &[])).await?;
    let waits = status.summary.mode == Mode::Approve;
    match status.summary.mode {
        Mode::Observe => return Err(observes(policy)),
        Mode::Automatic if !args.request_only => ask_first(cx, policy, kind, args)?,
        Mode::Approve if !args.request_only => ensure_answerable(cx, &args.consent)?,
        Mode::Automatic | Mode::Approve => {}
    }
    let request = StartRun {
        kind,
        to: args.to.as_deref().map(RegionName::from),
        reason: args.reason.clone(),
        by: by.clone(),
        approve: None,
    };
    let mut accepted: Accepted = client.post(policy_path(policy, &["runs"]), &request).await?;
    let (output, timeout) = (args.output.output, args.wait.timeout);
    let mut ending = Ending { output, timeout, policy: Some(policy.clone()), seen: None };
    if let Some(run) = accepted.run.clone().filter(|_| waits) {
        let plan = plan_of(client, policy, kind, &run).await?;
        match plan {
            Some(plan) if args.request_only => {
                show(cx, &plan, output)?;
                ending.seen = Some(plan.run);
            }
            Some(plan) => {
                accepted = agree(cx, client, &plan, args, by).await?;
                ending.seen = Some(plan.run);
            }
            None if args.request_only => {}
            None => return Err(no_plan_yet(&run, policy)),
        }
    }
    finish(cx, client, &accepted, args.wait, &ending).await
}

fn observes(policy: &PolicyName) -> Failure {
    Failure::new(Code::Refused, format!("{policy} is in mode Observe, in which no run begins"))
        .fix("Set spec.mode to Approve first.")
}

/// In mode Automatic a run begins as soon as its gates hold: consent comes before it, and binds to no plan.
fn ask_first(cx: &Context, policy: &PolicyName, kind: RunKind, args: &StartArgs) -> Done {
    let why = format!(
        "{policy} is in mode Automatic: the run begins as soon as its gates hold, and no plan is shown before"
    );
    if args.consent.yes || !cx.screen.can_ask {
        return Err(
            Failure::usage(why).fix("--request-only asks for the run all the same; its gates decide.")
        );
    }
    cx.screen.note(&why);
    let kind = format!("{kind:?}").to_lowercase();
    let to = args.to.as_ref().map_or_else(|| "the best candidate".to_owned(), Clone::clone);
    if cx.screen.ask(&format!("Start this {kind} to {to}?"))? {
        return Ok(());
    }
    Err(Failure::new(Code::Refused, "you said no; nothing was changed"))
}

/// Before a run is made for it: consent can be given at all.
fn ensure_answerable(cx: &Context, consent: &ConsentArgs) -> Done {
    if consent.yes || cx.screen.can_ask {
        return Ok(());
    }
    Err(Failure::usage("there is no terminal to ask for consent").fix(
        "--request-only makes the run, which then shows its plan and waits: look at it with `muster plan`, and agree \
         with `muster approve --yes --plan HASH`.",
    ))
}

/// The run's plan, once it waits for somebody; `None`: it did not come to that yet.
async fn plan_of(
    client: &Client,
    policy: &PolicyName,
    kind: RunKind,
    run: &RunName,
) -> Done<Option<PlanPreview>> {
    let began = Instant::now();
    loop {
        match preview(client, policy, kind, None).await {
            Ok(plan) if plan.run.name == *run && plan.run.phase != Phase::Pending => return Ok(Some(plan)),
            Ok(_) => {}
            // It is not claimed yet, or has ended already.
            Err(failure) if failure.code == Code::Refused || failure.code == Code::Unreachable => {}
            Err(failure) => return Err(failure),
        }
        if began.elapsed() > PLAN_WITHIN {
            return Ok(None);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn show(cx: &Context, plan: &PlanPreview, output: Format) -> Done {
    if output == Format::Table {
        return cx.screen.print(&format!("{}\n", view::plan::render(plan, &cx.look())));
    }
    cx.screen.note(&view::plan::render(plan, &cx.note_look()));
    Ok(())
}

/// Consent to the plan that the run shows; without it the run is aborted.
async fn agree(
    cx: &Context,
    client: &Client,
    plan: &PlanPreview,
    args: &StartArgs,
    by: String,
) -> Done<Accepted> {
    let (run, policy) = (plan.run.name.clone(), plan.run.policy.name.clone());
    show_if_asking(cx, plan, args.consent.yes, args.output.output)?;
    let what = format!("Start this {}", format!("{:?}", plan.run.kind).to_lowercase());
    match consent::obtain(cx, client, plan, &args.consent, &what) {
        Ok(consent) => {
            let body = Approve {
                run,
                plan_hash: consent.plan_hash,
                max_loss: consent.max_loss,
                waives: consent.waives,
                by,
                valid_for: consent.valid_for,
            };
            client.post(policy_path(&policy, &["approve"]), &body).await
        }
        Err(failure) => {
            let abort = Abort { run: run.clone(), by, reason: "no consent to its plan".to_owned() };
            let aborted = client.post::<_, Accepted>(policy_path(&policy, &["abort"]), &abort).await;
            let end = match aborted {
                Ok(_) => format!("{run} was made to show the plan, and is aborted; it had begun nothing."),
                Err(why) => format!("{run} waits for consent and could not be aborted: {}", why.what),
            };
            let fix = if failure.fix.is_empty() { end } else { format!("{}\n{end}", failure.fix) };
            Err(failure.fix(fix))
        }
    }
}

fn no_plan_yet(run: &RunName, policy: &PolicyName) -> Failure {
    let what = format!("{run} shows no plan within {} s", PLAN_WITHIN.as_secs());
    Failure::new(Code::StillRunning, what).fix(format!(
        "`muster explain {policy}` says what is in its way; `muster approve {policy}` shows the plan once it is there, \
         `muster abort {policy}` ends it."
    ))
}

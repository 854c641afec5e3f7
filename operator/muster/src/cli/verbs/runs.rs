//! Verbs around a run's plan: plan, failover, switchover, failback, approve.

use super::super::args::{ApproveArgs, PlanArgs, StartArgs, WaitArgs};
use super::super::client::Client;
use super::super::context::{Context, pick_policy, policy_path, who};
use super::super::exit::{Code, Done, Failure};
use super::super::output::Format;
use super::super::view;
use super::consent;
use super::follow::{Ending, follow};
use super::in_cluster;
use super::wishes::active_run;
use crate::api::{Accepted, Approve, PolicyStatus, StartRun};
use muster_core::decision::PlanPreview;
use muster_core::ids::{PolicyName, RegionName};
use muster_core::journal::RunKind;

pub(super) async fn preview(
    client: &Client,
    policy: &PolicyName,
    kind: RunKind,
    to: Option<&str>,
) -> Done<PlanPreview> {
    let mut path = policy_path(policy, &["plan"]).with("kind", format!("{kind:?}"));
    if let Some(to) = to {
        path = path.with("to", to);
    }
    client.get(path).await
}

pub(super) async fn plan(cx: &Context, args: &PlanArgs) -> Done {
    let client = cx.client().await?;
    let policy = pick_policy(&client, args.policy.policy.as_deref()).await?;
    let plan = preview(&client, &policy, args.kind.into(), args.to.as_deref()).await?;
    cx.screen.emit(args.output.output, &plan, || view::plan::render(&plan, &cx.look()))?;
    let unmet = view::plan::unmet(&plan.gates);
    if unmet.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = unmet.iter().map(|g| g.name.as_str()).collect();
    Err(Failure::new(Code::Refused, format!("it would not go on: {} does not hold", names.join(", "))))
}

pub(super) async fn start(cx: &Context, kind: RunKind, args: &StartArgs) -> Done {
    let client = cx.client().await?;
    let policy = pick_policy(&client, args.policy.policy.as_deref()).await?;
    refuse_second_run(&client, &policy).await?;
    if client.is_cluster() {
        return in_cluster::start(cx, &client, &policy, kind, args).await;
    }
    let consent = if args.request_only {
        None
    } else {
        let plan = preview(&client, &policy, kind, args.to.as_deref()).await?;
        show_if_asking(cx, &plan, args.consent.yes, args.output.output)?;
        let what = format!("Start this {}", format!("{kind:?}").to_lowercase());
        Some(consent::obtain(cx, &client, &plan, &args.consent, &what)?)
    };
    let request = StartRun {
        kind,
        to: args.to.as_deref().map(RegionName::from),
        reason: args.reason.clone(),
        by: who(&client, args.by.as_ref()).await?,
        approve: consent,
    };
    let accepted: Accepted = client.post(policy_path(&policy, &["runs"]), &request).await?;
    let (output, timeout) = (args.output.output, args.wait.timeout);
    let ending = Ending { output, timeout, policy: Some(policy), seen: None };
    finish(cx, &client, &accepted, args.wait, &ending).await
}

async fn refuse_second_run(client: &Client, policy: &PolicyName) -> Done {
    let status: PolicyStatus = client.get(policy_path(policy, &[])).await?;
    let Some(run) = status.summary.run.filter(|run| run.active) else { return Ok(()) };
    let what = format!("{} is under way for {policy}; only one run acts at a time", run.name);
    let fix = format!("`muster show {} -w` watches it, `muster abort {policy}` ends it.", run.name);
    Err(Failure::new(Code::Refused, what).fix(fix))
}

/// The plan that a question is about. With `--yes` it was seen before.
pub(super) fn show_if_asking(cx: &Context, plan: &PlanPreview, yes: bool, output: Format) -> Done {
    if yes || !cx.screen.can_ask {
        return Ok(());
    }
    if output == Format::Table {
        return cx.screen.print(&format!("{}\n", view::plan::render(plan, &cx.look())));
    }
    cx.screen.note(&view::plan::render(plan, &cx.note_look()));
    Ok(())
}

pub(super) async fn approve(cx: &Context, args: &ApproveArgs) -> Done {
    let client = cx.client().await?;
    let policy = pick_policy(&client, args.policy.policy.as_deref()).await?;
    let run = active_run(&client, &policy).await?;
    // While a run is active the server shows its own plan, whatever kind is asked for.
    let plan = preview(&client, &policy, RunKind::Failover, None).await?;
    show_if_asking(cx, &plan, args.consent.yes, args.output.output)?;
    let consent = consent::obtain(cx, &client, &plan, &args.consent, &format!("Approve {run}"))?;
    let body = Approve {
        run,
        plan_hash: consent.plan_hash,
        max_loss: consent.max_loss,
        waives: consent.waives,
        by: who(&client, args.by.as_ref()).await?,
        valid_for: consent.valid_for,
    };
    let accepted: Accepted = client.post(policy_path(&policy, &["approve"]), &body).await?;
    let (output, timeout) = (args.output.output, args.wait.timeout);
    let ending = Ending { output, timeout, policy: Some(policy), seen: Some(plan.run) };
    finish(cx, &client, &accepted, args.wait, &ending).await
}

/// Says what was recorded, and watches the run if that is wished for.
pub(super) async fn finish(
    cx: &Context,
    client: &Client,
    accepted: &Accepted,
    wait: WaitArgs,
    ending: &Ending,
) -> Done {
    let watches = wait.wait || cx.screen.terminal && !wait.no_wait;
    match accepted.run.as_ref().filter(|_| watches) {
        Some(run) => follow(cx, client, run.as_str(), ending).await,
        None => cx.screen.emit(ending.output, accepted, || {
            let watch = accepted.run.as_ref().map(|r| format!("`muster show {r} -w` watches it.\n"));
            format!("{}\n{}", accepted.message, watch.unwrap_or_default())
        }),
    }
}

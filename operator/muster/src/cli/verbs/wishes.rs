//! Small wishes: abort, ack, adopt, pause, resume.

use super::super::args::{AdoptArgs, OutputArgs, ReasonArgs, WishArgs};
use super::super::client::Client;
use super::super::context::{Context, pick_policy, policy_path, who};
use super::super::exit::{Code, Done, Failure};
use crate::api::{Abort, Accepted, Ack, Adopt, Pause, PolicyStatus, Resume};
use muster_core::ids::{Owner, PolicyName, RunName};
use serde::Serialize;

/// Sends a wish and prints what happens next.
async fn wish<B: Serialize>(
    cx: &Context,
    client: &Client,
    policy: &PolicyName,
    (verb, body): (&str, &B),
    output: OutputArgs,
) -> Done {
    let accepted: Accepted = client.post(policy_path(policy, &[verb]), body).await?;
    cx.screen.emit(output.output, &accepted, || format!("{policy}: {}\n", accepted.message))
}

/// The run under way, with its policy.
pub(super) async fn active_run(client: &Client, policy: &PolicyName) -> Done<RunName> {
    let status: PolicyStatus = client.get(policy_path(policy, &[])).await?;
    let run = status.summary.run.filter(|run| run.active);
    run.map(|run| run.name).ok_or_else(|| {
        Failure::new(Code::Refused, format!("{policy} has no run under way"))
            .fix(format!("`muster history {policy}` lists those that ended."))
    })
}

pub(super) async fn abort(cx: &Context, args: &ReasonArgs) -> Done {
    let client = cx.client().await?;
    let policy = pick_policy(&client, args.policy.policy.as_deref()).await?;
    let run = active_run(&client, &policy).await?;
    let body = Abort { run, by: who(&client, args.wish.by.as_ref()).await?, reason: args.reason.clone() };
    wish(cx, &client, &policy, ("abort", &body), args.output).await
}

pub(super) async fn ack(cx: &Context, args: &WishArgs) -> Done {
    let client = cx.client().await?;
    let policy = pick_policy(&client, args.policy.policy.as_deref()).await?;
    let body = Ack { by: who(&client, args.wish.by.as_ref()).await? };
    wish(cx, &client, &policy, ("ack", &body), args.output).await
}

pub(super) async fn adopt(cx: &Context, args: &AdoptArgs) -> Done {
    let client = cx.client().await?;
    let policy = pick_policy(&client, args.policy.policy.as_deref()).await?;
    let body = Adopt { owner: Owner::new(&args.owner), by: who(&client, args.wish.by.as_ref()).await? };
    wish(cx, &client, &policy, ("adopt", &body), args.output).await
}

pub(super) async fn pause(cx: &Context, args: &ReasonArgs) -> Done {
    let client = cx.client().await?;
    let policy = pick_policy(&client, args.policy.policy.as_deref()).await?;
    let body = Pause { by: who(&client, args.wish.by.as_ref()).await?, reason: args.reason.clone() };
    wish(cx, &client, &policy, ("pause", &body), args.output).await
}

pub(super) async fn resume(cx: &Context, args: &WishArgs) -> Done {
    let client = cx.client().await?;
    let policy = pick_policy(&client, args.policy.policy.as_deref()).await?;
    let body = Resume { by: who(&client, args.wish.by.as_ref()).await? };
    wish(cx, &client, &policy, ("resume", &body), args.output).await
}

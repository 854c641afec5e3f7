//! Verbs that only look: status, explain, history, show, probe, version.

use super::super::args::{ExplainArgs, HistoryArgs, ProbeArgs, ShowArgs, StatusArgs, VersionArgs};
use super::super::client::{ApiPath, Client};
use super::super::context::{Context, pick_policy, policy_path};
use super::super::exit::{Code, Done, Failure};
use super::super::output::Format;
use super::super::view::{self, Source};
use super::follow::{Ending, follow};
use crate::api::{Health, PolicyList, PolicyStatus, PolicySummary, ProbeReport, RunList, RunReport};
use muster_core::decision::Explanation;
use muster_core::health::ProbeResult;
use muster_core::time::Millis;
use serde::Serialize;
use std::time::Duration;

/// Between two looks of `status -w`.
const REDRAW_EVERY: Duration = Duration::from_secs(1);

pub(super) async fn status(cx: &Context, args: &StatusArgs) -> Done {
    let client = cx.client().await?;
    if args.watch {
        return watch_status(cx, &client, args).await;
    }
    let (seen, text) = look_at_status(cx, &client, args).await?;
    cx.screen.emit(args.output.output, &seen, || text)
}

/// What `status` shows: one policy, or all of them.
#[derive(Serialize)]
#[serde(untagged)]
enum StatusSeen {
    One(Box<PolicyStatus>),
    All(PolicyList),
}

async fn look_at_status(cx: &Context, client: &Client, args: &StatusArgs) -> Done<(StatusSeen, String)> {
    let named = args.policy.policy.as_deref();
    if named.is_none() {
        let list: PolicyList = client.get(ApiPath::new(["policies"])).await?;
        // A file that was not taken must not hide behind the one policy that was.
        if list.policies.len() != 1 || !list.file_problems.is_empty() {
            let text = view::status::render_list(&list, source(client), &cx.look());
            return Ok((StatusSeen::All(list), text));
        }
    }
    let policy = pick_policy(client, named).await?;
    let status: PolicyStatus = client.get(policy_path(&policy, &[])).await?;
    let text = view::status::render(&status, source(client), &cx.look());
    Ok((StatusSeen::One(Box::new(status)), text))
}

const fn source(client: &Client) -> Source {
    if client.is_cluster() { Source::Objects } else { Source::Server }
}

async fn watch_status(cx: &Context, client: &Client, args: &StatusArgs) -> Done {
    let redraw = cx.screen.terminal && args.output.output == Format::Table;
    let mut last = String::new();
    loop {
        match look_at_status(cx, client, args).await {
            Ok((_, text)) if redraw => cx.screen.redraw(&format!("{text}\n(Ctrl-C ends)\n"))?,
            Ok((seen, text)) => {
                // Ages move all the time; a pipe gets something only when anything else moved.
                let mark = settled_part(&seen);
                if mark != last {
                    last = mark;
                    cx.screen.emit_one(args.output.output, &seen, || format!("{text}\n"))?;
                }
            }
            Err(failure) if failure.code == Code::Unreachable => {
                cx.screen.note(&format!("{}; trying again", failure.what));
            }
            Err(failure) => return Err(failure),
        }
        tokio::time::sleep(REDRAW_EVERY).await;
    }
}

fn settled_part(seen: &StatusSeen) -> String {
    let settle = |mut summary: PolicySummary| {
        summary.live_rpo = None;
        summary.message.clear();
        summary
    };
    let part = match seen {
        StatusSeen::One(status) => {
            serde_json::to_string(&(settle(status.summary.clone()), &status.file_problems))
        }
        StatusSeen::All(list) => {
            let policies: Vec<_> = list.policies.iter().cloned().map(settle).collect();
            serde_json::to_string(&(policies, &list.file_problems))
        }
    };
    part.unwrap_or_default()
}

pub(super) async fn explain(cx: &Context, args: &ExplainArgs) -> Done {
    let client = cx.client().await?;
    let policy = pick_policy(&client, args.policy.policy.as_deref()).await?;
    let explanation: Explanation = client.get(policy_path(&policy, &["explain"])).await?;
    let status: PolicyStatus = client.get(policy_path(&policy, &[])).await?;
    let text = || view::explain::render(&explanation, &status, source(&client), &cx.look());
    cx.screen.emit(args.output.output, &explanation, text)
}

pub(super) async fn history(cx: &Context, args: &HistoryArgs) -> Done {
    let client = cx.client().await?;
    let policy = pick_policy(&client, args.policy.policy.as_deref()).await?;
    let mut list: RunList = client.get(policy_path(&policy, &["runs"])).await?;
    list.runs.truncate(args.limit);
    cx.screen.emit(args.output.output, &list, || view::history::render(&list.runs, &cx.look()))
}

pub(super) async fn show(cx: &Context, args: &ShowArgs) -> Done {
    let client = cx.client().await?;
    let name = match &args.run {
        Some(name) => name.clone(),
        None => newest_run(&client).await?,
    };
    if args.watch {
        let ending = Ending { output: args.output.output, timeout: None, policy: None, seen: None };
        return follow(cx, &client, &name, &ending).await;
    }
    let report: RunReport = client.get(ApiPath::new(["runs", &name])).await?;
    cx.screen.emit(args.output.output, &report, || view::show::render(&report.run, &cx.look()))
}

async fn newest_run(client: &Client) -> Done<String> {
    let policy = pick_policy(client, None).await?;
    let list: RunList = client.get(policy_path(&policy, &["runs"])).await?;
    list.runs.first().map(|run| run.name.to_string()).ok_or_else(|| {
        Failure::new(Code::NotFound, format!("{policy} has no run yet"))
            .fix("`muster plan` shows what one would do.")
    })
}

/// A suite's requests and its clean-up may each take their time.
const PROBES_WITHIN: Duration = Duration::from_secs(90);

pub(super) async fn probe(cx: &Context, args: &ProbeArgs) -> Done {
    let client = cx.client().await?;
    let policy = pick_policy(&client, args.policy.policy.as_deref()).await?;
    let empty = serde_json::json!({});
    let report: ProbeReport =
        client.post_within(policy_path(&policy, &["probe"]), &empty, PROBES_WITHIN).await?;
    cx.screen.emit(args.output.output, &report, || view::probe::render(&report, &cx.look()))?;
    let failed = report.results.iter().any(|r| r.result == ProbeResult::Fail);
    if failed { Err(Failure::said(Code::Failed)) } else { Ok(()) }
}

/// Both sides' versions.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    client: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<ServerVersion>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ServerVersion {
    address: String,
    version: String,
    uptime: Millis,
}

pub(super) async fn version(cx: &Context, args: &VersionArgs) -> Done {
    let mut versions = Versions { client: env!("CARGO_PKG_VERSION").to_owned(), server: None };
    let mut absent = None;
    if !args.client {
        match server_version(cx).await {
            Ok(server) => versions.server = Some(server),
            Err(failure) => absent = Some(failure),
        }
    }
    let server = match (&versions.server, &absent) {
        (Some(s), _) => format!("server {} at {}, up for {}\n", s.version, s.address, s.uptime),
        (None, Some(failure)) => format!("server: {}\n", failure.what),
        (None, None) => String::new(),
    };
    cx.screen.emit(args.output.output, &versions, || format!("muster {}\n{server}", versions.client))
}

async fn server_version(cx: &Context) -> Done<ServerVersion> {
    let client = cx.client().await?;
    let health: Health = client.get(ApiPath::new(["health"])).await?;
    Ok(ServerVersion { address: client.server(), version: health.version, uptime: health.uptime })
}

//! Watches a run to its end. Ctrl-C ends the watching, never the run.

use super::super::client::{ApiPath, Client};
use super::super::context::{Context, policy_path};
use super::super::exit::{Code, Done, Failure};
use super::super::output::Format;
use super::super::view;
use crate::api::{PolicyStatus, RunReport};
use muster_core::ids::PolicyName;
use muster_core::journal::{OutcomeKind, Run, Trigger};
use muster_core::time::Millis;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How long a request may wait for its run before that is an error.
const OPENS_WITHIN: Duration = Duration::from_secs(10);

/// How the watching ends.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) output: Format,
    pub(super) timeout: Option<Millis>,
    /// Where a run that was asked for will show up; without it an unknown run is an error at once.
    pub(super) policy: Option<PolicyName>,
    /// The run as the person saw it already.
    pub(super) seen: Option<Run>,
}

/// Shows each change until the run has ended, then its report.
pub(super) async fn follow(cx: &Context, client: &Client, run: &str, ending: &Ending) -> Done {
    let timeout = ending.timeout.map(Millis::to_std);
    let watching = watch(cx, client, run, ending);
    let report = tokio::select! {
        report = watching => report?,
        _ = tokio::signal::ctrl_c() => return Err(stopped(run, Code::Interrupted, "you stopped watching")),
        () = passed(timeout) => return Err(stopped(run, Code::StillRunning, "--timeout passed")),
    };
    let text = || format!("\n{}", view::show::render(&report.run, &cx.look()));
    cx.screen.emit(ending.output, &report, text)?;
    verdict(&report.run)
}

async fn passed(timeout: Option<Duration>) {
    match timeout {
        Some(long) => tokio::time::sleep(long).await,
        None => std::future::pending().await,
    }
}

fn stopped(run: &str, code: Code, why: &str) -> Failure {
    Failure::new(code, format!("{why}; {run} goes on"))
        .fix(format!("`muster show {run} -w` watches it again, `muster abort` ends it."))
}

/// A run that did not succeed is a failure of the command.
fn verdict(run: &Run) -> Done {
    match run.outcome {
        Some(OutcomeKind::Succeeded) => Ok(()),
        Some(OutcomeKind::Aborted) => {
            Err(Failure::failed(format!("{} was aborted: {}", run.name, run.message)))
        }
        _ => Err(Failure::failed(format!("{} did not succeed: {}", run.name, run.message))
            .fix(format!("`muster explain {}` says what comes next.", run.policy.name))),
    }
}

async fn watch(cx: &Context, client: &Client, run: &str, ending: &Ending) -> Done<RunReport> {
    let mut name = run.to_owned();
    let mut before: Option<Run> = ending.seen.clone();
    let mut silent = false;
    let began = Instant::now();
    loop {
        let mut path = ApiPath::new(["runs", &name]);
        if let Some(policy) = &ending.policy {
            path = path.with("policy", policy.as_str());
        }
        match client.get::<RunReport>(path).await {
            Ok(report) => {
                silent = false;
                say(cx, ending, before.as_ref(), &report.run)?;
                if report.run.phase.is_final() {
                    match successor(client, &report).await {
                        Some(next) => name = next,
                        None => return Ok(report),
                    }
                }
                before = Some(report.run).filter(|r| r.name.as_str() == name);
            }
            Err(failure) if failure.code == Code::NotFound && before.is_none() => {
                if began.elapsed() > OPENS_WITHIN {
                    return Err(failure);
                }
                still_asked_for(client, ending, &name, failure).await?;
            }
            Err(failure) if failure.code == Code::Unreachable => {
                if !silent {
                    cx.screen.note(&format!("{}; trying again; the run needs no watching", failure.what));
                }
                silent = true;
            }
            Err(failure) => return Err(failure),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn say(cx: &Context, ending: &Ending, before: Option<&Run>, now: &Run) -> Done {
    let to_notes = ending.output != Format::Table;
    let paint = if to_notes { cx.screen.note_paint } else { cx.screen.paint };
    for line in view::progress::lines(before, now, paint) {
        if to_notes {
            cx.screen.note(&line);
        } else {
            cx.screen.print(&format!("{line}\n"))?;
        }
    }
    Ok(())
}

/// The run that goes on where this one lost its target, or a planned one its source.
async fn successor(client: &Client, report: &RunReport) -> Option<String> {
    let run = &report.run;
    let lost_target = run.outcome == Some(OutcomeKind::TargetLost);
    let lost_source = run.kind.is_planned() && run.outcome == Some(OutcomeKind::Failed);
    if !lost_target && !lost_source {
        return None;
    }
    let status: PolicyStatus = client.get(policy_path(&report.policy, &[])).await.ok()?;
    let next = status.journal.run.filter(|next| next.name != run.name)?;
    let goes_on = match &next.trigger {
        Trigger::TargetLost(lost) => lost_target && *lost == run.name,
        Trigger::Verdict => lost_source && next.epoch == run.epoch.next(),
        Trigger::Person(_) => false,
    };
    goes_on.then(|| next.name.to_string())
}

/// A request waits in the journal until the next pass takes it; one that was refused there is gone.
async fn still_asked_for(client: &Client, ending: &Ending, run: &str, unknown: Failure) -> Done {
    let Some(policy) = &ending.policy else { return Err(unknown) };
    if client.is_cluster() {
        // Its object is there, and says so if it is refused.
        return Ok(());
    }
    let status: PolicyStatus = client.get(policy_path(policy, &[])).await?;
    let waits = status.journal.requests.iter().any(|r| r.name.as_str() == run);
    let open = status.journal.run.as_ref().is_some_and(|r| r.name.as_str() == run);
    if waits || open {
        return Ok(());
    }
    let why = status.decision.map_or(status.summary.message, |d| format!("{}: {}", d.rule, d.message));
    Err(Failure::new(Code::Refused, format!("{run} was not opened: {why}"))
        .fix(format!("`muster explain {policy}` says what it needs.")))
}

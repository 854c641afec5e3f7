//! Reads.

use super::Api;
use super::answer::{Answer, Asked, Refused};
use crate::api::{
    EventPage, Frame, FrameList, Health, PolicyList, PolicyStatus, ProbeOnce, ProbeReport, Role, RunList,
    RunReport, RunSummary,
};
use crate::assemble::CONTROLLER;
use crate::engine::Shown;
use crate::engine::status;
use crate::store::StoreError;
use axum::Json;
use axum::extract::{Path, State};
use futures::StreamExt;
use muster_core::decision::{Explanation, PlanPreview};
use muster_core::facts::{Observations, Seen};
use muster_core::ids::{PolicyName, ProbeName, RegionName, RunName};
use muster_core::journal::{Journal, RunKind};
use muster_core::policy::On;
use muster_core::time::Millis;
use muster_probes::{Once, ProbeKind, ProbeSpec, RegionVars, run_once, run_public_once};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// Runs shown of one policy.
const RUNS: usize = 100;
/// Longest wait of one call for an event.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Probes under way at once for one call.
const PROBES_AT_ONCE: usize = 16;
/// Facts this young count as looked at for a page that people read.
const OF_THIS_PAGE: Millis = Millis(3_000);

pub(super) type PolicyPath = Path<(String, String)>;
type Shared = State<Arc<Api>>;

pub(super) fn find(api: &Api, path: &(String, String)) -> Result<Shown, Refused> {
    let name = PolicyName::new(format!("{}/{}", path.0, path.1));
    api.engine.find(&name).ok_or_else(|| Refused::not_found(format!("there is no policy {name} in force")))
}

fn role(api: &Api) -> Role {
    if api.shell.lease.is_held() { Role::Active } else { Role::Standby }
}

/// Only the process that acts looks at targets.
fn ensure_active(api: &Api) -> Result<(), Refused> {
    if api.shell.lease.is_held() {
        return Ok(());
    }
    let holder = api.lease_holder().map_or_else(|| "nobody yet".to_owned(), |h| h.to_string());
    Err(Refused::unavailable(
        "Standby",
        format!("this process does not act, so it sees nothing; the lease is with {holder}"),
    ))
}

pub(super) async fn health(State(api): Shared) -> Json<Health> {
    let now = api.shell.clock.now();
    let journal_problem = match &api.shell.room.borrow().under_way {
        Seen::Known(()) => None,
        Seen::Unknown(why) => Some(why.clone()),
    };
    Json(Health {
        holder: api.shell.holder.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        role: role(&api),
        lease_holder: api.lease_holder(),
        journal_problem,
        policies: u32::try_from(api.engine.all().len()).unwrap_or(u32::MAX),
        file_problems: api.engine.problems(),
        uptime: now.since(&api.started).unwrap_or_default(),
    })
}

pub(super) async fn policies(State(api): Shared) -> Json<PolicyList> {
    let policies = api.engine.all().iter().map(status::summarize).collect();
    Json(PolicyList { policies, file_problems: api.engine.problems() })
}

/// The journal as the store has it now.
async fn journal(api: &Api, shown: &Shown) -> Result<Journal, Refused> {
    Ok(api.shell.store.load(&shown.handle.name).await?.journal)
}

pub(super) fn seen(api: &Api, shown: &Shown) -> Observations {
    let now = api.shell.clock.now();
    shown.handle.board.snapshot(Some(api.shell.holder.clone()), now.tick.minus(OF_THIS_PAGE))
}

pub(super) async fn policy(State(api): Shared, Path(path): PolicyPath) -> Answer<PolicyStatus> {
    let shown = find(&api, &path)?;
    let (journal, seen) = (journal(&api, &shown).await?, seen(&api, &shown));
    let (now, latest) = (api.shell.clock.now(), shown.handle.latest.borrow().clone());
    let name = &shown.handle.name;
    let mut file_problems = api.engine.problems();
    file_problems.retain(|p| p.policy.as_ref() == Some(name) || p.file == shown.file);
    let setup = shown.handle.acting.borrow().clone();
    Ok(Json(PolicyStatus {
        summary: status::summarize(&shown),
        policy: setup.policy.clone(),
        file_problems,
        journal,
        decision: latest.as_ref().and_then(|latest| status::brief_decision(latest, now)),
        verdicts: latest.as_ref().map(|latest| latest.verdicts.clone()).unwrap_or_default(),
        failing: status::failing_probes(&seen.health, now),
        facts: status::brief_facts(&seen, &shown, now),
        lease_holder: api.lease_holder(),
        role: role(&api),
        at: now,
    }))
}

pub(super) async fn explain(State(api): Shared, Path(path): PolicyPath) -> Answer<Explanation> {
    let shown = find(&api, &path)?;
    ensure_active(&api)?;
    let (journal, seen) = (journal(&api, &shown).await?, seen(&api, &shown));
    let setup = shown.handle.acting.borrow().clone();
    Ok(Json(muster_core::decide::explain(&setup.policy, &journal, &seen, api.shell.clock.now())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanQuery {
    #[serde(default = "failover")]
    kind: RunKind,
    to: Option<RegionName>,
}

const fn failover() -> RunKind {
    RunKind::Failover
}

pub(super) async fn plan(
    State(api): Shared,
    Path(path): PolicyPath,
    Asked(asked): Asked<PlanQuery>,
) -> Answer<PlanPreview> {
    let shown = find(&api, &path)?;
    ensure_active(&api)?;
    let (journal, seen) = (journal(&api, &shown).await?, seen(&api, &shown));
    let setup = shown.handle.acting.borrow().clone();
    let now = api.shell.clock.now();
    let preview =
        muster_core::decide::preview(&setup.policy, &journal, &seen, now, asked.kind, asked.to.as_ref())?;
    Ok(Json(preview))
}

pub(super) async fn runs(State(api): Shared, Path(path): PolicyPath) -> Answer<RunList> {
    let shown = find(&api, &path)?;
    let name = &shown.handle.name;
    let current = journal(&api, &shown).await?.run;
    let ended = api.shell.store.runs(name, RUNS).await?;
    let mut runs: Vec<RunSummary> = current.iter().map(|run| status::summarize_run(name, run)).collect();
    let others = ended.iter().filter(|run| current.as_ref().is_none_or(|c| c.name != run.name));
    runs.extend(others.map(|run| status::summarize_run(name, run)));
    Ok(Json(RunList { runs }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunQuery {
    policy: Option<PolicyName>,
}

/// A run by name, in the policy that was named or in any.
async fn find_run(api: &Api, name: &str, asked: RunQuery) -> Result<RunReport, Refused> {
    let name = RunName::from(name);
    let store = &api.shell.store;
    for known in store.policies().await? {
        if asked.policy.as_ref().is_some_and(|policy| *policy != known.policy) {
            continue;
        }
        let current = store.load(&known.policy).await?.journal.run.filter(|run| run.name == name);
        let found = match current {
            Some(run) => Some(run),
            None => store.run(&known.policy, &name).await?,
        };
        if let Some(run) = found {
            return Ok(RunReport { policy: known.policy, active: !run.phase.is_final(), run });
        }
    }
    Err(Refused::not_found(format!("there is no run {name}")))
}

pub(super) async fn run(
    State(api): Shared,
    Path(name): Path<String>,
    Asked(asked): Asked<RunQuery>,
) -> Answer<RunReport> {
    Ok(Json(find_run(&api, &name, asked).await?))
}

pub(super) async fn frames(
    State(api): Shared,
    Path(name): Path<String>,
    Asked(asked): Asked<RunQuery>,
) -> Answer<FrameList> {
    let report = find_run(&api, &name, asked).await?;
    let kept = api.shell.store.frames(&report.policy, &report.run.name).await?;
    let frames: Vec<Frame> =
        kept.into_iter().filter_map(|frame| serde_json::from_value(frame).ok()).collect();
    Ok(Json(FrameList { frames }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventQuery {
    #[serde(default)]
    since: u64,
    #[serde(default)]
    wait: u64,
    policy: Option<PolicyName>,
}

pub(super) async fn events(State(api): Shared, Asked(asked): Asked<EventQuery>) -> Json<EventPage> {
    let wait = Duration::from_millis(asked.wait).min(LONGEST_WAIT);
    Json(api.shell.events.wait(asked.since, asked.policy.as_ref(), wait).await)
}

/// Each probe once, where it runs now.
pub(super) async fn probe(State(api): Shared, Path(path): PolicyPath) -> Answer<ProbeReport> {
    let shown = find(&api, &path)?;
    let setup = shown.handle.acting.borrow().clone();
    let active = match api.shell.store.load(&shown.handle.name).await {
        Ok(loaded) => loaded.journal.state.active_region,
        Err(StoreError::UnknownPolicy { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let once = Once {
        vantage: CONTROLLER.into(),
        clock: Arc::new(api.shell.clock.clone()),
        anchors: setup.probing.anchors.clone(),
        active: active.clone(),
    };
    let mut pairs: Vec<(ProbeSpec, RegionVars)> = Vec::new();
    for spec in &setup.probing.probes {
        let regions = setup.probing.regions.iter().filter(|r| runs_at(spec, &r.name, active.as_ref()));
        pairs.extend(regions.map(|region| (spec.clone(), region.clone())));
    }
    let each = pairs.into_iter().map(|(spec, region)| {
        let once = once.clone();
        async move { probe_once(&spec, &region, &once).await }
    });
    let mut results: Vec<ProbeOnce> = futures::stream::iter(each).buffered(PROBES_AT_ONCE).collect().await;
    if let Some(public) = &setup.probing.public {
        results.push(probe_public(public, &once).await);
    }
    Ok(Json(ProbeReport { results }))
}

/// A heartbeat writes at the active region and reads at the others, whatever its side says.
fn runs_at(spec: &ProbeSpec, region: &RegionName, active: Option<&RegionName>) -> bool {
    let is_active = active == Some(region);
    match (&spec.kind, spec.on) {
        (ProbeKind::Heartbeat(_), _) | (_, On::Both) => true,
        (_, On::Primary) => is_active,
        (_, On::Standby) => !is_active,
    }
}

async fn probe_once(spec: &ProbeSpec, region: &RegionVars, once: &Once) -> ProbeOnce {
    let broken = |detail: String| ProbeOnce {
        probe: spec.name.clone(),
        region: Some(region.name.clone()),
        result: muster_core::health::ProbeResult::Error,
        took: Millis(0),
        detail,
    };
    match run_once(spec, region, once).await {
        Ok(report) => ProbeOnce {
            took: report.latency.into(),
            result: report.sample.result,
            detail: report.sample.detail,
            ..broken(String::new())
        },
        Err(mistakes) => broken(mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
    }
}

async fn probe_public(spec: &muster_probes::PublicSpec, once: &Once) -> ProbeOnce {
    let probe = ProbeName::from("public");
    let (result, took, detail) = match run_public_once(spec, once).await {
        Ok((symptom, detail, took)) => (symptom.judge(true), took, detail),
        Err(mistakes) => {
            let detail = mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            (muster_core::health::ProbeResult::Error, Duration::ZERO, detail)
        }
    };
    ProbeOnce { probe, region: None, result, took: took.into(), detail }
}

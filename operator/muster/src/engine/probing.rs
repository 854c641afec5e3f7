//! The controller's own vantage: runs a policy's probes while this process holds the lease, and publishes to the
//! policy's board.

use super::peaks::{self, Peaks};
use crate::assemble::CONTROLLER;
use crate::clock::Clock;
use crate::execute::{PolicyHandle, Setup, Shell};
use crate::store::Archive;
use crate::store::archive::Kind;
use muster_core::health::{ProbeResult, Sample};
use muster_core::ids::{ItemName, PolicyName, RegionName};
use muster_core::time::{Millis, Stamp};
use muster_probes::{ProbeRunner, Report, StandbyBeat};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Between two looks at what the runner has of heartbeats and the public name, while a run is active.
const DURING_RUN: Duration = Duration::from_millis(50);
/// The same in a stable world.
const IN_CALM: Duration = Duration::from_millis(500);

impl muster_probes::Clock for Clock {
    fn now(&self) -> Stamp {
        Self::now(self)
    }
}

/// What the standbys have of the controller's heartbeats, for the live loss.
pub(crate) type StandbyBeats = BTreeMap<ItemName, BTreeMap<RegionName, StandbyBeat>>;

/// The newest of them.
pub(crate) type Beats = Arc<Mutex<StandbyBeats>>;

/// Probes for one policy until dropped.
pub(crate) async fn keep_probing(shell: Arc<Shell>, mut handle: PolicyHandle, beats: Beats) {
    let active = watch::Sender::new(None);
    let mut lease = shell.lease.subscribe();
    let mut runner: Option<ProbeRunner> = None;
    let mut peaks = Peaks::default();
    loop {
        let setup = Arc::clone(&handle.acting.borrow_and_update());
        let latest = handle.latest.borrow_and_update().clone();
        let state = latest.as_ref().and_then(|latest| Some(&latest.journal.as_ref()?.state));
        let active_region = state.and_then(|state| state.active_region.clone());
        active.send_if_modified(|old| {
            let news = *old != active_region;
            old.clone_from(&active_region);
            news
        });
        if shell.lease.is_held() {
            let runner = runner.get_or_insert_with(|| start(&shell, &handle, active.subscribe()));
            apply(runner, &setup);
            let live = publish(runner, &handle, &beats);
            keep_peaks(&shell, &handle.name, peaks.fold(&live, shell.clock.now().wall));
        } else {
            runner = None;
            keep_peaks(&shell, &handle.name, peaks.finish());
        }
        let in_run = state.is_some_and(|state| state.active_run.is_some());
        tokio::select! {
            () = tokio::time::sleep(if in_run { DURING_RUN } else { IN_CALM }) => {}
            changed = handle.acting.changed() => if changed.is_err() { return },
            changed = handle.latest.changed() => if changed.is_err() { return },
            changed = lease.changed() => if changed.is_err() { return },
        }
    }
}

fn start(shell: &Shell, handle: &PolicyHandle, active: watch::Receiver<Option<RegionName>>) -> ProbeRunner {
    let (board, acting, archive) = (Arc::clone(&handle.board), handle.acting.clone(), shell.archive.clone());
    let sink = move |report: Report| {
        let setup = Arc::clone(&acting.borrow());
        board.fold_sample(&report.sample, &setup.policy);
        if let Some(archive) = &archive {
            keep_sample(archive, &setup.policy.name, &report.sample, Some(report.latency));
        }
    };
    ProbeRunner::new(CONTROLLER.into(), Arc::new(shell.clock.clone()), Arc::new(sink), active)
}

fn apply(runner: &mut ProbeRunner, setup: &Setup) {
    if let Err(mistakes) = runner.apply(&setup.probing) {
        let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        tracing::error!(policy = %setup.policy.name, mistakes = mistakes.join("; "), "failed to start the probes");
    }
}

/// Answers what would be lost now, by data item.
fn publish(runner: &ProbeRunner, handle: &PolicyHandle, beats: &Beats) -> BTreeMap<ItemName, Millis> {
    for (item, facts) in runner.heartbeats() {
        handle.board.set_heartbeat(&item, facts);
    }
    if let Some(public) = runner.public() {
        handle.board.set_public(public);
    }
    let standbys = runner.standby_beats();
    let live = peaks::live_losses(&standbys);
    *beats.lock().unwrap_or_else(PoisonError::into_inner) = standbys;
    live
}

fn keep_peaks(shell: &Shell, policy: &PolicyName, peaks: Vec<(ItemName, peaks::Peak)>) {
    if let Some(archive) = &shell.archive {
        peaks::keep(archive, policy, peaks);
    }
}

/// One point of a probe's series.
#[derive(Serialize)]
struct Point<'a> {
    result: ProbeResult,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_us: Option<u64>,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
}

/// Adds a result to its series, by policy, probe, region and vantage.
pub(crate) fn keep_sample(archive: &Archive, policy: &PolicyName, sample: &Sample, took: Option<Duration>) {
    let key = format!("{policy}/{}/{}/{}", sample.probe, sample.region, sample.vantage);
    let point = Point {
        result: sample.result,
        took_us: took.and_then(|took| u64::try_from(took.as_micros()).ok()),
        detail: &sample.detail,
    };
    archive.append(Kind::Probes, &key, &point);
}

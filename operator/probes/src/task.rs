//! The life of one probe at one region: wait, run, judge, report.

use crate::anchors::Anchors;
use crate::progress::Progress;
use crate::report::{Report, Shared};
use crate::run::{Outcome, Probe, RunCx, Side, Sides};
use crate::schedule::ActiveRegion;
use muster_core::health::{ProbeResult, Sample, Symptom};
use muster_core::ids::RegionName;
use muster_core::time::Stamp;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// First runs are spread over at most this long.
const MAX_SPREAD: Duration = Duration::from_secs(1);

/// When a run began, by both clocks: the stamp for the receiver, the instant for the anchors.
#[derive(Clone, Copy)]
struct Begun {
    at: Stamp,
    instant: Instant,
}

/// Runs `probe` until the task is dropped.
pub(crate) async fn keep_probing(
    mut probe: Box<Probe>,
    shared: Arc<Shared>,
    anchors: watch::Receiver<Arc<Anchors>>,
    mut active: ActiveRegion,
) {
    let (sides, region, every) = (probe.sides(), probe.region.clone(), probe.spec.every);
    let mut side = Side::of(&region, active.borrow_and_update().as_ref());
    let mut next = Instant::now() + every.min(MAX_SPREAD).mul_f64(rand::random());
    loop {
        let changed = wait_for_change(&mut active, &region, sides, side);
        if !sides.applies(side) {
            probe.rest();
            side = changed.await;
            // All probes of a region begin at the same change.
            next = Instant::now() + every.min(MAX_SPREAD / 10).mul_f64(rand::random());
            continue;
        }
        tokio::select! {
            () = sleep_until(next) => {}
            new = changed => { side = new; continue; }
        }
        next = Instant::now() + jittered(every);
        let current = Arc::clone(&anchors.borrow());
        let progress = Progress::default();
        let cx = RunCx { names: &shared.names, progress: &progress, clock: shared.clock.as_ref(), side };
        let begun = Begun { at: shared.clock.now(), instant: Instant::now() };
        // Biased: a write to a region that is no longer active must not begin.
        let outcome = tokio::select! {
            biased;
            new = wait_for_change(&mut active, &region, sides, side) => Err(new),
            outcome = run_watched(&mut probe, &cx, &current) => Ok(outcome),
        };
        match outcome {
            Ok(outcome) => Box::pin(settle(&mut probe, &cx, &shared, &current, begun, outcome)).await,
            Err(new) => {
                if probe.needs_clean_up() {
                    probe.clean_up(&cx).await;
                }
                side = new;
            }
        }
    }
}

/// Periods differ by a twentieth, so that probes which began together drift apart.
fn jittered(every: Duration) -> Duration {
    every.mul_f64(0.95 + 0.1 * rand::random::<f64>())
}

/// Ends when the active region changes so that the probe has to stop, start, or do something else.
async fn wait_for_change(active: &mut ActiveRegion, region: &RegionName, sides: Sides, side: Side) -> Side {
    loop {
        let new = Side::of(region, active.borrow_and_update().as_ref());
        if sides.differ(side, new) {
            return new;
        }
        if active.changed().await.is_err() {
            // The sender is gone: nothing changes any more.
            std::future::pending::<()>().await;
        }
    }
}

/// One run; halfway through a silence the anchors are asked, so that their answer falls into the same window.
pub(crate) async fn run_watched(probe: &mut Probe, cx: &RunCx<'_>, anchors: &Anchors) -> Outcome {
    let half = probe.spec.timeout / 2;
    let mut run = pin!(probe.run(cx));
    tokio::select! {
        outcome = &mut run => return outcome,
        () = sleep(half) => anchors.nudge(),
    }
    run.await
}

/// Judges and reports, and meanwhile cleans up what a failed suite left.
async fn settle(
    probe: &mut Probe,
    cx: &RunCx<'_>,
    shared: &Shared,
    anchors: &Anchors,
    begun: Begun,
    outcome: Outcome,
) {
    let spec = Arc::clone(&probe.spec);
    let region = probe.region.clone();
    let report = async {
        let latency = outcome.latency;
        let (symptom, result, detail) = judge(outcome, begun.instant, anchors).await;
        let (vantage, probe) = (shared.vantage.clone(), spec.name.clone());
        let sample = Sample { region, vantage, probe, result, at: begun.at, detail };
        shared.sink.report(Report { sample, symptom, latency });
    };
    if probe.needs_clean_up() {
        let (notes, ()) = futures::future::join(probe.clean_up(cx), report).await;
        for note in notes {
            tracing::warn!(probe = %spec.name, region = %probe.region, %note, "probe_clean_up_failed");
        }
    } else {
        report.await;
    }
}

/// A silence counts against the target only if an anchor answered here in the same window.
pub(crate) async fn judge(
    outcome: Outcome,
    began: Instant,
    anchors: &Anchors,
) -> (Symptom, ProbeResult, String) {
    let Err(finding) = outcome.result else {
        return (Symptom::None, ProbeResult::Pass, String::new());
    };
    if !matches!(finding.symptom, Symptom::Timeout | Symptom::NoRoute) {
        return (finding.symptom, finding.symptom.judge(false), finding.detail);
    }
    let passed = anchors.passed_since(began).await;
    let detail = match passed {
        true => finding.detail,
        false if anchors.is_empty() => {
            format!("{}; there are no anchors to tell whose fault it is", finding.detail)
        }
        false => format!("{}; no anchor answered either", finding.detail),
    };
    (finding.symptom, finding.symptom.judge(passed), detail)
}

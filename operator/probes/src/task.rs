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

/// Runs `probe` until the task is dropped. A block, because an async function keeps its arguments twice.
#[allow(clippy::manual_async_fn)]
pub(crate) fn keep_probing(
    mut probe: Box<Probe>,
    shared: Arc<Shared>,
    anchors: watch::Receiver<Arc<Anchors>>,
    mut active: ActiveRegion,
) -> impl Future<Output = ()> + Send {
    async move {
        let every = probe.spec.every;
        let mut side = Side::of(&probe.region.name, active.borrow_and_update().as_ref());
        let mut next = Instant::now() + every.min(MAX_SPREAD).mul_f64(rand::random());
        loop {
            let sides = probe.sides();
            if !sides.applies(side) {
                probe.rest();
                side = wait_for_change(&mut active, &probe.region.name, sides, side).await;
                // All probes of a region begin at the same change.
                next = Instant::now() + every.min(MAX_SPREAD / 10).mul_f64(rand::random());
                continue;
            }
            tokio::select! {
                () = sleep_until(next) => {}
                new = wait_for_change(&mut active, &probe.region.name, sides, side) => {
                    side = new;
                    continue;
                }
            }
            next = Instant::now() + jittered(every);
            let current = Arc::clone(&anchors.borrow());
            // Boxed: a probe that sleeps must not hold the room of one that runs.
            side = Box::pin(run_and_report(&mut probe, &shared, &current, &mut active, side)).await;
        }
    }
}

/// One run with its report, or as much of it as was done when the active region changed. Gives the side after it.
async fn run_and_report(
    probe: &mut Probe,
    shared: &Shared,
    anchors: &Anchors,
    active: &mut ActiveRegion,
    side: Side,
) -> Side {
    let (sides, region) = (probe.sides(), Arc::clone(&probe.region));
    let progress = Progress::default();
    let cx = RunCx { names: &shared.names, progress: &progress, clock: shared.clock.as_ref(), side };
    let begun = Begun { at: shared.clock.now(), instant: Instant::now() };
    // Biased: a write to a region that is no longer active must not begin.
    let outcome = tokio::select! {
        biased;
        new = wait_for_change(active, &region.name, sides, side) => Err(new),
        outcome = run_watched(probe, &cx, anchors) => Ok(outcome),
    };
    match outcome {
        Ok(outcome) => {
            Box::pin(settle(probe, &cx, shared, anchors, begun, outcome)).await;
            side
        }
        Err(new) => {
            if probe.needs_clean_up() {
                probe.clean_up(&cx).await;
            }
            new
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
    let region = probe.region.name.clone();
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
            tracing::warn!(probe = %spec.name, region = %probe.region.name, %note, "probe_clean_up_failed");
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
#[cfg(test)]
mod tests {
    use super::keep_probing;
    use crate::http::HttpPlan;
    use crate::http::target::Target;
    use crate::run::Probe;

    /// Size of what a function of four arguments gives, without calling it.
    fn size_of_result<A, B, C, D, R>(_: impl Fn(A, B, C, D) -> R) -> usize {
        size_of::<R>()
    }

    /// A controller keeps one of each for every probe and region. tokio aligns a task to 128 bytes and adds 104.
    #[test]
    fn a_sleeping_probe_is_small() {
        assert!(size_of_result(keep_probing) + 104 <= 512);
        assert!(size_of::<Probe>() <= 96);
        assert!(size_of::<HttpPlan>() <= 288);
        assert!(size_of::<Target>() <= 128);
    }
}

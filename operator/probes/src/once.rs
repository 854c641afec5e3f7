//! One run of a probe, outside of the schedule: for `muster probe`, and to check a policy without running it.

use crate::Clock;
use crate::anchors::Anchors;
use crate::error::{Mistakes, SpecError};
use crate::heartbeats::HeartbeatBook;
use crate::net::SystemNames;
use crate::progress::Progress;
use crate::public::PublicProbe;
use crate::report::{Report, Shared};
use crate::run::{Probe, RunCx, Side};
use crate::spec::{AnchorSpec, ProbeSpec, ProbingSpec, PublicSpec, RegionVars};
use crate::task::{judge, run_watched};
use muster_core::health::{Sample, Symptom};
use muster_core::ids::{RegionName, VantageName};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// All mistakes of a policy's probes; none means that [`crate::ProbeRunner::apply`] takes it.
pub fn validate(spec: &ProbingSpec, clock: &Arc<dyn Clock>) -> Vec<SpecError> {
    let mut mistakes = Mistakes::default();
    for (n, probe) in spec.probes.iter().enumerate() {
        if spec.probes[..n].iter().any(|other| other.name == probe.name) {
            mistakes.add(SpecError::new(&format!("probes[{}]", probe.name), "the name is used twice"));
        }
        let probe = Arc::new(probe.clone());
        for region in &spec.regions {
            let book = || Arc::new(HeartbeatBook::new(&VantageName::new("")));
            drop(Probe::compile(&probe, &Arc::new(region.clone()), book, &mut mistakes));
        }
    }
    if let Some(public) = &spec.public {
        drop(PublicProbe::compile(public, &mut mistakes));
    }
    drop(Anchors::compile(&spec.anchors, Arc::default(), Arc::clone(clock), &mut mistakes));
    mistakes.into_vec()
}

/// What surrounds a single run.
#[derive(Clone)]
pub struct Once {
    /// In whose name.
    pub vantage: VantageName,
    /// Stamps.
    pub clock: Arc<dyn Clock>,
    /// For silences.
    pub anchors: Vec<AnchorSpec>,
    /// A heartbeat writes there and reads elsewhere.
    pub active: Option<RegionName>,
}

impl Once {
    fn shared(&self) -> Shared {
        Shared {
            vantage: self.vantage.clone(),
            clock: Arc::clone(&self.clock),
            sink: Arc::new(|_: Report| {}),
            names: Arc::new(SystemNames::default()),
        }
    }
}

/// Runs a probe once against a region, whichever side it is for; the clean-up of a suite included, and said in the
/// detail where it did not work.
pub async fn run_once(spec: &ProbeSpec, region: &RegionVars, once: &Once) -> Result<Report, Vec<SpecError>> {
    let mut mistakes = Mistakes::default();
    let shared = once.shared();
    let book = || Arc::new(HeartbeatBook::new(&once.vantage));
    let probe = Probe::compile(&Arc::new(spec.clone()), &Arc::new(region.clone()), book, &mut mistakes);
    let (names, clock) = (Arc::clone(&shared.names), Arc::clone(&once.clock));
    let anchors = Anchors::compile(&once.anchors, names, clock, &mut mistakes);
    let mistakes = mistakes.into_vec();
    let Some(mut probe) = probe.filter(|_| mistakes.is_empty()) else { return Err(mistakes) };
    let progress = Progress::default();
    let cx = RunCx {
        names: &shared.names,
        progress: &progress,
        clock: once.clock.as_ref(),
        side: Side::of(&region.name, once.active.as_ref()),
    };
    let (at, began) = (once.clock.now(), Instant::now());
    let outcome = run_watched(&mut probe, &cx, &anchors).await;
    let latency = outcome.latency;
    let (symptom, result, mut detail) = judge(outcome, began, &anchors).await;
    for note in probe.clean_up(&cx).await {
        detail.push_str("; clean-up: ");
        detail.push_str(&note);
    }
    let (region, vantage) = (region.name.clone(), once.vantage.clone());
    let sample = Sample { region, vantage, probe: spec.name.clone(), result, at, detail };
    Ok(Report { sample, symptom, latency })
}

/// Runs the public probe once: what it ran into, the detail, and how long it took.
pub async fn run_public_once(
    spec: &PublicSpec,
    once: &Once,
) -> Result<(Symptom, String, Duration), Vec<SpecError>> {
    let mut mistakes = Mistakes::default();
    let probe = PublicProbe::compile(spec, &mut mistakes);
    let mistakes = mistakes.into_vec();
    let Some(mut probe) = probe.filter(|_| mistakes.is_empty()) else { return Err(mistakes) };
    let outcome = probe.run(&once.shared()).await;
    let (symptom, detail) = match outcome.result {
        Ok(()) => (Symptom::None, String::new()),
        Err(finding) => (finding.symptom, finding.detail),
    };
    Ok((symptom, detail, outcome.latency))
}

//! What a run says to the outside.

use crate::Clock;
use crate::net::SystemNames;
use muster_core::health::{Sample, Symptom};
use muster_core::ids::VantageName;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// A result with what led to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// For the core.
    pub sample: Sample,
    /// What the probe ran into, before it was judged.
    pub symptom: Symptom,
    /// How long the run took.
    pub latency: Duration,
}

/// Takes results as they come. Called from the probes' own tasks: it must not block.
pub trait ReportSink: Send + Sync {
    /// One result.
    fn report(&self, report: Report);
}

impl<F: Fn(Report) + Send + Sync> ReportSink for F {
    fn report(&self, report: Report) {
        self(report);
    }
}

/// A channel that is full loses the result, which then counts as not seen: no probe waits for a slow reader.
#[derive(Clone, Debug)]
pub struct ReportChannel(pub mpsc::Sender<Report>);

impl ReportSink for ReportChannel {
    fn report(&self, report: Report) {
        if let Err(error) = self.0.try_send(report) {
            tracing::debug!(%error, "probe_result_dropped");
        }
    }
}

/// What all tasks of a runner share.
pub(crate) struct Shared {
    pub(crate) vantage: VantageName,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sink: Arc<dyn ReportSink>,
    pub(crate) names: Arc<SystemNames>,
}

//! How far a run has come: a silence means something else during a look-up than after the connection stood.

use crate::finding::Finding;
use muster_core::health::Symptom;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// What a run is waiting for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Phase {
    Start,
    Lookup,
    Connect,
    Tls,
    Answer,
    Body,
}

/// Shared between a run and whoever ends it.
#[derive(Debug, Default)]
pub(crate) struct Progress(AtomicU8);

impl Progress {
    pub(crate) fn enter(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::Relaxed);
    }

    fn phase(&self) -> Phase {
        const ALL: [Phase; 6] =
            [Phase::Start, Phase::Lookup, Phase::Connect, Phase::Tls, Phase::Answer, Phase::Body];
        ALL.get(usize::from(self.0.load(Ordering::Relaxed))).copied().unwrap_or(Phase::Start)
    }

    /// What it means that the run did not end in time.
    pub(crate) fn timed_out(&self, limit: Duration) -> Finding {
        let (symptom, waiting) = match self.phase() {
            Phase::Lookup => (Symptom::Resolver, "the name was not resolved"),
            Phase::Start => (Symptom::OwnResources, "the probe did not get to run"),
            Phase::Connect => (Symptom::Timeout, "no connection"),
            Phase::Tls => (Symptom::Timeout, "connected, but no TLS handshake"),
            Phase::Answer => (Symptom::Timeout, "connected, but no answer"),
            Phase::Body => (Symptom::Timeout, "the answer began, but did not end"),
        };
        Finding::new(symptom, format!("{waiting} within {limit:?}"))
    }
}

//! RTO, RPO and their bounds (safety rules, section 7). Never more exact than what was seen.

use crate::facts::{HeartbeatFacts, HeartbeatRow};
use crate::ids::{ItemName, RegionName};
use crate::journal::{AckedBeat, Measured, Rpo, Run};
use crate::policy::ProofClass;
use crate::sight::Sight;
use crate::time::{Millis, Stamp};

/// What could be lost if `region` took over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Loss {
    /// Between the newest acknowledged and the newest present heartbeat.
    pub(crate) at_least: Millis,
    /// Until the fence was proven, or until now: writers that nobody here sees may go on.
    pub(crate) at_most: Millis,
    /// Heartbeats acknowledged and not present.
    pub(crate) heartbeats: u64,
}

/// What is known of an item's heartbeats: this process's own, and before its start what the journal remembers.
struct Beats<'a> {
    own: &'a HeartbeatFacts,
    /// Of the same writer and boot. An older one only makes the bound of the loss wider.
    kept: Option<&'a AckedBeat>,
}

impl<'a> Beats<'a> {
    fn of(sight: &Sight<'a>, item: &ItemName) -> Option<Self> {
        let own = sight.seen.heartbeats.get(item)?;
        let kept = sight.journal.state.beats.get(item);
        let kept = kept.filter(|k| k.writer == own.writer && sight.now.since(&k.at).is_some());
        Some(Self { own, kept })
    }

    fn acked(&self) -> Option<(u64, Stamp)> {
        self.own.acked_at.map(|at| (self.own.acked_seq, at)).or_else(|| self.kept.map(|k| (k.seq, k.at)))
    }

    /// Acknowledgement time of the newest heartbeat that a node has, or of an older one that it has too.
    fn present_at(&self, row: &HeartbeatRow) -> Option<Stamp> {
        if row.writer != self.own.writer {
            return None;
        }
        let (seq, at) = self.acked()?;
        if row.seq >= seq {
            return Some(at);
        }
        let own = self.own.recent.iter().rev().find(|(seq, _)| *seq <= row.seq).map(|(_, at)| *at);
        own.or_else(|| self.kept.filter(|k| k.seq <= row.seq).map(|k| k.at))
    }
}

/// The newest acknowledged heartbeat of an item.
pub(crate) fn newest_acked(sight: &Sight<'_>, item: &ItemName) -> Option<(u64, Stamp)> {
    Beats::of(sight, item)?.acked()
}

/// The worst loss over all data items, by heartbeats; `None` when an item's is unknown: then it is unbounded.
pub(crate) fn estimate_loss(sight: &Sight<'_>, region: &RegionName) -> Option<Loss> {
    let until = acknowledged_until(sight);
    let mut worst = Loss { at_least: Millis(0), at_most: Millis(0), heartbeats: 0 };
    for item in &sight.policy.data {
        let beats = Beats::of(sight, &item.name)?;
        let row = sight.data(&item.name, region)?.heartbeat.as_ref()?;
        let present = beats.present_at(row)?;
        let (acked_seq, acked_at) = beats.acked()?;
        worst.at_least = worst.at_least.max(acked_at.since_or_wall(&present));
        worst.at_most = worst.at_most.max(until.since_or_wall(&present));
        worst.heartbeats += acked_seq.saturating_sub(row.seq);
    }
    Some(worst)
}

/// Since when the active region is proven to acknowledge nothing: until now, if nothing proves it.
fn acknowledged_until(sight: &Sight<'_>) -> Stamp {
    let state = &sight.journal.state;
    let active = state.active_region.as_ref().filter(|active| !state.may_be_writable.contains(*active));
    active.and_then(|active| state.outcasts.get(active)?.proven).unwrap_or(sight.now)
}

/// What the new primary lacks of what was acknowledged before the point of no return.
struct Missing {
    at_least: Option<Millis>,
    at_most: Option<Millis>,
    heartbeats: u64,
    in_flight: u64,
}

/// Over all data items; `None` when an item's heartbeats are unknown.
fn missing(sight: &Sight<'_>, run: &Run) -> Option<Missing> {
    // A bound needs a proof that ended all acknowledgements at a known time.
    let proof = run.proofs.get(&run.from).filter(|p| p.class != ProofClass::Waived);
    let mut all =
        Missing { at_least: Some(Millis(0)), at_most: proof.map(|_| Millis(0)), heartbeats: 0, in_flight: 0 };
    for item in &sight.policy.data {
        let beats = Beats::of(sight, &item.name)?;
        let (acked_seq, acked_at) = *run.acked_at_pivot.get(&item.name)?;
        let row = sight.data(&item.name, &run.to)?.heartbeat.as_ref()?;
        let present = beats.present_at(row)?;
        let worse =
            |worst: Option<Millis>, until: Option<Stamp>| Some(worst?.max(until?.since_or_wall(&present)));
        all.at_least = worse(all.at_least, acked_at);
        all.at_most = worse(all.at_most, proof.map(|p| p.at));
        all.heartbeats += acked_seq.saturating_sub(row.seq);
        all.in_flight += beats.own.in_flight;
    }
    Some(all)
}

/// Fixes the recovery point when a promotion was seen, before clients come in. A planned run has lost nothing: its
/// old primary was closed, and the new one had replayed all of it.
pub(crate) fn measure_rpo(sight: &Sight<'_>, run: &Run) -> Measured {
    let mut measured = run.measured.clone();
    let missing = missing(sight, run);
    if run.kind.is_planned() && run.proofs.contains_key(&run.from) {
        measured.rpo = Rpo { at_least: Some(Millis(0)), at_most: Some(Millis(0)), r#final: true };
    } else if let Some(missing) = &missing {
        measured.rpo = Rpo { at_least: missing.at_least, at_most: missing.at_most, r#final: false };
    }
    if let Some(missing) = missing {
        measured.lost_heartbeats = Some(missing.heartbeats);
        measured.in_flight = Some(missing.in_flight);
    }
    measured
}

/// The largest error of the run's times: one probe period, since an outage begins between two probes.
pub(crate) fn error_bound(sight: &Sight<'_>) -> Millis {
    let probe = sight.policy.probes.iter().map(|p| p.every).max().unwrap_or_default();
    let public = sight.policy.public_probe.as_ref().map_or(Millis(0), |p| p.every);
    probe.plus(public)
}

/// Completes the recovery time once the public name works again.
pub(crate) fn measure_rto(run: &Run) -> (Option<Millis>, Option<Millis>) {
    let Some(end) = run.clock.first_success else { return (None, None) };
    let start = run.clock.first_failure.or(run.clock.detected);
    let since = |from: Option<Stamp>| from.map(|from| end.since_or_wall(&from));
    (since(start), since(run.clock.decided))
}

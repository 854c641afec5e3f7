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
    /// Until now: writers that nobody here sees may go on until the fence is proven.
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
    let mut worst = Loss { at_least: Millis(0), at_most: Millis(0), heartbeats: 0 };
    for item in &sight.policy.data {
        let beats = Beats::of(sight, &item.name)?;
        let row = sight.data(&item.name, region)?.heartbeat.as_ref()?;
        let present = beats.present_at(row)?;
        let (acked_seq, acked_at) = beats.acked()?;
        worst.at_least = worst.at_least.max(acked_at.since_or_wall(&present));
        worst.at_most = worst.at_most.max(sight.now.since_or_wall(&present));
        worst.heartbeats += acked_seq.saturating_sub(row.seq);
    }
    Some(worst)
}

/// Fixes the recovery point when the promotion of `item` was seen, before clients come in.
pub(crate) fn measure_rpo(sight: &Sight<'_>, run: &Run, item: &ItemName) -> Option<Measured> {
    let beats = Beats::of(sight, item)?;
    let (acked_seq, acked_at) = *run.acked_at_pivot.get(item)?;
    let row = sight.data(item, &run.to)?.heartbeat.as_ref()?;
    let present = beats.present_at(row)?;
    let proof = run.proofs.get(&run.from);
    let nothing_lost_by_plan = run.kind.is_planned();
    // A bound needs a proof that ended all acknowledgements at a known time.
    let bounded = proof.filter(|p| p.class != ProofClass::Waived);
    let rpo = if nothing_lost_by_plan {
        Rpo { at_least: Some(Millis(0)), at_most: Some(Millis(0)), r#final: true }
    } else {
        Rpo {
            at_least: acked_at.map(|at| at.since_or_wall(&present)),
            at_most: bounded.map(|p| p.at.since_or_wall(&present)),
            r#final: false,
        }
    };
    Some(Measured {
        rpo,
        lost_heartbeats: Some(acked_seq.saturating_sub(row.seq)),
        in_flight: Some(beats.own.in_flight),
        ..run.measured.clone()
    })
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

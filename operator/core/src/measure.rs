//! RTO, RPO and their bounds (safety rules, section 7). Never more exact than what was seen.

use crate::facts::{HeartbeatFacts, HeartbeatRow};
use crate::ids::{ItemName, RegionName};
use crate::journal::{Measured, Rpo, Run};
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

/// Acknowledgement time of the newest heartbeat that a node has.
fn present_at(beats: &HeartbeatFacts, row: &HeartbeatRow) -> Option<Stamp> {
    if row.writer != beats.writer {
        return None;
    }
    if row.seq >= beats.acked_seq {
        return beats.acked_at;
    }
    beats.recent.iter().rev().find(|(seq, _)| *seq <= row.seq).map(|(_, at)| *at)
}

/// The worst loss over all data items, by heartbeats; `None` when an item's is unknown: then it is unbounded.
pub(crate) fn estimate_loss(sight: &Sight<'_>, region: &RegionName) -> Option<Loss> {
    let mut worst = Loss { at_least: Millis(0), at_most: Millis(0), heartbeats: 0 };
    for item in &sight.policy.data {
        let beats = sight.seen.heartbeats.get(&item.name)?;
        let row = sight.data(&item.name, region)?.heartbeat.as_ref()?;
        let present = present_at(beats, row)?;
        let acked = beats.acked_at?;
        worst.at_least = worst.at_least.max(acked.since_or_wall(&present));
        worst.at_most = worst.at_most.max(sight.now.since_or_wall(&present));
        worst.heartbeats += beats.acked_seq.saturating_sub(row.seq);
    }
    Some(worst)
}

/// Fixes the recovery point when the promotion of `item` was seen, before clients come in.
pub(crate) fn measure_rpo(sight: &Sight<'_>, run: &Run, item: &ItemName) -> Option<Measured> {
    let beats = sight.seen.heartbeats.get(item)?;
    let (acked_seq, acked_at) = *run.acked_at_pivot.get(item)?;
    let row = sight.data(item, &run.to)?.heartbeat.as_ref()?;
    let present = present_at(beats, row)?;
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
        in_flight: Some(beats.in_flight),
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

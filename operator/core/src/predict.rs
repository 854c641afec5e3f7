//! What the policy's own numbers say a run will take.

use crate::journal::{Predicted, RunKind};
use crate::policy::{HookPoint, Policy};
use crate::time::Millis;

/// A local call and the observation after it.
const CALL: Millis = Millis(200);

/// The expected phases of a run, in order. Detection counts for a failover only.
pub fn predict(policy: &Policy, kind: RunKind) -> Predicted {
    let mut phases = Vec::new();
    if kind == RunKind::Failover {
        phases.push(("detection".to_owned(), detection(policy)));
    }
    phases.push(("decision".to_owned(), CALL));
    phases.push(("fence".to_owned(), fence(policy, kind)));
    let promote = policy.data.iter().fold(Millis(0), |sum, d| sum.plus(d.expected_promote).plus(CALL));
    phases.push(("promotion".to_owned(), promote));
    let hooks = policy.hooks.iter().filter(|h| h.at != HookPoint::AfterTraffic).count();
    if hooks > 0 {
        phases.push(("hooks".to_owned(), CALL.times(hooks as u64)));
    }
    if let Some(slowest) = policy.compute.iter().map(|c| c.expected_ready).max() {
        // Begun before the fence.
        let meanwhile = phases.iter().filter(|(name, _)| name != "detection" && name != "decision");
        let meanwhile = meanwhile.fold(Millis(0), |sum, (_, long)| sum.plus(*long));
        phases.push(("compute".to_owned(), Millis(slowest.0.saturating_sub(meanwhile.0)).max(CALL)));
    }
    let ttl = policy.traffic.iter().map(|t| t.ttl).max().unwrap_or_default();
    phases.push(("traffic".to_owned(), CALL.times(policy.traffic.len() as u64).plus(ttl)));
    let first_probe = policy.public_probe.as_ref().map_or(Millis(0), |p| p.every);
    phases.push(("verification".to_owned(), first_probe));
    let rto = phases.iter().fold(Millis(0), |sum, (_, long)| sum.plus(*long));
    Predicted { phases, rto }
}

/// From the first failed probe to the threshold: further failures and `minOutage`, whichever is later, and the
/// newest probe's own time-out.
fn detection(policy: &Policy) -> Millis {
    let trip = &policy.detection.trip;
    let slowest = |every: Millis| every.times(u64::from(trip.count.saturating_sub(1)));
    let counted = policy.probes.iter().map(|p| slowest(p.every).plus(p.timeout)).max().unwrap_or_default();
    counted.max(trip.min)
}

/// A dead primary lets its own fence fail at once; the next way is a hook.
fn fence(policy: &Policy, kind: RunKind) -> Millis {
    // What engines hand over they close themselves.
    if !policy.data.is_empty() && policy.data.iter().all(|item| item.is_handed_over(kind)) {
        return Millis(0);
    }
    let ways = policy.fences.iter();
    let first = match kind {
        RunKind::Failover => ways.clone().find(|w| w.kind.has_status()).or_else(|| ways.clone().next()),
        RunKind::Switchover | RunKind::Failback => ways.clone().next(),
    };
    first.map_or(Millis(0), |_| CALL.times(2))
}

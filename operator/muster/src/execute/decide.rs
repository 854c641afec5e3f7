//! Stage 3: the pure core decides. Nothing else happens here.

use super::load::Loaded;
use super::observe::Observed;
use muster_core::decision::Decision;
use muster_core::facts::Observations;
use muster_core::policy::Policy;
use muster_core::time::Stamp;

/// A decision, with all that it was made from.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) loaded: Loaded,
    pub(super) seen: Observations,
    pub(super) policy: Policy,
    pub(super) now: Stamp,
    pub(super) decision: Decision,
}

/// Decides on what was observed. `policy` is the newest; the core holds to the one that an active run pinned.
pub(super) fn decide(policy: &Policy, observed: Observed, now: Stamp) -> Decided {
    let Observed { loaded, seen } = observed;
    let decision = muster_core::decide::decide(policy, &loaded.journal, &seen, now);
    Decided { loaded, seen, policy: policy.clone(), now, decision }
}

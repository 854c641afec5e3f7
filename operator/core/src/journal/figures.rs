//! The moments of a run and what is measured from them.

use crate::time::{Millis, Stamp};
use serde::{Deserialize, Serialize};

/// The moments of a run. Each is set once.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct RunClock {
    /// First failed functional probe of the outage.
    pub first_failure: Option<Stamp>,
    /// Thresholds and quorum reached (or the person's request).
    pub detected: Option<Stamp>,
    /// Gates held.
    pub decided: Option<Stamp>,
    /// A person agreed.
    pub approved: Option<Stamp>,
    /// The last fence was proved.
    pub fenced: Option<Stamp>,
    /// The point of no return: the first promotion's record.
    pub pivot: Option<Stamp>,
    /// The last data item was seen writable.
    pub promoted: Option<Stamp>,
    /// The last workload was ready in the target, or waited for long enough.
    #[serde(default)]
    pub scaled: Option<Stamp>,
    /// The last flip was recorded as seen by one server.
    pub flipped: Option<Stamp>,
    /// All authoritative servers agree.
    pub authoritative: Option<Stamp>,
    /// Start of the first of N successes in a row through the public name.
    pub first_success: Option<Stamp>,
    /// N successes were seen.
    pub settled: Option<Stamp>,
}

/// Recovery point: between two bounds until the old log was read.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Rpo {
    /// Age between the newest acknowledged and the newest present heartbeat.
    pub at_least: Option<Millis>,
    /// From the newest present to the proof that the old primary was closed, or to its being seen to follow; `None` is
    /// unbounded.
    pub at_most: Option<Millis>,
    /// The old primary's log was read, or nothing could have been lost.
    pub r#final: bool,
}

/// What was measured.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Measured {
    /// First failed functional probe to the first of N successes through the public name.
    pub rto: Option<Millis>,
    /// The same from the decision.
    pub rto_from_decision: Option<Millis>,
    /// Data loss.
    pub rpo: Rpo,
    /// Acknowledged heartbeats that the new primary does not have.
    pub lost_heartbeats: Option<u64>,
    /// Sent and never answered.
    pub in_flight: Option<u64>,
    /// Clients' commits on the old timeline after the fork, acknowledged or not, from the old log.
    pub lost_commits: Option<u64>,
    /// Fence proof (or first failure) to the first write on the new primary.
    pub write_gap: Option<Millis>,
    /// Largest error of these figures.
    pub error_bound: Millis,
}

/// What the policy's own numbers predict.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Predicted {
    /// By phase, in order.
    pub phases: Vec<(String, Millis)>,
    /// Their sum.
    pub rto: Millis,
}

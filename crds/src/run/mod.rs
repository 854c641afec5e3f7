//! `FailoverRun`: one execution. People write the spec, Muster writes the status, which is the story of the run.

// KubeSchema copies each public struct into a function, to derive the schema from the copy.
#![expect(unreachable_pub, reason = "code made by KubeSchema")]

mod spec;
mod status;

pub use spec::{Abort, Approval, FailoverRun, FailoverRunSpec, RunKind, Trigger};
pub use status::{
    Clock, FailoverRunStatus, Gate, GateSeverity, Measured, Outcome, PhaseTime, Predicted, Proof, Rpo,
    RunPhase, SavedData, Step,
};

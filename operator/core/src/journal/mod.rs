//! What must survive: the policy's state and its active run. The stores keep exactly this, conditionally.

mod figures;
mod run;
mod state;
mod step;

pub use figures::{Measured, Predicted, Rpo, RunClock};
pub use run::{Approval, Gate, OutcomeKind, Phase, Proof, Run, RunKind, Severity, Trigger};
pub use state::{
    AckedBeat, ActiveRun, Condition, Cooldown, Journal, Keeping, Lineage, Outcast, PeakReplicas, PolicyState,
    RunRequest, Settling,
};
pub use step::{Step, StepKey, StepState};

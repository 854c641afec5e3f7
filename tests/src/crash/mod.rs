//! The process killed between every two actions of a run, in the demo's world.
//!
//! ```text
//! undisturbed run --call log--> points: each call x before | sent | answered | after
//! for each point: the same run, the controller aborted there and started again --> end and effects, compared
//! ```
//! Effects are counted where they land: promotions and starts in PostgreSQL's own logs, power by the tool, moves of
//! the name at the name server. What the controller says of itself counts only for the run's phase and outcome.
//!
//! Runs follow one another in one world: each leaves it ready for the way back, and all that is compared is told
//! by the parts that the regions play (left, taken), not by their names.

mod calls;
mod end;
mod report;
mod stage;
mod suite;
mod targets;
mod tools;

pub use calls::CrashPoint;
pub(crate) use calls::{Reached, check_quiet, read as read_calls};
pub(crate) use end::{End, Parts};
pub use report::Tally;
pub use suite::{Choice, run};
pub(crate) use targets::{Effects, Meter};
pub(crate) use tools::wrap as wrap_tools;

//! Time as this crate needs it: given from outside, so that no probe reads a clock of its own for a stamp.

use muster_core::time::Stamp;

/// Reads both times of the machine.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Stamp;
}

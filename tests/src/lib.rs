//! What the suites share: the model of safety, and the harnesses of the end-to-end suites.

pub mod faults;
pub mod model;

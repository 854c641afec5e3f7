//! `muster vantage`: runs the policies' probes somewhere else and reports to the controllers.
//!
//! ```text
//! folder --> probes --> buffer (bounded) --ages, token--> POST /v1/vantage/report at each controller
//!               ^                                             |
//!               +------------ active regions <---------------+
//! ```
//! It sends ages instead of times, keeps what it saw while a controller is away, and decides nothing.

mod buffer;
mod client;
mod policies;
mod run;

pub use client::ReportError;
pub use run::{Settings, VantageError, run};

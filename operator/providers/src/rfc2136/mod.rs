//! Traffic by dynamic DNS updates (RFC 2136), signed by TSIG (RFC 8945).

mod config;

pub use config::{Rfc2136Config, Target, TsigAlgorithm, TsigConfig};

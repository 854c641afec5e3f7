//! Probe kinds and their scheduler: what a vantage sees of each region, as four-valued results.
//!
//! A tour, in the order in which data flows:
//! - [`spec`]: what to probe, as plain types; built from the policy by the binary.

#![forbid(unsafe_code)]

pub mod spec;

pub use spec::{
    AnchorSpec, DnsSpec, GrpcSpec, HeartbeatSpec, HttpMethod, HttpSpec, PgTarget, PgTls, ProbeKind,
    ProbeSpec, ProbingSpec, PublicSpec, RegionVars, SqlSpec, StepSpec, TcpSpec, TlsSpec,
};

//! Probe kinds and their scheduler: what a vantage sees of each region, as four-valued results.
//!
//! A tour, in the order in which data flows:
//! - [`spec`]: what to probe, as plain types; built from the policy by the binary.
//! - [`validate`] and [`ProbeRunner::apply`] compile it: expressions, templates, addresses and TLS settings, once.
//!   A mistake is a [`SpecError`] that names field, expression and position.
//! - A [`ProbeRunner`] runs a task per probe and region, follows the active region, and hands each result to a
//!   [`ReportSink`].
//! - [`HeartbeatBook`]: what was written, acknowledged, and is present at the standbys.
//! - [`run_once`]: one run, for people.
//!
//! ```text
//! ProbingSpec --apply--> ProbeRunner --task per probe x region--> Symptom --anchors--> ProbeResult --> Sample
//! ```
//!
//! Only what the *target* did wrong becomes a Fail (`muster_core::health::Symptom`). This crate never decides
//! anything about a region, and never writes to a target but for heartbeats and what a suite's steps ask for.

#![forbid(unsafe_code)]

mod anchors;
mod clock;
mod dns;
mod error;
mod expr;
mod finding;
mod grpc;
mod heartbeats;
mod http;
mod net;
mod once;
mod postgres;
mod progress;
mod public;
mod report;
mod run;
mod schedule;
pub mod spec;
mod task;
mod template;

pub use clock::Clock;
pub use error::SpecError;
pub use heartbeats::{HeartbeatBook, StandbyBeat};
pub use once::{Once, run_once, run_public_once, validate};
pub use report::{Report, ReportChannel, ReportSink};
pub use run::Side;
pub use schedule::{ActiveRegion, ProbeRunner};
pub use spec::{
    AnchorSpec, DnsSpec, GrpcSpec, HeartbeatSpec, HttpMethod, HttpSpec, PgTarget, PgTls, ProbeKind,
    ProbeSpec, ProbingSpec, PublicSpec, RegionVars, SqlSpec, StepSpec, TcpSpec, TlsSpec,
};

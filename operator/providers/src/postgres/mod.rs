//! PostgreSQL with streaming replication: one primary, one standby per other region.

mod config;

pub use config::{Application, Node, PostgresConfig, RejoinRun, RejoinRunner, TlsMode};

//! PostgreSQL as probes see it: one connection per probe and region, kept and reopened when it breaks, never shared,
//! so that a slow query of one probe delays no heartbeat.

mod cell;
pub(crate) mod heartbeat;
mod node;
pub(crate) mod sql;

pub(crate) use heartbeat::Heartbeat;
pub(crate) use sql::Sql;

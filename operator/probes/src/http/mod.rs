//! HTTP requests: compiled once ([`plan`]), sent over fresh or kept connections ([`exchange`]), followed through
//! redirects ([`fetch`]), judged by expectations ([`judge`]).

pub(crate) mod exchange;
pub(crate) mod fetch;
pub(crate) mod judge;
pub(crate) mod plan;
pub(crate) mod suite;
pub(crate) mod target;

pub(crate) use exchange::Connections;
pub(crate) use fetch::fetch;
pub(crate) use plan::{HttpPlan, Place};
pub(crate) use suite::Suite;

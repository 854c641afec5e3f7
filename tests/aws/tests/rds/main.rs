//! The fake's RDS and STS, at the wire.

mod failover;
mod faults;
mod instances;
mod names;
mod roles;
mod stage;
mod switchover;
mod wire;

//! The fake's Route 53, at the wire.

mod changes;
mod failover;
mod faults;
mod health;
mod listing;
mod servers;
mod stage;
mod visibility;
mod wire;

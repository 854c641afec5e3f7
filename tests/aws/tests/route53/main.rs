//! The fake's Route 53, at the wire.

mod changes;
mod faults;
mod listing;
mod servers;
mod stage;
mod visibility;
mod wire;

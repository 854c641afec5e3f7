//! Conformance of the Aurora adapter: the real SDK against the fake's RDS, every change counted at the wire, and real
//! PostgreSQL servers to which the fake's promotions and demotions come, with the setup of a managed database.

#[path = "aurora/access.rs"]
mod access;
#[path = "aurora/crashes.rs"]
mod crashes;
#[path = "aurora/detaching.rs"]
mod detaching;
#[path = "aurora/looking.rs"]
mod looking;
#[path = "aurora/moving.rs"]
mod moving;
#[path = "aurora/refusals.rs"]
mod refusals;
#[path = "aurora/saved.rs"]
mod saved;
#[path = "aurora/servers.rs"]
mod servers;
#[path = "aurora/stage.rs"]
mod stage;
#[path = "aurora/tidings.rs"]
mod tidings;

//! The `muster` binary's library: everything between the pure core and the world.

pub mod api;
pub mod assemble;
pub mod aws;
pub mod cli;
pub mod clock;
pub mod controllers;
pub mod convert;
pub mod demo;
pub(crate) mod engine;
pub mod execute;
pub(crate) mod http;
pub mod local;
pub(crate) mod process;
pub mod store;
pub mod telemetry;
pub mod vantage;

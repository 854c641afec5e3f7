//! Probes against real servers on loopback.

mod dns;
mod encrypted;
mod grpc;
mod mistakes;
mod postgres;
mod public;
mod schedule;
mod suite;
mod support;
mod symptoms;

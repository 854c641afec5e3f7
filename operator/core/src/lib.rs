//! The pure core: it decides, and does nothing else.
//!
//! ```text
//! policy + state + observations + now  --decide()-->  Decision { rule, next, effects, wake_at, blocked }
//! ```
//!
//! A tour, in the order in which data flows:
//! - [`ids`] and [`time`]: identifiers and the two times (tick and wall).
//! - [`policy`]: the validated policy.
//! - [`health`]: four-valued probe results, streaks, aggregation, quorum, verdicts.
//! - [`facts`]: what was observed of databases, name servers, fences, with its age.
//! - [`journal`]: the state that must survive: the policy's state and its run.
//! - [`effect`]: what the shell is asked to do.
//! - [`decide`]: the ladder of numbered rules.
//!
//! This crate must never do IO, read a clock, log, or draw a random number.

#![forbid(unsafe_code)]

pub mod decide;
pub mod decision;
mod draft;
pub mod effect;
pub mod facts;
mod gates;
pub mod health;
pub mod ids;
pub mod journal;
mod measure;
mod plan;
pub mod policy;
pub mod predict;
mod proof;
pub mod reasons;
mod retry;
pub mod rulebook;
pub mod rules;
mod run;
pub mod secret;
pub mod seeded;
mod sight;
mod standing;
pub mod time;
pub mod wish;

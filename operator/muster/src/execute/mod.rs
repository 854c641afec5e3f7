//! The six stages that every policy goes through, in Kubernetes or local, a module each.
//!
//! ```text
//! load     policy, active run, state            store
//! observe  facts: databases, DNS, probes, ...   each with a deadline, in parallel, partial is fine
//! decide   core::decide                         pure
//! record   intent, conditionally (version)      store; a conflict ends the pass
//! act      effects, with epoch, key, deadline   providers; no success is written here
//! report   events, status, frames               after the write
//! ```
//! - `claims`: what this policy alone may steer.
//! - [`task`]: the loop that drives the stages for one policy.
//! - [`setup`]: what a policy in force consists of; [`adapters`] its hands.
//! - [`board`]: the newest facts, published by `observers`, by `asks`, and by the probes of the shell around.
//! - [`last_word`]: asked once more before the point of no return.
//! - [`shell`]: what all policies share; [`lease`] the right to act; [`events`]; [`points`] for tests.
//!
//! Nothing here knows where policies come from or how a store works.

mod act;
mod asks;
mod claims;
mod day_peak;
mod decide;
mod load;
mod observe;
mod observers;
mod record;
mod report;

pub mod adapters;
pub mod board;
pub mod events;
#[cfg(any(test, feature = "testing"))]
pub mod fakes;
pub mod last_word;
pub mod lease;
pub mod points;
pub mod setup;
pub mod shell;
pub mod task;
#[cfg(test)]
mod tests;

pub use adapters::{Adapters, FenceAdapter};
pub use board::Board;
pub use events::EventRing;
pub use last_word::LastWord;
pub use lease::LeaseView;
pub use observers::Paces;
pub use points::{At, Point, Points, TestFlags};
pub use record::Recorded;
pub use report::Latest;
pub use setup::{Offer, Rebuild, Setup, VantagePlace};
pub use shell::{JournalRoom, Shell};
pub use task::{PolicyHandle, PolicyTask};

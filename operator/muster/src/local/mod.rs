//! `muster local`: the controller without a cluster. Policies from a folder, the journal in one file, an HTTP API.
//!
//! ```text
//! folder --> engine --offer--> PolicyTask (six stages) --> store
//!               |                   ^ board
//!               +--> probing -------+
//! vantages --> http/report ---------+        people --> http --> wish --> store
//! ```
//! - `settings`: the command line; `folder`, `kept`: which policies are in force; `token`: for people.
//! - [`crate::engine`] offers and probes, [`crate::http`] answers: both serve the operator too.
//!
//! This module must never act by itself: everything goes through [`crate::execute`].

pub(crate) mod folder;
mod kept;
mod run;
mod settings;
#[cfg(test)]
mod tests;
pub(crate) mod token;

pub use run::{LocalError, run};
pub(crate) use settings::read_environment;
pub use settings::{Settings, TestArgs};

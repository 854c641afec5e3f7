//! `muster local`: the controller without a cluster. Policies from a folder, the journal in one file, an HTTP API.
//!
//! ```text
//! folder --> engine --offer--> PolicyTask (six stages) --> store
//!               |                   ^ board
//!               +--> probing -------+
//! vantages --> http/report ---------+        people --> http --> wish --> store
//! ```
//! - `settings`: the command line; `folder`, `kept`, `engine`: which policies are in force.
//! - `probing`, `reports`: what is seen of regions from here and from elsewhere; `peaks`: the worst of it.
//! - `http`, `status`, `token`: for people.
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
pub(crate) use run::{Signals, name_holder};
pub(crate) use settings::read_environment;
pub use settings::{Settings, TestArgs};

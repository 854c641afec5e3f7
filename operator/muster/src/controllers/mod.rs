//! `muster operator`: the controller in a Kubernetes cluster.
//!
//! ```text
//! API server --watch--> view --> source --> engine --> PolicyTask (six stages) --> store --> FailoverJournal
//!                         |                                |
//!                         +--> requests --wish--> store    +--> tell --> statuses, FailoverRun, Events
//! ```
//! - `settings`, `run`: the process. `link`: how it reaches the API server; `patience`: what it asks again.
//! - `view`, `source`, `kept`, `secrets`: what is there, kept up by watches; an object that does not parse stops nothing.
//! - `requests`: what people ask for, from `FailoverRun` objects and a policy's annotations, becomes wishes.
//! - `last_word`: abort and pause read live, right before a run's point of no return.
//! - `tell`, `statuses`, `happenings`: what happened, written conditionally and only when it changed.
//!
//! This module must never act by itself: everything goes through [`crate::execute`].

mod happenings;
mod kept;
mod last_word;
mod link;
mod patience;
mod requests;
mod run;
mod secrets;
mod settings;
mod source;
mod statuses;
mod tell;
mod view;

pub use link::LinkError;
pub(crate) use requests::{ACK, ADOPT, PAUSED};
pub use run::{OperatorError, run};
pub use settings::Settings;

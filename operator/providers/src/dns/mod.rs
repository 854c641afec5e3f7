//! What every way to steer a public name shares: the name, the *witness* beside it, what servers say of both, and whether
//! a flip may write over it.
//!
//! The witness is a TXT record at `_muster.<name>`. It keeps who wrote last (owner, epoch, term, seq) and what was written,
//! so that a writer that changes name and witness together, and only if both are as they were read, is refused once
//! anybody newer has written.
//!
//! What this module must never do: change anything.

mod data;
mod decide;
mod name;
mod observe;
mod questions;
mod registry;
mod target;
mod wire;

pub use name::{NameConfig, NameError};
pub use target::Target;

pub(crate) use data::{Datum, View};
pub(crate) use decide::Verdict;
pub(crate) use name::{Flip, SteeredName, parse_name};
pub(crate) use observe::{ReadError, join, observe_servers, read_settled};
pub(crate) use questions::AnswerError;
pub(crate) use registry::Registry;
pub(crate) use wire::{Connection, Signing, WireError};

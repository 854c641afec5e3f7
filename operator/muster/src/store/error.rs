//! How the journal can fail, and what may be assumed after each failure.

use super::Version;
use muster_core::ids::{Owner, PolicyName};
use muster_core::time::Millis;
use muster_core::wish::Refusal;
use std::error::Error;
use std::path::PathBuf;

/// What a failed verb means for the next step.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum StoreErrorClass {
    /// Nothing was written; there is no such thing.
    NotFound,
    /// Nothing was written; somebody else was first. Load again.
    Conflict,
    /// Nothing was written; this process must not act until it holds the lease again.
    LeaseLost,
    /// Nothing was written; it can never be taken as asked.
    Refused,
    /// Nothing was written; there is no room.
    Full,
    /// Nothing was written; try again.
    Busy,
    /// It may or may not have been written. Load again before anything else.
    Unknown,
    /// Nothing was written, and nothing will be until a person mends the state folder.
    Broken,
}

/// A failed verb of a [`super::Store`].
///
/// A failed record is unknown unless [`StoreError::class`] says otherwise: load again.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The policy was never created here.
    #[error("failed to find policy {policy} in the journal")]
    UnknownPolicy {
        /// Which.
        policy: PolicyName,
    },
    /// The policy exists already; load it.
    #[error("failed to create policy {policy}: the journal has it already, owned by {owner}")]
    PolicyExists {
        /// Which.
        policy: PolicyName,
        /// Its UID.
        owner: Owner,
    },
    /// The journal moved on since it was loaded.
    #[error("failed to record {policy}: its journal is at version {found}, not {expected}")]
    Conflict {
        /// Which.
        policy: PolicyName,
        /// Loaded.
        expected: Version,
        /// Present.
        found: Version,
    },
    /// The lease ran out, was taken over or was given back.
    #[error("failed to hold the lease: {why}")]
    LeaseLost {
        /// What was seen.
        why: String,
    },
    /// A person's wish that cannot be taken in.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Breaks a rule of the journal itself, such as a number that would go back.
    #[error("failed to accept {what}: {why}")]
    Invalid {
        /// What was given.
        what: &'static str,
        /// The rule.
        why: String,
    },
    /// No room on the disk (or in its quota), also not in the reserve.
    #[error("failed to {verb}: no room left in {}; free some space there", path.display())]
    Full {
        /// What was tried.
        verb: &'static str,
        /// The state folder.
        path: PathBuf,
    },
    /// The write goes through, but the room that a new run needs could not be set aside.
    #[error(
        "failed to set {} MiB aside in {}: a run that begins now could end on a full disk",
        bytes >> 20,
        path.display()
    )]
    NoReserve {
        /// The reserve.
        path: PathBuf,
        /// How much.
        bytes: u64,
    },
    /// The state folder or the file cannot be written.
    #[error("failed to write {}: {why}", path.display())]
    ReadOnly {
        /// Which.
        path: PathBuf,
        /// What was seen.
        why: String,
    },
    /// Another process holds the write lock.
    #[error(
        "failed to {verb}: another process{} held the journal's write lock for {waited}; it is frozen or very \
         slow",
        pid.map(|p| format!(" (pid {p})")).unwrap_or_default()
    )]
    Busy {
        /// What was tried.
        verb: &'static str,
        /// For how long.
        waited: Millis,
        /// Who, if the kernel tells.
        pid: Option<u32>,
    },
    /// No answer in time.
    #[error("failed to {verb} within {after}")]
    Deadline {
        /// What was tried.
        verb: &'static str,
        /// The deadline.
        after: Millis,
    },
    /// This store was closed.
    #[error("failed to {verb}: the journal is closed")]
    Closed {
        /// What was tried.
        verb: &'static str,
    },
    /// The file is damaged.
    #[error(
        "failed to read {}: it is damaged ({detail}); nothing was changed. Stop every muster, move the file and \
         its -wal and -shm away, put the newest backup in place",
        path.display()
    )]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// What was seen.
        detail: String,
    },
    /// A journal that this muster's types do not fit.
    #[error(
        "failed to read the journal of {policy}: {why}; another muster wrote it. Run that one until its runs have \
         ended"
    )]
    Unreadable {
        /// Whose.
        policy: PolicyName,
        /// What does not fit.
        why: String,
    },
    /// The file belongs to another program.
    #[error(
        "failed to use {}: it is not Muster's ({detail}); nothing was changed. Choose another state folder or \
         move the file away",
        path.display()
    )]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// What was seen.
        detail: String,
    },
    /// The file was written by a newer Muster.
    #[error(
        "failed to use {}: its format is {found} and this muster knows formats up to {known}; nothing was \
         changed. Run the newer muster, or restore the copy that it kept when it upgraded",
        path.display()
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format known.
        known: i64,
    },
    /// The journal is gone although one was kept here.
    #[error(
        "failed to open {}: it is gone, but {} says that it held {generation} changes. Restore it from a backup; \
         or remove the latter to begin anew, then acknowledge what the targets report",
        path.display(),
        mark.display()
    )]
    Vanished {
        /// The missing file.
        path: PathBuf,
        /// Who says so.
        mark: PathBuf,
        /// Changes that it had.
        generation: u64,
    },
    /// The journal is older than the newest one seen here, and nobody has acknowledged that.
    #[error("failed to trust the journal: {why}; look at every policy, then `muster ack` it")]
    RolledBack {
        /// What was seen.
        why: String,
    },
    /// The file was removed or replaced while this process had it open.
    #[error("failed to write {}: it was removed or replaced while muster runs; start muster anew", path.display())]
    Moved {
        /// Which file.
        path: PathBuf,
    },
    /// The API server refused, or did not answer.
    #[error("failed to {verb}: {why}")]
    Api {
        /// What was tried.
        verb: &'static str,
        /// What it said.
        why: String,
        /// What may be assumed.
        class: StoreErrorClass,
    },
    /// Two installations of Muster in one cluster.
    #[error(
        "failed to record: the journal belongs to the installation with the Lease {lease}, this one has {own}. \
         Remove one of the two; once its Lease is deleted too, the other takes over"
    )]
    OtherInstallation {
        /// Whose it is.
        lease: String,
        /// This one's.
        own: String,
    },
    /// The system refused.
    #[error("failed to {verb} in {}: {source}", path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl StoreError {
    /// What may be assumed now.
    pub const fn class(&self) -> StoreErrorClass {
        use StoreErrorClass as Class;
        match self {
            Self::UnknownPolicy { .. } => Class::NotFound,
            Self::PolicyExists { .. } | Self::Conflict { .. } => Class::Conflict,
            Self::LeaseLost { .. } => Class::LeaseLost,
            Self::Refused(_) | Self::Invalid { .. } => Class::Refused,
            Self::Full { .. } | Self::NoReserve { .. } => Class::Full,
            Self::Busy { .. } => Class::Busy,
            Self::Deadline { .. } | Self::Io { .. } => Class::Unknown,
            Self::Api { class, .. } => *class,
            Self::Closed { .. }
            | Self::ReadOnly { .. }
            | Self::Corrupt { .. }
            | Self::Unreadable { .. }
            | Self::Foreign { .. }
            | Self::Newer { .. }
            | Self::Vanished { .. }
            | Self::RolledBack { .. }
            | Self::Moved { .. }
            | Self::OtherInstallation { .. } => Class::Broken,
        }
    }
}

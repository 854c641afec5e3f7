//! STATE/archive: what people look at later. Results and latencies of probes, peaks, evidence, run reports.
//!
//! Losing it loses pictures, never safety: nothing decides by it, [`Archive::append`] never waits and never fails,
//! and trouble is told by [`Archive::trouble`] instead of an error. It is bounded in bytes and age, and stops
//! before it fills the disk that the journal is on.
//!
//! ```text
//! archive/<kind>/<key>/0000001735689600000.jsonl     one line an entry: {"at":<wall ms>,"v":<value>}
//! ```
//! A crash may tear the last line of a file; reading skips what is no line.

mod files;
#[cfg(test)]
mod tests;
mod writer;

use crate::clock::Clock;
use muster_core::time::{Millis, Wall};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use writer::{Command, Shared, Writer};

/// Of reads and prunes.
const DEADLINE: Duration = Duration::from_secs(10);
/// Largest entry, as text.
const ENTRY_BYTES: usize = 256 << 10;

/// What an entry is about. Each kind has its own share of the room, so that probes never push reports out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// Results and latencies, key `policy/probe/...`.
    Probes,
    /// The largest live loss of an hour, key `policy/item`.
    Peaks,
    /// Gates and proofs that a run's decisions rested on, key `policy/run`.
    Evidence,
    /// What a run measured, key `policy`.
    Reports,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Probes, Self::Peaks, Self::Evidence, Self::Reports];

    const fn folder(self) -> &'static str {
        match self {
            Self::Probes => "probes",
            Self::Peaks => "peaks",
            Self::Evidence => "evidence",
            Self::Reports => "reports",
        }
    }

    const fn share_percent(self) -> u64 {
        match self {
            Self::Probes => 70,
            Self::Peaks | Self::Evidence | Self::Reports => 10,
        }
    }

    /// Few and wanted after a crash: they wait for the disk (on the archive's thread).
    const fn is_synced(self) -> bool {
        matches!(self, Self::Evidence | Self::Reports)
    }
}

/// Bounds of an archive.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// All kinds together.
    pub bytes: u64,
    /// Older files go.
    pub age: Millis,
    /// Size at which a series begins its next file; whole files are pruned.
    pub file_bytes: u64,
    /// Nothing is written while the disk has less room than this.
    pub keep_free_bytes: u64,
    /// Between two writes of what was appended.
    pub flush_every: Duration,
    /// Appended and not yet written; more is dropped, and counted.
    pub waiting_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 1 << 30,
            age: Millis::from_secs(30 * 24 * 3600),
            file_bytes: 1 << 20,
            keep_free_bytes: 64 << 20,
            flush_every: Duration::from_secs(5),
            waiting_bytes: 32 << 20,
        }
    }
}

/// One entry of a series.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// When it was appended, for people.
    pub at: Wall,
    /// What.
    #[serde(rename = "v")]
    pub value: Value,
}

/// A series as it lies on the disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Series {
    /// As given to [`Archive::append`].
    pub key: String,
    /// Of all its files.
    pub bytes: u64,
    /// When its newest file was changed.
    pub newest: Wall,
}

/// What a prune removed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Pruned {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is left, in bytes.
    pub left_bytes: u64,
}

/// What went wrong since the archive was opened.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Trouble {
    /// Entries that were not kept.
    pub lost: u64,
    /// The newest reason; `None` once writing works again.
    pub now: Option<String>,
}

/// A failed look into the archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The system refused.
    #[error("failed to {verb} {}: {source}", path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No answer in time.
    #[error("failed to {verb} the archive in time")]
    Deadline {
        /// What was tried.
        verb: &'static str,
    },
}

/// The archive of one state folder. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Archive {
    shared: Arc<Shared>,
}

impl Archive {
    /// Starts the archive of the folder `state`. Cannot fail: a folder that cannot be made is trouble, not an end.
    pub fn open(state: &Path, limits: Limits, clock: Clock) -> Self {
        Self { shared: Writer::start(state.join("archive"), limits, clock) }
    }

    /// Adds an entry to a series, a little later. `key` names it in words divided by `/`.
    pub fn append(&self, kind: Kind, key: &str, value: &impl Serialize) {
        #[derive(Serialize)]
        struct Line<'a, T> {
            at: Wall,
            v: &'a T,
        }
        let line = serde_json::to_vec(&Line { at: self.shared.clock.now().wall, v: value });
        match line {
            Ok(line) if line.len() <= ENTRY_BYTES => self.shared.append(kind, key, line),
            Ok(line) => self.shared.lose(1, format!("an entry of {key} has {} bytes", line.len())),
            Err(error) => self.shared.lose(1, format!("an entry of {key} is no JSON: {error}")),
        }
    }

    /// The newest entries of a series within `range`, at most `limit`, oldest first.
    pub async fn read(
        &self,
        kind: Kind,
        key: &str,
        range: Range<Wall>,
        limit: usize,
    ) -> Result<Vec<Entry>, ArchiveError> {
        self.flush().await?;
        let folder = files::series_folder(&self.shared.root, kind, key);
        on_a_thread("read", move || files::read(&folder, range, limit)).await
    }

    /// All series of a kind.
    pub async fn list(&self, kind: Kind) -> Result<Vec<Series>, ArchiveError> {
        self.flush().await?;
        let root = self.shared.root.join(kind.folder());
        on_a_thread("list", move || files::list(&root)).await
    }

    /// Removes what is beyond the limits. The archive does so by itself from time to time.
    pub async fn prune(&self) -> Result<Pruned, ArchiveError> {
        let (answer, answered) = oneshot::channel();
        self.shared.send(Command::Prune(answer));
        within("prune", answered).await?
    }

    /// Waits until all that was appended before has been written, or was lost.
    pub async fn flush(&self) -> Result<(), ArchiveError> {
        let (answer, answered) = oneshot::channel();
        self.shared.send(Command::Flush(answer));
        within("write", answered).await
    }

    /// What went wrong, for status and metrics.
    pub fn trouble(&self) -> Trouble {
        self.shared.trouble()
    }
}

async fn within<T>(verb: &'static str, answered: oneshot::Receiver<T>) -> Result<T, ArchiveError> {
    match tokio::time::timeout(DEADLINE, answered).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) | Err(_) => Err(ArchiveError::Deadline { verb }),
    }
}

async fn on_a_thread<T: Send + 'static>(
    verb: &'static str,
    work: impl FnOnce() -> Result<T, ArchiveError> + Send + 'static,
) -> Result<T, ArchiveError> {
    match tokio::time::timeout(DEADLINE, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(done)) => done,
        Ok(Err(_)) | Err(_) => Err(ArchiveError::Deadline { verb }),
    }
}

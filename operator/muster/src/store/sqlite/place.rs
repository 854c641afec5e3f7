//! The files of a journal, and whether they are still the ones that were opened.

use super::Options;
use crate::clock::Clock;
use crate::store::StoreError;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// In a WAL index, the byte whose lock is the right to write (SQLite's walformat document, section 2.3).
const WRITE_LOCK_BYTE: u64 = 120;

/// Where a journal is, shared by its connections.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The state folder.
    pub(super) dir: PathBuf,
    /// The journal.
    pub(super) file: PathBuf,
    /// Which file was opened. The path may name another one later, and two holders would act.
    pub(super) identity: Option<(u64, u64)>,
    pub(super) options: Arc<Options>,
    pub(super) clock: Clock,
}

impl Place {
    pub(super) fn new(dir: &Path, options: Options, clock: Clock) -> Self {
        let (dir, file) = (dir.to_owned(), dir.join("journal.db"));
        Self { dir, file, identity: None, options: Arc::new(options), clock }
    }

    pub(super) fn high_water(&self) -> PathBuf {
        self.dir.join("journal.high-water")
    }

    pub(super) fn reserve(&self) -> PathBuf {
        self.dir.join("journal.reserve")
    }

    /// The length of the database or its log, whichever is longer.
    pub(super) fn longest(&self) -> u64 {
        self.stat().map_or(0, |meta| meta.len()).max(self.log_len())
    }

    /// The length of the log.
    pub(super) fn log_len(&self) -> u64 {
        std::fs::metadata(self.beside("wal")).map_or(0, |meta| meta.len())
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        self.dir.join(format!("journal.db-{suffix}"))
    }

    /// What the path names now. By `stat`, never by opening: closing a file drops all of this process's locks
    /// on it, SQLite's too.
    pub(super) fn stat(&self) -> Option<Metadata> {
        std::fs::metadata(&self.file).ok()
    }

    /// Refuses to go on with a file that was removed or replaced.
    pub(super) fn ensure_unmoved(&self) -> Result<(), StoreError> {
        let now = self.stat().map(|meta| (meta.dev(), meta.ino()));
        if now.is_some() && now == self.identity {
            return Ok(());
        }
        Err(StoreError::Moved { path: self.file.clone() })
    }

    /// Another process that holds the write lock, from the kernel's table of locks.
    pub(super) fn lock_holder(&self) -> Option<u32> {
        let inode = std::fs::metadata(self.beside("shm")).ok()?.ino();
        let table = std::fs::read_to_string("/proc/locks").ok()?;
        table.lines().filter_map(|line| parse_lock(line, inode)).find(|pid| *pid != std::process::id())
    }
}

/// `1: POSIX  ADVISORY  WRITE 812 fd:00:393230 120 120`
fn parse_lock(line: &str, inode: u64) -> Option<u32> {
    let mut words = line.split_whitespace().skip_while(|word| *word != "WRITE").skip(1);
    let pid = words.next()?.parse().ok()?;
    let target = words.next()?.rsplit(':').next()?;
    let (from, to): (u64, &str) = (words.next()?.parse().ok()?, words.next()?);
    let to = to.parse().unwrap_or(u64::MAX);
    (target.parse() == Ok(inode) && (from..=to).contains(&WRITE_LOCK_BYTE)).then_some(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_of_locks_names_the_process_that_holds_the_write_lock() {
        let line = "7: POSIX  ADVISORY  WRITE 812 fd:00:393230 120 120";
        assert_eq!(parse_lock(line, 393_230), Some(812));
        assert_eq!(parse_lock(line, 393_231), None);
        assert_eq!(parse_lock("7: POSIX  ADVISORY  WRITE 812 fd:00:393230 121 121", 393_230), None);
        assert_eq!(parse_lock("7: POSIX  ADVISORY  READ 812 fd:00:393230 120 120", 393_230), None);
        assert_eq!(parse_lock("7: POSIX  ADVISORY  WRITE 812 fd:00:393230 0 EOF", 393_230), Some(812));
    }
}

//! A cluster's folder: removed with the cluster, or by the next one if the program was killed.

use anyhow::Context;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use tempfile::TempDir;

/// Before the name of every cluster's folder.
const PREFIX: &str = "muster-cluster-";
/// The file in it that its program holds locked.
const LOCK: &str = "lock";

/// Removed when dropped.
#[derive(Debug)]
pub(super) struct Folder {
    folder: TempDir,
    _lock: File,
}

impl Folder {
    /// Makes one, and removes those of programs that were killed.
    pub(super) fn create(name: &str) -> anyhow::Result<Self> {
        remove_abandoned(&std::env::temp_dir());
        let folder = tempfile::Builder::new().prefix(&format!("{PREFIX}{name}-")).tempdir();
        let folder = folder.context("failed to make the cluster's folder")?;
        // Locked under another name first: unlocked it would look abandoned.
        let early = folder.path().join("lock-to-be");
        let lock = File::create(&early).context("failed to make the folder's lock")?;
        lock.lock().context("failed to lock the folder")?;
        std::fs::rename(&early, folder.path().join(LOCK)).context("failed to place the folder's lock")?;
        Ok(Self { folder, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn remove_abandoned(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let is_cluster = entry.file_name().to_string_lossy().starts_with(PREFIX);
        // Without the lock's file it is being made just now.
        let Some(lock) = is_cluster.then(|| File::open(entry.path().join(LOCK)).ok()).flatten() else {
            continue;
        };
        if lock.try_lock().is_ok() {
            // Another program may do the same at this moment.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Writes a file that others may not read, as it may hold a key.
pub(super) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("failed to write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_folder_of_a_program_that_is_gone_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let place = |name: &str| parent.path().join(format!("{PREFIX}{name}"));
        for name in ["held", "abandoned", "young"] {
            std::fs::create_dir(place(name)).unwrap();
        }
        let held = File::create(place("held").join(LOCK)).unwrap();
        held.lock().unwrap();
        File::create(place("abandoned").join(LOCK)).unwrap();
        remove_abandoned(parent.path());
        let is_there: Vec<bool> = ["held", "abandoned", "young"].map(|name| place(name).exists()).to_vec();
        assert_eq!(is_there, [true, false, true]);
    }
}

//! STATE/in-force: each policy as it acted last. After a restart a bad or missing file does not take it out of
//! force, and an active run finds the version that it was claimed with.

use crate::engine::source::{Keeps, parse_kept};
use async_trait::async_trait;
use muster_core::ids::PolicyName;
use muster_crds::RegionFailoverPolicy;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The folder of kept policies. Blocks; small files.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    folder: PathBuf,
}

impl Kept {
    pub(super) fn open(state: &Path) -> std::io::Result<Self> {
        let folder = state.join("in-force");
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// Names are DNS labels, so that none reaches out of the folder.
    fn path(&self, policy: &PolicyName) -> PathBuf {
        self.folder.join(format!("{}.yaml", policy.as_str().replace('/', "__")))
    }

    fn write(&self, policy: &PolicyName, document: &str) -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(document.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(self.path(policy))?;
        Ok(())
    }
}

#[async_trait]
impl Keeps for Kept {
    async fn keep(&self, policy: &PolicyName, document: &str) -> Result<(), String> {
        let (kept, policy, document) = (self.clone(), policy.clone(), document.to_owned());
        let written = tokio::task::spawn_blocking(move || kept.write(&policy, &document)).await;
        written.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    async fn forget(&self, policy: &PolicyName) {
        if let Err(error) = std::fs::remove_file(self.path(policy))
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%policy, %error, "failed to remove a kept policy");
        }
    }

    async fn read(&self, policy: &PolicyName) -> Result<Option<RegionFailoverPolicy>, String> {
        let path = self.path(policy);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("failed to read {}: {error}", path.display())),
        };
        Ok(parse_kept(policy, &text))
    }
}

//! STATE/in-force: each policy as it acted last. After a restart a bad or missing file does not take it out of
//! force, and an active run finds the version that it was claimed with.

use muster_core::ids::PolicyName;
use muster_crds::{RegionFailoverPolicy, load_policy_file};
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

    /// All or nothing: the old copy stays until the new one is whole.
    pub(super) fn keep(&self, policy: &PolicyName, document: &str) -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(document.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(self.path(policy))?;
        Ok(())
    }

    pub(super) fn forget(&self, policy: &PolicyName) {
        if let Err(error) = std::fs::remove_file(self.path(policy))
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%policy, %error, "failed to remove a kept policy");
        }
    }

    /// The kept copy, if there is a whole one.
    pub(super) fn read(&self, policy: &PolicyName) -> Option<RegionFailoverPolicy> {
        let text = std::fs::read_to_string(self.path(policy)).ok()?;
        match load_policy_file(&text) {
            Ok(policies) => policies.into_iter().next(),
            Err(problems) => {
                tracing::warn!(%policy, problems = problems.len(), "a kept policy cannot be read any more");
                None
            }
        }
    }
}

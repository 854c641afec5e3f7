//! Where the components' programs are. Builds nothing: that takes minutes, and belongs before the tests.

use anyhow::{Context, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder that `scripts/build-kubernetes.sh` fills: a program for each component, and kwok's stages.
#[derive(Clone, Debug)]
pub struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// Finds the folder of the pinned versions, by the script that knows how it is named. An error says what to run.
    pub fn find() -> anyhow::Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/build-kubernetes.sh");
        let output = Command::new(&script).arg("--print").output();
        let output = output.with_context(|| format!("failed to run {}", script.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the Kubernetes components are not built: {}", said.trim());
        Ok(Self { folder: PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()) })
    }

    /// A component's program: `kubectl`, `helm`, `etcd`, `kwok`, `kube-apiserver` and the like.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// kwok's stage files, in order.
    pub(super) fn stages(&self) -> anyhow::Result<Vec<PathBuf>> {
        let folder = self.folder.join("stages");
        let entries =
            std::fs::read_dir(&folder).with_context(|| format!("failed to read {}", folder.display()))?;
        let mut files = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
        files.sort();
        ensure!(!files.is_empty(), "{} is empty", folder.display());
        Ok(files)
    }
}

//! Where the demo keeps its files, and for whom.

use super::processes::Identity;
use anyhow::{Context, bail};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Longest path of the world's folder: the paths of sockets below it must stay under the kernel's 108 bytes.
const LONGEST: usize = 80;

/// What the environment says of folders. Read once, here.
#[derive(Clone, Debug, Default)]
pub struct Homes {
    state: Option<PathBuf>,
    cache: Option<PathBuf>,
}

impl Homes {
    /// From the environment. As root the world must lie outside of /root, where PostgreSQL's user cannot reach it.
    #[allow(clippy::disallowed_methods)] // this is the settings reader of the demo
    pub fn from_environment() -> Self {
        if nix::unistd::geteuid().is_root() {
            return Self { state: Some("/var/lib".into()), cache: Some("/var/cache".into()) };
        }
        let path = |name: &str| std::env::var(name).ok().filter(|v| v.starts_with('/')).map(PathBuf::from);
        let below_home = |name: &str| path("HOME").map(|home| home.join(name));
        Self {
            state: path("XDG_STATE_HOME").or_else(|| below_home(".local/state")),
            cache: path("XDG_CACHE_HOME").or_else(|| below_home(".cache")),
        }
    }

    /// Where a world lives unless told otherwise.
    pub fn world(&self) -> anyhow::Result<PathBuf> {
        Ok(Self::required(self.state.as_deref())?.join("muster-demo"))
    }

    /// Where the prepared database is kept between runs.
    pub fn cache(&self) -> anyhow::Result<PathBuf> {
        Ok(Self::required(self.cache.as_deref())?.join("muster-demo"))
    }

    fn required(path: Option<&Path>) -> anyhow::Result<&Path> {
        path.context("no home folder is known; say where the demo may keep its files with --dir")
    }
}

/// Refuses a folder whose sockets could not be opened.
pub fn check_length(dir: &Path) -> anyhow::Result<()> {
    let length = dir.as_os_str().len();
    if length > LONGEST {
        bail!(
            "the folder's path is {length} bytes long and sockets below it allow {LONGEST}: choose a shorter --dir"
        );
    }
    Ok(())
}

/// Makes a folder (and those above it) that others may pass through.
pub fn make(path: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(path).with_context(|| format!("failed to make the folder {}", path.display()))
}

/// Makes a folder that belongs to `owner` alone.
pub fn make_private(path: &Path, owner: Option<&Identity>) -> anyhow::Result<()> {
    make(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
        .with_context(|| format!("failed to protect the folder {}", path.display()))?;
    give(path, owner)
}

/// Gives a file or folder to the user that runs PostgreSQL.
pub fn give(path: &Path, owner: Option<&Identity>) -> anyhow::Result<()> {
    let Some(owner) = owner else { return Ok(()) };
    chown(path, Some(owner.uid), Some(owner.gid))
        .with_context(|| format!("failed to give {} to the user {}", path.display(), owner.name))
}

/// Writes a file with this content and these permissions.
pub fn write(path: &Path, content: &str, mode: u32) -> anyhow::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    let open = options.write(true).create(true).truncate(true).mode(mode).open(path);
    open.and_then(|mut file| file.write_all(content.as_bytes()))
        .with_context(|| format!("failed to write {}", path.display()))
}

//! STATE/token: who may read it may use the API.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use muster_core::secret::Secret;
use rand::RngCore;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The system refused.
    #[error("failed to {verb} the token file {}: {source}", path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others could read it.
    #[error("failed to trust the token file {}: others may read it; run `chmod 600` on it, or remove it", path.display())]
    Exposed {
        /// Which.
        path: PathBuf,
    },
    /// It holds nothing of use.
    #[error("failed to read the token file {}: it is too short; remove it, and a new one is made", path.display())]
    Short {
        /// Which.
        path: PathBuf,
    },
}

/// The token of this state folder: the one that is there, else a new one, readable for its owner only.
pub(crate) fn ensure_token(state: &Path) -> Result<Secret, TokenError> {
    let path = state.join("token");
    let failed = |verb| {
        let path = path.clone();
        move |source| TokenError::Io { verb, path, source }
    };
    match create(&path) {
        Ok(token) => return Ok(token),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed("write")(error)),
    }
    let mode = std::fs::metadata(&path).map_err(failed("read"))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(TokenError::Exposed { path });
    }
    let text = std::fs::read_to_string(&path).map_err(failed("read"))?;
    let token = text.trim();
    if token.len() < 16 { Err(TokenError::Short { path }) } else { Ok(Secret::new(token)) }
}

/// Whole or not at all, and never over one that is there.
fn create(path: &Path) -> std::io::Result<Secret> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    if path.exists() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    let mut bytes = [0_u8; 24];
    rand::rng().fill_bytes(&mut bytes);
    let token = URL_SAFE_NO_PAD.encode(bytes);
    let draft = folder.join(format!(".token-{}", std::process::id()));
    let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(&draft)?;
    let written = writeln!(file, "{token}").and_then(|()| file.sync_all());
    let linked = written.and_then(|()| std::fs::hard_link(&draft, path));
    std::fs::remove_file(&draft)?;
    linked.map(|()| Secret::new(token))
}

/// Equal without telling by time how much of it is.
pub(crate) fn is_same(shown: &str, token: &Secret) -> bool {
    let (shown, token) = (shown.as_bytes(), token.expose().as_bytes());
    let differing = shown.iter().zip(token).fold(0_u8, |acc, (a, b)| acc | (a ^ b));
    shown.len() == token.len() && differing == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_once_and_only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = ensure_token(folder.path()).unwrap();
        assert_eq!(ensure_token(folder.path()).unwrap(), first);
        let path = folder.path().join("token");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(ensure_token(folder.path()), Err(TokenError::Exposed { .. })));
    }

    #[test]
    fn tokens_are_equal_only_when_whole() {
        let token = Secret::new("abcdef");
        assert!(is_same("abcdef", &token));
        for other in ["abcdeg", "abcde", "abcdefg", ""] {
            assert!(!is_same(other, &token), "{other}");
        }
    }
}

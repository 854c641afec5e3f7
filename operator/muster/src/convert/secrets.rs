//! Where the values behind `{name, key}` come from. A value never enters a message, a log line or an error.

use muster_core::secret::Secret;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::PathBuf;

/// The largest value, as Kubernetes has it for a whole Secret.
const MAX_BYTES: u64 = 1024 * 1024;

/// Resolves references to Secrets.
pub trait SecretSource: fmt::Debug + Send + Sync {
    /// The value behind `{name, key}` in the policy's namespace.
    fn get(&self, namespace: &str, name: &str, key: &str) -> Result<Secret, SecretError>;

    /// Whether the values are the real ones, so that their form can be checked.
    fn is_real(&self) -> bool {
        true
    }
}

/// Why a value could not be had. Holds names and places, never a value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It is nowhere.
    #[error("the secret {name}/{key} is missing: there is no {}variable {variable}", file_or(.file.as_ref()))]
    Missing {
        /// Its name.
        name: String,
        /// Its key.
        key: String,
        /// The file that was looked for, if a folder was given.
        file: Option<PathBuf>,
        /// The variable that was looked for.
        variable: String,
    },
    /// It is there and cannot be read.
    #[error("failed to read the secret in {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The API server does not give it.
    #[error("the key {key} of Secret {namespace}/{name} cannot be had: {why}")]
    NotInCluster {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The key.
        key: String,
        /// What the API server said.
        why: String,
    },
    /// It is there and cannot be used.
    #[error("the secret in {place} {what}")]
    Unusable {
        /// The file or variable.
        place: String,
        /// What is wrong with it, without its content.
        what: &'static str,
    },
}

impl SecretError {
    /// What to do about it.
    pub fn fix(&self) -> String {
        match self {
            Self::Missing { file: Some(file), variable, .. } => {
                format!("write the value to {}, or set {variable}", file.display())
            }
            Self::Missing { file: None, variable, .. } => {
                format!("set {variable}, or give a folder by --secrets")
            }
            Self::NotInCluster { namespace, name, .. } => {
                format!("create the key, and let Muster's ServiceAccount get Secret {namespace}/{name}")
            }
            Self::Unreadable { .. } => "let the user that Muster runs as read this file".to_owned(),
            Self::Unusable { place, .. } => format!("write the value alone, as UTF-8 text, to {place}"),
        }
    }
}

fn file_or(file: Option<&PathBuf>) -> String {
    file.map_or_else(String::new, |file| format!("file {} and no ", file.display()))
}

/// Secrets of local mode: the file `DIR/NAME/KEY`, else the variable `MUSTER_SECRET_NAME_KEY`.
#[derive(Clone)]
pub struct FolderSecrets {
    folder: Option<PathBuf>,
    variables: BTreeMap<String, String>,
}

impl FolderSecrets {
    /// A source over a folder and the variables that the command line read (others than `MUSTER_SECRET_*` are
    /// dropped).
    pub fn new(folder: Option<PathBuf>, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let variables =
            variables.into_iter().filter(|(name, _)| name.starts_with("MUSTER_SECRET_")).collect();
        Self { folder, variables }
    }

    fn read_file(&self, name: &str, key: &str) -> Result<Option<Secret>, SecretError> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let path = folder.join(name).join(key);
        let unreadable = |source| SecretError::Unreadable { path: path.clone(), source };
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        let place = path.display().to_string();
        if bytes.len() as u64 > MAX_BYTES {
            return Err(SecretError::Unusable { place, what: "is larger than 1 MiB" });
        }
        match String::from_utf8(bytes) {
            Ok(text) => usable(&text, place).map(Some),
            Err(_) => Err(SecretError::Unusable { place, what: "is not UTF-8 text" }),
        }
    }
}

/// Without one trailing line break, and not empty.
pub(crate) fn usable(text: &str, place: String) -> Result<Secret, SecretError> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    match text.strip_suffix('\r').unwrap_or(text) {
        "" => Err(SecretError::Unusable { place, what: "is empty" }),
        text => Ok(Secret::new(text)),
    }
}

/// The variable that holds `name/key`.
pub(crate) fn variable_of(name: &str, key: &str) -> String {
    let fold = |c: char| if matches!(c, '-' | '.') { '_' } else { c.to_ascii_uppercase() };
    format!("MUSTER_SECRET_{name}_{key}").chars().map(fold).collect()
}

impl fmt::Debug for FolderSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FolderSecrets").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl SecretSource for FolderSecrets {
    fn get(&self, _namespace: &str, name: &str, key: &str) -> Result<Secret, SecretError> {
        if let Some(secret) = self.read_file(name, key)? {
            return Ok(secret);
        }
        let variable = variable_of(name, key);
        if let Some(value) = self.variables.get(&variable) {
            return usable(value, variable);
        }
        let file = self.folder.as_ref().map(|folder| folder.join(name).join(key));
        Err(SecretError::Missing { name: name.to_owned(), key: key.to_owned(), file, variable })
    }
}

/// For a look at a policy where its secrets are not: every reference resolves, to nothing that anyone could use.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnresolvedSecrets;

impl SecretSource for UnresolvedSecrets {
    fn get(&self, _namespace: &str, _name: &str, _key: &str) -> Result<Secret, SecretError> {
        Ok(Secret::new("unresolved"))
    }

    fn is_real(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::{FolderSecrets, SecretSource};

    fn variables(name: &str, value: &str) -> Vec<(String, String)> {
        vec![(name.to_owned(), value.to_owned())]
    }

    #[test]
    fn a_file_comes_first_and_loses_one_line_break() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(dir.path().join("pg")).expect("a folder");
        std::fs::write(dir.path().join("pg/muster"), "s3cret\n").expect("a file");
        let source =
            FolderSecrets::new(Some(dir.path().into()), variables("MUSTER_SECRET_PG_MUSTER", "other"));
        assert_eq!(source.get("shop", "pg", "muster").expect("found").expose(), "s3cret");
    }

    #[test]
    fn a_variable_is_named_in_capitals() {
        let source = FolderSecrets::new(None, variables("MUSTER_SECRET_PG_MAIN_MUSTER_KEY", "v"));
        assert_eq!(source.get("shop", "pg-main", "muster.key").expect("found").expose(), "v");
    }

    #[test]
    fn a_missing_value_is_named_with_both_places() {
        let dir = tempfile::tempdir().expect("a folder");
        let source = FolderSecrets::new(Some(dir.path().into()), []);
        let error = source.get("shop", "pg", "muster").expect_err("nowhere");
        let file = dir.path().join("pg/muster").display().to_string();
        assert!(error.to_string().contains(&file) && error.to_string().contains("MUSTER_SECRET_PG_MUSTER"));
        assert!(error.fix().contains(&file), "{}", error.fix());
        let error = FolderSecrets::new(None, []).get("shop", "pg", "muster").expect_err("nowhere");
        assert!(error.fix().contains("--secrets"), "{}", error.fix());
    }

    #[test]
    fn no_value_is_ever_shown() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(dir.path().join("pg")).expect("a folder");
        std::fs::write(dir.path().join("pg/muster"), [0xff, b'h', b'u', b'n', b't', b'e', b'r'])
            .expect("a file");
        let source = FolderSecrets::new(Some(dir.path().into()), variables("MUSTER_SECRET_X_Y", "hunter2"));
        let error = source.get("shop", "pg", "muster").expect_err("not a text");
        assert!(!format!("{error} {error:?} {source:?}").contains("hunter"));
    }
}

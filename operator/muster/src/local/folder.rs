//! The folder of policy files, looked at again and again. Only reads; what comes into force is decided elsewhere.

use crate::engine::source::{Changed, Found, Listing, PolicySource, problem};
use muster_core::ids::PolicyName;
use muster_crds::load::Loaded;
use muster_crds::{LoadedPolicy, Problem, load_documents};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What tells one state of a file from another without reading it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Print {
    inode: u64,
    bytes: u64,
    changed_ns: (i64, i64),
}

impl Print {
    fn of(path: &Path) -> std::io::Result<Self> {
        let meta = std::fs::metadata(path)?;
        Ok(Self { inode: meta.ino(), bytes: meta.len(), changed_ns: (meta.ctime(), meta.ctime_nsec()) })
    }
}

/// A file as last read.
#[derive(Clone, Debug)]
struct Known {
    print: Option<Print>,
    loaded: Loaded,
    unreadable: Option<String>,
    /// Policies that it ever held: while it is broken, they are not removed.
    held: BTreeSet<PolicyName>,
}

/// The folders, as last looked at.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    policies: PathBuf,
    secrets: Option<PathBuf>,
    files: BTreeMap<String, Known>,
    credentials: Option<Vec<(PathBuf, Print)>>,
    problem: Option<String>,
    looked: bool,
}

impl Folder {
    pub(crate) fn new(policies: PathBuf, secrets: Option<PathBuf>) -> Self {
        let (files, credentials) = (BTreeMap::new(), None);
        Self { policies, secrets, files, credentials, problem: None, looked: false }
    }

    fn look_at_policies(&mut self) -> bool {
        let names = match list(&self.policies) {
            Ok(names) => names,
            Err(error) => {
                // A folder that cannot be read (a lost mount) removes no policy.
                let problem = format!("failed to read {}: {error}", self.policies.display());
                let news = self.problem.as_ref() != Some(&problem);
                self.problem = Some(problem);
                return news;
            }
        };
        let mut changed = self.problem.take().is_some();
        let before = self.files.len();
        self.files.retain(|name, _| names.contains(name));
        changed |= self.files.len() != before;
        for name in names {
            let path = self.policies.join(&name);
            let print = Print::of(&path).ok();
            let old = self.files.remove(&name);
            match old {
                Some(old) if old.print == print && old.unreadable.is_none() => {
                    self.files.insert(name, old);
                }
                old => {
                    changed = true;
                    let held = old.map(|known| known.held).unwrap_or_default();
                    self.files.insert(name, read(&path, print, held));
                }
            }
        }
        changed
    }
}

impl PolicySource for Folder {
    /// Looks at every file; reads those that changed. Blocks.
    fn look(&mut self) -> Changed {
        let first = !std::mem::replace(&mut self.looked, true);
        let policies = self.look_at_policies();
        let mut credentials = Vec::new();
        if let Some(secrets) = &self.secrets {
            collect_prints(secrets, 2, &mut credentials);
        }
        credentials.sort_by(|a, b| a.0.cmp(&b.0));
        let renewed = self.credentials.as_ref().is_some_and(|before| *before != credentials);
        self.credentials = Some(credentials);
        Changed { policies: policies || first, credentials: renewed }
    }

    fn listing(&self, in_force: &BTreeMap<PolicyName, String>) -> Listing {
        let mut listing = Listing::default();
        if let Some(message) = &self.problem {
            let doubtful = in_force.keys().cloned();
            listing.doubtful.extend(doubtful);
            listing.obscure = true;
            listing.problems.push(problem(".", None, "Unreadable", message.clone()));
        }
        let mut claims: BTreeMap<PolicyName, Vec<(&String, &LoadedPolicy)>> = BTreeMap::new();
        for (file, known) in &self.files {
            if let Some(why) = &known.unreadable {
                listing.problems.push(problem(file, None, "Unreadable", why.clone()));
            }
            let errors: Vec<&Problem> = known.loaded.problems.iter().filter(|p| p.is_error()).collect();
            listing.obscure |= known.unreadable.is_some() || errors.iter().any(|e| e.policy.is_none());
            if known.unreadable.is_some() || !errors.is_empty() {
                listing.doubtful.extend(known.held.iter().cloned());
            }
            for error in errors {
                let policy = error.policy.as_deref().map(PolicyName::from);
                listing.doubtful.extend(policy.clone());
                listing.problems.push(problem(file, policy, "Invalid", error.to_string()));
            }
            for policy in &known.loaded.policies {
                claims.entry(policy.name().as_str().into()).or_default().push((file, policy));
            }
        }
        for (name, files) in claims {
            let stays = in_force.get(&name).filter(|file| files.iter().any(|(f, _)| f == file));
            let chosen = stays.map_or(0, |file| files.iter().position(|(f, _)| *f == file).unwrap_or(0));
            let (taken, policy) = files[chosen];
            for (other, _) in files.iter().filter(|(file, _)| *file != taken) {
                let message =
                    format!("{name} is in {taken} too, which is the one in force; remove one of them");
                listing.problems.push(problem(other, Some(name.clone()), "DuplicateName", message));
            }
            let policy = policy.policy.clone();
            listing.found.insert(name, Found { file: taken.clone(), policy, uid: None, generation: None });
        }
        listing
    }
}

/// Names of policy files, without what editors leave behind.
fn list(folder: &Path) -> std::io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder)? {
        let Ok(name) = entry?.file_name().into_string() else { continue };
        let is_policy = Path::new(&name)
            .extension()
            .is_some_and(|e| ["yaml", "yml", "json"].iter().any(|known| e.eq_ignore_ascii_case(known)));
        if is_policy && !name.starts_with('.') {
            names.insert(name);
        }
    }
    Ok(names)
}

fn read(path: &Path, print: Option<Print>, mut held: BTreeSet<PolicyName>) -> Known {
    let most = muster_crds::load::MAX_FILE_BYTES as u64 + 1;
    let mut text = String::new();
    let taken = std::fs::File::open(path).and_then(|file| file.take(most).read_to_string(&mut text));
    match taken {
        Ok(_) => {
            let loaded = load_documents(&text);
            held.extend(loaded.policies.iter().map(|p| PolicyName::new(p.name())));
            Known { print, loaded, unreadable: None, held }
        }
        Err(error) => Known { print, loaded: Loaded::default(), unreadable: Some(error.to_string()), held },
    }
}

fn collect_prints(folder: &Path, depth: u8, into: &mut Vec<(PathBuf, Print)>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() && depth > 0 {
            collect_prints(&path, depth - 1, into);
        } else if let Ok(print) = Print::of(&path) {
            into.push((path, print));
        }
    }
}

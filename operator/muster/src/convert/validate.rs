//! `muster validate FILE...`: files to a report for people and machines.
//!
//! Exit code: 0 when every file is good (warnings or not), 1 when a policy has an error, 2 when a file cannot be read.

use super::{Circumstances, Environment, SecretSource, convert_loaded};
use muster_core::ids::Owner;
use muster_crds::{Problem, load_documents};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What was found in all files.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// In the order in which they were given.
    pub files: Vec<FileReport>,
}

/// What was found in one file.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileReport {
    /// As it was given.
    pub file: PathBuf,
    /// Policies without an error, as `namespace/name`.
    pub good: Vec<String>,
    /// By line.
    pub problems: Vec<Problem>,
    /// The file could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

/// What a report comes to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Outcome {
    /// Exit code 0.
    Good,
    /// Exit code 1: a policy has an error.
    Refused,
    /// Exit code 2: a file cannot be read.
    Unreadable,
}

impl Outcome {
    /// For the process.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Refused => 1,
            Self::Unreadable => 2,
        }
    }
}

/// Validates files. A name used by two files is an error in the second. Nothing is connected to.
pub fn validate_files(files: &[PathBuf], environment: Environment, secrets: &dyn SecretSource) -> Report {
    let mut first_files: BTreeMap<String, &Path> = BTreeMap::new();
    let mut report = Report::default();
    for file in files {
        let mut found = match read_bounded(file) {
            Ok(text) => validate_text(&text, environment, secrets),
            Err(error) => FileReport { unreadable: Some(error.to_string()), ..FileReport::default() },
        };
        found.file.clone_from(file);
        refuse_known(&mut found, file, &mut first_files);
        report.files.push(found);
    }
    report
}

/// A device or a pipe has no end: no more is read than could be taken.
pub(crate) fn read_bounded(file: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let most = muster_crds::load::MAX_FILE_BYTES as u64 + 1;
    std::fs::File::open(file)?.take(most).read_to_end(&mut bytes)?;
    // A character cut in two at the bound is reported as a file that is too long.
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

fn refuse_known<'a>(found: &mut FileReport, file: &'a Path, first_files: &mut BTreeMap<String, &'a Path>) {
    let good = std::mem::take(&mut found.good);
    for name in good {
        if let Some(first) = first_files.get(&name) {
            let message = format!("the policy {name} is in {} too", first.display());
            let mut problem =
                Problem::error("metadata.name", message, "give one of them another name, or remove it");
            problem.policy = Some(name);
            found.problems.push(problem);
        } else {
            first_files.insert(name.clone(), file);
            found.good.push(name);
        }
    }
}

/// Validates the text of one file.
pub fn validate_text(text: &str, environment: Environment, secrets: &dyn SecretSource) -> FileReport {
    let loaded = load_documents(text);
    let mut report = FileReport { problems: loaded.problems, ..FileReport::default() };
    for policy in &loaded.policies {
        let with = Circumstances {
            environment,
            owner: Owner::new("validate"),
            generation: 0,
            secrets,
            program_env: BTreeMap::new(),
        };
        match convert_loaded(policy, &with) {
            Ok(converted) => {
                report.problems.extend(converted.warnings);
                report.good.push(policy.name());
            }
            Err(problems) => report.problems.extend(problems),
        }
    }
    report.problems.sort_by_key(|p| p.line);
    report
}

impl Report {
    /// What it comes to.
    pub fn outcome(&self) -> Outcome {
        let of_file = |file: &FileReport| match () {
            () if file.unreadable.is_some() => Outcome::Unreadable,
            () if file.problems.iter().any(Problem::is_error) => Outcome::Refused,
            () => Outcome::Good,
        };
        self.files.iter().map(of_file).max().unwrap_or(Outcome::Good)
    }

    /// For people: a block for each file.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for file in &self.files {
            // Writing to a String cannot fail.
            let _ = file.write_text(&mut text);
        }
        text
    }

    /// For machines.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl FileReport {
    fn write_text(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "{}", self.file.display())?;
        for name in &self.good {
            writeln!(out, "  ok       {name}")?;
        }
        if let Some(why) = &self.unreadable {
            writeln!(
                out,
                "  error    cannot be read: {why}\n           fix: give the path of a policy file"
            )?;
        }
        for problem in &self.problems {
            let label = if problem.is_error() { "error" } else { "warning" };
            let line = problem.line.map_or_else(String::new, |line| format!("line {line}: "));
            let path = if problem.path.is_empty() { "" } else { &format!("{}: ", problem.path) };
            writeln!(out, "  {label:<8} {line}{path}{}", problem.message)?;
            writeln!(out, "           fix: {}", problem.fix)?;
        }
        Ok(())
    }
}
